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
    codes: BTreeSet<&'static str>,
}

impl Failures {
    /// Refers to an answer for each status among `problems`. People are told with a page, if `pages`.
    pub(super) fn refer(&mut self, problems: &[Problem], pages: bool) -> Map<String, Value> {
        let mut by_status: BTreeMap<Status, BTreeMap<&'static str, &Problem>> = BTreeMap::new();
        for problem in problems {
            by_status.entry(problem.status).or_default().entry(problem.code).or_insert(problem);
            self.codes.insert(problem.code);
        }
        let refer = |(status, problems): (Status, BTreeMap<_, _>)| {
            let place = format!("#/components/responses/{}", self.name(status, &problems, pages));
            (status.code.to_string(), json!({ "$ref": place }))
        };
        by_status.into_iter().map(refer).collect()
    }

    /// The name of the answer with this status and one of these codes: `Forbidden`, `Forbidden2` …
    fn name(
        &mut self,
        status: Status,
        problems: &BTreeMap<&'static str, &Problem>,
        pages: bool,
    ) -> String {
        let key = (status.code, problems.keys().copied().collect(), pages);
        if let Some(name) = self.names.get(&key) {
            return name.clone();
        }
        let reason: String = status.reason_lossy().split([' ', '-']).collect();
        let numbers = (2..).map(|number| format!("{reason}{number}"));
        let mut names = std::iter::once(reason.clone()).chain(numbers);
        let name = names.find(|name| !self.responses.contains_key(name)).unwrap_or_default();
        self.responses.insert(name.clone(), response(status, problems, pages));
        self.names.insert(key, name.clone());
        name
    }

    /// What was referred to.
    pub(super) fn components(self) -> Value {
        json!(self.responses)
    }

    /// Completes what is said of problems in general: their codes, and those that no call tells of
    /// itself, because they are about another method or another host.
    pub(super) fn complete(&self, schema: &mut Value) {
        let general =
            [Status::MethodNotAllowed, Status::MisdirectedRequest].map(Problem::of_status);
        let general_codes = general.iter().map(|problem| &problem.code);
        let codes: BTreeSet<_> = self.codes.iter().chain(general_codes).collect();
        schema["properties"]["code"]["enum"] = json!(codes);
        schema["examples"] = general.iter().map(|problem| problem.to_json(REQUEST_ID)).collect();
    }
}

fn response(status: Status, problems: &BTreeMap<&'static str, &Problem>, pages: bool) -> Value {
    let codes: Vec<&str> = problems.keys().copied().collect();
    let listed: Vec<String> = codes.iter().map(|code| format!("`{code}`")).collect();
    let mut headers = vec![REQUEST_ID_HEADER];
    match status.code {
        401 => headers.push("WWW-Authenticate"),
        429 | 503 => headers.push("Retry-After"),
        _ => {}
    }
    let example = |(code, problem): (&&'static str, &&Problem)| {
        ((*code).to_owned(), json!({ "value": problem.to_json(REQUEST_ID) }))
    };
    let schema = json!({
        "$ref": "#/components/schemas/Problem",
        "properties": { "status": { "const": status.code }, "code": { "enum": codes } },
    });
    let examples: Map<_, _> = problems.iter().map(example).collect();
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

/// Headers that answers have: whether for sure, and what they are.
const HEADERS: [(&str, bool, &str); 8] = [
    (REQUEST_ID_HEADER, true, "Names the request, in the log too."),
    ("WWW-Authenticate", true, "How to prove who is asking (RFC 6750 §3)."),
    ("Retry-After", true, "Seconds to wait before another try."),
    ("Location", true, "Where it is, or where to go."),
    ("Content-Disposition", true, "The name of the file."),
    ("ETag", true, "Changes with the content: send it as `If-None-Match`."),
    ("Cache-Control", true, "For how long it may be kept."),
    ("Set-Cookie", false, "The cookies with the tokens, set or deleted."),
];

/// Headers by their names: as components, or for themselves.
pub(super) fn headers_of(names: &[&str]) -> Value {
    let told = |name: &&str| match HEADERS.iter().any(|(known, ..)| known == name) {
        true => json!({ "$ref": format!("#/components/headers/{name}") }),
        false => json!({ "description": "What an app is told.", "schema": { "type": "string" } }),
    };
    Value::Object(names.iter().map(|name| ((*name).to_owned(), told(name))).collect())
}

/// The headers that answers refer to.
pub(super) fn headers() -> Value {
    let header = |(name, required, description): &(&str, bool, &str)| {
        let kind = if *name == "Retry-After" { "integer" } else { "string" };
        let schema = json!({ "type": kind });
        let header = json!({ "description": description, "required": required, "schema": schema });
        ((*name).to_owned(), header)
    };
    Value::Object(HEADERS.iter().map(header).collect())
}
