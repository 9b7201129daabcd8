use super::*;
use crate::engine::account::Vouched;
use crate::engine::pair::Pair;
use crate::engine::rules::scene::{Scene, quiet};
use crate::engine::tests::{at, fill};

impl Scene {
    /// Returns what keeps an order of such terms at a notice.
    fn lacks(&self, terms: &[(&'static str, Family, f64)]) -> Vec<&'static str> {
        let terms: Vec<Term> = terms.iter().map(|(name, family, nats)| term(name, *family, *nats, 1.0, "")).collect();
        self.ask(|case| brakes(case, &terms).into_iter().map(|lack| lack.what).collect())
    }

    fn level(&self) -> Option<Level> {
        self.ask(|case| judge(&Settings::default(), case)).map(|finding| finding.level)
    }
}

#[test]
fn a_loud_market_alone_calls_nobody() {
    let known = Scene::new(400, 60, "0.5", 6.0);
    let market = ("market", Family::Market, 6.0);
    assert_eq!(known.lacks(&[market]), ["evidence that it is not the owner"]);
    assert_eq!(known.lacks(&[market, ("size", Family::Habit, 0.4)]), ["evidence that it is not the owner"]);
    assert!(known.lacks(&[market, ("size", Family::Habit, 0.6)]).is_empty());
    assert!(known.lacks(&[market, ("address", Family::Origin, 0.6)]).is_empty());
}

#[test]
fn habits_that_speak_for_the_owner_outweigh_one_that_does_not() {
    let known = Scene::new(400, 60, "0.5", 6.0);
    let market = ("market", Family::Market, 6.0);
    let odd = ("size", Family::Habit, 1.0);
    assert_eq!(known.lacks(&[market, odd, ("pair_novelty", Family::Habit, -1.2)]), ["habits in sum against the owner"]);
    assert!(known.lacks(&[market, odd, ("pair_novelty", Family::Habit, -0.8)]).is_empty());
}

#[test]
fn a_market_that_stands_still_takes_a_strange_origin_or_holdings_sold() {
    let mut known = Scene::new(400, 60, "0.5", 0.4);
    let odd = ("size", Family::Habit, 5.0);
    assert!(known.lacks(&[odd]).is_empty(), "a market that cannot be seen is no excuse");
    known.pair = Some(quiet());
    assert_eq!(known.lacks(&[odd]), ["evidence of a market that moves"]);
    assert!(known.lacks(&[odd, ("order_origin", Family::Origin, 2.1)]).is_empty());
    assert!(known.lacks(&[odd, ("sold_before", Family::Habit, 2.4)]).is_empty());
    known.group.market = 0.6;
    assert!(known.lacks(&[odd]).is_empty());
}

#[test]
fn an_account_hardly_known_takes_a_loud_market_and_more_than_a_new_pair() {
    let (market, new) = (("market", Family::Market, 2.9), ("pair_novelty", Family::Habit, 2.0));
    let calm = Scene::new(19, 4, "0.5", 2.9);
    let both = ["evidence of the market, for an account hardly known"];
    assert_eq!(calm.lacks(&[market, new, ("size", Family::Habit, 1.0)]), both);
    let loud = Scene::new(19, 4, "0.5", 3.1);
    assert!(loud.lacks(&[market, new, ("size", Family::Habit, 1.0)]).is_empty());
    assert_eq!(loud.lacks(&[market, new]), ["a habit broken beside the new pair, for an account hardly known"]);
    // Orders or sessions make it known.
    for (orders, sessions) in [(20, 1), (3, 5)] {
        assert!(Scene::new(orders, sessions, "0.5", 2.9).lacks(&[market, new]).is_empty());
    }
}

#[test]
fn an_order_of_less_than_fifteen_dollars_is_never_an_act() {
    assert_eq!(Scene::new(400, 60, "0.00051", 6.9).level(), Some(Level::Act));
    assert_eq!(Scene::new(400, 60, "0.00049", 6.9).level(), Some(Level::Alert));
}

/// Returns the weight and the value of a term of the joint score.
fn weighs(scene: &Scene, name: &str) -> Option<(f64, f64)> {
    scene.ask(|case| {
        let found = terms(&Settings::default(), case).into_iter().find(|term| term.name == name)?;
        Some((found.nats, found.value))
    })
}

#[test]
fn an_order_weighs_by_its_share_of_the_pairs_day_where_that_day_is_known_and_something_moves() {
    let scene = |btc: &str, market: f64| {
        let mut scene = Scene::new(400, 60, btc, market);
        scene.habit.episode.taken = scene.group.notional;
        scene.pair = Some(quiet());
        scene
    };
    let daily = quiet().daily_quote(Side::Buy);
    let share = |part: f64| format!("{:.6}", part * daily);
    for (part, nats) in [(0.25, 3.7), (0.23, 2.2), (0.09, 2.2), (0.07, 0.7), (0.021, 0.7)] {
        let (weight, percent) = weighs(&scene(&share(part), 0.3), "share_of_day").unwrap();
        assert!((weight - nats).abs() < 1e-9 && (percent - 100.0 * part).abs() < 0.01, "{part}: {weight} {percent}");
    }
    assert_eq!(weighs(&scene(&share(0.019), 0.3), "share_of_day"), None);
    assert_eq!(weighs(&scene(&share(0.5), 0.0), "share_of_day"), None, "a heavy order that moved nothing is patient");
    let mut young = scene(&share(0.5), 0.3);
    young.pair = Some(Pair::default());
    assert_eq!(weighs(&young, "share_of_day"), None, "of a young pair no day is known");
    let mut maker = scene(&share(0.5), 6.0);
    maker.group.taker = false;
    assert_eq!((weighs(&maker, "market"), weighs(&maker, "share_of_day")), (None, None));
}

#[test]
fn a_round_trip_weighs_from_two_percent_lost_where_the_money_is_the_accounts_usual() {
    let weight = |sold_at: &str, usual: f64| {
        let mut scene = Scene::new(400, 60, "0.5", 3.0);
        for _ in 0..5 {
            scene.account.buys.push(usual.ln());
        }
        let (bought, mut sold) =
            (fill("APPC-BTC", 1, "0.005", "100", at(0)), fill("APPC-BTC", 2, sold_at, "100", at(9_000)));
        sold.side = Side::Sell;
        for (n, fill) in [(1, &bought), (2, &sold)] {
            scene.account.take(fill, n, fill.time, 0.5, None);
        }
        scene.habit = scene.account.habit(&bought.symbol).unwrap().clone();
        weighs(&scene, "round_trip_loss").map(|(nats, _)| nats)
    };
    assert_eq!(weight("0.00491", 0.5), None);
    assert_eq!(weight("0.00489", 0.5), Some(1.04));
    assert_eq!(weight("0.004", 0.5), Some(4.6));
    assert_eq!(weight("0.002", 0.5), Some(6.0));
    // An account that turns over thirty times as much is not hurt by it.
    assert_eq!(weight("0.004", 15.0), None);
}

#[test]
fn a_sale_near_the_price_before_it_gives_nothing_away() {
    let weight = |low: &str| {
        let mut scene = Scene::new(400, 60, "0.5", 3.0);
        scene.pair = Some(quiet());
        (scene.group.side, scene.group.low) = (Side::Sell, low.parse().unwrap());
        weighs(&scene, "selling").unwrap().0
    };
    assert_eq!([weight("0.00495"), weight("0.00488"), weight("0.0047")], [-6.0, -3.0, -1.5]);
}

#[test]
fn a_small_asset_weighs_only_beside_a_market_that_moves_for_itself() {
    let weight = |usd: u32, market: f64| {
        let scene = Scene::new(400, 60, "0.5", market);
        let cap = crate::domain::Size { usd: usd.into(), rank: None };
        scene.ask(|case| {
            let case = Case { cap: Some(cap), ..case.clone() };
            let found = terms(&Settings::default(), &case).into_iter().find(|term| term.name == "small_cap");
            found.map(|term| term.nats)
        })
    };
    assert_eq!(weight(9_000_000, 1.6), Some(0.5));
    assert_eq!(weight(11_000_000, 1.6), Some(0.25));
    assert_eq!((weight(51_000_000, 6.0), weight(9_000_000, 1.4)), (None, None));
}

#[test]
fn no_number_of_answers_says_more_than_five_nats() {
    let mut known = Scene::new(400, 60, "0.5", 6.0);
    for (answers, nats) in [(1, -1.733), (6, -4.865), (9, -5.0), (40, -5.0)] {
        let mut vouched = Vouched::default();
        (0..answers).for_each(|_| vouched.add(known.group.last));
        known.account.vouched = Some(vouched);
        let told = habit::vouched(&known.account, &known.group).nats;
        assert!((told - nats).abs() < 1e-3, "{answers} answers: {told}");
    }
    known.group.strange = 2.1;
    assert_eq!(habit::vouched(&known.account, &known.group).nats, 0.0, "nobody answered for this program");
}
