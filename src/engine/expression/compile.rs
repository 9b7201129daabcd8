//! Checks a tree's types and turns it into closures. Everything wrong is told, not only the first.

use compact_str::{CompactString, format_compact};

use super::fields::{self, Getter, Scope};
use super::past::Asked;
use super::syntax::{METHODS, Node, What};
use super::{Mistake, Unknown};
use crate::domain::{Side, Span};
use crate::spelling::nearest;

/// Something that is asked of an order.
pub(super) type Run<T> = Box<dyn Fn(&Scope<'_>) -> Result<T, Unknown> + Send + Sync>;

/// A type of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// True or false.
    Truth,
    /// A number.
    Number,
    /// A text.
    Text,
    /// A length of time.
    Time,
    /// Several texts.
    Texts,
}

impl Kind {
    /// Returns its name, as people read it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Truth => "true or false",
            Kind::Number => "a number",
            Kind::Text => "a text",
            Kind::Time => "a time",
            Kind::Texts => "a list of texts",
        }
    }
}

/// An expression of some type. Times are seconds.
pub(super) enum Compiled {
    Truth(Run<bool>),
    Number(Run<f64>),
    Text(Run<CompactString>),
    Time(Run<f64>),
    Texts(Run<Vec<CompactString>>),
}

/// Longest time a condition may look back.
const LONGEST: f64 = 7.0 * 86_400.0;
const FUNCTIONS: [&str; 8] = ["count", "sum", "distinct", "duration", "has", "math.abs", "math.least", "math.greatest"];
const SCOPES: [&str; 3] = ["account", "pair", "address"];

/// Walks a tree.
#[derive(Default)]
pub(super) struct Checker {
    pub mistakes: Vec<Mistake>,
    pub looks_back: Span,
}

impl Compiled {
    fn kind(&self) -> Kind {
        match self {
            Compiled::Truth(_) => Kind::Truth,
            Compiled::Number(_) => Kind::Number,
            Compiled::Text(_) => Kind::Text,
            Compiled::Time(_) => Kind::Time,
            Compiled::Texts(_) => Kind::Texts,
        }
    }

    /// Returns the value for people.
    pub(super) fn shown(&self, scope: &Scope<'_>) -> Result<CompactString, Unknown> {
        Ok(match self {
            Compiled::Truth(run) => if run(scope)? { "yes" } else { "no" }.into(),
            Compiled::Number(run) => shown(run(scope)?),
            Compiled::Text(run) => run(scope)?,
            Compiled::Time(run) => format_compact!("{} s", shown(run(scope)?)),
            Compiled::Texts(run) => run(scope)?.join(", ").into(),
        })
    }
}

fn shown(number: f64) -> CompactString {
    let digits = if number.abs() >= 1_000.0 || number.fract() == 0.0 { 0 } else { 2 };
    format_compact!("{number:.digits$}")
}

/// Refuses what is no number any more.
fn finite(number: f64) -> Result<f64, Unknown> {
    if number.is_finite() { Ok(number) } else { Err(Unknown::TooLarge) }
}

impl Checker {
    /// Compiles what has to be true or false.
    pub(super) fn truth(&mut self, node: &Node) -> Option<Run<bool>> {
        let value = self.value(node)?;
        let kind = value.kind();
        if let Compiled::Truth(run) = value { Some(run) } else { self.expected(node, "true or false", kind) }
    }

    fn number(&mut self, node: &Node) -> Option<Run<f64>> {
        let value = self.value(node)?;
        let kind = value.kind();
        if let Compiled::Number(run) = value { Some(run) } else { self.expected(node, "a number", kind) }
    }

    fn text(&mut self, node: &Node) -> Option<Run<CompactString>> {
        let value = self.value(node)?;
        let kind = value.kind();
        if let Compiled::Text(run) = value { Some(run) } else { self.expected(node, "a text", kind) }
    }

    fn expected<T>(&mut self, node: &Node, wanted: &str, found: Kind) -> Option<T> {
        self.wrong(node, format!("this should be {wanted} and is {}", found.as_str()))
    }

    fn wrong<T>(&mut self, node: &Node, what: impl Into<String>) -> Option<T> {
        self.mistakes.push(Mistake::new(node.at.clone(), what));
        None
    }

