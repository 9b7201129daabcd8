//! People and programs that trade as they always do, among them those that look most like thieves.

use std::fmt;
use std::str::FromStr;

use super::dice::{Dice, money};
use super::habits;
use super::import::Recording;
use super::lookalikes;
use super::market::Market;
use super::scene::{Grammar, Scene};
use super::tape::Quoted;
use super::walk::{Habit, Walk};
use crate::domain::{AccountId, Asset, NotAnAccount, Refused, Symbol, Venue};

/// How an owner trades. After the real histories and hard negatives of the detection reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trader {
    /// Buys the same pairs every day at the same time.
    Dca,
    /// A manual grid at ticks of one satoshi: buys below, sells above, hundreds of orders a month.
    Grid,
    /// Keeps both sides of one thin pegged pair filled.
    LiquidityBot,
    /// Sells a micro-cap into the book: few orders, up to 98 fills in a minute.
    MicroCapSeller,
    /// Market maker of a gateway: bursts of fills on both sides of one pair.
    GatewayMaker,
    /// Puts the whole balance into one small coin, and some days later into the next.
    WholeBalance,
    /// Tries about four coins a month it never had.
    NewCoins,
    /// A bot that buys more as the price falls and sells all a little above.
    SafetyOrders,
    /// An open-source bot over many pairs.
    OpenBot,
    /// Buys what has risen most in ten minutes, once a day, and sells within the hour.
    Chaser,
    /// Brings five assets back to their shares every week.
    Rebalancer,
    /// Sells everything for a stablecoin within two minutes, once, when everything falls.
    Panic,
    /// Buys coins within the first hour of their listing.
    Sniper,
    /// Follows a leader together with 5 to 50 others, all within the same second.
    CopyTrader,
    /// Buys what a public group raises, again and again.
    PumpMember,
    /// Sells coins it was given as soon as they are listed.
    AirdropSeller,
    /// Puts much of what it has, or money sent in for it, into what rises on news.
    NewsBuyer,
    /// Sells all of a holding at market when its price has fallen.
    StopLoss,
    /// In and out of one pair within minutes with most of what it has, a dozen times a sitting, and often at a loss.
    Scalper,
    /// A bot in perpetual futures, long and short: buys or sells more as the price goes against it.
    ContractBot,
}

/// The pairs ordinary accounts find.
#[derive(Clone, Debug)]
pub struct Ground {
    /// Bitcoin against a stablecoin.
    pub btcusdt: usize,
    /// Large coins against BTC.
    pub majors: Vec<usize>,
    /// Small coins against BTC; the taped one first, where there is one.
    pub thin: Vec<usize>,
    /// Coins nobody has had yet.
    pub fresh: Vec<usize>,
    /// Coins that a public group raises, each once, with when, in ms; only its members go there.
    pub pumped: Vec<(usize, i64)>,
    /// Coins listed within the recording, with when, in ms.
    pub listed: Vec<(usize, i64)>,
    /// A pair that hardly moves.
    pub peg: usize,
    /// A pair whose price is a few dozen satoshi, so that one tick is two percent.
    pub satoshi: usize,
    /// Perpetual futures on large coins against a stablecoin.
    pub contracts: Vec<usize>,
    /// When everything begins to fall, in ms.
    pub crash_ms: i64,
}

/// A trader nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no trader is called `{0}`; choose dca, grid, liquidity-bot, micro-cap-seller, gateway-maker, whole-balance, new-coins, safety-orders, open-bot, chaser, rebalancer, panic, sniper, copy-trader, pump-member, airdrop-seller, news-buyer, stop-loss, scalper or contract-bot"
)]
pub struct NotATrader(String);

