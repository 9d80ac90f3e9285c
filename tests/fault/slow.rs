//! A Redis that takes its time, behind a proxy that holds every answer back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rocket::tokio;
use rocket::tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use rocket::tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use rocket::tokio::net::{TcpListener, TcpStream};

use super::*;

/// A way to a server on which answers take longer.
struct SlowRoad {
    port: u16,
    millis: Arc<AtomicU64>,
}

impl SlowRoad {
    async fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let millis = Arc::new(AtomicU64::new(0));
        let delay = Arc::clone(&millis);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", server)).await.expect("the server");
                let ((mut asks, to_client), (answers, mut to_server)) =
                    (client.into_split(), server.into_split());
                tokio::spawn(async move { copy(&mut asks, &mut to_server).await });
                tokio::spawn(hold_back(answers, to_client, Arc::clone(&delay)));
            }
        });
        Self { port, millis }
    }

    /// From now on every answer comes this much later.
    fn delay(&self, millis: u64) {
        self.millis.store(millis, Ordering::SeqCst);
    }
}

/// The road is long, not narrow: what follows closely also arrives closely.
async fn hold_back(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, millis: Arc<AtomicU64>) {
    let (sender, mut on_the_road) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut buffer = vec![0; 65536];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            let delay = Duration::from_millis(millis.load(Ordering::SeqCst));
            let arrival = tokio::time::Instant::now() + delay;
            if sender.send((arrival, buffer[..length].to_vec())).is_err() {
                return;
            }
        }
    });
    while let Some((arrival, bytes)) = on_the_road.recv().await {
        tokio::time::sleep_until(arrival).await;
        if to.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

async fn on_slow_road() -> (RedisServer, SlowRoad, TestApp) {
    let redis = RedisServer::start(Options::default());
    let road = SlowRoad::to(redis.port()).await;
    let app = on_redis_at(&format!("redis://127.0.0.1:{}", road.port)).await;
    app.register("ada@example.org").await;
    (redis, road, app)
}

#[rocket::async_test]
async fn redis_slow_is_waited_for() {
    let (_redis, road, app) = on_slow_road().await;
    road.delay(150);
    within(SESSION_LIMIT, "me", app.me()).await.expect(200);
    app.refresh().await.expect(200);
    app.stranger().log_in("ada@example.org").await;
    app.get("/readyz").await.expect(200);
    app.log_out().await.expect(204);
    app.me().await.expect(401);
}

#[rocket::async_test]
async fn redis_too_slow_answers_503() {
    let (_redis, road, app) = on_slow_road().await;
    road.delay(600);
    refused_for_now(within(SESSION_LIMIT, "me", app.me()).await);
    refused_for_now(within(SESSION_LIMIT, "refresh", app.refresh()).await);
    let visitor = app.stranger();
    let login = visitor.log_in_with("ada@example.org", PASSWORD);
    refused_for_now(within(SESSION_LIMIT, "login", login).await);
    road.delay(0);
    back(200, || app.me()).await;
    app.refresh().await.expect(200);
}
