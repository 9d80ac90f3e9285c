//! `doorward doctor`: one page for operators and reports of faults.

use doorward::id::Os;
use doorward::token::key::{MasterSecret, SigningKey};
use serde_json::Value;

use super::{json, server_on_redis};
use crate::support::binary::{Server, run};
use crate::support::{free_port, http, postgres, redis, scratch_dir};

/// The page for programs.
#[track_caller]
fn page(server: &Server) -> Value {
    json(&server.run(&["doctor", "--json"], "").done())
}

#[track_caller]
fn assert_healthy(page: &Value, database: &str, store: &str) {
    assert_eq!(page["database"]["kind"], database, "{page}");
    assert_eq!(page["session_store"]["kind"], store, "{page}");
    for store in ["database", "session_store"] {
        assert_eq!(page[store]["answers"], true, "{page}");
        assert!(page[store]["version"].is_string(), "{page}");
        assert!(page[store]["round_trip_ms"].as_f64().is_some_and(|millis| millis > 0.0), "{page}");
    }
    assert_eq!(page["migrations"]["missing"], serde_json::json!([]), "{page}");
    assert!(page["migrations"]["known"].as_u64().is_some_and(|known| known > 5), "{page}");
    assert_eq!(page["keys"][0]["state"], "current", "{page}");
    assert_eq!(page["keys"][0]["age_days"], 0, "{page}");
    assert_eq!(page["server"]["state"], "ready", "{page}");
    assert!(page["disks"][0]["free_bytes"].as_u64().is_some(), "{page}");
    assert!(page["open_files"].as_u64().is_some(), "{page}");
    assert_eq!(page["problems"], serde_json::json!([]), "{page}");
}

#[test]
fn the_doctor_of_a_healthy_server_finds_no_problem() {
    let server = Server::start(&[]);
    let found = page(&server);
    assert_healthy(&found, "SQLite", "embedded");
    assert!(found["database"]["clock_ahead_ms"].is_null(), "{found}");
    let text = server.run(&["doctor"], "").done();
    for line in
        ["doorward ", "server ", "database ", "migrations ", "session store ", "key ", "disk "]
    {
        assert!(text.lines().any(|row| row.starts_with(line)), "{line}: {text}");
    }
}

#[tokio::test]
async fn the_doctor_asks_both_stores_for_release_time_and_clock() {
    let (pem, secret) =
        (SigningKey::generate_pem().expect("a key"), MasterSecret::generate_base64(&Os));
    let server = Server::start(&[
        ("DOORWARD_DATABASE_URL", &postgres::create_database().await),
        ("DOORWARD_STORE_URL", &redis::server().database()),
        ("DOORWARD_KEYS_SIGNING", pem.expose()),
        ("DOORWARD_KEYS_SECRET", secret.expose()),
    ]);
    let found = page(&server);
    assert_healthy(&found, "PostgreSQL", "Redis");
    for store in ["database", "session_store"] {
        // They run on this machine, however busy it is.
        let ahead = found[store]["clock_ahead_ms"].as_i64().expect("a clock");
        assert!(ahead.abs() < 10_000, "{found}");
    }
}

#[test]
fn the_doctor_shows_settings_that_differ_and_no_secret() {
    let (pem, secret) =
        (SigningKey::generate_pem().expect("a key"), MasterSecret::generate_base64(&Os));
    let settings = [
        ("DOORWARD_DATABASE_URL", "postgres://dw:hunter2hunter2@localhost:1/dw"),
        ("DOORWARD_STORE_URL", "redis://:sesame-open@localhost:1/3"),
        ("DOORWARD_KEYS_SIGNING", pem.expose()),
        ("DOORWARD_KEYS_SECRET", secret.expose()),
        ("DOORWARD_TOKENS_ACCESS_TTL", "5m"),
        ("DOORWARD_TOKENS_REUSE_GRACE", "10s"),
    ];
    let (text, value) =
        (run(&["doctor"], "", &settings), run(&["doctor", "--json"], "", &settings));
    // Neither store answers.
    assert_eq!((text.code, value.code), (Some(1), Some(1)), "{text:?}");
    let found = json(&value.stdout);
    let names: Vec<&str> = found["settings"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|setting| setting["key"].as_str())
        .collect();
    assert!(names.contains(&"tokens.access_ttl"), "{names:?}");
    assert!(!names.contains(&"tokens.reuse_grace"), "it has its default: {names:?}");
    for store in ["database", "session store"] {
        let said = found["problems"].as_array().expect("a list").iter();
        let mut said = said.filter_map(Value::as_str);
        assert!(said.any(|problem| problem.starts_with(&format!("{store}: "))), "{found}");
    }
    for secret in [secret.expose(), "hunter2", "sesame-open", "PRIVATE", &pem.expose()[40..60]] {
        for output in [&text.stdout, &text.stderr, &value.stdout, &value.stderr] {
            assert!(!output.contains(secret), "{secret}");
        }
    }
}