impl Trader {
    /// All of them.
    pub const ALL: [Trader; 20] = [
        Trader::Dca,
        Trader::Grid,
        Trader::LiquidityBot,
        Trader::MicroCapSeller,
        Trader::GatewayMaker,
        Trader::WholeBalance,
        Trader::NewCoins,
        Trader::SafetyOrders,
        Trader::OpenBot,
        Trader::Chaser,
        Trader::Rebalancer,
        Trader::Panic,
        Trader::Sniper,
        Trader::CopyTrader,
        Trader::PumpMember,
        Trader::AirdropSeller,
        Trader::NewsBuyer,
        Trader::StopLoss,
        Trader::Scalper,
        Trader::ContractBot,
    ];

    /// Those a victim may have been: accounts whose keys were given to a bot platform.
    pub const VICTIMS: [Trader; 5] =
        [Trader::Dca, Trader::SafetyOrders, Trader::OpenBot, Trader::Rebalancer, Trader::WholeBalance];

    /// Returns the name used in labels and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Trader::Dca => "dca",
            Trader::Grid => "grid",
            Trader::LiquidityBot => "liquidity-bot",
            Trader::MicroCapSeller => "micro-cap-seller",
            Trader::GatewayMaker => "gateway-maker",
            Trader::WholeBalance => "whole-balance",
            Trader::NewCoins => "new-coins",
            Trader::SafetyOrders => "safety-orders",
            Trader::OpenBot => "open-bot",
            Trader::Chaser => "chaser",
            Trader::Rebalancer => "rebalancer",
            Trader::Panic => "panic",
            Trader::Sniper => "sniper",
            Trader::CopyTrader => "copy-trader",
            Trader::PumpMember => "pump-member",
            Trader::AirdropSeller => "airdrop-seller",
            Trader::NewsBuyer => "news-buyer",
            Trader::StopLoss => "stop-loss",
            Trader::Scalper => "scalper",
            Trader::ContractBot => "contract-bot",
        }
    }

    /// Returns how its orders are named.
    pub const fn grammar(self) -> Grammar {
        match self {
            Trader::Dca => Grammar::Counter("dca"),
            Trader::Grid => Grammar::Face("web"),
            Trader::LiquidityBot => Grammar::Uuid,
            Trader::MicroCapSeller => Grammar::Counter("treasury"),
            Trader::GatewayMaker => Grammar::Broker("GATEWAY1"),
            Trader::WholeBalance => Grammar::Face("ios"),
            Trader::NewCoins => Grammar::Face("and"),
            Trader::SafetyOrders => Grammar::Broker("DEALBOT7"),
            // Many libraries leave the id to the exchange: nothing tells such orders from a stranger's.
            Trader::OpenBot => Grammar::Unnamed,
            Trader::Chaser => Grammar::Face("web"),
            Trader::Rebalancer => Grammar::Broker("PORTFOL2"),
            Trader::Panic => Grammar::Face("ios"),
            Trader::Sniper => Grammar::Counter("snipe"),
            Trader::CopyTrader => Grammar::Broker("COPYTRD4"),
            Trader::PumpMember => Grammar::Face("web"),
            Trader::AirdropSeller => Grammar::Face("and"),
            Trader::NewsBuyer => Grammar::Face("ios"),
            Trader::StopLoss => Grammar::Unnamed,
            Trader::Scalper => Grammar::Face("web"),
            Trader::ContractBot => Grammar::Broker("PERPDCA3"),
        }
    }
}

const DAY_MS: i64 = 86_400_000;

/// Large coins against BTC: name, price, BTC a day, decimals of price and amount.
const MAJORS: [(&str, f64, f64, u32, u32); 10] = [
    ("ETH", 0.031, 9_000.0, 6, 3),
    ("BNB", 0.0021, 3_000.0, 7, 2),
    ("XRP", 0.000_036, 1_800.0, 8, 0),
    ("LTC", 0.0105, 1_500.0, 6, 2),
    ("EOS", 0.000_52, 900.0, 7, 2),
    ("ADA", 0.000_006_8, 700.0, 8, 0),
    ("TRX", 0.000_002_6, 650.0, 8, 0),
    ("LINK", 0.000_29, 600.0, 8, 0),
    ("XLM", 0.000_009_2, 450.0, 8, 0),
    ("XMR", 0.0082, 300.0, 6, 3),
];

