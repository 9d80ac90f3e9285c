//! The chain: each row carries a code over itself and the row before, under a key that the database
//! does not have.

use aws_lc_rs::hmac;

use super::event::Event;
use crate::id::{base64url, constant_time_eq};
use crate::token::key::MasterSecret;

/// An event at its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its place: 1 is the first.
    pub seq: i64,
    /// What happened.
    pub event: Event,
    /// The code over the event, its place and the code before it, in base64url.
    pub mac: String,
}

/// An end of the chain, as the database remembers it: without it, rows missing there would not be
/// missed. The last end is the last row; the first one, the last row that retention removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The place of the row; 0 if there never was one.
    pub seq: i64,
    /// The code of the row; empty if there never was one.
    pub mac: String,
    /// The code over both: who can write to the database, but has not the key, cannot make one.
    pub seal: String,
}

/// What the seal of the last row begins with, so that it is no seal of the beginning.
const LAST: &[u8] = b"end";
/// What the seal of the beginning begins with.
const FIRST: &[u8] = b"start";

/// Makes and checks codes: HMAC-SHA-256 under a key derived from the server's secret.
pub struct Chain(hmac::Key);

impl Chain {
    /// The chain of the servers that share this secret.
    pub fn new(secret: &MasterSecret) -> Self {
        Self(secret.derive(b"doorward/audit/v1"))
    }

    /// The code of `event` at the place `seq`, after a row with the code `before`.
    pub fn mac(&self, before: &str, seq: i64, event: &Event) -> String {
        self.code(&encoding(before, seq, event))
    }

    /// Whether `row` is as it was written, right behind the row at `seq` with the code `mac`.
    pub fn follows(&self, seq: i64, mac: &str, row: &Row) -> bool {
        let code = self.mac(mac, row.seq, &row.event);
        row.seq == seq + 1 && constant_time_eq(code.as_bytes(), row.mac.as_bytes())
    }

    /// The end of a chain whose last row is at `seq` and has the code `mac`.
    pub fn seal(&self, seq: i64, mac: &str) -> Head {
        self.sealed(LAST, seq, mac)
    }

    /// The beginning of a chain whose rows up to the one at `seq`, with the code `mac`, were removed.
    pub fn seal_start(&self, seq: i64, mac: &str) -> Head {
        self.sealed(FIRST, seq, mac)
    }

    /// Whether we made this head. That of an empty table comes with the table.
    pub fn holds(&self, head: &Head) -> bool {
        self.is_ours(LAST, head)
    }

    /// Whether we made this beginning. That of a whole chain comes with the table.
    pub fn holds_start(&self, start: &Head) -> bool {
        self.is_ours(FIRST, start)
    }

    fn sealed(&self, end: &[u8], seq: i64, mac: &str) -> Head {
        let seal = self.code(&[end, &seq.to_be_bytes(), mac.as_bytes()].concat());
        Head { seq, mac: mac.to_owned(), seal }
    }

    fn is_ours(&self, end: &[u8], head: &Head) -> bool {
        if head.seq == 0 {
            return *head == Head::default();
        }
        let ours = self.sealed(end, head.seq, &head.mac);
        constant_time_eq(ours.seal.as_bytes(), head.seal.as_bytes())
    }

    /// Continues a chain by `events`: their rows, and the new head.
    ///
    /// A head that is not ours gets no seal from us: rows could be cut off the end, and the next
    /// append would make it look right again. What comes after is recorded all the same.
    pub fn extend(&self, head: &Head, events: &[Event]) -> (Vec<Row>, Head) {
        let mut rows = Vec::with_capacity(events.len());
        let (mut seq, mut mac) = (head.seq, head.mac.clone());
        for event in events {
            seq += 1;
            mac = self.mac(&mac, seq, event);
            rows.push(Row { seq, event: event.clone(), mac: mac.clone() });
        }
        let head = if self.holds(head) {
            self.seal(seq, &mac)
        } else {
            Head { seq, mac, seal: "broken".to_owned() }
        };
        (rows, head)
    }

    fn code(&self, message: &[u8]) -> String {
        base64url(hmac::sign(&self.0, message))
    }
}

/// What a row's code is over: each field with its length, so that no two rows encode alike.
fn encoding(before: &str, seq: i64, event: &Event) -> Vec<u8> {
    let mut message = b"row".to_vec();
    message.extend_from_slice(&seq.to_be_bytes());
    message.extend_from_slice(&event.at.as_millis().to_be_bytes());
    for text in [
        Some(before),
        Some(event.id.as_str()),
        Some(&event.kind),
        event.actor.as_deref(),
        event.subject.as_deref(),
        event.ip.as_deref(),
        Some(&event.result),
        event.request_id.as_deref(),
        event.detail.as_deref(),
    ] {
        match text {
            None => message.push(0),
            Some(text) => {
                message.push(1);
                message.extend_from_slice(&(text.len() as u64).to_be_bytes());
                message.extend_from_slice(text.as_bytes());
            }
        }
    }
    message
}
