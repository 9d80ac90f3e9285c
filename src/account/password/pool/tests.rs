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

/// A pool of one thread with an engine that the test holds the strings of.
struct Held {
    pool: Pool,
    started: Receiver<String>,
    go_on: Sender<()>,
    wiped: Arc<AtomicUsize>,
}

fn held(capacity: usize) -> Held {
    let (started_tx, started) = channel();
    let (go_on, go_on_rx) = channel();
    let go_on_rx = Arc::new(Mutex::new(go_on_rx));
    let wiped = Arc::new(AtomicUsize::new(0));
    let pool = Pool::start(1, capacity, &Registry::default(), || {
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
    let mut running = Box::pin(held.pool.run(task("running"), Precedence::Stranger));
    assert!(poll(running.as_mut()).is_pending());
    assert_eq!(held.started.recv().unwrap(), "running");
    let mut first = Box::pin(held.pool.run(task("first"), Precedence::Stranger));
    let mut second = Box::pin(held.pool.run(task("second"), Precedence::Stranger));
    assert!(poll(first.as_mut()).is_pending());
    assert!(poll(second.as_mut()).is_pending());
    assert_eq!(held.pool.waiting(), 2);

    let mut third = Box::pin(held.pool.run(task("third"), Precedence::Stranger));
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
    let mut running = Box::pin(held.pool.run(task("running"), Precedence::Stranger));
    assert!(poll(running.as_mut()).is_pending());
    assert_eq!(held.started.recv().unwrap(), "running");
    let mut stranger = Box::pin(held.pool.run(task("stranger"), Precedence::Stranger));
    assert!(poll(stranger.as_mut()).is_pending());
    let mut known = Box::pin(held.pool.run(task("known"), Precedence::Known));
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
    let mut running = Box::pin(held.pool.run(task("running"), Precedence::Stranger));
    assert!(poll(running.as_mut()).is_pending());
    assert_eq!(held.started.recv().unwrap(), "running");
    let mut abandoned = Box::pin(held.pool.run(task("abandoned"), Precedence::Stranger));
    let mut waiting = Box::pin(held.pool.run(task("waiting"), Precedence::Stranger));
    assert!(poll(abandoned.as_mut()).is_pending());
    assert!(poll(waiting.as_mut()).is_pending());
    drop(abandoned);

    let mut late = Box::pin(held.pool.run(task("late"), Precedence::Stranger));
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
    assert!(matches!(
        wait_for(held.pool.run(task("panic"), Precedence::Stranger)),
        Err(Error::Internal(_))
    ));
    assert!(wait_for(held.pool.run(task("calm"), Precedence::Stranger)).is_ok());
}

#[test]
fn sr_4_memory_is_wiped_when_the_queue_runs_empty_and_threads_end_with_the_pool() {
    let Held { pool, go_on, wiped, started: _started } = held(2);
    let shared: Weak<Shared> = Arc::downgrade(&pool.shared);
    go_on.send(()).unwrap();
    wait_for(pool.run(task("only"), Precedence::Stranger)).unwrap();
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
