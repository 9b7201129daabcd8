//! Who is told when: storms, quiet hours, escalation, repeats and answers, without a clock or a network.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/story.rs"]
mod story;

use fillguard::alert::Language;
use fillguard::domain::{Effect, EffectKind, IncidentId, Level, Money, Span, Timestamp};
use fillguard::notify::words::words;
use fillguard::store::{Answer, Answered, Asked, Burst, Cause, ChannelRoute, Next, Queued, QuietHours, Store, Verdict};
use rust_decimal::Decimal;
use story::{at, effect, id, message};

fn route(name: &str) -> ChannelRoute {
    ChannelRoute { name: name.to_owned(), ..ChannelRoute::default() }
}

fn next(store: &mut Store, route: &ChannelRoute, now: Timestamp) -> Next {
    store.next(route, now, words(Language::English).digest()).unwrap()
}

/// Sends what may go at `now`; returns it.
fn send(store: &mut Store, route: &ChannelRoute, now: Timestamp) -> Option<Queued> {
    match next(store, route, now) {
        Next::Send(queued) => {
            assert!(store.mark_sending(queued.id, now).unwrap());
            store.mark_sent(queued.id, now, &format!("receipt {}", queued.id)).unwrap();
            Some(*queued)
        }
        Next::Wait(_) => None,
    }
}

fn attend(store: &mut Store, routes: &[ChannelRoute], now: Timestamp) -> (usize, usize) {
    let repeat = Some(Span::from_secs(4 * 3_600));
    let done = store.attend(routes, now, repeat, words(Language::English).again()).unwrap();
    (done.escalated, done.repeated)
}

fn answer(incident: &IncidentId, verdict: Verdict, at: Timestamp) -> Answer {
    Answer {
        id: 0,
        incident: incident.clone(),
        verdict,
        by: "me".into(),
        via: "test".into(),
        at,
        until: None,
        code: None,
    }
}

fn closed(mut effect: Effect, at: Timestamp) -> Effect {
    let EffectKind::Incident { incident, message, .. } = &mut effect.kind;
    incident.closed = Some(at);
    *message = None;
    effect
}

#[test]
fn ten_thousand_incidents_in_a_minute_are_three_messages_that_tell_them_all() {
    let mut store = Store::in_memory().unwrap();
    let chat = ChannelRoute { burst: Some(Burst::default()), ..route("chat") };
    let effects: Vec<Effect> =
        (1..=10_000).map(|n| effect(n, &id(n), if n % 100 == 0 { Level::Act } else { Level::Alert }, "hit")).collect();
    let mut sent = Vec::new();
    for (second, part) in effects.chunks(200).enumerate() {
        store.take(part, std::slice::from_ref(&chat)).unwrap();
        while let Some(queued) = send(&mut store, &chat, at(second as i64)) {
            sent.push(queued);
        }
    }
    assert_eq!(sent.len(), 3, "{:?}", sent.iter().map(|one| &one.message.headline).collect::<Vec<_>>());
    assert!(matches!(next(&mut store, &chat, at(59)), Next::Wait(Some(until)) if until == at(60)));
    // A minute later the rest follows, again in three messages.
    let mut rest: Vec<Queued> = std::iter::from_fn(|| send(&mut store, &chat, at(60))).collect();
    assert_eq!(rest.len(), 3);
    let last = rest.pop().unwrap();
    assert_eq!((last.cause, last.message.level), (Cause::Digest, Level::Act));
    sent.append(&mut rest);
    let mut told: Vec<IncidentId> =
        sent.iter().filter(|one| one.cause == Cause::News).map(|one| one.incident.clone()).collect();
    for digest in sent.iter().chain([&last]).filter(|one| one.cause == Cause::Digest) {
        told.extend(store.digested(digest.id).unwrap());
    }
    told.sort();
    told.dedup();
    assert_eq!(told.len(), 10_000, "every incident is in one of them");
    assert!(last.message.headline.starts_with("9"), "{}", last.message.headline);
}

