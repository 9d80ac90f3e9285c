//! Walks the chain and says where it breaks.

use std::collections::HashMap;
use std::fmt;

use super::chain::{Chain, Head, Row, Trail};
use super::store::AuditStore;
use super::witness::End;
use crate::error::Result;

/// How many rows are read at a time.
const PAGE: u32 = 1000;

/// Where the chain breaks first, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Break {
    /// The row at this place is not as it was written, or was never written by us.
    Altered(i64),
    /// There is no row at this place.
    Missing(i64),
    /// The row at this place belongs to another one.
    Moved {
        /// Where it stands.
        at: i64,
        /// Where it was written.
        from: i64,
    },
    /// What the database remembers of the end of the chain is missing or not as it was written.
    Head,
    /// What the database remembers of the beginning of the chain is missing or not as it was written.
    Start,
    /// What the database remembers of which trail this is, is missing or not as it was written.
    Name,
    /// There is no row, though there are accounts.
    Empty,
    /// The chain is whole, as far as it reaches back; the place of the checkpoint is before that.
    Outdated(i64),
    /// The chain is whole, but it is not the one that the checkpoint was taken from: at this place
    /// another row stands, or none.
    Checkpoint(i64),
}

impl Break {
    /// The place, where it is one.
    pub fn seq(&self) -> Option<i64> {
        match self {
            Self::Altered(seq)
            | Self::Missing(seq)
            | Self::Checkpoint(seq)
            | Self::Outdated(seq) => Some(*seq),
            Self::Moved { at, .. } => Some(*at),
            Self::Head | Self::Start | Self::Name | Self::Empty => None,
        }
    }

    /// The word for it, for programs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Altered(_) => "altered",
            Self::Missing(_) => "missing",
            Self::Moved { .. } => "moved",
            Self::Head => "head",
            Self::Start => "start",
            Self::Name => "name",
            Self::Empty => "empty",
            Self::Outdated(_) => "outdated",
            Self::Checkpoint(_) => "checkpoint",
        }
    }
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Altered(seq) => write!(f, "row {seq} was altered"),
            Self::Missing(seq) => write!(f, "row {seq} is missing"),
            Self::Moved { at, from } => write!(f, "row {at} was moved there from {from}"),
            Self::Head => f.write_str("the record of the chain's end was altered"),
            Self::Start => f.write_str("the record of the chain's beginning was altered"),
            Self::Name => {
                f.write_str("the record of which trail this is was altered, or there is none")
            }
            Self::Empty => f.write_str("there are accounts, and no event tells of them"),
            Self::Outdated(seq) => {
                write!(f, "row {seq}, that of the checkpoint, is too old to be kept")
            }
            Self::Checkpoint(0) => f.write_str("this is not the trail of the checkpoint"),
            Self::Checkpoint(seq) => write!(f, "row {seq} is not the one of the checkpoint"),
        }
    }
}

/// A place of the chain and the code of the row that stood there, noted outside the database; of a
/// trail without rows, 0 and its name. Written and read as `seq:mac`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The place.
    pub seq: i64,
    /// The row's code, or the trail's name.
    pub mac: String,
}

impl Checkpoint {
    /// Reads `seq:mac`.
    pub fn parse(text: &str) -> Option<Self> {
        let (seq, mac) = text.split_once(':')?;
        Some(Self { seq: seq.parse().ok()?, mac: mac.to_owned() })
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, self.mac)
    }
}

/// What a walk along the chain found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How many rows are good, counted from the first that is kept.
    pub good: i64,
    /// How many rows before that were removed, because they were too old.
    pub removed: i64,
    /// Which trail it is, if it has a name.
    pub trail: Option<String>,
    /// The last good row, to be noted outside the database.
    pub checkpoint: Option<Checkpoint>,
    /// Where the chain breaks, if it does.
    pub broken: Option<Break>,
}

/// Walks the whole chain, page by page, while servers go on adding to it and removing what is old.
pub(super) async fn walk(
    store: &dyn AuditStore,
    chain: &Chain,
    known: Option<&Checkpoint>,
) -> Result<Verdict> {
    let end = store.end(0).await?;
    let name = end.trail.as_ref().filter(|trail| chain.holds_name(trail)).cloned();
    let start = end.start.clone().filter(|start| chain.holds_start(start));
    let mut walk = Walk {
        store,
        chain,
        known,
        start: start.clone().unwrap_or_default(),
        good: 0,
        seq: 0,
        mac: String::new(),
        met: known.is_none_or(|known| {
            known.seq == 0 && name.as_ref().is_some_and(|name| name.id == known.mac)
        }),
        ends: false,
    };
    walk.begin();
    let head = end.head.as_ref();
    let is_nameless = name.is_none() && head.is_none_or(|head| head.seq == 0);
    let broken = match start {
        _ if end.trail.is_some() && name.is_none() || is_nameless && end.last.0 == 0 => {
            Some(Break::Name)
        }
        None => Some(Break::Start),
        Some(_) => walk.all(&end, name.as_ref()).await?,
    };
    let broken = match broken {
        Some(Break::Altered(seq)) => Some(walk.origin_of(seq).await?),
        None if !walk.met => known.map(|known| match known.seq < walk.start.seq {
            true if known.seq > 0 => Break::Outdated(known.seq),
            _ => Break::Checkpoint(known.seq),
        }),
        None if walk.seq == 0 && store.has_accounts().await? => Some(Break::Empty),
        other => other,
    };
    let trail = name.map(|name| name.id);
    let Walk { good, seq, mac, start, .. } = walk;
    let checkpoint = match &trail {
        _ if seq > 0 => Some(Checkpoint { seq, mac }),
        Some(name) => Some(Checkpoint { seq: 0, mac: name.clone() }),
        None => None,
    };
    Ok(Verdict { good, removed: start.seq, trail, checkpoint, broken })
}

