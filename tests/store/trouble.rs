//! An SQL database that is locked, full, read only, down or out of reach: an answer in time, and no
//! harm done (SR-72).

use std::net::TcpListener;
use std::time::{Duration, Instant};

use doorward::account::store::{AccountFilter, AccountStore, Creation};
use doorward::error::{Error, Result};
use doorward::id::SecretString;
use doorward::store::sql::{SqlPool, SqlStore};
use futures::future::join_all;
use rocket_db_pools::Pool;
use sqlx::Executor;

use super::database::{Database, connect, new_account, open};
use crate::support::{free_port, postgres};

/// SR-72: an answer comes within this time.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Asserts that `operation` soon says that the database is not available.
async fn assert_unavailable<T: std::fmt::Debug>(operation: impl Future<Output = Result<T>>) {
    let start = Instant::now();
    let answer = operation.await;
    assert!(matches!(answer, Err(Error::Unavailable(_))), "{answer:?}");
    assert!(start.elapsed() < ANSWER_LIMIT, "{:?}", start.elapsed());
}

#[rocket::async_test]
async fn sr_72_a_locked_sqlite_is_unavailable_for_writing_and_then_works_again() {
    let database = Database::sqlite().await;
    let ada = database.account("ada@example.org").await;
    let mut holder = connect(&database.url).await;
    holder.execute("BEGIN EXCLUSIVE").await.unwrap();
    let start = Instant::now();
    let attempts = (0..3).map(|n| {
        let store = database.store.clone();
        let new = new_account(&format!("user{n}@example.org"));
        async move { assert_unavailable(store.create(&new)).await }
    });
    join_all(attempts).await;
    assert!(start.elapsed() < ANSWER_LIMIT);
    assert_eq!(database.get(&ada.id).await, ada);

    holder.execute("ROLLBACK").await.unwrap();
    database.account("user0@example.org").await;
}

#[rocket::async_test]
async fn sr_72_a_read_only_sqlite_still_reads() {
    let database = Database::sqlite().await;
    let ada = database.account("ada@example.org").await;
    let store = SqlStore::new(open(&format!("{}?mode=ro", database.url)).await);
    assert_unavailable(store.create(&new_account("bob@example.org"))).await;
    assert_eq!(store.get(&ada.id).await.unwrap(), Some(ada));
}

