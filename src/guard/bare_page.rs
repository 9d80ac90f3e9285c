//! A page that needs no file of ours, for hosts at which those files are not.

use std::io::Cursor;

use rocket::http::{ContentType, Status};
use rocket::request::Request;
use rocket::response::{self, Responder, Response};

use super::host::Hosts;
use crate::problem::Problem;

/// Tells a person of a problem at the host of an app, or at one that is not ours.
pub struct BarePage(pub Problem);

impl<'r> Responder<'r, 'static> for BarePage {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        let Self(problem) = self;
        let (title, detail) = words(problem.status);
        let hosts = request.rocket().state::<Hosts>();
        let place = hosts.filter(|_| problem.status == Status::MisdirectedRequest);
        // The serialization of an origin: there is nothing to escape.
        let place =
            place.map(Hosts::public_url).map(|url| format!("<p><a href=\"{url}\">{url}</a></p>\n"));
        let html = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <title>{title}</title>\n<main>\n<h1>{title}</h1>\n<p>{detail}</p>\n{}</main>\n</html>\n",
            place.unwrap_or_default()
        );
        let mut response = Response::build();
        response.status(problem.status).header(ContentType::HTML);
        problem.headers().into_iter().for_each(|header| {
            response.header(header);
        });
        response.sized_body(html.len(), Cursor::new(html)).ok()
    }
}

fn words(status: Status) -> (&'static str, &'static str) {
    match status.code {
        400 => ("That did not work", "The request could not be read."),
        403 => ("You cannot open this page", "Your account does not have the permission for it."),
        421 => ("This is another address", "The server does not answer at this address, but here:"),
        503 => ("One moment, please", "The service is unavailable for the moment. Try again soon."),
        _ => ("Something went wrong", "Something went wrong on our side."),
    }
}
