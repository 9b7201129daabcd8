//! Lines of the user's own gateway, proxy or audit log: who used a key, from which address.
//!
//! No exchange tells this (see its absence in their fill reports), so it comes as JSON lines of software whose field
//! names differ; the usual ones are understood. The daemon's own sources (`feed/access`) hand over `account`, `ip`, `ua`,
//! `client_order_id` and `time` alone, because a raw line may carry signatures and keys in its URL.
//!
//! Three frames: a line; a line with the `mark` up to which its file was read (or a mark alone, where nothing in the file
//! concerned us); a whole request with its entries. What was taken before is not taken again.

use std::collections::BTreeMap;
use std::net::IpAddr;

use compact_str::CompactString;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::scalar::{Amiss, Object, Scalar};
use super::shape::{Heard, read, unread};
use super::unread::Unread;
use crate::arrival::{Arrival, Body, Source};
use crate::domain::{Access, AccountId, Event, EventKind, LogMark, LogProgress, LogRequest, Network, Timestamp, Venue};

/// Reads access lines; remembers how far each log was taken.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Codec {
    logs: BTreeMap<CompactString, LogProgress>,
}

/// A frame of the daemon's own sources tells under one key, which no other software uses, how far its log was taken:
/// `{"account":"binance/alice","ip":"203.0.113.7","time":1775572206250000000,"fillguard":{"mark":{"turn":1,"inode":77,
/// "offset":4711,"head_bytes":1024,"head":"9c…","last":"01…"}}}` of a tailed file, or `{"fillguard":{"request":{"key":"5f…",
/// "body":"e0…","accepted":1,"duplicates":0},"lines":[{"account":"alice","ip":"203.0.113.7"}]}}` of a request.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Frame<'a> {
    fillguard: Option<Object<Own<'a>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Own<'a> {
    mark: Option<LogMark>,
    request: Option<LogRequest>,
    lines: Option<Vec<Object<Line<'a>>>>,
}

/// A line, for instance of an nginx in front of a trading bot:
/// `{"time":"2026-04-07T14:30:06.250Z","account":"binance/alice","remote_addr":"203.0.113.7","http_user_agent":"bot/2",
/// "client_order_id":"bot-000017"}`. Of several names of one thing the first that is there counts.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Line<'a> {
    account: Scalar<'a>,
    account_name: Scalar<'a>,
    ip: Scalar<'a>,
    remote_addr: Scalar<'a>,
    client_ip: Scalar<'a>,
    source_ip: Scalar<'a>,
    ua: Scalar<'a>,
    user_agent: Scalar<'a>,
    http_user_agent: Scalar<'a>,
    client_order_id: Scalar<'a>,
    #[serde(rename = "clientOrderId")]
    client_order_id_camel: Scalar<'a>,
    #[serde(rename = "newClientOrderId")]
    new_client_order_id: Scalar<'a>,
    #[serde(rename = "clientOid")]
    client_oid: Scalar<'a>,
    time: Scalar<'a>,
    timestamp: Scalar<'a>,
    #[serde(rename = "@timestamp")]
    at_timestamp: Scalar<'a>,
    time_iso8601: Scalar<'a>,
    msec: Scalar<'a>,
    venue: Scalar<'a>,
    exchange: Scalar<'a>,
    /// What the daemon's own sources add: `{"table":"9c…","asn":64500,"operator":"Example Net","country":"DE","hosting":false}`.
    /// Other software may use the word for something else, which is then no more than a field nobody asks for.
    #[serde(borrow)]
    net: Option<&'a RawValue>,
}

/// Who operates an address, as the daemon's table told.
#[derive(Debug, Deserialize)]
struct Net {
    #[serde(rename = "table")]
    _table: CompactString,
    #[serde(default)]
    asn: Option<u32>,
    #[serde(default)]
    operator: Option<CompactString>,
    #[serde(default)]
    country: Option<CompactString>,
    #[serde(default)]
    hosting: Option<bool>,
}

/// The longest user agent that is kept, in characters.
const LONGEST_AGENT: usize = 256;
/// Logs whose progress is remembered; a configuration has a few.
const MOST_LOGS: usize = 64;

