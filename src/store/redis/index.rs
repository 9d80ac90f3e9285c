//! The list of everybody's sessions in Redis, for administrators to look through.
//!
//! It is no part of what a request is judged by, so it stands in keys of its own, in shards that are
//! spread over a cluster. A shard has a hash of session id to what is in order by it (`Entry`) and a
//! sorted set whose members all have one score, so that Redis sorts them as texts: `t` and the
//! moment a session began, or its address and that moment, then its id.
//!
//! A sign-in adds to it beside the script that opens the session, a sign-out takes away afterwards.
//! What was missed is repaired: an entry without a live session goes when a survey meets it, and
//! one refresh in eight adds the session's entry again.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use futures::future::{join_all, try_join_all};
use ipnet::IpNet;
use redis::Script;

use super::{RedisStore, from_json, millis};
use crate::account::Account;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::id::{AccountId, SessionId};
use crate::session::Session;
use crate::session::store::Live;
use crate::session::survey::{Place, Stretch, Survey};
use crate::store::record::Record;

/// How many shards there are. Another number would lose what is in them until it is added again.
pub(super) const SHARDS: u8 = 16;
/// How often a survey goes on where it met sessions that have ended.
const ROUNDS: usize = 8;
/// How old an entry without a session must be to be taken out: a younger one may belong to a
/// sign-in that is under way.
const SETTLED: Duration = Duration::from_secs(60);

macro_rules! script {
    ($name:ident, $($file:literal),+) => {
        static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(concat!($(include_str!($file)),+)));
    };
}

script!(ADD, "index.lua", "add.lua");
script!(FORGET, "index.lua", "forget.lua");
script!(SURVEY, "survey.lua");
script!(PEEK, "peek.lua");

static OWNER: LazyLock<Script> =
    LazyLock::new(|| Script::new("return redis.call('HGET', KEYS[1], ARGV[1])"));

static COUNT: LazyLock<Script> =
    LazyLock::new(|| Script::new("return redis.call('HLEN', KEYS[1])"));

/// What is in a shard's sorted set of a session, as a survey reads it.
struct Found {
    member: String,
    place: Place,
    account: AccountId,
}

/// What Redis tells of an account and some of its sessions: epoch, copy, records.
type Peek = (Option<i64>, Option<Vec<u8>>, Vec<Option<Vec<u8>>>);

impl RedisStore {
    /// Puts a session on the list. It is there already, or is about to be.
    pub(super) async fn add_to_index(&self, session: &Session, now: Timestamp) -> Result<()> {
        let mut call = ADD.prepare_invoke();
        self.shard_keys(shard_of(&session.id)).iter().for_each(|key| {
            call.key(key);
        });
        let place = Place::of(session);
        let life = session.absolute_expires_at.since(session.created_at);
        call.arg(session.id.as_str())
            .arg(format!(
                "{}{}{}",
                session.account,
                age(place.created_at),
                address(place.ip.stored())
            ))
            .arg(millis(life))
            .arg(now.as_millis());
        self.pool.run(&call, true).await
    }

    /// Takes sessions off the list, without anybody waiting for it: who looks at one that has
    /// ended sees that it has.
    pub(super) fn forget_in_index(&self, sessions: Vec<SessionId>) {
        let store = self.clone();
        tokio::spawn(async move {
            let mut shards: HashMap<u8, Vec<SessionId>> = HashMap::new();
            for session in sessions {
                shards.entry(shard_of(&session)).or_default().push(session);
            }
            let calls = shards.iter().map(|(shard, sessions)| async {
                let mut call = FORGET.prepare_invoke();
                for key in store.shard_keys(*shard) {
                    call.key(key);
                }
                sessions.iter().for_each(|session| {
                    call.arg(session.as_str());
                });
                store.pool.run::<()>(&call, true).await
            });
            // What stays is met by the next survey.
            join_all(calls).await;
        });
    }

