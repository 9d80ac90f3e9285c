//! Tokens that somebody else made, or changed: signature and header (SR-30, SR-31).

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use doorward::id::{SecretString, base64url, from_base64url};
use doorward::token::key::SigningKey;
use jsonwebtoken::{Algorithm, EncodingKey};
use proptest::prelude::*;
use rocket::http::Method::{Get, Post};
use serde_json::{Value, json};

use crate::app::*;

/// Makes tokens as we do, with whatever header and claims a test wants.
pub(super) struct Forge {
    pub(super) key: EncodingKey,
    pub(super) header: Value,
    pub(super) claims: Value,
}

impl Forge {
    /// A forge with our own key, that starts from a token of ours.
    pub(super) fn of(app: &TestApp, token: &str) -> Self {
        let mut parts = token.split('.').map(|part| from_base64url(part).expect("base64url"));
        let mut next = || serde_json::from_slice(&parts.next().expect("a part")).expect("JSON");
        Self { key: ed25519(&app.signing_key()), header: next(), claims: next() }
    }

    /// The token with these header and claims, signed with the key of the forge.
    pub(super) fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_text(&header.to_string(), &claims.to_string())
    }

    pub(super) fn sign_text(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", base64url(header), base64url(claims));
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &self.key, Algorithm::EdDSA);
        format!("{message}.{}", signature.expect("a signature"))
    }

    pub(super) fn with_header(&self, name: &str, value: Value) -> String {
        let mut header = self.header.clone();
        header[name] = value;
        self.sign(&header, &self.claims)
    }

    pub(super) fn with_claim(&self, name: &str, value: Value) -> String {
        let mut claims = self.claims.clone();
        claims[name] = value;
        self.sign(&self.header, &claims)
    }

    pub(super) fn without_claim(&self, name: &str) -> String {
        let mut claims = self.claims.clone();
        claims.as_object_mut().expect("an object").remove(name);
        self.sign(&self.header, &claims)
    }
}

fn ed25519(pem: &SecretString) -> EncodingKey {
    let body: String = pem.expose().lines().filter(|line| !line.starts_with("---")).collect();
    EncodingKey::from_ed_der(&STANDARD.decode(body).expect("base64"))
}

/// Somebody signed in, and a forge that starts from their access token.
pub(super) async fn forge() -> (TestApp, Forge) {
    let app = TestApp::light().await;
    app.register("ada@example.org").await;
    let forge = Forge::of(&app, &app.cookie(ACCESS).expect("a cookie"));
    (app, forge)
}

/// Fails unless `token` is refused wherever it is shown, as cookie, as Bearer and to refresh.
pub(super) async fn refused(app: &TestApp, token: &str) {
    let visitor = app.stranger();
    if !token.is_empty() && !token.contains([';', ',', ' ', '\r', '\n']) {
        visitor.put_cookie(ACCESS, token);
        visitor.me().await.expect_problem(401, "not_signed_in");
        visitor.drop_cookie(ACCESS);
        visitor.put_cookie(REFRESH, token);
        visitor.refresh().await.expect_problem(401, "refresh_invalid");
        visitor.me().await.expect_problem(401, "not_signed_in");
    }
    let bearer = visitor.bearer(Get, "/api/v1/me", token).send().await;
    bearer.expect_problem(401, "not_signed_in");
}

#[rocket::async_test]
async fn the_forge_makes_tokens_that_pass_if_nothing_is_wrong_with_them() {
    let (app, forge) = forge().await;
    let same = forge.sign(&forge.header, &forge.claims);
    app.bearer(Get, "/api/v1/me", &same).send().await.expect(200);
    let more = forge.with_claim("hint", json!("for another service"));
    app.bearer(Get, "/api/v1/me", &more).send().await.expect(200);
}

#[rocket::async_test]
async fn sr_60_a_token_is_at_most_4096_bytes() {
    let (app, forge) = forge().await;
    let padded = |length: usize| {
        let of = |pad: usize, spaces: usize| {
            let mut claims = forge.claims.clone();
            claims["hint"] = json!("x".repeat(pad));
            let header = format!("{}{}", forge.header, " ".repeat(spaces));
            forge.sign_text(&header, &claims.to_string())
        };
        // A length of base64url that no text has is reached with a space in the header.
        let start = (length - of(0, 0).len()) * 3 / 4 - 4;
        let pads = (start..start + 8).flat_map(|pad| (0..3).map(move |spaces| (pad, spaces)));
        let mut tokens = pads.map(|(pad, spaces)| of(pad, spaces));
        tokens.find(|token| token.len() == length).expect("a token of this length")
    };
    app.bearer(Get, "/api/v1/me", &padded(4096)).send().await.expect(200);
    let refused = app.bearer(Get, "/api/v1/me", &padded(4097)).send().await;
    refused.expect_problem(401, "not_signed_in");
}

