//! Free texts: names, descriptions and reasons, as people write them and pages show them.

pub mod fold;

use icu_properties::props::{
    DefaultIgnorableCodePoint, EmojiModifier, ExtendedPictographic, GeneralCategory, JoiningType,
    VariationSelector,
};
use icu_properties::{CodePointMapData, CodePointSetData};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;

use crate::error::{Error, Result};

/// Most marks above, below or around one letter (UTS #39 §5.4).
const MAX_NONSPACING: usize = 4;
/// Most marks of any kind behind one letter: scripts of Asia write vowels and tones as marks.
const MAX_MARKS: usize = 8;

/// Keeps letters from joining, or breaks a ligature.
const ZWNJ: char = '\u{200c}';
/// Joins letters, or pictographs to one picture.
const ZWJ: char = '\u{200d}';
/// What is spelled in an emoji of a flag: letters, digits and an end that nobody sees.
const TAGS: std::ops::RangeInclusive<char> = '\u{e0020}'..='\u{e007f}';
/// The end of such a spelling.
const LAST_TAG: char = '\u{e007f}';
/// Longest spelling of that kind.
const MAX_TAGS: usize = 8;

/// A free text that can stand on a page, trimmed: at most `max` characters, and if there is any, one
/// that can be seen. Refused are controls, overrides of the direction of writing, invisible
/// characters but where a script or an emoji needs them, what has no meaning in Unicode, and piles of
/// marks.
///
/// # Errors
/// [`Error::Invalid`] for `field`: `too_long`, `invalid_characters`.
pub fn checked<'t>(text: &'t str, field: &'static str, max: usize) -> Result<&'t str> {
    let text = text.trim();
    if text.chars().count() > max {
        return Err(Error::field(field, "too_long", format!("Use at most {max} characters.")));
    }
    if text.is_empty() || is_clear(text) {
        return Ok(text);
    }
    let message = "This contains characters that cannot be used, or none that can be seen.";
    Err(Error::field(field, "invalid_characters", message))
}

fn is_clear(text: &str) -> bool {
    let chars: Vec<char> = text.chars().collect();
    let stands = |at: usize, c: char| {
        let (before, rest) = chars.split_at_checked(at).unwrap_or_default();
        can_stand(c, before, rest.get(1..).unwrap_or_default())
    };
    chars.iter().enumerate().all(|(at, c)| stands(at, *c))
        && chars.iter().any(|c| is_visible(*c))
        && has_few_marks(text)
}

/// Whether a character can stand between these.
fn can_stand(c: char, before: &[char], after: &[char]) -> bool {
    match c {
        // What stands for something that was lost.
        '\u{fffc}' | '\u{fffd}' => return false,
        ZWJ => return joins_pictographs(before, after) || is_between_joining(before, after),
        ZWNJ => return is_between_joining(before, after),
        c if TAGS.contains(&c) => return is_in_flag(c, before, after),
        _ => {}
    }
    match category(c) {
        GeneralCategory::Control
        | GeneralCategory::Unassigned
        | GeneralCategory::PrivateUse
        | GeneralCategory::Surrogate
        | GeneralCategory::LineSeparator
        | GeneralCategory::ParagraphSeparator => false,
        // Signs before a number are seen; annotations and the layout of hieroglyphs are markup.
        GeneralCategory::Format => {
            !is_ignorable(c) && !matches!(c, '\u{fff9}'..='\u{fffb}' | '\u{13430}'..='\u{1343f}')
        }
        _ if is_selector(c) => before.last().is_some_and(|c| can_be_shaped(*c)),
        _ => !is_ignorable(c),
    }
}

fn category(c: char) -> GeneralCategory {
    CodePointMapData::<GeneralCategory>::new().get(c)
}

