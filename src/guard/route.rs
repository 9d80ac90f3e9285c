//! Which routes there are at a path, by the routes that are mounted, wherever that is.

use rocket::http::Method;
use rocket::http::uri::Origin;
use rocket::{Orbit, Rocket, Route};

/// What the names of the routes begin with that show pages of ours.
const PAGE: &str = "doorward::page::";
/// What the names of our other routes begin with.
const OTHER: &str = "doorward::other::";

/// Marks routes of ours, for [`is_page`] and [`is_ours`]: whether they show pages to people.
pub fn marked(routes: Vec<Route>, pages: bool) -> Vec<Route> {
    let mark = |mut route: Route| {
        let name = route.name.take().unwrap_or_default();
        route.name = Some(format!("{}{name}", if pages { PAGE } else { OTHER }).into());
        route
    };
    routes.into_iter().map(mark).collect()
}

/// Whether the route shows a page of ours.
pub fn is_page(route: &Route) -> bool {
    route.name.as_deref().is_some_and(|name| name.starts_with(PAGE))
}

/// Whether the route is ours.
pub fn is_ours(route: &Route) -> bool {
    is_page(route) || route.name.as_deref().is_some_and(|name| name.starts_with(OTHER))
}

/// The routes whose pattern fits the path, whatever their method.
pub fn at<'r>(
    rocket: &'r Rocket<Orbit>,
    path: &Origin<'_>,
) -> impl Iterator<Item = &'r Route> + use<'r> {
    let asked: Vec<String> = path.path().segments().map(str::to_owned).collect();
    rocket.routes().filter(move |route| fits(route.uri.path(), &asked))
}

fn fits(pattern: &str, asked: &[String]) -> bool {
    let parts: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty()).collect();
    // `<path..>` stands for any number of segments, `<_>` for one.
    let (parts, rest) = match parts.split_last() {
        Some((last, parts)) if last.ends_with("..>") => (parts, true),
        _ => (&*parts, false),
    };
    let enough = if rest { parts.len() <= asked.len() } else { parts.len() == asked.len() };
    enough && parts.iter().zip(asked).all(|(part, have)| part == have || part.starts_with('<'))
}

/// Whether a browser that follows a link to this path of this site would be shown a page: a page of
/// ours, or whatever an application has there. A path at which nothing is mounted may be another
/// server's, behind the same proxy.
pub fn opens(rocket: &Rocket<Orbit>, path: &str) -> bool {
    let path = path.split('#').next().unwrap_or_default();
    let Ok(path) = Origin::parse(path) else { return false };
    let mut known = false;
    for route in at(rocket, &path) {
        known = true;
        if route.method == Method::Get && (is_page(route) || !is_ours(route)) {
            return true;
        }
    }
    !known && !is_below_ours(rocket, &path)
}

/// Whether the path lies below the base at which routes of ours are mounted that show no pages, as
/// those of the JSON interface are. There is no page, whatever follows.
fn is_below_ours(rocket: &Rocket<Orbit>, path: &Origin<'_>) -> bool {
    let asked: Vec<&str> = path.path().segments().collect();
    rocket.routes().filter(|route| is_ours(route) && !is_page(route)).any(|route| {
        let base: Vec<&str> = route.uri.base().split('/').filter(|part| !part.is_empty()).collect();
        !base.is_empty() && asked.starts_with(&base)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_segment_by_segment() {
        for (pattern, path, expected) in [
            ("/", "/", true),
            ("/login", "/login", true),
            ("/login", "/login/", true),
            ("/login", "/login/x", false),
            ("/admin/users/<id>", "/admin/users/1", true),
            ("/admin/users/<id>", "/admin/users", false),
            ("/files/<path..>", "/files/a/b", true),
            ("/files/<path..>", "/files", true),
            ("/files/<path..>", "/other", false),
            ("/<_>/x", "/a/x", true),
        ] {
            let asked: Vec<String> =
                path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
            assert_eq!(fits(pattern, &asked), expected, "{pattern} {path}");
        }
    }
}