    /// Compiles a node of any type.
    pub(super) fn value(&mut self, node: &Node) -> Option<Compiled> {
        match &node.what {
            What::Number(value) => {
                let value = *value;
                Some(Compiled::Number(Box::new(move |_| Ok(value))))
            }
            What::Text(text) => {
                let text = CompactString::from(text.as_str());
                Some(Compiled::Text(Box::new(move |_| Ok(text.clone()))))
            }
            What::Truth(value) => {
                let value = *value;
                Some(Compiled::Truth(Box::new(move |_| Ok(value))))
            }
            What::Field(name) => self.field(node, name),
            What::List(values) => self.list(values),
            What::Unary(sign, inner) => self.unary(sign, inner),
            What::Binary(sign, left, right) => self.binary(node, sign, left, right),
            What::Choice(condition, this, that) => self.choice(node, condition, this, that),
            What::Call(name, arguments) => self.call(node, name, arguments),
            What::Method(of, name, arguments) => self.method(node, of, name, arguments),
        }
    }

    fn field(&mut self, node: &Node, name: &str) -> Option<Compiled> {
        let Some(field) = fields::find(name) else {
            let known: Vec<&str> = fields::names().collect();
            let what = match nearest(name, &known) {
                Some(near) => format!("unknown field {name}; did you mean {near}?"),
                None => format!("unknown field {name}; `fillguard fields` lists them"),
            };
            return self.wrong(node, what);
        };
        let name = field.name;
        let unknown = move || Unknown::Field(name);
        Some(match field.get {
            Getter::Truth(get) => Compiled::Truth(Box::new(move |scope| get(scope).ok_or_else(unknown))),
            Getter::Number(get) => Compiled::Number(Box::new(move |scope| {
                get(scope).filter(|value| value.is_finite()).ok_or_else(unknown)
            })),
            Getter::Text(get) => Compiled::Text(Box::new(move |scope| get(scope).ok_or_else(unknown))),
            Getter::Time(get) => {
                Compiled::Time(Box::new(move |scope| get(scope).map(Span::secs_f64).ok_or_else(unknown)))
            }
            Getter::Texts(get) => Compiled::Texts(Box::new(move |scope| get(scope).ok_or_else(unknown))),
            Getter::Term(term) => Compiled::Number(Box::new(move |scope| Ok(scope.term(term)))),
        })
    }

    fn list(&mut self, values: &[Node]) -> Option<Compiled> {
        let values: Vec<_> = values.iter().map(|value| self.text(value)).collect();
        let values: Vec<_> = values.into_iter().collect::<Option<_>>()?;
        Some(Compiled::Texts(Box::new(move |scope| values.iter().map(|value| value(scope)).collect())))
    }

    fn unary(&mut self, sign: &str, inner: &Node) -> Option<Compiled> {
        if sign == "!" {
            let run = self.truth(inner)?;
            return Some(Compiled::Truth(Box::new(move |scope| run(scope).map(|value| !value))));
        }
        match self.value(inner)? {
            Compiled::Number(run) => Some(Compiled::Number(Box::new(move |scope| run(scope).map(|value| -value)))),
            Compiled::Time(run) => Some(Compiled::Time(Box::new(move |scope| run(scope).map(|value| -value)))),
            Compiled::Truth(_) => self.expected(inner, "a number", Kind::Truth),
            Compiled::Text(_) => self.expected(inner, "a number", Kind::Text),
            Compiled::Texts(_) => self.expected(inner, "a number", Kind::Texts),
        }
    }

