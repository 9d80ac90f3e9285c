//! Who makes the load: somebody who asks for one thing again and again.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::client::{Answer, Connection};

/// The cookie with the access token, as a server with https and one on this machine call it.
const ACCESS: &str = "__Host-Http-dw-at";
/// The cookie with the refresh token.
const REFRESH: &str = "__Host-Http-dw-rt";

/// The password of every account.
pub const PASSWORD: &str = "correct horse battery staple";

/// Counts those who register others.
static ROUND: AtomicUsize = AtomicUsize::new(0);

/// Somebody who asks for one thing again and again, and what they hold meanwhile.
pub struct Visitor {
    wish: Wish,
    /// Whose name new accounts follow.
    email: String,
    request: Vec<u8>,
}

/// What is asked for.
enum Wish {
    /// A request that stays the same.
    Same,
    /// New tokens, each time with the latest ones.
    Refresh,
    /// An account, each time a new one: how many this visitor has made.
    Register(usize),
}

/// An account with a session.
#[derive(Clone)]
pub struct Member {
    email: String,
    cookies: String,
}

impl Member {
    /// Registers somebody new.
    pub async fn register(port: u16, number: usize) -> io::Result<Self> {
        let email = format!("member-{number}@example.com");
        let mut connection = Connection::open(port).await?;
        let answer = connection.exchange(&register_request(&email)).await?;
        expect(&answer, 201)?;
        Ok(Self { email, cookies: cookies(&answer)? })
    }

    /// Signs in again, after the session was spent on something else.
    pub async fn log_in(&mut self, port: u16) -> io::Result<()> {
        let mut connection = Connection::open(port).await?;
        let answer = connection.exchange(&self.log_in_request()).await?;
        expect(&answer, 200)?;
        self.cookies = cookies(&answer)?;
        Ok(())
    }

    /// Its session's cookies.
    pub fn cookies(&self) -> &str {
        &self.cookies
    }

    /// Asks who it is.
    pub fn asks_me(&self) -> Visitor {
        Visitor::asks("/api/v1/me", &self.cookies)
    }

    /// Refreshes its session.
    pub fn refreshes(&self) -> Visitor {
        let request = refresh_request(&self.cookies);
        Visitor { wish: Wish::Refresh, ..Visitor::sends(request) }
    }

    /// Signs in.
    pub fn logs_in(&self) -> Visitor {
        Visitor::sends(self.log_in_request())
    }

    /// Makes one account after the other.
    pub fn registers_others(&self) -> Visitor {
        // A number of its own for each round: accounts of the one before are there still.
        let email = format!("{}.{}", ROUND.fetch_add(1, Ordering::Relaxed), self.email);
        let request = register_request(&format!("0.{email}"));
        Visitor { wish: Wish::Register(0), email, request }
    }

    fn log_in_request(&self) -> Vec<u8> {
        let body = format!(r#"{{"email":"{}","password":"{PASSWORD}"}}"#, self.email);
        post("/api/v1/auth/login", "", &body)
    }
}

impl Visitor {
    /// Asks for a path, with these cookies.
    pub fn asks(path: &str, cookies: &str) -> Self {
        let cookies =
            if cookies.is_empty() { String::new() } else { format!("Cookie: {cookies}\r\n") };
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{AGENT}{cookies}\r\n");
        Self::sends(request.into_bytes())
    }

    /// Sends the same request again and again.
    pub fn sends(request: Vec<u8>) -> Self {
        Self { wish: Wish::Same, email: String::new(), request }
    }

    /// What to send next.
    pub fn request(&self) -> &[u8] {
        &self.request
    }

    /// Takes the answer in.
    ///
    /// # Errors
    /// It is not the expected one.
    pub fn take(&mut self, answer: &Answer<'_>) -> io::Result<()> {
        match &mut self.wish {
            Wish::Same => expect(answer, 200),
            Wish::Refresh => {
                expect(answer, 200)?;
                self.request = refresh_request(&cookies(answer)?);
                Ok(())
            }
            Wish::Register(made) => {
                expect(answer, 201)?;
                *made += 1;
                self.request = register_request(&format!("{made}.{}", self.email));
                Ok(())
            }
        }
    }
}

/// What a browser would say of itself, cut to a usual length.
const AGENT: &str = "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0\r\n\
                     Accept: application/json\r\n";

/// A request with a JSON body, as a page of ours would make it.
pub fn post(path: &str, cookies: &str, body: &str) -> Vec<u8> {
    let cookies = if cookies.is_empty() { String::new() } else { format!("Cookie: {cookies}\r\n") };
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\n{AGENT}Sec-Fetch-Site: same-origin\r\n{cookies}\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

fn register_request(email: &str) -> Vec<u8> {
    let name = "Ada Example";
    let body = format!(r#"{{"email":"{email}","password":"{PASSWORD}","display_name":"{name}"}}"#);
    post("/api/v1/auth/register", "", &body)
}

fn refresh_request(cookies: &str) -> Vec<u8> {
    post("/api/v1/auth/refresh", cookies, "")
}

/// Both cookies of an answer, as a browser sends them back.
fn cookies(answer: &Answer<'_>) -> io::Result<String> {
    match (answer.cookie(ACCESS), answer.cookie(REFRESH)) {
        (Some(access), Some(refresh)) => Ok(format!("{ACCESS}={access}; {REFRESH}={refresh}")),
        _ => Err(io::Error::other("the answer sets no cookies")),
    }
}

fn expect(answer: &Answer<'_>, status: u16) -> io::Result<()> {
    if answer.status == status {
        return Ok(());
    }
    Err(io::Error::other(format!("expected {status}, got: {}", answer.head)))
}
