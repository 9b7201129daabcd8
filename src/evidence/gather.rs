//! Collects the frames that an incident rests on, and says in words what they tell.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rust_decimal::Decimal;

use super::record::{AnswerRow, FillRow, GapRow, HistoryRow, KeyRow, OrderRow, Record, SegmentRow, Sent, UseRow};
use crate::arrival::{Arrival, Body, Source};
use crate::codec::{self, Codecs};
use crate::domain::{
    Access, AccountId, Event, EventKind, FeedKind, Incident, MarketKind, Restriction, Side, Span, Symbol, Timestamp,
    WhichKey,
};
use crate::journal::{Header, ReadError, Reader, Recorder, Segment, segments};
use crate::response::Case;
use crate::store::{Answer, Step};

/// Lines of one piece of evidence; of more the last are left out and counted.
const MOST_LINES: usize = 200_000;
/// Market frames of the incident's pair that are kept.
const MOST_MARKET: usize = 5_000;
/// How far around a finding the pair's market is kept.
const AROUND: Span = Span::from_secs(180);

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The incident as it stands.
    pub incident: Incident,
    /// What became of it.
    pub history: Vec<Step>,
    /// What people said of it.
    pub answers: Vec<Answer>,
    /// What was done about the key.
    pub response: Option<Case>,
    /// The journal's folder.
    pub journal: PathBuf,
    /// How the codecs read.
    pub codec: codec::Settings,
    /// How long before the incident frames are kept.
    pub before: Span,
    /// How long after it.
    pub after: Span,
    /// The time zone's name.
    pub zone: String,
    /// Now.
    pub now: Timestamp,
}

/// Why nothing could be collected.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] ReadError),
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The journal has no frames of that time.
    #[error("the journal in {0} has no frames of that time any more; restore it from a backup")]
    Empty(PathBuf),
}

/// Collects; returns what is told, and the frames as a sealed recording.
pub fn gather(asked: Asked) -> Result<(Record, Vec<u8>), Error> {
    let incident = &asked.incident;
    let since = incident.opened - asked.before;
    let until = (incident.closed.unwrap_or(incident.last) + asked.after).min(asked.now);
    let found = segments(&asked.journal).map_err(|source| Error::File { path: asked.journal.clone(), source })?;
    let mut pile = Pile::new(incident, &asked.codec);
    let mut used = Vec::new();
    for (place, segment) in found.iter().enumerate() {
        // One that ends before the time is not opened; where the next begins is where it ends.
        let next = found.get(place + 1).and_then(|next| Reader::open(&next.path).ok());
        if next.is_some_and(|next| next.header().created < since) {
            continue;
        }
        let reader = Reader::open(&segment.path)?;
        if reader.header().created > until {
            break;
        }
        let before = pile.kept.len();
        for arrival in reader {
            // A torn or altered line ends this file, and the segment's row says so.
            let Ok(arrival) = arrival else { break };
            if arrival.at > until {
                break;
            }
            if arrival.at >= since {
                pile.take(arrival);
            }
        }
        if pile.kept.len() > before {
            used.push(row(segment)?);
        }
    }
    if pile.kept.is_empty() {
        return Err(Error::Empty(asked.journal));
    }
    pile.record(asked, since, until, used)
}

/// What is kept of the arrivals.
struct Pile {
    account: AccountId,
    symbols: BTreeSet<Symbol>,
    judged: BTreeSet<String>,
    findings: Vec<Timestamp>,
    codecs: Codecs,
    kept: Vec<Arrival>,
    market: usize,
    left_out: u64,
    fills: Vec<FillRow>,
    uses: Vec<UseRow>,
    keys: Vec<KeyRow>,
    gaps: Vec<GapRow>,
}

impl Pile {
    fn new(incident: &Incident, settings: &codec::Settings) -> Self {
        let findings = &incident.findings;
        Pile {
            account: incident.account.clone(),
            symbols: findings.iter().filter_map(|finding| finding.symbol.clone()).collect(),
            judged: findings.iter().flat_map(|finding| finding.orders.iter().map(ToString::to_string)).collect(),
            findings: findings.iter().map(|finding| finding.at).collect(),
            codecs: Codecs::new(settings),
            kept: Vec::new(),
            market: 0,
            left_out: 0,
            fills: Vec::new(),
            uses: Vec::new(),
            keys: Vec::new(),
            gaps: Vec::new(),
        }
    }

