//! What a key may do: when a change is told, and what is no change.

use fillguard::domain::{
    AccountId, EffectKind, Finding, Fingerprint, Kind, Level, Message, Reason, Right, RuleName, Timestamp, Transition,
};
use fillguard::engine::rules::key_policy::Policy;
use fillguard::pipeline::{Pipeline, Settings};
use serde_json::{Value, json};

use crate::tale::{Dialect, Tale, Verdict};

const WIDENED: RuleName = RuleName::KeyPermissionWidened;
const UNRESTRICTED: RuleName = RuleName::KeyUnrestricted;
const NEW: RuleName = RuleName::NewKey;
const POLICY: RuleName = RuleName::KeyPolicy;
const RULES: [RuleName; 4] = [WIDENED, UNRESTRICTED, NEW, POLICY];

/// The own key's page at Binance, with some fields put in place of the ordinary ones; null leaves a field out.
fn page(other: &Value) -> Value {
    let mut page = json!({"ipRestrict": true, "createTime": 1_750_000_000_000_i64, "enableReading": true,
        "enableSpotAndMarginTrading": false, "enableWithdrawals": false, "enableInternalTransfer": false,
        "enableMargin": false, "enableFutures": false, "permitsUniversalTransfer": false,
        "enableVanillaOptions": false, "enableFixApiTrade": false, "enableFixReadOnly": true,
        "enablePortfolioMarginTrading": false});
    for (field, value) in other.as_object().unwrap() {
        page[field] = value.clone();
    }
    page.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    page
}

trait Keys {
    /// Asks for the own key's rights now.
    fn own(&mut self, who: &str, other: Value) -> &mut Self;
    /// Asks so, and five minutes pass.
    fn poll(&mut self, who: &str, other: Value) -> &mut Self;
    fn kucoin(&mut self, permission: &str, other: Value) -> &mut Self;
    /// Lists the keys of a sub-account at KuCoin: label, rights, addresses.
    fn listed(&mut self, holder: &str, keys: &[(&str, &str, &str)]) -> &mut Self;
    fn coinbase(&mut self, trade: bool, transfer: bool) -> &mut Self;
}

impl Keys for Tale {
    fn own(&mut self, who: &str, other: Value) -> &mut Self {
        let call = "sapi/v1/account/apiRestrictions?key=0badc0de";
        self.page(&format!("binance/{who}/rest"), call, &page(&other))
    }

    fn poll(&mut self, who: &str, other: Value) -> &mut Self {
        self.own(who, other).wait(300.0)
    }

    fn kucoin(&mut self, permission: &str, other: Value) -> &mut Self {
        let mut data = json!({"remark": "watch", "apiKey": "an-id-that-nobody-may-see", "apiVersion": 3,
            "permission": permission, "ipWhitelist": "203.**.7", "createdAt": 1_750_000_000_000_i64, "uid": 7,
            "isMaster": true});
        for (field, value) in other.as_object().unwrap() {
            data[field] = value.clone();
        }
        data.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        self.page("kucoin/bob/rest", "user/api-key", &json!({"code": "200000", "data": data})).wait(300.0)
    }

    fn listed(&mut self, holder: &str, keys: &[(&str, &str, &str)]) -> &mut Self {
        let row = |(label, permission, addresses): &(&str, &str, &str)| {
            json!({"subName": holder, "remark": label, "apiKey": format!("id-of-{label}"), "apiVersion": 3,
                "permission": permission, "ipWhitelist": addresses, "createdAt": 1_760_000_000_000_i64})
        };
        let rows: Vec<Value> = keys.iter().map(row).collect();
        let call = format!("sub/api-key?subName={holder}");
        self.page("kucoin/bob/rest", &call, &json!({"code": "200000", "data": rows})).wait(300.0)
    }

    fn coinbase(&mut self, trade: bool, transfer: bool) -> &mut Self {
        let page = json!({"can_view": true, "can_trade": trade, "can_transfer": transfer,
            "portfolio_uuid": "7d1f", "portfolio_type": "DEFAULT", "can_receive": false});
        self.page("coinbase/erin/rest", "key_permissions?key=0badc0de", &page).wait(300.0)
    }
}

