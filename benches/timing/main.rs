//! Whether the time of a refused login tells who has an account (SR-21).
//!
//! `cargo bench --bench timing`. Logins of several kinds take turns at one server, over one connection:
//! first with the embedded store, then with Redis. The run fails if the times of any two kinds can be told
//! apart. What the figures mean and what came of it: docs/timing.md.
#![forbid(unsafe_code)]

#[path = "../load/client.rs"]
#[expect(dead_code, reason = "the load is the other benchmark's")]
mod client;
mod kind;
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
use kind::{KINDS, Kind};
use server::{Server, Store};
use statistic::Comparison;

/// How often each kind of login is tried. SR-21 asks for 200 at least; of so many, two kinds that are alike
/// would seem told apart in one comparison of twelve.
const SAMPLES: usize = 1500;
/// Logins of each kind that are not counted, while the server and the machine warm up.
const WARM_UP: usize = 20;
/// How many accounts of each kind take turns, so that none is known for being asked for again.
const ACCOUNTS: usize = 8;

/// The times of each kind, in milliseconds.
type Times = [Vec<f64>; KINDS.len()];

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
    println!("{SAMPLES} refused logins of each kind, taking turns over one connection");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut alike = true;
    for store in [Store::Embedded, Store::Redis] {
        let server = runtime.block_on(Server::start(store, ACCOUNTS))?;
        let times = runtime.block_on(measure(server.port()))?;
        alike &= report(store, &times);
    }
    Ok(alike)
}

/// Prints the comparison of each kind with each, and says whether all are alike.
fn report(store: Store, times: &Times) -> bool {
    println!("\n{store}\n");
    println!("| kind | compared with | median | median there | difference | AUC | |");
    println!("| --- | --- | ---: | ---: | ---: | ---: | --- |");
    let mut alike = true;
    for (at, (kind, here)) in KINDS.iter().zip(times).enumerate() {
        for (other, there) in KINDS.iter().zip(times).take(at) {
            let comparison = Comparison::of(there, here);
            println!("| {} | {} | {comparison} |", kind.name, other.name);
            alike &= comparison.is_alike();
        }
    }
    alike
}

async fn measure(port: u16) -> Result<Times, Box<dyn Error>> {
    let mut connection = Connection::open(port).await?;
    let mut times = [const { Vec::new() }; KINDS.len()];
    let mut order: Vec<usize> = (0..KINDS.len()).collect();
    let mut dice = 0x2545_f491_4f6c_dd1d_u64;
    for sample in 0..WARM_UP + SAMPLES {
        // In another order each time, so that none is always behind the same one.
        for last in (1..order.len()).rev() {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            order.swap(last, usize::try_from(dice % (last as u64 + 1))?);
        }
        for &place in &order {
            let kind = &KINDS[place];
            // An attacker tries each address once, but has no more accounts than there are.
            let number = if kind.steps.is_empty() { sample } else { sample % ACCOUNTS };
            let time = refused(&mut connection, kind, &kind::address(place, number)).await?;
            if sample >= WARM_UP {
                times[place].push(time.as_secs_f64() * 1000.0);
            }
        }
    }
    Ok(times)
}

/// How long the server takes to refuse a login.
async fn refused(
    connection: &mut Connection,
    kind: &Kind,
    address: &str,
) -> Result<Duration, Box<dyn Error>> {
    let body = format!(r#"{{"email":"{address}","password":"{}"}}"#, kind.password);
    let request = visitor::post("/api/v1/auth/login", "", &body);
    let asked = Instant::now();
    let answer = connection.exchange(&request).await?;
    let time = asked.elapsed();
    match answer.status {
        401 => Ok(time),
        status => Err(format!("{address}: expected 401, got {status}").into()),
    }
}
