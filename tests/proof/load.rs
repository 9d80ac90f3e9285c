//! A load of people who use the replicas through nginx all the while, and judge every answer.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::Scope;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Dice, Jar, PROCESSES, Replicas};
use crate::app::{ACCESS, PASSWORD};
use crate::deploy::front::nginx;
use crate::person::Person;
use crate::support::http::{self, Response};
use crate::support::process::Daemon;
use crate::support::{free_port, wait_until};

/// How many people there are.
const PEOPLE: usize = 6;
/// How many sessions a person has at most.
const SESSIONS: usize = 4;
/// After how many good answers in a row all is well again for a person.
const WELL: u64 = 20;
/// What no answer may take, also where everybody waits for a processor: nothing hangs. That a store
/// which is away costs no more than a second (SR-70) is measured where one asks at a time.
const LIMIT: Duration = Duration::from_secs(8);
/// How long all may take to be well again.
const RECOVERY: Duration = Duration::from_secs(60);

/// People in front of nginx, with all replicas behind it.
pub struct Load<'r> {
    replicas: &'r Replicas,
    front: u16,
    done: AtomicBool,
    /// The good answers that each person got in a row.
    streaks: Vec<AtomicU64>,
    tally: Mutex<Tally>,
    _nginx: (TempDir, Daemon),
}

/// The end of a load.
pub struct Ending<'l>(&'l AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What came of it all.
#[derive(Default)]
pub struct Tally {
    /// Good answers, by what was asked.
    pub good: BTreeMap<&'static str, u64>,
    /// Answers that a store is away.
    pub refused: u64,
    /// When the last of those came.
    pub last_refused: Option<Instant>,
    /// Sessions that had ended, though nobody had ended them.
    pub lost: Vec<Lost>,
    /// Answers that nobody may get.
    pub faults: Vec<String>,
    /// The longest that an answer took.
    pub slowest: Duration,
    /// Sessions that live.
    pub live: Vec<Jar>,
    /// Sessions whose end was answered for.
    pub ended: Vec<Jar>,
}

/// A session that was lost.
pub struct Lost {
    /// When it was last changed, by a sign-in or a refresh that was answered for.
    pub changed_at: Instant,
    /// What was asked, and what was said.
    pub answer: String,
}

/// A session, as the browser knows it that has it.
struct Held {
    jar: Jar,
    changed_at: Instant,
    /// Somebody tried to end it and was told that a store is away: so it may have ended.
    leaving: bool,
}

impl<'r> Load<'r> {
    /// Puts nginx in front, and gives everybody an account.
    pub fn new(replicas: &'r Replicas) -> Self {
        let front = free_port();
        let servers: Vec<u16> = (0..PROCESSES).map(|process| replicas.port(process)).collect();
        let _nginx = nginx(front, &servers);
        for number in 0..PEOPLE {
            replicas.register(number, &email(number));
        }
        let streaks = (0..PEOPLE).map(|_| AtomicU64::new(0)).collect();
        let (done, tally) = (AtomicBool::new(false), Mutex::default());
        Self { replicas, front, done, streaks, tally, _nginx }
    }

