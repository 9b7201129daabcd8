//! One line of a log as an entry: which of its fields is which, and what cannot be taken.

use std::borrow::Cow;

use serde_json::Value;

use super::dialect::Dialect;
use super::entry::{self, Entry, Whose};
use super::flaw::Flaw;
use super::pattern::{Found, Pattern};
use super::query;

/// How lines are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// One JSON object a line.
    Json,
    /// Fields and fixed texts.
    Pattern(Dialect, Pattern),
}

/// Where a value stands: a field, or one parameter of the address in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    name: String,
    /// The field's place in a pattern.
    place: Option<usize>,
    parameter: Option<String>,
}

/// Which field is which. Of several the first that says something counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// Whose key it was.
    pub account: Vec<Field>,
    /// From which address.
    pub ip: Vec<Field>,
    /// With which program.
    pub user_agent: Vec<Field>,
    /// For which order.
    pub client_order_id: Vec<Field>,
    /// When.
    pub time: Vec<Field>,
}

/// Reads lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reader {
    /// How lines are written.
    pub form: Form,
    /// Which field is which.
    pub fields: Fields,
    /// Which accounts may be named.
    pub whose: Whose,
}

/// A line taken apart.
enum Parts<'l> {
    Json(&'l Value),
    Split(Dialect, &'l [Found<'l>]),
}

/// The usual names in JSON logs.
const ACCOUNT: [&str; 2] = ["account", "account_name"];
const IP: [&str; 6] = ["ip", "remote_addr", "client_ip", "source_ip", "remote_ip", "request.remote_ip"];
const AGENT: [&str; 4] = ["ua", "user_agent", "http_user_agent", "request.headers.User-Agent"];
const ORDER: [&str; 4] = ["client_order_id", "clientOrderId", "newClientOrderId", "clientOid"];
const TIME: [&str; 7] = ["time", "timestamp", "@timestamp", "time_iso8601", "msec", "start_time", "ts"];

impl Form {
    /// Returns a field by the name it has there; `name?parameter` is one parameter of the address in it.
    pub fn field(&self, text: &str) -> Result<Field, String> {
        let parameter = |(_, parameter): &(&str, &str)| {
            !parameter.is_empty() && parameter.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
        };
        let (name, parameter) = match text.rsplit_once('?').filter(parameter) {
            Some((name, parameter)) => (name, Some(parameter.to_owned())),
            None => (text, None),
        };
        match self {
            Form::Json if name.is_empty() => Err("is empty; name a field".to_owned()),
            Form::Json => Ok(Field { name: name.to_owned(), place: None, parameter }),
            Form::Pattern(dialect, pattern) => match pattern.place(&dialect.name(name)) {
                Some(place) => Ok(Field { name: dialect.name(name), place: Some(place), parameter }),
                None => {
                    let names: Vec<&str> = pattern.names().collect();
                    Err(format!("is not in the pattern; it has {}", names.join(", ")))
                }
            },
        }
    }

    /// Returns the fields that usually are which, as far as this form has them.
    pub fn usual(&self) -> Fields {
        let named = |names: &[&str]| names.iter().filter_map(|name| self.field(name).ok()).collect();
        match self {
            Form::Json => Fields {
                account: named(&ACCOUNT),
                ip: named(&IP),
                user_agent: named(&AGENT),
                client_order_id: named(&ORDER),
                time: named(&TIME),
            },
            Form::Pattern(dialect, _) => {
                let [ip, user_agent, time] = dialect.usual_fields().map(named);
                Fields { ip, user_agent, time, ..Fields::default() }
            }
        }
    }
}

impl Reader {
    /// Reads a line. What is wrong with a part of it that it can be taken without is appended to `amiss`.
    pub fn read(&self, line: &str, amiss: &mut Vec<Flaw>) -> Result<Entry, Flaw> {
        match &self.form {
            Form::Json => match serde_json::from_str::<Value>(line) {
                Ok(value) if value.is_object() => self.entry(&Parts::Json(&value), amiss),
                Ok(_) | Err(_) => Err(Flaw::Json),
            },
            Form::Pattern(dialect, pattern) => {
                let line = pattern.plain(line);
                let found = pattern.split(&line).ok_or(Flaw::Form)?;
                self.entry(&Parts::Split(*dialect, &found), amiss)
            }
        }
    }

    fn entry(&self, parts: &Parts<'_>, amiss: &mut Vec<Flaw>) -> Result<Entry, Flaw> {
        let account = match self.whose.fixed() {
            Some(account) => account,
            None => {
                let name = parts.first(&self.fields.account)?.ok_or(Flaw::NoAccount)?;
                self.whose.account(&name).ok_or(Flaw::Stranger)?
            }
        };
        Ok(Entry {
            net: None,
            account: account.clone(),
            ip: take(parts, &self.fields.ip, entry::address, amiss),
            user_agent: take(parts, &self.fields.user_agent, |text| Ok(entry::agent(text)), amiss),
            client_order_id: take(parts, &self.fields.client_order_id, entry::order_id, amiss),
            time: take(parts, &self.fields.time, entry::time, amiss),
        })
    }
}

fn take<T>(
    parts: &Parts<'_>,
    fields: &[Field],
    read: impl Fn(&str) -> Result<Option<T>, Flaw>,
    amiss: &mut Vec<Flaw>,
) -> Option<T> {
    let value = parts.first(fields).and_then(|text| text.map_or(Ok(None), |text| read(&text)));
    value.unwrap_or_else(|flaw| {
        amiss.push(flaw);
        None
    })
}

impl Parts<'_> {
    /// Returns the first value that says something.
    fn first(&self, fields: &[Field]) -> Result<Option<Cow<'_, str>>, Flaw> {
        for field in fields {
            if let Some(text) = self.value(field)? {
                return Ok(Some(text));
            }
        }
        Ok(None)
    }

    fn value(&self, field: &Field) -> Result<Option<Cow<'_, str>>, Flaw> {
        let text = match self {
            Parts::Json(value) => scalar(value, &field.name),
            Parts::Split(dialect, found) => match field.place.and_then(|place| found.get(place)) {
                Some(Found::At(text)) => Some(Cow::Owned(dialect.unmask(text))),
                Some(Found::Unsure) => return Err(Flaw::Ambiguous),
                None => None,
            },
        };
        let text = match (&field.parameter, text) {
            (Some(name), Some(text)) => query::parameter(&text, name).map(Cow::Owned),
            (None, text) => text,
            (Some(_), None) => None,
        };
        Ok(text.filter(|text| !matches!(text.as_ref(), "" | "-")))
    }
}

/// Returns the text or number under a name; `a.b` is `b` in `a` where no name is spelled so itself. Of a list (some
/// software writes headers so) the first counts.
fn scalar<'v>(value: &'v Value, path: &str) -> Option<Cow<'v, str>> {
    let found = match value.get(path) {
        Some(found) => found,
        None => path.split('.').try_fold(value, |value, name| value.get(name))?,
    };
    match found.as_array().map_or(Some(found), |list| list.first())? {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
