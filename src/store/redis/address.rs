//! The address of a Redis: one server, a cluster, or a primary that sentinels know.

use std::time::Duration;

use redis::cluster::ClusterClient;
use redis::io::tcp::TcpSettings;
use redis::sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType};
use redis::{
    Client, ErrorKind, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo, RedisError,
    RedisResult, TlsMode,
};
use tokio::sync::Mutex;
use url::Url;

use super::pool::STEP_LIMIT;

/// Where connections come from.
pub(super) enum Source {
    /// `redis://`, `rediss://`, `unix://`: one server.
    Server(Box<Client>),
    /// `redis+cluster://`, `rediss+cluster://`: whichever nodes the first that answers names.
    Cluster(Box<ClusterClient>),
    /// `redis+sentinel://`, `rediss+sentinel://`: the server that the sentinels call primary.
    /// Each sentinel has a client of its own.
    Sentinel(Vec<Mutex<SentinelClient>>),
}

/// The parts of an address that may name several hosts.
struct Hosts<'a> {
    /// `redis`, or `rediss` for TLS.
    scheme: &'a str,
    /// `user:password@`, or nothing.
    login: &'a str,
    hosts: Vec<&'a str>,
    path: &'a str,
    query: &'a str,
}

impl Source {
    /// Reads an address. Its errors do not show it, for it may hold a password (SR-77).
    ///
    /// With `messages` a protocol is spoken in which the server can say something unasked (RESP3); not
    /// by a cluster, each of whose servers would speak of its own keys.
    pub fn parse(address: &str, messages: bool) -> RedisResult<Self> {
        let (scheme, rest) = address.split_once("://").ok_or_else(|| {
            invalid("an address of Redis begins with redis://, rediss://, redis+cluster:// or redis+sentinel://")
        })?;
        // Some clients read `#insecure` as leave to skip the check of certificates.
        if rest.contains('#') {
            return Err(invalid("an address of Redis has no part behind a #"));
        }
        match scheme.split_once('+') {
            Some((scheme @ ("redis" | "rediss"), "cluster")) => {
                cluster(&Hosts::split(scheme, rest)?)
            }
            Some((scheme @ ("redis" | "rediss"), "sentinel")) => {
                sentinel(&Hosts::split(scheme, rest)?, messages)
            }
            Some(_) => Err(invalid("Redis is reached by redis+cluster:// or redis+sentinel://")),
            None => {
                let info = address.into_connection_info()?.set_tcp_settings(tcp_settings());
                let settings = speaking(info.redis_settings(), messages);
                Ok(Self::Server(Box::new(Client::open(info.set_redis_settings(settings))?)))
            }
        }
    }
}

/// Whether an address can be used.
///
/// # Errors
/// What is wrong with it, without any part of it.
pub fn check(address: &str) -> Result<(), String> {
    if address.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("holds a blank, a line break or another control character".to_owned());
    }
    describe(address).map(drop).map_err(|error| {
        let text = error.to_string();
        let text = text.split(['-', ':']).next().unwrap_or(&text).trim().to_lowercase();
        format!("{text}; write redis://user:password@host:6379/0, percent-encoded")
    })
}

/// What an address names, without its password.
///
/// # Errors
/// If it is not readable; the error does not show it.
pub(super) fn describe(address: &str) -> RedisResult<String> {
    Source::parse(address, false)?;
    let (scheme, rest) = address.split_once("://").unwrap_or_default();
    let user = |user: Option<&str>| {
        let user = user.filter(|user| !user.is_empty() && *user != "default");
        user.map(|user| format!(" as user {user:?}")).unwrap_or_default()
    };
    let Some((scheme, kind)) = scheme.split_once('+') else {
        let info = address.into_connection_info()?;
        let settings = info.redis_settings();
        let database = match settings.db() {
            0 => String::new(),
            number => format!(", database {number}"),
        };
        return Ok(format!("Redis at {}{database}{}", info.addr(), user(settings.username())));
    };
    let hosts = Hosts::split(scheme, rest)?;
    let name = hosts.login.trim_end_matches('@').split_once(':').map(|(name, _)| name);
    let places = hosts.hosts.join(", ");
    Ok(match kind {
        "cluster" => format!("Redis cluster at {places}{}", user(name)),
        _ => format!("Redis {:?} of the sentinels at {places}{}", hosts.path, user(name)),
    })
}

