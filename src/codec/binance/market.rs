//! Public market streams: trades, 24-hour tickers, closed candles.
//!
//! <https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams>

use compact_str::CompactString;
use serde::Deserialize;

use super::super::newest::Newest;
use super::super::past::past;
use super::super::scalar::{Amiss, Listed, Scalar};
use super::super::shape::Heard;
use super::super::unread::Unread;
use super::Codec;
use super::envelope::{Opened, open};
use super::report::{pair, short};
use crate::domain::{EventKind, FeedKind, Market, MarketKind, Side, Span, Symbol, Venue};

/// Any event of a market stream, such as
/// `{"e":"trade","E":1775572206251,"s":"APPCBTC","t":5512345,"p":"0.00002090","q":"40.00000000","T":1775572206250,
/// "m":false,"M":true}` (`m`: the buyer waited, so the seller took), or
/// `{"e":"24hrMiniTicker","E":1775572206251,"s":"APPCBTC","c":"0.00002090","o":"0.00002","q":"1.25"}`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Told<'a> {
    #[serde(rename = "e")]
    event: Scalar<'a>,
    #[serde(rename = "E")]
    event_time: Scalar<'a>,
    #[serde(rename = "s")]
    symbol: Scalar<'a>,
    #[serde(rename = "t")]
    trade_id: Scalar<'a>,
    #[serde(rename = "p")]
    price: Scalar<'a>,
    #[serde(rename = "q")]
    quantity: Scalar<'a>,
    #[serde(rename = "T")]
    time: Scalar<'a>,
    #[serde(rename = "m")]
    buyer_waited: Scalar<'a>,
    /// In `trade` the seller's order where still published, in `aggTrade` the aggregate's own id.
    #[serde(rename = "a")]
    a: Scalar<'a>,
    /// In `trade` the buyer's order where still published.
    #[serde(rename = "b")]
    b: Scalar<'a>,
    #[serde(rename = "c")]
    close: Scalar<'a>,
    /// In futures the kind of trade; an insurance fund's is no market trade.
    #[serde(rename = "X")]
    kind: Scalar<'a>,
    #[serde(rename = "k")]
    bar: Option<Bar<'a>>,
    #[serde(rename = "lastUpdateId")]
    depth: Scalar<'a>,
    #[serde(rename = "u")]
    update: Scalar<'a>,
}

/// `{"t":1775572140000,"T":1775572199999,"s":"APPCBTC","i":"1m","o":"0.00002","c":"0.0000209","h":"0.0000209",
/// "l":"0.00002","v":"310","n":7,"x":true,"q":"0.0063","V":"200","Q":"0.0041"}`
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Bar<'a> {
    #[serde(rename = "t")]
    start: Scalar<'a>,
    #[serde(rename = "i")]
    interval: Scalar<'a>,
    #[serde(rename = "o")]
    open: Scalar<'a>,
    #[serde(rename = "h")]
    high: Scalar<'a>,
    #[serde(rename = "l")]
    low: Scalar<'a>,
    #[serde(rename = "c")]
    close: Scalar<'a>,
    #[serde(rename = "q")]
    quote: Scalar<'a>,
    #[serde(rename = "Q")]
    taker_buy_quote: Scalar<'a>,
    #[serde(rename = "n")]
    trades: Scalar<'a>,
    #[serde(rename = "x")]
    closed: Scalar<'a>,
}

