//! A collector of traces that keeps what it is sent: OTLP/HTTP with protobuf, as far as tests look.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

/// A collector on a free port, for as long as the test process runs.
pub struct Collector {
    port: u16,
    bodies: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// A span as it was sent.
#[derive(Clone, Debug, Default)]
pub struct Span {
    pub name: String,
    pub trace: Vec<u8>,
    pub id: Vec<u8>,
    pub parent: Vec<u8>,
    /// 1 internal, 2 server, 3 client.
    pub kind: u64,
    pub attributes: BTreeMap<String, String>,
    /// 2 is an error.
    pub status: u64,
}

impl Collector {
    /// Starts it.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let bodies: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let kept = Arc::clone(&bodies);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if let Some(body) = take(stream) {
                    kept.lock().unwrap_or_else(PoisonError::into_inner).push(body);
                }
            }
        });
        Self { port, bodies }
    }

    /// What the setting `telemetry.otlp_endpoint` is.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// All that was sent, as it was sent.
    pub fn raw(&self) -> String {
        let bodies = self.bodies.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bodies.concat()).into_owned()
    }

    /// All spans that were sent.
    pub fn spans(&self) -> Vec<Span> {
        let bodies = self.bodies.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut spans = Vec::new();
        for body in &bodies {
            for resource in inner(body, 1) {
                for scope in inner(resource, 2) {
                    spans.extend(inner(scope, 2).into_iter().map(span));
                }
            }
        }
        spans
    }
}

/// Reads one request and answers it; its body, if it was for traces.
fn take(mut stream: TcpStream) -> Option<Vec<u8>> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let (mut request, mut length) = (String::new(), 0);
    reader.read_line(&mut request).ok()?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    stream.write_all(answer).ok()?;
    request.starts_with("POST /v1/traces ").then_some(body)
}

/// A field of a protobuf message.
enum Value<'b> {
    Number(u64),
    Bytes(&'b [u8]),
}

/// The fields of a protobuf message, by their numbers.
fn fields(mut rest: &[u8]) -> Vec<(u64, Value<'_>)> {
    let mut found = Vec::new();
    while !rest.is_empty() {
        let key = varint(&mut rest);
        let value = match key & 7 {
            0 => Value::Number(varint(&mut rest)),
            1 => Value::Bytes(rest.split_off(..8).expect("8 bytes")),
            2 => {
                let length = usize::try_from(varint(&mut rest)).expect("a length");
                Value::Bytes(rest.split_off(..length).expect("all of it"))
            }
            5 => Value::Bytes(rest.split_off(..4).expect("4 bytes")),
            other => panic!("no wire type: {other}"),
        };
        found.push((key >> 3, value));
    }
    found
}

fn varint(rest: &mut &[u8]) -> u64 {
    let (mut number, mut shift) = (0, 0);
    loop {
        let byte = *rest.split_off_first().expect("a byte");
        number |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 {
            return number;
        }
    }
}

/// The messages in the fields of this number.
fn inner(message: &[u8], number: u64) -> Vec<&[u8]> {
    let bytes = |(found, value)| match value {
        Value::Bytes(bytes) if found == number => Some(bytes),
        _ => None,
    };
    fields(message).into_iter().filter_map(bytes).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn span(message: &[u8]) -> Span {
    let mut span = Span::default();
    for (number, value) in fields(message) {
        match (number, value) {
            (1, Value::Bytes(bytes)) => span.trace = bytes.to_vec(),
            (2, Value::Bytes(bytes)) => span.id = bytes.to_vec(),
            (4, Value::Bytes(bytes)) => span.parent = bytes.to_vec(),
            (5, Value::Bytes(bytes)) => span.name = text(bytes),
            (6, Value::Number(kind)) => span.kind = kind,
            (9, Value::Bytes(bytes)) => span.attributes.extend(attribute(bytes)),
            (15, Value::Bytes(bytes)) => {
                for (number, value) in fields(bytes) {
                    if let (3, Value::Number(code)) = (number, value) {
                        span.status = code;
                    }
                }
            }
            _ => {}
        }
    }
    span
}

fn attribute(message: &[u8]) -> Option<(String, String)> {
    let name = text(inner(message, 1).first()?);
    let value = inner(message, 2).first().and_then(|value| fields(value).into_iter().next());
    Some((
        name,
        match value? {
            (1, Value::Bytes(bytes)) => text(bytes),
            (_, Value::Number(number)) => number.to_string(),
            _ => return None,
        },
    ))
}
