//! The file of a report: that it cannot be written is found out before anybody has to wait.

use anyhow::Context as _;
use std::fs::{File, OpenOptions};
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};

/// The page's file: opened before the work, written after it, and taken away if there is nothing to write.
pub(crate) struct ReportFile {
    pub(crate) path: PathBuf,
    file: File,
    unwritten_and_ours: bool,
}

impl ReportFile {
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let existed = path.exists();
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .with_context(|| format!("the report cannot be written to `{}`", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            unwritten_and_ours: !existed,
        })
    }

    pub(crate) fn write(&mut self, text: &str) -> anyhow::Result<()> {
        self.unwritten_and_ours = false;
        self.replace(text)
            .with_context(|| format!("writing the report `{}`", self.path.display()))
    }

    fn replace(&mut self, text: &str) -> std::io::Result<()> {
        // `/dev/stdout` and its like have neither length nor position.
        if self.file.metadata()?.is_file() {
            self.file.set_len(0)?;
            self.file.rewind()?;
        }
        self.file.write_all(text.as_bytes())
    }
}

impl Drop for ReportFile {
    fn drop(&mut self) {
        if self.unwritten_and_ours {
            drop(std::fs::remove_file(&self.path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_that_cannot_be_written_is_refused_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let error = ReportFile::open(&directory.path().join("not/there.html"))
            .err()
            .unwrap();
        assert!(
            format!("{error:#}").contains("the report cannot be written to"),
            "{error:#}"
        );
        assert!(
            ReportFile::open(directory.path()).is_err(),
            "a directory is no file"
        );
    }

    #[test]
    fn a_report_replaces_a_longer_one_and_a_failed_replay_leaves_things_as_they_were() {
        let directory = tempfile::tempdir().unwrap();
        let (old, new) = (
            directory.path().join("old.html"),
            directory.path().join("new.html"),
        );
        std::fs::write(&old, "an older and longer page").unwrap();
        drop((
            ReportFile::open(&old).unwrap(),
            ReportFile::open(&new).unwrap(),
        ));
        assert_eq!(
            std::fs::read_to_string(&old).unwrap(),
            "an older and longer page"
        );
        assert!(!new.exists());
        ReportFile::open(&old).unwrap().write("short").unwrap();
        assert_eq!(std::fs::read_to_string(&old).unwrap(), "short");
    }
}
