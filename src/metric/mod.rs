//! What is counted, for whoever watches the server. The names are stable; `docs/metrics.md` lists them.

pub mod family;
mod registry;
mod timer;

use family::{LOGINS, REFRESHES, THROTTLED};

pub use registry::{Counter, FloatCounter, Gauge, Histogram, Registry};
pub use timer::{Operations, Timer};

/// Declares what can become of something, and handles on how often it did.
macro_rules! outcomes {
    (
        $(#[$about:meta])* $outcome:ident counted as $handles:ident of $family:ident
        { $($(#[$doc:meta])* $variant:ident = $word:literal,)* }
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $outcome {
            $($(#[$doc])* $variant,)*
        }

        #[doc = concat!("How often each [`", stringify!($outcome), "`] was.")]
        #[derive(Default)]
        pub struct $handles([Counter; [$($word),*].len()]);

        impl $handles {
            /// All of them, from 0 on.
            pub fn of(registry: &Registry) -> Self {
                Self([$($word),*].map(|word| registry.counter(&$family, &[("outcome", word)])))
            }

            /// It was this one, once more.
            pub fn count(&self, outcome: $outcome) {
                // Every variant has its place.
                if let Some(counter) = self.0.get(outcome as usize) {
                    counter.count();
                }
            }
        }
    };
}

outcomes! {
    /// How an attempt to refresh came out. Every refusal and every tolerated reuse has a cause of its own.
    Refresh counted as Refreshes of REFRESHES {
        /// The token was current and has been rotated.
        Rotated = "rotated",
        /// The token follows the one that the session store had for current: it lost its last moments.
        CaughtUp = "caught_up",
        /// The token's successor was handed out again, for it was rotated a moment ago: tabs racing.
        RepeatedInGrace = "repeated_in_grace",
        /// The token's successor was handed out again, for nobody ever used it: the answer was lost.
        RepeatedUnused = "repeated_unused",
        /// The token belonged to the session's past; the session was ended.
        Reused = "reused",
        /// The session had ended, or its time was over.
        Ended = "ended",
        /// It was no refresh token of ours.
        Invalid = "invalid",
        /// The session or the address has refreshed too often.
        Throttled = "throttled",
        /// A store did not answer.
        Failed = "failed",
    }
}

outcomes! {
    /// How an attempt to sign in came out.
    Login counted as Logins of LOGINS {
        /// A session was opened.
        Good = "good",
        /// The address and the password did not belong together.
        Refused = "refused",
        /// Too many attempts were made at this account or from this address.
        Throttled = "throttled",
        /// A store did not answer, or the server was too busy.
        Failed = "failed",
    }
}

/// How often each limit has refused, by the limit's name.
#[derive(Default)]
pub struct Throttles(Vec<(&'static str, Counter)>);

impl Throttles {
    /// These limits, from 0 on.
    pub fn of(registry: &Registry, limits: &[&'static str]) -> Self {
        let counter = |limit| (limit, registry.counter(&THROTTLED, &[("limit", limit)]));
        Self(limits.iter().copied().map(counter).collect())
    }

    /// This limit has refused once more.
    pub fn count(&self, limit: &str) {
        if let Some((_, counter)) = self.0.iter().find(|(name, _)| *name == limit) {
            counter.count();
        }
    }
}