impl<'a> Hosts<'a> {
    fn split(scheme: &'a str, rest: &'a str) -> RedisResult<Self> {
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, hosts) = match authority.rfind('@') {
            Some(at) => authority.split_at(at + 1),
            None => ("", authority),
        };
        let hosts: Vec<_> = hosts.split(',').filter(|host| !host.is_empty()).collect();
        if hosts.is_empty() {
            return Err(invalid("the address of Redis names no host"));
        }
        Ok(Self { scheme, login, hosts, path, query })
    }

    fn option(&self, name: &str) -> Option<String> {
        let pairs = url::form_urlencoded::parse(self.query.as_bytes());
        pairs.into_iter().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

fn cluster(address: &Hosts<'_>) -> RedisResult<Source> {
    let Hosts { scheme, login, hosts, .. } = address;
    let nodes = hosts.iter().map(|host| format!("{scheme}://{login}{host}"));
    let client = ClusterClient::builder(nodes)
        .connection_timeout(STEP_LIMIT)
        .response_timeout(STEP_LIMIT)
        // Enough to follow a slot that moved.
        .retries(2)
        .min_retry_wait(20)
        .max_retry_wait(100)
        .tcp_settings(tcp_settings())
        .build()?;
    Ok(Source::Cluster(Box::new(client)))
}

/// `redis+sentinel://user:password@host,host:port/service?db=1&sentinel_password=…`: the login is
/// for the servers, the options `sentinel_username` and `sentinel_password` for the sentinels.
fn sentinel(address: &Hosts<'_>, messages: bool) -> RedisResult<Source> {
    const SENTINEL_PORT: u16 = 26379;
    if address.path.is_empty() {
        return Err(invalid("redis+sentinel:// needs the name of the service as its path"));
    }
    let unreadable = || invalid("a sentinel's address is not readable");
    let mut sentinels = Vec::new();
    for host in &address.hosts {
        let mut node =
            Url::parse(&format!("{}://{host}", address.scheme)).map_err(|_| unreadable())?;
        let port = node.port().unwrap_or(SENTINEL_PORT);
        node.set_port(Some(port)).map_err(|()| unreadable())?;
        if let Some(password) = address.option("sentinel_password") {
            node.set_password(Some(&password)).map_err(|()| unreadable())?;
        }
        if let Some(username) = address.option("sentinel_username") {
            node.set_username(&username).map_err(|()| unreadable())?;
        }
        sentinels.push(node.into_connection_info()?.set_tcp_settings(tcp_settings()));
    }
    let database = address.option("db").unwrap_or_default();
    let server = format!("redis://{}server/{database}", address.login).into_connection_info()?;
    let mut server = SentinelNodeConnectionInfo::default()
        .set_redis_connection_info(speaking(server.redis_settings(), messages))
        .set_tcp_settings(tcp_settings());
    if address.scheme == "rediss" {
        server = server.set_tls_mode(TlsMode::Secure);
    }
    let client = |sentinel| {
        let (service, server) = (address.path, Some(server.clone()));
        let kind = SentinelServerType::Master;
        SentinelClient::build(vec![sentinel], service, server, kind).map(Mutex::new)
    };
    Ok(Source::Sentinel(sentinels.into_iter().map(client).collect::<RedisResult<_>>()?))
}

/// The settings of a connection, with RESP3 where messages are wanted.
fn speaking(settings: &RedisConnectionInfo, messages: bool) -> RedisConnectionInfo {
    let settings = settings.clone();
    if messages { settings.set_protocol(ProtocolVersion::RESP3) } else { settings }
}

/// A connection whose other end has vanished without a word is given up after this long.
fn tcp_settings() -> TcpSettings {
    const VANISHED: Duration = Duration::from_secs(3);
    let settings = TcpSettings::default().set_nodelay(true);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(VANISHED);
    settings
}

fn invalid(why: &'static str) -> RedisError {
    RedisError::from((ErrorKind::InvalidClientConfig, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_address_is_told_by_its_scheme() {
        let kind = |address| match Source::parse(address, false) {
            Ok(Source::Server(_)) => "server",
            Ok(Source::Cluster(_)) => "cluster",
            Ok(Source::Sentinel(_)) => "sentinel",
            Err(_) => "none",
        };
        for (address, expected) in [
            ("redis://localhost", "server"),
            ("rediss://user:pass@redis.example:6380/3", "server"),
            ("redis+cluster://:pass@one:7000,two:7001", "cluster"),
            ("rediss+cluster://one", "cluster"),
            ("redis+sentinel://one,two:26380/primary", "sentinel"),
            ("rediss+sentinel://u:p@one/primary?db=2&sentinel_password=a%20b", "sentinel"),
            ("redis+sentinel://one,two", "none"),
            ("redis+cluster://", "none"),
            ("redis+magic://one", "none"),
            ("memcached://one", "none"),
            ("rediss://redis.example/#insecure", "none"),
            ("localhost:6379", "none"),
        ] {
            assert_eq!(kind(address), expected, "{address}");
        }
    }

    #[test]
    fn sr_77_an_error_does_not_show_the_address() {
        for address in ["redis://u:hunter2@:x/y/z", "hunter2", "redis+sentinel://:hunter2@one"] {
            let error = Source::parse(address, false).err().map(|error| error.to_string());
            assert!(error.is_some_and(|text| !text.contains("hunter2")), "{address}");
        }
    }
}