    fn binary(&mut self, node: &Node, sign: &'static str, left: &Node, right: &Node) -> Option<Compiled> {
        if sign == "&&" || sign == "||" {
            // Both sides are looked at, so that the mistakes of both are told.
            let (left, right) = (self.truth(left), self.truth(right));
            let (left, right, decides) = (left?, right?, sign == "||");
            return Some(Compiled::Truth(Box::new(move |scope| match left(scope) {
                Ok(value) if value == decides => Ok(decides),
                Ok(_) => right(scope),
                // As in CEL: the other side may decide alone.
                Err(unknown) => match right(scope) {
                    Ok(value) if value == decides => Ok(decides),
                    Ok(_) | Err(_) => Err(unknown),
                },
            })));
        }
        let (first, second) = (self.value(left), self.value(right));
        let (first, second) = (first?, second?);
        let kinds = (first.kind(), second.kind());
        match (sign, first, second) {
            ("in", Compiled::Text(value), Compiled::Texts(list)) => {
                Some(Compiled::Truth(Box::new(move |scope| Ok(list(scope)?.contains(&value(scope)?)))))
            }
            ("in", ..) => self
                .wrong(right, "in asks whether a text is in a list of texts, as in order.base in [\"BTC\", \"ETH\"]"),
            ("==" | "!=", Compiled::Truth(a), Compiled::Truth(b)) => Some(equal(sign, a, b)),
            ("==" | "!=", Compiled::Text(a), Compiled::Text(b)) => Some(equal(sign, a, b)),
            ("==" | "!=" | "<" | "<=" | ">" | ">=", Compiled::Number(a), Compiled::Number(b))
            | ("==" | "!=" | "<" | "<=" | ">" | ">=", Compiled::Time(a), Compiled::Time(b)) => {
                Some(compared(sign, a, b))
            }
            ("==" | "!=" | "<" | "<=" | ">" | ">=", ..) => {
                let hint = hint(kinds);
                let what = format!("{} cannot be compared with {}{hint}", kinds.0.as_str(), kinds.1.as_str());
                self.wrong(node, what)
            }
            ("+", Compiled::Text(a), Compiled::Text(b)) => {
                Some(Compiled::Text(Box::new(move |scope| Ok(a(scope)? + &b(scope)?))))
            }
            ("+" | "-" | "*" | "/" | "%", Compiled::Number(a), Compiled::Number(b)) => {
                Some(Compiled::Number(reckoned(sign, a, b)))
            }
            ("+" | "-" | "%", Compiled::Time(a), Compiled::Time(b)) => Some(Compiled::Time(reckoned(sign, a, b))),
            ("/", Compiled::Time(a), Compiled::Time(b)) => Some(Compiled::Number(reckoned(sign, a, b))),
            ("*" | "/", Compiled::Time(a), Compiled::Number(b)) => Some(Compiled::Time(reckoned(sign, a, b))),
            ("*", Compiled::Number(a), Compiled::Time(b)) => Some(Compiled::Time(reckoned(sign, a, b))),
            _ => {
                let hint = hint(kinds);
                self.wrong(node, format!("{} {sign} {} has no meaning{hint}", kinds.0.as_str(), kinds.1.as_str()))
            }
        }
    }

    fn choice(&mut self, node: &Node, condition: &Node, this: &Node, that: &Node) -> Option<Compiled> {
        let (asked, first, second) = (self.truth(condition), self.value(this), self.value(that));
        let asked = asked?;
        Some(match (first?, second?) {
            (Compiled::Truth(a), Compiled::Truth(b)) => Compiled::Truth(chosen(asked, a, b)),
            (Compiled::Number(a), Compiled::Number(b)) => Compiled::Number(chosen(asked, a, b)),
            (Compiled::Text(a), Compiled::Text(b)) => Compiled::Text(chosen(asked, a, b)),
            (Compiled::Time(a), Compiled::Time(b)) => Compiled::Time(chosen(asked, a, b)),
            (Compiled::Texts(a), Compiled::Texts(b)) => Compiled::Texts(chosen(asked, a, b)),
            (a, b) => {
                let what = format!(
                    "both sides of a choice are of one kind; these are {} and {}",
                    a.kind().as_str(),
                    b.kind().as_str()
                );
                return self.wrong(node, what);
            }
        })
    }

