//! Who operates which addresses: tables that the user named, in memory, looked up without any other knowledge.

mod hosting;
mod problem;
mod ranges;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeSet;
use std::fmt;
use std::io::Read;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use compact_str::CompactString;
use flate2::read::MultiGzDecoder;
use serde_json::Value;

pub use problem::Problem;

use crate::domain::Network;
use ranges::Ranges;

/// Tables of who operates which addresses; none by default. Clones share them.
#[derive(Clone, Default)]
pub struct Networks(Option<Arc<Tables>>);

struct Tables {
    /// Asked in order; what the first does not tell, the next may.
    tables: Vec<Table>,
    hosting: BTreeSet<u32>,
    hash: CompactString,
}

/// One table.
pub struct Table {
    form: Form,
    hash: blake3::Hash,
}

enum Form {
    Ranges(Ranges),
    Database(maxminddb::Reader<Vec<u8>>),
}

/// The largest file that is read, and the largest text that is unpacked of one, in MiB. All of the world's IPv4 and IPv6
/// networks are 30 MiB of text.
const MOST_MIB: u64 = 512;
/// What a MaxMind database ends with, before its description.
const MARK: &[u8] = b"\xab\xcd\xefMaxMind.com";

impl Networks {
    /// Joins tables: of each thing the first that tells it counts. `hosting` are networks that rent machines, besides
    /// the built-in ones.
    pub fn of_tables(tables: Vec<Table>, hosting: impl IntoIterator<Item = u32>) -> Self {
        if tables.is_empty() {
            return Networks(None);
        }
        let hosting: BTreeSet<u32> = hosting.into_iter().chain(hosting::HOSTING).collect();
        let mut hasher = blake3::Hasher::new();
        for table in &tables {
            hasher.update(table.hash.as_bytes());
        }
        for asn in &hosting {
            hasher.update(&asn.to_le_bytes());
        }
        let hash = hasher.finalize().to_hex()[..16].into();
        Networks(Some(Arc::new(Tables { tables, hosting, hash })))
    }

    /// Returns what tells these tables from others; nothing where there are none.
    pub fn hash(&self) -> Option<&CompactString> {
        self.0.as_ref().map(|tables| &tables.hash)
    }

    /// Returns how many entries the tables have.
    pub fn rows(&self) -> usize {
        self.0.as_ref().map_or(0, |tables| tables.tables.iter().map(Table::rows).sum())
    }

    /// Returns what is told of an address: nothing where there is no table at all, an empty network where none has it.
    pub fn of(&self, ip: IpAddr) -> Option<Network> {
        let tables = self.0.as_ref()?;
        let told = tables.tables.iter().fold(Network::default(), |told, table| told.or(table.of(ip)));
        let listed = told.asn.map(|asn| tables.hosting.contains(&asn));
        Some(Network { hosting: told.hosting.or(listed), ..told })
    }
}

impl fmt::Debug for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Networks").field(&self.hash()).finish()
    }
}

impl Table {
    /// Reads a file: a MaxMind database, or text, which may be gzipped.
    pub fn load(path: &Path) -> Result<Table, Problem> {
        let most = MOST_MIB << 20;
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > most {
            return Err(Problem::TooLarge(MOST_MIB));
        }
        Table::read(bytes)
    }

    /// Reads a file's bytes.
    pub fn read(bytes: Vec<u8>) -> Result<Table, Problem> {
        let hash = blake3::hash(&bytes);
        let end = bytes.len().saturating_sub(128 << 10);
        let form = if bytes[end..].windows(MARK.len()).any(|window| window == MARK) {
            Form::Database(database(bytes)?)
        } else {
            let bytes = if bytes.starts_with(&[0x1f, 0x8b]) { unpacked(&bytes)? } else { bytes };
            Form::Ranges(text::read(std::str::from_utf8(&bytes).map_err(|_| Problem::NotText)?)?)
        };
        Ok(Table { form, hash })
    }

    fn rows(&self) -> usize {
        match &self.form {
            Form::Ranges(ranges) => ranges.len(),
            Form::Database(reader) => reader.metadata().node_count as usize,
        }
    }

    fn of(&self, ip: IpAddr) -> Network {
        match &self.form {
            Form::Ranges(ranges) => ranges.of_ip(ip).cloned().unwrap_or_default(),
            Form::Database(reader) => {
                // A database that was whole when it was read answers; an address of a kind it has not is in no network.
                let found = reader.lookup(ip).ok().and_then(|found| found.decode::<Value>().ok().flatten());
                found.map(|record| of_record(&record)).unwrap_or_default()
            }
        }
    }
}

fn unpacked(bytes: &[u8]) -> Result<Vec<u8>, Problem> {
    let mut text = Vec::new();
    MultiGzDecoder::new(bytes).take((MOST_MIB << 20) + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MOST_MIB << 20 {
        return Err(Problem::TooLarge(MOST_MIB));
    }
    Ok(text)
}

fn database(bytes: Vec<u8>) -> Result<maxminddb::Reader<Vec<u8>>, Problem> {
    let damaged = |error: maxminddb::MaxMindDbError| Problem::Database(error.to_string());
    let reader = maxminddb::Reader::from_source(bytes).map_err(damaged)?;
    reader.verify().map_err(damaged)?;
    let kind = reader.metadata().database_type.clone();
    // The names by which MaxMind, DB-IP and IPinfo call what tells networks or countries.
    let plain = kind.to_ascii_lowercase();
    let useful = ["asn", "isp", "country", "city", "enterprise", "ipinfo", "location", "lite"];
    if useful.iter().any(|word| plain.contains(word)) { Ok(reader) } else { Err(Problem::NoUse(kind)) }
}

/// Reads a record as MaxMind (`autonomous_system_number`, `country.iso_code`) or IPinfo (`asn`, `country_code`) has it.
fn of_record(record: &Value) -> Network {
    let text = |keys: &[&str]| keys.iter().find_map(|key| record.get(key).and_then(Value::as_str));
    let asn = record.get("autonomous_system_number").and_then(Value::as_u64).and_then(|asn| u32::try_from(asn).ok());
    let country = ["country", "registered_country"]
        .iter()
        .find_map(|key| record.get(key).and_then(|country| country.get("iso_code")).and_then(Value::as_str));
    let hosting = record.get("traits").and_then(|traits| traits.get("is_hosting_provider")).and_then(Value::as_bool);
    Network {
        asn: asn.filter(|asn| *asn != 0).or_else(|| text(&["asn"]).and_then(|asn| Network::asn_of(asn).flatten())),
        operator: text(&["autonomous_system_organization", "as_name", "name", "isp"]).and_then(Network::operator_of),
        country: country.or_else(|| text(&["country_code", "country"])).and_then(Network::country_of),
        hosting,
    }
}
