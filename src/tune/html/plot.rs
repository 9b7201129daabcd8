//! A drawing with two axes, as inline SVG: lines, marks, bands, and words beside them.
//!
//! Colours are told apart by people who see few of them (Okabe and Ito 2008), and never carry a meaning alone: series
//! differ in their marks or dashes too, or have their name beside them.

use std::fmt::Write as _;

use super::axis::Axis;
use crate::markup::safe;

/// The colour of a series, in the order in which they are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hue {
    /// Blue: the subject.
    A,
    /// Vermilion: what is hostile, or wrong.
    B,
    /// Green: what is proposed.
    C,
    /// Purple.
    D,
    /// Grey: what is beside the subject.
    Soft,
    /// Pale blue: the background.
    Pale,
}

/// The form of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A disc.
    Disc,
    /// A ring.
    Ring,
    /// A square.
    Square,
    /// A diamond.
    Diamond,
    /// Points up.
    Up,
    /// Points up, hollow.
    UpHollow,
    /// Points down.
    Down,
    /// Points down, hollow.
    DownHollow,
    /// A cross.
    Cross,
}

/// Something that is drawn, in the axes' own values.
#[derive(Clone, Debug)]
pub(super) enum Mark {
    /// A line through points; stepped, it keeps a value until the next.
    Line {
        /// The points, from left to right.
        points: Vec<(f64, f64)>,
        /// Its colour.
        hue: Hue,
        /// Whether it keeps a value until the next.
        stepped: bool,
        /// Whether it is dashed.
        dashed: bool,
    },
    /// The room between a lower and an upper line: x, lower, upper.
    Between(Vec<(f64, f64, f64)>),
    /// One mark, with what is said when it is pointed at.
    Dot {
        /// Where.
        at: (f64, f64),
        /// Its colour.
        hue: Hue,
        /// Its form.
        form: Form,
        /// Half its width, in px.
        size: f64,
        /// What it is.
        says: String,
    },
    /// Upright room from one x to another.
    Band(f64, f64),
    /// An upright line with words at its top.
    Upright {
        /// Where.
        x: f64,
        /// What it is.
        says: String,
        /// Its colour.
        hue: Hue,
        /// How many such words stand above, so that they do not overlap.
        row: usize,
    },
    /// An interval along x, at y.
    WideWhisker(f64, (f64, f64)),
    /// An interval along y, at x.
    TallWhisker(f64, (f64, f64)),
    /// Words beside a point.
    Words {
        /// Beside which point.
        at: (f64, f64),
        /// The words.
        text: String,
        /// Whether they stand left of it.
        left: bool,
    },
}

/// A drawing with two axes.
#[derive(Clone, Debug)]
pub(super) struct Plot {
    /// What it shows, read aloud where it is not seen.
    pub title: String,
    /// The same at more length.
    pub told: String,
    /// From left to right.
    pub x: Axis,
    /// From below up.
    pub y: Axis,
    /// What is drawn, the lowest first.
    pub marks: Vec<Mark>,
    /// Width, in px at its natural size.
    pub width: f64,
    /// Height.
    pub height: f64,
    /// Whether its title stands on it.
    pub headed: bool,
    /// Names of the series.
    pub legend: Vec<(Form, Hue, String)>,
}

impl Hue {
    /// Returns the letter of its classes.
    pub fn letter(self) -> char {
        match self {
            Hue::A => 'a',
            Hue::B => 'b',
            Hue::C => 'c',
            Hue::D => 'd',
            Hue::Soft => 's',
            Hue::Pale => 'p',
        }
    }
}

/// Returns how wide a text is at the size used, in px, about.
pub(super) fn wide(text: &str) -> f64 {
    let narrow =
        |c: char| matches!(c, 'i' | 'l' | 'j' | '.' | ',' | ' ' | 'I' | '\'' | '[' | ']' | '(' | ')' | ':' | ';');
    let wide = |c: char| matches!(c, '%' | 'm' | 'w' | 'M' | 'W' | '@');
    text.chars()
        .map(|c| {
            if narrow(c) {
                4.6
            } else if wide(c) {
                11.0
            } else {
                7.5
            }
        })
        .sum()
}

