//! Where log lines go: standard output, written by a thread of their own, off the request path.

use std::io::{self, IsTerminal as _, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::Subscriber;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use super::json::JsonLine;
use super::otel::{self, Traces};
use super::text::TextLine;
use crate::app::StartError;
use crate::app::output::{self, Stream};
use crate::config::{Config, Log, LogFormat};

/// How long lines are gathered before they are written together. To wake the thread and to make a
/// system call for each line costs more than the line.
const GATHER: Duration = Duration::from_millis(20);

/// How many bytes are written without waiting for more: what stays in a core's cache meanwhile.
const ENOUGH: usize = 64 * 1024;

/// How many bytes may wait while standard output takes none; further lines are counted and dropped,
/// so that whoever reads the log too slowly slows nobody down and costs no memory.
const CAPACITY: usize = 1024 * 1024;

/// How long the end of the program waits for its last lines to be taken.
const LAST_LINES: Duration = Duration::from_secs(1);

/// The name of the thread that writes lines.
pub(super) const THREAD: &str = "log";

/// Starts logging, at a level that can be changed; it ends, with everything written, when the guard is dropped.
///
/// A command that does its work and ends says what it has to say itself, so only warnings are
/// logged, to standard error.
///
/// # Errors
/// Traces cannot be sent to where they are to go.
pub(super) fn start(config: &Config, serves: bool) -> Result<(Guard, Level), StartError> {
    let log = &config.log;
    let traces = match &config.telemetry.otlp_endpoint {
        Some(endpoint) if serves => Some(otel::start(endpoint)?),
        _ => None,
    };
    let (sink, name, is_terminal) = if serves {
        (Stream::stdout(), "standard output", io::stdout().is_terminal())
    } else {
        (Stream::stderr(), "standard error", io::stderr().is_terminal())
    };
    let shared = Arc::<Shared>::default();
    let guard = Guard(Arc::clone(&shared), traces);
    let writer = Arc::clone(&shared);
    // Without a thread there is no log, but a server that serves.
    let thread = std::thread::Builder::new().name(THREAD.to_owned());
    let _ = thread.spawn(move || shared.write_to(Sink::new(sink, name)));
    let filter = filter(if serves { log.level } else { tracing::Level::WARN });
    let level = match guard.1.as_ref().map(Traces::layer) {
        None => {
            let (filter, level) = reload::Layer::new(filter);
            Registry::default().with(filter).with(lines(log, writer, is_terminal)).init();
            Level::of(level)
        }
        // Each sees only what it is for: the log no spans, the collector no lines.
        Some(traces) => {
            let (filter, level) = reload::Layer::new(filter);
            Registry::default()
                .with(traces)
                .with(lines(log, writer, is_terminal).with_filter(filter))
                .init();
            Level::of(level)
        }
    };
    Ok((guard, level))
}

/// Rocket and the drivers are quiet unless something is wrong with them.
fn filter(level: tracing::Level) -> EnvFilter {
    EnvFilter::new(format!(
        "warn,doorward={level},audit={level},access={level},csp={level},rocket=off"
    ))
}

/// Changes the level of the log while it is written.
pub(super) struct Level(Box<dyn Fn(EnvFilter) + Send + Sync>);

impl Level {
    fn of<S: 'static>(handle: reload::Handle<EnvFilter, S>) -> Self {
        // It fails when the log has ended.
        Self(Box::new(move |fresh| drop(handle.modify(|filter| *filter = fresh))))
    }

    pub(super) fn set(&self, level: tracing::Level) {
        (self.0)(filter(level));
    }
}

/// What makes lines of events.
fn lines<S>(log: &Log, writer: Arc<Shared>, is_terminal: bool) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let lines = fmt::layer()
        // It would be told on standard error, with a panic where nobody reads that.
        .log_internal_errors(false)
        .with_writer(move || Gatherer(Arc::clone(&writer)));
    match log.format {
        LogFormat::Json => lines.event_format(JsonLine).boxed(),
        LogFormat::Text => {
            let lines = lines.with_ansi(is_terminal);
            lines.event_format(TextLine::default()).boxed()
        }
    }
}

/// Keeps the log going. Dropping it writes what waits, and then sends the spans that wait.
pub(super) struct Guard(Arc<Shared>, Option<Traces>);

