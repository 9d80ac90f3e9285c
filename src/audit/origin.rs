//! Who asks, carried along with the work that is done for them.
//!
//! The edge says it once for a request, the command line once for a command. So operations need no
//! parameter for it, and none can forget to pass it on.

use std::future::Future;
use std::net::IpAddr;
use std::sync::OnceLock;

use futures::future::Either;

use crate::address::ClientAddress;
use crate::id::AccountId;

/// The actor of what is done on the command line.
pub const OPERATOR: &str = "operator";
/// The actor of what the server does by itself.
pub const SERVER: &str = "server";

tokio::task_local! {
    static ORIGIN: Origin;
}

/// Where the work at hand comes from.
#[derive(Debug, Default)]
pub struct Origin {
    ip: Option<IpAddr>,
    request_id: Option<String>,
    actor: OnceLock<String>,
}

impl Origin {
    /// A request from this address. Whose it is shows when its credentials are judged ([`acting`]).
    pub fn request(ip: ClientAddress, request_id: &str) -> Self {
        Self { ip: ip.known(), request_id: Some(request_id.to_owned()), actor: OnceLock::new() }
    }

    /// The command line.
    pub fn operator() -> Self {
        Self { actor: OnceLock::from(OPERATOR.to_owned()), ..Self::default() }
    }

    /// The server itself.
    pub fn server() -> Self {
        Self { actor: OnceLock::from(SERVER.to_owned()), ..Self::default() }
    }

    /// Does `work` as work that comes from here.
    // No `async fn`: that would have room for `work` twice, and every request carries this.
    pub fn scope<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        ORIGIN.scope(self, work)
    }
}

/// Does `work` as work that comes from `origin`, unless it is known already where it comes from.
pub fn scope_if_unknown<F: Future>(
    origin: impl FnOnce() -> Origin,
    work: F,
) -> impl Future<Output = F::Output> {
    match ORIGIN.try_with(|_| ()) {
        Ok(()) => Either::Left(work),
        Err(_) => Either::Right(origin().scope(work)),
    }
}

/// Says whose request the work at hand is; the first word counts.
pub fn acting(account: &AccountId) {
    let _ = ORIGIN.try_with(|origin| {
        origin.actor.get_or_init(|| account.to_string());
    });
}

/// The address that the work at hand comes from, if it is known.
pub fn client_ip() -> Option<IpAddr> {
    ORIGIN.try_with(|origin| origin.ip).ok().flatten()
}

/// What the request is called that the work at hand is for.
pub fn request_id() -> Option<String> {
    ORIGIN.try_with(|origin| origin.request_id.clone()).ok().flatten()
}

pub(super) fn actor() -> Option<String> {
    ORIGIN.try_with(|origin| origin.actor.get().cloned()).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::role::RoleName;

    #[test]
    fn no_new_role_is_called_like_an_actor() {
        for actor in [OPERATOR, SERVER] {
            assert!(RoleName::parse(actor).is_some_and(|name| name.is_reserved()), "{actor}");
        }
    }
}
