//! The view engine: compiled-in templates, which an operator can replace one by one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use include_dir::{Dir, include_dir};
use serde::Serialize;
use tera::{Context, Kwargs, State, Tera, TeraResult, Value};

use super::asset::Assets;
use super::part::{Moment, initials};
use crate::error::{Error, Result};
use crate::reloadable::Reloadable;

static TEMPLATES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/templates");

/// Where the templates lie on the machine that built this; a debug build reads them from there.
const SOURCE: Option<&str> = if cfg!(debug_assertions) {
    Some(concat!(env!("CARGO_MANIFEST_DIR"), "/templates"))
} else {
    None
};

/// The end of every template's name. Text is escaped in templates that end so, and there are no others (SR-46).
const SUFFIX: &str = ".html.tera";

/// A page: all that its template may print, besides the [`Chrome`].
pub trait Page: Serialize {
    /// The template's name, relative to the folder of templates.
    const TEMPLATE: &'static str;

    /// Whether its forms are for people who are not signed in (SR-25), so that it looks the same to
    /// everybody.
    const FOR_VISITORS: bool = false;

    /// Whether its forms change what only somebody may change who gave their password a short while
    /// ago (SR-52).
    const IS_DANGEROUS: bool = false;

    /// What the window's title says.
    fn title(&self) -> String;

    /// The other origin to which its form leads in the end, if it does.
    fn form_target(&self) -> Option<String> {
        None
    }
}

/// What the layout prints around every page.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Chrome {
    /// The nonce of this response's Content-Security-Policy (SR-43).
    pub nonce: String,
    /// The form token (SR-41); a page with a form of its own cannot be rendered without it.
    pub csrf_token: Option<String>,
    /// Who is signed in.
    pub viewer: Option<Viewer>,
    /// What the last action did.
    pub notice: Option<Notice>,
    /// Where the viewer confirms that it is them, if they have to before they use the page's forms.
    pub confirm_href: Option<String>,
    /// What happened to the viewer's account that they have not put away (SR-81).
    pub alerts: Vec<Alert>,
    /// The path of the request, to mark the place in the navigation.
    pub path: String,
}

/// The person who is signed in, as the header shows them.
#[derive(Clone, Debug, Serialize)]
pub struct Viewer {
    /// What they call themselves; may be empty.
    pub display_name: String,
    /// Their e-mail address.
    pub email: String,
    /// One or two letters for them.
    pub initials: String,
    /// Whether the header leads to the dashboard.
    pub can_admin: bool,
    /// The rooms of the dashboard that they may enter.
    pub admin_links: Vec<AdminLink>,
}

/// A room of the dashboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct AdminLink {
    /// Its path.
    pub href: &'static str,
    /// Its name.
    pub label: &'static str,
    /// The permission that opens it.
    #[serde(skip)]
    pub permission: &'static str,
}

/// The rooms of the dashboard, in the order of the navigation.
pub const ADMIN_LINKS: [AdminLink; 8] = [
    AdminLink { href: "/admin", label: "Overview", permission: "admin:view" },
    AdminLink { href: "/admin/users", label: "People", permission: "users:read" },
    AdminLink { href: "/admin/roles", label: "Roles", permission: "roles:read" },
    AdminLink { href: "/admin/sessions", label: "Sessions", permission: "sessions:read" },
    AdminLink { href: "/admin/tokens", label: "Denied tokens", permission: "tokens:revoke" },
    AdminLink { href: "/admin/audit", label: "Audit log", permission: "audit:read" },
    AdminLink { href: "/admin/keys", label: "Keys", permission: "keys:read" },
    AdminLink { href: "/admin/settings", label: "Settings", permission: "settings:read" },
];

impl Viewer {
    /// The viewer with this name and address; `holds` says which permissions they hold.
    pub fn new(display_name: &str, email: &str, holds: impl Fn(&str) -> bool) -> Self {
        let admin_links: Vec<_> =
            ADMIN_LINKS.into_iter().filter(|link| holds(link.permission)).collect();
        Self {
            display_name: display_name.to_owned(),
            email: email.to_owned(),
            initials: initials(display_name, email),
            can_admin: holds("admin:view"),
            admin_links,
        }
    }
}

/// Something that happened to the viewer's account, at the top of every page until it is put away.
#[derive(Clone, Debug, Serialize)]
pub struct Alert {
    /// What happened.
    pub text: String,
    /// When.
    pub at: Moment,
    /// From which address, if it came over the network.
    pub ip: Option<String>,
    /// The moment in milliseconds, to put away what was shown and nothing later.
    pub millis: i64,
}

