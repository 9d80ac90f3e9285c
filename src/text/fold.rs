//! Texts in the form in which they are looked for: the same on every database.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::is_ignorable;

/// A text without differences of case, of width and of other compatible forms, and without what is
/// not seen. Quotes and hyphens of print are those of a keyboard.
pub fn folded(text: &str) -> String {
    // Down, up and down again: some letters have no capital, and one capital no small letter alone.
    let cased = text
        .nfkc()
        // Before the last form: what it kept apart then composes.
        .filter(|c| !is_ignorable(*c))
        .flat_map(char::to_lowercase)
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase);
    cased.nfkc().map(on_keyboard).collect()
}

/// A folded text without accents and other marks, and with plain letters for those that have a stroke
/// or are two in one.
pub fn bare(folded: &str) -> String {
    let mut text = String::with_capacity(folded.len());
    for c in folded.nfkd().filter(|c| !is_combining_mark(*c)) {
        match c {
            'ø' => text.push('o'),
            'ł' => text.push('l'),
            'đ' | 'ð' => text.push('d'),
            'ħ' => text.push('h'),
            'ŧ' => text.push('t'),
            'æ' => text.push_str("ae"),
            'œ' => text.push_str("oe"),
            'þ' => text.push_str("th"),
            other => text.push(other),
        }
    }
    text.nfc().collect()
}

fn on_keyboard(c: char) -> char {
    match c {
        '\u{2018}' | '\u{2019}' | '\u{2bc}' | '\u{2032}' => '\'',
        '\u{201c}' | '\u{201d}' | '\u{2033}' => '"',
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_width_and_form_make_no_difference() {
        for (one, other) in [
            ("REN\u{c9}E", "rene\u{301}e"),
            ("\u{ff21}\u{ff44}\u{ff41}", "ada"),
            ("STRASSE", "stra\u{df}e"),
            ("STRA\u{1e9e}E", "stra\u{df}e"),
            (
                "\u{39f}\u{394}\u{3a5}\u{3a3}\u{3a3}\u{395}\u{3a5}\u{3a3}",
                "\u{3bf}\u{3b4}\u{3c5}\u{3c3}\u{3c3}\u{3b5}\u{3c5}\u{3c2}",
            ),
            ("\u{fb01}n", "fin"),
            ("O\u{2019}Brien", "o'brien"),
            ("Jean\u{2011}Paul", "jean-paul"),
            ("A\u{ad}d\u{200b}a", "ada"),
            ("Rene\u{34f}\u{301}e", "ren\u{e9}e"),
            ("D\u{131}yarbak\u{131}r", "diyarbakir"),
        ] {
            assert_eq!(folded(one), folded(other), "{one} {other}");
        }
        assert_ne!(folded("Ren\u{e9}e"), folded("Renee"));
    }

    #[test]
    fn a_bare_text_has_no_accents() {
        for (text, plain) in [
            ("Ren\u{e9}e", "renee"),
            ("\u{141}\u{f3}d\u{17a}", "lodz"),
            ("S\u{f8}ren \u{c6}r\u{f8}", "soren aero"),
            ("Nguy\u{1ec5}n", "nguyen"),
            ("\u{130}stanbul", "istanbul"),
            ("\u{d55c}\u{ae00}", "\u{d55c}\u{ae00}"),
            ("ada", "ada"),
        ] {
            assert_eq!(bare(&folded(text)), plain);
        }
    }

    proptest::proptest! {
        #[test]
        fn folding_again_changes_nothing(text in "\\PC{0,40}") {
            let once = folded(&text);
            proptest::prop_assert_eq!(folded(&once), once.clone());
            let plain = bare(&once);
            proptest::prop_assert_eq!(bare(&plain), plain);
        }
    }
}
