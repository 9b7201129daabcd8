//! The body of a post: entries as documented, or what is wrong with each; all are taken or none.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::entry::{self, Entry, Whose};
use super::flaw::Flaw;

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One JSON object, or an array of them.
    Json,
    /// One JSON object a line.
    Lines,
}

/// Entries to be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    /// Each once.
    pub(super) entries: Vec<Entry>,
    /// How many said what an earlier one says.
    pub(super) duplicates: u32,
}

/// Why none is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The body is no JSON.
    Unreadable(String),
    /// More entries than are taken at once.
    TooMany(usize),
    /// Entries that are wrong, by their place from 0.
    Entries(Vec<(usize, String)>),
}

/// Reads a body of at most `most` entries.
pub(super) fn read(kind: Kind, body: &[u8], whose: &Whose, most: usize) -> Result<Batch, Refusal> {
    let values = match kind {
        Kind::Json => match serde_json::from_slice::<Value>(body).map_err(|error| unreadable(&error, 1))? {
            Value::Array(values) => values,
            one @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => vec![one],
        },
        Kind::Lines => {
            let lines = body.split(|byte| *byte == b'\n').enumerate();
            let lines = lines.filter(|(_, line)| !line.iter().all(u8::is_ascii_whitespace));
            let parsed = lines
                .take(most + 1)
                .map(|(place, line)| serde_json::from_slice(line).map_err(|error| unreadable(&error, place + 1)));
            parsed.collect::<Result<Vec<Value>, Refusal>>()?
        }
    };
    if values.len() > most {
        return Err(Refusal::TooMany(most));
    }
    let (mut entries, mut wrong) = (Vec::with_capacity(values.len()), Vec::new());
    let (mut seen, mut duplicates) = (BTreeSet::new(), 0);
    for (place, value) in values.iter().enumerate() {
        match one(value, whose) {
            Err(reason) => wrong.push((place, reason)),
            Ok(entry) if seen.insert(entry.clone()) => entries.push(entry),
            Ok(_) => duplicates += 1,
        }
    }
    if wrong.is_empty() { Ok(Batch { entries, duplicates }) } else { Err(Refusal::Entries(wrong)) }
}

/// Says where; what stands there is not repeated.
fn unreadable(error: &serde_json::Error, line: usize) -> Refusal {
    let line = line + error.line().max(1) - 1;
    Refusal::Unreadable(format!("the body is not JSON at line {line}, column {}", error.column()))
}

fn one(value: &Value, whose: &Whose) -> Result<Entry, String> {
    const KNOWN: [&str; 5] = ["account", "ip", "user_agent", "client_order_id", "time"];
    let object = value.as_object().ok_or("must be an object")?;
    if object.keys().any(|key| !KNOWN.contains(&key.as_str())) {
        return Err(format!("has a field that is not known; known are {}", KNOWN.join(", ")));
    }
    let account = match (text(object, "account")?, whose.fixed()) {
        (Some(name), _) => whose.account(name).ok_or("account: is not watched; name one as fillguard does")?,
        (None, Some(fixed)) => fixed,
        (None, None) => return Err("account: is missing".to_owned()),
    };
    let told = |key: &str, flaw: Flaw| match flaw {
        Flaw::Time => format!("{key}: must be RFC 3339 with its zone, or a number since 1970"),
        Flaw::Address => format!("{key}: is not an IPv4 or IPv6 address"),
        Flaw::OrderId => format!("{key}: is not a client order id"),
        Flaw::Json | Flaw::Form | Flaw::Ambiguous | Flaw::NoAccount | Flaw::Stranger | Flaw::TooLong | Flaw::Torn => {
            format!("{key}: {flaw}")
        }
    };
    let agent = match text(object, "user_agent")? {
        None | Some("" | "-") => None,
        Some(text) => Some(entry::agent(text).ok_or("user_agent: looks like a signed address")?),
    };
    let number;
    let time = match object.get("time") {
        Some(Value::Number(given)) => {
            number = given.to_string();
            number.as_str()
        }
        _ => text(object, "time")?.unwrap_or_default(),
    };
    Ok(Entry {
        net: None,
        account: account.clone(),
        ip: entry::address(text(object, "ip")?.unwrap_or_default()).map_err(|flaw| told("ip", flaw))?,
        user_agent: agent,
        client_order_id: entry::order_id(text(object, "client_order_id")?.unwrap_or_default())
            .map_err(|flaw| told("client_order_id", flaw))?,
        time: entry::time(time).map_err(|flaw| told("time", flaw))?,
    })
}

