//! Values as people write them: durations, origins, networks, URLs whose password must not show.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use rocket::figment::value::Value;
use url::{Host, Url};

use crate::access::RuleSpec;
use crate::error::Error;
use crate::guard::host::HostName;
use crate::limit::Quota;
use crate::problem::sentence;
use crate::role::Declared;
use crate::store::sql::address::tilde;

/// What stands before the first `mark`; all of it if there is none.
pub(super) fn before(text: &str, mark: char) -> String {
    text.split(mark).next().unwrap_or(text).to_owned()
}

/// A scalar as text; `None` for a list or a table.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(_, text) => Some(text.clone()),
        Value::Char(_, letter) => Some(letter.to_string()),
        Value::Bool(_, flag) => Some(flag.to_string()),
        Value::Num(_, number) => number
            .to_i128()
            .map(|number| number.to_string())
            .or_else(|| number.to_u128().map(|number| number.to_string()))
            .or_else(|| number.to_f64().map(|number| number.to_string())),
        _ => None,
    }
}

/// A list of texts: a list of TOML, or one text with commas, as the environment has it.
pub(super) fn list(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Array(_, values) => values.iter().map(text).collect(),
        single => Some(
            text(single)?
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty())
                .map(str::to_owned)
                .collect(),
        ),
    }
}

/// Access rules: a list of tables, or one text of JSON, as the environment has it.
pub(super) fn rules(value: &Value) -> Result<Vec<RuleSpec>, String> {
    let of_json = |error: serde_json::Error| format!("is no JSON list of rules: {error}");
    match value {
        Value::String(_, text) => serde_json::from_str(text).map_err(of_json),
        Value::Array(_, tables) => {
            let read = |(number, table): (usize, &Value)| {
                table.deserialize().map_err(|error| format!("rule {number}: {}", error.kind))
            };
            (1..).zip(tables).map(read).collect()
        }
        _ => Err("must be a list of tables: write each under [[default.access.rules]]".to_owned()),
    }
}

/// A domain that cookies may be for: two labels at least, for one is a registry's and no owner's.
pub(super) fn domain(text: &str) -> Result<Option<String>, String> {
    let name = text.strip_prefix('.').unwrap_or(text);
    match Host::parse(name) {
        Ok(Host::Domain(name)) if name.contains('.') && !name.ends_with('.') => Ok(Some(name)),
        _ => Err(format!("\"{text}\" is no domain of two names at least, such as example.org")),
    }
}

/// A host, as browsers send it in `Host`, without a port.
pub(super) fn host(text: &str) -> Result<HostName, String> {
    let wrong =
        |why: &str| format!("\"{text}\" {why}; write a name or an address, such as id.example.org");
    if text.contains('*') {
        return Err(wrong("has a `*`: name each host"));
    }
    if text.contains('/') {
        return Err(wrong("is more than a host"));
    }
    // An IPv6 address may come without its brackets.
    let bracketed = format!("[{text}]");
    let parsed = Host::parse(text).or_else(|_| Host::parse(&bracketed));
    match parsed.map(|host| host.to_string()).ok().as_deref().and_then(HostName::parse) {
        Some(host) => Ok(host),
        None if text.contains(':') => Err(wrong("has a port, which is not compared")),
        None => Err(wrong("is no host")),
    }
}

/// A permission of the operator's own: its name, and behind `=` what it allows.
pub(super) fn permission(text: &str) -> Result<Declared, String> {
    let (name, description) = text.split_once('=').unwrap_or((text, ""));
    Declared::new(name.trim(), description.trim()).map_err(|error| {
        let why = match &error {
            Error::Invalid(faults) => faults.iter().map(|fault| fault.message.as_str()).collect(),
            other => sentence(&other.to_string()),
        };
        format!("\"{text}\" cannot be declared. {why}")
    })
}

/// A `mailto:` or `https:` address, or nothing.
pub(super) fn contact(text: &str) -> Result<Option<String>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "mailto" | "https") => Ok(Some(url.to_string())),
        _ => Err(format!("\"{text}\" is no mailto: or https: address")),
    }
}

