//! What was seen, a sentence for each reason there is.

use rust_decimal::prelude::ToPrimitive;

use super::super::capital;
use super::super::wording::{brief, is_nought, lasting};
use super::{key, said};
use crate::domain::{Finding, Reason, Size};

/// Returns what was seen, as a sentence.
pub(in crate::alert) fn fact(finding: &Finding) -> String {
    let pair = finding.symbol.as_ref().map(ToString::to_string).unwrap_or_default();
    let verb = |bought: bool| if bought { "gekauft" } else { "verkauft" };
    let way = |up: bool| if up { "über" } else { "unter" };
    let text = match &finding.reason {
        Reason::Stands { spent, times_usual, move_percent, new_pair, buy, cap } => {
            let usual = if *times_usual >= 1.5 {
                format!(", das {}-Fache des in fünf Minuten Üblichen", brief(*times_usual))
            } else {
                String::new()
            };
            let new = if *new_pair { "; dieses Paar hat das Konto noch nie gehandelt" } else { "" };
            let (verb, way, size) = (verb(*buy), way(*buy), size(cap.as_ref()));
            let at = match brief(*move_percent) {
                percent if is_nought(&percent) => String::new(),
                percent => format!(", {percent} % {way} dem Preis der letzten Minute"),
            };
            format!("{verb}: {pair} für {spent}{at}{usual}{new}{size}")
        }
        Reason::FarFromReference { price, reference, percent, buy, cap } => {
            let (verb, way, percent, size) = (verb(*buy), way(*buy), brief(*percent), size(cap.as_ref()));
            format!("{verb}: {pair} zu {price}, {percent} % {way} seinem Preis von {reference}{size}")
        }
        Reason::LosingRoundTrips { trips, percent, seconds } => {
            let (time, percent) = (lasting(*seconds), brief(*percent));
            format!("{trips}-mal {pair} hin und her binnen {time}, jedes Mal mit {percent} % Verlust")
        }
        Reason::SoldOff { assets, seconds } => format!("{} verkauft binnen {}", assets.join(", "), lasting(*seconds)),
        Reason::OneSided { spent, orders, of_account, of_day, seconds, new_pair, buy, cap } => {
            let (verb, time, size) = (verb(*buy), lasting(*seconds), size(cap.as_ref()));
            let day = brief(*of_day);
            let account = match *of_account {
                over if over > 100.0 => "mehr, als das Konto bekanntlich hatte".to_owned(),
                part => format!("{} % des Kontos", brief(part)),
            };
            let shares = match (*of_account >= 0.1, *of_day >= 0.1) {
                (true, true) => format!(": {account}, {day} % eines Tagesumsatzes"),
                (true, false) => format!(": {account}"),
                (false, true) => format!(": {day} % eines Tagesumsatzes"),
                (false, false) => String::new(),
            };
            let new = if *new_pair { "; dieses Paar hat das Konto kaum je gehandelt" } else { "" };
            format!("{verb}: {pair} für {spent} in {orders} Aufträgen binnen {time}{shares}{new}{size}")
        }
        Reason::NewAddress { ip, prefix, network, country, hosting, new, concurrent } => {
            let network = network.as_ref().map(|name| format!(", betrieben von {name}")).unwrap_or_default();
            let country = country.as_ref().map(|name| format!(", Land {name}")).unwrap_or_default();
            let rented = if *hosting { ", wo Rechner vermietet werden" } else { "" };
            let also = if *concurrent { "; gleichzeitig war eine bekannte Adresse in Gebrauch" } else { "" };
            let new = match new.as_str() {
                "country" => "aus einem neuen Land",
                "network" => "aus einem neuen Netz",
                "prefix" => "aus einem neuen Adressbereich",
                _ => "von einer neuen Adresse",
            };
            format!("benutzt von {ip} ({prefix}{network}{country}{rented}), {new}{also}")
        }
        Reason::SharedAddress { ip, network, count, seconds, moved } => {
            let network = network.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
            let time = lasting(*seconds);
            let moved = if *moved { "; alle kamen von einem Ort, wie wenn eine Plattform umzieht" } else { "" };
            format!(
                "{count} Konten werden binnen {time} erstmals von {ip}{network} aus benutzt, dieses darunter{moved}"
            )
        }
        Reason::OthersUsedFrom { tag, count, ip } => format!(
            "{count} Konten mit der Marke {tag} werden neuerdings von {ip} aus benutzt; dieses Konto trägt die Marke auch \
             und wird es noch nicht"
        ),
        Reason::StrangeOrder { what, familiar_orders } => match what.as_str() {
            "not_ours" => format!("ein Auftrag in {pair}, den das Protokoll Ihrer eigenen Systeme nicht kennt"),
            "source" => {
                format!("ein Auftrag in {pair} von einer Stelle, von der keiner der {familiar_orders} früheren kam")
            }
            _ => format!("ein Auftrag in {pair}, anders benannt als alle {familiar_orders} früheren"),
        },
        Reason::Together { count, seconds, sold, tag, .. } => {
            let verb = if *sold { "verkaufen" } else { "kaufen" };
            let what = if pair.is_empty() { "mehrere ihrer Bestände" } else { &pair };
            let tag = tag.as_ref().map(|tag| format!("; die meisten tragen die Marke {tag}")).unwrap_or_default();
            format!("{count} Konten {verb} neuerdings {what} binnen {} s, dieses darunter{tag}", brief(*seconds))
        }
        Reason::OthersHit { tag, count, symbol } => {
            let what = symbol.as_ref().map_or("ihre Bestände verkauft".to_owned(), |pair| format!("{pair} gehandelt"));
            format!(
                "{count} Konten mit der Marke {tag} haben binnen Minuten {what}, wie mit gestohlenen Schlüsseln; dieses \
                 Konto trägt die Marke auch"
            )
        }
        Reason::NotVerified { since, until, recovered, why } => {
            let until = until.map_or("jetzt".to_owned(), |until| until.to_string());
            let why = said(why);
            format!("blind von {since} bis {until} ({why}); {recovered} Ausführungen nachgeholt, nicht bestätigt")
        }
        // The user's own words.
        Reason::User { why, .. } => why.to_string(),
        Reason::KeyWidened { .. }
        | Reason::KeyUnrestricted { .. }
        | Reason::KeyAppeared { .. }
        | Reason::KeyRemade { .. }
        | Reason::KeyReplaced { .. }
        | Reason::KeyBeyond { .. } => key::fact(&finding.reason, finding.at).unwrap_or_default(),
    };
    format!("{}.", capital(&text))
}

/// `; Marktwert rund 2.1 Mio. $, Rang 1400`.
fn size(cap: Option<&Size>) -> String {
    let Some(Size { usd, rank }) = cap else { return String::new() };
    let usd = usd.trunc().to_u64().unwrap_or(u64::MAX);
    let tenth = |unit: u64| format!("{}.{}", usd / unit, usd % unit * 10 / unit);
    let money = match usd {
        0..1_000 => usd.to_string(),
        1_000..1_000_000 => format!("{} Tsd.", usd / 1_000),
        1_000_000..1_000_000_000 => format!("{} Mio.", tenth(1_000_000)),
        _ => format!("{} Mrd.", tenth(1_000_000_000)),
    };
    let rank = rank.map(|rank| format!(", Rang {rank}")).unwrap_or_default();
    format!("; Marktwert des Coins rund {money} ${rank}")
}
