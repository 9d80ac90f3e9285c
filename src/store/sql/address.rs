//! Where a database is, as its URL says: read once, by the same code for what is checked, what is
//! reached and what is told of it.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;
use url::Url;

/// The address of a database. It shows no password.
#[derive(Clone, Debug)]
pub enum SqlAddress {
    /// A file.
    Sqlite(SqliteAddress),
    /// A server.
    Postgres(Box<PostgresAddress>),
}

/// A file of SQLite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqliteAddress {
    /// The file itself.
    pub path: PathBuf,
    /// Whether nothing may be written to it.
    pub read_only: bool,
}

/// A database of PostgreSQL.
#[derive(Clone)]
pub struct PostgresAddress {
    /// One for each host that is named, in their order.
    pub(super) hosts: Vec<PgConnectOptions>,
    /// Names of parameters that change nothing here.
    pub unused: Vec<String>,
    /// Whether TLS is asked for.
    pub tls: Tls,
}

/// What a URL says of TLS (SR-77).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Nothing.
    Unsaid,
    /// There is none.
    Off,
    /// The server proves by its certificate that it has the name that was asked for.
    Verified,
    /// Whoever stands in between can pose as the server.
    Unverified,
}

impl SqlAddress {
    /// Reads a URL.
    ///
    /// # Errors
    /// What is wrong with it, in words that hold none of its values.
    pub fn parse(url: &str) -> Result<Self, String> {
        if url.trim() != url {
            let text = "begins or ends with a blank or a line break";
            return Err(format!("{text}; write one that belongs to it as %20 or %0A"));
        }
        match url.split_once(':') {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("sqlite") => {
                SqliteAddress::parse(rest).map(Self::Sqlite)
            }
            Some((scheme, rest))
                if ["postgres", "postgresql"].iter().any(|s| scheme.eq_ignore_ascii_case(s)) =>
            {
                if rest.chars().any(char::is_control) {
                    return Err("holds a line break or another control character".to_owned());
                }
                PostgresAddress::parse(rest).map(|address| Self::Postgres(Box::new(address)))
            }
            _ => Err("must begin with sqlite: or postgres:".to_owned()),
        }
    }

    /// What it is, where, and as whom it is reached.
    pub fn describe(&self) -> String {
        match self {
            Self::Sqlite(address) => format!("SQLite database {}", shown(&address.path)),
            Self::Postgres(address) => address.describe(),
        }
    }

    /// The file, if it is one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Sqlite(address) => Some(&address.path),
            Self::Postgres(_) => None,
        }
    }
}

/// A path as it is shown: in quotes where a reader could not tell where it begins and ends.
pub(crate) fn shown(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+@~%,:=".contains(c);
    if text.chars().all(plain) { text } else { format!("{text:?}") }
}

/// The URL of a file of SQLite, whatever characters are in its path; `None` if it is not UTF-8.
pub fn sqlite_url(path: &Path) -> Option<String> {
    let mut url = "sqlite://".to_owned();
    for c in path.to_str()?.chars() {
        if "%?#".contains(c) || c.is_control() || c.is_whitespace() {
            let mut utf8 = [0; 4];
            let codes = c.encode_utf8(&mut utf8).bytes().map(|byte| format!("%{byte:02X}"));
            url.extend(codes);
        } else {
            url.push(c);
        }
    }
    Some(url)
}

impl SqliteAddress {
    /// Reads what stands behind `sqlite:`: a path, or `//` and a path.
    fn parse(rest: &str) -> Result<Self, String> {
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let path = decoded(path)
            .map_err(|()| "its path is not UTF-8 where it is percent-encoded".to_owned())?;
        let mut read_only = false;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=').unwrap_or((pair, "")) {
                ("mode", "ro") => read_only = true,
                ("mode", "rw" | "rwc") | ("cache", "private") => {}
                ("mode", "memory") | ("cache", _) => return Err(NO_FILE.to_owned()),
                ("mode", _) => return Err("its `mode` is none of ro, rw and rwc".to_owned()),
                _ => {
                    return Err(
                        "has a parameter that is not `mode`; write a question mark of the \
                                path as %3F"
                            .to_owned(),
                    );
                }
            }
        }
        if path.is_empty() || path == ":memory:" {
            return Err(NO_FILE.to_owned());
        }
        if path.contains('\0') {
            return Err("its path holds a zero byte".to_owned());
        }
        if let Some(problem) = tilde(Path::new(&path)) {
            return Err(problem);
        }
        Ok(Self { path: PathBuf::from(path), read_only })
    }

    /// The path as SQLite is told it: never read as one of its own URLs.
    pub(super) fn filename(&self) -> PathBuf {
        if self.path.starts_with("/") { self.path.clone() } else { Path::new(".").join(&self.path) }
    }
}

