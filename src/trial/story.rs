//! Steps -> arrivals, as Binance would have sent them.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::json;

use super::file::{Step, Test};
use crate::arrival::{Arrival, Body, Source};
use crate::domain::{AccountId, Asset, Side, Span, Symbol, Timestamp, Venue};
use crate::tune::frames::{self, Execution, Order};
use crate::tune::tape::Trade;

/// 2026-03-01 09:00 UTC, a Sunday.
const MORNING: i64 = 1_772_355_600_000;
/// How long a frame travels, in ms.
const TRAVELS: i64 = 40;
/// Arrivals of one test.
const MOST: usize = 500_000;
/// Dearest and most that a story may name; eight decimals of it still fit.
const LARGEST: i64 = 1_000_000_000_000;

/// Tells a test's steps; returns the arrivals and when each step's last thing happened.
pub(super) fn arrivals(test: &Test) -> Result<(Vec<Arrival>, Vec<Timestamp>), String> {
    let start = match &test.start {
        Some(text) => Timestamp::from_rfc3339(text)
            .ok_or_else(|| format!("start {text:?} is not a time such as 2026-03-01T09:00:00Z"))?,
        None => Timestamp::from_millis(MORNING),
    };
    let mut teller = Teller {
        now: start.millis(),
        arrivals: Vec::new(),
        prices: BTreeMap::new(),
        held: BTreeMap::new(),
        numbers: 0,
        dice: 0x9e37_79b9_7f4a_7c15,
    };
    let accounts: std::collections::BTreeSet<&String> =
        test.step.iter().filter_map(|step| step.account.as_ref()).collect();
    teller.push(Source::Market(Venue::Binance), Body::LinkUp)?;
    for account in accounts {
        let source = Source::Account(id(account)?);
        teller.push(source, Body::LinkUp)?;
    }
    let mut ends = Vec::new();
    for (place, step) in test.step.iter().enumerate() {
        teller.tell(step).map_err(|why| format!("step {}: {why}", place + 1))?;
        ends.push(Timestamp::from_millis(teller.now));
    }
    Ok((teller.arrivals, ends))
}

struct Teller {
    now: i64,
    arrivals: Vec<Arrival>,
    prices: BTreeMap<Symbol, Decimal>,
    held: BTreeMap<(String, Asset), Decimal>,
    numbers: u64,
    dice: u64,
}

fn id(account: &str) -> Result<AccountId, String> {
    let id: Result<AccountId, _> = format!("{}/{account}", Venue::Binance.as_str()).parse();
    id.map_err(|_| format!("{account:?} is not an account's name"))
}

fn symbol(pair: &str) -> Result<Symbol, String> {
    Symbol::from_dashed(pair).map_err(|_| format!("{pair:?} is not a pair such as APPC-BTC"))
}

fn amount(name: &str, text: &str) -> Result<Decimal, String> {
    let plain = text.split_whitespace().next().unwrap_or_default();
    let amount: Option<Decimal> = plain.parse().ok();
    amount
        .filter(|amount| *amount > Decimal::ZERO && *amount <= Decimal::from(LARGEST))
        .ok_or_else(|| format!("{name} = {text:?} is not an amount above zero"))
}

fn span(name: &str, text: Option<&str>, usual: Span) -> Result<i64, String> {
    let span: Span = match text {
        Some(text) => text.parse().map_err(|why| format!("{name} = {text:?} {why}"))?,
        None => usual,
    };
    Ok(span.nanos() / 1_000_000)
}

impl Teller {
    fn tell(&mut self, step: &Step) -> Result<(), String> {
        self.now += span("after", step.after.as_deref(), Span::from_secs(1))?;
        let named = [
            step.market.is_some(),
            step.crowd.is_some(),
            step.holds.is_some(),
            step.buys.is_some(),
            step.sells.is_some(),
            step.used_from.is_some(),
            step.key_may.is_some(),
            step.feed.is_some(),
        ];
        if named.iter().filter(|there| **there).count() != 1 {
            return Err("says exactly one of market, crowd, holds, buys, sells, used_from, key_may, feed".to_owned());
        }
        if let Some(pair) = &step.market {
            return self.market(&symbol(pair)?, step);
        }
        if let Some(pair) = &step.crowd {
            return self.crowd(&symbol(pair)?, step);
        }
        let account = step.account.clone().ok_or("names no account")?;
        if let Some(holds) = &step.holds {
            for (asset, held) in holds {
                let asset = Asset::new(asset).map_err(|_| format!("{asset:?} is not an asset"))?;
                let held = amount(asset.as_str(), held)?;
                self.held.insert((account.clone(), asset), held);
            }
            return self.position(&account);
        }
        if let Some(ip) = &step.used_from {
            let _: std::net::IpAddr = ip.parse().map_err(|_| format!("{ip:?} is not an address"))?;
            let time = Timestamp::from_millis(self.now).to_string();
            let line = json!({"time": time, "account": id(&account)?.to_string(), "remote_addr": ip}).to_string();
            return self.push(Source::Access("test".into()), Body::from_text(line));
        }
        if let Some(rights) = &step.key_may {
            return self.key(&account, rights, step.restricted.unwrap_or(true));
        }
        if let Some(feed) = &step.feed {
            let body = match feed.as_str() {
                "up" => Body::LinkUp,
                "down" => Body::LinkDown { why: "closed 1006".into() },
                other => return Err(format!("feed = {other:?} is neither \"down\" nor \"up\"")),
            };
            return self.push(Source::Account(id(&account)?), body);
        }
        let (side, pair) = match (&step.buys, &step.sells) {
            (Some(pair), _) => (Side::Buy, pair),
            (None, Some(pair)) => (Side::Sell, pair),
            (None, None) => return Err("says nothing".to_owned()),
        };
        let orders = step.orders.unwrap_or(1);
        let lasts = step.lasts.as_deref().map(|lasts| span("lasts", Some(lasts), Span::default())).transpose()?;
        let every = match lasts {
            Some(lasts) => lasts / i64::from(orders.max(2) - 1),
            None => span("every", step.every.as_deref(), Span::from_secs(1))?,
        };
        for place in 0..orders {
            if place > 0 {
                self.now += every;
            }
            self.order(side, &symbol(pair)?, &account, step)?;
        }
        Ok(())
    }

