//! Who operates an address, and where.

use compact_str::{CompactString, format_compact};
use serde::{Deserialize, Serialize};

/// Who operates an address, and where, as a table told when it was used; empty where it is in no table.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Network {
    /// Its autonomous system's number.
    pub asn: Option<u32>,
    /// Its operator's name.
    pub operator: Option<CompactString>,
    /// The country as two letters.
    pub country: Option<CompactString>,
    /// Whether machines are rented there; absent where nobody knows who operates it.
    pub hosting: Option<bool>,
}

impl Network {
    /// The longest operator's name, in characters.
    pub const LONGEST_NAME: usize = 80;

    /// Returns what tells it from others, whatever its name is today: `AS64500`, or the name where there is no number.
    pub fn key(&self) -> Option<CompactString> {
        self.asn.map(|asn| format_compact!("AS{asn}")).or_else(|| self.operator.clone())
    }

    /// Returns what people call it: `AS64500 Example Net`.
    pub fn name(&self) -> Option<CompactString> {
        match (self.asn, &self.operator) {
            (Some(asn), Some(operator)) => Some(format_compact!("AS{asn} {operator}")),
            (Some(_), None) | (None, _) => self.key(),
        }
    }

    /// Takes from `other` what is not known yet.
    pub fn or(self, other: Network) -> Network {
        Network {
            asn: self.asn.or(other.asn),
            operator: self.operator.or(other.operator),
            country: self.country.or(other.country),
            hosting: self.hosting.or(other.hosting),
        }
    }

    /// Cuts an operator's name to what is kept; nothing where nothing is left.
    pub fn operator_of(text: &str) -> Option<CompactString> {
        let name: CompactString = text.trim().chars().filter(|c| !c.is_control()).take(Network::LONGEST_NAME).collect();
        (!name.is_empty()).then_some(name)
    }

    /// Reads a country: two letters; anything else names none.
    pub fn country_of(text: &str) -> Option<CompactString> {
        let text = text.trim();
        let fine = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
        (fine && !text.eq_ignore_ascii_case("ZZ")).then(|| text.to_ascii_uppercase().into())
    }

    /// Reads the number of an autonomous system, with `AS` before it or without; 0 stands for none.
    pub fn asn_of(text: &str) -> Option<Option<u32>> {
        let digits = text.trim().trim_start_matches(['A', 'a']).trim_start_matches(['S', 's']);
        if digits.is_empty() || digits == "-" {
            return Some(None);
        }
        digits.parse::<u32>().ok().map(|asn| (asn != 0).then_some(asn))
    }
}