#[rocket::async_test]
async fn sr_30_a_changed_token_is_refused() {
    let (app, forge) = forge().await;
    let token = app.cookie(ACCESS).unwrap();
    let parts: Vec<&str> = token.split('.').collect();
    let (header, payload, signature) = (parts[0], parts[1], parts[2]);
    let mut claims = forge.claims.clone();
    claims["roles"] = json!(["admin"]);
    let admin = base64url(claims.to_string());
    let mut other_header = forge.header.clone();
    other_header["typ"] = json!("rt+jwt");
    let other_header = base64url(other_header.to_string());
    let zeros = base64url([0; 64]);
    for changed in [
        format!("{header}.{admin}.{signature}"),
        format!("{other_header}.{payload}.{signature}"),
        format!("{header}.{payload}.{zeros}"),
        format!("{header}.{payload}."),
        format!("{header}.{payload}"),
        format!("{header}..{signature}"),
        format!(".{payload}.{signature}"),
        format!("{header}.{payload}.{signature}.{signature}"),
        format!("{header}.{payload}.{signature}."),
        format!(".{token}"),
        format!("{payload}.{header}.{signature}"),
        format!("{header}.{payload}.{}", &signature[..signature.len() - 2]),
        header.to_owned(),
        "..".to_owned(),
        ".".to_owned(),
        String::new(),
    ] {
        refused(&app, &changed).await;
    }
    app.me().await.expect(200);
}

#[rocket::async_test]
async fn sr_30_every_flipped_bit_of_the_signature_counts() {
    let (app, _) = forge().await;
    let token = app.cookie(ACCESS).unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let bytes = from_base64url(signature).unwrap();
    for position in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[position] ^= 1 << (position % 8);
        let token = format!("{message}.{}", base64url(flipped));
        let answer = app.bearer(Get, "/api/v1/me", &token).send().await;
        answer.expect_problem(401, "not_signed_in");
    }
}

#[rocket::async_test]
async fn sr_30_the_algorithm_is_the_keys_and_not_the_headers() {
    let (app, forge) = forge().await;
    for alg in ["none", "None", "NONE", "HS256", "RS256", "ES256", "eddsa", "Ed25519", ""] {
        refused(&app, &forge.with_header("alg", json!(alg))).await;
    }
    // No signature at all.
    for alg in ["none", "EdDSA"] {
        let mut header = forge.header.clone();
        header["alg"] = json!(alg);
        let message =
            format!("{}.{}.", base64url(header.to_string()), base64url(forge.claims.to_string()));
        refused(&app, &message).await;
    }
    // The public key, in every form that is at hand, as the secret of a MAC.
    let keys = app.get("/.well-known/jwks.json").await.json();
    let x = keys["keys"][0]["x"].as_str().unwrap().to_owned();
    let raw = from_base64url(&x).unwrap();
    for secret in [raw, x.into_bytes(), keys["keys"][0].to_string().into_bytes()] {
        let mut header = forge.header.clone();
        header["alg"] = json!("HS256");
        let message =
            format!("{}.{}", base64url(header.to_string()), base64url(forge.claims.to_string()));
        let key = EncodingKey::from_secret(&secret);
        let mac = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
        refused(&app, &format!("{message}.{mac}")).await;
    }
}

#[rocket::async_test]
async fn sr_31_a_key_is_looked_up_and_never_fetched() {
    let (app, forge) = forge().await;
    let long = "A".repeat(5000);
    for kid in [
        "",
        "unknown",
        "../../../../dev/null",
        "/etc/passwd",
        "http://evil.example/key",
        "' OR 1=1 --",
        "\0",
        &long,
    ] {
        refused(&app, &forge.with_header("kid", json!(kid))).await;
    }
    for kid in [json!(null), json!(1), json!(["a"]), json!({})] {
        refused(&app, &forge.with_header("kid", kid)).await;
    }
    // Somebody else's key under our key's name, and under its own.
    let theirs = SigningKey::generate_pem().unwrap();
    let their_id = SigningKey::from_pem(&theirs).unwrap().id().to_owned();
    let theirs = Forge { key: ed25519(&theirs), ..forge };
    refused(&app, &theirs.sign(&theirs.header, &theirs.claims)).await;
    refused(&app, &theirs.with_header("kid", json!(their_id))).await;
}