/// A sentence about what was just done, at the top of the page.
#[derive(Clone, Debug, Serialize)]
pub struct Notice {
    /// How it is meant.
    pub kind: NoticeKind,
    /// What it says.
    pub text: String,
}

/// How a notice is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NoticeKind {
    /// It worked.
    Success,
    /// Something to know.
    Info,
    /// Something to take care about.
    Warning,
}

/// Renders pages.
///
/// A file of the operator's directory replaces the built-in template of the same relative name; a file
/// with a new name is a part that those files can include.
pub struct Views {
    reload: bool,
    loaded: Reloadable<Loaded>,
}

/// The templates as they were read, and when the files were last changed at that time.
struct Loaded {
    overrides: Option<PathBuf>,
    tera: Tera,
    stamps: Stamps,
}

type Stamps = BTreeMap<PathBuf, Option<SystemTime>>;

impl Views {
    /// Reads and checks all templates; with `reload` they are read again whenever a file has changed.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`] if the directory cannot be read, or a template has a mistake: the cause names
    /// the file and the line.
    pub fn new(overrides: Option<PathBuf>, reload: bool) -> Result<Self> {
        Ok(Self { reload, loaded: Reloadable::new(load(overrides, reload)?) })
    }

    /// Renders from now on what `fresh` does.
    pub fn replace(&self, fresh: Self) {
        self.loaded.share(fresh.loaded.get());
    }

    /// The HTML of a page.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`] if the template prints something that neither `page` nor `chrome` has.
    pub fn render<P: Page>(&self, page: &P, chrome: &Chrome) -> Result<String> {
        let mut context = Context::from_serialize(page).map_err(Error::internal)?;
        context.insert("chrome", &TitledChrome { chrome, title: page.title() });
        self.current()?.tera.render(P::TEMPLATE, &context).map_err(Error::internal)
    }

    fn current(&self) -> Result<Arc<Loaded>> {
        let loaded = self.loaded.get();
        if !self.reload || loaded.stamps == stamps(loaded.overrides.as_deref())? {
            return Ok(loaded);
        }
        let fresh = Arc::new(load(loaded.overrides.clone(), true)?);
        self.loaded.share(Arc::clone(&fresh));
        Ok(fresh)
    }
}

#[derive(Serialize)]
struct TitledChrome<'a> {
    #[serde(flatten)]
    chrome: &'a Chrome,
    title: String,
}

fn load(overrides: Option<PathBuf>, reload: bool) -> Result<Loaded> {
    // Taken before the files are read: a change in between is then seen at the next page.
    let stamps = if reload { stamps(overrides.as_deref())? } else { Stamps::new() };
    let mut sources = BTreeMap::new();
    match SOURCE.map(Path::new).filter(|folder| reload && folder.is_dir()) {
        Some(folder) => read_folder(folder, &mut sources)?,
        None => compiled_in(&TEMPLATES, &mut sources)?,
    }
    if let Some(folder) = &overrides {
        read_folder(folder, &mut sources)?;
    }
    let mut tera = Tera::new();
    tera.autoescape_on([SUFFIX]);
    tera.register_function("asset", asset);
    tera.register_filter("urlencode", urlencode);
    // Nothing is trusted to be HTML already, not even by a template of the operator (SR-46).
    tera.register_filter("safe", refuse_safe);
    tera.add_raw_templates(sources).map_err(Error::internal)?;
    Ok(Loaded { overrides, tera, stamps })
}

/// `{{ asset(name="app.css") }}`: the address of a static file.
fn asset(arguments: Kwargs, _: &State) -> TeraResult<String> {
    let name: &str = arguments.must_get("name")?;
    Assets::url(name).ok_or_else(|| tera::Error::message(format!("there is no asset `{name}`")))
}

/// Makes a text fit for a value in a query.
fn urlencode(text: &str, _: Kwargs, _: &State) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn refuse_safe(_: Value, _: Kwargs, _: &State) -> TeraResult<Value> {
    Err(tera::Error::message("the filter `safe` would switch escaping off; write the HTML itself"))
}

fn compiled_in(folder: &Dir<'_>, sources: &mut BTreeMap<String, String>) -> Result<()> {
    for file in folder.files() {
        let name = name_of(file.path());
        if name.ends_with(SUFFIX) {
            let text = std::str::from_utf8(file.contents()).map_err(Error::internal)?;
            sources.insert(name, text.to_owned());
        }
    }
    folder.dirs().try_for_each(|inner| compiled_in(inner, sources))
}

