//! Accounts in SQL: each method one transaction.

use async_trait::async_trait;

use super::change::{
    admin_can_sign_in, disable, enable, end_creation, end_guarded, insert, lock_admins,
    replace_roles, spend_setup_token, update,
};
use super::row::{self, select_account};
use super::statement::{SqlRow, Statement, query};
use super::{SqlStore, list, upkeep};
use crate::account::email::Email;
use crate::account::notice::Notice;
use crate::account::password::PasswordHash;
use crate::account::store::{
    AccountFilter, AccountStore, Candidate, Change, Creation, Credentials, Holders, NewAccount,
    Sighting,
};
use crate::account::{Account, Status};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::{AccountId, SessionId};
use crate::role::RoleName;

#[async_trait]
impl AccountStore for SqlStore {
    async fn create(&self, new: &NewAccount) -> Result<Creation> {
        self.in_time("account.create", async {
            let mut write = self.pool.write().await?;
            if new.roles.contains(&RoleName::admin()) {
                lock_admins(&mut write).await?;
            }
            let creation = insert(&mut write, new).await?;
            let creation = end_creation(write, creation).await?;
            self.read_again(creation).await
        })
        .await
    }

    async fn create_first_admin(&self, new: &NewAccount, setup_digest: &str) -> Result<Creation> {
        self.in_time("account.create_first_admin", async {
            let mut write = self.pool.write().await?;
            lock_admins(&mut write).await?;
            let refused = admin_can_sign_in(&mut write).await?
                || !spend_setup_token(&mut write, setup_digest, new.created_at).await?;
            let creation =
                if refused { Creation::SetupRefused } else { insert(&mut write, new).await? };
            let creation = end_creation(write, creation).await?;
            self.read_again(creation).await
        })
        .await
    }

