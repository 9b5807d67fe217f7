//! The lab's certificate authority: one root made when the lab starts, leaves signed by it on demand.
//!
//! The root's key never leaves the process. Hosts get the root's certificate as their whole CA bundle, so inside a
//! lab nothing else is trusted, and outside of it the root is trusted nowhere.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_hours(24);

/// A host whose clock is a few hours behind the lab's must not find the certificates "not yet valid".
const VALID_SINCE: Duration = DAY;

/// Longer than any lab lives, shorter than the 398 days above which some clients refuse a leaf.
const VALID_FOR: Duration = Duration::from_hours(90 * 24);

/// X.520 allows a common name of 64 characters.
const LONGEST_COMMON_NAME: usize = 64;

/// A root and the leaves that it signed; clones share both.
#[derive(Clone)]
pub(crate) struct CertificateAuthority {
    inner: Arc<Inner>,
}

struct Inner {
    issuer: CertifiedIssuer<'static, KeyPair>,
    certificate: String,
    leaves: Mutex<BTreeMap<Vec<String>, Arc<Leaf>>>,
}

impl CertificateAuthority {
    /// Makes a new root with a new key.
    pub(crate) fn generate() -> Result<Self, CertificateError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = distinguished_name("Twinstack lab root");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        set_validity(&mut params);
        let issuer = KeyPair::generate()
            .and_then(|key| CertifiedIssuer::self_signed(params, key))
            .map_err(CertificateError::Root)?;
        let certificate = issuer.pem();
        Ok(Self {
            inner: Arc::new(Inner {
                issuer,
                certificate,
                leaves: Mutex::default(),
            }),
        })
    }

    /// The root's certificate in PEM: the whole CA bundle of a host.
    pub(crate) fn bundle(&self) -> &str {
        &self.inner.certificate
    }

    /// A certificate for exactly these names (host names, wildcards or addresses), the same one at every call.
    pub(crate) fn leaf<N: AsRef<str>>(&self, names: &[N]) -> Result<Arc<Leaf>, CertificateError> {
        let names: Vec<String> = names.iter().map(|name| name.as_ref().to_owned()).collect();
        let mut leaves = self
            .inner
            .leaves
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(leaf) = leaves.get(&names) {
            return Ok(Arc::clone(leaf));
        }
        let leaf = self.sign(&names).map_err(|source| CertificateError::Leaf {
            names: names.clone(),
            source,
        })?;
        let leaf = Arc::new(leaf);
        leaves.insert(names, Arc::clone(&leaf));
        Ok(leaf)
    }

    fn sign(&self, names: &[String]) -> Result<Leaf, rcgen::Error> {
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = match names.first() {
            Some(name) if name.len() <= LONGEST_COMMON_NAME => distinguished_name(name),
            _ => distinguished_name("Twinstack lab"),
        };
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        set_validity(&mut params);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.inner.issuer)?;
        Ok(Leaf {
            certificate: certificate.der().clone(),
            key: PrivatePkcs8KeyDer::from(key.serialize_der()),
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        })
    }
}

impl fmt::Debug for CertificateAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateAuthority")
            .finish_non_exhaustive()
    }
}

/// A certificate that a server shows, with its key.
pub(crate) struct Leaf {
    certificate: CertificateDer<'static>,
    key: PrivatePkcs8KeyDer<'static>,
    certificate_pem: String,
    key_pem: String,
}

impl Leaf {
    /// What a server sends: the leaf alone, for the root is in every host's bundle.
    pub(crate) fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![self.certificate.clone()]
    }

    /// The key.
    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(self.key.clone_key())
    }

    /// The chain as a file for a program.
    pub(crate) fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The key as a file for a program.
    pub(crate) fn key_pem(&self) -> &str {
        &self.key_pem
    }
}

impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaf").finish_non_exhaustive()
    }
}