fn alice() -> Tale {
    let mut tale = Tale::binance();
    tale.up("alice");
    tale
}

fn bob() -> Tale {
    let mut tale = Tale::new(Dialect::KucoinClassic);
    tale.up("bob");
    tale
}

/// What the rules about keys said.
fn said(verdict: &Verdict) -> Vec<(RuleName, Level)> {
    let about_keys = |finding: &&&Finding| RULES.contains(&finding.rule);
    verdict.findings().iter().filter(about_keys).map(|finding| (finding.rule, finding.level)).collect()
}

fn silent(tale: &Tale) {
    let verdict = tale.replay();
    assert_eq!(said(&verdict), [], "{}", verdict.told());
}

fn messages(verdict: &Verdict) -> Vec<Message> {
    let message = |effect: &fillguard::domain::Effect| {
        let EffectKind::Incident { message, .. } = &effect.kind;
        message.clone()
    };
    verdict.effects.iter().filter_map(message).collect()
}

// ---- key_permission_widened

#[test]
fn a_right_that_was_not_there_is_an_alert_with_the_two_looks_it_lies_between() {
    let mut tale = alice();
    tale.poll("alice", json!({})).poll("alice", json!({}));
    let before = tale.arrivals.last().unwrap().at;
    tale.poll("alice", json!({"enableWithdrawals": true, "permitsUniversalTransfer": true}));
    let after = tale.arrivals.last().unwrap().at;
    let verdict = tale.replay();
    assert_eq!(said(&verdict), [(WIDENED, Level::Alert)], "{}", verdict.told());
    let found = verdict.of(WIDENED)[0];
    assert_eq!((found.kind, found.symbol.clone(), found.at), (Kind::Key, None, after));
    let Reason::KeyWidened { key, gained, since } = &found.reason else { panic!("{:?}", found.reason) };
    assert_eq!((gained.join(" "), *since), ("withdraw universal_transfer".to_owned(), before));
    assert!(key.own && key.fingerprint.as_ref().unwrap().as_str() == "0badc0de");
    let told = &messages(&verdict)[0];
    assert!(told.headline.contains("may now withdraw and move money"), "{}", told.headline);
    assert!(told.facts[0].contains(&format!("between {before} and {after}")), "{:?}", told.facts);
    assert!(told.next_step.contains("https://www.binance.com/en/my/settings/api-management"), "{}", told.next_step);
}

#[test]
fn every_right_that_moves_money_or_trades_is_an_alert_and_others_are_notices() {
    for (field, level) in [
        ("enableWithdrawals", Level::Alert),
        ("permitsUniversalTransfer", Level::Alert),
        ("enableInternalTransfer", Level::Alert),
        ("enableSpotAndMarginTrading", Level::Alert),
        ("enableMargin", Level::Alert),
        ("enableFutures", Level::Alert),
        ("enableVanillaOptions", Level::Alert),
        ("enablePortfolioMarginTrading", Level::Alert),
        ("enableFixApiTrade", Level::Alert),
        ("enableSomethingNobodyKnows", Level::Notice),
    ] {
        let mut tale = alice();
        tale.poll("alice", json!({field: false})).poll("alice", json!({field: true}));
        let verdict = tale.replay();
        assert_eq!(said(&verdict), [(WIDENED, level)], "{field}: {}", verdict.told());
    }
}

#[test]
fn a_right_is_seen_at_each_exchange() {
    let mut kucoin = bob();
    kucoin.kucoin("General", json!({})).kucoin("General,Transfer", json!({}));
    let mut coinbase = Tale::new(Dialect::Coinbase);
    coinbase.up("erin").coinbase(false, false).coinbase(false, true);
    for tale in [kucoin, coinbase] {
        let verdict = tale.replay();
        assert_eq!(said(&verdict), [(WIDENED, Level::Alert)], "{}", verdict.told());
        assert!(messages(&verdict)[0].headline.contains("may now withdraw"), "{:?}", messages(&verdict));
        assert!(!format!("{:?}", verdict.effects).contains("an-id-that-nobody-may-see"));
    }
}

