//! A picture of the loss as it grew, finding by finding: a PNG inside the mail, so that nothing is loaded from anywhere.

use std::collections::BTreeMap;
use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::super::words::Words;
use crate::domain::{Money, Symbol, Timestamp};
use crate::store::Step;

/// A picture and what stands beneath it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// The PNG's bytes.
    pub png: Vec<u8>,
    /// What it shows: from when to when, and how much.
    pub from: Timestamp,
    /// When the last finding came.
    pub until: Timestamp,
    /// The loss at the end.
    pub loss: Money,
}

impl Picture {
    /// Says what it shows, from when to when.
    pub fn caption(&self, words: &Words) -> String {
        format!("{}: {}, {} – {}", words.picture, self.loss, self.from, self.until)
    }
}

const WIDTH: usize = 544;
const HEIGHT: usize = 120;
const EDGE: usize = 8;
/// Colours that can be seen on white and on black.
const LINE: [u8; 4] = [0xd9, 0x48, 0x3b, 0xff];
const AXIS: [u8; 4] = [0x8a, 0x94, 0x9b, 0xff];
/// Findings drawn; an attack of thousands of orders is drawn by its first and its latest.
const MOST: usize = 2_000;

/// Draws an incident's history; nothing where there is no loss, or only one moment of it.
pub fn picture(history: &[Step]) -> Option<Picture> {
    let findings = history.iter().filter_map(|step| step.finding.as_ref());
    let asset = findings.clone().rev().find_map(|finding| finding.loss.as_ref().map(|loss| loss.asset().clone()))?;
    let mut lost: BTreeMap<Option<Symbol>, Decimal> = BTreeMap::new();
    let mut points: Vec<(Timestamp, Decimal)> = Vec::new();
    for finding in findings {
        let Some(loss) = finding.loss.as_ref().filter(|loss| *loss.asset() == asset) else { continue };
        let most = lost.entry(finding.symbol.clone()).or_default();
        *most = (*most).max(loss.amount());
        let sum = lost.values().fold(Decimal::ZERO, |sum, part| sum.saturating_add(*part));
        if points.len() < MOST {
            points.push((finding.at, sum));
        } else if let Some(last) = points.last_mut() {
            *last = (finding.at, sum);
        }
    }
    let ((from, _), (until, sum)) = (*points.first()?, *points.last()?);
    if until <= from || sum <= Decimal::ZERO {
        return None;
    }
    let png = draw(&points, from, until, sum)?;
    Some(Picture { png, from, until, loss: Money::new(sum.normalize(), asset) })
}

fn draw(points: &[(Timestamp, Decimal)], from: Timestamp, until: Timestamp, most: Decimal) -> Option<Vec<u8>> {
    let mut canvas = vec![[0_u8; 4]; WIDTH * HEIGHT];
    let (span, most) = (until.since(from).secs_f64(), most.to_f64()?);
    let place = |at: Timestamp, loss: Decimal| {
        let x = at.since(from).secs_f64() / span * (WIDTH - 2 * EDGE) as f64;
        let y = loss.to_f64().unwrap_or(0.0) / most * (HEIGHT - 2 * EDGE) as f64;
        let x = (EDGE + x.max(0.0) as usize).min(WIDTH - EDGE);
        (x, HEIGHT - (EDGE + y.max(0.0) as usize).min(HEIGHT - EDGE))
    };
    bar(&mut canvas, (EDGE, HEIGHT - EDGE), (WIDTH - EDGE, HEIGHT - EDGE), AXIS);
    let mut before = (EDGE, HEIGHT - EDGE);
    for (at, loss) in points {
        let next = place(*at, *loss);
        // Steps: between two findings nothing is known to have happened.
        bar(&mut canvas, before, (next.0, before.1), LINE);
        bar(&mut canvas, (next.0, before.1), next, LINE);
        dot(&mut canvas, next);
        before = next;
    }
    encode(&canvas)
}

/// Draws a straight bar, two pixels thick.
fn bar(canvas: &mut [[u8; 4]], from: (usize, usize), to: (usize, usize), colour: [u8; 4]) {
    for x in from.0.min(to.0)..=from.0.max(to.0) + 1 {
        for y in from.1.min(to.1)..=from.1.max(to.1) + 1 {
            set(canvas, x, y, colour);
        }
    }
}

fn dot(canvas: &mut [[u8; 4]], (x, y): (usize, usize)) {
    for dx in 0..9_usize {
        for dy in 0..9_usize {
            let (across, down) = (dx.abs_diff(4), dy.abs_diff(4));
            if across * across + down * down <= 17 {
                set(canvas, (x + dx).saturating_sub(3), (y + dy).saturating_sub(3), LINE);
            }
        }
    }
}

fn set(canvas: &mut [[u8; 4]], x: usize, y: usize, colour: [u8; 4]) {
    if x < WIDTH && y < HEIGHT {
        canvas[y * WIDTH + x] = colour;
    }
}

/// Writes a PNG (<https://www.w3.org/TR/png-3/>): eight bits a channel, with transparency, no filter.
fn encode(canvas: &[[u8; 4]]) -> Option<Vec<u8>> {
    let mut pixels = ZlibEncoder::new(Vec::new(), Compression::default());
    for row in canvas.chunks(WIDTH) {
        pixels.write_all(&[0]).ok()?;
        pixels.write_all(row.as_flattened()).ok()?;
    }
    let pixels = pixels.finish().ok()?;
    let mut head = Vec::new();
    head.extend_from_slice(&u32::try_from(WIDTH).ok()?.to_be_bytes());
    head.extend_from_slice(&u32::try_from(HEIGHT).ok()?.to_be_bytes());
    head.extend_from_slice(&[8, 6, 0, 0, 0]);
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    for (name, bytes) in [(b"IHDR", head), (b"IDAT", pixels), (b"IEND", Vec::new())] {
        png.extend_from_slice(&u32::try_from(bytes.len()).ok()?.to_be_bytes());
        png.extend_from_slice(name);
        png.extend_from_slice(&bytes);
        let mut sum = flate2::Crc::new();
        sum.update(name);
        sum.update(&bytes);
        png.extend_from_slice(&sum.sum().to_be_bytes());
    }
    Some(png)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_a_png_of_its_size_whose_sums_hold() {
        let at = |secs: i64| Timestamp::from_millis(secs * 1_000);
        let points = [(at(0), Decimal::ONE), (at(30), Decimal::TWO), (at(60), Decimal::TEN)];
        let png = draw(&points, at(0), at(60), Decimal::TEN).unwrap();
        assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"));
        let mut rest = &png[8..];
        let mut names = Vec::new();
        while !rest.is_empty() {
            let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
            let mut sum = flate2::Crc::new();
            sum.update(&rest[4..8 + length]);
            assert_eq!(sum.sum().to_be_bytes(), rest[8 + length..12 + length]);
            names.push(String::from_utf8(rest[4..8].to_vec()).unwrap());
            rest = &rest[12 + length..];
        }
        assert_eq!(names, ["IHDR", "IDAT", "IEND"]);
        let mut pixels = Vec::new();
        let length = u32::from_be_bytes(png[33..37].try_into().unwrap()) as usize;
        std::io::Read::read_to_end(&mut flate2::read::ZlibDecoder::new(&png[41..41 + length]), &mut pixels).unwrap();
        assert_eq!(pixels.len(), HEIGHT * (1 + 4 * WIDTH));
        assert!(pixels.windows(4).any(|pixel| pixel == LINE));
    }

    #[test]
    fn a_history_without_a_loss_has_no_picture() {
        assert_eq!(picture(&[]), None);
    }
}
