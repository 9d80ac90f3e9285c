//! What a session runs on, in words a person recognises.

use woothee::parser::Parser;

/// A browser and system, as far as a `User-Agent` tells (RFC 9110 §10.1.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// `Firefox on Linux`, `curl`, `Unknown device`.
    pub name: String,
    /// What sort of thing it is.
    pub kind: DeviceKind,
}

/// The sorts of device that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// A computer with a browser, or nothing known.
    Desktop,
    /// A phone.
    Phone,
    /// A tablet.
    Tablet,
    /// A program that is not a browser.
    Program,
}

impl Device {
    /// Reads a `User-Agent`. Nothing in it is trusted: it only chooses words.
    pub fn from_user_agent(user_agent: &str) -> Self {
        let parsed = Parser::new().parse(user_agent);
        if parsed.as_ref().is_some_and(|p| p.name == "HTTP Library") {
            return Self::program(user_agent);
        }
        let browser = parsed.as_ref().map(|p| p.name).and_then(known);
        let system = parsed.as_ref().map(|p| p.os).and_then(known).map(plain_system);
        let kind = match parsed.as_ref().map(|p| p.category) {
            Some("smartphone" | "mobilephone") if is_tablet(user_agent) => DeviceKind::Tablet,
            Some("smartphone" | "mobilephone") => DeviceKind::Phone,
            Some("pc" | "appliance") | None => DeviceKind::Desktop,
            Some(_) => DeviceKind::Program,
        };
        match (browser, system) {
            (Some(browser), Some(system)) => Self { name: format!("{browser} on {system}"), kind },
            (Some(one), None) | (None, Some(one)) => Self { name: one.to_owned(), kind },
            (None, None) => Self::program(user_agent),
        }
    }

    /// A program names itself first, before a slash: `curl/8.5.0`.
    fn program(user_agent: &str) -> Self {
        let name = user_agent.split(['/', ' ']).next().unwrap_or_default();
        let wordy = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if name.is_empty() || name == "Mozilla" || name.len() > 40 || !name.bytes().all(wordy) {
            Self { name: "Unknown device".to_owned(), kind: DeviceKind::Desktop }
        } else {
            Self { name: name.to_owned(), kind: DeviceKind::Program }
        }
    }
}

fn known(word: &str) -> Option<&str> {
    (!word.is_empty() && !word.eq_ignore_ascii_case("unknown")).then_some(word)
}

fn plain_system(name: &str) -> &str {
    match name {
        "Mac OSX" => "macOS",
        other if other.starts_with("Windows") => "Windows",
        other => other,
    }
}

fn is_tablet(user_agent: &str) -> bool {
    user_agent.contains("iPad")
        || (user_agent.contains("Android") && !user_agent.contains("Mobile"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_browsers_and_programs_have_names() {
        for (user_agent, name, kind) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
                "Firefox on Linux",
                DeviceKind::Desktop,
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/126.0.0.0 Safari/537.36",
                "Chrome on Windows",
                DeviceKind::Desktop,
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 \
                 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
                "Safari on iPhone",
                DeviceKind::Phone,
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 \
                 (KHTML, like Gecko) Version/17.5 Safari/605.1.15",
                "Safari on macOS",
                DeviceKind::Desktop,
            ),
            (
                "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/126.0.0.0 Mobile Safari/537.36",
                "Chrome on Android",
                DeviceKind::Phone,
            ),
            (
                "Mozilla/5.0 (Linux; Android 14; SM-X710) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/126.0.0.0 Safari/537.36",
                "Chrome on Android",
                DeviceKind::Tablet,
            ),
            (
                "Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) AppleWebKit/605.1.15 \
                 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
                "Safari on iPad",
                DeviceKind::Tablet,
            ),
            (
                "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
                "Googlebot",
                DeviceKind::Program,
            ),
            ("curl/8.5.0", "curl", DeviceKind::Program),
            ("kiosk-client/2", "kiosk-client", DeviceKind::Program),
            ("", "Unknown device", DeviceKind::Desktop),
            ("Mozilla/5.0", "Unknown device", DeviceKind::Desktop),
            (&"x".repeat(40), &"x".repeat(40), DeviceKind::Program),
            (&"x".repeat(41), "Unknown device", DeviceKind::Desktop),
            ("<script>alert(1)</script>", "Unknown device", DeviceKind::Desktop),
        ] {
            let device = Device::from_user_agent(user_agent);
            assert_eq!((device.name.as_str(), device.kind), (name, kind), "{user_agent}");
        }
    }
}
