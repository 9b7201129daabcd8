//! A picture of what happened: the pair's price with the orders in it, and the loss as it grew. A PNG inside the mail, so
//! that nothing is loaded from anywhere.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::super::words::Words;
use super::canvas::{AXIS, Canvas, LOSS, PRICE, Point};
use crate::domain::{Finding, Money, Span, Symbol, Timestamp};
use crate::store::Step;

/// A picture and what stands beneath it.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// The PNG's bytes.
    pub png: Vec<u8>,
    /// When the first finding came.
    pub from: Timestamp,
    /// When the last finding came.
    pub until: Timestamp,
    /// The loss at the end.
    pub loss: Money,
    /// The pair whose price is shown with its lowest and highest price there; absent where none is known.
    pub price: Option<(Symbol, f64, f64)>,
}

impl Picture {
    /// Says what it shows, from when to when.
    pub fn caption(&self, words: &Words) -> String {
        let price = self
            .price
            .as_ref()
            .map(|(pair, low, high)| format!(". {} {pair}: {} – {}", words.price, figure(*low), figure(*high)));
        format!("{}: {}, {} – {}{}", words.picture, self.loss, self.from, self.until, price.unwrap_or_default())
    }
}

/// Twice as many pixels as shown, for screens that have them.
const WIDTH: usize = 1_088;
const LOSS_HEIGHT: usize = 220;
const PRICE_HEIGHT: usize = 260;
const EDGE: f64 = 18.0;
/// Findings drawn; an attack of thousands of orders is drawn by its first and its latest.
const MOST: usize = 2_000;
/// How much of the time before the first order is shown, at least.
const LEAD: Span = Span::from_secs(60);

type Points<T> = Vec<(Timestamp, T)>;

/// Draws an incident's history; nothing where there is no loss, or only one moment of it and no price.
pub fn picture(history: &[Step]) -> Option<Picture> {
    let findings = || history.iter().filter_map(|step| step.finding.as_ref());
    let last = findings().rev().find(|finding| finding.loss.is_some())?;
    let asset = last.loss.as_ref()?.asset().clone();
    let losses = losses(findings().filter(|finding| finding.loss.as_ref().is_some_and(|loss| *loss.asset() == asset)));
    let ((from, _), (until, sum)) = (*losses.first()?, *losses.last()?);
    if sum <= Decimal::ZERO {
        return None;
    }
    let lead = Span::from_nanos(until.since(from).nanos().max(LEAD.nanos()));
    let prices = prices(findings().filter(|finding| finding.symbol == last.symbol), from - lead);
    let price = range(&prices).and_then(|(low, high)| Some((last.symbol.clone()?, low, high)));
    let begin = if price.is_some() { from - lead } else { from };
    if until <= begin {
        return None;
    }
    let orders: Points<f64> = findings()
        .filter(|finding| finding.symbol == last.symbol)
        .filter_map(|finding| Some((finding.at, finding.prices.last()?.price)))
        .take(MOST)
        .collect();
    let top = if price.is_some() { PRICE_HEIGHT } else { 0 };
    let mut canvas = Canvas::new(WIDTH, top + LOSS_HEIGHT);
    let span = until.since(begin).secs_f64();
    let across =
        |at: Timestamp| EDGE + at.since(begin).secs_f64().clamp(0.0, span) / span * (WIDTH as f64 - 2.0 * EDGE);
    if let Some((_, low, high)) = &price {
        // A price that never moved is a line in the middle.
        let (low, wide) =
            if high > low { (*low, high - low) } else { (*low - 0.5 * high.abs(), high.abs().max(1e-12)) };
        let down = |price: f64| top as f64 - EDGE - (price - low) / wide * (top as f64 - 2.0 * EDGE);
        let line: Vec<Point> = prices.iter().map(|(at, price)| (across(*at), down(*price))).collect();
        canvas.line(&line, 2.5, PRICE);
        for (at, price) in &orders {
            canvas.dot((across(*at), down(price.clamp(low, low + wide))), 7.0, LOSS);
        }
    }
    draw_losses(&mut canvas, &losses, sum, top as f64, across);
    let loss = Money::new(sum.normalize(), asset);
    Some(Picture { png: canvas.png()?, from, until, loss, price })
}

/// Adds up what was lost, finding by finding.
fn losses<'a>(findings: impl Iterator<Item = &'a Finding>) -> Points<Decimal> {
    let mut lost: BTreeMap<Option<Symbol>, Decimal> = BTreeMap::new();
    let mut points: Points<Decimal> = Vec::new();
    for finding in findings {
        let Some(loss) = &finding.loss else { continue };
        let most = lost.entry(finding.symbol.clone()).or_default();
        *most = (*most).max(loss.amount());
        let sum = lost.values().fold(Decimal::ZERO, |sum, part| sum.saturating_add(*part));
        if points.len() < MOST {
            points.push((finding.at, sum));
        } else if let Some(last) = points.last_mut() {
            *last = (finding.at, sum);
        }
    }
    points
}

/// Joins what findings know of the price, from `begin` on; one price before it says where the line comes from.
fn prices<'a>(findings: impl Iterator<Item = &'a Finding>, begin: Timestamp) -> Points<f64> {
    let mut known: BTreeMap<Timestamp, f64> = BTreeMap::new();
    for point in findings.take(MOST).flat_map(|finding| &finding.prices) {
        if point.price.is_finite() && point.price > 0.0 {
            known.insert(point.at, point.price);
        }
    }
    let before = known.range(..begin).next_back().map(|(at, price)| (*at, *price));
    before.into_iter().chain(known.range(begin..).map(|(at, price)| (*at, *price))).collect()
}

