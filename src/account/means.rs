//! What an account can be signed in to with.

use super::Status;

/// What decides whether anybody can sign in to an account.
///
/// Whatever asks "would somebody be left who can sign in" asks [`SignInMeans::can_sign_in`], so that
/// a further way to sign in is added here alone, with a column in `store/sql/change.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignInMeans {
    /// Whether the account may be used.
    pub status: Status,
    /// Whether it has a password.
    pub has_password: bool,
}

impl SignInMeans {
    /// Whether its owner can sign in.
    pub fn can_sign_in(self) -> bool {
        self.status == Status::Active && self.has_password
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_opened_by_a_password_while_it_is_enabled() {
        let opens = |status, has_password| SignInMeans { status, has_password }.can_sign_in();
        assert!(opens(Status::Active, true));
        assert!(!opens(Status::Active, false));
        assert!(!opens(Status::Disabled, true) && !opens(Status::Disabled, false));
    }
}
