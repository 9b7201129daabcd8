//! Effects and messages of an invented incident.

use fillguard::domain::{
    AccountId, Effect, EffectKind, Incident, IncidentId, Level, Message, Story, Timestamp, Transition, Venue,
};

/// 2026-03-01T09:00:00Z and `seconds`.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_nanos((1_772_355_600 + seconds) * 1_000_000_000)
}

pub fn account() -> AccountId {
    AccountId::new(Venue::Binance, "alice").unwrap()
}

pub fn message(id: &IncidentId, level: Level, headline: &str) -> Message {
    Message {
        incident: id.clone(),
        level,
        headline: headline.to_owned(),
        facts: vec![
            "Bought VIBX-BTC, a pair this account had never traded, 38 times its usual size.".to_owned(),
            "The price stood 61 % above its mean of one minute before.".to_owned(),
        ],
        next_step: "Delete this API key on Binance now.".to_owned(),
        otherwise: "At this rate the account loses about 0.31 BTC a minute.".to_owned(),
        link: "https://www.binance.com/en/my/settings/api-management".to_owned(),
        table: vec![
            ("Account".to_owned(), "binance/alice".to_owned()),
            ("Pair".to_owned(), "VIBX-BTC".to_owned()),
            ("Lost so far".to_owned(), "0.42 BTC".to_owned()),
        ],
    }
}

pub fn incident(id: &IncidentId, level: Level, n: u64) -> Incident {
    Incident {
        id: id.clone(),
        account: account(),
        story: Story::Takeover,
        level,
        opened: at(0),
        last: at(n as i64),
        closed: None,
        findings: Vec::new(),
        count: n,
        loss: Vec::new(),
        plan: Vec::new(),
    }
}

/// An effect of arrival `n` about incident `id`, with a message unless `headline` is empty.
pub fn effect(n: u64, id: &IncidentId, level: Level, headline: &str) -> Effect {
    Effect {
        n,
        place: 0,
        at: at(n as i64),
        kind: EffectKind::Incident {
            transition: Transition::Raised,
            incident: incident(id, level, n),
            finding: None,
            message: (!headline.is_empty()).then(|| message(id, level, headline)),
        },
    }
}

pub fn id(n: u64) -> IncidentId {
    IncidentId::new(&account(), n, 0)
}
