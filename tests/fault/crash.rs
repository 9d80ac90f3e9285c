//! The server is killed in the middle of its work, and keeps every promise it made (SR-73).
//!
//! `DW_TEST_CRASH_ROUNDS` sets the number of rounds, `DW_TEST_CRASH_SEED` the moments of the kills.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::Connection as _;

use crate::app::PASSWORD;
use crate::person::Person;
use crate::support::binary::Server;
use crate::support::{START_LIMIT, wait_until};

/// How many people act at the same time.
const PEOPLE: u64 = 3;

/// What the server has promised of a session, by its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Promise {
    /// It was opened, and nothing has ended it.
    Live,
    /// It was ended.
    Ended,
    /// Something was asked for and no answer came: either is right.
    Open,
}

/// A session, by its cookies.
#[derive(Debug)]
struct Held {
    person: Person,
    promise: Promise,
}

/// An account of which the server has said that it exists. Without a password, a change of it was
/// under way when the server was killed.
#[derive(Debug)]
struct Known {
    email: String,
    password: Option<&'static str>,
    sessions: Vec<Held>,
}

/// What has been promised in one round.
#[derive(Debug, Default)]
struct Ledger {
    registered: AtomicU64,
    known: Mutex<Vec<Known>>,
}

/// Numbers that look random and are the same for the same seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn kill_9_keeps_every_promise() {
    let rounds = number("DW_TEST_CRASH_ROUNDS", 5);
    let seed = number("DW_TEST_CRASH_SEED", 73);
    let server = Server::start(&crate::app::LIMITS.map(|(name, _)| (name, "off")));
    let mut dice = Dice(seed);
    let mut accounts: Vec<Known> = Vec::new();
    for round in 0..rounds {
        let ledger = Ledger::default();
        let link = server.lines().all().into_iter().find(|line| line.contains("/setup?token="));
        let mut spent = None;
        std::thread::scope(|scope| {
            for who in 0..PEOPLE {
                let (ledger, dice) = (&ledger, Dice(dice.roll(u64::MAX)));
                let port = server.port();
                scope.spawn(move || act(port, &format!("r{round}-p{who}"), dice, ledger));
            }
            let setup = scope.spawn(|| link.as_deref().and_then(|link| set_up(&server, link)));
            // On a busy machine the first promise takes its time.
            wait_until(START_LIMIT, || ledger.registered.load(Ordering::Relaxed) > 0);
            std::thread::sleep(Duration::from_millis(dice.roll(900)));
            server.kill();
            spent = setup.join().expect("the set-up ends");
        });
        check_files(&server);
        server.restart();
        let new = ledger.known.into_inner().expect("nobody panicked");
        assert!(!new.is_empty(), "seed {seed}, round {round}: nobody got anywhere");
        new.iter().for_each(|account| check(&server, account));
        if let Some(path) = spent {
            let again = Person::at(server.port()).get(&path);
            assert_eq!(again.status, 403, "the set-up link works twice");
        }
        accounts.extend(new);
    }
    accounts.iter().for_each(|account| check(&server, account));
}

/// Spends the set-up link; gives its path if the server said that it is spent.
fn set_up(server: &Server, line: &str) -> Option<String> {
    let path = line.split(&server.url("")).nth(1)?.trim().to_owned();
    let token = path.split("token=").nth(1)?;
    let fields = [("token", token), ("email", "root@example.org"), ("password", PASSWORD)];
    let answer = Person::at(server.port()).submit(&path, "/setup", &fields).ok()?;
    (answer.status == 303).then_some(path)
}

/// Uses the server until it is gone, and notes what it has promised.
fn act(port: u16, name: &str, mut dice: Dice, ledger: &Ledger) {
    for number in 0.. {
        let mut person = Person::at(port);
        let email = format!("{name}-{number}@example.org");
        let body = json!({ "email": email, "password": PASSWORD });
        let Ok(answer) = person.call("POST", "/api/v1/auth/register", body) else { return };
        assert_eq!(answer.status, 201, "{}", answer.text());
        ledger.registered.fetch_add(1, Ordering::Relaxed);
        let first = Held { person, promise: Promise::Live };
        let mut account = Known { email, password: Some(PASSWORD), sessions: vec![first] };
        let done = (0..dice.roll(8)).try_for_each(|_| step(port, &mut account, &mut dice));
        ledger.known.lock().expect("nobody panicked").push(account);
        if done.is_err() {
            return;
        }
    }
}

