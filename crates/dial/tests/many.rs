//! Many dials at once: nothing waits for what is stuck, and nothing is left behind.

#![expect(clippy::unwrap_used, reason = "these helpers are tests too")]

#[path = "support/shared.rs"]
mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use support::{listener, silent_listener};
use tokio::sync::Mutex;
use twinstack_dial::{Dialer, Family, Resolver};

/// These tests count what the process has, so they take turns.
static TURN: Mutex<()> = Mutex::const_new(());

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Counts what is allocated: resident memory goes up and down by tens of megabytes as the allocator likes.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[expect(unsafe_code, reason = "an allocator has no other form")]
// SAFETY: everything is the system's; only a number is kept beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps to the same contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

async fn until(what: &str, check: impl Fn() -> bool) {
    let start = Instant::now();
    while !check() {
        assert!(start.elapsed() < Duration::from_secs(10), "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// 1,000 names whose AAAA question is stuck for 10 s, as by the C library's resolver, all dialled at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a9_a_thousand_stuck_aaaa_questions_delay_nobodys_a() {
    let _turn = TURN.lock().await;
    let (port, _guard) = listener(&[Ipv4Addr::LOCALHOST.into()]).await;
    let resolver = Resolver::blocking(|name, family| match family {
        Family::V4 => Ok(vec![Ipv4Addr::LOCALHOST.into()]),
        Family::V6 if name.starts_with("stuck") => {
            std::thread::sleep(Duration::from_secs(10));
            Err(std::io::ErrorKind::TimedOut.into())
        }
        Family::V6 => Ok(vec![IpAddr::V6(Ipv6Addr::LOCALHOST)]),
    });
    let dialer = Dialer::builder().resolver(resolver).build();
    let start = Instant::now();
    let dials: Vec<_> = (0..1000)
        .map(|index| {
            let dialer = dialer.clone();
            tokio::spawn(async move {
                let connection = dialer.connect((format!("stuck{index}.test"), port)).await?;
                Ok::<_, twinstack_dial::DialError>(connection.report)
            })
        })
        .collect();
    let mut asked_for = Duration::ZERO;
    for dial in dials {
        let report = dial.await.unwrap().unwrap();
        let queries = report.queries();
        let a = queries.iter().find(|query| query.kind == "A").unwrap();
        let waited = a.ended_seconds.unwrap() - a.started_seconds;
        asked_for = asked_for.max(Duration::from_secs_f64(waited));
        assert_eq!(report.silent_failure().unwrap().stage, "dns");
    }
    let took = start.elapsed();
    // A machine of two busy cores needs a while for a thousand of anything; ten seconds would be the stuck question.
    assert!(
        took < Duration::from_secs(4),
        "all connected after {took:?}"
    );
    assert!(
        asked_for < Duration::from_secs(2),
        "an A question waited for {asked_for:?}"
    );

    // Another name's AAAA is not held up either, though a thousand of its kind are stuck.
    let (port, _guard) = listener(&[Ipv6Addr::LOCALHOST.into()]).await;
    let start = Instant::now();
    dialer.connect(("fine.test", port)).await.unwrap();
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
}

/// 10,000 dials that can only wait, given up in the middle.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_dials_to_a_black_hole_leave_nothing() {
    const DIALS: usize = 10_000;
    let _turn = TURN.lock().await;
    raise_limit(3 * DIALS);
    let (port, _guard) = silent_listener(Ipv4Addr::LOCALHOST.into(), &[]).await;
    let resolver = Resolver::blocking(|_, family| match family {
        Family::V4 => Ok(vec![Ipv4Addr::LOCALHOST.into()]),
        Family::V6 => Ok(Vec::new()),
    });
    let dialer = Dialer::builder().resolver(resolver).build();
    let files = open_files();
    let mut after = Vec::new();
    for _ in 0..3 {
        let started = Arc::new(AtomicUsize::new(0));
        let dials: Vec<_> = (0..DIALS)
            .map(|_| {
                let (dialer, started) = (dialer.clone(), Arc::clone(&started));
                tokio::spawn(async move {
                    started.fetch_add(1, Ordering::Relaxed);
                    dialer
                        .connect(("hole.test", port))
                        .await
                        .map(|it| it.report)
                })
            })
            .collect();
        until("every dial has its socket", || {
            open_files() >= files + DIALS
        })
        .await;
        dials.iter().for_each(tokio::task::JoinHandle::abort);
        for dial in dials {
            assert!(dial.await.unwrap_err().is_cancelled());
        }
        until("every socket is closed", || open_files() <= files + 2).await;
        after.push(LIVE.load(Ordering::Relaxed));
    }
    // The first round fills tables that stay; fifty bytes a dial would show.
    let grown = after[2].saturating_sub(after[0]);
    assert!(
        grown < 2 * DIALS * 50,
        "memory grew, bytes by round: {after:?}"
    );
}

/// Dials that run to their own deadline.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dials_that_time_out_leave_nothing() {
    let _turn = TURN.lock().await;
    let (port, _guard) = silent_listener(Ipv4Addr::LOCALHOST.into(), &[]).await;
    let dialer = Dialer::builder()
        .overall_deadline(Some(Duration::from_millis(300)))
        .build();
    let files = open_files();
    let dials: Vec<_> = (0..500)
        .map(|_| {
            let dialer = dialer.clone();
            tokio::spawn(async move { dialer.connect((Ipv4Addr::LOCALHOST, port)).await })
        })
        .collect();
    for dial in dials {
        let error = dial.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut, "{error}");
    }
    until("every socket is closed", || open_files() <= files).await;
}

