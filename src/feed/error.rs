//! What goes wrong between us and an exchange, and what to do about it.

use std::fmt;
use std::time::Duration;

use compact_str::{CompactString, format_compact};

use super::sign::KeyError;
use crate::domain::{Span, Venue};

/// Why a connection or a call failed. No message holds a frame's content, a URL's query or a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The pipeline takes nothing more.
    #[error("the queue to the journal is closed")]
    Finished,
    /// No connection could be made.
    #[error("cannot connect: {0}")]
    Connect(CompactString),
    /// The other side ended the connection.
    #[error("the connection was closed ({0})")]
    Closed(CompactString),
    /// Nothing was heard although something should have been.
    #[error("silent for {}: {what}", Span::from(*.after))]
    Silent {
        /// How long.
        after: Duration,
        /// What should have been heard.
        what: &'static str,
    },
    /// A message beyond what is taken.
    #[error("a message of more than 1 MiB")]
    Oversize,
    /// The exchange did what its protocol does not foresee.
    #[error("{0}")]
    Protocol(&'static str),
    /// The exchange announced that it will close the connection.
    #[error("the exchange announced a shutdown")]
    Shutdown,
    /// An HTTP answer that is an error by its status.
    #[error("HTTP {0}")]
    Http(u16),
    /// Too many requests.
    #[error("asked too often; the next try is allowed in {} s", .0.as_secs())]
    Limited(Duration),
    /// The exchange refused the key or the request.
    #[error("{0}")]
    Refused(Refusal),
    /// A key cannot sign.
    #[error("{0}")]
    Key(#[from] KeyError),
    /// Another connection is needed, because the account changed at the exchange.
    #[error("{0}")]
    Moved(&'static str),
}

/// What to do about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Ask again after a wait; the connection is fine.
    Retry,
    /// Make a new connection after a wait.
    Reconnect,
    /// A person must act; trying again is for finding out when they have.
    GiveUp,
}

/// An exchange's refusal: its code, and what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Who refused.
    pub venue: Venue,
    /// The exchange's code: `-2015`, `400003`, `401`.
    pub code: CompactString,
    /// What it means.
    pub meaning: Meaning,
}

/// What a refusal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The key is unknown or deleted.
    Key,
    /// What was sent as the key's id cannot be one.
    Form,
    /// The exchange does not tell apart: key deleted, signed with another's secret, or address not allowed.
    KeySecretOrAddress,
    /// The exchange does not tell apart: key deleted, no right to read, or address not allowed.
    KeyRightOrAddress,
    /// The signature does not fit the key.
    Secret,
    /// KuCoin's passphrase is wrong.
    Passphrase,
    /// This machine's address is not on the key's list.
    Address,
    /// The key may not read.
    Right,
    /// The key may not see this one wallet; the exchange does not say why.
    WalletRight,
    /// The account is a unified one, and the key may not read it.
    UnifiedRight,
    /// The account itself is blocked.
    Frozen,
    /// The owner's identity is not verified.
    Identity,
    /// The request came without its signature.
    Unsigned,
    /// Our clock and theirs differ.
    Clock,
    /// The session's token is too old.
    Token,
    /// Too many requests.
    Busy,
    /// The call does not exist there.
    Unknown,
    /// Anything else.
    Other,
}

impl Error {
    /// Says what to do.
    pub fn advice(&self) -> Advice {
        match self {
            Error::Finished | Error::Key(_) => Advice::GiveUp,
            Error::Connect(_)
            | Error::Closed(_)
            | Error::Silent { .. }
            | Error::Oversize
            | Error::Protocol(_)
            | Error::Moved(_)
            | Error::Shutdown => Advice::Reconnect,
            Error::Http(_) | Error::Limited(_) => Advice::Retry,
            Error::Refused(refusal) => refusal.meaning.advice(),
        }
    }

    /// Returns the shortest wait the exchange asked for.
    pub fn wait(&self) -> Duration {
        match self {
            Error::Limited(wait) => (*wait).min(super::limiter::LONGEST),
            Error::Finished
            | Error::Key(_)
            | Error::Connect(_)
            | Error::Closed(_)
            | Error::Silent { .. }
            | Error::Oversize
            | Error::Protocol(_)
            | Error::Moved(_)
            | Error::Shutdown
            | Error::Http(_)
            | Error::Refused(_) => Duration::ZERO,
        }
    }