#[test]
fn a_question_is_told_by_itself_and_at_once_in_any_storm_and_a_drill_by_itself() {
    let mut store = Store::in_memory().unwrap();
    let chat = ChannelRoute { burst: Some(Burst::default()), ..route("chat") };
    let storm: Vec<Effect> = (1..=200).map(|n| effect(n, &id(n), Level::Act, "hit")).collect();
    store.take(&storm[..100], std::slice::from_ref(&chat)).unwrap();
    while send(&mut store, &chat, at(1)).is_some() {}
    store.take(&storm[100..], std::slice::from_ref(&chat)).unwrap();
    let drill = IncidentId::of_drill("7f3a");
    store.take(&[effect(900, &drill, Level::Act, "DRILL")], std::slice::from_ref(&chat)).unwrap();
    for n in [7, 150] {
        let asked = [7, 150].map(|n| Asked { incident: id(n), until: at(900), needs: 1, given: 0 });
        store.save_response("{}", &asked, &[], at(2)).unwrap();
        let question = message(&id(n).of_response(), Level::Act, "waits for your yes");
        store.queue(&question, at(2), &["chat".to_owned()], Cause::News).unwrap();
    }
    // The burst is used up, and a hundred others wait: the questions go all the same, each as itself.
    for n in [7, 150] {
        let sent = send(&mut store, &chat, at(3)).unwrap();
        assert_eq!((sent.cause, sent.incident), (Cause::News, id(n).of_response()));
    }
    assert!(send(&mut store, &chat, at(3)).is_none());
    let mut later = Vec::new();
    for minute in 1..4 {
        while let Some(sent) = send(&mut store, &chat, at(3 + 61 * minute)) {
            later.push(sent);
        }
    }
    let digests: Vec<&Queued> = later.iter().filter(|sent| sent.cause == Cause::Digest).collect();
    let told: Vec<IncidentId> = digests.iter().flat_map(|digest| store.digested(digest.id).unwrap()).collect();
    assert!(told.len() > 90 && !told.contains(&drill), "{}", told.len());
    assert_eq!(later.iter().filter(|sent| sent.incident == drill && sent.cause == Cause::News).count(), 1);
}

#[test]
fn a_digest_that_could_not_be_sent_is_told_by_the_next_one() {
    let mut store = Store::in_memory().unwrap();
    let chat = ChannelRoute { burst: Some(Burst { most: 1, window: Span::from_secs(60) }), ..route("chat") };
    let take = |store: &mut Store, from, until| {
        let effects: Vec<Effect> = (from..=until).map(|n| effect(n, &id(n), Level::Alert, "hit")).collect();
        store.take(&effects, std::slice::from_ref(&chat)).unwrap();
    };
    take(&mut store, 1, 5);
    let Next::Send(first) = next(&mut store, &chat, at(10)) else { panic!("nothing to send") };
    assert!(first.message.headline.starts_with("5 incidents"), "{}", first.message.headline);
    store.mark_sending(first.id, at(10)).unwrap();
    store.mark_failed(first.id, at(20), true, "connection lost").unwrap();
    take(&mut store, 6, 8);
    let second = send(&mut store, &chat, at(20)).unwrap();
    assert!(second.message.headline.starts_with("8 incidents"), "{}", second.message.headline);
    assert_eq!(store.digested(second.id).unwrap().len(), 8);
    assert!(send(&mut store, &chat, at(200)).is_none(), "the older one is not sent as well");
}

#[test]
fn an_edit_makes_no_sound_and_is_not_counted() {
    let mut store = Store::in_memory().unwrap();
    let burst = Some(Burst { most: 1, window: Span::from_secs(60) });
    let chat = ChannelRoute { burst, edits: true, ..route("chat") };
    store.take(&[effect(1, &id(1), Level::Alert, "one")], std::slice::from_ref(&chat)).unwrap();
    let first = send(&mut store, &chat, at(1)).unwrap();
    store.take(&[effect(2, &id(1), Level::Alert, "grown")], std::slice::from_ref(&chat)).unwrap();
    let Next::Send(edit) = next(&mut store, &chat, at(2)) else { panic!("an edit goes at once") };
    assert!(edit.is_edit());
    store.mark_sending(edit.id, at(2)).unwrap();
    store.mark_sent(edit.id, at(2), &format!("receipt {}", first.id)).unwrap();
    store.take(&[effect(3, &id(3), Level::Alert, "another")], std::slice::from_ref(&chat)).unwrap();
    assert!(matches!(next(&mut store, &chat, at(3)), Next::Wait(Some(until)) if until == at(61)));
    assert_eq!(send(&mut store, &chat, at(61)).unwrap().message.headline, "another");
}

