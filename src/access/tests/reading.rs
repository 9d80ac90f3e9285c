//! What any combination of decoders makes of a path is judged by the strictest rule.

use proptest::prelude::ProptestConfig;
use proptest::test_runner::RngSeed;
use unicode_normalization::UnicodeNormalization as _;

use super::{rule, who};
use crate::access::*;

/// One thing that some server or app does with a path.
#[derive(Clone, Copy, Debug)]
enum Step {
    Decode,
    Compose,
    DropAccents,
    FoldCase,
    DropInvisible,
    TurnBackslashes,
    CutPath(char),
    CutSegments(char),
    MergeSlashes,
    TrimSegments,
    DropEnding,
    ResolveDots,
    DropHost,
    DropProgram,
}

const STEPS: [Step; 19] = [
    Step::Decode,
    Step::Compose,
    Step::DropAccents,
    Step::FoldCase,
    Step::DropInvisible,
    Step::TurnBackslashes,
    Step::CutPath(';'),
    Step::CutPath('?'),
    Step::CutPath('#'),
    Step::CutPath('&'),
    Step::CutPath('\0'),
    Step::CutSegments(';'),
    Step::CutSegments(':'),
    Step::MergeSlashes,
    Step::TrimSegments,
    Step::DropEnding,
    Step::ResolveDots,
    Step::DropHost,
    Step::DropProgram,
];

impl Step {
    fn apply(self, path: &str) -> String {
        let invisible = ['\u{200b}', '\u{ad}', '\u{feff}', '\u{2060}', '\u{fe0f}'];
        let each = |change: &dyn Fn(&str) -> String| {
            path.split('/').map(change).collect::<Vec<_>>().join("/")
        };
        let before = |text: &str, end: char| text.split(end).next().unwrap_or_default().to_owned();
        match self {
            Self::Decode => String::from_utf8_lossy(&percent_decode(path)).into_owned(),
            Self::Compose => path.nfkc().collect(),
            Self::DropAccents => {
                path.nfkd().filter(|c| !('\u{300}'..='\u{36f}').contains(c)).collect()
            }
            Self::FoldCase => path.to_uppercase().to_lowercase(),
            Self::DropInvisible => path.replace(invisible, ""),
            Self::TurnBackslashes => path.replace('\\', "/"),
            Self::CutPath(end) => before(path, end),
            Self::CutSegments(end) => each(&|segment| before(segment, end)),
            Self::MergeSlashes => {
                let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
                format!("/{}", parts.join("/"))
            }
            Self::TrimSegments => each(&|segment| segment.trim_end_matches([' ', '.']).to_owned()),
            Self::DropEnding => match path.rsplit_once('.') {
                Some((start, end)) if !end.contains('/') => start.to_owned(),
                _ => path.to_owned(),
            },
            Self::ResolveDots => resolve(path),
            Self::DropHost => match path.strip_prefix("//").and_then(|rest| rest.split_once('/')) {
                Some((_, rest)) => format!("/{rest}"),
                None => path.to_owned(),
            },
            Self::DropProgram => match path.split_once(".php/") {
                Some((start, rest)) => {
                    let folder = start.rsplit_once('/').map_or("", |(folder, _)| folder);
                    format!("{folder}/{rest}")
                }
                None => path.to_owned(),
            },
        }
    }
}

fn resolve(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            other => kept.push(other),
        }
    }
    kept.join("/")
}

/// Decodes what is encoded, and leaves what only looks so.
fn percent_decode(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let (mut decoded, mut at) = (Vec::new(), 0);
    while let Some(byte) = bytes.get(at) {
        let value = text.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match value.filter(|_| *byte == b'%') {
            Some(value) => {
                decoded.push(value);
                at += 3;
            }
            None => {
                decoded.push(*byte);
                at += 1;
            }
        }
    }
    decoded
}

/// Whether an app that comes to this path shows what the rules keep for some.
fn is_kept(path: &str) -> bool {
    let words: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
    matches!(words.as_slice(), ["admin", ..] | ["teams", _, "keys", ..] | ["x"] | ["x", ""])
}

/// What a path is put together from: an expression for many of such parts.
const PARTS: &str = r"(/|/|/|//|%2f|%5c|\\|%252f|;|%3b|:|&|%26|%3f|%23|%253f|%00|\.|\.\.|%2e|%252e|%25|admin|ADMIN|%61|dmin|adm%c4%b1n|teams|7|keys|%e2%84%aaeys|key%c5%bf|public|x|%20|%e2%80%8b|%c2%ad|%ef%bc%8f|%ef%bc%8e|%ef%bc%85|%ef%bc%9b|\.json|\.php|index\.php/|%c3%a1|\?|\+){0,9}";

#[test]
fn the_program_in_front_of_a_path_and_double_slashes_do_not_weaken_a_rule() {
    let rules = [("/admin", "users:read"), ("/", "signed_in")];
    let rules = rules.map(|(path, allow)| rule("app.example.org", path, &[], allow));
    let access = Access::new(rules.into(), "https");
    for target in ["/index.php//.%25/admin", "/index.php//admin", "/index.php/.//admin"] {
        assert_ne!(who(&access, target), "all", "{target}");
    }
}

proptest::proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, rng_seed: RngSeed::Fixed(24), ..Default::default() })]

    #[test]
    fn what_some_app_reads_as_kept_is_not_let_through_by_the_weaker_rule(
        target in PARTS,
        steps in proptest::collection::vec(0..STEPS.len(), 0..9),
    ) {
        let rules = [
            ("/public", "public"),
            ("/admin", "users:read"),
            ("/teams/*/keys", "users:read"),
            ("/x$", "users:read"),
            ("/", "signed_in"),
        ];
        let rules = rules.map(|(path, allow)| rule("app.example.org", path, &[], allow));
        let access = Access::new(rules.into(), "https");
        let target = format!("/{target}");
        // Every server ends the path where the query begins.
        let mut read = target.split('?').next().unwrap_or_default().to_owned();
        let mut kept = is_kept(&read);
        for step in steps {
            read = STEPS[step].apply(&read);
            kept |= is_kept(&read);
        }
        if kept {
            proptest::prop_assert!(who(&access, &target) != "all", "{target} is {read}");
        }
    }
}