impl Drop for Guard {
    fn drop(&mut self) {
        let mut waiting = self.0.lock();
        waiting.ending = true;
        self.0.changed.notify_all();
        let until = Instant::now() + LAST_LINES;
        while !waiting.ended {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.0.changed.wait_timeout(waiting, left);
            waiting = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// What the threads that log and the thread that writes have in common.
#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<u8>,
    /// How many lines found no room since the last that did.
    dropped: u64,
    /// Whether the program is about to end.
    ending: bool,
    /// Whether everything was written.
    ended: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, line: &[u8]) {
        let mut waiting = self.lock();
        if waiting.lines.len() + line.len() > CAPACITY {
            waiting.dropped += 1;
            return;
        }
        let before = waiting.lines.len();
        waiting.lines.extend_from_slice(line);
        drop(waiting);
        if before == 0 || (before < ENOUGH && before + line.len() >= ENOUGH) {
            self.changed.notify_all();
        }
    }

    /// The life of the thread that writes.
    fn write_to(&self, mut sink: Sink<impl Write>) {
        let mut lines = Vec::new();
        loop {
            let (mut dropped, ending) = self.gather(&mut lines);
            dropped += sink.put(&lines);
            lines.clear();
            if dropped > 0 {
                tracing::warn!(dropped, "log lines were dropped: they are not taken fast enough");
            }
            if ending {
                self.lock().ended = true;
                self.changed.notify_all();
                return;
            }
        }
    }

    /// Waits for lines, and a little longer for more of them. Says how many were dropped meanwhile,
    /// and whether these are the last.
    fn gather(&self, lines: &mut Vec<u8>) -> (u64, bool) {
        let mut waiting = self.lock();
        while waiting.lines.is_empty() && !waiting.ending {
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        let more = |waiting: &mut Waiting| !waiting.ending && waiting.lines.len() < ENOUGH;
        let waited = self.changed.wait_timeout_while(waiting, GATHER, more);
        let (mut waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut waiting.lines, lines);
        (std::mem::take(&mut waiting.dropped), waiting.ending)
    }
}

/// Where lines end up. What it does not take is lost, and the server goes on.
struct Sink<W> {
    to: W,
    /// What it is called.
    name: &'static str,
    /// Whether it took nothing the last time.
    failing: bool,
    /// Whether it took only the beginning of a line.
    torn: bool,
    lost: u64,
}

impl<W: Write> Sink<W> {
    fn new(to: W, name: &'static str) -> Self {
        Self { to, name, failing: false, torn: false, lost: 0 }
    }

    /// Writes lines; gives how many were lost up to now, once it takes some again.
    fn put(&mut self, lines: &[u8]) -> u64 {
        if lines.is_empty() {
            return 0;
        }
        let mut rest = lines;
        let mended = if self.torn { self.to.write_all(b"\n") } else { Ok(()) };
        let written = mended.and_then(|()| self.write(&mut rest));
        let newlines = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        if rest.len() < lines.len() {
            self.torn = lines[..lines.len() - rest.len()].last() != Some(&b'\n');
        }
        self.lost += newlines(rest);
        match written {
            Ok(()) => {
                self.failing = false;
                std::mem::take(&mut self.lost)
            }
            Err(error) => {
                // Once, on the other stream: there is no log to say it in.
                if !std::mem::replace(&mut self.failing, true) {
                    let name = self.name;
                    output::complain(&format!(
                        "doorward: failed to write the log to {name}; lines are lost: {error}"
                    ));
                }
                0
            }
        }
    }

    /// Writes as much as is taken, and leaves what is not in `rest`.
    fn write(&mut self, rest: &mut &[u8]) -> io::Result<()> {
        while !rest.is_empty() {
            match self.to.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => *rest = rest.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.to.flush()
    }
}

/// Takes the lines of one thread.
struct Gatherer(Arc<Shared>);

impl Write for Gatherer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.add(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader of the log that takes nothing until it is told to.
    #[derive(Clone, Default)]
    struct Reader(Arc<Mutex<Vec<u8>>>);

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn started(reader: &Reader) -> Guard {
        let guard = Guard(Arc::default(), None);
        let (shared, sink) = (Arc::clone(&guard.0), reader.clone());
        std::thread::spawn(move || shared.write_to(Sink::new(sink, "a test")));
        guard
    }

    #[test]
    fn the_end_of_the_program_writes_every_line_in_order() {
        let reader = Reader::default();
        let guard = started(&reader);
        let lines: Vec<String> = (0..1000).map(|number| format!("line {number}\n")).collect();
        for line in &lines {
            Gatherer(Arc::clone(&guard.0)).write_all(line.as_bytes()).unwrap();
        }
        drop(guard);
        let written = reader.0.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(String::from_utf8_lossy(&written), lines.concat());
    }

    #[test]
    fn a_reader_that_takes_nothing_costs_no_memory_and_holds_nobody_up() {
        let reader = Reader::default();
        let guard = started(&reader);
        let stuck = reader.0.lock().unwrap_or_else(PoisonError::into_inner);
        let line = [b'x'; 1024];
        for _ in 0..4 * CAPACITY / line.len() {
            Gatherer(Arc::clone(&guard.0)).write_all(&line).unwrap();
        }
        let waiting = guard.0.lock();
        assert!(waiting.lines.len() <= CAPACITY && waiting.dropped > 0);
        drop((waiting, stuck));
    }

    /// A disk with room for so many bytes.
    struct Disk(Vec<u8>, usize);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let room = self.1.saturating_sub(self.0.len()).min(bytes.len());
            self.0.extend_from_slice(&bytes[..room]);
            if room == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(room) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_disk_that_was_full_gets_whole_lines_again_and_the_number_of_those_that_are_lost() {
        let mut sink = Sink::new(Disk(Vec::new(), 10), "a test");
        assert_eq!(sink.put(b"first\nsecond\nthird\n"), 0);
        assert_eq!(sink.put(b"fourth\n"), 0);
        sink.to.1 = 100;
        assert_eq!(sink.put(b"fifth\n"), 3);
        assert_eq!(sink.to.0, b"first\nseco\nfifth\n");
        assert_eq!(sink.put(b"sixth\n"), 0);
        assert!(sink.to.0.ends_with(b"\nfifth\nsixth\n"));
    }
}
