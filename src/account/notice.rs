//! What the owner of an account has to be told, wherever they are signed in (SR-81).

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::store::Sighting;
use super::{Account, Accounts, done};
use crate::audit;
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::{AccountId, SessionId};

/// How many notices an account keeps; of more, the oldest are forgotten.
pub const MAX_NOTICES: usize = 10;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum NoticeKind {
    /// The password was changed.
    PasswordChanged,
    /// An administrator or the operator changed the e-mail address.
    EmailChanged,
    /// Somebody signed in on a device that was not seen before.
    NewDevice,
    /// A refresh token was used twice: it may have been stolen. The session was ended (SR-36).
    TokenReused,
    /// Somebody signed in after many failed attempts.
    LoginAfterFailures {
        /// How many attempts had failed.
        failures: u32,
    },
    /// Something that only a newer release knows, which works on the same database.
    #[serde(other)]
    Other,
}

/// Something that the owner of an account has not yet put away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What happened.
    #[serde(flatten)]
    pub kind: NoticeKind,
    /// When.
    pub at: Timestamp,
    /// From where, if it came over the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<IpAddr>,
    /// On which device, in words; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub device: String,
    /// The session that it came with. This one cannot put the notice away for the others: it may
    /// be a thief's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// Whether that session has put it away for itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub muted: bool,
}

impl Notice {
    /// Something that happened at `at`, by the work at hand.
    pub fn new(kind: NoticeKind, at: Timestamp) -> Self {
        let ip = audit::client_ip();
        Self { kind, at, ip, device: String::new(), session: None, muted: false }
    }

    /// Whether it is shown in this session.
    pub fn is_for(&self, session: &SessionId) -> bool {
        let own = self.session.as_ref() == Some(session);
        // Who did this in that session knows of it.
        let done_there = matches!(self.kind, NoticeKind::PasswordChanged | NoticeKind::NewDevice);
        !(own && (self.muted || done_there))
    }

    /// What is left of `notices` when `session` puts away all up to the moment `until`.
    pub fn dismiss(notices: Vec<Self>, session: &SessionId, until: Timestamp) -> Vec<Self> {
        let put_away = |mut notice: Self| {
            if notice.at > until {
                return Some(notice);
            }
            notice.muted = true;
            (notice.session.as_ref() == Some(session)).then_some(notice)
        };
        notices.into_iter().filter_map(put_away).collect()
    }

    /// `notices` and one more.
    pub fn add(mut notices: Vec<Self>, one: Self) -> Vec<Self> {
        notices.push(one);
        let surplus = notices.len().saturating_sub(MAX_NOTICES);
        notices.drain(..surplus);
        notices
    }
}

impl Accounts {
    /// Keeps a notice for the owner of an account, and shows it in their live sessions from the
    /// next request on.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Unavailable`].
    pub async fn notify(&self, id: &AccountId, notice: Notice) -> Result<Account> {
        let account = done(self.store.add_notice(id, notice).await?)?;
        self.standings.publish(&account, self.clock.now()).await?;
        Ok(account)
    }

    /// As [`Accounts::notify`], where what it tells of is done already and must not fail for it:
    /// `account` with the notice, or as it was. Whoever calls this publishes it.
    pub(crate) async fn try_notify(&self, account: Account, notice: Notice) -> Account {
        match self.store.add_notice(&account.id, notice).await.and_then(done) {
            Ok(told) => told,
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(cause, subject = %account.id, "a notice to an owner is lost");
                account
            }
        }
    }

    /// Notes a new device that a session begins on. If the account has been seen on others but never
    /// on this one, its owner is told. The account as it is afterwards; whoever calls this
    /// publishes it.
    pub(crate) async fn meet(
        &self,
        account: Account,
        device: &str,
        session: &SessionId,
    ) -> Account {
        let now = self.clock.now();
        match self.store.note_device(&account.id, device, now).await {
            Ok(Sighting::New) => {
                let notice = Notice {
                    device: device.to_owned(),
                    session: Some(session.clone()),
                    ..Notice::new(NoticeKind::NewDevice, now)
                };
                self.try_notify(account, notice).await
            }
            Ok(Sighting::First | Sighting::Known) => account,
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(cause, subject = %account.id, "a device could not be noted");
                account
            }
        }
    }

    /// Puts away the notices up to the moment `until`, on behalf of a session of their owner. Those
    /// that came with this very session are put away for it alone.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Unavailable`].
    pub async fn dismiss_notices(
        &self,
        id: &AccountId,
        session: &SessionId,
        until: Timestamp,
    ) -> Result<Account> {
        self.standings.ping().await?;
        let account = done(self.store.dismiss_notices(id, session, until).await?)?;
        self.standings.publish(&account, self.clock.now()).await?;
        Ok(account)
    }
}

/// Notices as they are kept: JSON.
///
/// # Errors
/// [`Error::Internal`] for a text that Doorward cannot have written.
pub fn read(text: &str) -> Result<Vec<Notice>> {
    serde_json::from_str(text).map_err(Error::internal)
}

/// Notices as they are kept: JSON.
///
/// # Errors
/// [`Error::Internal`], in theory.
pub fn write(notices: &[Notice]) -> Result<String> {
    serde_json::to_string(notices).map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Os;

    fn notice(secs: i64, session: Option<&SessionId>) -> Notice {
        let kind = NoticeKind::LoginAfterFailures { failures: 7 };
        Notice { session: session.cloned(), ..Notice::new(kind, Timestamp::from_secs(secs)) }
    }

    #[test]
    fn sr_81_a_thiefs_session_cannot_put_away_what_tells_of_it() {
        let (thief, owner) = (SessionId::random(&Os), SessionId::random(&Os));
        let kept = Notice::dismiss(vec![notice(1, Some(&thief))], &thief, Timestamp::from_secs(5));
        assert_eq!(kept.len(), 1);
        assert!(!kept[0].is_for(&thief) && kept[0].is_for(&owner));
        assert_eq!(Notice::dismiss(kept, &owner, Timestamp::from_secs(5)), []);
    }

    #[test]
    fn what_came_later_stays_and_no_more_than_ten_are_kept() {
        let owner = SessionId::random(&Os);
        let all = (0..15).fold(Vec::new(), |all, secs| Notice::add(all, notice(secs, None)));
        assert_eq!((all.len(), all[0].at), (MAX_NOTICES, Timestamp::from_secs(5)));
        let left = Notice::dismiss(all, &owner, Timestamp::from_secs(12));
        assert_eq!(left.len(), 2);
    }

    #[test]
    fn what_a_newer_release_tells_of_can_be_read() {
        let read = read(r#"[{"kind":"passkey_added","name":"phone","at":5}]"#).expect("a list");
        assert_eq!((read.len(), read[0].kind), (1, NoticeKind::Other));
    }

    #[test]
    fn notices_read_back() {
        let all = vec![notice(1, Some(&SessionId::random(&Os))), notice(2, None)];
        assert_eq!(read(&write(&all).unwrap()).unwrap(), all);
        assert_eq!(write(&[]).unwrap(), "[]");
    }
}
