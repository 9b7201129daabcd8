//! Outcomes as JUnit XML, which build servers read.

use std::fmt::Write as _;

use super::Outcome;
use crate::markup::safe;

/// Writes the report.
pub fn junit(outcomes: &[Outcome]) -> String {
    let failed = outcomes.iter().filter(|outcome| !outcome.failures.is_empty()).count();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(out, "<testsuite name=\"fillguard\" tests=\"{}\" failures=\"{failed}\">", outcomes.len());
    for outcome in outcomes {
        let (file, name) = (safe(&outcome.file.display().to_string()), safe(&outcome.name));
        let _ = write!(out, "  <testcase classname=\"{file}\" name=\"{name}\"");
        if outcome.failures.is_empty() {
            out.push_str("/>\n");
            continue;
        }
        out.push_str(">\n");
        for failure in &outcome.failures {
            let _ = writeln!(out, "    <failure message=\"{}\"/>", safe(failure));
        }
        out.push_str("  </testcase>\n");
    }
    out.push_str("</testsuite>\n");
    out
}
