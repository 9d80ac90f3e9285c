//! A configuration that is read again while a server runs: what the server takes over at once, and what it
//! has to be started again for.

use super::key::{KEYS, Key, Kind};
use super::{Config, Report, Setting};
use crate::id::SecretString;

/// A setting that a running server takes over.
struct Live {
    name: &'static str,
    /// What it was checked against. It waits for a restart together with these.
    with: &'static [&'static str],
    take: fn(&mut Config, &Config),
}

const fn live(name: &'static str, take: fn(&mut Config, &Config)) -> Live {
    Live { name, with: &[], take }
}

/// All of them, in the order of the guide.
static LIVE: &[Live] = &[
    live("passwords.breached_file", |to, from| {
        to.passwords.breached_file.clone_from(&from.passwords.breached_file);
    }),
    live("permissions.declared", |to, from| {
        to.permissions.declared.clone_from(&from.permissions.declared);
    }),
    live("registration.open", |to, from| to.registration.open = from.registration.open),
    live("proxies.trusted", |to, from| to.proxies.trusted.clone_from(&from.proxies.trusted)),
    Live {
        name: "access.rules",
        with: &["public_url", "cookies.domain"],
        take: |to, from| to.access.clone_from(&from.access),
    },
    live("limits.login_per_address", |to, from| {
        to.limits.login_per_address = from.limits.login_per_address;
    }),
    live("limits.register_per_address", |to, from| {
        to.limits.register_per_address = from.limits.register_per_address;
    }),
    live("limits.refresh_per_session", |to, from| {
        to.limits.refresh_per_session = from.limits.refresh_per_session;
    }),
    live("limits.refresh_per_address", |to, from| {
        to.limits.refresh_per_address = from.limits.refresh_per_address;
    }),
    live("limits.other_per_address", |to, from| {
        to.limits.other_per_address = from.limits.other_per_address;
    }),
    live("limits.confirm_per_session", |to, from| {
        to.limits.confirm_per_session = from.limits.confirm_per_session;
    }),
    live("limits.account_failures", |to, from| {
        to.limits.account_failures = from.limits.account_failures;
    }),
    live("audit.retention", |to, from| to.audit.retention = from.audit.retention),
    live("templates.dir", |to, from| to.templates.dir.clone_from(&from.templates.dir)),
    live("log.level", |to, from| to.log.level = from.log.level),
    live("log.access", |to, from| to.log.access = from.log.access),
    live("security.contact", |to, from| to.security.contact.clone_from(&from.security.contact)),
];

/// A setting that was changed. Secrets are hidden, as in the [`Report`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its name in `Rocket.toml`.
    pub key: &'static str,
    /// The value that the server runs with so far.
    pub from: String,
    /// The value that is configured now.
    pub to: String,
}

/// What a configuration changes in a running server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// What it takes over.
    pub taken: Vec<Change>,
    /// What needs a restart.
    pub waiting: Vec<Change>,
}

impl Changes {
    /// The names of settings, with commas between them.
    pub fn names(changes: &[Change]) -> String {
        changes.iter().map(|change| change.key).collect::<Vec<_>>().join(", ")
    }
}

impl Config {
    /// The configuration of a server that runs with this one and is told to run with `new`: that of what it
    /// can take over is new, the rest is as it was.
    pub fn taking_over(&self, new: &Self) -> (Self, Changes) {
        let changed: Vec<&Key> = KEYS.iter().filter(|key| differs(key, self, new)).collect();
        let is_changed = |name: &&str| changed.iter().any(|key| key.name == *name);
        let (mut next, mut changes) = (self.clone(), Changes::default());
        for key in &changed {
            let live = LIVE.iter().find(|live| live.name == key.name);
            let change = Change {
                key: key.name,
                from: shown(&self.report, key.name).value,
                to: shown(&new.report, key.name).value,
            };
            match live.filter(|live| !live.with.iter().any(is_changed)) {
                Some(live) => {
                    (live.take)(&mut next, new);
                    changes.taken.push(change);
                }
                None => changes.waiting.push(change),
            }
        }
        let waits = |row: &Setting| changes.waiting.iter().any(|change| change.key == row.key);
        next.report = self.report.merged(&new.report, waits);
        next.warnings.clone_from(&new.warnings);
        (next, changes)
    }
}

