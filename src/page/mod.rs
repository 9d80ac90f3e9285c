//! The pages that people see: what each may print, what its routes do, and the engine that prints it.

pub mod admin;
pub mod asset;
pub mod delete;
pub mod docs;
pub mod error;
pub mod login;
pub(crate) mod next;
mod notice;
pub mod part;
pub mod password;
pub mod profile;
pub mod reauthenticate;
pub mod register;
pub mod session;
pub mod setup;
pub mod show;
pub mod site;
pub mod view;
pub mod well_known;

#[cfg(test)]
mod sample;

use rocket::http::Status;
use rocket::{Catcher, Route, get, routes};

use crate::error::Error;
use crate::guard::{LoggedIn, gate, route};
use crate::problem::Problem;
use error::Refusal;
use show::See;

/// All pages, and the files they are made of.
pub fn routes() -> Vec<Route> {
    let mut pages = routes![home];
    for more in [
        login::routes(),
        register::routes(),
        reauthenticate::routes(),
        setup::routes(),
        profile::routes(),
        password::routes(),
        session::routes(),
        delete::routes(),
        docs::routes(),
        admin::routes(),
    ] {
        pages.extend(more);
    }
    let mut others = notice::routes();
    others.extend(admin::downloads());
    others.extend(asset::routes());
    others.extend(well_known::routes());
    let mut routes = route::marked(pages, true);
    routes.extend(route::marked(others, false));
    gate::guarded(routes)
}

/// Answers every failure outside the JSON interface.
pub fn catchers() -> Vec<Catcher> {
    error::catchers()
}

/// To one's profile, or to the sign-in page. An application's own first page comes before it.
#[get("/", rank = 20)]
fn home(viewer: Result<LoggedIn, Problem>) -> Result<See, Refusal> {
    match viewer {
        Ok(_) => Ok(See("/profile".to_owned())),
        Err(problem) if problem.status == Status::Unauthorized => Ok(See("/login".to_owned())),
        // A store that does not answer has not said that nobody is signed in (SR-70).
        Err(problem) => Err(problem.into()),
    }
}

/// The refusal of something that is not there, or not for this person to see.
fn nothing() -> Refusal {
    Error::NotFound.into()
}
