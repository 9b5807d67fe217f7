//! Programs that lose their privileges: under `no_new_privs` the setuid bit and file capabilities mean nothing.

use super::super::filter::{Architecture, Call};
use super::super::kernel::{self, Notification};
use super::super::report::PassedBy;
use super::Shared;
use std::ffi::{CString, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Notes an execution that will go without the privileges it is marked for. The call itself always goes through.
pub(super) fn note(call: &Notification, shared: &mut Shared, architecture: &Architecture) {
    let [first, second, ..] = call.arguments;
    let address = match architecture.call(call.audit, call.number) {
        Call::Execve => first,
        // Relative to a directory's descriptor, perhaps: rare, and then it is looked for in the wrong place.
        _ => second,
    };
    let Some(path) = read_path(call.thread, address) else {
        return;
    };
    if !shared.listener.is_valid(call.id) || !has_privileges(call.thread, &path) {
        return;
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.replace(char::is_control, "?");
    shared
        .report
        .passes_by(PassedBy::Setuid, call.thread, &name);
}

fn read_path(thread: u32, address: u64) -> Option<PathBuf> {
    const LONGEST: usize = 4096;
    const PAGE: u64 = 4096;
    let mut path = Vec::new();
    let mut address = address;
    // A page at a time: the next one may not be there.
    while path.len() < LONGEST {
        let rest = usize::try_from(PAGE - address % PAGE).ok()?;
        let mut octets = vec![0; rest];
        let read = kernel::read_memory(thread, address, &mut octets).ok()?;
        let read = octets.get(..read)?;
        if let Some(end) = read.iter().position(|octet| *octet == 0) {
            path.extend(read.get(..end)?);
            return Some(PathBuf::from(OsString::from_vec(path)));
        }
        path.extend(read);
        address = address.checked_add(u64::try_from(read.len()).ok()?)?;
    }
    None
}

fn has_privileges(thread: u32, path: &Path) -> bool {
    const SETUID: u32 = 0o4000;
    const SETGID_AND_EXECUTABLE: u32 = 0o2010;
    // As the program sees it: its root and working directory may be others than ours.
    let seen = if let Ok(path) = path.strip_prefix("/") {
        Path::new(&format!("/proc/{thread}/root")).join(path)
    } else {
        Path::new(&format!("/proc/{thread}/cwd")).join(path)
    };
    let Ok(metadata) = std::fs::metadata(&seen) else {
        return false;
    };
    let mode = metadata.mode();
    metadata.is_file()
        && (mode & SETUID != 0
            || mode & SETGID_AND_EXECUTABLE == SETGID_AND_EXECUTABLE
            || CString::new(seen.as_os_str().as_bytes())
                .is_ok_and(|path| kernel::has_capabilities(&path)))
}
