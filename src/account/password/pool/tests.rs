use std::sync::Weak;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Poll, Waker};

use super::*;

/// Computes nothing: it says what it was given, and waits until it may go on.
struct Gate {
    started: Sender<String>,
    go_on: Arc<Mutex<Receiver<()>>>,
    wiped: Arc<AtomicUsize>,
}

impl Engine for Gate {
    fn derive(&mut self, task: &Task) -> Result<Zeroizing<Vec<u8>>, argon2::Error> {
        let password = task.password.expose().to_owned();
        self.started.send(password.clone()).unwrap();
        self.go_on.lock().unwrap_or_else(PoisonError::into_inner).recv().unwrap();
        assert_ne!(password, "panic", "this test wants a panic");
        Ok(Zeroizing::new(password.into_bytes()))
    }

    fn wipe(&mut self) {
        self.wiped.fetch_add(1, Ordering::SeqCst);
    }
}

/// A pool with engines that the test holds the strings of.
struct Held {
    pool: Pool,
    started: Receiver<String>,
    go_on: Sender<()>,
    wiped: Arc<AtomicUsize>,
}

fn held(capacity: usize) -> Held {
    held_by(1, capacity)
}

fn held_by(threads: usize, capacity: usize) -> Held {
    let (started_tx, started) = channel();
    let (go_on, go_on_rx) = channel();
    let go_on_rx = Arc::new(Mutex::new(go_on_rx));
    let wiped = Arc::new(AtomicUsize::new(0));
    let pool = Pool::start(threads, capacity, &Registry::default(), || {
        let (go_on, wiped) = (Arc::clone(&go_on_rx), Arc::clone(&wiped));
        Box::new(Gate { started: started_tx.clone(), go_on, wiped })
    });
    Held { pool: pool.unwrap(), started, go_on, wiped }
}

fn task(password: &str) -> Task {
    Task {
        password: Password::new(password.to_owned()).unwrap(),
        salt: vec![1; 16],
        params: Params::insecure_for_tests(8, 1, 1),
        pepper: None,
        output_bytes: 32,
    }
}

/// Somebody from one place, who tries one account.
fn stranger() -> Requester {
    Requester::stranger("ada@example.org", b"192.0.2.1")
}

/// Polls a future once.
fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn wait_for<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

#[test]
fn sr_4_a_full_queue_refuses_at_once_and_keeps_its_jobs() {
    let held = held(2);
    let mut running = Box::pin(held.pool.run(task("running"), stranger()));
    assert!(poll(running.as_mut()).is_pending());
    assert_eq!(held.started.recv().unwrap(), "running");
    let mut first = Box::pin(held.pool.run(task("first"), stranger()));
    let mut second = Box::pin(held.pool.run(task("second"), stranger()));
    assert!(poll(first.as_mut()).is_pending());
    assert!(poll(second.as_mut()).is_pending());
    assert_eq!(held.pool.waiting(), 2);

    let mut third = Box::pin(held.pool.run(task("third"), stranger()));
    assert!(matches!(poll(third.as_mut()), Poll::Ready(Err(Error::Overloaded))));

    for _ in 0..3 {
        held.go_on.send(()).unwrap();
    }
    assert_eq!(wait_for(running).unwrap().as_slice(), b"running");
    assert_eq!(wait_for(first).unwrap().as_slice(), b"first");
    assert_eq!(wait_for(second).unwrap().as_slice(), b"second");
    assert_eq!(held.pool.waiting(), 0);
}

#[test]
fn sr_4_who_is_known_waits_behind_no_stranger() {
    let held = held(1);
    let mut running = Box::pin(held.pool.run(task("running"), stranger()));
    assert!(poll(running.as_mut()).is_pending());
    assert_eq!(held.started.recv().unwrap(), "running");
    let mut stranger = Box::pin(held.pool.run(task("stranger"), stranger()));
    assert!(poll(stranger.as_mut()).is_pending());
    let mut known = Box::pin(held.pool.run(task("known"), Requester::known("ada@example.org")));
    assert!(poll(known.as_mut()).is_pending(), "the other line is full, not this one");
    for _ in 0..3 {
        held.go_on.send(()).unwrap();
    }
    assert_eq!(held.started.recv().unwrap(), "known");
    assert_eq!(held.started.recv().unwrap(), "stranger");
    assert!(wait_for(stranger).is_ok() && wait_for(known).is_ok() && wait_for(running).is_ok());
}

