//! How a server stops (SR-74): first it says that it is not ready and goes on serving, so that load
//! balancers turn away; then it lets in nobody new and finishes what it is doing.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use rocket::tokio::sync::Notify;
use rocket::{Build, Ignite, Rocket};

use super::leave::{Leave, TakingLeave};
use super::reload::Reloader;
use super::signal::{Hangups, Signal, Signals};
use crate::api::health::Draining;

/// An application that leaves signals to [`serve`], and takes leave of proxies.
///
/// Rocket alone closes the port with the signal, and refuses whoever was just about to connect.
pub fn prepare(rocket: Rocket<Build>) -> Rocket<Build> {
    let none: [&str; 0] = [];
    let figment = rocket.figment().clone();
    let figment = figment.merge(("shutdown.ctrlc", false)).merge(("shutdown.signals", none));
    let leave = Arc::new(Leave::default());
    let taking_leave = TakingLeave(Arc::clone(&leave));
    rocket.configure(figment).manage(leave).attach(taking_leave)
}

/// Serves until a signal says to stop: on SIGTERM and SIGQUIT after `drain`, on Ctrl-C and on a second
/// signal at once. On SIGHUP it reads the configuration again.
///
/// # Errors
/// As [`Rocket::launch`] has them.
pub async fn serve(
    rocket: Rocket<Ignite>,
    drain: Duration,
) -> Result<Rocket<Ignite>, rocket::Error> {
    serve_hearing(Hangups::listen(), rocket, drain).await
}

/// The same, for a program that has listened to SIGHUP while it started.
///
/// # Errors
/// As [`Rocket::launch`] has them.
pub async fn serve_hearing(
    hangups: io::Result<Hangups>,
    rocket: Rocket<Ignite>,
    drain: Duration,
) -> Result<Rocket<Ignite>, rocket::Error> {
    let leave = rocket.state::<Arc<Leave>>().cloned();
    let draining = rocket.state::<Arc<Draining>>().cloned();
    let reloads = Reloads::begin(rocket.state::<Arc<Reloader>>().cloned());
    // From here on no signal is lost.
    let signals = hangups.and_then(Signals::listen);
    let asked = async move {
        match signals {
            Ok(signals) => stop_asked(signals, &reloads, drain, leave, draining).await,
            Err(error) => {
                tracing::error!(cause = %error, "signals cannot be heard");
                std::future::pending().await
            }
        }
    };
    serve_until(rocket, asked).await
}

/// Has the configuration read again by a task of its own, so that a signal to stop is heard meanwhile.
struct Reloads(Arc<Notify>);

impl Reloads {
    fn begin(reloader: Option<Arc<Reloader>>) -> Self {
        let asked = Arc::new(Notify::new());
        if let Some(reloader) = reloader.as_ref().map(Arc::downgrade) {
            let asked = Arc::clone(&asked);
            rocket::tokio::spawn(async move {
                loop {
                    asked.notified().await;
                    let Some(reloader) = reloader.upgrade() else { return };
                    reloader.reload().await;
                }
            });
        }
        Self(asked)
    }

    /// Asks for it. What is asked for while it is done is done once more.
    fn ask(&self) {
        self.0.notify_one();
    }
}

/// Waits until another signal says to stop.
async fn asked_again(signals: &mut Signals) {
    while signals.next().await == Signal::Reload {}
}

/// Serves until `asked` is there.
///
/// It is this task that tells Rocket: told by another one, at a moment when Rocket has just seen that
/// it is not to stop, Rocket takes its closed port for the end of everything, and neither waits for
/// running requests nor calls the fairings for it.
async fn serve_until(
    rocket: Rocket<Ignite>,
    asked: impl Future<Output = ()>,
) -> Result<Rocket<Ignite>, rocket::Error> {
    let shutdown = rocket.shutdown();
    let mut served = pin!(rocket.launch());
    rocket::tokio::select! {
        ended = &mut served => return ended,
        () = asked => shutdown.notify(),
    }
    served.await
}

/// Waits until it is time to close the port.
async fn stop_asked(
    mut signals: Signals,
    reloads: &Reloads,
    drain: Duration,
    leave: Option<Arc<Leave>>,
    draining: Option<Arc<Draining>>,
) {
    loop {
        match signals.next().await {
            Signal::Reload => reloads.ask(),
            Signal::Interrupt => return,
            Signal::Terminate => break,
        }
    }
    if let Some(draining) = draining {
        draining.begin();
    }
    let seconds = drain.as_secs_f64();
    tracing::info!(seconds, "asked to stop: no longer ready");
    let Some(leave) = leave else { return };
    rocket::tokio::select! {
        () = leave.take(drain) => {}
        () = asked_again(&mut signals) => {}
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpStream};
    use std::sync::Mutex;

    use rocket::config::{Config, LogLevel, Shutdown};
    use rocket::fairing::{Fairing, Info, Kind};
    use rocket::tokio::sync::oneshot::{Sender, channel};
    use rocket::{Orbit, tokio};

    use super::*;

    /// Tells on which port a server is, and that it is about to end.
    struct Tells(Mutex<Option<Sender<u16>>>, Mutex<Option<Sender<()>>>);

    #[rocket::async_trait]
    impl Fairing for Tells {
        fn info(&self) -> Info {
            Info { name: "Tells", kind: Kind::Liftoff | Kind::Shutdown }
        }

        async fn on_liftoff(&self, rocket: &Rocket<Orbit>) {
            let up = self.0.lock().expect("nobody failed").take().expect("it lifts off once");
            up.send(rocket.config().port).expect("somebody waits");
        }

        async fn on_shutdown(&self, _: &Rocket<Orbit>) {
            let ends = self.1.lock().expect("nobody failed").take().expect("it ends once");
            ends.send(()).expect("somebody waits");
        }
    }

    /// Whether a server's fairings learn that it ends while people connect.
    async fn ends_in_order() -> bool {
        let shutdown =
            Shutdown { ctrlc: false, signals: Default::default(), ..Shutdown::default() };
        let config = Config { port: 0, log_level: LogLevel::Off, shutdown, ..Config::default() };
        let (up, port) = channel();
        let (ends, mut told) = channel();
        let (ask, asked) = channel();
        let tells = Tells(Mutex::new(Some(up)), Mutex::new(Some(ends)));
        let rocket = rocket::custom(config).attach(tells).ignite().await.expect("it ignites");
        tokio::task::spawn_blocking(move || {
            let port = port.blocking_recv().expect("it lifts off");
            let connect = || TcpStream::connect((Ipv4Addr::LOCALHOST, port));
            let _some: Vec<_> = (0..8).map(|_| connect().expect("it listens")).collect();
            ask.send(()).expect("it is waited for");
        });
        let asked = async { asked.await.expect("somebody asks") };
        tokio::select! {
            biased;
            told = &mut told => told.is_ok(),
            _ = serve_until(rocket, asked) => told.try_recv().is_ok(),
        }
    }

    #[test]
    fn people_who_connect_at_that_moment_do_not_cut_the_end_short() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        // Where another task tells Rocket, one in some dozens is cut short.
        const TIMES: usize = 500;
        let cut_short = (0..TIMES).filter(|_| !runtime.block_on(ends_in_order())).count();
        assert_eq!(cut_short, 0);
    }
}
