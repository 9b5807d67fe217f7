//! The system's own resolvers.

use crate::resolv_conf::ResolvConf;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Reads a `resolv.conf`, and gives it with the addresses of its servers; a server whose interface does not exist is
/// left out.
///
/// A file that is not there counts as an empty one, as for every libc.
pub fn system_resolvers(path: &Path) -> Result<(ResolvConf, Vec<SocketAddr>), ResolvConfError> {
    let text = match std::fs::read(path) {
        Ok(octets) => String::from_utf8_lossy(&octets).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(cause) => {
            return Err(ResolvConfError {
                path: path.to_owned(),
                cause,
            });
        }
    };
    let conf = ResolvConf::parse(&text);
    let addresses = conf
        .nameservers
        .iter()
        .filter_map(|server| server.socket_address(interface_index))
        .collect();
    Ok((conf, addresses))
}

/// The number of an interface, which Linux shows as a file.
fn interface_index(name: &str) -> Option<u32> {
    // The name comes from a file that anybody may have written; it must stay one path component.
    if name.contains('/') || name.starts_with('.') {
        return None;
    }
    let path = Path::new("/sys/class/net").join(name).join("ifindex");
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// A `resolv.conf` that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read `{}`: {cause}", path.display())]
pub struct ResolvConfError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub cause: io::Error,
}
