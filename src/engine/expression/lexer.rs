//! Text -> tokens with their places.

use std::ops::Range;

use super::Mistake;

/// A word of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A number; all numbers are floating.
    Number(f64),
    /// A text in quotes.
    Text(String),
    /// A name, dotted ones apart.
    Name(String),
    /// An operator or bracket.
    Sign(&'static str),
}

/// A token with the bytes it stands on.
pub(super) type Placed = (Token, Range<usize>);

const SIGNS: [&str; 24] = [
    "&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "+", "-", "*", "/", "%", "(", ")", "[", "]", ",", ".", "?", ":",
    "{", "}",
];

/// Reads the tokens of a text; comments run from `//` to the line's end.
pub(super) fn tokens(text: &str) -> Result<Vec<Placed>, Mistake> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        if first.is_whitespace() {
            at += first.len_utf8();
        } else if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
        } else if first.is_ascii_digit() {
            at = number(text, at, &mut found)?;
        } else if first == '"' || first == '\'' {
            at = quoted(text, at, first, &mut found)?;
        } else if first.is_ascii_alphabetic() || first == '_' {
            let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
            found.push((Token::Name(rest[..length].to_owned()), at..at + length));
            at += length;
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            found.push((Token::Sign(sign), at..at + sign.len()));
            at += sign.len();
        } else {
            let what = match first {
                '=' => "= stands for nothing here; == compares".to_owned(),
                '&' | '|' => format!("write {first}{first}"),
                _ => format!("{:?} is not part of an expression", first),
            };
            return Err(Mistake::new(at..at + first.len_utf8(), what));
        }
    }
    Ok(found)
}

fn number(text: &str, from: usize, found: &mut Vec<Placed>) -> Result<usize, Mistake> {
    let bytes = text.as_bytes();
    let digits = |mut at: usize| {
        while bytes.get(at).is_some_and(|byte| byte.is_ascii_digit() || *byte == b'_') {
            at += 1;
        }
        at
    };
    let mut end = digits(from);
    if bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
        end = digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        if bytes.get(end + 1 + sign).is_some_and(u8::is_ascii_digit) {
            end = digits(end + 1 + sign);
        }
    }
    let word = text[end..].find(|c: char| !c.is_ascii_alphanumeric()).map_or(text.len(), |length| end + length);
    if word > end {
        let unit = &text[end..word];
        let what =
            format!("a number has no unit here; each field says its own, and a time is duration(\"90s\"), not {unit}");
        return Err(Mistake::new(from..word, what));
    }
    let value: f64 = text[from..end].replace('_', "").parse().unwrap_or(f64::INFINITY);
    if !value.is_finite() {
        return Err(Mistake::new(from..end, "this number is too large"));
    }
    found.push((Token::Number(value), from..end));
    Ok(end)
}

fn quoted(text: &str, from: usize, quote: char, found: &mut Vec<Placed>) -> Result<usize, Mistake> {
    let mut value = String::new();
    let mut letters = text[from + 1..].char_indices();
    while let Some((place, letter)) = letters.next() {
        match letter {
            letter if letter == quote => {
                let end = from + 1 + place + 1;
                found.push((Token::Text(value), from..end));
                return Ok(end);
            }
            '\\' => match letters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, 't')) => value.push('\t'),
                Some((_, escaped @ ('\\' | '"' | '\''))) => value.push(escaped),
                Some((at, _)) => {
                    let at = from + 1 + at;
                    return Err(Mistake::new(at - 1..at + 1, r#"only \n, \t, \\, \" and \' may follow a backslash"#));
                }
                None => break,
            },
            letter => value.push(letter),
        }
    }
    Err(Mistake::new(from..text.len(), "this text has no closing quote"))
}