    /// Has the exchange tell what the account's key may do.
    fn key(&mut self, account: &str, rights: &[String], restricted: bool) -> Result<(), String> {
        let fields = [
            ("trade", "enableSpotAndMarginTrading"),
            ("withdraw", "enableWithdrawals"),
            ("transfer", "permitsUniversalTransfer"),
            ("margin", "enableMargin"),
            ("futures", "enableFutures"),
        ];
        let mut page = json!({"ipRestrict": restricted, "createTime": 1_750_000_000_000_i64, "enableReading": true});
        for (name, field) in fields {
            page[field] = rights.iter().any(|right| right == name).into();
        }
        if let Some(right) = rights.iter().find(|right| !fields.iter().any(|(name, _)| name == right)) {
            let known: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
            return Err(format!("key_may: {right:?} is none of {}", known.join(", ")));
        }
        let frame = serde_json::value::to_raw_value(&page).map_err(|why| why.to_string())?;
        let call = "sapi/v1/account/apiRestrictions?key=0badc0de".into();
        self.push(Source::AccountRest(id(account)?), Body::Page { call, frame })
    }

    /// Trades about twice a minute around a price; `spends` is what changes hands a day.
    fn market(&mut self, pair: &Symbol, step: &Step) -> Result<(), String> {
        let price = self.price(pair, step)?;
        let daily =
            amount("spends", step.spends.as_deref().ok_or("spends is missing: what changes hands a day, in quote")?)?;
        let lasts = span("lasts", step.lasts.as_deref(), Span::from_secs(3_600))?;
        let every = span("every", step.every.as_deref(), Span::from_secs(30))?.max(1);
        let count = (lasts / every).max(1);
        let each = daily * Decimal::from(every) / Decimal::from(86_400_000_i64);
        for place in 0..count {
            let at = self.around(price, 4);
            let quantity = self.around(each / at, 1_000);
            let taker = if place % 2 == 0 { Side::Buy } else { Side::Sell };
            self.print(pair, taker, at, quantity)?;
            self.now += every;
        }
        self.prices.insert(pair.clone(), price);
        Ok(())
    }

    /// Strangers carry a pair's price to `at`.
    fn crowd(&mut self, pair: &Symbol, step: &Step) -> Result<(), String> {
        let from = *self.prices.get(pair).ok_or("the pair has no price yet; tell its market first")?;
        let to = self.price(pair, step)?;
        let orders = step.orders.unwrap_or(12);
        let spends = amount(
            "spends",
            step.spends.as_deref().ok_or("spends is missing: what the crowd spends in all, in quote")?,
        )?;
        let every = span("lasts", step.lasts.as_deref(), Span::from_secs(15))? / i64::from(orders.max(1));
        let taker = if to >= from { Side::Buy } else { Side::Sell };
        for place in 1..=orders {
            self.now += every;
            let at = from + (to - from) * Decimal::from(place) / Decimal::from(orders);
            self.print(pair, taker, at, spends / Decimal::from(orders) / at)?;
        }
        self.prices.insert(pair.clone(), to);
        Ok(())
    }

