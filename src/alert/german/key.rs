//! What people are told about a key: what changed, between which two looks, and what to do about it.

use crate::domain::{Finding, KeyName, Level, Reason, Timestamp, Venue};

/// Returns what stands behind the account's name; nothing for a reason that is not about a key.
pub(super) fn headline(reason: &Reason) -> Option<String> {
    Some(match reason {
        Reason::KeyWidened { gained, .. } => format!("hat einen Schlüssel, der jetzt mehr darf: {}", deeds(gained)),
        Reason::KeyUnrestricted { added, since: Some(_), .. } if added.is_empty() => {
            "hat einen Schlüssel, der jetzt von überall gilt".to_owned()
        }
        Reason::KeyUnrestricted { since: Some(_), .. } => {
            "hat einen Schlüssel, der jetzt von mehr Adressen aus gilt".to_owned()
        }
        Reason::KeyUnrestricted { since: None, .. } => {
            "wird mit einem Schlüssel beobachtet, der von überall gilt".to_owned()
        }
        Reason::KeyAppeared { key, .. } => match &key.holder {
            Some(holder) => format!("hat einen neuen Schlüssel im Unterkonto {holder}"),
            None => "hat einen neuen Schlüssel".to_owned(),
        },
        Reason::KeyRemade { .. } => "hat einen Schlüssel, der neu gemacht wurde".to_owned(),
        Reason::KeyReplaced { .. } => "wird mit einem anderen Schlüssel beobachtet als bisher".to_owned(),
        Reason::KeyBeyond { rights, .. } if rights.is_empty() => {
            "wird mit einem Schlüssel beobachtet, der entgegen der Vorgabe von überall gilt".to_owned()
        }
        Reason::KeyBeyond { rights, .. } => {
            format!("wird mit einem Schlüssel beobachtet, der zu viel darf: {}", deeds(rights))
        }
        Reason::Stands { .. }
        | Reason::FarFromReference { .. }
        | Reason::LosingRoundTrips { .. }
        | Reason::SoldOff { .. }
        | Reason::OneSided { .. }
        | Reason::NewAddress { .. }
        | Reason::SharedAddress { .. }
        | Reason::OthersUsedFrom { .. }
        | Reason::StrangeOrder { .. }
        | Reason::NotVerified { .. }
        | Reason::Together { .. }
        | Reason::OthersHit { .. }
        | Reason::User { .. } => return None,
    })
}

/// Returns the sentence about it, without its capital letter and full stop; `at` is when it was seen.
pub(super) fn fact(reason: &Reason, at: Timestamp) -> Option<String> {
    Some(match reason {
        Reason::KeyWidened { key, gained, since } => {
            format!("{} darf jetzt auch: {}; geändert zwischen {since} und {at}", name(key), deeds(gained))
        }
        Reason::KeyUnrestricted { key, added, since: Some(since) } if added.is_empty() => {
            format!("{} verlor zwischen {since} und {at} seine Adressliste und gilt jetzt von überall", name(key))
        }
        Reason::KeyUnrestricted { key, added, since: Some(since) } => {
            let added = added.join(", ");
            format!("{}: die Adressliste wurde zwischen {since} und {at} um {added} erweitert", name(key))
        }
        Reason::KeyUnrestricted { key, since: None, .. } => {
            format!("{} ist nicht auf Adressen beschränkt; wer ihn findet, kann ihn benutzen", name(key))
        }
        Reason::KeyAppeared { key, rights, made, since } => {
            let may = if rights.is_empty() { String::new() } else { format!(", der darf: {}", deeds(rights)) };
            let made = made.map(|made| format!("; gemacht {made} nach der Uhr der Börse")).unwrap_or_default();
            format!("neu zwischen {since} und {at}: {}{may}{made}", name(key))
        }
        Reason::KeyRemade { key, made, before, since } => format!(
            "{} wurde laut Börse jetzt {made} gemacht; bis {since} hieß es {before}, er wurde also vor {at} neu gemacht",
            name(key)
        ),
        Reason::KeyReplaced { key, since } => {
            format!("{} beobachtet jetzt dieses Konto; bis {since} war es ein anderer", name(key))
        }
        Reason::KeyBeyond { key, rights, open, policy } => {
            let mut beyond = Vec::new();
            if !rights.is_empty() {
                beyond.push(format!("darf {}", deeds(rights)));
            }
            if *open {
                beyond.push("gilt von überall".to_owned());
            }
            let why = if *policy { "was seine Vorgabe nicht vorsieht" } else { "was zum Beobachten nicht nötig ist" };
            format!("{} {}, {why}", name(key), beyond.join(" und "))
        }
        Reason::Stands { .. }
        | Reason::FarFromReference { .. }
        | Reason::LosingRoundTrips { .. }
        | Reason::SoldOff { .. }
        | Reason::OneSided { .. }
        | Reason::NewAddress { .. }
        | Reason::SharedAddress { .. }
        | Reason::OthersUsedFrom { .. }
        | Reason::StrangeOrder { .. }
        | Reason::NotVerified { .. }
        | Reason::Together { .. }
        | Reason::OthersHit { .. }
        | Reason::User { .. } => return None,
    })
}

