//! Gradient boosted trees over binned numbers, with a logistic loss and monotone constraints.
//!
//! After Friedman 2001 and the histogram method of LightGBM (Ke et al. 2017), written out because a model must come out
//! the same on every machine: sums run in the order of the rows, ties go to the first feature and the lowest bin, and
//! threads divide features, never rows. A constraint holds by construction: a split that would turn its feature the
//! wrong way is not taken, and the middle between its two values bounds everything below it.

use std::ops::Range;
use std::thread;

use super::bins::Bins;
use crate::engine::model::file::TreeFile;

/// How trees are grown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Growth {
    /// How many trees.
    pub trees: usize,
    /// Leaves of a tree at most.
    pub leaves: usize,
    /// The part of each tree's step that is taken.
    pub rate: f64,
    /// The least weight of rows (as curvature of the loss) in a leaf.
    pub least: f64,
    /// What pulls leaves toward zero.
    pub pull: f64,
    /// Threads that divide the features; at least one.
    pub threads: usize,
}

/// Rows to learn from, in columns of bins.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// A column of bins for each feature.
    pub columns: Vec<Vec<u8>>,
    /// Whether the row is of a pump.
    pub pump: Vec<bool>,
    /// What the row counts.
    pub weight: Vec<f32>,
}

/// Grown trees, over bins.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Forest {
    /// The score before any tree: ln of the odds of a pump.
    pub base: f64,
    trees: Vec<Tree>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Tree {
    splits: Vec<Split>,
    leaves: Vec<f64>,
}

/// Rows in bins up to `bin` go left. A child below zero is the leaf `!child`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Split {
    feature: u16,
    bin: u8,
    left: i32,
    right: i32,
}

/// Sums over the rows in one bin: of the loss's slope and curvature.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    slope: f64,
    curve: f64,
}

/// A leaf that may still be split.
struct Growing {
    rows: Range<usize>,
    sums: Sums,
    bounds: (f64, f64),
    histogram: Vec<Sums>,
    best: Option<Best>,
    /// Which child of which split it is.
    place: Option<(usize, bool)>,
}

#[derive(Clone, Copy, Debug)]
struct Best {
    gain: f64,
    feature: usize,
    bin: u8,
    left: Sums,
}

/// Bins of a feature at most; a bin is a byte.
pub const BINS: usize = 64;

impl Forest {
    /// Grows trees; `monotone` says for each feature whether the score may only rise (1), only fall (-1) or do both (0)
    /// with it. `each` is told after every tree.
    pub fn grow(table: &Table, monotone: &[i8], growth: &Growth, mut each: impl FnMut(usize, &Forest)) -> Forest {
        let total: f64 = table.weight.iter().map(|&weight| f64::from(weight)).sum();
        let pumps: f64 = table.rows().filter(|&row| table.pump[row]).map(|row| f64::from(table.weight[row])).sum();
        let share = (pumps / total.max(f64::MIN_POSITIVE)).clamp(1e-6, 1.0 - 1e-6);
        let mut forest = Forest { base: (share / (1.0 - share)).ln(), trees: Vec::new() };
        let mut scores = vec![forest.base; table.pump.len()];
        let mut slopes = vec![(0.0_f32, 0.0_f32); table.pump.len()];
        for nth in 0..growth.trees {
            for row in table.rows() {
                let odds = 1.0 / (1.0 + (-scores[row]).exp());
                let weight = f64::from(table.weight[row]);
                let hit = f64::from(u8::from(table.pump[row]));
                slopes[row] = ((weight * (odds - hit)) as f32, (weight * odds * (1.0 - odds)) as f32);
            }
            let tree = grow_tree(table, &slopes, monotone, growth);
            for row in table.rows() {
                scores[row] += tree.value(|feature| table.columns[feature][row]);
            }
            forest.trees.push(tree);
            each(nth + 1, &forest);
        }
        forest
    }

    /// Returns the score of a row; `bin` gives its bin of a feature.
    pub fn score(&self, bin: impl Fn(usize) -> u8) -> f64 {
        self.base + self.trees.iter().map(|tree| tree.value(&bin)).sum::<f64>()
    }

