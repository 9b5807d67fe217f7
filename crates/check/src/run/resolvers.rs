//! Which resolvers a run asks.

use crate::options::Options;
use std::path::Path;
use twinstack_dns::client::{ServerAddress, system_resolvers};
use twinstack_dns::resolv_conf::ResolvConf;
use twinstack_finding::Skipped;

/// libcs use so many of the servers in `resolv.conf`.
const SYSTEM_RESOLVERS: usize = 3;

/// Whom to ask: the resolvers given instead of the system's own, or those; and beside them whoever speaks HTTPS. With the
/// system's own comes the file that names them.
pub(super) fn endpoints(
    options: &Options,
    skipped: &mut Vec<Skipped>,
) -> (Vec<ServerAddress>, Option<ResolvConf>) {
    let mut endpoints: Vec<ServerAddress> = options
        .resolvers
        .iter()
        .map(|address| ServerAddress::Socket(*address))
        .collect();
    let mut resolv_conf = None;
    if endpoints.is_empty() {
        match system_resolvers(Path::new("/etc/resolv.conf")) {
            Ok((conf, addresses)) => {
                let addresses = addresses.into_iter().take(SYSTEM_RESOLVERS);
                endpoints.extend(addresses.map(ServerAddress::Socket));
                resolv_conf = Some(conf);
            }
            Err(error) => skipped.push(Skipped {
                what: "the system's resolvers".to_owned(),
                why: format!("{error}; name others with `--dns`"),
            }),
        }
    }
    endpoints.extend(options.doh.iter().cloned().map(ServerAddress::Url));
    (endpoints, resolv_conf)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    #[test]
    fn https_resolvers_are_asked_beside_the_others() {
        let target = crate::options::Target::parse("www.lab.test").unwrap();
        let url = ServerAddress::Url("https://dns.test/dns-query".to_owned());
        let named: SocketAddr = "192.0.2.53:53".parse().unwrap();
        let mut options = Options {
            doh: vec![url.to_string()],
            ..Options::new(target)
        };
        let mut skipped = Vec::new();
        let (asked, conf) = endpoints(&options, &mut skipped);
        // This machine has a resolv.conf or counts as having an empty one; either way somebody is in it.
        assert!(asked.len() > 1 && asked.last() == Some(&url), "{asked:?}");
        assert!(conf.is_some() && skipped.is_empty(), "{skipped:?}");
        options.resolvers = vec![named];
        let (asked, conf) = endpoints(&options, &mut skipped);
        assert_eq!(asked, [ServerAddress::Socket(named), url]);
        assert_eq!(conf, None);
    }
}
