//! Statements, what is bound to them, and the rows they give: one form for both databases.

use std::borrow::Cow;

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{AssertSqlSafe, ColumnIndex, Decode, Postgres, Row as _, Sqlite, Type};

use super::connection::{Link, SqlConnection};

/// A value that is bound to a parameter.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Text(Option<String>),
    Number(Option<i64>),
    Bytes(Vec<u8>),
}

macro_rules! values {
    ($($from:ty => $value:expr;)*) => {$(
        impl From<$from> for Value {
            fn from(value: $from) -> Self {
                ($value as fn($from) -> Self)(value)
            }
        }
    )*};
}

values! {
    &str => |text| Self::Text(Some(text.to_owned()));
    String => |text| Self::Text(Some(text));
    Option<&str> => |text| Self::Text(text.map(str::to_owned));
    i64 => |number| Self::Number(Some(number));
    Option<i64> => |number| Self::Number(number);
    Vec<u8> => Self::Bytes;
}

/// A statement, with what is bound to its parameters `$1`, `$2` … in their order.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    text: Cow<'static, str>,
    values: Vec<Value>,
}

/// A statement of this text.
pub(super) fn query(text: &'static str) -> Statement {
    Statement::of(text, Vec::new())
}

/// How many rows a statement has changed.
pub(super) struct Executed(u64);

impl Executed {
    /// Their number.
    pub fn rows_affected(&self) -> u64 {
        self.0
    }
}

impl Statement {
    /// A statement whose text was put together; nothing from outside is in it (SR-63).
    pub fn of(text: impl Into<Cow<'static, str>>, values: Vec<Value>) -> Self {
        Self { text: text.into(), values }
    }

    /// Binds a value to the next parameter.
    pub fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Runs a statement that changes rows.
    pub async fn execute(self, connection: &mut SqlConnection) -> sqlx::Result<Executed> {
        let own = connection.enter(Access::Write).await?;
        let changed = match connection.link() {
            Link::Sqlite(db) => self.sqlite().execute(db).await.map(|done| done.rows_affected()),
            Link::Postgres(db, remembers) => {
                let done = self.postgres(*remembers).execute(db).await;
                done.map(|done| done.rows_affected())
            }
        };
        connection.leave(own, changed).await.map(Executed)
    }

    /// All rows.
    pub async fn fetch_all(self, connection: &mut SqlConnection) -> sqlx::Result<Vec<SqlRow>> {
        let own = connection.enter(Access::Read).await?;
        let rows = match connection.link() {
            Link::Sqlite(db) => {
                let rows = self.sqlite().fetch_all(db).await;
                rows.map(|rows| rows.into_iter().map(SqlRow::Sqlite).collect())
            }
            Link::Postgres(db, remembers) => {
                let rows = self.postgres(*remembers).fetch_all(db).await;
                rows.map(|rows| rows.into_iter().map(SqlRow::Postgres).collect())
            }
        };
        connection.leave(own, rows).await
    }

    /// The first row, if there is one.
    pub async fn fetch_optional(
        self,
        connection: &mut SqlConnection,
    ) -> sqlx::Result<Option<SqlRow>> {
        let own = connection.enter(Access::Read).await?;
        let row = match connection.link() {
            Link::Sqlite(db) => {
                self.sqlite().fetch_optional(db).await.map(|row| row.map(SqlRow::Sqlite))
            }
            Link::Postgres(db, remembers) => {
                let row = self.postgres(*remembers).fetch_optional(db).await;
                row.map(|row| row.map(SqlRow::Postgres))
            }
        };
        connection.leave(own, row).await
    }

    /// The row that is certain to be there.
    pub async fn fetch_one(self, connection: &mut SqlConnection) -> sqlx::Result<SqlRow> {
        self.fetch_optional(connection).await?.ok_or(sqlx::Error::RowNotFound)
    }

    fn sqlite(self) -> Query<'static, Sqlite, SqliteArguments> {
        let mut query = match self.text {
            Cow::Borrowed(text) => sqlx::query(text),
            Cow::Owned(text) => sqlx::query(AssertSqlSafe(text)),
        };
        for value in self.values {
            query = match value {
                Value::Text(text) => query.bind(text),
                Value::Number(number) => query.bind(number),
                Value::Bytes(bytes) => query.bind(bytes),
            };
        }
        query
    }

    /// With `named` the server remembers the statement under a name, and is not sent it again.
    fn postgres(self, named: bool) -> Query<'static, Postgres, PgArguments> {
        let mut query = match self.text {
            Cow::Borrowed(text) => sqlx::query(text),
            Cow::Owned(text) => sqlx::query(AssertSqlSafe(text)),
        };
        for value in self.values {
            query = match value {
                Value::Text(text) => query.bind(text),
                Value::Number(number) => query.bind(number),
                Value::Bytes(bytes) => query.bind(bytes),
            };
        }
        query.persistent(named)
    }
}

/// What a statement, or a transaction, is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

/// A row.
#[derive(Debug)]
pub(super) enum SqlRow {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl SqlRow {
    /// The value of a column, by its name or its place.
    pub fn try_get<'r, T, I>(&'r self, column: I) -> sqlx::Result<T>
    where
        I: ColumnIndex<SqliteRow> + ColumnIndex<PgRow>,
        T: Decode<'r, Sqlite> + Type<Sqlite> + Decode<'r, Postgres> + Type<Postgres>,
    {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
    }
}
