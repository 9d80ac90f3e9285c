//! What the program says of a panic, which is a fault of ours: one line, without what was in its hands.

use std::panic::{PanicHookInfo, set_hook, take_hook};

use crate::app::output;

/// Reports panics from now on where the rest is reported: in the log of a server, on standard error for a
/// command.
///
/// A text made at run time can hold a secret (a slice out of bounds shows the string), so only one that
/// stands in the source is repeated. With `RUST_BACKTRACE`, standard error gets all of it, too.
pub(super) fn report() {
    let usual = take_hook();
    let in_full = std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0");
    set_hook(Box::new(move |panic| {
        let (place, message) = described(panic);
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or_default();
        // The thread that writes the log cannot wait for itself.
        if tracing::dispatcher::has_been_set() && thread != super::log::THREAD {
            tracing::error!(place, message, thread, "internal error: panic; please report it");
        } else {
            output::complain(&format!("doorward: internal error at {place}: {message}"));
        }
        if in_full {
            usual(panic);
        }
    }));
}

fn described(panic: &PanicHookInfo<'_>) -> (String, &'static str) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let literal = panic.payload().downcast_ref::<&'static str>().copied();
    (place, literal.unwrap_or("(RUST_BACKTRACE=1 shows the text, which may hold secrets)"))
}
