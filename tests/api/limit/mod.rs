//! Limits: what a person, a program and a crowd of attackers get to see of them.

mod account;
mod address;
mod flood;

use crate::app::*;

const WRONG: &str = "not the password at all";

/// Runs a test on every combination of stores, with these limits on and all others off.
macro_rules! limited {
    ($(#[$meta:meta])* async fn $name:ident($($app:ident)+ : TestApp, [$($setting:expr),* $(,)?]) $body:block $($rest:tt)*) => {
        mod $name {
            use super::*;

            async fn test(backend: Backend) {
                let $($app)+ = $crate::app::TestApp::boot_with(backend, &[$($setting),*]).await;
                $body
            }

            #[rocket::async_test]
            async fn sqlite_embedded() {
                test(Backend::SqliteEmbedded).await;
            }

            #[rocket::async_test]
            async fn sqlite_redis() {
                test(Backend::SqliteRedis).await;
            }

            #[rocket::async_test]
            async fn postgres_redis() {
                test(Backend::PostgresRedis).await;
            }
        }
        $crate::api::limit::limited! { $($rest)* }
    };
    () => {};
}
pub(crate) use limited;

const LOGIN: (&str, &str) = LIMITS[0];
const FAILURES: (&str, &str) = LIMITS[5];
const CONFIRM: (&str, &str) = LIMITS[6];

fn retry_after(answer: &Answer) -> u64 {
    answer.header("Retry-After").expect("Retry-After").parse().expect("whole seconds")
}
