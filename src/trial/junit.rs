//! Outcomes as JUnit XML, which build servers read.

use std::fmt::Write as _;

use super::Outcome;

/// Writes the report.
pub fn junit(outcomes: &[Outcome]) -> String {
    let failed = outcomes.iter().filter(|outcome| !outcome.failures.is_empty()).count();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(out, "<testsuite name=\"fillguard\" tests=\"{}\" failures=\"{failed}\">", outcomes.len());
    for outcome in outcomes {
        let (file, name) = (escaped(&outcome.file.display().to_string()), escaped(&outcome.name));
        let _ = write!(out, "  <testcase classname=\"{file}\" name=\"{name}\"");
        if outcome.failures.is_empty() {
            out.push_str("/>\n");
            continue;
        }
        out.push_str(">\n");
        for failure in &outcome.failures {
            let _ = writeln!(out, "    <failure message=\"{}\"/>", escaped(failure));
        }
        out.push_str("  </testcase>\n");
    }
    out.push_str("</testsuite>\n");
    out
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            letter if letter.is_control() => out.push(' '),
            letter => out.push(letter),
        }
    }
    out
}