#[rocket::async_test]
async fn sr_72_a_full_disk_leaves_no_half_written_account() {
    let database = Database::sqlite().await;
    let pool = SqlPool::open(&SecretString::new(&*database.url), 1).await.unwrap();
    // The nearest thing to a full disk: the file may not grow. The limit is each connection's.
    let mut connections = Vec::new();
    for _ in 0..pool.connections().limit {
        let mut connection = pool.get().await.unwrap();
        connection.as_sqlite().unwrap().execute("PRAGMA max_page_count = 1").await.unwrap();
        connections.push(connection);
    }
    drop(connections);
    let store = SqlStore::new(pool);
    let mut created = 0;
    loop {
        assert!(created < 1000, "the disk does not get full");
        match store.create(&new_account(&format!("user{created}@example.org"))).await {
            Ok(Creation::Created(_)) => created += 1,
            Err(Error::Unavailable(_)) => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(store.count().await.unwrap(), created);
    let everybody = AccountFilter { limit: 1000, ..AccountFilter::default() };
    let accounts = store.list(&everybody).await.unwrap();
    assert!(accounts.iter().all(|account| account.roles.len() == 1));
}

#[rocket::async_test]
async fn sr_72_a_postgres_that_refuses_or_never_answers_is_unavailable_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    for port in [free_port(), silent.local_addr().expect("its address").port()] {
        let url = format!("postgres://postgres@127.0.0.1:{port}/doorward");
        let store = SqlStore::new(open(&url).await);
        let new = new_account("ada@example.org");
        rocket::tokio::join!(
            assert_unavailable(store.create(&new)),
            assert_unavailable(store.ping()),
            assert_unavailable(store.count()),
        );
    }
}

#[rocket::async_test]
async fn sr_72_a_locked_postgres_is_unavailable_and_then_works_again() {
    let database = Database::postgres().await;
    let mut holder = connect(&database.url).await;
    holder.execute("BEGIN").await.unwrap();
    holder.execute("LOCK TABLE account").await.unwrap();
    let new = new_account("ada@example.org");
    rocket::tokio::join!(
        assert_unavailable(database.store.create(&new)),
        assert_unavailable(database.store.count()),
    );
    holder.execute("ROLLBACK").await.unwrap();
    database.account("ada@example.org").await;
}

#[rocket::async_test]
async fn sr_72_a_postgres_that_was_restarted_is_found_again() {
    let server = postgres::PostgresServer::start();
    let pool = open(&server.create_database().await).await;
    pool.migrate().await.unwrap();
    let store = SqlStore::new(pool);
    store.create(&new_account("ada@example.org")).await.unwrap();
    server.stop();
    assert_unavailable(store.count()).await;
    server.restart();
    assert_eq!(store.count().await.unwrap(), 1);
    let created = store.create(&new_account("bob@example.org")).await;
    assert!(matches!(created, Ok(Creation::Created(_))), "{created:?}");
}

/// A way to `server` that falls silent for the connections made so far, as a network does that has
/// lost them.
struct Tunnel {
    port: u16,
    silence: rocket::tokio::sync::watch::Sender<u32>,
}

impl Tunnel {
    async fn to(server: u16) -> Self {
        use rocket::tokio::net::{TcpListener, TcpStream};
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let (silence, silences) = rocket::tokio::sync::watch::channel(0);
        rocket::tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut silences = silences.clone();
                rocket::tokio::spawn(async move {
                    let server = TcpStream::connect(("127.0.0.1", server)).await;
                    let mut server = server.expect("connect to the server");
                    silences.mark_unchanged();
                    rocket::tokio::select! {
                        _ = rocket::tokio::io::copy_bidirectional(&mut client, &mut server) => (),
                        // Silent, but open, for as long as the test runs.
                        _ = silences.changed() => std::future::pending().await,
                    }
                });
            }
        });
        Self { port, silence }
    }

    fn fall_silent(&self) {
        self.silence.send_modify(|times| *times += 1);
    }
}

#[rocket::async_test]
async fn sr_72_connections_that_fell_silent_are_given_up_and_replaced() {
    let direct = url::Url::parse(&postgres::create_database().await).expect("a URL");
    let tunnel = Tunnel::to(direct.port().expect("a port")).await;
    let mut url = direct.clone();
    url.set_port(Some(tunnel.port)).expect("a URL with a port");
    let pool = SqlPool::open(&SecretString::new(url), 2).await.unwrap();
    pool.migrate().await.unwrap();
    let store = SqlStore::new(pool);

    // Two operations, as many as there are connections, hang when the network goes.
    let mut holder = connect(direct.as_str()).await;
    holder.execute("BEGIN").await.unwrap();
    holder.execute("LOCK TABLE account").await.unwrap();
    let new = new_account("ada@example.org");
    let silence = async {
        let hanging = "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
                       AND datname = current_database()";
        // Not in the transaction, which would see one state of that view throughout.
        let mut watcher = connect(direct.as_str()).await;
        while number(&mut watcher, hanging).await < 2 {
            rocket::tokio::task::yield_now().await;
        }
        tunnel.fall_silent();
    };
    rocket::tokio::join!(
        assert_unavailable(store.create(&new)),
        assert_unavailable(store.count()),
        silence,
    );
    holder.execute("ROLLBACK").await.unwrap();

    // New connections pass, and the dead ones take no room in the pool.
    let created = store.create(&new).await;
    assert!(matches!(created, Ok(Creation::Created(_))), "{created:?}");
    rocket::tokio::try_join!(store.ping(), store.count()).unwrap();
}

async fn number(connection: &mut sqlx::AnyConnection, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(connection).await.expect("a number")
}
