//! Finds thousands of texts in one pass, a few times slower than memory is read.
//!
//! An occurrence of a text of at least `stride + gram - 1` bytes holds one whole gram that begins at a multiple of
//! `stride`. So only those grams of the data are looked at: nearly all are turned away by one word of a table that fits
//! the cache, and the few others are compared. A classical automaton would look at every byte, and with ten thousand
//! texts its states would not fit. Long texts are looked for apart from short ones, in longer strides.

use super::needle::{Needle, SHORTEST};

/// Texts of at least so many bytes are looked for together, by grams of so many bytes: the longest first.
const TIERS: [(usize, usize); 2] = [(24, 8), (SHORTEST, 5)];
/// The longest stride: a longer one would look less often and remember more grams than fit the cache.
const LONGEST_STRIDE: usize = 17;
/// Bytes that one group looks at before the next does, while they are in the cache.
const BLOCK: usize = 16 << 10;
/// Grams that are looked at together.
const TOGETHER: usize = 8;
/// Bits of the table for each gram in it, of which it sets [`MARKS`] in one word: of the grams that are none of them about
/// one in 300 passes. With one bit each it would be one in 32, and comparing those takes as long as all the rest.
const BITS_A_GRAM: usize = 16;
/// See [`BITS_A_GRAM`].
const MARKS: u32 = 3;

/// Everything that is looked for.
pub struct Finder {
    needles: Vec<Needle>,
    groups: Vec<Group>,
    longest: usize,
}

/// Texts that are found by grams of one length.
struct Group {
    gram: usize,
    stride: usize,
    /// Where a gram's hash points, its marks are set.
    words: Vec<u64>,
    shift: u32,
    /// Gram, text, and where in the text the gram begins; sorted by the gram's bucket.
    places: Vec<(u64, u32, u32)>,
    /// Where the places of each bucket begin, and at the end how many there are.
    buckets: Vec<u32>,
    bucket_shift: u32,
}

impl Finder {
    /// Prepares the search for these texts.
    pub fn new(needles: Vec<Needle>) -> Self {
        let longest = needles.iter().map(|needle| needle.bytes.len()).max().unwrap_or(0);
        let mut groups = Vec::new();
        let mut below = usize::MAX;
        for (least, gram) in TIERS {
            let belongs = |at: &usize| (least..below).contains(&needles[*at].bytes.len());
            let members: Vec<usize> = (0..needles.len()).filter(belongs).collect();
            if let Some(shortest) = members.iter().map(|at| needles[*at].bytes.len()).min() {
                groups.push(Group::new(&needles, &members, gram, shortest));
            }
            below = least;
        }
        Finder { needles, groups, longest }
    }

    /// Returns how many bytes of what was searched have to be searched again together with what follows.
    pub fn overlap(&self) -> usize {
        self.longest.saturating_sub(1)
    }

    /// Returns how many spellings are looked for.
    pub fn count(&self) -> usize {
        self.needles.len()
    }

    /// Tells each text found in `data` and where it begins; those that end within the first `known` bytes were told
    /// before.
    pub fn find(&self, data: &[u8], known: usize, tell: &mut dyn FnMut(&Needle, usize)) {
        let mut reached = [0; TIERS.len()];
        for block in (0..data.len()).step_by(BLOCK) {
            for (group, at) in self.groups.iter().zip(&mut reached) {
                *at = group.find(data, *at, block + BLOCK, &mut |place, at| {
                    let Some(needle) = self.needles.get(place) else { return };
                    let Some(start) = usize::checked_sub(at.0, at.1) else { return };
                    let end = start + needle.bytes.len();
                    if end > known && data.get(start..end) == Some(needle.bytes.as_slice()) {
                        tell(needle, start);
                    }
                });
            }
        }
    }
}

impl Group {
    fn new(needles: &[Needle], members: &[usize], gram: usize, shortest: usize) -> Self {
        let stride = shortest.saturating_sub(gram).saturating_add(1).clamp(1, LONGEST_STRIDE);
        let mut places = Vec::with_capacity(members.len() * stride);
        for member in members {
            let bytes = &needles[*member].bytes;
            for offset in 0..stride {
                if let Some(value) = read(bytes, offset, gram) {
                    places.push((value, *member as u32, offset as u32));
                }
            }
        }
        let count = places.len().next_power_of_two().max(1 << 6);
        let bucket_shift = 64 - count.trailing_zeros();
        places.sort_unstable_by_key(|place| (hash(place.0, bucket_shift), *place));
        let mut buckets = vec![0_u32; count + 1];
        for (value, _, _) in &places {
            buckets[hash(*value, bucket_shift) + 1] += 1;
        }
        for at in 1..buckets.len() {
            buckets[at] += buckets[at - 1];
        }
        let size = (places.len() * BITS_A_GRAM / 64).next_power_of_two().max(1 << 6);
        let shift = 64 - size.trailing_zeros();
        let mut words = vec![0_u64; size];
        for (value, _, _) in &places {
            let mixed = mix(*value);
            let word = &mut words[(mixed >> shift) as usize];
            for mark in 1..=MARKS {
                *word |= 1_u64.rotate_left((mixed >> (shift - 6 * mark)) as u32 % 64);
            }
        }
        Group { gram, stride, words, shift, places, buckets, bucket_shift }
    }

