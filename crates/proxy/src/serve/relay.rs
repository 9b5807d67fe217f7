//! Two connections made into one: bytes both ways, until both sides have said all they have to say.
//!
//! The end of one direction is handed on as such (half-close), and the other goes on. Once a direction has carried more
//! than [`SPLICE_AFTER`] bytes, the kernel moves them from socket to socket by itself (`splice`); short conversations are
//! spared the pipe that this takes.

use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice};
use nix::unistd::pipe2;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::{Instant, sleep_until};

/// From here on a direction is spliced.
const SPLICE_AFTER: u64 = 128 * 1024;
/// What a direction reads at a time before that.
const BUFFER: usize = 16 * 1024;
/// What a spliced direction's pipe holds, if the user's limit allows.
const PIPE: usize = 512 * 1024;

/// When a relay is ended although both sides would go on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Nothing came from either side for this long.
    pub(crate) idle: Option<Duration>,
    /// It has lasted this long.
    pub(crate) total: Option<Duration>,
}

/// How a relay ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Both sides were done.
    Done,
    /// One of them broke off.
    Broken,
    /// Nothing moved for too long.
    Idle,
    /// It lasted too long.
    TooLong,
}

/// What a relay carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Carried {
    pub(crate) end: End,
    /// From the client to the service.
    pub(crate) up: u64,
    /// From the service to the client.
    pub(crate) down: u64,
}

/// Carries bytes between `client` and `service` until both are done or a bound is reached; `early` are bytes that the
/// client has sent already.
pub(crate) async fn relay(
    mut client: TcpStream,
    mut service: TcpStream,
    early: &[u8],
    bounds: Bounds,
) -> Carried {
    let moved = Moved::default();
    let started = Instant::now();
    let end = {
        let (client_reads, client_writes) = client.split();
        let (service_reads, service_writes) = service.split();
        let both = async {
            tokio::try_join!(
                one_way(client_reads, service_writes, early, &moved.up),
                one_way(service_reads, client_writes, &[], &moved.down),
            )
        };
        tokio::select! {
            result = both => if result.is_ok() { End::Done } else { End::Broken },
            end = watch(&moved, bounds, started) => end,
        }
    };
    if end != End::Done {
        // A side that is still there learns of it by a reset, not by an end that looks like all was said.
        for stream in [&client, &service] {
            reset_at_close(stream);
        }
    }
    Carried {
        end,
        up: moved.up.load(Ordering::Relaxed),
        down: moved.down.load(Ordering::Relaxed),
    }
}

/// Lets the other side know by a reset, once the socket is closed.
pub(crate) fn reset_at_close(stream: &TcpStream) {
    // Nothing is left to be done for a socket that refuses.
    let _refused = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// How many bytes have moved each way.
#[derive(Debug, Default)]
struct Moved {
    up: AtomicU64,
    down: AtomicU64,
}

impl Moved {
    fn sum(&self) -> u64 {
        self.up
            .load(Ordering::Relaxed)
            .wrapping_add(self.down.load(Ordering::Relaxed))
    }
}

/// Ends when a bound is reached. It looks at the counters only when the time has come, so that moving bytes costs no
/// clock.
async fn watch(moved: &Moved, bounds: Bounds, started: Instant) -> End {
    let latest = bounds.total.and_then(|total| started.checked_add(total));
    let Some(idle) = bounds.idle else {
        return match latest {
            Some(latest) => {
                sleep_until(latest).await;
                End::TooLong
            }
            None => std::future::pending().await,
        };
    };
    // Looking four times in the idle time finds silence after at most a quarter more than it.
    let step = (idle / 4).max(Duration::from_millis(1));
    let mut seen = moved.sum();
    let mut quiet_since = Instant::now();
    loop {
        let look = Instant::now() + step;
        sleep_until(latest.map_or(look, |latest| look.min(latest))).await;
        let now = Instant::now();
        if latest.is_some_and(|latest| now >= latest) {
            return End::TooLong;
        }
        let sum = moved.sum();
        if sum != seen {
            seen = sum;
            quiet_since = now;
        } else if now.duration_since(quiet_since) >= idle {
            return End::Idle;
        }
    }
}

/// One direction, to its end, which is handed on.
async fn one_way(
    from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    early: &[u8],
    moved: &AtomicU64,
) -> io::Result<()> {
    if !early.is_empty() {
        to.write_all(early).await?;
        moved.fetch_add(count(early.len()), Ordering::Relaxed);
    }
    if copy(&from, &mut to, moved).await? {
        match Pipe::new() {
            Ok(pipe) => pipe.carry(from.as_ref(), to.as_ref(), moved).await?,
            // No more file descriptors: copying goes on.
            Err(_) => while copy(&from, &mut to, moved).await? {},
        }
    }
    to.shutdown().await
}

/// Copies until the end (false) or until so much has moved that splicing pays (true).
async fn copy(from: &ReadHalf<'_>, to: &mut WriteHalf<'_>, moved: &AtomicU64) -> io::Result<bool> {
    let mut buffer = vec![0; BUFFER];
    let mut here = 0_u64;
    while here < SPLICE_AFTER {
        from.readable().await?;
        let length = match from.try_read(&mut buffer) {
            Ok(0) => return Ok(false),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        };
        to.write_all(buffer.get(..length).unwrap_or_default())
            .await?;
        here += count(length);
        moved.fetch_add(count(length), Ordering::Relaxed);
    }
    Ok(true)
}

/// A pipe inside the kernel between two sockets.
struct Pipe {
    out: OwnedFd,
    into: OwnedFd,
    holds: usize,
}

impl Pipe {
    fn new() -> io::Result<Self> {
        let (out, into) = pipe2(OFlag::O_NONBLOCK | OFlag::O_CLOEXEC)?;
        let wanted = i32::try_from(PIPE).unwrap_or(i32::MAX);
        // Users have a limit of pages for all their pipes; the default size does as well.
        let size = fcntl(&into, FcntlArg::F_SETPIPE_SZ(wanted))
            .or_else(|_| fcntl(&into, FcntlArg::F_GETPIPE_SZ))?;
        let holds = usize::try_from(size).unwrap_or(BUFFER);
        Ok(Self { out, into, holds })
    }

    /// Moves everything to the end. The pipe is always emptied before it is filled again, so that `EAGAIN` is always
    /// the socket's.
    async fn carry(&self, from: &TcpStream, to: &TcpStream, moved: &AtomicU64) -> io::Result<()> {
        let flags = SpliceFFlags::SPLICE_F_NONBLOCK | SpliceFFlags::SPLICE_F_MOVE;
        loop {
            let filled = from
                .async_io(Interest::READABLE, || {
                    Ok(splice(
                        from.as_fd(),
                        None,
                        self.into.as_fd(),
                        None,
                        self.holds,
                        flags,
                    )?)
                })
                .await?;
            if filled == 0 {
                return Ok(());
            }
            let mut left = filled;
            while left > 0 {
                let gone = to
                    .async_io(Interest::WRITABLE, || {
                        Ok(splice(
                            self.out.as_fd(),
                            None,
                            to.as_fd(),
                            None,
                            left,
                            flags,
                        )?)
                    })
                    .await?;
                if gone == 0 {
                    return Err(io::ErrorKind::WriteZero.into());
                }
                left = left.saturating_sub(gone);
                moved.fetch_add(count(gone), Ordering::Relaxed);
            }
        }
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
