//! The page for people: everything on one sheet that prints, in the words that support and police ask for.

use std::fmt::Write as _;

use jiff::tz::TimeZone;

use super::record::{AnswerRow, Record, Sent};
use crate::domain::{AccountId, Timestamp, Venue};
use crate::markup::safe;

/// Rows of a table; what is more stands in the files beside the page.
const MOST_ROWS: usize = 400;

const STYLE: &str = "
body{font:15px/1.5 system-ui,'Liberation Sans',sans-serif;color:#1b1f24;background:#fff;margin:0 auto;max-width:1080px;padding:28px 24px 60px}
h1{font-size:25px;line-height:1.25;margin:0 0 6px}h2{font-size:18px;margin:34px 0 8px;border-bottom:2px solid #1b1f24;padding-bottom:3px}
p{margin:6px 0;max-width:78ch}.sum{display:grid;grid-template-columns:repeat(auto-fit,minmax(190px,1fr));gap:10px;margin:16px 0}
.sum div{border:1px solid #c9d1d9;border-radius:6px;padding:8px 12px}.sum b{display:block;font-size:19px;font-variant-numeric:tabular-nums}
.sum span{color:#57606a;font-size:13px}table{border-collapse:collapse;width:100%;font-size:12.5px;margin:8px 0;font-variant-numeric:tabular-nums}
th{text-align:left;background:#f3f5f7;border-bottom:1px solid #8c959f;padding:4px 7px;white-space:nowrap}
td{border-bottom:1px solid #e1e4e8;padding:3px 7px;vertical-align:top;overflow-wrap:anywhere}td.n{text-align:right;white-space:nowrap}
td.t{white-space:nowrap}td.id{min-width:13em}tr.bad td{background:#fff1f0}code{font:12px/1.4 ui-monospace,'Liberation Mono',monospace;overflow-wrap:anywhere}
.tag{display:inline-block;border-radius:4px;padding:0 6px;font-size:12px;border:1px solid}.no{color:#a40e26;border-color:#a40e26}
.yes{color:#116329;border-color:#116329}.dim{color:#57606a}ol,ul{margin:6px 0;padding-left:24px}
@media print{body{max-width:none;padding:0;font-size:11px}h2{break-after:avoid}tr{break-inside:avoid}table{font-size:9px}.sum{grid-template-columns:repeat(4,1fr)}@page{margin:14mm}}
";

/// Writes the page; `signer` is the public key that signs the files beside it.
pub fn page(record: &Record, signer: &str) -> String {
    let mut page = Page { out: String::new(), zone: zone(&record.zone), record };
    page.head();
    page.summary();
    page.orders();
    page.fills();
    page.uses();
    page.keys();
    page.response();
    page.history();
    page.sight();
    page.proof(signer);
    page.ask();
    page.out.push_str("</body></html>\n");
    page.out
}

struct Page<'a> {
    out: String,
    zone: TimeZone,
    record: &'a Record,
}

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap_or(TimeZone::UTC)
}

/// Writes a figure with twelve digits at most; the file for machines has all of them.
fn figure(value: rust_decimal::Decimal) -> String {
    value.round_sf(12).unwrap_or(value).normalize().to_string()
}

impl Page<'_> {
    fn put(&mut self, text: &str) {
        self.out.push_str(text);
    }

    fn line(&mut self, html: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = self.out.write_fmt(html);
        self.out.push('\n');
    }

    /// Writes a moment in UTC, and below it in local time.
    fn time(&self, at: Timestamp) -> String {
        let stamp = jiff::Timestamp::from_nanosecond(i128::from(at.nanos())).unwrap_or_default();
        let utc = stamp.strftime("%Y-%m-%d %H:%M:%S%.3f UTC");
        if self.zone == TimeZone::UTC {
            return utc.to_string();
        }
        let local = stamp.to_zoned(self.zone.clone());
        format!("{utc}<br><span class=dim>{}</span>", safe(&local.strftime("%Y-%m-%d %H:%M:%S %Z").to_string()))
    }

    /// Writes a moment in UTC alone.
    fn utc(&self, at: Timestamp) -> String {
        let stamp = jiff::Timestamp::from_nanosecond(i128::from(at.nanos())).unwrap_or_default();
        stamp.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string()
    }

    /// Returns when the owner said that it was not them, and who said so for them; what was said last holds.
    fn disowned(&self) -> Option<&AnswerRow> {
        let said = self.record.answers.iter().rev().find(|answer| matches!(answer.said, "mine" | "not_mine"));
        said.filter(|answer| answer.said == "not_mine")
    }

    fn head(&mut self) {
        let incident = &self.record.incident;
        let what = if self.disowned().is_some() { "Unauthorised trading" } else { "Suspected unauthorised trading" };
        let title = format!("{what} on {}, account {}", incident.account.venue.title(), incident.account.name);
        let (title, id, made) = (safe(&title), safe(incident.id.as_str()), self.time(self.record.made));
        self.put("<!doctype html><html lang=en><head><meta charset=utf-8>");
        self.put("<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'unsafe-inline'\">");
        self.put("<meta name=viewport content=\"width=device-width, initial-scale=1\">");
        self.line(format_args!("<title>{title}</title><style>{STYLE}</style></head><body>"));
        self.line(format_args!("<h1>{title}</h1>"));
        let zone = safe(&self.record.zone);
        self.line(format_args!(
            "<p class=dim>Incident <code>{id}</code>. Made by fillguard {}, {made}. Times are UTC, and {zone} below.</p>",
            self.record.fillguard
        ));
    }

    fn summary(&mut self) {
        let record = self.record;
        let incident = &record.incident;
        let judged: Vec<_> = record.orders.iter().filter(|order| order.judged).collect();
        let fills = record.fills.iter().filter(|fill| fill.judged).count();
        let first = record.fills.iter().find(|fill| fill.judged).map(|fill| fill.time);
        let last = record.fills.iter().rev().find(|fill| fill.judged).map(|fill| fill.time);
        let money = |sums: &std::collections::BTreeMap<String, rust_decimal::Decimal>| {
            let sums: Vec<String> = sums.iter().map(|(asset, sum)| format!("{} {asset}", figure(*sum))).collect();
            if sums.is_empty() { "none".to_owned() } else { sums.join(", ") }
        };
        let loss: Vec<String> =
            incident.loss.iter().map(|lost| format!("{} {}", figure(lost.amount()), lost.asset())).collect();
        let loss = if loss.is_empty() { "not known".to_owned() } else { loss.join(", ") };
        self.put("<h2>What happened</h2>");
        let account = safe(&incident.account.to_string());
        let said = match self.disowned() {
            Some(said) => {
                format!("that the owner did not send, as {} said at {}", safe(&said.by), self.utc(said.at) + " UTC")
            }
            None => "that are judged not to be the owner's, for the reasons below; the owner has not yet said so here"
                .to_owned(),
        };
        self.line(format_args!(
            "<p>Orders were sent through an API key of {account} {said}. A watcher with a key of its own received the account's \
             executions from {} as they happened and wrote them into a sealed journal. This page is an extract of that \
             journal.</p><div class=sum>",
            incident.account.venue.title()
        ));
        for (value, label) in [
            (judged.len().to_string(), "orders judged not to be the owner's"),
            (fills.to_string(), "executions of them"),
            (money(&record.spent), "paid in them"),
            (money(&record.received), "received in them"),
            (loss, "estimated loss so far, against what the pair was worth before"),
            (incident.level.to_string(), "level of the alarm (of notice, alert, act)"),
        ] {
            self.line(format_args!("<div><b>{}</b><span>{label}</span></div>", safe(&value)));
        }
        self.put("</div><table>");
        let rows = [
            ("First of these executions", first.map(|at| self.time(at))),
            ("Last of them", last.map(|at| self.time(at))),
            ("Alarm raised", Some(self.time(incident.opened))),
            ("Last finding", Some(self.time(incident.last))),
            ("Looked at from", Some(self.time(record.since))),
            ("to", Some(self.time(record.until))),
        ];
        for (label, time) in rows {
            let time = time.unwrap_or_else(|| "none".to_owned());
            self.line(format_args!("<tr><th>{label}</th><td class=t>{time}</td></tr>"));
        }
        self.put("</table><p>Why the alarm was raised:</p><ul>");
        for reason in &record.reasons {
            self.line(format_args!("<li>{}</li>", safe(reason)));
        }
        self.put("</ul><p class=dim>The rules that spoke, in the words of their files:</p><ul class=dim>");
        for finding in &incident.findings {
            let pair = finding.symbol.as_ref().map(|symbol| format!(" in {symbol}")).unwrap_or_default();
            let terms: Vec<String> =
                finding.terms.iter().filter(|term| term.nats > 0.5).map(|term| term.name.to_string()).collect();
            self.line(format_args!(
                "<li>{}{}: {} ({})</li>",
                safe(finding.rule.as_str()),
                safe(&pair),
                finding.level,
                safe(&terms.join(", "))
            ));
        }
        self.put("</ul>");
    }

    fn orders(&mut self) {
        let record = self.record;
        self.put("<h2>Orders, and whether the owner's systems sent them</h2>");
        let logged = record.orders.iter().any(|order| order.sent != Sent::NoLog);
        self.put(match logged {
            true => "<p>The owner's systems log every order they send, with the id they give it. An order that no line names did not leave them.</p>",
            false => "<p>No log of the owner's systems names orders, so it is not said here which they sent.</p>",
        });
        self.put("<table><tr><th>First execution</th><th>Order id</th><th>Client order id</th><th>Pair</th><th>Side</th><th>Executions</th><th>Amount</th><th>Sent by the owner's systems</th></tr>");
        for order in record.orders.iter().take(MOST_ROWS) {
            let sent = match &order.sent {
                Sent::Yes { at, log, address } => {
                    let address =
                        address.as_ref().map(|address| format!(" from {}", safe(address))).unwrap_or_default();
                    format!("<span class='tag yes'>yes</span> {} ({}){address}", self.time(*at), safe(log))
                }
                Sent::No => "<span class='tag no'>NO</span>".to_owned(),
                Sent::NoLog => "not known".to_owned(),
            };
            let class = if order.judged { " class=bad" } else { "" };
            let client = order.client_order_id.as_deref().unwrap_or("");
            self.line(format_args!(
                "<tr{class}><td class=t>{}</td><td class=id><code>{}</code></td><td class=id><code>{}</code></td><td class=t>{}</td><td>{}</td><td class=n>{}</td><td class=n>{}</td><td>{sent}</td></tr>",
                self.time(order.first), safe(&order.order_id), safe(client), safe(&order.symbol), order.side, order.fills, figure(order.notional)
            ));
        }
        self.put("</table>");
        self.more(record.orders.len());
        self.put("<p>Marked: judged not to be the owner's. Of the others nothing is said: the owner should say which of them were theirs.</p>");
    }

    fn fills(&mut self) {
        let record = self.record;
        self.put("<h2>Executions</h2><p class=dim>Times in UTC. Where the exchange's stream tells totals of an order rather than executions, the price is the mean of what was added, and there is no trade id.</p><table><tr><th>Traded</th><th>Received</th><th>Trade id</th><th>Order id</th><th>Pair</th><th>Side</th><th>Price</th><th>Quantity</th><th>Amount</th><th>Frame</th></tr>");
        for fill in record.fills.iter().take(MOST_ROWS) {
            let class = if fill.judged { " class=bad" } else { "" };
            let trade = fill.trade_id.as_deref().unwrap_or("");
            self.line(format_args!(
                "<tr{class}><td class=t>{}</td><td class=t>{}</td><td><code>{}</code></td><td class=id><code>{}</code></td><td class=t>{}</td><td>{}</td><td class=n>{}</td><td class=n>{}</td><td class=n>{}</td><td class=n>{}</td></tr>",
                self.utc(fill.time), self.utc(fill.at), safe(trade), safe(&fill.order_id), safe(&fill.symbol), fill.side,
                figure(fill.price), figure(fill.quantity), figure(fill.notional), fill.frame
            ));
        }
        self.put("</table>");
        self.more(record.fills.len());
    }

    fn uses(&mut self) {
        let record = self.record;
        self.put("<h2>Uses of the key that the owner's systems wrote down</h2>");
        if record.uses.is_empty() {
            self.put("<p>None in that time, or no log is followed. The exchange does not tell its customers from which address a key is used; it has these addresses and can give them to the police.</p>");
            return;
        }
        self.put("<table><tr><th>Time</th><th>Log</th><th>Address</th><th>Program</th><th>Client order id</th><th>Frame</th></tr>");
        for used in record.uses.iter().take(MOST_ROWS) {
            let text = |text: &Option<String>| safe(text.as_deref().unwrap_or(""));
            self.line(format_args!(
                "<tr><td class=t>{}</td><td>{}</td><td><code>{}</code></td><td>{}</td><td><code>{}</code></td><td class=n>{}</td></tr>",
                self.time(used.time), safe(&used.log), text(&used.address), text(&used.agent), text(&used.client_order_id), used.frame
            ));
        }
        self.put("</table>");
        self.more(record.uses.len());
    }

    fn keys(&mut self) {
        let record = self.record;
        self.put("<h2>What the exchange said of the keys</h2>");
        if record.keys.is_empty() {
            self.put("<p>Nothing in that time.</p>");
            return;
        }
        self.put("<table><tr><th>Received</th><th>Key</th><th>May</th><th>From</th><th>Made</th><th>Frame</th></tr>");
        for key in record.keys.iter().take(MOST_ROWS) {
            let made = key.created.map(|at| self.time(at)).unwrap_or_default();
            self.line(format_args!(
                "<tr><td class=t>{}</td><td>{}</td><td>{}</td><td>{}</td><td class=t>{made}</td><td class=n>{}</td></tr>",
                self.time(key.at), safe(&key.key), safe(&key.rights.join(", ")), safe(&key.addresses), key.frame
            ));
        }
        self.put("</table>");
        self.more(record.keys.len());
    }

    fn response(&mut self) {
        let record = self.record;
        self.put("<h2>What was done about the key</h2>");
        let Some(case) = &record.response else {
            self.put("<p>Nothing was done by fillguard. What the owner did, and when, belongs here.</p>");
            return;
        };
        let note = if case.note.is_empty() { String::new() } else { format!(": {}", case.note) };
        self.line(format_args!("<p>{}{}</p>", safe(case.state.as_str()), safe(&note)));
        self.put(
            "<table><tr><th>Step</th><th>Decided</th><th>Outcome known</th><th>What was seen afterwards</th></tr>",
        );
        for act in &case.acts {
            let time = |at: Option<Timestamp>| at.map(|at| self.time(at)).unwrap_or_default();
            let outcome = act.outcome.as_ref().map(ToString::to_string).unwrap_or_default();
            self.line(format_args!(
                "<tr><td>{}</td><td class=t>{}</td><td class=t>{}</td><td>{}</td></tr>",
                safe(&act.deed.to_string()),
                time(act.begun),
                time(act.ended),
                safe(&outcome)
            ));
        }
        self.put("</table>");
    }

    fn history(&mut self) {
        let record = self.record;
        self.put("<h2>History of the alarm</h2><table><tr><th>Time</th><th>What</th><th>Rule</th><th>What people were told</th></tr>");
        for row in record.history.iter().take(MOST_ROWS) {
            let (rule, told) = (row.rule.as_deref().unwrap_or(""), row.told.as_deref().unwrap_or(""));
            self.line(format_args!(
                "<tr><td class=t>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                self.time(row.at),
                row.transition,
                safe(rule),
                safe(told)
            ));
        }
        self.put("</table>");
        self.more(record.history.len());
    }

    fn sight(&mut self) {
        let record = self.record;
        self.put("<h2>How well it was seen</h2>");
        if record.gaps.is_empty() {
            self.put("<p>The connection was up all the time.</p>");
            return;
        }
        self.put("<table><tr><th>Time</th><th>What</th><th>Frame</th></tr>");
        for gap in record.gaps.iter().take(MOST_ROWS) {
            self.line(format_args!(
                "<tr><td class=t>{}</td><td>{}</td><td class=n>{}</td></tr>",
                self.time(gap.at),
                safe(&gap.what),
                gap.frame
            ));
        }
        self.put("</table>");
        self.more(record.gaps.len());
    }

    fn proof(&mut self, signer: &str) {
        let record = self.record;
        self.put("<h2>How to check this</h2><ol>");
        self.put("<li>Keep all files together and run <code>fillguard verify FOLDER</code> (or the <code>.tar</code>). It needs no network and no configuration. A changed byte in any file is found.</li>");
        self.line(format_args!(
            "<li>It names the key that signed: <code>{}</code>. Compare it with the one the owner gives you by another way.</li>",
            safe(signer)
        ));
        self.put("<li><code>frames.ndjson</code> holds the exchange's own messages, byte for byte as they were received, one a line; <em>Frame</em> in the tables is the line's number. Nothing in them was changed but secrets, which were never written down. From the owner's own access log and switches, lines about other accounts are left out; each such line says how many.</li>");
        self.put("<li>The journal they were taken from is sealed: each of its files carries a running hash (BLAKE3), and a file that was altered or left out does not fit the next one. The owner keeps it; these are its files as they were:</li></ol>");
        self.put("<table><tr><th>Journal file</th><th>Arrivals</th><th>Hash of the file now (BLAKE3)</th><th>Last seal</th><th>Faults</th></tr>");
        for segment in &record.segments {
            let span =
                segment.first.zip(segment.last).map(|(first, last)| format!("{first} to {last}")).unwrap_or_default();
            let faults = if segment.faults.is_empty() { "none".to_owned() } else { segment.faults.join("; ") };
            self.line(format_args!(
                "<tr><td>{}</td><td class=n>{span}</td><td><code>{}</code></td><td><code>{}</code></td><td>{}</td></tr>",
                safe(&segment.file), segment.blake3, segment.last_seal.as_deref().unwrap_or("none"), safe(&faults)
            ));
        }
        self.put("</table>");
        let (kept, left) = (record.journal_numbers.len(), record.left_out);
        self.line(format_args!(
            "<p class=dim>{kept} frames are in the file; {left} were left out because there are too many.</p>"
        ));
    }

    fn ask(&mut self) {
        let account = &self.record.incident.account;
        self.put("<h2>What we ask of the exchange</h2><ol>");
        self.put("<li>Preserve the logs of the API requests that placed the marked orders: key, address, user agent, time. Preserve the accounts on the other side of their executions.</li>");
        self.put("<li>Restrict the accounts that took the other side until this is looked into: the marked orders bought from them far above, or sold to them far below, what the pair was worth.</li>");
        self.put("<li>Tell us the case number, and to which office the police should write.</li></ol>");
        self.put("<h2>What the police will ask for</h2><ul>");
        self.put("<li>Who the owner of the account is, and who else had the key: which platforms, since when.</li>");
        self.put("<li>The order and trade ids above: with them the exchange finds the counterparties.</li>");
        self.put("<li>The amounts: paid, received, estimated loss, each in its own asset; the value in local money on that day.</li>");
        self.put("<li>From when to when, in UTC and in local time; when it was noticed; what was done then, and when it took effect.</li></ul>");
        self.line(format_args!("<p class=dim>{}</p>", safe(contact(account))));
    }

    fn more(&mut self, rows: usize) {
        if rows > MOST_ROWS {
            self.line(format_args!("<p class=dim>{} more rows are in report.json.</p>", rows - MOST_ROWS));
        }
    }
}

/// Returns where an exchange takes such a case.
fn contact(account: &AccountId) -> &'static str {
    match account.venue {
        Venue::Binance => {
            "Binance: www.binance.com/en/support (report: unauthorised trading); police: the law enforcement request system on the same site."
        }
        Venue::Kucoin => {
            "KuCoin: www.kucoin.com/support (submit a request: account security); police: the legal and compliance requests page."
        }
        Venue::Coinbase => {
            "Coinbase: help.coinbase.com (unauthorised activity; it can lock the account); police: the law enforcement portal named there."
        }
    }
}
