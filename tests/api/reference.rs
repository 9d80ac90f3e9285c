//! The reference of the interface: every call is in it, as it is.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::route::{DECLARED, Needs};
use crate::app::*;
use crate::support::binary;

const DOCUMENT: &str = "/api/v1/openapi.json";

/// What programs find besides the pages.
fn is_for_programs(path: &str) -> bool {
    let outside = ["/livez", "/readyz", "/csp-report", "/.well-known/jwks.json"];
    let is_call = path.starts_with("/api/") && !path.starts_with("/api/.doorward/");
    (is_call && path != "/api/docs") || outside.contains(&path)
}

/// A pattern of Rocket's as OpenAPI writes it.
fn template(pattern: &str) -> String {
    pattern.replace("..>", "}").replace('<', "{").replace('>', "}")
}

async fn document(app: &TestApp) -> Value {
    app.get(DOCUMENT).await.expect(200).json()
}

/// The operations, by method and path.
fn operations(document: &Value) -> BTreeMap<(String, String), &Value> {
    let paths = document["paths"].as_object().expect("paths");
    let of = |(path, item): (&String, &'_ Value)| -> Vec<_> {
        let methods: Vec<String> = item.as_object().expect("an item").keys().cloned().collect();
        methods.into_iter().map(|method| (method.to_uppercase(), path.clone())).collect()
    };
    let keys = paths.iter().flat_map(of);
    keys.map(|(method, path)| {
        let operation = &document["paths"][&path][method.to_lowercase()];
        ((method, path), operation)
    })
    .collect()
}

#[rocket::async_test]
async fn every_call_is_in_the_reference_and_no_other() {
    let app = TestApp::light().await;
    let document = document(&app).await;
    let told: BTreeSet<_> = operations(&document).into_keys().collect();
    let routes = app.client.rocket().routes();
    let mounted: BTreeSet<_> = routes
        .filter(|route| is_for_programs(route.uri.path()))
        .map(|route| (route.method.to_string(), template(route.uri.path())))
        .collect();
    assert_eq!(told, mounted);
    assert!(told.len() > 50, "{told:?}");
}

#[rocket::async_test]
async fn the_reference_says_who_may_ask() {
    let app = TestApp::light().await;
    let document = document(&app).await;
    let operations = operations(&document);
    for (method, path, needs) in DECLARED.iter().filter(|(_, path, _)| is_for_programs(path)) {
        let operation = operations[&(method.to_string(), template(path))];
        let signed_in = operation["security"][0]["bearer"].is_array();
        let (permission, fresh) = match needs {
            Needs::Nothing(_) | Needs::SignIn => (Value::Null, false),
            Needs::Permission(name) => ((*name).into(), false),
            Needs::Fresh(name) => ((*name).into(), true),
        };
        assert_eq!(operation["x-permission"], permission, "{method} {path}");
        assert_eq!(operation["x-fresh"] == true, fresh, "{method} {path}");
        assert_eq!(signed_in, !matches!(needs, Needs::Nothing(_)), "{method} {path}");
    }
}

#[rocket::async_test]
async fn everything_in_the_reference_is_explained() {
    let app = TestApp::light().await;
    let document = document(&app).await;
    let mut names = BTreeSet::new();
    assert!(!document.to_string().contains("(SR-"), "what is for maintainers alone");
    let told = |value: &Value| value.as_str().is_some_and(|text| text.len() > 3);
    for (call, operation) in operations(&document) {
        let name = operation["operationId"].as_str().expect("a name");
        assert!(names.insert(name), "{name} is there twice");
        assert!(told(&operation["summary"]), "{call:?}");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(told(&parameter["description"]), "{call:?}: {parameter}");
        }
    }
    for (name, schema) in document["components"]["schemas"].as_object().expect("schemas") {
        assert!(told(&schema["description"]), "{name}");
        for (field, inner) in schema["properties"].as_object().into_iter().flatten() {
            assert!(told(&inner["description"]) || inner["$ref"].is_string(), "{name}.{field}");
        }
    }
}

