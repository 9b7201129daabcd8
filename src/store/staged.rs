//! What rules that are only tried out would have told.

use std::collections::BTreeMap;

use super::incidents::read;
use super::{Error, Store};
use crate::domain::{Finding, Timestamp};
use crate::engine::STAGED;

/// Lines of the history that are looked through; a rule that said more is over any budget.
const MOST: u32 = 20_000;

impl Store {
    /// Returns in how many incidents each staged rule would have spoken since then.
    pub fn staged(&self, since: Timestamp) -> Result<BTreeMap<String, u64>, Error> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT DISTINCT incident, finding FROM history
             WHERE at >= ?1 AND finding LIKE '%\"name\":\"{STAGED}\"%' LIMIT {MOST}"
        ))?;
        let mut rows = statement.query([since.nanos()])?;
        let mut seen = std::collections::BTreeSet::new();
        while let Some(row) = rows.next()? {
            let (incident, finding): (String, String) = (row.get(0)?, row.get(1)?);
            let finding: Finding = read(&finding, || format!("history of {incident}"))?;
            seen.insert((incident, finding.rule_name().to_owned()));
        }
        let mut rules: BTreeMap<String, u64> = BTreeMap::new();
        for (_, rule) in seen {
            *rules.entry(rule).or_default() += 1;
        }
        Ok(rules)
    }
}
