//! The hops that proxies name in `X-Forwarded-For` and `Forwarded`.

use std::iter;
use std::net::{IpAddr, Ipv6Addr};

/// The elements of a list (RFC 9110 §5.6.1) that can be spread over several header lines, the last first.
/// Empty ones do not count.
///
/// It is read from its end: what a client wrote at its beginning, an open quotation mark for example,
/// takes away nothing of what its proxies wrote behind.
pub(super) fn from_the_right<'h>(lines: &[&'h str]) -> impl Iterator<Item = &'h str> {
    lines.iter().rev().flat_map(|line| split_from_the_right(line, ','))
}

/// The parts of a text between separators that stand outside of quotation marks, the last first. Empty
/// ones do not count.
fn split_from_the_right(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut left = Some(text);
    let parts = iter::from_fn(move || {
        let text = left?;
        let (rest, part) = match last_outside_of_quotes(text, separator) {
            Some((before, part)) => (Some(before), part),
            None => (None, text),
        };
        left = rest;
        Some(part.trim_matches([' ', '\t']))
    });
    parts.filter(|part| !part.is_empty())
}

fn last_outside_of_quotes(text: &str, separator: char) -> Option<(&str, &str)> {
    let mut quoted = false;
    for (at, c) in text.char_indices().rev() {
        let before = text.get(..at)?;
        if c == '"' && !(quoted && is_escaped(before)) {
            quoted = !quoted;
        } else if c == separator && !quoted {
            return Some((before, text.get(at + c.len_utf8()..)?));
        }
    }
    None
}

/// Whether a backslash in front makes what follows a plain character of a quoted string (RFC 9110 §5.6.4).
fn is_escaped(before: &str) -> bool {
    before.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// The text of a quoted string, or the text itself if it is none.
fn unquoted(text: &str) -> Option<String> {
    let Some(rest) = text.strip_prefix('"') else {
        return (!text.contains('"')).then(|| text.to_owned());
    };
    let mut inner = rest.strip_suffix('"')?.chars();
    let mut plain = String::new();
    while let Some(c) = inner.next() {
        match c {
            '\\' => plain.push(inner.next()?),
            '"' => return None,
            c => plain.push(c),
        }
    }
    Some(plain)
}

/// The node that an element of `Forwarded` is for (RFC 7239 §4); `None` if it names none, or more than one.
pub(super) fn forwarded_for(element: &str) -> Option<&str> {
    let pairs = split_from_the_right(element, ';').map(|pair| pair.split_once('='));
    let mut nodes = Vec::new();
    for pair in pairs {
        let (name, node) = pair?;
        if name.trim().eq_ignore_ascii_case("for") {
            nodes.push(node.trim());
        }
    }
    match nodes.as_slice() {
        [node] => Some(node),
        _ => None,
    }
}

/// Reads a node: an address, also in quotation marks or brackets, with a port or a zone. `None` for what is
/// no address, such as `unknown` and `_hidden` (RFC 7239 §6).
pub(super) fn parse(node: &str) -> Option<IpAddr> {
    let node = unquoted(node)?;
    let node = node.trim_matches([' ', '\t']);
    if let Some(rest) = node.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        return (port.is_empty() || is_port(port.strip_prefix(':')?))
            .then(|| parse_v6(address).map(IpAddr::V6))?;
    }
    if let Some(address) = parse_v6(node) {
        return Some(IpAddr::V6(address));
    }
    match node.split_once(':') {
        Some((address, port)) if is_port(port) => address.parse().ok().map(IpAddr::V4),
        Some(_) => None,
        None => node.parse().ok().map(IpAddr::V4),
    }
}

/// An IPv6 address; the zone, which means something to one machine alone (RFC 4007 §11), is left out.
fn parse_v6(text: &str) -> Option<Ipv6Addr> {
    let (address, zone) = text.split_once('%').unwrap_or((text, "0"));
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~%".contains(&b);
    if zone.is_empty() || !zone.bytes().all(plain) {
        return None;
    }
    address.parse().ok()
}

