//! Tokens -> a tree, by precedence. Bounded in depth and size, so a hostile expression costs no more than an honest one.

use std::ops::Range;

use super::Mistake;
use super::lexer::{Placed, Token, tokens};

/// A node with the bytes it stands on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    /// What it is.
    pub what: What,
    /// Where it stands.
    pub at: Range<usize>,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum What {
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
    /// `true` or `false`.
    Truth(bool),
    /// A field, by its dotted name.
    Field(String),
    /// Values in brackets.
    List(Vec<Node>),
    /// `!` or `-`.
    Unary(&'static str, Box<Node>),
    /// Two values and what joins them.
    Binary(&'static str, Box<Node>, Box<Node>),
    /// `condition ? this : that`.
    Choice(Box<Node>, Box<Node>, Box<Node>),
    /// A function, by its dotted name, and what it is called with.
    Call(String, Vec<Node>),
    /// A function of a value, such as `order.pair.startsWith("A")`.
    Method(Box<Node>, String, Vec<Node>),
}

const MOST_BYTES: usize = 4_096;
const MOST_NODES: usize = 400;
const MOST_DEPTH: usize = 40;
/// Functions that follow a value; every other dotted name in front of a bracket is a function of its own.
pub(super) const METHODS: [&str; 4] = ["startsWith", "endsWith", "contains", "size"];

/// Binary operators, weakest first.
const LEVELS: [&[&str]; 5] =
    [&["||"], &["&&"], &["==", "!=", "<=", ">=", "<", ">", "in"], &["+", "-"], &["*", "/", "%"]];

/// Reads one expression.
pub(super) fn parse(text: &str) -> Result<Node, Mistake> {
    if text.len() > MOST_BYTES {
        return Err(Mistake::new(
            0..1,
            format!("an expression has at most {MOST_BYTES} bytes, this one {}", text.len()),
        ));
    }
    let tokens = tokens(text)?;
    if tokens.is_empty() {
        return Err(Mistake::new(0..text.len(), "an expression is missing, such as order.dollars > 1000"));
    }
    let mut parser = Parser { tokens, next: 0, nodes: 0, end: text.len() };
    let node = parser.choice(0)?;
    match parser.tokens.get(parser.next) {
        Some((token, at)) => Err(Mistake::new(at.clone(), format!("the expression should end before {}", word(token)))),
        None => Ok(node),
    }
}

struct Parser {
    tokens: Vec<Placed>,
    next: usize,
    nodes: usize,
    end: usize,
}

impl Parser {
    fn choice(&mut self, depth: usize) -> Result<Node, Mistake> {
        let condition = self.binary(0, depth + 1)?;
        if self.take("?").is_none() {
            return Ok(condition);
        }
        let this = self.choice(depth + 1)?;
        self.expect(":", "between the two sides of a choice")?;
        let that = self.choice(depth + 1)?;
        let at = condition.at.start..that.at.end;
        self.node(What::Choice(Box::new(condition), Box::new(this), Box::new(that)), at)
    }

    fn binary(&mut self, level: usize, depth: usize) -> Result<Node, Mistake> {
        let Some(signs) = LEVELS.get(level) else { return self.unary(depth + 1) };
        let mut left = self.binary(level + 1, depth)?;
        let mut compared = false;
        while let Some(sign) = self.one_of(signs) {
            if level == 2 && compared {
                let at = self.tokens[self.next - 1].1.clone();
                return Err(Mistake::new(at, "a comparison cannot be compared again; join two with &&"));
            }
            compared = true;
            let right = self.binary(level + 1, depth)?;
            let at = left.at.start..right.at.end;
            left = self.node(What::Binary(sign, Box::new(left), Box::new(right)), at)?;
        }
        Ok(left)
    }

    fn unary(&mut self, depth: usize) -> Result<Node, Mistake> {
        if depth > MOST_DEPTH * LEVELS.len() {
            return Err(Mistake::new(self.here(), "too many brackets in each other"));
        }
        for sign in ["!", "-"] {
            if let Some(at) = self.take(sign) {
                let inner = self.unary(depth + LEVELS.len())?;
                let at = at.start..inner.at.end;
                return self.node(What::Unary(sign, Box::new(inner)), at);
            }
        }
        self.postfix(depth)
    }

    fn postfix(&mut self, depth: usize) -> Result<Node, Mistake> {
        let mut node = self.primary(depth)?;
        while self.sign_is(".") {
            let Some((Token::Name(name), at)) = self.tokens.get(self.next + 1).cloned() else {
                return Err(Mistake::new(self.here(), "a name should follow the dot"));
            };
            self.next += 2;
            let field = if let What::Field(field) = &mut node.what { Some(field) } else { None };
            let call = self.sign_is("(");
            match field {
                Some(field) if call && !METHODS.contains(&name.as_str()) => {
                    let name = format!("{field}.{name}");
                    let (arguments, end) = self.arguments(depth)?;
                    node = self.node(What::Call(name, arguments), node.at.start..end)?;
                }
                Some(_) | None if call => {
                    let (arguments, end) = self.arguments(depth)?;
                    let at = node.at.start..end;
                    node = self.node(What::Method(Box::new(node), name, arguments), at)?;
                }
                Some(field) => {
                    field.push('.');
                    field.push_str(&name);
                    node.at.end = at.end;
                }
                None => return Err(Mistake::new(at, "only a field's name has parts")),
            }
        }
        if self.sign_is("[") {
            return Err(Mistake::new(self.here(), "a field is named with dots: order.side"));
        }
        Ok(node)
    }

    fn primary(&mut self, depth: usize) -> Result<Node, Mistake> {
        let Some((token, at)) = self.tokens.get(self.next).cloned() else {
            return Err(Mistake::new(
                self.end.saturating_sub(1)..self.end,
                "the expression ends too early: a value is missing",
            ));
        };
        self.next += 1;
        match token {
            Token::Number(value) => self.node(What::Number(value), at),
            Token::Text(value) => self.node(What::Text(value), at),
            Token::Name(name) if name == "true" || name == "false" => self.node(What::Truth(name == "true"), at),
            Token::Name(name) if name == "in" => Err(Mistake::new(at, "a value is missing before in")),
            Token::Name(name) if self.sign_is("(") => {
                let (arguments, end) = self.arguments(depth)?;
                self.node(What::Call(name, arguments), at.start..end)
            }
            Token::Name(name) => self.node(What::Field(name), at),
            Token::Sign("(") => {
                let mut inner = self.choice(depth + LEVELS.len())?;
                let end = self.expect(")", "to close the bracket")?;
                inner.at = at.start..end;
                Ok(inner)
            }
            Token::Sign("[") => {
                let (values, end) = self.values("]", depth)?;
                self.node(What::List(values), at.start..end)
            }
            Token::Sign(sign) => Err(Mistake::new(at, format!("a value is missing before {sign}"))),
        }
    }

    fn arguments(&mut self, depth: usize) -> Result<(Vec<Node>, usize), Mistake> {
        self.next += 1;
        self.values(")", depth)
    }

    fn values(&mut self, end: &'static str, depth: usize) -> Result<(Vec<Node>, usize), Mistake> {
        let mut values = Vec::new();
        if let Some(at) = self.take(end) {
            return Ok((values, at.end));
        }
        loop {
            values.push(self.choice(depth + LEVELS.len())?);
            if let Some(at) = self.take(end) {
                return Ok((values, at.end));
            }
            self.expect(",", &format!("between values, or {end} after the last"))?;
        }
    }

    fn node(&mut self, what: What, at: Range<usize>) -> Result<Node, Mistake> {
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            return Err(Mistake::new(at, format!("an expression has at most {MOST_NODES} parts; make it two rules")));
        }
        Ok(Node { what, at })
    }

    fn sign_is(&self, sign: &str) -> bool {
        matches!(self.tokens.get(self.next), Some((Token::Sign(found), _)) if *found == sign)
    }

    fn take(&mut self, sign: &str) -> Option<Range<usize>> {
        if !self.sign_is(sign) {
            return None;
        }
        self.next += 1;
        Some(self.tokens[self.next - 1].1.clone())
    }

    fn one_of(&mut self, signs: &[&'static str]) -> Option<&'static str> {
        let found = match self.tokens.get(self.next)? {
            (Token::Sign(sign), _) => signs.iter().find(|known| *known == sign),
            (Token::Name(name), _) => signs.iter().find(|known| **known == "in" && name == "in"),
            (Token::Number(_) | Token::Text(_), _) => None,
        }?;
        self.next += 1;
        Some(found)
    }

    fn expect(&mut self, sign: &str, why: &str) -> Result<usize, Mistake> {
        match self.take(sign) {
            Some(at) => Ok(at.end),
            None => Err(Mistake::new(self.here(), format!("{sign} is missing here {why}"))),
        }
    }

    fn here(&self) -> Range<usize> {
        self.tokens.get(self.next).map_or(self.end.saturating_sub(1)..self.end, |(_, at)| at.clone())
    }
}

fn word(token: &Token) -> String {
    match token {
        Token::Number(value) => value.to_string(),
        Token::Text(text) => format!("{text:?}"),
        Token::Name(name) => name.clone(),
        Token::Sign(sign) => (*sign).to_owned(),
    }
}
