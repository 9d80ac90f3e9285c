//! The denylist: access tokens that are refused before their time.

use std::sync::Arc;

use rocket::{Route, State, get, post, routes};
use serde::{Deserialize, Serialize};

use crate::error::Result as DomainResult;
use crate::guard::form::{Form, Offered};
use crate::guard::fresh::Fresh;
use crate::guard::{Allowed, TokensRevoke};
use crate::id::SecretString;
use crate::page::error::Refusal;
use crate::page::part::{Faults, Moment};
use crate::page::show::{Either, FormAnswer, See, Shown};
use crate::page::view::Page;
use crate::session::Sessions;
use crate::session::deny::Denial;

/// Lists the tokens on the denylist and takes another (`GET`, `POST /admin/tokens`).
#[derive(Debug, Default, Serialize)]
pub struct TokensPage {
    /// What was wrong with the last attempt.
    #[serde(flatten)]
    pub faults: Faults,
    /// The reason in the form, as it was typed.
    pub reason: String,
    /// The tokens, the latest first.
    pub tokens: Vec<TokenRow>,
}

impl Page for TokensPage {
    const TEMPLATE: &'static str = "admin/token.html.tera";
    const IS_DANGEROUS: bool = true;

    fn title(&self) -> String {
        "Denied tokens".into()
    }
}

/// A token on the denylist.
#[derive(Debug, Serialize)]
pub struct TokenRow {
    /// The SHA-256 of its `jti`: the list holds nothing that could be used.
    pub digest: String,
    /// Why; may be empty.
    pub reason: String,
    /// When it was put there.
    pub denied_at: Moment,
    /// When it leaves.
    pub expires_at: Moment,
}

impl TokensPage {
    async fn load(sessions: &Sessions) -> DomainResult<Self> {
        let tokens = sessions.denied_tokens().await?;
        let row = |token: &crate::token::denylist::DeniedToken| TokenRow {
            digest: token.digest.as_str().to_owned(),
            reason: token.reason.clone(),
            denied_at: token.denied_at.into(),
            expires_at: token.expires_at.into(),
        };
        Ok(Self { tokens: tokens.iter().map(row).collect(), ..Self::default() })
    }
}

pub(super) fn routes() -> Vec<Route> {
    routes![show, deny]
}

/// The list and the form.
#[get("/admin/tokens")]
async fn show(
    _viewer: Allowed<TokensRevoke>,
    sessions: &State<Arc<Sessions>>,
) -> Result<Shown<TokensPage>, Refusal> {
    Ok(Shown::good(TokensPage::load(sessions).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DenyForm {
    /// A `jti`, or the token itself: a token has dots.
    token: SecretString,
    #[serde(default)]
    reason: String,
}

/// Puts a token on the list.
#[post("/admin/tokens", data = "<form>")]
async fn deny(
    _viewer: Fresh<Allowed<TokensRevoke>>,
    form: Offered<Form<DenyForm>>,
    sessions: &State<Arc<Sessions>>,
) -> Result<FormAnswer<TokensPage>, Refusal> {
    let (DenyForm { token, reason }, proof) = form.open();
    let pasted = token.expose().trim();
    let denial = if pasted.contains('.') {
        Denial::Token(SecretString::new(pasted))
    } else {
        Denial::Jti(pasted.to_owned())
    };
    match proof.then(sessions.deny_token(denial, &reason)).await {
        Ok(()) => Ok(Either::This(See::with_notice("/admin/tokens", "denied"))),
        Err(error) => {
            let page = TokensPage::load(sessions).await?;
            let faults = Faults::from(&error).renamed("jti", "token");
            Ok(Either::That(Shown::refused(TokensPage { faults, reason, ..page }, &error)))
        }
    }
}