#[test]
fn the_first_look_is_a_beginning_whatever_it_shows() {
    let mut tale = alice();
    tale.poll("alice", json!({"enableSpotAndMarginTrading": true, "enableFutures": true}));
    tale.poll("alice", json!({"enableSpotAndMarginTrading": true, "enableFutures": true}));
    silent(&tale);
}

#[test]
fn the_same_in_another_order_or_with_flags_as_text_is_no_change() {
    let mut tale = alice();
    tale.poll("alice", json!({}));
    let mut fields: Vec<(String, Value)> = page(&json!({})).as_object().unwrap().clone().into_iter().collect();
    fields.reverse();
    let text: Vec<String> = fields.iter().map(|(name, value)| format!("{}: {value}", json!(name))).collect();
    let text = format!("{{ {} }}", text.join(" , ")).replace("\"ipRestrict\": true", "\"ipRestrict\": \"true\"");
    let frame: Box<serde_json::value::RawValue> = serde_json::from_str(&text).unwrap();
    let body = fillguard::arrival::Body::Page { call: "sapi/v1/account/apiRestrictions?key=0badc0de".into(), frame };
    tale.push("binance/alice/rest", body, 40);
    silent(&tale);
    let mut tale = bob();
    tale.kucoin("General,Spot,Futures", json!({"ipWhitelist": "203.**.7,198.**.9"}));
    tale.kucoin("Futures, General,Spot", json!({"ipWhitelist": "198.**.9 , 203.**.7"}));
    silent(&tale);
}

#[test]
fn a_page_that_lacks_a_field_is_no_change_and_neither_is_the_next_whole_one() {
    let mut tale = alice();
    tale.poll("alice", json!({"enableFutures": true}));
    tale.poll("alice", json!({"enableFutures": null, "ipRestrict": null, "createTime": null}));
    tale.poll("alice", json!({"enableFutures": true}));
    silent(&tale);
    let mut tale = bob();
    tale.kucoin("General,Futures", json!({}));
    tale.kucoin("", json!({"permission": null, "ipWhitelist": null}));
    tale.kucoin("General,Futures", json!({}));
    silent(&tale);
}

#[test]
fn what_a_page_did_not_tell_is_compared_with_what_was_told_last() {
    let mut tale = alice();
    tale.poll("alice", json!({}));
    let before = tale.arrivals.last().unwrap().at;
    tale.poll("alice", json!({"enableWithdrawals": null})).poll("alice", json!({"enableWithdrawals": true}));
    let verdict = tale.replay();
    let Reason::KeyWidened { since, .. } = &verdict.of(WIDENED)[0].reason else { panic!() };
    assert_eq!(*since, before, "the page between did not say");
}

#[test]
fn a_right_that_a_new_kind_of_page_tells_for_the_first_time_is_no_change() {
    let mut tale = alice();
    tale.poll("alice", json!({})).poll("alice", json!({"enableTokenisedStocks": true}));
    silent(&tale);
}

#[test]
fn a_key_that_is_narrowed_is_no_news() {
    let mut tale = alice();
    tale.poll("alice", json!({"enableFutures": true})).poll("alice", json!({}));
    silent(&tale);
    let mut tale = bob();
    tale.kucoin("General,Spot,Futures", json!({"ipWhitelist": "203.**.7,198.**.9"})).kucoin("General", json!({}));
    silent(&tale);
}