    fn take(&mut self, arrival: Arrival) {
        let mut events = Vec::new();
        self.codecs.decode(&arrival, &mut events);
        if !self.concerns(&arrival, &events) {
            return;
        }
        if self.kept.len() >= MOST_LINES {
            self.left_out += 1;
            return;
        }
        let frame = self.kept.len() as u64 + 1;
        let strangers = events.iter().any(|event| {
            matches!(&event.kind, EventKind::Leaks(_))
                || matches!(&event.kind, EventKind::Access(used) if !self.is_ours(used))
        });
        for event in events {
            self.note(frame, event);
        }
        self.kept.push(if strangers { self.without_strangers(arrival) } else { arrival });
    }

    fn is_ours(&self, used: &Access) -> bool {
        used.name == self.account.name && used.venue.is_none_or(|venue| venue == self.account.venue)
    }

    /// Says whether a leak mode is on for our account, as far as it tells: which accounts carry a tag it does not.
    fn may_concern(&self, mode: &serde_json::Value) -> bool {
        let is = |key: &str, ours: String| mode.get(key).and_then(|told| told.as_str()).is_none_or(|told| told == ours);
        is("account", self.account.to_string()) && is("venue", self.account.venue.to_string())
    }

    /// Returns a request of an access log, or a switch of leak modes, with what is about us alone: it says how many it
    /// leaves out, and what is about other accounts is nobody's business who reads this.
    fn without_strangers(&self, arrival: Arrival) -> Arrival {
        let Body::Frame(frame) = &arrival.body else { return arrival };
        let told: serde_json::Value = serde_json::from_str(frame.get()).unwrap_or_default();
        if let Some(modes) = told.get("leak_mode").and_then(|modes| modes.as_array()) {
            let ours: Vec<_> = modes.iter().filter(|mode| self.may_concern(mode)).collect();
            if ours.len() == modes.len() {
                return arrival;
            }
            let left_out = modes.len() - ours.len();
            let text = serde_json::json!({ "leak_mode": ours, "about_others_left_out": left_out });
            return Arrival { body: Body::from_text(text.to_string()), ..arrival };
        }
        let lines = told.pointer("/fillguard/lines").and_then(|lines| lines.as_array()).cloned().unwrap_or_default();
        let all = lines.len();
        let ours: Vec<serde_json::Value> = lines
            .into_iter()
            .filter(|line| {
                let single = Arrival { body: Body::from_text(line.to_string()), ..arrival.clone() };
                let mut events = Vec::new();
                Codecs::new(&codec::Settings::default()).decode(&single, &mut events);
                events.iter().any(|event| matches!(&event.kind, EventKind::Access(used) if self.is_ours(used)))
            })
            .collect();
        let left_out = all - ours.len();
        let text = serde_json::json!({ "fillguard": { "lines": ours }, "about_others_left_out": left_out });
        Arrival { body: Body::from_text(text.to_string()), ..arrival }
    }

    fn concerns(&mut self, arrival: &Arrival, events: &[Event]) -> bool {
        match &arrival.from {
            Source::Account(account)
            | Source::AccountRest(account)
            | Source::Wallet(account, _)
            | Source::WalletRest(account, _) => *account == self.account,
            Source::Access(_) => {
                events.iter().any(|event| matches!(&event.kind, EventKind::Access(used) if self.is_ours(used)))
            }
            Source::Respond => {
                let Body::Frame(frame) = &arrival.body else { return false };
                let told: serde_json::Value = serde_json::from_str(frame.get()).unwrap_or_default();
                told.get("account").and_then(|account| account.as_str()) == Some(&self.account.to_string())
            }
            Source::Operator => {
                let Body::Frame(frame) = &arrival.body else { return false };
                let told: serde_json::Value = serde_json::from_str(frame.get()).unwrap_or_default();
                // What was acted out never happened.
                if told.get("drill").is_some_and(|drill| drill.get("attack").is_some()) {
                    return false;
                }
                let ours = self.account.to_string();
                if let Some(modes) = told.get("leak_mode").and_then(|modes| modes.as_array()) {
                    return modes.is_empty() || modes.iter().any(|mode| self.may_concern(mode));
                }
                // What was said of other accounts is nobody's business who reads this.
                let whose =
                    ["answer", "drill", "leak"].iter().find_map(|kind| told.get(kind)?.get("account")?.as_str());
                whose.is_none_or(|whose| whose.split(' ').next() == Some(&ours))
            }
            Source::Market(venue)
            | Source::MarketRest(venue)
            | Source::FuturesMarket(venue)
            | Source::FuturesMarketRest(venue) => {
                let near = self.findings.iter().any(|at| *at - AROUND <= arrival.at && arrival.at <= *at + AROUND);
                let ours = *venue == self.account.venue
                    && near
                    && self.market < MOST_MARKET
                    && events.iter().any(|event| {
                        let EventKind::Market(market) = &event.kind else { return false };
                        self.symbols.contains(&market.symbol) && matches!(market.kind, MarketKind::Trade { .. })
                    });
                self.market += usize::from(ours);
                ours
            }
            Source::MarketCap(_) | Source::Clock => false,
        }
    }

