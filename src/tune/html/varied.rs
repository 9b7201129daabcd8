//! What each parameter that was varied did: a drawing for each, all candidates on it.

use super::axis::{Axis, Scale, Unit};
use super::page::{Caption, Page, Table};
use super::plot::{Form, Hue, Mark, Plot};
use super::tune::shares;
use crate::tune::search::Outcome;
use crate::tune::search::report::{Told, plain};
use crate::tune::search::space::{Param, Unit as In};
use crate::tune::written::{figure, percent};

/// Writes the drawings.
pub(super) fn varied(page: &mut Page, told: &Told<'_>) {
    let Outcome { tried, rounds, chosen, .. } = told.outcome;
    let params = told.space.params();
    if tried.len() < 2 || params.is_empty() {
        return;
    }
    let mut drawing = String::from("<div class=\"three\">");
    let values = tried.iter().map(|tried| tried.figures.saved.value).filter(|value| value.is_finite());
    let y = shares("saved", values);
    for param in params {
        let marks = tried.iter().enumerate().rev().map(|(place, tried)| {
            let value = param.value(&tried.candidate);
            let saved = tried.figures.saved.value;
            let (name, form, hue, size) = match place {
                0 => ("present: ", Form::Square, Hue::B, 5.0),
                place if Some(place) == *chosen => ("chosen: ", Form::Diamond, Hue::C, 5.0),
                _ if tried.round < rounds.len() => ("dropped: ", Form::Cross, Hue::Soft, 3.0),
                _ if tried.figures.false_alerts.value > told.settings.max_false => {
                    ("over the budget: ", Form::UpHollow, Hue::D, 4.5)
                }
                _ => ("", Form::Ring, Hue::A, 4.5),
            };
            let says = format!(
                "{name}{param} {}: saved {}, {} false a month, on {} events",
                figure(value),
                percent(saved),
                figure(tried.figures.false_alerts.value),
                tried.figures.events
            );
            Mark::Dot { at: (value, saved), hue, form, size, says }
        });
        // The chosen and the present one lie on top.
        let mut marks: Vec<Mark> = marks.collect();
        if let Some(place) = *chosen {
            let place = marks.len() - 1 - place;
            let mark = marks.remove(place);
            marks.push(mark);
        }
        drawing.push_str(
            &Plot {
                title: param.to_string(),
                told: format!("{} candidates, searched from {}", tried.len() - 1, param.range()),
                x: axis(param),
                y: y.clone(),
                marks,
                width: 330.0,
                height: 220.0,
                headed: true,
                legend: Vec::new(),
            }
            .svg(),
        );
    }
    drawing.push_str("</div>");
    let mut table = Table::new(&["candidate", "#round", "#events", "#saved", "#false a month", "what differs"]);
    for (place, tried) in tried.iter().enumerate() {
        let name = match place {
            0 => "present".to_owned(),
            place if Some(place) == *chosen => format!("{place}, chosen"),
            place => place.to_string(),
        };
        let (saved, alerts) = (percent(tried.figures.saved.value), figure(tried.figures.false_alerts.value));
        let (round, events) = (tried.round.to_string(), tried.figures.events.to_string());
        table.row(vec![name, round, events, saved, alerts, plain(&tried.candidate.to_string())]);
    }
    let read = format!(
        "Every candidate differs in several parameters at once, so a slope shows where to look and proves nothing. Square: \
         present. Diamond: chosen. Rings: kept to the last round; triangles: kept, and over the budget; crosses: dropped before, \
         on fewer events. n = {} candidates.",
        tried.len() - 1
    );
    page.figure(&Caption { title: "What was saved, by each parameter", read: &read }, &drawing, Some(&table));
}

fn axis(param: &Param) -> Axis {
    let title = match param.unit {
        In::Number => "value".to_owned(),
        In::Whole => "count".to_owned(),
        In::Percent => "%".to_owned(),
        In::Dollars => "USD".to_owned(),
        In::Seconds => "time".to_owned(),
    };
    let unit = if param.unit == In::Seconds { Unit::Seconds } else { Unit::Plain };
    let axis = Axis::around(&title, unit, [param.low, param.high, param.now].into_iter());
    if param.is_wide() && param.now > 0.0 {
        let (low, high) = (param.low.min(param.now), param.high.max(param.now));
        return Axis { scale: Scale::Log, low: low / 1.1, high: high * 1.1, ..axis };
    }
    Axis { low: axis.low.max(0.0), ..axis }
}
