//! Findings of our own, and what becomes of them.

use super::*;
use crate::domain::{Family, Reason, RuleName, Term, Venue};

fn account(name: &str) -> AccountId {
    AccountId::new(Venue::Binance, name).unwrap()
}

fn at(secs: i64) -> Timestamp {
    Timestamp::from_millis(1_772_442_000_000 + secs * 1_000)
}

fn finding(rule: RuleName, level: Level, secs: i64, pair: &str, loss: &str) -> Finding {
    let kind = match rule {
        RuleName::PumpBuy => Kind::Pump,
        RuleName::PlantedAsk => Kind::PlantedAsk,
        RuleName::ChurnLoss => Kind::Churn,
        RuleName::Liquidation => Kind::Liquidation,
        RuleName::SlowBuying => Kind::Slow,
        RuleName::UnfamiliarAddress => Kind::Address,
        RuleName::UnknownOrigin => Kind::Origin,
        RuleName::Blind => Kind::Blind,
        RuleName::CoTrading => Kind::Fleet,
        RuleName::KeyPermissionWidened | RuleName::KeyUnrestricted | RuleName::NewKey | RuleName::KeyPolicy => {
            Kind::Key
        }
        RuleName::User => Kind::User,
    };
    let symbol = Symbol::from_dashed(pair).unwrap();
    Finding {
        prices: Vec::new(),
        account: account("alice"),
        rule,
        kind,
        level,
        score: 7.0,
        terms: vec![Term { name: "market".into(), family: Family::Market, nats: 7.0, value: 1.0, unit: "x".into() }],
        loss: Some(Money::new(loss.parse().unwrap(), symbol.quote().clone())),
        orders: Vec::new(),
        reason: Reason::StrangeOrder { what: "grammar".into(), familiar_orders: 70 },
        n: secs as u64 + 1,
        at: at(secs),
        symbol: Some(symbol),
    }
}

/// Takes findings one by one; returns each transition, level and whether people are told.
fn told(findings: Vec<Finding>) -> Vec<(Transition, Level, bool)> {
    let mut alert = Alert::new(Settings::default());
    let mut out = Vec::new();
    for finding in findings {
        alert.pass(finding.at, &mut out);
        alert.take(finding, &mut out);
    }
    let step = |effect: &EffectKind| {
        let EffectKind::Incident { transition, incident, message, .. } = effect;
        (*transition, incident.level, message.is_some())
    };
    out.iter().map(step).collect()
}

const PUMP: RuleName = RuleName::PumpBuy;

#[test]
fn people_are_told_when_it_opens_grows_louder_or_costs_three_times_as_much_and_not_in_between() {
    use Level::{Act, Alert, Notice};
    use Transition::{Opened, Raised, Updated};
    let of = |level, secs, loss| finding(PUMP, level, secs, "APPC-BTC", loss);
    let steps = told(vec![
        of(Notice, 0, "0.1"),
        of(Notice, 1, "5"),
        of(Alert, 2, "5"),
        of(Alert, 3, "14.9"),
        of(Notice, 4, "14.9"),
        of(Alert, 5, "15.1"),
        of(Alert, 6, "20"),
        of(Act, 7, "20"),
    ]);
    assert_eq!(
        steps,
        [
            (Opened, Notice, true),
            (Updated, Notice, false),
            (Raised, Alert, true),
            (Updated, Alert, false),
            (Updated, Alert, false),
            (Updated, Alert, true),
            (Updated, Alert, false),
            (Raised, Act, true),
        ]
    );
}

#[test]
fn a_second_rule_joins_aloud_only_where_it_is_an_alert_itself() {
    use Level::{Alert, Notice};
    use Transition::{Opened, Raised};
    let steps = told(vec![
        finding(PUMP, Alert, 0, "APPC-BTC", "0"),
        finding(RuleName::UnknownOrigin, Notice, 1, "APPC-BTC", "0"),
        finding(RuleName::PlantedAsk, Alert, 2, "APPC-BTC", "0"),
    ]);
    assert_eq!(steps, [(Opened, Alert, true), (Raised, Alert, false), (Raised, Alert, true)]);
}