    fn note(&mut self, frame: u64, event: Event) {
        match event.kind {
            EventKind::Fill(fill) => self.fills.push(FillRow {
                frame,
                at: event.at,
                time: fill.time,
                symbol: fill.symbol.to_string(),
                side: word(fill.side),
                price: fill.price.get(),
                quantity: fill.quantity.get(),
                notional: fill.notional,
                judged: self.judged.contains(fill.order_id.as_str()),
                order_id: fill.order_id.to_string(),
                trade_id: fill.trade_id.map(Into::into),
                client_order_id: fill.client_order_id.map(Into::into),
            }),
            EventKind::Access(used) if !self.is_ours(&used) => {}
            EventKind::Access(used) => self.uses.push(UseRow {
                frame,
                time: used.time,
                log: used.log.to_string(),
                address: used.ip.map(|ip| ip.to_string()),
                agent: used.user_agent.map(Into::into),
                client_order_id: used.client_order_id.map(Into::into),
            }),
            EventKind::KeyState(state) => self.keys.push(KeyRow {
                frame,
                at: event.at,
                key: match &state.key {
                    WhichKey::Own(Some(key)) => format!("the watching key ({key})"),
                    WhichKey::Own(None) => "the watching key".to_owned(),
                    WhichKey::Listed(key) => {
                        let holder = state.holder.as_ref().map(|holder| format!(" of {holder}")).unwrap_or_default();
                        format!("key {key}{holder}")
                    }
                },
                rights: state.rights.iter().filter(|(_, on)| **on).map(|(right, _)| right.to_string()).collect(),
                addresses: match state.restriction {
                    None => "not told".to_owned(),
                    Some(Restriction::Open) => "any".to_owned(),
                    Some(Restriction::Listed(None)) => "a list that is not shown".to_owned(),
                    Some(Restriction::Listed(Some(list))) => list.join(", "),
                },
                created: state.created,
            }),
            EventKind::Feed(change) => {
                let what = match &change.kind {
                    FeedKind::Down(why) => format!("the connection was lost: {why}"),
                    FeedKind::Up => "the connection is up".to_owned(),
                    FeedKind::GapFilled { since, until, recovered, verified, .. } => {
                        let verified = if *verified { "verified" } else { "NOT verified" };
                        format!("{since} to {until} was asked for: {recovered} fills recovered, {verified}")
                    }
                    FeedKind::Refused { .. } => "the exchange refused the key".to_owned(),
                    FeedKind::ClosingSoon
                    | FeedKind::Ended(_)
                    | FeedKind::Skipped { .. }
                    | FeedKind::Unreadable(_)
                    | FeedKind::Unknown(_) => return,
                };
                self.gaps.push(GapRow { frame, at: event.at, what });
            }
            EventKind::Confirmed(_)
            | EventKind::Order(_)
            | EventKind::Balance(_)
            | EventKind::KeyList(_)
            | EventKind::Market(_)
            | EventKind::Cap(_)
            | EventKind::Leaks(_)
            | EventKind::Answer(_)
            | EventKind::Drill(_)
            | EventKind::Tick => {}
        }
    }

