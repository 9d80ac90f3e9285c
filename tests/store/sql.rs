//! How the SQL backend behaves as a database: migrations, settings, many at once.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use doorward::account::store::{AccountStore, Creation};
use doorward::error::Error;
use doorward::id::SecretString;
use doorward::store::sql::{SqlPool, SqlStore};
use futures::future::join_all;
use rocket_db_pools::{Database as _, Pool};

use super::database::{Database, new_account, on_both_databases, open, sqlite_url};
use crate::support::{postgres, scratch_dir};

/// A database with nothing in it yet: its URL, and what keeps it.
async fn empty(engine: &str) -> (String, Option<tempfile::TempDir>) {
    match engine {
        "postgres" => (postgres::create_database().await, None),
        _ => {
            let directory = scratch_dir("sqlite");
            (sqlite_url(&directory.path().join("doorward.db")), Some(directory))
        }
    }
}

/// Asserts that a database is migrated and works.
async fn assert_works(url: &str) {
    let store = SqlStore::new(open(url).await);
    let created = store.create(&new_account("works@example.org")).await;
    assert!(matches!(created, Ok(Creation::Created(_))), "{created:?}");
}

#[rocket::async_test]
async fn a_connection_that_was_used_a_moment_ago_is_left_to_whoever_needs_it() {
    let database = Database::postgres().await;
    let pool = SqlPool::open(&SecretString::new(&*database.url), 2).await.unwrap();
    let store = SqlStore::new(pool.clone());
    let ada = new_account("ada@example.org");
    store.create(&ada).await.unwrap();
    assert!(store.candidate(&ada.email, "a device").await.unwrap().is_some());
    let held = pool.get().await.unwrap();
    assert_eq!((pool.connections().used, pool.connections().idle), (1, 0));
    let created = store.create(&new_account("bob@example.org")).await;
    assert!(matches!(created, Ok(Creation::Created(_))), "{created:?}");
    assert!(store.candidate(&ada.email, "a device").await.unwrap().is_some());
    drop(held);
    pool.finish().await;
    assert_eq!(pool.connections().used, 0);
}