#[rocket::async_test]
async fn sr_31_no_other_header_parameter_is_accepted() {
    let (app, forge) = forge().await;
    let key = app.get("/.well-known/jwks.json").await.json()["keys"][0].clone();
    for (name, value) in [
        ("jku", json!("http://localhost:8000/.well-known/jwks.json")),
        ("jwk", key),
        ("x5u", json!("http://evil.example/")),
        ("x5c", json!(["MIIB"])),
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("zip", json!("DEF")),
        ("b64", json!(false)),
        ("cty", json!("JWT")),
        ("nonsense", json!(null)),
    ] {
        refused(&app, &forge.with_header(name, value)).await;
    }
    for missing in ["alg", "typ", "kid"] {
        let mut header = forge.header.clone();
        header.as_object_mut().unwrap().remove(missing);
        refused(&app, &forge.sign(&header, &forge.claims)).await;
    }
    // A parameter that comes twice, and headers that are no object.
    let header = forge.header.to_string();
    let twice = header.replacen('{', r#"{"alg":"EdDSA","#, 1);
    let claims = forge.claims.to_string();
    for header in
        [twice.as_str(), "[]", "null", "\"EdDSA\"", "{", "", "[\"EdDSA\",\"at+jwt\",\"k\"]"]
    {
        refused(&app, &forge.sign_text(header, &claims)).await;
    }
    let kid = forge.header["kid"].as_str().unwrap();
    let array = json!(["EdDSA", "at+jwt", kid]).to_string();
    refused(&app, &forge.sign_text(&array, &claims)).await;
}

#[rocket::async_test]
async fn a_token_that_is_too_long_is_not_looked_at() {
    let (app, forge) = forge().await;
    refused(&app, &forge.with_claim("padding", json!("x".repeat(4000)))).await;
    refused(&app, &"a".repeat(5000)).await;
    refused(&app, &".".repeat(5000)).await;
}

#[rocket::async_test]
async fn base64url_has_one_spelling() {
    let (app, forge) = forge().await;
    let token = app.cookie(ACCESS).unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    // 64 bytes leave four unused bits in the last character: all of them must be zero.
    let (start, last) = signature.split_at(signature.len() - 1);
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let position = alphabet.find(last).unwrap();
    let neighbour = &alphabet[position + 1..position + 2];
    refused(&app, &format!("{message}.{start}{neighbour}")).await;
    refused(&app, &format!("{token}=")).await;
    refused(&app, &format!("{token}==")).await;
    let padded = |text: String| URL_SAFE.encode(text);
    let header = padded(forge.header.to_string());
    let claims = padded(format!("{} ", forge.claims));
    let message = format!("{header}.{claims}");
    let signed = jsonwebtoken::crypto::sign(message.as_bytes(), &forge.key, Algorithm::EdDSA);
    if message.contains('=') {
        refused(&app, &format!("{message}.{}", signed.unwrap())).await;
    }
    refused(&app, &format!("{token}\u{e9}")).await;
    refused(&app, &token.replace('.', "%2E")).await;
}

#[rocket::async_test]
async fn nobody_signs_others_out_with_a_forged_token() {
    let (app, forge) = forge().await;
    let theirs = Forge { key: ed25519(&SigningKey::generate_pem().unwrap()), ..forge };
    let mallory = app.stranger();
    mallory.put_cookie(ACCESS, &theirs.sign(&theirs.header, &theirs.claims));
    mallory.put_cookie(REFRESH, &theirs.with_header("typ", json!("rt+jwt")));
    mallory.log_out().await.expect(204);
    app.me().await.expect(200);
    let other = theirs.with_claim("iss", json!("http://elsewhere.example"));
    app.bearer(Post, "/api/v1/auth/logout", &other).send().await.expect(204);
    app.me().await.expect(200);
}

#[test]
fn no_text_at_all_passes_for_a_token() {
    let runtime = rocket::tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let app = runtime.block_on(TestApp::light());
    let config =
        ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() };
    let part = "[A-Za-z0-9_-]{0,40}";
    let texts = prop_oneof![
        "[!-:<-~]{0,200}".prop_map(String::from),
        (part, part, part).prop_map(|(a, b, c)| format!("{a}.{b}.{c}")),
        "[a-z0-9.\"{}:,]{0,80}".prop_map(|text| format!(
            "{}.{}.AA",
            base64url(&text),
            base64url(text)
        )),
    ];
    let outcome = proptest::test_runner::TestRunner::new(config).run(&texts, |text| {
        runtime.block_on(async {
            let visitor = app.stranger();
            visitor.put_cookie(ACCESS, &text);
            visitor.put_cookie(REFRESH, &text);
            prop_assert_eq!(visitor.me().await.status.code, 401);
            prop_assert_eq!(visitor.refresh().await.status.code, 401);
            let bearer = visitor.bearer(Get, "/api/v1/me", &text).send().await;
            prop_assert_eq!(bearer.status.code, 401);
            prop_assert!(visitor.get("/login").await.status.code == 200);
            prop_assert!(visitor.get("/profile").await.status.code == 303);
            Ok(())
        })
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    runtime.block_on(async { drop(app) });
}
