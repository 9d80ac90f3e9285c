//! The logins that are to be refused, each kind as the others. A new kind is a line of [`KINDS`].

/// The password of the accounts.
pub const RIGHT: &str = "a tower of marzipan";
/// Not the password of any.
const WRONG: &str = "a bridge of marzipan";

/// How the account that a login names is made.
pub enum Step {
    /// `doorward user …` with the address in the place of `{}`, and the password on standard input.
    Command(&'static [&'static str]),
    /// A statement for SQLite, with the address in the place of `$1`.
    Sql(&'static str),
}

/// A kind of login.
pub struct Kind {
    /// As the table calls it.
    pub name: &'static str,
    /// How its accounts are made; without a step there are none.
    pub steps: &'static [Step],
    /// What is tried.
    pub password: &'static str,
}

const CREATED: Step = Step::Command(&["create", "--email", "{}"]);
const DISABLED: Step = Step::Command(&["disable", "{}"]);
const WITHOUT_PASSWORD: Step =
    Step::Sql("UPDATE account SET password_hash = NULL WHERE email_key = $1");

/// All kinds.
pub const KINDS: [Kind; 5] = [
    Kind { name: "unknown address", steps: &[], password: WRONG },
    Kind { name: "wrong password", steps: &[CREATED], password: WRONG },
    Kind { name: "disabled, wrong password", steps: &[CREATED, DISABLED], password: WRONG },
    Kind { name: "disabled, right password", steps: &[CREATED, DISABLED], password: RIGHT },
    Kind { name: "no password set", steps: &[CREATED, WITHOUT_PASSWORD], password: RIGHT },
];

/// The address of an account of the kind with this number: all of them equally long.
pub fn address(kind: usize, number: usize) -> String {
    format!("kind{kind}-{number:05}@example.org")
}
