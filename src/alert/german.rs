//! What people are told, in German. A reason that has no German words yet is told in English: better read than left out.

use super::wording::{brief, money};
use crate::domain::{Finding, Incident, Kind, Level, Reason, Story, Transition};

/// Returns what deviates and the money, in one line.
pub(super) fn headline(incident: &Incident, transition: Transition) -> String {
    let account = &incident.account;
    let pair = incident.symbol().map(|symbol| format!(" {symbol}")).unwrap_or_default();
    let what = match incident.kind() {
        Some(Kind::Pump) => format!("handelt{pair} anders als sein Inhaber, in einem bewegten Markt"),
        Some(Kind::Liquidation) => "verkauft seine Bestände".to_owned(),
        Some(Kind::PlantedAsk) => format!("handelt{pair} weit neben dem Preis"),
        Some(Kind::Churn) => format!("kauft{pair} teuer und verkauft billig, immer wieder"),
        Some(Kind::Slow) => format!("handelt{pair} in vielen kleinen Schritten in eine Richtung"),
        Some(Kind::Address) => "wird von einem neuen Ort aus benutzt".to_owned(),
        Some(Kind::Origin) => format!("hat einen Auftrag unbekannter Herkunft in{pair}"),
        Some(Kind::Fleet) => match incident.leading().map(|finding| &finding.reason) {
            Some(Reason::OthersHit { tag, .. }) => {
                format!("wurde noch nicht getroffen, aber andere Konten mit der Marke {tag}")
            }
            _ if pair.is_empty() => "verkauft seine Bestände gleichzeitig mit anderen Konten".to_owned(),
            _ => format!("handelt{pair} gleichzeitig mit anderen Konten"),
        },
        Some(Kind::User) => format!("fällt unter eine eigene Regel{pair}"),
        Some(Kind::Key) => "hat einen Schlüssel, an dem sich etwas geändert hat".to_owned(),
        Some(Kind::Blind) | None => "konnte nicht lückenlos beobachtet werden".to_owned(),
    };
    let loss =
        if incident.loss.is_empty() { String::new() } else { format!(", bisher {} verloren", money(&incident.loss)) };
    let again = if transition == Transition::Opened { "" } else { "wächst: " };
    format!("{again}{account} {what}{loss}")
}

/// Returns what was seen, as a sentence; nothing where there are no German words for it.
pub(super) fn fact(finding: &Finding) -> Option<String> {
    let pair = finding.symbol.as_ref().map(ToString::to_string).unwrap_or_default();
    let (buy, sell) = ("Gekauft", "Verkauft");
    let way = |up: bool| if up { "über" } else { "unter" };
    if let Reason::Stands { spent, times_usual, move_percent, new_pair, buy: bought, .. } = &finding.reason {
        let usual = if *times_usual >= 1.5 {
            format!(", das {}fache des in fünf Minuten Üblichen", brief(*times_usual))
        } else {
            String::new()
        };
        let new = if *new_pair { "; dieses Paar hat das Konto noch nie gehandelt" } else { "" };
        let verb = if *bought { buy } else { sell };
        let percent = brief(*move_percent);
        return Some(format!(
            "{verb}: {pair} für {spent}, {percent} % {} dem Preis der letzten Minute{usual}{new}.",
            way(*bought)
        ));
    }
    if let Reason::FarFromReference { price, reference, percent, buy: bought, .. } = &finding.reason {
        let verb = if *bought { buy } else { sell };
        let percent = brief(*percent);
        return Some(format!("{verb}: {pair} zu {price}, {percent} % {} seinem Preis von {reference}.", way(*bought)));
    }
    if let Reason::LosingRoundTrips { trips, percent, seconds } = &finding.reason {
        let (seconds, percent) = (brief(*seconds), brief(*percent));
        return Some(format!("{trips}-mal {pair} hin und her binnen {seconds} s, jedes Mal mit {percent} % Verlust."));
    }
    if let Reason::SoldOff { assets, seconds } = &finding.reason {
        return Some(format!("{} verkauft binnen {} s.", assets.join(", "), brief(*seconds)));
    }
    if let Reason::OneSided { spent, orders, seconds, buy: bought, .. } = &finding.reason {
        let (verb, hours) = (if *bought { buy } else { sell }, brief(*seconds / 3_600.0));
        return Some(format!("{verb}: {pair} für {spent} in {orders} Aufträgen über {hours} h."));
    }
    if let Reason::NewAddress { ip, concurrent, .. } = &finding.reason {
        let also = if *concurrent { ", während eine bekannte Adresse in Gebrauch war" } else { "" };
        return Some(format!("Benutzt von {ip}, einer neuen Adresse{also}."));
    }
    if let Reason::StrangeOrder { familiar_orders, .. } = &finding.reason {
        return Some(format!("Ein Auftrag in {pair} sieht aus wie keiner von {familiar_orders} früheren."));
    }
    if let Reason::Together { count, seconds, sold, .. } = &finding.reason {
        let verb = if *sold { "verkaufen" } else { "kaufen" };
        let what = if pair.is_empty() { "ihre Bestände".to_owned() } else { pair };
        return Some(format!("{count} Konten {verb} neuerdings {what} binnen {} s, dieses darunter.", brief(*seconds)));
    }
    if let Reason::NotVerified { since, until, recovered, .. } = &finding.reason {
        let until = until.map_or("jetzt".to_owned(), |until| until.to_string());
        return Some(format!("Blind von {since} bis {until}; {recovered} Ausführungen nachgeholt, nicht bestätigt."));
    }
    None
}