/// In memory each connection would see a database of its own.
const NO_FILE: &str = "the SQLite database must be a file of its own";

/// What is wrong with a path that begins as only a shell understands it.
pub(crate) fn tilde(path: &Path) -> Option<String> {
    let Some(Component::Normal(first)) = path.components().next() else { return None };
    let first = first.to_str().filter(|first| first.starts_with('~'))?;
    let home = std::env::var("HOME").ok().filter(|_| first == "~");
    let whole = home.map(|home| {
        let rest = path.strip_prefix("~").unwrap_or(Path::new(""));
        format!(", such as {}", Path::new(&home).join(rest).display())
    });
    Some(format!(
        "{first} stands for a home in a shell alone: write the whole path{}",
        whole.unwrap_or_default()
    ))
}

/// What a URL of PostgreSQL says, before defaults are put in.
#[derive(Default)]
struct Parts {
    hosts: Vec<String>,
    ports: Vec<String>,
    /// What the driver is told, by the names that it knows.
    told: Vec<(&'static str, String)>,
    unused: Vec<String>,
}

impl PostgresAddress {
    /// Reads what stands behind `postgres:`, as libpq does (PostgreSQL, §34.1.1.2).
    fn parse(rest: &str) -> Result<Self, String> {
        const HOW: &str = "is not a valid URL; percent-encode the password";
        let rest = rest.strip_prefix("//").ok_or("must begin with postgres://")?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let mut parts = Parts::default();
        let hosts = match authority.rsplit_once('@') {
            Some((login, hosts)) => {
                let (user, password) = login.split_once(':').unwrap_or((login, ""));
                for (name, text) in [("user", user), ("password", password)] {
                    parts.tell(name, decoded(text).map_err(|()| HOW)?);
                }
                hosts
            }
            None => authority,
        };
        for host in hosts.split(',').filter(|_| !hosts.is_empty()) {
            let (host, port) = split_port(host).ok_or(HOW)?;
            let host = decoded(host).map_err(|()| HOW)?;
            if host.contains(char::is_whitespace) && !host.starts_with('/') {
                return Err(HOW.to_owned());
            }
            parts.hosts.push(host);
            parts.ports.push(port.to_owned());
        }
        parts.tell("dbname", decoded(database).map_err(|()| HOW)?);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, text) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, text) =
                decoded(name).and_then(|name| Ok((name, decoded(text)?))).map_err(|()| HOW)?;
            parts.parameter(&name, text)?;
        }
        parts.address()
    }

    fn describe(&self) -> String {
        let Some(first) = self.hosts.first() else { return "PostgreSQL".to_owned() };
        let places: Vec<String> = self.hosts.iter().map(place).collect();
        let user = first.get_username();
        format!(
            "PostgreSQL database {:?} at {} as user {user:?}",
            first.get_database().unwrap_or(user),
            places.join(" or ")
        )
    }

    /// Whether every host is this machine, where nobody can listen on the way.
    pub fn is_local(&self) -> bool {
        self.hosts.iter().all(|host| {
            let name = host.get_host().to_ascii_lowercase();
            host.get_socket().is_some()
                || name.starts_with('/')
                || matches!(name.as_str(), "localhost" | "127.0.0.1" | "::1" | "[::1]")
        })
    }
}

/// Without the password, which the driver's own options would show.
impl fmt::Debug for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PostgresAddress").field(&self.describe()).finish()
    }
}

/// Host and port, or socket.
fn place(host: &PgConnectOptions) -> String {
    let (name, port) = (host.get_host(), host.get_port());
    match host.get_socket() {
        Some(folder) => format!("{}/.s.PGSQL.{port}", folder.display()),
        None if name.starts_with('/') => format!("{name}/.s.PGSQL.{port}"),
        None if name.contains(':') && !name.starts_with('[') => format!("[{name}]:{port}"),
        None => format!("{name}:{port}"),
    }
}

