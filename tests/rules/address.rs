//! Networks, countries and shared addresses, as the daemon's own sources write them down.

use fillguard::domain::{EffectKind, Finding, Level, Reason, RuleName};
use fillguard::engine::fleet::Tags;
use fillguard::networks::{Networks, Table};
use fillguard::pipeline::Settings;
use serde_json::json;

use crate::tale::{Tale, Verdict};

const RULE: RuleName = RuleName::UnfamiliarAddress;
const ALL: [&str; 5] = ["alice", "bob", "carol", "dave", "erin"];

/// A line of a followed log, with what the table told of its address: number, country, hosting.
fn used(tale: &mut Tale, who: &str, ip: &str, net: Option<(u32, &str, bool)>) {
    let mut line = json!({"account": format!("binance/{who}"), "ip": ip, "time": tale.now * 1_000_000});
    if let Some((asn, country, hosting)) = net {
        line["net"] = json!({"table": "9c1f2a0d5e6b7c84", "asn": asn, "operator": format!("Net {asn}"), "country": country,
            "hosting": hosting});
    }
    tale.frame("access/gateway", &line, 5);
}

/// Each account has lived for 40 days at a home of its own, or all at one.
fn settled(one_home: bool) -> Tale {
    let mut tale = Tale::binance();
    for who in ALL {
        tale.up(who);
    }
    for _ in 0..40 {
        for (place, who) in ALL.iter().enumerate() {
            let place = if one_home { 0 } else { place };
            used(&mut tale, who, &format!("203.0.113.{}", 10 + place), Some((64_500 + place as u32, "DE", false)));
        }
        tale.days(1.0);
    }
    tale
}

fn about<'a>(verdict: &'a Verdict, who: &str) -> Vec<&'a Finding> {
    verdict.of(RULE).into_iter().filter(|finding| finding.account.name == who).collect()
}

#[test]
fn a_message_tells_network_country_and_that_machines_are_rented_there() {
    let mut tale = settled(false);
    used(&mut tale, "alice", "198.51.100.23", Some((16_276, "FR", true)));
    let verdict = tale.replay();
    let found = about(&verdict, "alice");
    assert_eq!((found.len(), found[0].level), (1, Level::Alert), "{}", verdict.told());
    let Reason::NewAddress { network, country, hosting, new, .. } = &found[0].reason else { panic!() };
    let name = network.as_deref().unwrap();
    assert_eq!((name, country.as_deref(), *hosting, new.as_str()), ("AS16276 Net 16276", Some("FR"), true, "network"));
    let text = verdict.effects.iter().find_map(|effect| {
        let EffectKind::Incident { message, .. } = &effect.kind;
        message.as_ref().map(|message| message.facts.join(" "))
    });
    let text = text.unwrap();
    assert!(text.contains("operated by AS16276 Net 16276, in FR, where machines are rented), a new network"), "{text}");
}

#[test]
fn three_accounts_newly_used_from_one_address_are_told_and_their_tag_is_warned() {
    let mut tale = settled(false);
    let thief = Some((64_900, "DE", false));
    used(&mut tale, "alice", "198.51.100.23", thief);
    tale.wait(900.0);
    used(&mut tale, "bob", "198.51.100.23", thief);
    assert_eq!(tale.replay().level(RULE), None, "{}", tale.replay().told());
    tale.wait(900.0);
    used(&mut tale, "carol", "198.51.100.23", thief);
    let mut settings = Settings::default();
    let ids = ["alice", "bob", "carol", "dave"].iter().map(|who| format!("binance/{who}").parse().unwrap()).collect();
    settings.engine.tags = Tags([("botco".into(), ids)].into());
    let verdict = tale.replay_with(settings);
    for who in &ALL[..3] {
        let found = about(&verdict, who);
        assert_eq!((found.len(), found[0].level), (1, Level::Alert), "{}", verdict.told());
        let Reason::SharedAddress { count, seconds, moved, .. } = &found[0].reason else { panic!() };
        assert_eq!((*count, *seconds, *moved), (3, 1_800.0, false));
    }
    let dave = about(&verdict, "dave");
    assert!(
        matches!(&dave[0].reason, Reason::OthersUsedFrom { tag, count: 3, .. } if tag == "botco"),
        "{}",
        verdict.told()
    );
    assert_eq!((dave.len(), about(&verdict, "erin").len()), (1, 0), "erin has no tag");
}

