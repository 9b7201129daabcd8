//! A drill in the journal, and the invented frames it carries.
//!
//! One arrival from `operator` holds the whole of it:
//! `{"drill":{"code":"7f3a","account":"binance/alice","by":"me","attack":"pump","arrivals":[
//! {"at":1747385641636000000,"from":"binance/market","frame":{}}]}}`. So nothing in the journal looks like a frame of the
//! account that is none: whoever reads an account's feed back, as evidence or to learn from, never meets an invented order.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::arrival::{Arrival, Body, Source};
use crate::domain::{AccountId, Attack, Drill, Timestamp};

/// Frames that a drill may carry.
const MOST: usize = 2_000;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Frame<'a> {
    #[serde(borrow)]
    drill: Row<'a>,
}

#[derive(Deserialize, Serialize)]
struct Row<'a> {
    code: CompactString,
    account: CompactString,
    #[serde(default)]
    by: CompactString,
    #[serde(skip_serializing_if = "Option::is_none")]
    attack: Option<CompactString>,
    #[serde(default, borrow, skip_serializing_if = "Vec::is_empty")]
    arrivals: Vec<Mock<'a>>,
}

#[derive(Deserialize, Serialize)]
struct Mock<'a> {
    at: i64,
    from: CompactString,
    #[serde(borrow)]
    frame: &'a RawValue,
}

impl<'a> Mock<'a> {
    fn of((at, from, frame): &'a (Timestamp, Source, Box<RawValue>)) -> Self {
        Mock { at: at.nanos(), from: from.to_string().into(), frame }
    }
}

/// Writes a drill, with its invented frames, as the frame of an arrival from `operator`.
pub fn write(drill: &Drill, arrivals: &[(Timestamp, Source, Box<RawValue>)]) -> String {
    let row = Row {
        code: drill.code.clone(),
        account: drill.account.to_string().into(),
        by: drill.by.clone(),
        attack: drill.attack.map(|attack| attack.as_str().into()),
        arrivals: arrivals.iter().map(Mock::of).collect(),
    };
    // Text and frames that are JSON already: there is nothing in it that cannot be written.
    serde_json::to_string(&Frame { drill: row }).unwrap_or_default()
}

/// Reads a drill and the arrivals of its mock attack, which bear the drill's number; nothing where it is none, or where a
/// frame would come from elsewhere than the account, its exchange's market or a log of who uses keys.
pub fn read(arrival: &Arrival) -> Option<(Drill, Vec<Arrival>)> {
    let (Source::Operator, Body::Frame(frame)) = (&arrival.from, &arrival.body) else { return None };
    let Frame { drill: row } = serde_json::from_str(frame.get()).ok()?;
    let attack = match &row.attack {
        Some(name) => Some(Attack::named(name)?),
        None => None,
    };
    let account: AccountId = row.account.parse().ok()?;
    if row.arrivals.len() > MOST || attack.is_none() != row.arrivals.is_empty() {
        return None;
    }
    let mut mocks = Vec::with_capacity(row.arrivals.len());
    let mut last = Timestamp::EPOCH;
    for Mock { at, from, frame } in row.arrivals {
        let (at, from): (Timestamp, Source) = (Timestamp::from_nanos(at), from.parse().ok()?);
        let ours = match &from {
            Source::Account(whose) => *whose == account,
            Source::Market(venue) => *venue == account.venue,
            Source::Access(_) => true,
            Source::AccountRest(_)
            | Source::Wallet(..)
            | Source::WalletRest(..)
            | Source::MarketRest(_)
            | Source::FuturesMarket(_)
            | Source::FuturesMarketRest(_)
            | Source::MarketCap(_)
            | Source::Operator
            | Source::Respond
            | Source::Clock => false,
        };
        if !ours || at < last || at > arrival.at {
            return None;
        }
        last = at;
        mocks.push(Arrival { n: arrival.n, at, from, body: Body::Frame(frame.to_owned()) });
    }
    let drill = Drill { code: row.code, account, by: row.by, attack };
    drill.is_fine().then_some((drill, mocks))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(text: String) -> Arrival {
        let at = Timestamp::from_millis(1_772_442_000_000);
        Arrival { n: 7, at, from: Source::Operator, body: Body::from_text(text) }
    }

    fn frame() -> Box<RawValue> {
        Body::json(r#"{"e":"x"}"#.to_owned()).unwrap()
    }

    #[test]
    fn a_drill_is_read_as_it_was_written_with_its_frames_or_without() {
        let bare =
            Drill { code: "7f3a".into(), account: "binance/alice".parse().unwrap(), by: "me".into(), attack: None };
        let (read_back, mocks) = read(&arrival(write(&bare, &[]))).unwrap();
        assert_eq!((read_back, mocks.len()), (bare.clone(), 0));
        let acted = Drill { attack: Some(Attack::Churn), ..bare };
        let at = Timestamp::from_millis(1_772_441_999_000);
        let text = write(&acted, &[(at, Source::Account(acted.account.clone()), frame())]);
        let (read_back, mocks) = read(&arrival(text)).unwrap();
        assert_eq!((read_back, mocks.len()), (acted, 1));
        assert_eq!((mocks[0].n, mocks[0].at, mocks[0].from.to_string().as_str()), (7, at, "binance/alice"));
    }

    #[test]
    fn frames_of_others_of_the_future_or_without_an_attack_make_no_drill() {
        let drill = |attack: &str, from: &str, at: i64| {
            arrival(format!(
                r#"{{"drill":{{"code":"1","account":"binance/alice","by":"me",{attack}"arrivals":[{{"at":{at},"from":"{from}","frame":{{}}}}]}}}}"#
            ))
        };
        let now = 1_772_442_000_000_000_000;
        let churn = r#""attack":"churn","#;
        assert!(read(&drill(churn, "binance/alice", now)).is_some());
        for (attack, from, at) in [
            (churn, "binance/bob", now),
            (churn, "kucoin/market", now),
            (churn, "operator", now),
            (churn, "clock", now),
            (churn, "respond", now),
            (churn, "binance/alice", now + 1),
            ("", "binance/alice", now),
            (r#""attack":"nuke","#, "binance/alice", now),
        ] {
            assert!(read(&drill(attack, from, at)).is_none(), "{attack} {from} {at}");
        }
    }
}
