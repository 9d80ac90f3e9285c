//! A verifier that nobody here wrote reads our public keys across a rotation.

use std::path::Path;

use doorward::token::key::{Algorithm, Start};
use serde_json::{Value, json};

use super::kid;
use crate::app::*;
use crate::support::python;

/// What PyJWT says of tokens, by this JWK set at this moment.
#[track_caller]
pub fn judge(asked: Value) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/key/verify.py");
    let mut verdict = python::run(&script, &asked);
    let thumbprints = verdict["thumbprints"].as_object().expect("thumbprints");
    assert!(thumbprints.values().all(|good| *good == true), "RFC 7638: {verdict}");
    verdict["verdicts"].take()
}

/// The moment `minutes` after the start of the tests, in seconds.
fn at(minutes: i64) -> i64 {
    START.as_secs() + 60 * minutes
}

#[track_caller]
fn judge_at(minutes: i64, jwks: &Value, tokens: Value) -> Value {
    judge(json!({
        "jwks": jwks, "issuer": ORIGIN, "audience": ORIGIN, "now": at(minutes), "tokens": tokens,
    }))
}

async fn sign_in(app: &TestApp, email: &str) -> (String, String) {
    let visitor = app.signed_in(email, &["user"]).await;
    (visitor.access(), visitor.cookie(REFRESH).expect("a refresh cookie"))
}

async fn pyjwt_follows_a_rotation(from: Algorithm, to: Algorithm) {
    let pem = from.generate_pem().expect("a key");
    let settings = [("DOORWARD_KEYS_SIGNING", pem.expose()), ("DOORWARD_TOKENS_ACCESS_TTL", "15m")];
    let app = TestApp::boot_with(Backend::SqliteEmbedded, &settings).await;
    let (before, refresh) = sign_in(&app, "ada@example.org").await;
    let first = app.jwks().await;
    // Its signature is that of another message.
    let (message, _) = before.rsplit_once('.').expect("three parts");
    let (_, signature) = refresh.rsplit_once('.').expect("three parts");
    let forged = format!("{message}.{signature}");
    let tokens = json!({ "before": before, "refresh": refresh, "forged": forged });
    let verdicts = judge_at(0, &first, tokens);
    assert_eq!(verdicts["before"], "good");
    assert_eq!(verdicts["refresh"], "WrongType");
    assert_eq!(verdicts["forged"], "InvalidSignatureError");

    // Published, and not signing yet.
    app.rotate(Some(to), Start::AfterLead).await;
    let announced = app.jwks().await;
    app.later(minutes(9));
    let (during, _) = sign_in(&app, "grace@example.org").await;
    assert_eq!(kid(&during), kid(&before));
    let verdicts = judge_at(9, &announced, json!({ "before": before, "during": during }));
    assert_eq!(verdicts, json!({ "before": "good", "during": "good" }));

    // Signing: whoever keeps the keys no longer than they may knows the new one already.
    app.later(minutes(1));
    let (after, _) = sign_in(&app, "edsger@example.org").await;
    assert_ne!(kid(&after), kid(&before));
    let tokens = json!({ "before": before, "during": during, "after": after });
    let good = json!({ "before": "good", "during": "good", "after": "good" });
    assert_eq!(judge_at(10, &announced, tokens.clone()), good);
    assert_eq!(judge_at(10, &app.jwks().await, tokens.clone()), good);
    assert_eq!(judge_at(10, &first, tokens.clone())["after"], "UnknownKey");

    // Gone: refused whatever its tokens say of themselves, even were their time not over.
    app.later(minutes(15) + seconds(30));
    let last = app.jwks().await;
    let verdicts = judge_at(10, &last, tokens);
    let gone = json!({ "before": "UnknownKey", "during": "UnknownKey", "after": "good" });
    assert_eq!(verdicts, gone);
    let verdicts = judge_at(26, &announced, json!({ "during": during }));
    assert_eq!(verdicts["during"], "ExpiredSignatureError");
}

#[rocket::async_test]
async fn sr_39_pyjwt_follows_a_rotation_from_eddsa_to_es256() {
    pyjwt_follows_a_rotation(Algorithm::EdDsa, Algorithm::Es256).await;
}

#[rocket::async_test]
async fn sr_39_pyjwt_follows_a_rotation_from_es256_to_eddsa() {
    pyjwt_follows_a_rotation(Algorithm::Es256, Algorithm::EdDsa).await;
}