#[test]
fn quiet_hours_hold_back_alerts_until_the_morning_and_never_act() {
    let mut store = Store::in_memory().unwrap();
    // The stories begin at 09:00 UTC.
    let zone = jiff::tz::TimeZone::UTC;
    let quiet = Some(QuietHours { from: 8 * 60, until: 10 * 60, zone });
    for burst in [None, Some(Burst::default())] {
        let chat = ChannelRoute { quiet: quiet.clone(), burst, ..route(if burst.is_some() { "chat" } else { "mail" }) };
        let n = if burst.is_some() { 10 } else { 1 };
        let effects =
            [effect(n, &id(n), Level::Alert, "an alert"), effect(n + 1, &id(n + 1), Level::Act, "take the key away")];
        store.take(&effects, std::slice::from_ref(&chat)).unwrap();
        assert_eq!(send(&mut store, &chat, at(60)).unwrap().message.headline, "take the key away");
        assert_eq!(next(&mut store, &chat, at(61)), Next::Wait(Some(at(3_600))));
        assert_eq!(send(&mut store, &chat, at(3_600)).unwrap().message.headline, "an alert");
    }
}

#[test]
fn what_nobody_answers_goes_to_the_next_channel_and_then_to_the_next_person() {
    let mut store = Store::in_memory().unwrap();
    let routes = [
        route("chat"),
        ChannelRoute { after: Span::from_secs(600), ..route("mail") },
        ChannelRoute { after: Span::from_secs(1_800), min_level: Level::Act, ..route("boss") },
    ];
    store.take(&[effect(1, &id(1), Level::Act, "theft")], &routes).unwrap();
    send(&mut store, &routes[0], at(1)).unwrap();
    assert!(send(&mut store, &routes[1], at(1)).is_none(), "mail is asked when nobody answered");
    assert_eq!(attend(&mut store, &routes, at(599)), (0, 0));
    assert_eq!(attend(&mut store, &routes, at(600)), (1, 0));
    assert_eq!(attend(&mut store, &routes, at(601)), (0, 0), "once");
    let mail = send(&mut store, &routes[1], at(601)).unwrap();
    assert_eq!(mail.cause, Cause::Escalation);
    assert!(mail.message.facts[0].contains("10 minutes"), "{:?}", mail.message.facts);
    // Once asked, a channel hears of what follows.
    store.take(&[effect(700, &id(1), Level::Act, "grown")], &routes).unwrap();
    assert_eq!(send(&mut store, &routes[1], at(700)).unwrap().message.headline, "grown");
    assert!(send(&mut store, &routes[2], at(700)).is_none());
    // That the theft is over does not end it: somebody has to know.
    store.take(&[closed(effect(1_700, &id(1), Level::Act, ""), at(1_700))], &routes).unwrap();
    assert_eq!(attend(&mut store, &routes, at(1_800)), (1, 0));
    assert!(send(&mut store, &routes[2], at(1_800)).is_some());
}

#[test]
fn an_answer_ends_escalation_and_repeats_until_the_incident_becomes_louder() {
    let mut store = Store::in_memory().unwrap();
    let routes = [route("chat"), ChannelRoute { after: Span::from_secs(600), ..route("mail") }];
    store.take(&[effect(1, &id(1), Level::Alert, "odd")], &routes).unwrap();
    send(&mut store, &routes[0], at(1)).unwrap();
    assert!(matches!(store.answer(&answer(&id(1), Verdict::Seen, at(5))).unwrap(), Answered::Kept(_)));
    assert_eq!(attend(&mut store, &routes, at(40_000)), (0, 0));
    store.take(&[effect(40_001, &id(1), Level::Act, "theft")], &routes).unwrap();
    send(&mut store, &routes[0], at(40_001)).unwrap();
    assert_eq!(attend(&mut store, &routes, at(40_002)), (1, 0));
    assert!(matches!(store.answer(&answer(&id(9), Verdict::Seen, at(5))).unwrap(), Answered::Unknown));
}

#[test]
fn an_open_incident_is_told_again_each_interval_and_a_closed_one_is_not() {
    let mut store = Store::in_memory().unwrap();
    let routes = [route("chat")];
    store.take(&[effect(1, &id(1), Level::Alert, "odd")], &routes).unwrap();
    assert_eq!(attend(&mut store, &routes, at(90_000)), (0, 0), "it still waits to be told at all");
    send(&mut store, &routes[0], at(10)).unwrap();
    assert_eq!(attend(&mut store, &routes, at(10 + 4 * 3_600 - 1)), (0, 0));
    assert_eq!(attend(&mut store, &routes, at(10 + 4 * 3_600)), (0, 1));
    let again = send(&mut store, &routes[0], at(10 + 4 * 3_600)).unwrap();
    assert!(again.cause == Cause::Repeat && !again.is_edit(), "an edit would make no sound");
    store.take(&[closed(effect(20_000, &id(1), Level::Alert, ""), at(20_000))], &routes).unwrap();
    assert_eq!(attend(&mut store, &routes, at(80_000)), (0, 0));
}