    /// See `SessionStore::owner`.
    pub(super) async fn owner_in_index(&self, session: &SessionId) -> Result<Option<AccountId>> {
        let mut call = OWNER.prepare_invoke();
        let [entries, ..] = self.shard_keys(shard_of(session));
        call.key(entries).arg(session.as_str());
        let entry: Option<String> = self.pool.run(&call, true).await?;
        Ok(entry.and_then(|entry| AccountId::parse(entry.get(..22)?)))
    }

    /// See `SessionStore::count`.
    pub(super) async fn count_in_index(&self) -> Result<u64> {
        let counts = (0..SHARDS).map(|shard| async move {
            let mut call = COUNT.prepare_invoke();
            let [entries, ..] = self.shard_keys(shard);
            call.key(entries);
            self.pool.run::<u64>(&call, true).await
        });
        Ok(try_join_all(counts).await?.into_iter().sum())
    }

    /// See `SessionStore::survey`.
    pub(super) async fn survey_index(&self, survey: &Survey, now: Timestamp) -> Result<Stretch> {
        let mut stretch = Stretch { live: Vec::new(), next: None };
        let mut after = survey.after.clone();
        for _ in 0..ROUNDS {
            // One more than there is room for shows whether there are more.
            let wanted = survey.limit + 1 - stretch.live.len();
            let (found, more) = self.entries(survey.network, after.as_ref(), wanted).await?;
            let judged = self.judge_all(&found, now).await?;
            let mut ended = Vec::new();
            for (entry, live) in found.iter().zip(judged) {
                match live {
                    Some(_) if stretch.live.len() == survey.limit => {
                        stretch.next = stretch.live.last().map(|live| Place::of(&live.session));
                        self.forget_in_index(ended);
                        return Ok(stretch);
                    }
                    Some(live) => stretch.live.push(live),
                    None if now.since(entry.place.created_at) > SETTLED => {
                        ended.push(entry.place.session.clone());
                    }
                    None => {}
                }
            }
            if !ended.is_empty() {
                self.forget_in_index(ended);
            }
            if !more {
                return Ok(Stretch { next: None, ..stretch });
            }
            after = found.last().map(|entry| entry.place.clone()).or(after);
            stretch.next.clone_from(&after);
        }
        Ok(stretch)
    }

    /// At most so many entries behind a place, the highest first; whether there are more.
    async fn entries(
        &self,
        network: Option<IpNet>,
        after: Option<&Place>,
        wanted: usize,
    ) -> Result<(Vec<Found>, bool)> {
        let (first, last) = bounds(network, after);
        // Chance spreads the sessions: rarely has a shard more than its share and a few.
        let each = wanted / usize::from(SHARDS) * 2 + 8;
        let asked = (0..SHARDS).map(|shard| {
            let mut call = SURVEY.prepare_invoke();
            for key in self.shard_keys(shard) {
                call.key(key);
            }
            call.arg(&first).arg(&last).arg(each);
            async move { self.pool.run::<Vec<(String, String)>>(&call, true).await }
        });
        let shards = try_join_all(asked).await?;
        // Where a shard has more, nothing is known of it behind the last that it gave.
        let full = shards.iter().filter(|shard| shard.len() == each);
        let known = full.filter_map(|shard| shard.last()).map(|last| last.0.clone()).max();
        let mut found: Vec<Found> = shards
            .into_iter()
            .flatten()
            .filter(|(member, _)| known.as_ref().is_none_or(|known| member >= known))
            .filter_map(|(member, entry)| read(member, &entry))
            .collect();
        found.sort_by(|a, b| b.member.cmp(&a.member));
        let more = known.is_some() || found.len() > wanted;
        found.truncate(wanted);
        Ok((found, more))
    }