/// Rounds a place to a tenth of a pixel, which no eye tells apart.
pub(super) fn px(place: f64) -> String {
    let text = format!("{:.1}", if place.is_finite() { place } else { 0.0 });
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

/// Begins an SVG with its words for those who do not see it.
pub(super) fn begin(width: f64, height: f64, title: &str, told: &str) -> String {
    let label = if told.is_empty() { title.to_owned() } else { format!("{title}. {told}") };
    let (w, h) = (px(width), px(height));
    format!("<svg viewBox=\"0 0 {w} {h}\" width=\"{w}\" height=\"{h}\" role=\"img\" aria-label=\"{}\">", safe(&label))
}

/// Draws a mark of a form; `says` is shown when it is pointed at.
pub(super) fn shape(x: f64, y: f64, size: f64, form: Form, hue: Hue, says: &str) -> String {
    let c = hue.letter();
    let title = if says.is_empty() { String::new() } else { format!("<title>{}</title>", safe(says)) };
    let path = |points: &[(f64, f64)]| {
        points
            .iter()
            .map(|(dx, dy)| format!("{},{}", px(x + dx * size), px(y + dy * size)))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let polygon = |points: &[(f64, f64)], solid: char| {
        format!("<polygon class=\"{solid}{c}\" points=\"{}\">{title}</polygon>", path(points))
    };
    let (up, down) = ([(0.0, -1.1), (1.0, 0.8), (-1.0, 0.8)], [(0.0, 1.1), (1.0, -0.8), (-1.0, -0.8)]);
    let (cx, cy, r) = (px(x), px(y), px(size));
    match form {
        Form::Disc => format!("<circle class=\"f{c}\" cx=\"{cx}\" cy=\"{cy}\" r=\"{r}\">{title}</circle>"),
        Form::Ring => format!("<circle class=\"o{c}\" cx=\"{cx}\" cy=\"{cy}\" r=\"{r}\">{title}</circle>"),
        Form::Square => polygon(&[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)], 'f'),
        Form::Diamond => polygon(&[(0.0, -1.3), (1.3, 0.0), (0.0, 1.3), (-1.3, 0.0)], 'f'),
        Form::Up => polygon(&up, 'f'),
        Form::UpHollow => polygon(&up, 'o'),
        Form::Down => polygon(&down, 'f'),
        Form::DownHollow => polygon(&down, 'o'),
        Form::Cross => {
            let (a, b, d, e) = (px(x - size), px(x + size), px(y - size), px(y + size));
            format!("<path class=\"l{c}\" d=\"M{a} {d}L{b} {e}M{a} {e}L{b} {d}\">{title}</path>")
        }
    }
}

impl Plot {
    /// Draws it.
    pub fn svg(&self) -> String {
        let ticks_y = self.y.ticks(if self.height > 220.0 { 6 } else { 4 });
        let left = ticks_y.iter().map(|(_, text)| wide(text)).fold(18.0, f64::max) + 34.0;
        let legend = if self.legend.is_empty() { 0.0 } else { 22.0 };
        let room = Room {
            left,
            top: if self.headed { 24.0 } else { 14.0 } + legend,
            right: self.width - 24.0,
            bottom: self.height - 42.0,
        };
        let mut out = begin(self.width, self.height, &self.title, &self.told);
        if self.headed {
            let _ = write!(out, "<text class=\"h\" x=\"{}\" y=\"14\">{}</text>", px(left), safe(&self.title));
        }
        let mut at = left;
        for (form, hue, name) in &self.legend {
            let y = if self.headed { 32.0 } else { 12.0 };
            out.push_str(&shape(at + 5.0, y - 4.0, 4.5, *form, *hue, ""));
            let _ = write!(out, "<text x=\"{}\" y=\"{}\">{}</text>", px(at + 15.0), px(y), safe(name));
            at += 34.0 + wide(name);
        }
        self.frame(&room, &ticks_y, &mut out);
        for mark in &self.marks {
            self.draw(&room, mark, &mut out);
        }
        out.push_str("</svg>\n");
        out
    }

    fn frame(&self, room: &Room, ticks_y: &[(f64, String)], out: &mut String) {
        let Room { left, top, right, bottom } = *room;
        // Bands lie below the grid, so that figures can be read through them.
        for mark in &self.marks {
            if let Mark::Band(from, to) = mark {
                let (a, b) = (room.x(self.x.place(*from)), room.x(self.x.place(*to)));
                let (x, w) = (px(a), px((b - a).max(1.5)));
                let (y, h) = (px(top), px(bottom - top));
                let _ = write!(out, "<rect class=\"band\" x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\"/>");
            }
        }
        for (place, text) in ticks_y {
            let y = room.y(*place);
            let (line, base) = (px(y), px(y + 4.0));
            let _ = write!(out, "<path class=\"grid\" d=\"M{} {line}H{}\"/>", px(left), px(right));
            let _ = write!(
                out,
                "<text class=\"t\" x=\"{}\" y=\"{base}\" text-anchor=\"end\">{}</text>",
                px(left - 6.0),
                safe(text)
            );
        }
        let most = ((right - left) / 62.0) as usize;
        let mut free = f64::NEG_INFINITY;
        for (place, text) in self.x.ticks(most.max(2)) {
            let x = room.x(place);
            let half = wide(&text) / 2.0;
            let _ = write!(out, "<path class=\"grid\" d=\"M{} {}V{}\"/>", px(x), px(top), px(bottom));
            if x - half < free {
                continue;
            }
            free = x + half + 6.0;
            let _ = write!(
                out,
                "<text class=\"t\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                px(x),
                px(bottom + 16.0),
                safe(&text)
            );
        }
        let (l, b, r, t) = (px(left), px(bottom), px(right), px(top));
        let _ = write!(out, "<path class=\"axis\" fill=\"none\" d=\"M{l} {t}V{b}H{r}\"/>");
        let middle = px((left + right) / 2.0);
        let under = px(bottom + 34.0);
        let _ = write!(out, "<text x=\"{middle}\" y=\"{under}\" text-anchor=\"middle\">{}</text>", safe(&self.x.title));
        let upright = px((top + bottom) / 2.0);
        let _ = write!(
            out,
            "<text transform=\"translate(13 {upright}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            safe(&self.y.title)
        );
    }

    fn draw(&self, room: &Room, mark: &Mark, out: &mut String) {
        let spot = |(x, y): (f64, f64)| (room.x(self.x.place(x)), room.y(self.y.place(y)));
        match mark {
            Mark::Band(..) => {}
            Mark::Line { points, hue, stepped, dashed } => {
                let mut path = String::new();
                for (nth, point) in points.iter().enumerate() {
                    let (x, y) = spot(*point);
                    let _ = match (nth, stepped) {
                        (0, _) => write!(path, "M{} {}", px(x), px(y)),
                        (_, true) => write!(path, "H{}V{}", px(x), px(y)),
                        (_, false) => write!(path, "L{} {}", px(x), px(y)),
                    };
                }
                let dash = if *dashed { " dash" } else { "" };
                let _ = write!(out, "<path class=\"l{}{dash}\" d=\"{path}\"/>", hue.letter());
            }
            Mark::Between(points) => {
                let upper = points.iter().map(|(x, _, high)| spot((*x, *high)));
                let lower = points.iter().rev().map(|(x, low, _)| spot((*x, *low)));
                let corners: Vec<String> = upper.chain(lower).map(|(x, y)| format!("{},{}", px(x), px(y))).collect();
                let _ = write!(out, "<polygon class=\"pale\" points=\"{}\"/>", corners.join(" "));
            }
            Mark::Dot { at, hue, form, size, says } => {
                let (x, y) = spot(*at);
                out.push_str(&shape(x, y, *size, *form, *hue, says));
            }
            Mark::Upright { x, says, hue, row } => {
                let at = room.x(self.x.place(*x));
                let (top, bottom) = (px(room.top), px(room.bottom));
                let _ = write!(out, "<path class=\"l{} dash\" d=\"M{} {top}V{bottom}\"/>", hue.letter(), px(at));
                // Words at the right edge turn round, so that they stay on the drawing.
                let turned = at + wide(says) + 8.0 > room.right;
                let (x, anchor) = if turned { (at - 5.0, "end") } else { (at + 5.0, "start") };
                let _ = write!(
                    out,
                    "<text class=\"h halo\" x=\"{}\" y=\"{}\" text-anchor=\"{anchor}\">{}</text>",
                    px(x),
                    px(room.top + 11.0 + 15.0 * *row as f64),
                    safe(says)
                );
            }
            Mark::WideWhisker(y, (low, high)) => {
                let ((a, y), (b, _)) = (spot((*low, *y)), spot((*high, *y)));
                let (up, down) = (px(y - 4.0), px(y + 4.0));
                let (a, b, y) = (px(a), px(b), px(y));
                let _ = write!(
                    out,
                    "<path class=\"whisk\" fill=\"none\" d=\"M{a} {y}H{b}M{a} {up}V{down}M{b} {up}V{down}\"/>"
                );
            }
            Mark::TallWhisker(x, (low, high)) => {
                let ((x, a), (_, b)) = (spot((*x, *low)), spot((*x, *high)));
                let (before, after) = (px(x - 4.0), px(x + 4.0));
                let (a, b, x) = (px(a), px(b), px(x));
                let _ = write!(
                    out,
                    "<path class=\"whisk\" fill=\"none\" d=\"M{x} {a}V{b}M{before} {a}H{after}M{before} {b}H{after}\"/>"
                );
            }
            Mark::Words { at, text, left } => {
                let (x, y) = spot(*at);
                let (x, anchor) = if *left { (x - 9.0, "end") } else { (x + 9.0, "start") };
                let _ = write!(
                    out,
                    "<text class=\"halo\" x=\"{}\" y=\"{}\" text-anchor=\"{anchor}\">{}</text>",
                    px(x),
                    px(y + 4.0),
                    safe(text)
                );
            }
        }
    }
}

/// The room inside the axes, in px.
#[derive(Clone, Copy)]
struct Room {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Room {
    fn x(&self, place: f64) -> f64 {
        self.left + place * (self.right - self.left)
    }

    fn y(&self, place: f64) -> f64 {
        self.bottom - place * (self.bottom - self.top)
    }
}

#[cfg(test)]
mod tests {
    use super::super::axis::Unit;
    use super::*;

    fn plot(marks: Vec<Mark>) -> Plot {
        Plot {
            title: "t".into(),
            told: "n = 2".into(),
            x: Axis::share("share"),
            y: Axis::around("price", Unit::Plain, [1.0, 3.0].into_iter()),
            marks,
            width: 400.0,
            height: 200.0,
            headed: true,
            legend: vec![(Form::Disc, Hue::A, "one".into())],
        }
    }

    #[test]
    fn a_drawing_names_its_axes_and_says_what_it_shows() {
        let svg = plot(vec![]).svg();
        for part in ["aria-label=\"t. n = 2\"", ">share<", ">price<", ">100 %<", ">one<"] {
            assert!(svg.contains(part), "{part} is not in {svg}");
        }
        assert!(!svg.contains("http"));
    }

    #[test]
    fn figures_that_are_none_never_leave_the_drawing() {
        let bad = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1e300];
        let dots = bad.iter().map(|&value| Mark::Dot {
            at: (value, value),
            hue: Hue::B,
            form: Form::Cross,
            size: 4.0,
            says: "<b>".into(),
        });
        let line = Mark::Line { points: bad.map(|v| (v, v)).to_vec(), hue: Hue::A, stepped: false, dashed: false };
        let svg =
            plot(dots.chain([line, Mark::Between(vec![]), Mark::TallWhisker(f64::NAN, (0.0, 9e99))]).collect()).svg();
        assert!(!svg.contains("NaN") && !svg.contains("inf") && !svg.contains("<b>"), "{svg}");
    }
}
