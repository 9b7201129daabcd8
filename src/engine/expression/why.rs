//! Which part of a condition was not met, and with which values.

use compact_str::CompactString;

use super::compile::{Checker, Compiled};
use super::syntax::{self, Node, What};
use super::{Condition, Scope, Unknown};

/// One of the parts that a condition joins with `&&`.
#[derive(Clone, Debug, PartialEq)]
pub struct Clause {
    /// As it is written.
    pub text: String,
    /// Whether it is met.
    pub holds: Result<bool, Unknown>,
    /// What it asks of the order, each as it is written, with its value.
    pub values: Vec<(String, Result<CompactString, Unknown>)>,
}

impl Condition {
    /// Returns the parts that have all to be met, in the order they are written.
    pub fn parts(&self, scope: &Scope<'_>) -> Vec<Clause> {
        let Ok(tree) = syntax::parse(self.text()) else { return Vec::new() };
        let mut joined = Vec::new();
        split(&tree, &mut joined);
        let parts = joined.into_iter().filter_map(|node| {
            let mut asked = Vec::new();
            leaves(node, &mut asked);
            let mut values: Vec<(String, Result<CompactString, Unknown>)> = Vec::new();
            for leaf in asked {
                let name = self.written(leaf);
                if let Some(value) = Checker::default().value(leaf)
                    && !values.iter().any(|(known, _)| *known == name)
                {
                    values.push((name, value.shown(scope)));
                }
            }
            let Some(Compiled::Truth(run)) = Checker::default().value(node) else { return None };
            Some(Clause { text: self.written(node), holds: run(scope), values })
        });
        parts.collect()
    }

    fn written(&self, node: &Node) -> String {
        let text = self.text().get(node.at.clone()).unwrap_or_default();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// Takes the sides of every `&&` that is not inside something else.
fn split<'n>(node: &'n Node, into: &mut Vec<&'n Node>) {
    if let What::Binary("&&", left, right) = &node.what {
        split(left, into);
        split(right, into);
    } else {
        into.push(node);
    }
}

/// Takes the fields and the functions of the past that a node asks for.
fn leaves<'n>(node: &'n Node, into: &mut Vec<&'n Node>) {
    match &node.what {
        What::Number(_) | What::Text(_) | What::Truth(_) => {}
        What::Field(_) => into.push(node),
        What::List(values) => values.iter().for_each(|value| leaves(value, into)),
        What::Unary(_, inner) => leaves(inner, into),
        What::Binary(_, left, right) => [left, right].into_iter().for_each(|side| leaves(side, into)),
        What::Choice(condition, this, that) => {
            [condition, this, that].into_iter().for_each(|side| leaves(side, into));
        }
        What::Call(name, _) if name == "duration" => {}
        What::Call(name, arguments) if name.starts_with("math.") => {
            arguments.iter().for_each(|argument| leaves(argument, into));
        }
        What::Call(..) => into.push(node),
        What::Method(of, ..) => leaves(of, into),
    }
}