    /// Tells text and place of every gram from `at` to `limit` that is in the table: where the gram begins in the data, and
    /// in the text. Returns where the next gram begins.
    fn find(&self, data: &[u8], mut at: usize, limit: usize, tell: &mut dyn FnMut(usize, (usize, usize))) -> usize {
        let (mask, stride) = (u64::MAX >> (64 - 8 * self.gram), self.stride);
        // Several together, so that one's wait for the table is another's time to be hashed, and one branch does for all.
        while at < limit
            && let Some(window) = data.get(at..at + (TOGETHER - 1) * stride + 8)
        {
            let value = |place: usize| {
                let mut bytes = [0; 8];
                bytes.copy_from_slice(&window[place * stride..place * stride + 8]);
                u64::from_le_bytes(bytes) & mask
            };
            let hit = (0..TOGETHER).fold(0, |hit, place| hit | self.bit(value(place)));
            if hit & 1 == 1 {
                for place in 0..TOGETHER {
                    self.look(value(place), at + place * stride, tell);
                }
            }
            at += TOGETHER * stride;
        }
        while at < limit
            && let Some(window) = data.get(at..at + 8)
        {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(window);
            self.look(u64::from_le_bytes(bytes) & mask, at, tell);
            at += stride;
        }
        // The last grams, which have no eight bytes any more.
        while at < limit
            && let Some(value) = read(data, at, self.gram)
        {
            self.look(value, at, tell);
            at += stride;
        }
        at
    }

    /// Returns a number whose last bit is set where a gram may be in the table.
    #[inline(always)]
    fn bit(&self, value: u64) -> u64 {
        let mixed = mix(value);
        let word = self.words[(mixed >> self.shift) as usize];
        (1..=MARKS).fold(u64::MAX, |all, mark| all & word.wrapping_shr((mixed >> (self.shift - 6 * mark)) as u32))
    }

    #[inline(always)]
    fn look(&self, value: u64, at: usize, tell: &mut dyn FnMut(usize, (usize, usize))) {
        if self.bit(value) & 1 == 1 {
            self.compare(value, at, tell);
        }
    }

    #[cold]
    #[inline(never)]
    fn compare(&self, value: u64, at: usize, tell: &mut dyn FnMut(usize, (usize, usize))) {
        let bucket = hash(value, self.bucket_shift);
        let (from, to) = (self.buckets[bucket] as usize, self.buckets[bucket + 1] as usize);
        for (_, needle, offset) in self.places[from..to].iter().filter(|place| place.0 == value) {
            tell(*needle as usize, (at, *offset as usize));
        }
    }
}