#[test]
fn sr_4_a_job_whose_caller_has_gone_away_is_skipped_and_gives_up_its_place() {
    let held = held(2);
    let mut running = Box::pin(held.pool.run(task("running"), stranger()));
    assert!(poll(running.as_mut()).is_pending());
    assert_eq!(held.started.recv().unwrap(), "running");
    let mut abandoned = Box::pin(held.pool.run(task("abandoned"), stranger()));
    let mut waiting = Box::pin(held.pool.run(task("waiting"), stranger()));
    assert!(poll(abandoned.as_mut()).is_pending());
    assert!(poll(waiting.as_mut()).is_pending());
    drop(abandoned);

    let mut late = Box::pin(held.pool.run(task("late"), stranger()));
    assert!(poll(late.as_mut()).is_pending(), "the abandoned job's place is free");
    drop(waiting);
    for _ in 0..2 {
        held.go_on.send(()).unwrap();
    }
    assert!(wait_for(late).is_ok());
    assert_eq!(held.started.try_iter().collect::<Vec<_>>(), ["late"]);
}

#[test]
fn a_panic_fails_one_job_and_leaves_the_thread() {
    let held = held(2);
    held.go_on.send(()).unwrap();
    held.go_on.send(()).unwrap();
    assert!(matches!(wait_for(held.pool.run(task("panic"), stranger())), Err(Error::Internal(_))));
    assert!(wait_for(held.pool.run(task("calm"), stranger())).is_ok());
}

#[test]
fn sr_4_memory_is_wiped_when_the_queue_runs_empty_and_threads_end_with_the_pool() {
    let Held { pool, go_on, wiped, started: _started } = held(2);
    let shared: Weak<Shared> = Arc::downgrade(&pool.shared);
    go_on.send(()).unwrap();
    wait_for(pool.run(task("only"), stranger())).unwrap();
    while wiped.load(Ordering::SeqCst) == 0 {
        std::thread::yield_now();
    }
    drop(pool);
    while shared.strong_count() > 0 {
        std::thread::yield_now();
    }
}

#[test]
fn the_engine_wipes_its_memory_and_gives_back_what_is_unusual() {
    let mut engine = RustCrypto::new(&Params::insecure_for_tests(16, 1, 1));
    engine.derive(&task("some password")).unwrap();
    assert!(engine.memory.iter().any(|block| block.as_ref().iter().any(|&word| word != 0)));
    engine.wipe();
    assert_eq!(engine.memory.len(), 8);
    assert!(engine.memory.iter().all(|block| block.as_ref().iter().all(|&word| word == 0)));

    let mut large = task("some password");
    large.params = Params::insecure_for_tests(64, 1, 1);
    engine.derive(&large).unwrap();
    engine.wipe();
    assert!(engine.memory.is_empty());
}

#[test]
#[cfg(target_os = "linux")]
fn only_the_calling_thread_is_lowered() {
    use rustix::process::getpriority_process;

    let before = getpriority_process(None).unwrap();
    let lowered = std::thread::spawn(|| {
        lower_priority();
        getpriority_process(None).unwrap()
    });
    assert_eq!(lowered.join().unwrap(), (before + NICENESS).min(19));
    assert_eq!(getpriority_process(None).unwrap(), before);
}

/// Puts a job in the line, and gives the future that waits for it.
fn queued<'a>(
    held: &'a Held,
    name: &str,
    requester: Requester,
) -> std::pin::Pin<Box<impl Future<Output = Result<Zeroizing<Vec<u8>>>> + use<'a>>> {
    let mut future = Box::pin(held.pool.run(task(name), requester));
    let _ = poll(future.as_mut());
    future
}

