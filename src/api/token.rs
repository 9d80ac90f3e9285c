//! `/admin/tokens`: single access tokens that are refused before their time.

use std::sync::Arc;

use rocket::response::status::NoContent;
use rocket::{State, get, post};
use schemars::JsonSchema;
use serde::Deserialize;

use super::shape::Description;
use super::view::{DeniedTokenView, ListBody};
use crate::error::Error;
use crate::guard::body::Body;
use crate::guard::fresh::Fresh;
use crate::guard::json::Json;
use crate::guard::{Allowed, TokensRevoke};
use crate::id::SecretString;
use crate::openapi::{Calls, call};
use crate::problem::Problem;
use crate::session::Sessions;
use crate::session::deny::Denial;

pub(super) fn calls() -> Calls {
    Calls {
        tag: "Denied tokens",
        about: "Single access tokens that are refused before their time.",
        calls: vec![
            call!(deny_token, "denyToken", "Deny an access token").more(
                "It is refused until it would have run out. Give either the `jti` or the \
                 `token`. Its session goes on.",
            ),
            call!(denied_tokens, "listDeniedTokens", "List denied tokens")
                .more("The latest first."),
        ],
    }
}

/// Which access token is refused, and why.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{ "required": ["jti"] }, { "required": ["token"] }]))]
struct DenyBody {
    /// The `jti` of the token, as a log or a service that verifies tokens itself names it.
    #[serde(default)]
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{16,64}$"))]
    jti: Option<String>,
    /// Or the token itself, as it was found somewhere it should not be.
    #[serde(default)]
    token: Option<SecretString>,
    /// Why, for other administrators.
    #[serde(default)]
    #[schemars(with = "Option<Description>")]
    reason: Option<String>,
}

/// Puts an access token on the denylist until it would have run out.
#[post("/admin/tokens/revoke", data = "<body>")]
async fn deny_token(
    _viewer: Fresh<Allowed<TokensRevoke>>,
    body: Body<DenyBody>,
    sessions: &State<Arc<Sessions>>,
) -> Result<NoContent, Problem> {
    let DenyBody { jti, token, reason } = body.0;
    let denial = match (jti, token) {
        (Some(jti), None) => Denial::Jti(jti),
        (None, Some(token)) => Denial::Token(token),
        _ => {
            let message = "Give either the jti or the token.";
            return Err(Error::field("jti", "required", message).into());
        }
    };
    sessions.deny_token(denial, reason.as_deref().unwrap_or_default()).await?;
    Ok(NoContent)
}

/// The denylist, the latest first.
#[get("/admin/tokens/revoked")]
async fn denied_tokens(
    _viewer: Allowed<TokensRevoke>,
    sessions: &State<Arc<Sessions>>,
) -> Result<Json<ListBody<DeniedTokenView>>, Problem> {
    let tokens = sessions.denied_tokens().await?;
    Ok(Json(ListBody::whole(tokens.iter().map(DeniedTokenView::from).collect())))
}
