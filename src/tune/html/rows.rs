//! A drawing with a row for each thing: bars, boxes and whiskers along one axis, names left, figures right.

use std::fmt::Write as _;

use super::axis::Axis;
use super::plot::{Form, Hue, begin, px, shape, wide};
use crate::markup::safe;

/// One row.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    /// What it is of.
    pub name: String,
    /// A bar from the axis's beginning to here.
    pub bar: Option<f64>,
    /// Whether the bar is the lesser of two.
    pub lesser: bool,
    /// A whisker: an interval, or the outer deciles.
    pub whisker: Option<(f64, f64)>,
    /// A box: the middle half.
    pub middle: Option<(f64, f64)>,
    /// A mark.
    pub dot: Option<f64>,
    /// What it ought to be.
    pub goal: Option<f64>,
    /// Its figures in words.
    pub says: String,
}

/// A drawing of rows.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    /// What it shows, read aloud where it is not seen.
    pub title: String,
    /// The axis they share.
    pub axis: Axis,
    /// The rows, from above down.
    pub rows: Vec<Row>,
    /// What stands above the figures on the right.
    pub head: String,
    /// Width, in px at its natural size.
    pub width: f64,
}

/// The height of a row, in px.
const HIGH: f64 = 23.0;
/// The widest that names may become, in px.
const NAMES: f64 = 240.0;

impl Rows {
    /// Draws it.
    pub fn svg(&self) -> String {
        let names = self.rows.iter().map(|row| wide(&row.name)).fold(30.0, f64::max).min(NAMES) + 14.0;
        let says = self.rows.iter().map(|row| wide(&row.says)).fold(wide(&self.head), f64::max) + 14.0;
        let (left, right) = (names, (self.width - says).max(names + 120.0));
        let top = if self.head.is_empty() { 8.0 } else { 22.0 };
        let bottom = top + HIGH * self.rows.len() as f64;
        let told: Vec<String> = self.rows.iter().map(|row| format!("{}: {}", row.name.trim(), row.says)).collect();
        let mut out = begin(self.width, bottom + 42.0, &self.title, &told.join("; "));
        let x = |value: f64| left + self.axis.place(value) * (right - left);
        let most = ((right - left) / 58.0) as usize;
        let mut free = f64::NEG_INFINITY;
        for (place, text) in self.axis.ticks(most.max(2)) {
            let at = left + place * (right - left);
            let _ = write!(out, "<path class=\"grid\" d=\"M{} {}V{}\"/>", px(at), px(top), px(bottom));
            let half = wide(&text) / 2.0;
            if at - half < free {
                continue;
            }
            free = at + half + 6.0;
            let _ = write!(
                out,
                "<text class=\"t\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                px(at),
                px(bottom + 16.0),
                safe(&text)
            );
        }
        let _ = write!(out, "<text class=\"t\" x=\"{}\" y=\"13\">{}</text>", px(right + 10.0), safe(&self.head));
        for (nth, row) in self.rows.iter().enumerate() {
            let y = top + HIGH * (nth as f64 + 0.5);
            self.row(row, y, &x, (left, right), &mut out);
        }
        let (l, b, r, t) = (px(left), px(bottom), px(right), px(top));
        let _ = write!(out, "<path class=\"axis\" fill=\"none\" d=\"M{l} {t}V{b}H{r}\"/>");
        let middle = px((left + right) / 2.0);
        let under = px(bottom + 34.0);
        let _ =
            write!(out, "<text x=\"{middle}\" y=\"{under}\" text-anchor=\"middle\">{}</text>", safe(&self.axis.title));
        out.push_str("</svg>\n");
        out
    }

    fn row(&self, row: &Row, y: f64, x: &dyn Fn(f64) -> f64, (left, right): (f64, f64), out: &mut String) {
        let mut name = row.name.clone();
        while wide(&name) > NAMES && name.pop().is_some() {}
        if name.len() < row.name.len() {
            name.push('…');
        }
        let base = px(y + 4.0);
        let soft = if row.lesser { " class=\"t\"" } else { "" };
        let _ = write!(out, "<text{soft} x=\"{}\" y=\"{base}\" text-anchor=\"end\">{}", px(left - 8.0), safe(&name));
        if name != row.name {
            let _ = write!(out, "<title>{}</title>", safe(&row.name));
        }
        out.push_str("</text>");
        let _ = write!(out, "<text class=\"t\" x=\"{}\" y=\"{base}\">{}</text>", px(right + 10.0), safe(&row.says));
        if let Some(bar) = row.bar {
            let (class, half) = if row.lesser { ("fp", 4.5) } else { ("fa", 7.0) };
            let (w, h) = (px((x(bar) - left).max(0.0)), px(half * 2.0));
            let (l, t) = (px(left), px(y - half));
            let _ = write!(out, "<rect class=\"{class}\" x=\"{l}\" y=\"{t}\" width=\"{w}\" height=\"{h}\"/>");
        }
        if let Some((low, high)) = row.whisker {
            let (a, b) = (px(x(low)), px(x(high)));
            let (up, down, y) = (px(y - 4.0), px(y + 4.0), px(y));
            let _ =
                write!(out, "<path class=\"whisk\" fill=\"none\" d=\"M{a} {y}H{b}M{a} {up}V{down}M{b} {up}V{down}\"/>");
        }
        if let Some((low, high)) = row.middle {
            let (a, w) = (px(x(low)), px((x(high) - x(low)).max(1.0)));
            let t = px(y - 6.0);
            let _ = write!(out, "<rect class=\"fp\" x=\"{a}\" y=\"{t}\" width=\"{w}\" height=\"12\"/>");
        }
        if let Some(dot) = row.dot {
            out.push_str(&shape(x(dot), y, 4.6, Form::Diamond, Hue::A, &row.says));
        }
        if let Some(goal) = row.goal {
            let (at, up, down) = (px(x(goal)), px(y - 10.0), px(y + 10.0));
            let _ = write!(out, "<path class=\"goal\" fill=\"none\" d=\"M{at} {up}V{down}\"/>");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_says_its_figures_to_eyes_and_to_ears() {
        let row = Row {
            name: "<I1>".into(),
            bar: Some(0.9),
            whisker: Some((0.8, 0.95)),
            goal: Some(0.99),
            says: "90 %".into(),
            ..Row::default()
        };
        let rows = Rows {
            title: "told of".into(),
            axis: Axis::share("share of attacks"),
            rows: vec![row, Row { name: "x".repeat(90), dot: Some(f64::NAN), ..Row::default() }],
            head: "share".into(),
            width: 700.0,
        };
        let svg = rows.svg();
        for part in ["aria-label=\"told of. &lt;I1&gt;: 90 %;", ">90 %<", ">share of attacks<", ">&lt;I1&gt;<", "…"] {
            assert!(svg.contains(part), "{part} is not in {svg}");
        }
        assert!(!svg.contains("NaN"));
    }
}
