//! A cookie counts only if its name comes exactly once (SR-40).
#![no_main]

use arbitrary::Arbitrary;
use doorward::fuzz::cookie;
use doorward::guard::cookie::{ACCESS, DEVICE, PRE_LOGIN, REFRESH};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    /// Header lines as an attacker would send them.
    raw: Vec<&'a str>,
    /// Cookies as a browser would, and after which of them a new header line begins.
    sent: Vec<(Name<'a>, &'a str, bool)>,
}

#[derive(Arbitrary, Debug)]
enum Name<'a> {
    Access,
    Refresh,
    PreLogin,
    Device,
    /// A name with something before or behind it.
    LookAlike(&'a str, &'a str),
    Other(&'a str),
}

/// Without what separates cookies, and what is trimmed around them.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, ';' | ' ' | '\t')).collect()
}

impl Name<'_> {
    fn text(&self) -> String {
        let text = match self {
            Self::Access => ACCESS.to_owned(),
            Self::Refresh => REFRESH.to_owned(),
            Self::PreLogin => PRE_LOGIN.to_owned(),
            Self::Device => DEVICE.to_owned(),
            Self::LookAlike(before, behind) => format!("{before}{ACCESS}{behind}"),
            Self::Other(name) => (*name).to_owned(),
        };
        plain(&text).replace('=', "")
    }
}

fuzz_target!(|input: Input<'_>| {
    for name in [ACCESS, REFRESH, PRE_LOGIN, DEVICE] {
        raw(&input.raw, name);
        built(&input.sent, name);
    }
});

/// Whatever the lines are: a value is really in one of them, and a second cookie of the name undoes it.
fn raw(lines: &[&str], name: &str) {
    let Some(value) = cookie(lines, name) else { return };
    assert!(!value.is_empty() && !value.contains(';'), "{value:?}");
    let pair = format!("{name}={value}");
    assert_eq!(lines.iter().map(|line| line.matches(&pair).count()).sum::<usize>().min(1), 1);

    let second = format!("{name}=tossed");
    let behind: Vec<&str> = lines.iter().copied().chain([second.as_str()]).collect();
    let before: Vec<&str> = [second.as_str()].into_iter().chain(lines.iter().copied()).collect();
    assert_eq!(cookie(&behind, name), None, "a tossed cookie passes unseen");
    assert_eq!(cookie(&before, name), None, "a tossed cookie passes unseen");
}

/// Of cookies that are known one by one, the value of the name is found exactly if it is there once.
fn built(sent: &[(Name<'_>, &str, bool)], name: &str) {
    let sent: Vec<(String, String, bool)> =
        sent.iter().map(|(name, value, ends)| (name.text(), plain(value), *ends)).collect();
    let mut lines = vec![String::new()];
    for (name, value, ends) in &sent {
        if let Some(line) = lines.last_mut() {
            let separator = if line.is_empty() { "" } else { "; " };
            line.push_str(&format!("{separator}{name}={value}"));
        }
        if *ends {
            lines.push(String::new());
        }
    }
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let mut values = sent.iter().filter(|(found, ..)| found == name).map(|(_, value, _)| value);
    let expected = match (values.next(), values.next()) {
        (Some(value), None) if !value.is_empty() => Some(value.as_str()),
        _ => None,
    };
    assert_eq!(cookie(&lines, name), expected, "{name} in {lines:?}");
}
