//! What Binance means when it says no, in our words.
//!
//! <https://developers.binance.com/docs/binance-spot-api-docs/errors>

use compact_str::{CompactString, format_compact};

use super::super::shape::Heard;
use crate::domain::Timestamp;

/// An answer that says no.
pub(super) struct Refusal {
    /// The HTTP-like status, where it came with one.
    pub(super) status: Option<i64>,
    /// Binance's own code.
    pub(super) code: Option<i64>,
    /// When it may be asked again.
    pub(super) until: Option<Timestamp>,
}

/// "Subscription already active": the answer to a probe of a key that is alive, hence no refusal.
const ALREADY_SUBSCRIBED: i64 = -2035;

impl Refusal {
    /// Tells of it.
    pub(super) fn tell(&self, heard: &mut Heard<'_>) {
        if self.code == Some(ALREADY_SUBSCRIBED) {
            return;
        }
        let code = match (self.code, self.status) {
            (Some(code), _) => format_compact!("{code}"),
            (None, Some(status)) => format_compact!("{status}"),
            (None, None) => CompactString::const_new("unknown"),
        };
        let why = match self.until {
            Some(until) => format_compact!("{}, until {until}", self.meaning()),
            None => self.meaning().into(),
        };
        heard.refused(&code, &why);
    }

    fn meaning(&self) -> &'static str {
        match (self.status, self.code) {
            (Some(418), _) => "this address is banned for asking too much",
            (Some(429), _) => "asked too often",
            (_, Some(-1000 | -1001 | -1006 | -1007)) => "the exchange failed or did not answer in time",
            (_, Some(-1002)) => "the key may not do this",
            (_, Some(-1003)) => "asked too often, or this address is banned",
            (_, Some(-1008)) => "the exchange is overloaded",
            (_, Some(-1015)) => "too many orders",
            (_, Some(-1021)) => "our clock is off by more than the exchange allows",
            (_, Some(-1022)) => "the signature is wrong: the secret does not belong to the key",
            (_, Some(-1121)) => "no such pair",
            (_, Some(-1209)) => "the listen token is wrong or has expired",
            (_, Some(-1130..=-1100)) => "a parameter is wrong",
            (_, Some(-2008)) => "no such key",
            (_, Some(-2013)) => "no such order",
            (_, Some(-2014)) => "the key is not written as a key",
            (_, Some(-2015)) => "the key was deleted, is not allowed from this address, or lacks the permission",
            (_, Some(-2036)) => "not subscribed",
            (_, Some(-2042)) => "the connection has used up its subscriptions",
            (Some(401), _) => "not signed in",
            (Some(403), _) => "the exchange's firewall refused the request",
            (Some(500..), _) => "the exchange failed",
            _ => "the exchange refused a request",
        }
    }
}
