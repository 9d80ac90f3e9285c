//! From the OpenAPI document to the page.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::schema::{Field, Link, Schemas};
use super::text::{anchor, chapters, paragraph, paragraphs};
use super::{AnswerRow, CallRow, DocsPage, Group, Object, ProblemRow, RefusalRow};

/// The methods of a path, in the order in which they are shown.
const METHODS: [&str; 7] = ["get", "head", "post", "put", "patch", "delete", "options"];

impl DocsPage {
    /// The page of a document.
    pub fn read(document: &Value) -> Self {
        let text =
            |place: &str| document.pointer(place).and_then(Value::as_str).unwrap_or_default();
        let calls = calls(document);
        let mut by_tag: BTreeMap<String, Vec<CallRow>> = BTreeMap::new();
        for (tag, call) in calls {
            by_tag.entry(tag).or_default().push(call);
        }
        let group = |tag: &Value| {
            let name = tag["name"].as_str().unwrap_or_default();
            Group {
                anchor: anchor(name),
                name: name.to_owned(),
                about: paragraph(tag["description"].as_str().unwrap_or_default()),
                calls: by_tag.remove(name).unwrap_or_default(),
            }
        };
        Self {
            version: text("/info/version").to_owned(),
            chapters: chapters(text("/info/description")),
            groups: document["tags"].as_array().into_iter().flatten().map(group).collect(),
            objects: objects(document),
            problems: problems(document),
        }
    }
}

/// The operations with their tags, those that differ in their methods alone as one.
fn calls(document: &Value) -> Vec<(String, CallRow)> {
    let mut calls: Vec<(String, CallRow)> = Vec::new();
    let server = document["servers"][0]["url"].as_str().unwrap_or_default();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in METHODS.iter().filter_map(|m| Some((*m, item.get(*m)?))) {
            let tag = operation["tags"][0].as_str().unwrap_or_default();
            let call = call(document, server, method, path, operation);
            match calls.iter_mut().find(|(_, c)| c.path == *path && c.summary == call.summary) {
                Some((_, same)) => same.methods.extend(call.methods),
                None => calls.push((tag.to_owned(), call)),
            }
        }
    }
    calls
}

fn call(document: &Value, server: &str, method: &str, path: &str, operation: &Value) -> CallRow {
    let schemas = Schemas(document);
    let text = |name: &str| operation[name].as_str().unwrap_or_default();
    let sent = operation.pointer("/requestBody/content/application~1json/schema");
    let (answers, refusals) = responses(&schemas, operation);
    let asker = asker(&operation["security"], path);
    CallRow {
        anchor: text("operationId").to_owned(),
        methods: vec![method.to_uppercase()],
        path: path.to_owned(),
        summary: text("summary").to_owned(),
        about: paragraphs(text("description")),
        permission: operation["x-permission"].as_str().map(str::to_owned),
        is_fresh: operation["x-fresh"] == true,
        parameters: parameters(&schemas, operation),
        body: sent.map(|sent| schemas.fields(sent)).unwrap_or_default(),
        answers,
        refusals,
        curl: curl(
            server,
            method,
            &filled(&schemas, path, operation),
            &asker,
            sent.map(|sent| schemas.example(sent)),
        ),
        asker,
    }
}

/// The path with something in the places of its parameters.
fn filled(schemas: &Schemas<'_>, path: &str, operation: &Value) -> String {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    parameters.filter(|one| one["in"] == "path").fold(path.to_owned(), |path, one| {
        let name = format!("{{{}}}", one["name"].as_str().unwrap_or_default());
        let example = schemas.example(&one["schema"]);
        path.replace(&name, example.as_str().unwrap_or_default())
    })
}

fn parameters(schemas: &Schemas<'_>, operation: &Value) -> Vec<Field> {
    let parameter = |one: &Value| Field {
        name: one["name"].as_str().unwrap_or_default().to_owned(),
        place: one["in"].as_str().map(str::to_owned),
        required: one["required"] == true,
        about: paragraph(one["description"].as_str().unwrap_or_default()),
        ..schemas.field(&one["schema"])
    };
    operation["parameters"].as_array().into_iter().flatten().map(parameter).collect()
}