    fn record(
        mut self,
        asked: Asked,
        since: Timestamp,
        until: Timestamp,
        segments: Vec<SegmentRow>,
    ) -> Result<(Record, Vec<u8>), Error> {
        self.fills.sort_by(|a, b| a.time.cmp(&b.time).then_with(|| a.frame.cmp(&b.frame)));
        let orders = self.orders();
        let (mut spent, mut received): (BTreeMap<String, Decimal>, BTreeMap<String, Decimal>) = Default::default();
        for fill in self.fills.iter().filter(|fill| fill.judged) {
            let quote = fill.symbol.rsplit('-').next().unwrap_or_default().to_owned();
            let pot = if fill.side == "buy" { &mut spent } else { &mut received };
            let sum = pot.entry(quote).or_default();
            *sum = sum.checked_add(fill.notional).unwrap_or(*sum);
        }
        let journal_numbers = self.kept.iter().map(|arrival| arrival.n).collect();
        let note = format!(
            "frames about {} taken from a fillguard journal; numbered anew, `report.json` has the journal's numbers",
            asked.incident.id
        );
        let header = Header::recording(asked.now).with_note(note);
        let write = |source| Error::File { path: "frames.ndjson".into(), source };
        let mut recorder = Recorder::new(Vec::new(), &header, true).map_err(write)?;
        for (place, arrival) in self.kept.into_iter().enumerate() {
            recorder.write(Arrival { n: place as u64 + 1, ..arrival }).map_err(write)?;
        }
        let frames = recorder.finish().map_err(write)?;
        let history = asked.history.iter().map(|step| HistoryRow {
            at: step.at,
            transition: step.transition.as_str(),
            rule: step.finding.as_ref().map(|finding| finding.rule.to_string()),
            told: step.message.as_ref().map(|message| message.headline.clone()),
        });
        let answers = asked.answers.iter().map(|answer| AnswerRow {
            at: answer.at,
            by: answer.by.to_string(),
            said: answer.verdict.as_str(),
        });
        let told = asked.history.iter().rev().find_map(|step| step.message.as_ref());
        let record = Record {
            fillguard: env!("CARGO_PKG_VERSION"),
            made: asked.now,
            zone: asked.zone,
            history: history.collect(),
            answers: answers.collect(),
            reasons: told.map(|message| message.facts.clone()).unwrap_or_default(),
            incident: asked.incident,
            since,
            until,
            fills: self.fills,
            orders,
            uses: self.uses,
            keys: self.keys,
            gaps: self.gaps,
            spent,
            received,
            response: asked.response,
            journal_numbers,
            left_out: self.left_out,
            segments,
        };
        Ok((record, frames))
    }

    fn orders(&self) -> Vec<OrderRow> {
        let mut orders: Vec<OrderRow> = Vec::new();
        let mut places: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for fill in &self.fills {
            let at = *places.entry((&fill.symbol, &fill.order_id)).or_insert_with(|| {
                orders.push(OrderRow {
                    order_id: fill.order_id.clone(),
                    client_order_id: fill.client_order_id.clone(),
                    symbol: fill.symbol.clone(),
                    side: fill.side,
                    first: fill.time,
                    fills: 0,
                    notional: Decimal::ZERO,
                    judged: fill.judged,
                    sent: self.sent(fill.client_order_id.as_deref()),
                });
                orders.len() - 1
            });
            if let Some(order) = orders.get_mut(at) {
                order.fills += 1;
                order.notional = order.notional.checked_add(fill.notional).unwrap_or(order.notional);
            }
        }
        orders
    }

    fn sent(&self, client: Option<&str>) -> Sent {
        let named = self.uses.iter().find(|used| client.is_some() && used.client_order_id.as_deref() == client);
        match named {
            Some(used) => Sent::Yes { at: used.time, log: used.log.clone(), address: used.address.clone() },
            // A log that names no orders cannot say which were not sent.
            None if self.uses.iter().any(|used| used.client_order_id.is_some()) => Sent::No,
            None => Sent::NoLog,
        }
    }
}

fn word(side: Side) -> &'static str {
    match side {
        Side::Buy => "buy",
        Side::Sell => "sell",
    }
}

fn row(segment: &Segment) -> Result<SegmentRow, Error> {
    let file = |source| Error::File { path: segment.path.clone(), source };
    let report = crate::journal::verify(&segment.path).map_err(file)?;
    Ok(SegmentRow {
        file: segment.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        blake3: hash(&segment.path).map_err(file)?,
        first: report.first_n,
        last: report.last_n,
        last_seal: report.last_seal,
        faults: report.faults.into_iter().map(|fault| fault.what).collect(),
    })
}

fn hash(path: &Path) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path)?)?;
    Ok(hasher.finalize().to_hex().to_string())
}
