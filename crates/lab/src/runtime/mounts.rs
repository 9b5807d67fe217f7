//! The file systems of the lab: what a program inside sees in `/proc`, `/run` and `/etc`.
//!
//! Nothing here touches the machine's own files: every mount lies in the lab's mount namespace and is gone with it.

use nix::mount::{MsFlags, mount};
use std::io;
use std::path::{Path, PathBuf};

/// Scratch space of the lab, on a file system in memory that vanishes with it.
pub(crate) const SCRATCH: &str = "/run/twinstack-lab";

/// Where programs look for the certificates they trust.
const CA_BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
];

/// Says which mount failed.
fn at<T>(what: &str, result: nix::Result<T>) -> io::Result<T> {
    result.map_err(|errno| {
        let error = io::Error::from(errno);
        io::Error::new(error.kind(), format!("mounting {what}: {error}"))
    })
}

/// Mounts that all hosts share; once, in init.
pub(crate) fn set_up() -> io::Result<()> {
    let none = None::<&str>;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    at("/ as private", mount(none, "/", none, private, none))?;
    let careful = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    at(
        "/proc",
        mount(
            Some("proc"),
            "/proc",
            Some("proc"),
            careful | MsFlags::MS_NOEXEC,
            none,
        ),
    )?;
    // The machine's /run holds sockets of resolvers and caches (systemd-resolved, nscd) that would answer instead
    // of the lab's name servers.
    at(
        "/run",
        mount(
            Some("tmpfs"),
            "/run",
            Some("tmpfs"),
            careful,
            Some("mode=755"),
        ),
    )?;
    std::fs::create_dir_all(SCRATCH)?;
    for directory in ["/run/lock", "/run/named", "/run/nginx"] {
        std::fs::create_dir_all(directory)?;
    }
    Ok(())
}

/// The host's own `/sys`, so that `/sys/class/net` shows its interfaces. Containers may forbid it; nothing depends on it.
pub(crate) fn mount_sys() {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_RDONLY;
    mount(Some("sysfs"), "/sys", Some("sysfs"), flags, None::<&str>).ok();
}

/// Puts the lab's certificate authority where programs look for the ones they trust; returns the bundle's path.
pub(crate) fn trust(bundle: &str) -> io::Result<PathBuf> {
    let path = Path::new(SCRATCH).join("ca.pem");
    std::fs::write(&path, bundle)?;
    for target in CA_BUNDLES
        .map(Path::new)
        .into_iter()
        .filter(|target| target.exists())
    {
        cover(target, &path)?;
    }
    Ok(path)
}

/// Lets `target` show the content of `source`, for this mount namespace.
pub(crate) fn cover(target: &Path, source: &Path) -> io::Result<()> {
    let place = existing(target)?;
    let none = None::<&str>;
    at(
        &target.display().to_string(),
        mount(Some(source), &place, none, MsFlags::MS_BIND, none),
    )
}

/// A file that can be mounted over: `target` with its links followed, created if it is missing.
fn existing(target: &Path) -> io::Result<PathBuf> {
    if let Ok(found) = target.canonicalize() {
        return Ok(found);
    }
    // A link into the machine's /run, which the lab has hidden: create what it points to.
    if let Ok(link) = std::fs::read_link(target) {
        let aim = target.parent().unwrap_or_else(|| Path::new("/")).join(link);
        if let Some(parent) = aim.parent() {
            std::fs::create_dir_all(parent).ok();
        }
        if std::fs::write(&aim, "").is_ok() {
            return target.canonicalize();
        }
    }
    let parent = target.parent().unwrap_or_else(|| Path::new("/"));
    shadow(parent)?;
    std::fs::write(target, "")?;
    target.canonicalize()
}

/// Replaces a directory by one in memory that shows the same entries and takes new ones: the machine's own directory
/// must not get a file, and an ordinary user could not create one there anyway.
fn shadow(directory: &Path) -> io::Result<()> {
    let none = None::<&str>;
    let name = directory.to_string_lossy().replace('/', "_");
    let original = Path::new(SCRATCH).join(format!("original{name}"));
    std::fs::create_dir_all(&original)?;
    let bind = MsFlags::MS_BIND | MsFlags::MS_REC;
    at(
        "a shadow directory",
        mount(Some(directory), &original, none, bind, none),
    )?;
    at(
        "a shadow directory",
        mount(
            Some("tmpfs"),
            directory,
            Some("tmpfs"),
            MsFlags::MS_NOSUID,
            Some("mode=755"),
        ),
    )?;
    for entry in std::fs::read_dir(&original)? {
        let entry = entry?;
        let shown = directory.join(entry.file_name());
        match std::fs::read_link(entry.path()) {
            Ok(link) => std::os::unix::fs::symlink(link, shown)?,
            Err(_) => std::os::unix::fs::symlink(entry.path(), shown)?,
        }
    }
    Ok(())
}
