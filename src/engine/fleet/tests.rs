//! Deeds given by hand.

use super::*;
use crate::domain::Venue;

fn account(name: &str) -> AccountId {
    AccountId::new(Venue::Binance, name).unwrap()
}

fn place(pair: &str) -> Place {
    (Venue::Binance, What::Bought, Some(Symbol::from_dashed(pair).unwrap()))
}

fn at(secs: i64) -> Timestamp {
    Timestamp::from_millis(1_772_442_000_000 + secs * 1_000)
}

fn deed(name: &str, secs: i64) -> Deed {
    Deed { account: account(name), at: at(secs), heat: 1.0, strange: false, doubtful: false }
}

fn together(fleet: &mut Fleet, pair: &str, secs: i64, deeds: Vec<Deed>) -> Option<Scan> {
    let place = place(pair);
    for deed in deeds {
        fleet.take(&place, deed, Turnover::Thin, at(secs));
    }
    fleet.scan(&place, &Tags::default(), &[], 200)
}

/// Alice and bob do the same in `pairs` pairs, once each on `days` days.
fn companions(days: i64, pairs: i64) -> Fleet {
    let mut fleet = Fleet::default();
    for day in 0..days {
        let secs = day * 86_400;
        let pair = format!("C{}-BTC", day % pairs);
        together(&mut fleet, &pair, secs, vec![deed("alice", secs), deed("bob", secs + 2)]);
    }
    fleet
}

#[test]
fn who_traded_together_five_times_on_three_days_in_three_pairs_is_one() {
    let late = 40 * 86_400;
    for (days, pairs, apart) in [(6, 3, None), (4, 3, Some(2)), (9, 2, Some(2))] {
        let mut fleet = companions(days, pairs);
        let scan = together(&mut fleet, "X-BTC", late, vec![deed("alice", late), deed("bob", late + 1)]);
        assert_eq!(scan.map(|scan| scan.apart), apart, "{days} days, {pairs} pairs");
    }
    let mut fleet = companions(6, 3);
    let strange = Deed { strange: true, ..deed("bob", late) };
    let scan = together(&mut fleet, "X-BTC", late, vec![deed("alice", late), strange]);
    assert_eq!(scan.unwrap().apart, 2, "an order of strange origin is no copy");
}

#[test]
fn two_days_in_two_pairs_are_a_presumption_unless_people_were_alarmed() {
    let late = 40 * 86_400;
    let presumed = |fleet: &mut Fleet| {
        let scan = together(fleet, "X-BTC", late, vec![deed("alice", late), deed("bob", late + 1)]).unwrap();
        (scan.apart, scan.presumed)
    };
    for (days, pairs, expected) in [(1, 1, 2), (2, 1, 2), (2, 2, 1), (4, 3, 1)] {
        assert_eq!(presumed(&mut companions(days, pairs)), (2, expected), "{days} days, {pairs} pairs");
    }
    let mut fleet = Fleet::default();
    for hour in 0..3 {
        let (secs, pair) = (hour * 3_600, format!("C{hour}-BTC"));
        together(&mut fleet, &pair, secs, vec![deed("alice", secs), deed("bob", secs + 2)]);
    }
    assert_eq!(presumed(&mut fleet), (2, 2), "three pairs in one morning");
    let mut fleet = Fleet::default();
    for day in 0..4 {
        let (secs, pair) = (day * 86_400, format!("C{day}-BTC"));
        together(&mut fleet, &pair, secs, vec![deed("alice", secs), deed("bob", secs + 2)]);
        fleet.tell(&place(&pair), Level::Alert);
    }
    assert_eq!(presumed(&mut fleet), (2, 2), "who was robbed with another is no group with him");
    let mut fleet = Fleet::default();
    // 1,772,442,000 s is nine in the morning.
    for (secs, pair) in [(54_000 - 60, "C1-BTC"), (54_000 + 60, "C2-BTC")] {
        together(&mut fleet, pair, secs, vec![deed("alice", secs), deed("bob", secs + 2)]);
    }
    assert_eq!(presumed(&mut fleet), (2, 2), "two pairs around one midnight");
    let mut fleet = Fleet::default();
    for day in 0..9 {
        let (secs, pair) = (day * 86_400, format!("C{}-BTC", day % 3));
        let doubtful = |name, secs| Deed { doubtful: true, ..deed(name, secs) };
        together(&mut fleet, &pair, secs, vec![doubtful("alice", secs), doubtful("bob", secs + 2)]);
    }
    assert_eq!(presumed(&mut fleet), (2, 2), "orders that may be a thief's tie nobody to anybody");
}

