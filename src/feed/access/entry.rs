//! What is handed over of a use of a key: who, from where, with what, for which order, when; and nothing else.
//!
//! A raw line may carry signatures and keys in its URL. Here every value is checked for being what it is called, so
//! that a field named wrongly in the configuration cannot carry them into the journal either.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use compact_str::CompactString;
use serde::Serialize;
use serde_json::value::RawValue;

use super::flaw::Flaw;
use crate::domain::{AccountId, Network, Span, Timestamp};
use crate::networks::Networks;

/// One use of a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Entry {
    /// Whose key, as configured: `alice` or `binance/alice`.
    pub account: CompactString,
    /// From which address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<IpAddr>,
    /// Who operates the address, as the table told at that time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub net: Option<Net>,
    /// With which program.
    #[serde(rename = "ua", skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<CompactString>,
    /// For which order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_order_id: Option<CompactString>,
    /// When, where it was told; nanoseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
}

/// Who operates an address, and which table told so. It goes into the journal with the line, so that a replay needs no
/// table and judges as the daemon did, whatever tables say later.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Net {
    /// What tells the table from others.
    pub table: CompactString,
    #[serde(skip_serializing_if = "Option::is_none")]
    asn: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operator: Option<CompactString>,
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<CompactString>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hosting: Option<bool>,
}

/// Which accounts a source may speak of, and how it names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whose {
    /// Watched accounts: `binance/alice` and `alice`.
    known: BTreeSet<CompactString>,
    /// What the source calls them, besides their names.
    aliases: BTreeMap<String, CompactString>,
    /// The account of every line.
    fixed: Option<CompactString>,
}

/// The longest user agent that is handed over, in characters.
const LONGEST_AGENT: usize = 256;
/// The longest client order id, in bytes.
const LONGEST_ID: usize = 128;
/// Words that no program's name has and a signed address does.
const TELLTALE: [&str; 6] = ["signature", "secret", "passphrase", "token=", "key=", "sign="];

impl Whose {
    /// Takes the watched accounts.
    pub fn of<'a>(accounts: impl IntoIterator<Item = &'a AccountId>) -> Self {
        let mut whose = Whose::default();
        whose.know(accounts);
        whose
    }

    /// Takes the accounts that are watched from now on, in the place of the former.
    pub fn know<'a>(&mut self, accounts: impl IntoIterator<Item = &'a AccountId>) {
        let known = accounts.into_iter().flat_map(|id| [CompactString::from(id.to_string()), id.name.clone()]);
        self.known = known.collect();
    }

    /// Says that the source calls an account so; returns false when that account is not watched.
    pub fn alias(&mut self, name: String, account: &str) -> bool {
        let known = self.known.contains(account);
        self.aliases.insert(name, account.into());
        known
    }

    /// Says that every line is of this account; returns false when it is not watched.
    pub fn fix(&mut self, account: &str) -> bool {
        self.fixed = Some(account.into());
        self.known.contains(account)
    }

    /// Returns the account of every line, where there is one.
    pub fn fixed(&self) -> Option<&CompactString> {
        self.fixed.as_ref()
    }

    /// Returns the account that the source calls so.
    pub fn account(&self, name: &str) -> Option<&CompactString> {
        self.aliases.get(name).or_else(|| self.known.get(name))
    }
}

impl Entry {
    /// Looks up who operates its address.
    pub(super) fn located(mut self, networks: &Networks) -> Entry {
        let told = self.ip.and_then(|ip| networks.of(ip)).zip(networks.hash().cloned());
        self.net = told.map(|(Network { asn, operator, country, hosting }, table)| Net {
            table,
            asn,
            operator,
            country,
            hosting,
        });
        self
    }

    /// Returns it as a frame, with what its source tells of itself.
    pub fn frame(&self, own: &impl Serialize) -> Result<Box<RawValue>, serde_json::Error> {
        #[derive(Serialize)]
        struct Frame<'a, O> {
            #[serde(flatten)]
            entry: &'a Entry,
            fillguard: &'a O,
        }
        serde_json::value::to_raw_value(&Frame { entry: self, fillguard: own })
    }
}

/// Reads an address: bare, with a port, or the last of a list, because the others of `X-Forwarded-For` can be forged.
pub(super) fn address(text: &str) -> Result<Option<IpAddr>, Flaw> {
    let last = text.rsplit(',').next().unwrap_or_default().trim();
    if last.is_empty() || last == "-" {
        return Ok(None);
    }
    let bare = last.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(last);
    let ip = bare.parse::<IpAddr>().or_else(|_| last.parse::<SocketAddr>().map(|address| address.ip()));
    ip.map(|ip| Some(ip.to_canonical())).map_err(|_| Flaw::Address)
}

/// Reads a program's name, cut when long; one that looks like a signed address is left out.
pub(super) fn agent(text: &str) -> Option<CompactString> {
    let lower = text.to_ascii_lowercase();
    let fine = !text.is_empty() && text != "-" && !TELLTALE.iter().any(|word| lower.contains(word));
    fine.then(|| text.chars().filter(|c| !c.is_control()).take(LONGEST_AGENT).collect())
}

