//! What hashes a password: signing in and registering, beside what Argon2 alone reaches.

use std::process::Stdio;
use std::time::Duration;

use crate::Plan;
use crate::measure::{Done, Round, SIGNING_IN, Stage, middle, millis};
use crate::peer;
use crate::process::{Cores, Running};
use crate::report::{Table, hundredths, median, tenths};
use crate::visitor::{Member, Visitor};

/// A server's rounds; each with its shares of what Argon2 alone reached.
type Rounds = Vec<(Round, Shares)>;

/// What share of Argon2's rate a server reached; of its rate where it takes its memory afresh for each
/// hash; and what share of the server's processor time is Argon2's.
#[derive(Clone, Copy)]
struct Shares {
    rate: f64,
    fresh_rate: f64,
    thrift: f64,
}

/// What Argon2 alone reached: passwords a second and microseconds each, in memory that it keeps and in
/// fresh memory.
#[derive(Clone, Copy)]
struct Limit {
    kept: (f64, f64),
    fresh: (f64, f64),
}

impl Limit {
    fn measure(cores: Cores, duration: Duration) -> Done<Self> {
        let kept = argon2_alone(cores, peer::ARGON2, duration)?;
        Ok(Self { kept, fresh: argon2_alone(cores, peer::ARGON2_FRESH, duration)? })
    }
}

/// Signing in, at Doorward and at the others.
pub fn sign_in(stage: &mut Stage) -> Done<()> {
    measure(stage, "POST /api/v1/auth/login", "Signing in", Member::logs_in, true)
}

/// Making accounts, which signs in as well.
pub fn register(stage: &mut Stage) -> Done<()> {
    measure(stage, "POST /api/v1/auth/register", "Registering", Member::registers_others, false)
}

/// In turns with Argon2 alone on the same core. Each round is compared with what Argon2 reached
/// just before and just after it.
fn measure(
    stage: &mut Stage,
    call: &str,
    title: &str,
    visitor: fn(&Member) -> Visitor,
    others_too: bool,
) -> Done<()> {
    // Hashing is slow: a round needs some time to be a measurement.
    let plan = Plan { round: stage.plan.round * 2, ..stage.plan.clone() };
    let short = std::mem::replace(&mut stage.plan, plan.clone());
    let mut limits = Vec::new();
    let mut measured: Vec<(String, Rounds)> = Vec::new();
    for _ in 0..plan.rounds {
        let mut one = |name: String, server: &Running, visitors: Vec<Visitor>| -> Done<()> {
            let before = Limit::measure(stage.cores, plan.round / 2)?;
            let round = stage.round(server, visitors)?;
            let after = Limit::measure(stage.cores, plan.round / 2)?;
            let rate = round.outcome.rate;
            let shares = Shares {
                rate: rate / f64::midpoint(before.kept.0, after.kept.0),
                fresh_rate: rate / f64::midpoint(before.fresh.0, after.fresh.0),
                thrift: f64::midpoint(before.kept.1, after.kept.1) / round.micros,
            };
            limits.extend([before, after]);
            match measured.iter_mut().find(|(known, _)| *known == name) {
                Some((_, rounds)) => rounds.push((round, shares)),
                None => measured.push((name, vec![(round, shares)])),
            }
            Ok(())
        };
        for subject in &stage.subjects {
            let visitors = subject.callers.iter().map(visitor).collect();
            one(format!("Doorward, {}", subject.name), &subject.server.process, visitors)?;
        }
        for other in stage.foreign.iter().filter(|_| others_too) {
            let visitors = (0..SIGNING_IN).map(|_| other.logs_in()).collect();
            one(other.name.to_owned(), &other.process, visitors)?;
        }
    }
    tell(call, title, limits, measured);
    stage.plan = short;
    Ok(())
}

fn tell(call: &str, title: &str, limits: Vec<Limit>, measured: Vec<(String, Rounds)>) {
    let columns =
        [call, "a second", "of Argon2", "of fresh", "p50 ms", "p99 ms", "server ms", "of Argon2"];
    let mut table = Table::new(&columns);
    let of = |figure: fn(&Limit) -> f64| median(limits.iter().map(figure).collect());
    let (kept, kept_micros) = (of(|limit| limit.kept.0), of(|limit| limit.kept.1));
    let (fresh, fresh_micros) = (of(|limit| limit.fresh.0), of(|limit| limit.fresh.1));
    for (name, rate, micros) in [
        ("Argon2id alone", kept, kept_micros),
        ("Argon2id alone, fresh memory", fresh, fresh_micros),
    ] {
        table.row([
            name.to_owned(),
            tenths(rate),
            hundredths(rate / kept),
            hundredths(rate / fresh),
            String::new(),
            String::new(),
            hundredths(micros / 1e3),
            hundredths(kept_micros / micros),
        ]);
    }
    for (name, rounds) in measured {
        let of = |figure: fn(&Shares) -> f64| {
            median(rounds.iter().map(|(_, shares)| figure(shares)).collect())
        };
        let round = middle(&rounds.iter().map(|(round, _)| round.clone()).collect::<Vec<_>>());
        table.row([
            name,
            tenths(round.outcome.rate),
            hundredths(of(|shares| shares.rate)),
            hundredths(of(|shares| shares.fresh_rate)),
            millis(round.outcome.p50),
            millis(round.outcome.p99),
            hundredths(round.micros / 1e3),
            hundredths(of(|shares| shares.thrift)),
        ]);
    }
    table.print(&format!("{title}, {SIGNING_IN} connections"));
}

/// Argon2id alone on the servers' core: passwords a second, and microseconds of processor time each.
fn argon2_alone(cores: Cores, role: &str, duration: Duration) -> Done<(f64, f64)> {
    let program = std::env::current_exe()?;
    let mut command = cores.server(&program.display().to_string());
    command.args([peer::ARGUMENT, role, &duration.as_millis().to_string()]);
    let output = command.stderr(Stdio::inherit()).output()?;
    let told = String::from_utf8(output.stdout)?;
    let (rate, micros) = told.trim().split_once(' ').ok_or("Argon2 alone says nothing")?;
    Ok((rate.parse()?, micros.parse()?))
}