/// Perpetual futures: coin, price, dollars a day, decimals of price and amount.
const CONTRACTS: [(&str, f64, f64, u32, u32); 8] = [
    ("BTC", 9_000.0, 900_000_000.0, 2, 3),
    ("ETH", 280.0, 300_000_000.0, 2, 3),
    ("BNB", 19.0, 90_000_000.0, 3, 2),
    ("XRP", 0.32, 80_000_000.0, 4, 1),
    ("LTC", 95.0, 70_000_000.0, 2, 3),
    ("LINK", 2.6, 40_000_000.0, 3, 2),
    ("ADA", 0.061, 30_000_000.0, 5, 0),
    ("XTZ", 1.9, 20_000_000.0, 3, 1),
];

/// Small coins against BTC: made-up names, so that no tape's coin is met twice.
const THIN: usize = 5;
const FRESH: usize = 40;
const LISTED: usize = 6;

impl Ground {
    /// Adds made-up pairs to a scene, and the taped one, if any, as the first of the thin.
    pub fn around(scene: &mut Scene, taped: Option<usize>) -> Result<Ground, Refused> {
        let mut dice = Dice::named(scene.seed(), "pairs");
        let (from_ms, to_ms) = scene.span();
        let mut add = |base: &str, quote: &str, habit: Habit| -> Result<usize, Refused> {
            let symbol = Symbol::new(Asset::new(base)?, Asset::new(quote)?);
            // Visited pairs need a day of trades before an account's first, which may lie before the recording.
            let walk = Walk::new(habit, dice.bits(), from_ms - DAY_MS, to_ms);
            Ok(scene.add_market(Market::walked(symbol, walk)))
        };
        // Once in a recording: bitcoin by a fifth, and what is paid with it by half as much.
        let mut fall = Dice::named(scene_seed(from_ms, to_ms), "crash");
        let crash_ms = from_ms + (to_ms - from_ms) / 10 * 6 + fall.whole(0, (to_ms - from_ms) / 10);
        let mut crash = |low: f64, high: f64| Some((crash_ms, fall.between(low, high)));
        let liquid = Habit::liquid(9_000.0, 400_000_000.0, 2, 6);
        // It is never quiet for a quarter of an hour.
        let bitcoin = Habit { crash: crash(0.15, 0.25), gap_s: 240.0, ..liquid };
        let btcusdt = add("BTC", "USDT", bitcoin)?;
        let mut majors = Vec::new();
        for (name, price, daily, price_digits, amount_digits) in MAJORS {
            let liquid = Habit::liquid(price, daily, price_digits, amount_digits);
            let habit = Habit { visited: true, crash: crash(0.06, 0.16), ..liquid };
            majors.push(add(name, "BTC", habit)?);
        }
        let mut draw = Dice::named(scene_seed(from_ms, to_ms), "habits");
        let small = |draw: &mut Dice| Habit::thin(draw.doubling(0.000_002, 0.000_2), draw.doubling(2.0, 60.0));
        let mut thin: Vec<usize> = taped.into_iter().collect();
        for nth in 0..THIN {
            let habit = Habit { crash: crash(0.08, 0.25), ..small(&mut draw) };
            thin.push(add(&format!("TH{nth}N"), "BTC", habit)?);
        }
        let mut fresh = Vec::new();
        for nth in 0..FRESH {
            let habit = Habit { crash: crash(0.08, 0.25), ..small(&mut draw) };
            fresh.push(add(&format!("NEW{nth}"), "BTC", habit)?);
        }
        let mut listed = Vec::new();
        for nth in 0..LISTED {
            let listed_ms = from_ms + draw.whole(DAY_MS, (to_ms - from_ms).max(DAY_MS));
            let habit = Habit { listed_ms: Some(listed_ms), daily: 80.0, ..small(&mut draw) };
            listed.push((add(&format!("LST{nth}"), "BTC", habit)?, listed_ms));
        }
        // Drawn apart, so that these leave the other pairs as they were.
        let mut draw = Dice::named(scene_seed(from_ms, to_ms), "pumps");
        let (mut pumped, mut onset) = (Vec::new(), from_ms);
        loop {
            onset += draw.whole(2 * DAY_MS, 9 * DAY_MS);
            if onset + DAY_MS / 8 >= to_ms {
                break;
            }
            let habit = Habit { pumped_ms: Some(onset), ..small(&mut draw) };
            pumped.push((add(&format!("PMP{}", pumped.len()), "BTC", habit)?, onset));
        }
        let peg = add("PEGG", "BTC", Habit { minute: 0.000_15, ..Habit::thin(0.000_09, 8.0) })?;
        let satoshi = add("SATS", "BTC", Habit { minute: 0.001, ..Habit::thin(0.000_000_5, 15.0) })?;
        let mut contracts = Vec::new();
        for (name, price, daily, price_digits, amount_digits) in CONTRACTS {
            let liquid = Habit::liquid(price, daily, price_digits, amount_digits);
            let habit = Habit { visited: true, crash: crash(0.15, 0.35), ..liquid };
            contracts.push(add(&format!("{name}_PERP"), "USDT", habit)?);
        }
        Ok(Ground { btcusdt, majors, thin, fresh, pumped, listed, peg, satoshi, contracts, crash_ms })
    }
}

