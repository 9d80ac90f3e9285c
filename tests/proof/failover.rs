//! SR-70: a primary of Redis is lost under load. Everybody gets their answer or is told to come back;
//! soon all is well again, with no server restarted, and what was ended stays ended.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::load::Load;
use super::{ADA, Dice, PROCESSES, Replicas, number};
use crate::app::ACCESS;
use crate::support::fleet::Kind;
use crate::support::{http, wait_until};

/// How long before a loss what was answered for may be lost with it: Redis tells its replicas a
/// moment after it has answered.
const LAG: Duration = Duration::from_secs(1);

/// Kills a primary under load, once or more; the keys that sign rotate meanwhile.
fn a_primary_is_lost(kind: Kind) {
    let replicas = Replicas::start(kind, &[("DOORWARD_KEYS_LEAD", "1m")]);
    let started = Instant::now();
    let rounds = number("DW_TEST_PROOF_FAILOVERS", 1);
    let load = Load::new(&replicas);
    let before = replicas.register(0, ADA);
    let (mut losses, mut took) = (Vec::new(), Vec::new());
    std::thread::scope(|scope| {
        let _end = load.ending();
        load.begin(scope);
        load.wait_well();
        replicas.rotate_keys();
        let mut dice = Dice::of(70);
        for round in 0..rounds {
            let victim = match kind {
                // First the one without which nobody can be let in: it has the denylist.
                Kind::Cluster if round > 0 => {
                    let primaries = replicas.redis.primaries();
                    primaries[dice.roll(primaries.len() as u64) as usize]
                }
                _ => replicas.redis.owner("doorward:denylist"),
            };
            let lost_at = Instant::now();
            losses.push(lost_at);
            replicas.redis.nodes[victim].kill();
            if kind == Kind::OnDisk {
                std::thread::sleep(Duration::from_secs(2));
                replicas.redis.nodes[victim].restart();
            }
            load.wait_well();
            let last = load.tally().last_refused;
            took.push(last.map_or(Duration::ZERO, |last| last.saturating_duration_since(lost_at)));
            if kind != Kind::OnDisk && round + 1 < rounds {
                replicas.redis.nodes[victim].restart();
                replicas.redis.wait_whole();
            }
        }
    });
    assert_within_bound(&load, kind, &losses);
    load.assert_ends_hold();
    replicas.assert_keys_rotated(&before);
    let tally = load.tally();
    let good: u64 = tally.good.values().sum();
    let figures = format!(
        "{} losses, the last 503 after {took:.1?}, {good} good, {} refused (503), {} sessions lost, \
         {} ends hold, slowest {:.1?}",
        losses.len(),
        tally.refused,
        tally.lost.len(),
        tally.ended.len(),
        tally.slowest
    );
    drop(tally);
    replicas.report(&format!("a lost primary, {kind:?}"), started, &figures);
}

/// Fails unless every answer was good or declared, and who lost a session had changed it just before a
/// primary was lost.
#[track_caller]
fn assert_within_bound(load: &Load<'_>, kind: Kind, losses: &[Instant]) {
    let tally = load.tally();
    assert!(tally.faults.is_empty(), "{:#?}", tally.faults);
    assert!(tally.refused > 0, "nobody noticed");
    for lost in &tally.lost {
        let bounds = losses.iter().any(|at| {
            lost.changed_at <= *at && at.saturating_duration_since(lost.changed_at) < LAG
        });
        // What a server has on its disk, it has not lost.
        assert!(bounds && kind != Kind::OnDisk, "{}", lost.answer);
    }
}