    fn call(&mut self, node: &Node, name: &str, arguments: &[Node]) -> Option<Compiled> {
        match name {
            "count" | "sum" | "distinct" => self.window(node, name, arguments),
            "duration" => {
                let [Node { what: What::Text(text), .. }] = arguments else {
                    return self.wrong(node, "duration takes a text with a unit, as in duration(\"90s\")");
                };
                let seconds = self.time(&arguments[0], text)?;
                Some(Compiled::Time(Box::new(move |_| Ok(seconds))))
            }
            "has" => {
                let [Node { what: What::Field(field), .. }] = arguments else {
                    return self.wrong(node, "has takes a field, as in has(pair.cap)");
                };
                let run = self.field(&arguments[0], field)?;
                Some(Compiled::Truth(Box::new(move |scope| Ok(run.is_known(scope)))))
            }
            "math.abs" => {
                let [value] = arguments else { return self.wrong(node, "math.abs takes one number") };
                let run = self.number(value)?;
                Some(Compiled::Number(Box::new(move |scope| run(scope).map(f64::abs))))
            }
            "math.least" | "math.greatest" => {
                if arguments.is_empty() {
                    return self.wrong(node, format!("{name} takes numbers"));
                }
                let runs: Vec<_> = arguments.iter().map(|value| self.number(value)).collect();
                let runs: Vec<_> = runs.into_iter().collect::<Option<_>>()?;
                let (least, start) =
                    (name == "math.least", if name == "math.least" { f64::INFINITY } else { f64::NEG_INFINITY });
                Some(Compiled::Number(Box::new(move |scope| {
                    runs.iter().try_fold(start, |best, run| {
                        let value = run(scope)?;
                        Ok(if least { best.min(value) } else { best.max(value) })
                    })
                })))
            }
            _ => {
                let what = match nearest(name, &FUNCTIONS) {
                    Some(near) => format!("unknown function {name}; did you mean {near}?"),
                    None => format!("unknown function {name}; there are {}", FUNCTIONS.join(", ")),
                };
                self.wrong(node, what)
            }
        }
    }

    /// `count(account, "10m")`, `sum(pair, "1h", "buy")`, `distinct(address, "1d")`.
    fn window(&mut self, node: &Node, name: &str, arguments: &[Node]) -> Option<Compiled> {
        let usage = |what: &str| format!("{what}; as in {name}(account, \"10m\") or {name}(pair, \"1h\", \"buy\")");
        let (scope, span, side) = match arguments {
            [Node { what: What::Field(scope), .. }, Node { what: What::Text(span), .. }] => {
                (scope.as_str(), span, None)
            }
            [
                Node { what: What::Field(scope), .. },
                Node { what: What::Text(span), .. },
                Node { what: What::Text(side), .. },
            ] => (scope.as_str(), span, Some(side.as_str())),
            _ => return self.wrong(node, usage(&format!("{name} takes account, pair or address, and a time"))),
        };
        if !SCOPES.contains(&scope) {
            return self.wrong(&arguments[0], usage(&format!("{scope} is not account, pair or address")));
        }
        let side = match side {
            None => None,
            Some("buy") => Some(Side::Buy),
            Some("sell") => Some(Side::Sell),
            Some(_) => return self.wrong(&arguments[2], "a side is \"buy\" or \"sell\""),
        };
        let seconds = self.time(&arguments[1], span)?;
        if !(1.0..=LONGEST).contains(&seconds) {
            return self.wrong(&arguments[1], "a rule may look back from 1s to 7d");
        }
        let within = Span::from_nanos((seconds * 1e9) as i64);
        self.looks_back = self.looks_back.max(within);
        let run: Run<f64> = match (scope, name) {
            ("address", "sum") => return self.wrong(node, "uses of a key have no worth; count or distinct"),
            ("address", _) if side.is_some() => return self.wrong(&arguments[2], "a use of a key has no side"),
            ("address", "count") => Box::new(move |scope| Ok(scope.past.uses(scope.case.at, within).0)),
            ("address", _) => Box::new(move |scope| Ok(scope.past.uses(scope.case.at, within).1)),
            ("pair", "distinct") => {
                return self.wrong(node, "distinct(account, ..) counts pairs, distinct(address, ..) addresses");
            }
            (in_pair, name) => {
                let in_pair = in_pair == "pair";
                let read = match name {
                    "count" => super::Past::count,
                    "sum" => super::Past::sum,
                    _ => super::Past::pairs,
                };
                Box::new(move |scope| {
                    let symbol = in_pair.then_some(&scope.case.group.symbol);
                    finite(read(scope.past, Asked { symbol, side, within, now: scope.case.time }))
                })
            }
        };
        Some(Compiled::Number(run))
    }

    fn time(&mut self, node: &Node, text: &str) -> Option<f64> {
        match text.parse::<Span>() {
            Ok(span) => Some(span.secs_f64()),
            Err(reason) => self.wrong(node, format!("{text:?} {reason}")),
        }
    }