#[test]
fn losses_of_pairs_add_up_by_asset_to_the_last_digit_and_one_pair_counts_once() {
    let mut alert = Alert::new(Settings::default());
    let mut out = Vec::new();
    for finding in [
        finding(PUMP, Level::Alert, 0, "APPC-BTC", "0.10000001"),
        finding(RuleName::PlantedAsk, Level::Alert, 1, "APPC-BTC", "0.3"),
        finding(PUMP, Level::Alert, 2, "APPC-BTC", "0.2"),
        finding(PUMP, Level::Alert, 3, "ADX-BTC", "0.00000007"),
        finding(PUMP, Level::Alert, 4, "ADX-USDT", "12.5"),
    ] {
        alert.take(finding, &mut out);
    }
    let EffectKind::Incident { incident, .. } = out.last().unwrap();
    let loss: Vec<String> = incident.loss.iter().map(ToString::to_string).collect();
    assert_eq!(loss, ["0.30000007 BTC", "12.5 USDT"]);
    assert_eq!((incident.count, incident.findings.len()), (5, 4));
}

#[test]
fn an_incident_closes_after_the_quiet_time_and_the_next_finding_opens_another() {
    let mut alert = Alert::new(Settings::default());
    let mut out = Vec::new();
    alert.take(finding(PUMP, Level::Act, 0, "APPC-BTC", "1"), &mut out);
    alert.pass(at(1_799), &mut out);
    assert_eq!(out.len(), 1);
    alert.pass(at(5_000), &mut out);
    alert.pass(at(5_001), &mut out);
    let EffectKind::Incident { transition, incident, finding: none, message } = &out[1];
    assert_eq!((*transition, incident.closed, out.len()), (Transition::Closed, Some(at(1_800)), 2));
    assert!(none.is_none() && message.is_none(), "nobody is woken because it is quiet");
    let first = incident.id.clone();
    alert.take(finding(PUMP, Level::Notice, 5_010, "APPC-BTC", "0"), &mut out);
    let EffectKind::Incident { transition, incident, .. } = &out[2];
    assert_eq!((*transition, incident.level), (Transition::Opened, Level::Notice), "it starts anew");
    assert!(incident.id != first);
    assert_eq!(alert.opened(), 2);
}

#[test]
fn two_stories_that_one_arrival_begins_have_two_names() {
    let mut alert = Alert::new(Settings::default());
    let mut out = Vec::new();
    alert.take(finding(PUMP, Level::Act, 0, "APPC-BTC", "1"), &mut out);
    alert.take(finding(RuleName::Blind, Level::Notice, 0, "APPC-BTC", "0"), &mut out);
    let ids: Vec<String> = out
        .iter()
        .map(|effect| {
            let EffectKind::Incident { incident, .. } = effect;
            incident.id.to_string()
        })
        .collect();
    assert_eq!(ids, ["binance-alice-1", "binance-alice-1-1"]);
}

#[test]
fn an_attack_on_a_thousand_pairs_stays_one_incident_of_bounded_size() {
    let mut alert = Alert::new(Settings::default());
    let mut out = Vec::new();
    let mut size = 0;
    for k in 0..1_000 {
        out.clear();
        alert.take(finding(PUMP, Level::Alert, k, &format!("C{k}-BTC"), "0.001"), &mut out);
        if k == 200 {
            size = postcard::to_stdvec(&out).unwrap().len();
        }
    }
    let EffectKind::Incident { incident, .. } = out.last().unwrap();
    assert_eq!((incident.findings.len(), incident.count), (MOST_FINDINGS, 1_000));
    assert_eq!(incident.loss[0].to_string(), "1 BTC");
    let last = postcard::to_stdvec(&out).unwrap().len();
    assert!(last < size + size / 4, "{size} bytes, then {last}");
}

