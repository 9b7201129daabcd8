//! What is wrong with a key before anybody stole it, each with its risk and one thing to do.

use compact_str::CompactString;
use serde::Serialize;

use crate::domain::{AccountId, KeyState, Restriction, Right, Span, Timestamp};
use crate::engine::rules::key_policy::Policy;

/// Something that should not be so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trouble {
    /// What, in one word.
    pub what: &'static str,
    /// What is so.
    pub says: String,
    /// What may come of it.
    pub risk: &'static str,
    /// The one thing to do.
    pub action: String,
}

/// Days after which a key is old, and before its end from which that is told; days without a trade after which a key
/// that can trade is unused.
const OLD: i64 = 365;
const ENDING: i64 = 30;
const UNUSED: i64 = 60;

/// Checks an account's key; `traded` is when the account last traded, where that is known.
pub fn check(
    account: &AccountId,
    key: &KeyState,
    policy: &Policy,
    tags: &[String],
    traded: Option<Timestamp>,
    now: Timestamp,
) -> Vec<Trouble> {
    let page = account.venue.key_page();
    let has = |right: &Right| key.rights.get(right) == Some(&true);
    let days = |span: Span| span.nanos() / 86_400_000_000_000;
    let mut troubles = Vec::new();
    let mut add = |what, says: String, risk, action: String| troubles.push(Trouble { what, says, risk, action });
    if has(&Right::Withdraw) {
        let says = "it may take money out".to_owned();
        add("withdrawal", says, "whoever has it can empty the account", format!("take that right away: {page}"));
    }
    let moves: Vec<&str> = key
        .rights
        .iter()
        .filter(|(right, on)| **on && !matches!(right, Right::Read | Right::FixRead | Right::Withdraw))
        .map(|(right, _)| right.as_str())
        .collect();
    if !moves.is_empty() {
        let says = format!("the key that watches may also {}", moves.join(", "));
        let action = format!("make one that can only read, for fillguard alone: {page}");
        add("more than reading", says, "a thief of this machine could trade with it", action);
    }
    if key.restriction == Some(Restriction::Open) {
        let says = "it may be used from any address".to_owned();
        add("no address list", says, "who copies it can use it anywhere", format!("list your addresses: {page}"));
    }
    let beyond: Vec<&str> = key
        .rights
        .iter()
        .filter(|(right, on)| **on && !policy.allow.is_empty() && !policy.allow.contains(right))
        .map(|(right, _)| right.as_str())
        .collect();
    if !beyond.is_empty() {
        let says = format!("it may {}, which your policy does not say", beyond.join(", "));
        add("wider than policy", says, "somebody gave it more than you meant", format!("narrow it: {page}"));
    }
    if let Some(age) = key.created.map(|created| days(now.since(created))).filter(|age| *age >= OLD) {
        let says = format!("it is {age} days old");
        add("old", says, "the longer a key lives, the more copies of it there are", format!("make a new one: {page}"));
    }
    if let Some(left) = key.expires.map(|expires| days(expires.since(now))).filter(|left| *left <= ENDING) {
        let says = if left < 0 { "it has ended".to_owned() } else { format!("it ends in {left} days") };
        add("ending", says, "then nobody watches the account", format!("make a new one before: {page}"));
    }
    if tags.len() > 1 {
        let says = format!("its account was given to {} platforms: {}", tags.len(), tags.join(", "));
        let action = format!("make a key for each, so that one leak is one key: {page}");
        add("shared", says, "nobody can say which of them leaked it", action);
    }
    let may_trade = [Right::Trade, Right::Margin, Right::Futures, Right::Unified].iter().any(has);
    if let Some(idle) = traded.map(|at| days(now.since(at))).filter(|idle| may_trade && *idle >= UNUSED) {
        let says = format!("it may trade, and the account has not for {idle} days");
        add("unused", says, "nobody would miss it, and nobody looks", format!("delete it: {page}"));
    }
    troubles
}

/// Returns why a key cannot be checked by what an exchange does not tell.
pub fn untold(account: &AccountId, key: &KeyState) -> Vec<CompactString> {
    let mut untold: Vec<CompactString> = Vec::new();
    if key.restriction.is_none() {
        untold.push("its addresses".into());
    }
    if key.created.is_none() {
        untold.push("its age".into());
    }
    untold.push(match account.venue {
        crate::domain::Venue::Binance => "its list of pairs (set one: it keeps thieves out of thin ones)".into(),
        crate::domain::Venue::Kucoin | crate::domain::Venue::Coinbase => "a list of pairs (there is none)".into(),
    });
    untold
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::WhichKey;

    #[test]
    fn each_thing_that_is_wrong_is_told_once_with_what_to_do() {
        let account: AccountId = "binance/alice".parse().unwrap();
        let now = Timestamp::from_millis(1_700_000_000_000);
        let day = |days: i64| Span::from_secs(days * 86_400);
        let key = KeyState {
            account: account.clone(),
            key: WhichKey::Own(None),
            label: None,
            holder: None,
            rights_whole: true,
            rights: [(Right::Read, true), (Right::Trade, true), (Right::Withdraw, true), (Right::Futures, false)]
                .into(),
            restriction: Some(Restriction::Open),
            created: Some(now - day(400)),
            expires: Some(now + day(10)),
        };
        let policy = Policy { allow: vec![Right::Read], restricted: true };
        let tags = ["a".to_owned(), "b".to_owned()];
        let told = check(&account, &key, &policy, &tags, Some(now - day(70)), now);
        let what: Vec<&str> = told.iter().map(|one| one.what).collect();
        let all = [
            "withdrawal",
            "more than reading",
            "no address list",
            "wider than policy",
            "old",
            "ending",
            "shared",
            "unused",
        ];
        assert_eq!(what, all);
        assert!(told.iter().all(|one| one.action.contains("https://") && !one.risk.is_empty()));
        let fine = KeyState {
            rights: [(Right::Read, true)].into(),
            restriction: Some(Restriction::Listed(None)),
            created: Some(now - day(3)),
            expires: None,
            ..key
        };
        assert_eq!(check(&account, &fine, &policy, &[], None, now), []);
    }
}