#[test]
fn a_platform_that_moves_with_all_its_users_is_a_notice() {
    let mut tale = settled(true);
    for who in ALL {
        used(&mut tale, who, "198.51.100.23", Some((64_900, "DE", false)));
        tale.wait(20.0);
    }
    let verdict = tale.replay();
    assert_eq!(verdict.level(RULE), Some(Level::Notice), "{}", verdict.told());
    assert!(matches!(about(&verdict, "alice")[0].reason, Reason::SharedAddress { moved: true, .. }));
}

#[test]
fn what_was_told_when_a_line_came_counts_and_a_table_only_where_nothing_was() {
    let table = |text: &str| {
        let table = Table::read(text.as_bytes().to_vec()).unwrap();
        Settings { networks: Networks::of_tables(vec![table], []), ..Settings::default() }
    };
    let lie = "203.0.113.0/24,16276,FR,A\n198.51.100.0/24,16276,FR,A\n";
    let mut tale = settled(false);
    used(&mut tale, "alice", "198.51.100.23", Some((16_276, "FR", true)));
    let with = |settings: Settings| postcard::to_stdvec(&tale.replay_with(settings).effects).unwrap();
    assert!(with(Settings::default()) == with(table(lie)), "written down with the line");

    let mut bare = Tale::binance();
    bare.up("alice");
    for _ in 0..40 {
        used(&mut bare, "alice", "203.0.113.10", None);
        bare.days(1.0);
    }
    used(&mut bare, "alice", "198.51.100.23", None);
    assert_eq!(bare.replay_with(table(lie)).level(RULE), None, "one network");
    let truth = "203.0.113.0/24,64500,DE,A\n198.51.100.0/24,16276,FR,B\n";
    let loud = bare.replay_with(table(truth));
    assert_eq!(loud.level(RULE), Some(Level::Alert), "{}", loud.told());
    let again = postcard::to_stdvec(&bare.replay_with(table(truth)).effects).unwrap();
    assert!(postcard::to_stdvec(&loud.effects).unwrap() == again, "same recording, same table, same bytes");
}

#[test]
fn other_softwares_field_of_the_same_name_is_no_network() {
    let mut tale = settled(false);
    for net in [json!("eth0"), json!({"asn": 16276}), json!({"table": "x", "asn": "many"}), json!([1, 2])] {
        let line = json!({"account": "binance/alice", "ip": "203.0.113.10", "net": net, "time": tale.now * 1_000_000});
        tale.frame("access/gateway", &line, 5).wait(5.0);
    }
    let verdict = tale.replay();
    assert_eq!(verdict.unreadable, 0, "{}", verdict.told());
}

#[test]
fn a_leaked_tag_makes_all_its_accounts_touchier_until_it_is_over_and_no_other() {
    let story = |mode: Option<i64>, wait_days: f64| {
        let mut tale = settled(false);
        if let Some(hours) = mode {
            let until = (tale.now + hours * 3_600_000) * 1_000_000;
            let switch = json!({"leak_mode": [{"tag": "botco", "why": "dump published", "until": until}]});
            tale.frame("operator", &switch, 0);
        }
        tale.days(wait_days);
        // A new provider in the same country: history for other rules, and no notice by itself.
        for (place, who) in ALL.iter().enumerate() {
            used(&mut tale, who, &format!("198.51.{}.23", 100 + place), Some((64_900 + place as u32, "DE", false)));
        }
        let mut settings = Settings::default();
        let ids = ["alice", "bob"].iter().map(|who| format!("binance/{who}").parse().unwrap()).collect();
        settings.engine.tags = Tags([("botco".into(), ids)].into());
        let verdict = tale.replay_with(settings);
        ALL.map(|who| about(&verdict, who).first().map(|finding| finding.level))
    };
    let loud = Some(Level::Alert);
    assert_eq!(story(Some(48), 1.0), [loud, loud, None, None, None]);
    assert_eq!(story(None, 1.0), [None; 5]);
    assert_eq!(story(Some(48), 3.0), [None; 5], "over");
}
