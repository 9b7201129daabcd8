//! Why a line, or a part of it, was not taken; said with its place and never with its content.

use std::fmt;

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flaw {
    /// It is not a JSON object.
    Json,
    /// It does not have the form of the pattern.
    Form,
    /// It can be read in more than one way, so that a part that counts may be forged.
    Ambiguous,
    /// It tells no account.
    NoAccount,
    /// It tells an account that is not watched.
    Stranger,
    /// It is longer than is read.
    TooLong,
    /// Its end was never written.
    Torn,
    /// Its address is none; the line is taken without.
    Address,
    /// Its time is none, or has no zone; the line is taken with the time at which it was read.
    Time,
    /// Its client order id is none; the line is taken without.
    OrderId,
}

impl Flaw {
    /// Says whether this may be so in a log that is as it should be.
    pub fn is_usual(self) -> bool {
        match self {
            Flaw::NoAccount | Flaw::Stranger => true,
            Flaw::Json
            | Flaw::Form
            | Flaw::Ambiguous
            | Flaw::TooLong
            | Flaw::Torn
            | Flaw::Address
            | Flaw::Time
            | Flaw::OrderId => false,
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Flaw::Json => "not a JSON object",
            Flaw::Form => "not of the form of the pattern; compare it with the format the log is written in",
            Flaw::Ambiguous => {
                "readable in more than one way, so a part of it may be forged; put quotes round what clients choose, or \
                 log as JSON"
            }
            Flaw::NoAccount => "names no account",
            Flaw::Stranger => {
                "names an account that is not watched; if it should be, name it in `accounts` of this source"
            }
            Flaw::TooLong => "longer than is read",
            Flaw::Torn => "its end was never written",
            Flaw::Address => "what should be an address is none; taken without it",
            Flaw::Time => "what should be a time is none, or lacks its zone; taken with the time it was read",
            Flaw::OrderId => "what should be a client order id is none; taken without it",
        })
    }
}
