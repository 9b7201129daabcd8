//! JSON Schemas for the configuration and for rule files, made of the very keys that the code asks for.
//!
//! The example names every key (a test says so), so walking it asks for all of them; what was asked, and as what kind of
//! value, is the schema. Descriptions are the example's own comments. Nothing is listed twice, so nothing can drift.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::document;
use super::rule_file;
use super::section::{Gather, Scope, Section};
use crate::domain::RuleName;

/// The example, which states every key.
pub(super) const EXAMPLE: &str = include_str!("../../config/example.toml");
const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The kind of value a key takes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    /// A table of its own.
    Table,
    /// A list of tables.
    Tables,
    /// A number with a unit, of which the pattern tells the form; or one of some words.
    Unit(&'static str, Option<String>),
    /// A number within bounds, as they are written.
    Number(String, String),
    /// A whole number within bounds.
    Count(u64, u64),
    /// Yes or no.
    Flag,
    /// A text.
    Text,
    /// One of some words.
    Choice(Vec<&'static str>),
    /// A list of texts.
    List,
    /// A table of texts with keys of the user's own.
    Pairs,
    /// What only its reader knows.
    Any,
}

/// A key that was asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Asked {
    /// With the tables it stands in.
    pub path: String,
    /// Its default as it would be written.
    pub default: Option<String>,
    /// What it takes.
    pub shape: Shape,
}

/// Keys of one table.
#[derive(Default)]
struct Node {
    keys: BTreeMap<String, Node>,
    /// A key that is asked for in several ways takes what any of them takes.
    shapes: Vec<Shape>,
    default: Option<String>,
}

/// Returns the schema of the configuration.
pub fn of_configuration() -> Value {
    let text = whole_example();
    let document = document::parse(&text);
    let gather = Gather::new(document.lines, PathBuf::new(), Scope::Middle, None, document.faults).listening();
    super::walk(&mut Section::root(&gather, document.root.get_ref()), PathBuf::new(), &mut Default::default());
    let mut schema = object(&tree(&gather.heard()), "", &comments());
    head(&mut schema, "fillguard's configuration", "fillguard.schema.json");
    schema
}

/// Returns the schema of rule files.
pub fn of_rules() -> Value {
    let comments = comments();
    let mut kinds = Vec::new();
    let own = "[[rule]]\nname = \"a\"\nwhen = \"true\"\n[[exception]]\nname = \"a\"\n".to_owned();
    let shipped = RuleName::ALL.iter().filter(|rule| **rule != RuleName::User);
    let texts = shipped.map(|rule| (Some(*rule), format!("[[rule]]\nextends = \"{rule}\"\n")));
    let mut exceptions = json!({});
    for (rule, text) in texts.chain([(None, own)]) {
        let heard = rule_file::heard(&text);
        let mut tree = tree(&heard);
        if let Some(exception) = tree.keys.remove("exception") {
            exceptions = object(&exception, "exception.", &comments);
        }
        let Some(keys) = tree.keys.remove("rule") else { continue };
        let about = rule.map_or_else(String::new, |rule| format!("rules.{rule}."));
        let mut kind = object(&keys, &about, &comments);
        match rule {
            Some(rule) => {
                kind["properties"]["extends"] = json!({"const": rule.as_str()});
                // What tells the kinds apart is no key of a changed rule.
                for key in ["name", "when", "level"] {
                    if let Some(keys) = kind["properties"].as_object_mut() {
                        keys.remove(key);
                    }
                }
                kind["required"] = json!(["extends"]);
            }
            None => {
                if let Some(keys) = kind["properties"].as_object_mut() {
                    keys.remove("extends");
                }
                kind["required"] = json!(["name", "when"]);
            }
        }
        kinds.push(kind);
    }
    exceptions["required"] = json!(["name", "account", "owner", "reason", "expires"]);
    let mut schema = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "rule": {"type": "array", "items": {"oneOf": kinds}},
            "exception": {"type": "array", "items": exceptions},
        },
    });
    head(&mut schema, "fillguard's rule files", "fillguard-rules.schema.json");
    schema
}

/// Returns the example with the `#` taken from every key that has one.
pub(super) fn uncommented() -> String {
    let plain = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.is_empty() && !rest.starts_with([' ', '#']) => rest.to_owned(),
        _ => line.to_owned(),
    };
    EXAMPLE.lines().map(plain).collect::<Vec<_>>().join("\n")
}

