//! The chance in a simulated market. Written here rather than taken from a crate because a seed must mean the same
//! market in every release.

/// A splitmix64 generator: small, fast, and good enough for prices.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Starts a stream for one purpose, so that what one trader draws never shifts what another draws.
    pub fn new(seed: u64, purpose: &str) -> Self {
        let hash = blake3::hash(format!("{seed}/{purpose}").as_bytes());
        let mut first = [0; 8];
        first.copy_from_slice(&hash.as_bytes()[..8]);
        Dice(u64::from_le_bytes(first))
    }

    /// Returns the next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number in `0.0..1.0`.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Returns a number in `low..high`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Returns a whole number below `bound`, 0 when there is none.
    pub fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { (self.bits() % bound as u64) as usize }
    }

    /// Returns true with the given probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Draws from the standard normal distribution.
    pub fn normal(&mut self) -> f64 {
        let (a, b) = (self.unit().max(1e-12), self.unit());
        (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }

    /// Draws a waiting time with the given mean.
    pub fn wait(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).max(1e-12).ln()
    }

    /// Draws a positive number around `median` with the given spread of its logarithm.
    pub fn around(&mut self, median: f64, spread: f64) -> f64 {
        median * (spread * self.normal()).exp()
    }

    /// Returns `length` letters and digits.
    pub fn word(&mut self, length: usize) -> String {
        const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        (0..length).map(|_| char::from(LETTERS[self.below(62)])).collect()
    }

    /// Returns `length` hexadecimal digits.
    pub fn hex(&mut self, length: usize) -> String {
        (0..length).filter_map(|_| char::from_digit(self.below(16) as u32, 16)).collect()
    }

    /// Returns a random UUID, version 4.
    pub fn uuid(&mut self) -> String {
        let (a, b) = (self.bits(), self.bits());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            a >> 32,
            (a >> 16) & 0xffff,
            a & 0xfff,
            0x8000 | ((b >> 48) & 0x3fff),
            b & 0xffff_ffff_ffff
        )
    }

    /// Returns 32 random bytes.
    pub fn bytes32(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.bits().to_le_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::Dice;

    #[test]
    fn a_seed_means_the_same_market_for_ever() {
        assert_eq!(Dice::new(7, "prices").bits(), Dice::new(7, "prices").bits());
        assert_ne!(Dice::new(7, "prices").bits(), Dice::new(7, "traders").bits());
        assert_eq!(Dice(0).bits(), 0xe220_a839_7b1d_cdaf, "the published first value of splitmix64");
    }

    #[test]
    fn draws_have_the_shape_they_promise() {
        let mut dice = Dice::new(1, "shape");
        let mean = (0..10_000).map(|_| dice.normal()).sum::<f64>() / 10_000.0;
        assert!(mean.abs() < 0.05, "{mean}");
        let wait = (0..10_000).map(|_| dice.wait(3.0)).sum::<f64>() / 10_000.0;
        assert!((wait - 3.0).abs() < 0.15, "{wait}");
        assert_eq!(dice.uuid().len(), 36);
        assert_eq!(dice.word(22).len(), 22);
    }
}
