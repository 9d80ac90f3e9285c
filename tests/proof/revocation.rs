//! SR-38: what is revoked on one process is dead on the others at the next request, also where a
//! refresh races with it.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Cluster, Dice, Jar, PROCESSES, number};
use crate::app::{ACCESS, PASSWORD};

/// The other password of those who change theirs.
const OTHER: &str = "seven quiet lanterns";

/// The most by which one side of a race starts before the other.
const HEAD_START: Duration = Duration::from_millis(6);

const LOG_OUT: (&str, &str) = ("POST", "/api/v1/auth/logout");
const CHANGE_PASSWORD: (&str, &str) = ("PUT", "/api/v1/me/password");

/// The pair that a racing refresh brought, if it was let through.
fn brought(cluster: &Cluster, process: usize, jar: &Jar) -> Option<Jar> {
    let (answer, pair) = cluster.refresh(process, jar);
    assert!(matches!(answer.status, 200 | 401), "{}", answer.text());
    assert_ne!(answer.json()["code"], "refresh_reused", "nobody has stolen anything");
    (answer.status == 200).then_some(pair)
}

#[test]
fn sr_38_nothing_survives_a_logout_that_races_with_a_refresh() {
    let cluster = Cluster::start(&[]);
    let rounds = number("DW_TEST_PROOF_RACES", 8);
    let mut dice = Dice::new();
    cluster.register(0, "ada@example.org");
    let started = Instant::now();
    let mut let_through = 0;
    for round in 0..rounds {
        let old = cluster.log_in(dice.process(), "ada@example.org", PASSWORD);
        let (here, there) = (dice.process(), dice.process() + 1);
        let there = if there % PROCESSES == here { there + 1 } else { there };
        // Signing out asks less of the stores than a refresh: it waits longer, to be met midway.
        let head_starts = [dice.moment(HEAD_START), dice.moment(2 * HEAD_START)];
        let start = Barrier::new(2);
        let new = std::thread::scope(|scope| {
            let refresh = scope.spawn(|| {
                start.wait();
                std::thread::sleep(head_starts[0]);
                brought(&cluster, there, &old)
            });
            start.wait();
            std::thread::sleep(head_starts[1]);
            let answer = cluster.call(here, &mut old.clone(), LOG_OUT, Value::Null);
            assert_eq!(answer.status, 204, "{}", answer.text());
            refresh.join().expect("an answer")
        });
        let_through += u64::from(new.is_some());
        if let Some(new) = new {
            cluster.assert_dead(&new, &format!("round {round}, from the refresh"));
        }
        cluster.assert_dead(&old, &format!("round {round}, from before"));
    }
    let figures = format!("{rounds} rounds, {let_through} refreshes came first");
    cluster.report("sign-out against refresh", started, &figures);
}

#[test]
fn sr_38_nothing_older_survives_a_password_change_that_races_with_refreshes() {
    let cluster = Cluster::start(&[]);
    let rounds = number("DW_TEST_PROOF_RACES", 8);
    let mut dice = Dice::new();
    let mut own = cluster.register(0, "ada@example.org");
    let (mut now, mut next) = (PASSWORD, OTHER);
    // How long a change takes: its hashes are most of it, and the race is at their end.
    let mut takes = change(&cluster, 0, &mut own, now, next);
    std::mem::swap(&mut now, &mut next);
    let started = Instant::now();
    let mut let_through = 0;
    for round in 0..rounds {
        let other = cluster.log_in(dice.process(), "ada@example.org", now);
        let before = own.clone();
        let first = dice.process();
        let moments = [dice.moment(takes), takes / 2 + dice.moment(takes / 2)];
        let start = Barrier::new(3);
        let news = std::thread::scope(|scope| {
            let racer = |process: usize, jar: &Jar, moment: Duration| {
                let (cluster, start, jar) = (&cluster, &start, jar.clone());
                scope.spawn(move || {
                    start.wait();
                    std::thread::sleep(moment);
                    brought(cluster, process, &jar)
                })
            };
            let racers =
                [racer(first + 1, &before, moments[0]), racer(first + 2, &other, moments[1])];
            start.wait();
            takes = change(&cluster, first, &mut own, now, next);
            racers.map(|racer| racer.join().expect("an answer"))
        });
        std::mem::swap(&mut now, &mut next);
        let_through += news.iter().flatten().count();
        for older in news.iter().flatten().chain([&before, &other]) {
            cluster.assert_dead(older, &format!("round {round}"));
        }
        cluster.assert_alive(&own, &format!("round {round}, the pair of the change"));
        let (answer, pair) = cluster.refresh(first + 1, &own);
        assert_eq!(answer.status, 200, "round {round}: {}", answer.text());
        cluster.assert_alive(&pair, &format!("round {round}, its successor"));
        own = pair;
    }
    assert_eq!(cluster.refreshes("reused"), 0, "nobody has stolen anything");
    let figures = format!("{rounds} rounds, {let_through} refreshes of {} came first", 2 * rounds);
    cluster.report("change of password against refresh", started, &figures);
}

