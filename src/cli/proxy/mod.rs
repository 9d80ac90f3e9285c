//! `doorward proxy-config …`: prints a configuration for the proxy in front of the apps.

use std::collections::BTreeSet;

use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::{Value, json};
use tera::{Context, Tera};

use super::report::Report;
use crate::access::Host;
use crate::api::authz::IDENTITY_HEADERS;
use crate::app::StartError;
use crate::config::Config;

/// The proxies for which a configuration can be printed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Proxy {
    /// nginx, with auth_request
    Nginx,
    /// Caddy, with forward_auth
    Caddy,
    /// HAProxy, with the script of haproxy-lua
    Haproxy,
    /// The script for HAProxy
    HaproxyLua,
    /// Traefik, with forwardAuth
    Traefik,
    /// Envoy, with ext_authz
    Envoy,
}

#[derive(Args)]
pub(super) struct Asked {
    /// Which proxy
    proxy: Proxy,
    /// An app: a host of the access rules (all of them, if none is given)
    #[arg(long)]
    host: Vec<String>,
    /// Where the app itself listens, once for each --host
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = address)]
    upstream: Vec<String>,
    /// Where Doorward listens, as the proxy reaches it (by its configuration, if not given)
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = address)]
    doorward: Option<String>,
}

/// Headers by which some apps take another path or method than the one that was judged, or believe
/// what a client says of itself.
const MISLEADING: [&str; 9] = [
    "Forwarded",
    "X-Forwarded-Method",
    "X-Forwarded-Uri",
    "X-HTTP-Method",
    "X-HTTP-Method-Override",
    "X-Method-Override",
    "X-Original-Method",
    "X-Original-URL",
    "X-Rewrite-URL",
];

/// Where an app listens until the operator says so.
const SOMEWHERE: &str = "127.0.0.1:3000";

/// How often nginx takes one cookie of Doorward out of those of a request.
const PASSES: usize = 6;

/// An address with a port, and nothing that would be more than that in a configuration.
fn address(text: &str) -> Result<String, String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b".-_[]:".contains(&b);
    let port =
        text.rsplit_once(':').filter(|(name, _)| !name.is_empty() && name.bytes().all(plain));
    match port.map(|(_, port)| port.parse::<u16>()) {
        Some(Ok(_)) => Ok(text.to_owned()),
        _ => Err("write an address and a port, for example 127.0.0.1:3000".to_owned()),
    }
}

