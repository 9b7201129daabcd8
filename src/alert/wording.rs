//! What people are told: first what deviates and the money, then one step, then what happens otherwise.

use rust_decimal::prelude::ToPrimitive;

use super::{Language, capital, german, hidden_by, key};
use crate::domain::{Finding, Incident, Kind, Level, Message, Money, Reason, Size, Story, Transition};
use crate::engine::STAGED;

/// Returns the message about an incident as it stands.
pub fn message(incident: &Incident, transition: Transition, language: Language) -> Message {
    let mut by_weight: Vec<&Finding> = incident.findings.iter().collect();
    by_weight.sort_by(|a, b| b.level.cmp(&a.level).then(b.score.total_cmp(&a.score)));
    let fact = match language {
        Language::English => fact,
        Language::German => german::fact,
    };
    let mut facts: Vec<String> = by_weight.iter().take(6).map(|finding| fact(finding)).collect();
    if by_weight.iter().any(|finding| finding.terms.iter().any(|term| term.name == "leak_mode")) {
        facts.push(match language {
            Language::English => "Leak mode is on for this key, so less evidence is enough to tell of it.".to_owned(),
            Language::German => {
                "Für diesen Schlüssel gilt der Leak-Modus: schon weniger Belege werden gemeldet.".to_owned()
            }
        });
    }
    for finding in by_weight.iter().filter(|finding| finding.terms.iter().any(|term| term.name == STAGED)).take(3) {
        let rule = finding.rule_name();
        facts.push(match language {
            Language::English => format!("The rule {rule} is staged: it is heard here and nowhere else."),
            Language::German => format!("Die Regel {rule} ist auf Probe: sie wird hier gehört und sonst nirgends."),
        });
    }
    for (name, _) in by_weight.iter().filter_map(|finding| hidden_by(finding)).take(3) {
        facts.push(match language {
            Language::English => format!("The exception {name} hid one of these."),
            Language::German => format!("Die Ausnahme {name} hat eines davon verborgen."),
        });
    }
    Message {
        incident: incident.id.clone(),
        level: incident.level,
        headline: match language {
            Language::English => headline(incident, transition),
            Language::German => german::headline(incident, transition),
        },
        facts,
        next_step: match language {
            Language::English => next_step(incident),
            Language::German => german::next_step(incident),
        },
        otherwise: match language {
            Language::English => otherwise(incident),
            Language::German => german::otherwise(incident),
        },
        link: incident.account.venue.key_page().into(),
        table: table(incident, language),
    }
}

fn headline(incident: &Incident, transition: Transition) -> String {
    let account = &incident.account;
    let pair = incident.symbol().map(|symbol| format!(" {symbol}")).unwrap_or_default();
    let what = match incident.kind() {
        Some(Kind::Pump) => format!("trades{pair} unlike its owner, in a moving market"),
        Some(Kind::Liquidation) => "is selling its holdings off".to_owned(),
        Some(Kind::PlantedAsk) => format!("trades{pair} far from its price"),
        Some(Kind::Churn) => format!("buys high and sells low in{pair}, again and again"),
        Some(Kind::Slow) => format!("trades{pair} one way in many small steps"),
        Some(Kind::Address) => "is used from a new place".to_owned(),
        Some(Kind::Origin) => format!("has an order of unknown origin in{pair}"),
        Some(Kind::Fleet) => match incident.leading().map(|finding| &finding.reason) {
            Some(Reason::OthersHit { tag, .. }) => format!("was not hit yet, but other accounts tagged {tag} were"),
            _ if pair.is_empty() => "sells its holdings together with other accounts".to_owned(),
            _ => format!("trades{pair} together with other accounts"),
        },
        Some(Kind::Key) => incident.leading().and_then(|leading| key::headline(&leading.reason)).unwrap_or_default(),
        Some(Kind::User) => match incident.leading() {
            Some(leading) => format!("trades{pair} as your rule {} describes", leading.rule_name()),
            None => format!("trades{pair} as a rule of yours describes"),
        },
        Some(Kind::Blind) | None => "could not be watched without a gap".to_owned(),
    };
    let loss = if incident.loss.is_empty() {
        String::new()
    } else {
        format!(", {} lost so far", money(&incident.loss, " and "))
    };
    let again = match transition {
        Transition::Opened => "",
        Transition::Raised | Transition::Updated | Transition::Closed => "growing: ",
    };
    format!("{again}{account} {what}{loss}")
}

