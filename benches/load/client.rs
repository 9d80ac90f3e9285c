//! A small HTTP/1.1 client (RFC 9112) that reuses its connection and costs the machine little.

use std::io;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::visitor::Visitor;

/// How long one answer may take before the run is given up.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// An answer; its body is read but not kept apart.
pub struct Answer<'a> {
    /// The status code.
    pub status: u16,
    /// Status line and header fields.
    pub head: &'a str,
}

impl<'a> Answer<'a> {
    /// The values of a header field, its name in lower case as Rocket's HTTP library sends it.
    pub fn header(&self, name: &'a str) -> impl Iterator<Item = &'a str> + use<'a> {
        self.head.split("\r\n").filter_map(move |line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The value of the cookie that the answer sets.
    pub fn cookie(&self, name: &str) -> Option<&'a str> {
        self.header("set-cookie").find_map(|cookie| {
            let (found, rest) = cookie.split_once('=')?;
            (found == name).then(|| rest.split(';').next())?
        })
    }
}

/// A connection that is kept.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects to a server on this machine.
    pub async fn open(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(8 * 1024) })
    }

    /// Sends a request and reads its answer to the end.
    pub async fn exchange(&mut self, request: &[u8]) -> io::Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let head_end = loop {
            if let Some(at) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            self.read_more().await?;
        };
        let head = || std::str::from_utf8(&self.buffer[..head_end]).map_err(|_| malformed());
        let answer = Answer { status: 0, head: head()? };
        let status = answer.head.get(9..12).and_then(|code| code.parse().ok());
        let length = answer.header("content-length").next().and_then(|text| text.parse().ok());
        let status: u16 = status.ok_or_else(malformed)?;
        // All that we ask for says its length, or has none.
        let length: usize = if status == 204 { 0 } else { length.ok_or_else(malformed)? };
        while self.buffer.len() < head_end + length {
            self.read_more().await?;
        }
        let head = std::str::from_utf8(&self.buffer[..head_end]).map_err(|_| malformed())?;
        Ok(Answer { status, head })
    }

    async fn read_more(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the answer is not the HTTP that was expected")
}

/// What a load came to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Answers a second.
    pub rate: f64,
    /// How many answers there were.
    pub answers: usize,
    /// The median of the answers' times.
    pub p50: Duration,
    /// What 99 of 100 answers stay under.
    pub p99: Duration,
}

/// Lets every visitor ask again and again for `duration`, each on a connection of its own. The
/// visitors come back for the next round.
///
/// # Errors
/// A connection fails, or an answer is not the expected one: a load with failures measures nothing.
pub async fn load(
    port: u16,
    visitors: Vec<Visitor>,
    duration: Duration,
) -> io::Result<(Outcome, Vec<Visitor>)> {
    let began = Instant::now();
    let until = began + duration;
    let tasks: Vec<_> =
        visitors.into_iter().map(|visitor| tokio::spawn(visit(port, visitor, until))).collect();
    let mut times = Vec::new();
    let mut visitors = Vec::new();
    for task in tasks {
        let (visitor, its_times) = task.await.map_err(io::Error::other)??;
        visitors.push(visitor);
        times.extend(its_times);
    }
    let elapsed = began.elapsed();
    times.sort_unstable();
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
    let rate = times.len() as f64 / elapsed.as_secs_f64();
    let outcome = Outcome { rate, answers: times.len(), p50: at(50), p99: at(99) };
    Ok((outcome, visitors))
}

async fn visit(
    port: u16,
    mut visitor: Visitor,
    until: Instant,
) -> io::Result<(Visitor, Vec<Duration>)> {
    let mut connection = Connection::open(port).await?;
    let mut times = Vec::new();
    loop {
        let asked = Instant::now();
        if asked >= until {
            return Ok((visitor, times));
        }
        let answer = tokio::time::timeout(ANSWER_LIMIT, connection.exchange(visitor.request()));
        let answer = answer.await.map_err(|_| io::ErrorKind::TimedOut)??;
        times.push(asked.elapsed());
        visitor.take(&answer)?;
    }
}
