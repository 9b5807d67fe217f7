use super::*;
use std::collections::HashSet;
use std::sync::atomic::AtomicU32;

/// A call that blocks for as long as its test wants, by name.
#[derive(Default)]
struct Gate {
    closed: Mutex<HashSet<String>>,
    opened: Condvar,
    calls: AtomicU32,
}

impl Gate {
    fn close(&self, name: &str) {
        self.closed.lock().unwrap().insert(name.to_owned());
    }

    fn open_all(&self) {
        self.closed.lock().unwrap().clear();
        self.opened.notify_all();
    }

    fn pass(&self, name: &str) -> usize {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let mut closed = self.closed.lock().unwrap();
        while closed.contains(name) {
            closed = self.opened.wait(closed).unwrap();
        }
        name.len()
    }

    fn calls(&self) -> u32 {
        self.calls.load(Ordering::Relaxed)
    }
}

fn pool(limits: Limits) -> (Pool<usize>, Arc<Gate>) {
    let gate = Arc::new(Gate::default());
    let inner = Arc::clone(&gate);
    (
        Pool::new("test", limits, move |name| inner.pass(name)),
        gate,
    )
}

async fn within<F: Future>(limit: Duration, future: F) -> F::Output {
    tokio::time::timeout(limit, future).await.expect("in time")
}

fn value(ended: Ended<usize>) -> usize {
    match ended {
        Ended::Returned(value) => *value,
        Ended::Panicked => panic!("the call panicked"),
    }
}

const SOON: Duration = Duration::from_secs(5);

#[tokio::test]
async fn looks_up_on_a_thread() {
    let (pool, _) = pool(Limits::default());
    let found = within(SOON, pool.look_up("four").unwrap()).await;
    assert_eq!(value(found), 4);
}

#[tokio::test]
async fn a_thousand_stuck_look_ups_do_not_stop_another() {
    let (pool, gate) = pool(Limits::default());
    let mut stuck = Vec::new();
    for index in 0..1000 {
        let name = format!("stuck{index}");
        gate.close(&name);
        stuck.push(pool.look_up(&name).unwrap());
    }
    let found = within(SOON, pool.look_up("fine").unwrap()).await;
    assert_eq!(value(found), 4);
    assert!(pool.threads() <= Limits::default().most);
    gate.open_all();
    for lookup in stuck {
        within(SOON, lookup).await;
    }
}

#[tokio::test]
async fn never_more_threads_than_the_limit_and_all_are_served_in_the_end() {
    let limits = Limits {
        usual: 1,
        most: 3,
        ..Limits::default()
    };
    let (pool, gate) = pool(limits);
    let lookups: Vec<_> = (0..20)
        .map(|index| {
            let name = format!("{index}");
            gate.close(&name);
            pool.look_up(&name).unwrap()
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!((pool.threads(), gate.calls()), (3, 3));
    gate.open_all();
    for lookup in lookups {
        within(SOON, lookup).await;
    }
    assert_eq!(gate.calls(), 20);
}

#[tokio::test]
async fn a_young_look_up_is_shared_and_an_old_one_is_not() {
    let limits = Limits {
        shared_for: Duration::from_millis(100),
        per_name: 2,
        ..Limits::default()
    };
    let (pool, gate) = pool(limits);
    gate.close("name");
    let mut lookups = vec![pool.look_up("name").unwrap(), pool.look_up("name").unwrap()];
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(gate.calls(), 1);
    lookups.push(pool.look_up("name").unwrap());
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(gate.calls(), 2);
    // Two are under way already: the third joins the younger of them, old as it is.
    lookups.push(pool.look_up("name").unwrap());
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(gate.calls(), 2);
    gate.open_all();
    for lookup in lookups {
        within(SOON, lookup).await;
    }
}

#[tokio::test]
async fn what_nobody_waits_for_is_never_looked_up() {
    let limits = Limits {
        usual: 1,
        most: 1,
        ..Limits::default()
    };
    let (pool, gate) = pool(limits);
    gate.close("first");
    let first = pool.look_up("first").unwrap();
    let given_up: Vec<_> = (0..100)
        .map(|index| pool.look_up(&format!("{index}")).unwrap())
        .collect();
    let kept = pool.look_up("kept").unwrap();
    drop(given_up);
    assert!(
        pool.shared.lock().queue.len() <= 3,
        "the queue is not purged"
    );
    gate.open_all();
    within(SOON, first).await;
    assert_eq!(value(within(SOON, kept).await), 4);
    assert_eq!(gate.calls(), 2);
}

#[tokio::test]
async fn one_given_up_and_asked_again_is_looked_up() {
    let limits = Limits {
        usual: 1,
        most: 1,
        ..Limits::default()
    };
    let (pool, gate) = pool(limits);
    gate.close("first");
    let first = pool.look_up("first").unwrap();
    let others: Vec<_> = ["x", "y", "z"].map(|it| pool.look_up(it).unwrap()).into();
    drop(pool.look_up("again").unwrap());
    let again = pool.look_up("again").unwrap();
    gate.open_all();
    within(SOON, first).await;
    assert_eq!(value(within(SOON, again).await), 5);
    drop(others);
}

#[tokio::test]
async fn idle_threads_end() {
    let limits = Limits {
        idle: Duration::from_millis(20),
        ..Limits::default()
    };
    let (pool, _) = pool(limits);
    within(SOON, pool.look_up("name").unwrap()).await;
    within(SOON, async {
        while pool.threads() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_eq!(value(within(SOON, pool.look_up("name").unwrap()).await), 4);
}

#[tokio::test]
async fn a_panic_ends_the_look_up_and_not_the_thread() {
    let limits = Limits {
        usual: 1,
        most: 1,
        ..Limits::default()
    };
    let pool = Pool::new("test", limits, |name: &str| {
        assert_ne!(name, "bad", "on purpose");
        name.len()
    });
    let bad = within(SOON, pool.look_up("bad").unwrap()).await;
    assert!(matches!(bad, Ended::Panicked));
    assert_eq!(value(within(SOON, pool.look_up("good").unwrap()).await), 4);
    assert_eq!(pool.threads(), 1);
}