    async fn add_setup_token(
        &self,
        digest: &str,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<()> {
        self.in_time("account.add_setup_token", async {
            let mut write = self.pool.write().await?;
            upkeep::forget(&mut write, upkeep::SETUP_TOKENS, now).await?;
            query("INSERT INTO setup_token (digest, expires_at) VALUES ($1, $2)")
                .bind(digest)
                .bind(expires_at.as_millis())
                .execute(&mut write)
                .await?;
            write.commit().await
        })
        .await
    }

    async fn setup_token_works(&self, digest: &str, now: Timestamp) -> Result<bool> {
        self.in_time("account.setup_token_works", async {
            let mut connection = self.pool.acquire().await?;
            let known = query("SELECT 1 FROM setup_token WHERE digest = $1 AND expires_at > $2")
                .bind(digest)
                .bind(now.as_millis())
                .fetch_optional(&mut connection)
                .await?;
            Ok(known.is_some() && !admin_can_sign_in(&mut connection).await?)
        })
        .await
    }

    async fn admin_can_sign_in(&self) -> Result<bool> {
        self.in_time("account.admin_can_sign_in", async {
            let mut connection = self.pool.acquire().await?;
            admin_can_sign_in(&mut connection).await
        })
        .await
    }

    async fn get(&self, id: &AccountId) -> Result<Option<Account>> {
        self.in_time("account.get", async {
            let mut connection = self.pool.acquire().await?;
            row::find(&mut connection, id).await
        })
        .await
    }

    async fn get_in_session(&self, id: &AccountId, session: &SessionId) -> Result<Option<Account>> {
        self.in_time("account.get_in_session", async {
            let account = query(select_account!(
                "WHERE a.id = $1 AND NOT EXISTS \
                 (SELECT 1 FROM ended_session e WHERE e.session_id = $2)"
            ));
            let account = account.bind(id.as_str()).bind(session.as_str());
            self.pool.read_one(account).await?.as_ref().map(row::account).transpose()
        })
        .await
    }

    async fn end_sessions(
        &self,
        sessions: &[SessionId],
        until: Timestamp,
        now: Timestamp,
    ) -> Result<()> {
        self.in_time("account.end_sessions", async {
            let mut write = self.pool.write().await?;
            upkeep::forget(&mut write, upkeep::ENDED_SESSIONS, now).await?;
            for session in sessions {
                query(
                    "INSERT INTO ended_session (session_id, until) VALUES ($1, $2) \
                     ON CONFLICT (session_id) DO NOTHING",
                )
                .bind(session.as_str())
                .bind(until.as_millis())
                .execute(&mut write)
                .await?;
            }
            write.commit().await
        })
        .await
    }

    async fn credentials(&self, email: &Email) -> Result<Option<Credentials>> {
        let by_email = query(select_account!(more: ", a.password_hash", "WHERE a.email_key = $1"))
            .bind(email.key());
        self.in_time("account.credentials", self.fetch_credentials(by_email)).await
    }

    async fn candidate(&self, email: &Email, device: &str) -> Result<Option<Candidate>> {
        let by_email = query(select_account!(
            more: ", a.password_hash, (SELECT COUNT(*) FROM account_device d \
             WHERE d.account_id = a.id AND d.device = $2) AS device_known",
            "WHERE a.email_key = $1"
        ));
        let by_email = by_email.bind(email.key()).bind(device);
        self.in_time("account.candidate", async {
            let Some(row) = self.pool.read_one(by_email).await? else { return Ok(None) };
            let device_known = row.try_get::<i64, _>("device_known")? > 0;
            Ok(Some(Candidate { credentials: credentials(&row)?, device_known }))
        })
        .await
    }

    async fn credentials_in_session(
        &self,
        id: &AccountId,
        session: &SessionId,
    ) -> Result<Option<Credentials>> {
        let by_id = query(select_account!(
            more: ", a.password_hash",
            "WHERE a.id = $1 AND NOT EXISTS \
             (SELECT 1 FROM ended_session e WHERE e.session_id = $2)"
        ));
        let by_id = by_id.bind(id.as_str()).bind(session.as_str());
        self.in_time("account.credentials_in_session", self.fetch_credentials(by_id)).await
    }

    async fn record_login(
        &self,
        account: &Account,
        verified: &PasswordHash,
        rehashed: Option<&PasswordHash>,
        now: Timestamp,
    ) -> Result<Option<Account>> {
        let login = Login { id: &account.id, verified, rehashed, now };
        // Nearly always nobody has changed the account while the password was being hashed: then it
        // is known how it is now, and one statement does it, without a transaction around it.
        let unchanged = login.statement(concat!(login_statement!(), " AND version = $6"));
        let unchanged = unchanged.bind(account.version);
        let alone = self.in_time("account.record_login", self.pool.write_alone(unchanged));
        if alone.await? == 1 {
            let (version, last_login_at) = (account.version + 1, Some(now));
            return Ok(Some(Account { version, last_login_at, ..account.clone() }));
        }
        let again = login.statement(login_statement!());
        Ok(match self.change(&account.id, again).await? {
            Change::Done(account) => Some(account),
            _ => None,
        })
    }

    async fn set_display_name(&self, id: &AccountId, display_name: &str) -> Result<Change> {
        self.in_time("account.set_display_name", self.rename(id, display_name)).await
    }

    async fn set_email(&self, id: &AccountId, email: &Email) -> Result<Change> {
        self.in_time("account.set_email", self.readdress(id, email)).await
    }

    async fn set_password(
        &self,
        id: &AccountId,
        hash: &PasswordHash,
        must_change: bool,
    ) -> Result<Change> {
        let replace = query(
            "UPDATE account SET password_hash = $1, must_change_password = $3, \
             version = version + 1, session_epoch = session_epoch + 1 WHERE id = $2",
        )
        .bind(hash.expose())
        .bind(id.as_str())
        .bind(i64::from(must_change));
        self.change(id, replace).await
    }

    async fn set_status(&self, id: &AccountId, status: Status) -> Result<Change> {
        self.in_time("account.set_status", async {
            let mut write = self.pool.write().await?;
            lock_admins(&mut write).await?;
            let guarded = admin_can_sign_in(&mut write).await?;
            let change = match status {
                Status::Active => update(&mut write, id, enable(id)).await?,
                Status::Disabled => update(&mut write, id, disable(id)).await?,
            };
            end_guarded(write, guarded, change).await
        })
        .await
    }

    async fn set_roles(&self, id: &AccountId, roles: &[RoleName]) -> Result<Change> {
        self.in_time("account.set_roles", async {
            let mut write = self.pool.write().await?;
            lock_admins(&mut write).await?;
            let guarded = admin_can_sign_in(&mut write).await?;
            let change = replace_roles(&mut write, id, roles).await?;
            let change = end_guarded(write, guarded, change).await?;
            if !matches!(change, Change::Done(_)) {
                return Ok(change);
            }
            // What a role grants may have been changed by somebody who did not see this one yet.
            let mut connection = self.pool.acquire().await?;
            Ok(row::find(&mut connection, id).await?.map_or(change, Change::Done))
        })
        .await
    }

    async fn touch_holders(
        &self,
        role: &RoleName,
        after: Option<&AccountId>,
        limit: u32,
    ) -> Result<Holders> {
        self.in_time("account.touch_holders", self.touch(role, after, limit)).await
    }

    async fn take_role(&self, role: &RoleName, limit: u32) -> Result<Vec<Account>> {
        self.in_time("account.take_role", self.take(role, limit)).await
    }

    async fn raise_session_epoch(&self, id: &AccountId) -> Result<Change> {
        let raise = query(
            "UPDATE account SET version = version + 1, session_epoch = session_epoch + 1 \
             WHERE id = $1",
        )
        .bind(id.as_str());
        self.change(id, raise).await
    }

    async fn add_notice(&self, id: &AccountId, notice: Notice) -> Result<Change> {
        self.change_notices(id, |notices| Notice::add(notices, notice)).await
    }

    async fn dismiss_notices(
        &self,
        id: &AccountId,
        session: &SessionId,
        until: Timestamp,
    ) -> Result<Change> {
        self.change_notices(id, |notices| Notice::dismiss(notices, session, until)).await
    }

    async fn note_device(&self, id: &AccountId, device: &str, now: Timestamp) -> Result<Sighting> {
        self.see_device(id, device, now).await
    }

    async fn delete(&self, id: &AccountId) -> Result<Change> {
        self.in_time("account.delete", async {
            let mut write = self.pool.write().await?;
            lock_admins(&mut write).await?;
            let guarded = admin_can_sign_in(&mut write).await?;
            // Changed first, so that nobody changes it between being read and being deleted.
            let change = update(&mut write, id, disable(id)).await?;
            query("DELETE FROM account WHERE id = $1")
                .bind(id.as_str())
                .execute(&mut write)
                .await?;
            end_guarded(write, guarded, change).await
        })
        .await
    }

    async fn list(&self, filter: &AccountFilter) -> Result<Vec<Account>> {
        self.in_time("account.list", list::list(self, filter)).await
    }

    async fn reach(&self, filter: &AccountFilter) -> Result<Option<(Timestamp, AccountId)>> {
        self.in_time("account.reach", list::reach(self, filter)).await
    }

    async fn index_names(&self, limit: u32) -> Result<u32> {
        self.in_time("account.index_names", self.index_stale(limit)).await
    }

    async fn sweep(&self, now: Timestamp) -> Result<()> {
        self.forget_what_is_over(now).await
    }

    async fn supersede(&self, after: Option<&AccountId>, limit: u32) -> Result<Vec<Account>> {
        self.raise_all(after, limit).await
    }

    async fn count(&self) -> Result<u64> {
        self.in_time("account.count", async {
            let row = self.pool.fetch_one(query("SELECT COUNT(*) FROM account"));
            u64::try_from(row.await?.try_get::<i64, _>(0)?).map_err(Error::internal)
        })
        .await
    }

    async fn ping(&self) -> Result<()> {
        let answer = self.in_time("account.ping", async {
            self.pool.fetch_one(query("SELECT 1")).await?;
            Ok(())
        });
        self.pool.health().note_probe(answer.await)
    }
}

impl SqlStore {
    /// A change that is one statement about the account `id`.
    async fn change(&self, id: &AccountId, statement: Statement) -> Result<Change> {
        self.in_time("account.change", async {
            let mut write = self.pool.write().await?;
            let change = update(&mut write, id, statement).await?;
            write.end(matches!(change, Change::Done(_))).await?;
            Ok(change)
        })
        .await
    }

