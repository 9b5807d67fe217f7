//! Traffic between the two hosts.

use super::space::{Lab, SERVER};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

const ECHO: u16 = 7;
const SINK: u16 = 9;
/// Bytes of UDP payload in a small packet.
const SMALL: usize = 32;
/// Datagrams that one system call moves.
const BATCH: usize = 16;
const BATCH_LENGTH: u32 = 16;

/// Round trips of single datagrams, sorted.
pub(crate) fn round_trips(lab: &Lab, count: usize) -> io::Result<Vec<Duration>> {
    let (ready, waiting) = mpsc::channel();
    lab.server.begin(move || echo(&ready));
    waiting.recv().map_err(io::Error::other)??;
    lab.client.run(move || {
        let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?;
        socket.connect((SERVER, ECHO))?;
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        let mut times = Vec::new();
        let mut data = [0; 64];
        for number in 0..count {
            let started = Instant::now();
            socket.send(&number.to_be_bytes())?;
            let came_back = loop {
                match socket.recv(&mut data) {
                    // An answer to an earlier one that was given up.
                    Ok(length) if data[..length] != number.to_be_bytes() => {}
                    Ok(_) => break true,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break false,
                    Err(error) => return Err(error),
                }
            };
            // The first one waits for neighbour discovery.
            if came_back && number > 0 {
                times.push(started.elapsed());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        times.sort();
        Ok(times)
    })?
}

fn echo(ready: &mpsc::Sender<io::Result<()>>) {
    let run = || {
        let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, ECHO))?;
        socket.set_read_timeout(Some(Duration::from_secs(2)))?;
        _ = ready.send(Ok(()));
        let mut data = [0; 64];
        while let Ok((length, from)) = socket.recv_from(&mut data) {
            socket.send_to(&data[..length], from)?;
        }
        Ok(())
    };
    if let Err(error) = run() {
        _ = ready.send(Err(error));
    }
}

/// Bytes a second that TCP carries once it has got up speed.
pub(crate) fn bulk(lab: &Lab, connections: u16, time: Duration) -> io::Result<f64> {
    let warm_up = Duration::from_secs(1);
    let total = Arc::new(AtomicU64::new(0));
    let ended = Arc::new(AtomicBool::new(false));
    for number in 0..connections {
        let port = SINK + number;
        let (counter, end) = (Arc::clone(&total), Arc::clone(&ended));
        lab.server.run(move || {
            let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port))?;
            std::thread::spawn(move || receive(&listener, &counter, &end));
            io::Result::Ok(())
        })??;
        let end = Arc::clone(&ended);
        lab.client
            .run(move || std::thread::spawn(move || transmit(port, &end)))?;
    }
    std::thread::sleep(warm_up);
    let (started, before) = (Instant::now(), total.load(Ordering::Relaxed));
    std::thread::sleep(time);
    let bytes = as_float(total.load(Ordering::Relaxed) - before);
    ended.store(true, Ordering::Relaxed);
    Ok(bytes / started.elapsed().as_secs_f64())
}

fn receive(listener: &TcpListener, total: &AtomicU64, ended: &AtomicBool) -> io::Result<()> {
    let (mut stream, _) = listener.accept()?;
    let mut data = vec![0; 1 << 20];
    while !ended.load(Ordering::Relaxed) {
        let count = stream.read(&mut data)?;
        total.fetch_add(u64::try_from(count).unwrap_or(0), Ordering::Relaxed);
    }
    Ok(())
}

fn transmit(port: u16, ended: &AtomicBool) -> io::Result<()> {
    let mut stream = TcpStream::connect(SocketAddr::from((SERVER, port)))?;
    stream.set_write_timeout(Some(Duration::from_secs(1)))?;
    let data = vec![0; 1 << 20];
    while !ended.load(Ordering::Relaxed) {
        stream.write_all(&data)?;
    }
    Ok(())
}

/// Small datagrams at a steady rate.
pub(crate) struct Small {
    sent: mpsc::Receiver<io::Result<(u64, Duration)>>,
    arrived: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
    sink: mpsc::Receiver<io::Result<()>>,
}

