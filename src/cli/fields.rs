//! `fillguard fields`: what a rule's condition may ask about an order.

use std::io::Write;

use clap::Parser;
use serde_json::json;

use super::FINE;
use super::Format;
use crate::engine::expression::fields;

/// List the fields and functions that a rule's `when` may use
///
/// A rule of your own stands in a file of the folder that [rules] dir names:
///
///   [[rule]]
///   name = "large_new_pair"
///   when = 'order.side == "buy" && pair.new && order.dollars > 5000'
///   why = "bought {order.pair}, never traded before, for {order.dollars} dollars"
#[derive(Clone, Debug, Parser)]
#[command(verbatim_doc_comment)]
#[allow(rustdoc::broken_intra_doc_links, reason = "tables of TOML, shown as they are in --help")]
pub struct Args {
    /// For people or for programs
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Functions and operators: how they are written, and what they say.
const FUNCTIONS: [(&str, &str); 16] = [
    ("a && b, a || b, !a", "and, or, not"),
    ("== != < <= > >=", "compare numbers, times; texts with == and !="),
    ("+ - * / %", "reckon; a division by zero means not met"),
    ("a ? b : c", "b where a holds, else c"),
    ("text in [\"BTC\", \"ETH\"]", "whether a text is one of a list"),
    ("text.startsWith(\"A\")", "also endsWith, contains"),
    ("text.size()", "letters of a text, or how many texts a list has"),
    ("duration(\"90s\")", "a time; ms, s, m, h or d"),
    ("has(pair.cap)", "whether a field is known for this order"),
    ("count(account, \"10m\")", "the account's orders within a time, this one among them; at most 256 are counted"),
    ("count(pair, \"1h\", \"buy\")", "the same in this pair, and of one side"),
    ("sum(account, \"1d\")", "what they were worth, in dollars"),
    ("distinct(account, \"1h\")", "in how many pairs they were"),
    ("count(address, \"1h\")", "uses of the account's keys, where access logs tell of them"),
    ("distinct(address, \"1h\")", "from how many addresses"),
    ("math.abs(a), math.least(a, b), math.greatest(a, b)", "numbers"),
];

/// Prints the reference.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<u8> {
    match args.format {
        Format::Json => {
            let fields = fields::all();
            let fields: Vec<_> = fields
                .map(|field| json!({"name": field.name, "type": field.kind().as_str(), "meaning": field.meaning}))
                .collect();
            let functions: Vec<_> =
                FUNCTIONS.iter().map(|(form, meaning)| json!({"form": form, "meaning": meaning})).collect();
            writeln!(out, "{}", json!({"fields": fields, "functions": functions}))?;
        }
        Format::Text => {
            for field in fields::all() {
                writeln!(out, "{:<24} {:<16} {}", field.name, field.kind().as_str(), field.meaning)?;
            }
            writeln!(out)?;
            for (form, meaning) in FUNCTIONS {
                writeln!(out, "{form:<41} {meaning}")?;
            }
            writeln!(out, "\nA field that is not known for an order (a market not followed yet) means: not met.")?;
        }
    }
    Ok(FINE)
}
