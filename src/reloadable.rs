//! Values that are replaced while others read them: what a running server takes over from a changed
//! configuration.

use std::sync::{Arc, PoisonError, RwLock};

/// A value that can be replaced. Clones share it.
#[derive(Debug)]
pub struct Reloadable<T>(Arc<RwLock<Arc<T>>>);

impl<T> Reloadable<T> {
    /// Holds this value until it is replaced.
    pub fn new(value: T) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(value))))
    }

    /// The value as it is now. It stays the same for the caller, also when it is replaced meanwhile.
    pub fn get(&self) -> Arc<T> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the value, for all clones.
    pub fn replace(&self, value: T) {
        self.share(Arc::new(value));
    }

    /// Replaces the value by one that others have as well.
    pub fn share(&self, value: Arc<T>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = value;
    }
}

impl<T> Clone for Reloadable<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_the_value_and_who_reads_keeps_what_was_read() {
        let first = Reloadable::new(1);
        let (clone, read) = (first.clone(), first.get());
        clone.replace(2);
        assert_eq!((*read, *first.get(), *clone.get()), (1, 2, 2));
    }
}