pub(super) fn money(loss: &[Money], and: &str) -> String {
    loss.iter().map(ToString::to_string).collect::<Vec<_>>().join(and)
}

fn fact(finding: &Finding) -> String {
    let pair = finding.symbol.as_ref().map(ToString::to_string).unwrap_or_default();
    let text = match &finding.reason {
        Reason::Stands { spent, times_usual, move_percent, new_pair, buy, cap } => {
            let (verb, way) = if *buy { ("bought", "above") } else { ("sold", "below") };
            let usual = if *times_usual >= 1.5 {
                format!(", with {} times the usual five-minute amount", brief(*times_usual))
            } else {
                String::new()
            };
            let new = if *new_pair { ", a pair this account had not traded" } else { "" };
            let size = size(cap.as_ref());
            // A usual price is no news; what stands out then is the amount.
            let at = match brief(*move_percent) {
                percent if is_nought(&percent) => String::new(),
                percent => format!(" at {percent} % {way} the last minute's price"),
            };
            format!("{verb} {pair} for {spent}{at}{usual}{new}{size}")
        }
        Reason::FarFromReference { price, reference, percent, buy, cap } => {
            let (verb, way) = if *buy { ("bought", "above") } else { ("sold", "below") };
            let size = size(cap.as_ref());
            format!("{verb} {pair} at {price}, {} % {way} its price of {reference}{size}", brief(*percent))
        }
        Reason::LosingRoundTrips { trips, percent, seconds } => {
            format!("{trips} round trips in {pair} within {}, each losing {} %", lasting(*seconds), brief(*percent))
        }
        Reason::SoldOff { assets, seconds } => {
            format!("sold {} within {}", assets.join(", "), lasting(*seconds))
        }
        Reason::OneSided { spent, orders, of_account, of_day, seconds, new_pair, buy, cap } => {
            let verb = if *buy { "bought" } else { "sold" };
            let time = lasting(*seconds);
            let new = if *new_pair { ", a pair this account had hardly traded" } else { "" };
            let size = size(cap.as_ref());
            let account = match *of_account {
                // What came in meanwhile, or from what was sold a moment ago, is not in any balance that was told.
                over if over > 100.0 => "more than the account was known to hold".to_owned(),
                part => format!("{} % of the account", brief(part)),
            };
            let shares = match (*of_account >= 0.1, *of_day >= 0.1) {
                (true, true) => format!(": {account}, {} % of a day", brief(*of_day)),
                (true, false) => format!(": {account}"),
                (false, true) => format!(": {} % of a day", brief(*of_day)),
                (false, false) => String::new(),
            };
            format!("{verb} {pair} for {spent} in {orders} orders within {time}{shares}{new}{size}")
        }
        Reason::NewAddress { ip, prefix, network, country, hosting, new, concurrent } => {
            let network = network.as_ref().map(|name| format!(", operated by {name}")).unwrap_or_default();
            let country = country.as_ref().map(|name| format!(", in {name}")).unwrap_or_default();
            let rented = if *hosting { ", where machines are rented" } else { "" };
            let also = if *concurrent { ", while a familiar address was in use" } else { "" };
            format!("used from {ip} ({prefix}{network}{country}{rented}), a new {new}{also}")
        }
        Reason::SharedAddress { ip, network, count, seconds, moved } => {
            let network = network.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
            let time = lasting(*seconds);
            let moved = if *moved { "; all came from one place, as when a platform moves" } else { "" };
            format!("{count} accounts are newly used from {ip}{network} within {time}, this one among them{moved}")
        }
        Reason::OthersUsedFrom { tag, count, ip } => {
            format!(
                "{count} accounts tagged {tag} are newly used from {ip}; this account has the tag too, and is not yet"
            )
        }
        Reason::StrangeOrder { what, familiar_orders } => match what.as_str() {
            "not_ours" => format!("an order in {pair} that your own systems' log does not name"),
            "source" => {
                format!("an order in {pair} from a place that none of {familiar_orders} earlier orders came from")
            }
            _ => format!("an order in {pair} named unlike any of {familiar_orders} earlier orders"),
        },
        Reason::Together { count, seconds, sold, tag, .. } => {
            let verb = if *sold { "sell" } else { "buy" };
            let what = if pair.is_empty() { "two or more holdings each" } else { &pair };
            let tag = tag.as_ref().map(|tag| format!("; most of them are tagged {tag}")).unwrap_or_default();
            format!("{count} accounts newly {verb} {what} within {}, this one among them{tag}", lasting(*seconds))
        }
        Reason::OthersHit { tag, count, symbol } => {
            let what = symbol.as_ref().map_or("sold their holdings".to_owned(), |pair| format!("traded {pair}"));
            format!(
                "{count} accounts tagged {tag} {what} within minutes of each other, as with stolen keys; this account has \
                 the tag too"
            )
        }
        Reason::NotVerified { since, until, recovered, why } => {
            let until = until.map_or("now".to_owned(), |until| until.to_string());
            format!("blind from {since} to {until} ({why}), {recovered} fills recovered, not verified")
        }
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

fn next_step(incident: &Incident) -> String {
    if let Some(step) = incident.leading().and_then(|leading| key::next_step(leading, incident.account.venue)) {
        return step;
    }
    match (incident.story, incident.level) {
        (Story::Takeover, Level::Act | Level::Alert) => {
            format!("If this was not you: delete the API key at {} now.", incident.account.venue.title())
        }
        (Story::Takeover, Level::Notice) => "Look whether this was you.".into(),
        (Story::Blind, _) => "Look at the account's latest trades on the exchange's own page.".into(),
    }
}

fn otherwise(incident: &Incident) -> String {
    if let Some(otherwise) = incident.leading().and_then(key::otherwise) {
        return otherwise;
    }
    match incident.story {
        Story::Takeover => "Whoever holds the key can go on trading with the money in this account. \
                            Unless a response is switched on, fillguard sends nothing to the exchange."
            .into(),
        Story::Blind => "Trades in that time stay unexamined.".into(),
    }
}

fn table(incident: &Incident, language: Language) -> Vec<(String, String)> {
    let is_german = language == Language::German;
    let level = if is_german { german::level(incident.level) } else { incident.level.as_str() };
    let term = |name: &str| if is_german { german::term(name).to_owned() } else { name.to_owned() };
    let mut rows = vec![
        ("Incident".to_owned(), incident.id.to_string()),
        ("Account".to_owned(), incident.account.to_string()),
        ("Level".to_owned(), level.to_owned()),
        ("First seen".to_owned(), incident.opened.to_string()),
        ("Last seen".to_owned(), incident.last.to_string()),
    ];
    if let Some(symbol) = incident.symbol() {
        rows.push(("Pair".to_owned(), symbol.to_string()));
    }
    if !incident.loss.is_empty() {
        let and = if is_german { " und " } else { " and " };
        rows.push(("Lost so far".to_owned(), money(&incident.loss, and)));
        if let Some(rate) = per_minute(incident, and) {
            rows.push(("Lost per minute".to_owned(), rate));
        }
    }
    if let Some(leading) = incident.leading().filter(|leading| leading.score != 0.0) {
        let told = leading.terms.iter().map(|one| format!("{} {:+.1}", term(&one.name), one.nats));
        let (terms, unit) = (told.collect::<Vec<_>>().join(", "), if is_german { "Nat" } else { "nats" });
        rows.push(("Score".to_owned(), format!("{:.1} {unit}: {terms}", leading.score)));
    }
    if incident.level >= Level::Alert {
        let steps = incident.plan.iter().enumerate();
        rows.extend(steps.map(|(place, step)| (format!("Step {}", place + 1), language.say(&step.what))));
    }
    rows.into_iter().map(|(label, value)| (super::label(&label, language), value)).collect()
}

fn per_minute(incident: &Incident, and: &str) -> Option<String> {
    let minutes = rust_decimal::Decimal::from(incident.last.since(incident.opened).nanos() / 1_000_000_000)
        .checked_div(rust_decimal::Decimal::from(60))?;
    if minutes < rust_decimal::Decimal::ONE {
        return None;
    }
    let rate = |loss: &Money| {
        let amount = loss.amount().checked_div(minutes)?.round_dp(8);
        Some(Money::new(amount, loss.asset().clone()).to_string())
    };
    incident.loss.iter().map(rate).collect::<Option<Vec<_>>>().map(|rates| rates.join(and))
}

/// `; market cap about $2.1M, rank 1,400`: as much as a person needs to know how thin a coin is.
fn size(cap: Option<&Size>) -> String {
    let Some(Size { usd, rank }) = cap else { return String::new() };
    let usd = usd.trunc().to_u64().unwrap_or(u64::MAX);
    let tenth = |unit: u64| format!("{}.{}", usd / unit, usd % unit * 10 / unit);
    let money = match usd {
        0..1_000 => usd.to_string(),
        1_000..1_000_000 => format!("{}K", usd / 1_000),
        1_000_000..1_000_000_000 => format!("{}M", tenth(1_000_000)),
        _ => format!("{}B", tenth(1_000_000_000)),
    };
    let rank = rank.map(|rank| format!(", rank {}", thousands(rank))).unwrap_or_default();
    format!("; market cap about ${money}{rank}")
}

fn thousands(number: u32) -> String {
    match number {
        0..1_000 => number.to_string(),
        _ => format!("{},{:03}", thousands(number / 1_000), number % 1_000),
    }
}

/// `0.31`, `4.2`, `38`, `12000`: as many digits as a person reads.
pub(super) fn brief(number: f64) -> String {
    match number.abs() {
        n if n < 1.0 => format!("{number:.2}"),
        n if n < 10.0 => format!("{number:.1}"),
        _ => format!("{number:.0}"),
    }
}

/// Says whether a number would be read as nought.
pub(super) fn is_nought(brief: &str) -> bool {
    matches!(brief, "0.00" | "-0.00")
}

/// `9.5 s`, `3.2 min`, `14 h`: a time in the unit that a person would use.
pub(super) fn lasting(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{} s", brief(s)),
        s if s < 7_200.0 => format!("{} min", brief(s / 60.0)),
        s => format!("{} h", brief(s / 3_600.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_the_unit_a_person_would_use() {
        assert_eq!(
            [5.0, 119.0, 120.0, 3_600.0, 7_200.0, 172_800.0].map(lasting),
            ["5.0 s", "119 s", "2.0 min", "60 min", "2.0 h", "48 h"]
        );
    }

    #[test]
    fn a_size_is_told_in_a_persons_figures() {
        let told = |usd: u64, rank| size(Some(&Size { usd: usd.into(), rank }));
        assert_eq!(told(2_149_000, Some(1_400)), "; market cap about $2.1M, rank 1,400");
        assert_eq!(told(812_000, None), "; market cap about $812K");
        assert_eq!(told(2_310_000_000_000, Some(1)), "; market cap about $2310.0B, rank 1");
        assert_eq!(told(41, Some(1_234_567)), "; market cap about $41, rank 1,234,567");
        assert_eq!(size(None), "");
    }
}
