//! Rules between the access rules, the cookies that carry people to the apps, and the proxies that ask.

use crate::access::Requirement;
use crate::config::Config;
use crate::config::read::Reader;

pub(super) fn check(config: &Config, reader: &mut Reader, warnings: &mut Vec<String>) {
    let own = config.public_url.host_str().unwrap_or_default();
    let within = |host: &str, domain: &str| {
        host == domain || host.strip_suffix(domain).is_some_and(|start| start.ends_with('.'))
    };
    if let Some(domain) = &config.cookies.domain
        && !within(own, domain)
    {
        // Browsers refuse a cookie for a domain that its server is not in (RFC 6265bis §5.7).
        reader.problem(
            "cookies.domain",
            format!("{own}, the host of public_url, is not in {domain}"),
        );
        return;
    }
    let reach = config.cookies.domain.as_deref();
    for rule in config.access.rules() {
        let host = rule.host.name();
        let reached = match reach {
            Some(domain) => within(host, domain),
            None => host == own,
        };
        if !reached && rule.requirement != Requirement::Nothing {
            let why = match reach {
                Some(domain) => format!("{host} is not in cookies.domain, {domain}"),
                None => format!("cookies are for {own} alone; set `cookies.domain`"),
            };
            reader.problem("access.rules", format!("nobody can sign in for \"{rule}\": {why}"));
        }
    }
    if !config.access.rules().is_empty() && config.proxies.trusted.is_empty() {
        warnings.push(
            "access.rules are set, but proxies.trusted names no proxy: nobody may ask for them"
                .to_owned(),
        );
    }
    if config.cookies.domain.is_some() {
        warnings.push(
            "cookies.domain is set: every host of that domain is sent the session cookies; let your proxies remove them (`doorward proxy-config`)"
                .to_owned(),
        );
    }
}
