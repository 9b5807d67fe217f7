//! The hosts file (`/etc/hosts`, hosts(5)): names that a machine knows without asking anybody.
//!
//! Pure: the caller reads the file. A line that is none is left out, as every libc does, so that no text is an error.

use crate::name::Name;
use std::net::IpAddr;

/// A hosts file, in the order of its lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostsFile {
    entries: Vec<(IpAddr, Vec<Name>)>,
}

impl HostsFile {
    /// Reads the text of a hosts file: an address and its names on each line, `#` begins a comment.
    ///
    /// An address with an interface (`fe80::1%eth0`) means something to that interface only and is left out.
    pub fn parse(text: &str) -> Self {
        let entry = |line: &str| {
            let line = line.split_once('#').map_or(line, |(before, _)| before);
            let mut words = line.split_whitespace();
            let address: IpAddr = words.next()?.parse().ok()?;
            let names: Vec<Name> = words.filter_map(|word| Name::parse(word).ok()).collect();
            (!names.is_empty()).then_some((address, names))
        };
        Self {
            entries: text.lines().filter_map(entry).collect(),
        }
    }

    /// All addresses of a name, each once, in the order of the file.
    pub fn addresses(&self, name: &Name) -> Vec<IpAddr> {
        let mut found = Vec::new();
        for (address, names) in &self.entries {
            if names.contains(name) && !found.contains(address) {
                found.push(*address);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, name: &str, expected: &[&str]) {
        let found = HostsFile::parse(text).addresses(&Name::parse(name).unwrap());
        let expected: Vec<IpAddr> = expected.iter().map(|text| text.parse().unwrap()).collect();
        assert_eq!(found, expected, "{name} in {text:?}");
    }

    const FILE: &str = "# the usual\n\
        127.0.0.1\tlocalhost loopback\n\
        ::1 localhost ip6-localhost # both\n\
        192.0.2.7  Build.lab.test build\n\
        2e00:c::7 build.lab.test\n\
        192.0.2.7 build.lab.test";

    #[test]
    fn a_name_has_the_addresses_of_all_its_lines() {
        check(FILE, "localhost", &["127.0.0.1", "::1"]);
        check(FILE, "BUILD.lab.test", &["192.0.2.7", "2e00:c::7"]);
        check(FILE, "build", &["192.0.2.7"]);
        check(FILE, "lab.test", &[]);
    }

    #[test]
    fn lines_that_are_none_are_left_out() {
        check("build 192.0.2.7\n192.0.2.300 build\n", "build", &[]);
        check(
            "192.0.2.7\n#192.0.2.7 build\n192.0.2.7 # build",
            "build",
            &[],
        );
        check("fe80::1%eth0 build\n", "build", &[]);
        check("192.0.2.7 bad..name build\r\n", "build", &["192.0.2.7"]);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[a-z0-9.:# \t\n%-]{0,60}") {
            let file = HostsFile::parse(&text);
            for (address, names) in &file.entries {
                for name in names {
                    prop_assert!(file.addresses(name).contains(address));
                }
            }
        }
    }
}
