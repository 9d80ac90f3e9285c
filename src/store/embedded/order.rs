//! All sessions of the embedded store in the two orders in which they are surveyed.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Bound;

use ipnet::IpNet;

use crate::address::ClientAddress;
use crate::clock::Timestamp;
use crate::id::{AccountId, SessionId};
use crate::session::Session;
use crate::session::survey::Place;

/// An address is ordered as it is stored. `None` stands before all sessions of one address and one moment.
type ByAddress = (IpAddr, Timestamp, Option<SessionId>);

/// Whose each session is, by age, and by address and age.
#[derive(Debug, Default)]
pub(super) struct Order {
    by_age: BTreeMap<(Timestamp, SessionId), AccountId>,
    by_address: BTreeMap<ByAddress, AccountId>,
}

impl Order {
    /// Puts a session where it belongs.
    pub fn insert(&mut self, session: &Session) {
        let Place { ip, created_at, session: id } = Place::of(session);
        self.by_age.insert((created_at, id.clone()), session.account.clone());
        self.by_address.insert((ip.stored(), created_at, Some(id)), session.account.clone());
    }

    /// Takes a session out.
    pub fn remove(&mut self, session: &Session) {
        let Place { ip, created_at, session: id } = Place::of(session);
        self.by_age.remove(&(created_at, id.clone()));
        self.by_address.remove(&(ip.stored(), created_at, Some(id)));
    }

    /// How many sessions there are.
    pub fn count(&self) -> u64 {
        self.by_age.len() as u64
    }

    /// The next sessions after the place `after`, the highest first, and whose they are.
    pub fn after(
        &self,
        network: Option<&IpNet>,
        after: Option<&Place>,
        limit: usize,
    ) -> Vec<(Place, AccountId)> {
        match network {
            Some(network) => self.within(network, after, limit),
            None => self.by_age(after, limit),
        }
    }

    fn by_age(&self, after: Option<&Place>, limit: usize) -> Vec<(Place, AccountId)> {
        let last = after.map(|place| (place.created_at, place.session.clone()));
        let last = last.map_or(Bound::Unbounded, Bound::Excluded);
        let range = self.by_age.range((Bound::Unbounded, last)).rev().take(limit);
        // The address does not count in this order.
        let ip = ClientAddress::UNKNOWN;
        let place = |(created_at, session): &(Timestamp, SessionId)| Place {
            ip,
            created_at: *created_at,
            session: session.clone(),
        };
        range.map(|(key, account)| (place(key), account.clone())).collect()
    }

    fn within(
        &self,
        network: &IpNet,
        after: Option<&Place>,
        limit: usize,
    ) -> Vec<(Place, AccountId)> {
        let first = (network.network(), Timestamp::from_millis(i64::MIN), None);
        let end = (network.broadcast(), Timestamp::from_millis(i64::MAX), None);
        let last = after.map_or(end, |place| {
            (place.ip.stored(), place.created_at, Some(place.session.clone()))
        });
        // A cursor of another network: a range that ends before it begins is none.
        if last < first {
            return Vec::new();
        }
        let range = self.by_address.range(first..last).rev().take(limit);
        let found = range.filter_map(|((ip, created_at, session), account)| {
            let place =
                Place { ip: (*ip).into(), created_at: *created_at, session: session.clone()? };
            Some((place, account.clone()))
        });
        found.collect()
    }
}
