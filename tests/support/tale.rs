//! Stories told as arrivals: who buys what, how the market moves, who used the key, when the link went down.
//!
//! Everything follows from the calls; there is no clock and no chance in it, so a story told twice gives the same bytes.

#![allow(dead_code, clippy::too_many_arguments, reason = "each test tells other stories, and a story has many figures")]

use std::collections::BTreeMap;

use fillguard::arrival::{Arrival, Body, Source};
use fillguard::domain::{Effect, EffectKind, Finding, Level, RuleName, Side, Timestamp, Venue};
use fillguard::pipeline::{Pipeline, Settings};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::spelling;

/// 2026-03-02T09:00:00Z in ms: when stories begin.
pub const MORNING: i64 = 1_772_442_000_000;
const DAY: i64 = 86_400_000;
/// How long a frame travels, in ms.
const TRAVELS: i64 = 40;

/// How an exchange spells its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Binance,
    KucoinClassic,
    KucoinUnified,
    Coinbase,
}

/// One order and how it was filled.
#[derive(Clone, Debug)]
pub struct Deal {
    pub who: String,
    pub side: Side,
    pub pair: String,
    /// Price and quantity of each fill.
    pub fills: Vec<(Decimal, Decimal)>,
    pub maker: bool,
    pub client_id: Option<String>,
    /// Whether the public market shows it too.
    pub shown: bool,
    /// Seconds that its own frames come late; the market's do not.
    pub late: f64,
}

/// A story.
pub struct Tale {
    pub dialect: Dialect,
    /// The exchange's time, in ms.
    pub now: i64,
    pub arrivals: Vec<Arrival>,
    pub(super) numbers: u64,
    pub(super) sequence: BTreeMap<String, u64>,
    /// Who holds how much of what.
    pub held: BTreeMap<(String, String), Decimal>,
    /// The candles' and habits' little ups and downs.
    dice: u64,
}

pub fn dec(text: &str) -> Decimal {
    text.parse().unwrap()
}

impl Deal {
    pub fn new(side: Side, who: &str, pair: &str) -> Self {
        Deal {
            who: who.into(),
            side,
            pair: pair.into(),
            fills: Vec::new(),
            maker: false,
            client_id: None,
            shown: true,
            late: 0.0,
        }
    }

    pub fn buy(who: &str, pair: &str) -> Self {
        Deal::new(Side::Buy, who, pair)
    }

    pub fn sell(who: &str, pair: &str) -> Self {
        Deal::new(Side::Sell, who, pair)
    }

    /// Adds a fill.
    pub fn at(mut self, price: &str, quantity: &str) -> Self {
        self.fills.push((dec(price), dec(quantity)));
        self
    }

    /// Adds a fill whose figures were computed.
    pub fn fill(mut self, price: Decimal, quantity: Decimal) -> Self {
        self.fills.push((price, quantity));
        self
    }

    pub fn maker(mut self) -> Self {
        self.maker = true;
        self
    }

    pub fn named(mut self, client_id: &str) -> Self {
        self.client_id = Some(client_id.into());
        self
    }

    /// The market feed shows nothing of it (a maker's fill is another's order, or no market feed is there).
    pub fn unseen(mut self) -> Self {
        self.shown = false;
        self
    }

    pub fn late(mut self, secs: f64) -> Self {
        self.late = secs;
        self
    }

    pub fn quantity(&self) -> Decimal {
        self.fills.iter().map(|fill| fill.1).sum()
    }

    pub fn notional(&self) -> Decimal {
        self.fills.iter().map(|fill| fill.0 * fill.1).sum()
    }
}

impl Tale {
    pub fn new(dialect: Dialect) -> Self {
        Tale {
            dialect,
            now: MORNING,
            arrivals: Vec::new(),
            numbers: 0,
            sequence: BTreeMap::new(),
            held: BTreeMap::new(),
            dice: 0x9e37_79b9_7f4a_7c15,
        }
    }

    pub fn binance() -> Self {
        Tale::new(Dialect::Binance)
    }