/// Losers that connect in the same moment as the winner, or later, are closed.
#[tokio::test]
async fn a_late_second_winner_is_closed() {
    let _turn = TURN.lock().await;
    let accepted = Arc::new(std::sync::Mutex::new(Vec::new()));
    let v6 = tokio::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0))
        .await
        .unwrap();
    let port = v6.local_addr().unwrap().port();
    let v4 = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .unwrap();
    for listener in [v6, v4] {
        let accepted = Arc::clone(&accepted);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                accepted.lock().unwrap().push(stream);
            }
        });
    }
    let resolver = Resolver::blocking(|_, family| {
        Ok(match family {
            Family::V4 => vec![Ipv4Addr::LOCALHOST.into()],
            Family::V6 => vec![Ipv6Addr::LOCALHOST.into()],
        })
    });
    let dialer = Dialer::builder()
        .resolver(resolver)
        .attempt_delay(Duration::from_millis(20))
        .build();
    // Both connect at once; both checks end at the same moment, when the second has long started.
    let start = Instant::now();
    let connection = dialer
        .connect_with(("twice.test", port), async |stream, _| {
            tokio::time::sleep_until((start + Duration::from_millis(400)).into()).await;
            Ok(stream)
        })
        .await
        .unwrap();
    until("both were accepted", || accepted.lock().unwrap().len() == 2).await;
    let mine = connection.stream.local_addr().unwrap();
    let streams = std::mem::take(&mut *accepted.lock().unwrap());
    for stream in streams {
        let mut byte = [0];
        let closed = tokio::time::timeout(Duration::from_millis(200), stream.peek(&mut byte)).await;
        if stream.peer_addr().unwrap() == mine {
            assert!(closed.is_err(), "the winner stays open");
        } else {
            assert!(
                matches!(closed, Ok(Ok(0) | Err(_))),
                "the loser is closed: {closed:?}"
            );
        }
    }
}

fn raise_limit(files: usize) {
    let limit = nix::sys::resource::Resource::RLIMIT_NOFILE;
    let (_, hard) = nix::sys::resource::getrlimit(limit).unwrap();
    let wanted = u64::try_from(files).unwrap().min(hard);
    nix::sys::resource::setrlimit(limit, wanted, hard).unwrap();
}
