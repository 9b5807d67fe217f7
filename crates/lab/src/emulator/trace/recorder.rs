//! Brings recorded packets into a file without ever making the emulator wait for the disk.
//!
//! The emulator fills chunks, a thread of its own writes them. When the disk falls behind, first only the beginnings of
//! packets are kept (each packet is still there, with its full length noted), and at last packets are left out, which
//! is counted.

use super::{Record, write_packet};
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

/// A chunk goes to the file when it is this full ...
const CHUNK: usize = 512 * 1024;
/// ... or when its first packet is this old: half of what a killed lab may lose.
const LONGEST_WAIT: Duration = Duration::from_millis(25);
/// With so many bytes not yet written, only the beginnings of packets are kept.
const MUCH: usize = 64 * 1024 * 1024;
/// With so many bytes not yet written, packets are left out.
const TOO_MUCH: usize = 2 * MUCH;
/// The beginning of a packet: all headers of ours, and some.
const BEGINNING: usize = 192;

/// The recording half in the emulator's thread.
#[derive(Debug)]
pub(crate) struct Recorder {
    chunk: Vec<u8>,
    /// When the chunk's first packet was recorded.
    since: Option<Duration>,
    full: Sender<Vec<u8>>,
    empty: Receiver<Vec<u8>>,
    unwritten: Arc<AtomicUsize>,
    writer: JoinHandle<io::Result<()>>,
    left_out: u64,
}

impl Recorder {
    /// Starts the writing thread; `start` is the beginning of the file, and is there when this returns.
    pub(crate) fn start(mut file: File, start: &[u8]) -> io::Result<Self> {
        file.write_all(start)?;
        let (full, chunks) = mpsc::channel::<Vec<u8>>();
        let (give_back, empty) = mpsc::channel();
        let unwritten = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&unwritten);
        let writer = std::thread::Builder::new()
            .name("lab-trace".to_owned())
            .spawn(move || {
                let mut outcome = Ok(());
                for mut chunk in chunks {
                    if outcome.is_ok() {
                        outcome = file.write_all(&chunk);
                    }
                    counter.fetch_sub(chunk.len(), Ordering::Relaxed);
                    chunk.clear();
                    // Nobody wants it back when the lab is ending.
                    _ = give_back.send(chunk);
                }
                outcome
            })?;
        Ok(Self {
            chunk: Vec::with_capacity(2 * CHUNK),
            since: None,
            full,
            empty,
            unwritten,
            writer,
            left_out: 0,
        })
    }

    /// Records a packet.
    pub(crate) fn record(&mut self, mut record: Record<'_>, now: Duration) {
        let unwritten = self.unwritten.load(Ordering::Relaxed);
        if unwritten > TOO_MUCH {
            self.left_out += 1;
            return;
        }
        if unwritten > MUCH {
            record.keep = record.keep.min(BEGINNING);
        }
        write_packet(&mut self.chunk, &record);
        self.since.get_or_insert(now);
        if self.chunk.len() >= CHUNK {
            self.flush();
        }
    }

    /// When [`handle_time`](Self::handle_time) has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        self.since.map(|since| since + LONGEST_WAIT)
    }

    /// Sends what has waited long enough to the file.
    pub(crate) fn handle_time(&mut self, now: Duration) {
        if self.next_deadline().is_some_and(|deadline| deadline <= now) {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.since = None;
        if self.chunk.is_empty() {
            return;
        }
        let next = self
            .empty
            .try_recv()
            .unwrap_or_else(|_| Vec::with_capacity(2 * CHUNK));
        let chunk = std::mem::replace(&mut self.chunk, next);
        self.unwritten.fetch_add(chunk.len(), Ordering::Relaxed);
        // The writer ends only after us.
        _ = self.full.send(chunk);
    }

    /// Writes everything and says how many packets were left out, or what was wrong with the file.
    pub(crate) fn finish(mut self) -> io::Result<u64> {
        self.flush();
        drop(self.full);
        match self.writer.join() {
            Ok(outcome) => outcome.map(|()| self.left_out),
            Err(_) => Err(io::Error::other("the trace's writer panicked")),
        }
    }
}