    pub fn venue(&self) -> &'static str {
        match self.dialect {
            Dialect::Binance => "binance",
            Dialect::KucoinClassic | Dialect::KucoinUnified => "kucoin",
            Dialect::Coinbase => "coinbase",
        }
    }

    /// Lets time pass.
    pub fn wait(&mut self, secs: f64) -> &mut Self {
        self.now += (secs * 1_000.0).round() as i64;
        self
    }

    pub fn days(&mut self, days: f64) -> &mut Self {
        self.wait(days * 86_400.0)
    }

    /// Adds an arrival that comes `travels` ms after now.
    pub fn push(&mut self, from: &str, body: Body, travels: i64) -> &mut Self {
        let from: Source = from.parse().unwrap();
        let n = self.arrivals.len() as u64 + 1;
        self.arrivals.push(Arrival { n, at: Timestamp::from_millis(self.now + travels), from, body });
        self
    }

    pub fn frame(&mut self, from: &str, frame: &Value, travels: i64) -> &mut Self {
        let body = Body::Frame(Body::json(frame.to_string()).unwrap());
        self.push(from, body, travels)
    }

    pub fn page(&mut self, from: &str, call: &str, frame: &Value) -> &mut Self {
        let body = Body::Page { call: call.into(), frame: Body::json(frame.to_string()).unwrap() };
        self.push(from, body, TRAVELS)
    }

    pub fn tick(&mut self) -> &mut Self {
        self.push("clock", Body::Tick, 0)
    }

    // ---- the link

    pub fn up(&mut self, who: &str) -> &mut Self {
        self.sequence.remove(who);
        let from = format!("{}/{who}", self.venue());
        self.push(&from, Body::LinkUp, 0)
    }

    pub fn down(&mut self, who: &str, why: &str) -> &mut Self {
        let from = format!("{}/{who}", self.venue());
        self.push(&from, Body::LinkDown { why: why.into() }, 0)
    }

    /// The last `secs` were asked for over REST.
    pub fn filled(&mut self, who: &str, secs: f64, verified: bool) -> &mut Self {
        let from = format!("{}/{who}/rest", self.venue());
        let until = Timestamp::from_millis(self.now);
        let since = Timestamp::from_millis(self.now - (secs * 1_000.0) as i64);
        self.push(&from, Body::Filled { since, until, verified }, 0)
    }

    /// A line of the gateway before the account's keys.
    pub fn used(&mut self, who: &str, ip: Option<&str>, client_id: Option<&str>) -> &mut Self {
        let time = Timestamp::from_millis(self.now).to_string();
        let mut line = json!({"time": time, "account": format!("{}/{who}", self.venue())});
        if let Some(ip) = ip {
            line["remote_addr"] = json!(ip);
            line["http_user_agent"] = json!("bot/2");
        }
        if let Some(id) = client_id {
            line["client_order_id"] = json!(id);
        }
        self.frame("access/gateway", &line, 5)
    }

    /// The log of who used the keys cannot be read.
    pub fn log_down(&mut self) -> &mut Self {
        self.push("access/gateway", Body::LinkDown { why: "the log cannot be read".into() }, 0)
    }

    // ---- the market

    /// A number in [-1, 1) that goes up and down.
    pub fn dice(&mut self) -> f64 {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.dice >> 33) as f64 / (1_u64 << 30) as f64) - 1.0
    }

    /// `days` of hourly bars up to now: `daily` quote a day around `price`, which wanders by half a percent.
    pub fn candles(&mut self, pair: &str, price: &str, daily: &str, days: i64) -> &mut Self {
        let (price, daily) = (dec(price), dec(daily));
        let begin = (self.now - days * DAY).div_euclid(3_600_000) * 3_600_000;
        let mut bars = Vec::new();
        let mut open = price;
        for bar in 0..days * 24 {
            let close = nudge(price, 0.005 * self.dice());
            let quote = (daily / Decimal::from(24) * nudge(Decimal::ONE, 0.4 * self.dice())).round_dp(8);
            bars.push(spelling::Bar { start: begin + bar * 3_600_000, open, close, quote });
            open = close;
        }
        spelling::candles(self, pair, &bars);
        self
    }

    /// A stranger's taker order in the market.
    pub fn trade(&mut self, side: Side, pair: &str, fills: &[(Decimal, Decimal)]) -> &mut Self {
        for (price, quantity) in fills {
            spelling::trade(self, side, pair, *price, *quantity, None);
        }
        self
    }

    /// A market that goes on as always for `secs`: an order about every half minute, half of them sells.
    pub fn quiet(&mut self, pair: &str, price: &str, quote: &str, secs: i64) -> &mut Self {
        let (price, quote) = (dec(price), dec(quote));
        for k in 0..secs / 30 {
            let at = nudge(price, 0.002 * self.dice());
            let quantity = (quote / at * nudge(Decimal::ONE, 0.5 * self.dice())).round_dp(0).max(Decimal::ONE);
            self.trade(if k % 2 == 0 { Side::Buy } else { Side::Sell }, pair, &[(at, quantity)]);
            self.wait(30.0);
        }
        self
    }

    /// A crowd's `orders` within `secs` that carry the price to `to` times what it was; returns where it stands.
    pub fn rush(
        &mut self,
        side: Side,
        pair: &str,
        from: &str,
        to: f64,
        orders: i32,
        secs: f64,
        quote: &str,
    ) -> Decimal {
        let (from, quote) = (dec(from), dec(quote));
        let mut last = from;
        for k in 1..=orders {
            self.wait(secs / f64::from(orders));
            let level = |part: f64| scaled(from, to.powf((f64::from(k) - 1.0 + part) / f64::from(orders)));
            let fills: Vec<_> =
                [0.5, 1.0].map(level).into_iter().map(|at| (at, (quote / at / Decimal::TWO).round_dp(0))).collect();
            last = level(1.0);
            self.trade(side, pair, &fills);
        }
        last
    }

    // ---- the account

    /// What somebody holds, read over REST.
    pub fn holds(&mut self, who: &str, assets: &[(&str, &str)]) -> &mut Self {
        for (asset, amount) in assets {
            self.held.insert((who.into(), (*asset).into()), dec(amount));
        }
        spelling::balances(self, who, assets);
        self
    }

    /// Trades of the past that were read over REST when watching began: `(days ago, pair, side, price, quantity)`.
    pub fn remembers(&mut self, who: &str, trades: &[(f64, &str, Side, Decimal, Decimal)]) -> &mut Self {
        spelling::past(self, who, trades);
        self
    }

    /// `sessions` of one or two buys and sells of `pair` in the past, the last `ended` days ago, every `every` days.
    pub fn habit(
        &mut self,
        who: &str,
        pair: &str,
        price: &str,
        quote: &str,
        sessions: i32,
        every: f64,
        ended: f64,
    ) -> &mut Self {
        let (price, quote) = (dec(price), dec(quote));
        let mut trades = Vec::new();
        for k in 0..sessions {
            let ago = ended + f64::from(sessions - 1 - k) * every;
            for leg in 0..2 {
                let at = nudge(price, 0.01 * self.dice());
                let quantity = (quote * nudge(Decimal::ONE, 0.3 * self.dice()) / at).round_sf(6).unwrap();
                let side = if (k + leg) % 2 == 0 { Side::Buy } else { Side::Sell };
                trades.push((ago - f64::from(leg) * 90.0 / 86_400.0, pair, side, at, quantity));
            }
        }
        self.remembers(who, &trades)
    }

    /// An order of somebody we watch: accepted, filled, the balances after it, and the market's view of it.
    pub fn deal(&mut self, deal: &Deal) -> &mut Self {
        spelling::deal(self, deal);
        self
    }

    /// The next number nobody had, for frames that a test spells itself.
    pub fn number_of_story(&mut self) -> u64 {
        self.number()
    }

    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Books a deal into what is held; returns the base and quote held after it.
    pub(super) fn book(&mut self, deal: &Deal) -> (Decimal, Decimal) {
        let (base, quote) = deal.pair.split_once('-').unwrap();
        let sign = if deal.side == Side::Buy { Decimal::ONE } else { -Decimal::ONE };
        let mut add = |asset: &str, amount: Decimal| {
            let held = self.held.entry((deal.who.clone(), asset.into())).or_default();
            *held = held.saturating_add(amount).max(Decimal::ZERO);
            *held
        };
        (add(base, sign * deal.quantity()), add(quote, -sign * deal.notional()))
    }

    // ---- what came of it

    pub fn replay(&self) -> Verdict {
        self.replay_with(Settings::default())
    }

    pub fn replay_with(&self, settings: Settings) -> Verdict {
        let mut pipeline = Pipeline::new(settings);
        let effects: Vec<Effect> = self.arrivals.iter().flat_map(|arrival| pipeline.step(arrival)).collect();
        Verdict { effects, unreadable: pipeline.counts().unreadable, fills: pipeline.counts().fills }
    }

    /// The story as a recording's text.
    pub fn recording(&self, note: &str) -> String {
        let created = Timestamp::from_millis(MORNING).to_string();
        let mut text = json!({"fillguard": 1, "kind": "recording"}).to_string();
        text.truncate(text.len() - 1);
        text += &format!(",\"created\":{},\"note\":{}}}\n", json!(created), json!(note));
        for arrival in &self.arrivals {
            text += &line(arrival);
            text.push('\n');
        }
        text
    }
}