/// Changes the password; says how long it took.
#[track_caller]
fn change(cluster: &Cluster, process: usize, jar: &mut Jar, old: &str, new: &str) -> Duration {
    let started = Instant::now();
    let body = json!({ "current_password": old, "new_password": new });
    let answer = cluster.call(process, jar, CHANGE_PASSWORD, body);
    assert_eq!(answer.status, 204, "{}", answer.text());
    started.elapsed()
}

#[test]
fn sr_38_what_one_process_changes_the_others_see_at_the_next_request() {
    let cluster = Cluster::start(&[]);
    let started = Instant::now();
    let ada = Somebody::new(&cluster, "ada@example.org");
    let mut admin = cluster.register(0, "root@example.org");
    cluster.command(&["user", "set-roles", "root@example.org", "admin"]);

    // Roles, given and taken.
    let roles = format!("{}/roles", ada.path());
    for (names, status) in [(["admin"], 200), (["user"], 403)] {
        let answer = cluster.call(0, &mut admin, ("PUT", &roles), json!({ "roles": names }));
        assert_eq!(answer.status, 200, "{}", answer.text());
        for process in [1, 2] {
            assert_eq!(ada.list_users(process), status, "{names:?} on process {process}");
        }
    }

    // A single access token, while its session lives on.
    let body = json!({ "token": ada.jar[ACCESS] });
    let answer = cluster.call(1, &mut admin, ("POST", "/api/v1/admin/tokens/revoke"), body);
    assert_eq!(answer.status, 204, "{}", answer.text());
    for process in [2, 0, 1] {
        assert_eq!(cluster.me(process, &ada.jar), 401, "denied, on process {process}");
    }
    let (answer, jar) = cluster.refresh(2, &ada.jar);
    assert_eq!(answer.status, 200, "the session lives");

    // The whole account: disabled, and deleted.
    cluster.assert_alive(&jar, "after a refresh");
    let path = ada.path();
    let answer = cluster.call(2, &mut admin, ("PATCH", &path), json!({ "status": "disabled" }));
    assert_eq!(answer.status, 200, "{}", answer.text());
    cluster.assert_dead(&jar, "disabled");
    let answer = cluster.call(0, &mut admin, ("PATCH", &path), json!({ "status": "active" }));
    assert_eq!(answer.status, 200, "{}", answer.text());
    cluster.assert_dead(&jar, "enabled again");
    let jar = cluster.log_in(1, "ada@example.org", PASSWORD);
    cluster.assert_alive(&jar, "signed in again");
    let answer = cluster.call(0, &mut admin, ("DELETE", &path), Value::Null);
    assert_eq!(answer.status, 204, "{}", answer.text());
    cluster.assert_dead(&jar, "deleted");
    cluster.report(
        "changes through one process",
        started,
        "seen by the others at the next request",
    );
}

#[test]
fn sr_38_what_a_command_ends_every_process_refuses_at_the_next_request() {
    let cluster = Cluster::start(&[]);
    let started = Instant::now();
    let email = "ada@example.org";
    let jar = cluster.register(0, email);
    cluster.assert_alive(&jar, "registered");
    cluster.command(&["user", "end-sessions", email]);
    cluster.assert_dead(&jar, "ended by the command");

    let jars: Vec<Jar> = (0..PROCESSES).map(|at| cluster.log_in(at, email, PASSWORD)).collect();
    jars.iter().for_each(|jar| cluster.assert_alive(jar, "signed in"));
    cluster.command(&["user", "disable", email]);
    jars.iter().for_each(|jar| cluster.assert_dead(jar, "disabled by the command"));

    cluster.command(&["user", "enable", email]);
    let jar = cluster.log_in(2, email, PASSWORD);
    cluster.command(&["user", "delete", email]);
    cluster.assert_dead(&jar, "deleted by the command");
    cluster.report(
        "commands of the operator",
        started,
        "seen by three processes at the next request",
    );
}

/// Somebody whose account is changed by others.
struct Somebody<'c> {
    cluster: &'c Cluster,
    id: String,
    jar: Jar,
}

impl<'c> Somebody<'c> {
    fn new(cluster: &'c Cluster, email: &str) -> Self {
        let mut jar = cluster.register(1, email);
        let me = cluster.call(1, &mut jar, ("GET", "/api/v1/me"), Value::Null).json();
        let id = me["user"]["id"].as_str().expect("an id").to_owned();
        Self { cluster, id, jar }
    }

    /// Where administrators find the account.
    fn path(&self) -> String {
        format!("/api/v1/admin/users/{}", self.id)
    }

    /// Asks for what only administrators are shown; says the status of the answer.
    fn list_users(&self, process: usize) -> u16 {
        let ask = ("GET", "/api/v1/admin/users");
        self.cluster.call(process, &mut self.jar.clone(), ask, Value::Null).status
    }
}