fn responses(schemas: &Schemas<'_>, operation: &Value) -> (Vec<AnswerRow>, Vec<RefusalRow>) {
    let (mut answers, mut refusals) = (Vec::new(), Vec::new());
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        let response = schemas.resolve(response);
        let status = status.clone();
        let codes: Vec<String> = problem_examples(response).map(|(code, _)| code.clone()).collect();
        match codes.is_empty() {
            true => answers.push(answer(schemas, status, response)),
            false => refusals.push(RefusalRow { status, codes }),
        }
    }
    (answers, refusals)
}

fn answer(schemas: &Schemas<'_>, status: String, response: &Value) -> AnswerRow {
    let content = response["content"].as_object();
    let schema = content.into_iter().flatten().map(|(_, one)| &one["schema"]).next();
    let link = schema.and_then(|schema| schemas.field(schema).link);
    let is_json = |kind: &String| kind.ends_with("json") && !kind.contains("nd");
    let kinds: Vec<String> = content.into_iter().flatten().map(|(kind, _)| kind.clone()).collect();
    let shown = schema.filter(|_| kinds.iter().any(is_json) && link.is_some());
    AnswerRow {
        status,
        about: paragraph(response["description"].as_str().unwrap_or_default()),
        kinds,
        link,
        example: shown.map(|schema| format!("{:#}", schemas.example(schema))),
    }
}

/// Who may ask.
fn asker(security: &Value, path: &str) -> String {
    let ways = security.as_array().map(Vec::as_slice).unwrap_or_default();
    let word = match ways {
        [] if path.starts_with("/api/authz/") => "Trusted proxies",
        [] => "Everybody",
        [one] if one["refresh_cookie"].is_array() => "Refresh cookie",
        [none, ..] if *none == serde_json::json!({}) => "Everybody",
        _ => "Signed in",
    };
    word.to_owned()
}

/// The call from a shell.
fn curl(server: &str, method: &str, path: &str, asker: &str, sent: Option<Value>) -> String {
    let server = server.trim_end_matches('/');
    let server = if server.is_empty() { "$DOORWARD" } else { server };
    let mut lines = match method {
        "get" => vec![format!("curl {server}{path}")],
        "head" => vec![format!("curl --head {server}{path}")],
        _ => vec![format!("curl -X {} {server}{path}", method.to_uppercase())],
    };
    match asker {
        "Signed in" => lines.push("-H \"Authorization: Bearer $TOKEN\"".to_owned()),
        "Refresh cookie" => lines.push(format!("-b jar -c jar -H \"Origin: {server}\"")),
        _ => {}
    }
    if let Some(sent) = sent {
        lines.push("-H 'Content-Type: application/json'".to_owned());
        lines.push(format!("-d '{sent}'"));
    }
    lines.join(" \\\n  ")
}

fn objects(document: &Value) -> Vec<Object> {
    let schemas = Schemas(document);
    let all = document.pointer("/components/schemas").and_then(Value::as_object);
    let objects = all.into_iter().flatten().filter(|(_, schema)| schema["properties"].is_object());
    let object = |(name, schema): (&String, &Value)| Object {
        link: Link::to(name),
        about: paragraph(schema["description"].as_str().unwrap_or_default()),
        fields: schemas.fields(schema),
    };
    objects.map(object).collect()
}

fn problems(document: &Value) -> Vec<ProblemRow> {
    let responses = document["components"]["responses"].as_object().into_iter().flatten();
    let examples = responses.flat_map(|(_, response)| problem_examples(response));
    let general = document.pointer("/components/schemas/Problem/examples");
    let general = general.and_then(Value::as_array).into_iter().flatten();
    let mut told: BTreeMap<&str, (BTreeSet<String>, &str)> = BTreeMap::new();
    for problem in examples.map(|(_, example)| &example["value"]).chain(general) {
        let (Some(code), Some(detail)) = (problem["code"].as_str(), problem["detail"].as_str())
        else {
            continue;
        };
        let (statuses, _) = told.entry(code).or_insert_with(|| (BTreeSet::new(), detail));
        statuses.extend(problem["status"].as_u64().map(|status| status.to_string()));
    }
    let row = |(code, (statuses, detail)): (&str, (BTreeSet<String>, &str))| ProblemRow {
        code: code.to_owned(),
        statuses: statuses.into_iter().collect(),
        detail: detail.to_owned(),
    };
    told.into_iter().map(row).collect()
}

/// The problems that an answer can be, by their codes.
fn problem_examples(response: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let examples = response.pointer("/content/application~1problem+json/examples");
    examples.and_then(Value::as_object).into_iter().flatten()
}