#[test]
fn an_account_counts_once_at_a_place_and_a_tag_is_warned_once_a_day_and_when_it_is_louder() {
    let mut fleet = Fleet::default();
    let mut take = |name, secs| fleet.take(&place("X-BTC"), deed(name, secs), Turnover::Thin, at(secs));
    assert!(take("alice", 0) && !take("alice", 5) && take("bob", 6));
    assert_eq!(fleet.rings[&place("X-BTC")].deeds.len(), 2);
    let mut warn = |level, secs| fleet.warn(&"botco".into(), level, at(secs));
    assert!(warn(Level::Notice, 0) && !warn(Level::Notice, 60));
    assert!(warn(Level::Alert, 120) && !warn(Level::Alert, 180) && !warn(Level::Notice, 180));
    assert!(warn(Level::Notice, 2 * 86_400));
}

#[test]
fn a_pair_that_was_hot_before_the_first_came_needs_more_accounts() {
    let hot = |name, secs| Deed { heat: 60.0, ..deed(name, secs) };
    let cold = together(&mut Fleet::default(), "X-BTC", 90, vec![deed("a", 0), deed("b", 60), hot("c", 90)]).unwrap();
    let warm = together(&mut Fleet::default(), "X-BTC", 90, vec![hot("a", 0), hot("b", 60), hot("c", 90)]).unwrap();
    assert!(cold.nats > 18.5 && warm.nats < cold.nats - 10.0, "{cold:?} {warm:?}");
}

#[test]
#[allow(clippy::print_stdout, reason = "its figure is worth knowing")]
fn the_memory_is_bounded_whatever_is_told() {
    let mut fleet = Fleet::default();
    for k in 0..70_000_i64 {
        let place = place(&format!("P{}-BTC", k % 25_000));
        fleet.take(&place, deed(&format!("account-{k}"), k / 50), Turnover::Unknown, at(k / 50));
    }
    assert!(fleet.order.len() <= MOST_DEEDS);
    let bytes = postcard::to_stdvec(&fleet).unwrap().len();
    println!("{} deeds, {bytes} bytes written", fleet.order.len());
    assert!(bytes < 12 << 20, "{bytes}");
    // All at one place.
    let mut fleet = Fleet::default();
    for k in 0..5_000 {
        fleet.take(&place("X-BTC"), deed(&format!("account-{k}"), 0), Turnover::Thin, at(0));
    }
    assert!(fleet.rings.values().all(|ring| ring.deeds.len() <= MOST_OF_A_PAIR));
}

/// What shards hand over: each its own accounts' deeds in their order, taken together by the arrivals' numbers.
fn gathered(deeds: &[(u64, Place, Deed)], shards: usize) -> Vec<(u64, Place, Deed)> {
    let mut of_shard: Vec<VecDeque<(u64, Place, Deed)>> = vec![VecDeque::new(); shards];
    for told in deeds {
        let name = &told.2.account.name;
        let shard =
            name.bytes().fold(7_usize, |hash, byte| hash.wrapping_mul(31).wrapping_add(usize::from(byte))) % shards;
        of_shard[shard].push_back(told.clone());
    }
    let mut all = Vec::new();
    while let Some(next) = of_shard.iter_mut().filter(|queue| !queue.is_empty()).min_by_key(|queue| queue[0].0) {
        all.extend(next.pop_front());
    }
    all
}

#[test]
fn deeds_gathered_from_any_number_of_shards_give_the_same_scans_and_the_same_memory() {
    let mut seed = 5_u64;
    let mut dice = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let deeds: Vec<(u64, Place, Deed)> = (0..4_000_u64)
        .map(|n| {
            let secs = (n * 40 + dice(30)) as i64;
            let deed = Deed { heat: 1.0 + dice(3) as f64, ..deed(&format!("a{}", dice(60)), secs) };
            (n, place(&format!("P{}-BTC", dice(25))), deed)
        })
        .collect();
    let run = |deeds: &[(u64, Place, Deed)]| {
        let mut fleet = Fleet::default();
        let mut scans = Vec::new();
        for (_, place, deed) in deeds {
            let heard = deed.at;
            if fleet.take(place, deed.clone(), Turnover::Thin, heard) {
                scans.extend(fleet.scan(place, &Tags::default(), &[], 60));
            }
        }
        (scans, postcard::to_stdvec(&fleet).unwrap())
    };
    let whole = run(&deeds);
    assert!(whole.0.len() > 100, "{} scans", whole.0.len());
    for shards in [1, 2, 7, 60] {
        assert!(run(&gathered(&deeds, shards)) == whole, "{shards} shards");
    }
    let mut swapped = deeds.clone();
    swapped.chunks_mut(50).for_each(<[_]>::reverse);
    assert!(run(&swapped) != whole, "the order does matter");
}