/// Every place that the document refers to.
fn places(value: &Value) -> Vec<&str> {
    match value {
        Value::Object(fields) => {
            let here = value["$ref"].as_str().into_iter();
            here.chain(fields.values().flat_map(places)).collect()
        }
        Value::Array(items) => items.iter().flat_map(places).collect(),
        _ => Vec::new(),
    }
}

#[rocket::async_test]
async fn the_reference_refers_to_what_is_in_it() {
    let app = TestApp::light().await;
    let document = document(&app).await;
    let places = places(&document);
    assert!(places.len() > 500);
    for place in places {
        let there = place.strip_prefix('#').and_then(|place| document.pointer(place));
        assert!(there.is_some(), "{place}");
    }
}

#[rocket::async_test]
async fn the_codes_of_the_reference_are_those_of_the_guide() {
    let app = TestApp::light().await;
    let document = document(&app).await;
    let codes = &document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"];
    let codes: BTreeSet<&str> =
        codes.as_array().expect("codes").iter().filter_map(Value::as_str).collect();
    let guide = include_str!("../../docs/api.md");
    let table = guide.split("| Code | Status | When |").nth(1).expect("the table");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let listed: BTreeSet<&str> = rows.filter_map(|row| row.split('`').nth(1)).collect();
    assert_eq!(codes, listed);
}

#[rocket::async_test]
async fn the_reference_is_of_this_server() {
    let settings = [("DOORWARD_PASSWORDS_MIN_LENGTH", "15")];
    let app = TestApp::boot_with(Backend::SqliteEmbedded, &settings).await;
    let document = document(&app).await;
    assert_eq!(document["openapi"], "3.1.1");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(document["servers"][0]["url"], ORIGIN);
    assert_eq!(document["components"]["schemas"]["NewPassword"]["minLength"], 15);
    let cookie = &document["components"]["securitySchemes"]["cookie"]["name"];
    assert_eq!(cookie, ACCESS);
}

#[rocket::async_test]
async fn the_reference_is_kept_by_its_tag() {
    let app = TestApp::light().await;
    let first = app.get(DOCUMENT).await.expect(200);
    assert_eq!(first.header("Content-Type"), Some("application/json"));
    assert_eq!(first.header("Cache-Control"), Some("public, max-age=300"));
    let tag = first.header("ETag").expect("a tag");
    let get = rocket::http::Method::Get;
    let again = app.ask(get, DOCUMENT).header("If-None-Match", tag).send().await.expect(304);
    assert!(again.body.is_empty());
    app.ask(get, DOCUMENT).header("If-None-Match", "\"other\"").send().await.expect(200);
}

#[rocket::async_test]
async fn the_reference_can_be_switched_off() {
    let settings = [("DOORWARD_API_DOCS", "false")];
    let app = TestApp::boot_with(Backend::SqliteEmbedded, &settings).await;
    app.get(DOCUMENT).await.expect_problem(404, "not_found");
    let page = app.get("/api/docs").await.expect(404);
    assert_eq!(page.header("Content-Type"), Some("text/html; charset=utf-8"));
}

#[test]
fn the_command_prints_the_reference_without_any_store() {
    let nowhere = [
        ("DOORWARD_DATABASE_URL", "postgres://nobody@localhost:1/nothing"),
        ("DOORWARD_API_DOCS", "false"),
    ];
    let read = |arguments: &[&str]| {
        let done = binary::run(arguments, "", &nowhere);
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        done.stdout
    };
    let (people, programs) = (read(&["openapi"]), read(&["openapi", "--json"]));
    assert!(people.lines().count() > 1000 && programs.lines().count() == 1);
    let document: Value = serde_json::from_str(&people).expect("JSON");
    assert_eq!(document, serde_json::from_str::<Value>(&programs).expect("JSON"));
    assert_eq!(document["servers"][0]["url"], "/");
}
