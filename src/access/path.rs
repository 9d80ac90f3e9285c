//! A path as everybody reads it, and where opinions begin to differ.

use unicode_normalization::UnicodeNormalization as _;

/// How often an encoding may be wrapped in another.
const MAX_WRAPS: usize = 3;

/// The segments of a path, as far as every proxy and every app reads them alike.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Path {
    /// Those segments, decoded. A slash at the end makes no difference.
    pub clear: Vec<String>,
    /// Whether more follows that some software divides in one way and some in another: an encoded
    /// slash, an empty segment or one that some systems take for it, a parameter (`;`).
    pub more: bool,
}

impl Path {
    /// Reads the path of a request target, which begins with a slash.
    ///
    /// `None` for one that no browser sends: with dot segments, in whatever spelling, control
    /// characters, or encodings that are broken, no UTF-8 or wrapped too often.
    pub fn read(target: &str) -> Option<Self> {
        let path = target.split('?').next().unwrap_or_default();
        if target.contains('#') || !target.bytes().all(|b| (0x21..=0x7e).contains(&b)) {
            return None;
        }
        refuse_dots(path)?;
        let mut segments = path.strip_prefix('/')?.split('/').peekable();
        let mut clear = Vec::new();
        while let Some(segment) = segments.next() {
            let segment = decode(segment)?;
            if segment.is_empty() && segments.peek().is_none() {
                break;
            }
            if name(&segment).is_empty() || segment.contains(['/', '\\', '%', ';']) {
                return Some(Self { clear, more: true });
            }
            clear.push(segment);
        }
        Some(Self { clear, more: false })
    }
}

/// Whether some system takes `found` for another spelling of `word`: in another case, with other
/// signs that look alike, with a dot or blank at its end, as a stream (`a:b`) or a short name (`a~1`).
pub(super) fn could_be(found: &str, word: &str) -> bool {
    let (found, word) = (found.nfkc().collect::<String>().to_lowercase(), word.to_lowercase());
    match name(&found).split_once('~') {
        Some((start, _)) => word.starts_with(start),
        None => name(&found) == word,
    }
}

/// A segment without the stream and the dots and blanks at its end, which some systems do not count.
fn name(segment: &str) -> &str {
    segment.split(':').next().unwrap_or_default().trim_end_matches([' ', '.'])
}

/// Looks for dot segments and control characters, however they are wrapped.
fn refuse_dots(path: &str) -> Option<()> {
    let mut text = path.to_owned();
    for wraps in 0..=MAX_WRAPS {
        let folded: String = text.nfkc().collect();
        for reading in [&text, &folded] {
            if reading.chars().any(char::is_control) || reading.split(['/', '\\']).any(is_dots) {
                return None;
            }
        }
        match decode(&text) {
            Some(inner) if inner != text => text = inner,
            Some(_) => return Some(()),
            // `100%25` is `100%`: what was decoded once need not be an encoding itself.
            None => return (wraps > 0).then_some(()),
        }
    }
    None
}

/// Whether a segment is `.` or `..`, with parameters that some software ignores or not.
fn is_dots(segment: &str) -> bool {
    matches!(segment.split(';').next(), Some("." | ".."))
}

/// Decodes once (RFC 3986 §2.1); `None` if it is broken or no UTF-8.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |b: u8| char::from(b).to_digit(16);
            let value = digit(rest.next()?)? * 16 + digit(rest.next()?)?;
            bytes.push(u8::try_from(value).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}
