//! What the configuration means for each part of the domain.

use rocket_cors::{AllowedHeaders, AllowedOrigins, CorsOptions};

use super::{StartError, World};
use crate::account::AccountPolicy;
use crate::account::password::{BreachedFile, Params, Pepper, Policy, Settings};
use crate::api;
use crate::config::Config;
use crate::guard::cookie::CookiePolicy;
use crate::guard::setting;
use crate::limit::{Backoff, LimitPolicy};
use crate::openapi::{Basis, Reference};
use crate::session::Lifetimes;
use crate::token::key::KeyPolicy;

/// What a password hash costs, and how many run at a time (SR-4).
pub(super) fn hashing(config: &Config, world: &World) -> Result<Settings, StartError> {
    let passwords = &config.passwords;
    let configured =
        || Params::new(passwords.memory_kib, passwords.iterations, passwords.parallelism);
    let params = world.hash_cost.map_or_else(configured, Ok)?;
    let pepper = match passwords.pepper_bytes() {
        Some(bytes) => Some(Pepper::new(&passwords.pepper_id, bytes.to_vec())?),
        None => None,
    };
    Ok(Settings {
        params,
        threads: passwords.hash_threads(),
        queue: passwords.queue,
        pepper,
        retired_peppers: Vec::new(),
    })
}

/// What the interface's reference says of this server alone; programs reach it at `server`.
pub fn basis(config: &Config, server: &str) -> Basis {
    Basis {
        server: server.to_owned(),
        min_length: config.passwords.min_length,
        cookies: cookies(config),
    }
}

/// How cookies are called and sent.
pub(super) fn cookies(config: &Config) -> CookiePolicy {
    let plain = !config.is_https();
    CookiePolicy {
        domain: config.cookies.domain.clone(),
        insecure: config.insecure_cookies && plain,
    }
}

/// The interface's reference, if it is served.
pub(super) fn reference(config: &Config) -> Reference {
    let basis = basis(config, &config.tokens.issuer);
    let make = move || api::document(&basis);
    Reference::new(Some(make).filter(|_| config.api.docs))
}

/// Which accounts can be made, and with which passwords.
pub(super) fn account_policy(config: &Config) -> Result<AccountPolicy, StartError> {
    let mut passwords = Policy::new(config.passwords.min_length)?;
    if let Some(path) = &config.passwords.breached_file {
        passwords = passwords.with_breached(BreachedFile::open(path)?);
    }
    Ok(AccountPolicy {
        passwords,
        public_host: config.public_url.host_str().unwrap_or_default().to_owned(),
        registration_open: config.registration.open,
    })
}

/// How signing keys follow each other (SR-39).
pub(super) fn key_policy(config: &Config) -> KeyPolicy {
    let tokens = &config.tokens;
    let sessions = [tokens.refresh_absolute, tokens.remember_absolute, tokens.admin_absolute];
    KeyPolicy {
        lead: config.keys.lead,
        rotate_every: config.keys.rotate_every,
        access_lifetime: tokens.access_ttl,
        refresh_lifetime: sessions.into_iter().max().unwrap_or_default(),
    }
}

/// How long tokens and sessions live (SR-33).
pub(super) fn lifetimes(config: &Config) -> Lifetimes {
    let tokens = &config.tokens;
    Lifetimes {
        access_lifetime: tokens.access_ttl,
        idle_lifetime: tokens.refresh_idle,
        absolute_lifetime: tokens.refresh_absolute,
        remember_idle_lifetime: tokens.remember_idle,
        remember_absolute_lifetime: tokens.remember_absolute,
        admin_idle_lifetime: tokens.admin_idle,
        admin_absolute_lifetime: tokens.admin_absolute,
        reauth_after: tokens.reauth_after,
        reuse_grace: tokens.reuse_grace,
    }
}

/// Who may try what, how often (SR-22, SR-23).
pub(super) fn limits(config: &Config) -> LimitPolicy {
    let limits = &config.limits;
    LimitPolicy {
        login_per_address: limits.login_per_address,
        register_per_address: limits.register_per_address,
        refresh_per_session: limits.refresh_per_session,
        refresh_per_address: limits.refresh_per_address,
        other_per_address: limits.other_per_address,
        confirm_per_session: limits.confirm_per_session,
        account_failures: limits.account_failures.map(|free| Backoff { free }),
    }
}

/// What the dashboard shows of the configuration: what `doorward check-config` prints.
pub(super) fn settings(config: &Config) -> setting::Settings {
    let setting = |one: &crate::config::Setting| setting::Setting {
        key: one.key,
        value: one.value.clone(),
        source: one.source.clone(),
    };
    setting::Settings(config.report().settings().iter().map(setting).collect())
}

/// Exact origins, never all of them, and credentials only for those (SR-45).
///
/// Our own is among them: browsers send `Origin` with every change, also within a site, and what is
/// not allowed here is refused before any route sees it.
pub(super) fn cors(config: &Config) -> Result<rocket_cors::Cors, StartError> {
    let mut origins = config.cors.allowed_origins.clone();
    origins.push(config.public_url.origin().ascii_serialization());
    let options = CorsOptions {
        allowed_origins: AllowedOrigins::some_exact(&origins),
        allowed_methods: ["Get", "Post", "Put", "Patch", "Delete"]
            .into_iter()
            .filter_map(|method| method.parse().ok())
            .collect(),
        allowed_headers: AllowedHeaders::some(&["Authorization", "Content-Type", "X-CSRF-Token"]),
        allow_credentials: true,
        ..CorsOptions::default()
    };
    Ok(options.to_cors()?)
}
