//! Forward-auth: proxies ask here whether a request to an app may pass, and as whom
//! (docs/forward-auth.md).

use std::sync::Arc;

use rocket::http::{Header, Method, Status};
use rocket::response::{self, Responder, Response};
use rocket::route::{Handler, Outcome};
use rocket::{Data, Request, Route};
use serde_json::json;

use crate::access::{Access, Demand, Refusal};
use crate::account::Account;
use crate::audit::{self, Audit, Entry, Kind};
use crate::error::Error;
use crate::guard::asked::{EXT_AUTHZ, Manner, Told};
use crate::guard::bare_page::BarePage;
use crate::guard::cookie;
use crate::guard::csrf::PublicOrigin;
use crate::openapi::{Answer, Asker, Call, Calls, Signature};
use crate::problem::Problem;
use crate::reloadable::Reloadable;
use crate::role::{Permission, RoleName};
use crate::session::{Recognised, Sessions};
use crate::token::{Identity, Tokens};

/// The headers that tell an app who somebody is. Proxies take them from here and from nobody else.
pub const IDENTITY_HEADERS: [&str; 7] = [
    "Remote-User",
    "Remote-Id",
    "Remote-Email",
    "Remote-Name",
    "Remote-Groups",
    "Remote-Permissions",
    "X-Doorward-Identity",
];

/// Tells nginx, which understands no status but 401, how to answer somebody who is not signed in.
const ANSWER: &str = "X-Doorward-Answer";

/// The methods of the requests that Envoy asks about, which it asks with.
const METHODS: [Method; 7] = [
    Method::Get,
    Method::Head,
    Method::Post,
    Method::Put,
    Method::Patch,
    Method::Delete,
    Method::Options,
];

/// A call of its own for each manner of asking.
pub(super) fn calls() -> Calls {
    let get = |path, manner| vec![Route::new(Method::Get, path, Ask(manner))];
    let forwarded = get("/api/authz/forward-auth", Manner::Forwarded);
    let original = get("/api/authz/auth-request", Manner::Original);
    let pattern = format!("{EXT_AUTHZ}/<path..>");
    let external = METHODS.map(|method| Route::new(method, &pattern, Ask(Manner::External)));
    Calls {
        tag: "Proxies",
        about: "What proxies that the operator trusts ask about requests to apps: see the guide \
                to forward-auth.",
        calls: vec![
            Call::by_hand(
                "askForwardAuth",
                "Traefik, Caddy, HAProxy",
                forwarded,
                asked(Manner::Forwarded),
            ),
            Call::by_hand("askAuthRequest", "nginx", original, asked(Manner::Original)),
            Call::by_hand("askExtAuthz", "Envoy", external.into(), asked(Manner::External)),
        ],
    }
}

/// What there is to know of the calls, which have no signature: any cookies are those of the request
/// that is asked about.
fn asked(manner: Manner) -> Signature {
    let text = |pattern: &str| json!({ "type": "string", "pattern": pattern });
    let method = ("The method of the request.", text("^[A-Z]{1,32}$"));
    let proto = json!({ "type": "string", "enum": ["http", "https"] });
    let proto = ("X-Forwarded-Proto", "The scheme of the request.", proto);
    let headers = match manner {
        Manner::Forwarded => vec![
            ("X-Forwarded-Method", method.0, method.1),
            proto,
            ("X-Forwarded-Host", "The host of the request, with its port.", text("^[^ /]+$")),
            ("X-Forwarded-Uri", "The path of the request, with its query.", text("^/[!-~]*$")),
        ],
        Manner::Original => vec![
            ("X-Original-Method", method.0, method.1),
            ("X-Original-URL", "The address of the request.", text("^https?://[^/]+/[!-~]*$")),
        ],
        // And `Host`, which every request has.
        Manner::External => vec![proto],
    };
    let mut passes = Answer::empty(200, "It may pass, as whom the headers say.");
    passes.headers.extend(IDENTITY_HEADERS);
    let mut answers = vec![passes];
    if manner != Manner::Original {
        let sent =
            |status, when| Answer { headers: vec!["Location"], ..Answer::empty(status, when) };
        answers.push(sent(302, "A person who opens a page signs in first."));
        answers.push(sent(303, "A person who sends a form signs in first."));
    }
    let refused = [
        Error::NotSignedIn,
        Error::TokenExpired,
        Error::SessionEnded,
        Error::PermissionDenied("invoices:read".to_owned()),
    ];
    let mut problems: Vec<Problem> = refused.iter().map(Problem::from).collect();
    problems.push(Problem::of_status(Status::BadRequest));
    problems
        .push(Problem { retry_after: Some(2), ..Problem::of_status(Status::ServiceUnavailable) });
    Signature { asker: Asker::Proxy, headers, answers, problems, ..Signature::default() }
}

