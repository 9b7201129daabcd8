//! What signs for an account, where the key may be exchanged for another while its connection is up.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A signer that can be replaced. Connections are made with the newest; calls beside them are signed with the one that
/// last brought a connection up, so that a key that turns out wrong costs nothing.
#[derive(Debug)]
pub(crate) struct Rotating<T>(Mutex<Signers<T>>);

#[derive(Debug)]
struct Signers<T> {
    newest: T,
    age: u64,
    proven: T,
}

impl<T: Clone> Rotating<T> {
    /// Begins with a signer.
    pub(crate) fn new(signer: T) -> Self {
        Rotating(Mutex::new(Signers { newest: signer.clone(), age: 0, proven: signer }))
    }

    fn signers(&self) -> MutexGuard<'_, Signers<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what signs calls.
    pub(crate) fn proven(&self) -> T {
        self.signers().proven.clone()
    }

    /// Returns what signs a new connection in, and its name for [`Rotating::prove`].
    pub(crate) fn newest(&self) -> (T, u64) {
        let signers = self.signers();
        (signers.newest.clone(), signers.age)
    }

    /// Takes another signer.
    pub(crate) fn set(&self, signer: T) {
        let mut signers = self.signers();
        signers.newest = signer;
        signers.age += 1;
    }

    /// Notes that a signer brought a connection up, unless there is a newer one by now.
    pub(crate) fn prove(&self, age: u64) {
        let mut signers = self.signers();
        if signers.age == age {
            signers.proven = signers.newest.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_signed_with_the_old_key_until_the_new_one_brought_a_connection_up() {
        let signer = Rotating::new("old");
        signer.set("mistyped");
        let (_, mistyped) = signer.newest();
        signer.set("new");
        signer.prove(mistyped);
        assert_eq!((signer.proven(), signer.newest().0), ("old", "new"));
        signer.prove(signer.newest().1);
        assert_eq!(signer.proven(), "new");
    }
}
