//! What hashes a password: signing in and registering, beside what Argon2 alone reaches.

use std::process::Stdio;
use std::time::Duration;

use crate::Plan;
use crate::measure::{Done, Round, SIGNING_IN, Stage, middle, millis};
use crate::peer;
use crate::process::{Cores, Running};
use crate::report::{Table, hundredths, median, tenths};
use crate::visitor::{Member, Visitor};

/// A server's rounds; each with its rate and its processor time as shares of Argon2's.
type Rounds = Vec<(Round, f64, f64)>;

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
            let before = argon2_alone(stage.cores, plan.round / 2)?;
            let round = stage.round(server, visitors)?;
            let after = argon2_alone(stage.cores, plan.round / 2)?;
            let share = round.outcome.rate / f64::midpoint(before.0, after.0);
            let thrift = f64::midpoint(before.1, after.1) / round.micros;
            limits.extend([before, after]);
            match measured.iter_mut().find(|(known, _)| *known == name) {
                Some((_, rounds)) => rounds.push((round, share, thrift)),
                None => measured.push((name, vec![(round, share, thrift)])),
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

fn tell(call: &str, title: &str, limits: Vec<(f64, f64)>, measured: Vec<(String, Rounds)>) {
    let mut table =
        Table::new(&[call, "a second", "of Argon2", "p50 ms", "p99 ms", "server ms", "of Argon2"]);
    let (rates, micros): (Vec<f64>, Vec<f64>) = limits.into_iter().unzip();
    let (rate, millis_each) = (tenths(median(rates)), hundredths(median(micros) / 1e3));
    let (all, none) = (|| "1.00".to_owned(), String::new);
    table.row(["Argon2id alone".to_owned(), rate, all(), none(), none(), millis_each, all()]);
    for (name, rounds) in measured {
        let of =
            |figure: fn(&(Round, f64, f64)) -> f64| median(rounds.iter().map(figure).collect());
        let round = middle(&rounds.iter().map(|(round, _, _)| round.clone()).collect::<Vec<_>>());
        table.row([
            name,
            tenths(round.outcome.rate),
            hundredths(of(|round| round.1)),
            millis(round.outcome.p50),
            millis(round.outcome.p99),
            hundredths(round.micros / 1e3),
            hundredths(of(|round| round.2)),
        ]);
    }
    table.print(&format!("{title}, {SIGNING_IN} connections"));
}

/// Argon2id alone on the servers' core: passwords a second, and microseconds of processor time each.
fn argon2_alone(cores: Cores, duration: Duration) -> Done<(f64, f64)> {
    let program = std::env::current_exe()?;
    let mut command = cores.server(&program.display().to_string());
    command.args([peer::ARGUMENT, peer::ARGON2, &duration.as_millis().to_string()]);
    let output = command.stderr(Stdio::inherit()).output()?;
    let told = String::from_utf8(output.stdout)?;
    let (rate, micros) = told.trim().split_once(' ').ok_or("Argon2 alone says nothing")?;
    Ok((rate.parse()?, micros.parse()?))
}
