//! SR-61: slow clients are kept away by what `proxy-config` prints, from the sign-in pages and from the apps.

use std::time::{Duration, Instant};

use super::stack::{JSON, PAGE};
use crate::app::PASSWORD;
use crate::on_every_proxy;
use crate::support::slow::SlowClients;

/// How many clients are slow, at each of the two ports.
const SLOW: usize = 60;

on_every_proxy! {
    fn sr_61_slow_clients_are_cut_off_and_nobody_else(stack) {
        let mut guest = stack.registered("patient@example.org");
        let mut slowest = Duration::ZERO;
        let at_the_app = SlowClients::connect(stack.app, SLOW);
        SlowClients::connect(stack.login, SLOW).assert_cut_off(|| {
            let begun = Instant::now();
            let body = format!(r#"{{"email":"patient@example.org","password":"{PASSWORD}"}}"#);
            let path = "/api/v1/auth/login";
            assert_eq!(guest.send(stack.login, "POST", path, JSON, &body).status, 200);
            guest.seen("/wiki", PAGE);
            slowest = slowest.max(begun.elapsed());
        });
        at_the_app.assert_cut_off(|| {});
        // SR-61 says 1 s on a machine of its own; the tests share theirs.
        assert!(slowest < Duration::from_secs(10), "{slowest:?}");
    }
}
