//! A look as text, as wide and as long as there is room.

use super::look::{Look, Seen};
use crate::domain::{Level, Span, Timestamp};
use crate::live::gauges::{Feed, Lag, Link, RuleStatus, Status};
use crate::notify::wording::one_line;

/// The room there is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    /// Columns.
    pub(super) width: usize,
    /// Rows; as many as wanted where absent.
    pub(super) rows: Option<usize>,
    /// Whether colours are understood.
    pub(super) colour: bool,
}

/// How a line is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Paint {
    Plain,
    Head,
    Good,
    Warn,
    Bad,
}

/// Open incidents that are named, and lines the rules may have where there is little room.
const NAMED: usize = 5;
const FEW_RULES: usize = 8;

type Lines = Vec<(Paint, String)>;

/// Returns the text, without a line break at its end.
pub(super) fn page(look: &Look, page: Page) -> String {
    let mut lines = Lines::new();
    head(look, &mut lines);
    let mut tail = Lines::new();
    incidents(look, &mut tail);
    channels(look, &mut tail);
    let mut middle = Lines::new();
    let mut rules = Lines::new();
    rule_table(look, &mut rules);
    if let Seen::Daemon(status) = &look.seen {
        feeds(status, look.at, &mut middle);
    }
    if let Some(rows) = page.rows {
        // Rules that found nothing go first, then feeds that are well.
        let fixed = lines.len() + tail.len();
        let few = rules.len().min(FEW_RULES + 2);
        shorten(&mut middle, rows.saturating_sub(fixed + few).max(4));
        shorten(&mut rules, rows.saturating_sub(fixed + middle.len()).max(2));
    }
    lines.extend(tail);
    lines.extend(middle);
    lines.extend(rules);
    lines.truncate(page.rows.unwrap_or(usize::MAX));
    let lines: Vec<String> = lines.iter().map(|(paint, text)| painted(*paint, text, page)).collect();
    lines.join("\n")
}

/// Takes lines away from the end, and says how many.
fn shorten(lines: &mut Lines, most: usize) {
    if lines.len() > most {
        let gone = lines.len() - most.saturating_sub(1);
        lines.truncate(most.saturating_sub(1));
        lines.push((Paint::Plain, format!("  and {gone} more lines: make the window larger, or use --once")));
    }
}

fn painted(paint: Paint, text: &str, page: Page) -> String {
    let text: String = text.chars().take(page.width).collect();
    let text = text.trim_end();
    let code = match paint {
        Paint::Head => "1",
        Paint::Good => "32",
        Paint::Warn => "33",
        Paint::Bad => "1;31",
        Paint::Plain => "",
    };
    if page.colour && !code.is_empty() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}

fn head(look: &Look, lines: &mut Lines) {
    let status = match &look.seen {
        Seen::Daemon(status) => status,
        Seen::Nobody(why) => {
            lines.push((Paint::Bad, format!("NOT RUNNING: {}", one_line(why, 400))));
            return;
        }
    };
    let Status { version, pid, last, fills, unreadable, .. } = &**status;
    let (up, arrived) = (ago(look.at.since(status.began)), since(look.at, Some(status.last_at)));
    lines.push((
        Paint::Head,
        format!(
            "fillguard {}  process {pid}  up {up}  arrival {last} {arrived} ago  {fills} fills  {unreadable} unreadable",
            one_line(version, 20)
        ),
    ));
    let blind = status.accounts.iter().filter(|feed| feed.link.state == "blind").count();
    let unseen = if blind > 0 { format!(", {blind} with a gap that is not verified") } else { String::new() };
    let paint = if status.up < status.feeds || blind > 0 { Paint::Bad } else { Paint::Good };
    lines.push((paint, format!("feeds     {} of {} up{unseen}", status.up, status.feeds)));
    lines.push((
        Paint::Plain,
        format!("delay     trade to arrival {};  arrival to verdict {}", lag(status.heard), lag(status.judged)),
    ));
    let full = status.journal_room > 0 && status.journal_waits * 2 > status.journal_room;
    let paint = if full || status.batches_wait > 4 { Paint::Warn } else { Paint::Plain };
    lines.push((
        paint,
        format!(
            "journal   {} in {} segments;  {} of {} arrivals wait for it, {} batches for the rules",
            size(look.bytes),
            look.segments,
            status.journal_waits,
            status.journal_room,
            status.batches_wait
        ),
    ));
}

