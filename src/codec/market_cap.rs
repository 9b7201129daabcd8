//! Lists of what assets are worth in all: a CSV file, or JSON as CoinGecko's `coins/markets` tells it.
//!
//! CSV: `asset,usd` or `asset,usd,rank`, a line each; a first line of names is passed over, as are empty lines and those
//! that begin with `#`. JSON: `[{"symbol":"via","market_cap":2100000,"market_cap_rank":1400,"current_price":0.09}]`; the
//! names `asset`, `usd`, `rank` and `price` mean the same.

use compact_str::format_compact;
use rust_decimal::Decimal;
use serde::Deserialize;

use super::shape::{Heard, read, unread};
use super::unread::Unread;
use super::wire::{Amount, Whole};
use crate::arrival::{Arrival, Body};
use crate::domain::{Asset, Cap, EventKind, decimal};

/// Rows of one list that are read; there are fewer assets on the three exchanges together.
const MOST: usize = 20_000;

#[derive(Deserialize)]
struct Row {
    #[serde(alias = "symbol")]
    asset: String,
    #[serde(alias = "market_cap")]
    usd: Option<Amount>,
    #[serde(alias = "market_cap_rank")]
    rank: Option<Whole>,
    #[serde(alias = "current_price")]
    price: Option<Amount>,
}

/// Tells what a list says; rows that cannot be read are told once for all of them.
pub(super) fn decode(arrival: &Arrival, out: &mut Vec<crate::domain::Event>) -> Result<(), Unread> {
    let rows: Vec<Option<Cap>> = match &arrival.body {
        Body::Text(text) => csv(text),
        Body::Frame(frame) | Body::Page { frame, .. } => {
            let rows: Vec<serde_json::Value> = read("a list of market caps", frame.get())?;
            rows.into_iter().take(MOST).map(json).collect()
        }
        Body::Bytes(_) | Body::LinkUp | Body::LinkDown { .. } | Body::Filled { .. } | Body::Tick => {
            return Err(unread("a list of market caps that is neither JSON nor text"));
        }
    };
    let mut heard = Heard::new(arrival, out);
    let bad = rows.iter().filter(|row| row.is_none()).count();
    for cap in rows.into_iter().flatten() {
        heard.push(EventKind::Cap(cap));
    }
    if bad > 0 {
        return Err(Unread(format_compact!("{bad} rows of a list of market caps: write asset,usd[,rank]")));
    }
    Ok(())
}

fn csv(text: &str) -> Vec<Option<Cap>> {
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#')).enumerate();
    lines.take(MOST).filter_map(|(place, line)| Some(line_of(line)).filter(|cap| cap.is_some() || place > 0)).collect()
}

fn line_of(line: &str) -> Option<Cap> {
    let mut fields = line.split([',', ';']).map(|field| field.trim().trim_matches('"'));
    let (asset, usd) = (fields.next()?, fields.next()?);
    let rank = match fields.next() {
        None | Some("") => None,
        Some(rank) => Some(rank.parse().ok()?),
    };
    cap(asset, decimal(usd).ok()?, rank, None)
}

fn json(row: serde_json::Value) -> Option<Cap> {
    let row: Row = serde_json::from_value(row).ok()?;
    // An asset whose circulation nobody knows has zero or nothing: not read wrongly, only of no use.
    let usd = row.usd.map_or(Decimal::ZERO, |usd| usd.0);
    let rank = row.rank.and_then(|rank| u32::try_from(rank.0).ok());
    cap(&row.asset, usd, rank, row.price.map(|price| price.0))
}

fn cap(asset: &str, usd: Decimal, rank: Option<u32>, price: Option<Decimal>) -> Option<Cap> {
    let asset = Asset::new(&asset.to_ascii_uppercase()).ok()?;
    (!usd.is_sign_negative()).then_some(Cap { asset, usd, rank, price: price.filter(|price| *price > Decimal::ZERO) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrival::Incoming;
    use crate::domain::Timestamp;

    type Told = (String, String, Option<u32>);

    fn told(body: Body) -> (Vec<Told>, Result<(), Unread>) {
        let from = "market-cap/file".parse().unwrap();
        let arrival = Incoming { at: Timestamp::from_millis(1_000), from, body }.numbered(1);
        let mut out = Vec::new();
        let read = decode(&arrival, &mut out);
        let row = |event: crate::domain::Event| match event.kind {
            EventKind::Cap(cap) => (cap.asset.as_str().to_owned(), cap.usd.to_string(), cap.rank),
            other => panic!("{other:?}"),
        };
        (out.into_iter().map(row).collect(), read)
    }

    #[test]
    fn a_file_has_a_line_an_asset_and_bad_lines_cost_themselves() {
        let text = "asset,usd,rank\n# mine\nVIA,2100000,1400\n\nnav;900000\nXYZ,lots,3\nABC,-1\n";
        let (rows, read) = told(Body::Text(text.into()));
        assert_eq!(rows, [("VIA".into(), "2100000".into(), Some(1400)), ("NAV".into(), "900000".into(), None)]);
        assert_eq!(read.unwrap_err().0, "2 rows of a list of market caps: write asset,usd[,rank]");
    }

    #[test]
    fn a_list_in_the_form_of_coingecko_is_read() {
        let json = r#"[{"id":"viacoin","symbol":"via","name":"Viacoin","current_price":0.09,"market_cap":2.1e6,
            "market_cap_rank":1400,"total_volume":1},{"symbol":"new","market_cap":null,"market_cap_rank":null},
            {"asset":"ABC","usd":"5"},{"name":"nothing"}]"#;
        let (rows, read) = told(Body::Frame(Body::json(json.into()).unwrap()));
        assert_eq!(rows.len(), 3);
        assert_eq!(rows[0], ("VIA".into(), "2100000".into(), Some(1400)));
        assert_eq!(rows[1], ("NEW".into(), "0".into(), None));
        assert!(read.is_err(), "one row has no asset");
        assert!(told(Body::Frame(Body::json("{}".into()).unwrap())).1.is_err());
        assert!(told(Body::Bytes(vec![0xff])).1.is_err());
    }
}
