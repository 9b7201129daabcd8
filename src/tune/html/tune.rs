//! The page of `fillguard tune`.

use super::axis::Axis;
use super::charts::named;
use super::page::{Caption, Page, Table};
use super::plot::{Form, Hue, Mark, Plot};
use super::varied::varied;
use crate::tune::score::Interval;
use crate::tune::search::report::{self, Told};
use crate::tune::search::tally::Figures;
use crate::tune::search::{Both, Outcome};
use crate::tune::written::{figure, percent};

/// Writes the page; the same search gives the same bytes. `asked` is what was asked for, by name.
pub fn tune(told: &Told<'_>, asked: &[(String, String)]) -> String {
    let Told { settings, outcome, .. } = told;
    let mut page = Page::new(
        "Parameters of the rules",
        "What other settings would save and whom they would disturb, on recordings they were chosen on and on others.",
    );
    page.facts(&headline(outcome));
    page.paragraph(outcome.verdict.sentence());
    if !outcome.front.is_empty() {
        page.section("Frontier");
        frontier(&mut page, told);
        candidates(&mut page, outcome);
    }
    varied(&mut page, told);
    page.section("Chosen, and held out");
    both(&mut page, told);
    kinds(&mut page, outcome);
    page.section("What is proposed");
    match told.file() {
        Some(file) => {
            let mut table = Table::new(&["parameter", "#now", "#proposed"]);
            for (key, old, new) in told.changes() {
                table.row(vec![report::named(&key), report::plain(&old), report::plain(&new)]);
            }
            page.table(&table);
            page.file(&file);
            told.standing.iter().for_each(|standing| page.aside(standing));
        }
        None => page.paragraph("Nothing."),
    }
    page.section("How it was searched");
    let mut table = Table::new(&["setting", "value"]);
    for (name, value) in asked {
        table.row(vec![name.clone(), value.clone()]);
    }
    table.row(vec!["what is saved".into(), format!("{}, the mean over kinds of attack", settings.objective.title())]);
    table.row(vec!["budget".into(), format!("{} false alerts in an account-month", figure(settings.max_false))]);
    table.row(vec!["seed".into(), settings.seed.to_string()]);
    let rounds: Vec<String> = outcome
        .rounds
        .iter()
        .map(|(candidates, events)| format!("{candidates} candidates on {events} events"))
        .collect();
    table.row(vec!["rounds".into(), rounds.join(", then ")]);
    table.row(vec!["held out".into(), format!("{} events", outcome.held_events)]);
    page.table(&table);
    let mut table = Table::new(&["parameter", "searched", "#now"]);
    for param in told.space.params() {
        let now = told.space.now(&(param.rule, param.key.clone()));
        table.row(vec![param.to_string(), param.range(), report::plain(now)]);
    }
    page.table(&table);
    page.aside(&format!(
        "fillguard {}. Intervals are 95 %, by resampling events with all their accounts. Where no false alert was seen, the \
         interval is the exact one of a Poisson count of none.",
        env!("CARGO_PKG_VERSION")
    ));
    page.finish()
}

fn headline(outcome: &Outcome) -> Vec<(String, String)> {
    let best = outcome.best.as_ref().unwrap_or(&outcome.present);
    let arrow = |write: fn(f64) -> String, old: f64, new: f64| format!("{} → {}", write(old), write(new));
    let mut facts = Vec::new();
    let mut add = |old: &Figures, new: &Figures, what: &str| {
        let n = format!("{what}; n = {} attacks", new.attacks);
        facts.push((arrow(percent, old.saved.value, new.saved.value), format!("saved, {n}")));
        let n = format!("{what}; n = {} account-months", figure(new.account_months));
        facts.push((
            arrow(figure, old.false_alerts.value, new.false_alerts.value),
            format!("false alerts a month, {n}"),
        ));
    };
    add(&outcome.present.tuned, &best.tuned, "where it was chosen");
    if let (Some(old), Some(new)) = (&outcome.present.held, &best.held) {
        add(old, new, "held out");
    }
    facts
}