fn incidents(look: &Look, lines: &mut Lines) {
    if let Some(problem) = &look.kept.problem {
        lines.push((Paint::Warn, format!("database  {}", one_line(problem, 200))));
        return;
    }
    let (act, alert, notice) = (look.open(Level::Act), look.open(Level::Alert), look.open(Level::Notice));
    let paint = match (act, alert) {
        (0, 0) => Paint::Plain,
        (0, _) => Paint::Warn,
        _ => Paint::Bad,
    };
    lines.push((paint, format!("open      {act} act, {alert} alert, {notice} notice")));
    let loud = look.kept.open.iter().filter(|one| one.level > Level::Notice);
    for one in loud.take(NAMED) {
        let rule = one.leading().map(|finding| one_line(finding.rule_name(), 40)).unwrap_or_default();
        let pair = one.symbol().map(|symbol| format!(" {symbol}")).unwrap_or_default();
        let loss: Vec<String> = one.loss.iter().map(ToString::to_string).collect();
        let loss = if loss.is_empty() { String::new() } else { format!("  {} lost", loss.join(", ")) };
        let (level, opened) = (one.level.as_str(), ago(look.at.since(one.opened)));
        let paint = if one.level == Level::Act { Paint::Bad } else { Paint::Warn };
        lines
            .push((paint, format!("  {level:<6}  {opened:>4}  {}  {rule}{pair}{loss}", one_line(one.id.as_str(), 60))));
    }
}

fn channels(look: &Look, lines: &mut Lines) {
    for one in &look.kept.channels {
        let oldest = one.oldest.map(|oldest| format!(", the oldest for {}", ago(look.at.since(oldest))));
        let gave_up = if one.given_up > 0 { format!(", {} given up", one.given_up) } else { String::new() };
        let troubled = one.waiting > 0 || one.given_up > 0;
        let why = one.why.as_ref().filter(|_| troubled).map(|why| format!(": {}", one_line(why, 120)));
        let late = one.oldest.is_some_and(|oldest| look.at.since(oldest) > Span::from_secs(60));
        lines.push((
            if late { Paint::Warn } else { Paint::Plain },
            format!(
                "channel   {:<16} {} wait{}, {} sent{gave_up}{}",
                one_line(&one.channel, 40),
                one.waiting,
                oldest.unwrap_or_default(),
                one.sent,
                why.unwrap_or_default()
            ),
        ));
    }
    for one in &look.kept.silences {
        let until = ago(one.until.since(look.at));
        lines.push((
            Paint::Plain,
            format!("silence   {:<16} hid {} messages, for {until} more", one.account.to_string(), one.swallowed),
        ));
    }
    for one in look.kept.exceptions.iter().filter(|one| one.count > 0) {
        let (name, what) = (one_line(&one.name, 40), one_line(&one.what, 80));
        lines.push((Paint::Plain, format!("exception {name:<16} hid {} findings of {what}", one.count)));
    }
}