fn differs(key: &Key, one: &Config, other: &Config) -> bool {
    match (key.kind, key.name) {
        (Kind::Secret | Kind::SecretUrl, name) => {
            let text = |config| secret(config, name).map(SecretString::expose);
            text(one) != text(other)
        }
        // The report leaves their audience out.
        (Kind::Rules, _) => one.access.rules() != other.access.rules(),
        (_, name) => shown(&one.report, name).value != shown(&other.report, name).value,
    }
}

fn secret<'c>(config: &'c Config, name: &str) -> Option<&'c SecretString> {
    match name {
        "database.url" => Some(&config.database.url),
        "store.url" => Some(&config.store.url),
        "keys.signing" => config.keys.signing.as_ref(),
        "keys.secret" => config.keys.secret.as_ref(),
        "passwords.pepper" => config.passwords.pepper.as_ref(),
        _ => None,
    }
}

fn shown(report: &Report, name: &str) -> Setting {
    let found = report.settings().iter().find(|setting| setting.key == name);
    found.cloned().expect("every setting stands in the report")
}

/// The names of the settings that a running server takes over, for `docs/configuration.md`.
pub fn reloaded() -> impl Iterator<Item = &'static str> {
    LIVE.iter().map(|live| live.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Another value for each setting that a running server takes over, as variables of the environment.
    const OTHERS: &[(&str, &str)] = &[
        ("passwords.breached_file", "Cargo.toml"),
        ("permissions.declared", "notes:write = Write notes"),
        ("registration.open", "false"),
        ("proxies.trusted", "10.0.0.0/8"),
        ("access.rules", r#"[{"host": "localhost:3000", "allow": "public"}]"#),
        ("limits.login_per_address", "7/1m"),
        ("limits.register_per_address", "7/1m"),
        ("limits.refresh_per_session", "7/1m"),
        ("limits.refresh_per_address", "7/1m"),
        ("limits.other_per_address", "7/1m"),
        ("limits.confirm_per_session", "7/1m"),
        ("limits.account_failures", "off"),
        ("audit.retention", "30d"),
        ("templates.dir", "templates"),
        ("log.level", "trace"),
        ("log.access", "false"),
        ("security.contact", "mailto:security@example.org"),
    ];

    fn with(settings: &[(&str, &str)]) -> Config {
        let variables = settings.iter().map(|(name, value)| {
            (format!("DOORWARD_{}", name.replace('.', "_").to_uppercase()), (*value).to_owned())
        });
        Config::from_sources("", "debug", variables).expect("a good configuration")
    }

    #[test]
    fn each_setting_that_is_live_is_taken_over() {
        let running = with(&[]);
        for name in reloaded() {
            let other = OTHERS.iter().find(|(other, _)| *other == name);
            let new = with(&[*other.unwrap_or_else(|| panic!("no other value for {name}"))]);
            let (next, changes) = running.taking_over(&new);
            assert_eq!(Changes::names(&changes.taken), name);
            assert_eq!(changes.waiting, []);
            assert_eq!(next.taking_over(&new).1, Changes::default(), "{name}");
            // A second reload may undo it.
            assert_eq!(Changes::names(&next.taking_over(&running).1.taken), name);
        }
    }

    #[test]
    fn all_others_wait_for_a_restart_and_show_no_secret() {
        let (running, secret) = (with(&[]), "postgres://dw:hunter2hunter2@localhost/dw");
        let settings = [("database.url", secret), ("tokens.access_ttl", "5m")];
        let (next, changes) = running.taking_over(&with(&settings));
        assert_eq!(changes.taken, []);
        assert_eq!(Changes::names(&changes.waiting), "database.url, tokens.access_ttl");
        assert!(!format!("{changes:?}").contains("hunter2"), "{changes:?}");
        assert_eq!(next.tokens.access_ttl, running.tokens.access_ttl);
        assert_eq!(next.database.url.expose(), running.database.url.expose());
    }

    #[test]
    fn rules_wait_together_with_the_address_that_they_were_checked_against() {
        let rules = r#"[{"host": "wiki.example.org", "allow": "signed_in"}]"#;
        let settings = [
            ("public_url", "https://login.example.org"),
            ("cookies.domain", "example.org"),
            ("access.rules", rules),
        ];
        let (next, changes) = with(&[]).taking_over(&with(&settings));
        assert_eq!(changes.taken, []);
        assert!(Changes::names(&changes.waiting).contains("access.rules"), "{changes:?}");
        assert_eq!(next.access.rules(), []);
    }
}
