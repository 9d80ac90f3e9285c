//! The audit trail: what is recorded, that nobody can tamper with it unnoticed, and that no secret
//! gets into it, nor anywhere else.

pub mod chain;
mod command;
mod deleted;
mod event;
mod notice;
mod retention;
mod role;
mod secret;

use doorward::audit::Event;
use doorward::audit::store::EventFilter;

use crate::app::TestApp;

/// All events, the first first.
pub async fn events(app: &TestApp) -> Vec<Event> {
    let filter = EventFilter { limit: 10_000, ..EventFilter::default() };
    let page = app.audit().await.list(filter, None).await.expect("the store answers");
    assert_eq!(page.next_cursor, None);
    page.items.into_iter().rev().collect()
}

/// The events since `before`, the first first.
pub async fn events_since(app: &TestApp, before: usize) -> Vec<Event> {
    events(app).await.split_off(before)
}
