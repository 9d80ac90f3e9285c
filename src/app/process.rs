//! What the process itself takes, under the names that every Prometheus client uses. Linux says it in
//! `/proc`; elsewhere these figures are missing.

use crate::metric::family::{CPU_SECONDS, MAX_FDS, MEMORY_BYTES, OPEN_FDS, START_SECONDS, THREADS};
use crate::metric::{FloatCounter, Gauge, Registry};

/// Handles on the figures of the process.
pub(super) struct Process {
    cpu_seconds: FloatCounter,
    memory_bytes: Gauge,
    open_fds: Gauge,
    max_fds: Gauge,
    threads: Gauge,
    start_seconds: Gauge,
}

/// What `/proc` says of us at one moment.
#[derive(Debug, PartialEq)]
struct Standing {
    cpu_ticks: u64,
    threads: u64,
    /// Since the machine started.
    start_ticks: u64,
    resident_pages: u64,
}

impl Process {
    /// The figures of this process; none where there is no `/proc`.
    pub(super) fn of(registry: &Registry) -> Option<Self> {
        look()?;
        Some(Self {
            cpu_seconds: registry.float_counter(&CPU_SECONDS, &[]),
            memory_bytes: registry.gauge(&MEMORY_BYTES, &[]),
            open_fds: registry.gauge(&OPEN_FDS, &[]),
            max_fds: registry.gauge(&MAX_FDS, &[]),
            threads: registry.gauge(&THREADS, &[]),
            start_seconds: registry.gauge(&START_SECONDS, &[]),
        })
    }

    /// Sets them to what holds now.
    pub(super) fn look(&self) {
        let Some(standing) = look() else { return };
        let ticks = clock_ticks();
        self.cpu_seconds.reach(standing.cpu_ticks as f64 / ticks);
        self.memory_bytes.set_count(standing.resident_pages.saturating_mul(page_bytes()));
        self.threads.set_count(standing.threads);
        if let Some(boot) = boot_seconds() {
            self.start_seconds.set(boot + standing.start_ticks as f64 / ticks);
        }
        if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
            // One of them is this look.
            self.open_fds.set_count(open.count().saturating_sub(1));
        }
        if let Some(limit) = fd_limit() {
            self.max_fds.set_count(limit);
        }
    }
}

fn look() -> Option<Standing> {
    read(&std::fs::read_to_string("/proc/self/stat").ok()?)
}

/// Reads `/proc/<pid>/stat` (proc_pid_stat(5)). The name of the program may hold anything; what follows its last
/// parenthesis is numbers, of which the first is the third field.
fn read(stat: &str) -> Option<Standing> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Standing {
        cpu_ticks: field(14)? + field(15)?,
        threads: field(20)?,
        start_ticks: field(22)?,
        resident_pages: field(24)?,
    })
}

/// When the machine started, in Unix time.
fn boot_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(unix)]
fn clock_ticks() -> f64 {
    rustix::param::clock_ticks_per_second() as f64
}

#[cfg(unix)]
fn page_bytes() -> u64 {
    u64::try_from(rustix::param::page_size()).unwrap_or_default()
}

#[cfg(unix)]
pub(super) fn fd_limit() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

#[cfg(not(unix))]
fn clock_ticks() -> f64 {
    100.0
}

#[cfg(not(unix))]
fn page_bytes() -> u64 {
    4096
}

#[cfg(not(unix))]
pub(super) fn fd_limit() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_be_called_what_it_likes() {
        let stat = "7 (a ) b (c) S 1 2 3 4 5 6 7 8 9 10 300 12 0 0 20 0 5 0 9876 1024 250 18446744073709551615 1";
        let standing =
            Standing { cpu_ticks: 312, threads: 5, start_ticks: 9876, resident_pages: 250 };
        assert_eq!(read(stat), Some(standing));
        for broken in ["", "7 (a", "7 (a) S 1 2", "7 (a) S x"] {
            assert_eq!(read(broken), None, "{broken}");
        }
    }
}
