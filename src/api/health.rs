//! Signs of life, for load balancers and containers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rocket::http::Status;
use rocket::serde::json::{Json, Value, json};
use rocket::{Route, Shutdown, State, get, routes};

use crate::account::store::AccountStore;
use crate::session::store::SessionStore;

pub(super) fn routes() -> Vec<Route> {
    routes![livez, readyz]
}

/// Whether the server was asked to stop, and serves only those who do not know it yet (SR-74).
#[derive(Debug, Default)]
pub struct Draining(AtomicBool);

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

/// The process answers, whatever its stores do.
#[get("/livez")]
fn livez() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// Whether the process can serve: each store by name. One that was asked to stop is not ready,
/// whatever its stores say (SR-74).
#[get("/readyz")]
async fn readyz(
    draining: &State<Arc<Draining>>,
    shutdown: Shutdown,
    accounts: &State<Arc<dyn AccountStore>>,
    sessions: &State<Arc<dyn SessionStore>>,
) -> (Status, Json<Value>) {
    let (database, store) = tokio::join!(accounts.ping(), sessions.ping());
    let word = |good: bool| if good { "ok" } else { "unavailable" };
    let stopping = tokio::select! {
        biased;
        () = shutdown => true,
        () = std::future::ready(()) => draining.has_begun(),
    };
    let ready = database.is_ok() && store.is_ok() && !stopping;
    let status = if ready { Status::Ok } else { Status::ServiceUnavailable };
    let stores =
        json!({ "database": word(database.is_ok()), "session_store": word(store.is_ok()) });
    let said = if stopping { "stopping" } else { word(ready) };
    (status, Json(json!({ "status": said, "stores": stores })))
}
