//! What Binance answers when it is asked about its market: pairs, candles, volumes, trades.
//!
//! <https://developers.binance.com/docs/binance-spot-api-docs/rest-api#market-data-endpoints>

use serde::Deserialize;

use super::super::past;
use super::super::scalar::{Amiss, Listed, Object, Scalar};
use super::super::shape::{Heard, parameter, path, read, unread};
use super::super::unread::Unread;
use super::Codec;
use super::envelope::refusal;
use super::market::{Trade, push, span};
use super::report::{pair, short};
use crate::domain::{FeedKind, MarketKind, Side, Symbol, Wallet};

/// `{"timezone":"UTC","symbols":[{"symbol":"APPCBTC","status":"TRADING","baseAsset":"APPC","quoteAsset":"BTC"}]}`
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct ExchangeInfo<'a> {
    symbols: Vec<Pair<'a>>,
}

/// One pair of the list.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct Pair<'a> {
    symbol: Scalar<'a>,
    base_asset: Scalar<'a>,
    quote_asset: Scalar<'a>,
}

/// `{"symbol":"APPCBTC","lastPrice":"0.00002090","volume":"61000","quoteVolume":"1.25","closeTime":1775572206250}`
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct Ticker<'a> {
    symbol: Scalar<'a>,
    last_price: Scalar<'a>,
    quote_volume: Scalar<'a>,
    close_time: Scalar<'a>,
}

/// `{"id":5512345,"price":"0.00002090","qty":"40.00000000","quoteQty":"0.000836","time":1775572206250,
/// "isBuyerMaker":false,"isBestMatch":true}`
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct Row<'a> {
    price: Scalar<'a>,
    qty: Scalar<'a>,
    time: Scalar<'a>,
    is_buyer_maker: Scalar<'a>,
}

/// `{"a":2212345,"p":"0.00002090","q":"40.00000000","f":5512345,"l":5512345,"T":1775572206250,"m":false,"M":true}`
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct AggregateRow<'a> {
    p: Scalar<'a>,
    q: Scalar<'a>,
    #[serde(rename = "T")]
    time: Scalar<'a>,
    m: Scalar<'a>,
}