/// The habits of made-up pairs depend on when the recording is, not on who trades in it.
fn scene_seed(from_ms: i64, to_ms: i64) -> u64 {
    from_ms as u64 ^ (to_ms as u64).rotate_left(32)
}

/// Adds an account that trades as `trader` over the whole recording, or a group where that is how it trades; `nth` keeps
/// names apart. Returns the first.
pub fn stage(scene: &mut Scene, ground: &Ground, trader: Trader, nth: usize) -> Result<usize, NotAnAccount> {
    if trader == Trader::CopyTrader {
        return lookalikes::stage_group(scene, ground, nth);
    }
    let account = AccountId::new(Venue::Binance, &format!("{trader}-{nth}"))?;
    let person = scene.add_person(account, trader.as_str(), trader.grammar());
    let (from_ms, to_ms) = scene.span();
    let wealth = scene.people[person].dice.doubling(0.2, 10.0);
    play(scene, ground, person, trader, (from_ms + 3_600_000, to_ms), wealth);
    Ok(person)
}

/// Lets an account trade as `trader` from and to a time in ms, being worth about `wealth` BTC.
pub fn play(scene: &mut Scene, ground: &Ground, person: usize, trader: Trader, span: (i64, i64), wealth: f64) {
    if let Ok(btc) = Asset::new("BTC") {
        // What its trades do not need, it owns nevertheless; a person who always puts in everything does not.
        let share = if matches!(trader, Trader::WholeBalance | Trader::ContractBot) { 0.0 } else { 0.5 };
        *scene.people[person].spare.entry(btc).or_default() += money(wealth * share);
    }
    habits::play(scene, ground, person, trader, span, wealth);
}

/// Makes a recording of ordinary accounts alone, over `days` days of made-up markets from `from_ms` on, that pay coins
/// with what `quoted` says.
pub fn recording(
    seed: u64,
    from_ms: i64,
    days: u32,
    traders: &[Trader],
    quoted: Quoted,
) -> Result<Recording, super::import::ImportError> {
    let mut scene = Scene::new(seed, from_ms, from_ms + i64::from(days) * DAY_MS);
    scene.quoted = quoted;
    let ground = Ground::around(&mut scene, None)?;
    for (nth, trader) in traders.iter().enumerate() {
        stage(&mut scene, &ground, *trader, nth)?;
    }
    Ok(scene.record())
}

impl fmt::Display for Trader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Trader {
    type Err = NotATrader;
    fn from_str(text: &str) -> Result<Self, NotATrader> {
        Trader::ALL.into_iter().find(|trader| trader.as_str() == text).ok_or_else(|| NotATrader(text.to_owned()))
    }
}
