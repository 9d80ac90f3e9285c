//! Pages of accounts: filters, search, and where a page begins.

use sqlx::AssertSqlSafe;

use super::SqlStore;
use super::change::Statement as Query;
use super::row::{self, select_account};
use crate::account::Account;
use crate::account::store::AccountFilter;
use crate::error::Result;

/// A value that is bound to a parameter.
#[derive(Debug, PartialEq)]
pub(super) enum Value {
    Text(String),
    Number(i64),
}

/// A statement as it grows: only fixed text and parameter numbers go into it, values are bound.
pub(super) struct Statement {
    text: String,
    values: Vec<Value>,
}

impl Statement {
    /// A statement that begins with this text.
    pub(super) fn new(text: String) -> Self {
        Self { text, values: Vec::new() }
    }

    /// Binds a value and gives the name of its parameter.
    pub(super) fn bind(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    pub(super) fn text(&mut self, value: impl Into<String>) -> String {
        self.bind(Value::Text(value.into()))
    }

    /// One more condition that a row must meet.
    pub(super) fn and(&mut self, condition: &str) {
        self.push(" AND ");
        self.push(condition);
    }

    /// More text: fixed words and names of parameters.
    pub(super) fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// The statement with its values bound.
    pub(super) fn query(self) -> Query<'static> {
        // Safe: no outside text is ever put in it (SR-63).
        let mut query = sqlx::query(AssertSqlSafe(self.text));
        for value in self.values {
            query = match value {
                Value::Text(text) => query.bind(text),
                Value::Number(number) => query.bind(number),
            };
        }
        query
    }
}

pub(super) async fn list(store: &SqlStore, filter: &AccountFilter) -> Result<Vec<Account>> {
    // PostgreSQL refuses NUL in a text, and no stored text has one.
    if filter.q.as_deref().is_some_and(|q| q.contains('\0')) {
        return Ok(Vec::new());
    }
    let query = statement(filter).query();
    query.fetch_all(store.pool.reader()).await?.iter().map(row::account).collect()
}

/// The statement for a page. Its text depends on which filters are set, not on what they say, so
/// that the database plans each with the index it has for it.
fn statement(filter: &AccountFilter) -> Statement {
    let mut page = Statement::new(select_account!("WHERE 1 = 1").to_owned());
    if let Some(q) = &filter.q {
        let pattern = page.text(contains(&q.to_lowercase()));
        page.and(&format!(
            r"(a.email_key LIKE {pattern} ESCAPE '\' OR a.search_key LIKE {pattern} ESCAPE '\')"
        ));
    }
    if let Some(role) = &filter.role {
        let role = page.text(role.as_str());
        page.and(&format!("a.id IN (SELECT account_id FROM account_role WHERE role = {role})"));
    }
    if let Some(status) = filter.status {
        let status = page.text(status.as_str());
        page.and(&format!("a.status = {status}"));
    }
    if let Some((created_at, id)) = &filter.after {
        let created_at = page.bind(Value::Number(created_at.as_millis()));
        let id = page.text(id.as_str());
        page.and(&format!("(a.created_at, a.id) < ({created_at}, {id})"));
    }
    let limit = page.bind(Value::Number(filter.limit.into()));
    page.push(&format!(" ORDER BY a.created_at DESC, a.id DESC LIMIT {limit}"));
    page
}

/// The `LIKE` pattern of texts that contain `part`, in which no character is a wildcard (SR-63).
fn contains(part: &str) -> String {
    let mut pattern = String::with_capacity(part.len() + 2);
    pattern.push('%');
    for character in part.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sr_63_wildcards_are_escaped() {
        assert_eq!(contains(r"50%_\x"), r"%50\%\_\\x%");
    }

    #[test]
    fn sr_63_what_is_searched_for_is_bound_and_not_part_of_the_statement() {
        let q = "' OR 1 = 1 --";
        let page = statement(&AccountFilter { q: Some(q.into()), ..AccountFilter::default() });
        assert!(!page.text.contains("OR 1 = 1"), "{}", page.text);
        assert_eq!(page.values, [Value::Text(format!("%{}%", q.to_lowercase())), Value::Number(0)]);
    }
}
