//! The reference of the JSON interface as a page, made from the OpenAPI document.

mod read;
mod schema;
pub(super) mod text;

use std::sync::{Arc, OnceLock};

use rocket::{Route, State, get, routes};
use serde::Serialize;

use super::error::Refusal;
use super::nothing;
use super::show::Shown;
use super::view::Page;
use crate::guard::Visitor;
use crate::openapi::Reference;
use schema::{Field, Link};
use text::{Chapter, Paragraph};

/// Shows every call of the interface (`GET /api/docs`).
#[derive(Debug, Default, Serialize)]
pub struct DocsPage {
    /// The release.
    pub version: String,
    /// What the interface has in common.
    pub chapters: Vec<Chapter>,
    /// The calls, by what they are about.
    pub groups: Vec<Group>,
    /// What is sent and answered.
    pub objects: Vec<Object>,
    /// What can go wrong.
    pub problems: Vec<ProblemRow>,
}

impl Page for Arc<DocsPage> {
    const TEMPLATE: &'static str = "docs.html.tera";

    fn title(&self) -> String {
        "API reference".into()
    }
}

/// Calls about one thing.
#[derive(Debug, Serialize)]
pub struct Group {
    /// Its place on the page.
    pub anchor: String,
    /// What they are about.
    pub name: String,
    /// The same in a sentence.
    pub about: Paragraph,
    /// The calls.
    pub calls: Vec<CallRow>,
}

/// One call; one that takes several methods alike is one.
#[derive(Debug, Default, Serialize)]
pub struct CallRow {
    /// Its place on the page: what clients that are made from the document call it.
    pub anchor: String,
    /// The methods.
    pub methods: Vec<String>,
    /// The path.
    pub path: String,
    /// What it does, in a few words.
    pub summary: String,
    /// What it does.
    pub about: Vec<Paragraph>,
    /// Who may ask.
    pub asker: String,
    /// The permission that they need.
    pub permission: Option<String>,
    /// Whether they must have given their password a short while ago.
    pub is_fresh: bool,
    /// What stands in the path and in the query.
    pub parameters: Vec<Field>,
    /// What the body holds.
    pub body: Vec<Field>,
    /// What is answered when all is well.
    pub answers: Vec<AnswerRow>,
    /// What is answered when it is not.
    pub refusals: Vec<RefusalRow>,
    /// How to ask from a shell.
    pub curl: String,
}

/// What is answered when all is well.
#[derive(Debug, Serialize)]
pub struct AnswerRow {
    /// The status.
    pub status: String,
    /// When it comes.
    pub about: Paragraph,
    /// The media types of the body.
    pub kinds: Vec<String>,
    /// What the body is, if it has a name.
    pub link: Option<Link>,
    /// What it can look like.
    pub example: Option<String>,
}

/// What is answered when something is wrong.
#[derive(Debug, Serialize)]
pub struct RefusalRow {
    /// The status.
    pub status: String,
    /// The codes of the problems that it can be.
    pub codes: Vec<String>,
}

/// Something that is sent or answered.
#[derive(Debug, Serialize)]
pub struct Object {
    /// What it is.
    pub link: Link,
    /// The same in a sentence.
    pub about: Paragraph,
    /// What it holds.
    pub fields: Vec<Field>,
}

/// A problem.
#[derive(Debug, Serialize)]
pub struct ProblemRow {
    /// Its code.
    pub code: String,
    /// The statuses that it comes with.
    pub statuses: Vec<String>,
    /// What people are told, for example.
    pub detail: String,
}

/// The page, once somebody has asked for it: Rocket state.
#[derive(Default)]
pub struct Docs(OnceLock<Arc<DocsPage>>);

pub(super) fn routes() -> Vec<Route> {
    routes![show]
}

/// The reference. It is the same for everybody; who is signed in keeps the way back.
#[get("/api/docs")]
fn show(
    _visitor: Visitor,
    reference: &State<Reference>,
    docs: &State<Docs>,
) -> Result<Shown<Arc<DocsPage>>, Refusal> {
    let document = reference.get().ok_or_else(nothing)?;
    let page = docs.0.get_or_init(|| Arc::new(DocsPage::read(document.json())));
    Ok(Shown::good(Arc::clone(page)))
}
