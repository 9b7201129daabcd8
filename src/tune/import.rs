//! A tape becomes a recording: every trade as a public frame, some of them also as an account's orders.

use std::io::Write;

use super::dice::Dice;
use super::labels::{Label, What};
use super::market::Market;
use super::ordinary::{self, Ground, Trader};
use super::scene::Scene;
use super::tape::{NotACoin, Quoted, Tape, coin};
use super::victim;
use crate::arrival::Arrival;
use crate::domain::{Asset, Refused, Symbol, Timestamp};
use crate::journal::{self, Header};

/// Arrivals in the order they came, and what they were.
#[derive(Clone, Debug)]
pub struct Recording {
    /// The arrivals, numbered from 1 without holes.
    pub arrivals: Vec<Arrival>,
    /// Whose they were.
    pub labels: Vec<Label>,
}

/// What is made of a tape.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Everything that is drawn is drawn from this.
    pub seed: u64,
    /// How much of the tape before the pump is kept, in days.
    pub days_before: f64,
    /// How much of the tape after the pump is kept, in days.
    pub days_after: f64,
    /// How long before the kept tape the accounts' own history begins, in days; it trades made-up pairs.
    pub history_days: f64,
    /// The attack; ordinary accounts only where absent.
    pub attack: Option<What>,
    /// The share of the tape's taker orders that become the victim's, 0 to 1; drawn from 2, 10, 30, 70 % where absent.
    pub participation: Option<f64>,
    /// How many accounts an attack on several hits (I9); 2 to 20 are drawn for 0.
    pub fleet: u32,
    /// Accounts that nobody attacks.
    pub ordinary: Vec<Trader>,
    /// What coins are paid with; dollars in any case where the tape's prices are in dollars.
    pub quoted: Quoted,
}

/// What no recording could be made for.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The tape has no trade in the kept span.
    #[error("the tape has no trades between {from} and {to}; check --onset, --days-before and --days-after")]
    Empty {
        /// The start of the kept span.
        from: Timestamp,
        /// Its end.
        to: Timestamp,
    },
    /// The tape has no orders where the attack would be.
    #[error("the tape has no orders that attack {0} could be made of; choose another attack or seed")]
    NoOrders(What),
    /// The coin's name is none.
    #[error(transparent)]
    Coin(#[from] NotACoin),
    /// An asset that accounts trade beside the tape is none.
    #[error(transparent)]
    Asset(#[from] Refused),
    /// The account names clash or cannot be written.
    #[error(transparent)]
    Account(#[from] crate::domain::NotAnAccount),
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            seed: 1,
            days_before: 2.0,
            days_after: 0.125,
            history_days: 21.0,
            attack: Some(What::Burst),
            participation: None,
            fleet: 0,
            ordinary: Vec::new(),
            quoted: Quoted::default(),
        }
    }
}

const DAY_MS: f64 = 86_400_000.0;