impl Codec {
    /// Tells what a frame of a market stream says.
    pub(super) fn market_frame(&mut self, json: &str, heard: &mut Heard<'_>) -> Result<(), Unread> {
        match open::<Listed<Told<'_>>>(json)? {
            Opened::Event(Listed::One(told)) => self.market_event(&told, heard),
            Opened::Event(Listed::Many(many)) => {
                for told in &many {
                    // Streams of all pairs name some whose quote asset is not known; no watched account trades them
                    // unheard, because its own report would be unreadable.
                    if told.symbol.text().is_some_and(|name| self.names(heard).read(name).is_err()) {
                        continue;
                    }
                    let row = self.market_event(told, heard);
                    heard.row(row);
                }
                Ok(())
            }
            Opened::Refused(refusal) => {
                refusal.tell(heard);
                Ok(())
            }
            Opened::Reply => Ok(()),
        }
    }

    fn market_event(&mut self, told: &Told<'_>, heard: &mut Heard<'_>) -> Result<(), Unread> {
        // Two streams have no event name: partial depth and, on spot, the best bid and ask.
        if told.event.is_absent() && !(told.depth.is_absent() && told.update.is_absent()) {
            return Ok(());
        }
        match told.event.word("e")? {
            "trade" if told.kind.text().is_some_and(|kind| kind != "MARKET") => Ok(()),
            event @ ("trade" | "aggTrade") => {
                let symbol = pair(&told.symbol, "s", self.names(heard))?;
                let taker = if told.buyer_waited.flag("m")? { Side::Sell } else { Side::Buy };
                let (newest, id, taker_order) = match (event, taker) {
                    ("aggTrade", _) => (&mut self.aggregated, told.a.whole("a")?, None),
                    (_, Side::Buy) => (&mut self.trades, told.trade_id.whole("t")?, told.b.id_if_told("b")?),
                    (_, Side::Sell) => (&mut self.trades, told.trade_id.whole("t")?, told.a.id_if_told("a")?),
                };
                let trade =
                    Trade { price: &told.price, quantity: &told.quantity, time: &told.time, taker, taker_order };
                trade.tell(symbol, id, newest, heard)
            }
            "24hrMiniTicker" | "24hrTicker" => {
                let volume = MarketKind::Volume {
                    quote: told.quantity.not_negative("q")?,
                    last: told.close.price("c").ok(),
                    time: told.event_time.time("E")?,
                };
                push(pair(&told.symbol, "s", self.names(heard))?, volume, heard);
                Ok(())
            }
            "kline" => match &told.bar {
                Some(bar) if bar.closed.flag("k.x")? => {
                    push(pair(&told.symbol, "s", self.names(heard))?, bar.candle()?, heard);
                    Ok(())
                }
                Some(_) => Ok(()),
                None => Err(Amiss::Missing("k").into()),
            },
            "serverShutdown" => {
                heard.feed(FeedKind::ClosingSoon);
                Ok(())
            }
            "bookTicker" | "depthUpdate" | "avgPrice" | "1hTicker" | "4hTicker" | "1dTicker" | "markPriceUpdate"
            | "forceOrder" => Ok(()),
            unknown => {
                heard.feed(FeedKind::Unknown(short(unknown)));
                Ok(())
            }
        }
    }
}

/// A public trade, from a stream or a list.
pub(super) struct Trade<'t, 'a> {
    pub(super) price: &'t Scalar<'a>,
    pub(super) quantity: &'t Scalar<'a>,
    pub(super) time: &'t Scalar<'a>,
    pub(super) taker: Side,
    pub(super) taker_order: Option<CompactString>,
}

impl Trade<'_, '_> {
    /// Tells of the trade unless it was told before.
    pub(super) fn tell(
        self,
        symbol: Symbol,
        id: i64,
        newest: &mut Newest,
        heard: &mut Heard<'_>,
    ) -> Result<(), Unread> {
        let number = u64::try_from(id).map_err(|_| Amiss::Negative("t"))?;
        let time = self.time.time("T")?;
        let trade = self.kind()?;
        if newest.take(&symbol, number, time) {
            push(symbol, trade, heard);
        }
        Ok(())
    }

    /// Tells of a trade in a list of the past. What a stream still brings must not be taken for a repeat of it.
    pub(super) fn tell_past(self, symbol: Symbol, heard: &mut Heard<'_>) -> Result<(), Unread> {
        push(symbol, past(self.kind()?), heard);
        Ok(())
    }

    fn kind(self) -> Result<MarketKind, Unread> {
        Ok(MarketKind::Trade {
            price: self.price.price("p")?,
            quantity: self.quantity.quantity("q")?,
            taker: self.taker,
            time: self.time.time("T")?,
            taker_order: self.taker_order,
        })
    }
}

impl Bar<'_> {
    fn candle(&self) -> Result<MarketKind, Unread> {
        Ok(MarketKind::Candle {
            start: self.start.time("k.t")?,
            span: span(self.interval.word("k.i")?).ok_or(Amiss::Type("k.i"))?,
            open: self.open.price("k.o")?,
            high: self.high.price("k.h")?,
            low: self.low.price("k.l")?,
            close: self.close.price("k.c")?,
            quote: self.quote.not_negative("k.q")?,
            taker_buy_quote: self.taker_buy_quote.amount_if_told("k.Q")?,
            trades: self.trades.whole("k.n").ok().and_then(|trades| u64::try_from(trades).ok()),
        })
    }
}

/// Tells what a market did.
pub(super) fn push(symbol: Symbol, kind: MarketKind, heard: &mut Heard<'_>) {
    heard.push(EventKind::Market(Market { venue: Venue::Binance, symbol, kind }));
}

/// Reads an interval such as `1s`, `15m`, `4h`, `1d`, `1w` or `1M`; a month counts 30 days.
pub(super) fn span(interval: &str) -> Option<Span> {
    let (number, unit) = interval.split_at_checked(interval.len().checked_sub(1)?)?;
    let secs = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        "M" => 2_592_000,
        _ => return None,
    };
    let number: u16 = number.parse().ok()?;
    if number == 0 { None } else { Some(Span::from_secs(i64::from(number) * secs)) }
}
