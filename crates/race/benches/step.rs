//! What the machine costs: time per step, allocations per race and per address that is never tried.
//!
//! `cargo xtask bench race` prints the figures beside the goals. Allocations are counted exactly and do not depend on
//! the machine; times are the best of several rounds, so that a busy machine spoils them less.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant as Clock};
use twinstack_race::{
    Answer, AttemptError, AttemptErrorKind, AttemptId, Config, Input, Instant, Name, Network,
    Output, QueryId, QueryType, Race, Target,
};

/// Counts what it passes on to the system.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[expect(unsafe_code, reason = "a global allocator has to be")]
// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What the resolver of a measured race answers; made beforehand, so that its cost is not the machine's.
struct World {
    name: Name,
    config: Config,
    v6: Answer,
    v4: Answer,
}

/// What one race cost.
#[derive(Clone, Copy, Default)]
struct Cost {
    steps: u64,
    allocations: u64,
    time: Duration,
}

/// How a measured race goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Course {
    /// The first attempt connects.
    Healthy,
    /// Every address of IPv6 is silent and the first of IPv4 connects.
    Fallback,
    /// Every address refuses.
    Refused,
}

impl World {
    fn new(addresses: u16) -> Self {
        let v6 = |n| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n));
        let v4 = |n: u16| {
            let [high, low] = n.to_be_bytes();
            IpAddr::V4(Ipv4Addr::new(198, 51, high, low))
        };
        Self {
            name: Name::new("www.example.com").expect("a host name"),
            config: Config {
                total_attempts: usize::MAX,
                ..Config::default()
            },
            v6: Answer::addresses((1..=addresses).map(v6)),
            v4: Answer::addresses((1..=addresses).map(v4)),
        }
    }

    /// Runs one race to its end and counts its steps: calls of `input`, `next` and `deadline`.
    fn run(&self, course: Course) -> Cost {
        let (name, config) = (self.name.clone(), self.config.clone());
        let mut questions: [Option<(QueryId, QueryType)>; 2] = [None; 2];
        let mut now = Instant::ZERO;
        let mut steps = 1;
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        let clock = Clock::now();
        let mut race = Race::new(
            Target::tcp(name, 443),
            config,
            Network::dual_stack(),
            1,
            now,
        )
        .expect("valid");
        for place in &mut questions {
            steps += 1;
            if let Some(Output::Query { id, kind, .. }) = race.next(now) {
                *place = Some((id, kind));
            }
        }
        now += Duration::from_millis(20);
        for (query, kind) in questions.into_iter().flatten() {
            let answer = if kind == QueryType::Aaaa {
                &self.v6
            } else {
                &self.v4
            };
            let input = Input::Answer {
                query,
                answer: answer.clone(),
            };
            steps += 1;
            black_box(race.input(input, now)).expect("the question was asked");
        }
        let mut over = false;
        let mut due: Option<(AttemptId, bool)> = None;
        while !over {
            steps += 1;
            match race.next(now) {
                Some(Output::Attempt { id, endpoint, .. }) => {
                    due = Some((id, endpoint.address.is_ipv4()));
                }
                Some(Output::Finished(_)) => over = true,
                Some(_) => {}
                None => {
                    steps += 1;
                    let input = match (course, due.take()) {
                        (Course::Healthy, Some((attempt, _)))
                        | (Course::Fallback, Some((attempt, true))) => Input::Succeeded { attempt },
                        (Course::Refused, Some((attempt, _))) => {
                            let error = AttemptError::new(AttemptErrorKind::Refused, "");
                            Input::Failed { attempt, error }
                        }
                        _ => {
                            now = race
                                .deadline()
                                .expect("a race that is not over waits")
                                .max(now);
                            continue;
                        }
                    };
                    black_box(race.input(input, now)).expect("the attempt runs");
                }
            }
        }
        let cost = Cost {
            steps,
            allocations: ALLOCATIONS.load(Ordering::Relaxed) - before,
            time: clock.elapsed(),
        };
        drop(black_box(race));
        cost
    }

    /// The best of many.
    fn best(&self, course: Course) -> Cost {
        let runs = (0..4_000).map(|_| self.run(course));
        runs.min_by_key(|cost| cost.time).unwrap_or_default()
    }
}

#[expect(clippy::print_stdout, reason = "a benchmark prints")]
fn main() {
    // `cargo test --benches` asks whether it starts, not how quick it is.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    println!("{:<44} {:>10} {:>10}", "the race", "measured", "goal");
    for (label, course, addresses) in [
        ("healthy, 2 addresses: ns a step", Course::Healthy, 1),
        ("healthy, 16 addresses: ns a step", Course::Healthy, 8),
        ("IPv6 silent, 2 addresses: ns a step", Course::Fallback, 1),
        ("8 addresses refuse: ns a step", Course::Refused, 4),
    ] {
        let cost = World::new(addresses).best(course);
        let nanos = cost.time.as_nanos() / u128::from(cost.steps);
        println!("{label:<44} {nanos:>10} {:>10}", "< 1000");
    }
    let few = World::new(1).run(Course::Healthy).allocations;
    println!(
        "{:<44} {few:>10} {:>10}",
        "healthy, 2 addresses: allocations a race", "-"
    );
    // Whatever grows with the list grows by doubling or not at all: no cost per address, but it is shown.
    for more in [14, 510] {
        let many = World::new(1 + more / 2).run(Course::Healthy).allocations;
        let label = format!("of {more} more, untried: allocations in all");
        println!("{label:<44} {:>10} {:>10}", many.saturating_sub(few), "-");
        let each = per(many.saturating_sub(few), more.into());
        println!("{:<44} {each:>10.3} {:>10}", "  for each of them", "0");
    }
}

#[expect(clippy::cast_precision_loss, reason = "small counts")]
fn per(count: u64, of: u64) -> f64 {
    count as f64 / of as f64
}
