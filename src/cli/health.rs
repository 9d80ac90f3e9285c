//! `doorward healthcheck`: asks the running server whether it is ready.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::report::Report;
use crate::app::StartError;
use crate::config::Server;

/// How long the server may take.
const PATIENCE: Duration = Duration::from_secs(3);

pub(super) async fn check(server: &Server) -> Result<Report, StartError> {
    if server.tls {
        return Err("a server that ends TLS itself is checked from outside".into());
    }
    let answer =
        tokio::time::timeout(PATIENCE, ask(server)).await.map_err(|_| "no answer in time")??;
    let status = answer.split(' ').nth(1).unwrap_or_default();
    if status == "200" {
        Ok(Report::new("ready", json!({ "ready": true })))
    } else {
        Err(format!("not ready: status {status}").into())
    }
}

async fn ask(server: &Server) -> std::io::Result<String> {
    // A server that listens everywhere also listens at home.
    let address = match server.address {
        IpAddr::V4(any) if any.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(any) if any.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        one => one,
    };
    let mut stream = TcpStream::connect(SocketAddr::new(address, server.port)).await?;
    stream
        .write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await?;
    let mut answer = Vec::new();
    stream.take(4096).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
