//! Proof that the ground holds: each server does what its helper promises.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use sqlx::AnyConnection;
use sqlx::Connection;

use super::browser::{Browser, Options};
use super::process::{Daemon, Lines, finish};
use super::{bound_to_us, find_program, http, postgres, redis, scratch_dir};

/// Whether Redis answers PING within a second.
async fn answers(url: &str) -> bool {
    let client = ::redis::Client::open(url).expect("a Redis URL");
    let ping = async {
        let mut connection = client.get_multiplexed_async_connection().await?;
        ::redis::cmd("PING").query_async::<String>(&mut connection).await
    };
    let pong = tokio::time::timeout(Duration::from_secs(1), ping).await;
    matches!(pong, Ok(Ok(pong)) if pong == "PONG")
}

async fn set(url: &str, key: &str, value: &str) {
    let client = ::redis::Client::open(url).expect("a Redis URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("connect");
    let mut set = ::redis::cmd("SET");
    set.arg(key).arg(value).exec_async(&mut connection).await.expect("SET");
}

async fn get(url: &str, key: &str) -> Option<String> {
    let client = ::redis::Client::open(url).expect("a Redis URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("connect");
    ::redis::cmd("GET").arg(key).query_async(&mut connection).await.expect("GET")
}

#[rocket::async_test]
async fn the_shared_redis_answers_and_splits_tests_by_database() {
    let (one, two) = (redis::server().database(), redis::server().database());
    assert!(answers(&one).await);
    set(&one, "key", "value").await;
    assert_eq!(get(&one, "key").await.as_deref(), Some("value"));
    assert_eq!(get(&two, "key").await, None);
}

#[rocket::async_test]
async fn a_private_redis_pauses_resumes_and_restarts_where_it_was() {
    let password = Some("a-password".to_owned());
    let server = redis::RedisServer::start(redis::Options {
        persistent: true,
        password,
        ..redis::Options::default()
    });
    set(&server.url(), "key", "value").await;

    server.pause();
    assert!(!answers(&server.url()).await);
    server.resume();
    assert!(answers(&server.url()).await);

    server.kill();
    assert!(!answers(&server.url()).await);
    server.restart();
    assert_eq!(get(&server.url(), "key").await.as_deref(), Some("value"));
    server.flush();
    assert_eq!(get(&server.url(), "key").await, None);
}

#[rocket::async_test]
async fn every_postgres_database_is_empty_and_separate() {
    sqlx::any::install_default_drivers();
    let (one, two) = (postgres::create_database().await, postgres::create_database().await);
    let mut one = AnyConnection::connect(&one).await.expect("connect");
    let mut two = AnyConnection::connect(&two).await.expect("connect");
    sqlx::query("CREATE TABLE only_here (id BIGINT)").execute(&mut one).await.expect("create");
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM only_here")
        .fetch_one(&mut one)
        .await
        .expect("the table is in the first database");
    assert_eq!(count, 0);
    assert!(sqlx::query("SELECT * FROM only_here").fetch_all(&mut two).await.is_err());
}

#[rocket::async_test]
async fn a_private_postgres_stops_and_comes_back_with_its_data() {
    let server = postgres::PostgresServer::start();
    let url = server.create_database().await;
    server.stop();
    assert!(sqlx::PgConnection::connect(&url).await.is_err());
    server.restart();
    assert!(sqlx::PgConnection::connect(&url).await.is_ok());
}

#[test]
fn the_lines_of_a_process_are_seen_while_it_runs() {
    let shell = find_program(&["sh"], "dash").expect("a shell");
    let mut command = bound_to_us(&shell, "KILL", &[]);
    command.args(["-c", "echo first; echo 'a link: /setup' >&2; exec sleep 1000"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut daemon = Daemon::spawn("sh", command).expect("sh starts");
    let lines = Lines::of(&mut daemon);
    assert_eq!(lines.wait_for("a link"), "a link: /setup");
    assert_eq!(lines.wait_for("first"), "first");
    assert_eq!(daemon.exit_status(), None);
    assert!(!daemon.stop(Signal::TERM).success());
}

#[test]
fn a_command_gets_its_input_and_gives_its_output_and_code() {
    let shell = find_program(&["sh"], "dash").expect("a shell");
    let mut command = bound_to_us(&shell, "KILL", &[]);
    command.args(["-c", "read line; echo \"got $line\"; echo wrong >&2; exit 2"]);
    let finished = finish(command, "a password\n");
    assert_eq!(finished.code, Some(2));
    assert_eq!(finished.stdout, "got a password\n");
    assert_eq!(finished.stderr, "wrong\n");
}

/// A page whose script, if it may run, changes the title and fails.
mod page {
    use rocket::response::content::RawHtml;
    use rocket::{Orbit, Rocket, fairing::AdHoc};

    const PAGE: &str = "<!doctype html><title>Without</title><link rel=icon href=data:,>\
        <style>body { background: white } \
        @media (prefers-color-scheme: dark) { body { background: black; color: white } }</style>\
        <h1>Hello</h1><form action=/there><input name=email value=old>\
        <button>It's me</button></form>\
        <script>document.title = 'With'; missing();</script>";

    #[rocket::get("/")]
    fn here(jar: &rocket::http::CookieJar<'_>) -> RawHtml<&'static str> {
        let cookie = rocket::http::Cookie::build(("__Host-Http-seen", "1"));
        jar.add(cookie.path("/").secure(true).http_only(true));
        RawHtml(PAGE)
    }

    #[rocket::get("/there?<email>")]
    fn there(email: &str) -> RawHtml<String> {
        RawHtml(format!("<!doctype html><title>There</title><p>{}", email.len()))
    }

    /// Serves the page for the length of the test and returns its port.
    pub async fn serve() -> u16 {
        let port = crate::support::free_port();
        let config = rocket::Config {
            port,
            log_level: rocket::config::LogLevel::Off,
            ..rocket::Config::debug_default()
        };
        let (started, ready) = tokio::sync::oneshot::channel();
        let started = std::sync::Mutex::new(Some(started));
        let tell = AdHoc::on_liftoff("tell", move |_: &Rocket<Orbit>| {
            let started = started.lock().expect("unpoisoned").take();
            Box::pin(async move {
                let _ = started.map(|started| started.send(()));
            })
        });
        let routes = rocket::routes![here, there];
        tokio::spawn(rocket::custom(config).mount("/", routes).attach(tell).launch());
        ready.await.expect("the page is served");
        port
    }
}

#[rocket::async_test]
async fn a_browser_uses_a_page_with_scripts() {
    let port = page::serve().await;
    let answer = tokio::task::spawn_blocking(move || http::get(port, "/")).await;
    let answer = answer.expect("no panic").expect("an answer");
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some("text/html; charset=utf-8"))
    );

    let browser = Browser::open(Options { dark: true, ..Options::default() }).await;
    browser.goto(&format!("http://localhost:{port}/")).await;
    assert_eq!(browser.title().await, "With");
    assert_eq!(browser.text("h1").await, "Hello");
    assert!(browser.cookie("__Host-Http-seen").await.is_some());
    let colour = browser.execute("return getComputedStyle(document.body).backgroundColor").await;
    assert_eq!(colour, "rgb(0, 0, 0)");
    let size = browser.execute("return [innerWidth, innerHeight]").await;
    assert_eq!(size, serde_json::json!([1280, 800]));
    let folder = scratch_dir("picture");
    let picture = folder.path().join("dark.png");
    browser.screenshot(&picture).await;
    assert!(std::fs::read(picture).expect("a picture").starts_with(b"\x89PNG"));
    let errors = browser.console_errors().await;
    assert!(errors.iter().any(|error| error.contains("missing is not defined")), "{errors:?}");

    browser.fill("email", "new").await;
    browser.press("It's me").await;
    assert_eq!(browser.text("p").await, "3");
    assert_eq!(browser.path().await, "/there");
}

#[rocket::async_test]
async fn a_browser_uses_a_page_without_scripts() {
    let port = page::serve().await;
    let options = Options { javascript: false, size: (390, 844), ..Options::default() };
    let browser = Browser::open(options).await;
    browser.goto(&format!("http://localhost:{port}/")).await;
    assert_eq!(browser.title().await, "Without");
    assert_eq!(browser.console_errors().await, Vec::<String>::new());
    browser.fill("email", "longer").await;
    browser.click("button").await;
    assert_eq!(browser.text("p").await, "6");
    assert!(!browser.has("h1").await);
}
