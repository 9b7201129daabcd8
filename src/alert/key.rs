//! What people are told about a key: what changed, between which two looks, and what to do about it.

use crate::domain::{Finding, Level, Reason, Timestamp, Venue};

/// Returns what stands behind the account's name; nothing for a reason that is not about a key.
pub fn headline(reason: &Reason) -> Option<String> {
    Some(match reason {
        Reason::KeyWidened { gained, .. } => format!("has a key that may now {}", deeds(gained)),
        Reason::KeyUnrestricted { added, since: Some(_), .. } if added.is_empty() => {
            "has a key that now works from anywhere".to_owned()
        }
        Reason::KeyUnrestricted { since: Some(_), .. } => "has a key that now works from more addresses".to_owned(),
        Reason::KeyUnrestricted { since: None, .. } => "is watched with a key that works from anywhere".to_owned(),
        Reason::KeyAppeared { key, .. } => match &key.holder {
            Some(holder) => format!("has a new key in sub-account {holder}"),
            None => "has a new key".to_owned(),
        },
        Reason::KeyRemade { .. } => "has a key that was made anew".to_owned(),
        Reason::KeyReplaced { .. } => "is watched with another key than before".to_owned(),
        Reason::KeyBeyond { rights, .. } if rights.is_empty() => {
            "is watched with a key that works from anywhere, against its policy".to_owned()
        }
        Reason::KeyBeyond { rights, .. } => format!("is watched with a key that may {}", deeds(rights)),
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
pub fn fact(reason: &Reason, at: Timestamp) -> Option<String> {
    Some(match reason {
        Reason::KeyWidened { key, gained, since } => {
            format!("{key} may now {}; this was changed between {since} and {at}", deeds(gained))
        }
        Reason::KeyUnrestricted { key, added, since: Some(since) } if added.is_empty() => {
            format!("{key} lost its list of addresses between {since} and {at} and works from anywhere now")
        }
        Reason::KeyUnrestricted { key, added, since: Some(since) } => {
            let added = added.join(", ");
            format!("the addresses of {key} were extended by {added} between {since} and {at}")
        }
        Reason::KeyUnrestricted { key, since: None, .. } => {
            format!("{key} is not restricted to addresses, so whoever finds it can use it")
        }
        Reason::KeyAppeared { key, rights, made, since } => {
            let may = if rights.is_empty() { String::new() } else { format!(" that may {}", deeds(rights)) };
            let made = made.map(|made| format!(", made {made} by the exchange's clock")).unwrap_or_default();
            format!("a new {key}{may} appeared between {since} and {at}{made}")
        }
        Reason::KeyRemade { key, made, before, since } => format!(
            "{key} was made {made}, says the exchange now; until {since} it said {before}, so it was made anew before {at}"
        ),
        Reason::KeyReplaced { key, since } => {
            format!("{key} watches this account now; another one did until {since}")
        }
        Reason::KeyBeyond { key, rights, open, policy } => {
            let mut beyond = Vec::new();
            if !rights.is_empty() {
                beyond.push(format!("may {}", deeds(rights)));
            }
            if *open {
                beyond.push("works from anywhere".to_owned());
            }
            let why = if *policy { "which its policy does not foresee" } else { "which watching does not need" };
            format!("{key} {}, {why}", beyond.join(" and "))
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
pub fn next_step(leading: &Finding, venue: Venue) -> Option<String> {
    let page = venue.key_page();
    headline(&leading.reason)?;
    Some(match leading.level {
        Level::Act | Level::Alert => {
            format!("If this was not you: delete that key on {page} now, and change the password.")
        }
        Level::Notice => format!("If this is not what you want, change it on {page}."),
    })
}

/// Returns what happens if nothing is done, where the leading finding is about a key.
pub fn otherwise(leading: &Finding) -> Option<String> {
    headline(&leading.reason)?;
    Some(match leading.level {
        Level::Act | Level::Alert => {
            "Only somebody signed in to the account can change a key: whoever did can use it as \
                                      it is now. Unless a response is switched on, fillguard sends nothing to the exchange."
                .to_owned()
        }
        Level::Notice => "Whoever finds the key can do with it all that it may.".to_owned(),
    })
}

/// Says what rights allow, as a person does: `withdraw and trade futures`.
fn deeds(rights: &[compact_str::CompactString]) -> String {
    let deed = |right: &compact_str::CompactString| match right.as_str() {
        "margin" => "trade on margin".to_owned(),
        "futures" => "trade futures".to_owned(),
        "options" => "trade options".to_owned(),
        "unified" => "trade in a unified account".to_owned(),
        "fix_trade" => "trade over FIX".to_owned(),
        "fix_read" => "read over FIX".to_owned(),
        "internal_transfer" => "send money to other accounts".to_owned(),
        "universal_transfer" => "move money between wallets and sub-accounts".to_owned(),
        "receive" => "make addresses to receive at".to_owned(),
        "earn" => "lend and stake".to_owned(),
        "read" | "trade" | "withdraw" => right.to_string(),
        other => format!("use the right \"{other}\""),
    };
    let deeds: Vec<String> = rights.iter().map(deed).collect();
    match deeds.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, first)) => format!("{} and {last}", first.join(", ")),
        None => "nothing".to_owned(),
    }
}