    /// Returns the trees as they stand in a file: with thresholds instead of bins. `features` are the places that the
    /// table's columns have among the bins.
    pub fn to_file(&self, bins: &Bins, features: &[usize]) -> Vec<TreeFile> {
        let tree = |tree: &Tree| TreeFile {
            splits: tree
                .splits
                .iter()
                .map(|split| {
                    let below = bins.edge(features[usize::from(split.feature)], split.bin);
                    (split.feature, below, split.left, split.right)
                })
                .collect(),
            leaves: tree.leaves.iter().map(|leaf| (leaf * 1e6).round() / 1e6).collect(),
        };
        self.trees.iter().map(tree).collect()
    }
}

impl Table {
    fn rows(&self) -> Range<usize> {
        0..self.pump.len()
    }
}

impl Tree {
    fn value(&self, bin: impl Fn(usize) -> u8) -> f64 {
        let mut at = if self.splits.is_empty() { !0 } else { 0 };
        while let Ok(place) = usize::try_from(at) {
            let split = &self.splits[place];
            at = if bin(usize::from(split.feature)) <= split.bin { split.left } else { split.right };
        }
        self.leaves[!at as usize]
    }
}

fn grow_tree(table: &Table, slopes: &[(f32, f32)], monotone: &[i8], growth: &Growth) -> Tree {
    let mut rows: Vec<u32> = (0..slopes.len() as u32).collect();
    let mut spare: Vec<u32> = Vec::with_capacity(rows.len());
    let mut tree = Tree::default();
    let whole = histogram(table, slopes, &rows, growth.threads);
    let sums = total(&whole);
    let mut root =
        Growing { rows: 0..rows.len(), sums, bounds: (-1e9, 1e9), histogram: whole, best: None, place: None };
    root.best = best(&root, monotone, growth);
    let mut growing = vec![root];
    while tree.splits.len() + 1 < growth.leaves {
        // The leaf with most to gain; of equals the first.
        let mut chosen: Option<(usize, f64)> = None;
        for (place, leaf) in growing.iter().enumerate() {
            if let Some(best) = leaf.best
                && chosen.is_none_or(|(_, gain)| best.gain > gain)
            {
                chosen = Some((place, best.gain));
            }
        }
        let Some((place, _)) = chosen else { break };
        let leaf = growing.swap_remove(place);
        let Some(split) = leaf.best else { break };
        // Stable partition of the leaf's rows.
        let column = &table.columns[split.feature];
        let (mut kept, from) = (leaf.rows.start, leaf.rows.start);
        spare.clear();
        for place in leaf.rows.clone() {
            let row = rows[place];
            if column[row as usize] <= split.bin {
                rows[kept] = row;
                kept += 1;
            } else {
                spare.push(row);
            }
        }
        rows[kept..leaf.rows.end].copy_from_slice(&spare);
        let (left_rows, right_rows) = (from..kept, kept..leaf.rows.end);
        let (left, right) = (split.left, leaf.sums.less(split.left));
        let (low, high) = leaf.bounds;
        let middle = (value(left, leaf.bounds, growth) + value(right, leaf.bounds, growth)) / 2.0;
        let (left_bounds, right_bounds) = match monotone[split.feature] {
            1 => ((low, middle), (middle, high)),
            -1 => ((middle, high), (low, middle)),
            _ => (leaf.bounds, leaf.bounds),
        };
        // Only the smaller child is counted; the other is what is left.
        let left_smaller = left_rows.len() <= right_rows.len();
        let smaller = if left_smaller { left_rows.clone() } else { right_rows.clone() };
        let counted = histogram(table, slopes, &rows[smaller], growth.threads);
        let rest: Vec<Sums> = leaf.histogram.iter().zip(&counted).map(|(all, part)| all.less(*part)).collect();
        let (left_histogram, right_histogram) = if left_smaller { (counted, rest) } else { (rest, counted) };
        let number = tree.splits.len();
        tree.splits.push(Split { feature: split.feature as u16, bin: split.bin, left: 0, right: 0 });
        tree.point(leaf.place, number as i32);
        for (rows, sums, bounds, histogram, is_left) in [
            (left_rows, left, left_bounds, left_histogram, true),
            (right_rows, right, right_bounds, right_histogram, false),
        ] {
            let mut child = Growing { rows, sums, bounds, histogram, best: None, place: Some((number, is_left)) };
            child.best = best(&child, monotone, growth);
            growing.push(child);
        }
    }
    growing.sort_by_key(|leaf| leaf.rows.start);
    for leaf in growing {
        let number = tree.leaves.len() as i32;
        tree.leaves.push(value(leaf.sums, leaf.bounds, growth) * growth.rate);
        tree.point(leaf.place, !number);
    }
    tree
}

