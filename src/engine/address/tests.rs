//! Uses given by hand; whole years are in `tests/addresses.rs`.

use super::*;
use crate::domain::AccountId;
use crate::engine::rules::unfamiliar_address as rule;

const DAY: i64 = 86_400;

fn at(secs: i64) -> Timestamp {
    Timestamp::from_millis(1_772_442_000_000 + secs * 1_000)
}

fn network(asn: u32, country: &str, hosting: bool) -> Network {
    Network { asn: Some(asn), operator: None, country: Some(country.into()), hosting: Some(hosting) }
}

fn home() -> Network {
    network(64_500, "DE", false)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Four uses a day from one address, for `days`.
fn settled(days: i64, network: &Network) -> Places {
    let mut places = Places::default();
    for quarter in 0..days * 4 {
        places.take(ip("203.0.113.7"), at(quarter * DAY / 4), network);
    }
    places
}

fn nats(said: &Use) -> f64 {
    said.terms.iter().map(|term| term.nats).sum()
}

fn named(said: &Use, name: &str) -> Option<f64> {
    said.terms.iter().find(|term| term.name == name).map(|term| term.nats)
}

fn level(said: &Use) -> Option<Level> {
    let alice = AccountId::new(crate::domain::Venue::Binance, "alice").unwrap();
    rule::judge(&rule::Settings::default(), &alice, said, 1, at(0)).map(|finding| finding.level)
}

#[test]
fn each_level_that_is_new_weighs_as_the_accounts_own_past_has_it() {
    let mut places = settled(60, &home());
    let now = at(60 * DAY);
    // 60 days with the one value, those long ago a little less: ln((n + 1) / 1), and no more than the level's most.
    let days = places.networks.days(now);
    assert!(days > 47.0 && days < 60.0, "{days}");
    let told = |network: &Network, ip_text: &str| places.clone().take(ip(ip_text), now, network);
    assert_eq!(nats(&told(&home(), "203.0.113.7")), 0.0);
    assert_eq!(named(&told(&home(), "203.0.113.9"), "new_address"), Some(0.25));
    assert_eq!(named(&told(&home(), "198.51.100.1"), "new_prefix"), Some(0.75));
    let other = told(&network(64_501, "DE", false), "198.51.100.1");
    assert_eq!((named(&other, "new_network"), nats(&other), level(&other)), (Some(3.0), 3.0, None));
    let abroad = told(&network(64_501, "FR", false), "198.51.100.1");
    assert_eq!((nats(&abroad), level(&abroad)), (5.0, Some(Level::Notice)));
    let rented = told(&network(64_501, "DE", true), "198.51.100.1");
    assert_eq!(named(&rented, "first_hosting"), Some(2.0));
    assert_eq!((nats(&rented), level(&rented)), (5.0, Some(Level::Notice)));
    let unlisted = told(&Network::default(), "198.51.100.1");
    assert_eq!((named(&unlisted, "new_prefix").unwrap() * 1e3).round(), ((days + 1.0).ln() * 1e3).round());
    places = settled(60, &network(64_502, "DE", true));
    let left = places.clone().take(ip("198.51.100.1"), now, &home());
    assert_eq!((nats(&left), level(&left)), (6.0, Some(Level::Alert)), "a machine's key used from a home");
    let moved = places.clone().take(ip("198.51.100.1"), now, &network(64_503, "DE", true));
    assert_eq!((nats(&moved), level(&moved)), (4.0, Some(Level::Notice)), "from another datacentre");
}

#[test]
fn the_first_ten_uses_or_two_weeks_alarm_nobody() {
    let rented = network(64_501, "FR", true);
    let after = |uses: i64, every: i64| {
        let mut places = Places::default();
        (0..uses).for_each(|nth| drop(places.take(ip("203.0.113.7"), at(nth * every), &home())));
        let said = places.take(ip("198.51.100.1"), at(uses * every), &rented);
        (said.learning, level(&Use { terms: vec![term("new_network", Family::Origin, 7.0, 1.0, "")], ..said }))
    };
    assert_eq!(after(9, 3_600), (true, None));
    assert_eq!(after(10, 3_600), (false, Some(Level::Alert)));
    assert_eq!(after(5, 2 * DAY), (true, None));
    assert_eq!(after(5, 3 * DAY), (false, Some(Level::Alert)));
}

#[test]
fn two_at_once_are_told_and_a_line_that_fails_and_comes_back_is_not() {
    let (a, b) = (ip("203.0.113.7"), ip("198.51.100.1"));
    let thief = network(64_501, "DE", false);
    let mut places = settled(60, &home());
    let now = 60 * DAY;
    places.take(a, at(now), &home());
    assert_eq!(level(&places.take(b, at(now + 40), &thief)), None, "it may be a move");
    let said = places.take(a, at(now + 60), &home());
    assert_eq!((level(&said), said.ip, said.concurrent), (Some(Level::Alert), b, true), "{said:?}");
    places.tell(&said.place, Level::Alert);
    let again = places.take(b, at(now + 90), &thief);
    assert_eq!((level(&again), again.told), (None, Some(Level::Alert)), "once");
    let order = places.about_order(at(now + 100)).unwrap().nats;
    assert!(order > 2.99 && order < 3.0, "{order}");

    let mut places = settled(60, &home());
    places.take(a, at(now), &home());
    // The line fails; the other serves for an hour, and then the first is back at once.
    for minute in 20..80 {
        assert_eq!(level(&places.take(b, at(now + minute * 60), &thief)), None);
    }
    for minute in 80..100 {
        let said = places.take(a, at(now + minute * 60 + 5), &home());
        assert!(level(&said).is_none() && !said.concurrent, "{said:?}");
    }
    // But the other goes on: there are two.
    places.take(b, at(now + 100 * 60), &thief);
    let said = places.take(a, at(now + 100 * 60 + 30), &home());
    assert!(said.concurrent && level(&said) == Some(Level::Alert), "{said:?}");
}

#[test]
fn a_thief_beside_a_machine_that_moved_yesterday_is_told() {
    let (a, b, c) = (ip("203.0.113.7"), ip("192.0.2.1"), ip("198.51.100.1"));
    let (moved, thief) = (network(64_510, "DE", false), network(64_501, "DE", false));
    let mut places = settled(60, &home());
    places.take(a, at(60 * DAY), &home());
    for hour in 1..24 {
        assert_eq!(level(&places.take(b, at(60 * DAY + hour * 3_600), &moved)), None);
    }
    let now = 61 * DAY;
    places.take(b, at(now), &moved);
    places.take(c, at(now + 60), &thief);
    let said = places.take(b, at(now + 120), &moved);
    assert_eq!((said.concurrent, said.ip, level(&said)), (true, c, Some(Level::Alert)), "{said:?}");
}

#[test]
fn a_thief_that_comes_again_is_no_acquaintance_and_a_move_is_one_after_three_days() {
    let thief = network(64_501, "FR", true);
    let mut places = settled(60, &home());
    let now = 60 * DAY;
    let first = places.take(ip("198.51.100.1"), at(now), &thief);
    places.tell(&first.place, level(&first).unwrap());
    for hours in [2, 30, 60] {
        let said = places.take(ip("198.51.100.9"), at(now + hours * 3_600), &thief);
        assert!(nats(&said) >= 5.0 && level(&said).is_none(), "{hours} h: {said:?}");
    }
    let order = |hours: i64| places.about_order(at(now + hours * 3_600)).map(|term| term.nats);
    assert!(order(60).is_some_and(|nats| nats > 0.5 && nats < 2.0), "{:?}", order(60));
    assert_eq!(order(62), None, "not in use");
    let mut places = places.clone();
    assert_eq!(nats(&places.take(ip("198.51.100.9"), at(now + 73 * 3_600), &thief)), 0.0, "at home there");
}

#[test]
fn many_new_places_make_room_for_each_other_and_none_grows() {
    let mut places = settled(30, &home());
    for k in 0..5_000_i64 {
        let (a, b) = (u8::try_from(k % 251).unwrap(), u8::try_from(k / 251).unwrap());
        let other = network(70_000 + u32::try_from(k % 900).unwrap(), ["FR", "US", "JP"][(k % 3) as usize], k % 2 == 0);
        places.take(IpAddr::from([198, b, a, 1]), at(31 * DAY + k), &other);
    }
    let most = values::MOST;
    assert_eq!((places.addresses.len(), places.prefixes.len(), places.networks.len()), (most, most, most));
    assert!(places.strange.len() <= MOST_STRANGE);
    assert!(postcard::to_stdvec(&places).unwrap().len() < 4_096, "{}", postcard::to_stdvec(&places).unwrap().len());
    let read: Places = postcard::from_bytes(&postcard::to_stdvec(&places).unwrap()).unwrap();
    assert_eq!(read, places);
}

#[test]
fn accounts_that_share_a_new_address_are_counted_once_and_for_a_day() {
    let mut sharing = Sharing::default();
    let guest = |name: &str, secs: i64, home: &str| Guest {
        name: name.into(),
        at: at(secs),
        nats: 3.0,
        home: Some(home.into()),
    };
    let b = ip("198.51.100.1");
    sharing.take(b, guest("alice", 0, "AS1"), at(0));
    sharing.take(b, guest("alice", 10, "AS1"), at(10));
    let visit = sharing.take(b, guest("bob", 60, "AS2"), at(60));
    assert_eq!((visit.guests.len(), visit.moved, visit.within), (2, false, Span::from_secs(60)));
    let visit = sharing.take(b, guest("carol", DAY + 30, "AS2"), at(DAY + 30));
    assert_eq!((visit.guests.len(), visit.moved), (2, true), "alice was too long ago, and both come from one place");
    for k in 0..50_000_u32 {
        sharing.take(IpAddr::from((k % 40_000).to_be_bytes()), guest(&format!("n{k}"), 2 * DAY, "AS1"), at(2 * DAY));
    }
    assert!(sharing.order_len() <= 20_000);
}
