//! One call in the reference: an Operation Object.

use rocket::Route;
use rocket::http::{Method, Status};
use schemars::{JsonSchema as _, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::document::Draft;
use super::failure::{REQUEST_ID_HEADER, headers_of};
use super::signature::{Answer, Asker, SchemaOf};
use super::{Call, Signature};
use crate::error::Error;
use crate::guard::limit;
use crate::id::{AccountId, SessionId};
use crate::problem::Problem;
use crate::role::{Permission, RoleName};

/// What stands in a path behind a word.
const PLACES: [(&str, &str, SchemaOf); 6] = [
    ("users", "The `id` of an account.", AccountId::json_schema),
    ("sessions", "The `id` of a session.", SessionId::json_schema),
    ("roles", "The name of a role.", RoleName::json_schema),
    ("permissions", "The name of a permission.", Permission::json_schema),
    ("inspections", "What `doorward doctor --request` printed.", String::json_schema),
    ("ext-authz", "The path of the request to the app, with its slashes.", app_path),
];

fn app_path(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "examples": ["invoices/17"] })
}

/// A path as OpenAPI writes it: `/me/sessions/{id}`.
pub(super) fn template(pattern: &str) -> String {
    pattern.replace("..>", "}").replace('<', "{").replace('>', "}")
}

/// The operation of a route of `call`, at `path`.
pub(super) fn operation(
    draft: &mut Draft,
    call: &Call,
    route: &Route,
    path: &str,
    tag: &str,
) -> Value {
    let signature = &call.signature;
    let mut operation = json!({
        "operationId": name(call, route),
        "summary": call.summary,
        "tags": [tag],
        "security": security(signature.asker),
    });
    let description = description(call);
    if !description.is_empty() {
        operation["description"] = json!(description);
    }
    if let Some(permission) = signature.permission {
        operation["x-permission"] = json!(permission);
    }
    if signature.is_fresh {
        operation["x-fresh"] = json!(true);
    }
    let parameters = parameters(path, signature, &mut draft.sent);
    if !parameters.is_empty() {
        operation["parameters"] = json!(parameters);
    }
    if let Some(body) = signature.body {
        let schema = body(&mut draft.sent);
        let content = json!({ "application/json": { "schema": schema } });
        operation["requestBody"] = json!({ "required": true, "content": content });
    }
    let mut responses = answers(signature, &mut draft.answered);
    let pages = !path.starts_with("/api/");
    responses.extend(draft.failures.refer(&problems(signature, route.method, path), pages));
    operation["responses"] = Value::Object(responses);
    operation
}

/// Its own name, or, of a call that is made by several methods, its name and the method.
fn name(call: &Call, route: &Route) -> String {
    if call.routes.len() < 2 {
        return call.id.to_owned();
    }
    let method = route.method.as_str();
    let (first, rest) = method.split_at_checked(1).unwrap_or((method, ""));
    format!("{}{first}{}", call.id, rest.to_ascii_lowercase())
}

fn description(call: &Call) -> String {
    let mut parts: Vec<String> =
        (!call.detail.is_empty()).then(|| call.detail.to_owned()).into_iter().collect();
    match (call.signature.permission, call.signature.is_fresh) {
        (Some(permission), true) => parts.push(format!(
            "Needs the permission `{permission}`, and a password that was given a short while ago: \
             otherwise the answer is 401 `reauth_required`."
        )),
        (Some(permission), false) => parts.push(format!("Needs the permission `{permission}`.")),
        _ => {}
    }
    parts.join("\n\n")
}

fn security(asker: Asker) -> Value {
    match asker {
        Asker::Anybody | Asker::Proxy => json!([]),
        Asker::Perhaps => json!([{}, { "bearer": [] }, { "cookie": [] }]),
        Asker::Refresh => json!([{ "refresh_cookie": [] }]),
        Asker::SignedIn => json!([{ "bearer": [] }, { "cookie": [] }]),
    }
}

/// What stands in the path, and what comes in the query.
fn parameters(path: &str, signature: &Signature, generator: &mut SchemaGenerator) -> Vec<Value> {
    let mut parameters = Vec::new();
    for (name, description, schema) in &signature.headers {
        let schema = Schema::try_from(schema.clone()).unwrap_or_default();
        parameters.push(parameter("header", name, description, true, schema));
    }
    let mut before = "";
    for part in path.split('/') {
        if let Some(name) = part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            let place = PLACES.iter().find(|(word, ..)| *word == before);
            let (_, description, schema) = place.copied().unwrap_or(("", "", String::json_schema));
            let schema = schema(generator);
            parameters.push(parameter("path", name, description, true, schema));
        }
        before = part;
    }
    for (name, description, schema) in &signature.words {
        let schema = schema(generator);
        parameters.push(parameter("query", name, description, true, schema));
    }
    let Some(query) = signature.query else { return parameters };
    let query = query(generator);
    let required = query.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let fields = query.get("properties").and_then(Value::as_object);
    for (name, schema) in fields.into_iter().flatten() {
        let mut schema = present(schema.clone());
        let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        let description = description.as_ref().and_then(Value::as_str).unwrap_or_default();
        let required = required.iter().any(|one| one == name);
        let schema = Schema::try_from(schema).unwrap_or_default();
        parameters.push(parameter("query", name, description, required, schema));
    }
    parameters
}

/// A query has no word for null: what is not given is left out.
fn present(mut schema: Value) -> Value {
    let Some(object) = schema.as_object_mut() else { return schema };
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|one| one != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            object.insert("type".to_owned(), one);
        }
    }
    if let Some(Value::Array(words)) = object.get_mut("enum") {
        words.retain(|word| !word.is_null());
    }
    if let Some(Value::Array(either)) = object.get_mut("anyOf") {
        either.retain(|one| *one != json!({ "type": "null" }));
        if let [one] = either.as_slice() {
            return one.clone();
        }
    }
    schema
}

fn parameter(place: &str, name: &str, description: &str, required: bool, schema: Schema) -> Value {
    json!({
        "name": name, "in": place, "description": description, "required": required,
        "schema": schema,
    })
}

fn answers(signature: &Signature, generator: &mut SchemaGenerator) -> Map<String, Value> {
    let answer = |answer: &Answer| {
        let mut headers = vec![REQUEST_ID_HEADER];
        headers.extend(&answer.headers);
        headers.extend(signature.sets_cookies.then_some("Set-Cookie"));
        let mut response = json!({ "description": answer.when, "headers": headers_of(&headers) });
        for (kind, schema) in &answer.content {
            response["content"][*kind] = json!({ "schema": schema(generator) });
        }
        (answer.status.to_string(), response)
    };
    signature.answers.iter().map(answer).collect()
}

/// What the call can fail with: what its signature tells, and what the gate refuses.
fn problems(signature: &Signature, method: Method, path: &str) -> Vec<Problem> {
    let mut problems = signature.problems.clone();
    let of_size = [Status::UriTooLong, Status::RequestHeaderFieldsTooLarge];
    problems.extend(of_size.map(Problem::of_status));
    problems.push(Problem::internal());
    if path.contains('{') && signature.asker != Asker::Proxy {
        problems.push(Problem::from(&Error::NotFound));
    }
    if signature.asker == Asker::Proxy {
        return problems;
    }
    if !limit::is_exempt(path) {
        let wait = std::time::Duration::from_secs(30);
        problems.push(Problem::from(&Error::Throttled(wait)));
    }
    if !matches!(method, Method::Get | Method::Head | Method::Options) {
        problems.push(Problem::from(&Error::CsrfRefused));
    }
    problems
}
