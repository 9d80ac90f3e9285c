//! Whether a rule is about a path: by every reading of it, by some, or by none.

use std::collections::BTreeSet;
use std::fmt;

use super::path::{Path, Piece, extension, is_index};
use super::rule::Segment;

/// Endings by which apps choose the form of an answer, or servers the program that makes it: with
/// another one, or without, it can be the same page.
const FORMATS: [&str; 52] = [
    "action", "ashx", "asmx", "asp", "aspx", "atom", "cfm", "cgi", "css", "csv", "do", "doc",
    "docx", "fcgi", "gif", "htm", "html", "ics", "jpeg", "jpg", "js", "jsf", "json", "jsonld",
    "jsonp", "jsp", "jspx", "md", "ods", "pdf", "php", "php3", "php4", "php5", "php7", "php8",
    "phtml", "pl", "png", "py", "rb", "rss", "shtml", "svg", "text", "tsv", "txt", "xhtml", "xls",
    "xlsx", "xml", "yaml",
];

/// Why a rule may be about a path and may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Doubt {
    /// A segment is the rule's word to those that ignore case, accents or invisible characters, or that
    /// drop what follows a `;`, `?`, `#`, `&` or `:`, or the dots and blanks at its end.
    Spelling,
    /// A segment is a short name that Windows gives to the file of the rule (`ADMIN~1`).
    ShortName,
    /// The segment at this position, counted from 0, is the rule's word with another ending.
    Ending(usize),
    /// A slash is one to some and none to others: an encoded one, or one the other way round.
    Slash,
    /// A segment is left out by some: an empty one, or, behind `//`, what could be a host.
    Empty,
    /// A program in the path answers for what is below it.
    Program,
    /// A server may show this page for the folder that it is in.
    Index,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Spelling => "another spelling of the same word",
            Self::ShortName => "a short name of the same file",
            Self::Ending(_) => "the same name with another ending",
            Self::Slash => "a slash that is none to some",
            Self::Empty => "a segment that is empty to some",
            Self::Program => "a path below a program",
            Self::Index => "the page of a folder",
        })
    }
}

/// All doubts about one rule and one path; none, if the rule is about it by every reading.
pub type Doubts = BTreeSet<Doubt>;

/// What of a path has been compared with the beginning of a rule, by one reading.
#[derive(Clone, PartialEq, Eq)]
struct Reading {
    /// How many pieces.
    taken: usize,
    doubts: Doubts,
}

impl Reading {
    fn with(&self, taken: usize, doubt: Option<Doubt>) -> Self {
        let mut doubts = self.doubts.clone();
        doubts.extend(doubt);
        Self { taken, doubts }
    }
}

/// The words of a rule; `None`, if it is about the path by no reading.
pub(super) fn fit(words: &[Segment], exact: bool, path: &Path) -> Option<Doubts> {
    let pieces = path.pieces.as_slice();
    let mut readings = beginnings(Reading { taken: 0, doubts: Doubts::new() }, pieces);
    let mut found = Vec::new();
    for (position, word) in words.iter().enumerate() {
        readings = with_gaps(readings, path);
        // A server may show the rule's page for the folder that the path ends with.
        let is_last = position + 1 == words.len();
        if is_last && matches!(word, Segment::Word { key, .. } if is_index(key)) {
            let whole = readings.iter().filter_map(|reading| ending(reading, true, pieces));
            found.extend(whole.map(|reading| reading.with(reading.taken, Some(Doubt::Index))));
        }
        let mut next = Vec::new();
        for reading in &readings {
            take(reading, word, position, pieces, &mut next);
        }
        readings = next;
    }
    if exact {
        readings = with_gaps(readings, path);
    }
    found.extend(readings.iter().filter_map(|reading| ending(reading, exact, pieces)));
    // The reading that leaves the least doubt, but for one that a rule with the very ending settles.
    let settles =
        |reading: &Reading| reading.doubts.iter().all(|doubt| matches!(doubt, Doubt::Ending(_)));
    let best = found
        .into_iter()
        .min_by_key(|reading| (!reading.doubts.is_empty(), settles(reading), reading.doubts.len()));
    best.map(|reading| reading.doubts)
}

/// Where a path begins at this reading: behind `//`, some take the first name for a host.
fn beginnings(start: Reading, pieces: &[Piece]) -> Vec<Reading> {
    let rest = pieces.get(start.taken..).unwrap_or_default();
    let voids = rest.iter().take_while(|piece| piece.is_void).count();
    let behind = rest.get(voids..).filter(|behind| voids > 0 && !behind.is_empty());
    let ends = behind.map(|behind| 1..=segment(behind)).into_iter().flatten();
    let hosts = ends.map(|end| start.with(start.taken + voids + end, Some(Doubt::Empty)));
    let mut all: Vec<Reading> = hosts.collect();
    all.push(start);
    all
}

/// How many pieces, from the first on, stand in one segment by some reading.
fn segment(pieces: &[Piece]) -> usize {
    1 + pieces.iter().skip(1).take_while(|piece| piece.is_joined).count()
}