#[test]
fn the_doctor_makes_nothing() {
    let folder = scratch_dir("doctor");
    let data = folder.path().join("data").display().to_string();
    let port = free_port().to_string();
    let settings = [("DOORWARD_DATA_DIR", &*data), ("ROCKET_PORT", &*port)];
    let text = run(&["doctor"], "", &settings).done();
    assert!(text.contains("is not there yet; the first start makes it"), "{text}");
    let refused = run(&["doctor", "--request"], "", &settings).failed();
    assert!(refused.contains("start the server first"), "{refused}");
    assert!(!std::path::Path::new(&data).exists(), "looking changes nothing");
}

/// What the server answers at the path that `--request` prints, and once more.
fn inspect(server: &Server, headers: &[(&str, &str)]) -> (Value, u16) {
    let printed = json(&server.run(&["doctor", "--request", "--json"], "").done());
    let path = printed["path"].as_str().expect("a path");
    assert_eq!(printed["url"], server.url(path));
    let ask = || http::request(server.port(), "GET", path, headers, b"").expect("an answer");
    let first = ask();
    assert_eq!(first.status, 200, "{}", first.text());
    (first.json(), ask().status)
}

fn header<'v>(seen: &'v Value, name: &str) -> &'v Value {
    let rows = seen["forwarded"].as_array().expect("a list");
    rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("no {name}: {seen}"))
}

#[test]
fn a_one_time_path_shows_what_arrives_from_a_trusted_proxy() {
    let server = Server::start(&[("DOORWARD_PROXIES_TRUSTED", "127.0.0.1")]);
    let host = server.url("").trim_start_matches("http://").to_owned();
    let (seen, again) = inspect(
        &server,
        &[
            ("X-Forwarded-For", "198.51.100.7"),
            ("X-Forwarded-Proto", "http"),
            ("X-Real-IP", "192.0.2.1"),
            ("Cookie", "__Host-dw_access=sesame"),
            ("Authorization", "Bearer sesame"),
        ],
    );
    assert_eq!(again, 404, "it works once");
    assert_eq!(seen["peer"], "127.0.0.1");
    assert_eq!(seen["peer_is_trusted"], true);
    assert_eq!(seen["client"], "198.51.100.7");
    assert_eq!((&seen["scheme"], &seen["host"]), (&"http".into(), &Value::from(&*host)));
    assert_eq!(header(&seen, "X-Forwarded-For")["is_trusted"], true);
    assert_eq!(header(&seen, "X-Real-IP")["is_trusted"], false);
    assert_eq!(seen["advice"], serde_json::json!([]), "{seen}");
    assert!(!seen.to_string().contains("sesame"), "{seen}");
}

#[test]
fn a_one_time_path_says_what_is_wrong_with_a_proxy() {
    let server = server_on_redis();
    let printed = json(&server.run(&["doctor", "--request", "--json"], "").done());
    let path = printed["path"].as_str().expect("a path");
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: inside.example.org\r\nX-Forwarded-For: 198.51.100.7\r\n\
         X-Forwarded-Proto: https\r\nConnection: close\r\n\r\n"
    );
    let answer = http::raw(server.port(), &request).expect("an answer");
    let seen = json(answer.split_once("\r\n\r\n").expect("a body").1);
    assert_eq!((&seen["peer_is_trusted"], &seen["client"]), (&false.into(), &"127.0.0.1".into()));
    assert_eq!(seen["host"], "inside.example.org");
    assert_eq!(header(&seen, "X-Forwarded-For")["is_trusted"], false);
    let advice = seen["advice"].to_string();
    for word in ["proxies.trusted", "pass on Host: localhost", "another scheme"] {
        assert!(advice.contains(word), "{word}: {advice}");
    }
    let again = http::get(server.port(), path).expect("an answer");
    assert_eq!(again.status, 404, "it works once, on all replicas together");
    let made_up = http::get(server.port(), "/api/v1/inspections/AAAA.BBBB").expect("an answer");
    assert_eq!(made_up.status, 404);
}
