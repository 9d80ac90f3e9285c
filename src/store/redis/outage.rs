//! What Redis' errors mean to the operator: what it said, and what to do.

use std::sync::Arc;

use redis::{ErrorKind, RedisError, ServerErrorKind};
use tokio::time::error::Elapsed;

use crate::error::{Cause, Error, Outage, chain};

/// The same failure, said of `store`.
pub(super) fn of(store: &Arc<str>, error: Error) -> Error {
    match error {
        Error::Unavailable(cause) => Error::Unavailable(told(store, cause)),
        Error::Internal(cause) => Error::Internal(told(store, cause)),
        other => other,
    }
}

fn told(
    store: &Arc<str>,
    cause: Box<dyn std::error::Error + Send + Sync>,
) -> Box<dyn std::error::Error + Send + Sync> {
    if cause.is::<Outage>() {
        return cause;
    }
    let outage = match cause.downcast::<RedisError>() {
        Ok(error) => outage(store, &error),
        Err(cause) if cause.is::<Elapsed>() => silent(store),
        Err(cause) => Outage::new(store, Cause::Other, chain(&*cause)),
    };
    outage.into()
}

fn silent(store: &Arc<str>) -> Outage {
    Outage::new(store, Cause::Silent, "no answer in time")
        .advise("check that it is not overloaded, and the network in between")
}

/// What an error means.
pub(super) fn outage(store: &Arc<str>, error: &RedisError) -> Outage {
    if error.is_timeout() {
        return silent(store);
    }
    let said = words(error);
    if error.is_io_error() {
        return unreachable(store, &said, error);
    }
    let code = code(error, &said);
    let (cause, advice) = match code {
        "NOAUTH" => (Cause::Denied, "put the password into the URL: redis://user:password@host"),
        "AUTH" | "WRONGPASS" => (Cause::Denied, "check the user and the password in the URL"),
        "NOPERM" => (
            Cause::Denied,
            "give the user the commands and keys of docs/deploy/redis.md (ACL SETUSER)",
        ),
        "DB" => (Cause::Missing, "check the number of the database in the URL, and `databases`"),
        "TLS" => (
            Cause::Tls,
            "check that the port speaks TLS, and that the system trusts its certificate and name; \
             redis:// is without TLS",
        ),
        "OOM" => (Cause::Full, "give it more memory: it has reached maxmemory"),
        "MISCONF" => (Cause::Full, "see its log: it cannot write to its disk"),
        "READONLY" | "NOREPLICAS" => {
            (Cause::ReadOnly, "it takes no changes: name the primary, or bring its replicas back")
        }
        "LOADING" | "BUSY" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" => {
            (Cause::Busy, "wait until it is ready")
        }
        "MAXCLIENTS" => (Cause::Crowded, "raise its maxclients"),
        "SERVICE" => (Cause::Missing, "check the name of the service in the path of the URL"),
        "CONFIG" => (Cause::Other, "check the URL"),
        _ => (Cause::Other, ""),
    };
    let outage = Outage::new(store, cause, said);
    if advice.is_empty() { outage } else { outage.advise(advice) }
}

/// A server that is not there, or that hangs up.
fn unreachable(store: &Arc<str>, said: &str, error: &RedisError) -> Outage {
    let refused = error.is_connection_refusal();
    let lower = said.to_lowercase();
    let (cause, advice) = if lower.contains("certificate") || lower.contains("tls") {
        (Cause::Tls, "check that the port speaks TLS, and that the system trusts its certificate")
    } else if lower.contains("lookup address") || lower.contains("name or service") {
        (Cause::Unreachable, "check the name of the host")
    } else if refused {
        (Cause::Unreachable, "check that it runs, and that it listens there")
    } else {
        (Cause::Unreachable, "check that it runs; with rediss:// its port has to speak TLS")
    };
    Outage::new(store, cause, said).advise(advice)
}

/// What the server, or the system, said.
fn words(error: &RedisError) -> String {
    let mut said = match error.code() {
        Some(code) => {
            let detail = error.detail().unwrap_or_default();
            let code = if matches!(code, "ERR") { String::new() } else { format!("{code} ") };
            format!("{code}{detail}")
        }
        None => error.to_string(),
    };
    // The driver's name of the kind says nothing more.
    for kind in
        [" - AuthenticationFailed", "- AuthenticationFailed", " - InvalidClientConfig", "- Io"]
    {
        said = said.replace(kind, "");
    }
    let source = std::error::Error::source(error).map(chain).unwrap_or_default();
    match source.is_empty() || said.contains(&source) {
        true => said.trim().to_owned(),
        false => format!("{}: {source}", said.trim()),
    }
}

/// The server's word for what is wrong, also where a script's error hides it in its text.
fn code<'a>(error: &'a RedisError, said: &str) -> &'a str {
    const HIDDEN: [&str; 11] = [
        "NOPERM",
        "OOM",
        "MISCONF",
        "READONLY",
        "LOADING",
        "NOREPLICAS",
        "MASTERDOWN",
        "BUSY",
        "NOAUTH",
        "WRONGPASS",
        "CLUSTERDOWN",
    ];
    match error.kind() {
        ErrorKind::AuthenticationFailed => return "AUTH",
        ErrorKind::InvalidClientConfig => return "CONFIG",
        ErrorKind::MasterNameNotFoundBySentinel => return "SERVICE",
        ErrorKind::Server(ServerErrorKind::NoPerm) => return "NOPERM",
        _ => {}
    }
    if said.contains("ACL failure in script") || said.contains("no permissions") {
        return "NOPERM";
    }
    if said.contains("max number of clients") {
        return "MAXCLIENTS";
    }
    if said.contains("DB index is out of range") || said.contains("refused to switch database") {
        return "DB";
    }
    if let Some(hidden) = HIDDEN.into_iter().find(|code| said.contains(code)) {
        return hidden;
    }
    error.code().unwrap_or_default()
}
