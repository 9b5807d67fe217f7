//! Threads for calls that block: one pool a family, so that what is stuck in one never delays the other.
//!
//! A look-up that gets no answer holds its thread for the resolver's whole patience, 10 s and more, and nothing can
//! take the thread back. So the pool never counts on threads coming free: a look-up that has waited for a thread for
//! [`Limits::patience`] gets a new one, up to [`Limits::most`]; below [`Limits::usual`] it gets one at once. Idle
//! threads end after [`Limits::idle`].
//!
//! Look-ups of one name are shared while they are young. An old one is not joined: its packets may be lost, and a new
//! one asks again at once.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// How many threads, for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Up to here a look-up that finds no idle thread gets a new one at once.
    pub(crate) usual: usize,
    /// Never more than this many; they would all be stuck.
    pub(crate) most: usize,
    /// How long a look-up waits for a thread before the pool grows beyond `usual`.
    pub(crate) patience: Duration,
    /// How long an idle thread stays.
    pub(crate) idle: Duration,
    /// A look-up younger than this is shared by all who want the same.
    pub(crate) shared_for: Duration,
    /// That many look-ups of one name at once; who comes then joins the youngest.
    pub(crate) per_name: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            usual: 16,
            most: 1024,
            patience: Duration::from_millis(5),
            idle: Duration::from_secs(5),
            shared_for: Duration::from_millis(250),
            per_name: 4,
        }
    }
}

/// New threads that one tick of the governor may start.
const GROWTH: usize = 64;

/// Deep enough for any name service module; memory is only taken where it is touched.
const STACK: usize = 1 << 20;

/// Runs `call(name)` on its threads.
pub(crate) struct Pool<T: 'static> {
    shared: Arc<Shared<T>>,
}

type Call<T> = Box<dyn Fn(&str) -> T + Send + Sync>;

struct Shared<T: 'static> {
    title: &'static str,
    limits: Limits,
    call: Call<T>,
    state: Mutex<State<T>>,
    work: Condvar,
}

struct State<T> {
    queue: VecDeque<Arc<Job<T>>>,
    in_flight: HashMap<Arc<str>, Vec<Arc<Job<T>>>>,
    threads: usize,
    idle: usize,
    governed: bool,
    /// Look-ups in the queue that nobody waits for any more.
    abandoned: usize,
}

struct Job<T> {
    name: Arc<str>,
    queued: Instant,
    /// Who waits; changes under the pool's lock.
    wanted: AtomicUsize,
    /// Whether a thread has taken it; changes under the pool's lock.
    started: AtomicBool,
    done: Mutex<Done<T>>,
}

struct Done<T> {
    ended: Option<Ended<T>>,
    wakers: Vec<Option<Waker>>,
}

/// How a call ended.
#[derive(Debug)]
pub(crate) enum Ended<T> {
    Returned(Arc<T>),
    /// It panicked; the thread goes on.
    Panicked,
}

impl<T> Clone for Ended<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Returned(result) => Self::Returned(Arc::clone(result)),
            Self::Panicked => Self::Panicked,
        }
    }
}

impl<T: Send + Sync + 'static> Pool<T> {
    pub(crate) fn new(
        title: &'static str,
        limits: Limits,
        call: impl Fn(&str) -> T + Send + Sync + 'static,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                title,
                limits,
                call: Box::new(call),
                state: Mutex::new(State {
                    queue: VecDeque::new(),
                    in_flight: HashMap::new(),
                    threads: 0,
                    idle: 0,
                    governed: false,
                    abandoned: 0,
                }),
                work: Condvar::new(),
            }),
        }
    }

    /// Starts or joins a look-up. An error means that the system gives no thread at all.
    pub(crate) fn look_up(&self, name: &str) -> io::Result<Lookup<T>> {
        let shared = &self.shared;
        let now = Instant::now();
        let mut state = shared.lock();
        if let Some(job) = state.joinable(name, now, &shared.limits) {
            if job.wanted.fetch_add(1, Ordering::Relaxed) == 0
                && !job.started.load(Ordering::Relaxed)
            {
                state.abandoned -= 1;
            }
            return Ok(Lookup::new(shared, job));
        }
        let name: Arc<str> = Arc::from(name);
        let job = Arc::new(Job {
            name: Arc::clone(&name),
            queued: now,
            wanted: AtomicUsize::new(1),
            started: AtomicBool::new(false),
            done: Mutex::new(Done {
                ended: None,
                wakers: Vec::new(),
            }),
        });
        state
            .in_flight
            .entry(name)
            .or_default()
            .push(Arc::clone(&job));
        state.queue.push_back(Arc::clone(&job));
        if state.queue.len() <= state.idle {
            shared.work.notify_one();
        } else if state.threads < shared.limits.usual {
            if let Err(error) = shared.start_thread(&mut state)
                && state.threads == 0
            {
                state.queue.pop_back();
                state.forget(&job);
                return Err(error);
            }
        } else if !state.governed && state.threads < shared.limits.most {
            state.governed = shared.start_governor().is_ok();
        }
        Ok(Lookup::new(shared, job))
    }

    #[cfg(test)]
    fn threads(&self) -> usize {
        self.shared.lock().threads
    }
}

impl<T> State<T> {
    /// A look-up of this name that is worth joining.
    fn joinable(&self, name: &str, now: Instant, limits: &Limits) -> Option<Arc<Job<T>>> {
        let jobs = self.in_flight.get(name)?;
        let youngest = jobs.last()?;
        let young = now.saturating_duration_since(youngest.queued) < limits.shared_for;
        (young || jobs.len() >= limits.per_name).then(|| Arc::clone(youngest))
    }

