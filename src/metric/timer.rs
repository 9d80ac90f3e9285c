//! How long the operations of stores take, and how often they fail.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{PoisonError, RwLock};
use std::time::Instant;

use super::family::{STORE_ERRORS, STORE_SECONDS};
use super::{Counter, Histogram, Registry};
use crate::error::{Error, Result};
use crate::trace;

/// Times one operation of a store.
#[derive(Clone)]
pub struct Timer {
    store: &'static str,
    operation: &'static str,
    /// `None` where nobody watches, so that the clock is not asked either.
    figures: Option<Figures>,
}

#[derive(Clone)]
struct Figures {
    took: Histogram,
    unavailable: Counter,
    internal: Counter,
}

impl Timer {
    /// A timer for this operation of this store.
    pub fn new(registry: &Registry, store: &'static str, operation: &'static str) -> Self {
        let labels = [("store", store), ("operation", operation)];
        let errors = |kind| {
            let labels = [labels[0], labels[1], ("kind", kind)];
            registry.counter(&STORE_ERRORS, &labels)
        };
        let figures = registry.is_on().then(|| Figures {
            took: registry.histogram(&STORE_SECONDS, &labels),
            unavailable: errors("unavailable"),
            internal: errors("internal"),
        });
        Self { store, operation, figures }
    }

    /// Does `work`, and notes how long it took and whether the store failed.
    pub async fn time<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let work = trace::store(self.store, self.operation, work);
        let Some(figures) = &self.figures else { return work.await };
        let began = Instant::now();
        let done = work.await;
        figures.took.note(began.elapsed());
        match &done {
            Err(Error::Unavailable(_)) => figures.unavailable.count(),
            Err(Error::Internal(_)) => figures.internal.count(),
            _ => {}
        }
        done
    }
}

/// The timers of a store's operations, each made when it is first needed.
pub struct Operations {
    registry: Registry,
    store: &'static str,
    timers: RwLock<HashMap<&'static str, Timer>>,
}

impl Operations {
    /// The operations of this store.
    pub fn of(registry: &Registry, store: &'static str) -> Self {
        Self { registry: registry.clone(), store, timers: RwLock::default() }
    }

    /// Does `work`, which is this operation, and notes how it went.
    pub async fn time<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        if !self.registry.is_on() {
            return trace::store(self.store, operation, work).await;
        }
        self.timer(operation).time(work).await
    }

    fn timer(&self, operation: &'static str) -> Timer {
        let known = self.timers.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(timer) = known.get(operation) {
            return timer.clone();
        }
        drop(known);
        let mut timers = self.timers.write().unwrap_or_else(PoisonError::into_inner);
        let new = || Timer::new(&self.registry, self.store, operation);
        timers.entry(operation).or_insert_with(new).clone()
    }
}