    /// The new account as it is after it was committed: whoever changed what its roles grant at the
    /// same time did not see it.
    async fn read_again(&self, creation: Creation) -> Result<Creation> {
        let Creation::Created(account) = creation else { return Ok(creation) };
        let mut connection = self.pool.acquire().await?;
        let found = row::find(&mut connection, &account.id).await?;
        Ok(Creation::Created(found.unwrap_or(account)))
    }

    async fn fetch_credentials(&self, query: Statement) -> Result<Option<Credentials>> {
        self.pool.read_one(query).await?.as_ref().map(credentials).transpose()
    }
}

/// The statement that notes a [`Login`].
macro_rules! login_statement {
    () => {
        "UPDATE account SET last_login_at = $1, password_hash = $2, version = version + 1 \
         WHERE id = $3 AND password_hash = $4 AND status = $5"
    };
}
use login_statement;

/// A sign-in that is to be noted.
struct Login<'a> {
    id: &'a AccountId,
    verified: &'a PasswordHash,
    rehashed: Option<&'a PasswordHash>,
    now: Timestamp,
}

impl Login<'_> {
    fn statement(&self, text: &'static str) -> Statement {
        query(text)
            .bind(self.now.as_millis())
            .bind(self.rehashed.unwrap_or(self.verified).expose())
            .bind(self.id.as_str())
            .bind(self.verified.expose())
            .bind(Status::Active.as_str())
    }
}

fn credentials(row: &SqlRow) -> Result<Credentials> {
    let hash: Option<String> = row.try_get("password_hash")?;
    Ok(Credentials {
        account: row::account(row)?,
        password_hash: hash.map(PasswordHash::from_stored),
    })
}
