//! What one process has let through and not yet told the store: so that a limit on every request
//! costs no request a round trip.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::bounded::{Bounded, Fades};
use super::network::Network;
use crate::clock::Timestamp;

/// How many locks share the lines.
const SHARDS: usize = 16;
/// How many lines there are at most.
const CAPACITY: usize = 65_536;
/// After how long an account that was never settled does not matter any more.
const STALE: Duration = Duration::from_secs(60);

/// Whom a line is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Whom {
    /// Everybody at one network address.
    Network(Network),
    /// The owner of an account, on devices that are known, by the account's tag.
    Owner([u8; 16]),
}

/// A rule by name, and whom it counts.
pub(super) type LineKey = (&'static str, Whom);

#[derive(Debug)]
struct Line {
    unsettled: u32,
    settling: bool,
    /// When the store last said that nothing more is let through.
    refused_at: Timestamp,
    /// For how long.
    refused_for: Duration,
    seen_at: Timestamp,
}

impl Line {
    /// How long nothing is let through any more. Before it was refused, by a clock that was set back
    /// since, the store is asked again.
    fn refused(&self, now: Timestamp) -> Option<Duration> {
        let refused = now.is_within(self.refused_for, self.refused_at);
        refused.then(|| (self.refused_at + self.refused_for).since(now))
    }
}

impl Fades for Line {
    fn worth(&self, now: Timestamp) -> i64 {
        if self.settling {
            return i64::MAX;
        }
        let refused = self.refused(now).unwrap_or_default();
        let fresh = (self.seen_at + STALE).since(now).min(STALE);
        i64::try_from(refused.max(fresh).as_millis()).unwrap_or(i64::MAX)
    }
}

/// What to do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// Let it through.
    Pass,
    /// Let it through, and tell the store of this many.
    Settle(u32),
    /// Refuse it for this long.
    Refuse(Duration),
}

/// The lines, each kept until it is settled or does not matter.
#[derive(Debug)]
pub(super) struct Ledger {
    shards: [Mutex<Bounded<LineKey, Line>>; SHARDS],
    hasher: RandomState,
}

impl Ledger {
    pub fn new() -> Self {
        let shards = std::array::from_fn(|_| Mutex::new(Bounded::new(CAPACITY / SHARDS)));
        Self { shards, hasher: RandomState::new() }
    }

    /// Notes a request. Once `batch` are unsettled, one caller is asked to settle them.
    pub fn note(&self, key: &LineKey, batch: u32, now: Timestamp) -> Entry {
        let mut shard = self.shard(key);
        let fresh = || Line {
            unsettled: 0,
            settling: false,
            refused_at: now,
            refused_for: Duration::ZERO,
            seen_at: now,
        };
        let line = shard.entry(key.clone(), now, fresh);
        line.seen_at = now;
        if let Some(wait) = line.refused(now) {
            return Entry::Refuse(wait);
        }
        line.unsettled = line.unsettled.saturating_add(1);
        if line.unsettled < batch || line.settling {
            return Entry::Pass;
        }
        line.settling = true;
        Entry::Settle(line.unsettled)
    }

    /// The store was told of `settled`, and lets nothing more through for `refused`; or, without
    /// an answer, it was not told.
    pub fn settled(&self, key: &LineKey, settled: u32, refused: Option<Duration>, now: Timestamp) {
        let mut shard = self.shard(key);
        let Some(line) = shard.get_mut(key) else { return };
        line.settling = false;
        if let Some(refused) = refused {
            line.unsettled = line.unsettled.saturating_sub(settled);
            (line.refused_at, line.refused_for) = (now, refused);
        }
    }

    fn shard(&self, key: &LineKey) -> MutexGuard<'_, Bounded<LineKey, Line>> {
        let hash = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).unwrap_or_default();
        self.shards[hash].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn line(address: u32) -> LineKey {
        ("requests", Whom::Network(Network::of(IpAddr::V4(Ipv4Addr::from(address)).into())))
    }

    #[test]
    fn a_flood_of_addresses_forgets_those_that_were_seen_least_recently() {
        let (ledger, start) = (Ledger::new(), Timestamp::from_millis(1_800_000_000_000));
        let (refused, seen_again) = (0..50, 50..100);
        for n in refused.clone() {
            assert_eq!(ledger.note(&line(n), 1, start), Entry::Settle(1));
            ledger.settled(&line(n), 1, Some(Duration::from_secs(3600)), start);
        }
        for n in seen_again.clone().chain(1_000..60_000) {
            assert_eq!(ledger.note(&line(n), 3, start), Entry::Pass);
        }
        let later = start + Duration::from_secs(30);
        for n in seen_again.clone().chain(100_000..130_000) {
            assert_eq!(ledger.note(&line(n), 3, later), Entry::Pass);
        }
        for n in seen_again {
            assert_eq!(ledger.note(&line(n), 3, later), Entry::Settle(3), "{n}");
        }
        for n in refused {
            let left = Duration::from_secs(3570);
            assert_eq!(ledger.note(&line(n), 1, later), Entry::Refuse(left), "{n}");
        }
    }

    #[test]
    fn a_batch_is_settled_by_one_and_a_store_that_was_not_told_is_told_again() {
        let (ledger, now) = (Ledger::new(), Timestamp::from_millis(0));
        let key = ("requests", Whom::Owner([7; 16]));
        assert_eq!(ledger.note(&key, 2, now), Entry::Pass);
        assert_eq!(ledger.note(&key, 2, now), Entry::Settle(2));
        assert_eq!(ledger.note(&key, 2, now), Entry::Pass);
        ledger.settled(&key, 2, None, now);
        assert_eq!(ledger.note(&key, 2, now), Entry::Settle(4));
        ledger.settled(&key, 4, Some(Duration::from_secs(1)), now);
        assert_eq!(ledger.note(&key, 2, now), Entry::Refuse(Duration::from_secs(1)));
        assert_eq!(ledger.note(&key, 2, now + Duration::from_secs(1)), Entry::Pass);
    }

    #[test]
    fn sr_75_a_clock_that_is_set_back_has_the_store_asked_again() {
        let (ledger, now) = (Ledger::new(), Timestamp::from_millis(1_800_000_000_000));
        let key = line(1);
        assert_eq!(ledger.note(&key, 1, now), Entry::Settle(1));
        ledger.settled(&key, 1, Some(Duration::from_secs(30)), now);
        assert_eq!(ledger.note(&key, 1, now), Entry::Refuse(Duration::from_secs(30)));
        let earlier = now - Duration::from_secs(3600);
        assert_eq!(ledger.note(&key, 1, earlier), Entry::Settle(1));
        ledger.settled(&key, 1, Some(Duration::from_millis(100)), earlier);
        assert_eq!(ledger.note(&key, 1, earlier), Entry::Refuse(Duration::from_millis(100)));
        assert_eq!(ledger.note(&key, 1, earlier + Duration::from_millis(100)), Entry::Settle(1));
    }
}
