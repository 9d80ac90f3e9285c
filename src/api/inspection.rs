//! `/inspections`: what the server saw of a request, for an operator who looks for a fault in a proxy.

use std::sync::Arc;

use rocket::{State, get};

use crate::clock::Clock;
use crate::error::Error;
use crate::guard::inspection::{Inspection, Inspections};
use crate::guard::json::Json;
use crate::limit::Limits;
use crate::openapi::{Calls, Part, Signature, call};
use crate::problem::Problem;

pub(super) fn calls() -> Calls {
    let inspect = call!(inspect, "inspectRequest", "See a request as the server sees it");
    Calls {
        tag: "Server",
        about: "",
        calls: vec![
            inspect
                .more("Answers once for each token that `doorward doctor --request` prints.")
                .or(Error::NotFound),
        ],
    }
}

impl Part for Inspection {
    fn tell(_: &mut Signature) {}
}

impl Part for &State<Inspections> {
    fn tell(_: &mut Signature) {}
}

/// What the server saw of this very request.
#[get("/inspections/<token>")]
async fn inspect(
    token: &str,
    seen: Inspection,
    inspections: &State<Inspections>,
    limits: &State<Arc<Limits>>,
    clock: &State<Arc<dyn Clock>>,
) -> Result<Json<Inspection>, Problem> {
    let name = inspections.name(token, clock.now()).ok_or(Error::NotFound)?;
    match limits.use_once(&name, Inspections::LIFETIME).await? {
        true => Ok(Json(seen)),
        false => Err(Error::NotFound.into()),
    }
}
