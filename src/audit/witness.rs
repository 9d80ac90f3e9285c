//! What a server remembers of the trail it writes to, and what it notices by that.
//!
//! Whoever can write to the database can put back the end of the trail as it was at an earlier time,
//! seal and all. No chain shows that; a server that saw a later end does.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::chain::{Chain, Head, Trail};
use crate::metric::family::AUDIT_ALARM;
use crate::metric::{Gauge, Registry};

/// The end of the trail as it was seen last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The name of the trail; empty if there was none.
    pub trail: String,
    /// The place of its last row; 0 if there was none.
    pub seq: i64,
    /// The code of that row.
    pub mac: String,
}

/// What the database says of the end of the trail, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct End {
    /// Which trail it is; `None` if nothing says so.
    pub trail: Option<Trail>,
    /// The record of its end; `None` if it is gone.
    pub head: Option<Head>,
    /// The record of its beginning; `None` if it is gone.
    pub start: Option<Head>,
    /// The place and the code of the last row that is there; 0 and empty if there is none.
    pub last: (i64, String),
    /// The code of the row at the place that was asked about, if there is one.
    pub at_seen: Option<String>,
}

impl End {
    /// What there is to remember of it.
    pub fn seen(&self) -> Seen {
        let trail = self.trail.as_ref().map(|trail| trail.id.clone()).unwrap_or_default();
        let (seq, mac) = match &self.head {
            Some(head) => (head.seq, head.mac.clone()),
            None => self.last.clone(),
        };
        Seen { trail, seq, mac }
    }
}

/// Why the trail is not what this server takes it for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Alarm {
    /// Nothing sealed says which trail it is, and there are accounts or events already.
    #[error("nothing says which trail this is, though there must be one")]
    Nameless,
    /// The trail has another name than before.
    #[error("this is another trail than the one that this server wrote to")]
    Other,
    /// The record of the end is missing or not as it was written.
    #[error("the record of the trail's end is missing or was altered")]
    Head,
    /// The trail ends before a row that this server has seen.
    #[error("the trail ends at row {end}, before row {seen}, which this server has seen")]
    Shorter {
        /// Where it ends.
        end: i64,
        /// The place of the row that was there.
        seen: i64,
    },
    /// The row at this place is another one, or none, than this server has seen.
    #[error("row {0} is not the one that this server has seen")]
    Replaced(i64),
    /// Rows are missing at the end.
    #[error("rows are missing at the end, from row {0} on")]
    Missing(i64),
}

impl Chain {
    /// What is wrong with the end of a trail, by itself or against what was `seen` of it.
    pub fn judge(&self, end: &End, seen: Option<&Seen>) -> Option<Alarm> {
        let trail = end.trail.as_ref();
        if trail.is_some_and(|trail| !self.holds_name(trail)) {
            return Some(Alarm::Nameless);
        }
        let Some(head) = end.head.as_ref().filter(|head| self.holds(trail, head)) else {
            let nameless = trail.is_none() && end.head.as_ref().is_none_or(|head| head.seq == 0);
            return Some(if nameless { Alarm::Nameless } else { Alarm::Head });
        };
        if end.last.0 > head.seq {
            return Some(Alarm::Head);
        }
        if let Some(alarm) = seen.and_then(|seen| self.compare(end, head, seen)) {
            return Some(alarm);
        }
        (end.last.0 < head.seq).then_some(Alarm::Missing(end.last.0 + 1))
    }

    /// What is wrong with an end that is sound by itself, as against what was seen before.
    fn compare(&self, end: &End, head: &Head, seen: &Seen) -> Option<Alarm> {
        let (id, follows) = match &end.trail {
            Some(trail) => (trail.id.as_str(), trail.follows.as_str()),
            None => ("", ""),
        };
        // A trail of an earlier release gets its name from the first server that can give it one.
        if !seen.trail.is_empty() && seen.trail != id {
            return match () {
                // The operator has had it begin in the place of the one that was seen.
                () if follows == seen.trail => None,
                () if id.is_empty() => Some(Alarm::Nameless),
                () => Some(Alarm::Other),
            };
        }
        if head.seq < seen.seq {
            return Some(Alarm::Shorter { end: head.seq, seen: seen.seq });
        }
        let removed = end.start.as_ref().filter(|start| self.holds_start(start));
        let is_kept = removed.map_or(0, |start| start.seq) < seen.seq;
        (is_kept && end.at_seen.as_ref() != Some(&seen.mac)).then_some(Alarm::Replaced(seen.seq))
    }
}

/// The memory of one server.
#[derive(Default)]
pub(super) struct Witness {
    seen: Mutex<Option<Seen>>,
    alarm: Mutex<Option<Alarm>>,
    raised: Gauge,
}

impl Witness {
    /// A memory that shows whether there was an alarm.
    pub fn of(registry: &Registry) -> Self {
        Self { raised: registry.gauge(&AUDIT_ALARM, &[]), ..Self::default() }
    }

    /// What was seen last, if anything was.
    pub fn seen(&self) -> Option<Seen> {
        locked(&self.seen).clone()
    }

    /// Remembers what was seen, and says aloud what is wrong with it: once, until it is something else.
    ///
    /// An end that is wrong does not take the place of the one that was remembered: the next batch would
    /// be added to it under a seal.
    pub fn note(&self, seen: Seen, alarm: Option<Alarm>) {
        let mut remembered = locked(&self.seen);
        let Some(alarm) = alarm else {
            *remembered = Some(seen);
            return;
        };
        remembered.get_or_insert(seen);
        drop(remembered);
        self.raised.set(1.0);
        let before = locked(&self.alarm).replace(alarm.clone());
        if before.as_ref() != Some(&alarm) {
            tracing::error!(
                cause = %alarm,
                "the audit trail is not as it was written; keep a copy of the database and run \
                 `doorward audit verify`"
            );
        }
    }

    /// What was found wrong since the server started.
    pub fn alarm(&self) -> Option<Alarm> {
        locked(&self.alarm).clone()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
