//! The command line of the real binary, most of it beside a running server.

use doorward::id::Os;
use doorward::token::key::{MasterSecret, SigningKey};
use serde_json::Value;

use crate::app::PASSWORD;
use crate::support::binary::Server;
use crate::support::process::Finished;
use crate::support::redis;

const ADA: &str = "ada@example.org";

/// Runs a test with sessions in the process, and again with sessions in Redis.
macro_rules! on_both_stores {
    ($(fn $name:ident($server:ident: Server) $body:block)*) => {$(
        mod $name {
            use super::*;

            fn test($server: Server) $body

            #[test]
            fn embedded() {
                test(Server::start(&[]));
            }

            #[test]
            fn redis() {
                test($crate::cli::server_on_redis());
            }
        }
    )*};
}

mod backup;
mod config;
mod doctor;
mod explain;
mod list;
mod log;
mod output;
mod proxy;
mod role;
mod secret;
mod serve;
mod start;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "otel")]
mod trace;
mod user;

impl Finished {
    /// Fails unless the command is done; gives what it wrote.
    #[track_caller]
    pub fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        assert_eq!(self.stderr, "", "{self:?}");
        self.stdout
    }

    /// Fails unless the command failed, with one line that says why; gives the line.
    #[track_caller]
    fn failed(self) -> String {
        assert_eq!(self.code, Some(1), "{self:?}");
        let line = self.stderr.trim_end().to_owned();
        assert!(line.starts_with("doorward: ") && line.lines().count() == 1, "{self:?}");
        line
    }
}

/// A server whose sessions are in a Redis database of its own.
fn server_on_redis() -> Server {
    let pem = SigningKey::generate_pem().expect("a key");
    let secret = MasterSecret::generate_base64(&Os);
    Server::start(&[
        ("DOORWARD_STORE_URL", &redis::server().database()),
        ("DOORWARD_KEYS_SIGNING", pem.expose()),
        ("DOORWARD_KEYS_SECRET", secret.expose()),
    ])
}

#[track_caller]
fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text:?}"))
}

fn create(server: &Server, email: &str, roles: &[&str]) -> Finished {
    let mut arguments = vec!["user", "create", "--email", email];
    arguments.extend(roles.iter().flat_map(|role| ["--role", role]));
    server.run(&arguments, &format!("{PASSWORD}\n"))
}
