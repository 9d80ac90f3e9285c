//! Log lines that anybody can cause as often as they like.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often such a line is written at most.
const EVERY: Duration = Duration::from_secs(60);

/// Lets one line a minute through.
#[derive(Debug, Default)]
pub(super) struct LogThrottle(Mutex<Option<Instant>>);

impl LogThrottle {
    /// Whether the line is to be written now.
    pub fn is_due(&self) -> bool {
        let mut written_at = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = written_at.is_none_or(|at| at.elapsed() >= EVERY);
        if due {
            *written_at = Some(Instant::now());
        }
        due
    }
}