impl Small {
    pub(crate) fn start(lab: &Lab, rate: u32, time: Duration) -> Self {
        let arrived = Arc::new(AtomicU64::new(0));
        let ended = Arc::new(AtomicBool::new(false));
        let (ready, waiting) = mpsc::channel();
        let (counter, end) = (Arc::clone(&arrived), Arc::clone(&ended));
        let (done, sink) = mpsc::channel();
        // A thread of its own: the host's may be busy with echoes.
        lab.server.begin(move || {
            std::thread::spawn(move || {
                _ = done.send(count_datagrams(&counter, &end, &ready));
            });
        });
        _ = waiting.recv();
        let (done, sent) = mpsc::channel();
        lab.client.begin(move || {
            std::thread::spawn(move || {
                _ = done.send(send_datagrams(rate, time));
            });
        });
        Self {
            sent,
            arrived,
            ended,
            sink,
        }
    }

    /// Sent, arrived, and how long it took.
    pub(crate) fn finish(self) -> io::Result<(f64, f64, f64)> {
        let (sent, time) = self.sent.recv().map_err(io::Error::other)??;
        std::thread::sleep(Duration::from_millis(200));
        self.ended.store(true, Ordering::Relaxed);
        self.sink.recv().map_err(io::Error::other)??;
        let arrived = self.arrived.load(Ordering::Relaxed);
        Ok((as_float(sent), as_float(arrived), time.as_secs_f64()))
    }
}

/// A batch of messages with one vector each.
fn messages(vectors: &mut [libc::iovec; BATCH]) -> [libc::mmsghdr; BATCH] {
    vectors.each_mut().map(|vector| {
        #[expect(unsafe_code, reason = "a C structure")]
        // SAFETY: zeros are valid for it.
        let mut message: libc::mmsghdr = unsafe { std::mem::zeroed() };
        message.msg_hdr.msg_iov = vector;
        message.msg_hdr.msg_iovlen = 1;
        message
    })
}

fn count_datagrams(
    arrived: &AtomicU64,
    end: &AtomicBool,
    ready: &mpsc::Sender<()>,
) -> io::Result<()> {
    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, SINK))?;
    socket.set_read_timeout(Some(Duration::from_millis(20)))?;
    let large: libc::c_int = 4 << 20;
    #[expect(unsafe_code, reason = "a system call")]
    // SAFETY: the kernel reads one `c_int`.
    unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVBUF,
            (&raw const large).cast(),
            4,
        );
    }
    _ = ready.send(());
    let mut data = [[0_u8; 64]; BATCH];
    let mut vectors = data.each_mut().map(|data| libc::iovec {
        iov_base: data.as_mut_ptr().cast(),
        iov_len: 64,
    });
    let mut messages = messages(&mut vectors);
    while !end.load(Ordering::Relaxed) {
        #[expect(unsafe_code, reason = "a system call")]
        // SAFETY: each message has one vector, each vector 64 bytes of `data`.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                messages.as_mut_ptr(),
                BATCH_LENGTH,
                libc::MSG_WAITFORONE as _,
                std::ptr::null_mut(),
            )
        };
        arrived.fetch_add(u64::try_from(count).unwrap_or(0), Ordering::Relaxed);
    }
    Ok(())
}

fn send_datagrams(rate: u32, time: Duration) -> io::Result<(u64, Duration)> {
    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?;
    socket.connect((SERVER, SINK))?;
    // The first one waits for neighbour discovery, during which the kernel keeps only a few.
    socket.send(&[0; SMALL])?;
    std::thread::sleep(Duration::from_millis(100));
    let mut data = [[0_u8; SMALL]; BATCH];
    let mut vectors = data.each_mut().map(|data| libc::iovec {
        iov_base: data.as_mut_ptr().cast(),
        iov_len: SMALL,
    });
    let mut messages = messages(&mut vectors);
    let started = Instant::now();
    let mut sent = 1_u64;
    while started.elapsed() < time {
        let due = started.elapsed().as_secs_f64() * f64::from(rate);
        if as_float(sent) > due {
            std::hint::spin_loop();
            continue;
        }
        #[expect(unsafe_code, reason = "a system call")]
        // SAFETY: each message has one vector, each vector bytes of `data`.
        let count =
            unsafe { libc::sendmmsg(socket.as_raw_fd(), messages.as_mut_ptr(), BATCH_LENGTH, 0) };
        sent += u64::try_from(count).unwrap_or(0);
    }
    Ok((sent, started.elapsed()))
}

/// Exact up to 2^53, which nobody sends.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn as_float(count: u64) -> f64 {
    count as f64
}
