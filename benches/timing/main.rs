//! Whether the time of a refused login tells who has an account (SR-21).
//!
//! `cargo bench --bench timing`. Logins with an unknown address, with a known one and a wrong password,
//! and with that of a disabled account take turns at one server, over one connection. The run fails if
//! their times can be told apart. What the figures mean and what came of it: docs/timing.md.
#![forbid(unsafe_code)]

#[path = "../load/client.rs"]
#[expect(dead_code, reason = "the load is the other benchmark's")]
mod client;
#[path = "../load/process.rs"]
#[expect(dead_code, reason = "cores and memory are the other benchmark's")]
mod process;
mod server;
mod statistic;
#[path = "../load/visitor.rs"]
#[expect(dead_code, reason = "the load's visitors are the other benchmark's")]
mod visitor;

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use client::Connection;
use server::Server;
use statistic::Comparison;

/// How often each kind of login is tried (SR-21).
const SAMPLES: usize = 200;
/// Logins of each kind that are not counted, while the server and the machine warm up.
const WARM_UP: usize = 10;
/// How many accounts of each kind take turns, so that none is known for being asked for again.
const ACCOUNTS: usize = 8;

/// A login that is to be refused.
#[derive(Clone, Copy)]
enum Kind {
    Unknown,
    Known,
    Disabled,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Unknown, Self::Known, Self::Disabled];

    /// The address that the sample of this number asks for: all of them equally long. An attacker
    /// tries each address once, but has no more accounts than there are.
    fn address(self, sample: usize) -> String {
        match self {
            Self::Unknown => format!("unknown--{sample:03}@example.org"),
            Self::Known => known(sample % ACCOUNTS),
            Self::Disabled => disabled(sample % ACCOUNTS),
        }
    }
}

fn known(number: usize) -> String {
    format!("known----{number:03}@example.org")
}

fn disabled(number: usize) -> String {
    format!("disabled-{number:03}@example.org")
}

fn main() -> ExitCode {
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("nothing to test here; run: cargo bench --bench timing");
        return ExitCode::SUCCESS;
    }
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("timing: the time of a refused login tells who has an account");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("timing: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures, prints, and says whether the times are alike.
fn run() -> Result<bool, Box<dyn Error>> {
    let addresses: Vec<String> = (0..ACCOUNTS).map(known).collect();
    let disabled: Vec<String> = (0..ACCOUNTS).map(disabled).collect();
    let server = Server::start(&addresses, &disabled)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let [unknown, known, disabled] = runtime.block_on(measure(server.port()))?;

    println!("{SAMPLES} refused logins of each kind, taking turns over one connection\n");
    println!(
        "| compared with an unknown address | median there | median here | difference | AUC | |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | --- |");
    let mut alike = true;
    for (name, times) in
        [("known address, wrong password", &known), ("disabled account, wrong password", &disabled)]
    {
        let comparison = Comparison::of(&unknown, times);
        println!("| {name} | {comparison} |");
        alike &= comparison.is_alike();
    }
    Ok(alike)
}

/// The times of all kinds, in milliseconds.
async fn measure(port: u16) -> Result<[Vec<f64>; 3], Box<dyn Error>> {
    let mut connection = Connection::open(port).await?;
    let mut times = [const { Vec::new() }; 3];
    for sample in 0..WARM_UP + SAMPLES {
        // Another one goes first each time, so that none is always behind the same one.
        for turn in 0..Kind::ALL.len() {
            let place = (sample + turn * (1 + sample % 2)) % Kind::ALL.len();
            let time = refused(&mut connection, &Kind::ALL[place].address(sample)).await?;
            if sample >= WARM_UP {
                times[place].push(time.as_secs_f64() * 1000.0);
            }
        }
    }
    Ok(times)
}

/// How long the server takes to refuse a login.
async fn refused(connection: &mut Connection, address: &str) -> Result<Duration, Box<dyn Error>> {
    let body = format!(r#"{{"email":"{address}","password":"not this one, I fear"}}"#);
    let request = visitor::post("/api/v1/auth/login", "", &body);
    let asked = Instant::now();
    let answer = connection.exchange(&request).await?;
    let time = asked.elapsed();
    match answer.status {
        401 => Ok(time),
        status => Err(format!("{address}: expected 401, got {status}").into()),
    }
}
