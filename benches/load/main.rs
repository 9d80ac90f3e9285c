//! How much Doorward carries, beside what the same machine does without it, in one run.
//!
//! `cargo bench --bench load`, or `cargo bench --bench load -- --seconds 5 --rounds 7` for more and
//! longer rounds, with `--only me` (`refresh`, `login`, `storm`, `scale`) for one of them, or with `--all`
//! for `scale` as well, which takes minutes: a million people and sessions. What the columns mean
//! and what came of it: docs/performance.md.
//!
//! The release binary runs on one core, with the embedded store, with Redis, and with Redis and
//! PostgreSQL; so do, in turns with
//! it, a bare Rocket route, a Rocket route that does the least a signed-in request needs, and Argon2
//! alone. The load, Redis and PostgreSQL have another core. Every figure is the median of several short rounds
//! that take turns, so that a noisy minute meets all of them.
#![forbid(unsafe_code)]

mod client;
mod doorward;
mod foreign;
mod hash;
mod measure;
mod peer;
mod postgres;
mod process;
mod report;
mod scale;
mod storm;
mod visitor;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

/// As in the server's own binary, for the peers.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long the run takes.
#[derive(Clone)]
struct Plan {
    /// How often each measurement is made.
    rounds: usize,
    /// How long each takes.
    round: Duration,
    /// The one measurement to make: `me`, `refresh`, `login`, `storm` or `scale`.
    only: Option<String>,
    /// Whether `scale` is made too.
    all: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [role, rest @ ..] = arguments.as_slice()
        && role == peer::ARGUMENT
    {
        return finish(peer::run(rest));
    }
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("nothing to test here; run: cargo bench --bench load");
        return ExitCode::SUCCESS;
    }
    finish(plan(&arguments).and_then(|plan| measure::run(&plan)))
}

fn plan(arguments: &[String]) -> Result<Plan, Box<dyn Error>> {
    let number = |name: &str, default: u64| {
        match arguments.iter().position(|argument| argument == name) {
            Some(at) => arguments.get(at + 1).and_then(|text| text.parse().ok()),
            None => Some(default),
        }
        .filter(|number| *number > 0)
        .ok_or_else(|| format!("{name} takes a whole number of at least 1"))
    };
    let rounds = usize::try_from(number("--rounds", 3)?)?;
    let only = arguments.iter().position(|argument| argument == "--only");
    let only = only.and_then(|at| arguments.get(at + 1)).cloned();
    let all = arguments.iter().any(|argument| argument == "--all");
    Ok(Plan { rounds, round: Duration::from_secs(number("--seconds", 2)?), only, all })
}

fn finish(done: Result<(), Box<dyn Error>>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}
