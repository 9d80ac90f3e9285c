//! An SQL database of a test's own, and accounts to put in it.

use std::path::Path;
use std::time::Duration;

use doorward::account::email::Email;
use doorward::account::password::PasswordHash;
use doorward::account::store::{AccountStore, Change, Creation, Credentials, NewAccount};
use doorward::account::{Account, Status};
use doorward::clock::Timestamp;
use doorward::id::{AccountId, Os, SecretString, SessionId};
use doorward::role::RoleName;
use doorward::store::sql::{SqlPool, SqlStore};
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Executor as _};
use tempfile::TempDir;

use crate::support::{postgres, scratch_dir};

/// When the tests take place.
pub const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// A minute.
pub const MINUTE: Duration = Duration::from_secs(60);

/// Connections of a test's pool.
pub const POOL_SIZE: u32 = 8;

/// A migrated database.
pub struct Database {
    pub url: String,
    pub pool: SqlPool,
    pub store: SqlStore,
    _directory: Option<TempDir>,
}

impl Database {
    /// A file of its own.
    pub async fn sqlite() -> Self {
        let directory = scratch_dir("sqlite");
        let url = sqlite_url(&directory.path().join("doorward.db"));
        Self::at(url, Some(directory)).await
    }

    /// A database of its own on the shared server.
    pub async fn postgres() -> Self {
        Self::at(postgres::create_database().await, None).await
    }

    async fn at(url: String, directory: Option<TempDir>) -> Self {
        let pool = open(&url).await;
        pool.migrate().await.expect("migrate");
        Self { url, store: SqlStore::new(pool.clone()), pool, _directory: directory }
    }

    /// Makes an account with the role `user`.
    pub async fn account(&self, email: &str) -> Account {
        self.created(new_account(email)).await
    }

    /// Makes an administrator.
    pub async fn admin(&self, email: &str) -> Account {
        let roles = vec![RoleName::admin(), RoleName::user()];
        self.created(NewAccount { roles, ..new_account(email) }).await
    }

    /// Makes an account that must not exist yet.
    pub async fn created(&self, new: NewAccount) -> Account {
        match self.store.create(&new).await.expect("create") {
            Creation::Created(account) => account,
            other => panic!("{other:?}"),
        }
    }

    /// The account as it is stored.
    pub async fn get(&self, id: &AccountId) -> Account {
        self.store.get(id).await.expect("get").expect("an account")
    }

    /// The account and its password hash, for a session of it that goes on.
    pub async fn credentials_of(&self, id: &AccountId) -> Option<Credentials> {
        let session = SessionId::random(&Os);
        self.store.credentials_in_session(id, &session).await.expect("the store answers")
    }

    /// Runs statements as somebody else who works with the database.
    pub async fn execute(&self, statements: &str) {
        let mut connection = connect(&self.url).await;
        let statements = sqlx::raw_sql(AssertSqlSafe(statements));
        connection.execute(statements).await.expect("run the statements");
    }

    /// The number that a statement gives.
    pub async fn number(&self, statement: &str) -> i64 {
        let query = sqlx::query_scalar(AssertSqlSafe(statement));
        query.fetch_one(&mut connect(&self.url).await).await.expect("a number")
    }

    /// How many administrators can sign in.
    pub async fn admins_who_can_sign_in(&self) -> i64 {
        self.number(
            "SELECT COUNT(*) FROM account_role r JOIN account a ON a.id = r.account_id \
             WHERE r.role = 'admin' AND a.status = 'active' \
             AND a.password_hash IS NOT NULL",
        )
        .await
    }
}

/// A pool that nothing has asked for a connection yet.
pub async fn open(url: &str) -> SqlPool {
    SqlPool::open(&SecretString::new(url), POOL_SIZE).await.expect("open the pool")
}

/// A connection of somebody else's.
pub async fn connect(url: &str) -> AnyConnection {
    sqlx::any::install_default_drivers();
    AnyConnection::connect(url).await.expect("connect to the database")
}

pub fn sqlite_url(file: &Path) -> String {
    format!("sqlite://{}", file.display())
}

pub fn email(text: &str) -> Email {
    Email::parse(text).expect("an address")
}

/// An account with the role `user` and the password hash [`hash`]`("first")`.
pub fn new_account(address: &str) -> NewAccount {
    NewAccount {
        id: AccountId::random(&Os),
        email: email(address),
        display_name: String::new(),
        password_hash: Some(hash("first")),
        must_change_password: false,
        roles: vec![RoleName::user()],
        created_at: NOW,
        last_login_at: None,
    }
}

/// What stands for the hash of a password.
pub fn hash(name: &str) -> PasswordHash {
    PasswordHash::from_stored(format!("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0${name}"))
}

/// The account after a change that was made.
pub fn done(change: doorward::error::Result<Change>) -> Account {
    match change.expect("an answer") {
        Change::Done(account) => account,
        other => panic!("{other:?}"),
    }
}

/// Asserts that `after` is `before` with the version raised, and the epoch raised by `epochs`.
pub fn assert_raised(before: &Account, after: &Account, epochs: i64) {
    assert!(after.version > before.version, "{} > {}", after.version, before.version);
    assert_eq!(after.session_epoch, before.session_epoch + epochs);
}

/// The account as it was, but for version and epoch: to compare what a change must not touch.
pub fn unversioned(account: &Account) -> Account {
    Account { version: 0, session_epoch: 0, ..account.clone() }
}

/// The account in another state.
pub fn with_status(account: &Account, status: Status) -> Account {
    Account { status, ..account.clone() }
}

/// Makes each test one for SQLite and one for PostgreSQL.
macro_rules! on_both_databases {
    ($(async fn $name:ident($database:ident: Database) $body:block)*) => {
        $(async fn $name($database: Database) $body)*

        mod on_sqlite {
            $(#[rocket::async_test]
            async fn $name() {
                super::$name(super::Database::sqlite().await).await;
            })*
        }

        mod on_postgres {
            $(#[rocket::async_test]
            async fn $name() {
                super::$name(super::Database::postgres().await).await;
            })*
        }
    };
}
pub(crate) use on_both_databases;
