//! The lines in which passwords wait to be hashed: turns go round among those who ask, so that one
//! who asks for many hashes waits for their own and keeps nobody else from theirs.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::LazyLock;

use super::pool::Job;

/// How many hashes of one account are computed at a time.
pub(super) const PER_ACCOUNT: usize = 2;

/// In which line somebody waits for a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precedence {
    /// Whose device or session is known. A flood of strangers neither fills this line nor is
    /// served before it.
    Known,
    /// Anybody.
    Stranger,
}

/// For whom a hash is computed: decides in which line it waits, and when its turn comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requester {
    pub(super) precedence: Precedence,
    /// Who takes turns with the others of the line.
    pub(super) turn: u64,
    /// The account whose password is hashed.
    pub(super) account: u64,
}

impl Requester {
    /// The owner of the account that is signed in to as `identifier`, in a session or on a device
    /// that is known. Takes turns with other accounts.
    pub fn known(identifier: &str) -> Self {
        let account = number(("account", identifier));
        Self { precedence: Precedence::Known, turn: account, account }
    }

    /// Anybody who tries to sign in as `identifier`, or to register with it, whether there is such
    /// an account or not. Takes turns with strangers from other places than `network`.
    pub fn stranger(identifier: &str, network: &[u8]) -> Self {
        let (turn, account) = (number(("network", network)), number(("account", identifier)));
        Self { precedence: Precedence::Stranger, turn, account }
    }

    /// The operator, on the command line.
    pub fn operator() -> Self {
        let operator = number("operator");
        Self { precedence: Precedence::Known, turn: operator, account: operator }
    }
}

/// A number that nobody outside can foresee, so that nobody can share another's turns on purpose.
fn number(name: impl Hash) -> u64 {
    static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    KEYS.hash_one(name)
}

/// How many hashes are being computed of each account.
#[derive(Default)]
pub(super) struct Running(HashMap<u64, usize>);

impl Running {
    fn has_room(&self, requester: Requester) -> bool {
        self.0.get(&requester.account).is_none_or(|running| *running < PER_ACCOUNT)
    }

    pub fn begin(&mut self, requester: Requester) {
        *self.0.entry(requester.account).or_default() += 1;
    }

    pub fn end(&mut self, requester: Requester) {
        if let Some(running) = self.0.get_mut(&requester.account) {
            *running -= 1;
            if *running == 0 {
                self.0.remove(&requester.account);
            }
        }
    }
}

/// What became of a job that came to a line.
pub(super) enum Entered {
    /// It waits.
    Waits,
    /// It waits in the place of this one, of the requester with the most jobs in the line.
    InPlaceOf(Job),
    /// The line is full, and nobody has more jobs in it than its own requester.
    Refused(Job),
}

/// Jobs that wait, each requester's in the order in which they came.
#[derive(Default)]
pub(super) struct Line {
    /// Who has jobs here, in the order of their turns.
    turns: VecDeque<u64>,
    waiting: HashMap<u64, VecDeque<Job>>,
    len: usize,
}

impl Line {
    pub fn len(&self) -> usize {
        self.len
    }

    /// Puts a job in the line, which holds at most `capacity`.
    pub fn enter(&mut self, job: Job, capacity: usize) -> Entered {
        if self.len >= capacity {
            // Callers who have gone away must not keep out those who are there.
            self.retain(|job| !job.is_given_up());
        }
        let mut displaced = None;
        if self.len >= capacity {
            let own = self.waiting.get(&job.requester.turn).map_or(0, VecDeque::len);
            let longest = self.waiting.iter().max_by_key(|(_, jobs)| jobs.len());
            let longest = longest.map(|(turn, jobs)| (*turn, jobs.len()));
            match longest {
                // Only if it is shorter afterwards than the other: nobody is moved for one's equal.
                Some((turn, most)) if own + 1 < most => displaced = self.take_last(turn),
                _ => return Entered::Refused(job),
            }
        }
        let turn = job.requester.turn;
        let jobs = self.waiting.entry(turn).or_default();
        if jobs.is_empty() {
            self.turns.push_back(turn);
        }
        jobs.push_back(job);
        self.len += 1;
        displaced.map_or(Entered::Waits, Entered::InPlaceOf)
    }

    /// Takes the next job out that may be computed while those that are `running` are.
    pub fn next(&mut self, running: &Running) -> Option<Job> {
        for place in 0..self.turns.len() {
            let turn = *self.turns.get(place)?;
            let jobs = self.waiting.get_mut(&turn)?;
            let Some(first) = jobs.iter().position(|job| running.has_room(job.requester)) else {
                continue;
            };
            let job = jobs.remove(first);
            self.turns.remove(place);
            if jobs.is_empty() {
                self.waiting.remove(&turn);
            } else {
                self.turns.push_back(turn);
            }
            self.len -= 1;
            return job;
        }
        None
    }

    /// Whether a job waits that may be computed while those that are `running` are.
    pub fn is_ready(&self, running: &Running) -> bool {
        self.waiting.values().flatten().any(|job| running.has_room(job.requester))
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    fn take_last(&mut self, turn: u64) -> Option<Job> {
        let job = self.waiting.get_mut(&turn)?.pop_back()?;
        self.len -= 1;
        Some(job)
    }

    fn retain(&mut self, keep: impl Fn(&Job) -> bool) {
        self.waiting.retain(|_, jobs| {
            jobs.retain(&keep);
            !jobs.is_empty()
        });
        self.turns.retain(|turn| self.waiting.contains_key(turn));
        self.len = self.waiting.values().map(VecDeque::len).sum();
    }
}
