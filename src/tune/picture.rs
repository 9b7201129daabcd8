//! What happened around one case: the pair's price, the account's orders, and when it was told of.

use crate::arrival::Arrival;
use crate::codec::{self, Codecs};
use crate::domain::{AccountId, Event, EventKind, MarketKind, Side, Span, Symbol, Timestamp};
use rust_decimal::Decimal;

use super::cases::{Case, Spoken};
use super::labels::What;
use super::market::figure;

/// What is to be shown of a recording.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// Whose account.
    pub account: AccountId,
    /// The pair, in any spelling.
    pub pair: Option<String>,
    /// Where the picture begins.
    pub from: Timestamp,
    /// Where it ends.
    pub until: Timestamp,
    /// The moment that times count from.
    pub zero: Timestamp,
    /// When orders were the thief's.
    pub hostile: Option<(Timestamp, Timestamp)>,
    /// When somebody was told.
    pub spoken: Vec<Spoken>,
}

/// A stretch of the pair's market.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    /// Its middle, in seconds from the picture's zero.
    pub at: f64,
    /// The lowest price.
    pub low: f64,
    /// The highest price.
    pub high: f64,
    /// The last price.
    pub last: f64,
}

/// A fill of the account.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Own {
    /// When, in seconds from the picture's zero.
    pub at: f64,
    /// At which price.
    pub price: f64,
    /// What it moved, in quote.
    pub quote: f64,
    /// Whether it bought.
    pub buys: bool,
    /// Whether it was the thief's.
    pub hostile: bool,
}

/// Price and fills around a case.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Picture {
    /// The pair, or nothing where none is known.
    pub pair: Option<String>,
    /// The pair's market; empty where the recording has none of it.
    pub bars: Vec<Bar>,
    /// The account's fills in the pair, at most [`MOST_FILLS`].
    pub fills: Vec<Own>,
    /// Fills that are not shown because there are more.
    pub more: usize,
    /// Market trades that the bars are made of.
    pub trades: usize,
}

/// Bars of a picture.
const BARS: usize = 260;
/// Fills of a picture.
pub const MOST_FILLS: usize = 600;
/// What is shown before and after, at least.
const AROUND: Span = Span::from_secs(420);

impl View {
    /// Chooses what to show of an attack or a false alarm.
    pub fn of(case: &Case) -> View {
        let length = case.until.since(case.since);
        let around = Span::from_nanos((length.nanos() / 4).max(AROUND.nanos()));
        let last = case.spoken.iter().map(|spoken| spoken.at).max().unwrap_or(case.until).max(case.until);
        View {
            account: case.account.clone(),
            pair: case.pair.clone(),
            from: case.since - around,
            until: last + around,
            zero: case.since,
            hostile: (case.what != What::Ordinary).then_some((case.since, case.until)),
            spoken: case.spoken.clone(),
        }
    }
}

/// A picture in the making; it is given every arrival of the recording, since what some mean depends on those before.
pub struct Camera<'v> {
    view: &'v View,
    codecs: Codecs,
    events: Vec<Event>,
    picture: Picture,
    bars: Vec<Option<Bar>>,
}

