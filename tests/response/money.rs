//! Coinbase's money is moved where the leaked key cannot reach it, each asset once.

use std::collections::BTreeMap;

use fillguard::domain::{AccountId, Symbol, Venue};
use fillguard::response::hands::Hands;
use fillguard::response::{Deed, Keys, Outcome, Settings, State};
use fillguard::simulate::ActFault;
use rust_decimal::Decimal;

use super::{HOLDER, World, armed, incident, reach, respond};

const VAULT: &str = "3f1c8a52-0000-4000-8000-000000000002";

/// A victim with three assets, and a key that may move them.
async fn rich(seed: u64) -> (World, Settings, Keys, AccountId, BTreeMap<String, Decimal>) {
    let world = World::new(seed).await;
    let (mut settings, mut keys, victim, _) = armed(&world, Venue::Coinbase, HOLDER);
    world.handle.permit(&victim, "withdraw", true).unwrap();
    for (asset, amount) in [("USD", Decimal::new(1_234_567, 2)), ("BTC", Decimal::new(123, 8)), ("ETH", 7.into())] {
        world.handle.deposit(&victim, asset, amount).unwrap();
    }
    settings.accounts.get_mut(&victim).unwrap().move_to = Some(VAULT.into());
    keys.holders.get_mut(&victim).unwrap().move_from = Some(world.handle.portfolio(&victim).unwrap());
    let had = world.handle.free(&victim).unwrap();
    assert!(had.len() >= 3, "{had:?}");
    (world, settings, keys, victim, had)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plan_moves_all_money_with_what_open_orders_held_and_sees_that_it_is_gone() {
    let (world, settings, keys, victim, had) = rich(71).await;
    assert!(world.handle.rest_order(&victim, &Symbol::from_dashed("BTC-USD").unwrap()).unwrap());
    assert_ne!(world.handle.free(&victim).unwrap(), had, "the order holds some of it");
    let case = respond(&world, settings, &keys, &incident(&victim, 1)).await;
    assert_eq!(case.state, State::Done, "{:?}", case.acts);
    let deeds: Vec<String> = case.acts.iter().map(|act| act.deed.to_string()).collect();
    assert_eq!(deeds, ["cancel all open spot orders".to_owned(), format!("move the money to {VAULT}")]);
    assert_eq!(world.handle.moved(VAULT), had);
    assert_eq!(world.handle.free(&victim).unwrap(), BTreeMap::new());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_goes_wrong_no_asset_is_moved_twice_and_what_stayed_is_told() {
    for (fault, wanted, left) in [
        (ActFault::FailAfter, "done", 0),
        (ActFault::HangAfter(900), "done", 0),
        (ActFault::Refuse(1), "done", 0),
        (ActFault::Fail, "not done", 1),
        (ActFault::Right, "not done", 1),
        (ActFault::Lie, "not done", 1),
    ] {
        // The fault meets each transfer in turn.
        let (world, settings, keys, victim, had) = rich(73).await;
        let hands = reach(&world, &settings, &keys);
        let deed = Deed::Move { to: VAULT.into() };
        let mut moved: BTreeMap<String, Decimal> = BTreeMap::new();
        for place in 0..had.len() {
            world.handle.end_acts();
            world.handle.fail_acts(&[vec![ActFault::None; place], vec![fault]].concat());
            let outcome = hands.perform(&victim, &deed).await;
            assert_eq!(outcome.word(), wanted, "{fault:?} {place}: {outcome}");
            let stayed = world.handle.free(&victim).unwrap();
            assert_eq!(stayed.len(), left, "{fault:?} {place}: {stayed:?}");
            for (asset, amount) in &had {
                *moved.entry(asset.clone()).or_default() += *amount - stayed.get(asset).copied().unwrap_or_default();
            }
            moved.retain(|_, amount| !amount.is_zero());
            assert_eq!(world.handle.moved(VAULT), moved, "{fault:?} {place}");
            let mut sent = world.handle.acts();
            let all = sent.len();
            sent.dedup();
            assert_eq!(all, sent.len(), "{fault:?} {place}: {sent:?}");
            // As it was before, for the next place.
            for (asset, amount) in &had {
                if !stayed.contains_key(asset) {
                    world.handle.deposit(&victim, asset, *amount).unwrap();
                }
            }
        }
        world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_may_not_move_money_is_refused_and_a_portfolio_that_is_not_named_is_no_step() {
    let (world, settings, mut keys, victim, had) = rich(79).await;
    world.handle.permit(&victim, "withdraw", false).unwrap();
    let hands = reach(&world, &settings, &keys);
    let outcome = hands.perform(&victim, &Deed::Move { to: VAULT.into() }).await;
    assert!(matches!(&outcome, Outcome::Refused(why) if why.contains("lacks the right")), "{outcome}");
    assert_eq!(world.handle.free(&victim).unwrap(), had);
    assert!(hands.survey(&victim).await.moves);
    keys.holders.get_mut(&victim).unwrap().move_from = None;
    assert!(!reach(&world, &settings, &keys).survey(&victim).await.moves);
    world.end().await;
}