/// Returns the one next step.
pub(super) fn next_step(incident: &Incident) -> String {
    match (incident.story, incident.level) {
        (Story::Takeover, Level::Act | Level::Alert) => {
            format!(
                "Wenn das nicht Sie waren: löschen Sie jetzt den API-Schlüssel bei {}.",
                incident.account.venue.title()
            )
        }
        (Story::Takeover, Level::Notice) => "Sehen Sie nach, ob Sie das waren.".to_owned(),
        (Story::Blind, _) => "Sehen Sie auf der Seite der Börse die letzten Geschäfte des Kontos an.".to_owned(),
    }
}

/// Returns what happens if nothing is done.
pub(super) fn otherwise(incident: &Incident) -> String {
    match incident.story {
        Story::Takeover => "Wer den Schlüssel hat, kann mit dem Geld dieses Kontos weiterhandeln. Ohne eingeschaltete \
                            Gegenwehr sendet fillguard nichts an die Börse."
            .to_owned(),
        Story::Blind => "Geschäfte aus dieser Zeit bleiben ungeprüft.".to_owned(),
    }
}

/// Returns a label of the table in German.
pub(super) fn label(english: &str) -> String {
    match english {
        "Incident" => "Vorfall",
        "Account" => "Konto",
        "Level" => "Stufe",
        "First seen" => "Zuerst gesehen",
        "Last seen" => "Zuletzt gesehen",
        "Pair" => "Paar",
        "Lost so far" => "Bisher verloren",
        "Lost per minute" => "Verlust je Minute",
        "Score" => "Gewicht",
        other => return other.replace("Step", "Schritt"),
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::Language;
    use super::super::wording::message;
    use super::*;
    use crate::domain::{AccountId, IncidentId, Timestamp};

    #[test]
    fn a_german_message_has_no_english_around_it() {
        let account: AccountId = "binance/alice".parse().unwrap();
        let incident = Incident {
            id: IncidentId::new(&account, 1, 0),
            account,
            story: Story::Takeover,
            level: Level::Act,
            opened: Timestamp::EPOCH,
            last: Timestamp::EPOCH,
            closed: None,
            findings: Vec::new(),
            count: 1,
            loss: Vec::new(),
            plan: Vec::new(),
        };
        let message = message(&incident, Transition::Opened, Language::German);
        assert!(message.next_step.starts_with("Wenn das nicht Sie waren"), "{}", message.next_step);
        assert!(message.otherwise.contains("weiterhandeln"));
        assert!(message.table.iter().any(|(label, value)| label == "Konto" && value == "binance/alice"));
    }
}
