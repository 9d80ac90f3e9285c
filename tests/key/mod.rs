//! Signing keys and their rotation, as browsers, other services and the operator see them.

mod command;
pub mod foreign;
mod rotation;

use std::sync::Arc;

use doorward::id::from_base64url;
use doorward::token::key::{Algorithm, KeyView, Keys, Start};
use serde_json::Value;

use crate::app::{ACCESS, TestApp, Visitor};

impl TestApp {
    fn keys(&self) -> &Arc<Keys> {
        self.service()
    }

    /// Rotates as `doorward keys rotate` does, beside the application; which then looks, as it does
    /// every few seconds.
    async fn rotate(&self, algorithm: Option<Algorithm>, start: Start) -> KeyView {
        let command = self.command(&[]).await.expect("the command opens the stores");
        let made = command.keys.rotate(algorithm, start).await.expect("a new key");
        self.keys().tend().await.expect("the keys are read again");
        made
    }

    /// The JWK set that is published.
    async fn jwks(&self) -> Value {
        self.get("/.well-known/jwks.json").await.expect(200).json()
    }

    /// The `kid`s that are published.
    async fn published(&self) -> Vec<String> {
        let set = self.jwks().await;
        let ids = set["keys"].as_array().expect("keys").iter().map(|key| &key["kid"]);
        ids.map(|id| id.as_str().expect("a kid").to_owned()).collect()
    }
}

impl Visitor {
    /// The access token in the jar.
    fn access(&self) -> String {
        self.cookie(ACCESS).expect("an access cookie")
    }
}

/// The header of a token.
fn header(token: &str) -> Value {
    let header = token.split('.').next().and_then(from_base64url).expect("a header");
    serde_json::from_slice(&header).expect("JSON")
}

/// The `kid` of a token.
fn kid(token: &str) -> String {
    header(token)["kid"].as_str().expect("a kid").to_owned()
}
