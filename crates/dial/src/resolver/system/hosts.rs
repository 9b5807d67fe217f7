//! Whether the hosts file names a host.
//!
//! glibc asks the DNS for the family that the hosts file leaves out: with `127.0.0.1 api.example` in the file, a
//! look-up of AAAA alone finds the real IPv6 address of `api.example`, and the user's override is gone. A look-up of
//! both families at once stops at the file. So names that stand in it are looked up that way; the look-up itself is
//! still the system's, in the order of `nsswitch.conf`.

use std::collections::HashMap;
use std::fs::Metadata;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// A hosts file, read again when it has changed.
pub(crate) struct Hosts {
    path: PathBuf,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    version: Option<Version>,
    names: HashMap<Box<str>, Vec<IpAddr>>,
}

/// What changes when a file is written or replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Version {
    modified: SystemTime,
    length: u64,
    inode: u64,
}

impl Version {
    fn of(metadata: &Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        Some(Self {
            modified: metadata.modified().ok()?,
            length: metadata.len(),
            inode: metadata.ino(),
        })
    }
}

impl Hosts {
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            known: Mutex::new(Known::default()),
        }
    }

    /// Whether a line of the file has this name, which is in lower case.
    pub(crate) fn names(&self, name: &str) -> bool {
        self.with(|names| names.contains_key(name))
    }

    /// The addresses that the file has for this name, which is in lower case.
    #[cfg(feature = "dns")]
    pub(crate) fn addresses(&self, name: &str) -> Vec<IpAddr> {
        self.with(|names| names.get(name).cloned().unwrap_or_default())
    }

    fn with<T>(&self, look: impl FnOnce(&HashMap<Box<str>, Vec<IpAddr>>) -> T) -> T {
        let version = std::fs::metadata(&self.path)
            .ok()
            .and_then(|metadata| Version::of(&metadata));
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.version != version {
            known.version = version;
            known.names = std::fs::read(&self.path)
                .map(|octets| names_in(&String::from_utf8_lossy(&octets)))
                .unwrap_or_default();
        }
        look(&known.names)
    }
}

fn names_in(text: &str) -> HashMap<Box<str>, Vec<IpAddr>> {
    let mut names: HashMap<Box<str>, Vec<IpAddr>> = HashMap::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_ascii_whitespace();
        // Addresses with a scope are the C library's to understand; the name counts all the same.
        let address: Option<IpAddr> = words.next().and_then(|word| word.parse().ok());
        for name in words {
            let addresses = names.entry(name.to_ascii_lowercase().into()).or_default();
            addresses.extend(address);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_read_again() {
        let directory =
            std::env::temp_dir().join(format!("twinstack-hosts-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("hosts");
        let hosts = Hosts::new(&path);
        assert!(!hosts.names("api.example"));
        std::fs::write(&path, "127.0.0.1 localhost # api.example\n").unwrap();
        assert!(hosts.names("localhost") && !hosts.names("api.example"));
        std::fs::write(&path, "127.0.0.1\tlocalhost\n192.0.2.1  API.example www\n").unwrap();
        assert!(hosts.names("api.example") && hosts.names("www"));
        std::fs::remove_dir_all(&directory).unwrap();
        assert!(!hosts.names("www"));
    }
}
