//! What the rules keep for some is not let through by the weaker rule, in whatever spelling (docs/forward-auth.md).
#![no_main]

use std::collections::BTreeSet;
use std::sync::LazyLock;

use arbitrary::Arbitrary;
use doorward::access::{Access, Asked, Rule, RuleSpec};
use libfuzzer_sys::fuzz_target;

static ACCESS: LazyLock<Access> = LazyLock::new(|| {
    let rules = [
        ("/public", "public"),
        ("/admin", "users:read"),
        ("/teams/*/keys", "users:read"),
        ("/x$", "users:read"),
        ("/admin.php", "users:read"),
        ("/", "signed_in"),
    ];
    let rule = |(path, allow): (&str, &str)| {
        let spec = RuleSpec {
            host: "app.example.org".to_owned(),
            path: Some(path.to_owned()),
            methods: Vec::new(),
            allow: allow.to_owned(),
            audience: None,
        };
        Rule::read(&spec, "https").unwrap()
    };
    Access::new(rules.into_iter().map(rule).collect(), "https")
});

/// What some server or app does with a path.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Step {
    Decode,
    FoldCase,
    TurnBackslashes,
    CutPath(End),
    CutSegments(End),
    MergeSlashes,
    TrimSegments,
    DropEnding,
    ResolveDots,
    DropHost,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum End {
    Semicolon,
    Question,
    Hash,
    Ampersand,
    Nul,
    Colon,
}

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    target: &'a str,
    steps: Vec<Step>,
}

impl End {
    fn char(self) -> char {
        match self {
            Self::Semicolon => ';',
            Self::Question => '?',
            Self::Hash => '#',
            Self::Ampersand => '&',
            Self::Nul => '\0',
            Self::Colon => ':',
        }
    }
}

impl Step {
    fn apply(self, path: &str) -> String {
        let before = |text: &str, end: End| {
            text.split(end.char()).next().unwrap_or_default().to_owned()
        };
        let each = |change: &dyn Fn(&str) -> String| {
            path.split('/').map(change).collect::<Vec<_>>().join("/")
        };
        match self {
            Self::Decode => decode(path),
            Self::FoldCase => path.to_uppercase().to_lowercase(),
            Self::TurnBackslashes => path.replace('\\', "/"),
            // A colon ends no path.
            Self::CutPath(End::Colon) => path.to_owned(),
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
fn decode(text: &str) -> String {
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
    String::from_utf8_lossy(&decoded).into_owned()
}

/// Whether an app that comes to this path shows what the rules keep.
fn is_kept(path: &str) -> bool {
    let words: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
    matches!(
        words.as_slice(),
        ["admin" | "admin.php", ..] | ["teams", _, "keys", ..] | ["x"] | ["x", ""]
    )
}

fuzz_target!(|input: Input<'_>| {
    let target = format!("/{}", input.target);
    let asked = Asked { method: "GET", scheme: "https", host: "app.example.org", target: &target };
    let Ok(demand) = ACCESS.demand(&asked) else { return };
    assert!(demand.candidates.last().is_some_and(|last| last.doubts.is_empty()), "{target}");
    if demand.admit(&BTreeSet::new()).is_err() {
        return;
    }
    // Every server ends the path where the query begins. More than four encodings are refused.
    let mut read = target.split('?').next().unwrap_or_default().to_owned();
    assert!(!is_kept(&read), "{target:?}");
    for step in input.steps.into_iter().take(12) {
        read = step.apply(&read);
        assert!(!is_kept(&read), "{target:?} is {read:?}");
    }
});