#[test]
fn a_message_names_who_what_and_the_money_and_one_next_step() {
    let mut alert = Alert::new(Settings::default());
    let mut out = Vec::new();
    alert.take(finding(PUMP, Level::Act, 0, "APPC-BTC", "0.4200"), &mut out);
    let EffectKind::Incident { message: Some(message), incident, .. } = &out[0] else { panic!("nobody is told") };
    for part in ["binance/alice", "APPC-BTC", "0.42"] {
        assert!(message.headline.contains(part), "{}", message.headline);
    }
    assert!(message.next_step.contains("delete the API key at Binance"), "{}", message.next_step);
    assert!(message.otherwise.starts_with("Whoever holds the key"));
    assert_eq!(message.incident, incident.id);
    assert!(message.link.starts_with("https://www.binance.com/"));
}

#[test]
fn a_price_that_did_not_move_is_not_told_of() {
    let spent = || Money::new("1.84".parse().unwrap(), Asset::new("BTC").unwrap());
    let reason = |move_percent| Reason::Stands {
        spent: spent(),
        times_usual: 38.0,
        move_percent,
        new_pair: false,
        buy: true,
        cap: None,
    };
    for (percent, wanted) in [(0.001, None), (-0.001, None), (0.0, None), (0.3, Some("0.30 %"))] {
        let found = Finding { reason: reason(percent), ..finding(PUMP, Level::Act, 0, "APPC-BTC", "0.42") };
        for (language, price) in [(Language::English, "last minute"), (Language::German, "letzten Minute")] {
            let mut out = Vec::new();
            Alert::new(Settings { language, ..Settings::default() }).take(found.clone(), &mut out);
            let EffectKind::Incident { message: Some(message), .. } = &out[0] else { panic!("nobody is told") };
            let facts = message.facts.join(" ");
            assert!(facts.contains("1.84 BTC") && facts.contains(price) == wanted.is_some(), "{facts}");
            assert!(facts.contains(wanted.unwrap_or_default()), "{facts}");
        }
    }
}

#[test]
fn what_is_open_survives_a_snapshot() {
    let mut one = Alert::new(Settings::default());
    let mut out = Vec::new();
    one.take(finding(PUMP, Level::Alert, 0, "APPC-BTC", "1"), &mut out);
    let bytes = postcard::to_stdvec(&one).unwrap();
    let mut other: Alert = postcard::from_bytes(&bytes).unwrap();
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for (alert, out) in [(&mut one, &mut a), (&mut other, &mut b)] {
        alert.take(finding(PUMP, Level::Act, 60, "APPC-BTC", "9"), out);
        alert.pass(at(9_000), out);
    }
    assert_eq!((a.len(), &a), (2, &b));
}

#[test]
fn the_losses_of_two_bursts_in_one_pair_add_up_and_a_growing_one_is_counted_once() {
    let mut alert = Alert::new(Settings::default());
    let mut out = Vec::new();
    for (secs, loss) in [(0, "10"), (30, "64"), (900, "8"), (960, "64"), (1_000, "20")] {
        alert.pass(at(secs), &mut out);
        alert.take(finding(RuleName::ChurnLoss, Level::Alert, secs, "APPC-BTC", loss), &mut out);
    }
    let EffectKind::Incident { incident, .. } = out.last().unwrap();
    assert_eq!(incident.loss, [Money::new("128".parse().unwrap(), "BTC".parse().unwrap())]);
}

#[test]
fn a_clock_that_jumped_a_year_ahead_and_back_does_not_split_an_incident() {
    let mut alert = Alert::new(Settings::default());
    let mut out = Vec::new();
    alert.pass(at(365 * 86_400), &mut out);
    for secs in 0..20 {
        // The pipeline's own time stays where it was highest.
        alert.pass(at(365 * 86_400), &mut out);
        alert.take(finding(PUMP, Level::Act, secs, "APPC-BTC", "1"), &mut out);
    }
    let opened = |effect: &&EffectKind| {
        let EffectKind::Incident { transition, .. } = effect;
        *transition != Transition::Updated
    };
    assert_eq!(out.iter().filter(opened).count(), 1);
}

