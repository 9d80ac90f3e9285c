//! What a storm of sign-ins leaves to those who are signed in, and how much memory it all took.

use crate::client::load;
use crate::measure::{Done, Round, SIGNING_IN, Stage, Subject, middle, millis};
use crate::report::{Table, hundredths, median, tenths, whole};
use crate::visitor::Member;

/// Signed-in requests while others sign in without pause.
pub fn storm(stage: &mut Stage) -> Done<()> {
    let mut table = Table::new(&[
        "GET /api/v1/me in a storm",
        "requests/s",
        "of calm",
        "p50 ms",
        "p99 ms",
        "sign-ins/s",
    ]);
    let duration = stage.plan.round * 2;
    for subject in &mut stage.subjects {
        let port = subject.server.process.port;
        let (mut calm, mut storms, mut callers) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..stage.plan.rounds.min(2) {
            let asking = || subject.members.iter().map(Member::asks_me).collect();
            let signing_in = subject.callers.iter().map(Member::logs_in).collect();
            let (quiet, (storm, signed_in)) = stage.runtime.block_on(async {
                let quiet = load(port, asking(), stage.plan.round).await?.0;
                let storm = load(port, asking(), duration);
                let both = tokio::try_join!(storm, load(port, signing_in, duration))?;
                Ok::<_, std::io::Error>((quiet, (both.0.0, both.1.0)))
            })?;
            calm.push(quiet.rate);
            callers.push(signed_in.rate);
            storms.push(Round { outcome: storm, ..Round::default() });
        }
        let round = middle(&storms);
        table.row([
            format!("Doorward, {}", subject.name),
            whole(round.outcome.rate),
            hundredths(round.outcome.rate / median(calm)),
            millis(round.outcome.p50),
            millis(round.outcome.p99),
            tenths(median(callers)),
        ]);
        subject.memory.after_storm = subject.server.process.resident_mib();
    }
    table.print(&format!("A storm: {SIGNING_IN} more connections sign in without pause"));
    Ok(())
}

/// A figure, unless its measurement was left out.
fn measured(mib: f64) -> String {
    if mib > 0.0 { tenths(mib) } else { String::new() }
}

/// How much memory every server held, and how long it took to start.
pub fn tell_memory(stage: &Stage) {
    let mut table = Table::new(&[
        "Memory and start",
        "MiB at rest",
        "after load",
        "after storm",
        "first answer, ms",
    ]);
    for Subject { name, server, memory, .. } in &stage.subjects {
        table.row([
            format!("Doorward, {name}"),
            tenths(memory.at_rest),
            measured(memory.after_load),
            measured(memory.after_storm),
            whole(server.process.start.as_secs_f64() * 1e3),
        ]);
    }
    table.print("Resident memory, and the time from start to the first 200");
}