#[inline(always)]
fn mix(value: u64) -> u64 {
    value.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn hash(value: u64, shift: u32) -> usize {
    (mix(value) >> shift) as usize
}

fn read(bytes: &[u8], offset: usize, gram: usize) -> Option<u64> {
    let window = bytes.get(offset..offset + gram)?;
    let mut value = [0; 8];
    value.get_mut(..gram)?.copy_from_slice(window);
    Some(u64::from_le_bytes(value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use zeroize::Zeroizing;

    use super::super::needle::{Part, spellings};
    use super::*;
    use crate::secret::Secret;

    fn needle(text: &str) -> Needle {
        let bytes = Zeroizing::new(text.as_bytes().to_vec());
        Needle { account: text.into(), part: Part::Secret, spelling: "plain", bytes }
    }

    fn found(finder: &Finder, data: &[u8], chunk: usize) -> Vec<(String, usize)> {
        let mut found = Vec::new();
        let (mut kept, mut base): (Vec<u8>, usize) = (Vec::new(), 0);
        for piece in data.chunks(chunk.min(data.len().max(1))) {
            let known = kept.len();
            kept.extend_from_slice(piece);
            finder.find(&kept, known, &mut |needle, at| found.push((needle.account.to_string(), base + at)));
            let cut = kept.len().saturating_sub(finder.overlap());
            base += cut;
            kept.drain(..cut);
        }
        found.sort();
        found
    }

    proptest! {
        #[test]
        fn it_finds_what_a_plain_search_finds_wherever_the_data_is_cut(
            texts in proptest::collection::btree_set("[ab]{6,40}", 1..8),
            data in "[ab]{0,400}",
            chunk in 1_usize..64,
        ) {
            let finder = Finder::new(texts.iter().map(|text| needle(text)).collect());
            let mut plain: Vec<(String, usize)> = Vec::new();
            for text in &texts {
                let all = (0..data.len()).filter(|at| data[*at..].starts_with(text.as_str()));
                plain.extend(all.map(|at| (text.clone(), at)));
            }
            plain.sort();
            prop_assert_eq!(found(&finder, data.as_bytes(), chunk), plain);
        }
    }

    proptest! {
        #[test]
        fn texts_of_every_length_are_found_around_the_borders_of_blocks(
            lengths in proptest::collection::vec(SHORTEST..80, 1..12),
            seed in any::<u64>(),
        ) {
            let word = |place: usize, length| word(seed ^ place as u64, length);
            let texts: Vec<String> = lengths.iter().enumerate().map(|(at, length)| word(at, *length)).collect();
            let finder = Finder::new(texts.iter().map(|text| needle(text)).collect());
            let mut data = vec![b'.'; 3 * BLOCK];
            let mut wanted = Vec::new();
            for (at, text) in texts.iter().enumerate() {
                // One over each border, one somewhere, one at the end.
                for place in [
                    BLOCK - 1 - at % text.len(),
                    2 * BLOCK + seed as usize % (BLOCK - 100),
                    3 * BLOCK - text.len(),
                ] {
                    data.fill(b'.');
                    data[place..place + text.len()].copy_from_slice(text.as_bytes());
                    let found = found(&finder, &data, usize::MAX);
                    prop_assert!(found.contains(&(text.clone(), place)), "{} at {}", text.len(), place);
                    wanted.push(place);
                }
            }
            prop_assert_eq!(wanted.len(), 3 * texts.len());
        }
    }

    fn word(seed: u64, length: usize) -> String {
        let hash = blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof();
        let mut bytes = vec![0; length];
        { hash }.fill(&mut bytes);
        bytes.iter().map(|byte| char::from(b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefgh"[usize::from(byte % 32)])).collect()
    }

    #[test]
    #[expect(clippy::print_stderr, reason = "a measurement says what it measured")]
    #[ignore = "a measurement: cargo test --release --lib leakcheck -- --ignored --nocapture"]
    fn how_fast_a_thousand_keys_are_looked_for() {
        // Binance's keys, and KuCoin's with the passphrases that people choose.
        let (mut long, mut short) = (Vec::new(), Vec::new());
        for key in 0..1_000 {
            long.extend(spellings("a", Part::KeyId, &Secret::new(word(2 * key, 64))));
            long.extend(spellings("a", Part::Secret, &Secret::new(word(2 * key + 1, 64))));
            short.extend(spellings("a", Part::KeyId, &Secret::new(word(3 * key, 24))));
            short.extend(spellings("a", Part::Secret, &Secret::new(word(3 * key + 1, 36))));
            short.extend(spellings("a", Part::Passphrase, &Secret::new(word(3 * key + 2, 8 + key as usize % 9))));
        }
        let mut data = Vec::with_capacity(256 << 20);
        let mut line = 0_u64;
        while data.len() < 256 << 20 {
            line += 1;
            let row = format!("{line},user{line}@mail.example,{},{}\n", word(line % 5_003 + 10_000, 64), line * 31);
            data.extend_from_slice(row.as_bytes());
        }
        for (name, needles) in [("64 characters", long), ("24, 36 and 8 to 16 characters", short)] {
            let finder = Finder::new(needles);
            let (mut found, mut best, mut sum) = (0, f64::MAX, f64::MAX);
            for _ in 0..5 {
                let begun = crate::runtime::clock::steady();
                data.chunks(1 << 20).for_each(|chunk| finder.find(chunk, 0, &mut |_, _| found += 1));
                best = best.min(begun.elapsed().as_secs_f64());
                let begun = crate::runtime::clock::steady();
                let total = data
                    .chunks_exact(8)
                    .map(|eight| u64::from_le_bytes(eight.try_into().unwrap()))
                    .fold(0_u64, u64::wrapping_add);
                std::hint::black_box(total);
                sum = sum.min(begun.elapsed().as_secs_f64());
            }
            let gb = data.len() as f64 / 1e9;
            eprintln!(
                "{} spellings of 1,000 keys of {name}: {:.2} GB/s a core ({:.0} ms a GB); adding up the same bytes: {:.2} \
                 GB/s; {found} finds",
                finder.count(),
                gb / best,
                best / gb * 1e3,
                gb / sum
            );
        }
    }
}