/// Whether nothing is to be shown for the character.
fn is_ignorable(c: char) -> bool {
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

/// Whether it chooses another shape of the character before it.
fn is_selector(c: char) -> bool {
    CodePointSetData::new::<VariationSelector>().contains(c)
}

/// Whether a selector can stand behind it.
fn can_be_shaped(c: char) -> bool {
    !is_selector(c) && (is_visible(c) || is_mark(c))
}

fn is_mark(c: char) -> bool {
    matches!(
        category(c),
        GeneralCategory::NonspacingMark
            | GeneralCategory::EnclosingMark
            | GeneralCategory::SpacingMark
    )
}

/// Whether it can be seen by itself.
fn is_visible(c: char) -> bool {
    // An empty cell of Braille, and a note without a head.
    let is_blank = matches!(c, '\u{2800}' | '\u{1d159}');
    !is_blank && !c.is_whitespace() && !is_ignorable(c) && !is_mark(c)
}

/// Whether both sides are pictographs: a family, a profession, a flag.
fn joins_pictographs(before: &[char], after: &[char]) -> bool {
    let is_pictograph = |c: &char| CodePointSetData::new::<ExtendedPictographic>().contains(*c);
    let is_shade =
        |c: &&char| is_selector(**c) || CodePointSetData::new::<EmojiModifier>().contains(**c);
    let pictured = before.iter().rev().find(|c| !is_shade(c));
    pictured.is_some_and(is_pictograph) && after.first().is_some_and(is_pictograph)
}

/// Whether both sides are letters that join, as in Persian, or the side before is a consonant without
/// its vowel, as in Sinhala (RFC 5892 appendix A, and between any such letters).
fn is_between_joining(before: &[char], after: &[char]) -> bool {
    const VIRAMA: u8 = 9;
    if before.last().is_some_and(|c| canonical_combining_class(*c) == VIRAMA) {
        return true;
    }
    let joining = |c: &char| CodePointMapData::<JoiningType>::new().get(*c);
    let is_seen = |c: &&char| joining(c) != JoiningType::Transparent;
    let joins = |c: &char| {
        matches!(
            joining(c),
            JoiningType::DualJoining | JoiningType::RightJoining | JoiningType::LeftJoining
        )
    };
    before.iter().rev().find(is_seen).is_some_and(joins)
        && after.iter().find(is_seen).is_some_and(joins)
}

/// Whether a tag belongs to the spelling behind a black flag, which ends as it must.
fn is_in_flag(tag: char, before: &[char], after: &[char]) -> bool {
    let is_tag = |c: &&char| TAGS.contains(*c);
    let earlier = before.iter().rev().take_while(is_tag).count();
    let later: Vec<&char> = after.iter().take_while(is_tag).collect();
    let flag = before.iter().rev().nth(earlier) == Some(&'\u{1f3f4}');
    let ends = later.last().map_or(tag, |last| **last) == LAST_TAG;
    flag && ends && earlier + later.len() < MAX_TAGS
}

/// Whether each mark has something to stand on, and no letter carries a pile of them.
fn has_few_marks(text: &str) -> bool {
    let (mut marks, mut nonspacing, mut has_base) = (0, 0, false);
    for c in text.nfd().filter(|c| !is_ignorable(*c)) {
        if !is_mark(c) {
            (marks, nonspacing, has_base) = (0, 0, !c.is_whitespace());
            continue;
        }
        marks += 1;
        nonspacing += usize::from(category(c) != GeneralCategory::SpacingMark);
        if !has_base || marks > MAX_MARKS || nonspacing > MAX_NONSPACING {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Option<&'static str> {
        match checked(text, "name", 100) {
            Ok(_) => None,
            Err(Error::Invalid(errors)) => errors.first().map(|error| error.code),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn names_of_people_in_their_own_scripts_are_taken() {
        for name in [
            "",
            "Ada Lovelace",
            "Jean\u{a0}Paul",
            "Ren\u{e9}e",
            "Rene\u{301}e",
            "Nguy\u{1ec5}n",
            "Nguye\u{302}\u{303}n",
            "O\u{2019}Brien-Smith, Jr.",
            "\u{738b}\u{5c0f}\u{660e}",
            // A shape of a character that a family writes.
            "\u{845b}\u{e0100}\u{57ce}",
            "\u{5d3}\u{5b8}\u{5d5}\u{5b4}\u{5d3}",
            // Persian: Alireza with the letters apart.
            "\u{639}\u{644}\u{6cc}\u{200c}\u{631}\u{636}\u{627}",
            "\u{628}\u{631}\u{627}\u{62f}\u{631}\u{200c}\u{632}\u{627}\u{62f}\u{647}",
            // Sinhala: Sri.
            "\u{dc1}\u{dca}\u{200d}\u{dbb}\u{dd3}",
            "\u{930}\u{93e}\u{92e}",
            "\u{e2a}\u{e21}\u{e0a}\u{e31}\u{e22}",
            // Burmese, with five marks behind one letter.
            "\u{1000}\u{103c}\u{103d}\u{103e}\u{1031}\u{1037}",
            // Families, professions, shades, flags, keys.
            "\u{1f469}\u{200d}\u{1f469}\u{200d}\u{1f467}\u{200d}\u{1f466}",
            "\u{1f469}\u{1f3fd}\u{200d}\u{1f52c}",
            "\u{1f3f3}\u{fe0f}\u{200d}\u{1f308}",
            "\u{1f3f4}\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
            "1\u{fe0f}\u{20e3} \u{2764}\u{fe0f}",
            "<b onmouseover=alert(1)>\"'",
            "=1+1",
            &"\u{1f600}".repeat(100),
        ] {
            assert_eq!(code(name), None, "{name:?}");
            assert_eq!(checked(name, "name", 100).ok(), Some(name));
        }
        assert_eq!(checked(" \u{3000}Ada\n", "name", 100).ok(), Some("Ada"));
    }

    #[test]
    fn what_hides_disguises_or_piles_up_is_refused() {
        let mut refused = vec![
            "ad\u{202e}ada".to_owned(),
            "\u{202e}".to_owned(),
            "a\u{2066}b\u{2069}".to_owned(),
            "a\u{200e}b".to_owned(),
            "a\u{61c}b".to_owned(),
            "\u{200b}".to_owned(),
            "Ada\u{200b}Lovelace".to_owned(),
            "\u{feff}Ada".to_owned(),
            "Ada\u{fffd}".to_owned(),
            "Ada\u{fffc}".to_owned(),
            // An unassigned one, a noncharacter, a private one.
            "Ada\u{e0fff}".to_owned(),
            "Ada\u{378}".to_owned(),
            "Ada\u{fdd0}".to_owned(),
            "Ada\u{ffff}".to_owned(),
            "Ada\u{e000}".to_owned(),
            "\u{f8ff}".to_owned(),
            "Ada\0".to_owned(),
            "Ada\u{7f}".to_owned(),
            "Ada\u{85}Bob".to_owned(),
            "Ada\u{2028}Bob".to_owned(),
            "Ada\u{2029}Bob".to_owned(),
            "Ada\r\nBcc: x".to_owned(),
            "A\u{ad}da".to_owned(),
            "A\u{2060}da".to_owned(),
            "A\u{34f}da".to_owned(),
            // Letters that nobody sees.
            "\u{3164}".to_owned(),
            "\u{ffa0}".to_owned(),
            "\u{115f}\u{1160}".to_owned(),
            "\u{2800}".to_owned(),
            "\u{2800} \u{2800}".to_owned(),
            // Joiners where there is nothing to join.
            "A\u{200d}da".to_owned(),
            "A\u{200c}da".to_owned(),
            "\u{200d}".to_owned(),
            "\u{1f469}\u{200d}".to_owned(),
            "\u{1f469}\u{200d}a".to_owned(),
            // Tags that spell no flag.
            "Ada\u{e0041}".to_owned(),
            "\u{1f3f4}\u{e0067}\u{e0062}".to_owned(),
            // Selectors without a shape to choose.
            "\u{fe0f}Ada".to_owned(),
            "A\u{fe0f}\u{fe0f}da".to_owned(),
            // Marks on nothing.
            "\u{301}Ada".to_owned(),
            "Ada \u{301}".to_owned(),
        ];
        refused.push(format!("a{}", "\u{301}".repeat(30)));
        refused.push(format!("a{}", "\u{301}".repeat(5)));
        refused.push(format!("\u{1ec5}{}", "\u{323}".repeat(3)));
        for name in refused {
            assert_eq!(code(&name), Some("invalid_characters"), "{name:?}");
        }
        assert_eq!(code(&"x".repeat(101)), Some("too_long"));
    }

    proptest::proptest! {
        #[test]
        fn what_was_taken_is_taken_again(text in "\\PC{0,60}") {
            if let Ok(name) = checked(&text, "name", 100) {
                proptest::prop_assert_eq!(checked(name, "name", 100).unwrap(), name);
            }
        }
    }
}
