//! Whether a store can be used: one line in the log when it is first found away, when the cause changes
//! and when it is back, whoever finds it so: a request, a probe or a task in the background.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Cause, Error, Outage, Result, Told};

/// A store that works again for some is not said to be back while it fails others.
const SETTLED: Duration = Duration::from_secs(1);
/// A cause that comes and goes is told this often at most.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// What a store is to people.
#[derive(Clone, Copy, Debug)]
pub(super) struct Purpose {
    /// Its name, as in `/readyz`.
    pub name: &'static str,
    /// What cannot be done without it.
    pub consequence: &'static str,
}

/// Accounts, roles, keys and the audit trail.
pub(super) const DATABASE: Purpose = Purpose {
    name: "database",
    consequence: "sign-in, refresh and changes answer 503, and audit events wait",
};

/// Sessions, limits and the denylist.
pub(super) const SESSION_STORE: Purpose = Purpose {
    name: "session_store",
    consequence: "requests with a session, sign-in and refresh answer 503",
};

/// The health of a store, as it was last seen.
#[derive(Debug)]
pub(super) struct Health {
    purpose: Purpose,
    /// Whether it is said in the log: a command says for itself what it failed at.
    speaks: AtomicBool,
    away: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    since: Option<Instant>,
    failed_at: Option<Instant>,
    /// The causes that were told in this outage, and when.
    told: Vec<(Cause, Instant)>,
    outage: Told,
}

impl Health {
    /// Nothing is said of the store until [`Health::speak`].
    pub fn silent(purpose: Purpose) -> Self {
        let (speaks, away) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { purpose, speaks, away, state: Mutex::default() }
    }

    /// From now on the log has a line when the store goes and when it comes back.
    pub fn speak(&self) {
        self.speaks.store(true, Ordering::Relaxed);
    }

    /// Notes how an operation came out, which it gives back.
    pub fn note<T>(&self, done: Result<T>) -> Result<T> {
        self.noted(done, SETTLED)
    }

    /// The same for the question whether the store can be used: if so, it is back at once.
    pub fn note_probe<T>(&self, done: Result<T>) -> Result<T> {
        self.noted(done, Duration::ZERO)
    }

    fn noted<T>(&self, done: Result<T>, settled: Duration) -> Result<T> {
        match done {
            Err(Error::Unavailable(cause)) if self.speaks.load(Ordering::Relaxed) => {
                Err(Error::Unavailable(match cause.downcast::<Outage>() {
                    Ok(outage) => self.failed(*outage).into(),
                    Err(other) => other,
                }))
            }
            done => {
                if done.is_ok() && self.away.load(Ordering::Relaxed) {
                    self.worked(settled);
                }
                done
            }
        }
    }

    fn failed(&self, outage: Outage) -> Outage {
        let now = Instant::now();
        let mut state = self.state();
        state.failed_at = Some(now);
        state.since.get_or_insert(now);
        self.away.store(true, Ordering::Relaxed);
        let lately = |at: Instant| now.duration_since(at) < TELL_EVERY;
        let told = state.told.iter().position(|(cause, _)| *cause == outage.cause);
        let again = match told.and_then(|place| state.told.get_mut(place)) {
            None => true,
            // What does not pass by itself is said again.
            Some((Cause::Damaged, at)) if !lately(*at) => true,
            Some((cause, at)) => {
                let (cause, changed) = (*cause, !lately(*at));
                changed && state.told.last().is_some_and(|(last, _)| *last != cause)
            }
        };
        if again {
            state.told.retain(|(cause, _)| *cause != outage.cause);
            state.told.push((outage.cause, now));
        }
        let told = Some(state.outage.clone());
        drop(state);
        if again {
            self.say_away(&outage);
        }
        Outage { told, ..outage }
    }

    fn worked(&self, settled: Duration) {
        let mut state = self.state();
        if state.failed_at.is_some_and(|at| at.elapsed() < settled) {
            return;
        }
        let Some(since) = state.since.take() else { return };
        self.away.store(false, Ordering::Relaxed);
        *state = State::default();
        drop(state);
        let store = self.purpose.name;
        let seconds = since.elapsed().as_secs_f64();
        tracing::info!(store, away_seconds = format!("{seconds:.1}"), "using the store again");
    }

    fn say_away(&self, outage: &Outage) {
        tracing::warn!(
            store = self.purpose.name,
            place = %outage.store,
            cause = outage.said,
            advice = outage.advice.as_deref().unwrap_or_default(),
            "failed to use the store; {}",
            self.purpose.consequence
        );
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn fails(health: &Health, cause: Cause) -> bool {
        let store: Arc<str> = "store".into();
        let done = health.note::<()>(Err(Error::unavailable(Outage::new(&store, cause, "so"))));
        let Err(Error::Unavailable(cause)) = done else { panic!("it stays a failure") };
        cause.downcast_ref::<Outage>().expect("an outage").told.is_some()
    }

    fn told(health: &Health) -> Vec<Cause> {
        health.state().told.iter().map(|(cause, _)| *cause).collect()
    }

    #[test]
    fn an_outage_is_told_once_for_each_cause_and_is_over_when_the_store_answers() {
        let health = Health::silent(DATABASE);
        assert!(!fails(&health, Cause::Silent), "nobody listens yet");
        health.speak();
        for cause in [Cause::Unreachable, Cause::Unreachable, Cause::Denied, Cause::Unreachable] {
            assert!(fails(&health, cause));
        }
        assert_eq!(told(&health), [Cause::Unreachable, Cause::Denied]);
        health.note(Ok(())).expect("it works");
        assert!(health.away.load(Ordering::Relaxed), "a moment ago it failed");
        health.note_probe(Ok(())).expect("it works");
        assert!(!health.away.load(Ordering::Relaxed) && told(&health).is_empty());
    }
}
