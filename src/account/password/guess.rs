//! Passwords that are on no list and yet are tried early: a common word with a year and a `!`, a walk
//! over the keyboard, one piece typed again and again (SR-3).
//!
//! Attackers do not try such passwords one by one from a list, they make them by rule, so the
//! answer is a rule too. The password is cut into the pieces that a person would have chosen, and
//! each piece costs about what it takes to guess it. This is no measure of strength, and asks for no
//! kinds of characters (SR-2): it only refuses what is cheap beyond doubt.

use zeroize::Zeroizing;

use super::blocklist;

/// Passwords of at most this cost are refused. Two common words cost 4, a sign between them 1 more;
/// three common words are let through.
const TOO_CHEAP: usize = 5;

/// The cost of a character that belongs to no piece, and of a run or a year.
const CHARACTER: usize = 1;

/// The cost of a line of the blocklist: one of some ten thousand, so about two characters' worth.
const WORD: usize = 2;

/// A piece shorter than this, typed twice or more, is refused: it would be too short by itself.
const MIN_REPEATED: usize = 8;

/// The fewest characters that make a run.
const MIN_RUN: usize = 3;

/// Along these, forwards or backwards and around the end, a step is no choice: the alphabet, the
/// digits, and the rows and columns of the common keyboards.
const TRACKS: [&str; 18] = [
    "abcdefghijklmnopqrstuvwxyz",
    "1234567890",
    "qwertyuiop[]",
    "qwertzuiop",
    "azertyuiop",
    "asdfghjkl;'",
    "qsdfghjklm",
    "zxcvbnm,./",
    "yxcvbnm",
    "!@#$%^&*()",
    "1qaz",
    "2wsx",
    "3edc",
    "4rfv",
    "5tgb",
    "6yhn",
    "7ujm",
    "8ik,",
];

/// Whether a password, given in lower case, is cheap to guess by rule.
pub(super) fn is_predictable(lowercase: &str) -> bool {
    let chars: Zeroizing<Vec<char>> = Zeroizing::new(lowercase.chars().collect());
    is_repetition(&chars) || is_cheap(&chars)
}

/// Whether the password is a short piece typed at least twice; the last time may stop half-way.
fn is_repetition(chars: &[char]) -> bool {
    (1..MIN_REPEATED)
        .take_while(|period| period * 2 <= chars.len())
        .any(|period| chars.iter().zip(chars.iter().skip(period)).all(|(a, b)| a == b))
}

/// Whether the password can be cut into pieces that cost no more than [`TOO_CHEAP`] together.
fn is_cheap(chars: &[char]) -> bool {
    let plain: Zeroizing<Vec<u8>> = Zeroizing::new(chars.iter().map(|&c| ascii(c)).collect());
    let unmasked: Zeroizing<Vec<u8>> =
        Zeroizing::new(plain.iter().map(|&byte| unmask(byte)).collect());
    // The lowest cost of the characters before each place. What costs too much already is not looked
    // at further, so a long password takes hardly longer than a short one.
    let unknown = std::iter::repeat_n(usize::MAX, chars.len());
    let mut costs: Vec<usize> = std::iter::once(0).chain(unknown).collect();
    for at in 0..chars.len() {
        let Some(paid) = costs.get(at).copied().filter(|&cost| cost < TOO_CHEAP) else { continue };
        let mut take = |length: usize, price: usize| {
            if let Some(cost) = costs.get_mut(at + length) {
                *cost = (*cost).min(paid + price);
            }
        };
        take(1, CHARACTER);
        for length in MIN_RUN..=longest_run(tail(chars, at)) {
            take(length, CHARACTER);
        }
        let (plain, unmasked) = (tail(&plain, at), tail(&unmasked, at));
        if is_year(plain) {
            take(4, CHARACTER);
        }
        for length in blocklist::LINE_BYTES.filter(|&length| is_word(plain, unmasked, length)) {
            take(length, WORD);
        }
    }
    costs.last().is_some_and(|&cost| cost <= TOO_CHEAP)
}

/// What is left from place `at` on.
fn tail<T>(all: &[T], at: usize) -> &[T] {
    all.get(at..).unwrap_or_default()
}

/// The character as a byte; a letter that no line of the list has, if it is not ASCII.
fn ascii(c: char) -> u8 {
    u8::try_from(c).ok().filter(u8::is_ascii).unwrap_or(0x7f)
}

/// The letter that a sign usually stands in for, as in `p@ssw0rd`.
fn unmask(byte: u8) -> u8 {
    match byte {
        b'@' | b'4' => b'a',
        b'3' => b'e',
        b'1' | b'!' => b'i',
        b'0' => b'o',
        b'$' | b'5' => b's',
        b'7' | b'+' => b't',
        other => other,
    }
}

/// Whether the first `length` characters, as typed or unmasked, are a line of the blocklist.
fn is_word(plain: &[u8], unmasked: &[u8], length: usize) -> bool {
    [plain, unmasked].into_iter().any(|text| text.get(..length).is_some_and(blocklist::contains))
}

/// Whether the text begins with a year that somebody may have been born or signed up in.
fn is_year(text: &[u8]) -> bool {
    matches!(text, [b'1', b'9', decade, year, ..] | [b'2', b'0', decade, year, ..]
        if decade.is_ascii_digit() && year.is_ascii_digit())
}

/// The length of the longest run that `chars` begins with: one character repeated, or steps along
/// one of the [`TRACKS`]; 0 if it is shorter than [`MIN_RUN`].
fn longest_run(chars: &[char]) -> usize {
    let same = chars.iter().take_while(|&c| Some(c) == chars.first()).count();
    let steps = TRACKS
        .iter()
        .flat_map(|track| [run_along(track.chars(), chars), run_along(track.chars().rev(), chars)])
        .max();
    Some(same.max(steps.unwrap_or(0))).filter(|&length| length >= MIN_RUN).unwrap_or(0)
}

/// How far `chars` goes along `track`, wherever it gets on, and on from its start after its end.
fn run_along(track: impl DoubleEndedIterator<Item = char> + Clone, chars: &[char]) -> usize {
    // A track without the first character would be gone around for ever.
    let Some(start) = track.clone().position(|step| chars.first() == Some(&step)) else { return 0 };
    track.cycle().skip(start).zip(chars).take_while(|(step, c)| step == *c).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sr_3_common_words_with_trimmings_are_predictable() {
        for password in [
            "password1234!",
            "p@ssw0rd2024!!",
            "welcome@2024!",
            "summer2024!!!!",
            "!!!dragon1992",
            "passworddragon",
            "admin@123456",
            "letmein99999",
        ] {
            assert!(is_predictable(password), "{password}");
        }
    }

    #[test]
    fn sr_3_repetitions_and_walks_are_predictable() {
        for password in [
            "aaaaaaaaaaaa",
            "abcabcabcabc",
            "x7k!x7k!x7k!x",
            "éééééééééééé",
            "123456789012",
            "abcdefghijkl",
            "lkjhgfdsa;lk",
            "1qaz2wsx3edc",
            "qwertyasdfgzxcvb",
            "aaabbbcccddd",
            "abc123abc123!",
        ] {
            assert!(is_predictable(password), "{password}");
        }
    }

    #[test]
    fn what_people_should_choose_is_not_predictable() {
        for password in [
            "correct horse battery staple",
            "correcthorsebattery",
            "tango umbrella seven",
            "k3x9zq!tw7mu",
            "grüne Wolken am Dienstag",
            "雨の日は静かに本を読む夜",
            "x7$kq2!v",
        ] {
            assert!(!is_predictable(&password.to_lowercase()), "{password}");
        }
    }
}
