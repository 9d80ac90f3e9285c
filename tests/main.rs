//! All tests in one binary, so that they share one start of each server. Run them with `tests/run`.

mod api;
mod app;
mod audit;
mod store;
mod support;
