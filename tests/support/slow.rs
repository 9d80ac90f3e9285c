//! Clients that send the header of a request a byte at a time.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

/// Connections whose requests never become complete.
pub struct SlowClients {
    begun: Instant,
    streams: Vec<TcpStream>,
}

impl SlowClients {
    /// Opens this many connections to the port, and begins a request on each.
    pub fn connect(port: u16, count: usize) -> Self {
        let begun = Instant::now();
        let connect = || {
            let mut stream =
                TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the proxy lets us in");
            let head = format!("GET /login HTTP/1.1\r\nHost: localhost:{port}\r\nX-Slow: ");
            stream.write_all(head.as_bytes()).expect("sent");
            stream
        };
        Self { begun, streams: (0..count).map(|_| connect()).collect() }
    }

    /// Runs `meanwhile` over and over while they send, until all are cut off.
    ///
    /// # Panics
    /// When some are still there after 25 s, or all were cut off before 9 s.
    #[track_caller]
    pub fn assert_cut_off(mut self, mut meanwhile: impl FnMut()) {
        let count = self.streams.len();
        while !self.streams.is_empty() && self.begun.elapsed() < Duration::from_secs(25) {
            meanwhile();
            // They go on sending, so that no time limit between two reads ends them.
            self.streams.retain_mut(|stream| stream.write_all(b"a").is_ok() && !is_closed(stream));
            std::thread::sleep(Duration::from_millis(200));
        }
        assert!(self.streams.is_empty(), "{} of {count} are still there", self.streams.len());
        let took = self.begun.elapsed();
        assert!(took >= Duration::from_secs(9), "nobody has to be that fast: {took:?}");
    }
}

/// Whether the other side has hung up, after what it may have said.
fn is_closed(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).expect("a socket");
    let mut answer = [0; 1024];
    loop {
        match stream.read(&mut answer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != io::ErrorKind::WouldBlock,
        }
    }
}
