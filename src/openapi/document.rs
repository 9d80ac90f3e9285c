//! The document: all calls, and the components that they share.

use std::sync::{Arc, LazyLock};

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::Calls;
use super::failure::{Failures, headers};
use super::operation::{operation, template};
use super::signature::subschema;
use crate::guard::cookie::{Cookie, CookiePolicy};
use crate::guard::kept;
use crate::problem::Details;

/// What the interface has in common, in Markdown.
const ABOUT: &str = include_str!("about.md");

/// What differs from server to server.
#[derive(Clone, Debug)]
pub struct Basis {
    /// Where programs reach the server; `/` if the document is read without one.
    pub server: String,
    /// The fewest characters of a new password.
    pub min_length: usize,
    /// What cookies are called.
    pub cookies: CookiePolicy,
}

/// A document in the making.
pub(super) struct Draft {
    paths: Map<String, Value>,
    tags: Vec<Value>,
    /// The schemas of what is sent.
    pub(super) sent: SchemaGenerator,
    /// The schemas of what is answered.
    pub(super) answered: SchemaGenerator,
    pub(super) failures: Failures,
}

impl Draft {
    fn new() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
                settings.transforms.push(Box::new(RecursiveTransform(one_of_words)));
            })
        };
        Self {
            paths: Map::new(),
            tags: Vec::new(),
            sent: settings().for_deserialize().into_generator(),
            answered: settings().for_serialize().into_generator(),
            failures: Failures::default(),
        }
    }

    /// Adds calls that are mounted at `base`.
    fn add(&mut self, base: &str, calls: &Calls) {
        if !self.tags.iter().any(|tag| tag["name"] == calls.tag) {
            self.tags.push(json!({ "name": calls.tag, "description": calls.about }));
        }
        for (call, route) in
            calls.calls.iter().flat_map(|call| call.routes.iter().map(move |route| (call, route)))
        {
            let path = template(&format!("{base}{}", route.uri.path()));
            let told = operation(self, call, route, &path, calls.tag);
            let method = route.method.as_str().to_ascii_lowercase();
            self.paths.entry(path).or_insert_with(|| json!({}))[method] = told;
        }
    }

    fn finish(mut self, basis: &Basis) -> Value {
        subschema::<Details<'_>>(&mut self.answered);
        let mut schemas = self.sent.take_definitions(true);
        schemas.extend(self.answered.take_definitions(true));
        if let Some(problem) = schemas.get_mut("Problem") {
            self.failures.complete(problem);
        }
        if let Some(password) = schemas.get_mut("NewPassword") {
            password["minLength"] = json!(basis.min_length);
        }
        json!({
            "openapi": "3.1.1",
            "info": info(),
            "servers": [{ "url": basis.server }],
            "tags": self.tags,
            "paths": self.paths,
            "components": {
                "schemas": schemas,
                "responses": self.failures.components(),
                "headers": headers(),
                "securitySchemes": schemes(&basis.cookies),
            },
        })
    }
}

/// Words to choose from are a plain `enum`: what each means is told where it matters.
fn one_of_words(schema: &mut Schema) {
    let either = schema.get("oneOf").and_then(Value::as_array);
    let words = either.map(|all| all.iter().map(|one| one.get("const").cloned()).collect());
    if let Some(Some(words)) = words {
        let words: Vec<Value> = words;
        schema.remove("oneOf");
        schema.insert("type".to_owned(), json!("string"));
        schema.insert("enum".to_owned(), words.into());
    }
}

/// The reference of the interface.
pub struct Document {
    json: Value,
    text: Arc<[u8]>,
    tag: String,
}

impl Document {
    /// The reference of these calls, each group with the path it is mounted at.
    pub fn new<'c>(basis: &Basis, groups: impl IntoIterator<Item = (&'c str, Vec<Calls>)>) -> Self {
        let mut draft = Draft::new();
        for (base, all) in groups {
            all.iter().for_each(|calls| draft.add(base, calls));
        }
        let json = draft.finish(basis);
        let text: Arc<[u8]> = json.to_string().into_bytes().into();
        let tag = kept::tag(&text);
        Self { json, text, tag }
    }

    /// The document itself.
    pub fn json(&self) -> &Value {
        &self.json
    }

    /// The document in one line.
    pub fn text(&self) -> &Arc<[u8]> {
        &self.text
    }

    /// Its entity tag, in quotation marks (RFC 9110 §8.8.3).
    pub fn tag(&self) -> &str {
        &self.tag
    }
}

/// The reference that a server shows, if it shows one: Rocket state. It is made when somebody asks.
pub struct Reference(Option<LazyLock<Document, Box<dyn FnOnce() -> Document + Send>>>);

impl Reference {
    /// The reference that `make` makes, if it is shown.
    pub fn new(make: Option<impl FnOnce() -> Document + Send + 'static>) -> Self {
        Self(make.map(|make| LazyLock::new(Box::new(make) as Box<_>)))
    }

    /// Whether it is shown.
    pub fn is_shown(&self) -> bool {
        self.0.is_some()
    }

    /// The document, if it is shown.
    pub fn get(&self) -> Option<&Document> {
        self.0.as_deref()
    }
}

fn info() -> Value {
    json!({
        "title": "Doorward",
        "version": env!("CARGO_PKG_VERSION"),
        "summary": "Accounts, sessions and roles.",
        "description": ABOUT.trim(),
        "license": { "name": "MIT or Apache-2.0", "identifier": env!("CARGO_PKG_LICENSE") },
    })
}

/// How whoever asks proves who they are.
fn schemes(cookies: &CookiePolicy) -> Value {
    let cookie = |name: &str, about: &str| json!({ "type": "apiKey", "in": "cookie", "name": name, "description": about });
    let access = "The access token, for browsers. What changes something must also come from a \
                  page of this site.";
    json!({
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The access token (RFC 6750), for programs.",
        },
        "cookie": cookie(cookies.name(Cookie::Access), access),
        "refresh_cookie": cookie(
            cookies.name(Cookie::Refresh),
            "The refresh token. It travels nowhere else.",
        ),
    })
}
