//! The style sheet, the script and the picture, compiled in and served under names that change with
//! their content, so that a browser may keep each of them for ever (SR-44).

use std::borrow::Cow;
use std::io::Cursor;
use std::sync::LazyLock;

use rocket::http::{Header, Status};
use rocket::request::Request;
use rocket::response::{self, Responder, Response};
use rocket::{Route, get, routes};

use super::error::Refusal;
use super::nothing;
use crate::id;

/// How many characters of the digest stand in a name: 72 bits, enough never to meet by accident.
const FINGERPRINT_LENGTH: usize = 12;

/// One static file as it is served.
#[derive(Clone, Debug)]
pub struct Asset {
    /// Its content.
    pub bytes: Cow<'static, [u8]>,
    /// Its media type, for `Content-Type`.
    pub content_type: &'static str,
    /// Where it is served, with the fingerprint of its content.
    url: String,
}

/// A file as the binary carries it.
struct Source {
    name: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

const SOURCES: [Source; 4] = [
    Source {
        name: "app.css",
        content_type: "text/css; charset=utf-8",
        bytes: include_bytes!("../../static/app.css"),
    },
    Source {
        name: "app.js",
        content_type: "text/javascript; charset=utf-8",
        bytes: include_bytes!("../../static/app.js"),
    },
    Source {
        name: "list.js",
        content_type: "text/javascript; charset=utf-8",
        bytes: include_bytes!("../../static/list.js"),
    },
    Source {
        name: "favicon.svg",
        content_type: "image/svg+xml; charset=utf-8",
        bytes: include_bytes!("../../static/favicon.svg"),
    },
];

static COMPILED_IN: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    SOURCES.iter().map(|source| Asset::new(source, Cow::Borrowed(source.bytes))).collect()
});

impl Asset {
    fn new(source: &Source, bytes: Cow<'static, [u8]>) -> Self {
        let digest = id::sha256(&bytes);
        let fingerprint = digest.get(..FINGERPRINT_LENGTH).unwrap_or(&digest);
        let (stem, suffix) = source.name.rsplit_once('.').unwrap_or((source.name, ""));
        let url = format!("/static/{stem}.{fingerprint}.{suffix}");
        Self { bytes, content_type: source.content_type, url }
    }
}

/// All static files.
#[derive(Clone, Copy, Debug)]
pub struct Assets;

impl Assets {
    /// The address of the file `name` (`app.css`), as a page links to it; `None` if there is no such file.
    pub fn url(name: &str) -> Option<String> {
        let position = SOURCES.iter().position(|source| source.name == name)?;
        Self::all().get(position).map(|asset| asset.url.clone())
    }

    /// The file that is served at `path` (`/static/app.<fingerprint>.css`).
    ///
    /// A name with the fingerprint of another content is not found: what may be kept for ever must
    /// never be something else.
    pub fn find(path: &str) -> Option<Asset> {
        Self::all().iter().find(|asset| asset.url == path).cloned()
    }

    /// In a debug build the files are read again, so that a change shows at the next reload.
    fn all() -> Cow<'static, [Asset]> {
        #[cfg(debug_assertions)]
        {
            let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/static"));
            let read = |source: &Source| {
                let bytes = std::fs::read(folder.join(source.name));
                Asset::new(source, bytes.map_or(Cow::Borrowed(source.bytes), Cow::Owned))
            };
            if folder.is_dir() {
                return SOURCES.iter().map(read).collect();
            }
        }
        Cow::Borrowed(COMPILED_IN.as_slice())
    }
}

pub(super) fn routes() -> Vec<Route> {
    routes![file]
}

/// A static file under its fingerprinted name.
#[get("/static/<name>")]
fn file(name: &str) -> Result<Asset, Refusal> {
    Assets::find(&format!("/static/{name}")).ok_or_else(nothing)
}

impl<'r> Responder<'r, 'static> for Asset {
    fn respond_to(self, _: &'r Request<'_>) -> response::Result<'static> {
        Response::build()
            .status(Status::Ok)
            .header(Header::new("Content-Type", self.content_type))
            .header(Header::new("Cache-Control", "public, max-age=31536000, immutable"))
            .sized_body(self.bytes.len(), Cursor::new(self.bytes))
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_found_under_its_fingerprinted_name_alone() {
        for source in &SOURCES {
            let url = Assets::url(source.name).expect("a known name");
            let asset = Assets::find(&url).expect("a known address");
            assert_eq!(asset.content_type, source.content_type);
            assert!(!asset.bytes.is_empty());
            assert!(Assets::find(&format!("/static/{}", source.name)).is_none());
        }
        assert!(Assets::url("app.js.map").is_none());
        assert!(Assets::find("/static/../Cargo.toml").is_none());
    }

    #[test]
    fn a_name_changes_with_the_content() {
        let source = &SOURCES[0];
        let one = Asset::new(source, Cow::Borrowed(b"one"));
        let two = Asset::new(source, Cow::Borrowed(b"two"));
        assert_ne!(one.url, two.url);
        assert!(one.url.starts_with("/static/app.") && one.url.ends_with(".css"));
    }
}
