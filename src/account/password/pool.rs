//! The threads that compute Argon2id, and the queue in front of them (SR-4).
//!
//! Threads of their own rather than those of the asynchronous runtime: a hash takes a whole core for
//! tens of milliseconds, and a thread that keeps its memory from one hash to the next computes more of
//! them in a tenth of the memory. The queue is bounded, so that a flood of sign-ins costs its senders
//! a refusal and not the server its memory.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Block, Version};
use tokio::sync::oneshot;
use zeroize::{Zeroize, Zeroizing};

use super::line::{Entered, Line, Precedence, Requester, Running};
use super::{Params, Password, Pepper};
use crate::error::{Error, Result};
use crate::metric::family::{HASH_REFUSED, HASH_SECONDS, HASH_WAIT_SECONDS, HASH_WAITING};
use crate::metric::{Counter, Gauge, Histogram, Registry};
use crate::trace;

/// How long a thread waits for another hash before it wipes its memory.
///
/// The next hash writes every block before it reads it, so wiping in between would only cost time;
/// what must not happen is that the last password's traces lie in memory through a quiet night.
const IDLE_BEFORE_WIPE: Duration = Duration::from_millis(50);

/// How much lower than the server's own the priority of these threads is.
///
/// Measured on one busy core: sign-ins take what signed-in users leave idle, and a flood of them
/// costs those users a third of their throughput instead of more than half.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 5;

/// One hash to compute.
pub(super) struct Task {
    pub(super) password: Password,
    pub(super) salt: Vec<u8>,
    pub(super) params: Params,
    pub(super) pepper: Option<Pepper>,
    /// The length of the hash in bytes.
    pub(super) output_bytes: usize,
}

/// What computes a hash. Each thread has one, with the memory that it keeps.
pub(super) trait Engine: Send {
    /// Computes Argon2id version 0x13 of the task.
    fn derive(&mut self, task: &Task) -> Result<Zeroizing<Vec<u8>>, argon2::Error>;

    /// Wipes what the last task left in memory.
    fn wipe(&mut self);
}

/// The engine of the crate `argon2`.
pub(super) struct RustCrypto {
    memory: Vec<Block>,
    /// What the configured parameters need; memory for a hash that needed more is given back.
    usual_blocks: usize,
}

impl RustCrypto {
    /// An engine that keeps as much memory as `usual` needs, from its first hash on.
    pub(super) fn new(usual: &Params) -> Self {
        let usual_blocks = usize::try_from(usual.memory_kib()).unwrap_or(usize::MAX);
        Self { memory: Vec::new(), usual_blocks }
    }

    /// Makes room for `blocks` blocks of 1 KiB.
    fn reserve(&mut self, blocks: usize) -> Result<(), argon2::Error> {
        if self.memory.len() < blocks {
            // Growing in place could move the blocks and leave a copy behind.
            self.wipe();
            self.memory = Vec::new();
            self.memory.try_reserve_exact(blocks).map_err(|_| argon2::Error::OutOfMemory)?;
            self.memory.resize(blocks, Block::new());
        }
        Ok(())
    }
}

impl Engine for RustCrypto {
    fn derive(&mut self, task: &Task) -> Result<Zeroizing<Vec<u8>>, argon2::Error> {
        let params = argon2::Params::new(
            task.params.memory_kib(),
            task.params.iterations(),
            task.params.parallelism(),
            Some(task.output_bytes),
        )?;
        self.reserve(params.block_count())?;
        let argon2 = match &task.pepper {
            Some(pepper) => Argon2::new_with_secret(
                pepper.expose(),
                Algorithm::Argon2id,
                Version::V0x13,
                params,
            )?,
            None => Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
        };
        let mut output = Zeroizing::new(vec![0; task.output_bytes]);
        let password = task.password.expose().as_bytes();
        let memory = self.memory.as_mut_slice();
        argon2.hash_password_into_with_memory(password, &task.salt, &mut output, memory)?;
        Ok(output)
    }

    fn wipe(&mut self) {
        self.memory.iter_mut().zeroize();
        if self.memory.len() > self.usual_blocks {
            self.memory = Vec::new();
        }
    }
}

/// The threads and their queue. Dropping it ends the threads, each after the hash it is at.
pub(super) struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Mutex<Queue>,
    /// Told when a job arrives and when the queue closes.
    changed: Condvar,
    capacity: usize,
    figures: Figures,
}

/// What is told of the queue to whoever watches.
struct Figures {
    known: Gauge,
    strangers: Gauge,
    refused_known: Counter,
    refused_strangers: Counter,
    waited: Histogram,
    computed: Histogram,
}

impl Figures {
    fn of(registry: &Registry) -> Self {
        let (known, stranger) = ([("line", "known")], [("line", "stranger")]);
        Self {
            known: registry.gauge(&HASH_WAITING, &known),
            strangers: registry.gauge(&HASH_WAITING, &stranger),
            refused_known: registry.counter(&HASH_REFUSED, &known),
            refused_strangers: registry.counter(&HASH_REFUSED, &stranger),
            waited: registry.histogram(&HASH_WAIT_SECONDS, &[]),
            computed: registry.histogram(&HASH_SECONDS, &[]),
        }
    }

    fn queue(&self, queue: &Queue) {
        self.known.set_count(queue.known.len());
        self.strangers.set_count(queue.strangers.len());
    }

    fn refuse(&self, requester: Requester) {
        match requester.precedence {
            Precedence::Known => self.refused_known.count(),
            Precedence::Stranger => self.refused_strangers.count(),
        }
    }
}

#[derive(Default)]
struct Queue {
    known: Line,
    strangers: Line,
    running: Running,
    closed: bool,
}

