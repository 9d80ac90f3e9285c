//! The server's one writer: commits what all requests ask for, many in one transaction.
//!
//! Flushing the disk costs far more than the rows do. So the writer takes every operation that
//! waits, drafts them one after the other, commits the draft once, makes it visible and then
//! answers each. Nothing is visible or answered before it is on disk.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::Trouble;
use super::draft::Draft;
use super::line::{Line, Turn};
use super::lock::ServerLock;
use super::memory::Memory;
use super::rows;
use crate::clock::Clock;

/// Most operations in one transaction.
const BATCH: usize = 512;
/// How often the marks that requests leave are written.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// How often what has ended is deleted.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// How often the changes of other processes are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Tells who waits for an operation that it is committed. It is dropped untold if it is not.
pub(super) type Answer = Box<dyn FnOnce() + Send>;
/// An operation.
pub(super) type Job = Box<dyn FnOnce(&mut Draft<'_>) -> Answer + Send>;

/// What the writer is asked for.
pub(super) enum Order {
    /// Do this.
    Do(Job),
    /// Write what is left, let go of the database and say so.
    Close(oneshot::Sender<()>),
}

/// The task that writes.
pub(super) struct Writer {
    /// What requests are judged by.
    pub memory: Arc<Memory>,
    /// The one connection.
    pub line: Line,
    /// What time it is when the writer sweeps.
    pub clock: Arc<dyn Clock>,
    /// What the store is and where, for the operator.
    pub store: Arc<str>,
    /// Where it is noted whether it can write.
    pub trouble: Trouble,
    /// Held as long as the writer writes.
    pub _lock: ServerLock,
}

impl Writer {
    /// Serves until it is told to close or nobody is left to ask.
    pub async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let (mut look, mut flush, mut sweep) =
            (every(LOOK_EVERY), every(FLUSH_EVERY), every(SWEEP_EVERY));
        let mut waiting = Vec::with_capacity(BATCH);
        let mut close = None;
        while close.is_none() {
            tokio::select! {
                taken = orders.recv_many(&mut waiting, BATCH) => {
                    if taken == 0 {
                        return;
                    }
                    let mut jobs = Vec::with_capacity(taken);
                    for order in waiting.drain(..) {
                        match order {
                            Order::Do(job) => jobs.push(job),
                            Order::Close(closed) => close = Some(closed),
                        }
                    }
                    self.serve(jobs).await;
                }
                _ = look.tick() => {
                    let done = self.look().await;
                    self.trouble.note(&self.store, &done);
                }
                _ = flush.tick() => {
                    let done = self.flush().await;
                    self.trouble.note(&self.store, &done);
                }
                _ = sweep.tick() => {
                    let done = self.sweep().await;
                    self.trouble.note(&self.store, &done);
                }
            }
        }
        self.finish(close).await;
    }

    /// Writes what is left and lets go of the database.
    async fn finish(mut self, closed: Option<oneshot::Sender<()>>) {
        if let Err(error) = self.flush().await {
            tracing::error!(%error, "the session store could not write when sessions were last seen");
        }
        let Self { line, _lock: lock, .. } = self;
        line.close().await;
        drop(lock);
        if let Some(closed) = closed {
            // Who asked may have stopped waiting.
            let _ = closed.send(());
        }
    }

    /// Does what was asked for, in order, and answers once it is on disk.
    async fn serve(&mut self, mut jobs: Vec<Job>) {
        let mut answers: Vec<Answer> = Vec::with_capacity(jobs.len());
        let done =
            self.transact(|draft| answers.extend(jobs.drain(..).map(|job| job(draft)))).await;
        // Before those who asked learn of it, by being dropped, so that they can say why.
        self.trouble.note(&self.store, &done);
        if done.is_ok() {
            answers.into_iter().for_each(|answer| answer());
        }
    }

    /// Takes over what other processes have changed.
    async fn look(&mut self) -> sqlx::Result<()> {
        if self.line.any_announced().await? {
            let turn = self.begin().await?;
            self.line.rollback(turn).await?;
        }
        Ok(())
    }

    /// Writes the marks that requests have left.
    async fn flush(&mut self) -> sqlx::Result<()> {
        let noted = self.memory.take_noted();
        if noted.is_empty() {
            // That nothing had to be written says nothing about whether it could have been.
            return self.look().await;
        }
        let done = self.transact(|draft| draft.flush(&noted)).await;
        if done.is_err() {
            self.memory.note_again(noted);
        }
        done
    }

    /// Deletes what ended long ago.
    async fn sweep(&mut self) -> sqlx::Result<()> {
        let now = self.clock.now();
        self.transact(|draft| draft.sweep(now)).await
    }

    /// Drafts changes, commits them, and only then makes them visible.
    async fn transact<T>(&mut self, fill: impl FnOnce(&mut Draft<'_>) -> T) -> sqlx::Result<T> {
        let mut turn = self.begin().await?;
        let (outcome, changes) = {
            let mut draft = Draft::over(&self.memory);
            let outcome = fill(&mut draft);
            (outcome, draft.finish())
        };
        if changes.is_empty() {
            self.line.rollback(turn).await?;
        } else {
            rows::write(turn.db(), &changes).await?;
            self.line.commit(turn).await?;
            self.memory.apply(changes);
        }
        Ok(outcome)
    }

    /// Begins a transaction in which memory and rows say the same: whatever another process has
    /// changed is taken over first, and none can change anything while the transaction lasts.
    async fn begin(&mut self) -> sqlx::Result<Turn> {
        loop {
            let (mut turn, announced) = self.line.begin().await?;
            if !announced {
                return Ok(turn);
            }
            let db = turn.db();
            let changed = rows::announced(db).await?;
            self.memory.replace_denied(rows::load_denied(db).await?);
            for account in &changed {
                let standing = rows::load(db, account).await?;
                // Before the notice goes, for then the command that changed the rows returns. They
                // are committed already.
                self.memory.replace(account, standing);
            }
            rows::clear_announced(db).await?;
            self.line.commit(turn).await?;
        }
    }
}

fn every(period: Duration) -> Interval {
    let mut interval = interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