    /// Lets everybody begin.
    pub fn begin<'s>(&'s self, scope: &'s Scope<'s, '_>) {
        for number in 0..PEOPLE {
            scope.spawn(move || self.live(number));
        }
    }

    /// What lets everybody stop when it goes, also where a proof fails: they would go on for ever.
    pub fn ending(&self) -> Ending<'_> {
        Ending(&self.done)
    }

    /// Waits until everybody has had so many good answers in a row from now on as show that all is
    /// well.
    ///
    /// # Panics
    /// When that takes too long, with what was said last.
    pub fn wait_well(&self) {
        self.streaks.iter().for_each(|streak| streak.store(0, Ordering::Relaxed));
        let well = || {
            self.streaks.iter().all(|streak| streak.load(Ordering::Relaxed) >= WELL)
                || !self.tally().faults.is_empty()
        };
        assert!(
            wait_until(RECOVERY, well),
            "not well again after {RECOVERY:?}: {:?}",
            self.streaks
        );
    }

    /// What has come of it up to now.
    pub fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails unless every session whose end was answered for is refused by every process, with both
    /// of its tokens, and every other one lives everywhere.
    pub fn assert_ends_hold(&self) {
        let tally = self.tally();
        assert!(!tally.ended.is_empty() && !tally.live.is_empty());
        for jar in &tally.ended {
            self.replicas.assert_dead(jar, "its end was answered for");
        }
        for jar in &tally.live {
            self.replicas.assert_alive(jar, "nobody ended it");
        }
        for process in 0..PROCESSES {
            assert_eq!(self.replicas.refreshes_on(process, "reused"), 0, "nobody has stolen");
        }
        assert_eq!(self.replicas.events("authn_token_reuse"), 0, "nobody has stolen");
    }

    /// What one person does.
    fn live(&self, number: usize) {
        let mut dice = Dice::of(number as u64);
        let mut sessions: Vec<Held> = Vec::new();
        while !self.done.load(Ordering::Relaxed) {
            let at = dice.roll(sessions.len().max(1) as u64) as usize;
            let what = dice.roll(100);
            match sessions.get_mut(at) {
                None => sessions.extend(self.sign_in(number)),
                Some(held) if held.leaving => self.sign_out(number, &mut sessions, at),
                Some(held) => {
                    let kept = match what {
                        0..50 => self.me(number, held),
                        50..65 => self.page(number, held),
                        65..85 => self.refresh(number, held),
                        _ if sessions.len() < SESSIONS && what < 93 => {
                            sessions.extend(self.sign_in(number));
                            true
                        }
                        _ => {
                            self.sign_out(number, &mut sessions, at);
                            true
                        }
                    };
                    if !kept {
                        sessions.remove(at);
                    }
                }
            }
            std::thread::sleep(dice.moment(Duration::from_millis(20)));
        }
        // Those that may have ended are neither.
        let live = sessions.into_iter().filter(|held| !held.leaving).map(|held| held.jar);
        self.tally().live.extend(live);
    }

    fn sign_in(&self, number: usize) -> Option<Held> {
        let mut browser = Person::at(self.front);
        let body = json!({ "email": email(number), "password": PASSWORD });
        let ask = || browser.call("POST", "/api/v1/auth/login", body);
        self.judge(number, "sign-in", 200, ask)?;
        Some(Held { jar: browser.jar, changed_at: Instant::now(), leaving: false })
    }

    /// Asks with the access token alone; false if the session is lost.
    fn me(&self, number: usize, held: &Held) -> bool {
        let bearer = format!("Bearer {}", held.jar[ACCESS]);
        let headers = [("Authorization", &*bearer)];
        let ask = || http::request(self.front, "GET", "/api/v1/me", &headers, b"");
        self.keeps(number, held, "me", ask)
    }

    /// Opens a page, which may refresh on the way; false if the session is lost.
    fn page(&self, number: usize, held: &mut Held) -> bool {
        let mut browser = self.browser(held);
        let kept =
            self.keeps(number, held, "page", || browser.send("GET", "/profile", "text/plain", ""));
        held.jar = browser.jar;
        kept
    }

    fn refresh(&self, number: usize, held: &mut Held) -> bool {
        let mut browser = self.browser(held);
        let kept = self.keeps(number, held, "refresh", || {
            browser.call("POST", "/api/v1/auth/refresh", Value::Null)
        });
        if browser.jar != held.jar {
            held.changed_at = Instant::now();
        }
        held.jar = browser.jar;
        kept
    }

    fn sign_out(&self, number: usize, sessions: &mut Vec<Held>, at: usize) {
        let mut browser = self.browser(&sessions[at]);
        let ask = || browser.call("POST", "/api/v1/auth/logout", Value::Null);
        if self.judge(number, "sign-out", 204, ask).is_some() {
            let held = sessions.remove(at);
            self.tally().ended.push(held.jar);
        } else {
            sessions[at].leaving = true;
        }
    }

    fn browser(&self, held: &Held) -> Person {
        let mut browser = Person::at(self.front);
        browser.jar = held.jar.clone();
        browser
    }

    /// Asks something that a live session is answered; false if it was said not to live.
    fn keeps(
        &self,
        number: usize,
        held: &Held,
        what: &'static str,
        ask: impl FnOnce() -> std::io::Result<Response>,
    ) -> bool {
        let mut ended = None;
        self.judge(number, what, 200, || {
            let answer = ask()?;
            if matches!(answer.status, 401 | 303) {
                ended = Some(answer.text());
            }
            Ok(answer)
        });
        let Some(said) = ended else { return true };
        let answer = format!("{what}: {said}");
        self.tally().lost.push(Lost { changed_at: held.changed_at, answer });
        false
    }

    /// Asks, and notes what is said; the answer, if it is the good one.
    fn judge(
        &self,
        number: usize,
        what: &'static str,
        good: u16,
        ask: impl FnOnce() -> std::io::Result<Response>,
    ) -> Option<Response> {
        let asked = Instant::now();
        let answer = ask();
        let took = asked.elapsed();
        let mut tally = self.tally();
        tally.slowest = tally.slowest.max(took);
        if took > LIMIT {
            tally.faults.push(format!("{what} took {took:?}"));
        }
        match answer {
            Ok(answer) if answer.status == good => {
                *tally.good.entry(what).or_default() += 1;
                self.streaks[number].fetch_add(1, Ordering::Relaxed);
                return Some(answer);
            }
            Ok(answer) if is_declared(&answer) => {
                tally.refused += 1;
                tally.last_refused = Some(Instant::now());
                self.streaks[number].store(0, Ordering::Relaxed);
            }
            // See `keeps`.
            Ok(answer) if good == 200 && what != "sign-in" && is_ended(&answer) => {}
            Ok(answer) => {
                tally.faults.push(format!("{what}: {}: {}", answer.status, answer.text()))
            }
            Err(error) => tally.faults.push(format!("{what}: {error}")),
        }
        None
    }
}

/// Whether this is the answer that is promised where a store is away: when to come back, and no
/// cookie touched (docs/failure-contract.md).
fn is_declared(answer: &Response) -> bool {
    let problem = answer.header("content-type") == Some("application/problem+json");
    let named = matches!(answer.json()["code"].as_str(), Some("store_unavailable" | "overloaded"));
    answer.status == 503
        && answer.header("retry-after").is_some()
        && answer.header("set-cookie").is_none()
        && (named || !problem)
}

/// Whether this says that a session has ended, and not by a theft.
fn is_ended(answer: &Response) -> bool {
    answer.status == 303
        || answer.status == 401 && matches!(answer.json()["code"].as_str(), Some("session_ended"))
}

fn email(number: usize) -> String {
    format!("user{number}@example.org")
}