fn distinguished_name(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "Twinstack lab");
    name.push(DnType::CommonName, common_name);
    name
}

fn set_validity(params: &mut CertificateParams) {
    // A clock set before 1970 reads as 1970; nothing else in the lab would work then either.
    let since_1970 = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let now = date_time_ymd(1970, 1, 1) + since_1970;
    params.not_before = now - VALID_SINCE;
    params.not_after = now + VALID_FOR;
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum CertificateError {
    /// The root itself.
    #[error("cannot make the lab's root certificate: {0}")]
    Root(#[source] rcgen::Error),
    /// A leaf, mostly because a name in it is none.
    #[error("cannot make a certificate for `{}`: {source}", names.join("`, `"))]
    Leaf {
        /// The names asked for.
        names: Vec<String>,
        /// What was wrong with them.
        source: rcgen::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::RootCertStore;
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{ServerName, UnixTime};

    fn accepts(authority: &CertificateAuthority, leaf: &Leaf, name: &str, days: u64) -> bool {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(authority.bundle().as_bytes()).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .unwrap();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let then = UnixTime::since_unix_epoch(now.unwrap() + DAY * u32::try_from(days).unwrap());
        let name = ServerName::try_from(name.to_owned()).unwrap();
        verifier
            .verify_server_cert(&leaf.chain()[0], &[], &name, &[], then)
            .is_ok()
    }

    #[test]
    fn leaf_is_good_for_its_names_and_no_others() {
        let authority = CertificateAuthority::generate().unwrap();
        let leaf = authority
            .leaf(&["www.lab.test", "*.static.lab.test", "2e00:5::80"])
            .unwrap();
        let check = |name: &str, expected| {
            assert_eq!(accepts(&authority, &leaf, name, 0), expected, "{name}");
        };
        check("www.lab.test", true);
        check("a.static.lab.test", true);
        check("2e00:5::80", true);
        check("lab.test", false);
        check("2e00:5::81", false);
    }

    #[test]
    fn leaf_expires_after_ninety_days() {
        let authority = CertificateAuthority::generate().unwrap();
        let leaf = authority.leaf(&["www.lab.test"]).unwrap();
        assert!(accepts(&authority, &leaf, "www.lab.test", 89));
        assert!(!accepts(&authority, &leaf, "www.lab.test", 91));
    }

    #[test]
    fn another_labs_root_is_not_trusted() {
        let ours = CertificateAuthority::generate().unwrap();
        let theirs = CertificateAuthority::generate().unwrap();
        let leaf = theirs.leaf(&["www.lab.test"]).unwrap();
        assert!(!accepts(&ours, &leaf, "www.lab.test", 0));
    }

    #[test]
    fn same_names_give_the_same_certificate() {
        let authority = CertificateAuthority::generate().unwrap();
        let first = authority.leaf(&["www.lab.test"]).unwrap();
        let again = authority.clone().leaf(&["www.lab.test"]).unwrap();
        let other = authority.leaf(&["mail.lab.test"]).unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        assert_ne!(first.certificate_pem(), other.certificate_pem());
    }

    #[test]
    fn files_hold_the_same_certificate_and_key() {
        let authority = CertificateAuthority::generate().unwrap();
        let leaf = authority.leaf(&["www.lab.test"]).unwrap();
        let certificate = CertificateDer::from_pem_slice(leaf.certificate_pem().as_bytes());
        assert_eq!(certificate.unwrap(), leaf.chain()[0]);
        let key = PrivateKeyDer::from_pem_slice(leaf.key_pem().as_bytes());
        assert_eq!(key.unwrap(), leaf.key());
    }

    #[test]
    fn impossible_name_is_an_error_that_shows_it() {
        let authority = CertificateAuthority::generate().unwrap();
        let error = authority.leaf(&["bücher.lab.test"]).unwrap_err();
        assert!(error.to_string().contains("`bücher.lab.test`"), "{error}");
    }
}