#[derive(Clone)]
struct Ask(Manner);

#[rocket::async_trait]
impl Handler for Ask {
    async fn handle<'r>(&self, request: &'r Request<'_>, _: Data<'r>) -> Outcome<'r> {
        let Some(desk) = Desk::of(request) else {
            return Outcome::Error(Status::InternalServerError);
        };
        let verdict = match Told::read(request, self.0) {
            Ok(told) => desk.judge(request, &told, self.0).await,
            Err(problem) => Verdict::Refused { problem, page: false },
        };
        Outcome::from(request, verdict)
    }
}

/// What is needed to judge.
struct Desk<'r> {
    access: Arc<Access>,
    sessions: &'r Sessions,
    tokens: &'r Tokens,
    audit: &'r Audit,
    here: &'r str,
}

impl<'r> Desk<'r> {
    fn of(request: &'r Request<'_>) -> Option<Self> {
        let rocket = request.rocket();
        Some(Self {
            access: rocket.state::<Reloadable<Access>>()?.get(),
            sessions: rocket.state::<Arc<Sessions>>()?,
            tokens: rocket.state::<Arc<Tokens>>()?,
            audit: rocket.state::<Arc<Audit>>()?,
            here: &rocket.state::<PublicOrigin>()?.0,
        })
    }

    async fn judge(&self, request: &Request<'_>, told: &Told, manner: Manner) -> Verdict {
        let refused = |problem| Verdict::Refused { problem, page: told.is_navigation };
        let demand = match self.access.demand(&told.asked()) {
            Ok(demand) => demand,
            Err(refusal) => return refused(closed(refusal)),
        };
        let public = demand.is_public();
        let recognised = match self.sessions.recognise(&cookie::presented(request)).await {
            Ok(known) if known.live.account.must_change_password => {
                Err(Error::PasswordChangeRequired)
            }
            other => other,
        };
        match recognised {
            Ok(known) if public => self.pass(&known.live.account, &demand),
            // Whoever it is, and be the store away: everybody may see this.
            Err(_) if public => Verdict::Pass(Default::default()),
            // On its way past the sign-in page the browser gets a new pair of tokens and comes back.
            Ok(Recognised { stale: true, .. }) if told.is_navigation && told.is_safe() => {
                self.send(told, manner, &demand, &Error::TokenExpired)
            }
            Ok(known) => {
                let account = &known.live.account;
                audit::acting(&account.id);
                match demand.admit(&account.permissions) {
                    Ok(()) => self.pass(account, &demand),
                    Err(error) => {
                        let event = Entry::of(Kind::AuthzFail);
                        let detail = format!("{}: {demand}", demand.audience);
                        self.audit.record_sparingly(event.detail(detail)).await;
                        refused(Problem::from(&error))
                    }
                }
            }
            Err(error @ (Error::Unavailable(_) | Error::Internal(_))) => {
                refused(Problem::from(&error))
            }
            Err(error) => self.send(told, manner, &demand, &error),
        }
    }