#[test]
fn a_clock_that_jumped_a_year_ahead_and_back_does_not_keep_open_what_is_over() {
    let mut alert = Alert::new(Settings::default());
    let mut out = Vec::new();
    alert.take(finding(RuleName::PumpBuy, Level::Alert, 0, "APPC-BTC", "0.01"), &mut out);
    alert.pass(at(365 * 86_400), &mut out);
    out.clear();
    for (days, opened) in [(30, 2), (60, 3)] {
        alert.take(finding(RuleName::PumpBuy, Level::Alert, days * 86_400, "APPC-BTC", "0.01"), &mut out);
        assert_eq!((alert.opened(), alert.open()), (opened, 1));
    }
    assert!(out.len() >= 2 && out.iter().any(|effect| matches!(effect, EffectKind::Incident { message: Some(_), .. })));
}

#[test]
fn rules_that_speak_of_one_arrival_make_one_message() {
    let mut alert = Alert::new(Settings::default());
    let mut out = Vec::new();
    alert.take(finding(PUMP, Level::Alert, 0, "APPC-BTC", "1"), &mut out);
    alert.take(finding(RuleName::PlantedAsk, Level::Act, 0, "APPC-BTC", "1"), &mut out);
    tell_once(&mut out);
    let messages: Vec<_> = out
        .iter()
        .filter_map(|effect| {
            let EffectKind::Incident { message, .. } = effect;
            message.as_ref()
        })
        .collect();
    assert_eq!(messages.len(), 1);
    assert!(messages[0].facts.len() == 2 && !messages[0].headline.starts_with("growing"), "{:?}", messages[0]);
}

#[test]
fn an_alert_that_was_a_notice_before_is_news_and_an_act_after_it_is_not() {
    let mut alert = Alert::new(Settings::default());
    let mut headlines = Vec::new();
    for (secs, level) in [(0, Level::Notice), (10, Level::Alert), (20, Level::Act)] {
        let mut out = Vec::new();
        alert.take(finding(PUMP, level, secs, "APPC-BTC", "1"), &mut out);
        headlines.extend(out.into_iter().filter_map(|effect| {
            let EffectKind::Incident { message, .. } = effect;
            message.map(|message| message.headline.starts_with("growing"))
        }));
    }
    assert_eq!(headlines, [false, false, true]);
}

fn exception(name: &str, rule: &str) -> Exception {
    Exception {
        name: name.into(),
        rules: vec![rule.into()],
        account: account("alice"),
        symbol: None,
        address: None,
        owner: "alice".into(),
        reason: "my own".into(),
        expires: at(1_000),
    }
}

#[test]
fn what_an_exception_covers_is_history_with_its_name_and_counted_but_act_is_told() {
    let other = Exception { symbol: Some(Symbol::from_dashed("ETH-BTC").unwrap()), ..exception("other", "pump_buy") };
    let exceptions = vec![other, exception("grid", "pump_buy")];
    let mut alert = Alert::new(Settings { exceptions, ..Settings::default() });
    let mut out = Vec::new();
    for (level, secs) in [(Level::Alert, 0), (Level::Notice, 1), (Level::Alert, 2)] {
        alert.take(finding(PUMP, level, secs, "APPC-BTC", "5"), &mut out);
    }
    for effect in &out {
        let EffectKind::Incident { incident, finding, message, .. } = effect;
        assert!(message.is_none() && incident.level == Level::Notice && incident.loss.is_empty());
        assert_eq!(hidden_by(finding.as_ref().unwrap()).unwrap().0, "grid");
    }
    assert_eq!((out.len(), hidden_by(&finding_of(&out[0])).unwrap().1), (3, Level::Alert));
    let told = alert.hidden();
    assert_eq!(told.iter().map(|one| (one.name.as_str(), one.count)).collect::<Vec<_>>(), [("other", 0), ("grid", 3)]);
    let bytes = postcard::to_stdvec(&alert).unwrap();
    assert_eq!(postcard::from_bytes::<Alert>(&bytes).unwrap().hidden(), told, "a snapshot keeps the counts");
    out.clear();
    alert.take(finding(PUMP, Level::Act, 3, "APPC-BTC", "5"), &mut out);
    let EffectKind::Incident { message, incident, .. } = &out[0];
    assert!(message.is_some() && incident.level == Level::Act && alert.hidden()[1].count == 3);
}