#[test]
fn a_dead_key_is_not_a_narrowed_one_and_its_return_is_not_a_wider_one() {
    let mut tale = alice();
    tale.poll("alice", json!({"enableFutures": true}));
    let refusal = json!({"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."});
    tale.page("binance/alice/rest", "sapi/v1/account/apiRestrictions?key=0badc0de", &refusal).wait(300.0);
    tale.poll("alice", json!({"enableFutures": true}));
    let verdict = tale.replay();
    assert_eq!(said(&verdict), [], "{}", verdict.told());
    assert_eq!(verdict.level(RuleName::Blind), Some(Level::Notice), "the refusal itself is told as one");
    let mut tale = bob();
    tale.kucoin("General,Futures", json!({}));
    tale.page("kucoin/bob/rest", "user/api-key", &json!({"code": "400003", "msg": "KC-API-KEY not exists"}));
    tale.kucoin("General,Futures", json!({}));
    silent(&tale);
}

#[test]
fn a_right_that_flaps_is_told_once_an_hour() {
    let mut tale = alice();
    for _ in 0..11 {
        tale.poll("alice", json!({})).poll("alice", json!({"enableWithdrawals": true}));
    }
    let verdict = tale.replay();
    // Eleven times in 110 minutes: at the fifth and the 65th.
    assert_eq!(said(&verdict), [(WIDENED, Level::Alert); 2], "{}", verdict.told());
}

#[test]
fn another_right_is_news_although_one_was_told_minutes_ago() {
    let mut tale = alice();
    tale.poll("alice", json!({})).poll("alice", json!({"enableFutures": true}));
    tale.poll("alice", json!({"enableFutures": true, "enableWithdrawals": true}));
    let verdict = tale.replay();
    assert_eq!(said(&verdict).len(), 2, "{}", verdict.told());
    let told = messages(&verdict);
    assert_eq!(told.len(), 2, "people are told of both: {told:?}");
    assert!(told[1].facts.iter().any(|fact| fact.contains("withdraw")), "{:?}", told[1].facts);
    assert!(told[1].facts.iter().any(|fact| fact.contains("futures")), "{:?}", told[1].facts);
}

#[test]
fn another_account_with_other_rights_is_another_account() {
    let mut tale = alice();
    tale.up("zoe");
    for _ in 0..3 {
        tale.own("alice", json!({})).own("zoe", json!({"enableFutures": true, "enableMargin": true})).wait(300.0);
    }
    silent(&tale);
}

#[test]
fn time_alone_and_times_on_a_page_change_nothing() {
    let mut tale = alice();
    tale.poll("alice", json!({}));
    tale.days(40.0).poll("alice", json!({}));
    tale.poll("alice", json!({"updateTime": 1_772_000_000_000_i64}));
    tale.poll("alice", json!({"createTime": 1_750_000_000_400_i64}));
    // A clock that was set back by an hour.
    tale.wait(-3_600.0).poll("alice", json!({}));
    silent(&tale);
}

#[test]
fn a_change_while_nobody_looked_is_told_after_a_restart_with_the_whole_time_between() {
    let mut tale = alice();
    tale.poll("alice", json!({})).wait(40_000.0);
    let cut = tale.arrivals.len();
    tale.poll("alice", json!({})).poll("alice", json!({"enableWithdrawals": true}));
    let whole: Vec<_> = tale.replay().effects;
    let mut pipeline = Pipeline::new(Settings::default());
    let mut effects = Vec::new();
    for (place, arrival) in tale.arrivals.iter().enumerate() {
        if place == cut || place == cut + 1 {
            pipeline = Pipeline::resume(Settings::default(), &pipeline.snapshot().unwrap()).unwrap();
        }
        effects.extend(pipeline.step(arrival));
    }
    assert_eq!(effects, whole, "a restart is no restart");
    assert_eq!(effects.len(), 1);
    tale.arrivals.remove(cut);
    tale.arrivals.iter_mut().enumerate().for_each(|(place, arrival)| arrival.n = place as u64 + 1);
    let verdict = tale.replay();
    let Reason::KeyWidened { since, .. } = &verdict.of(WIDENED)[0].reason else { panic!() };
    assert!(verdict.of(WIDENED)[0].at.since(*since).secs_f64() > 40_000.0);
}

