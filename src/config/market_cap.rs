//! `[market_cap]`: where to read what assets are worth in all.

use std::time::Duration;

use super::credential::{Found, secret};
use super::section::Section;
use crate::feed::{CapSource, MarketCap};

/// Reads the section: a file, a list on the web, both or neither.
pub(super) fn market_cap(root: &mut Section<'_>) -> Vec<MarketCap> {
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
    let web = url.map(|url| CapSource::Web { url, pages, key });
    section.close();
    let from = file.map(CapSource::File).into_iter().chain(web);
    from.map(|from| MarketCap { from, every }).collect()
}