pub(super) fn print(asked: &Asked, config: &Config) -> Result<Report, StartError> {
    let text = match asked.proxy {
        Proxy::Nginx => include_str!("nginx.conf"),
        Proxy::Caddy => include_str!("Caddyfile"),
        Proxy::Haproxy => include_str!("haproxy.cfg"),
        Proxy::HaproxyLua => include_str!("haproxy.lua"),
        Proxy::Traefik => include_str!("traefik.yml"),
        Proxy::Envoy => include_str!("envoy.yml"),
    };
    let mut tera = Tera::default();
    tera.autoescape_on(Vec::<&'static str>::new());
    tera.add_raw_template("proxy", text)?;
    let printed = tera.render("proxy", &context(asked, config)?)?;
    let value = json!({ "configuration": printed });
    Ok(Report::new(printed.trim_end(), value))
}

/// A host as the proxies write it.
#[derive(Serialize)]
struct Site {
    /// As browsers ask for it: `app.example.org`, `localhost:8443`, `*.example.org`.
    host: String,
    /// Without the port.
    name: String,
    /// What stands in for it in the name of a file.
    file: String,
    /// With scheme and port.
    url: String,
    /// Where the proxy listens for it.
    listen: String,
    /// What nginx says was asked for.
    asked: String,
    /// A word for it.
    id: String,
    /// How HAProxy knows it.
    acl: String,
    /// How Traefik knows it.
    traefik: String,
    /// Where the app itself listens.
    upstream: String,
}

fn site(host: &Host, scheme: &str, number: usize, upstream: &str) -> Site {
    let text = host.to_string();
    let bare = host.name().to_owned();
    let port =
        text.rsplit_once(':').map(|(_, port)| port).filter(|port| port.parse::<u16>().is_ok());
    let port = port.unwrap_or(if scheme == "https" { "443" } else { "80" }).to_owned();
    let here = matches!(bare.as_str(), "localhost" | "127.0.0.1");
    let (name, asked, acl, traefik) = match host {
        Host::Exactly(_) => (
            bare.clone(),
            text.clone(),
            format!("req.hdr(host) -i {text}"),
            format!("Host(`{bare}`)"),
        ),
        Host::OneBelow(end) => (
            format!("*.{bare}"),
            "$http_host".to_owned(),
            format!("req.hdr(host) -i -m end {end}"),
            format!("HostRegexp(`^[^.]+\\.{}$`)", bare.replace('.', "\\.")),
        ),
    };
    Site {
        url: format!("{scheme}://{text}"),
        listen: if here { format!("127.0.0.1:{port}") } else { format!("*:{port}") },
        file: bare,
        host: text,
        name,
        asked,
        id: format!("app{number}"),
        acl,
        traefik,
        upstream: upstream.to_owned(),
    }
}

fn context(asked: &Asked, config: &Config) -> Result<Context, StartError> {
    let scheme = config.public_url.scheme();
    let own = config.public_url.host_str().unwrap_or_default();
    let own =
        config.public_url.port().map_or_else(|| own.to_owned(), |port| format!("{own}:{port}"));
    let login = site(&Host::Exactly(own.clone()), scheme, 0, "");
    let apps = apps(asked, config, &own)?;
    let doorward = asked.doorward.clone().unwrap_or_else(|| {
        let any = config.server.address.is_unspecified();
        let address = if any { "127.0.0.1".into() } else { config.server.address.to_string() };
        format!("{address}:{}", config.server.port)
    });
    let listens: BTreeSet<&str> =
        apps.iter().chain([&login]).map(|site| site.listen.as_str()).collect();
    let underscored = IDENTITY_HEADERS.map(|name| name.replace('-', "_"));
    let stripped: Vec<&str> = IDENTITY_HEADERS
        .into_iter()
        .chain(underscored.iter().map(String::as_str))
        .chain(MISLEADING)
        .collect();
    let quoted = IDENTITY_HEADERS.map(|name| format!("\"{}\"", name.to_lowercase()));
    let clusters: Vec<Value> = apps
        .iter()
        .map(|app| (app.id.as_str(), app.upstream.as_str()))
        .chain([("doorward", doorward.as_str())])
        .map(|(name, at)| {
            let (address, port) = at.rsplit_once(':').unwrap_or((at, "80"));
            json!({ "name": name, "address": address, "port": port })
        })
        .collect();
    let value = json!({
        "scheme": scheme,
        "tls": scheme == "https",
        "doorward": doorward,
        "port": login.listen.rsplit(':').next(),
        "listens": listens,
        "login": login,
        "apps": apps,
        "identity": IDENTITY_HEADERS.map(header),
        "names": IDENTITY_HEADERS.join(" "),
        "list": IDENTITY_HEADERS.join(", "),
        "quoted": quoted.join(", "),
        "misleading": MISLEADING,
        "stripped": stripped,
        "clusters": clusters,
        "cookie": cookie_pattern(config.insecure_cookies),
        "insecure": config.insecure_cookies,
        "passes": (0..PASSES).map(pass).collect::<Vec<_>>(),
        "last_pass": pass_name(PASSES),
    });
    Ok(Context::from_serialize(&value)?)
}

/// A header as nginx knows it.
fn header(name: &str) -> Value {
    let lower = name.to_lowercase().replace('-', "_");
    json!({ "name": name, "lower": lower, "variable": format!("doorward_{lower}") })
}

/// The names of Doorward's cookies, as a regular expression.
fn cookie_pattern(insecure: bool) -> &'static str {
    if insecure { "dw-(?:at|rt|pre|dev)" } else { "__(?:Host-Http|Secure)-dw-[a-z]+" }
}

fn pass(number: usize) -> Value {
    json!({ "number": number, "from": pass_name(number), "to": pass_name(number + 1) })
}

/// What nginx calls the cookies after so many passes.
fn pass_name(number: usize) -> String {
    if number == 0 { "$http_cookie".to_owned() } else { format!("$doorward_cookie_{number}") }
}

/// The apps that were asked for, or all that the rules name, each on a host of its own.
fn apps(asked: &Asked, config: &Config, own: &str) -> Result<Vec<Site>, StartError> {
    let mut known: Vec<&Host> = Vec::new();
    for rule in config.access.rules() {
        if !known.contains(&&rule.host) {
            known.push(&rule.host);
        }
    }
    if asked.upstream.len() > asked.host.len().max(1) {
        return Err("there are more --upstream than --host".into());
    }
    let wanted: Vec<&Host> = if asked.host.is_empty() {
        known.into_iter().filter(|host| host.to_string() != own).collect()
    } else {
        let find = |name: &String| {
            let found = known.iter().find(|host| host.to_string() == *name);
            found.copied().ok_or_else(|| format!("no access rule is about {name}").into())
        };
        asked.host.iter().map(find).collect::<Result<_, StartError>>()?
    };
    if wanted.is_empty() {
        return Err(
            "the access rules name no app on a host of its own; see docs/forward-auth.md".into()
        );
    }
    let scheme = config.public_url.scheme();
    let sites = (1..).zip(wanted).map(|(number, host)| {
        let upstream = asked.upstream.get(number - 1).map_or(SOMEWHERE, String::as_str);
        site(host, scheme, number, upstream)
    });
    Ok(sites.collect())
}