/// Returns the same without the files that the example names and nobody has, and without keys that exclude each other.
pub(super) fn whole_example() -> String {
    let text = uncommented();
    let text = text.replace("networks = ", "#").replace("countries = ", "#").replace("market_model = ", "#");
    let text = text.replace("\ndir = \"rules\"", "").replace("\nrules = [\"pump", "\n#");
    text.replace("\naddress = \"203", "\n#")
}

fn head(schema: &mut Value, title: &str, id: &str) {
    schema["$schema"] = DRAFT.into();
    schema["$id"] = id.into();
    schema["title"] = title.into();
}

fn tree(heard: &[Asked]) -> Node {
    let mut root = Node::default();
    for asked in heard {
        let mut node = &mut root;
        for part in asked.path.split('.') {
            node = node.keys.entry(part.to_owned()).or_default();
        }
        if !node.shapes.contains(&asked.shape) {
            node.shapes.push(asked.shape.clone());
        }
        node.default = asked.default.clone().or(node.default.take());
    }
    root
}

fn object(node: &Node, path: &str, comments: &BTreeMap<String, String>) -> Value {
    let mut keys = Map::new();
    for (key, inner) in &node.keys {
        let name = format!("{path}{key}");
        let inside = || object(inner, &format!("{name}."), comments);
        let shaped = |shape: &Shape| match shape {
            Shape::Table => inside(),
            Shape::Tables => json!({"type": "array", "items": inside()}),
            Shape::Unit(..)
            | Shape::Number(..)
            | Shape::Count(..)
            | Shape::Flag
            | Shape::Text
            | Shape::Choice(_)
            | Shape::List
            | Shape::Pairs
            | Shape::Any => shape.schema(),
        };
        let mut value = match inner.shapes.as_slice() {
            [] => inside(),
            [one] => shaped(one),
            several => json!({"anyOf": several.iter().map(shaped).collect::<Vec<_>>()}),
        };
        if let Some(comment) = comments.get(&name) {
            value["description"] = comment.as_str().into();
        }
        let default = inner.default.as_ref().and_then(|text| format!("x = {text}").parse::<toml::Table>().ok());
        if let Some(default) = default.and_then(|mut table| serde_json::to_value(table.remove("x")?).ok()) {
            value["default"] = default;
        }
        keys.insert(key.clone(), value);
    }
    json!({"type": "object", "additionalProperties": false, "properties": keys})
}

impl Shape {
    fn schema(&self) -> Value {
        let number = |text: &str| text.parse::<serde_json::Number>().ok();
        match self {
            Shape::Unit(units, word) => {
                let word = word.as_ref().map(|word| format!("|{word}")).unwrap_or_default();
                json!({"type": "string", "pattern": format!("^(\\s*[0-9._]+\\s*({units})\\s*{word})$")})
            }
            Shape::Number(least, most) => json!({"type": "number", "minimum": number(least), "maximum": number(most)}),
            Shape::Count(least, most) => json!({"type": "integer", "minimum": least, "maximum": most}),
            Shape::Flag => json!({"type": "boolean"}),
            Shape::Text => json!({"type": "string"}),
            Shape::Choice(words) => json!({"enum": words}),
            Shape::List => json!({"type": "array", "items": {"type": "string"}}),
            Shape::Pairs => json!({"type": "object", "additionalProperties": {"type": "string"}}),
            Shape::Table | Shape::Tables | Shape::Any => json!({}),
        }
    }
}

/// Returns what the example says of each key: the comment above it.
fn comments() -> BTreeMap<String, String> {
    let (mut table, mut said, mut comments) = (String::new(), String::new(), BTreeMap::new());
    for line in EXAMPLE.lines() {
        if let Some(words) = line.strip_prefix("# ").filter(|words| !words.starts_with("--")) {
            said = format!("{said} {words}").trim().to_owned();
            continue;
        }
        let plain = line.strip_prefix('#').unwrap_or(line);
        let name = match (plain.strip_prefix('['), plain.split_once(" = ")) {
            (Some(head), _) => {
                let name = head.trim_matches(['[', ']']).to_owned();
                table = format!("{name}.");
                Some(name)
            }
            (None, Some((key, _))) if !key.contains(' ') => Some(format!("{table}{key}")),
            (None, Some(_) | None) => None,
        };
        let words = std::mem::take(&mut said);
        if let Some(name) = name.filter(|_| !words.is_empty()) {
            comments.entry(name).or_insert(words);
        }
    }
    comments
}