/// Returns the lowest and the highest of at least two prices.
fn range(prices: &[(Timestamp, f64)]) -> Option<(f64, f64)> {
    let all = || prices.iter().map(|(_, price)| *price);
    (prices.len() >= 2).then(|| (all().fold(f64::INFINITY, f64::min), all().fold(0.0, f64::max)))
}

fn draw_losses(
    canvas: &mut Canvas,
    losses: &[(Timestamp, Decimal)],
    most: Decimal,
    top: f64,
    across: impl Fn(Timestamp) -> f64,
) {
    let floor = top + LOSS_HEIGHT as f64 - EDGE;
    let most = most.to_f64().unwrap_or(1.0);
    let down = |loss: Decimal| {
        floor - (loss.to_f64().unwrap_or(0.0) / most).clamp(0.0, 1.0) * (LOSS_HEIGHT as f64 - 2.0 * EDGE)
    };
    // Steps: between two findings nothing is known to have happened.
    let mut steps: Vec<Point> = vec![(EDGE, floor)];
    for (at, loss) in losses {
        let (x, before) = (across(*at), steps.last().map_or(floor, |point| point.1));
        steps.push((x, before));
        steps.push((x, down(*loss)));
    }
    steps.push((WIDTH as f64 - EDGE, steps.last().map_or(floor, |point| point.1)));
    canvas.shade(&steps, floor, LOSS);
    canvas.line(&[(EDGE, floor), (WIDTH as f64 - EDGE, floor)], 1.0, AXIS);
    canvas.line(&steps, 2.5, LOSS);
    for (at, loss) in losses {
        canvas.dot((across(*at), down(*loss)), 6.0, LOSS);
    }
}

/// `0.00001240`, `61250`: four digits that count.
fn figure(price: f64) -> String {
    let whole = price.abs().max(1e-12).log10().floor();
    let places = (3.0 - whole).clamp(0.0, 12.0) as usize;
    format!("{price:.places$}")
}

#[cfg(test)]
mod tests {
    use super::super::canvas::read;
    use super::*;
    use crate::domain::{PricePoint, Transition};
    use crate::notify::samples::samples;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    /// Steps of losses in one pair, each with the price at that moment and a minute before.
    fn history(rows: &[(i64, &str, f64)]) -> Vec<Step> {
        let sample = samples(crate::alert::Language::English).remove(0).incident.unwrap();
        let mut trail: Vec<PricePoint> = Vec::new();
        let mut steps = Vec::new();
        for (seconds, lost, price) in rows {
            trail.push(PricePoint { at: at(*seconds - 60), price: *price * 0.9 });
            trail.push(PricePoint { at: at(*seconds), price: *price });
            let mut finding = sample.findings[0].clone();
            finding.loss = Some(Money::new(lost.parse().unwrap(), "BTC".parse().unwrap()));
            (finding.at, finding.prices) = (at(*seconds), if *price > 0.0 { trail.clone() } else { Vec::new() });
            let transition = Transition::Updated;
            steps.push(Step { n: 1, at: at(*seconds), transition, finding: Some(finding), message: None });
        }
        steps
    }

    #[test]
    fn a_picture_shows_the_price_the_orders_in_it_and_the_loss() {
        let drawn = picture(&history(&[(1_000, "0.1", 2.0), (1_030, "0.3", 3.0), (1_100, "0.4", 2.5)])).unwrap();
        let (width, height, pixels) = read(&drawn.png);
        assert_eq!((width, height), (WIDTH, PRICE_HEIGHT + LOSS_HEIGHT));
        let has = |colour: [u8; 3], rows: std::ops::Range<usize>| {
            rows.flat_map(|y| (0..width).map(move |x| y * width + x))
                .any(|place| pixels[place][..3].iter().zip(colour).all(|(drawn, pure)| drawn.abs_diff(pure) <= 40))
        };
        assert!(has(PRICE, 0..PRICE_HEIGHT) && has(LOSS, 0..PRICE_HEIGHT) && has(LOSS, PRICE_HEIGHT..height));
        assert!(!has(PRICE, PRICE_HEIGHT..height));
        let caption = drawn.caption(crate::notify::words::words(crate::alert::Language::English));
        assert!(caption.contains("0.4 BTC") && caption.contains("VIBX-BTC: 1.800 – 3.000"), "{caption}");
    }

    #[test]
    fn the_first_finding_has_a_picture_where_the_price_is_known_and_none_otherwise() {
        assert!(picture(&history(&[(1_000, "0.1", 2.0)])).is_some());
        assert_eq!(picture(&history(&[(1_000, "0.1", 0.0)])), None);
        assert_eq!(picture(&history(&[(1_000, "0", 2.0), (1_010, "0", 2.0)])), None);
        assert_eq!(picture(&[]), None);
        let without = picture(&history(&[(1_000, "0.1", 0.0), (1_010, "0.2", 0.0)])).unwrap();
        assert_eq!((read(&without.png).1, without.price), (LOSS_HEIGHT, None));
    }

    #[test]
    fn prices_out_of_all_measure_draw_something_and_break_nothing() {
        for price in [f64::NAN, f64::INFINITY, f64::MAX, f64::MIN_POSITIVE, -1.0] {
            let mut rows = history(&[(1_000, "79228162514264337593543950335", 2.0), (1_001, "0.1", 2.0)]);
            rows[1].finding.as_mut().unwrap().prices.push(PricePoint { at: at(1_001), price });
            assert!(picture(&rows).is_some(), "{price}");
        }
    }

    #[test]
    fn a_price_has_four_digits_that_count() {
        assert_eq!(figure(0.000_012_4), "0.00001240");
        assert_eq!((figure(61_250.4).as_str(), figure(1.5).as_str()), ("61250", "1.500"));
    }
}
