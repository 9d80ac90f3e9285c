//! A server that ends TLS itself. `tests/tls` runs these.

use std::path::Path;
use std::process::Command;

use crate::support::binary::background;
use crate::support::{START_LIMIT, find_program, free_port, scratch_dir, wait_until};

/// Runs a program; what it wrote.
fn output(program: &str, arguments: &[&str]) -> String {
    let program = find_program(&[program], program).unwrap_or_else(|reason| panic!("{reason}"));
    let done = Command::new(program).args(arguments).output().expect("it runs");
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// A certificate for this machine that nobody has signed, and its key.
fn certificate(folder: &Path) -> (String, String) {
    let file = |name: &str| folder.join(name).to_str().expect("UTF-8").to_owned();
    let (certs, key) = (file("cert.pem"), file("key.pem"));
    let kind = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost -days 1";
    let kind = kind.split(' ').chain(["-keyout", &key, "-out", &certs]);
    output("openssl", &kind.collect::<Vec<_>>());
    (certs, key)
}

#[test]
fn a_server_with_tls_offers_no_http_2() {
    let folder = scratch_dir("tls");
    let (certs, key) = certificate(folder.path());
    let port = free_port().to_string();
    let tls = format!("{{certs=\"{certs}\",key=\"{key}\"}}");
    let data = folder.path().to_str().expect("UTF-8");
    let (_directory, _daemon, lines) = background(
        &[],
        &[("ROCKET_PORT", &*port), ("ROCKET_TLS", &*tls), ("DOORWARD_DATA_DIR", data)],
    );
    let url = format!("https://localhost:{port}/livez");
    let version = |asked: &str| {
        output(
            "curl",
            &["-sk", asked, "-o", "/dev/null", "-w", "%{http_code} %{http_version}", &url],
        )
    };
    let serves = || version("--http1.1") == "200 1.1";
    assert!(wait_until(START_LIMIT, serves), "{:?}", lines.all());
    assert_eq!(version("--http2"), "200 1.1");
    // Asked for by name (RFC 7301), and begun without asking (RFC 9113 §3.3).
    let place = format!("localhost:{port}");
    let offered = output("openssl", &["s_client", "-connect", &place, "-alpn", "h2,http/1.1"]);
    assert!(offered.contains("ALPN protocol: http/1.1"), "{offered}");
    assert_ne!(version("--http2-prior-knowledge"), "200 2");
}