/// Does one thing with an account. What it may change is open until the answer is there.
fn step(port: u16, account: &mut Known, dice: &mut Dice) -> io::Result<()> {
    let what = dice.roll(6);
    let live: Vec<usize> = (0..account.sessions.len())
        .filter(|at| account.sessions[*at].promise == Promise::Live)
        .collect();
    if live.is_empty() || what == 0 {
        let mut person = Person::at(port);
        let password = account.password.expect("it is known while the server answers");
        let body = json!({ "email": account.email, "password": password });
        let answer = person.call("POST", "/api/v1/auth/login", body)?;
        assert_eq!(answer.status, 200, "{}", answer.text());
        account.sessions.push(Held { person, promise: Promise::Live });
        return Ok(());
    }
    let at = live[usize::try_from(dice.roll(live.len() as u64)).expect("small")];
    match what {
        1 => {
            let person = account.sessions[at].person.clone();
            account.sessions[at].promise = Promise::Open;
            expect(person.clone(), "POST", "/api/v1/auth/logout", Value::Null, 204)?;
            account.sessions[at] = Held { person, promise: Promise::Ended };
        }
        2 => {
            let person = account.sessions[at].person.clone();
            open(account, &live, at);
            expect(person, "DELETE", "/api/v1/me/sessions?others=true", Value::Null, 200)?;
            end(account, &live, at);
        }
        3 => {
            // An answer that got lost leaves the tokens before it, which then work once more.
            let held = &mut account.sessions[at];
            held.promise = Promise::Open;
            let path = "/api/v1/auth/refresh";
            held.person = expect(held.person.clone(), "POST", path, Value::Null, 200)?;
            held.promise = Promise::Live;
        }
        4 => {
            let old = account.password.expect("it is known while the server answers");
            let new = if old == PASSWORD { "seven quiet lanterns" } else { PASSWORD };
            let person = account.sessions[at].person.clone();
            open(account, &live, at);
            account.sessions[at].promise = Promise::Open;
            account.password = None;
            let body = json!({ "current_password": old, "new_password": new });
            let person = expect(person, "PUT", "/api/v1/me/password", body, 204)?;
            end(account, &live, at);
            account.sessions[at] = Held { person, promise: Promise::Live };
            account.password = Some(new);
        }
        _ => {
            let person = account.sessions[at].person.clone();
            let body = json!({ "display_name": format!("Name {}", dice.roll(100)) });
            expect(person, "PATCH", "/api/v1/me", body, 200)?;
        }
    }
    Ok(())
}

fn expect(
    mut person: Person,
    method: &str,
    path: &str,
    body: Value,
    status: u16,
) -> io::Result<Person> {
    let answer = person.call(method, path, body)?;
    assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
    Ok(person)
}

/// The sessions `live` but `keep` may end at any moment.
fn open(account: &mut Known, live: &[usize], keep: usize) {
    live.iter().filter(|at| **at != keep).for_each(|at| {
        account.sessions[*at].promise = Promise::Open;
    });
}

/// The sessions `live` but `keep` have ended.
fn end(account: &mut Known, live: &[usize], keep: usize) {
    live.iter().filter(|at| **at != keep).for_each(|at| {
        account.sessions[*at].promise = Promise::Ended;
    });
}

/// Fails unless SQLite finds nothing wrong with the file that the killed server left.
fn check_files(server: &Server) {
    let url = format!("sqlite://{}", server.data_dir().join("doorward.db").display());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let found: String = runtime.expect("a runtime").block_on(async {
        let mut db = sqlx::SqliteConnection::connect(&url).await.expect("the database opens");
        let found = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut db).await;
        db.close().await.expect("closed");
        found.expect("it can be checked")
    });
    assert_eq!(found, "ok");
}

/// Fails unless all that was promised of an account holds.
fn check(server: &Server, account: &Known) {
    let email = &account.email;
    if let Some(password) = account.password {
        let status = Person::at(server.port()).log_in(email, password);
        assert_eq!(status, 200, "{email} existed and had this password");
    }
    for held in &account.sessions {
        match held.promise {
            Promise::Live => {
                assert!(held.person.is_signed_in(), "a live session of {email} is gone")
            }
            Promise::Ended => {
                assert!(!held.person.is_signed_in(), "an ended session of {email} is back");
                let refresh = held.person.clone().call("POST", "/api/v1/auth/refresh", Value::Null);
                assert_eq!(refresh.expect("an answer").status, 401, "{email}");
            }
            Promise::Open => {}
        }
    }
}