#[test]
fn what_cannot_be_read_is_told_and_costs_nothing_else_on_the_page() {
    let mut tale = alice();
    tale.poll("alice", json!({}));
    tale.poll("alice", json!({"enableFutures": 1, "enableWithdrawals": true}));
    let verdict = tale.replay();
    assert_eq!(said(&verdict), [(WIDENED, Level::Alert)], "{}", verdict.told());
    assert_eq!(verdict.unreadable, 1);
    for odd in [json!([]), json!({}), json!("x"), json!({"ipRestrict": [true]}), json!(null), json!([[1]])] {
        let mut tale = alice();
        tale.poll("alice", json!({}));
        tale.page("binance/alice/rest", "sapi/v1/account/apiRestrictions", &odd).wait(300.0);
        tale.page("kucoin/bob/rest", "user/api-key", &json!({"code": "200000", "data": odd}));
        tale.page("kucoin/bob/rest", "sub/api-key?subName=x", &json!({"code": "200000", "data": odd}));
        tale.page("coinbase/erin/rest", "key_permissions", &odd);
        tale.poll("alice", json!({}));
        let verdict = tale.replay();
        assert_eq!(said(&verdict), [], "{odd}: {}", verdict.told());
        assert!(verdict.unreadable >= 1, "{odd}");
    }
}

// ---- key_unrestricted

#[test]
fn a_list_of_addresses_that_is_gone_is_an_alert() {
    let mut binance = alice();
    binance.poll("alice", json!({})).poll("alice", json!({"ipRestrict": false}));
    let mut empty = bob();
    empty.kucoin("General", json!({})).kucoin("General", json!({"ipWhitelist": ""}));
    // KuCoin leaves the field out where there is no list.
    let mut absent = bob();
    absent.kucoin("General", json!({})).kucoin("General", json!({"ipWhitelist": null}));
    for tale in [binance, empty, absent] {
        let verdict = tale.replay();
        assert_eq!(said(&verdict), [(UNRESTRICTED, Level::Alert)], "{}", verdict.told());
        assert!(messages(&verdict)[0].headline.contains("works from anywhere"), "{:?}", messages(&verdict)[0]);
    }
}

#[test]
fn a_list_that_grew_is_an_alert_that_names_what_was_added() {
    for (before, after, added) in [
        ("203.**.7", "203.**.7,198.**.9", "198.**.9"),
        ("203.**.7,198.**.9", "203.**.7,192.**.1", "192.**.1"),
        ("203.**.7", "203.**.7,203.**.7", "203.**.7"),
    ] {
        let mut tale = bob();
        tale.kucoin("General", json!({"ipWhitelist": before})).kucoin("General", json!({"ipWhitelist": after}));
        let verdict = tale.replay();
        assert_eq!(said(&verdict), [(UNRESTRICTED, Level::Alert)], "{}", verdict.told());
        let Reason::KeyUnrestricted { added: told, .. } = &verdict.of(UNRESTRICTED)[0].reason else { panic!() };
        assert_eq!(told.join(" "), added);
    }
}

#[test]
fn a_list_that_shrank_or_came_is_no_news() {
    let mut tale = bob();
    tale.kucoin("General", json!({"ipWhitelist": "203.**.7,198.**.9"})).kucoin("General", json!({}));
    silent(&tale);
}

#[test]
fn a_watched_key_that_never_had_a_list_is_one_notice_and_no_more() {
    let mut tale = alice();
    for _ in 0..600 {
        tale.poll("alice", json!({"ipRestrict": false}));
    }
    let verdict = tale.replay();
    assert_eq!(said(&verdict), [(UNRESTRICTED, Level::Notice)], "{}", verdict.told());
    tale.poll("alice", json!({})).poll("alice", json!({"ipRestrict": false}));
    assert_eq!(tale.replay().level(UNRESTRICTED), Some(Level::Alert), "a list that came and went is another thing");
}

#[test]
fn a_list_that_flaps_is_told_once_an_hour() {
    let mut tale = alice();
    for _ in 0..5 {
        tale.poll("alice", json!({})).poll("alice", json!({"ipRestrict": false}));
    }
    assert_eq!(said(&tale.replay()), [(UNRESTRICTED, Level::Alert)]);
}