impl Codec {
    /// Tells what an answer about the market says.
    pub(super) fn market_page(&mut self, call: &str, json: &str, heard: &mut Heard<'_>) -> Result<(), Unread> {
        if let Some(refusal) = refusal(json) {
            refusal.tell(heard);
            return Ok(());
        }
        let path = path(call);
        match path.rsplit('/').next().unwrap_or("") {
            // Contracts are told by their names alone, and their list must not rename spot pairs.
            "exchangeInfo" if heard.wallet() == Wallet::Futures => Ok(()),
            "exchangeInfo" => self.list_pairs(json),
            "klines" => self.candles(call, json, heard),
            "24hr" => self.volumes(json, heard),
            "trades" | "historicalTrades" => {
                let symbol = self.asked_for(call, heard)?;
                for Object(row) in read::<Vec<Object<Row<'_>>>>("trades", json)? {
                    let waited = row.is_buyer_maker.flag("isBuyerMaker");
                    let told = waited.map_err(Unread::from).and_then(|waited| {
                        trade(&row.price, &row.qty, &row.time, waited).tell_past(symbol.clone(), heard)
                    });
                    heard.row(told);
                }
                push(symbol, MarketKind::PastTold { until: heard.at(), trades: true }, heard);
                Ok(())
            }
            "aggTrades" => {
                let symbol = self.asked_for(call, heard)?;
                for Object(row) in read::<Vec<Object<AggregateRow<'_>>>>("trades", json)? {
                    let told =
                        row.m.flag("m").map_err(Unread::from).and_then(|waited| {
                            trade(&row.p, &row.q, &row.time, waited).tell_past(symbol.clone(), heard)
                        });
                    heard.row(told);
                }
                push(symbol, MarketKind::PastTold { until: heard.at(), trades: true }, heard);
                Ok(())
            }
            "time" | "ping" | "depth" | "bookTicker" | "price" | "avgPrice" => Ok(()),
            _ => {
                heard.feed(FeedKind::Unknown(short(path)));
                Ok(())
            }
        }
    }

    /// Rows of a call do not name the pair; the call does.
    fn asked_for(&self, call: &str, heard: &Heard<'_>) -> Result<Symbol, Unread> {
        let name = parameter(call, "symbol").ok_or_else(|| unread("the call does not name its pair"))?;
        self.names(heard).read(name).map_err(|why| Amiss::Refused("symbol", why).into())
    }

    fn list_pairs(&mut self, json: &str) -> Result<(), Unread> {
        let Object(info): Object<ExchangeInfo<'_>> = read("a list of pairs", json)?;
        let mut first_problem = Ok(());
        for listed in info.symbols {
            let told = (|| {
                let name = listed.symbol.word("symbol")?;
                // A dated future is not the pair it is named after.
                if name.contains('_') {
                    return Ok(());
                }
                let (base, quote) = (listed.base_asset.word("baseAsset")?, listed.quote_asset.word("quoteAsset")?);
                self.symbols.list(name, base, quote).map_err(|why| Amiss::Refused("baseAsset", why))
            })();
            first_problem = first_problem.and(told);
        }
        first_problem.map_err(Unread::from)
    }

    /// Rows are `[openTime,open,high,low,close,volume,closeTime,quoteVolume,trades,takerBase,takerQuote,""]`.
    fn candles(&self, call: &str, json: &str, heard: &mut Heard<'_>) -> Result<(), Unread> {
        let symbol = self.asked_for(call, heard)?;
        let span = parameter(call, "interval").and_then(span);
        let span = span.ok_or_else(|| unread("the call does not name its interval"))?;
        let none = Scalar::Absent;
        let mut last = None;
        for row in read::<Vec<Vec<Scalar<'_>>>>("candles", json)? {
            let field = |place: usize| row.get(place).unwrap_or(&none);
            let candle = (|| {
                // The last row may still be growing.
                if field(6).time("closeTime")? > heard.at() {
                    return Ok(None);
                }
                Ok(Some(MarketKind::Candle {
                    start: field(0).time("openTime")?,
                    span,
                    open: field(1).price("open")?,
                    high: field(2).price("high")?,
                    low: field(3).price("low")?,
                    close: field(4).price("close")?,
                    quote: field(7).not_negative("quoteVolume")?,
                    taker_buy_quote: field(10).amount_if_told("takerQuote")?,
                    trades: field(8).whole("trades").ok().and_then(|trades| u64::try_from(trades).ok()),
                }))
            })();
            match candle {
                Ok(Some(candle)) => {
                    last = last.max(past::ended(&candle));
                    push(symbol.clone(), candle, heard);
                }
                Ok(None) => {}
                Err(amiss) => heard.row(Err(Amiss::into(amiss))),
            }
        }
        if let Some(told) = past::bars_told(call, "endTime", last, heard.at()) {
            push(symbol, told, heard);
        }
        Ok(())
    }

    fn volumes(&self, json: &str, heard: &mut Heard<'_>) -> Result<(), Unread> {
        let tickers: Listed<Ticker<'_>> = read("tickers", json)?;
        let (tickers, all) = match &tickers {
            Listed::One(ticker) => (std::slice::from_ref(ticker), false),
            Listed::Many(tickers) => (tickers.as_slice(), true),
        };
        for ticker in tickers {
            let symbol = match pair(&ticker.symbol, "symbol", self.names(heard)) {
                Ok(symbol) => symbol,
                // The list of all pairs names some that cannot be split; see the streams of all pairs.
                Err(_) if all => continue,
                Err(why) => return Err(why),
            };
            let volume = (|| {
                Ok(MarketKind::Volume {
                    quote: ticker.quote_volume.not_negative("quoteVolume")?,
                    last: ticker.last_price.price("lastPrice").ok(),
                    time: ticker.close_time.time("closeTime")?,
                })
            })();
            match volume {
                Ok(volume) => push(symbol, volume, heard),
                Err(amiss) => heard.row(Err(Amiss::into(amiss))),
            }
        }
        Ok(())
    }
}

fn trade<'t, 'a>(price: &'t Scalar<'a>, quantity: &'t Scalar<'a>, time: &'t Scalar<'a>, waited: bool) -> Trade<'t, 'a> {
    Trade { price, quantity, time, taker: if waited { Side::Sell } else { Side::Buy }, taker_order: None }
}
