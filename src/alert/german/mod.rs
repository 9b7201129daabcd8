//! What people are told, in German.

mod fact;
mod key;
mod phrases;
mod said;

pub(super) use fact::fact;
pub(super) use said::said;

use super::wording::money;
use crate::domain::{Incident, Kind, Level, Reason, Story, Transition};

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
        Some(Kind::User) => match incident.leading() {
            Some(leading) => format!("handelt{pair} so, wie Ihre Regel {} es beschreibt", leading.rule_name()),
            None => format!("handelt{pair} so, wie eine Ihrer Regeln es beschreibt"),
        },
        Some(Kind::Key) => incident.leading().and_then(|leading| key::headline(&leading.reason)).unwrap_or_default(),
        Some(Kind::Blind) | None => "konnte nicht lückenlos beobachtet werden".to_owned(),
    };
    let loss = if incident.loss.is_empty() {
        String::new()
    } else {
        format!(", bisher {} verloren", money(&incident.loss, " und "))
    };
    let again = match transition {
        Transition::Opened => "",
        Transition::Raised | Transition::Updated | Transition::Closed => "wächst: ",
    };
    format!("{again}{account} {what}{loss}")
}

/// Returns the one next step.
pub(super) fn next_step(incident: &Incident) -> String {
    if let Some(step) = incident.leading().and_then(|leading| key::next_step(leading, incident.account.venue)) {
        return step;
    }
    match (incident.story, incident.level) {
        (Story::Takeover, Level::Act | Level::Alert) => {
            let venue = incident.account.venue.title();
            format!("Wenn das nicht Sie waren: löschen Sie jetzt den API-Schlüssel bei {venue}.")
        }
        (Story::Takeover, Level::Notice) => "Sehen Sie nach, ob Sie das waren.".to_owned(),
        (Story::Blind, _) => "Sehen Sie auf der Seite der Börse die letzten Geschäfte des Kontos an.".to_owned(),
    }
}

/// Returns what happens if nothing is done.
pub(super) fn otherwise(incident: &Incident) -> String {
    if let Some(otherwise) = incident.leading().and_then(key::otherwise) {
        return otherwise;
    }
    match incident.story {
        Story::Takeover => "Wer den Schlüssel hat, kann mit dem Geld dieses Kontos weiterhandeln. Ohne eingeschaltete \
                            Gegenwehr sendet fillguard nichts an die Börse."
            .to_owned(),
        Story::Blind => "Geschäfte aus dieser Zeit bleiben ungeprüft.".to_owned(),
    }
}

/// Returns a level as people read it.
pub(super) const fn level(level: Level) -> &'static str {
    match level {
        Level::Notice => "Hinweis",
        Level::Alert => "Alarm",
        Level::Act => "jetzt handeln",
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

/// Returns what a term is called; one that docs/rules.md does not name keeps its name.
pub(super) fn term(name: &str) -> &str {
    match name {
        "addresses_added" => "Adressen hinzugefügt",
        "averaging" => "Nachkauf",
        "beyond_policy" => "mehr als erlaubt",
        "cancelled_before" => "vorher Aufträge gestrichen",
        "concurrent_use" => "gleichzeitige Nutzung",
        "condition" => "Bedingung",
        "displacement" => "Abstand vom Preis",
        "dormancy" => "lange Ruhe davor",
        "earlier_runs" => "frühere Läufe",
        "emptied" => "ganz verkauft",
        "far_before" => "früher schon weit daneben",
        "gained_rights" => "neue Rechte",
        "hasty" => "in Eile",
        "hour" => "Uhrzeit",
        "leak_mode" => "Leak-Modus",
        "list_removed" => "Adressliste weg",
        "losing_turns" => "Verlustrunden",
        "lost" => "Verlust",
        "made_anew" => "neu gemacht",
        "market" => "Markt",
        "first_hosting" => "erstmals gemieteter Rechner",
        "left_hosting" => "erstmals kein gemieteter Rechner",
        "new_address" => "neue Adresse",
        "new_country" => "neues Land",
        "new_key" => "neuer Schlüssel",
        "new_network" => "neues Netz",
        "new_prefix" => "neuer Adressbereich",
        "new_pair" | "pair_novelty" => "neues Paar",
        "no_list" => "keine Adressliste",
        "not_ours" => "nicht von uns",
        "one_sided" => "einseitig",
        "other_key" => "anderer Schlüssel",
        "overpaid" => "zu viel bezahlt",
        "probed" => "erst probiert",
        "rate" => "Takt",
        "round_trip_loss" => "Verlust hin und her",
        "same_address" => "selbe Adresse",
        "same_tag" => "selbe Marke",
        "scan" => "mehrere Konten",
        "selling" => "Verkauf",
        "sells_seldom" => "verkauft selten",
        "share_of_day" => "Anteil am Tagesumsatz",
        "size" => "Größe",
        "small_cap" => "kleiner Coin",
        "sold_before" => "vorher verkauft",
        "falling" => "alles fällt",
        "sold_off" => "Bestände verkauft",
        "spent_slowly" => "langsam ausgegeben",
        "staged" => "auf Probe",
        "order_grammar" => "fremder Auftragsname",
        "strange_place" => "fremder Ort",
        "order_source" => "fremde Herkunft",
        "together" => "gemeinsam",
        "unverified" => "nicht bestätigt",
        "vouched" => "schon als eigen bestätigt",
        "whole_balance" => "ganzer Bestand",
        "young_pair" => "junges Paar",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_term_that_the_documentation_names_has_a_german_name() {
        let rules = include_str!("../../../docs/rules.md");
        let mut in_terms = false;
        let mut named = 0;
        for line in rules.lines() {
            if line.starts_with("| term |") {
                in_terms = true;
            } else if !line.starts_with('|') {
                in_terms = false;
            } else if let Some(name) =
                line.strip_prefix("| `").filter(|_| in_terms).and_then(|rest| rest.split('`').next())
            {
                assert_ne!(term(name), name, "{name} has no German name");
                named += 1;
            }
        }
        assert!(named > 25, "{named} terms");
    }

    #[test]
    fn every_label_of_an_incidents_table_has_a_german_one() {
        for english in [
            "Incident",
            "Account",
            "Level",
            "First seen",
            "Last seen",
            "Pair",
            "Lost so far",
            "Lost per minute",
            "Score",
            "Step 1",
        ] {
            assert_ne!(label(english), english);
        }
    }
}
