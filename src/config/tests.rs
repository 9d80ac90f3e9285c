//! The rules of the configuration, one test each.

mod access;
mod hosts;
mod places;
mod rules;

use super::{Config, Refused};

/// A secret that passes: the bytes 0 to 31.
pub(super) const SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// An Ed25519 key as `openssl genpkey` writes it, over the seed 0 to 31.
pub(super) const SIGNING: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n-----END PRIVATE KEY-----\n";

/// An environment in which the profile `release` starts.
pub(super) const PUBLIC: (&str, &str) = ("DOORWARD_PUBLIC_URL", "https://login.example.com");

pub(super) fn read(toml: &str, profile: &str, env: &[(&str, &str)]) -> Result<Config, Refused> {
    Config::from_sources(toml, profile, env.iter().copied())
}

pub(super) fn accepted(toml: &str, profile: &str, env: &[(&str, &str)]) -> Config {
    read(toml, profile, env).unwrap_or_else(|refused| panic!("{refused}"))
}

/// Asserts that the one problem says all of `words`.
pub(super) fn refused(toml: &str, profile: &str, env: &[(&str, &str)], words: &[&str]) {
    let refused = read(toml, profile, env).expect_err("this must be refused");
    let [problem] = refused.problems() else { panic!("more than one problem: {refused}") };
    for word in words {
        assert!(problem.contains(word), "{problem:?} does not say {word:?}");
    }
}

/// The value and source of a setting in the report.
pub(super) fn reported(config: &Config, key: &str) -> (String, String) {
    let settings = config.report().settings();
    let setting = settings.iter().find(|setting| setting.key == key).expect("the setting is there");
    (setting.value.clone(), setting.source.clone())
}
