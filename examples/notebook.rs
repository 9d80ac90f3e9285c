//! A shared notebook: readers read, editors write, moderators take notes away.
//!
//!     cargo run --example notebook
//!
//! Doorward brings the people: registration, sign-in, sessions, and the dashboard at `/admin`, where an
//! administrator gives the roles out. Who may do what stands in the signatures below.

use std::sync::{Mutex, PoisonError};

use doorward::{Allowed, Doorward, Form, FormToken, Fresh, InRole, Visitor};
use rocket::http::Status;
use rocket::response::{Redirect, content::RawHtml};
use rocket::serde::json::{Json, Value, json};
use rocket::serde::{Deserialize, Serialize};
use rocket::{Build, Rocket, State, get, launch, post, routes};
use tera::{Context, Tera};

doorward::permissions! {
    ReadNotes = "notes:read",
    WriteNotes = "notes:write",
    RemoveNotes = "notes:remove",
}

doorward::roles! { Moderator = "moderator" }

/// What somebody wrote.
#[derive(Clone, Serialize)]
#[serde(crate = "rocket::serde")]
struct Note {
    id: usize,
    author: String,
    text: String,
}

#[derive(Default)]
struct Notebook(Mutex<Vec<Note>>);

impl Notebook {
    fn change<T>(&self, work: impl FnOnce(&mut Vec<Note>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// For everybody, signed in or not.
#[get("/")]
fn front(visitor: Visitor) -> Html {
    page(FRONT, json!({ "name": visitor.0.map(|live| live.account.name().to_owned()) }))
}

/// For those who may read. The forms on it carry the token that proves where they come from.
#[get("/notes")]
fn notes(reader: Allowed<ReadNotes>, book: &State<Notebook>, token: FormToken) -> Html {
    page(
        NOTES,
        json!({
            "notes": book.change(|notes| notes.clone()),
            "may_write": reader.account.may("notes:write"),
            "may_remove": reader.account.may("notes:remove"),
            "token": token.field(),
        }),
    )
}

/// The same for programs.
#[get("/notes.json")]
fn notes_as_json(_reader: Allowed<ReadNotes>, book: &State<Notebook>) -> Json<Vec<Note>> {
    Json(book.change(|notes| notes.clone()))
}

#[derive(Deserialize)]
#[serde(crate = "rocket::serde", deny_unknown_fields)]
struct Draft {
    text: String,
}

/// For those who may write, from a form of this site alone.
#[post("/notes", data = "<draft>")]
fn write(author: Allowed<WriteNotes>, draft: Form<Draft>, book: &State<Notebook>) -> Redirect {
    let author = author.account.name().to_owned();
    book.change(|notes| {
        let id = notes.last().map_or(1, |last| last.id + 1);
        notes.push(Note { id, author, text: draft.0.text });
    });
    Redirect::to("/notes")
}

#[derive(Deserialize)]
#[serde(crate = "rocket::serde")]
struct Nothing {}

/// For moderators.
#[post("/notes/<id>/remove", data = "<_form>")]
fn remove(
    _moderator: Allowed<RemoveNotes>,
    id: usize,
    _form: Form<Nothing>,
    book: &State<Notebook>,
) -> Redirect {
    book.change(|notes| notes.retain(|note| note.id != id));
    Redirect::to("/notes")
}

/// For moderators who have given their password within the last minutes.
#[post("/notes/clear", data = "<_form>")]
fn clear(
    _moderator: Fresh<InRole<Moderator>>,
    _form: Form<Nothing>,
    book: &State<Notebook>,
) -> Redirect {
    book.change(Vec::clear);
    Redirect::to("/notes")
}

/// The application, with the Doorward that it is given: a test brings one with stores of its own.
pub fn notebook(doorward: Doorward) -> Rocket<Build> {
    let doorward = doorward
        .permission("notes:read", "Read the notebook")
        .permission("notes:write", "Write into the notebook")
        .permission("notes:remove", "Take notes away")
        .role("reader", "Reads the notebook", &["notes:read"])
        .role("editor", "Writes the notebook", &["notes:read", "notes:write"])
        .role("moderator", "Keeps order", &["notes:read", "notes:write", "notes:remove"]);
    rocket::build()
        .attach(doorward)
        .manage(Notebook::default())
        .mount("/", routes![front, notes, notes_as_json, write, remove, clear])
}

#[launch]
fn rocket() -> _ {
    notebook(Doorward::new())
}

type Html = Result<RawHtml<String>, Status>;
const FRONT: &str = r#"<!doctype html><html lang="en"><title>Notebook</title><h1>Notebook</h1>
{% if name %}<p>Hello, {{ name }}. <a href="/notes">The notes</a>{% else %}<p><a href="/login?next=/notes">Sign in</a>{% endif %}"#;

const NOTES: &str = r#"<!doctype html><html lang="en"><title>Notes</title><h1>Notes</h1>
{% for note in notes %}<form method="post" action="/notes/{{ note.id }}/remove">
<p>{{ note.author }}: {{ note.text }} {% if may_remove %}{{ token | safe }}<button>Remove</button>{% endif %}
</form>{% endfor %}{% if may_write %}<form method="post" action="/notes">{{ token | safe }}
<label>Note <input name="text"></label> <button>Write</button></form>{% endif %}"#;

/// A page, in which what people wrote is escaped.
fn page(template: &str, values: Value) -> Html {
    let context = Context::from_serialize(&values).map_err(|_| Status::InternalServerError)?;
    let html = Tera::one_off(template, &context, true).map_err(|_| Status::InternalServerError)?;
    Ok(RawHtml(html))
}
