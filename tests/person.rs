//! A person in front of the real binary: a jar of cookies and the requests that a browser would make.

use std::collections::BTreeMap;
use std::io;

use serde_json::{Value, json};

use crate::app::PASSWORD;
use crate::support::http::{self, Response};

/// Somebody who uses the server at a port of this machine.
#[derive(Clone, Debug)]
pub struct Person {
    port: u16,
    /// The cookies, by name.
    pub jar: BTreeMap<String, String>,
}

impl Person {
    /// Somebody new.
    pub fn at(port: u16) -> Self {
        Self { port, jar: BTreeMap::new() }
    }

    /// The same person in front of another server.
    pub fn moved(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Somebody who is signed in.
    #[track_caller]
    pub fn signed_in(port: u16, email: &str) -> Self {
        let mut person = Self::at(port);
        assert_eq!(person.log_in(email, PASSWORD), 200);
        person
    }

    /// Sends a request; what the answer sets is in the jar afterwards.
    ///
    /// # Errors
    /// When no answer comes.
    pub fn send(
        &mut self,
        method: &str,
        path: &str,
        kind: &str,
        body: &str,
    ) -> io::Result<Response> {
        let cookies: Vec<String> =
            self.jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let headers =
            [("Cookie", &*cookies), ("Content-Type", kind), ("Sec-Fetch-Site", "same-origin")];
        let headers = if cookies.is_empty() { &headers[1..] } else { &headers };
        let answer = http::request(self.port, method, path, headers, body.as_bytes())?;
        for (_, cookie) in answer.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let (pair, attributes) = cookie.split_once(';').expect("attributes");
            let (name, value) = pair.split_once('=').expect("a value");
            if attributes.contains("Max-Age=0") {
                self.jar.remove(name);
            } else {
                self.jar.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(answer)
    }

    /// Calls the JSON interface.
    ///
    /// # Errors
    /// When no answer comes.
    pub fn call(&mut self, method: &str, path: &str, body: Value) -> io::Result<Response> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send(method, path, "application/json", &body)
    }

    /// Opens a page.
    #[track_caller]
    pub fn get(&mut self, path: &str) -> Response {
        self.send("GET", path, "text/plain", "").expect("the server answers")
    }

    /// Fills in the form on the page `at` and sends it to `to`.
    ///
    /// # Errors
    /// When no answer comes.
    pub fn submit(&mut self, at: &str, to: &str, fields: &[(&str, &str)]) -> io::Result<Response> {
        let page = self.send("GET", at, "text/plain", "")?.text();
        let token =
            page.split("name=\"csrf_token\" value=\"").nth(1).and_then(|s| s.split('"').next());
        let token = token.unwrap_or_default();
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields).append_pair("csrf_token", token);
        self.send("POST", to, "application/x-www-form-urlencoded", &form.finish())
    }

    /// Tries to sign in; says the status of the answer.
    #[track_caller]
    pub fn log_in(&mut self, email: &str, password: &str) -> u16 {
        let body = json!({ "email": email, "password": password });
        self.call("POST", "/api/v1/auth/login", body).expect("the server answers").status
    }

    /// Whether the server takes this person's cookies for a live session, with no refresh on the way.
    #[track_caller]
    pub fn is_signed_in(&self) -> bool {
        let answer = self.clone().get("/api/v1/me");
        assert!(matches!(answer.status, 200 | 401), "{}", answer.text());
        answer.status == 200
    }
}
