//! Schemas in words, and an example of each.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::text::{Paragraph, anchor, paragraph};

/// Where the document keeps what has a name.
const SCHEMAS: &str = "#/components/schemas/";

/// How far examples go into each other.
const DEEPEST: u32 = 8;

/// The way to an object on the page.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// Its place on the page.
    pub anchor: String,
}

impl Link {
    /// The way to the object of this name.
    pub fn to(name: &str) -> Self {
        Self { name: name.to_owned(), anchor: format!("object-{}", anchor(name)) }
    }

    fn of(reference: &str) -> Option<Self> {
        reference.strip_prefix(SCHEMAS).map(Self::to)
    }
}

/// A field of an object, or a parameter.
#[derive(Debug, Default, Serialize)]
pub struct Field {
    /// What it is called.
    pub name: String,
    /// Where it stands, if it is a parameter: `path` or `query`.
    pub place: Option<String>,
    /// Whether it must be there.
    pub required: bool,
    /// What it holds, in words.
    pub kind: String,
    /// The object that it holds, or holds several of.
    pub link: Option<Link>,
    /// The words that it can be.
    pub words: Vec<String>,
    /// What it is for.
    pub about: Paragraph,
}

/// What the document says, where it refers to itself.
pub struct Schemas<'d>(pub &'d Value);

impl<'d> Schemas<'d> {
    /// What `schema` says, itself or where it points to.
    pub fn resolve<'s>(&self, schema: &'s Value) -> &'s Value
    where
        'd: 's,
    {
        let place = schema["$ref"].as_str().and_then(|place| place.strip_prefix('#'));
        place.and_then(|place| self.0.pointer(place)).unwrap_or(schema)
    }

    /// The fields of an object.
    pub fn fields(&self, schema: &Value) -> Vec<Field> {
        let object = self.resolve(schema);
        // Of what is answered, next to everything is always there.
        let is_sent = object["additionalProperties"] == false;
        let required = object["required"].as_array().filter(|_| is_sent);
        let is_required =
            |name: &str| required.is_some_and(|all| all.iter().any(|one| one == name));
        let fields = object["properties"].as_object().into_iter().flatten();
        let field = |(name, schema): (&String, &Value)| Field {
            name: name.clone(),
            required: is_required(name),
            ..self.field(schema)
        };
        fields.map(field).collect()
    }

    /// What a schema says of a field.
    pub fn field(&self, schema: &Value) -> Field {
        let (one, nullable) = present(schema);
        let (inner, many) = match one.get("items") {
            Some(items) => (items, true),
            None => (one, false),
        };
        let link = inner["$ref"].as_str().and_then(Link::of);
        let target = self.resolve(inner);
        // A text with a name is told like any other.
        let link = link.filter(|_| target["properties"].is_object());
        let words = match &target["enum"] {
            Value::Array(words) => {
                words.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            }
            _ => Vec::new(),
        };
        let mut kind = if link.is_some() { String::new() } else { kind(target) };
        if many {
            kind = format!("list of {kind}");
        }
        if nullable {
            kind = format!("{} or null", kind.trim_end()).trim_start().to_owned();
        }
        let said = [schema, one, target].into_iter().find_map(|one| one["description"].as_str());
        let about = paragraph(said.unwrap_or_default());
        Field { kind, link, words, about, ..Field::default() }
    }

    /// What a value can look like.
    pub fn example(&self, schema: &Value) -> Value {
        self.example_within(schema, DEEPEST)
    }

    fn example_within(&self, schema: &Value, depth: u32) -> Value {
        let (one, _) = present(schema);
        let schema = self.resolve(one);
        let given = schema["examples"].get(0).or_else(|| schema.get("const"));
        let given = given.or_else(|| schema["enum"].get(0));
        let default = schema.get("default").filter(|default| !default.is_array());
        if let Some(given) = given.or(default) {
            return given.clone();
        }
        let kind = match &schema["type"] {
            Value::Array(kinds) => kinds.first().and_then(Value::as_str),
            kind => kind.as_str(),
        };
        match kind {
            _ if depth == 0 => Value::Null,
            Some("array") => json!([self.example_within(&schema["items"], depth - 1)]),
            Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or(json!(1)),
            Some("boolean") => json!(false),
            Some("string") => json!("…"),
            _ => {
                let fields = schema["properties"].as_object().into_iter().flatten();
                let made = fields
                    .map(|(name, field)| (name.clone(), self.example_within(field, depth - 1)));
                Value::Object(made.collect::<Map<_, _>>())
            }
        }
    }
}

/// The schema of what is not null, and whether there can be null instead.
fn present(schema: &Value) -> (&Value, bool) {
    if let Some(either) = schema["anyOf"].as_array() {
        let null = json!({ "type": "null" });
        if either.contains(&null)
            && let Some(one) = either.iter().find(|one| **one != null)
        {
            return (one, true);
        }
    }
    let kinds = schema["type"].as_array();
    (schema, kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind == "null")))
}

/// What a value is, in a few words.
fn kind(schema: &Value) -> String {
    let kinds = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        Value::String(kind) => vec![kind.as_str()],
        _ => vec!["value"],
    };
    let kind = kinds.into_iter().find(|kind| *kind != "null").unwrap_or("null");
    let number = |name: &str| schema[name].as_u64();
    let mut text = match schema["format"].as_str() {
        Some("date-time") => "time".to_owned(),
        Some("idn-email") => "e-mail address".to_owned(),
        Some("password") => "password".to_owned(),
        _ if schema["enum"].is_array() => "one of".to_owned(),
        _ => kind.to_owned(),
    };
    let unit = if kind == "string" { " characters" } else { "" };
    let (least, most) = match kind {
        "string" => (number("minLength"), number("maxLength")),
        _ => (number("minimum").filter(|least| *least > 0), number("maximum")),
    };
    match (least, most) {
        (Some(least), Some(most)) => text.push_str(&format!(", {least} to {most}{unit}")),
        (Some(least), None) => text.push_str(&format!(", at least {least}{unit}")),
        // What a machine's numbers can hold says nothing to people.
        (None, Some(most)) if most < 65_535 => text.push_str(&format!(", at most {most}{unit}")),
        _ => {}
    }
    text
}
