//! What the embedded store alone promises: that it outlives its process, and who may share its file.

use std::path::PathBuf;
use std::sync::Arc;

use doorward::account::store::Standings;
use doorward::clock::Manual;
use doorward::error::Error;
use doorward::session::store::SessionStore;
use doorward::store::embedded::{Embedded, Role};
use rocket::tokio;
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;

use super::bench::{Bench, GRACE, IDLE, hours, minutes, seconds, start, word};
use crate::support;

/// A database file that stores come to and go from.
struct Disk {
    directory: TempDir,
    clock: Manual,
}

impl Disk {
    fn new() -> Self {
        Self { directory: support::scratch_dir("embedded"), clock: start() }
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("doorward.db")
    }

    async fn open(&self, role: Role) -> Arc<Embedded> {
        let clock = Arc::new(self.clock.clone());
        let store = Embedded::open(&self.file(), role, clock).await;
        Arc::new(store.expect("open the embedded store"))
    }

    async fn bench(&self, role: Role) -> (Arc<Embedded>, Bench) {
        let store = self.open(role).await;
        (store.clone(), Bench::on(store, self.clock.clone()))
    }

    /// Drops the server's store without closing it, as if the process had been killed, and gives
    /// the benches on the next one.
    async fn after_crash<const N: usize>(&self, benches: [Bench; N]) -> [Bench; N] {
        let parts = benches.map(|bench| (bench.account, bench.succession));
        let store = self.open(Role::Server).await;
        parts.map(|(account, succession)| {
            let bench = Bench::on(store.clone(), self.clock.clone());
            Bench { account, succession, ..bench }
        })
    }

    async fn database(&self) -> SqliteConnection {
        let address = format!("sqlite://{}", self.file().display());
        SqliteConnection::connect(&address).await.expect("open the database")
    }
}

/// The same bench on another store.
fn moved(bench: &Bench, store: Arc<Embedded>) -> Bench {
    Bench { store, ..bench.clone() }
}

#[rocket::async_test]
async fn what_was_acknowledged_outlives_a_crash_and_what_ended_stays_ended() {
    let disk = Disk::new();
    let (store, mut bench) = disk.bench(Role::Server).await;
    let (kept, kept_tokens) = bench.open().await;
    let (rotated, old) = bench.open().await;
    let (rotated, new) = bench.refresh(&rotated, &old).await;
    let (ended, ended_tokens) = bench.open().await;
    bench.store.end(&ended.account, &ended.id).await.unwrap();
    bench.change(false);
    bench.store.publish(&bench.account, bench.now()).await.unwrap();
    let mut other = bench.clone();
    other.account = super::bench::account(bench.now());
    let (revoked, revoked_tokens) = other.open().await;
    other.change(true);
    other.store.revoke(&other.account, None, other.now()).await.unwrap();
    let before = bench.list().await;
    drop(store);
    let [bench, other] = disk.after_crash([bench, other]).await;

    assert_eq!(bench.list().await, before);
    assert_eq!(*bench.verify(&kept, &kept_tokens).await.unwrap().account, bench.account);
    assert!(bench.verify(&rotated, &new).await.is_some());
    assert!(bench.verify(&rotated, &old).await.is_none());
    assert_eq!(word(&bench.rotate(&rotated, &old).await), "repeated");
    assert!(bench.verify(&ended, &ended_tokens).await.is_none());
    assert!(other.verify(&revoked, &revoked_tokens).await.is_none());
    assert_eq!(word(&bench.rotate(&ended, &ended_tokens).await), "unknown");
}

#[rocket::async_test]
async fn closing_writes_what_requests_have_marked() {
    let disk = Disk::new();
    let (store, bench) = disk.bench(Role::Server).await;
    let (session, tokens) = bench.open().await;
    let (session, next) = bench.refresh(&session, &tokens).await;
    bench.later(minutes(2));
    assert!(bench.verify(&session, &next).await.is_some());
    store.close().await;
    assert!(matches!(
        bench.store.end(&session.account, &session.id).await,
        Err(Error::Unavailable(_))
    ));

    let bench = moved(&bench, disk.open(Role::Server).await);
    assert_eq!(bench.list().await[0].last_seen_at, bench.now());
    // It knows that the successor was used.
    assert_eq!(word(&bench.rotate(&session, &tokens).await), "reused");
}