/// Reads a client order id: what could be a part of an address or a sentence is none.
pub(super) fn order_id(text: &str) -> Result<Option<CompactString>, Flaw> {
    if text.is_empty() || text == "-" {
        return Ok(None);
    }
    let fine = text.len() <= LONGEST_ID && text.chars().all(|c| c.is_ascii_graphic() && !"?&=\"\\<>".contains(c));
    if fine { Ok(Some(text.into())) } else { Err(Flaw::OrderId) }
}

/// Reads a time: RFC 3339, a web server's `07/Apr/2026:14:30:06 +0200`, or a number since 1970 in any unit, with a
/// fraction or without. A time without its zone is none.
pub(super) fn time(text: &str) -> Result<Option<Timestamp>, Flaw> {
    if text.is_empty() || text == "-" {
        return Ok(None);
    }
    let server = || jiff::Timestamp::strptime("%d/%b/%Y:%H:%M:%S %z", text).ok();
    let server = || server().and_then(|at| i64::try_from(at.as_nanosecond()).ok()).map(Timestamp::from_nanos);
    number(text).or_else(|| Timestamp::from_rfc3339(text)).or_else(server).map(Some).ok_or(Flaw::Time)
}

fn number(text: &str) -> Option<Timestamp> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let whole: i64 = whole.parse().ok()?;
    let at = Timestamp::from_magnitude(whole)?;
    // One unit of the whole number, in nanoseconds.
    let unit = at.nanos() / whole;
    let parts = fraction.bytes().take(9).fold((0_i64, unit), |(sum, unit), digit| {
        let unit = unit / 10;
        (sum + i64::from(digit - b'0') * unit, unit)
    });
    Some(at + Span::from_nanos(parts.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_bare_with_a_port_and_as_the_last_of_a_list() {
        for (text, ip) in [
            ("203.0.113.7", "203.0.113.7"),
            ("203.0.113.7:4711", "203.0.113.7"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("[::ffff:203.0.113.7]:1", "203.0.113.7"),
            ("10.0.0.1, 198.51.100.4, 203.0.113.7", "203.0.113.7"),
        ] {
            assert_eq!(address(text), Ok(Some(ip.parse().unwrap())), "{text}");
        }
        assert_eq!((address("-"), address("")), (Ok(None), Ok(None)));
        for bad in ["unix:", "localhost", "203.0.113", "203.0.113.7:", "fe80::1%eth0", "203.0.113.7 x"] {
            assert_eq!(address(bad), Err(Flaw::Address), "{bad}");
        }
    }

    #[test]
    fn a_time_is_read_as_software_writes_it() {
        let nanos = |text: &str| time(text).map(|at| at.unwrap().nanos());
        for text in [
            "2026-04-07T14:30:06.25Z",
            "2026-04-07T16:30:06.250+02:00",
            "1775572206.250",
            "1775572206250",
            "1775572206250.0",
            "1775572206250000000",
        ] {
            assert_eq!(nanos(text), Ok(1_775_572_206_250_000_000), "{text}");
        }
        assert_eq!(nanos("07/Apr/2026:16:30:06 +0200"), Ok(1_775_572_206_000_000_000));
        assert_eq!(nanos("1775572206.123456789123"), Ok(1_775_572_206_123_456_789));
        for bad in ["yesterday", "2026-04-07 14:30:06", "1.2.3", ".5", "0", "-5", "99999999999999999999", "é"] {
            assert_eq!(time(bad), Err(Flaw::Time), "{bad}");
        }
    }

    #[test]
    fn what_could_be_a_signed_address_is_neither_an_order_nor_a_program() {
        let request = "POST /api/v3/order?symbol=A&signature=hunter2 HTTP/1.1";
        assert_eq!(order_id(request), Err(Flaw::OrderId));
        assert_eq!(agent(request), None);
        assert_eq!(order_id("x-U5D79M5B1a2b:3/c.d_e"), Ok(Some("x-U5D79M5B1a2b:3/c.d_e".into())));
        assert_eq!(order_id("a=b"), Err(Flaw::OrderId));
        assert_eq!(order_id(&"x".repeat(129)), Err(Flaw::OrderId));
        assert_eq!(agent("bot/2 (linux; \u{7}x)"), Some("bot/2 (linux; x)".into()));
        assert_eq!(agent(&"é".repeat(999)).unwrap().chars().count(), LONGEST_AGENT);
    }

    #[test]
    fn an_account_is_known_by_its_name_or_an_alias() {
        let ids: Vec<AccountId> = ["binance/alice", "kucoin/bob"].iter().map(|id| id.parse().unwrap()).collect();
        let mut whose = Whose::of(&ids);
        assert!(whose.alias("desk 1".into(), "alice") && !whose.alias("desk 2".into(), "carol"));
        for (name, account) in [("alice", "alice"), ("binance/alice", "binance/alice"), ("desk 1", "alice")] {
            assert_eq!(whose.account(name).unwrap(), account);
        }
        assert_eq!((whose.account("Alice"), whose.account("kucoin/alice")), (None, None));
    }
}