    fn order(&mut self, side: Side, pair: &Symbol, account: &str, step: &Step) -> Result<(), String> {
        let price = self.price(pair, step)?.round_dp(8);
        let quantity = match (&step.quantity, &step.spends) {
            (Some(quantity), None) => amount("quantity", quantity)?,
            (None, Some(spends)) => amount("spends", spends)? / price,
            (Some(_), Some(_)) | (None, None) => return Err("says either spends (quote) or quantity (base)".to_owned()),
        }
        .round_dp(8);
        if price <= Decimal::ZERO || quantity <= Decimal::ZERO {
            return Err("price and quantity have at most eight decimals, and are above zero".to_owned());
        }
        let quote = (price * quantity).round_dp(8);
        let number = self.number();
        let client_id = match &step.named {
            Some(named) => format!("{named}{number:06}"),
            None => format!("{account}-bot-{number:06}"),
        };
        let wire = format!("{}{}", pair.base(), pair.quote());
        let order = Order {
            wire: &wire,
            side,
            maker: step.maker,
            client_id: &client_id,
            id: 50_000_000 + number,
            placed_ms: self.now,
            quantity,
            quote,
            limit: price,
        };
        let trade =
            Trade { ms: self.now, taker: if step.maker { side.opposite() } else { side }, price, amount: quantity };
        let fee_asset = Asset::new("BNB").map_err(|_| "BNB is an asset".to_owned())?;
        let id_of_trade = 90_000_000 + number;
        let execution = Execution {
            trade: &trade,
            id: id_of_trade,
            quote,
            filled: quantity,
            filled_quote: quote,
            fee: Decimal::ZERO,
            fee_asset: &fee_asset,
        };
        let source = Source::Account(id(account)?);
        self.push(source.clone(), Body::from_text(frames::accepted(&order, 2 * number)))?;
        self.push(source, Body::from_text(frames::executed(&order, 2 * number + 1, &execution)))?;
        let stream = format!("{}@trade", wire.to_lowercase());
        self.push(Source::Market(Venue::Binance), Body::from_text(frames::trade(&stream, &wire, id_of_trade, &trade)))?;
        self.prices.entry(pair.clone()).or_insert(price);
        let sign = if side == Side::Buy { Decimal::ONE } else { -Decimal::ONE };
        let mut told = false;
        for (asset, change) in [(pair.base(), sign * quantity), (pair.quote(), -sign * quote)] {
            if let Some(held) = self.held.get_mut(&(account.to_owned(), asset.clone())) {
                *held = (*held + change).max(Decimal::ZERO);
                told = true;
            }
        }
        if told { self.position(account) } else { Ok(()) }
    }

    fn position(&mut self, account: &str) -> Result<(), String> {
        let held: Vec<(Asset, Decimal)> = self
            .held
            .iter()
            .filter(|((whose, _), _)| whose == account)
            .map(|((_, asset), held)| (asset.clone(), *held))
            .collect();
        let held: Vec<_> = held.iter().map(|(asset, held)| (asset, *held, Decimal::ZERO)).collect();
        let text = frames::position(self.now, &held);
        self.push(Source::Account(id(account)?), Body::from_text(text))
    }

    fn print(&mut self, pair: &Symbol, taker: Side, price: Decimal, quantity: Decimal) -> Result<(), String> {
        let wire = format!("{}{}", pair.base(), pair.quote());
        let number = self.number();
        let smallest = Decimal::new(1, 8);
        let trade = Trade {
            ms: self.now,
            taker,
            price: price.round_dp(8).max(smallest),
            amount: quantity.round_dp(8).max(smallest),
        };
        let text = frames::trade(&format!("{}@trade", wire.to_lowercase()), &wire, 90_000_000 + number, &trade);
        self.push(Source::Market(Venue::Binance), Body::from_text(text))
    }

    /// Returns the price of a step: as it stands there, changed against the last, or the last.
    fn price(&self, pair: &Symbol, step: &Step) -> Result<Decimal, String> {
        let last = self.prices.get(pair).copied();
        let no_price = || format!("{pair} has no price yet; say at = \"PRICE\", or tell its market first");
        match step.at.as_deref().map(str::trim) {
            None => last.ok_or_else(no_price),
            Some(text) if text.ends_with('%') => {
                let percent: Decimal = text
                    .trim_end_matches('%')
                    .trim()
                    .trim_start_matches('+')
                    .parse()
                    .map_err(|_| format!("at = {text:?} is not a change such as \"+40 %\""))?;
                if percent <= Decimal::from(-100) || percent > Decimal::from(1_000_000) {
                    return Err(format!("at = {text:?} is not a price that can be"));
                }
                Ok(last.ok_or_else(no_price)? * (Decimal::ONE + percent / Decimal::ONE_HUNDRED))
            }
            Some(text) => amount("at", text),
        }
    }

    /// Returns a number up to so many thousandths away.
    fn around(&mut self, value: Decimal, thousandths: i64) -> Decimal {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let part = (self.dice >> 33) as i64 % 2_001 - 1_000;
        value * (Decimal::ONE + Decimal::from(part * thousandths) / Decimal::from(2_000_000))
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn push(&mut self, from: Source, body: Body) -> Result<(), String> {
        if self.arrivals.len() == MOST {
            return Err(format!("more than {MOST} arrivals; let markets trade less often (every)"));
        }
        let n = self.arrivals.len() as u64 + 1;
        self.arrivals.push(Arrival { n, at: Timestamp::from_millis(self.now + TRAVELS), from, body });
        Ok(())
    }
}