#[test]
fn sr_22_turns_go_round_among_those_who_wait() {
    let held = held(64);
    let (mallory, ada) = (Requester::known("mallory@x.org"), Requester::known("ada@x.org"));
    let eve = |account: &str| Requester::stranger(account, b"192.0.2.9");
    let mut jobs = vec![queued(&held, "running", mallory)];
    assert_eq!(held.started.recv().unwrap(), "running");
    jobs.extend(["m1", "m2", "m3"].map(|name| queued(&held, name, mallory)));
    jobs.push(queued(&held, "ada", ada));
    // Guesses at many accounts from one place are one stranger's.
    jobs.extend([("e1", "a"), ("e2", "b"), ("e3", "c")].map(|(n, who)| queued(&held, n, eve(who))));
    jobs.push(queued(&held, "honest", Requester::stranger("d", b"198.51.100.7")));
    let mut order = Vec::new();
    for _ in 0..8 {
        held.go_on.send(()).unwrap();
        order.push(held.started.recv().unwrap());
    }
    held.go_on.send(()).unwrap();
    assert_eq!(order, ["m1", "ada", "m2", "m3", "e1", "honest", "e2", "e3"]);
    for job in jobs {
        assert!(wait_for(job).is_ok());
    }
}

#[test]
fn sr_22_a_full_line_turns_away_the_last_of_who_has_most_in_it() {
    let held = held(4);
    let mallory = Requester::known("mallory@x.org");
    let running = queued(&held, "running", mallory);
    assert_eq!(held.started.recv().unwrap(), "running");
    let mut flood: Vec<_> =
        ["m1", "m2", "m3", "m4"].map(|name| queued(&held, name, mallory)).into();
    let ada = queued(&held, "ada", Requester::known("ada@x.org"));
    let refused = wait_for(flood.pop().unwrap());
    assert!(matches!(refused, Err(Error::Overloaded)), "the newest of the flood gave way");
    let bob = queued(&held, "bob", Requester::known("bob@x.org"));
    assert!(matches!(wait_for(flood.pop().unwrap()), Err(Error::Overloaded)));
    let eve = queued(&held, "eve", Requester::known("eve@x.org"));
    assert!(matches!(wait_for(flood.pop().unwrap()), Err(Error::Overloaded)));
    // Now everybody has one, and nobody gives way to their equal.
    for (name, requester) in [("dan", Requester::known("dan@x.org")), ("more", mallory)] {
        let mut late = Box::pin(held.pool.run(task(name), requester));
        assert!(matches!(poll(late.as_mut()), Poll::Ready(Err(Error::Overloaded))), "{name}");
    }
    assert_eq!(held.pool.waiting(), 4);
    for _ in 0..5 {
        held.go_on.send(()).unwrap();
    }
    for job in [running, ada, bob, eve].into_iter().chain(flood) {
        assert!(wait_for(job).is_ok());
    }
}

#[test]
fn sr_22_at_most_two_hashes_of_an_account_are_computed_at_a_time() {
    let held = held_by(4, 64);
    let (mallory, ada) = (Requester::known("mallory@x.org"), Requester::known("ada@x.org"));
    let flood: Vec<_> = (0..6).map(|n| queued(&held, &format!("m{n}"), mallory)).collect();
    // Also if they come from elsewhere, in the other line.
    let guess = queued(&held, "guess", Requester::stranger("mallory@x.org", b"192.0.2.1"));
    let owner = queued(&held, "ada", ada);
    let mut started: Vec<String> = (0..3).map(|_| held.started.recv().unwrap()).collect();
    started.sort();
    assert_eq!(started, ["ada", "m0", "m1"]);
    let more = held.started.recv_timeout(Duration::from_millis(50));
    assert!(more.is_err(), "a thread is free, and yet {more:?} was not to begin");
    for _ in 0..8 {
        held.go_on.send(()).unwrap();
    }
    for job in flood.into_iter().chain([guess, owner]) {
        assert!(wait_for(job).is_ok());
    }
    assert_eq!(held.started.try_iter().count(), 5);
}
