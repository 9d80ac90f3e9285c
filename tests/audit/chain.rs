//! Nobody alters, removes or moves a row unnoticed (SR-80).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use doorward::audit::chain::{Chain, Row};
use doorward::audit::store::{
    Appended, AuditStore, Beginning, Count, EventFilter, Removal, Renewed,
};
use doorward::audit::verify::{Break, Checkpoint};
use doorward::audit::witness::{End, Seen};
use doorward::audit::{Audit, Entry, Event, Kind};
use doorward::clock::{Manual, Timestamp};
use doorward::error::{Error, Result};
use doorward::id::{Os, SecretString};
use doorward::metric::Registry;
use doorward::store::sql::SqlStore;
use doorward::token::key::MasterSecret;
use sqlx::{AssertSqlSafe, Executor};

use crate::app::START;
use crate::store::database::{Database, connect};

/// Runs statements as somebody who got at the database.
pub async fn sql(url: &str, statements: &str) {
    let mut connection = connect(url).await;
    connection.execute(sqlx::raw_sql(AssertSqlSafe(statements))).await.expect(statements);
}

/// Every row of every table, as text, with the table's name; of SQLite also its files as they are,
/// with what was in them before.
pub async fn sql_rows(url: &str) -> Vec<(String, String)> {
    let mut connection = connect(url).await;
    let postgres = url.starts_with("postgres");
    let tables = if postgres {
        "SELECT CAST(table_name AS TEXT) FROM information_schema.tables \
         WHERE table_schema = 'public'"
    } else {
        "SELECT name FROM sqlite_master WHERE type = 'table'"
    };
    let tables: Vec<String> =
        sqlx::query_scalar(tables).fetch_all(&mut connection).await.expect("the tables");
    let mut found = Vec::new();
    for table in tables {
        let row = if postgres {
            "CAST(t AS TEXT)".to_owned()
        } else {
            let columns = format!("SELECT name FROM pragma_table_info('{table}')");
            let columns: Vec<String> = sqlx::query_scalar(AssertSqlSafe(columns))
                .fetch_all(&mut connection)
                .await
                .expect("the columns");
            let texts = columns.iter().map(|name| {
                format!(
                    "CASE typeof(\"{name}\") WHEN 'blob' THEN hex(\"{name}\") \
                     ELSE COALESCE(\"{name}\", '') END"
                )
            });
            texts.collect::<Vec<_>>().join(" || ' ' || ")
        };
        let rows = format!("SELECT {row} FROM \"{table}\" t");
        let rows: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(rows)).fetch_all(&mut connection).await.expect("rows");
        found.extend(rows.into_iter().map(|row| (table.clone(), row)));
    }
    if let Some(path) = url.strip_prefix("sqlite://") {
        for path in [path.to_owned(), format!("{path}-wal")] {
            let bytes = std::fs::read(&path).unwrap_or_default();
            found.push((path, String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
    found
}

/// An audit trail with nothing around it.
pub struct Trail {
    pub database: Database,
    pub audit: Audit,
    secret: SecretString,
}

fn chain(secret: &SecretString) -> Chain {
    Chain::new(&MasterSecret::from_base64(secret).expect("a secret"))
}

fn start(store: Arc<dyn AuditStore>, secret: &SecretString) -> Audit {
    let (clock, random) = (Arc::new(Manual::at(START)), Arc::new(Os));
    Audit::start(store, chain(secret), clock, random, &Registry::default())
}

impl Trail {
    pub async fn of(database: Database, events: usize) -> Self {
        let trail = Self::unbegun(database);
        trail.audit.begin().await.expect("the store answers");
        trail.add(events).await;
        trail
    }

    /// One that has not begun.
    pub fn unbegun(database: Database) -> Self {
        let secret = MasterSecret::generate_base64(&Os);
        let audit = start(Arc::new(SqlStore::new(database.pool.clone())), &secret);
        Self { database, audit, secret }
    }

    /// Another server that starts on it.
    pub async fn another(&self) -> Audit {
        let store = Arc::new(SqlStore::new(self.database.pool.clone()));
        let audit = start(store, &self.secret);
        audit.begin().await.expect("the store answers");
        audit
    }

    pub async fn add(&self, events: usize) {
        self.write_by(&self.audit, events).await;
    }

    pub async fn write_by(&self, server: &Audit, events: usize) {
        for n in 0..events {
            let entry = Entry::of(Kind::UserUpdated).detail(format!("number {n}"));
            server.record(if n % 2 == 0 { entry.by("operator") } else { entry }).await;
        }
        assert!(server.flush(Duration::from_secs(20)).await);
    }

    pub async fn broken(&self) -> Option<Break> {
        self.audit.verify(None).await.expect("the store answers").broken
    }

    pub async fn sql(&self, statements: &str) {
        self.database.execute(statements).await;
    }
}

/// Runs a test on both databases.
macro_rules! on_both {
    ($($(#[$meta:meta])* async fn $name:ident($database:ident: Database) $body:block)*) => {$(
        mod $name {
            use super::*;

            async fn test($database: Database) $body

            #[rocket::async_test]
            async fn sqlite() {
                test(Database::sqlite().await).await;
            }

            #[rocket::async_test]
            async fn postgres() {
                test(Database::postgres().await).await;
            }
        }
    )*};
}

const ROWS: i64 = 9;

on_both! {
    async fn sr_80_verification_names_the_row(database: Database) {
        let trail = Trail::of(database, 9).await;
        assert_eq!(trail.broken().await, None);
        trail.sql("CREATE TABLE kept AS SELECT * FROM audit_event").await;
        let restore = "DELETE FROM audit_event; INSERT INTO audit_event SELECT * FROM kept";
        for seq in 1..=ROWS {
            for change in [
                "id = 'AAAAAAAAAAAAAAAAAAAAAA'", "at = at + 1", "kind = 'user_created'",
                "actor = 'someone'", "subject = ''", "ip = '192.0.2.1'", "result = 'failure'",
                "request_id = 'x'", "detail = NULL", "mac = 'x'",
            ] {
                trail.sql(&format!("UPDATE audit_event SET {change} WHERE seq = {seq}")).await;
                assert_eq!(trail.broken().await, Some(Break::Altered(seq)), "{change}");
                trail.sql(restore).await;
            }
            trail.sql(&format!("DELETE FROM audit_event WHERE seq = {seq}")).await;
            assert_eq!(trail.broken().await, Some(Break::Missing(seq)));
            trail.sql(restore).await;
            for other in seq + 1..=ROWS {
                trail.sql(&format!(
                    "UPDATE audit_event SET seq = -1 WHERE seq = {seq};\
                     UPDATE audit_event SET seq = {seq} WHERE seq = {other};\
                     UPDATE audit_event SET seq = {other} WHERE seq = -1"
                )).await;
                let moved = Break::Moved { at: seq, from: other };
                assert_eq!(trail.broken().await, Some(moved));
                trail.sql(restore).await;
            }
        }
        assert_eq!(trail.broken().await, None);
    }

    async fn sr_80_rows_cannot_be_cut_off_or_added_by_hand(database: Database) {
        let trail = Trail::of(database, 5).await;
        let checkpoint = trail.audit.verify(None).await.expect("it answers").checkpoint;
        let checkpoint = checkpoint.expect("there are rows");
        trail.sql(
            "CREATE TABLE kept AS SELECT * FROM audit_event;\
             CREATE TABLE kept_head AS SELECT * FROM audit_head",
        ).await;
        let restore = "DELETE FROM audit_event; INSERT INTO audit_event SELECT * FROM kept;\
             DELETE FROM audit_head; INSERT INTO audit_head SELECT * FROM kept_head";
        for (crime, found) in [
            ("DELETE FROM audit_event WHERE seq > 3", Break::Missing(4)),
            (
                "DELETE FROM audit_event WHERE seq > 3; UPDATE audit_head SET seq = 3, \
                 mac = (SELECT mac FROM audit_event WHERE seq = 3)",
                Break::Head,
            ),
            (
                "INSERT INTO audit_event (seq, id, at, kind, result, mac) \
                 VALUES (6, 'x', 0, 'user_created', 'success', 'x')",
                Break::Altered(6),
            ),
            (
                "INSERT INTO audit_event (seq, id, at, kind, result, mac) \
                 VALUES (-7, 'x', 0, 'user_created', 'success', 'x')",
                Break::Altered(-7),
            ),
            ("UPDATE audit_head SET seq = 0, mac = '', seal = ''", Break::Head),
            ("DELETE FROM audit_head", Break::Head),
        ] {
            trail.sql(crime).await;
            assert_eq!(trail.broken().await, Some(found), "{crime}");
            trail.sql(restore).await;
        }
        assert_eq!(trail.broken().await, None);

        // What comes afterwards is kept, and does not heal what was done before.
        trail.sql(
            "DELETE FROM audit_event WHERE seq > 3; UPDATE audit_head SET seq = 3, \
             mac = (SELECT mac FROM audit_event WHERE seq = 3)",
        ).await;
        trail.add(4).await;
        assert_eq!(trail.database.number("SELECT COUNT(*) FROM audit_event").await, 7);
        assert_eq!(trail.broken().await, Some(Break::Head));
        trail.sql("DELETE FROM audit_head").await;
        trail.add(1).await;
        assert_eq!(trail.database.number("SELECT COUNT(*) FROM audit_event").await, 8);
        assert_eq!(trail.broken().await, Some(Break::Head));

        trail.sql(restore).await;
        // A row in the way of the next one keeps nobody from recording.
        trail
            .sql(
                "INSERT INTO audit_event (seq, id, at, kind, result, mac) \
                 VALUES (6, 'x', 0, 'user_created', 'success', 'x')",
            )
            .await;
        trail.add(2).await;
        assert_eq!(trail.database.number("SELECT COUNT(*) FROM audit_event").await, 8);
        assert_eq!(trail.broken().await, Some(Break::Altered(6)));

        // All of it gone, as if there had never been anything.
        trail.sql("DELETE FROM audit_event; UPDATE audit_head SET seq = 0, mac = '', seal = ''").await;
        for known in [None, Some(&checkpoint)] {
            let verdict = trail.audit.verify(known).await.expect("it answers");
            assert_eq!(verdict.broken, Some(Break::Head));
        }
        trail.add(5).await;
        assert_eq!(trail.broken().await, Some(Break::Head));
    }

    async fn sr_80_another_key_makes_no_good_rows(database: Database) {
        let trail = Trail::of(database, 3).await;
        let store = Arc::new(SqlStore::new(trail.database.pool.clone()));
        let stranger = start(store, &MasterSecret::generate_base64(&Os));
        let verdict = stranger.verify(None).await.expect("it answers");
        assert_eq!(verdict.broken, Some(Break::Name));
        stranger.record(Entry::of(Kind::UserDeleted)).await;
        assert!(stranger.flush(Duration::from_secs(20)).await);
        assert_eq!(trail.broken().await, Some(Break::Altered(4)));
    }

    async fn sr_80_servers_add_to_one_chain_while_it_is_verified(database: Database) {
        const EACH: usize = 150;
        let secret = MasterSecret::generate_base64(&Os);
        let pool = || Arc::new(SqlStore::new(database.pool.clone()));
        let servers = [start(pool(), &secret), start(pool(), &secret), start(pool(), &secret)];
        let verify = async {
            for _ in 0..10 {
                let verdict = servers[0].verify(None).await.expect("it answers");
                assert_eq!(verdict.broken, None);
            }
        };
        let [a, b, c] = &servers;
        for server in &servers {
            server.begin().await.expect("it answers");
        }
        tokio::join!(write(a, EACH), write(b, EACH), write(c, EACH), verify);
        for server in &servers {
            assert!(server.flush(Duration::from_secs(20)).await);
        }
        let verdict = servers[0].verify(None).await.expect("it answers");
        assert_eq!((verdict.broken, verdict.good), (None, 3 * EACH as i64));
    }

    async fn sr_80_an_answer_that_got_lost_records_nothing_twice(database: Database) {
        let secret = MasterSecret::generate_base64(&Os);
        let store = SqlStore::new(database.pool.clone());
        let audit = start(Arc::new(Forgetful { store, lost: AtomicBool::new(false) }), &secret);
        audit.begin().await.expect("it answers");
        for _ in 0..3 {
            audit.record(Entry::of(Kind::Startup)).await;
        }
        assert!(audit.flush(Duration::from_secs(20)).await);
        assert_eq!(audit.alarm(), None);
        let verdict = audit.verify(None).await.expect("it answers");
        assert_eq!((verdict.broken, verdict.good), (None, 3));
    }
}

async fn write(server: &Audit, events: usize) {
    for _ in 0..events {
        server.record(Entry::of(Kind::LoginFail)).await;
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_checkpoint_reads_back() {
    let checkpoint = Checkpoint { seq: 12, mac: "Zm9v".into() };
    assert_eq!(Checkpoint::parse(&checkpoint.to_string()), Some(checkpoint));
    assert_eq!(Checkpoint::parse("12"), None);
}

/// A store whose first answer gets lost after its work is done.
struct Forgetful {
    store: SqlStore,
    lost: AtomicBool,
}

#[async_trait]
impl AuditStore for Forgetful {
    async fn begin(&self, chain: &Chain, id: &str) -> Result<Beginning> {
        self.store.begin(chain, id).await
    }

    async fn renew(&self, chain: &Chain, id: &str) -> Result<Renewed> {
        self.store.renew(chain, id).await
    }

    async fn append(
        &self,
        chain: &Chain,
        seen: Option<&Seen>,
        events: &[Event],
    ) -> Result<Appended> {
        let appended = self.store.append(chain, seen, events).await?;
        if self.lost.swap(true, Ordering::SeqCst) {
            Ok(appended)
        } else {
            Err(Error::unavailable("the line was cut"))
        }
    }

    async fn end(&self, seen: i64) -> Result<End> {
        self.store.end(seen).await
    }

    async fn has_accounts(&self) -> Result<bool> {
        self.store.has_accounts().await
    }

    async fn list(&self, filter: &EventFilter) -> Result<Vec<Row>> {
        self.store.list(filter).await
    }

    async fn tally(
        &self,
        kinds: &[Kind],
        from: Timestamp,
        to: Timestamp,
        span: Duration,
    ) -> Result<Vec<Count>> {
        self.store.tally(kinds, from, to, span).await
    }

    async fn rows_after(&self, seq: i64, limit: u32) -> Result<Vec<Row>> {
        self.store.rows_after(seq, limit).await
    }

    async fn remove(&self, chain: &Chain, before: Timestamp, limit: u32) -> Result<Removal> {
        self.store.remove(chain, before, limit).await
    }
}
