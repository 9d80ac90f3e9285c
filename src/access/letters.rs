//! What systems make of letters: the form in which two texts are compared that some system takes for
//! the same.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// A hyphen that most systems do not show; those of Windows make a hyphen of it (CVE-2024-4577).
pub(super) const SOFT_HYPHEN: char = '\u{ad}';

/// Folds case, compatibility forms and accents, drops characters that nobody sees, and puts the ASCII
/// letter or sign in place of those for which Unicode or a code page of Windows has one.
pub(super) fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let mut folded = String::with_capacity(text.len());
    let seen = |c: &char| !is_ignorable(*c) && !is_combining_mark(*c);
    for letter in text.nfkd().filter(seen).flat_map(char::to_lowercase) {
        // Lower case can be a letter and a mark: `İ`.
        match stand_in(letter) {
            Some(ascii) => folded.push_str(ascii),
            None if is_combining_mark(letter) => {}
            None => folded.push(letter),
        }
    }
    folded
}

/// Default ignorable code points (Unicode 16, DerivedCoreProperties), and the one that stands for bytes
/// that are no text, which some systems leave out.
fn is_ignorable(c: char) -> bool {
    matches!(
        u32::from(c),
        0xad | 0x34f
            | 0x61c
            | 0x115f..=0x1160
            | 0x17b4..=0x17b5
            | 0x180b..=0x180f
            | 0x200b..=0x200f
            | 0x202a..=0x202e
            | 0x2060..=0x206f
            | 0x3164
            | 0xfe00..=0xfe0f
            | 0xfeff
            | 0xffa0
            | 0xfff0..=0xfffd
            | 0x1bca0..=0x1bca3
            | 0x1d173..=0x1d17a
            | 0xe0000..=0xe0fff
    )
}

/// What stands for a lower-case letter or a sign where only ASCII is known: the pairs of case that leave
/// ASCII, letters whose stroke is no accent to Unicode, and best-fit mappings of Windows.
fn stand_in(c: char) -> Option<&'static str> {
    Some(match c {
        'ı' => "i",
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'þ' => "th",
        'α' | 'ɑ' => "a",
        'đ' | 'ð' | 'δ' => "d",
        'ε' => "e",
        'ƒ' | 'φ' => "f",
        'γ' | 'ɡ' => "g",
        'ħ' | 'һ' => "h",
        'ĸ' => "k",
        'ł' => "l",
        'ŋ' => "n",
        'ø' | 'ω' => "o",
        'π' => "p",
        'σ' | 'ς' => "s",
        'ŧ' | 'τ' | 'θ' => "t",
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{2500}' => "-",
        '\u{2044}' | '\u{2215}' | '\u{2571}' | '\u{29f8}' => "/",
        '\u{2216}' | '\u{2572}' | '\u{29f5}' | '\u{29f9}' => "\\",
        '\u{589}' | '\u{2d0}' | '\u{2236}' | '\u{a789}' => ":",
        '\u{3002}' => ".",
        '\u{66a}' => "%",
        '\u{223c}' => "~",
        '\u{2028}' | '\u{2029}' => " ",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_some_system_takes_for_the_same_is_folded_to_the_same() {
        for (text, expected) in [
            ("Admin", "admin"),
            ("adm\u{131}n", "admin"),
            ("ADM\u{130}N", "admin"),
            ("me\u{17f}\u{17f}age", "message"),
            ("\u{212a}eys", "keys"),
            ("stra\u{df}e", "strasse"),
            ("STRA\u{1e9e}E", "strasse"),
            ("\u{ff41}dmin", "admin"),
            ("ad\u{200b}min\u{feff}", "admin"),
            ("ad\u{ad}min", "admin"),
            ("a\u{34f}dm\u{e0041}in", "admin"),
            ("\u{e4}dm\u{ed}n", "admin"),
            ("a\u{308}dmin", "admin"),
            ("\u{fb01}le", "file"),
            ("\u{3b1}dmin", "admin"),
            ("\u{24d0}dmin", "admin"),
            ("\u{1d41a}dmin", "admin"),
            ("\u{ff0f}\u{2215}\u{ff3c}\u{fe68}", "//\\\\"),
            ("\u{ff0e}\u{2024}\u{3002}\u{ff61}", "...."),
            ("\u{2025}\u{2026}", "....."),
            ("\u{ff1b}\u{37e}\u{ff1f}\u{ff03}\u{ff05}\u{66a}", ";;?#%%"),
            ("\u{a0}\u{3000}", "  "),
            ("日本", "日本"),
        ] {
            assert_eq!(fold(text), expected, "{text}");
            assert_eq!(fold(&fold(text)), expected, "folded twice");
        }
    }
}