impl Tree {
    fn point(&mut self, place: Option<(usize, bool)>, to: i32) {
        if let Some((split, is_left)) = place {
            let split = &mut self.splits[split];
            *(if is_left { &mut split.left } else { &mut split.right }) = to;
        }
    }
}

impl Sums {
    fn less(self, part: Sums) -> Sums {
        Sums { slope: self.slope - part.slope, curve: self.curve - part.curve }
    }
}

fn total(histogram: &[Sums]) -> Sums {
    histogram[..BINS]
        .iter()
        .fold(Sums::default(), |sum, bin| Sums { slope: sum.slope + bin.slope, curve: sum.curve + bin.curve })
}

fn value(sums: Sums, bounds: (f64, f64), growth: &Growth) -> f64 {
    (-sums.slope / (sums.curve + growth.pull)).clamp(bounds.0, bounds.1)
}

/// Returns by how much the loss falls in a leaf of that value.
fn drop_at(sums: Sums, value: f64, growth: &Growth) -> f64 {
    -(sums.slope * value + (sums.curve + growth.pull) * value * value / 2.0)
}

fn best(leaf: &Growing, monotone: &[i8], growth: &Growth) -> Option<Best> {
    let unsplit = drop_at(leaf.sums, value(leaf.sums, leaf.bounds, growth), growth);
    let mut best: Option<Best> = None;
    for (feature, &sense) in monotone.iter().enumerate() {
        let bins = &leaf.histogram[feature * BINS..(feature + 1) * BINS];
        let mut left = Sums::default();
        for (bin, sums) in bins[..BINS - 1].iter().enumerate() {
            left = Sums { slope: left.slope + sums.slope, curve: left.curve + sums.curve };
            let right = leaf.sums.less(left);
            if left.curve < growth.least {
                continue;
            }
            if right.curve < growth.least {
                break;
            }
            if sums.curve == 0.0 {
                continue;
            }
            let (at_left, at_right) = (value(left, leaf.bounds, growth), value(right, leaf.bounds, growth));
            if (at_right - at_left) * f64::from(sense) < 0.0 {
                continue;
            }
            let gain = drop_at(left, at_left, growth) + drop_at(right, at_right, growth) - unsplit;
            if gain > best.map_or(1e-9, |best| best.gain) {
                best = Some(Best { gain, feature, bin: bin as u8, left });
            }
        }
    }
    best
}

/// Adds up the rows by feature and bin.
fn histogram(table: &Table, slopes: &[(f32, f32)], rows: &[u32], threads: usize) -> Vec<Sums> {
    let mut sums = vec![Sums::default(); table.columns.len() * BINS];
    let fill = |columns: &[Vec<u8>], sums: &mut [Sums]| {
        for (column, bins) in columns.iter().zip(sums.chunks_mut(BINS)) {
            for &row in rows {
                let (slope, curve) = slopes[row as usize];
                let bin = &mut bins[usize::from(column[row as usize])];
                bin.slope += f64::from(slope);
                bin.curve += f64::from(curve);
            }
        }
    };
    let threads = if rows.len() < 20_000 { 1 } else { threads.max(1) };
    if threads == 1 {
        fill(&table.columns, &mut sums);
        return sums;
    }
    let each = table.columns.len().div_ceil(threads);
    thread::scope(|scope| {
        for (columns, sums) in table.columns.chunks(each).zip(sums.chunks_mut(each * BINS)) {
            scope.spawn(move || fill(columns, sums));
        }
    });
    sums
}
