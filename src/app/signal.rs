//! What signals mean to a server. None ends it that was not meant to.

use std::io;

/// What a server is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// To stop, and to let load balancers turn away first: SIGTERM, SIGQUIT.
    Terminate,
    /// To stop at once: Ctrl-C, or the end of the terminal.
    Interrupt,
    /// To read its configuration again: SIGHUP.
    Reload,
}

#[cfg(unix)]
pub(super) use unix::Signals;
#[cfg(unix)]
pub use unix::{Hangups, ignore_meaningless};

#[cfg(unix)]
mod unix {
    use std::fs::{self, File};

    use rocket::tokio::select;
    use rocket::tokio::signal::unix::{self, SignalKind, signal};
    use rustix::process::Signal as Number;

    use super::{Signal, io};

    /// SIGHUP, from this moment on. Before it ends the process.
    pub struct Hangups {
        stream: unix::Signal,
        has_terminal: bool,
    }

    impl Hangups {
        /// Begins to listen.
        ///
        /// # Errors
        /// The system does not let it.
        pub fn listen() -> io::Result<Self> {
            // `nohup` asks for a process that outlives its terminal.
            let has_terminal = has_terminal() && !ignores_hangups();
            Ok(Self { stream: signal(SignalKind::hangup())?, has_terminal })
        }

        async fn next(&mut self) -> Signal {
            self.stream.recv().await;
            // The kernel takes the terminal away before it tells those that were started there.
            match self.has_terminal && !has_terminal() {
                true => Signal::Interrupt,
                false => Signal::Reload,
            }
        }
    }

    fn has_terminal() -> bool {
        File::open("/dev/tty").is_ok()
    }

    /// Whether this process was started to ignore SIGHUP; only Linux tells.
    fn ignores_hangups() -> bool {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        mask.is_some_and(|mask| mask & 1 == 1)
    }

    /// The signals that ask a server for something.
    pub(in crate::app) struct Signals {
        terminate: unix::Signal,
        quit: unix::Signal,
        interrupt: unix::Signal,
        hangups: Hangups,
    }

    impl Signals {
        pub(in crate::app) fn listen(hangups: Hangups) -> io::Result<Self> {
            Ok(Self {
                terminate: signal(SignalKind::terminate())?,
                quit: signal(SignalKind::quit())?,
                interrupt: signal(SignalKind::interrupt())?,
                hangups,
            })
        }

        pub(in crate::app) async fn next(&mut self) -> Signal {
            select! {
                _ = self.terminate.recv() => Signal::Terminate,
                _ = self.quit.recv() => Signal::Terminate,
                _ = self.interrupt.recv() => Signal::Interrupt,
                signal = self.hangups.next() => signal,
            }
        }
    }

    /// Signals that mean nothing to a server and end a process that does not listen to them.
    ///
    /// SIGPIPE is ignored by every program in Rust. SIGXFSZ comes with an error for the write that met the
    /// limit, which is then told as a full disk. What a faulty instruction raises is not ignored.
    const MEANINGLESS: &[(&str, Number)] = &[
        ("SIGUSR1", Number::USR1),
        ("SIGUSR2", Number::USR2),
        ("SIGALRM", Number::ALARM),
        ("SIGVTALRM", Number::VTALARM),
        ("SIGPROF", Number::PROF),
        ("SIGXCPU", Number::XCPU),
        ("SIGXFSZ", Number::XFSZ),
        ("SIGIO", Number::IO),
        #[cfg(target_os = "linux")]
        ("SIGPWR", Number::POWER),
        #[cfg(target_os = "linux")]
        ("SIGSTKFLT", Number::STKFLT),
    ];

    /// Where Linux keeps the signals without a meaning of their own; a C library may keep the first few.
    #[cfg(target_os = "linux")]
    const REAL_TIME: std::ops::RangeInclusive<i32> = 34..=64;
    #[cfg(not(target_os = "linux"))]
    const REAL_TIME: std::ops::Range<i32> = 0..0;

    /// Keeps signals that mean nothing here from ending this process; the log tells of each once.
    pub fn ignore_meaningless() {
        let named = MEANINGLESS.iter().map(|(name, number)| ((*name).to_owned(), number.as_raw()));
        let real_time = REAL_TIME.map(|number| (format!("signal {number}"), number));
        for (name, number) in named.chain(real_time) {
            // A system without this signal does not send it either.
            let Ok(mut stream) = signal(SignalKind::from_raw(number)) else { continue };
            rocket::tokio::spawn(async move {
                stream.recv().await;
                tracing::warn!(signal = name, "ignored signal; it means nothing to this server");
            });
        }
    }
}

#[cfg(not(unix))]
pub(super) use other::Signals;
#[cfg(not(unix))]
pub use other::{Hangups, ignore_meaningless};

#[cfg(not(unix))]
mod other {
    use super::{Signal, io};

    /// Nothing, on a system without SIGHUP.
    pub struct Hangups;

    impl Hangups {
        /// Does nothing.
        ///
        /// # Errors
        /// None.
        pub fn listen() -> io::Result<Self> {
            Ok(Self)
        }
    }

    /// Does nothing.
    pub fn ignore_meaningless() {}

    pub(in crate::app) struct Signals;

    impl Signals {
        pub(in crate::app) fn listen(_: Hangups) -> io::Result<Self> {
            Ok(Self)
        }

        pub(in crate::app) async fn next(&mut self) -> Signal {
            // An error means that there will be no Ctrl-C, not that there was one.
            if rocket::tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
            Signal::Interrupt
        }
    }
}
