//! SR-70: a primary of Redis is lost under load. Everybody gets their answer or is told to come back;
//! soon all is well again, with no server restarted, and what was ended stays ended.

use std::time::{Duration, Instant};

use super::load::Load;
use super::{ADA, Dice, Replicas, number};
use crate::support::fleet::Kind;

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
