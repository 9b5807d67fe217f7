//! The private directory of a program: its files, its certificate, and the placeholders that name them.

use crate::service::Context;
use crate::service::error::{FamilyName, Problem};
use crate::world::model::{Exec, Family, HostId, Service};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

/// What we put into every directory ourselves.
const CERTIFICATE: &str = "cert.pem";
const KEY: &str = "key.pem";
const AUTHORITY: &str = "ca.pem";
const OUTPUT: &str = "output.log";
const OURS: [&str; 4] = [CERTIFICATE, KEY, AUTHORITY, OUTPUT];

/// A directory that is ready for its program.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    addresses: Vec<IpAddr>,
}

impl Directory {
    /// Makes it and writes everything into it.
    pub(super) fn write(
        context: &Context,
        host: HostId,
        service: &Service,
        exec: &Exec,
        own: &[IpAddr],
    ) -> Result<Self, Problem> {
        let listed = service.listen.iter().chain(own);
        // By number, for names may hold what a path may not.
        let number = context
            .world
            .hosts
            .get(host.0)
            .and_then(|h| h.services.iter().position(|s| s.name == service.name))
            .unwrap_or_default();
        let directory = Self {
            path: context
                .directory
                .join(format!("host-{}", host.0))
                .join(format!("service-{number}")),
            addresses: listed.copied().collect(),
        };
        make(&directory.path)?;
        let leaf = if exec.certificate.is_empty() {
            context.authority.leaf(&crate::service::tls::WWW_NAMES)?
        } else {
            context.authority.leaf(&exec.certificate)?
        };
        put(&directory.path.join(CERTIFICATE), leaf.certificate_pem())?;
        put(&directory.path.join(KEY), leaf.key_pem())?;
        put(&directory.path.join(AUTHORITY), context.authority.bundle())?;
        for (name, text) in &exec.files {
            let path = directory.path.join(inside(name)?);
            if let Some(parent) = path.parent() {
                make(parent)?;
            }
            put(&path, &directory.fill_in(text)?)?;
        }
        Ok(directory)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file that takes the program's output.
    pub(super) fn output(&self) -> PathBuf {
        self.path.join(OUTPUT)
    }

    /// Replaces our placeholders and leaves every other brace alone: configuration files are full of them.
    pub(super) fn fill_in(&self, text: &str) -> Result<String, Problem> {
        let mut filled = text.to_owned();
        for (placeholder, file) in [
            ("{dir}", ""),
            ("{cert}", CERTIFICATE),
            ("{key}", KEY),
            ("{ca}", AUTHORITY),
        ] {
            let path = if file.is_empty() {
                self.path.clone()
            } else {
                self.path.join(file)
            };
            filled = filled.replace(placeholder, &path.to_string_lossy());
        }
        for (placeholder, family) in [("{address_v4}", Family::V4), ("{address_v6}", Family::V6)] {
            if filled.contains(placeholder) {
                let of_family = |address: &&IpAddr| Family::of(**address) == family;
                let address = self.addresses.iter().find(of_family);
                let address = address.ok_or(Problem::NoAddress {
                    placeholder,
                    family: FamilyName(family),
                })?;
                filled = filled.replace(placeholder, &address.to_string());
            }
        }
        Ok(filled)
    }
}

/// A relative path that stays inside and does not hit one of our own files.
fn inside(name: &str) -> Result<&Path, Problem> {
    let path = Path::new(name);
    let plain = path
        .components()
        .all(|component| matches!(component, Component::Normal(_)));
    let ours = OURS.iter().any(|ours| path == Path::new(ours));
    if name.is_empty() || name.contains('\0') || !plain || ours {
        return Err(Problem::FileName {
            name: name.to_owned(),
        });
    }
    Ok(path)
}

fn make(path: &Path) -> Result<(), Problem> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| Problem::File {
            path: path.to_owned(),
            source,
        })
}

fn put(path: &Path, text: &str) -> Result<(), Problem> {
    // 0700 lets scripts among the files be run by their path.
    let written = fs::remove_file(path).or_else(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    });
    written
        .and_then(|()| {
            OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o700)
                .open(path)
        })
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|source| Problem::File {
            path: path.to_owned(),
            source,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_in_and_other_braces_stay() {
        let directory = Directory {
            path: "/lab/x".into(),
            addresses: vec![
                "2e00:5::80".parse().unwrap(),
                "198.51.100.80".parse().unwrap(),
                "198.51.100.81".parse().unwrap(),
            ],
        };
        let check = |text: &str, expected: &str| {
            assert_eq!(directory.fill_in(text).unwrap(), expected);
        };
        check("root {dir}/www;", "root /lab/x/www;");
        check(
            "{cert} {key} {ca}",
            "/lab/x/cert.pem /lab/x/key.pem /lab/x/ca.pem",
        );
        check("{address_v4} [{address_v6}]", "198.51.100.80 [2e00:5::80]");
        check("events { } {other} {{dir}}", "events { } {other} {/lab/x}");
    }

    #[test]
    fn address_of_a_family_that_the_host_lacks_is_an_error() {
        let directory = Directory {
            path: "/lab/x".into(),
            addresses: vec!["198.51.100.80".parse().unwrap()],
        };
        let error = directory.fill_in("listen [{address_v6}]:80").unwrap_err();
        assert_eq!(
            error.to_string(),
            "uses `{address_v6}`, but the host has no IPv6 address"
        );
    }

    #[test]
    fn file_names_stay_inside_the_directory() {
        let check = |name: &str, expected: bool| {
            assert_eq!(inside(name).is_ok(), expected, "{name}");
        };
        check("named.conf", true);
        check("zones/lab.test", true);
        check("", false);
        check("/etc/passwd", false);
        check("../outside", false);
        check("zones/../../outside", false);
        check("output.log", false);
        check("key.pem", false);
        check("zones/key.pem", true);
        check("nul\0", false);
    }
}