fn feeds(status: &Status, at: Timestamp, lines: &mut Lines) {
    lines.push((Paint::Plain, String::new()));
    lines.push((
        Paint::Head,
        format!(
            "{:<28} {:<6} {:>5} {:>6} {:>5} {:>7} {:>8}  {}",
            "feed", "state", "since", "frame", "fill", "ord/min", "orders", "key"
        ),
    ));
    let trouble = |feed: &&Feed| feed.link.state != "up";
    let well = |feed: &&Feed| feed.link.state == "up";
    let mut fine: Vec<&Feed> = status.accounts.iter().filter(well).collect();
    fine.sort_by(|a, b| b.orders_a_minute.cmp(&a.orders_a_minute).then(b.last_fill.cmp(&a.last_fill)));
    for feed in status.accounts.iter().filter(trouble).chain(fine) {
        let key = feed.key.as_ref().map(|key| {
            let open = match key.restricted {
                Some(true) => ", own addresses",
                Some(false) => ", ANY ADDRESS",
                None => "",
            };
            let name = key.fingerprint.as_ref().map(|name| one_line(name, 8) + " ").unwrap_or_default();
            format!("{name}{}{open}", one_line(&key.may.join(" "), 60))
        });
        let why = feed.link.why.as_ref().map(|why| one_line(why, 200));
        let gap = feed.blind_since.filter(|_| feed.link.state == "blind");
        let gap = gap.map(|since| format!("not verified since {since}"));
        let (minute, orders) = (feed.orders_a_minute.to_string(), feed.orders.to_string());
        let fill = since(at, feed.last_fill);
        let said = gap.or(why).or(key).unwrap_or_default();
        lines.push((state_paint(&feed.link), row(&feed.link, at, [&fill, &minute, &orders], &said)));
    }
    if status.left_out > 0 {
        lines.push((Paint::Plain, format!("  and {} feeds that are up and quieter", status.left_out)));
    }
    for link in &status.sources {
        let why = link.why.as_ref().map(|why| one_line(why, 200)).unwrap_or_default();
        lines.push((state_paint(link), row(link, at, ["", "", ""], &why)));
    }
}

fn row(link: &Link, at: Timestamp, [fill, minute, orders]: [&str; 3], said: &str) -> String {
    let name = one_line(&link.name, 28);
    let state = if link.state == "up" { "up".to_owned() } else { link.state.to_uppercase() };
    let (up, frame) = (since(at, link.since), since(at, link.last_frame));
    format!("{name:<28} {state:<6} {up:>5} {frame:>6} {fill:>5} {minute:>7} {orders:>8}  {said}")
}

fn state_paint(link: &Link) -> Paint {
    match link.state.as_str() {
        "up" => Paint::Plain,
        "silent" => Paint::Warn,
        _ => Paint::Bad,
    }
}

fn rule_table(look: &Look, lines: &mut Lines) {
    if look.rules.is_empty() {
        return;
    }
    lines.push((Paint::Plain, String::new()));
    lines.push((
        Paint::Head,
        format!(
            "{:<24} {:<6} {:>6} {:>6} {:>6} {:>7} {:>7} {:>7} {:>9} {:>9}",
            "rule", "stage", "notice", "alert", "act", "staged", "hidden", "failed", "ns/order", "own bytes"
        ),
    ));
    let found = |rule: &RuleStatus| rule.act * 1_000_000 + rule.alert * 1_000 + rule.notice + rule.staged + rule.hidden;
    let mut rules: Vec<_> = look.rules.iter().collect();
    rules.sort_by(|(a, _), (b, _)| (found(b), b.timed).cmp(&(found(a), a.timed)).then(a.rule.cmp(&b.rule)));
    for (rule, stage) in rules {
        let figure = |figure: Option<u64>| figure.map_or_else(|| "-".to_owned(), |figure| figure.to_string());
        let paint = if rule.failed > 0 { Paint::Warn } else { Paint::Plain };
        lines.push((
            paint,
            format!(
                "{:<24} {stage:<6} {:>6} {:>6} {:>6} {:>7} {:>7} {:>7} {:>9} {:>9}",
                one_line(&rule.rule, 24),
                rule.notice,
                rule.alert,
                rule.act,
                rule.staged,
                rule.hidden,
                rule.failed,
                figure(rule.ns_each),
                figure(rule.own_bytes.filter(|bytes| *bytes > 0)),
            ),
        ));
    }
    if let Seen::Daemon(status) = &look.seen {
        for part in &status.shared {
            let (what, bytes) = (one_line(&part.what, 60), size(part.bytes));
            lines.push((Paint::Plain, format!("memory    {what}: {} in {bytes}", part.count)));
        }
    }
}