#[test]
fn what_nobody_answers_is_told_again_with_what_is_lost_by_now() {
    let mut store = Store::in_memory().unwrap();
    let routes = [route("chat"), ChannelRoute { after: Span::from_secs(600), ..route("mail") }];
    let lost = |n: u64, headline: &str, amount: i64| {
        let mut effect = effect(n, &id(1), Level::Act, headline);
        let EffectKind::Incident { incident, .. } = &mut effect.kind;
        incident.loss = vec![Money::new(Decimal::from(amount), "BTC".parse().unwrap())];
        effect
    };
    store.take(&[lost(1, "1 BTC lost", 1)], &routes).unwrap();
    send(&mut store, &routes[0], at(1)).unwrap();
    // Too little more for a message of its own.
    store.take(&[lost(500, "", 2)], &routes).unwrap();
    assert!(send(&mut store, &routes[0], at(501)).is_none());
    assert_eq!(attend(&mut store, &routes, at(600)), (1, 0));
    assert_eq!(attend(&mut store, &routes, at(20_000)), (0, 1));
    for (route, now) in [(&routes[1], 600), (&routes[0], 20_000)] {
        let told = send(&mut store, route, at(now)).unwrap().message;
        assert!(told.headline.contains("2 BTC lost"), "{}: {}", route.name, told.headline);
    }
}

#[test]
fn who_answers_later_is_asked_again_when_that_time_is_over() {
    let mut store = Store::in_memory().unwrap();
    let routes = [route("chat"), ChannelRoute { after: Span::from_secs(600), ..route("mail") }];
    store.take(&[effect(1, &id(1), Level::Act, "odd")], &routes).unwrap();
    send(&mut store, &routes[0], at(1)).unwrap();
    store.answer(&Answer { until: Some(at(2_000)), ..answer(&id(1), Verdict::Later, at(5)) }).unwrap();
    assert_eq!(attend(&mut store, &routes, at(1_999)), (0, 0));
    assert_eq!(attend(&mut store, &routes, at(2_000)), (1, 1));
    assert_eq!(send(&mut store, &routes[0], at(2_000)).unwrap().cause, Cause::Repeat);
    assert_eq!(attend(&mut store, &routes, at(2_001)), (0, 0), "once");
}

#[test]
fn a_silence_holds_back_alerts_counts_them_and_never_act() {
    let mut store = Store::in_memory().unwrap();
    let routes = [route("chat")];
    store.silence(&story::account(), "me", "moving house", at(0), at(100)).unwrap();
    let effects = [effect(1, &id(1), Level::Alert, "odd"), effect(2, &id(2), Level::Act, "theft")];
    assert_eq!(store.take(&effects, &routes).unwrap().queued, 1);
    assert_eq!(store.silences(at(50)).unwrap()[0].swallowed, 1);
    assert_eq!(store.take(&[effect(100, &id(3), Level::Alert, "odd")], &routes).unwrap().queued, 1);
    assert!(store.silences(at(100)).unwrap().is_empty());
}

#[test]
fn a_silenced_account_is_not_asked_about_again_or_elsewhere_but_for_act() {
    let mut store = Store::in_memory().unwrap();
    let routes = [route("chat"), ChannelRoute { after: Span::from_secs(600), ..route("mail") }];
    let effects = [effect(1, &id(1), Level::Alert, "odd"), effect(2, &id(2), Level::Act, "theft")];
    store.take(&effects, &routes).unwrap();
    while send(&mut store, &routes[0], at(3)).is_some() {}
    store.silence(&story::account(), "me", "moving house", at(10), at(50_000)).unwrap();
    assert_eq!(attend(&mut store, &routes, at(600)), (1, 0), "the theft alone");
    assert_eq!(attend(&mut store, &routes, at(20_000)), (0, 1));
    assert_eq!(store.silences(at(20_000)).unwrap()[0].swallowed, 0, "nothing new was held back");
    assert_eq!(attend(&mut store, &routes, at(50_000)), (1, 1), "the alert, once the silence is over");
}

