//! One key follows the other, and nobody notices (SR-39).

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use doorward::id::{Os, SecretString};
use doorward::token::key::{Algorithm, MasterSecret, Start};
use futures::future::{join, join_all};
use rocket::http::Method;

use super::{header, kid};
use crate::app::*;
use crate::on_every_backend;

on_every_backend! {
    async fn sr_39_a_key_is_published_then_signs_then_verifies_then_is_gone(app: TestApp) {
        app.register("ada@example.org").await;
        let first = kid(&app.access());
        assert_eq!(app.published().await, [first.as_str()]);

        let next = app.rotate(None, Start::AfterLead).await;
        assert_eq!(app.published().await, [first.clone(), next.id.clone()]);
        app.later(minutes(9));
        let grace = app.stranger();
        grace.register("grace@example.org").await;
        assert_eq!(kid(&grace.access()), first, "it is published, and does not sign");

        app.later(minutes(1));
        assert_eq!(app.published().await, [next.id.clone(), first.clone()]);
        grace.get("/api/v1/me").await.expect(200);
        assert_eq!(kid(&grace.access()), first, "its token is as good as ever");
        let edsger = app.stranger();
        edsger.register("edsger@example.org").await;
        assert_eq!(kid(&edsger.access()), next.id);

        app.later(minutes(10) + seconds(30));
        assert_eq!(app.published().await, [next.id]);
        let bearer = format!("Bearer {}", grace.access());
        let program = app.stranger();
        let ask = program.ask(Method::Get, "/api/v1/me").header("Authorization", &bearer);
        ask.send().await.expect_problem(401, "not_signed_in");
    }

    async fn sr_39_a_rotation_signs_nobody_out(app: TestApp) {
        app.create("ada@example.org", &["user"]).await;
        let early = app.stranger();
        let body = serde_json::json!({
            "email": "ada@example.org", "password": PASSWORD, "remember": true,
        });
        early.call(Method::Post, "/api/v1/auth/login", body).await.expect(200);
        let first = kid(&early.access());
        for _ in 0..3 {
            let next = app.rotate(None, Start::AfterLead).await;
            app.later(hours(72));
            assert_eq!(app.published().await, [next.id]);
        }
        early.get("/api/v1/me").await.expect(200);
        assert_eq!(app.published().await, [kid(&early.access())]);
        assert_ne!(kid(&early.access()), first);
        early.refresh().await.expect(200);
    }

    async fn sr_39_a_withdrawn_key_is_out_at_once_and_browsers_go_on(app: TestApp) {
        app.register("ada@example.org").await;
        let thief = app.stranger();
        let bearer = format!("Bearer {}", app.access());
        let with_it = || thief.ask(Method::Get, "/api/v1/me").header("Authorization", &bearer);
        with_it().send().await.expect(200);

        let new = app.rotate(None, Start::Now).await;
        assert_eq!(app.published().await, [new.id.as_str()]);
        with_it().send().await.expect_problem(401, "not_signed_in");
        app.get("/api/v1/me").await.expect(200);
        assert_eq!(kid(&app.access()), new.id);
    }

    async fn sr_39_the_public_keys_may_be_kept_for_half_the_lead(app: TestApp) {
        let answer = app.get("/.well-known/jwks.json").await.expect(200);
        assert_eq!(answer.header("Content-Type"), Some("application/jwk-set+json"));
        assert_eq!(answer.header("Cache-Control"), Some("public, max-age=300"));
        let tag = answer.header("ETag").expect("an entity tag").to_owned();
        let again = || app.ask(Method::Get, "/.well-known/jwks.json");
        let unchanged = again().header("If-None-Match", &tag).send().await.expect(304);
        assert!(unchanged.body.is_empty());
        assert_eq!(unchanged.header("Cache-Control"), Some("public, max-age=300"));
        app.rotate(None, Start::AfterLead).await;
        again().header("If-None-Match", &tag).send().await.expect(200);
    }

    async fn sr_39_a_database_without_its_secret_gives_no_key_away(app: TestApp) {
        let other = MasterSecret::generate_base64(&Os);
        let refused = app.command(&[("DOORWARD_KEYS_SECRET", other.expose())]).await.err();
        let told = refused.expect("it does not start").to_string();
        assert!(told.contains("sealed under another `keys.secret`"), "{told}");
        assert_eq!(app.published().await.len(), 1);
    }
}

async fn es256_from_end_to_end(backend: Backend) {
    let pem = Algorithm::Es256.generate_pem().expect("a key");
    let app = TestApp::boot_with(backend, &[("DOORWARD_KEYS_SIGNING", pem.expose())]).await;
    app.register("ada@example.org").await;
    assert_eq!(header(&app.access())["alg"], "ES256");
    app.get("/api/v1/me").await.expect(200);
    app.later(minutes(1));
    app.refresh().await.expect(200);
    app.get("/api/v1/me").await.expect(200);
    assert_eq!(app.jwks().await["keys"][0]["crv"], "P-256");

    let next = app.rotate(Some(Algorithm::EdDsa), Start::AfterLead).await;
    app.later(minutes(10));
    app.get("/api/v1/me").await.expect(200);
    assert_eq!(header(&app.access())["alg"], "EdDSA");
    assert_eq!(kid(&app.access()), next.id);
}

