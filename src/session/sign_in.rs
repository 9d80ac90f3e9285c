//! How a session begins: by signing in, by registering, by setting up; and anew by a new password.

use super::admission;
use super::device::Device;
use super::judge::in_session;
use super::store::{Live, Opened, Opening, Pair};
use super::{Client, Issued, Presented, Session, Sessions};
use crate::account::{Account, LoggedIn, Status};
use crate::audit::{Entry, Kind};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::SecretString;
use crate::metric;
use crate::token::access::AccessJti;
use crate::token::refresh::RefreshJti;

/// How often an account may change while its owner signs in.
const MAX_CHANGES_DURING_SIGN_IN: usize = 8;

/// What a person says to get an account.
pub struct Registration<'a> {
    /// The e-mail address, as it was typed.
    pub email: &'a str,
    /// The password.
    pub password: SecretString,
    /// The name to show; may be empty.
    pub display_name: &'a str,
}

/// Somebody who has just proved who they are.
struct Arrival {
    account: Account,
    /// What they are on, in words.
    device: String,
    /// Whether the account is known to have been seen on it.
    device_known: bool,
}

impl Arrival {
    /// Of the owner of a new account.
    fn first(account: Account, client: &Client) -> Self {
        Self { account, device: device_of(client), device_known: false }
    }
}

fn device_of(client: &Client) -> String {
    Device::from_user_agent(&client.user_agent).name
}

impl Sessions {
    /// Signs a person in: a new session with new tokens, and an end to the one that was presented
    /// along with the request (SR-25).
    ///
    /// # Errors
    /// As [`Accounts::authenticate`]; [`Error::Throttled`], whatever the password (SR-22, SR-23).
    pub async fn log_in(
        &self,
        email: &str,
        password: SecretString,
        remember: bool,
        client: Client,
        presented: &Presented,
    ) -> Result<Issued> {
        let signed_in = self.try_log_in(email, password, remember, client, presented).await;
        signed_in.inspect_err(|error| {
            self.logins.count(match error {
                Error::InvalidCredentials => metric::Login::Refused,
                Error::Throttled(_) => metric::Login::Throttled,
                _ => metric::Login::Failed,
            });
        })
    }

    async fn try_log_in(
        &self,
        email: &str,
        password: SecretString,
        remember: bool,
        client: Client,
        presented: &Presented,
    ) -> Result<Issued> {
        let attempt = match self.admit(email, &client, presented).await {
            Ok(attempt) => attempt,
            Err(error) => return Err(self.not_admitted(error).await),
        };
        let requester = admission::requester(&attempt, email, &client);
        let device = device_of(&client);
        let proof = self.accounts.authenticate(email, password, requester, &device).await;
        let LoggedIn { account, device_known } = match proof {
            Ok(logged_in) => logged_in,
            Err(error) => {
                if !matches!(error, Error::InvalidCredentials) {
                    attempt.not_made().await;
                }
                return Err(error);
            }
        };
        let failures = attempt.failures_before();
        attempt.succeeded().await?;
        let account = self.tell_of_failures(account, failures).await;
        let arrival = Arrival { account, device, device_known };
        let issued = self.open(arrival, remember, client, presented).await?;
        let id = &issued.account.id;
        let event = Entry::of(Kind::LoginSuccess).about(id).by(id.as_str());
        self.audit.record(event.from(issued.session.ip)).await;
        Ok(issued)
    }

    /// Registers a person and signs them in.
    ///
    /// # Errors
    /// As [`Accounts::register`]; [`Error::Throttled`].
    pub async fn register(
        &self,
        registration: Registration<'_>,
        client: Client,
        presented: &Presented,
    ) -> Result<Issued> {
        let Registration { email, password, display_name } = registration;
        self.admit_registration(&client).await?;
        let requester = admission::stranger(email, &client);
        let account = self.accounts.register(email, password, display_name, requester).await?;
        self.open(Arrival::first(account, &client), false, client, presented).await
    }

    /// Makes the first administrator, for whoever holds the set-up token, and signs them in.
    ///
    /// # Errors
    /// As [`Accounts::set_up`]; [`Error::Throttled`], counted with registrations.
    pub async fn set_up(
        &self,
        token: &SecretString,
        registration: Registration<'_>,
        client: Client,
        presented: &Presented,
    ) -> Result<Issued> {
        let Registration { email, password, display_name } = registration;
        self.admit_registration(&client).await?;
        let requester = admission::stranger(email, &client);
        let account = self.accounts.set_up(token, email, password, display_name, requester).await?;
        self.open(Arrival::first(account, &client), false, client, presented).await
    }