/// The `http:` or `https:` address of a collector, or `off`. It is shown, so it holds no password.
pub(super) fn collector(text: &str) -> Result<Option<Url>, String> {
    if text == "off" {
        return Ok(None);
    }
    let fits = |url: &Url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
    };
    let url = Url::parse(text).ok().filter(fits);
    url.map(Some).ok_or_else(|| {
        "must be an http: or https: address without a user, such as http://127.0.0.1:4318; \
         what the collector wants to be told goes into OTEL_EXPORTER_OTLP_HEADERS"
            .to_owned()
    })
}

/// An address with a port to listen on, or `off`.
pub(super) fn address(text: &str) -> Result<Option<SocketAddr>, String> {
    if text == "off" {
        return Ok(None);
    }
    let parsed = text.parse().map(Some);
    parsed.map_err(|_| format!("\"{text}\" is no address with a port, such as 127.0.0.1:9464"))
}

/// A length of time: a whole number and `ms`, `s`, `m`, `h` or `d`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let millis_per_unit: u64 = match unit.trim() {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "" if !number.is_empty() => {
            return Err(format!(
                "\"{text}\" has no unit; write for example {number}s or {number}m"
            ));
        }
        _ => {
            return Err(format!(
                "\"{text}\" is not a duration; write a whole number and ms, s, m, h or d, for example 10m"
            ));
        }
    };
    let number: Option<u64> = number.parse().ok();
    number
        .and_then(|number| number.checked_mul(millis_per_unit))
        .map(Duration::from_millis)
        .ok_or_else(|| format!("\"{text}\" is not a duration; write for example 10m"))
}

/// The duration in the largest unit that keeps it whole; one day is 24h.
pub(super) fn show_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    let whole = |(unit, size): &(&str, u128)| {
        millis >= *size && millis.is_multiple_of(*size) && (*unit != "d" || millis > *size)
    };
    let unit =
        [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)].into_iter().find(whole);
    match unit {
        Some((unit, size)) => format!("{}{unit}", millis / size),
        None if millis == 0 => "0s".to_owned(),
        None => format!("{millis}ms"),
    }
}

/// How many in how long: `20/1m`; `None` for `off`.
pub(super) fn quota(text: &str) -> Result<Option<Quota>, String> {
    if text == "off" {
        return Ok(None);
    }
    let wrong = || format!("\"{text}\" is not a limit; write for example 20/1m, or off");
    let (count, per) = text.split_once('/').ok_or_else(wrong)?;
    let count = count.trim().parse().map_err(|_| wrong())?;
    let quota = Quota::new(count, duration(per.trim())?);
    quota
        .map(Some)
        .ok_or_else(|| format!("\"{text}\" is out of bounds; it must be 1 to 1000000 in 1s to 24h"))
}

/// A number of failures, from 1 to 100; `None` for `off`.
pub(super) fn failures(text: &str) -> Result<Option<u32>, String> {
    if text == "off" {
        return Ok(None);
    }
    let number = text.parse().ok().filter(|number| (1..=100).contains(number));
    number.map(Some).ok_or_else(|| format!("\"{text}\" is neither a number from 1 to 100 nor off"))
}

/// A path of the system, with whatever characters it has.
pub(super) fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err("is empty; write . for the working directory".to_owned());
    }
    if text.contains('\0') {
        return Err("holds a zero byte, which no path has".to_owned());
    }
    if text.ends_with(['\n', '\r']) {
        return Err("ends with a line break".to_owned());
    }
    match tilde(Path::new(text)) {
        Some(problem) => Err(problem),
        None => Ok(PathBuf::from(text)),
    }
}

/// `true` or `false`.
pub(super) fn flag(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!("\"{text}\" is neither true nor false")),
    }
}

/// An origin (RFC 6454 §4): scheme, host and port, nothing else.
pub(super) fn origin(text: &str) -> Result<Url, String> {
    let wrong = |why: &str| {
        Err(format!("{why}; write the origin alone, for example https://login.example.com"))
    };
    let Ok(url) = Url::parse(text) else { return wrong("it is not a URL") };
    if !matches!(url.scheme(), "https" | "http") {
        return wrong("its scheme is neither https nor http");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return wrong("it holds a user name or password");
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return wrong("it has a path, query or fragment");
    }
    Ok(url)
}