fn text<'v>(object: &'v Map<String, Value>, key: &str) -> Result<Option<&'v str>, String> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Err(format!("{key}: must be a text"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::AccountId;

    fn whose() -> Whose {
        let ids: Vec<AccountId> = vec!["binance/alice".parse().unwrap()];
        Whose::of(&ids)
    }

    fn wrong(body: &str) -> Vec<(usize, String)> {
        match read(Kind::Json, body.as_bytes(), &whose(), 10) {
            Err(Refusal::Entries(wrong)) => wrong,
            other => panic!("{body}: {other:?}"),
        }
    }

    #[test]
    fn one_a_list_and_lines_are_taken_and_a_repeated_entry_once() {
        let one =
            r#"{"account":"alice","ip":"203.0.113.7","user_agent":"bot","client_order_id":"b-1","time":1775572206250}"#;
        let other = r#"{"account":"binance/alice","time":"2026-04-07T14:30:06Z"}"#;
        let count = |kind, body: String| {
            let batch = read(kind, body.as_bytes(), &whose(), 10).unwrap();
            (batch.entries.len(), batch.duplicates)
        };
        assert_eq!(count(Kind::Json, one.to_owned()), (1, 0));
        assert_eq!(count(Kind::Json, format!("[{one},{other},{one}]")), (2, 1));
        assert_eq!(count(Kind::Lines, format!("{one}\r\n\n{other}\n{one}\n")), (2, 1));
        assert_eq!(count(Kind::Json, "[]".to_owned()), (0, 0));
    }

    #[test]
    fn what_is_wrong_is_told_by_its_place_and_never_by_its_content() {
        for (entry, why) in [
            ("17", "must be an object"),
            ("{}", "account: is missing"),
            (r#"{"account":"hunter2"}"#, "account: is not watched"),
            (r#"{"account":"alice","hunter2":1}"#, "not known; known are account, ip"),
            (r#"{"account":"alice","ip":"hunter2"}"#, "ip: is not an"),
            (r#"{"account":"alice","ip":17}"#, "ip: must be a text"),
            (r#"{"account":"alice","time":"hunter2"}"#, "time: must be RFC 3339"),
            (r#"{"account":"alice","client_order_id":"hunter2 x"}"#, "client_order_id: is not"),
            (r#"{"account":"alice","user_agent":"/?signature=hunter2"}"#, "user_agent: looks like"),
        ] {
            let told = wrong(&format!(r#"[{{"account":"alice"}},{entry}]"#));
            assert_eq!((told.len(), told[0].0), (1, 1), "{entry}");
            assert!(told[0].1.contains(why) && !told[0].1.contains("hunter2"), "{told:?}");
        }
        for (kind, body) in [(Kind::Json, "{\"account\": hunter2"), (Kind::Lines, "{\"account\":\"alice\"}\nhunter2")] {
            let Err(Refusal::Unreadable(why)) = read(kind, body.as_bytes(), &whose(), 10) else { panic!("{body}") };
            assert!(why.contains("column") && !why.contains("hunter2"), "{why}");
        }
        let many = format!("[{}]", [r#"{"account":"alice"}"#; 11].join(","));
        assert_eq!(read(Kind::Json, many.as_bytes(), &whose(), 10), Err(Refusal::TooMany(10)));
    }
}