impl Codec {
    /// Returns how far each log was taken.
    pub fn logs(&self) -> &BTreeMap<CompactString, LogProgress> {
        &self.logs
    }

    /// Appends the accesses of a frame that was not taken before; a line without an address is kept, one without an
    /// account is refused.
    pub fn decode(&mut self, arrival: &Arrival, out: &mut Vec<Event>) -> Result<(), Unread> {
        let (Source::Access(log), Body::Frame(frame)) = (&arrival.from, &arrival.body) else {
            return Err(unread("an access line must be JSON"));
        };
        let Object(Frame { fillguard }): Object<Frame<'_>> = read("an access line", frame.get())?;
        let Object(Own { mark, request, lines }) = fillguard.unwrap_or_default();
        let mut heard = Heard::new(arrival, out);
        let marked = mark.is_some();
        if (marked || request.is_some()) && !self.is_new(log, mark, request, arrival.at) {
            return Ok(());
        }
        if let Some(lines) = lines {
            for Object(line) in lines {
                let access = line.access(log, arrival.at).map(|access| heard.push(EventKind::Access(access)));
                heard.row(access);
            }
            return Ok(());
        }
        let Object(line): Object<Line<'_>> = read("an access line", frame.get())?;
        if marked && told([&line.account, &line.account_name]).is_none() {
            return Ok(());
        }
        heard.push(EventKind::Access(line.access(log, arrival.at)?));
        Ok(())
    }

    /// Notes how far a log is now; returns false for what was taken before.
    fn is_new(
        &mut self,
        log: &CompactString,
        mark: Option<LogMark>,
        request: Option<LogRequest>,
        at: Timestamp,
    ) -> bool {
        if !self.logs.contains_key(log) && self.logs.len() >= MOST_LOGS {
            self.logs.pop_first();
        }
        let progress = self.logs.entry(log.clone()).or_default();
        mark.is_none_or(|mark| progress.pass(mark, at))
            && request.is_none_or(|request| progress.remember(LogRequest { at, ..request }))
    }
}

impl Line<'_> {
    fn access(&self, log: &CompactString, at: Timestamp) -> Result<Access, Unread> {
        let (venue, name) = self.whose()?;
        Ok(Access {
            log: log.clone(),
            name,
            venue,
            ip: self.address()?,
            network: self.net.and_then(|net| serde_json::from_str::<Net>(net.get()).ok()).map(|net| Network {
                asn: net.asn.filter(|asn| *asn != 0),
                operator: net.operator.as_deref().and_then(Network::operator_of),
                country: net.country.as_deref().and_then(Network::country_of),
                hosting: net.hosting,
            }),
            user_agent: told([&self.ua, &self.user_agent, &self.http_user_agent])
                .and_then(Scalar::text)
                .map(|text| text.chars().take(LONGEST_AGENT).collect()),
            client_order_id: match told([
                &self.client_order_id,
                &self.client_order_id_camel,
                &self.new_client_order_id,
                &self.client_oid,
            ]) {
                Some(id) => id.id_if_told("client_order_id")?,
                None => None,
            },
            time: match told([&self.time, &self.timestamp, &self.at_timestamp, &self.time_iso8601, &self.msec]) {
                Some(time) => instant(time).ok_or(Amiss::Time("time"))?,
                None => at,
            },
        })
    }

    /// The account may carry its exchange (`binance/alice`) or leave it to a field of its own.
    fn whose(&self) -> Result<(Option<Venue>, CompactString), Unread> {
        let whole = told([&self.account, &self.account_name]).ok_or(Amiss::Missing("account"))?.id("account")?;
        let named = |text: &str| text.to_ascii_lowercase().parse::<Venue>().map_err(|_| Amiss::Type("venue"));
        let (venue, name) = match whole.split_once('/') {
            Some((venue, name)) => (Some(named(venue)?), name),
            None => match told([&self.venue, &self.exchange]) {
                Some(venue) => (Some(named(venue.word("venue")?)?), whole.as_str()),
                None => (None, whole.as_str()),
            },
        };
        // The rule of account names holds for every exchange alike.
        let id = AccountId::new(venue.unwrap_or(Venue::Binance), name).map_err(|_| Amiss::Type("account"))?;
        Ok((venue, id.name))
    }

    /// A port is refused and not cut off, because cutting one off an IPv6 address can leave another address.
    fn address(&self) -> Result<Option<IpAddr>, Unread> {
        let Some(address) = told([&self.ip, &self.remote_addr, &self.client_ip, &self.source_ip]) else {
            return Ok(None);
        };
        let refused = || unread("the address is not a bare IPv4 or IPv6 address");
        let address: IpAddr = address.text().ok_or_else(refused)?.parse().map_err(|_| refused())?;
        Ok(Some(address.to_canonical()))
    }
}