#[test]
fn the_addresses_of_a_sub_accounts_key_are_compared_where_binance_tells_them() {
    let mut tale = alice();
    let mut asked = |list: &[&str]| {
        let page = json!({"ipRestrict": "true", "ipList": list, "updateTime": tale.now, "apiKey": "id-of-grid"});
        let call = "sapi/v1/sub-account/subAccountApi/ipRestriction?email=bot@example.org&key=0badc0de";
        tale.page("binance/alice/rest", call, &page).wait(300.0);
    };
    asked(&["203.0.113.7", "203.0.113.8"]);
    asked(&["203.0.113.8", "203.0.113.7"]);
    asked(&["203.0.113.8", "203.0.113.7", "198.51.100.23"]);
    let verdict = tale.replay();
    assert_eq!(said(&verdict), [(UNRESTRICTED, Level::Alert)], "{}", verdict.told());
    assert!(messages(&verdict)[0].facts[0].contains("198.51.100.23"), "{:?}", messages(&verdict)[0].facts);
}

// ---- new_key

#[test]
fn a_key_that_appears_in_a_list_is_told_by_what_it_may_do() {
    for (permission, level) in
        [("General", Level::Notice), ("General,Spot", Level::Alert), ("General,Transfer", Level::Alert)]
    {
        let mut tale = bob();
        tale.listed("grids", &[("one", "General,Spot", "203.**.7")]);
        tale.listed("grids", &[("two", permission, ""), ("one", "General,Spot", "203.**.7")]);
        tale.listed("grids", &[("one", "General,Spot", "203.**.7"), ("two", permission, "")]);
        let verdict = tale.replay();
        assert_eq!(said(&verdict), [(NEW, level)], "{permission}: {}", verdict.told());
        let Reason::KeyAppeared { key, .. } = &verdict.of(NEW)[0].reason else { panic!() };
        assert_eq!(key.fingerprint, Some(Fingerprint::of("id-of-two")));
        let told = &messages(&verdict)[0];
        assert!(told.facts[0].contains("\"two\"") && told.headline.contains("sub-account grids"), "{told:?}");
        assert!(!format!("{:?}", verdict.effects).contains("id-of-two"), "its id is nowhere");
    }
}

#[test]
fn two_keys_that_appear_at_once_are_both_told() {
    let mut tale = bob();
    tale.listed("grids", &[]);
    tale.listed("grids", &[("one", "General,Spot", ""), ("two", "General,Spot", "")]);
    let verdict = tale.replay();
    assert_eq!(said(&verdict), [(NEW, Level::Alert); 2], "an empty list is a beginning too: {}", verdict.told());
    let last = messages(&verdict).pop().unwrap();
    assert!(["\"one\"", "\"two\""].iter().all(|name| last.facts.iter().any(|fact| fact.contains(name))), "{last:?}");
}

#[test]
fn the_first_list_of_a_sub_account_is_a_beginning() {
    let mut tale = bob();
    tale.listed("grids", &[("one", "General,Spot", ""), ("two", "General,Transfer", "")]);
    tale.listed("dca", &[("three", "General,Spot", "")]);
    tale.listed("grids", &[("two", "General,Transfer", ""), ("one", "General,Spot", "")]);
    silent(&tale);
}

#[test]
fn the_key_of_a_sub_account_that_is_younger_than_the_watch_is_new() {
    let mut tale = bob();
    tale.listed("grids", &[("one", "General,Spot", "203.**.7")]);
    let made = tale.now - 1_000;
    let row = json!({"subName": "dca", "remark": "quick", "apiKey": "id-of-quick", "permission": "General,Spot",
        "ipWhitelist": "203.**.7", "createdAt": made});
    tale.page("kucoin/bob/rest", "sub/api-key?subName=dca", &json!({"code": "200000", "data": [row]}));
    let verdict = tale.replay();
    assert_eq!(said(&verdict), [(NEW, Level::Alert)], "{}", verdict.told());
}

