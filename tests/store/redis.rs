//! What the store in Redis alone promises: how it fails, and how it comes back.

use std::time::{Duration, Instant};

use doorward::error::{Error, Result};
use doorward::id::{AccountId, Os};
use doorward::session::store::Opening;
use doorward::session::survey::Survey;
use doorward::store::redis::RedisPool;
use rocket::futures::future::join_all;
use rocket::tokio;
use rocket_db_pools::{Connection, Database};

use super::bench::{Bench, Tokens, redis_at, seconds, start, word};
use crate::support::redis::{Options, RedisServer};

fn bench(server: &RedisServer) -> Bench {
    Bench::on(std::sync::Arc::new(redis_at(&server.url())), start())
}

/// Every operation answers within a second that the store is unavailable (SR-70).
async fn everything_is_unavailable(bench: &Bench) {
    let (session, tokens) = (bench.session(), Tokens::random());
    let (id, sid, now) = (&session.account, &session.id, bench.now());
    let (access, pair) = (tokens.access.digest(), tokens.pair());
    let (store, account) = (&bench.store, &bench.account);
    unavailable("verify", store.verify(id, sid, &access, now)).await;
    unavailable("rotate", bench.try_rotate(&session, &tokens)).await;
    unavailable("open", store.open(&session, &pair, account, Opening::New, now)).await;
    unavailable("end", store.end(id, sid)).await;
    unavailable("list", store.list(id, now)).await;
    let survey = Survey { network: None, after: None, limit: 50 };
    unavailable("survey", store.survey(&survey, now)).await;
    unavailable("owner", store.owner(sid)).await;
    unavailable("count", store.count()).await;
    unavailable("publish", store.publish(account, now)).await;
    unavailable("revoke", store.revoke(account, None, now)).await;
    unavailable("ping", store.ping()).await;
}

async fn unavailable<T: std::fmt::Debug>(what: &str, operation: impl Future<Output = Result<T>>) {
    let asked = Instant::now();
    let answer = operation.await;
    assert!(matches!(answer, Err(Error::Unavailable(_))), "{what}: {answer:?}");
    assert!(asked.elapsed() < seconds(1), "{what} took {:?}", asked.elapsed());
}

