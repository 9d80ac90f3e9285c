//! Browsers and programs that visit the application, and the answers that they get.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use doorward::guard::host::Hosts;
use rocket::http::{Header, Method, Status};
use rocket::local::asynchronous::Client;
use serde_json::{Value, json};

use crate::app::PASSWORD;

/// An answer, read whole.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: Status,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(have, _)| have.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// All headers of this name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let found = self.headers.iter().filter(|(have, _)| have.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str()).collect()
    }

    /// The whole `Set-Cookie` value of the cookie `name`.
    #[track_caller]
    pub fn set_cookie(&self, name: &str) -> Option<&str> {
        let start = format!("{name}=");
        let mut found = self.all("Set-Cookie").into_iter().filter(|set| set.starts_with(&start));
        let cookie = found.next();
        assert_eq!(found.next(), None, "{name} is set twice");
        cookie
    }

    /// The errors of single fields, as `field: code`.
    pub fn faults(&self) -> Vec<String> {
        let body = self.json();
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let fault = |error: &Value| format!("{}: {}", word(&error["field"]), word(&error["code"]));
        body["errors"].as_array().map(|all| all.iter().map(fault).collect()).unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("the body is UTF-8")
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {:?}", String::from_utf8_lossy(&self.body)))
    }

    /// Fails unless the status is `code`.
    #[track_caller]
    pub fn expect(self, code: u16) -> Self {
        assert_eq!(self.status.code, code, "{}", String::from_utf8_lossy(&self.body));
        self
    }

    /// Fails unless this is the problem `code` with the status `status`, told as RFC 9457 tells it.
    #[track_caller]
    pub fn expect_problem(self, status: u16, code: &str) -> Self {
        let answer = self.expect(status);
        assert_eq!(answer.header("Content-Type"), Some("application/problem+json"));
        let body = answer.json();
        assert_eq!(body["code"], code, "{body}");
        assert_eq!(body["status"], status);
        for field in ["type", "title", "detail", "request_id"] {
            assert!(body[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {body}");
        }
        if status == 401 {
            assert!(answer.header("WWW-Authenticate").is_some());
        }
        if status == 429 || status == 503 {
            assert!(answer.header("Retry-After").is_some());
        }
        answer
    }

    /// Fails unless this sends the browser to `path`, with GET.
    #[track_caller]
    pub fn expect_redirect(self, path: &str) -> Self {
        let answer = self.expect(303);
        assert_eq!(answer.header("Location"), Some(path));
        answer
    }

    /// The value of a hidden field of a form on the page.
    #[track_caller]
    pub fn hidden(&self, name: &str) -> String {
        let html = self.text();
        let start = format!("name=\"{name}\" value=\"");
        let rest = html.split(&start).nth(1).unwrap_or_else(|| panic!("no {name} in {html}"));
        rest.split('"').next().unwrap_or_default().to_owned()
    }
}

/// A request that is being put together.
pub struct Ask<'v> {
    visitor: &'v Visitor,
    method: Method,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    jar: bool,
}

impl Ask<'_> {
    /// With a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a JSON body.
    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// With a form.
    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        let body =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.body("application/x-www-form-urlencoded", body)
    }

    /// With a body of this type.
    pub fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("Content-Type", content_type)
    }

    /// Without the cookies of the jar, and leaving the jar as it is.
    pub fn without_jar(mut self) -> Self {
        self.jar = false;
        self
    }

    /// Sends it. What the answer sets is in the jar afterwards.
    pub async fn send(self) -> Answer {
        let client = &self.visitor.client;
        let mut request = client.req(self.method, self.path.clone());
        request.set_remote(self.visitor.address);
        // As browsers do: the host of the address that the application has.
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host"))
            && let Some(hosts) = client.rocket().state::<Hosts>()
        {
            let host = hosts.public_url().split_once("://").map_or("", |(_, host)| host);
            request.add_header(Header::new("Host", host.to_owned()));
        }
        for (name, value) in self.headers {
            request.add_header(Header::new(name, value));
        }
        let cookies = self.visitor.cookie_header();
        if let Some(cookies) = cookies.filter(|_| self.jar) {
            request.add_header(Header::new("Cookie", cookies));
        }
        let response = request.body(self.body).dispatch().await;
        let headers = response.headers().iter();
        let headers: Vec<_> =
            headers.map(|h| (h.name().to_string(), h.value().to_owned())).collect();
        let status = response.status();
        let body = response.into_bytes().await.unwrap_or_default();
        let answer = Answer { status, headers, body };
        if self.jar {
            answer.all("Set-Cookie").into_iter().for_each(|cookie| self.visitor.keep(cookie));
        }
        answer
    }
}

/// A browser with a jar of cookies, or a program without one.
pub struct Visitor {
    pub client: Arc<Client>,
    address: SocketAddr,
    jar: Mutex<BTreeMap<String, String>>,
}