/// Returns the one next step, where the leading finding is about a key.
pub(super) fn next_step(leading: &Finding, venue: Venue) -> Option<String> {
    let page = venue.key_page();
    headline(&leading.reason)?;
    Some(match leading.level {
        Level::Act | Level::Alert => {
            format!(
                "Wenn das nicht Sie waren: löschen Sie diesen Schlüssel jetzt auf {page} und ändern Sie das Passwort."
            )
        }
        Level::Notice => format!("Wenn Sie das nicht wollen, ändern Sie es auf {page}."),
    })
}

/// Returns what happens if nothing is done, where the leading finding is about a key.
pub(super) fn otherwise(leading: &Finding) -> Option<String> {
    headline(&leading.reason)?;
    Some(match leading.level {
        Level::Act | Level::Alert => {
            "Nur wer im Konto angemeldet ist, kann einen Schlüssel ändern: wer es war, kann ihn so benutzen, wie er jetzt \
             ist. Ohne eingeschaltete Gegenwehr sendet fillguard nichts an die Börse."
                .to_owned()
        }
        Level::Notice => "Wer den Schlüssel findet, kann damit alles tun, was er darf.".to_owned(),
    })
}

fn name(key: &KeyName) -> String {
    let mut name = if key.own { "der überwachte Schlüssel" } else { "der Schlüssel" }.to_owned();
    if let Some(label) = &key.label {
        name += &format!(" „{label}“");
    }
    if let Some(fingerprint) = &key.fingerprint {
        name += &format!(" ({fingerprint})");
    }
    if let Some(holder) = &key.holder {
        name += &format!(" des Unterkontos {holder}");
    }
    name
}

/// Says what rights allow, as a person does: `auszahlen und handeln`.
fn deeds(rights: &[compact_str::CompactString]) -> String {
    let deed = |right: &compact_str::CompactString| match right.as_str() {
        "read" => "lesen".to_owned(),
        "trade" => "handeln".to_owned(),
        "withdraw" => "auszahlen".to_owned(),
        "margin" => "auf Margin handeln".to_owned(),
        "futures" => "Futures handeln".to_owned(),
        "options" => "Optionen handeln".to_owned(),
        "unified" => "in einem Unified-Konto handeln".to_owned(),
        "fix_trade" => "über FIX handeln".to_owned(),
        "fix_read" => "über FIX lesen".to_owned(),
        "internal_transfer" => "Geld an andere Konten senden".to_owned(),
        "universal_transfer" => "Geld zwischen Wallets und Unterkonten verschieben".to_owned(),
        "receive" => "Empfangsadressen anlegen".to_owned(),
        "earn" => "verleihen und staken".to_owned(),
        other => format!("das Recht „{other}“ nutzen"),
    };
    let deeds: Vec<String> = rights.iter().map(deed).collect();
    match deeds.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, first)) => format!("{} und {last}", first.join(", ")),
        None => "nichts".to_owned(),
    }
}