#[rocket::async_test]
async fn sr_30_es256_signs_from_end_to_end_sqlite_embedded() {
    es256_from_end_to_end(Backend::SqliteEmbedded).await;
}

#[rocket::async_test]
async fn sr_30_es256_signs_from_end_to_end_postgres_redis() {
    es256_from_end_to_end(Backend::PostgresRedis).await;
}

/// A browser whose requests go now to one replica, now to the other.
struct Wanderer([Visitor; 2]);

impl Wanderer {
    async fn new(replicas: [&TestApp; 2], email: &str) -> Self {
        let wanderer = Self(replicas.map(TestApp::stranger));
        wanderer.0[0].register(email).await;
        wanderer.carry(0);
        wanderer
    }

    /// Asks the replica `turn`, signed in with whatever the other one handed out.
    async fn step(&self, turn: usize) -> Answer {
        let here = &self.0[turn % 2];
        let answer = if turn.is_multiple_of(5) {
            here.refresh().await
        } else {
            here.get("/api/v1/me").await
        };
        self.carry(turn);
        answer
    }

    /// Takes the cookies of the replica `turn` to the other one.
    fn carry(&self, turn: usize) {
        let (here, there) = (&self.0[turn % 2], &self.0[(turn + 1) % 2]);
        for name in [ACCESS, REFRESH] {
            there.put_cookie(name, &here.cookie(name).expect("nobody signs it out"));
        }
    }
}

async fn two_replicas_rotate_without_one_failed_request(backend: Backend) {
    let one = TestApp::boot(backend).await;
    let other = one.replica().await;
    let emails = ["ada@example.org", "grace@example.org", "edsger@example.org", "alan@example.org"];
    let wanderers = join_all(emails.map(|email| Wanderer::new([&one, &other], email))).await;
    let (rotated, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let load = join_all(wanderers.iter().map(async |wanderer| {
        let mut turn = 0;
        while !rotated.load(Ordering::SeqCst) {
            turn += 1;
            let answer = wanderer.step(turn).await;
            assert_eq!(answer.status.code, 200, "request {turn}: {}", answer.text());
            asked.fetch_add(1, Ordering::SeqCst);
        }
    }));
    let rotations = async {
        for (rotation, app) in [&one, &other, &one].into_iter().enumerate() {
            let algorithm = [Algorithm::Es256, Algorithm::EdDsa][rotation % 2];
            app.keys().rotate(Some(algorithm), Start::AfterLead).await.expect("a new key");
            // Through the lead, and until the old key is gone. Between two looks of a replica at
            // the keys, requests go on.
            for _ in 0..24 {
                let before = asked.load(Ordering::SeqCst);
                while asked.load(Ordering::SeqCst) < before + 8 {
                    rocket::tokio::task::yield_now().await;
                }
                one.later(minutes(1));
                one.keys().tend().await.expect("the keys are read");
                other.keys().tend().await.expect("the keys are read");
            }
            assert_eq!(one.published().await.len(), 1);
            assert_eq!(one.jwks().await, other.jwks().await);
        }
        rotated.store(true, Ordering::SeqCst);
    };
    join(load, rotations).await;
    assert_eq!(one.keys().list().len(), 4);
}

#[rocket::async_test]
async fn sr_39_two_replicas_rotate_without_one_failed_request_sqlite_redis() {
    two_replicas_rotate_without_one_failed_request(Backend::SqliteRedis).await;
}

#[rocket::async_test]
async fn sr_39_two_replicas_rotate_without_one_failed_request_postgres_redis() {
    two_replicas_rotate_without_one_failed_request(Backend::PostgresRedis).await;
}

#[rocket::async_test]
async fn sr_39_a_replica_takes_the_token_of_a_key_that_it_has_not_heard_of() {
    let one = TestApp::boot(Backend::PostgresRedis).await;
    let other = one.replica().await;
    let ada = Wanderer::new([&one, &other], "ada@example.org").await;
    one.keys().rotate(None, Start::Now).await.expect("a new key");
    ada.step(2).await.expect(200);
    assert_ne!(kid(&ada.0[0].access()), other.published().await[0], "it has not looked yet");
    let bearer = SecretString::new(format!("Bearer {}", ada.0[0].access()));
    let program = other.stranger();
    let ask = program.ask(Method::Get, "/api/v1/me").header("Authorization", bearer.expose());
    ask.send().await.expect(200);
    assert_eq!(other.published().await, one.published().await);
}