    /// Returns true when it says something about the key that a person must mend.
    pub fn about_key(&self) -> bool {
        match self {
            Error::Key(_) => true,
            Error::Refused(refusal) => refusal.meaning.advice() == Advice::GiveUp || refusal.meaning == Meaning::Clock,
            Error::Finished
            | Error::Connect(_)
            | Error::Closed(_)
            | Error::Silent { .. }
            | Error::Oversize
            | Error::Protocol(_)
            | Error::Moved(_)
            | Error::Shutdown
            | Error::Http(_)
            | Error::Limited(_) => false,
        }
    }

    /// Returns the message as a `why` for a recording.
    pub fn why(&self) -> CompactString {
        format_compact!("{self}")
    }
}

impl Meaning {
    fn advice(self) -> Advice {
        match self {
            Meaning::Key
            | Meaning::Form
            | Meaning::KeySecretOrAddress
            | Meaning::KeyRightOrAddress
            | Meaning::Secret
            | Meaning::Passphrase
            | Meaning::Address
            | Meaning::Right
            | Meaning::WalletRight
            | Meaning::UnifiedRight
            | Meaning::Frozen
            | Meaning::Identity
            | Meaning::Unsigned => Advice::GiveUp,
            Meaning::Clock | Meaning::Busy | Meaning::Unknown | Meaning::Other => Advice::Retry,
            Meaning::Token => Advice::Reconnect,
        }
    }

    fn words(self, venue: Venue) -> &'static str {
        match self {
            Meaning::Key => "the key is unknown or was deleted; if you did not delete it, look at the account now",
            Meaning::Form => "that is not the form of a key's id; copy it again, whole and without quotes",
            Meaning::KeySecretOrAddress => {
                "the key was deleted, its private key is another's, or this machine's address is not on its list; compare \
                 name and private key with the portal, and if you did not delete it, look at the account now"
            }
            Meaning::KeyRightOrAddress => {
                "the key was deleted, may not read, or this machine's address is not on its list; check it at the exchange"
            }
            Meaning::Secret => "the signature does not fit; the secret belongs to another key, copy it again",
            Meaning::Passphrase => "the passphrase is wrong; it is the one chosen when the key was made",
            Meaning::Address => "this machine's address is not on the key's list; add it at the exchange",
            Meaning::WalletRight => {
                "the key may not read this wallet, or was deleted, or this machine's address is not on its list; open the \
                 wallet at the exchange and make a new reading key after that, or leave the wallet out of `wallets`"
            }
            Meaning::Right => match venue {
                Venue::Binance => {
                    "the key may not read this account; tick Enable Reading, for a sub-account by its master"
                }
                Venue::Kucoin => "the key may not read; give it the right General, for a sub-account by its master",
                Venue::Coinbase => "the key may not read its portfolio; give it View on the portfolio it is to watch",
            },
            Meaning::UnifiedRight => {
                "the account is a unified one and the key may not read it; give the key the right Unified as well"
            }
            Meaning::Frozen => "the account or its keys are frozen; ask the exchange",
            Meaning::Identity => {
                "the exchange wants the owner's identity verified (KYC) before it answers; do that at the exchange"
            }
            Meaning::Unsigned => {
                "the signature did not arrive; something on the way strips headers, connect without that proxy"
            }
            Meaning::Clock => "this machine's clock is off; switch on time synchronisation",
            Meaning::Token => "the session's token has expired; a new one is fetched",
            Meaning::Busy => "asked too often or the exchange is busy; waiting",
            Meaning::Unknown => "the exchange does not know this call",
            Meaning::Other => "refused; the code is explained in the exchange's documentation",
        }
    }
}

impl Refusal {
    /// Reads a Binance error code.
    pub fn binance(code: i64) -> Self {
        let meaning = match code {
            -2014 => Meaning::Form,
            -2008 => Meaning::Key,
            -2015 => Meaning::KeyRightOrAddress,
            -2017 => Meaning::Frozen,
            -1022 => Meaning::Secret,
            -1002 => Meaning::Right,
            -1021 => Meaning::Clock,
            -1125 | -1209 => Meaning::Token,
            -1001 | -1003 | -1006 | -1007 | -1008 | -1034 => Meaning::Busy,
            _ => Meaning::Other,
        };
        Refusal { venue: Venue::Binance, code: format_compact!("{code}"), meaning }
    }

    /// Takes a Binance refusal for one of another wallet: keys made before a wallet was opened have no right to it.
    pub fn of_wallet(mut refusal: Refusal) -> Self {
        if refusal.code == "-2015" {
            refusal.meaning = Meaning::WalletRight;
        }
        refusal
    }