#[test]
fn a_clock_that_is_set_back_mutes_nobody() {
    let mut store = Store::in_memory().unwrap();
    let chat = ChannelRoute { burst: Some(Burst::default()), ..route("chat") };
    let take = |store: &mut Store, n: u64| {
        store.take(&[effect(n, &id(n), Level::Act, "theft")], std::slice::from_ref(&chat)).unwrap();
    };
    for n in 1..=3 {
        take(&mut store, n);
        assert!(send(&mut store, &chat, at(3_600)).is_some());
    }
    take(&mut store, 4);
    assert!(send(&mut store, &chat, at(3_601)).is_none(), "three a minute");
    assert!(send(&mut store, &chat, at(20)).is_some(), "an hour earlier by the clock, which had been ahead");
}

#[test]
fn a_message_that_every_channel_refused_waits_again_when_a_channel_starts_anew() {
    let mut store = Store::in_memory().unwrap();
    let routes = [route("chat"), route("mail")];
    store.take(&[effect(1, &id(1), Level::Alert, "one"), effect(2, &id(2), Level::Alert, "two")], &routes).unwrap();
    for route in &routes {
        for queued in store.due(&route.name, at(5), 9).unwrap() {
            store.mark_sending(queued.id, at(5)).unwrap();
            match (route.name.as_str(), queued.incident == id(1)) {
                ("mail", true) => store.mark_sent(queued.id, at(5), "r").unwrap(),
                _ => store.mark_given_up(queued.id, at(5), "wrong token").unwrap(),
            }
        }
    }
    assert_eq!(store.revive("chat", at(0)).unwrap(), 1, "what somebody got is not sent again");
    assert_eq!(store.due("chat", at(6), 9).unwrap()[0].incident, id(2));
    assert_eq!(store.revive("mail", at(0)).unwrap(), 0, "it waits on the other channel");
}

#[test]
fn a_theft_that_no_channel_delivered_is_tried_again_for_days_although_it_is_over() {
    let mut store = Store::in_memory().unwrap();
    let routes = [route("mail")];
    store.take(&[effect(1, &id(1), Level::Act, "theft"), effect(2, &id(2), Level::Alert, "odd")], &routes).unwrap();
    for queued in store.due("mail", at(5), 9).unwrap() {
        store.mark_sending(queued.id, at(5)).unwrap();
        store.mark_given_up(queued.id, at(5), "535 wrong password").unwrap();
    }
    let over = [
        closed(effect(1_700, &id(1), Level::Act, ""), at(1_700)),
        closed(effect(1_701, &id(2), Level::Alert, ""), at(1_701)),
    ];
    store.take(&over, &routes).unwrap();
    assert_eq!(store.revive("mail", at(1)).unwrap(), 0, "older than is looked at");
    assert_eq!(store.revive("mail", at(0)).unwrap(), 1);
    assert_eq!(store.due("mail", at(2_000), 9).unwrap()[0].message.headline, "theft");
}

#[test]
fn people_cannot_be_told_where_every_channel_with_something_to_say_fails() {
    let mut store = Store::in_memory().unwrap();
    let routes = [route("mail"), ChannelRoute { min_level: Level::Act, ..route("boss") }];
    let names = routes.each_ref().map(|route| route.name.clone());
    let mute = |store: &Store, now: i64| store.is_mute(&names, at(now - 900), at(now - 86_400)).unwrap();
    assert!(!mute(&store, 10), "nobody had anything to say");
    store.take(&[effect(1, &id(1), Level::Alert, "one")], &routes).unwrap();
    assert!(!mute(&store, 10), "it is not late yet");
    assert!(mute(&store, 2_000), "late");
    send(&mut store, &routes[0], at(2_000)).unwrap();
    assert!(!mute(&store, 2_000));
    // Refused for good: nothing waits, and all is lost.
    store.take(&[effect(2_001, &id(2), Level::Alert, "two")], &routes).unwrap();
    let Next::Send(two) = next(&mut store, &routes[0], at(2_001)) else { panic!("nothing to send") };
    store.mark_sending(two.id, at(2_001)).unwrap();
    store.mark_given_up(two.id, at(2_001), "535 wrong password").unwrap();
    assert!(mute(&store, 2_002), "the other channel has never been tried");
    // A channel that is not configured any more says nothing.
    store.take(&[effect(2_003, &id(3), Level::Act, "three")], &[route("gone")]).unwrap();
    assert!(mute(&store, 2_004));
    store.take(&[effect(2_005, &id(4), Level::Act, "four")], &routes).unwrap();
    while send(&mut store, &routes[1], at(2_005)).is_some() {}
    assert!(!mute(&store, 2_006), "the boss was told");
}
