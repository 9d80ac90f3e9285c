//! The path of a request: as it stands there, and what some proxies and apps make of it.

use super::letters::{SOFT_HYPHEN, fold};

/// How often an encoding may be wrapped in another.
const MAX_WRAPS: usize = 3;

/// How many pieces may be ones that some systems divide or leave out: each doubles the readings.
const MAX_ODD: usize = 32;

/// What follows one of these in a segment, some systems do not count: a parameter, a query or a fragment
/// that was decoded too early, what a rewritten address takes for its next argument, a stream.
const ENDS: [char; 5] = [';', '?', '#', '&', ':'];

/// Languages whose files are programs: some servers have one of them answer for all paths below it.
const PROGRAMS: [&str; 19] = [
    "asp", "aspx", "cfm", "cgi", "dll", "fcgi", "jsp", "jspx", "phar", "php", "php3", "php4",
    "php5", "php7", "php8", "phtml", "pl", "py", "wsgi",
];

/// The path of a request target, in pieces.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Path {
    pub pieces: Vec<Piece>,
    /// Whether a slash follows the last of them.
    pub is_folder: bool,
}

/// What no system divides any further: a segment of the path, or a part of one that has a slash in it by
/// some reading.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Piece {
    /// The segment by RFC 3986, decoded once, if this is all of it.
    pub literal: Option<String>,
    /// Its other readings: unwrapped, folded, and without what some systems do not count.
    pub keys: Vec<String>,
    /// Whether it stands in one segment with the piece before it, by some reading.
    pub is_joined: bool,
    /// Whether some systems count it as nothing: an empty segment, a parameter alone.
    pub is_void: bool,
    /// Whether something in it could end the segment or the whole path.
    pub is_cut: bool,
    /// Whether there is a dot in it, behind which some see an ending.
    pub is_dotted: bool,
    /// Whether it is the file of a program.
    pub is_program: bool,
}

impl Path {
    /// Reads the path of a request target, which begins with a slash. A slash at the end makes no
    /// difference.
    ///
    /// # Errors
    /// What about it no browser sends: dot segments, in whatever spelling, control characters, encodings
    /// that are broken, no UTF-8 or wrapped too often.
    pub fn read(target: &str) -> Result<Self, &'static str> {
        let path = target.split('?').next().unwrap_or_default();
        if target.contains('#') || !target.bytes().all(|b| (0x21..=0x7e).contains(&b)) {
            return Err("it has characters that no address has unencoded");
        }
        let mut segments = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
        let (mut pieces, mut is_folder) = (Vec::new(), false);
        while let Some(segment) = segments.next() {
            if segment.is_empty() && segments.peek().is_none() {
                is_folder = true;
                break;
            }
            read_segment(segment, &mut pieces)?;
        }
        let odd = |piece: &&Piece| piece.is_joined || piece.is_void || piece.is_program;
        if pieces.iter().filter(odd).count() > MAX_ODD {
            return Err("it can be read in too many ways");
        }
        Ok(Self { pieces, is_folder })
    }
}

impl Piece {
    /// Reads what stands between two slashes; `None` for a dot segment.
    fn read(text: &str, soft_hyphens: bool) -> Option<Self> {
        let name = text.split(ENDS).next().unwrap_or_default();
        let is_cut = name.len() < text.len();
        let blank = |c: char| matches!(c, '.' | ' ' | SOFT_HYPHEN);
        if matches!(name.matches('.').count(), 1 | 2) && name.chars().all(blank) {
            return None;
        }
        let mut keys = vec![name.to_owned()];
        // Where a path is made a query, `+` is a blank.
        if name.contains('+') {
            keys.push(name.replace('+', " "));
        }
        if soft_hyphens {
            keys.extend(keys.clone().iter().map(|key| key.replace(SOFT_HYPHEN, "-")));
            keys.iter_mut().for_each(|key| *key = key.replace(SOFT_HYPHEN, ""));
        }
        keys.iter_mut().for_each(|key| *key = plain(key));
        let is_void = keys.iter().any(String::is_empty);
        let is_program = text.split(ENDS).any(is_program);
        let is_dotted = name.contains('.');
        Some(Self { keys, is_void, is_cut, is_dotted, is_program, ..Self::default() })
    }