    /// The next look-up that somebody waits for.
    fn next(&mut self) -> Option<Arc<Job<T>>> {
        while let Some(job) = self.queue.pop_front() {
            if job.wanted.load(Ordering::Relaxed) > 0 {
                job.started.store(true, Ordering::Relaxed);
                return Some(job);
            }
            self.abandoned -= 1;
            self.forget(&job);
        }
        None
    }

    fn forget(&mut self, job: &Arc<Job<T>>) {
        if let Some(jobs) = self.in_flight.get_mut(&job.name) {
            jobs.retain(|other| !Arc::ptr_eq(other, job));
            if jobs.is_empty() {
                self.in_flight.remove(&job.name);
            }
        }
    }

    /// Drops what nobody waits for, once that is half of the queue: cheap on average, and the queue stays bounded.
    fn purge(&mut self) {
        if self.abandoned * 2 <= self.queue.len() {
            return;
        }
        let queue = std::mem::take(&mut self.queue);
        for job in queue {
            if job.wanted.load(Ordering::Relaxed) > 0 {
                self.queue.push_back(job);
            } else {
                self.forget(&job);
            }
        }
        self.abandoned = 0;
    }
}

impl<T: Send + Sync + 'static> Shared<T> {
    fn start_thread(self: &Arc<Self>, state: &mut State<T>) -> io::Result<()> {
        let shared = Arc::clone(self);
        std::thread::Builder::new()
            .name(self.title.to_owned())
            .stack_size(STACK)
            .spawn(move || shared.work())?;
        state.threads += 1;
        Ok(())
    }

    fn start_governor(self: &Arc<Self>) -> io::Result<()> {
        let shared = Arc::clone(self);
        std::thread::Builder::new()
            .name(format!("{}+", self.title))
            .stack_size(STACK)
            .spawn(move || shared.govern())
            .map(drop)
    }

    /// One worker.
    fn work(&self) {
        let mut state = self.lock();
        loop {
            while let Some(job) = state.next() {
                drop(state);
                let result = catch_unwind(AssertUnwindSafe(|| (self.call)(&job.name)));
                let ended = result.map_or(Ended::Panicked, |it| Ended::Returned(Arc::new(it)));
                state = self.lock();
                state.forget(&job);
                job.end(ended);
            }
            state.idle += 1;
            let (again, waited) = self
                .work
                .wait_timeout(state, self.limits.idle)
                .unwrap_or_else(PoisonError::into_inner);
            state = again;
            state.idle -= 1;
            if waited.timed_out() && state.queue.is_empty() {
                state.threads -= 1;
                return;
            }
        }
    }

    /// Makes the pool grow while look-ups wait for a thread; ends when none does.
    fn govern(self: &Arc<Self>) {
        let mut pause = self.limits.patience;
        loop {
            std::thread::sleep(pause);
            let mut state = self.lock();
            state.purge();
            let Some(oldest) = state.queue.front() else {
                state.governed = false;
                return;
            };
            if oldest.queued.elapsed() < self.limits.patience {
                continue;
            }
            let waiting = state.queue.len() - state.abandoned;
            let room = self.limits.most.saturating_sub(state.threads);
            for _ in 0..waiting.min(room).min(GROWTH) {
                if self.start_thread(&mut state).is_err() {
                    break;
                }
            }
            // Full: what is stuck has to come back by itself, and that takes seconds.
            let full = state.threads >= self.limits.most;
            pause = self.limits.patience * if full { 10 } else { 1 };
        }
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Job<T> {
    fn lock(&self) -> MutexGuard<'_, Done<T>> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, ended: Ended<T>) {
        let mut done = self.lock();
        done.ended = Some(ended);
        let wakers = std::mem::take(&mut done.wakers);
        drop(done);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }
}

/// A look-up under way. Dropping it gives it up: the last to go takes it out of the queue.
pub(crate) struct Lookup<T: 'static> {
    shared: Arc<Shared<T>>,
    job: Arc<Job<T>>,
    /// Where in the job's list this one's waker is.
    slot: Option<usize>,
}

impl<T> Lookup<T> {
    fn new(shared: &Arc<Shared<T>>, job: Arc<Job<T>>) -> Self {
        Self {
            shared: Arc::clone(shared),
            job,
            slot: None,
        }
    }
}

impl<T> Future for Lookup<T> {
    type Output = Ended<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Ended<T>> {
        let job = Arc::clone(&self.job);
        let mut done = job.lock();
        if let Some(ended) = &done.ended {
            return Poll::Ready(ended.clone());
        }
        let slot = *self.slot.get_or_insert_with(|| {
            done.wakers.push(None);
            done.wakers.len() - 1
        });
        match done.wakers.get_mut(slot) {
            Some(Some(waker)) => waker.clone_from(context.waker()),
            Some(empty) => *empty = Some(context.waker().clone()),
            None => {}
        }
        Poll::Pending
    }
}

impl<T> Drop for Lookup<T> {
    fn drop(&mut self) {
        if let Some(slot) = self.slot
            && let Some(waker) = self.job.lock().wakers.get_mut(slot)
        {
            *waker = None;
        }
        let mut state = self.shared.lock();
        let last = self.job.wanted.fetch_sub(1, Ordering::Relaxed) == 1;
        if last && !self.job.started.load(Ordering::Relaxed) {
            state.abandoned += 1;
            state.purge();
        }
    }
}

#[cfg(test)]
mod tests;