/// Makes a recording of a tape whose pump began at `onset_ms`; no ordinary order is placed in `barred`, spans of ms around
/// the coin's known pumps. `pair` is the coin where the tape's prices are in BTC (`ADX`), and the pair where they are in
/// dollars (`SOLUSDT`).
pub fn import(
    tape: &Tape,
    pair: &str,
    onset_ms: i64,
    barred: Vec<(i64, i64)>,
    settings: &Settings,
) -> Result<Recording, ImportError> {
    let from_ms = onset_ms - (settings.days_before * DAY_MS) as i64;
    let to_ms = onset_ms + (settings.days_after * DAY_MS) as i64;
    let mut kept = tape.clone();
    kept.cut(from_ms, to_ms);
    if kept.trades.is_empty() {
        return Err(ImportError::Empty { from: Timestamp::from_millis(from_ms), to: Timestamp::from_millis(to_ms) });
    }
    let began_ms = from_ms - (settings.history_days * DAY_MS) as i64;
    let mut scene = Scene::new(settings.seed, began_ms, to_ms);
    let (base, quoted) = coin(pair)?;
    scene.quoted = if quoted == Quoted::Dollars { quoted } else { settings.quoted };
    let symbol = Symbol::new(base, Asset::new("BTC")?);
    let taped = scene.add_market(Market::taped(symbol, &kept, barred));
    let ground = Ground::around(&mut scene, Some(taped))?;
    if quoted == Quoted::Dollars {
        let bitcoin = scene.markets[ground.btcusdt].clone();
        scene.markets[taped].in_bitcoin(&|ms| bitcoin.price(ms));
    }
    if let Some(what) = settings.attack {
        let drawn = Dice::named(settings.seed, &format!("fleet {onset_ms}")).doubling(2.0, 20.0).round() as u32;
        let victims = match (what, settings.fleet) {
            (What::Fleet, 0) => drawn,
            (What::Fleet, victims) => victims,
            (_, _) => 1,
        };
        for nth in 0..victims {
            let participation = settings.participation;
            let plan = victim::Plan { what, nth, participation, onset_ms, taped, taped_from_ms: from_ms };
            // A thin tape may have orders for fewer than were drawn.
            if victim::stage(&mut scene, &ground, &plan)?.is_none() && nth < 2 {
                return Err(ImportError::NoOrders(what));
            }
        }
    }
    for (place, trader) in settings.ordinary.iter().enumerate() {
        ordinary::stage(&mut scene, &ground, *trader, place)?;
    }
    Ok(scene.record())
}

