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
/// missed. The last end is the last row, or the name of a trail that has none; the first one, the last
/// row that retention removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The place of the row; 0 if there never was one.
    pub seq: i64,
    /// The code of the row; empty if there never was one.
    pub mac: String,
    /// The code over both: who can write to the database, but has not the key, cannot make one.
    pub seal: String,
}

/// Which trail a database holds: a name, drawn when the trail begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trail {
    /// The name.
    pub id: String,
    /// The trail whose place it took on the operator's word; empty if there was none.
    pub follows: String,
    /// The code over both.
    pub seal: String,
}

/// What the seal of the last row begins with, so that it is no seal of anything else.
const LAST: &[u8] = b"end";
/// What the seal of the beginning begins with.
const FIRST: &[u8] = b"start";
/// What the seal of an end without rows begins with.
const EMPTY: &[u8] = b"empty";
/// What the seal of a trail's name begins with.
const NAME: &[u8] = b"trail";

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

    /// The name of a trail that takes the place of the trail `follows`, if that is not empty.
    pub fn name(&self, id: &str, follows: &str) -> Trail {
        let seal = self.code(&[NAME, id.as_bytes(), b"\0", follows.as_bytes()].concat());
        Trail { id: id.to_owned(), follows: follows.to_owned(), seal }
    }

    /// The end of `trail` while it has no row.
    pub fn seal_empty(&self, trail: &Trail) -> Head {
        let seal = self.code(&[EMPTY, trail.id.as_bytes()].concat());
        Head { seal, ..Head::default() }
    }

    /// Whether we gave this name.
    pub fn holds_name(&self, trail: &Trail) -> bool {
        let ours = self.name(&trail.id, &trail.follows);
        constant_time_eq(ours.seal.as_bytes(), trail.seal.as_bytes())
    }

    /// Whether we made this head. One without rows counts for the trail of its name alone: the head
    /// that comes with the table says nothing.
    pub fn holds(&self, trail: Option<&Trail>, head: &Head) -> bool {
        if head.seq != 0 {
            let ours = self.seal(head.seq, &head.mac);
            return constant_time_eq(ours.seal.as_bytes(), head.seal.as_bytes());
        }
        let Some(trail) = trail.filter(|trail| self.holds_name(trail)) else { return false };
        let ours = self.seal_empty(trail);
        head.mac.is_empty() && constant_time_eq(ours.seal.as_bytes(), head.seal.as_bytes())
    }

    /// Whether we made this beginning. That of a whole chain comes with the table.
    pub fn holds_start(&self, start: &Head) -> bool {
        if start.seq == 0 {
            return *start == Head::default();
        }
        let ours = self.seal_start(start.seq, &start.mac);
        constant_time_eq(ours.seal.as_bytes(), start.seal.as_bytes())
    }

    fn sealed(&self, end: &[u8], seq: i64, mac: &str) -> Head {
        let seal = self.code(&[end, &seq.to_be_bytes(), mac.as_bytes()].concat());
        Head { seq, mac: mac.to_owned(), seal }
    }

    /// Continues a chain by `events`: their rows, and the new head.
    ///
    /// Behind an end that is not `sound` the new head gets no seal: rows could be cut off the end, and
    /// the next append would make it look right again. What comes after is recorded all the same.
    pub fn extend(&self, head: &Head, sound: bool, events: &[Event]) -> (Vec<Row>, Head) {
        let mut rows = Vec::with_capacity(events.len());
        let (mut seq, mut mac) = (head.seq, head.mac.clone());
        for event in events {
            seq += 1;
            mac = self.mac(&mac, seq, event);
            rows.push(Row { seq, event: event.clone(), mac: mac.clone() });
        }
        let head = match sound {
            true => self.seal(seq, &mac),
            false => Head { seq, mac, seal: "broken".to_owned() },
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
