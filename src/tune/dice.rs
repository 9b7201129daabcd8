//! Chance that falls the same on every machine.

use rust_decimal::Decimal;

/// Seeded draws: xoshiro256++ (Blackman and Vigna 2018) started by SplitMix64.
///
/// A recording has to come out byte for byte the same wherever it is made, so the generator is written out here
/// instead of taken from a crate that may change it, and nothing is drawn through `ln`, `exp` or `sin`, whose last
/// bit differs between C libraries. Square roots are exact by IEEE 754.
#[derive(Clone, Debug)]
pub struct Dice {
    state: [u64; 4],
}

impl Dice {
    /// Starts from a seed.
    pub fn new(seed: u64) -> Self {
        let mut sown = seed;
        let mut next = || {
            sown = sown.wrapping_add(0x9e37_79b9_7f4a_7c15);
            mix(sown)
        };
        Dice { state: [next(), next(), next(), next()] }
    }

    /// Starts from a seed and a name, so that what is drawn for one name does not move what is drawn for another.
    pub fn named(seed: u64, name: &str) -> Self {
        // FNV-1a over the name.
        let hash = name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |h, byte| (h ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Dice::new(mix(seed) ^ hash)
    }

    /// Draws 64 bits.
    pub fn bits(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let drawn = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (mut c, mut d) = (c ^ a, d ^ b);
        let (b, a) = (b ^ c, a ^ d);
        c ^= self.state[1] << 17;
        d = d.rotate_left(45);
        self.state = [a, b, c, d];
        drawn
    }

    /// Draws evenly from 0 up to, not including, 1.
    pub fn unit(&mut self) -> f64 {
        unit(self.bits())
    }

    /// Draws evenly between two numbers.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Draws a whole number from `low` to `high`, both included.
    pub fn whole(&mut self, low: i64, high: i64) -> i64 {
        let span = high.saturating_sub(low).max(0) as u64 + 1;
        low + (self.bits() % span) as i64
    }

    /// Draws a place in a list of `len`, 0 for an empty one.
    pub fn below(&mut self, len: usize) -> usize {
        if len == 0 { 0 } else { (self.bits() % len as u64) as usize }
    }

    /// Says yes with probability `p`.
    pub fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// Draws from `low` to `high` so that each doubling is as likely as the next.
    pub fn doubling(&mut self, low: f64, high: f64) -> f64 {
        let (mut root, mut result) = (high / low, low);
        let mut bits = self.bits();
        for _ in 0..24 {
            root = root.sqrt();
            if bits & 1 == 1 {
                result *= root;
            }
            bits >>= 1;
        }
        result
    }

    /// Draws a waiting time of the given mean (exponential, after von Neumann 1951: comparisons only).
    pub fn wait(&mut self, mean: f64) -> f64 {
        let mut whole = 0.0;
        loop {
            let first = self.unit();
            let (mut last, mut falls) = (first, 0_u32);
            loop {
                let next = self.unit();
                if next >= last {
                    break;
                }
                last = next;
                falls += 1;
            }
            if falls % 2 == 0 {
                return mean * (whole + first);
            }
            whole += 1.0;
        }
    }

    /// Draws from a bell curve of mean 0 and deviation 1 (twelve even draws, so within 6).
    pub fn bell(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }

    /// Takes `count` different places of a list of `len`, in rising order.
    pub fn choose(&mut self, len: usize, count: usize) -> Vec<usize> {
        let mut places: Vec<usize> = (0..len).collect();
        for i in 0..count.min(len) {
            let other = i + self.below(len - i);
            places.swap(i, other);
        }
        places.truncate(count);
        places.sort_unstable();
        places
    }

    /// Draws `length` characters of `alphabet`.
    pub fn text(&mut self, alphabet: &str, length: usize) -> String {
        let letters = alphabet.as_bytes();
        (0..length).map(|_| char::from(letters[self.below(letters.len())])).collect()
    }
}

/// Scrambles a number (the finaliser of SplitMix64).
pub(super) fn mix(number: u64) -> u64 {
    let z = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Makes a number from 0 up to 1 of 64 bits.
pub(super) fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / 9_007_199_254_740_992.0
}

/// Rounds an invented figure to the eight decimals exchanges keep. Only figures that are made up come this way; what
/// stands on a tape stays the decimal it is.
pub(super) fn money(figure: f64) -> Decimal {
    Decimal::new((figure * 1e8).round() as i64, 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_known_draws_of_xoshiro() {
        // State 1, 2, 3, 4: the first numbers of the authors' reference program.
        let mut dice = Dice { state: [1, 2, 3, 4] };
        assert_eq!([dice.bits(), dice.bits(), dice.bits()], [41_943_041, 58_720_359, 3_588_806_011_781_223]);
    }

    #[test]
    fn draws_have_the_mean_they_promise() {
        let mut dice = Dice::named(7, "mean");
        let n = 20_000;
        let mean = |draw: &mut dyn FnMut() -> f64| (0..n).map(|_| draw()).sum::<f64>() / f64::from(n);
        assert!((mean(&mut || dice.wait(3.0)) - 3.0).abs() < 0.1);
        assert!(mean(&mut || dice.bell()).abs() < 0.05);
        assert!((mean(&mut || dice.unit()) - 0.5).abs() < 0.02);
        let doubled: Vec<f64> = (0..n).map(|_| dice.doubling(1.0, 16.0)).collect();
        let half = doubled.iter().filter(|&&x| x < 4.0).count();
        assert!((9_500..10_500).contains(&half), "{half}");
    }

    #[test]
    fn chosen_places_differ() {
        let places = Dice::new(1).choose(10, 4);
        assert_eq!(places.len(), 4);
        assert!(places.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(Dice::new(1).choose(2, 5).len(), 2);
    }
}