/// Writes a recording, unsealed: it was made up, and anybody can make it again.
pub fn write_recording(out: &mut dyn Write, arrivals: &[Arrival]) -> std::io::Result<()> {
    let created = arrivals.first().map_or(Timestamp::EPOCH, |first| first.at);
    journal::write_recording(out, &Header::recording(created), arrivals.iter().cloned(), false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrival::Body;
    use crate::domain::Side;
    use crate::tune::tape::Trade;
    use rust_decimal::Decimal;

    /// Two quiet days and a minute in which the price doubles.
    pub(crate) fn pumped() -> (Tape, i64) {
        let (onset, mut tape) = (1_562_346_000_000_i64, Tape::default());
        let quiet = (0..1_500).map(|i| onset - 172_000_000 + i * 114_000);
        let rush = (0..200).map(|i| onset + i * 500);
        let after = (0..60).map(|i| onset + 110_000 + i * 60_000);
        for (i, ms) in quiet.chain(rush).chain(after).enumerate() {
            let taker = if i % 3 == 0 && ms < onset || ms > onset + 105_000 { Side::Sell } else { Side::Buy };
            let raised = if ms < onset { 0 } else { (ms - onset).min(100_000) / 100 };
            let price = Decimal::new(1_000 + i as i64 % 7 + raised, 8);
            for _ in 0..=(i % 2) {
                tape.trades.push(Trade { ms, taker, price, amount: Decimal::new(5_000 + i as i64, 0) });
            }
        }
        (tape, onset)
    }

    fn made(settings: &Settings) -> Recording {
        let (tape, onset) = pumped();
        import(&tape, "ADX", onset, vec![(onset - 3_600_000, onset + 7_200_000)], settings).unwrap()
    }

    fn written(recording: &Recording) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_recording(&mut bytes, &recording.arrivals).unwrap();
        bytes
    }

    /// The pump's tape in dollars, at 7,654.32 for a bitcoin.
    fn in_dollars() -> (Tape, i64) {
        let (mut tape, onset) = pumped();
        for trade in &mut tape.trades {
            trade.price = (trade.price * Decimal::new(765_432, 2)).round_dp(8);
        }
        (tape, onset)
    }

    /// The public trades of a pair, at their prices.
    fn prices(recording: &Recording, wire: &str) -> Vec<(i64, Decimal)> {
        let frames = recording.arrivals.iter().filter_map(frame);
        let trades = frames.filter(|frame| frame["data"]["s"] == wire);
        let price = |frame: serde_json::Value| {
            (frame["data"]["T"].as_i64().unwrap(), frame["data"]["p"].as_str().unwrap().parse().unwrap())
        };
        trades.map(price).collect()
    }

    #[test]
    fn a_tape_of_dollars_is_played_at_its_own_prices_by_accounts_that_hold_dollars() {
        let (tape, onset) = in_dollars();
        let settings = Settings { ordinary: vec![Trader::Chaser, Trader::Panic], ..Settings::default() };
        let made = import(&tape, "SOLUSDT", onset, vec![], &settings).unwrap();
        let kept = tape.trades.iter().map(|trade| (trade.ms, trade.price)).collect::<Vec<_>>();
        assert!(prices(&made, "SOLUSDT") == kept, "another price than the tape's");
        assert!(prices(&made, "ETHUSDT").len() > 100 && prices(&made, "BTCUSDT").len() > 100);
        let held =
            made.arrivals.iter().filter_map(frame).filter(|frame| frame["event"]["e"] == "outboundAccountPosition");
        let held: Vec<String> = held.map(|frame| frame["event"]["B"].to_string()).collect();
        assert!(held.iter().any(|balances| balances.contains("USDT")));
        let hostile = made.labels.iter().find_map(|label| label.hostile.as_ref()).unwrap();
        assert_eq!((hostile.asset.as_str(), hostile.pair.as_str()), ("USDT", "SOLUSDT"));
        let moved = hostile.orders.iter().map(|order| order.quote).sum::<Decimal>();
        assert_eq!(hostile.hostile_quote, moved);
        assert!(hostile.equity > Decimal::from(500), "{} dollars", hostile.equity);
        assert!(matches!(import(&tape, "SOLETH", onset, vec![], &settings), Err(ImportError::Coin(NotACoin::Pair(_)))));
    }

    #[test]
    fn a_tape_of_bitcoin_is_played_in_dollars_by_the_same_people_at_bitcoins_price_of_the_moment() {
        let (tape, onset) = pumped();
        let made = |quoted: Quoted| {
            import(
                &tape,
                "ADX",
                onset,
                vec![],
                &Settings { attack: Some(What::PlantedAsk), quoted, ..Settings::default() },
            )
            .unwrap()
        };
        let (bitcoin, dollars) = (made(Quoted::Bitcoin), made(Quoted::Dollars));
        assert_eq!(bitcoin.arrivals.len(), dollars.arrivals.len());
        assert!(prices(&dollars, "ADXBTC").is_empty());
        let rate = prices(&bitcoin, "BTCUSDT")[0].1;
        for (one, other) in prices(&bitcoin, "ADXBTC").iter().zip(prices(&dollars, "ADXUSDT")) {
            let paid = other.1 / one.1 / rate;
            assert!(one.0 == other.0 && paid > Decimal::new(6, 1) && paid < Decimal::new(14, 1), "{one:?} {other:?}");
        }
        let hostile = |made: &Recording| made.labels.iter().find_map(|label| label.hostile.clone()).unwrap();
        let (one, other) = (hostile(&bitcoin), hostile(&dollars));
        for (one, other) in [(one.equity, other.equity), (one.reference.unwrap(), other.reference.unwrap())] {
            let paid = other / one / rate;
            assert!(paid > Decimal::new(6, 1) && paid < Decimal::new(14, 1), "{one} {other}");
        }
        assert_eq!(one.orders.len(), other.orders.len());
    }

    fn frame(arrival: &Arrival) -> Option<serde_json::Value> {
        match &arrival.body {
            Body::Frame(frame) => Some(serde_json::from_str(frame.get()).unwrap()),
            Body::Text(text) => panic!("not JSON: {text}"),
            Body::Bytes(_) | Body::Page { .. } | Body::LinkUp | Body::LinkDown { .. } | Body::Filled { .. } => None,
            Body::Tick => None,
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
        let settings = Settings { ordinary: Trader::ALL.to_vec(), history_days: 6.0, ..Settings::default() };
        let one = written(&made(&settings));
        assert!(one == written(&made(&settings)));
        assert!(one != written(&made(&Settings { seed: 2, ..settings })));
    }

    #[test]
    fn arrivals_are_numbered_in_order_of_time_and_late_by_20_to_200_ms() {
        let recording = made(&Settings { ordinary: vec![Trader::Chaser, Trader::Grid], ..Settings::default() });
        for (place, pair) in recording.arrivals.windows(2).enumerate() {
            assert_eq!(pair[0].n, place as u64 + 1);
            assert!(pair[0].at <= pair[1].at);
        }
        let mut late = 0;
        for arrival in &recording.arrivals {
            let Some(value) = frame(arrival) else { continue };
            let sent = value.pointer("/data/E").or(value.pointer("/event/E")).unwrap().as_i64().unwrap();
            let travelled = arrival.at.nanos() / 1_000_000 - sent;
            assert!(travelled >= 20, "{travelled} ms");
            late += usize::from(travelled > 200);
        }
        // Only behind another frame of its own feed may one be later.
        assert!(late * 100 < recording.arrivals.len(), "{late}");
    }

    #[test]
    fn every_trade_of_the_tape_is_there_once_at_its_own_price() {
        let (tape, onset) = pumped();
        let recording = made(&Settings::default());
        let mut wanted: Vec<(i64, String)> = tape
            .trades
            .iter()
            .filter(|trade| (onset - 172_800_000..onset + 10_800_000).contains(&trade.ms))
            .map(|trade| (trade.ms, format!("{:.8} {:.8}", trade.price, trade.amount)))
            .collect();
        let public = recording.arrivals.iter().filter_map(frame).filter(|v| v["stream"] == "adxbtc@trade");
        let mut found: Vec<(i64, String)> = public
            .map(|v| {
                (v["data"]["T"].as_i64().unwrap(), format!("{} {}", v["data"]["p"], v["data"]["q"]).replace('"', ""))
            })
            .collect();
        wanted.sort();
        found.sort();
        assert_eq!(found, wanted);
    }

    #[test]
    fn each_attack_is_labelled_with_what_it_moved_and_hits_an_account_with_a_history() {
        for what in What::ATTACKS.into_iter().filter(|what| *what != What::Fleet) {
            let settings = Settings { attack: Some(what), ..Settings::default() };
            let recording = made(&settings);
            let [ordinary, attack] = &recording.labels[..] else { panic!("{what}: {:?}", recording.labels) };
            assert_eq!((ordinary.kind, attack.kind), (What::Ordinary, what));
            assert!(ordinary.last.n < attack.first.n && attack.first.at < attack.last.at, "{what}");
            let hostile = attack.hostile.as_ref().unwrap();
            let spent = hostile.orders.iter().map(|order| order.quote).sum::<Decimal>();
            assert_eq!(spent, hostile.hostile_quote, "{what}");
            let reports = |from: u64, to: u64| {
                let own = recording.arrivals.iter().filter(|a| a.from.account().is_some());
                own.filter(|a| (from..=to).contains(&a.n))
                    .filter_map(frame)
                    .filter(|v| v["event"]["x"] == "TRADE")
                    .count()
            };
            assert!(reports(ordinary.first.n, ordinary.last.n) >= 5, "{what}");
            assert!(reports(attack.first.n, attack.last.n) >= hostile.orders.len(), "{what}");
        }
    }

    #[test]
    fn a_fleet_is_hit_in_the_same_minutes_and_no_order_belongs_to_two() {
        let recording = made(&Settings { attack: Some(What::Fleet), fleet: 4, ..Settings::default() });
        let attacks: Vec<_> = recording.labels.iter().filter(|label| label.kind == What::Fleet).collect();
        assert_eq!(attacks.len(), 4);
        let starts: Vec<i64> = attacks.iter().map(|label| label.first.at).collect();
        assert!(starts.iter().max().unwrap() - starts.iter().min().unwrap() < 180_000_000_000);
        let trades = recording.arrivals.iter().filter(|a| a.from.account().is_some()).filter_map(frame);
        let of_tape = trades.filter(|v| v["event"]["x"] == "TRADE" && v["event"]["s"] == "ADXBTC");
        let mut ids: Vec<u64> = of_tape.map(|v| v["event"]["t"].as_u64().unwrap()).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all);
    }

    #[test]
    fn only_the_victim_of_a_known_pair_had_traded_it() {
        for (what, seed) in [(What::Burst, 1), (What::Burst, 2), (What::Burst, 3), (What::KnownPair, 1)] {
            let recording = made(&Settings { attack: Some(what), seed, ..Settings::default() });
            let ordinary = &recording.arrivals[..recording.labels[0].last.n as usize];
            let own = ordinary.iter().filter(|a| a.from.account().is_some()).filter_map(frame);
            let known = own.filter(|v| v["event"]["x"] == "TRADE" && v["event"]["s"] == "ADXBTC").count();
            assert_eq!(known > 0, what == What::KnownPair, "{what} {seed}");
        }
    }

    #[test]
    fn a_liquidation_sells_two_to_eight_assets_within_a_minute_before_the_first_buy() {
        for seed in 1..6 {
            let recording = made(&Settings {
                seed,
                attack: Some(What::LiquidateThenBurst),
                history_days: 8.0,
                ..Settings::default()
            });
            let orders = &recording.labels[1].hostile.as_ref().unwrap().orders;
            let sells: Vec<_> = orders.iter().take_while(|order| order.side == Side::Sell).collect();
            assert!((2..=8).contains(&sells.len()) && orders[sells.len()..].iter().all(|o| o.side == Side::Buy));
            let (first, buy) = (sells[0].at, orders[sells.len()].at);
            assert!((2_000_000_000..=62_000_000_000).contains(&(buy - first)), "{}", buy - first);
            let last_balances = recording.arrivals.iter().rev().filter_map(frame);
            let sold: Vec<String> = sells.iter().map(|order| order.pair.trim_end_matches("BTC").to_owned()).collect();
            let mut left = std::collections::BTreeMap::new();
            for balance in last_balances.filter(|v| v["event"]["e"] == "outboundAccountPosition") {
                for row in balance["event"]["B"].as_array().unwrap() {
                    left.entry(row["a"].as_str().unwrap().to_owned()).or_insert(row["f"].as_str().unwrap().to_owned());
                }
            }
            // Less than a lot may stay behind.
            let dust = |asset: &String| left[asset].parse::<Decimal>().unwrap() < Decimal::ONE;
            assert!(sold.iter().all(dust), "{sold:?} {left:?}");
        }
    }

    #[test]
    fn balances_never_go_below_zero_and_totals_follow_the_fills() {
        let settings = Settings { ordinary: Trader::ALL.to_vec(), ..Settings::default() };
        let recording = made(&settings);
        let mut totals: std::collections::BTreeMap<(String, u64), (Decimal, u64)> = Default::default();
        for arrival in &recording.arrivals {
            let (Some(account), Some(value)) = (arrival.from.account(), frame(arrival)) else { continue };
            let event = &value["event"];
            for row in event["B"].as_array().unwrap_or(&Vec::new()) {
                assert!(!row["f"].as_str().unwrap().starts_with('-'), "{row}");
                assert!(!row["l"].as_str().unwrap().starts_with('-'), "{row}");
            }
            if event["x"] == "TRADE" {
                let text = |key: &str| event[key].as_str().unwrap().parse::<Decimal>().unwrap();
                let total = totals.entry((account.to_string(), event["i"].as_u64().unwrap())).or_default();
                assert!(event["I"].as_u64().unwrap() > total.1);
                *total = (total.0 + text("l"), event["I"].as_u64().unwrap());
                assert_eq!(text("z"), total.0);
                assert!(text("n") > Decimal::ZERO || text("Y") < Decimal::new(1, 5), "{event}");
                assert_eq!(event["X"] == "FILLED", text("z") == text("q"));
            }
        }
        assert!(totals.len() > 200);
    }
}
