//! All tests in one binary, so that they share one start of each server. Run them with `tests/run`.

mod api;
mod app;
mod audit;
mod cli;
mod contract;
mod deploy;
mod docs;
mod double_click;
mod fault;
mod house;
mod journey;
mod key;
mod library;
mod live;
mod look;
mod page;
mod person;
mod plain_http;
mod proof;
mod proxy;
mod safety;
mod store;
mod support;
mod visitor;