/// The last good row, as far as the walk has come.
struct Walk<'c> {
    store: &'c dyn AuditStore,
    chain: &'c Chain,
    known: Option<&'c Checkpoint>,
    /// Where the chain begins.
    start: Head,
    /// How many rows were passed.
    good: i64,
    seq: i64,
    mac: String,
    /// Whether the checkpoint was passed, if there is one.
    met: bool,
    /// Whether the head that was there at first ends in a row that was passed.
    ends: bool,
}

impl Walk<'_> {
    /// Goes to where the chain begins.
    fn begin(&mut self) {
        (self.seq, self.mac) = (self.start.seq, self.start.mac.clone());
        let is_here = |known: &Checkpoint| known.seq == self.seq && known.mac == self.mac;
        self.met |= self.seq > 0 && self.known.is_some_and(is_here);
    }

    async fn all(&mut self, end: &End, trail: Option<&Trail>) -> Result<Option<Break>> {
        // A row and the head that counts it are committed together, and were read together.
        let (last, head) = (end.last.0.max(self.start.seq), end.head.as_ref());
        if let Some(broken) = self.rows(last, head).await? {
            return Ok(Some(broken));
        }
        Ok(match head {
            Some(head) if !self.chain.holds(trail, head) => Some(Break::Head),
            Some(head) if last < head.seq => Some(Break::Missing(last + 1)),
            Some(head) if last == head.seq && self.ends => None,
            _ => Some(Break::Head),
        })
    }

    async fn rows(&mut self, last: i64, head: Option<&Head>) -> Result<Option<Break>> {
        let is_head = |walk: &Self| head.is_some_and(|h| h.seq == walk.seq && h.mac == walk.mac);
        self.ends = is_head(self);
        // Rows at places that we never give come first, if there are any.
        let mut after = i64::MIN;
        'pages: while self.seq < last {
            let page = self.store.rows_after(after, PAGE).await?;
            let first = page.first().map(|row| row.seq);
            if first.is_none_or(|first| first > self.seq + 1) {
                if !self.catch_up().await? {
                    return Ok(Some(Break::Missing(self.seq + 1)));
                }
                self.ends |= head.is_some_and(|head| head.seq <= self.seq);
                after = self.seq;
                continue 'pages;
            }
            for row in page {
                if self.seq == last {
                    break;
                }
                if let Some(broken) = self.step(&row) {
                    return Ok(Some(broken));
                }
                self.ends |= is_head(self);
                after = row.seq;
            }
        }
        Ok(None)
    }

    /// Goes on from where the chain begins by now, if rows ahead were removed meanwhile; whether so.
    async fn catch_up(&mut self) -> Result<bool> {
        let start = self.store.end(0).await?.start;
        let moved = start.filter(|start| start.seq > self.seq && self.chain.holds_start(start));
        let Some(start) = moved else { return Ok(false) };
        self.start = start;
        self.begin();
        Ok(true)
    }

    fn step(&mut self, row: &Row) -> Option<Break> {
        let next = self.seq + 1;
        if row.seq > next {
            return Some(Break::Missing(next));
        }
        if !self.chain.follows(self.seq, &self.mac, row) {
            return Some(Break::Altered(row.seq));
        }
        self.seq = next;
        self.mac.clone_from(&row.mac);
        self.good += 1;
        if let Some(known) = self.known.filter(|known| known.seq == next) {
            if known.mac != self.mac {
                return Some(Break::Checkpoint(next));
            }
            self.met = true;
        }
        None
    }

    /// Whether the wrong row at `seq` is a good row of another place.
    ///
    /// Its code was made with the code of the row before its true place. That row still stands there,
    /// or it is the one it changed places with.
    async fn origin_of(&self, seq: i64) -> Result<Break> {
        let mut suspect = None;
        let start = (self.start.seq, self.start.mac.clone());
        let mut macs: HashMap<i64, String> = HashMap::from([start]);
        let mut after = i64::MIN;
        loop {
            let page = self.store.rows_after(after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.seq;
            for row in page {
                macs.insert(row.seq, row.mac.clone());
                if row.seq == seq {
                    suspect = Some(row);
                }
            }
        }
        let Some(suspect) = suspect else { return Ok(Break::Altered(seq)) };
        let belongs = |from: i64| {
            [from - 1, from]
                .iter()
                .filter_map(|place| macs.get(place))
                .any(|before| self.chain.mac(before, from, &suspect.event) == suspect.mac)
        };
        let from = macs.keys().copied().filter(|place| *place != seq).find(|place| belongs(*place));
        Ok(from.map_or(Break::Altered(seq), |from| Break::Moved { at: seq, from }))
    }
}
