//! SR-38: what is revoked on one process is dead on the others at the next request, also where a
//! refresh races with it.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Dice, Jar, PROCESSES, Replicas, number};
use crate::app::{ACCESS, PASSWORD};
use crate::support::fleet::Kind;

/// The other password of those who change theirs.
const OTHER: &str = "seven quiet lanterns";

/// The most by which one side of a race starts before the other.
const HEAD_START: Duration = Duration::from_millis(6);

const LOG_OUT: (&str, &str) = ("POST", "/api/v1/auth/logout");
const CHANGE_PASSWORD: (&str, &str) = ("PUT", "/api/v1/me/password");

/// The pair that a racing refresh brought, if it was let through.
fn brought(replicas: &Replicas, process: usize, jar: &Jar) -> Option<Jar> {
    let (answer, pair) = replicas.refresh(process, jar);
    assert!(matches!(answer.status, 200 | 401), "{}", answer.text());
    assert_ne!(answer.json()["code"], "refresh_reused", "nobody has stolen anything");
    (answer.status == 200).then_some(pair)
}

fn sr_38_nothing_survives_a_logout_that_races_with_a_refresh(kind: Kind) {
    let replicas = Replicas::start(kind, &[]);
    let rounds = number("DW_TEST_PROOF_RACES", 8);
    let mut dice = Dice::new();
    replicas.register(0, "ada@example.org");
    let started = Instant::now();
    let mut let_through = 0;
    for round in 0..rounds {
        let old = replicas.log_in(dice.process(), "ada@example.org", PASSWORD);
        let (here, there) = (dice.process(), dice.process() + 1);
        let there = if there % PROCESSES == here { there + 1 } else { there };
        // Signing out asks less of the stores than a refresh: it waits longer, to be met midway.
        let head_starts = [dice.moment(HEAD_START), dice.moment(2 * HEAD_START)];
        let start = Barrier::new(2);
        let new = std::thread::scope(|scope| {
            let refresh = scope.spawn(|| {
                start.wait();
                std::thread::sleep(head_starts[0]);
                brought(&replicas, there, &old)
            });
            start.wait();
            std::thread::sleep(head_starts[1]);
            let answer = replicas.call(here, &mut old.clone(), LOG_OUT, Value::Null);
            assert_eq!(answer.status, 204, "{}", answer.text());
            refresh.join().expect("an answer")
        });
        let_through += u64::from(new.is_some());
        if let Some(new) = new {
            replicas.assert_dead(&new, &format!("round {round}, from the refresh"));
        }
        replicas.assert_dead(&old, &format!("round {round}, from before"));
    }
    let figures = format!("{rounds} rounds, {let_through} refreshes came first");
    replicas.report("sign-out against refresh", started, &figures);
}

fn sr_38_nothing_older_survives_a_password_change_that_races_with_refreshes(kind: Kind) {
    let replicas = Replicas::start(kind, &[]);
    let rounds = number("DW_TEST_PROOF_RACES", 8);
    let mut dice = Dice::new();
    let mut own = replicas.register(0, "ada@example.org");
    let (mut now, mut next) = (PASSWORD, OTHER);
    // How long a change takes: its hashes are most of it, and the race is at their end.
    let mut takes = change(&replicas, 0, &mut own, now, next);
    std::mem::swap(&mut now, &mut next);
    let started = Instant::now();
    let mut let_through = 0;
    for round in 0..rounds {
        let other = replicas.log_in(dice.process(), "ada@example.org", now);
        let before = own.clone();
        let first = dice.process();
        let moments = [dice.moment(takes), takes / 2 + dice.moment(takes / 2)];
        let start = Barrier::new(3);
        let news = std::thread::scope(|scope| {
            let racer = |process: usize, jar: &Jar, moment: Duration| {
                let (replicas, start, jar) = (&replicas, &start, jar.clone());
                scope.spawn(move || {
                    start.wait();
                    std::thread::sleep(moment);
                    brought(replicas, process, &jar)
                })
            };
            let racers =
                [racer(first + 1, &before, moments[0]), racer(first + 2, &other, moments[1])];
            start.wait();
            takes = change(&replicas, first, &mut own, now, next);
            racers.map(|racer| racer.join().expect("an answer"))
        });
        std::mem::swap(&mut now, &mut next);
        let_through += news.iter().flatten().count();
        for older in news.iter().flatten().chain([&before, &other]) {
            replicas.assert_dead(older, &format!("round {round}"));
        }
        replicas.assert_alive(&own, &format!("round {round}, the pair of the change"));
        let (answer, pair) = replicas.refresh(first + 1, &own);
        assert_eq!(answer.status, 200, "round {round}: {}", answer.text());
        replicas.assert_alive(&pair, &format!("round {round}, its successor"));
        own = pair;
    }
    assert_eq!(replicas.refreshes("reused"), 0, "nobody has stolen anything");
    let figures = format!("{rounds} rounds, {let_through} refreshes of {} came first", 2 * rounds);
    replicas.report("change of password against refresh", started, &figures);
}

/// Changes the password; says how long it took.
#[track_caller]
fn change(replicas: &Replicas, process: usize, jar: &mut Jar, old: &str, new: &str) -> Duration {
    let started = Instant::now();
    let body = json!({ "current_password": old, "new_password": new });
    let answer = replicas.call(process, jar, CHANGE_PASSWORD, body);
    assert_eq!(answer.status, 204, "{}", answer.text());
    started.elapsed()
}

