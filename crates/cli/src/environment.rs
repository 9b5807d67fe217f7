//! What a command gets from the world: arguments, streams, terminal, and the checker.
//!
//! A command is a function of its environment. It never reads the process's own streams, variables or terminal, so
//! that whole commands run in a test within milliseconds.

use crate::checker::Checker;
use anyhow::Context as _;
use std::ffi::OsString;
use std::io::{self, Read, Write};

/// Everything that a command may look at and write to.
pub(crate) struct Environment<'a> {
    /// The program's name and the arguments behind it.
    pub(crate) arguments: Vec<OsString>,
    /// Standard input.
    pub(crate) stdin: &'a mut dyn Read,
    /// Standard output: data.
    pub(crate) stdout: Stream<'a>,
    /// Standard error: talk.
    pub(crate) stderr: Stream<'a>,
    /// Columns of the terminal, or [`PLAIN_WIDTH`].
    pub(crate) width: usize,
    /// `NO_COLOR` is set and not empty, or the terminal is a dumb one.
    pub(crate) no_colour: bool,
    /// How targets are looked at.
    pub(crate) checker: &'a dyn Checker,
}

/// The width when standard output is no terminal.
pub(crate) const PLAIN_WIDTH: usize = 100;

impl<'a> Environment<'a> {
    /// The environment of this process.
    pub(crate) fn of_process(
        stdin: &'a mut dyn Read,
        stdout: Stream<'a>,
        stderr: Stream<'a>,
        checker: &'a dyn Checker,
    ) -> Self {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let width = terminal_size::terminal_size()
            .filter(|_| stdout.is_terminal)
            .map_or(PLAIN_WIDTH, |(width, _)| usize::from(width.0));
        let mut environment = Self {
            arguments: std::env::args_os().collect(),
            stdin,
            stdout,
            stderr,
            width,
            no_colour: set("NO_COLOR").is_some() || set("TERM").is_some_and(|term| term == "dumb"),
            checker,
        };
        environment.choose_colour(ColourChoice::Auto);
        environment
    }

    /// Decides for both streams whether they are coloured.
    pub(crate) fn choose_colour(&mut self, choice: ColourChoice) {
        let no_colour = self.no_colour;
        for stream in [&mut self.stdout, &mut self.stderr] {
            stream.colour = match choice {
                ColourChoice::Auto => stream.is_terminal && !no_colour,
                ColourChoice::Always => true,
                ColourChoice::Never => false,
            };
        }
    }

    /// The width that text is laid out for: no narrower than 40 columns and no wider than 120.
    pub(crate) fn text_width(&self) -> usize {
        self.width.clamp(40, 120)
    }
}

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ColourChoice {
    /// On a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Everywhere
    Always,
    /// Nowhere
    Never,
}

/// A stream to write to.
pub(crate) struct Stream<'a> {
    writer: &'a mut dyn Write,
    /// Somebody sits there.
    pub(crate) is_terminal: bool,
    /// Text is to be coloured.
    pub(crate) colour: bool,
    closed: bool,
}

impl<'a> Stream<'a> {
    /// A stream without colour.
    pub(crate) fn new(writer: &'a mut dyn Write, is_terminal: bool) -> Self {
        Self {
            writer,
            is_terminal,
            colour: false,
            closed: false,
        }
    }

    /// Writes text as it is.
    ///
    /// A reader that went away (`| head`) is no error: the rest is dropped, and the command keeps its exit status.
    pub(crate) fn print(&mut self, text: &str) -> anyhow::Result<()> {
        self.print_bytes(text.as_bytes())
    }

    /// Writes bytes as they are; see [`Self::print`].
    pub(crate) fn print_bytes(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        if self.closed {
            return Ok(());
        }
        match self
            .writer
            .write_all(bytes)
            .and_then(|()| self.writer.flush())
        {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            done => done.context("cannot write the output"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Gone(usize);

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            self.0 += 1;
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_went_away_is_no_error() {
        let mut gone = Gone(0);
        let mut stream = Stream::new(&mut gone, false);
        stream.print("one").unwrap();
        stream.print("two").unwrap();
        assert_eq!(gone.0, 1, "nothing more is written to a closed pipe");
    }

    #[test]
    fn a_full_disk_is_an_error() {
        let mut full: &mut [u8] = &mut [];
        let error = Stream::new(&mut full, false).print("text").unwrap_err();
        assert_eq!(error.to_string(), "cannot write the output");
    }
}
