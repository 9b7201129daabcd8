//! Tables as text: comma or tab between columns, which a first line may name.
//!
//! Without names: `PREFIX,OPERATOR`, `PREFIX,ASN,COUNTRY,OPERATOR`, and with a range of addresses instead of a prefix
//! `FIRST,LAST,COUNTRY`, `FIRST,LAST,ASN,OPERATOR` (as <https://github.com/sapics/ip-location-db> has them) and
//! `FIRST,LAST,ASN,COUNTRY,OPERATOR` (as <https://iptoasn.com> has it, with tabs).

use std::net::IpAddr;

use ipnet::IpNet;

use super::problem::Problem;
use super::ranges::{Ranges, Row};
use crate::domain::Network;

/// What a column tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Prefix,
    First,
    Last,
    Asn,
    Country,
    Operator,
    Hosting,
    /// Something else.
    Other,
}

use Column::{Asn, Country, First, Hosting, Last, Operator, Other, Prefix};

/// Reads a table.
pub(super) fn read(text: &str) -> Result<Ranges, Problem> {
    let mut rows = Vec::new();
    let mut columns: Option<Vec<Column>> = None;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (place, line) in text.lines().enumerate() {
        let line_no = place + 1;
        let line = line.trim_end_matches('\r');
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let mut cells = cells(line);
        if rows.is_empty() && columns.is_none() {
            let named: Vec<Column> = cells.iter().map(|cell| column(cell)).collect();
            if named.contains(&Prefix) || (named.contains(&First) && named.contains(&Last)) {
                columns = Some(named);
                continue;
            }
        }
        let told = match &columns {
            Some(columns) => columns.as_slice(),
            None => usual(joined(&mut cells))
                .ok_or(Problem::Row { line: line_no, why: "it has another number of columns" })?,
        };
        if let Some(row) = row(&cells, told, line_no)? {
            rows.push(row);
        }
    }
    if rows.is_empty() {
        return Err(Problem::Empty);
    }
    Ranges::of(rows)
}

/// Returns which column is which where no line names them.
fn usual(cells: &[String]) -> Option<&'static [Column]> {
    let prefix = cells.first().is_some_and(|cell| cell.contains('/'));
    Some(match (prefix, cells.len()) {
        (true, 2) => &[Prefix, Operator],
        (true, 4) => &[Prefix, Asn, Country, Operator],
        (false, 3) => &[First, Last, Country],
        (false, 4) => &[First, Last, Asn, Operator],
        (false, 5) => &[First, Last, Asn, Country, Operator],
        (true | false, _) => return None,
    })
}

fn column(name: &str) -> Column {
    let plain: String = name.to_ascii_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
    match plain.as_str() {
        "prefix" | "network" | "cidr" => Prefix,
        "first" | "start" | "rangestart" | "iprangestart" | "startip" => First,
        "last" | "end" | "rangeend" | "iprangeend" | "endip" => Last,
        "asn" | "asnumber" | "autonomoussystemnumber" => Asn,
        "country" | "countrycode" => Country,
        "operator" | "name" | "asname" | "asdescription" | "autonomoussystemorganization" | "organization" => Operator,
        "hosting" | "ishosting" => Hosting,
        _ => Other,
    }
}

fn row(cells: &[String], columns: &[Column], line: usize) -> Result<Option<Row>, Problem> {
    let wrong = |why| Problem::Row { line, why };
    let cell = |wanted: Column| {
        let place = columns.iter().position(|column| *column == wanted)?;
        cells.get(place).map(|cell| cell.trim())
    };
    if cells.len() < columns.len() {
        return Err(wrong("it has fewer columns than the first"));
    }
    let (first, last) = match (cell(Prefix), cell(First), cell(Last)) {
        (Some(prefix), ..) => {
            let prefix: IpNet = prefix
                .parse()
                .or_else(|_| prefix.parse::<IpAddr>().map(IpNet::from))
                .map_err(|_| wrong("no address prefix such as 203.0.113.0/24"))?;
            (prefix.network(), prefix.broadcast())
        }
        (None, Some(first), Some(last)) => {
            let address = |text: &str| text.parse::<IpAddr>().map_err(|_| wrong("no address such as 203.0.113.0"));
            (address(first)?, address(last)?)
        }
        (None, Some(_) | None, _) => return Err(wrong("no address")),
    };
    let asn = match cell(Asn) {
        Some(text) => Network::asn_of(text).ok_or_else(|| wrong("no number of a network such as 64500"))?,
        None => None,
    };
    // "Not routed" in lists of all addresses.
    let unrouted = cell(Asn).is_some_and(|text| text == "0" || text.eq_ignore_ascii_case("as0"));
    let operator = cell(Operator).filter(|_| !unrouted).and_then(Network::operator_of);
    if cell(Operator).is_some_and(str::is_empty) && asn.is_none() && cell(Country).is_none() {
        return Err(wrong("no operator"));
    }
    let hosting = match cell(Hosting).map(str::to_ascii_lowercase).as_deref() {
        Some("1" | "true" | "yes" | "hosting") => Some(true),
        Some("0" | "false" | "no") => Some(false),
        Some("") | None => None,
        Some(_) => return Err(wrong("hosting is neither true nor false")),
    };
    let network = Network { asn, operator, country: cell(Country).and_then(Network::country_of), hosting };
    Ok((network != Network::default()).then_some(Row { first, last, network, line }))
}

/// Takes a line apart: at tabs where it has one, else at commas outside double quotes.
fn cells(line: &str) -> Vec<String> {
    if line.contains('\t') {
        return line.split('\t').map(|cell| cell.trim().to_owned()).collect();
    }
    let mut cells = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            c => {
                if let Some(cell) = cells.last_mut() {
                    cell.push(c);
                }
            }
        }
    }
    cells.into_iter().map(|cell| cell.trim().to_owned()).collect()
}

/// An operator's name, the last of the usual columns, may have commas though nobody quoted it.
fn joined(cells: &mut Vec<String>) -> &[String] {
    let most = if cells.first().is_some_and(|cell| cell.contains('/')) { 4 } else { 5 };
    if cells.len() > most {
        let rest = cells.split_off(most - 1);
        cells.push(rest.join(", "));
    }
    cells
}
