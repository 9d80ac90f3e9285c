//! Taking leave of proxies, so that nobody is on the way here when the port closes (SR-74).
//!
//! A proxy keeps connections open, and may send a request on one that is just being closed; a
//! connection that it has just made is reset with the port. A `GET` it may then send to another
//! replica, a `POST` not: it may have been done. So no connection outlives its answer while the
//! server drains; and at last proxies that say so are told to ask elsewhere, in an answer to a request
//! that they may repeat.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rocket::fairing::{Fairing, Info, Kind};
use rocket::http::{Method, Status};
use rocket::{Request, Response};

/// What a proxy sends that asks another replica, and leaves this one alone for a while, when the
/// answer is 502. Nobody gains anything by claiming it.
const HEADER: &str = "X-Other-Replicas";

/// For how long proxies are turned away, or for half of the drain: shorter than the time for which nginx
/// then stays away (`fail_timeout`), so that it still does when the port closes.
const LAST_PART: Duration = Duration::from_millis(700);

/// How far a server is that takes leave.
#[derive(Debug, Default)]
pub(super) struct Leave {
    begun: AtomicBool,
    turns_away: AtomicBool,
}

impl Leave {
    /// Serves on for the time of `drain`.
    pub async fn take(&self, drain: Duration) {
        self.begun.store(true, Ordering::Release);
        let last_part = LAST_PART.min(drain / 2);
        tokio::time::sleep(drain - last_part).await;
        self.turns_away.store(true, Ordering::Release);
        tokio::time::sleep(last_part).await;
    }
}

/// What [`Leave`] does to answers.
pub(super) struct TakingLeave(pub Arc<Leave>);

/// Load balancers ask these by themselves.
fn is_probe(request: &Request<'_>) -> bool {
    matches!(request.uri().path().as_str(), "/livez" | "/readyz")
}

#[rocket::async_trait]
impl Fairing for TakingLeave {
    fn info(&self) -> Info {
        Info { name: "Taking leave", kind: Kind::Response }
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        if !self.0.begun.load(Ordering::Acquire) {
            return;
        }
        let repeatable = matches!(request.method(), Method::Get | Method::Head);
        let asks_others = request.headers().get_one(HEADER).is_some();
        let turns_away = self.0.turns_away.load(Ordering::Acquire);
        if turns_away && repeatable && asks_others && !is_probe(request) {
            // A refresh on the way is answered again when it is asked for again (SR-36).
            *response = Response::build().status(Status::BadGateway).finalize();
        }
        response.set_raw_header("Connection", "close");
    }
}
