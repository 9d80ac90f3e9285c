//! What browsers and search engines ask any site for, by addresses of their own: the server's own site,
//! not that of an application which attaches Doorward.

use rocket::http::Header;
use rocket::response::{self, Responder, Response};
use rocket::{Request, Route, get, routes};

use crate::guard::{gate, route};

/// How long browsers may keep these files: their addresses never change.
const KEPT: &str = "public, max-age=86400";

static ICON: &[u8] = include_bytes!("../../static/favicon.ico");
static TOUCH_ICON: &[u8] = include_bytes!("../../static/apple-touch-icon.png");
/// A sign-in page is nothing to find: who needs it comes from an app or knows its address.
const ROBOTS: &[u8] = b"User-agent: *\nDisallow: /\n";

/// The routes of a site that is Doorward's alone.
pub fn routes() -> Vec<Route> {
    let routes = routes![icon, touch_icon, older_touch_icon, robots];
    gate::guarded(route::marked(routes, false))
}

/// A file of these, with its media type.
struct Lasting(&'static str, &'static [u8]);

impl<'r> Responder<'r, 'static> for Lasting {
    fn respond_to(self, _: &'r Request<'_>) -> response::Result<'static> {
        let Self(content_type, bytes) = self;
        Response::build()
            .header(Header::new("Content-Type", content_type))
            .header(Header::new("Cache-Control", KEPT))
            .sized_body(bytes.len(), std::io::Cursor::new(bytes))
            .ok()
    }
}

/// The icon, for browsers that look at no page first.
#[get("/favicon.ico")]
fn icon() -> Lasting {
    Lasting("image/x-icon", ICON)
}

/// The icon on the screen of a phone.
#[get("/apple-touch-icon.png")]
fn touch_icon() -> Lasting {
    Lasting("image/png", TOUCH_ICON)
}

/// The same, as older phones ask for it.
#[get("/apple-touch-icon-precomposed.png")]
fn older_touch_icon() -> Lasting {
    Lasting("image/png", TOUCH_ICON)
}

/// Keeps search engines out (RFC 9309).
#[get("/robots.txt")]
fn robots() -> Lasting {
    Lasting("text/plain; charset=utf-8", ROBOTS)
}