    /// To the sign-in page and back, if a person opens a page; else only the news that `error`.
    fn send(&self, told: &Told, manner: Manner, demand: &Demand<'_>, error: &Error) -> Verdict {
        let next: String = url::form_urlencoded::byte_serialize(demand.page.as_bytes()).collect();
        let answer = match (told.is_navigation, told.is_safe()) {
            (false, _) => Status::Unauthorized,
            (true, true) => Status::Found,
            (true, false) => Status::SeeOther,
        };
        let page = match error {
            Error::PasswordChangeRequired => "/profile/new-password",
            _ => "/login",
        };
        let location = format!("{}{page}?next={next}", self.here);
        let mut problem = Problem::from(error);
        // Proxies lead people to a page by this status alone.
        problem.status = Status::Unauthorized;
        Verdict::SignIn { manner, answer, location, problem }
    }

    fn pass(&self, account: &Account, demand: &Demand) -> Verdict {
        let roles: Vec<&str> = account.roles.iter().map(RoleName::as_str).collect();
        let permissions: Vec<&str> = account.permissions.iter().map(Permission::as_str).collect();
        let list = |all: &[&str]| all.iter().map(|one| item(one)).collect::<Vec<_>>().join(",");
        let (groups, granted) = (list(&roles), list(&permissions));
        let email = account.email.key();
        let identity = Identity {
            account: &account.id,
            email: &email,
            name: account.name(),
            roles,
            permissions,
        };
        let token = match self.tokens.sign_identity(&identity, &demand.audience) {
            Ok(token) => token.expose().to_owned(),
            Err(error) => {
                return Verdict::Refused { problem: Problem::from(&error), page: false };
            }
        };
        let values = [
            text(&email),
            account.id.to_string(),
            text(account.email.as_str()),
            text(account.name()),
            groups,
            granted,
            token,
        ];
        Verdict::Pass(values)
    }
}

/// Text in a header: what is not printable ASCII is percent-encoded UTF-8, so that no name breaks a
/// line or is read in two ways.
fn text(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => text.push(char::from(byte)),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

/// An item of a list with commas.
fn item(value: &str) -> String {
    text(value).replace(',', "%2C")
}

/// Why nobody may pass.
fn closed(refusal: Refusal) -> Problem {
    let detail = crate::problem::sentence(&refusal.to_string());
    match refusal {
        Refusal::Unreadable(_) => Problem::new(Status::BadRequest, "validation_failed", detail),
        _ => Problem::new(Status::Forbidden, "permission_denied", detail),
    }
}

/// What the proxy is told.
enum Verdict {
    /// Let it through, with these values of the [`IDENTITY_HEADERS`]: empty ones for nobody, so that
    /// what a client sent is overwritten in any case.
    Pass([String; IDENTITY_HEADERS.len()]),
    /// Let nobody through who is not signed in.
    SignIn { manner: Manner, answer: Status, location: String, problem: Problem },
    /// Let it not through; a person gets a page to read.
    Refused { problem: Problem, page: bool },
}

impl<'r> Responder<'r, 'static> for Verdict {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        match self {
            Self::Pass(values) => {
                let mut response = Response::build();
                for (name, value) in IDENTITY_HEADERS.into_iter().zip(values) {
                    response.header(Header::new(name, value));
                }
                response.ok()
            }
            Self::SignIn { manner, answer, location, problem } => {
                let by_header = manner == Manner::Original;
                let mut response = if by_header || answer == Status::Unauthorized {
                    problem.respond_to(request)?
                } else {
                    Response::build().status(answer).finalize()
                };
                if by_header || answer != Status::Unauthorized {
                    response.set_header(Header::new("Location", location));
                }
                if by_header {
                    response.set_header(Header::new(ANSWER, answer.code.to_string()));
                }
                Ok(response)
            }
            Self::Refused { problem, page: false } => problem.respond_to(request),
            Self::Refused { problem, page: true } => BarePage(problem).respond_to(request),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_breaks_a_header() {
        for (value, expected) in [
            ("Ada Lovelace", "Ada Lovelace"),
            ("Zo\u{eb}\r\nRemote-User: root", "Zo%C3%AB%0D%0ARemote-User: root"),
            ("100%", "100%25"),
            ("\u{0}\u{7f}\u{1f469}", "%00%7F%F0%9F%91%A9"),
        ] {
            assert_eq!(text(value), expected);
        }
        assert_eq!(item("a,b"), "a%2Cb");
    }
}