fn frontier(page: &mut Page, told: &Told<'_>) {
    let outcome = told.outcome;
    let last = outcome.rounds.len();
    let rates = outcome.tried.iter().map(|tried| tried.figures.false_alerts.value);
    let shown: Vec<&Figures> = outcome.best.iter().chain([&outcome.present]).map(|both| &both.tuned).collect();
    let whiskers = shown.iter().flat_map(|figures| [figures.false_alerts.low, figures.false_alerts.high]);
    let x = Axis::rate("false alerts in an account-month", rates.chain([told.settings.max_false]).chain(whiskers));
    let saved = outcome.tried.iter().map(|tried| tried.figures.saved.value);
    let whiskers = shown.iter().flat_map(|figures| [figures.saved.low, figures.saved.high]);
    let y = shares("saved", saved.chain(whiskers));
    let spot = |figures: &Figures| (figures.false_alerts.value, figures.saved.value);
    let mut marks = vec![Mark::Upright { x: told.settings.max_false, says: "budget".into(), hue: Hue::Soft, row: 0 }];
    for tried in outcome.tried.iter().skip(1) {
        let of_last = tried.round == last;
        let says = format!(
            "{}: saved {}, {} false a month, on {} events",
            tried.candidate,
            percent(tried.figures.saved.value),
            figure(tried.figures.false_alerts.value),
            tried.figures.events
        );
        let (hue, form, size) = if of_last { (Hue::A, Form::Ring, 4.5) } else { (Hue::Pale, Form::Cross, 3.5) };
        marks.push(Mark::Dot { at: spot(&tried.figures), hue, form, size, says });
    }
    let points = outcome.front.iter().map(|place| spot(&outcome.tried[*place].figures)).collect();
    marks.push(Mark::Line { points, hue: Hue::A, stepped: true, dashed: false });
    let mut legend = vec![
        (Form::Square, Hue::B, "present".to_owned()),
        (Form::Ring, Hue::A, "candidate of the last round".to_owned()),
        (Form::Cross, Hue::Pale, "dropped before, on fewer events".to_owned()),
    ];
    crossed(&mut marks, &outcome.present.tuned, Form::Square, Hue::B, "present");
    if let Some(best) = outcome.best.as_ref().filter(|_| outcome.chosen != Some(0)) {
        crossed(&mut marks, &best.tuned, Form::Diamond, Hue::C, "chosen");
        legend.insert(1, (Form::Diamond, Hue::C, "chosen".to_owned()));
    }
    let title = "Money saved against false alerts";
    let read = format!(
        "Each mark is a configuration on the events that were searched (n = {} events, {} attacks, {} account-months). The line \
         joins those that no other beats in both. Whiskers: 95 % by event. Zero stands left; then tenfolds.",
        outcome.present.tuned.events,
        outcome.present.tuned.attacks,
        figure(outcome.present.tuned.account_months)
    );
    let told = format!("{} configurations, {} on the frontier", outcome.tried.len(), outcome.front.len());
    let plot = Plot { title: title.to_owned(), told, x, y, marks, width: 860.0, height: 420.0, headed: false, legend };
    page.figure(&Caption { title, read: &read }, &plot.svg(), None);
}

/// Draws a configuration with its intervals in both directions.
fn crossed(marks: &mut Vec<Mark>, figures: &Figures, form: Form, hue: Hue, name: &str) {
    let at = (figures.false_alerts.value, figures.saved.value);
    let finite = |of: &Interval| of.low.is_finite() && of.high.is_finite();
    if finite(&figures.saved) {
        marks.push(Mark::TallWhisker(at.0, (figures.saved.low, figures.saved.high)));
    }
    if finite(&figures.false_alerts) {
        marks.push(Mark::WideWhisker(at.1, (figures.false_alerts.low, figures.false_alerts.high)));
    }
    let says = format!("{name}: saved {}, {} false a month", percent(at.1), figure(at.0));
    marks.push(Mark::Dot { at, hue, form, size: 6.0, says });
}

/// An axis of shares that shows where the values are, and never leaves 0 to 100 percent.
pub(super) fn shares(title: &str, values: impl Iterator<Item = f64>) -> Axis {
    let Axis { low, high, .. } = Axis::around(title, super::axis::Unit::Share, values);
    let (low, high) = (low.max(0.0), high.min(1.0));
    let (low, high) = if high - low < 0.05 { ((low - 0.03).max(0.0), (high + 0.03).min(1.0)) } else { (low, high) };
    Axis { low, high, ..Axis::share(title) }
}

