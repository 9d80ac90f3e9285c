//! Servers that start at once on an empty database, and one that is killed while it migrates.

use doorward::id::Os;
use doorward::token::key::{MasterSecret, SigningKey};
use serde_json::json;
use sqlx::{AnyConnection, Connection as _, Executor as _};

use super::*;
use crate::person::Person;
use crate::support::binary::{Server, background, run};
use crate::support::{START_LIMIT, postgres, redis, scratch_dir, wait_until};

/// A table of one of the later migrations: when it is made, others were.
const IN_THE_MIDDLE: &str = "audit_event";

/// Settings of replicas on this database.
struct Settings(Vec<(&'static str, String)>);

impl Settings {
    fn on(database: &str) -> Self {
        let pem = SigningKey::generate_pem().expect("a key");
        let mut all: Vec<_> = LIMITS.map(|(name, _)| (name, "off".to_owned())).into();
        all.extend([
            ("DOORWARD_DATABASE_URL", database.to_owned()),
            ("DOORWARD_STORE_URL", redis::server().database()),
            ("DOORWARD_PUBLIC_URL", "http://localhost:8000".to_owned()),
            ("DOORWARD_KEYS_SIGNING", pem.expose().to_owned()),
            ("DOORWARD_KEYS_SECRET", MasterSecret::generate_base64(&Os).expose().to_owned()),
        ]);
        Self(all)
    }

    fn pairs(&self) -> Vec<(&str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_str())).collect()
    }

    /// Starts so many servers at the same moment.
    fn start(&self, count: usize) -> Vec<Server> {
        let pairs = self.pairs();
        std::thread::scope(|scope| {
            let starts: Vec<_> =
                (0..count).map(|_| scope.spawn(|| Server::start(&pairs))).collect();
            starts.into_iter().map(|start| start.join().expect("it comes up")).collect()
        })
    }
}

async fn connect(url: &str) -> AnyConnection {
    sqlx::any::install_default_drivers();
    AnyConnection::connect(url).await.expect("the database")
}

async fn count(db: &mut AnyConnection, what: &str) -> i64 {
    let count = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM {what}")));
    count.fetch_one(db).await.expect("a number")
}

/// Fails unless every migration was made once, and the servers work with each other.
async fn work_together(servers: &[Server], url: &str) {
    let files = std::fs::read_dir("migrations").expect("the migrations").count();
    let mut db = connect(url).await;
    let made = count(&mut db, "_sqlx_migrations").await;
    assert_eq!(usize::try_from(made), Ok(files));
    assert_eq!(count(&mut db, "_sqlx_migrations WHERE NOT success").await, 0);
    assert_eq!(count(&mut db, "signing_key").await, 1, "one of them added the key");
    let body = json!({ "email": "ada@example.org", "password": PASSWORD });
    let mut ada = Person::at(servers[0].port());
    let answer = ada.call("POST", "/api/v1/auth/register", body).expect("an answer");
    assert_eq!(answer.status, 201, "{}", answer.text());
    for server in servers {
        assert!(ada.clone().moved(server.port()).is_signed_in());
    }
}

#[rocket::async_test]
async fn replicas_that_start_at_once_migrate_once() {
    let database = postgres::create_database().await;
    work_together(&Settings::on(&database).start(3), &database).await;
    let directory = scratch_dir("migrate");
    let database = format!("sqlite://{}/doorward.db", directory.path().display());
    work_together(&Settings::on(&database).start(2), &database).await;
}

#[rocket::async_test]
async fn kill_9_while_migrating_on_postgresql_is_made_up_for() {
    let database = postgres::create_database().await;
    let settings = Settings::on(&database);
    let mut blocker = connect(&database).await;
    let block = format!("BEGIN; CREATE TABLE {IN_THE_MIDDLE} (id TEXT)");
    blocker.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(block))).await.expect("a table");
    let mut watcher = connect(&database).await;
    let mut waiting = async |how_many: i64, what: &str| {
        let waiting = "pg_stat_activity \
             WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let begun = Instant::now();
        while count(&mut watcher, waiting).await < how_many {
            assert!(begun.elapsed() < START_LIMIT, "{what}");
            rocket::tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let (_directory, mut killed, _) = background(&["migrate"], &settings.pairs());
    waiting(1, "it does not wait for the table").await;
    let starting = {
        let settings = Settings(settings.0.clone());
        std::thread::spawn(move || settings.start(2))
    };
    waiting(3, "the others do not wait for the first").await;
    killed.kill();
    blocker.execute("ROLLBACK").await.expect("the table is gone");
    let join = rocket::tokio::task::spawn_blocking(move || starting.join().expect("they come up"));
    let servers = join.await.expect("they come up");
    work_together(&servers, &database).await;
}

#[rocket::async_test]
async fn kill_9_while_migrating_on_sqlite_leaves_nothing_half_done() {
    let rounds = 12;
    let mut cut_short = 0;
    for round in 0..rounds {
        let directory = scratch_dir("migrate");
        let file = directory.path().join("doorward.db");
        let database = format!("sqlite://{}", file.display());
        let settings = Settings::on(&database);
        let (_directory, mut killed, _) = background(&["migrate"], &settings.pairs());
        // The file is there: it has begun.
        assert!(wait_until(START_LIMIT, || file.exists()));
        std::thread::sleep(Duration::from_millis(round));
        killed.kill();
        let mut db = connect(&database).await;
        let tables = count(&mut db, "sqlite_master WHERE type = 'table'").await;
        let migrations = count(&mut db, "sqlite_master WHERE name = '_sqlx_migrations'").await;
        // All of it is one transaction: everything is there, or nothing is.
        assert!(tables == 0 || migrations == 1 && tables > 10, "round {round}: {tables}");
        cut_short += u32::from(tables == 0);
        db.close().await.expect("closed");
        let made = run(&["migrate"], "", &settings.pairs());
        assert_eq!(made.code, Some(0), "round {round}: {}", made.stderr);
        let mut db = connect(&database).await;
        let sound: String = sqlx::query_scalar("PRAGMA integrity_check")
            .fetch_one(&mut db)
            .await
            .expect("an answer");
        assert_eq!(sound, "ok", "round {round}");
    }
    println!("{cut_short} of {rounds} were killed before the end");
}