    /// Reads a KuCoin error code.
    pub fn kucoin(code: &str) -> Self {
        let meaning = match code {
            "400001" => Meaning::Unsigned,
            "400003" => Meaning::Key,
            "400004" => Meaning::Passphrase,
            "400005" => Meaning::Secret,
            "400006" => Meaning::Address,
            "400007" | "403" => Meaning::Right,
            "400002" => Meaning::Clock,
            "411100" => Meaning::Frozen,
            "400303" => Meaning::Identity,
            "401" => Meaning::Token,
            "429" | "429000" | "200002" | "1015" | "500000" | "503" => Meaning::Busy,
            "404" | "404000" => Meaning::Unknown,
            _ => Meaning::Other,
        };
        Refusal { venue: Venue::Kucoin, code: safe(code), meaning }
    }

    /// Returns it as said of a unified KuCoin account: there a missing right is another one.
    pub fn of_unified(mut self) -> Self {
        if self.meaning == Meaning::Right {
            self.meaning = Meaning::UnifiedRight;
        }
        self
    }

    /// Reads what Coinbase's socket says in place of a code, `authentication failure` or anything else.
    pub fn coinbase_socket(about_key: bool) -> Self {
        let (code, meaning) = match about_key {
            true => ("authentication failure", Meaning::KeySecretOrAddress),
            false => ("error", Meaning::Other),
        };
        Refusal { venue: Venue::Coinbase, code: code.into(), meaning }
    }

    /// Reads a Coinbase HTTP status.
    pub fn coinbase(status: u16) -> Self {
        let meaning = match status {
            401 => Meaning::KeySecretOrAddress,
            403 => Meaning::Right,
            404 => Meaning::Unknown,
            429 | 500..=599 => Meaning::Busy,
            _ => Meaning::Other,
        };
        Refusal { venue: Venue::Coinbase, code: format_compact!("{status}"), meaning }
    }

    /// Reads a Coinbase Exchange HTTP status and its message, which tells apart what the status does not; a refusal on the
    /// socket counts as 401.
    pub fn coinbase_exchange(status: u16, message: &str) -> Self {
        let told = message.to_ascii_lowercase();
        let meaning = match status {
            429 | 500..=599 => Meaning::Busy,
            404 => Meaning::Unknown,
            _ if told.contains("passphrase") => Meaning::Passphrase,
            _ if told.contains("signature") => Meaning::Secret,
            _ if told.contains("timestamp") => Meaning::Clock,
            _ if told.contains("whitelist") || told.contains("ip address") => Meaning::Address,
            _ if told.contains("api key") => Meaning::Key,
            403 => Meaning::Right,
            _ if told.contains("permission") || told.contains("forbidden") => Meaning::Right,
            401 => Meaning::KeyRightOrAddress,
            _ => Meaning::Other,
        };
        Refusal { venue: Venue::Coinbase, code: format_compact!("{status}"), meaning }
    }
}

/// Keeps of a code what can be one: it comes from outside and goes to logs.
fn safe(code: &str) -> CompactString {
    code.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_')).take(16).collect()
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} answered {}: {}", self.venue.title(), self.code, self.meaning.words(self.venue))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_code_and_what_to_do() {
        let error = Error::Refused(Refusal::kucoin("400004"));
        assert_eq!(
            error.to_string(),
            "KuCoin answered 400004: the passphrase is wrong; it is the one chosen when the key was made"
        );
        assert_eq!(error.advice(), Advice::GiveUp);
        assert_eq!(Error::Refused(Refusal::binance(-1021)).advice(), Advice::Retry);
        assert_eq!(Error::Silent { after: Duration::from_secs(60), what: "x" }.advice(), Advice::Reconnect);
    }

    #[test]
    fn coinbase_exchange_tells_in_words_what_its_status_does_not() {
        let meaning = |status, words: &str| Refusal::coinbase_exchange(status, words).meaning;
        assert_eq!(meaning(401, "Invalid API Key"), Meaning::Key);
        assert_eq!(meaning(401, r#"{"message":"invalid signature"}"#), Meaning::Secret);
        assert_eq!(meaning(400, "Invalid Passphrase"), Meaning::Passphrase);
        assert_eq!(meaning(400, "request timestamp expired"), Meaning::Clock);
        assert_eq!(meaning(403, "Forbidden"), Meaning::Right);
        assert_eq!(meaning(429, "Private rate limit exceeded"), Meaning::Busy);
        assert_eq!((meaning(401, ""), meaning(400, "")), (Meaning::KeyRightOrAddress, Meaning::Other));
    }

    #[test]
    fn a_code_from_outside_cannot_carry_anything_else() {
        assert_eq!(Refusal::kucoin("40\n0005 <script>").code, "400005script");
    }
}