/// The store answers again within five seconds (SR-70).
async fn recovers(bench: &Bench) {
    let deadline = Instant::now() + seconds(5);
    while let Err(error) = bench.store.ping().await {
        assert!(Instant::now() < deadline, "{error:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A refresh that read the account before the change of its password arrives after it: at any moment
/// it is refused, and takes neither the new epoch nor the session of whoever made the change.
#[rocket::async_test]
async fn sr_75_a_token_lives_no_longer_than_its_life_by_the_clock_of_redis() {
    let server = RedisServer::start(Options::default());
    let bench = bench(&server);
    let (session, tokens) = bench.open().await;
    let client = ::redis::Client::open(server.url()).expect("a Redis URL");
    let mut redis = client.get_multiplexed_async_connection().await.expect("connect");
    // As if the pair had been issued so long ago, while our own clock stood still.
    let back = "local json = cjson.decode(redis.call('HGET', KEYS[1], ARGV[1])) \
                json.server_at = json.server_at - ARGV[2] \
                return redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(json))";
    let mut go_back = async |millis: u64| {
        let script = ::redis::Script::new(back);
        let mut call = script.prepare_invoke();
        call.key(format!("test:{{{}}}:sessions", session.account)).arg(session.id.as_str());
        let changed: i64 = call.arg(millis).invoke_async(&mut redis).await.expect("changed");
        assert_eq!(changed, 0, "the field was there");
    };
    let life = session.access_expires_at.since(session.issued_at).as_millis() as u64;
    go_back(life + 20_000).await;
    assert!(bench.verify(&session, &tokens).await.is_some());
    go_back(15_000).await;
    assert!(bench.verify(&session, &tokens).await.is_none());
    let (session, next) = bench.refresh(&session, &tokens).await;
    assert!(bench.verify(&session, &next).await.is_some());
}

/// Commands of requests that are made at the same moment go to Redis together.
#[rocket::async_test]
async fn of_commands_that_go_together_each_gets_its_own_answer_and_its_own_error() {
    let server = RedisServer::start(Options::default());
    let bench = bench(&server);
    let mut people = Vec::new();
    for _ in 0..30 {
        people.push(bench.open().await);
    }
    let stranger = AccountId::random(&Os);
    let client = ::redis::Client::open(server.url()).expect("a Redis URL");
    let mut redis = client.get_multiplexed_async_connection().await.expect("connect");
    let key = format!("test:{{{stranger}}}:sessions");
    let () = ::redis::cmd("SET").arg(key).arg("x").query_async(&mut redis).await.expect("set");

    let (session, tokens) = people.first().expect("somebody");
    let (access, now) = (tokens.access.digest(), bench.now());
    let broken = bench.store.verify(&stranger, &session.id, &access, now);
    let good = join_all(people.iter().map(|(session, tokens)| bench.verify(session, tokens)));
    let others = Tokens::random();
    let swapped = bench.verify(session, &others);
    let (broken, good, swapped) = tokio::join!(broken, good, swapped);

    assert!(matches!(broken, Err(Error::Internal(_))), "{broken:?}");
    assert!(swapped.is_none());
    for ((session, _), live) in people.iter().zip(good) {
        assert_eq!(live.expect("a live session").session.id, session.id);
    }
}

#[rocket::async_test]
async fn sr_70_a_redis_that_hangs_is_unavailable_and_used_again_when_it_goes_on() {
    let server = RedisServer::start(Options::default());
    let bench = bench(&server);
    let (session, tokens) = bench.open().await;
    server.pause();
    everything_is_unavailable(&bench).await;
    server.resume();
    recovers(&bench).await;
    assert!(bench.verify(&session, &tokens).await.is_some());
    bench.refresh(&session, &tokens).await;
}

#[rocket::async_test]
async fn sr_70_many_who_wait_for_a_redis_that_hangs_are_all_answered_in_time() {
    let server = RedisServer::start(Options::default());
    let bench = bench(&server);
    bench.open().await;
    server.pause();
    let waiting = (0..200).map(|_| {
        let store = bench.store.clone();
        tokio::spawn(async move { unavailable("ping", store.ping()).await })
    });
    for answer in futures::future::join_all(waiting).await {
        answer.expect("answered in time");
    }
    server.resume();
    recovers(&bench).await;
}

#[rocket::async_test]
async fn sr_70_a_redis_that_is_gone_is_unavailable_and_used_again_when_it_is_back() {
    let server = RedisServer::start(Options { persistent: true, ..Options::default() });
    let bench = bench(&server);
    let (session, tokens) = bench.open().await;
    server.kill();
    everything_is_unavailable(&bench).await;
    server.restart();
    recovers(&bench).await;
    assert!(bench.verify(&session, &tokens).await.is_some());
    bench.refresh(&session, &tokens).await;
}

#[rocket::async_test]
async fn sr_70_a_redis_that_starts_later_than_we_do_is_used_then() {
    let server = RedisServer::start(Options::default());
    server.stop();
    let bench = bench(&server);
    everything_is_unavailable(&bench).await;
    server.restart();
    recovers(&bench).await;
    bench.open().await;
}

#[rocket::async_test]
async fn sr_70_a_restart_between_two_requests_is_not_noticed() {
    let server = RedisServer::start(Options { persistent: true, ..Options::default() });
    let bench = bench(&server);
    let (session, tokens) = bench.open().await;
    server.restart();
    assert!(bench.store.end(&session.account, &session.id).await.unwrap());
    assert!(bench.verify(&session, &tokens).await.is_none());
}

#[rocket::async_test]
async fn sr_70_a_redis_that_cannot_keep_changes_is_unavailable_for_them() {
    let server = RedisServer::start(Options::default());
    let mut bench = bench(&server);
    let (session, tokens) = bench.open().await;
    let (used, used_tokens) = bench.open().await;
    assert!(bench.verify(&used, &used_tokens).await.is_some());
    server.command("CONFIG SET maxmemory 1").unwrap();
    unavailable("ping", bench.store.ping()).await;
    unavailable("rotate", bench.try_rotate(&session, &tokens)).await;
    let access = tokens.access.digest();
    let verified = bench.store.verify(&session.account, &session.id, &access, bench.now());
    // A first use that cannot be noted is let in, and what ends a session needs no room.
    assert!(verified.await.unwrap().is_some(), "the first use");
    assert!(bench.verify(&used, &used_tokens).await.is_some());
    assert!(bench.store.end(&session.account, &session.id).await.unwrap());
    bench.change(true);
    assert_eq!(bench.store.revoke(&bench.account, None, bench.now()).await.unwrap(), 1);
    assert!(bench.verify(&used, &used_tokens).await.is_none());
    server.command("CONFIG SET maxmemory 0").unwrap();

    // Nobody is at this address; a replica without its primary still answers reads.
    server.command("REPLICAOF 127.0.0.1 1").unwrap();
    bench.change(false);
    unavailable("a replica", bench.store.publish(&bench.account, bench.now())).await;
    unavailable("a replica", bench.store.ping()).await;
    server.command("REPLICAOF NO ONE").unwrap();
    recovers(&bench).await;
    bench.open().await;
}

#[rocket::async_test]
async fn sr_71_a_redis_that_lost_everything_has_no_sessions_and_no_errors() {
    let server = RedisServer::start(Options::default());
    let bench = bench(&server);
    let (session, tokens) = bench.open().await;
    server.flush();
    server.command("SCRIPT FLUSH").unwrap();
    assert!(bench.verify(&session, &tokens).await.is_none());
    assert!(bench.list().await.is_empty());
    assert_eq!(word(&bench.rotate(&session, &tokens).await), "unknown");
    assert!(!bench.store.end(&session.account, &session.id).await.unwrap());
    let (session, tokens) = bench.open().await;
    assert!(bench.verify(&session, &tokens).await.is_some());
}

#[rocket::async_test]
async fn sr_71_a_redis_restored_from_an_old_copy_lets_no_session_of_then_refresh() {
    let server = RedisServer::start(Options::default());
    let mut bench = bench(&server);
    let (session, tokens) = bench.open().await;
    let (other, others) = bench.open().await;
    let keys =
        ["account", "sessions", "ends"].map(|key| format!("test:{{{}}}:{key}", session.account));
    for key in &keys {
        server.command(&format!("COPY {key} old:{key}")).unwrap();
    }
    bench.change(true);
    assert_eq!(bench.store.revoke(&bench.account, None, bench.now()).await.unwrap(), 2);
    for key in &keys {
        server.command(&format!("COPY old:{key} {key} REPLACE")).unwrap();
    }
    // SQL knows better than the old copy, and with the first refresh so does Redis.
    assert_eq!(word(&bench.rotate(&session, &tokens).await), "unknown");
    assert!(bench.verify(&session, &tokens).await.is_none());
    assert!(bench.verify(&other, &others).await.is_none());
    assert!(bench.list().await.is_empty());
}

#[rocket::async_test]
async fn values_that_are_not_ours_are_an_error_and_no_panic() {
    let server = RedisServer::start(Options::default());
    let bench = bench(&server);
    let (session, tokens) = bench.open().await;
    let keys = format!("test:{{{}}}", session.account);
    let access = tokens.access.digest();
    for damage in [
        format!("HSET {keys}:sessions {} nonsense", session.id),
        format!("HSET {keys}:sessions {} {{}}", session.id),
        format!("HSET {keys}:sessions {} []", session.id),
        format!("SET {keys}:sessions text"),
        format!("SET {keys}:account text"),
    ] {
        server.command(&damage).unwrap();
        let verified =
            bench.store.verify(&session.account, &session.id, &access, bench.now()).await;
        assert!(matches!(verified, Err(Error::Internal(_))), "{damage}: {verified:?}");
        let rotated = bench.try_rotate(&session, &tokens).await;
        assert!(matches!(rotated, Err(Error::Internal(_))), "{damage}: {rotated:?}");
        let listed = bench.store.list(&session.account, bench.now()).await;
        assert!(matches!(listed, Err(Error::Internal(_))), "{damage}: {listed:?}");
    }
    server.flush();
    assert!(bench.verify(&session, &tokens).await.is_none());
    let (session, tokens) = bench.open().await;
    server.command(&format!("HSET {keys}:account j {{}}")).unwrap();
    let access = tokens.access.digest();
    let verified = bench.store.verify(&session.account, &session.id, &access, bench.now()).await;
    assert!(matches!(verified, Err(Error::Internal(_))), "{verified:?}");
}

#[rocket::async_test]
async fn sr_34_keys_hold_no_token_and_go_by_themselves() {
    let server = RedisServer::start(Options::default());
    let bench = bench(&server);
    let (session, tokens) = bench.open().await;
    bench.store.ping().await.unwrap();
    let client = ::redis::Client::open(server.url()).expect("a Redis URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("connect");
    let keys: Vec<String> =
        ::redis::cmd("KEYS").arg("*").query_async(&mut connection).await.expect("KEYS");
    // The account's three, three of the list of all sessions, and the ping.
    assert_eq!(keys.len(), 7, "{keys:?}");
    for key in keys {
        let ttl: i64 =
            ::redis::cmd("TTL").arg(&key).query_async(&mut connection).await.expect("TTL");
        // What a session lives for without a refresh, or at all; and an hour.
        let life =
            if key.contains("{index-") { super::bench::ABSOLUTE } else { super::bench::IDLE };
        let longest = i64::try_from(life.as_secs()).expect("seconds") + 60 * 60;
        assert!((1..=longest).contains(&ttl), "{key} goes in {ttl} s");
    }
    let records: Vec<String> = ::redis::cmd("HVALS")
        .arg(format!("test:{{{}}}:sessions", session.account))
        .query_async(&mut connection)
        .await
        .expect("HVALS");
    assert!(records[0].contains(tokens.access.digest().as_str()));
    assert!(records[0].contains(tokens.refresh.digest().as_str()));
}

#[rocket::async_test]
async fn a_request_is_judged_in_one_round_trip() {
    let server = RedisServer::start(Options::default());
    let bench = bench(&server);
    let (session, tokens) = bench.open().await;
    // The first notes that the token is in use; by the second the replica knows that it was noted.
    assert!(bench.verify(&session, &tokens).await.is_some());
    assert!(bench.verify(&session, &tokens).await.is_some());
    let client = ::redis::Client::open(server.url()).expect("a Redis URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("connect");
    ::redis::cmd("CONFIG").arg("RESETSTAT").exec_async(&mut connection).await.expect("RESETSTAT");
    for _ in 0..10 {
        assert!(bench.verify(&session, &tokens).await.is_some());
    }
    let stats: String =
        ::redis::cmd("INFO").arg("commandstats").query_async(&mut connection).await.expect("INFO");
    assert!(stats.contains("cmdstat_evalsha:calls=10,"), "{stats}");
    assert!(!stats.contains("cmdstat_hset"), "a request that changes nothing writes: {stats}");
}

#[rocket::async_test]
async fn a_password_is_given_and_a_wrong_one_is_not_shown() {
    let password = Some("hunter2".to_owned());
    let server = RedisServer::start(Options { password, ..Options::default() });
    bench(&server).open().await;
    let wrong = server.url().replace("hunter2", "hunter3");
    let bench = Bench::on(std::sync::Arc::new(redis_at(&wrong)), start());
    let refused = bench.store.ping().await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    assert!(!format!("{refused:?}").contains("hunter3"), "{refused:?}");
}

#[rocket::async_test]
async fn sr_77_tls_is_not_given_up_for_a_server_that_does_not_speak_it() {
    let server = RedisServer::start(Options::default());
    let address = server.url().replace("redis://", "rediss://");
    let bench = Bench::on(std::sync::Arc::new(redis_at(&address)), start());
    unavailable("ping", bench.store.ping()).await;
}

/// The pool as an application's routes see it.
#[derive(Database)]
#[database("sessions")]
struct Sessions(RedisPool);

#[rocket::get("/")]
async fn ask(mut connection: Connection<Sessions>) -> Option<String> {
    ::redis::cmd("PING").query_async(&mut *connection).await.ok()
}

#[rocket::async_test]
async fn the_pool_is_one_of_rocket_db_pools() {
    let server = RedisServer::start(Options::default());
    let figment = rocket::Config::figment().merge(("databases.sessions.url", server.url()));
    let rocket = rocket::custom(figment).attach(Sessions::init()).mount("/", rocket::routes![ask]);
    let client = rocket::local::asynchronous::Client::untracked(rocket).await.expect("a client");
    let answer = client.get("/").dispatch().await.into_string().await;
    assert_eq!(answer.as_deref(), Some("PONG"));
    server.stop();
    assert_eq!(client.get("/").dispatch().await.status().code, 404);
    assert_eq!(client.get("/").dispatch().await.status().code, 503);
}