/// An arrival as a recording's line, in the order of keys of `replay-data/README.md`.
fn line(arrival: &Arrival) -> String {
    let body = match &arrival.body {
        Body::Frame(frame) => format!("\"frame\":{}", frame.get()),
        Body::Page { call, frame } => format!("\"call\":{},\"frame\":{}", json!(call.as_str()), frame.get()),
        Body::Text(text) => format!("\"text\":{}", json!(text)),
        Body::Bytes(bytes) => {
            use base64::Engine as _;
            format!("\"bytes\":{}", json!(base64::engine::general_purpose::STANDARD.encode(bytes)))
        }
        Body::LinkUp => "\"link\":\"up\"".into(),
        Body::LinkDown { why } => format!("\"link\":\"down\",\"why\":{}", json!(why.as_str())),
        Body::Filled { since, until, verified } => {
            format!("\"filled\":{{\"since\":{},\"until\":{},\"verified\":{verified}}}", since.nanos(), until.nanos())
        }
        Body::Tick => "\"tick\":true".into(),
    };
    format!("{{\"n\":{},\"at\":{},\"from\":\"{}\",{body}}}", arrival.n, arrival.at.nanos(), arrival.from)
}

/// What a replay found.
#[derive(Debug)]
pub struct Verdict {
    pub effects: Vec<Effect>,
    pub unreadable: u64,
    pub fills: u64,
}

