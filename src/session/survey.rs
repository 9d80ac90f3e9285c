//! Everybody's sessions: found by person and by address, a stretch at a time.

use std::cmp::Reverse;
use std::sync::Arc;

use ipnet::IpNet;

use super::store::Live;
use super::{Session, Sessions};
use crate::account::Account;
use crate::address::ClientAddress;
use crate::clock::Timestamp;
use crate::cursor;
use crate::error::{Error, Result};
use crate::id::{AccountId, SessionId, base64url, from_base64url};

/// Which live sessions of all accounts a store is to look for.
#[derive(Clone, Debug)]
pub struct Survey {
    /// Only those that began from an address of this network.
    pub network: Option<IpNet>,
    /// Go on after the session of this place.
    pub after: Option<Place>,
    /// At most this many.
    pub limit: usize,
}

/// Where a session stands among all of them. Neither part ever changes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The address it began from. Counts only where a network is looked through.
    pub ip: ClientAddress,
    /// When it began.
    pub created_at: Timestamp,
    /// Which one it is.
    pub session: SessionId,
}

impl Place {
    /// The place of a session.
    pub fn of(session: &Session) -> Self {
        Self { ip: session.ip, created_at: session.created_at, session: session.id.clone() }
    }

    fn write(&self) -> String {
        let ip = self.ip.stored();
        base64url(format!("{} {} {ip}", self.created_at.as_millis(), self.session))
    }

    fn read(cursor: &str) -> Option<Self> {
        let text = String::from_utf8(from_base64url(cursor)?).ok()?;
        let mut parts = text.splitn(3, ' ');
        Some(Self {
            created_at: Timestamp::from_millis(parts.next()?.parse().ok()?),
            session: SessionId::parse(parts.next()?)?,
            ip: parts.next()?.parse().ok()?,
        })
    }
}

/// A part of the live sessions, in order of their places, the highest first.
#[derive(Debug)]
pub struct Stretch {
    /// The sessions, with their accounts as last published.
    pub live: Vec<Live>,
    /// Where to go on. There may turn out to be nothing more.
    pub next: Option<Place>,
}

/// Whose sessions are looked for.
#[derive(Clone, Debug)]
pub enum Whose {
    /// Everybody's.
    Everybody,
    /// Those of one account.
    One(Box<Account>),
    /// Of somebody who does not exist.
    Nobody,
}

/// Which sessions an administrator looks for.
#[derive(Clone, Debug)]
pub struct SessionFilter {
    /// Whose.
    pub whose: Whose,
    /// From where.
    pub network: Option<IpNet>,
}

impl SessionFilter {
    /// Whether it says anything at all.
    pub fn is_narrow(&self) -> bool {
        self.network.is_some() || !matches!(self.whose, Whose::Everybody)
    }

    fn lets_through(&self, session: &Session) -> bool {
        self.network.is_none_or(|network| network.contains(&session.ip.stored()))
    }

    fn order(&self, session: &Session) -> Reverse<(Option<ClientAddress>, Timestamp, SessionId)> {
        let place = Place::of(session);
        Reverse((self.network.map(|_| place.ip), place.created_at, place.session))
    }
}

/// A page of sessions, and where the next one begins.
#[derive(Debug)]
pub struct SessionPage {
    /// The sessions, with their accounts as last published.
    pub items: Vec<Live>,
    /// The `cursor` of the next page, if there is one.
    pub next_cursor: Option<String>,
}

/// Reads an address or a network: `203.0.113.7`, `203.0.113.0/24`, `2001:db8::/32`; or `unknown`.
pub fn network(text: &str) -> Option<IpNet> {
    let text = text.trim();
    let single = text.parse::<ClientAddress>().map(|address| IpNet::from(address.stored()));
    single.ok().or_else(|| text.parse::<IpNet>().ok()).map(|network| network.trunc())
}