    /// Whether all systems take it for one whole segment.
    pub fn is_certain(&self) -> bool {
        self.literal.is_some() && !self.is_void && !self.is_cut
    }

    /// Whether it is the page that some servers show for the folder it is in.
    pub fn is_index(&self) -> bool {
        self.keys.iter().any(|key| is_index(key))
    }
}

/// Without the dots and blanks at its ends, which some systems do not count.
fn plain(name: &str) -> String {
    name.trim_start_matches(' ').trim_end_matches([' ', '.']).to_owned()
}

/// A name and what follows its last dot. A dot at its beginning is part of the name.
pub(super) fn extension(name: &str) -> Option<(&str, &str)> {
    name.rsplit_once('.').filter(|(stem, end)| !stem.is_empty() && !end.is_empty())
}

/// Whether a name is that of a file that servers run.
fn is_program(name: &str) -> bool {
    let name = plain(&name.replace(SOFT_HYPHEN, ""));
    name.rsplit_once('.').is_some_and(|(_, ending)| PROGRAMS.contains(&ending))
}

/// Whether a name is one that servers look for in a folder.
pub(super) fn is_index(name: &str) -> bool {
    matches!(name.split('.').next(), Some("index" | "default"))
}

/// Reads a segment of the path as it was sent.
fn read_segment(segment: &str, pieces: &mut Vec<Piece>) -> Result<(), &'static str> {
    let broken = "it has an encoding that is broken or no text";
    let literal = decode(segment).ok_or(broken)?;
    let whole = unwrap(&literal)?;
    let soft_hyphens = whole.contains(SOFT_HYPHEN);
    let first = pieces.len();
    for part in whole.split(['/', '\\']) {
        let mut piece = Piece::read(part, soft_hyphens).ok_or("it has dot segments")?;
        piece.is_joined = pieces.len() > first;
        pieces.push(piece);
    }
    if let [piece] = pieces.get_mut(first..).unwrap_or_default() {
        piece.literal = Some(literal);
    }
    Ok(())
}

/// Takes off what is wrapped around a text that was decoded once already, and folds its letters.
fn unwrap(text: &str) -> Result<String, &'static str> {
    let mut text = text.to_owned();
    for _ in 0..=MAX_WRAPS {
        if text.chars().any(char::is_control) {
            return Err("it has control characters");
        }
        let folded = fold_but_soft_hyphens(&text);
        let inner = decode_what_can_be(&folded).ok_or("it has an overlong encoding")?;
        if inner == folded {
            return Ok(folded);
        }
        text = inner;
    }
    Err("it is encoded too often")
}

/// Soft hyphens stay: there are two ways to read them.
fn fold_but_soft_hyphens(text: &str) -> String {
    if !text.contains(SOFT_HYPHEN) {
        return fold(text);
    }
    let parts: Vec<String> = text.split(SOFT_HYPHEN).map(fold).collect();
    parts.join("\u{ad}")
}

/// Decodes once (RFC 3986 §2.1); `None` if it is broken or no UTF-8.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            bytes.push(hex(&[rest.next()?, rest.next()?])?.try_into().ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// Decodes what is an encoding and leaves what only looks like one: `100%` need not be one. `%uXXXX`, which
/// some systems know, is one. `None` for an encoding of more bytes than its character needs.
fn decode_what_can_be(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let digits = |from: usize, to: usize| after.get(from..to).and_then(hex);
        if byte != b'%' {
            bytes.push(byte);
        } else if let Some(value) = digits(0, 2).and_then(|value| u8::try_from(value).ok()) {
            bytes.push(value);
            rest = after.get(2..).unwrap_or_default();
        } else if let Some(value) = digits(1, 5).filter(|_| after.first() == Some(&b'u')) {
            let value = char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER);
            bytes.extend(value.encode_utf8(&mut [0; 4]).bytes());
            rest = after.get(5..).unwrap_or_default();
        } else {
            bytes.push(byte);
        }
    }
    let overlong =
        |pair: &[u8]| matches!(pair, [0xc0 | 0xc1, _] | [0xe0, 0x80..=0x9f] | [0xf0, 0x80..=0x8f]);
    (!bytes.windows(2).any(overlong)).then(|| String::from_utf8_lossy(&bytes).into_owned())
}

/// The value of some hexadecimal digits.
fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, digit| Some(value * 16 + char::from(*digit).to_digit(16)?))
}