impl Verdict {
    pub fn findings(&self) -> Vec<&Finding> {
        self.effects.iter().filter_map(finding_of).collect()
    }

    pub fn of(&self, rule: RuleName) -> Vec<&Finding> {
        self.findings().into_iter().filter(|finding| finding.rule == rule).collect()
    }

    /// The loudest level of a rule.
    pub fn level(&self, rule: RuleName) -> Option<Level> {
        self.of(rule).iter().map(|finding| finding.level).max()
    }

    /// The loudest level of all rules but `blind`.
    pub fn loudest(&self) -> Option<Level> {
        self.findings().iter().filter(|finding| finding.rule != RuleName::Blind).map(|finding| finding.level).max()
    }

    /// A line a finding, for a failure's message.
    pub fn told(&self) -> String {
        let terms = |finding: &Finding| {
            finding.terms.iter().map(|term| format!(" {}={}", term.name, term.nats)).collect::<String>()
        };
        let line = |finding: &&Finding| {
            let pair = finding.symbol.as_ref().map(ToString::to_string).unwrap_or_default();
            let loss = finding.loss.as_ref().map(ToString::to_string).unwrap_or_default();
            format!(
                "n={} {} {pair} {} {} {} loss {loss}:{}\n",
                finding.n,
                finding.account,
                finding.rule,
                finding.level,
                finding.score,
                terms(finding)
            )
        };
        self.findings().iter().map(line).collect()
    }
}

fn finding_of(effect: &Effect) -> Option<&Finding> {
    let EffectKind::Incident { finding, .. } = &effect.kind;
    finding.as_ref()
}

/// A price moved by a part of itself, cut to six digits.
pub fn nudge(price: Decimal, part: f64) -> Decimal {
    scaled(price, 1.0 + part)
}

/// A price times a number, cut to six digits.
pub fn scaled(price: Decimal, times: f64) -> Decimal {
    let times = Decimal::from((times * 1e6).round() as i64) / Decimal::from(1_000_000);
    (price * times).round_sf(6).unwrap().normalize()
}

/// The exchange of a dialect.
pub fn venue(dialect: Dialect) -> Venue {
    match dialect {
        Dialect::Binance => Venue::Binance,
        Dialect::KucoinClassic | Dialect::KucoinUnified => Venue::Kucoin,
        Dialect::Coinbase => Venue::Coinbase,
    }
}
