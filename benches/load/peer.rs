//! What Doorward is measured against: this program again, in another role.

use std::error::Error;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation};
use redis::AsyncCommands as _;
use redis::aio::MultiplexedConnection;
use rocket::http::{CookieJar, Status};
use rocket::response::content::RawJson;
use rocket::{State, get, routes};
use serde::{Deserialize, Serialize};

use crate::process::processor_time;

/// The argument that asks for a role.
pub const ARGUMENT: &str = "--peer";
/// The role of a Rocket server with a bare route and a lean one.
pub const ROCKET: &str = "rocket";
/// The role of Argon2 alone, in memory that it keeps.
pub const ARGON2: &str = "argon2";
/// The role of Argon2 alone, in memory that it takes afresh for each hash, as the crate does by itself.
pub const ARGON2_FRESH: &str = "argon2-fresh";

/// The key of the lean route's tokens: it guards nothing.
const KEY: &[u8] = b"a key of the load measurement, good for nothing else";
/// What the lean route finds in Redis.
const USER: &str = r#"{"user":{"id":"1","email":"ada@example.com","roles":["user"]}}"#;

/// Plays the role that the arguments name.
pub fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [ROCKET, port, redis] => serve(port.parse()?, redis.parse()?),
        [role @ (ARGON2 | ARGON2_FRESH), millis] => {
            let duration = Duration::from_millis(millis.parse()?);
            let (rate, micros) = hash_alone(duration, *role == ARGON2)?;
            println!("{rate} {micros}");
            Ok(())
        }
        _ => Err("an unknown role".into()),
    }
}

/// What the lean route's token says.
#[derive(Serialize, Deserialize)]
struct Claims {
    sid: String,
    exp: u64,
}

/// The cookie that the lean route wants.
pub fn lean_cookie() -> Result<String, Box<dyn Error>> {
    #[allow(clippy::disallowed_methods, reason = "Doorward's clock does not tick here")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let claims = Claims { sid: "session".to_owned(), exp: now + 24 * 60 * 60 };
    let token = jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(KEY))?;
    Ok(format!("at={token}"))
}

/// The route that does nothing.
#[get("/bare")]
fn bare() -> &'static str {
    "Hello, world!"
}

/// The least that a signed-in request needs: a token is verified and a session looked up.
#[get("/lean")]
async fn lean(
    jar: &CookieJar<'_>,
    verifier: &State<(DecodingKey, Validation)>,
    redis: &State<MultiplexedConnection>,
) -> Result<RawJson<String>, Status> {
    let cookie = jar.get("at").ok_or(Status::Unauthorized)?;
    let (key, validation) = &**verifier;
    let token = jsonwebtoken::decode::<Claims>(cookie.value(), key, validation);
    let claims = token.map_err(|_| Status::Unauthorized)?.claims;
    let mut redis = MultiplexedConnection::clone(redis);
    let user: Option<String> = redis
        .hget(format!("lean:{}", claims.sid), "user")
        .await
        .map_err(|_| Status::ServiceUnavailable)?;
    user.map(RawJson).ok_or(Status::Unauthorized)
}

/// Serves both routes with the settings that Doorward has: a worker for each core, no log.
fn serve(port: u16, redis: u16) -> Result<(), Box<dyn Error>> {
    let workers = std::thread::available_parallelism()?.get();
    let figment = rocket::Config::figment()
        .merge(("address", "127.0.0.1"))
        .merge(("port", port))
        .merge(("workers", workers))
        .merge(("keep_alive", 75))
        .merge(("ident", false))
        .merge(("log_level", "off"));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build()?;
    runtime.block_on(async {
        let client = redis::Client::open(format!("redis://127.0.0.1:{redis}"))?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        let () = connection.hset("lean:session", "user", USER).await?;
        let verifier = (DecodingKey::from_secret(KEY), Validation::default());
        rocket::custom(figment)
            .manage(verifier)
            .manage(connection)
            .mount("/", routes![bare, lean])
            .launch()
            .await
            .map_err(|error| error.to_string())?;
        Ok(())
    })
}

/// How many passwords a second Argon2id alone hashes on the cores that this process may use: a
/// thread for each, with Doorward's default parameters, the memory allocated once or for each. And how
/// much processor time each takes, in microseconds.
fn hash_alone(duration: Duration, keeps: bool) -> Result<(f64, f64), Box<dyn Error>> {
    let threads = std::thread::available_parallelism()?.get();
    let began = Instant::now();
    let hashed: Result<usize, argon2::Error> = std::thread::scope(|scope| {
        let hash = || hash_until(began + duration, keeps);
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(hash)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic in Argon2")).sum()
    });
    let hashed = hashed?.max(1) as f64;
    let micros = processor_time("self").as_secs_f64() * 1e6 / hashed;
    Ok((hashed / began.elapsed().as_secs_f64(), micros))
}

fn hash_until(until: Instant, keeps: bool) -> Result<usize, argon2::Error> {
    let cost = doorward::account::password::Params::default();
    let params = Params::new(cost.memory_kib(), cost.iterations(), cost.parallelism(), Some(32))?;
    let mut memory = vec![Block::new(); if keeps { params.block_count() } else { 0 }];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut hashed = 0;
    while Instant::now() < until {
        let mut output = [0; 32];
        let (password, salt, memory) = (b"a password", [7; 16], memory.as_mut_slice());
        if keeps {
            argon2.hash_password_into_with_memory(password, &salt, &mut output, memory)?;
        } else {
            argon2.hash_password_into(password, &salt, &mut output)?;
        }
        std::hint::black_box(output);
        hashed += 1;
    }
    Ok(hashed)
}