fn sr_38_what_one_process_changes_the_others_see_at_the_next_request(kind: Kind) {
    let replicas = Replicas::start(kind, &[]);
    let started = Instant::now();
    let ada = Somebody::new(&replicas, "ada@example.org");
    let mut admin = replicas.register(0, "root@example.org");
    replicas.command(&["user", "set-roles", "root@example.org", "admin"]);

    // Roles, given and taken.
    let roles = format!("{}/roles", ada.path());
    for (names, status) in [(["admin"], 200), (["user"], 403)] {
        let answer = replicas.call(0, &mut admin, ("PUT", &roles), json!({ "roles": names }));
        assert_eq!(answer.status, 200, "{}", answer.text());
        for process in [1, 2] {
            assert_eq!(ada.list_users(process), status, "{names:?} on process {process}");
        }
    }

    // A single access token, while its session lives on.
    let body = json!({ "token": ada.jar[ACCESS] });
    let answer = replicas.call(1, &mut admin, ("POST", "/api/v1/admin/tokens/revoke"), body);
    assert_eq!(answer.status, 204, "{}", answer.text());
    for process in [2, 0, 1] {
        assert_eq!(replicas.me(process, &ada.jar), 401, "denied, on process {process}");
    }
    let (answer, jar) = replicas.refresh(2, &ada.jar);
    assert_eq!(answer.status, 200, "the session lives");

    // The whole account: disabled, and deleted.
    replicas.assert_alive(&jar, "after a refresh");
    let path = ada.path();
    let answer = replicas.call(2, &mut admin, ("PATCH", &path), json!({ "status": "disabled" }));
    assert_eq!(answer.status, 200, "{}", answer.text());
    replicas.assert_dead(&jar, "disabled");
    let answer = replicas.call(0, &mut admin, ("PATCH", &path), json!({ "status": "active" }));
    assert_eq!(answer.status, 200, "{}", answer.text());
    replicas.assert_dead(&jar, "enabled again");
    let jar = replicas.log_in(1, "ada@example.org", PASSWORD);
    replicas.assert_alive(&jar, "signed in again");
    let answer = replicas.call(0, &mut admin, ("DELETE", &path), Value::Null);
    assert_eq!(answer.status, 204, "{}", answer.text());
    replicas.assert_dead(&jar, "deleted");
    replicas.report(
        "changes through one process",
        started,
        "seen by the others at the next request",
    );
}

fn sr_38_what_a_command_ends_every_process_refuses_at_the_next_request(kind: Kind) {
    let replicas = Replicas::start(kind, &[]);
    let started = Instant::now();
    let email = "ada@example.org";
    let jar = replicas.register(0, email);
    replicas.assert_alive(&jar, "registered");
    replicas.command(&["user", "end-sessions", email]);
    replicas.assert_dead(&jar, "ended by the command");

    let jars: Vec<Jar> = (0..PROCESSES).map(|at| replicas.log_in(at, email, PASSWORD)).collect();
    jars.iter().for_each(|jar| replicas.assert_alive(jar, "signed in"));
    replicas.command(&["user", "disable", email]);
    jars.iter().for_each(|jar| replicas.assert_dead(jar, "disabled by the command"));

    replicas.command(&["user", "enable", email]);
    let jar = replicas.log_in(2, email, PASSWORD);
    replicas.command(&["user", "delete", email]);
    replicas.assert_dead(&jar, "deleted by the command");
    replicas.report(
        "commands of the operator",
        started,
        "seen by three processes at the next request",
    );
}

/// Somebody whose account is changed by others.
struct Somebody<'c> {
    replicas: &'c Replicas,
    id: String,
    jar: Jar,
}

impl<'c> Somebody<'c> {
    fn new(replicas: &'c Replicas, email: &str) -> Self {
        let mut jar = replicas.register(1, email);
        let me = replicas.call(1, &mut jar, ("GET", "/api/v1/me"), Value::Null).json();
        let id = me["user"]["id"].as_str().expect("an id").to_owned();
        Self { replicas, id, jar }
    }

    /// Where administrators find the account.
    fn path(&self) -> String {
        format!("/api/v1/admin/users/{}", self.id)
    }

    /// Asks for what only administrators are shown; says the status of the answer.
    fn list_users(&self, process: usize) -> u16 {
        let ask = ("GET", "/api/v1/admin/users");
        self.replicas.call(process, &mut self.jar.clone(), ask, Value::Null).status
    }
}

/// One test on every kind of Redis.
macro_rules! on_every_redis {
    ($($name:ident)*) => {$(
        mod $name {
            use super::Kind;

            #[test]
            fn single() {
                super::$name(Kind::Single);
            }

            #[test]
            fn cluster() {
                super::$name(Kind::Cluster);
            }

            #[test]
            fn sentinel() {
                super::$name(Kind::Sentinel);
            }
        }
    )*};
}

on_every_redis! {
    sr_38_nothing_survives_a_logout_that_races_with_a_refresh
    sr_38_nothing_older_survives_a_password_change_that_races_with_refreshes
    sr_38_what_one_process_changes_the_others_see_at_the_next_request
    sr_38_what_a_command_ends_every_process_refuses_at_the_next_request
}