fn lag(lag: Lag) -> String {
    if lag.n == 0 {
        "unknown yet".to_owned()
    } else {
        format!("{}, p99 {} (n = {})", millis(lag.p50_ms), millis(lag.p99_ms), lag.n)
    }
}

fn millis(millis: f64) -> String {
    if millis < 10.0 {
        format!("{millis:.2} ms")
    } else if millis < 10_000.0 {
        format!("{millis:.0} ms")
    } else {
        format!("{:.0} s", millis / 1e3)
    }
}

fn since(at: Timestamp, then: Option<Timestamp>) -> String {
    then.filter(|then| *then > Timestamp::EPOCH).map_or_else(|| "-".to_owned(), |then| ago(at.since(then)))
}

fn ago(span: Span) -> String {
    let seconds = (span.nanos() / 1_000_000_000).max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn size(bytes: u64) -> String {
    let (mut size, mut unit) = (bytes as f64, "B");
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if size < 1_024.0 {
            break;
        }
        (size, unit) = (size / 1_024.0, larger);
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{size:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::super::look::Kept;
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_nanos(1_772_355_600_000_000_000) + Span::from_secs(seconds)
    }

    fn look(feeds: usize) -> Look {
        let feed = |place: usize| Feed {
            link: Link {
                name: format!("binance/a{place}"),
                state: if place == feeds - 1 { "down" } else { "up" }.into(),
                why: (place == feeds - 1).then(|| "closed\u{1b}[2J 1006".into()),
                since: Some(at(-90)),
                ..Link::default()
            },
            orders_a_minute: 3,
            ..Feed::default()
        };
        let status = Status {
            accounts: (0..feeds).map(feed).collect(),
            began: at(-86_400 * 3),
            last_at: at(-1),
            up: feeds - 1,
            feeds,
            judged: Lag { n: 5, p50_ms: 1.25, p99_ms: 20_000.0 },
            ..Status::default()
        };
        let rule = |name: &str, alert| RuleStatus { rule: name.into(), alert, ..RuleStatus::default() };
        let rules = vec![(rule("churn_loss", 0), "live"), (rule("own", 2), "staged")];
        let seen = Seen::Daemon(Box::new(status));
        Look { at: at(0), seen, rules, kept: Kept::default(), segments: 2, bytes: 3 << 20 }
    }

    #[test]
    fn what_needs_a_person_stands_first_and_nothing_foreign_moves_the_cursor() {
        let text = page(&look(3), Page { width: 120, rows: None, colour: false });
        let place = |words: &str| text.find(words).unwrap_or_else(|| panic!("{words} in {text}"));
        assert!(place("binance/a2") < place("binance/a0") && place("own ") < place("churn_loss"), "{text}");
        assert!(
            text.contains("feeds     2 of 3 up") && text.contains("DOWN     90s") && text.contains("closed [2J 1006")
        );
        assert!(text.contains("1.25 ms, p99 20 s (n = 5)") && text.contains("3.0 MiB in 2 segments"), "{text}");
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn a_small_window_is_never_overrun_and_shows_the_trouble() {
        for (width, rows) in [(80, 24), (60, 14), (40, 6), (1, 1)] {
            let text = page(&look(40), Page { width, rows: Some(rows), colour: false });
            assert!(text.lines().count() <= rows && text.lines().all(|line| line.chars().count() <= width), "{text}");
            assert!(
                rows < 14 || (text.contains("DOWN") && text.contains("more lines") && text.contains("own ")),
                "{text}"
            );
        }
        assert!(page(&look(2), Page { width: 80, rows: None, colour: true }).contains("\u{1b}[1;31m"));
    }
}