impl Queue {
    fn line(&mut self, precedence: Precedence) -> &mut Line {
        match precedence {
            Precedence::Known => &mut self.known,
            Precedence::Stranger => &mut self.strangers,
        }
    }

    fn next(&mut self) -> Option<Job> {
        let known = self.known.next(&self.running);
        known.or_else(|| self.strangers.next(&self.running))
    }

    fn is_ready(&self) -> bool {
        self.known.is_ready(&self.running) || self.strangers.is_ready(&self.running)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.known.len() + self.strangers.len()
    }
}

/// A hash that somebody waits for.
pub(super) struct Job {
    task: Task,
    pub(super) requester: Requester,
    queued_at: Instant,
    reply: oneshot::Sender<Result<Zeroizing<Vec<u8>>>>,
}

impl Job {
    /// Whether nobody waits for it any more.
    pub(super) fn is_given_up(&self) -> bool {
        self.reply.is_closed()
    }
}

/// What a thread does next.
enum Next {
    Work(Job),
    Wipe,
    End,
}

impl Pool {
    /// Starts `threads` threads, each with an engine from `make_engine`, behind a queue of two lines
    /// for `capacity` each.
    ///
    /// # Errors
    ///
    /// The operating system gives no more threads; those already started end again.
    pub(super) fn start(
        threads: usize,
        capacity: usize,
        registry: &Registry,
        mut make_engine: impl FnMut() -> Box<dyn Engine>,
    ) -> io::Result<Self> {
        let (queue, changed) = (Mutex::default(), Condvar::new());
        let figures = Figures::of(registry);
        let pool = Self { shared: Arc::new(Shared { queue, changed, capacity, figures }) };
        for _ in 0..threads {
            let shared = Arc::clone(&pool.shared);
            let engine = make_engine();
            std::thread::Builder::new()
                .name("password-hash".to_owned())
                .spawn(move || shared.work(engine))?;
        }
        Ok(pool)
    }

    /// Has `task` computed. Giving up the future gives up the task, unless a thread is at it already.
    ///
    /// # Errors
    ///
    /// - [`Error::Overloaded`] if the line is full, or has become full while the requester had more
    ///   jobs in it than others.
    /// - [`Error::Internal`] if the computation fails.
    pub(super) async fn run(&self, task: Task, requester: Requester) -> Result<Zeroizing<Vec<u8>>> {
        let (reply, answer) = oneshot::channel();
        self.shared.push(Job { task, requester, queued_at: Instant::now(), reply });
        match trace::hash(answer).await {
            Ok(derived) => derived,
            Err(_) => Err(Error::internal("a thread that hashes passwords failed")),
        }
    }

    /// How many tasks wait for a thread.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.shared.lock().len()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.closed = true;
        queue.known.clear();
        queue.strangers.clear();
        drop(queue);
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // The queue is whole between any two statements, so a panic elsewhere spoils nothing.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, job: Job) {
        let mut queue = self.lock();
        let entered = queue.line(job.requester.precedence).enter(job, self.capacity);
        self.figures.queue(&queue);
        drop(queue);
        match entered {
            Entered::Waits => {}
            Entered::InPlaceOf(refused) | Entered::Refused(refused) => {
                self.figures.refuse(refused.requester);
                // The caller may have gone away meanwhile.
                let _ = refused.reply.send(Err(Error::Overloaded));
            }
        }
        self.changed.notify_one();
    }

    /// The life of one thread.
    fn work(&self, mut engine: Box<dyn Engine>) {
        lower_priority();
        let mut used = false;
        loop {
            match self.next(used) {
                Next::Work(job) => {
                    used = true;
                    let began = Instant::now();
                    self.figures.waited.note(began - job.queued_at);
                    // A bug in one computation must not take a thread away from all that follow:
                    // the reply is dropped, and its caller told so.
                    let derived = catch_unwind(AssertUnwindSafe(|| engine.derive(&job.task)));
                    self.figures.computed.note(began.elapsed());
                    self.end(job.requester);
                    if let Ok(derived) = derived {
                        // The caller may have gone away meanwhile.
                        let _ = job.reply.send(derived.map_err(Error::internal));
                    }
                }
                Next::Wipe => {
                    engine.wipe();
                    used = false;
                }
                Next::End => return engine.wipe(),
            }
        }
    }

    /// Notes that a hash has been computed: another one of its account may have waited for that.
    fn end(&self, requester: Requester) {
        let mut queue = self.lock();
        queue.running.end(requester);
        if queue.is_ready() {
            self.changed.notify_one();
        }
    }

    /// Waits for what a thread is to do next. `used` says that its memory is not wiped yet.
    fn next(&self, used: bool) -> Next {
        let mut queue = self.lock();
        loop {
            while let Some(job) = queue.next() {
                self.figures.queue(&queue);
                if !job.is_given_up() {
                    queue.running.begin(job.requester);
                    return Next::Work(job);
                }
            }
            if queue.closed {
                return Next::End;
            }
            if used {
                let waited = self.changed.wait_timeout(queue, IDLE_BEFORE_WIPE);
                let (woken, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
                queue = woken;
                if timeout.timed_out() && !queue.is_ready() {
                    return Next::Wipe;
                }
            } else {
                queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

/// Lowers the priority of the calling thread. If that is not allowed, it stays as it is.
#[cfg(target_os = "linux")]
fn lower_priority() {
    // POSIX speaks of the process, but Linux keeps a nice value for each thread and takes the call
    // for the calling one alone (setpriority(2), "C library/kernel differences").
    let _ = rustix::process::nice(NICENESS);
}

/// Elsewhere the nice value belongs to the whole process, so it is left alone.
#[cfg(not(target_os = "linux"))]
fn lower_priority() {}

#[cfg(test)]
mod tests;