/// The same readings, and those that leave out what stands next.
fn with_gaps(mut left: Vec<Reading>, path: &Path) -> Vec<Reading> {
    let mut all: Vec<Reading> = Vec::with_capacity(left.len());
    while let Some(reading) = left.pop() {
        if all.contains(&reading) {
            continue;
        }
        let (at, rest) = (reading.taken, path.pieces.get(reading.taken..).unwrap_or_default());
        if let Some(first) = rest.first() {
            // What is cut off goes with all that stands in one segment with it.
            let void = if first.is_cut { segment(rest) } else { 1 };
            let voids = (1..=void).filter(|_| first.is_void);
            left.extend(voids.map(|end| reading.with(at + end, Some(Doubt::Empty))));
            // So does a program, if there is something below: that is a path of its own to it.
            let programs = (1..=segment(rest)).filter(|end| {
                let is_above = *end < rest.len() || path.is_folder;
                is_above && rest.get(end - 1).is_some_and(|piece| piece.is_program)
            });
            left.extend(programs.flat_map(|end| {
                beginnings(reading.with(at + end, Some(Doubt::Program)), &path.pieces)
            }));
        }
        all.push(reading);
    }
    all
}

/// Compares the next piece with a word of the rule.
fn take(
    reading: &Reading,
    word: &Segment,
    position: usize,
    pieces: &[Piece],
    next: &mut Vec<Reading>,
) {
    let rest = pieces.get(reading.taken..).unwrap_or_default();
    let Some(piece) = rest.first() else { return };
    let (doubt, is_open) = match word {
        Segment::Any => ((!piece.is_certain()).then_some(Doubt::Slash), true),
        Segment::Word { text, .. } if piece.literal.as_ref() == Some(text) => (None, false),
        Segment::Word { key, .. } => match word_doubt(piece, key, position) {
            Some(doubt) => (Some(doubt), piece.is_cut || piece.is_dotted),
            None => return,
        },
    };
    let taken = reading.with(reading.taken + 1, doubt);
    // What a slash that is none to some has parted from it can belong to it.
    let joined = (1..segment(rest)).filter(|_| is_open);
    next.extend(joined.map(|more| taken.with(taken.taken + more, Some(Doubt::Slash))));
    next.push(taken);
}

/// Why a piece that is not a rule's word, or not as it stands there, could be it.
fn word_doubt(piece: &Piece, word: &str, position: usize) -> Option<Doubt> {
    let is = |test: &dyn Fn(&str) -> bool| piece.keys.iter().any(|key| test(key));
    if is(&|key| key == word) {
        return Some(Doubt::Spelling);
    }
    if is(&|key| is_short_name(key, word)) {
        return Some(Doubt::ShortName);
    }
    is(&|key| has_other_ending(key, word)).then_some(Doubt::Ending(position))
}

/// Whether some app or server takes `found` for `word` with another ending: `admin.json` for `admin`, and
/// `admin` or `admin.html` for `admin.php`.
fn has_other_ending(found: &str, word: &str) -> bool {
    let follows = |start: &str| found.strip_prefix(start).and_then(|rest| rest.strip_prefix('.'));
    if follows(word).is_some() {
        return true;
    }
    let stem = extension(word).filter(|(_, end)| FORMATS.contains(end)).map(|(stem, _)| stem);
    stem.is_some_and(|stem| {
        found == stem || follows(stem).is_some_and(|ending| FORMATS.contains(&ending))
    })
}

/// Whether a piece is an ending without a name.
fn is_ending(piece: &Piece) -> bool {
    piece.keys.iter().any(|key| key.starts_with('.'))
}

/// Whether `found` is a name in the old form of Windows (`ADMINI~1.PHP`, `ADA1B2~1`) that a file called
/// `word` can have.
fn is_short_name(found: &str, word: &str) -> bool {
    let name = extension(found).map_or(found, |(name, _)| name);
    let Some((start, number)) = name.split_once('~') else { return false };
    let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    if start.is_empty() || start.len() > 6 || !is_number {
        return false;
    }
    let word: String = word.chars().filter(|c| !matches!(c, '.' | '+')).collect();
    let hashed = start.split_at_checked(2).is_some_and(|(start, hash)| {
        hash.len() == 4 && hash.bytes().all(|b| b.is_ascii_hexdigit()) && word.starts_with(start)
    });
    word.starts_with(start) || hashed
}

/// Whether a rule whose words are all found is about the rest of the path too.
fn ending(reading: &Reading, exact: bool, pieces: &[Piece]) -> Option<Reading> {
    let rest = pieces.get(reading.taken..).unwrap_or_default();
    let Some(first) = rest.first().filter(|_| exact) else { return Some(reading.clone()) };
    let is_last = rest.iter().skip(1).all(|piece| piece.is_void || piece.is_joined);
    let last = reading.taken.checked_sub(1).and_then(|last| pieces.get(last));
    let doubt = if rest.iter().all(|piece| piece.is_void) {
        Doubt::Empty
    } else if last.is_some_and(|last| last.is_cut) || (first.is_void && first.is_cut) {
        Doubt::Spelling
    } else if last.is_some_and(|last| last.is_program) {
        Doubt::Program
    } else if is_last && (first.is_index() || is_ending(first)) {
        Doubt::Index
    } else {
        return None;
    };
    Some(reading.with(reading.taken, Some(doubt)))
}