impl<'v> Camera<'v> {
    /// Begins a picture.
    pub fn new(view: &'v View, codec: &codec::Settings) -> Camera<'v> {
        let picture = Picture { pair: view.pair.clone(), ..Picture::default() };
        Camera { view, codecs: Codecs::new(codec), events: Vec::new(), picture, bars: vec![None; BARS] }
    }

    /// Takes the next arrival; returns whether more are needed.
    pub fn see(&mut self, arrival: &Arrival) -> bool {
        if arrival.at > self.view.until {
            return false;
        }
        self.events.clear();
        let mut events = std::mem::take(&mut self.events);
        self.codecs.decode(arrival, &mut events);
        if arrival.at >= self.view.from {
            events.iter().for_each(|event| self.note(event));
        }
        self.events = events;
        true
    }

    /// Ends the picture.
    pub fn picture(mut self) -> Picture {
        self.picture.bars = self.bars.into_iter().flatten().collect();
        self.picture
    }

    fn note(&mut self, event: &Event) {
        let at = signed(event.at, self.view.zero);
        match &event.kind {
            EventKind::Fill(fill) if fill.account == self.view.account => {
                if !self.meant(&fill.symbol) {
                    return;
                }
                if self.picture.fills.len() >= MOST_FILLS {
                    self.picture.more += 1;
                    return;
                }
                let hostile = self.view.hostile.is_some_and(|(from, to)| (from..=to).contains(&event.at));
                self.picture.fills.push(Own {
                    at,
                    price: price(fill.price.get()),
                    quote: figure(fill.notional),
                    buys: fill.side == Side::Buy,
                    hostile,
                });
            }
            EventKind::Market(market) => {
                let paid = match &market.kind {
                    MarketKind::Trade { price: paid, .. } => price(paid.get()),
                    MarketKind::PastTrade { .. }
                    | MarketKind::PastTold { .. }
                    | MarketKind::Volume { .. }
                    | MarketKind::Candle { .. } => return,
                };
                if self.picture.pair.is_some() && self.meant(&market.symbol) {
                    self.picture.trades += 1;
                    self.trade(at, paid);
                }
            }
            EventKind::Fill(_)
            | EventKind::Confirmed(_)
            | EventKind::Order(_)
            | EventKind::Balance(_)
            | EventKind::Access(_)
            | EventKind::KeyState(_)
            | EventKind::KeyList(_)
            | EventKind::Cap(_)
            | EventKind::Leaks(_)
            | EventKind::Answer(_)
            | EventKind::Drill(_)
            | EventKind::Feed(_)
            | EventKind::Tick => {}
        }
    }

    /// Says whether a pair is the one to show; where none was named, the first that the account trades is.
    fn meant(&mut self, symbol: &Symbol) -> bool {
        let plain = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
        let name = symbol.to_string();
        plain(self.picture.pair.get_or_insert_with(|| name.clone())) == plain(&name)
    }

    fn trade(&mut self, at: f64, paid: f64) {
        let (from, until) = (signed(self.view.from, self.view.zero), signed(self.view.until, self.view.zero));
        let width = ((until - from) / BARS as f64).max(1e-9);
        let place = (((at - from) / width) as usize).min(BARS - 1);
        let middle = from + (place as f64 + 0.5) * width;
        let bar = self.bars[place].get_or_insert(Bar { at: middle, low: paid, high: paid, last: paid });
        (bar.low, bar.high, bar.last) = (bar.low.min(paid), bar.high.max(paid), paid);
    }
}

fn signed(at: Timestamp, zero: Timestamp) -> f64 {
    if at >= zero { at.since(zero).secs_f64() } else { -zero.since(at).secs_f64() }
}

/// A price as a place on a drawing: the only use of it.
fn price(exact: Decimal) -> f64 {
    figure(exact)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::import::{self, Recording};
    use crate::tune::score::Alarm;
    use crate::tune::tape::{Tape, Trade};

    fn recording() -> Recording {
        let (onset, mut tape) = (1_562_346_000_000_i64, Tape::default());
        for i in 0..900_i64 {
            let ms = onset - 80_000_000 + i * 90_000;
            let price = Decimal::new(1_000 + i % 7 + if ms > onset { 500 } else { 0 }, 8);
            tape.trades.push(Trade { ms, taker: Side::Buy, price, amount: Decimal::new(5_000 + i, 0) });
        }
        for i in 0..120_i64 {
            let price = Decimal::new(1_000 + i * 5, 8);
            tape.trades.push(Trade {
                ms: onset + 400 * i,
                taker: Side::Buy,
                price,
                amount: Decimal::new(9_000 + i, 0),
            });
        }
        tape.trades.sort_by_key(|trade| trade.ms);
        let settings = import::Settings { days_before: 0.9, history_days: 3.0, ..import::Settings::default() };
        import::import(&tape, "ADX", onset, vec![], &settings).unwrap()
    }

    #[test]
    fn a_picture_holds_the_market_around_the_attack_and_marks_the_thiefs_orders() {
        let recording = recording();
        let alarms: [Alarm; 0] = [];
        let cases = Case::of(&alarms, &recording.labels, &super::super::cases::Origin::File("a".into()));
        let case = cases.iter().find(|case| case.what == What::Burst).unwrap();
        let view = View::of(case);
        let mut camera = Camera::new(&view, &codec::Settings::default());
        let seen = recording.arrivals.iter().take_while(|arrival| camera.see(arrival)).count();
        let picture = camera.picture();
        assert!(seen > 100 && picture.bars.len() > 3, "{seen} {}", picture.bars.len());
        assert!(picture.bars.iter().all(|bar| bar.low <= bar.last && bar.last <= bar.high));
        let hostile = picture.fills.iter().filter(|fill| fill.hostile).count();
        let orders = recording.labels.iter().find_map(|label| label.hostile.as_ref()).unwrap().orders.len();
        assert!(hostile >= orders && orders > 0, "{hostile} {orders}");
        assert!(picture.fills.iter().filter(|fill| fill.hostile).all(|fill| fill.at >= 0.0 && fill.buys));
    }
}