#[rocket::async_test]
async fn marks_are_on_disk_a_moment_after_the_request_that_left_them() {
    let disk = Disk::new();
    let (_store, bench) = disk.bench(Role::Server).await;
    let (session, tokens) = bench.open().await;
    assert!(bench.verify(&session, &tokens).await.is_some());
    let mut database = disk.database().await;
    let deadline = tokio::time::Instant::now() + seconds(5);
    loop {
        let used: i64 = sqlx::query_scalar("SELECT record ->> '$.used' FROM embedded_session")
            .fetch_one(&mut database)
            .await
            .expect("the row");
        if used == 1 {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "never written");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[rocket::async_test]
async fn a_second_server_is_refused_and_a_later_one_is_not() {
    let disk = Disk::new();
    let store = disk.open(Role::Server).await;
    let clock = Arc::new(disk.clock.clone());
    match Embedded::open(&disk.file(), Role::Server, clock).await {
        Err(Error::Conflict(reason)) => assert!(reason.contains("another server"), "{reason}"),
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("opened twice"),
    }
    store.close().await;
    disk.open(Role::Server).await.ping().await.unwrap();
}

#[rocket::async_test]
async fn a_guest_works_alone_and_the_next_server_finds_it_so() {
    let disk = Disk::new();
    let (_guest, mut bench) = disk.bench(Role::Guest).await;
    let (session, tokens) = bench.open().await;
    let (gone, _) = bench.open().await;
    assert!(bench.store.end(&gone.account, &gone.id).await.unwrap());
    bench.change(false);
    bench.store.publish(&bench.account, bench.now()).await.unwrap();
    bench.store.ping().await.unwrap();
    assert_eq!(bench.list().await, std::slice::from_ref(&session));
    let bench = moved(&bench, disk.open(Role::Server).await);
    assert_eq!(bench.list().await, std::slice::from_ref(&session));
    assert_eq!(*bench.verify(&session, &tokens).await.unwrap().account, bench.account);
}

#[rocket::async_test]
async fn what_a_guest_changes_holds_in_the_server_when_the_guest_returns() {
    let disk = Disk::new();
    let (_server, mut bench) = disk.bench(Role::Server).await;
    let mut guest = moved(&bench, disk.open(Role::Guest).await);
    for _ in 0..5 {
        let (session, tokens) = bench.open().await;
        let (other, others) = bench.open().await;
        assert!(guest.store.end(&session.account, &session.id).await.unwrap());
        assert!(bench.verify(&session, &tokens).await.is_none());
        assert!(bench.verify(&other, &others).await.is_some());
        // The row that a guest deleted is not brought back by what the server knew.
        assert_eq!(word(&bench.rotate(&session, &tokens).await), "unknown");
        guest.change(true);
        assert_eq!(guest.store.revoke(&guest.account, None, guest.now()).await.unwrap(), 1);
        assert!(bench.verify(&other, &others).await.is_none());
        assert!(bench.list().await.is_empty());
        bench.account = guest.account.clone();
    }
}

#[rocket::async_test]
async fn a_refresh_and_a_guest_that_race_never_revive_a_session() {
    let disk = Disk::new();
    let (_server, bench) = disk.bench(Role::Server).await;
    let guest = moved(&bench, disk.open(Role::Guest).await);
    for _ in 0..20 {
        let (session, tokens) = bench.open().await;
        let next = bench.after(&session, &tokens);
        let (rotation, ended) = tokio::join!(
            bench.rotate(&session, &tokens),
            guest.store.end(&session.account, &session.id)
        );
        assert!(["rotated", "unknown"].contains(&word(&rotation)));
        assert!(ended.unwrap());
        assert!(bench.verify(&session, &next).await.is_none());
        assert!(guest.list().await.is_empty());
    }
}

#[rocket::async_test]
async fn a_guest_leaves_the_servers_marks_alone() {
    let disk = Disk::new();
    let (_server, bench) = disk.bench(Role::Server).await;
    let guest = moved(&bench, disk.open(Role::Guest).await);
    let (session, tokens) = bench.open().await;
    let (session, next) = bench.refresh(&session, &tokens).await;
    let (other, _) = bench.open().await;
    assert!(bench.verify(&session, &next).await.is_some());
    guest.store.end(&other.account, &other.id).await.unwrap();
    bench.later(GRACE + seconds(1));
    assert_eq!(word(&bench.rotate(&session, &tokens).await), "reused");
}

#[rocket::async_test]
async fn a_locked_database_makes_changes_unavailable_and_judges_on() {
    let disk = Disk::new();
    let (_server, bench) = disk.bench(Role::Server).await;
    let (session, tokens) = bench.open().await;
    let (other, others) = bench.open().await;
    let mut database = disk.database().await;
    sqlx::query("BEGIN EXCLUSIVE").execute(&mut database).await.expect("lock");
    let asked = std::time::Instant::now();
    let ended = bench.store.end(&session.account, &session.id).await;
    assert!(matches!(ended, Err(Error::Unavailable(_))), "{ended:?}");
    assert!(asked.elapsed() < seconds(5), "{:?}", asked.elapsed());
    assert!(bench.verify(&session, &tokens).await.is_some());
    sqlx::query("ROLLBACK").execute(&mut database).await.expect("unlock");
    bench.refresh(&other, &others).await;
}

#[rocket::async_test]
async fn a_row_that_cannot_be_read_is_a_session_that_ended() {
    let disk = Disk::new();
    let (store, bench) = disk.bench(Role::Server).await;
    let (broken, broken_tokens) = bench.open().await;
    let (session, tokens) = bench.open().await;
    store.close().await;
    let mut database = disk.database().await;
    sqlx::query("UPDATE embedded_session SET record = '{}' WHERE session_id = ?")
        .bind(broken.id.as_str())
        .execute(&mut database)
        .await
        .expect("break a row");
    let bench = moved(&bench, disk.open(Role::Server).await);
    assert!(bench.verify(&broken, &broken_tokens).await.is_none());
    assert!(bench.verify(&session, &tokens).await.is_some());
}

#[rocket::async_test]
async fn what_ended_long_ago_is_swept_from_the_file() {
    let disk = Disk::new();
    let (store, bench) = disk.bench(Role::Server).await;
    bench.open().await;
    bench.later(IDLE + hours(2));
    store.close().await;
    let _store = disk.open(Role::Server).await;
    let mut database = disk.database().await;
    let deadline = tokio::time::Instant::now() + seconds(5);
    loop {
        let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM embedded_session")
            .fetch_one(&mut database)
            .await
            .expect("count");
        if rows == 0 {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "never swept");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[rocket::async_test]
async fn a_guest_says_so_when_the_server_does_not_act_on_its_change() {
    let disk = Disk::new();
    let (guest, bench) = disk.bench(Role::Guest).await;
    // A server that hangs: it holds the lock and does nothing.
    let lock = std::fs::File::create(disk.directory.path().join("doorward.db.lock"));
    let lock = lock.expect("create the lock");
    lock.lock().expect("take the lock");
    let (session, tokens) = (bench.session(), super::bench::Tokens::random());
    let opening = doorward::session::store::Opening::New;
    let opened =
        bench.store.open(&session, &tokens.pair(), &bench.account, opening, bench.now()).await;
    match opened {
        Err(Error::Unavailable(cause)) => assert!(cause.to_string().contains("has not acted")),
        other => panic!("{other:?}"),
    }
    drop(lock);
    assert_eq!(bench.list().await, [session]);
    guest.close().await;
}