on_both_databases! {
    async fn migrating_again_changes_nothing(database: Database) {
        database.account("ada@example.org").await;
        database.pool.migrate().await.unwrap();
        assert_eq!(database.store.count().await.unwrap(), 1);
        assert_eq!(database.number("SELECT COUNT(*) FROM role").await, 2);
    }

    async fn a_database_of_a_newer_release_is_left_as_it_is(database: Database) {
        let applied = "INSERT INTO _sqlx_migrations (version, description, success, checksum, \
                       execution_time) SELECT 9999, 'later', success, checksum, 0 \
                       FROM _sqlx_migrations WHERE version = 1";
        database.execute(applied).await;
        database.pool.migrate().await.unwrap();
        database.account("ada@example.org").await;
    }

    async fn sr_72_a_hundred_creations_at_once_all_answer(database: Database) {
        let attempts = (0..100).map(|n| {
            let store = database.store.clone();
            let new = new_account(&format!("user{n}@example.org"));
            rocket::tokio::spawn(async move { store.create(&new).await })
        });
        let mut created = 0;
        for attempt in join_all(attempts).await {
            match attempt.unwrap() {
                Ok(Creation::Created(_)) => created += 1,
                Err(Error::Unavailable(_)) => (),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(database.store.count().await.unwrap(), created);
        assert!(created > 0);
    }

    async fn an_operation_that_is_given_up_leaves_the_database_free(database: Database) {
        for n in 0..40_u64 {
            let new = new_account(&format!("user{n}@example.org"));
            let limit = Duration::from_micros(50 * n);
            let _ = rocket::tokio::time::timeout(limit, database.store.create(&new)).await;
        }
        database.account("ada@example.org").await;
    }

    async fn a_rocket_application_attaches_the_pool(database: Database) {
        #[derive(rocket_db_pools::Database)]
        #[database("accounts")]
        struct Accounts(SqlPool);

        let figment = rocket::Config::figment()
            .merge(("log_level", "off"))
            .merge(("databases.accounts.url", &database.url))
            .merge(("databases.accounts.pool_size", 2));
        let rocket = rocket::custom(figment).attach(Accounts::init()).ignite().await.unwrap();
        let pool: &SqlPool = Accounts::fetch(&rocket).unwrap();
        SqlStore::new(pool.clone()).ping().await.unwrap();
        // What Rocket says when a shutdown begins: requests that are being finished go on.
        Pool::close(pool).await;
        SqlStore::new(pool.clone()).ping().await.unwrap();
        pool.finish().await;
        assert!(Pool::get(pool).await.is_err());
    }
}

async fn migrations_at_the_same_time(engine: &str) {
    let (url, _directory) = empty(engine).await;
    let pools = join_all((0..6).map(|_| open(&url))).await;
    let runs =
        pools.into_iter().map(|pool| rocket::tokio::spawn(async move { pool.migrate().await }));
    for run in join_all(runs).await {
        run.unwrap().expect("migrated");
    }
    assert_works(&url).await;
}

#[rocket::async_test]
async fn processes_that_start_at_once_can_all_migrate_sqlite() {
    migrations_at_the_same_time("sqlite").await;
}

#[rocket::async_test]
async fn processes_that_start_at_once_can_all_migrate_postgres() {
    migrations_at_the_same_time("postgres").await;
}

async fn an_interrupted_migration(engine: &str) {
    for step in 0..12 {
        let (url, _directory) = empty(engine).await;
        let pool = open(&url).await;
        let limit = Duration::from_millis(4 * step);
        let _ = rocket::tokio::time::timeout(limit, pool.migrate()).await;
        drop(pool);
        open(&url).await.migrate().await.expect("migrated");
        assert_works(&url).await;
    }
}

#[rocket::async_test]
async fn sr_73_an_interrupted_migration_of_sqlite_is_taken_up_again() {
    an_interrupted_migration("sqlite").await;
}

#[rocket::async_test]
async fn sr_73_an_interrupted_migration_of_postgres_is_taken_up_again() {
    an_interrupted_migration("postgres").await;
}

#[rocket::async_test]
async fn a_url_that_cannot_be_used_is_refused_without_being_shown() {
    for url in [
        "",
        "mysql://user:hunter2@localhost/db",
        "postgres://user:hunter2@local host/db",
        "sqlite::memory:",
        "sqlite://hunter2?mode=memory",
        "sqlite://hunter2?mode=hunter2",
    ] {
        let error = SqlPool::open(&SecretString::new(url), 1).await.expect_err(url);
        assert!(matches!(error, Error::Internal(_)), "{error:?}");
        assert!(!format!("{error:?} {error}").contains("hunter2"), "{error:?}");
    }
}

#[rocket::async_test]
async fn sr_73_sqlite_is_a_private_file_that_survives_a_loss_of_power() {
    let directory = scratch_dir("sqlite");
    let file = directory.path().join("new/deep/door ward.db");
    let pool = open(&sqlite_url(&file)).await;
    pool.migrate().await.unwrap();
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(file.clone()), 0o600);
    assert_eq!(mode(file.with_extension("db-wal")), 0o600);
    assert_eq!(mode(directory.path().join("new/deep")), 0o700);
    assert_eq!(mode(directory.path().join("new")), 0o700);

    let mut connection = pool.get().await.unwrap();
    let connection = connection.as_sqlite().unwrap();
    let journal: String =
        sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut *connection).await.unwrap();
    assert_eq!(journal, "wal");
    for (pragma, expected) in
        [("PRAGMA synchronous", 2), ("PRAGMA foreign_keys", 1), ("PRAGMA busy_timeout", 5000)]
    {
        let value: i64 = sqlx::query_scalar(pragma).fetch_one(&mut *connection).await.unwrap();
        assert_eq!(value, expected, "{pragma}");
    }
}

#[rocket::async_test]
async fn the_command_line_and_the_server_take_turns_in_writing() {
    let database = Database::sqlite().await;
    let pools = join_all((0..4).map(|_| open(&database.url))).await;
    let writers = pools.into_iter().enumerate().map(|(writer, pool)| {
        rocket::tokio::spawn(async move {
            let store = SqlStore::new(pool);
            for n in 0..10 {
                let new = new_account(&format!("user{writer}-{n}@example.org"));
                let created = store.create(&new).await;
                assert!(matches!(created, Ok(Creation::Created(_))), "{created:?}");
            }
        })
    });
    for writer in join_all(writers).await {
        writer.unwrap();
    }
    assert_eq!(database.store.count().await.unwrap(), 40);
}

#[rocket::async_test]
async fn postgres_knows_who_asks_and_when_to_stop() {
    let database = Database::postgres().await;
    let mut connection = database.pool.get().await.unwrap();
    let connection = connection.as_postgres().unwrap();
    for (setting, expected) in [
        ("SHOW application_name", "doorward"),
        ("SHOW statement_timeout", "4s"),
        ("SHOW idle_in_transaction_session_timeout", "10s"),
    ] {
        let value: String = sqlx::query_scalar(setting).fetch_one(&mut *connection).await.unwrap();
        assert_eq!(value, expected, "{setting}");
    }
}