    fn method(&mut self, node: &Node, of: &Node, name: &str, arguments: &[Node]) -> Option<Compiled> {
        if name == "size" {
            if !arguments.is_empty() {
                return self.wrong(node, "size takes nothing in its brackets");
            }
            return match self.value(of)? {
                Compiled::Text(run) => {
                    Some(Compiled::Number(Box::new(move |scope| Ok(run(scope)?.chars().count() as f64))))
                }
                Compiled::Texts(run) => Some(Compiled::Number(Box::new(move |scope| Ok(run(scope)?.len() as f64)))),
                Compiled::Truth(_) => self.expected(of, "a text or a list", Kind::Truth),
                Compiled::Number(_) => self.expected(of, "a text or a list", Kind::Number),
                Compiled::Time(_) => self.expected(of, "a text or a list", Kind::Time),
            };
        }
        let found = self.text(of);
        let [part] = arguments else {
            return self.wrong(node, format!("{name} takes one text in its brackets"));
        };
        let asked = self.text(part);
        let (found, asked) = (found?, asked?);
        let test: fn(&str, &str) -> bool = match name {
            "startsWith" => |text, part| text.starts_with(part),
            "endsWith" => |text, part| text.ends_with(part),
            "contains" => |text, part| text.contains(part),
            _ => {
                let what = match nearest(name, &METHODS) {
                    Some(near) => format!("unknown function {name}; did you mean {near}?"),
                    None => format!("unknown function {name}; of a text there are {}", METHODS.join(", ")),
                };
                return self.wrong(node, what);
            }
        };
        Some(Compiled::Truth(Box::new(move |scope| Ok(test(&found(scope)?, &asked(scope)?)))))
    }
}

impl Compiled {
    fn is_known(&self, scope: &Scope<'_>) -> bool {
        match self {
            Compiled::Truth(run) => run(scope).is_ok(),
            Compiled::Number(run) | Compiled::Time(run) => run(scope).is_ok(),
            Compiled::Text(run) => run(scope).is_ok(),
            Compiled::Texts(run) => run(scope).is_ok(),
        }
    }
}

fn hint(kinds: (Kind, Kind)) -> &'static str {
    match kinds {
        (Kind::Time, Kind::Number) | (Kind::Number, Kind::Time) => "; a time is written duration(\"90s\")",
        (Kind::Number, Kind::Text) | (Kind::Text, Kind::Number) => "; a number stands without quotes",
        _ => "",
    }
}

fn equal<T: PartialEq + 'static>(sign: &str, a: Run<T>, b: Run<T>) -> Compiled {
    let same = sign == "==";
    Compiled::Truth(Box::new(move |scope| Ok((a(scope)? == b(scope)?) == same)))
}

fn compared(sign: &str, a: Run<f64>, b: Run<f64>) -> Compiled {
    let test: fn(&f64, &f64) -> bool = match sign {
        "==" => |a, b| a == b,
        "!=" => |a, b| a != b,
        "<" => |a, b| a < b,
        "<=" => |a, b| a <= b,
        ">" => |a, b| a > b,
        _ => |a, b| a >= b,
    };
    Compiled::Truth(Box::new(move |scope| Ok(test(&a(scope)?, &b(scope)?))))
}

fn reckoned(sign: &str, a: Run<f64>, b: Run<f64>) -> Run<f64> {
    match sign {
        "+" => Box::new(move |scope| finite(a(scope)? + b(scope)?)),
        "-" => Box::new(move |scope| finite(a(scope)? - b(scope)?)),
        "*" => Box::new(move |scope| finite(a(scope)? * b(scope)?)),
        _ => {
            let part = sign == "/";
            Box::new(move |scope| {
                let (a, b) = (a(scope)?, b(scope)?);
                if b == 0.0 {
                    return Err(Unknown::Division);
                }
                finite(if part { a / b } else { a % b })
            })
        }
    }
}

fn chosen<T: 'static>(asked: Run<bool>, this: Run<T>, that: Run<T>) -> Run<T> {
    Box::new(move |scope| if asked(scope)? { this(scope) } else { that(scope) })
}
