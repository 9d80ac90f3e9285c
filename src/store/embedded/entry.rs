//! One session of the embedded store, as it lies in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use crate::account::Account;
use crate::clock::Timestamp;
use crate::session::store::Live;
use crate::session::{SEEN_EVERY, Session};
use crate::store::record::Record;

/// What every request may write about a session without waiting for anybody.
#[derive(Debug)]
struct Marks {
    used: AtomicBool,
    seen_at: AtomicI64,
    /// Whether they wait to be written to the database.
    noted: AtomicBool,
}

/// A session in memory. Everything but its marks is replaced, never changed.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// As it was read or written last, but for the marks.
    pub record: Record,
    /// Shared by all versions of the entry that have one pair of tokens, so that a mark made while
    /// the next version is being written is not lost.
    marks: Arc<Marks>,
}

impl Entry {
    /// A session as it was read, or with a new pair.
    pub fn new(record: Record) -> Self {
        let marks = Marks {
            used: AtomicBool::new(record.used),
            seen_at: AtomicI64::new(record.session.last_seen_at.as_millis()),
            noted: AtomicBool::new(false),
        };
        Self { record, marks: Arc::new(marks) }
    }

    /// The same session with the same pair, changed otherwise.
    pub fn changed(&self, record: Record) -> Self {
        Self { record, marks: Arc::clone(&self.marks) }
    }

    /// The record as it is at this moment, marks included.
    pub fn record(&self) -> Record {
        let mut record = self.record.clone();
        record.used = self.is_used();
        record.session.last_seen_at = self.seen_at();
        record
    }

    /// Whether it can still be refreshed at `now` under `epoch`.
    pub fn is_live(&self, epoch: i64, now: Timestamp) -> bool {
        self.record.is_live(epoch, now)
    }

    /// When it ends if nobody refreshes it.
    pub fn ends_at(&self) -> Timestamp {
        self.record.session.refresh_expires_at
    }

    /// The session and its account, as a request sees them.
    pub fn live(&self, account: &Arc<Account>) -> Live {
        let session = Session { last_seen_at: self.seen_at(), ..self.record.session.clone() };
        Live { session: Arc::new(session), account: Arc::clone(account) }
    }

    fn seen_at(&self) -> Timestamp {
        Timestamp::from_millis(self.marks.seen_at.load(Ordering::Relaxed))
    }

    /// Whether the current access token was ever accepted (SR-36).
    pub fn is_used(&self) -> bool {
        self.marks.used.load(Ordering::Relaxed)
    }

    /// Notes that the pair was accepted at `now`; whether the row must be written again.
    pub fn mark(&self, now: Timestamp) -> bool {
        let first = !self.marks.used.swap(true, Ordering::Relaxed);
        let seen = self.seen_at().abs_diff(now) >= SEEN_EVERY;
        if seen {
            self.marks.seen_at.store(now.as_millis(), Ordering::Relaxed);
        }
        // Releases the marks to whoever takes the note away ([`Entry::take_note`]).
        (first || seen) && !self.marks.noted.swap(true, Ordering::AcqRel)
    }

    /// Says that the marks do not wait to be written any more.
    pub fn take_note(&self) {
        self.marks.noted.swap(false, Ordering::AcqRel);
    }
}
