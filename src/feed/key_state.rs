//! What is asked about keys, whatever the exchange: refusals that are said once, and sub-accounts that can be asked for.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use super::error::{Error, Meaning};
use super::settings::SubAccounts;
use crate::domain::AccountId;

/// Sub-accounts of one master that are asked for in a round.
pub(super) const MOST_SUB_ACCOUNTS: usize = 200;

/// What an exchange refused to tell of a key, and was told of.
#[derive(Debug, Default)]
pub(crate) struct Refused(Mutex<BTreeSet<&'static str>>);

impl Refused {
    /// Takes that a question about the watched key failed. A key that may not ask is said once and is no failure; one that
    /// may be dead is.
    pub(super) fn own(&self, id: &AccountId, failed: Error) -> Result<(), Error> {
        let may_not = matches!(
            refused(&failed),
            Some(None | Some(Meaning::Right | Meaning::UnifiedRight | Meaning::Unknown | Meaning::Other))
        );
        if !may_not {
            return Err(failed);
        }
        if self.first("own") {
            tracing::warn!(account = %id, error = %failed, "what the watched key may do cannot be read; changes of it go unseen");
        }
        Ok(())
    }

    /// Takes that a question about sub-accounts failed, after one about the key itself was answered: the key is alive, so
    /// a refusal is a lack of right.
    pub(super) fn listed(&self, id: &AccountId, failed: Error) -> Result<(), Error> {
        let passes = matches!(refused(&failed), None | Some(Some(Meaning::Busy | Meaning::Clock | Meaning::Token)));
        if passes {
            return Err(failed);
        }
        if self.first("listed") {
            tracing::warn!(
                account = %id, error = %failed,
                "the keys of sub-accounts cannot be listed, so new ones go unseen: only a master account's key may, \
                 and the sub-account must be its own; correct `sub_accounts` or leave it out"
            );
        }
        Ok(())
    }

    /// Says once that there are more sub-accounts than are asked for, or that one's name cannot stand in a call.
    pub(super) fn skipped(&self, id: &AccountId, skipped: usize) {
        if skipped > 0 && self.first("skipped") {
            tracing::warn!(
                account = %id, skipped,
                "not every sub-account is looked at: {MOST_SUB_ACCOUNTS} are at most, with plain names; name those that \
                 matter in `sub_accounts`"
            );
        }
    }

    fn first(&self, what: &'static str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(what)
    }
}

/// Returns whether an exchange answered and said no; and what it meant, where it told.
fn refused(failed: &Error) -> Option<Option<Meaning>> {
    match failed {
        Error::Refused(refusal) => Some(Some(refusal.meaning)),
        Error::Http(status) if *status < 500 => Some(None),
        Error::Finished
        | Error::Connect(_)
        | Error::Closed(_)
        | Error::Silent { .. }
        | Error::Oversize
        | Error::Protocol(_)
        | Error::Moved(_)
        | Error::Shutdown
        | Error::Http(_)
        | Error::Limited(_)
        | Error::Key(_) => None,
    }
}

/// Returns of the sub-accounts that an exchange named those that can be asked for, and how many cannot.
pub(super) fn askable(named: Vec<String>) -> (Vec<String>, usize) {
    let count = named.len();
    let fine = named.into_iter().filter(|name| SubAccounts::is_name(name));
    let asked: Vec<String> = fine.take(MOST_SUB_ACCOUNTS).collect();
    let skipped = count - asked.len();
    (asked, skipped)
}