impl Parts {
    fn tell(&mut self, name: &'static str, text: String) {
        if !text.is_empty() {
            self.told.retain(|(told, _)| *told != name);
            self.told.push((name, text));
        }
    }

    /// Takes a parameter behind the question mark.
    fn parameter(&mut self, name: &str, text: String) -> Result<(), String> {
        let all = |text: &str| text.split(',').map(str::to_owned).collect();
        match name {
            "host" | "hostaddr" => self.hosts = all(&text),
            "port" => self.ports = all(&text),
            "dbname" => self.tell("dbname", text),
            "user" => self.tell("user", text),
            "password" => self.tell("password", text),
            "sslmode" | "ssl-mode" => self.tell("sslmode", text),
            "sslrootcert" | "ssl-root-cert" | "ssl-ca" => self.tell("sslrootcert", text),
            "sslcert" | "ssl-cert" => self.tell("sslcert", text),
            "sslkey" | "ssl-key" => self.tell("sslkey", text),
            "application_name" => self.tell("application_name", text),
            "options" => self.tell("options", text),
            "ssl" if text == "true" => self.tell("sslmode", "require".to_owned()),
            // Of libpq, or of another program: told by its name, and never by what it says.
            _ if name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.[]".contains(c)) => {
                self.unused.push(name.to_owned());
            }
            _ => return Err("is not a valid URL; percent-encode the password".to_owned()),
        }
        Ok(())
    }

    fn address(self) -> Result<PostgresAddress, String> {
        let Self { hosts, ports, told, unused } = self;
        if ports.len() > 1 && ports.len() != hosts.len() {
            return Err("names another number of ports than of hosts".to_owned());
        }
        let one = |at: usize| {
            let mut url = Url::parse("postgres:///").map_err(|error| error.to_string())?;
            let mut pairs = url.query_pairs_mut();
            if let Some(host) = hosts.get(at).filter(|host| !host.is_empty()) {
                pairs.append_pair("host", host);
            }
            let port = ports.get(at).or(ports.first()).filter(|port| !port.is_empty());
            if let Some(port) = port {
                let number = port.parse::<u16>().ok().filter(|number| *number > 0);
                number
                    .ok_or("its port is no number from 1 to 65535; percent-encode the password")?;
                pairs.append_pair("port", port);
            }
            for (name, text) in &told {
                pairs.append_pair(name, text);
            }
            drop(pairs);
            // Its errors may repeat what stands there.
            let options = PgConnectOptions::from_url(&url).map_err(|_| {
                "has a value that cannot be used: sslmode is disable or verify-full".to_owned()
            })?;
            let named = options.get_application_name().is_some();
            let options = options.extra_float_digits(None);
            Ok::<_, String>(if named { options } else { options.application_name("doorward") })
        };
        let tls = told.iter().find(|(name, _)| *name == "sslmode").map(|(_, mode)| mode.as_str());
        let tls = match tls {
            None => Tls::Unsaid,
            Some("disable") => Tls::Off,
            Some("verify-full") => Tls::Verified,
            Some(_) => Tls::Unverified,
        };
        let hosts = (0..hosts.len().max(1)).map(one).collect::<Result<_, _>>()?;
        Ok(PostgresAddress { hosts, unused, tls })
    }
}

/// Host and port; `None` if the brackets of an IPv6 address do not fit.
fn split_port(host: &str) -> Option<(&str, &str)> {
    if let Some(rest) = host.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        let port = if port.is_empty() { "" } else { port.strip_prefix(':')? };
        return Some((address, port));
    }
    Some(host.split_once(':').unwrap_or((host, "")))
}

/// The text behind percent-encoding. A percent sign that begins no code stands for itself.
fn decoded(text: &str) -> Result<String, ()> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let code = more.get(..2).and_then(|code| str::from_utf8(code).ok());
        let byte = code.filter(|_| *first == b'%').and_then(|code| {
            code.bytes()
                .all(|b| b.is_ascii_hexdigit())
                .then(|| u8::from_str_radix(code, 16).ok())?
        });
        bytes.push(byte.unwrap_or(*first));
        rest = more.get(if byte.is_some() { 2 } else { 0 }..).unwrap_or_default();
    }
    String::from_utf8(bytes).map_err(|_| ())
}

#[cfg(test)]
mod tests;