impl Sessions {
    /// What an administrator asks for: `user` is an identifier or an e-mail address, `ip` an
    /// address or a network; an empty text asks for nothing.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an `ip` that is neither: as no filter it would mean everybody.
    pub async fn filter(&self, user: &str, ip: &str) -> Result<SessionFilter> {
        let wrong = || {
            let message = "Enter an address, a network such as 203.0.113.0/24, or: unknown.";
            Error::field("ip", "invalid_address", message)
        };
        let network = match ip.trim() {
            "" => None,
            text => Some(network(text).ok_or_else(wrong)?),
        };
        let found = match user.trim() {
            "" => return Ok(SessionFilter { whose: Whose::Everybody, network }),
            text => match AccountId::parse(text) {
                Some(id) => self.accounts.get(&id).await,
                None => self.accounts.find(text).await,
            },
        };
        let whose = match found {
            Ok(account) => Whose::One(Box::new(account)),
            Err(Error::NotFound | Error::Invalid(_)) => Whose::Nobody,
            Err(error) => return Err(error),
        };
        Ok(SessionFilter { whose, network })
    }

    /// A page of live sessions: the latest first, or, within a network, by address. `cursor` is the
    /// `next_cursor` of the page before. A page can be short, or even empty, and still have a next
    /// one: behind many sessions that have ended unseen.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a `cursor` that is none of ours.
    pub async fn survey(
        &self,
        filter: &SessionFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<SessionPage> {
        let read = |text| Place::read(text).ok_or_else(cursor::unknown);
        let after = cursor.map(read).transpose()?;
        let stretch = self.stretch(filter, after, limit).await?;
        let next_cursor = stretch.next.map(|place| place.write());
        Ok(SessionPage { items: stretch.live, next_cursor })
    }

    pub(super) async fn stretch(
        &self,
        filter: &SessionFilter,
        after: Option<Place>,
        limit: usize,
    ) -> Result<Stretch> {
        match &filter.whose {
            Whose::Nobody => Ok(Stretch { live: Vec::new(), next: None }),
            Whose::Everybody => {
                let survey = Survey { network: filter.network, after, limit };
                self.store.survey(&survey, self.clock.now()).await
            }
            Whose::One(account) => {
                let mut sessions = self.store.list(&account.id, self.clock.now()).await?;
                sessions.retain(|session| filter.lets_through(session));
                sessions.sort_by_key(|session| filter.order(session));
                if let Some(after) = after {
                    let ip = filter.network.map(|_| after.ip);
                    let after = Reverse((ip, after.created_at, after.session));
                    sessions.retain(|session| filter.order(session) > after);
                }
                let more = sessions.len() > limit;
                sessions.truncate(limit);
                let next = sessions.last().filter(|_| more).map(Place::of);
                let live = |session| Live {
                    session: Arc::new(session),
                    account: Arc::new(Account::clone(account)),
                };
                Ok(Stretch { live: sessions.into_iter().map(live).collect(), next })
            }
        }
    }

    /// How many sessions are alive, by and large: those that ran out a while ago may still count.
    pub async fn count(&self) -> Result<u64> {
        self.store.count().await
    }

    /// Looks through a part of all sessions, so that the store finds and forgets those that have
    /// ended by themselves; says where to go on.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn sweep(&self, after: Option<Place>) -> Result<Option<Place>> {
        let survey = Survey { network: None, after, limit: 200 };
        Ok(self.store.survey(&survey, self.clock.now()).await?.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks_are_read_and_nothing_else() {
        let read = |text| network(text).map(|network| network.to_string());
        assert_eq!(read(" 203.0.113.7 ").as_deref(), Some("203.0.113.7/32"));
        assert_eq!(read("203.0.113.77/24").as_deref(), Some("203.0.113.0/24"));
        assert_eq!(read("::ffff:192.0.2.1").as_deref(), Some("192.0.2.1/32"));
        assert_eq!(read("2001:db8::1/32").as_deref(), Some("2001:db8::/32"));
        assert_eq!(read("unknown").as_deref(), Some("0.0.0.0/32"));
        for other in ["", "203.0.113", "203.0.113.7/33", "example.org", "*"] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn a_place_reads_back() {
        let session = SessionId::random(&crate::id::Os);
        let created_at = Timestamp::from_millis(1_764_000_000_123);
        for ip in ["2001:db8::7", "unknown"] {
            let ip = ip.parse().unwrap();
            let place = Place { ip, created_at, session: session.clone() };
            assert_eq!(Place::read(&place.write()), Some(place));
        }
        assert_eq!(Place::read("bWFkZSB1cA"), None);
    }
}