    /// Which of these sessions live, one script for each account.
    async fn judge_all(&self, found: &[Found], now: Timestamp) -> Result<Vec<Option<Live>>> {
        let mut accounts: HashMap<&AccountId, Vec<usize>> = HashMap::new();
        for (position, entry) in found.iter().enumerate() {
            accounts.entry(&entry.account).or_default().push(position);
        }
        let asked = accounts.into_iter().map(|(account, positions)| async move {
            let mut call = self.on(&PEEK, account);
            for entry in positions.iter().filter_map(|position| found.get(*position)) {
                call.arg(entry.place.session.as_str());
            }
            let peek: Peek = self.pool.run(&call, true).await?;
            Ok::<_, crate::error::Error>((positions, peek))
        });
        let mut judged: Vec<Option<Live>> = found.iter().map(|_| None).collect();
        for (positions, (epoch, copy, records)) in try_join_all(asked).await? {
            let (Some(epoch), Some(copy)) = (epoch, copy) else { continue };
            let account: Arc<Account> = Arc::new(from_json::<Account>(&copy)?);
            for (position, record) in positions.into_iter().zip(records) {
                let Some(record) = record else { continue };
                let record: Record = from_json(&record)?;
                if let Some(slot) = judged.get_mut(position).filter(|_| record.is_live(epoch, now))
                {
                    *slot = Some(Live {
                        session: Arc::new(record.session),
                        account: Arc::clone(&account),
                    });
                }
            }
        }
        Ok(judged)
    }

    /// The keys of a shard: entries, members, and the longest life of a session in it.
    fn shard_keys(&self, shard: u8) -> [String; 3] {
        ["entries", "order", "longest"]
            .map(|kind| format!("{}:{{index-{shard:02}}}:{kind}", self.prefix))
    }
}

/// The shard that a session is in. The last character of an identifier has but two random bits.
fn shard_of(session: &SessionId) -> u8 {
    session.as_str().bytes().take(8).fold(0, |sum: u8, byte| sum.wrapping_mul(31) ^ byte) % SHARDS
}

/// A moment as a text that sorts as it does.
fn age(at: Timestamp) -> String {
    format!("{:012x}", at.as_millis().max(0))
}

/// An address as a text that sorts as it does, IPv4 before IPv6.
fn address(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(v4) => format!("4{:08x}", v4.to_bits()),
        IpAddr::V6(v6) => format!("6{:032x}", v6.to_bits()),
    }
}

/// The range of members behind a place, the upper end first, as `ZREVRANGEBYLEX` takes them.
fn bounds(network: Option<IpNet>, after: Option<&Place>) -> (String, String) {
    let member = |place: &Place| match network {
        Some(_) => {
            format!("({}{}{}", address(place.ip.stored()), age(place.created_at), place.session)
        }
        None => format!("(t{}{}", age(place.created_at), place.session),
    };
    // A tilde stands behind every character of a member.
    match network {
        Some(network) => (
            after.map_or_else(|| format!("({}~", address(network.broadcast())), member),
            format!("[{}", address(network.network())),
        ),
        None => (after.map_or_else(|| "(t~".to_owned(), member), "[t".to_owned()),
    }
}

/// Reads a member and its entry; `None` for what we never wrote.
fn read(member: String, entry: &str) -> Option<Found> {
    let created_at = i64::from_str_radix(entry.get(22..34)?, 16).ok()?;
    let ip = match entry.get(34..)?.split_at_checked(1)? {
        ("4", bits) => IpAddr::V4(u32::from_str_radix(bits, 16).ok()?.into()),
        ("6", bits) => IpAddr::V6(u128::from_str_radix(bits, 16).ok()?.into()),
        _ => return None,
    };
    let session = SessionId::parse(member.get(member.len().checked_sub(22)?..)?)?;
    let account = AccountId::parse(entry.get(..22)?)?;
    let place = Place { ip: ip.into(), created_at: Timestamp::from_millis(created_at), session };
    Some(Found { member, place, account })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_sort_as_what_they_stand_for() {
        let sorted = ["0.0.0.0", "9.255.255.255", "10.0.0.1", "::1", "2001:db8::", "ffff::"];
        let texts: Vec<String> = sorted.iter().map(|ip| address(ip.parse().unwrap())).collect();
        assert!(texts.is_sorted(), "{texts:?}");
        assert!(age(Timestamp::from_millis(999)) < age(Timestamp::from_millis(1_764_000_000_000)));
    }
}
