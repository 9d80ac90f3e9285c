//! Walks the chain and says where it breaks.

use std::collections::HashMap;
use std::fmt;

use super::chain::{Chain, Head, Row};
use super::store::AuditStore;
use crate::error::Result;
use crate::id::constant_time_eq;

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
    /// The chain is whole, but it is not the one that the checkpoint was taken from: at this place
    /// another row stands, or none.
    Checkpoint(i64),
}

impl Break {
    /// The place, where it is one.
    pub fn seq(&self) -> Option<i64> {
        match self {
            Self::Altered(seq) | Self::Missing(seq) | Self::Checkpoint(seq) => Some(*seq),
            Self::Moved { at, .. } => Some(*at),
            Self::Head => None,
        }
    }

    /// The word for it, for programs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Altered(_) => "altered",
            Self::Missing(_) => "missing",
            Self::Moved { .. } => "moved",
            Self::Head => "head",
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
            Self::Checkpoint(seq) => write!(f, "row {seq} is not the one of the checkpoint"),
        }
    }
}

/// A place of the chain and the code of the row that stood there, noted outside the database.
/// Written and read as `seq:mac`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The place.
    pub seq: i64,
    /// The row's code.
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
    /// How many rows are good, counted from the first.
    pub good: i64,
    /// The last good row, to be noted outside the database; `None` if there is none.
    pub checkpoint: Option<Checkpoint>,
    /// Where the chain breaks, if it does.
    pub broken: Option<Break>,
}

/// Walks the whole chain, page by page, while servers go on adding to it.
pub(super) async fn walk(
    store: &dyn AuditStore,
    chain: &Chain,
    known: Option<&Checkpoint>,
) -> Result<Verdict> {
    // The head before and after: servers may add rows meanwhile, and a row and the head that counts
    // it are committed together.
    let before = store.head().await?;
    let last = store.last_seq().await?;
    let after = store.head().await?;
    let heads: Vec<&Head> = before.iter().chain(&after).collect();
    let mut walk = Walk { chain, seq: 0, mac: String::new(), met: known.is_none(), ends: false };
    let broken = walk.rows(store, last, known, before.as_ref()).await?;
    let broken = broken.or_else(|| match (&before, &after) {
        (Some(before), _) if chain.holds(before) && last < before.seq => {
            Some(Break::Missing(last + 1))
        }
        (Some(before), Some(after)) if before.seq <= last && last <= after.seq && walk.ends => {
            heads.iter().any(|head| !chain.holds(head)).then_some(Break::Head)
        }
        _ => Some(Break::Head),
    });
    let broken = match (broken, known) {
        (None, Some(known)) if !walk.met => Some(Break::Checkpoint(known.seq)),
        (broken, _) => broken,
    };
    let broken = match broken {
        Some(Break::Altered(seq)) => Some(origin_of(store, chain, seq).await?),
        other => other,
    };
    let Walk { seq, mac, .. } = walk;
    let checkpoint = (seq > 0).then_some(Checkpoint { seq, mac });
    Ok(Verdict { good: seq, checkpoint, broken })
}

/// The last good row, as far as the walk has come.
struct Walk<'c> {
    chain: &'c Chain,
    seq: i64,
    mac: String,
    /// Whether the checkpoint was passed, if there is one.
    met: bool,
    /// Whether the head that was there at first ends in a row that was passed.
    ends: bool,
}

impl Walk<'_> {
    async fn rows(
        &mut self,
        store: &dyn AuditStore,
        last: i64,
        known: Option<&Checkpoint>,
        head: Option<&Head>,
    ) -> Result<Option<Break>> {
        let is_head = |walk: &Self| head.is_some_and(|h| h.seq == walk.seq && h.mac == walk.mac);
        self.ends = is_head(self);
        // Rows at places that we never give come first, if there are any.
        let mut after = i64::MIN;
        while self.seq < last {
            let page = store.rows_after(after, PAGE).await?;
            if page.is_empty() {
                return Ok(Some(Break::Missing(self.seq + 1)));
            }
            for row in page {
                if self.seq == last {
                    break;
                }
                if let Some(broken) = self.step(&row, known) {
                    return Ok(Some(broken));
                }
                self.ends |= is_head(self);
                after = row.seq;
            }
        }
        Ok(None)
    }

    fn step(&mut self, row: &Row, known: Option<&Checkpoint>) -> Option<Break> {
        let next = self.seq + 1;
        if row.seq > next {
            return Some(Break::Missing(next));
        }
        let mac = self.chain.mac(&self.mac, row.seq, &row.event);
        if row.seq < next || !constant_time_eq(mac.as_bytes(), row.mac.as_bytes()) {
            return Some(Break::Altered(row.seq));
        }
        self.seq = next;
        self.mac = mac;
        if let Some(known) = known.filter(|known| known.seq == next) {
            if known.mac != self.mac {
                return Some(Break::Checkpoint(next));
            }
            self.met = true;
        }
        None
    }
}

/// Whether the wrong row at `seq` is a good row of another place.
///
/// Its code was made with the code of the row before its true place. That row still stands there,
/// or it is the one it changed places with.
async fn origin_of(store: &dyn AuditStore, chain: &Chain, seq: i64) -> Result<Break> {
    let mut suspect = None;
    let mut macs: HashMap<i64, String> = HashMap::from([(0, String::new())]);
    let mut after = i64::MIN;
    loop {
        let page = store.rows_after(after, PAGE).await?;
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
            .any(|before| chain.mac(before, from, &suspect.event) == suspect.mac)
    };
    let from = macs.keys().copied().filter(|place| *place != seq).find(|place| belongs(*place));
    Ok(from.map_or(Break::Altered(seq), |from| Break::Moved { at: seq, from }))
}