#[test]
fn a_key_that_was_missing_in_one_list_is_not_new_in_the_next() {
    let mut tale = bob();
    let one = ("one", "General,Spot", "203.**.7");
    tale.listed("grids", &[one]).listed("grids", &[]).listed("grids", &[one]);
    silent(&tale);
}

#[test]
fn a_list_in_pages_is_whole_with_its_last_page() {
    let keys = |from: usize, count: usize| -> Vec<Value> {
        let row = |k: usize| {
            json!({"email": "bot@example.org", "apiName": format!("k{k}"), "apikey": format!("id-of-k{k}"),
                "canTrade": true, "canMarginLoanRepay": false, "canFuturesTrade": false,
                "canUniversalTransfer": false, "canVanillaOptions": false, "timestamp": 1_760_000_000_000_i64})
        };
        (from..from + count).map(row).collect()
    };
    let mut tale = alice();
    let mut asked = |page: usize, rows: Vec<Value>, total: usize| {
        let call = format!("sapi/v1/sub-account/subAccountApi?email=bot@example.org&page={page}&size=3");
        tale.page("binance/alice/rest", &call, &json!({"total": total, "rows": rows})).wait(1.0);
    };
    // The second page of the first round never came.
    asked(1, keys(0, 3), 5);
    asked(1, keys(0, 3), 5);
    asked(2, keys(3, 2), 5);
    asked(1, keys(0, 3), 6);
    asked(2, keys(3, 3), 6);
    let verdict = tale.replay();
    assert_eq!(said(&verdict), [(NEW, Level::Alert)], "{}", verdict.told());
    let Reason::KeyAppeared { key, .. } = &verdict.of(NEW)[0].reason else { panic!() };
    assert_eq!((key.label.as_deref(), key.holder.as_deref()), (Some("k5"), Some("bot@example.org")));
}

#[test]
fn a_sub_accounts_key_that_gains_a_right_is_told_with_its_name() {
    let mut tale = bob();
    tale.listed("grids", &[("one", "General", "203.**.7")]);
    tale.listed("grids", &[("one", "General,Transfer", "203.**.7")]);
    let verdict = tale.replay();
    assert_eq!(said(&verdict), [(WIDENED, Level::Alert)], "{}", verdict.told());
    assert!(messages(&verdict)[0].facts[0].contains("of sub-account grids"), "{:?}", messages(&verdict)[0].facts);
}

#[test]
fn a_watched_key_that_was_made_anew_is_an_alert() {
    let mut tale = alice();
    tale.poll("alice", json!({})).poll("alice", json!({"createTime": 1_772_000_000_000_i64}));
    let verdict = tale.replay();
    assert_eq!(said(&verdict), [(NEW, Level::Alert)], "{}", verdict.told());
}

#[test]
fn an_owner_who_watches_with_another_key_gets_a_notice_and_a_new_beginning() {
    let mut tale = alice();
    tale.poll("alice", json!({}));
    let other = page(&json!({"createTime": 1_772_000_000_000_i64, "enableFutures": true, "ipRestrict": true}));
    for _ in 0..3 {
        tale.page("binance/alice/rest", "sapi/v1/account/apiRestrictions?key=feedbeef", &other).wait(300.0);
    }
    let verdict = tale.replay();
    assert_eq!(said(&verdict), [(NEW, Level::Notice)], "{}", verdict.told());
    assert!(matches!(verdict.of(NEW)[0].reason, Reason::KeyReplaced { .. }));
}

// ---- key_policy

fn with_policy(policy: Policy) -> Settings {
    let mut settings = Settings::default();
    let alice: AccountId = "binance/alice".parse().unwrap();
    settings.engine.key_policy.expected = vec![(alice, policy)];
    settings
}

