//! A map that never grows beyond its bound, whatever is thrown at it.

use std::collections::HashMap;
use std::hash::Hash;

use crate::clock::Timestamp;

/// What can be forgotten.
pub trait Fades {
    /// How much would be lost by forgetting it; zero or less if nothing would.
    fn worth(&self, now: Timestamp) -> i64;
}

/// A map of at most `capacity` entries. Where room is needed, what is worth least goes first: who
/// floods it with new keys forgets their own, not those that many failures stand under.
#[derive(Debug)]
pub struct Bounded<K, V> {
    entries: HashMap<K, V>,
    capacity: usize,
}

impl<K: Eq + Hash, V: Fades> Bounded<K, V> {
    /// An empty map for at most `capacity` entries, which must be 8 or more.
    pub fn new(capacity: usize) -> Self {
        Self { entries: HashMap::new(), capacity: capacity.max(8) }
    }

    /// The entry under `key`.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key)
    }

    /// The entry under `key`, made by `fresh` if there is none.
    pub fn entry(&mut self, key: K, now: Timestamp, fresh: impl FnOnce() -> V) -> &mut V {
        if self.entries.len() >= self.capacity && !self.entries.contains_key(&key) {
            self.make_room(now);
        }
        self.entries.entry(key).or_insert_with(fresh)
    }

    /// Forgets the entry under `key`.
    pub fn remove(&mut self, key: &K) {
        self.entries.remove(key);
    }

    /// How many entries there are.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.entries.len()
    }

    /// Makes room for an eighth of the capacity, so that it is seldom needed.
    fn make_room(&mut self, now: Timestamp) {
        self.entries.retain(|_, value| value.worth(now) > 0);
        let keep = self.capacity - self.capacity / 8;
        let surplus = self.entries.len().saturating_sub(keep);
        if surplus == 0 {
            return;
        }
        let mut worths: Vec<i64> = self.entries.values().map(|value| value.worth(now)).collect();
        let (_, threshold, _) = worths.select_nth_unstable(surplus - 1);
        let threshold = *threshold;
        // Of those that are worth the same, no more than must.
        let mut surplus = surplus;
        self.entries.retain(|_, value| {
            let goes = surplus > 0 && value.worth(now) <= threshold;
            surplus -= usize::from(goes);
            !goes
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Worth(i64);

    impl Fades for Worth {
        fn worth(&self, _: Timestamp) -> i64 {
            self.0
        }
    }

    #[test]
    fn a_flood_forgets_its_own_entries_and_not_those_of_worth() {
        let now = Timestamp::from_millis(0);
        let mut map = Bounded::new(80);
        for key in 0..10 {
            map.entry(key, now, || Worth(1_000));
        }
        for key in 10..10_000 {
            map.entry(key, now, || Worth(1 + key % 7));
            assert!(map.len() <= 80);
        }
        assert!((0..10).all(|key| map.get_mut(&key).is_some()));
        for key in 10_000..10_100 {
            map.entry(key, now, || Worth(5_000));
        }
        assert!(map.len() <= 80 && map.get_mut(&10_099).is_some());
    }

    #[test]
    fn a_map_is_used_to_its_bound_and_then_only_the_least_worth_goes() {
        let now = Timestamp::from_millis(0);
        let full = |worth: fn(i64) -> i64| {
            let mut map = Bounded::new(80);
            for key in 0..80 {
                map.entry(key, now, || Worth(worth(key)));
            }
            map.entry(7, now, || Worth(0));
            assert_eq!(map.len(), 80);
            map.entry(80, now, || Worth(1_000));
            assert_eq!(map.len(), 71);
            map
        };
        full(|_| 5);
        let mut map = full(|key| 100 - key);
        assert!((0..70).all(|key| map.get_mut(&key).is_some()));
        assert!((70..80).all(|key| map.get_mut(&key).is_none()) && map.get_mut(&80).is_some());
    }

    #[test]
    fn what_is_worth_nothing_goes_at_once_when_room_is_needed() {
        let now = Timestamp::from_millis(0);
        let mut map = Bounded::new(8);
        for key in 0..8 {
            map.entry(key, now, || Worth(key - 4));
        }
        map.entry(8, now, || Worth(9));
        assert_eq!(map.len(), 4);
        map.remove(&8);
        assert!(map.get_mut(&8).is_none() && map.get_mut(&7).is_some());
    }
}
