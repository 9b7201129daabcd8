//! The chart of one case: the pair's price, the account's orders on it, and the moments people were told.

use super::axis::{Axis, Unit};
use super::plot::{Form, Hue, Mark, Plot};
use crate::domain::Level;
use crate::tune::picture::{MOST_FILLS, Own, Picture, View};
use crate::tune::written::{figure, seconds};

/// Draws a case.
pub(super) fn chart(view: &View, picture: &Picture) -> String {
    let times = |at: crate::domain::Timestamp| {
        let zero = view.zero;
        if at >= zero { at.since(zero).secs_f64() } else { -zero.since(at).secs_f64() }
    };
    let (from, until) = (times(view.from), times(view.until));
    let (unit, scale) = match until - from {
        span if span < 5_400.0 => ("minutes", 60.0),
        span if span < 172_800.0 => ("hours", 3_600.0),
        _ => ("days", 86_400.0),
    };
    let zero = if view.hostile.is_some() { "the first hostile arrival" } else { "the alarm" };
    let x = Axis {
        title: format!("{unit} from {zero} ({})", view.zero),
        unit: Unit::Plain,
        scale: super::axis::Scale::Linear,
        low: from / scale,
        high: until / scale,
    };
    let quote = picture.pair.as_deref().and_then(|pair| pair.split_once('-')).map_or("quote", |(_, quote)| quote);
    let paid = picture.fills.iter().map(|fill| fill.price);
    let prices = picture.bars.iter().flat_map(|bar| [bar.low, bar.high]).chain(paid.clone());
    let title = format!("price, {quote}");
    let (least, most) = paid.fold((f64::INFINITY, 0.0_f64), |(low, high), price| (low.min(price), high.max(price)));
    let mut y = Axis::around(&title, Unit::Plain, prices.clone());
    // A planted price far above the market would flatten everything else.
    let floor = picture.bars.iter().map(|bar| bar.low).fold(least, f64::min);
    if floor > 0.0 && most.max(y.high) > 4.0 * floor {
        y = Axis { low: floor * 0.9, high: most.max(y.high) * 1.1, scale: super::axis::Scale::Log, ..y };
    }
    let mut marks = Vec::new();
    if let Some((begun, ended)) = view.hostile {
        marks.push(Mark::Band(times(begun) / scale, times(ended) / scale));
    }
    let bars = &picture.bars;
    if bars.len() > 1 {
        marks.push(Mark::Between(bars.iter().map(|bar| (bar.at / scale, bar.low, bar.high)).collect()));
    }
    let points = bars.iter().map(|bar| (bar.at / scale, bar.last)).collect();
    marks.push(Mark::Line { points, hue: Hue::Soft, stepped: false, dashed: false });
    for (row, spoken) in view.spoken.iter().enumerate() {
        let says = format!("{} after {} ({})", spoken.level, seconds(times(spoken.at).max(0.0)), spoken.rule);
        let says = if view.hostile.is_some() { says } else { format!("{} ({})", spoken.level, spoken.rule) };
        let hue = if spoken.level == Level::Act { Hue::D } else { Hue::C };
        marks.push(Mark::Upright { x: times(spoken.at) / scale, says, hue, row });
    }
    let largest = picture.fills.iter().map(|fill| fill.quote).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    // The owner's first, so that the thief's lie on top.
    let (own, thefts): (Vec<&Own>, Vec<&Own>) = picture.fills.iter().partition(|fill| !fill.hostile);
    for fill in own.into_iter().chain(thefts) {
        let (hue, form) = match (fill.hostile, fill.buys) {
            (true, true) => (Hue::B, Form::Up),
            (true, false) => (Hue::B, Form::Down),
            (false, true) => (Hue::A, Form::UpHollow),
            (false, false) => (Hue::A, Form::DownHollow),
        };
        let says = format!(
            "{} for {} {quote} at {}, {} from {zero}",
            if fill.buys { "bought" } else { "sold" },
            figure(fill.quote),
            figure(fill.price),
            seconds(fill.at)
        );
        let size = 3.2 + 4.3 * (fill.quote / largest).clamp(0.0, 1.0).sqrt();
        marks.push(Mark::Dot { at: (fill.at / scale, fill.price), hue, form, size, says });
    }
    // Without labels nobody knows whose the orders were.
    let known = view.hostile.is_some();
    let mut legend = Vec::new();
    for (hostile, buys, form, hue, name) in [
        (true, true, Form::Up, Hue::B, "hostile buy"),
        (true, false, Form::Down, Hue::B, "hostile sale"),
        (false, true, Form::UpHollow, Hue::A, if known { "owner's buy" } else { "the account's buy" }),
        (false, false, Form::DownHollow, Hue::A, if known { "owner's sale" } else { "the account's sale" }),
    ] {
        if picture.fills.iter().any(|fill| fill.hostile == hostile && fill.buys == buys) {
            legend.push((form, hue, name.to_owned()));
        }
    }
    let hostile = picture.fills.iter().filter(|fill| fill.hostile).count();
    let told = match view.spoken.first() {
        Some(first) => format!("first told {} ({})", seconds(times(first.at)), first.rule),
        None => "never told".to_owned(),
    };
    Plot {
        title: format!("price of {} around the case", picture.pair.as_deref().unwrap_or("no pair")),
        told: format!("{} fills of the account, {hostile} of them hostile; {told}", picture.fills.len()),
        x,
        y,
        marks,
        width: 860.0,
        height: 300.0,
        headed: false,
        legend,
    }
    .svg()
}

/// Returns what stands below such a chart: of how many trades and fills it is.
pub(super) fn made_of(picture: &Picture) -> String {
    let more = if picture.more > 0 {
        format!(" (the first {MOST_FILLS}; {} more are not drawn)", picture.more)
    } else {
        String::new()
    };
    format!(
        "Grey: the pair's price, with its range in pale; n = {} market trades. Triangles: fills of the account, larger for \
         more money; n = {}{more}. Upright lines: when people were told.",
        picture.trades,
        picture.fills.len()
    )
}
