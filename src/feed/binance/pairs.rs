//! Binance's list of pairs: what a pair is called there, and what it is made of.

use std::collections::BTreeMap;

use serde::Deserialize;
use tokio::sync::OnceCell;

use super::accepted;
use crate::arrival::Source;
use crate::domain::{Asset, Symbol, Venue};
use crate::feed::error::Error;
use crate::feed::outlet::Outlet;
use crate::feed::rest::Call;
use crate::feed::venues::Venues;

/// The list, read once a start.
#[derive(Debug, Default)]
pub(crate) struct Pairs {
    list: OnceCell<Listed>,
}

#[derive(Debug)]
struct Listed {
    assets: BTreeMap<String, (String, String)>,
    /// Only those that are not simply base and quote joined.
    odd: BTreeMap<Symbol, String>,
}

#[derive(Deserialize)]
struct Page {
    symbols: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    symbol: String,
    #[serde(rename = "baseAsset")]
    base: String,
    #[serde(rename = "quoteAsset")]
    quote: String,
}

impl Pairs {
    /// Returns what `symbol` is called at Binance: base and quote joined, unless the list says otherwise.
    pub(crate) fn name(&self, symbol: &Symbol) -> String {
        let odd = self.list.get().and_then(|list| list.odd.get(symbol).cloned());
        odd.unwrap_or_else(|| format!("{}{}", symbol.base().as_str(), symbol.quote().as_str()))
    }

    /// Returns base and quote by pair.
    pub(crate) async fn assets(
        &self,
        venues: &Venues,
        outlet: &Outlet,
    ) -> Result<&BTreeMap<String, (String, String)>, Error> {
        self.list(venues, outlet).await.map(|list| &list.assets)
    }

    /// Reads the list if nobody did, and gives up waiting after the time a connection may take: fills of pairs with
    /// common names can be read without it, so a slow list must not keep anybody blind.
    pub(crate) async fn prepare(&self, venues: &Venues, outlet: &Outlet) {
        let read = tokio::time::timeout(venues.settings.timing.connect, self.list(venues, outlet)).await;
        if !matches!(read, Ok(Ok(_))) {
            tracing::warn!("binance: the list of pairs could not be read; pairs are told by their names alone");
        }
    }

    /// Reads the list once a start and hands it over: the codec tells a pair's parts by it.
    async fn list(&self, venues: &Venues, outlet: &Outlet) -> Result<&Listed, Error> {
        let read = async || {
            // Without the sets of permissions the list is a fifth of its size.
            let path = "/api/v3/exchangeInfo?showPermissionSets=false";
            let sign = || Ok(Call { path: path.to_owned(), cost: 20, ..Call::default() });
            let answer = accepted(venues.binance.ask(sign).await?)?;
            let page: Page = serde_json::from_str(&answer.text)
                .map_err(|_| Error::Protocol("a list of pairs of an unexpected shape"))?;
            let odd = page.symbols.iter().filter(|row| row.symbol != format!("{}{}", row.base, row.quote));
            let odd = odd
                .filter_map(|row| {
                    let symbol = Symbol::new(Asset::new(&row.base).ok()?, Asset::new(&row.quote).ok()?);
                    Some((symbol, row.symbol.clone()))
                })
                .collect();
            let assets = page.symbols.into_iter().map(|row| (row.symbol, (row.base, row.quote))).collect();
            let (at, body) = answer.page("exchangeInfo")?;
            outlet.pass(at, Source::MarketRest(Venue::Binance), body).await?;
            Ok::<Listed, Error>(Listed { assets, odd })
        };
        self.list.get_or_try_init(read).await
    }
}