/// An origin exactly as a browser sends it in `Origin`: no wildcard, no `null`, no trailing slash (SR-45).
pub(super) fn exact_origin(text: &str) -> Result<String, String> {
    if text.contains('*') || text == "null" {
        return Err(format!("\"{text}\" is not allowed: name each origin exactly"));
    }
    let exact = origin(text)?.origin().ascii_serialization();
    if exact == text {
        Ok(exact)
    } else {
        Err(format!("\"{text}\" is not as a browser sends it; write {exact}"))
    }
}

/// Whether a URL names this machine, where browsers treat http as they treat https (SR-40).
pub(super) fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.octets() == [127, 0, 0, 1],
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// A network in CIDR notation, or one address.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    let network =
        text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(
            |_| format!("\"{text}\" is not a network or address; write for example 10.0.0.0/8"),
        )?;
    if network.prefix_len() == 0 {
        return Err(format!(
            "\"{text}\" trusts the whole internet; name your proxies, so that clients cannot forge their address"
        ));
    }
    Ok(network.trunc())
}

/// The scheme of a connection URL, in lower case.
pub(super) fn scheme(url: &str) -> String {
    before(url, ':').to_ascii_lowercase()
}

/// The value of a query parameter of a connection URL.
pub(super) fn parameter(url: &str, names: &[&str]) -> Option<String> {
    let query = url.split_once('?')?.1;
    url::form_urlencoded::parse(before(query, '#').as_bytes())
        .find(|(name, _)| names.contains(&name.as_ref()))
        .map(|(_, value)| value.into_owned())
}

/// Whether every host of a connection URL is this machine (a socket file counts).
///
/// Read by hand, because the URLs of Sentinel and Cluster name several hosts.
pub(super) fn connects_locally(url: &str) -> bool {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let rest = rest.rsplit_once('@').map_or(rest, |(_, hosts)| hosts);
    let authority = before(&before(&before(rest, '/'), '?'), '#');
    let named = parameter(url, &["host", "hostaddr"]).unwrap_or(authority);
    named.split(',').all(|host| {
        let host = host.to_ascii_lowercase();
        let bare = if host.starts_with('[') { host.clone() } else { before(&host, ':') };
        matches!(bare.as_str(), "" | "localhost" | "127.0.0.1" | "::1")
            || host.starts_with("[::1]")
            || host == "::1"
            || host.starts_with('/')
            || host.starts_with("%2f")
    })
}

/// A connection URL whose passwords are hidden. Where it is unclear what the password is, more is hidden.
pub(super) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return if url.contains('@') { "(set)".to_owned() } else { url.to_owned() };
    };
    // The last @: a password that was not percent-encoded may hold one, or a slash.
    let rest = match rest.rsplit_once('@') {
        Some((user, hosts)) if user.contains(':') => format!("{}:***@{hosts}", before(user, ':')),
        // Redis users give a password where others give a name.
        Some((_, hosts)) if scheme.starts_with("redis") => format!("***@{hosts}"),
        _ => rest.to_owned(),
    };
    let Some((path, query)) = rest.split_once('?') else { return format!("{scheme}://{rest}") };
    let query: Vec<String> = query.split('&').map(without_secret_value).collect();
    format!("{scheme}://{path}?{}", query.join("&"))
}

fn without_secret_value(pair: &str) -> String {
    let Some((name, _)) = pair.split_once('=') else { return pair.to_owned() };
    let decoded = url::form_urlencoded::parse(name.as_bytes()).next();
    let decoded = decoded.map(|(name, _)| name.to_ascii_lowercase()).unwrap_or_default();
    if ["pass", "pwd", "secret", "token"].iter().any(|word| decoded.contains(word)) {
        format!("{name}=***")
    } else {
        pair.to_owned()
    }
}