/// Returns the first that says something; proxies write `-` or nothing for what they do not know.
fn told<'l, 'a, const N: usize>(names: [&'l Scalar<'a>; N]) -> Option<&'l Scalar<'a>> {
    names.into_iter().find(|value| !value.is_absent() && !matches!(value.text(), Some("" | "-")))
}

/// Reads RFC 3339, or a number since 1970 in any unit, with a fraction too (`$msec` of nginx is seconds with one).
fn instant(value: &Scalar<'_>) -> Option<Timestamp> {
    if let Some(at) = value.text().and_then(Timestamp::from_rfc3339) {
        return Some(at);
    }
    let number = value.amount("time").ok()?;
    let whole = Timestamp::from_magnitude(number.trunc().to_i64()?)?;
    if number.fract() == Decimal::ZERO {
        return Some(whole);
    }
    // A fraction of seconds or milliseconds; below that nobody writes one.
    let unit = if number < Decimal::from(100_000_000_000_i64) { 1_000_000_000_i64 } else { 1_000_000 };
    number.checked_mul(Decimal::from(unit))?.trunc().to_i64().map(Timestamp::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(json: &str) -> Result<Access, String> {
        let arrival = Arrival {
            n: 7,
            at: Timestamp::from_millis(1_775_572_206_000),
            from: "access/gateway".parse().unwrap(),
            body: Body::from_text(json.into()),
        };
        let mut out = Vec::new();
        Codec::default().decode(&arrival, &mut out).map_err(|why| why.to_string())?;
        let EventKind::Access(access) = out.pop().unwrap().kind else { panic!("not an access") };
        Ok(access)
    }

    #[test]
    fn a_line_is_read_by_the_usual_names() {
        let access = line(
            r#"{"time":"2026-04-07T14:30:06.250Z","account":"binance/alice","remote_addr":"203.0.113.7",
                "http_user_agent":"bot/2","client_order_id":"bot-17","status":200}"#,
        )
        .unwrap();
        assert_eq!(
            (access.log.as_str(), access.name.as_str(), access.venue),
            ("gateway", "alice", Some(Venue::Binance))
        );
        assert_eq!(access.ip, Some("203.0.113.7".parse().unwrap()));
        assert_eq!((access.user_agent.as_deref(), access.client_order_id.as_deref()), (Some("bot/2"), Some("bot-17")));
        assert_eq!(access.time.nanos() % 1_000_000_000, 250_000_000);
        let other =
            line(r#"{"account":"alice","exchange":"KuCoin","ip":"-","remote_addr":"::ffff:203.0.113.7"}"#).unwrap();
        assert_eq!((other.venue, other.ip), (Some(Venue::Kucoin), access.ip), "a mapped address is the IPv4 one");
        assert_eq!(other.time, Timestamp::from_millis(1_775_572_206_000), "else the arrival's time");
    }

    #[test]
    fn a_time_is_read_in_every_unit() {
        let nanos = |time: &str| line(&format!(r#"{{"account":"a","time":{time}}}"#)).map(|access| access.time.nanos());
        for time in ["1775572206250", "1775572206.250", "\"1775572206.250\"", "1775572206250000000", "1775572206250.0"]
        {
            assert_eq!(nanos(time), Ok(1_775_572_206_250_000_000), "{time}");
        }
        assert_eq!(nanos("\"yesterday\"").unwrap_err(), "`time` is not a time");
    }

    #[test]
    fn a_line_that_cannot_be_used_is_refused_without_its_content() {
        for (json, why) in [
            (r#"{"account":"alice","ip":"203.0.113.7:4711"}"#, "the address"),
            (r#"{"account":"alice","ip":"[2001:db8::1]:443"}"#, "the address"),
            (r#"{"account":"alice","ip":"hunter2"}"#, "the address"),
            (r#"{"account":"alice","ip":17}"#, "the address"),
            (r#"{"ip":"203.0.113.7"}"#, "`account` is missing"),
            (r#"{"account":"hunter2/alice"}"#, "`venue`"),
            (r#"{"account":"binance/hunter2/x"}"#, "`account`"),
            (r#"["hunter2"]"#, "an access line"),
            ("hunter2", "an access line must be JSON"),
        ] {
            let refused = line(json).unwrap_err();
            assert!(refused.contains(why) && !refused.contains("hunter2"), "{json}: {refused}");
        }
        assert_eq!(line(r#"{"account":"alice"}"#).unwrap().ip, None, "no address is no evidence, and no error");
        assert_eq!(line(r#"{"account":"alice","ip":"2001:db8::1"}"#).unwrap().ip, Some("2001:db8::1".parse().unwrap()));
    }

    fn all(codec: &mut Codec, n: u64, json: &str) -> Vec<EventKind> {
        let at = Timestamp::from_millis(1_775_572_206_000);
        let arrival = Arrival { n, at, from: "access/gateway".parse().unwrap(), body: Body::from_text(json.into()) };
        let mut out = Vec::new();
        codec.decode(&arrival, &mut out).unwrap();
        out.into_iter().map(|event| event.kind).collect()
    }

    #[test]
    fn a_line_that_was_passed_is_not_taken_again_and_a_mark_alone_is_no_line() {
        let mut codec = Codec::default();
        let line = |turn: u64, offset: u64| {
            format!(
                r#"{{"account":"alice","ip":"203.0.113.7","fillguard":{{"mark":{{"turn":{turn},"inode":5,
                "offset":{offset},"head_bytes":10,"head":"aa","last":"bb"}}}}}}"#
            )
        };
        let begin = r#"{"fillguard":{"mark":{"turn":1,"inode":5,"offset":0,"head_bytes":0,"head":"","last":""}}}"#;
        assert_eq!(all(&mut codec, 1, begin), []);
        assert_eq!(all(&mut codec, 2, &line(1, 40)).len(), 1);
        assert_eq!(all(&mut codec, 3, &line(1, 40)).len(), 0);
        assert_eq!(all(&mut codec, 4, &line(2, 10)).len(), 1);
        assert_eq!(all(&mut codec, 5, &line(1, 80)).len(), 0);
        let kept = codec.logs()["gateway"].mark.clone().unwrap();
        assert_eq!((kept.turn, kept.offset, kept.inode), (2, 10, 5));
        let bytes = postcard::to_stdvec(&codec).unwrap();
        let read: Codec = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(read.logs(), codec.logs());
    }

    #[test]
    fn a_request_is_taken_whole_and_once() {
        let mut codec = Codec::default();
        let request = r#"{"fillguard":{"request":{"key":"k","body":"b","accepted":2,"duplicates":1},
            "lines":[{"account":"alice","ip":"203.0.113.7"},{"ip":"203.0.113.8"},{"account":"bob"}]}}"#;
        let kinds = all(&mut codec, 1, request);
        assert!(matches!(kinds[..], [EventKind::Access(_), EventKind::Feed(_), EventKind::Access(_)]), "{kinds:?}");
        assert_eq!(all(&mut codec, 2, request), []);
        let kept = &codec.logs()["gateway"].requests[0];
        assert_eq!((kept.accepted, kept.duplicates, kept.at.millis()), (2, 1, 1_775_572_206_000));
        let bare = r#"{"fillguard":{"lines":[{"account":"alice"}]}}"#;
        assert_eq!(
            (all(&mut codec, 3, bare).len(), all(&mut codec, 4, bare).len()),
            (1, 1),
            "without a key nobody asks"
        );
    }
}
