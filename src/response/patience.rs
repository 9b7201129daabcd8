//! A store that is busy, or whose disk is full, is asked again.

use std::time::Duration;

use crate::runtime::backoff::{self, Backoff};
use crate::store::Error;

/// Waits between two tries of a store that is busy or whose disk is full.
const BUSY: backoff::Settings =
    backoff::Settings { min: Duration::from_millis(50), max: Duration::from_secs(5), healthy: Duration::from_secs(60) };

/// Asks the store again while it is busy or its disk is full: what is under way must not be dropped for that.
pub(super) async fn patiently<T, F>(deed: impl Fn() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut backoff = Backoff::new(BUSY);
    loop {
        match deed().await {
            Err(error) if error.is_passing() => {
                let wait = backoff.draw();
                tracing::warn!(%error, again_in = ?wait, "a response waits for the store");
                tokio::time::sleep(wait).await;
            }
            done @ (Ok(_) | Err(_)) => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_busy_store_is_asked_until_it_answers_and_a_broken_one_once() {
        for (passing, wanted) in [(true, Ok(7)), (false, Err(()))] {
            let asked = Cell::new(0);
            let answer = patiently(|| {
                asked.set(asked.get() + 1);
                let times = asked.get();
                async move {
                    match (times, passing) {
                        (1 | 2, true) => Err(Error::InUse { path: "db".into() }),
                        (_, true) => Ok(7),
                        (_, false) => Err(Error::CutShort),
                    }
                }
            });
            assert_eq!((answer.await.map_err(|_| ()), asked.get()), (wanted, if passing { 3 } else { 1 }));
        }
    }
}