/// A primary hangs and is replaced. What ends meanwhile has ended for a process, too, that has not
/// heard of it and still holds a connection to the one that hung.
fn a_replaced_primary_comes_back(kind: Kind) {
    let replicas = Replicas::start(kind, &[]);
    let started = Instant::now();
    let mut jar = replicas.register(0, ADA);
    let id = replicas.call(0, &mut jar, ("GET", "/api/v1/me"), Value::Null).json();
    let id = id["user"]["id"].as_str().expect("an id").to_owned();
    replicas.assert_alive(&jar, "registered");
    let hung = replicas.redis.owner(&format!("doorward:{{{id}}}:sessions"));
    let primaries = replicas.redis.primaries().len();
    replicas.redis.hang(hung);
    let replaced = || {
        let now = replicas.redis.primaries();
        now.len() == primaries && !now.contains(&hung)
    };
    assert!(wait_until(Duration::from_secs(30), replaced), "it is not replaced");
    let signed_out = || {
        let ask = ("POST", "/api/v1/auth/logout");
        replicas.call(0, &mut jar.clone(), ask, Value::Null).status == 204
    };
    assert!(wait_until(Duration::from_secs(30), signed_out), "nobody can sign out");
    // Each process looks after its connections by itself, once a second.
    std::thread::sleep(Duration::from_secs(4));
    replicas.redis.go_on(hung);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        for process in [1, 2] {
            let bearer = format!("Bearer {}", jar[ACCESS]);
            let headers = [("Authorization", &*bearer)];
            let port = replicas.port(process);
            let answer =
                http::request(port, "GET", "/api/v1/me", &headers, b"").expect("an answer");
            let what = format!("process {process}, after {:?}", begun.elapsed());
            assert!(matches!(answer.status, 401 | 503), "{what}: {}", answer.status);
        }
    }
    replicas.assert_dead(&jar, "signed out");
    replicas.report(&format!("a replaced primary, {kind:?}"), started, "believed by nobody");
}

#[test]
fn sr_37_a_primary_that_hung_in_a_cluster_and_was_replaced_is_believed_by_nobody() {
    a_replaced_primary_comes_back(Kind::Cluster);
}

#[test]
fn sr_37_a_primary_that_hung_and_that_sentinels_replaced_is_believed_by_nobody() {
    a_replaced_primary_comes_back(Kind::Sentinel);
}

/// A primary that is cut off from its replicas may have been replaced where nobody here can see: as long
/// as it cannot be told from one that was, it lets nobody in.
#[test]
fn sr_37_a_primary_that_is_cut_off_from_its_replicas_lets_nobody_in() {
    let replicas = Replicas::start(Kind::Sentinel, &[]);
    let started = Instant::now();
    let jar = replicas.register(0, ADA);
    let fleet = &replicas.redis;
    let primary = fleet.primaries()[0];
    let shorter = fleet.nodes[primary].command("CONFIG SET min-replicas-max-lag 2");
    assert_eq!(shorter.expect("Redis answers"), "+OK");
    let cut_off = fleet.replicas();
    cut_off.iter().for_each(|node| fleet.nodes[*node].pause());
    let bearer = format!("Bearer {}", jar[ACCESS]);
    let headers = [("Authorization", &*bearer)];
    let all = |status: u16| {
        let me = |port| http::request(port, "GET", "/api/v1/me", &headers, b"");
        (0..PROCESSES).all(|at| me(replicas.port(at)).expect("an answer").status == status)
    };
    let begun = Instant::now();
    assert!(wait_until(Duration::from_secs(20), || all(503)), "they go on");
    let took = begun.elapsed();
    cut_off.iter().for_each(|node| fleet.nodes[*node].resume());
    assert!(wait_until(Duration::from_secs(20), || all(200)), "they do not go on");
    replicas.report("a primary cut off", started, &format!("refused after {took:.1?}"));
}

#[test]
fn sr_70_the_only_server_is_killed_and_comes_back_under_load() {
    a_primary_is_lost(Kind::OnDisk);
}

#[test]
fn sr_70_a_cluster_loses_a_primary_under_load() {
    a_primary_is_lost(Kind::Cluster);
}

#[test]
fn sr_70_sentinels_replace_a_lost_primary_under_load() {
    a_primary_is_lost(Kind::Sentinel);
}
