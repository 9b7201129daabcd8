//! The keys of a sub-account as they were last listed. What was seen a moment ago is not asked for again before a request:
//! each round trip is time that a thief has, and at Binance a sixtieth of the minute's allowance.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Asked, Seen, Unlisted, gone, unlisted};
use crate::domain::Fingerprint;
use crate::response::plan::{Deed, KeySeen};
use crate::runtime::clock;

/// How long a listing is good enough to say which key a request is about.
const RECENT: Duration = Duration::from_secs(1);

/// A key of the sub-account. Its id goes into the next request and nowhere else.
#[derive(Clone)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) seen: KeySeen,
}

/// The last listing, and when it came.
#[derive(Default)]
pub(super) struct Listing(Mutex<Option<(Instant, Vec<Row>)>>);

impl Listing {
    /// Keeps a listing.
    pub(super) fn keep(&self, rows: &[Row]) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((clock::steady(), rows.to_vec()));
    }

    /// Forgets it, because something is about to change.
    pub(super) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Returns a key that was listed a moment ago.
    pub(super) fn recent(&self, key: &Fingerprint) -> Option<Row> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, rows) = kept.as_ref().filter(|(at, _)| at.elapsed() < RECENT)?;
        rows.iter().find(|row| row.seen.key == *key).cloned()
    }

    /// Returns a key that was listed a moment ago or, where none was, that `list` tells; none where it is not among them.
    pub(super) async fn find(
        &self,
        key: &Fingerprint,
        list: impl Future<Output = Result<Vec<Row>, Unlisted>>,
    ) -> Result<Option<Row>, Unlisted> {
        match self.recent(key) {
            Some(row) => Ok(Some(row)),
            None => Ok(list.await?.into_iter().find(|row| row.seen.key == *key)),
        }
    }

    /// Says that a step is still to be taken, where a moment ago it was; that it is not is never said without a look.
    pub(super) fn before(&self, deed: &Deed) -> Option<Seen> {
        let seen = judge(deed, Some(&self.recent(deed.key()?)?.seen))?;
        matches!(seen, Seen::NotSo(_)).then_some(seen)
    }
}

impl fmt::Debug for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listing")
    }
}

/// Returns the key that a request is about or, where there is none to ask about, what becomes of the request.
pub(super) fn wanted(found: Result<Option<Row>, Unlisted>) -> Result<Row, Asked> {
    match found {
        Ok(Some(row)) => Ok(row),
        Ok(None) => Err(gone()),
        Err(why) => Err(unlisted(why)),
    }
}

/// Says how a step about a key's rights stands, by a listing that was just asked for.
pub(super) fn look(deed: &Deed, key: &Fingerprint, keys: Result<Vec<Row>, Unlisted>) -> Seen {
    match keys {
        Ok(keys) => judge(deed, keys.iter().find(|row| row.seen.key == *key).map(|row| &row.seen))
            .unwrap_or_else(|| Seen::Dark("the list does not tell".into())),
        Err(Unlisted { why, .. }) => Seen::Dark(why),
    }
}

/// Says how a step about a key's rights stands, by how the key is listed; nothing where the list cannot tell.
pub(super) fn judge(deed: &Deed, listed: Option<&KeySeen>) -> Option<Seen> {
    let not = |why: &str| Some(Seen::NotSo(why.into()));
    match (deed, listed) {
        (Deed::Strip { had, .. }, Some(seen)) if had.iter().any(|right| seen.rights.contains(right)) => {
            not("the key still has its rights")
        }
        (Deed::Delete { .. }, Some(_)) => not("the key is still there"),
        // A key that is gone has no rights either.
        (Deed::Strip { .. } | Deed::Delete { .. }, _) => Some(Seen::So),
        (Deed::Give { rights, .. }, Some(seen)) if rights.iter().all(|right| seen.rights.contains(right)) => {
            Some(Seen::So)
        }
        (Deed::Give { .. }, Some(_)) => not("the key does not have the rights"),
        (Deed::Give { .. }, None) => not("the key is gone"),
        (
            Deed::Narrow { .. }
            | Deed::Cancel { .. }
            | Deed::Switch { .. }
            | Deed::Release { .. }
            | Deed::Move { .. }
            | Deed::Revoke,
            _,
        ) => None,
    }
}
