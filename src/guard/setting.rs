//! The settings in force, for those who may see them.

use schemars::JsonSchema;
use serde::Serialize;

/// One setting in force. A secret is not in it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Setting {
    /// Its name in `Rocket.toml`.
    #[schemars(extend("examples" = ["tokens.access_ttl"]))]
    pub key: &'static str,
    /// Its value, or whether there is one if it is secret.
    #[schemars(extend("examples" = ["10m"]))]
    pub value: String,
    /// Where it comes from: `default`, `environment DOORWARD_PUBLIC_URL`.
    #[schemars(extend("examples" = ["default"]))]
    pub source: String,
}

/// All of them, in the order of the guide: Rocket state.
#[derive(Clone, Debug)]
pub struct Settings(pub Vec<Setting>);
