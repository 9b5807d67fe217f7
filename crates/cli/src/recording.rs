//! The recording of a lab: kept where the user wants it, otherwise only in memory, so that nothing is left behind however
//! the lab ends.

use anyhow::Context as _;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Where the packets go.
pub(crate) struct Recording {
    path: PathBuf,
    /// Holds the memory behind `path`.
    _memory: Option<OwnedFd>,
    kept: bool,
}

impl Recording {
    /// A file that can be written, or one in memory.
    pub(crate) fn create(file: Option<&Path>) -> anyhow::Result<Self> {
        if let Some(path) = file {
            std::fs::File::create(path).with_context(|| {
                format!("the recording cannot be written to `{}`", path.display())
            })?;
            return Ok(Self {
                path: path.to_owned(),
                _memory: None,
                kept: true,
            });
        }
        let memory = nix::sys::memfd::memfd_create(
            "twinstack-recording",
            nix::sys::memfd::MFdFlags::MFD_CLOEXEC,
        )
        .context("creating a file in memory for the recording")?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", memory.as_raw_fd()));
        Ok(Self {
            path,
            _memory: Some(memory),
            kept: false,
        })
    }

    /// The file for the lab to write to.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file, if the user asked for one.
    pub(crate) fn kept(&self) -> Option<String> {
        self.kept.then(|| self.path.display().to_string())
    }

    /// All of it. The lab must have ended.
    pub(crate) fn read(&self) -> anyhow::Result<Vec<u8>> {
        std::fs::read(&self.path).context("reading the recording")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_in_memory_can_be_written_and_read_by_its_path() {
        let recording = Recording::create(None).unwrap();
        std::fs::write(recording.path(), "not a recording").unwrap();
        assert_eq!(recording.read().unwrap(), b"not a recording");
        assert_eq!(recording.kept(), None);
    }

    #[test]
    fn a_place_that_cannot_be_written_is_named() {
        let error = Recording::create(Some(Path::new("/nowhere/at/all.pcapng")))
            .err()
            .unwrap();
        assert!(
            error.to_string().contains("/nowhere/at/all.pcapng"),
            "{error}"
        );
    }
}
