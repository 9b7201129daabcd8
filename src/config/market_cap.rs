//! `[market_cap]`: where to read what assets are worth in all.

use std::time::Duration;

use super::credential::{Found, secret};
use super::section::Section;
use crate::feed::{CapSource, MarketCap};

/// Reads the section; nothing where it names no place.
pub(super) fn market_cap(root: &mut Section<'_>) -> Option<MarketCap> {
    let mut section = root.section("market_cap");
    let file = section.path_to("file", None);
    let url =
        section.has("url").then(|| section.address("url", "https://api.coingecko.com/api/v3/coins/markets", "https"));
    if !section.has("url") {
        section.text("url", None);
    }
    let every =
        section.time("every", Duration::from_secs(3_600), Duration::from_secs(60)..=Duration::from_secs(7 * 86_400));
    let pages = u32::try_from(section.count("pages", 4, 1..=40)).unwrap_or(4);
    let key = match secret(&mut section, "key_file", "key_credential") {
        Found::Read(key) => Some(key),
        Found::Absent | Found::Unread => None,
    };
    let from = match (file, url) {
        (Some(_), Some(_)) => {
            section.refuse("url", "is a second place for the same list; keep this or file");
            None
        }
        (Some(file), None) => Some(CapSource::File(file)),
        (None, Some(url)) => Some(CapSource::Web { url, pages, key }),
        (None, None) => None,
    };
    section.close();
    from.map(|from| MarketCap { from, every })
}