fn candidates(page: &mut Page, outcome: &Outcome) {
    let mut table =
        Table::new(&["", "#saved [95 %]", "#false a month [95 %]", "#told of", "what differs from the present"]);
    let mut places = outcome.front.clone();
    if !places.contains(&0) {
        places.push(0);
    }
    for place in places {
        let tried = &outcome.tried[place];
        let name = match (place, outcome.chosen) {
            (0, _) => "present",
            (place, Some(chosen)) if place == chosen => "chosen",
            _ => "",
        };
        let line = vec![
            name.to_owned(),
            interval(&tried.figures.saved, percent),
            interval(&tried.figures.false_alerts, figure),
            format!("{} of {}", tried.figures.told, tried.figures.attacks),
            tried.candidate.to_string(),
        ];
        if name == "chosen" { table.marked(line) } else { table.row(line) }
    }
    page.table(&table);
}

fn interval(of: &Interval, write: fn(f64) -> String) -> String {
    if !of.value.is_finite() {
        return "not known".to_owned();
    }
    if of.low.is_finite() && of.high.is_finite() {
        format!("{} [{}, {}]", write(of.value), write(of.low), write(of.high))
    } else {
        format!("{} [no interval]", write(of.value))
    }
}

/// One of the two parts of the events.
type Part = fn(&Both) -> Option<&Figures>;

fn both(page: &mut Page, told: &Told<'_>) {
    let outcome = told.outcome;
    let best = outcome.best.as_ref().filter(|_| outcome.chosen != Some(0));
    let mut table = Table::new(&[
        "",
        "",
        "#saved [95 %]",
        "#false alerts a month [95 %]",
        "#told of",
        "#false alerts",
        "#false act",
        "#account-months",
        "#events",
    ]);
    let mut row = |part: &str, name: &str, figures: &Figures| {
        table.row(vec![
            part.to_owned(),
            name.to_owned(),
            interval(&figures.saved, percent),
            interval(&figures.false_alerts, figure),
            format!("{} of {}", figures.told, figures.attacks),
            figures.alerts.to_string(),
            figures.acts.to_string(),
            figure(figures.account_months),
            figures.events.to_string(),
        ]);
    };
    let parts: [(&str, Part); 2] =
        [("where it was chosen", |both| Some(&both.tuned)), ("held out", |both| both.held.as_ref())];
    for (part, of) in parts {
        if let Some(figures) = of(&outcome.present) {
            row(part, "present", figures);
        }
        if let Some(figures) = best.and_then(of) {
            row("", "chosen", figures);
        }
    }
    for (part, gain) in [("where it was chosen", &outcome.gain), ("held out", &outcome.held_gain)] {
        if let (Some(gain), Some(_)) = (gain, best) {
            let (saved, rate) = (interval(&gain.saved, percent), interval(&gain.false_alerts, figure));
            let mut line = vec![part.to_owned(), "difference".to_owned(), saved, rate];
            line.resize(9, String::new());
            table.marked(line);
        }
    }
    page.table(&table);
    page.aside(
        "The chosen configuration is the best of many on the events it was chosen on, so part of its gain there is luck. What \
         counts is the lower half: events that nothing was chosen on. An interval of the difference that holds 0 shows nothing.",
    );
}

fn kinds(page: &mut Page, outcome: &Outcome) {
    let best = outcome.best.as_ref().unwrap_or(&outcome.present);
    let mut table = Table::new(&[
        "attack",
        "#n",
        "#present saves",
        "#chosen saves",
        "#told",
        "#n held out",
        "#present saves",
        "#chosen saves",
        "#told",
    ]);
    let find = |figures: Option<&Figures>, kind| {
        figures.and_then(|figures| figures.kinds.iter().find(|row| row.kind == kind).copied())
    };
    for now in &outcome.present.tuned.kinds {
        let mut cells = vec![named(now.kind)];
        for (old, new) in
            [(Some(&outcome.present.tuned), Some(&best.tuned)), (outcome.present.held.as_ref(), best.held.as_ref())]
        {
            match (find(old, now.kind), find(new, now.kind)) {
                (Some(old), Some(new)) => cells.extend([
                    old.n.to_string(),
                    percent(old.saved),
                    percent(new.saved),
                    format!("{} → {}", old.told, new.told),
                ]),
                (_, _) => cells.extend(["0", "", "", ""].map(str::to_owned)),
            }
        }
        table.row(cells);
    }
    page.part("By kind of attack");
    page.table(&table);
}
