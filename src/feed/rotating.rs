//! What signs for an account, where the key may be exchanged for another while its connection is up.

use std::sync::{Mutex, PoisonError};

/// A signer that can be replaced. What was signed before stays valid; the next call signs with the new one.
#[derive(Debug)]
pub(super) struct Rotating<T>(Mutex<T>);

impl<T: Clone> Rotating<T> {
    /// Begins with a signer.
    pub(super) fn new(signer: T) -> Self {
        Rotating(Mutex::new(signer))
    }

    /// Returns today's signer.
    pub(super) fn now(&self) -> T {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes another signer in its place.
    pub(super) fn set(&self, signer: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = signer;
    }
}
