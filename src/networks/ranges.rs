//! Address ranges with what is told of them, cut into pieces that do not overlap, found by halving.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::problem::Problem;
use crate::domain::Network;

/// One row of a table: from the first address to the last, and the line it stands on.
pub(super) struct Row {
    pub(super) first: IpAddr,
    pub(super) last: IpAddr,
    pub(super) network: Network,
    pub(super) line: usize,
}

/// Ranges in memory: 12 bytes for one of IPv4, 48 for one of IPv6, and each network once.
#[derive(Default)]
pub(super) struct Ranges {
    v4: Vec<(u32, u32, u32)>,
    v6: Vec<(u128, u128, u32)>,
    networks: Vec<Network>,
}

/// A range while it is cut: first, last, network, line.
type Cut = (u128, u128, u32, usize);

impl Ranges {
    /// Takes rows in any order. The smallest that holds an address counts; of equals the last.
    pub(super) fn of(rows: Vec<Row>) -> Result<Self, Problem> {
        let mut places: BTreeMap<Network, u32> = BTreeMap::new();
        let (mut v4, mut v6): (Vec<Cut>, Vec<Cut>) = (Vec::new(), Vec::new());
        for row in rows {
            let new = u32::try_from(places.len()).unwrap_or(u32::MAX);
            let place = *places.entry(row.network).or_insert(new);
            match (row.first, row.last) {
                (IpAddr::V4(first), IpAddr::V4(last)) if first <= last => {
                    v4.push((first.to_bits().into(), last.to_bits().into(), place, row.line));
                }
                (IpAddr::V6(first), IpAddr::V6(last)) if first <= last => {
                    v6.push((first.to_bits(), last.to_bits(), place, row.line));
                }
                (IpAddr::V4(_) | IpAddr::V6(_), IpAddr::V4(_) | IpAddr::V6(_)) => {
                    return Err(Problem::Row { line: row.line, why: "the range ends before it begins" });
                }
            }
        }
        let narrow = |bits: u128| u32::try_from(bits).unwrap_or(u32::MAX);
        let v4 = cut(v4)?.into_iter().map(|(first, last, place, _)| (narrow(first), narrow(last), place)).collect();
        let v6 = cut(v6)?.into_iter().map(|(first, last, place, _)| (first, last, place)).collect();
        let mut networks: Vec<(u32, Network)> = places.into_iter().map(|(network, place)| (place, network)).collect();
        networks.sort_by_key(|(place, _)| *place);
        Ok(Ranges { v4, v6, networks: networks.into_iter().map(|(_, network)| network).collect() })
    }

    /// Returns what is told of an address.
    pub(super) fn of_ip(&self, ip: IpAddr) -> Option<&Network> {
        let place = match ip {
            IpAddr::V4(ip) => found(&self.v4, ip.to_bits()),
            IpAddr::V6(ip) => found(&self.v6, ip.to_bits()),
        };
        self.networks.get(place? as usize)
    }

    /// Returns how many pieces there are.
    pub(super) fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }
}

fn found<T: Ord + Copy>(ranges: &[(T, T, u32)], bits: T) -> Option<u32> {
    let after = ranges.partition_point(|(first, ..)| *first <= bits);
    let (_, last, place) = ranges.get(after.checked_sub(1)?)?;
    (bits <= *last).then_some(*place)
}

/// Cuts ranges so that of each address the innermost is left.
fn cut(mut ranges: Vec<Cut>) -> Result<Vec<Cut>, Problem> {
    ranges.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)).then(a.3.cmp(&b.3)));
    let mut pieces: Vec<Cut> = Vec::with_capacity(ranges.len());
    // Those that are open, each inside the one before it, and from where on the innermost was not told yet.
    let mut open: Vec<Cut> = Vec::new();
    let mut from = 0_u128;
    let close = |open: &mut Vec<Cut>, from: &mut u128, pieces: &mut Vec<Cut>| {
        if let Some((_, last, place, line)) = open.pop() {
            if *from <= last {
                pieces.push((*from, last, place, line));
            }
            match last.checked_add(1) {
                Some(next) => *from = next,
                // Whatever else is open ends here too.
                None => open.clear(),
            }
        }
    };
    for range in ranges {
        while open.last().is_some_and(|(_, last, ..)| *last < range.0) {
            close(&mut open, &mut from, &mut pieces);
        }
        if let Some((_, last, place, line)) = open.last() {
            if range.1 > *last {
                return Err(Problem::Overlap { line: range.3.max(*line), other: range.3.min(*line) });
            }
            if from < range.0 {
                pieces.push((from, range.0 - 1, *place, *line));
            }
        }
        from = range.0;
        open.push(range);
    }
    while !open.is_empty() {
        close(&mut open, &mut from, &mut pieces);
    }
    Ok(pieces)
}