#[test]
fn a_key_beyond_its_policy_is_a_notice_at_first_and_once_a_day() {
    let mut tale = alice();
    tale.up("zoe");
    for _ in 0..2 * 288 + 10 {
        tale.own("alice", json!({"enableSpotAndMarginTrading": true}));
        tale.poll("zoe", json!({"enableSpotAndMarginTrading": true}));
    }
    let policy = Policy { allow: vec![Right::Read, Right::FixRead], restricted: false };
    let verdict = tale.replay_with(with_policy(policy));
    assert_eq!(said(&verdict), [(POLICY, Level::Notice); 3], "{}", verdict.told());
    assert!(verdict.of(POLICY).iter().all(|finding| finding.account.name == "alice"), "{}", verdict.told());
    let Reason::KeyBeyond { rights, open, .. } = &verdict.of(POLICY)[0].reason else { panic!() };
    assert_eq!((rights.join(" "), *open), ("trade".to_owned(), false));
    let policy = Policy { allow: vec![Right::Read, Right::FixRead, Right::Trade], restricted: true };
    assert_eq!(said(&tale.replay_with(with_policy(policy))), [], "what is allowed and restricted is as it should be");
}

#[test]
fn a_key_without_a_list_is_beyond_a_policy_that_wants_one() {
    let mut tale = alice();
    tale.poll("alice", json!({"ipRestrict": false}));
    let policy = Policy { allow: Vec::new(), restricted: true };
    let verdict = tale.replay_with(with_policy(policy));
    assert_eq!(verdict.level(POLICY), Some(Level::Notice), "{}", verdict.told());
}

#[test]
fn without_a_policy_a_watched_key_that_may_withdraw_is_one_notice() {
    let mut tale = alice();
    for _ in 0..700 {
        tale.poll("alice", json!({"enableWithdrawals": true, "enableFutures": true}));
    }
    let verdict = tale.replay();
    assert_eq!(said(&verdict), [(POLICY, Level::Notice)], "{}", verdict.told());
    let Reason::KeyBeyond { rights, policy, .. } = &verdict.of(POLICY)[0].reason else { panic!() };
    assert_eq!((rights.join(" "), *policy), ("withdraw".to_owned(), false));
    let policy =
        Policy { allow: vec![Right::Read, Right::Withdraw, Right::Futures, Right::FixRead], restricted: false };
    assert_eq!(said(&tale.replay_with(with_policy(policy))), [], "its owner knows");
}

// ---- all of them

#[test]
fn nothing_about_keys_ever_says_act_and_rules_that_are_off_are_silent() {
    let mut tale = bob();
    tale.kucoin("General", json!({})).listed("grids", &[]);
    tale.kucoin(
        "General,Spot,Margin,Futures,Unified,Transfer,InnerTransfer,Earn",
        json!({"ipWhitelist": "", "createdAt": 1_772_000_000_000_i64}),
    );
    tale.listed("grids", &[("one", "General,Spot,Margin,Futures,Transfer", "")]);
    let verdict = tale.replay();
    let rules: Vec<RuleName> = said(&verdict).into_iter().map(|(rule, _)| rule).collect();
    assert_eq!(rules, [NEW, WIDENED, UNRESTRICTED, NEW], "{}", verdict.told());
    assert_eq!(verdict.loudest(), Some(Level::Alert), "{}", verdict.told());
    let mut settings = Settings::default();
    settings.engine.off = RULES.to_vec();
    assert!(tale.replay_with(settings).effects.is_empty());
}

#[test]
fn an_incident_about_a_key_is_opened_once_and_closed() {
    let mut tale = alice();
    tale.poll("alice", json!({})).poll("alice", json!({"enableWithdrawals": true}));
    for _ in 0..10 {
        tale.poll("alice", json!({"enableWithdrawals": true}));
    }
    let verdict = tale.replay();
    let steps: Vec<Transition> = verdict
        .effects
        .iter()
        .map(|effect| {
            let EffectKind::Incident { transition, .. } = &effect.kind;
            *transition
        })
        .collect();
    assert_eq!(steps, [Transition::Opened, Transition::Closed]);
    assert!(verdict.effects[0].at < Timestamp::from_millis(tale.now));
}
