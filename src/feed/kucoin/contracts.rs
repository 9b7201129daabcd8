//! How much a lot of each contract is: a unified account's feed counts in lots and does not say.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::accepted;
use crate::arrival::Source;
use crate::domain::Venue;
use crate::feed::error::Error;
use crate::feed::outlet::Outlet;
use crate::feed::rest::Call;
use crate::feed::venues::Venues;
use crate::runtime::clock;

/// The list is read again after this long: new ones are listed at any time, and each reading stands in the journal whole.
const FRESH: Duration = Duration::from_secs(3 * 3_600);
/// After a failure it is asked for again after this long.
const AGAIN: Duration = Duration::from_secs(60);
/// What the call costs of the public pool.
const COST: u32 = 4;

/// KuCoin's list of contracts, one for all accounts.
#[derive(Debug, Default)]
pub(crate) struct Contracts {
    /// When it is to be read again; held while it is read, so that many accounts ask once.
    due: Mutex<Option<Instant>>,
}

impl Contracts {
    /// Reads the list where it is not fresh, and hands it over: the codec counts lots by it. Without it nobody stays blind:
    /// what is traded in contracts is told to be unreadable, and all else is read.
    pub(crate) async fn prepare(&self, venues: &Venues, outlet: &Outlet) -> Result<(), Error> {
        let mut due = self.due.lock().await;
        let now = clock::steady();
        if due.is_some_and(|due| now < due) {
            return Ok(());
        }
        let ended = match tokio::time::timeout(venues.settings.timing.connect, read(venues, outlet)).await {
            Ok(Err(Error::Finished)) => return Err(Error::Finished),
            Ok(ended) => ended,
            Err(_) => Err(Error::Silent { after: venues.settings.timing.connect, what: "the list was not answered" }),
        };
        *due = Some(now + if ended.is_ok() { FRESH } else { AGAIN });
        if let Err(error) = ended {
            tracing::warn!(%error, "kucoin: the list of contracts could not be read; trades in contracts are not told until it is");
        }
        Ok(())
    }
}

async fn read(venues: &Venues, outlet: &Outlet) -> Result<(), Error> {
    let path = "/api/ua/v1/market/instrument?tradeType=FUTURES";
    let sign = || Ok(Call { path: path.to_owned(), cost: COST, ..Call::default() });
    let answer = accepted(venues.kucoin.ask(sign).await?)?;
    let (at, page) = answer.page(path.trim_start_matches("/api/"))?;
    outlet.pass(at, Source::MarketRest(Venue::Kucoin), page).await
}
