//! Refusals in the reference: an answer for each set of problems that share a status.

use std::collections::{BTreeMap, BTreeSet};

use rocket::http::Status;
use serde_json::{Map, Value, json};

use crate::problem::Problem;

/// A request's name, as examples show it.
const REQUEST_ID: &str = "OrKFPC91lp_rCNkx";

/// What every answer to a request has.
pub(super) const REQUEST_ID_HEADER: &str = "X-Request-Id";

/// The refusals of all calls, each said once.
#[derive(Default)]
pub(super) struct Failures {
    responses: BTreeMap<String, Value>,
    names: BTreeMap<(u16, Vec<&'static str>, bool), String>,
    examples: BTreeMap<&'static str, Value>,
}

impl Failures {
    /// Begins with what no call says of itself: that it is made by another method.
    pub(super) fn new() -> Self {
        let mut failures = Self::default();
        failures.exemplify(&Problem::of_status(Status::MethodNotAllowed));
        failures
    }

    fn exemplify(&mut self, problem: &Problem) {
        self.examples.entry(problem.code).or_insert_with(|| problem.to_json(REQUEST_ID));
    }

    /// Refers to an answer for each status among `problems`. People are told with a page, if `pages`.
    pub(super) fn refer(&mut self, problems: &[Problem], pages: bool) -> Map<String, Value> {
        let mut codes: BTreeMap<Status, BTreeSet<&'static str>> = BTreeMap::new();
        for problem in problems {
            codes.entry(problem.status).or_default().insert(problem.code);
            self.exemplify(problem);
        }
        let refer = |(status, codes): (Status, BTreeSet<&'static str>)| {
            let name = self.name(status, codes.into_iter().collect(), pages);
            let place = format!("#/components/responses/{name}");
            (status.code.to_string(), json!({ "$ref": place }))
        };
        codes.into_iter().map(refer).collect()
    }

    /// The name of the answer with this status and one of these codes: `Forbidden`, `Forbidden2` …
    fn name(&mut self, status: Status, codes: Vec<&'static str>, pages: bool) -> String {
        let key = (status.code, codes, pages);
        if let Some(name) = self.names.get(&key) {
            return name.clone();
        }
        let reason: String = status.reason_lossy().split([' ', '-']).collect();
        let numbers = (2..).map(|number| format!("{reason}{number}"));
        let mut names = std::iter::once(reason.clone()).chain(numbers);
        let name = names.find(|name| !self.responses.contains_key(name)).unwrap_or_default();
        self.responses.insert(name.clone(), response(status, &key.1, pages));
        self.names.insert(key, name.clone());
        name
    }

    /// The components that were referred to: answers, and an example of each problem.
    pub(super) fn components(self) -> (Value, Value) {
        let example = |(code, body)| (code, json!({ "value": body }));
        let examples: BTreeMap<_, _> = self.examples.into_iter().map(example).collect();
        (json!(self.responses), json!(examples))
    }

    /// Every code that there is.
    pub(super) fn codes(&self) -> Vec<&'static str> {
        self.examples.keys().copied().collect()
    }
}

fn response(status: Status, codes: &[&'static str], pages: bool) -> Value {
    let listed: Vec<String> = codes.iter().map(|code| format!("`{code}`")).collect();
    let mut headers = vec![REQUEST_ID_HEADER];
    match status.code {
        401 => headers.push("WWW-Authenticate"),
        429 | 503 => headers.push("Retry-After"),
        _ => {}
    }
    let example =
        |code: &&'static str| (*code, json!({ "$ref": format!("#/components/examples/{code}") }));
    let examples: BTreeMap<_, _> = codes.iter().map(example).collect();
    let schema = json!({
        "$ref": "#/components/schemas/Problem",
        "properties": { "status": { "const": status.code }, "code": { "enum": codes } },
    });
    let mut content = json!({
        "application/problem+json": { "schema": schema, "examples": examples },
    });
    if pages {
        content["text/html"] = json!({ "schema": { "type": "string" } });
    }
    json!({
        "description": format!("{}: {}", status.reason_lossy(), listed.join(", ")),
        "headers": headers_of(&headers),
        "content": content,
    })
}

/// Headers by the names of their components.
pub(super) fn headers_of(names: &[&str]) -> Value {
    let refer = |name: &&str| {
        ((*name).to_owned(), json!({ "$ref": format!("#/components/headers/{name}") }))
    };
    Value::Object(names.iter().map(refer).collect())
}

/// The headers that calls refer to.
pub(super) fn headers() -> Value {
    let header = |required: bool, description: &str, schema: Value| json!({ "description": description, "required": required, "schema": schema });
    let text = |required, description| header(required, description, json!({ "type": "string" }));
    json!({
        REQUEST_ID_HEADER: text(true, "Names the request, in the log too."),
        "WWW-Authenticate": text(true, "How to prove who is asking (RFC 6750 §3)."),
        "Retry-After": header(true, "Seconds to wait before another try.", json!({ "type": "integer", "minimum": 1 })),
        "Location": text(true, "Where it is from now on."),
        "Content-Disposition": text(true, "The name of the file."),
        "ETag": text(true, "Changes with the content: send it as `If-None-Match`."),
        "Cache-Control": text(true, "For how long it may be kept."),
        "Set-Cookie": text(false, "The cookies with the tokens, set or deleted."),
    })
}