impl Visitor {
    /// A browser with an empty jar.
    pub fn of(client: Arc<Client>) -> Self {
        let address = SocketAddr::from(([203, 0, 113, 7], 50_000));
        Self { client, address, jar: Mutex::default() }
    }

    /// The same browser at another address.
    pub fn at(mut self, ip: &str) -> Self {
        self.address.set_ip(ip.parse().expect("an address"));
        self
    }

    /// A request.
    pub fn ask(&self, method: Method, path: &str) -> Ask<'_> {
        let (path, headers, body) = (path.to_owned(), Vec::new(), Vec::new());
        Ask { visitor: self, method, path, headers, body, jar: true }
    }

    /// `GET`, as a person follows a link.
    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Method::Get, path).send().await
    }

    /// A request as a script of our own pages makes it.
    pub async fn call(&self, method: Method, path: &str, body: Value) -> Answer {
        let ask = self.ask(method, path).header("Sec-Fetch-Site", "same-origin");
        if body.is_null() { ask.send().await } else { ask.json(&body).send().await }
    }

    /// Fills in the form on the page `at` and sends it to `to`, as a browser does.
    pub async fn submit(&self, at: &str, to: &str, fields: &[(&str, &str)]) -> Answer {
        let token = self.get(at).await.expect(200).hidden("csrf_token");
        let mut fields = fields.to_vec();
        fields.push(("csrf_token", &token));
        let ask = self.ask(Method::Post, to).header("Sec-Fetch-Site", "same-origin");
        ask.form(&fields).send().await
    }

    /// Registers through the JSON interface.
    pub async fn register(&self, email: &str) -> Answer {
        let body = json!({ "email": email, "password": PASSWORD });
        self.call(Method::Post, "/api/v1/auth/register", body).await.expect(201)
    }

    /// Signs in through the JSON interface.
    pub async fn log_in(&self, email: &str) -> Answer {
        self.log_in_with(email, PASSWORD).await.expect(200)
    }

    /// Tries to sign in through the JSON interface.
    pub async fn log_in_with(&self, email: &str, password: &str) -> Answer {
        let body = json!({ "email": email, "password": password });
        self.call(Method::Post, "/api/v1/auth/login", body).await
    }

    /// Refreshes through the JSON interface.
    pub async fn refresh(&self) -> Answer {
        self.call(Method::Post, "/api/v1/auth/refresh", Value::Null).await
    }

    /// Signs out through the JSON interface.
    pub async fn log_out(&self) -> Answer {
        self.call(Method::Post, "/api/v1/auth/logout", Value::Null).await
    }

    /// Asks who one is.
    pub async fn me(&self) -> Answer {
        self.get("/api/v1/me").await
    }

    /// A request of a program that shows this Bearer token, and no cookies.
    pub fn bearer(&self, method: Method, path: &str, token: &str) -> Ask<'_> {
        self.ask(method, path).without_jar().header("Authorization", &format!("Bearer {token}"))
    }

    /// The value of a cookie in the jar.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.jar.lock().expect("the jar").get(name).cloned()
    }

    /// Puts a cookie into the jar.
    pub fn put_cookie(&self, name: &str, value: &str) {
        self.jar.lock().expect("the jar").insert(name.to_owned(), value.to_owned());
    }

    /// Takes a cookie out of the jar.
    pub fn drop_cookie(&self, name: &str) {
        self.jar.lock().expect("the jar").remove(name);
    }

    /// A browser with a copy of this one's jar: a thief, or this one at an earlier time.
    pub fn copy(&self) -> Visitor {
        let jar = Mutex::new(self.jar.lock().expect("the jar").clone());
        Visitor { client: Arc::clone(&self.client), address: self.address, jar }
    }

    fn cookie_header(&self) -> Option<String> {
        let jar = self.jar.lock().expect("the jar");
        let pairs: Vec<String> =
            jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    fn keep(&self, set_cookie: &str) {
        let (pair, attributes) = set_cookie.split_once(';').expect("attributes");
        let (name, value) = pair.split_once('=').expect("a value");
        if attributes.contains("Max-Age=0") {
            self.drop_cookie(name);
        } else {
            self.put_cookie(name, value);
        }
    }
}

/// Fails unless this is an object of exactly these fields.
#[track_caller]
pub fn assert_fields(object: &Value, fields: &str) {
    let found: std::collections::BTreeSet<&str> =
        object.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(found, fields.split_whitespace().collect(), "{object}");
}

/// The fields of a `user`.
pub const USER: &str = "id email display_name status roles permissions created_at last_login_at";
/// The fields of a `session`.
pub const SESSION: &str = "id current created_at last_seen_at access_expires_at \
                           refresh_expires_at user_agent device ip remember";
/// The fields of a problem that concerns no field.
pub const PROBLEM: &str = "type title status detail code request_id";
