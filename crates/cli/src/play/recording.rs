//! The recording of a replay: kept where the user wants it, otherwise only in memory, so that nothing is left behind
//! however the replay ends.

use super::packets;
use super::story::Story;
use anyhow::Context as _;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Where the packets go.
pub(super) struct Recording {
    path: PathBuf,
    /// Holds the memory behind `path`.
    _memory: Option<OwnedFd>,
    kept: bool,
}

impl Recording {
    /// A file that can be written, or one in memory.
    pub(super) fn create(file: Option<&Path>) -> anyhow::Result<Self> {
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
        let memory =
            nix::sys::memfd::memfd_create("twinstack-play", nix::sys::memfd::MFdFlags::MFD_CLOEXEC)
                .context("creating a file in memory for the recording")?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", memory.as_raw_fd()));
        Ok(Self {
            path,
            _memory: Some(memory),
            kept: false,
        })
    }

    /// The file for the lab to write to.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file, if the user asked for one.
    pub(super) fn kept(&self) -> Option<String> {
        self.kept.then(|| self.path.display().to_string())
    }

    /// Writes what the packets say beside every number of the story. The lab must have ended.
    pub(super) fn fill(&self, story: &mut Story) -> anyhow::Result<()> {
        let file = std::fs::read(&self.path).context("reading the recording")?;
        let frames = twinstack_lab::trace::read(&file).context("reading the recording")?;
        for run in story.runs_mut() {
            run.from_packets = run
                .watched
                .as_ref()
                .and_then(|watched| packets::visit(&frames, watched));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::play::story::samples;

    #[test]
    fn a_recording_in_memory_can_be_written_and_read_by_its_path() {
        let recording = Recording::create(None).unwrap();
        std::fs::write(recording.path(), "not a recording").unwrap();
        let error = recording.fill(&mut samples::story()).unwrap_err();
        assert!(format!("{error:#}").contains("section header"), "{error:#}");
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
