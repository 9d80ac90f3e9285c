//! SR-36: tabs that race and answers that get lost sign nobody out; a token that comes back when its
//! successor is in use ends the session on every process.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use super::{Dice, Jar, PROCESSES, Replicas, number, only_refresh};
use crate::app::{ACCESS, PASSWORD, REFRESH};
use crate::support::fleet::Kind;
use crate::support::{START_LIMIT, wait_until};

/// How many requests present the same refresh token at the same time.
const RACERS: usize = 64;

#[test]
fn sr_36_parallel_refreshes_over_three_processes_have_one_successor() {
    race("64 in parallel, grace 10 s", "10s");
}

/// Without a grace it is alone the rule that nobody has used the successor yet.
#[test]
fn sr_36_parallel_refreshes_have_one_successor_without_any_grace() {
    race("64 in parallel, no grace", "0s");
}

fn race(proof: &str, grace: &str) {
    let replicas = Replicas::start(Kind::Single, &[("DOORWARD_TOKENS_REUSE_GRACE", grace)]);
    let rounds = number("DW_TEST_PROOF_ROUNDS", 10);
    let mut jar = replicas.register(0, "ada@example.org");
    let started = Instant::now();
    for round in 0..rounds {
        let pairs = refresh_at_once(&replicas, &jar, round);
        let successor = pairs.first().expect("64 answers");
        assert!(pairs.iter().all(|pair| pair == successor), "round {round}: two successors");
        assert_ne!(successor[REFRESH], jar[REFRESH], "round {round}: not rotated");
        let process = usize::try_from(round).expect("small");
        assert_eq!(replicas.me(process, successor), 200, "round {round}: signed out");
        jar = successor.clone();
    }
    let repeated = replicas.refreshes("repeated_in_grace") + replicas.refreshes("repeated_unused");
    let (rotated, failed) = (replicas.refreshes("rotated"), replicas.refreshes("failed"));
    assert_eq!(rotated + repeated, rounds * RACERS as u64, "every racer was answered");
    // A swap whose answer came too late from Redis is done, and counts as failed.
    let swaps = rotated..=rotated + failed;
    assert!(swaps.contains(&rounds), "one swap a round: {rotated} and {failed} failed");
    assert_eq!(replicas.refreshes("reused"), 0);
    replicas.report(
        proof,
        started,
        &format!("{rounds} rounds, {} refreshes", rounds * RACERS as u64),
    );
}

/// Presents the refresh cookie of `jar` 64 times at once; gives what each answer brought.
fn refresh_at_once(replicas: &Replicas, jar: &Jar, round: u64) -> Vec<Jar> {
    let together = Barrier::new(RACERS);
    std::thread::scope(|scope| {
        let racer = |number: usize| {
            let together = &together;
            scope.spawn(move || {
                together.wait();
                let (answer, pair) = replicas.refresh(number, jar);
                assert_eq!(answer.status, 200, "round {round}: {}", answer.text());
                assert!(pair.contains_key(ACCESS), "round {round}: no access token");
                pair
            })
        };
        let racers: Vec<_> = (0..RACERS).map(racer).collect();
        racers.into_iter().map(|racer| racer.join().expect("an answer")).collect()
    })
}

#[test]
fn sr_36_answers_lost_at_random_sign_nobody_out() {
    lose_answers("lost answers, grace 10 s", "10s");
}

#[test]
fn sr_36_answers_lost_at_random_sign_nobody_out_without_any_grace() {
    lose_answers("lost answers, no grace", "0s");
}

/// Refreshes again and again; every second answer, by chance, never arrives, and the browser goes on
/// with what it has. Sometimes it uses its new pair before the next refresh, sometimes not.
fn lose_answers(proof: &str, grace: &str) {
    let replicas = Replicas::start(Kind::Single, &[("DOORWARD_TOKENS_REUSE_GRACE", grace)]);
    let refreshes = number("DW_TEST_PROOF_REFRESHES", 60);
    let mut dice = Dice::new();
    let mut jar = replicas.register(0, "ada@example.org");
    let (started, mut lost, mut arrived) = (Instant::now(), 0_u64, 0_u64);
    for number in 0..refreshes {
        let (answer, pair) = replicas.refresh(dice.process(), &jar);
        assert_eq!(answer.status, 200, "refresh {number}: {}", answer.text());
        if dice.roll(2) == 0 {
            lost += 1;
            continue;
        }
        arrived += 1;
        jar = pair;
        if dice.roll(2) == 0 {
            assert_eq!(replicas.me(dice.process(), &jar), 200, "refresh {number}: signed out");
        }
    }
    let (answer, pair) = replicas.refresh(dice.process(), &jar);
    assert_eq!(answer.status, 200, "{}", answer.text());
    replicas.assert_alive(&pair, "after the last refresh");

    let counted = |outcome| replicas.refreshes(outcome);
    let repeated = counted("repeated_in_grace") + counted("repeated_unused");
    assert_eq!(counted("rotated") + repeated, refreshes + 1);
    assert!(repeated > 0 && counted("reused") == 0);
    let tolerated = if grace == "0s" { "repeated_unused" } else { "repeated_in_grace" };
    assert!(counted(tolerated) > 0, "the cause is counted");
    replicas.report(
        proof,
        started,
        &format!("{refreshes} refreshes, {lost} lost, {arrived} arrived"),
    );
}

#[test]
fn sr_36_a_token_replayed_after_use_ends_the_family_everywhere_at_once() {
    let grace = Duration::from_secs(2);
    let replicas = Replicas::start(Kind::Single, &[("DOORWARD_TOKENS_REUSE_GRACE", "2s")]);
    let old = replicas.register(0, "ada@example.org");

    let started = Instant::now();
    let (answer, new) = replicas.refresh(1, &old);
    assert_eq!(answer.status, 200);
    // A second tab, a moment later; and a lost answer, long after.
    assert_eq!(replicas.refresh(2, &old).1, new, "repeated in the grace");
    std::thread::sleep(grace + Duration::from_millis(50));
    assert_eq!(replicas.refresh(0, &old).1, new, "repeated, for nobody used the successor");
    assert_eq!(replicas.me(1, &new), 200);

    // Now the successor is in use, and the copy that somebody kept comes back.
    let (answer, pair) = replicas.refresh(2, &old);
    assert_eq!((answer.status, &answer.json()["code"]), (401, &"refresh_reused".into()));
    assert_eq!(pair, only_refresh(&old), "a refused refresh leaves the cookies as they are");
    assert_eq!(replicas.me(0, &new), 401, "the very next request, on another process");
    replicas.assert_dead(&new, "the successor");
    replicas.assert_dead(&old, "the replayed token");

    assert_eq!(replicas.refreshes_on(1, "rotated"), 1);
    assert_eq!(replicas.refreshes_on(2, "repeated_in_grace"), 1);
    assert_eq!(replicas.refreshes_on(0, "repeated_unused"), 1);
    assert_eq!(replicas.refreshes_on(2, "reused"), 1);
    assert_eq!(replicas.refreshes("reused"), 1);
    let told = wait_until(START_LIMIT, || replicas.events("authn_token_reuse") == 1);
    assert!(told, "the audit trail has one event of it");

    let owner = replicas.log_in(0, "ada@example.org", PASSWORD);
    for process in 0..PROCESSES {
        let page = replicas.browser(process, &owner).get("/profile");
        assert!(page.text().contains("used from two places at once"), "{}", page.text());
    }
    replicas.report("replay after use", started, "dead on three processes at the next request");
}