fn read_folder(folder: &Path, sources: &mut BTreeMap<String, String>) -> Result<()> {
    for path in files(folder)? {
        let text = std::fs::read_to_string(&path)
            .map_err(|cause| Error::internal(format!("{}: {cause}", path.display())))?;
        sources.insert(name_of(path.strip_prefix(folder).unwrap_or(&path)), text);
    }
    Ok(())
}

/// The name of a template: its path with `/` on every system.
fn name_of(path: &Path) -> String {
    path.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/")
}

fn stamps(overrides: Option<&Path>) -> Result<Stamps> {
    let mut stamps = Stamps::new();
    let source = SOURCE.map(Path::new).filter(|folder| folder.is_dir());
    for folder in source.into_iter().chain(overrides) {
        for path in files(folder)? {
            let changed_at = path.metadata().and_then(|meta| meta.modified()).ok();
            stamps.insert(path, changed_at);
        }
    }
    Ok(stamps)
}

/// All templates below a folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = |cause| Error::internal(format!("templates in {}: {cause}", folder.display()));
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if path.to_string_lossy().ends_with(SUFFIX) {
            found.push(path);
        }
    }
    Ok(found)
}

/// The templates as the binary carries them.
#[cfg(test)]
pub(super) fn compiled_in_for_tests(sources: &mut BTreeMap<String, String>) {
    compiled_in(&TEMPLATES, sources).expect("the built-in templates are UTF-8");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::login::LoginPage;
    use crate::page::session::SessionsPage;

    fn chrome() -> Chrome {
        Chrome { csrf_token: Some("token".into()), ..Chrome::default() }
    }

    #[test]
    fn a_file_of_the_operator_replaces_the_one_of_the_same_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let part = folder.path().join("part");
        std::fs::create_dir(&part).expect("a folder");
        let brand = "{% component brand() %}<a href=\"/\">Acme & Sons</a>{% endcomponent brand %}";
        std::fs::write(part.join("brand.html.tera"), brand).expect("written");
        std::fs::write(folder.path().join("notes.txt"), "{{ not a template").expect("written");
        let views = Views::new(Some(folder.path().to_owned()), false).expect("no mistake");
        let html = views.render(&LoginPage::default(), &chrome()).expect("rendered");
        assert!(html.contains("Acme & Sons") && !html.contains("<span>Doorward</span>"));
    }

    #[test]
    fn a_changed_file_is_read_again_when_asked_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("session.html.tera");
        let write = |text: &str, changed_at: SystemTime| {
            std::fs::write(&file, text).expect("written");
            let opened = std::fs::File::options().append(true).open(&file).expect("opened");
            opened.set_modified(changed_at).expect("stamped");
        };
        write("one", SystemTime::UNIX_EPOCH);
        let still = Views::new(Some(folder.path().to_owned()), false).expect("no mistake");
        let live = Views::new(Some(folder.path().to_owned()), true).expect("no mistake");
        write("two", SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(60));
        let html = |views: &Views| views.render(&SessionsPage::default(), &chrome()).ok();
        assert_eq!(html(&still).as_deref(), Some("one"));
        assert_eq!(html(&live).as_deref(), Some("two"));
    }

    #[test]
    fn what_a_page_does_not_have_cannot_be_printed() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("session.html.tera");
        for mistake in ["{{ password }}", "{{ chrome.secret }}", "{{ chrome.title | safe }}"] {
            std::fs::write(&file, mistake).expect("written");
            let views = Views::new(Some(folder.path().to_owned()), false).expect("it parses");
            assert!(
                matches!(
                    views.render(&SessionsPage::default(), &chrome()),
                    Err(Error::Internal(_))
                ),
                "{mistake}"
            );
        }
        std::fs::write(&file, "{% if %}").expect("written");
        assert!(Views::new(Some(folder.path().to_owned()), false).is_err());
    }

    #[test]
    fn a_form_is_never_printed_without_its_token() {
        let views = Views::new(None, false).expect("no mistake");
        assert!(views.render(&LoginPage::default(), &Chrome::default()).is_err());
    }

    #[test]
    fn the_navigation_shows_what_the_viewer_may_enter() {
        let viewer = Viewer::new("Ada", "ada@example.org", |name| name == "users:read");
        assert!(!viewer.can_admin);
        assert_eq!(viewer.admin_links, [ADMIN_LINKS[1]]);
    }
}
