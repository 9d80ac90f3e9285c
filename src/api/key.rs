//! The keys: the public halves for services that verify access tokens themselves, and all that
//! administrators see of them.

use std::sync::Arc;

use rocket::http::ContentType;
use rocket::response::{self, Responder};
use rocket::{Request, State, get, post};
use schemars::JsonSchema;
use serde::Deserialize;

use super::view::{KeyBody, ListBody, SigningKeyView};
use crate::audit::{self, Audit};
use crate::error::Error;
use crate::guard::body::Body;
use crate::guard::fresh::Fresh;
use crate::guard::json::Json;
use crate::guard::kept::{self, Kept};
use crate::guard::{Allowed, KeysRead, KeysWrite};
use crate::openapi::{Calls, Reply, Signature, call, subschema};
use crate::problem::Problem;
use crate::token::key::{Algorithm, Keys, Start};

const TAG: &str = "Keys";

pub(super) fn calls() -> Calls {
    Calls {
        tag: TAG,
        about: "The keys that sign tokens, and their public halves.",
        calls: vec![
            call!(keys, "listKeys", "List keys")
                .more("All that there are or have been, the oldest first."),
            call!(rotate, "rotateKeys", "Rotate keys")
                .more(
                    "The next key is made. It is published before it signs, so that everybody \
                     knows it by then. With `now` it signs at once, and all others are \
                     withdrawn: tokens that they signed are refused.",
                )
                .or(Error::Conflict("a rotation is under way already")),
        ],
    }
}

/// The call outside the interface.
pub(super) fn public_calls() -> Calls {
    let jwks = call!(jwks, "getJwks", "Public keys").more(
        "What verifies access tokens (RFC 7517), for services that do so \
         themselves.",
    );
    Calls { tag: TAG, about: "", calls: vec![jwks] }
}

/// Every key that there is or has been, oldest first.
#[get("/admin/keys")]
fn keys(_viewer: Allowed<KeysRead>, keys: &State<Arc<Keys>>) -> Json<ListBody<SigningKeyView>> {
    Json(ListBody::whole(keys.list().iter().map(SigningKeyView::from).collect()))
}

/// How the next key is made.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RotateBody {
    /// How it signs; as the last one if it is not given.
    #[serde(default)]
    #[schemars(with = "Option<Algorithm>")]
    algorithm: Option<String>,
    /// Whether the others must not be trusted any more.
    #[serde(default)]
    now: bool,
}

/// Has the next key made: as the last one, unless `algorithm` says otherwise, and to sign once
/// everybody knows it, unless `now` says that the others must not be trusted any more.
#[post("/admin/keys/rotate", data = "<body>")]
async fn rotate(
    _viewer: Fresh<Allowed<KeysWrite>>,
    body: Body<RotateBody>,
    keys: &State<Arc<Keys>>,
    audit: &State<Arc<Audit>>,
) -> Result<Json<KeyBody>, Problem> {
    let algorithm = body.0.algorithm.as_deref().map(Algorithm::chosen).transpose()?;
    let start = if body.0.now { Start::Now } else { Start::AfterLead };
    let made = audit::key::rotate(keys, audit, algorithm, start).await?;
    Ok(Json(KeyBody::from(&made)))
}

/// The JWK set (RFC 7517 §5), which whoever asks may keep for a while (SR-39): no longer than a new
/// key is announced ahead of time.
#[get("/.well-known/jwks.json")]
fn jwks(keys: &State<Arc<Keys>>) -> Result<KeySet, Problem> {
    let body = serde_json::to_vec(&keys.jwks()).map_err(|e| Problem::from(&Error::internal(e)))?;
    let kind = ContentType::new("application", "jwk-set+json");
    Ok(KeySet(Kept { kind, tag: kept::tag(&body), body, lifetime: keys.jwks_max_age() }))
}

struct KeySet(Kept<Vec<u8>>);

impl<'r> Responder<'r, 'static> for KeySet {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        self.0.respond_to(request)
    }
}

impl Reply for KeySet {
    fn tell(signature: &mut Signature) {
        signature.kept("application/jwk-set+json", subschema::<JwkSet>);
    }
}

/// Public keys (RFC 7517 §5).
#[derive(JsonSchema)]
#[expect(dead_code, reason = "the set is made where the keys are; this is what it looks like")]
struct JwkSet {
    /// The keys: the one that signs first.
    keys: Vec<Jwk>,
}

/// A public key (RFC 7517 §4).
#[derive(JsonSchema)]
#[expect(dead_code, reason = "as above")]
struct Jwk {
    /// The kind of key: `OKP` or `EC`.
    kty: String,
    /// The curve: `Ed25519` or `P-256`.
    crv: String,
    /// What verifies: `EdDSA` or `ES256`.
    alg: Algorithm,
    /// What it is for: `sig`.
    #[schemars(rename = "use")]
    purpose: String,
    /// Names the key (RFC 7638).
    kid: String,
    /// A coordinate of the point, or all of it.
    x: String,
    /// The other coordinate, of a key on `P-256`.
    #[schemars(skip_serializing_if = "Option::is_none")]
    y: Option<String>,
}
