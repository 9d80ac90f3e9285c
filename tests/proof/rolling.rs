//! SR-74: the replicas are restarted one after the other under load, behind nginx. Nobody notices.

use std::time::Instant;

use super::load::Load;
use super::{ADA, Replicas, number};
use crate::support::fleet::Kind;

fn a_rolling_restart(kind: Kind) {
    let settings = [("DOORWARD_KEYS_LEAD", "1m"), ("DOORWARD_DRAIN", "1s")];
    let replicas = Replicas::start(kind, &settings);
    let started = Instant::now();
    let rounds = number("DW_TEST_PROOF_RESTARTS", 1);
    let load = Load::new(&replicas);
    let before = replicas.register(0, ADA);
    std::thread::scope(|scope| {
        let _end = load.ending();
        load.begin(scope);
        load.wait_well();
        for round in 0..rounds {
            for (process, server) in replicas.servers.iter().enumerate() {
                assert!(server.stop().success(), "{:?}", server.lines().all());
                server.restart();
                load.wait_well();
                if (round, process) == (0, 0) {
                    replicas.rotate_keys();
                }
            }
        }
    });
    {
        let tally = load.tally();
        assert!(tally.faults.is_empty(), "{:#?}", tally.faults);
        let lost: Vec<_> = tally.lost.iter().map(|lost| &lost.answer).collect();
        assert!(lost.is_empty(), "{lost:#?}");
    }
    load.assert_ends_hold();
    replicas.assert_keys_rotated(&before);
    let figures = {
        let tally = load.tally();
        assert_eq!(tally.refused, 0, "nobody is to notice");
        format!("{} restarts, {:?}, slowest {:.1?}", 3 * rounds, tally.good, tally.slowest)
    };
    replicas.report(&format!("rolling restart, {kind:?}"), started, &figures);
}

#[test]
fn sr_74_replicas_on_a_cluster_restart_one_by_one_and_nobody_notices() {
    a_rolling_restart(Kind::Cluster);
}

#[test]
fn sr_74_replicas_with_sentinels_restart_one_by_one_and_nobody_notices() {
    a_rolling_restart(Kind::Sentinel);
}
