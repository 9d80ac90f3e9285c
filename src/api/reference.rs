//! `/openapi.json`: the reference of this interface.

use std::sync::Arc;
use std::time::Duration;

use rocket::http::ContentType;
use rocket::response::{self, Responder};
use rocket::{Request, State, get};
use schemars::JsonSchema;
use serde_json::{Map, Value};

use crate::error::Error;
use crate::guard::kept::Kept;
use crate::openapi::{Calls, Part, Reference, Reply, Signature, call, subschema};
use crate::problem::Problem;

/// For how long it may be kept unasked: after an upgrade nobody goes by the old one for long.
const LIFETIME: Duration = Duration::from_secs(300);

pub(super) fn calls() -> Calls {
    let document = call!(document, "getOpenapi", "This reference")
        .more(
            "As an OpenAPI document. As a page it is at `/api/docs`. `api.docs = false` \
             switches both off.",
        )
        .or(Error::NotFound);
    Calls { tag: "Reference", about: "What you are reading.", calls: vec![document] }
}

/// The reference, if this server shows it.
#[get("/openapi.json")]
fn document(reference: &State<Reference>) -> Result<Text, Problem> {
    let document = reference.get().ok_or(Error::NotFound)?;
    let (body, tag) = (Arc::clone(document.text()), document.tag().to_owned());
    Ok(Text(Kept { kind: ContentType::JSON, body, tag, lifetime: LIFETIME }))
}

struct Text(Kept<Arc<[u8]>>);

impl<'r> Responder<'r, 'static> for Text {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        self.0.respond_to(request)
    }
}

impl Reply for Text {
    fn tell(signature: &mut Signature) {
        signature.kept("application/json", subschema::<OpenApi>);
    }
}

impl Part for &State<Reference> {
    fn tell(_: &mut Signature) {}
}

/// An OpenAPI document.
#[derive(JsonSchema)]
#[schemars(inline)]
#[expect(dead_code, reason = "it is made elsewhere; this is what it looks like")]
struct OpenApi(Map<String, Value>);
