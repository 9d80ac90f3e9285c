//! Forward-auth: what the endpoints answer, and what real proxies make of it.

pub mod ask;
mod browser;
mod domain;
mod endpoint;
mod front;
mod judged;
mod slow;
mod spoof;
mod stack;
mod upstream;

/// Runs a test behind every proxy.
#[macro_export]
macro_rules! on_every_proxy {
    ($(fn $name:ident($stack:ident) $body:block)*) => {$(
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            fn test($stack: &$crate::proxy::stack::Stack) $body

            #[test]
            fn nginx() {
                test($crate::proxy::stack::stack($crate::proxy::stack::Proxy::Nginx));
            }

            #[test]
            fn caddy() {
                test($crate::proxy::stack::stack($crate::proxy::stack::Proxy::Caddy));
            }

            #[test]
            fn haproxy() {
                test($crate::proxy::stack::stack($crate::proxy::stack::Proxy::Haproxy));
            }
        }
    )*};
}
