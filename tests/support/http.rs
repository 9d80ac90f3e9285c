//! A small blocking HTTP/1.1 client (RFC 9112) over a plain socket, for probing servers.
//!
//! It needs no async runtime, so it also works in a `Drop` and before a test has one.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// An answer, its body read to the end.
#[derive(Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The header fields in the order they came, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The content, without the transfer coding.
    pub body: Vec<u8>,
}

impl Response {
    /// The value of the first header field of this name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The content as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The content as JSON, `null` when it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// Sends one GET to a server on 127.0.0.1.
///
/// # Errors
/// When the server cannot be reached, takes more than 30 s or does not speak HTTP.
pub fn get(port: u16, path: &str) -> io::Result<Response> {
    request(port, "GET", path, &[], b"")
}

/// Sends one request to a server on 127.0.0.1, with `Host: localhost:<port>`.
///
/// # Errors
/// When the server cannot be reached, takes more than 30 s or does not speak HTTP.
pub fn request(
    port: u16,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Response> {
    let mut stream = connect(port)?;
    let mut message = format!("{method} {path} HTTP/1.1\r\nHost: localhost:{port}\r\n");
    for (name, value) in headers {
        message.push_str(&format!("{name}: {value}\r\n"));
    }
    message.push_str(&format!("Content-Length: {}\r\nConnection: close\r\n\r\n", body.len()));
    let mut message = message.into_bytes();
    message.extend_from_slice(body);
    stream.write_all(&message)?;
    read_response(&mut BufReader::new(stream))
}

/// Sends these bytes to a server on 127.0.0.1, and returns all that it answers until it hangs up.
///
/// # Errors
/// When the server cannot be reached or takes more than 30 s.
pub fn raw(port: u16, message: &str) -> io::Result<String> {
    let mut stream = connect(port)?;
    stream.write_all(message.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// A request whose head a server has taken in, and whose body it waits for.
pub struct Begun(BufReader<TcpStream>);

impl Begun {
    /// Sends the head of a request, with `Expect: 100-continue` (RFC 9110 §10.1.1): it returns when
    /// the route asks for the body, so the request runs.
    ///
    /// # Errors
    /// When the server cannot be reached, or answers instead of asking for the body.
    pub fn send(
        port: u16,
        method: &str,
        path: &str,
        kind: &str,
        length: usize,
    ) -> io::Result<Self> {
        let mut stream = connect(port)?;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Type: {kind}\r\n\
             Content-Length: {length}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes())?;
        let mut reader = BufReader::new(stream);
        let status_line = read_line(&mut reader)?;
        if !status_line.contains(" 100 ") || !read_line(&mut reader)?.is_empty() {
            return Err(malformed(&status_line));
        }
        Ok(Self(reader))
    }

    /// Sends the body and reads the answer.
    ///
    /// # Errors
    /// When no answer comes.
    pub fn finish(mut self, body: &[u8]) -> io::Result<Response> {
        self.0.get_mut().write_all(body)?;
        read_response(&mut self.0)
    }
}

/// A connection that is given up when nothing comes for 30 s.
fn connect(port: u16) -> io::Result<TcpStream> {
    const LIMIT: Duration = Duration::from_secs(30);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    Ok(stream)
}

fn read_response(reader: &mut impl BufRead) -> io::Result<Response> {
    let status_line = read_line(reader)?;
    let status = status_line.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| malformed(&status_line))?;
    let mut headers = Vec::new();
    loop {
        let line = read_line(reader)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| malformed(&line))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut response = Response { status, headers, body: Vec::new() };
    response.body = read_body(reader, &response)?;
    Ok(response)
}

fn read_body(reader: &mut impl BufRead, response: &Response) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if response.header("transfer-encoding").is_some_and(|coding| coding.contains("chunked")) {
        loop {
            let line = read_line(reader)?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(size, 16).map_err(|_| malformed(&line))?;
            reader.by_ref().take(size).read_to_end(&mut body)?;
            read_line(reader)?;
            if size == 0 {
                return Ok(body);
            }
        }
    }
    let length = response.header("content-length").and_then(|length| length.parse().ok());
    reader.by_ref().take(length.unwrap_or(u64::MAX)).read_to_end(&mut body)?;
    Ok(body)
}

fn read_line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn malformed(line: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not HTTP: {line:?}"))
}
