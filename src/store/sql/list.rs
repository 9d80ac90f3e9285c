//! Pages of accounts: filters, search, and where a page begins.

use super::SqlStore;
use super::row::{self, select_account};
use super::statement::{Statement, Value, query};
use crate::account::Account;
use crate::account::search::Search;
use crate::account::store::AccountFilter;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::id::AccountId;

/// A statement as it grows: only fixed text and parameter numbers go into it, values are bound.
pub(super) struct Composed {
    text: String,
    values: Vec<Value>,
}

impl Composed {
    /// A statement that begins with this text.
    pub(super) fn new(text: String) -> Self {
        Self { text, values: Vec::new() }
    }

    /// Binds a value and gives the name of its parameter.
    pub(super) fn bind(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("${}", self.values.len())
    }

    pub(super) fn text(&mut self, value: impl Into<String>) -> String {
        self.bind(value.into())
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

    /// The same statement behind another word.
    pub(super) fn after(mut self, word: &str) -> Self {
        self.text.insert_str(0, word);
        self
    }

    /// The statement with its values bound.
    pub(super) fn query(self) -> Statement {
        // No outside text is ever put in it (SR-63).
        Statement::of(self.text, self.values)
    }
}

/// How many accounts a page of a search looks at, and of a list that no index narrows.
pub const DEPTH: u32 = 50_000;
/// How many accounts may have a role for them to be found by it, and then sorted.
const FEW: u32 = 2_000;

/// What a search looks through: a row whose name was written by a release before has only this much.
const SEARCHED: &str = "CASE WHEN a.search_of = a.display_name THEN a.search_text \
                        ELSE a.search_key || ' ' || a.email_key END";

/// Whether a list can begin with those who have a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holders {
    /// They are few.
    Few,
    /// They are many, or no role is asked for: the list goes through the accounts by age.
    Many,
}

pub(super) async fn list(store: &SqlStore, filter: &AccountFilter) -> Result<Vec<Account>> {
    // PostgreSQL refuses NUL in a text, and no stored text has one.
    let mut words = filter.q.iter().flat_map(Search::words);
    if words.any(|word| word.contains('\0')) {
        return Ok(Vec::new());
    }
    let query = statement(filter, holders(store, filter).await?).query();
    store.pool.fetch_all(query).await?.iter().map(row::account).collect()
}

/// See `AccountStore::reach`: indexes alone answer it.
pub(super) async fn reach(
    store: &SqlStore,
    filter: &AccountFilter,
) -> Result<Option<(Timestamp, AccountId)>> {
    let narrow = filter.q.is_none() && filter.role.is_none();
    if narrow || holders(store, filter).await? == Holders::Few {
        return Ok(None);
    }
    let query = place(filter.after.as_ref(), DEPTH).query();
    let Some(row) = store.pool.fetch_optional(query).await? else { return Ok(None) };
    let id = AccountId::parse(&row.try_get::<String, _>(1)?).ok_or_else(|| row::corrupt("id"))?;
    Ok(Some((Timestamp::from_millis(row.try_get(0)?), id)))
}

/// Whether those who have the role that is asked for are few.
pub(super) async fn holders(store: &SqlStore, filter: &AccountFilter) -> Result<Holders> {
    let Some(role) = &filter.role else { return Ok(Holders::Many) };
    let count = query(
        "SELECT COUNT(*) FROM (SELECT 1 FROM account_role WHERE role = $1 LIMIT $2) AS holder",
    );
    let count = count.bind(role.as_str()).bind(i64::from(FEW) + 1);
    let count: i64 = store.pool.fetch_one(count).await?.try_get(0)?;
    Ok(if count <= i64::from(FEW) { Holders::Few } else { Holders::Many })
}

/// The statement for the place that is so many accounts after another.
pub(super) fn place(after: Option<&(Timestamp, AccountId)>, steps: u32) -> Composed {
    let mut place = Composed::new("SELECT created_at, id FROM account WHERE 1 = 1".to_owned());
    if let Some((created_at, id)) = after {
        let created_at = place.bind(created_at.as_millis());
        let id = place.text(id.as_str());
        place.and(&format!("(created_at, id) < ({created_at}, {id})"));
    }
    let steps = place.bind(i64::from(steps.saturating_sub(1)));
    place.push(&format!(" ORDER BY created_at DESC, id DESC LIMIT 1 OFFSET {steps}"));
    place
}

/// The statement for a page. Its text depends on which filters are set, not on what they say, so
/// that the database plans each with the index it has for it.
pub(super) fn statement(filter: &AccountFilter, holders: Holders) -> Composed {
    let mut page = Composed::new(select_account!("WHERE 1 = 1").to_owned());
    for word in filter.q.iter().flat_map(Search::words) {
        let pattern = page.text(contains(word));
        page.and(&format!(r"{SEARCHED} LIKE {pattern} ESCAPE '\'"));
    }
    if let Some(role) = &filter.role {
        let role = page.text(role.as_str());
        page.and(&match holders {
            Holders::Few => {
                format!("a.id IN (SELECT account_id FROM account_role WHERE role = {role})")
            }
            // A common role is soon met on the way, so that nothing has to be sorted.
            Holders::Many => format!(
                "EXISTS (SELECT 1 FROM account_role h WHERE h.account_id = a.id \
                 AND h.role = {role} LIMIT 1)"
            ),
        });
    }
    if let Some(status) = filter.status {
        let status = page.text(status.as_str());
        page.and(&format!("a.status = {status}"));
    }
    for (relation, place) in [("<", &filter.after), (">=", &filter.until)] {
        if let Some((created_at, id)) = place {
            let created_at = page.bind(created_at.as_millis());
            let id = page.text(id.as_str());
            page.and(&format!("(a.created_at, a.id) {relation} ({created_at}, {id})"));
        }
    }
    let limit = page.bind(i64::from(filter.limit));
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
        let q = Search::parse("'OR(1=1)--").expect("it is short");
        let page = statement(&AccountFilter { q, ..AccountFilter::default() }, Holders::Many);
        assert!(!page.text.contains("1=1"), "{}", page.text);
        assert_eq!(page.values, [Value::from("%'or(1=1)--%"), Value::from(0)]);
    }
}
