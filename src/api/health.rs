//! Signs of life, for load balancers and containers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rocket::http::Status;
use rocket::{Shutdown, State, get};
use schemars::JsonSchema;
use serde::Serialize;

use crate::account::store::AccountStore;
use crate::guard::json::Json;
use crate::openapi::{Calls, Part, Signature, call};
use crate::session::store::SessionStore;

pub(super) fn calls() -> Calls {
    Calls {
        tag: "Server",
        about: "Signs of life, and what browsers report.",
        calls: vec![
            call!(livez, "getLivez", "Sign of life")
                .more("The process answers, whatever its stores do."),
            call!(readyz, "getReadyz", "Readiness")
                .more("Whether the process can serve, and each store by name.")
                .also::<Readiness>(503, "A store is away, or the server is stopping."),
        ],
    }
}

/// Whether the server was asked to stop, and serves only those who do not know it yet (SR-74).
#[derive(Debug, Default)]
pub struct Draining(AtomicBool);

impl Part for &State<Arc<Draining>> {
    fn tell(_: &mut Signature) {}
}

impl Draining {
    /// From now on the server is not ready.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether it was asked to stop.
    pub fn has_begun(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A sign of life.
#[derive(Serialize, JsonSchema)]
struct Liveness {
    /// Always `ok`.
    status: &'static str,
}

/// Whether the process can serve.
#[derive(Serialize, JsonSchema)]
struct Readiness {
    /// `ok`, `unavailable` or `stopping`.
    status: &'static str,
    /// Each store.
    stores: Stores,
}

/// Whether each store answers.
#[derive(Serialize, JsonSchema)]
struct Stores {
    /// `ok` or `unavailable`.
    database: &'static str,
    /// `ok` or `unavailable`.
    session_store: &'static str,
}

/// The process answers, whatever its stores do.
#[get("/livez")]
fn livez() -> Json<Liveness> {
    Json(Liveness { status: "ok" })
}

/// Whether the process can serve: each store by name. One that was asked to stop is not ready,
/// whatever its stores say (SR-74).
#[get("/readyz")]
async fn readyz(
    draining: &State<Arc<Draining>>,
    shutdown: Shutdown,
    accounts: &State<Arc<dyn AccountStore>>,
    sessions: &State<Arc<dyn SessionStore>>,
) -> (Status, Json<Readiness>) {
    let (database, store) = tokio::join!(accounts.ping(), sessions.ping());
    let word = |good: bool| if good { "ok" } else { "unavailable" };
    let stopping = tokio::select! {
        biased;
        () = shutdown => true,
        () = std::future::ready(()) => draining.has_begun(),
    };
    let ready = database.is_ok() && store.is_ok() && !stopping;
    let status = if ready { Status::Ok } else { Status::ServiceUnavailable };
    let stores = Stores { database: word(database.is_ok()), session_store: word(store.is_ok()) };
    let said = if stopping { "stopping" } else { word(ready) };
    (status, Json(Readiness { status: said, stores }))
}
