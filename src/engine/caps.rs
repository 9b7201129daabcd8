//! What all of an asset is worth, where somebody told it: words for people, and a weak prior.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::pair::float;
use crate::domain::{Asset, Cap, Size, Span, Timestamp};

/// Assets remembered.
const MOST: usize = 20_000;
/// Names are not unique: of two assets of one name the larger is meant, unless it was not told for this long.
const LARGER: Span = Span::from_secs(3 * 3_600);
/// What was told this long ago says nothing of today.
const OLD: Span = Span::from_secs(14 * 86_400);
/// A price this many times another is another asset's.
const OTHER: f64 = 2.0;

/// What was told of each asset.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Caps(BTreeMap<Asset, Known>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Known {
    usd: Decimal,
    rank: Option<u32>,
    price: Option<Decimal>,
    at: Timestamp,
}

impl Caps {
    /// Takes what a list tells; returns whether nothing was known of the asset before.
    pub fn take(&mut self, cap: &Cap, at: Timestamp) -> bool {
        // Of an asset whose circulation nobody knows, nothing is known.
        if cap.usd <= Decimal::ZERO {
            return false;
        }
        let known = Known { usd: cap.usd, rank: cap.rank, price: cap.price, at };
        let room = self.0.len() < MOST;
        match self.0.get_mut(&cap.asset) {
            Some(old) if cap.usd < old.usd && at.since(old.at) < LARGER => false,
            Some(old) => {
                *old = known;
                false
            }
            None if room => self.0.insert(cap.asset.clone(), known).is_none(),
            None => false,
        }
    }

    /// Returns how large an asset is at `at`; `dollars` is what one costs here, where that is known: an asset of the same
    /// name at quite another price is another one.
    pub fn of(&self, asset: &Asset, dollars: Option<f64>, at: Timestamp) -> Option<Size> {
        let known = self.0.get(asset).filter(|known| at.since(known.at) <= OLD)?;
        let same = match (known.price.map(float), dollars) {
            (Some(told), Some(here)) if here > 0.0 => (1.0 / OTHER..=OTHER).contains(&(told / here)),
            (Some(_) | None, _) => true,
        };
        same.then_some(Size { usd: known.usd, rank: known.rank })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cap(usd: i64, price: &str) -> Cap {
        let asset = Asset::new("VIA").unwrap();
        Cap { asset, usd: Decimal::from(usd), rank: Some(7), price: price.parse().ok() }
    }

    #[test]
    fn of_two_assets_of_one_name_the_larger_is_meant_and_only_at_its_price() {
        let (mut caps, via) = (Caps::default(), Asset::new("VIA").unwrap());
        let at = Timestamp::from_millis;
        assert!(caps.take(&cap(2_000_000, "0.09"), at(0)));
        assert!(!caps.take(&cap(40_000, "7"), at(1_000)));
        let usd = |dollars, millis| caps.of(&via, dollars, at(millis)).map(|size| size.usd);
        assert_eq!(usd(None, 2_000), Some(Decimal::from(2_000_000)));
        assert_eq!(usd(Some(0.12), 2_000), Some(Decimal::from(2_000_000)), "it moved");
        assert_eq!(usd(Some(7.0), 2_000), None, "another asset");
        assert_eq!(usd(None, 15 * 86_400_000), None, "told two weeks ago");
        assert!(!caps.take(&cap(0, ""), at(0)));
        caps.take(&cap(1_500_000, "0.08"), at(4 * 3_600_000));
        assert_eq!(caps.of(&via, None, at(4 * 3_600_000)).unwrap().usd, Decimal::from(1_500_000), "it shrank");
    }
}
