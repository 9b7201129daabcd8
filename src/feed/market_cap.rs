//! What assets are worth in all, read from a file or a list on the web and handed over as arrivals, so that a replay knows
//! the same.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use compact_str::{CompactString, format_compact};
use tokio_util::sync::CancellationToken;

use super::error::Error;
use super::limiter::Limiter;
use super::outlet::Outlet;
use super::rest::{Call, Rest};
use super::venues::Venues;
use crate::arrival::{Body, Source};
use crate::runtime::clock;
use crate::secret::Secret;

/// Bytes of the largest file taken.
const MOST_BYTES: u64 = 1 << 20;
/// Rows of one page of a list on the web.
const ROWS: usize = 250;
/// A file that did not change is read again after this long all the same: what was told long ago is not believed.
const AGAIN: Duration = Duration::from_secs(86_400);

/// Where to read what assets are worth in all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarketCap {
    /// Where.
    pub from: CapSource,
    /// How often.
    pub every: Duration,
}

/// A place that tells what assets are worth in all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CapSource {
    /// A file, CSV or JSON.
    File(PathBuf),
    /// A list on the web in the form of CoinGecko's `coins/markets`.
    Web {
        /// Its address, without a query.
        url: String,
        /// How many pages of 250 rows to read.
        pages: u32,
        /// A key, where the list asks for one.
        key: Option<Secret>,
    },
}

impl MarketCap {
    /// Returns what its task is called.
    pub(super) fn name(&self) -> &'static str {
        match self.from {
            CapSource::File(_) => "market cap file",
            CapSource::Web { .. } => "market cap list",
        }
    }
}

/// Reads the list until `stop`. Ends with an error only when nobody takes what it reads.
pub(super) async fn run(
    settings: MarketCap,
    venues: &Venues,
    outlet: Outlet,
    stop: CancellationToken,
) -> Result<(), Error> {
    let mut reader = Reader { seen: None, rest: None };
    let mut said: Option<CompactString> = None;
    loop {
        let read = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            read = reader.read(&settings.from, venues, &outlet) => read,
        };
        match read {
            Ok(()) if said.take().is_some() => tracing::info!("the list of market caps can be read again"),
            Ok(()) => {}
            Err(Failure::Feed(Error::Finished)) => return Err(Error::Finished),
            // Once a reason, not once an hour.
            Err(failure) => {
                let why = failure.why();
                if said.as_ref() != Some(&why) {
                    tracing::warn!(%why, "the list of market caps could not be read; nothing else depends on it");
                    said = Some(why);
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(settings.every) => {}
        }
    }
}

enum Failure {
    Feed(Error),
    File(std::io::ErrorKind),
    Large,
    NotText,
}

impl Failure {
    fn why(&self) -> CompactString {
        match self {
            Failure::Feed(error) => format_compact!("{error}"),
            Failure::File(kind) => format_compact!("the file of [market_cap] cannot be read: {kind}"),
            Failure::Large => format_compact!("the file of [market_cap] has more than {MOST_BYTES} bytes; shorten it"),
            Failure::NotText => "the file of [market_cap] is not UTF-8 text".into(),
        }
    }
}

struct Reader {
    /// What the file looked like, and when it was read.
    seen: Option<(SystemTime, u64, std::time::Instant)>,
    rest: Option<Rest>,
}

impl Reader {
    async fn read(&mut self, from: &CapSource, venues: &Venues, outlet: &Outlet) -> Result<(), Failure> {
        match from {
            CapSource::File(path) => self.file(path, outlet).await,
            CapSource::Web { url, pages, key } => {
                self.web(url, *pages, key.as_ref(), venues, outlet).await.map_err(Failure::Feed)
            }
        }
    }

    async fn file(&mut self, path: &PathBuf, outlet: &Outlet) -> Result<(), Failure> {
        let failed = |error: std::io::Error| Failure::File(error.kind());
        let about = tokio::fs::metadata(path).await.map_err(failed)?;
        if about.len() > MOST_BYTES {
            return Err(Failure::Large);
        }
        let looks = (about.modified().map_err(failed)?, about.len());
        let same = |(at, bytes, read): &(SystemTime, u64, std::time::Instant)| {
            (*at, *bytes) == looks && clock::steady().saturating_duration_since(*read) < AGAIN
        };
        if self.seen.as_ref().is_some_and(same) {
            return Ok(());
        }
        let bytes = tokio::fs::read(path).await.map_err(failed)?;
        let text = String::from_utf8(bytes).map_err(|_| Failure::NotText)?;
        let from = Source::MarketCap("file".into());
        outlet.note(from, Body::from_text(text)).await.map_err(Failure::Feed)?;
        self.seen = Some((looks.0, looks.1, clock::steady()));
        Ok(())
    }

    async fn web(
        &mut self,
        url: &str,
        pages: u32,
        key: Option<&Secret>,
        venues: &Venues,
        outlet: &Outlet,
    ) -> Result<(), Error> {
        let rest = match &mut self.rest {
            Some(rest) => rest,
            none => {
                // Free plans allow 30 calls a minute and count failed ones.
                let limiter = Limiter::new(10, Duration::from_secs(60), 5);
                let timing = venues.settings.timing;
                none.insert(Rest::new(url, &venues.tls, timing.connect, timing.backoff.min, limiter)?)
            }
        };
        let header = if url.contains("//pro-api.") { "x-cg-pro-api-key" } else { "x-cg-demo-api-key" };
        let headers: Vec<_> = key.map(|key| (header, key.expose().trim().to_owned())).into_iter().collect();
        for page in 1..=pages {
            let query = format!("?vs_currency=usd&order=market_cap_desc&per_page={ROWS}&page={page}");
            let sign = || Ok(Call { path: query.clone(), headers: headers.clone(), cost: 1, ..Call::default() });
            let answer = rest.ask(sign).await?;
            if answer.status != 200 {
                return Err(Error::Http(answer.status));
            }
            let rows = serde_json::from_str::<Vec<serde::de::IgnoredAny>>(&answer.text)
                .map_err(|_| Error::Protocol("a list of market caps of an unexpected shape"))?;
            let (at, body) = answer.page(format!("coins/markets{query}"))?;
            outlet.pass(at, Source::MarketCap("web".into()), body).await?;
            if rows.len() < ROWS {
                break;
            }
        }
        Ok(())
    }
}
