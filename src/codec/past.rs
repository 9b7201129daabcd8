//! Answers about a pair's past: their trades are no news of its present, and they tell how far the past is known.

use super::shape::parameter;
use crate::domain::{MarketKind, Timestamp};

/// Makes a trade of the past of what was read as a trade; anything else stays as it is.
pub(super) fn past(kind: MarketKind) -> MarketKind {
    match kind {
        MarketKind::Trade { price, quantity, taker, time, taker_order } => {
            MarketKind::PastTrade { price, quantity, taker, time, taker_order }
        }
        MarketKind::PastTrade { .. }
        | MarketKind::PastTold { .. }
        | MarketKind::Volume { .. }
        | MarketKind::Candle { .. } => kind,
    }
}

/// Says up to when a page of bars tells the past: up to where it was asked for (the parameter `end` of the call, in
/// seconds or milliseconds), else up to the end of its last bar. Never later than the answer came.
pub(super) fn bars_told(call: &str, end: &str, last: Option<Timestamp>, at: Timestamp) -> Option<MarketKind> {
    let asked = parameter(call, end).and_then(|text| text.parse().ok()).and_then(Timestamp::from_magnitude);
    asked.or(last).map(|until| MarketKind::PastTold { until: until.min(at), trades: false })
}

/// Returns when a finished bar ended.
pub(super) fn ended(kind: &MarketKind) -> Option<Timestamp> {
    match kind {
        MarketKind::Candle { start, span, .. } => Some(*start + *span),
        MarketKind::Trade { .. }
        | MarketKind::PastTrade { .. }
        | MarketKind::PastTold { .. }
        | MarketKind::Volume { .. } => None,
    }
}