/// A port, or what stands for one that is kept to itself (RFC 7239 §6).
fn is_port(text: &str) -> bool {
    let hidden = |rest: &str| {
        !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    match text.strip_prefix('_') {
        Some(rest) => hidden(rest),
        None => text.len() <= 5 && text.parse::<u16>().is_ok() && !text.starts_with('+'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_from_its_end_and_empty_elements_do_not_count() {
        for (lines, expected) in [
            (&["a, b"][..], &["b", "a"][..]),
            (&["a", "b,c"], &["c", "b", "a"]),
            (&[",a,, b ,\t,"], &["b", "a"]),
            (&["", ",", " , "], &[]),
            (&["\"a,b\", c"], &["c", "\"a,b\""]),
            (&[r#""a\",b", c"#], &["c", r#""a\",b""#]),
            // An open quotation mark takes nothing away from what stands behind it.
            (&["\"evil, b"], &["b", "\"evil"]),
            (&["\"evil", "b"], &["b", "\"evil"]),
            (&["x\", \"b\", c"], &["c", "\"b\"", "x\""]),
        ] {
            assert_eq!(from_the_right(lines).collect::<Vec<_>>(), expected, "{lines:?}");
        }
    }

    #[test]
    fn sr_24_an_element_of_forwarded_names_its_node_once() {
        for (element, expected) in [
            ("for=192.0.2.60;proto=http;by=203.0.113.43", Some("192.0.2.60")),
            ("proto=https; For=\"[2001:db8:cafe::17]:4711\"", Some("\"[2001:db8:cafe::17]:4711\"")),
            ("by=\"a;for=6.6.6.6\";for=192.0.2.60", Some("192.0.2.60")),
            ("for=unknown;", Some("unknown")),
            ("for=6.6.6.6;for=192.0.2.60", None),
            ("by=203.0.113.43", None),
            ("192.0.2.60", None),
            ("", None),
        ] {
            assert_eq!(forwarded_for(element), expected, "{element}");
        }
    }

    #[test]
    fn sr_24_a_node_is_an_address_in_any_of_its_forms() {
        for (node, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.1:443", "192.0.2.1"),
            ("192.0.2.1:_port", "192.0.2.1"),
            ("\"192.0.2.1\"", "192.0.2.1"),
            ("\"192.0.2.1:443\"", "192.0.2.1"),
            (r#""192\.0.2.1""#, "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("2001:DB8::A", "2001:db8::a"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("\"[2001:db8::1]:443\"", "2001:db8::1"),
            ("\"[2001:db8::1]\"", "2001:db8::1"),
            ("\"2001:db8::1\"", "2001:db8::1"),
            ("fe80::1%eth0", "fe80::1"),
            ("[fe80::1%eth0]:443", "fe80::1"),
            ("[fe80::1%25eth0]", "fe80::1"),
            ("\"[fe80::1%en-1.2]\"", "fe80::1"),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),
            ("[::ffff:192.0.2.1]:1", "::ffff:192.0.2.1"),
        ] {
            assert_eq!(parse(node).map(|ip| ip.to_string()).as_deref(), Some(expected), "{node}");
        }
        for node in [
            "",
            "unknown",
            "_hidden",
            "\"_hidden:443\"",
            "unknown:443",
            "not an address",
            "192.0.2",
            "192.0.2.1.",
            "192.0.2.256",
            "010.0.0.1",
            "0x7f.0.0.1",
            "192.0.2.1:",
            "192.0.2.1:99999",
            "192.0.2.1:+1",
            "192.0.2.1:x",
            "192.0.2.1 6.6.6.6",
            "[192.0.2.1]",
            "[2001:db8::1]x",
            "[2001:db8::1",
            "2001:db8::1]",
            "[2001:db8::1]:",
            "[]",
            "\"192.0.2.1",
            "192.0.2.1\"",
            "'192.0.2.1'",
            "fe80::1%",
            "192.0.2.1%eth0",
            "fe80::1%a b",
            "localhost",
            "unix:",
            "for=192.0.2.1",
            "http://192.0.2.1",
        ] {
            assert_eq!(parse(node), None, "{node}");
        }
    }
}