    /// Lets a visitor make an account that has a session at once.
    async fn admit_registration(&self, client: &Client) -> Result<()> {
        if !self.limits().count_registrations() {
            self.require_store().await?;
        }
        self.limits().register(client.ip, &client.gauge).await
    }

    /// Changes the password of whoever is signed in: every other session ends, and this one gets
    /// new tokens.
    ///
    /// # Errors
    /// As [`Accounts::change_password`].
    pub async fn change_password(
        &self,
        live: &Live,
        current: SecretString,
        new: SecretString,
        client: &Client,
    ) -> Result<Issued> {
        let live_in = in_session(live, client);
        let changed = self.accounts.change_password(live_in, current, new).await;
        let account = self.heed(live, changed).await?;
        self.reissue(&live.session, account).await
    }

    /// Deletes the account of whoever is signed in, who confirms it with the password.
    ///
    /// # Errors
    /// As [`Accounts::delete_own`](crate::account::Accounts::delete_own).
    pub async fn delete_account(
        &self,
        live: &Live,
        password: SecretString,
        client: &Client,
    ) -> Result<()> {
        let deleted = self.accounts.delete_own(in_session(live, client), password).await;
        self.heed(live, deleted).await
    }

    /// Opens a session for an account whose owner has just proved who they are.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`] if the account was changed so that this no longer counts.
    async fn open(
        &self,
        arrival: Arrival,
        remember: bool,
        client: Client,
        presented: &Presented,
    ) -> Result<Issued> {
        let Arrival { mut account, device, device_known } = arrival;
        let now = self.clock.now();
        let session = Session::begin(
            &account,
            remember,
            client,
            &self.lifetimes,
            self.access_lifetime(),
            now,
            &*self.random,
        );
        if !device_known {
            account = self.accounts.meet(account, &device, &session.id).await;
        }
        let mut issued = self.establish(session, account, Opening::New, now).await?;
        issued.device = Some(self.device_token(&issued.account, presented));
        let (id, session) = (&issued.account.id, &issued.session);
        let event = Entry::of(Kind::SessionCreated).about(id).by(id.as_str()).from(session.ip);
        self.audit.record(event.detail(format!("session {} on {device}", session.id))).await;
        self.log_out(presented).await?;
        self.logins.count(metric::Login::Good);
        Ok(issued)
    }

    /// Gives a session a new pair of tokens under the account's present epoch: after a change of
    /// the password, which ends every other session.
    ///
    /// # Errors
    /// [`Error::SessionEnded`] if it ended meanwhile.
    async fn reissue(&self, session: &Session, account: Account) -> Result<Issued> {
        let now = self.clock.now();
        let session = session.renewed(&account, self.access_lifetime(), now);
        let mut issued = self.establish(session, account, Opening::Renewal, now).await?;
        // The one this browser had is void with the password that it was issued for.
        issued.device = Some(self.device_token(&issued.account, &Presented::default()));
        Ok(issued)
    }

    /// Writes a session with a fresh pair of tokens, and signs them. If the account is changed
    /// while that goes on, what it was is not enough: it is read again.
    async fn establish(
        &self,
        mut session: Session,
        mut account: Account,
        opening: Opening,
        now: Timestamp,
    ) -> Result<Issued> {
        let (refresh, access) =
            (RefreshJti::random(&*self.random), AccessJti::random(&*self.random));
        let pair = Pair { access: access.digest(), refresh: refresh.digest() };
        for _ in 0..MAX_CHANGES_DURING_SIGN_IN {
            match self.store.open(&session, &pair, &account, opening, now).await? {
                Opened::Done => return self.sign(session, account, (&access, &refresh), None),
                Opened::Gone => return Err(Error::SessionEnded),
                Opened::AccountChanged => {
                    let read_again = self.accounts.current(&account.id).await?;
                    // A raised epoch: the password was changed, or all sessions were ended.
                    account = read_again
                        .filter(|a| a.status == Status::Active && a.session_epoch == session.epoch)
                        .ok_or(Error::InvalidCredentials)?;
                    session.epoch = account.session_epoch;
                }
            }
        }
        // Nobody changes an account that often: SQL was restored to before what the store knows.
        Err(Error::unavailable("the session store knows a newer account than the database"))
    }
}
