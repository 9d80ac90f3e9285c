//! How a server stops (SR-74): first it says that it is not ready and goes on serving, so that load
//! balancers turn away; then it lets in nobody new and finishes what it is doing.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rocket::fairing::AdHoc;
use rocket::{Build, Rocket, Shutdown};

use super::leave::{Leave, TakingLeave};
use crate::api::health::Draining;

/// Has the application stop on signals: on SIGTERM after `drain`, on Ctrl-C and on a second signal at
/// once.
///
/// Rocket alone closes the port with the signal, and refuses whoever was just about to connect.
pub fn on_signals(rocket: Rocket<Build>, drain: Duration) -> Rocket<Build> {
    let none: [&str; 0] = [];
    let figment = rocket.figment().clone();
    let figment = figment.merge(("shutdown.ctrlc", false)).merge(("shutdown.signals", none));
    let leave = Arc::new(Leave::default());
    let taking_leave = TakingLeave(Arc::clone(&leave));
    let listen = AdHoc::on_liftoff("Signals", move |rocket| {
        let leave = Arc::clone(&leave);
        Box::pin(async move {
            let Some(draining) = rocket.state::<Arc<Draining>>() else { return };
            // From here on no signal is lost, though nobody waits for one yet.
            match Signals::listen() {
                Ok(signals) => {
                    let draining = Arc::clone(draining);
                    let leave = async move {
                        draining.begin();
                        let seconds = drain.as_secs_f64();
                        tracing::info!(seconds, "asked to stop: no longer ready");
                        leave.take(drain).await;
                    };
                    rocket::tokio::spawn(stop(signals, leave, rocket.shutdown()));
                }
                Err(error) => tracing::error!(cause = %error, "signals cannot be heard"),
            }
        })
    });
    rocket.configure(figment).attach(listen).attach(taking_leave)
}

async fn stop(mut signals: Signals, leave: impl Future<Output = ()>, shutdown: Shutdown) {
    if signals.next().await == Signal::Terminate {
        rocket::tokio::select! {
            () = leave => {}
            _ = signals.next() => {}
        }
    }
    shutdown.notify();
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signal {
    Terminate,
    Interrupt,
}

#[cfg(unix)]
struct Signals {
    terminate: rocket::tokio::signal::unix::Signal,
    interrupt: rocket::tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> io::Result<Self> {
        use rocket::tokio::signal::unix::{SignalKind, signal};
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> Signal {
        rocket::tokio::select! {
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.interrupt.recv() => Signal::Interrupt,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> Signal {
        // An error means that there will be no Ctrl-C, not that there was one.
        if rocket::tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Signal::Interrupt
    }
}