#[test]
fn an_exception_ends_by_the_time_of_arrivals_and_covers_no_other_rule_or_account() {
    let mut alert = Alert::new(Settings { exceptions: vec![exception("grid", "churn_loss")], ..Settings::default() });
    let mut told = |finding: Finding| {
        let mut out = Vec::new();
        alert.take(finding, &mut out);
        out.iter().any(|EffectKind::Incident { message, .. }| message.is_some())
    };
    assert!(!told(finding(RuleName::ChurnLoss, Level::Alert, 999, "APPC-BTC", "1")));
    assert!(told(finding(RuleName::PumpBuy, Level::Alert, 999, "APPC-BTC", "1")));
    assert!(told(Finding {
        account: account("bob"),
        ..finding(RuleName::ChurnLoss, Level::Alert, 999, "APPC-BTC", "1")
    }));
    assert!(told(finding(RuleName::ChurnLoss, Level::Alert, 1_000, "APPC-BTC", "9")), "it is over");
}

#[test]
fn what_an_owner_vouched_for_is_counted_with_the_incident_and_the_one_who_said_so() {
    let mut alert = Alert::new(Settings::default());
    let mut out = Vec::new();
    alert.take(finding(PUMP, Level::Alert, 0, "APPC-BTC", "5"), &mut out);
    let EffectKind::Incident { incident, .. } = &out[0];
    let (answer, id) = (crate::domain::Answer::to(incident, true, "@alice"), incident.id.clone());
    alert.answer(&answer, at(10), &mut out);
    let moved = alert.hidden_moved();
    alert.take(finding(PUMP, Level::Alert, 20, "APPC-BTC", "5"), &mut out);
    let hidden = alert.hidden();
    assert!(alert.hidden_moved() > moved && hidden.len() == 1);
    let one = &hidden[0];
    assert_eq!(
        (one.name.as_str(), &*one.owner, one.what.as_str(), one.count),
        (id.as_str(), "@alice", "pump_buy in APPC-BTC", 1)
    );
    assert_eq!((one.last, one.until), (Some(at(20)), at(10) + Settings::default().exception));
}

fn finding_of(effect: &EffectKind) -> Finding {
    let EffectKind::Incident { finding, .. } = effect;
    finding.clone().unwrap()
}

#[test]
fn a_compromised_account_hides_its_symptoms_and_nobody_elses() {
    let blind = |secs| finding(RuleName::Blind, Level::Alert, secs, "VIBX-BTC", "0");
    let theft = |level, secs| finding(RuleName::PumpBuy, level, secs, "VIBX-BTC", "1");
    let loud = |findings| told(findings).into_iter().map(|(_, _, told)| told).collect::<Vec<_>>();
    // The key was deleted, or the thief changed it: the feed breaks off, again and again.
    assert_eq!(loud(vec![theft(Level::Act, 0), blind(30), blind(60)]), [true, false, false]);
    assert_eq!(loud(vec![theft(Level::Alert, 0), blind(30)]), [true, false]);
    // A theft is never hidden by a feed that is down, and a mere notice hides nothing.
    assert_eq!(loud(vec![blind(0), theft(Level::Act, 30)]), [true, true]);
    assert_eq!(loud(vec![theft(Level::Notice, 0), blind(30)]), [true, true]);
    let mut bob = blind(30);
    bob.account = account("bob");
    assert_eq!(loud(vec![theft(Level::Act, 0), bob]), [true, true]);
    // Once the theft's incident is closed, a feed that breaks off is news.
    let later = loud(vec![theft(Level::Act, 0), blind(4_000)]);
    assert_eq!(later, [true, false, true], "opened, closed, told of the feed");
}
