//! `[response]` and `[account.response]`: how far a response may go, and the keys that act.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::account::{Account, Api, Kept, KeyPlace, Response, Secrets, Taken, known_account};
use super::credential::{Found, secret};
use super::problem::value;
use super::section::{Scope, Section};
use crate::domain::{AccountId, Asset, Fingerprint, Money, Venue, decimal};
use crate::feed::SubAccounts;
use crate::leakcheck::Part;
use crate::response::{Holder, Keys, Master, Policy, RevokeKey, Settings, Take};

const MODES: [(&str, Response); 4] =
    [("off", Response::Off), ("dry", Response::Dry), ("confirm", Response::Confirm), ("auto", Response::Auto)];
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

/// What was read of an account's table before its name was known.
pub(super) struct Pending {
    holder: Holder,
    trade: Option<Secrets>,
    /// The line of the table that names the trade key's files.
    trade_line: usize,
    others: Vec<(Part, Found)>,
}

/// Reads what may be done about an account: a word, or a table.
pub(super) fn account(section: &mut Section<'_>, venue: Option<Venue>) -> (Policy, Pending) {
    let usual = Policy::default();
    let mut pending = Pending { holder: Holder::default(), trade: None, trade_line: 0, others: Vec::new() };
    if !section.has("response") || section.written("response").is_some() {
        let mode = section.choice("response", Some(usual.mode), &MODES).unwrap_or_default();
        if mode.acts() {
            let reason = "needs to know how: write a table [account.response] with mode, and the keys that may act";
            section.refuse("response", reason);
        }
        return (Policy { mode, ..usual }, pending);
    }
    let mut table = section.section("response");
    let mode = table.choice("mode", Some(usual.mode), &MODES).unwrap_or_default();
    let named = table.list("keys", fingerprint);
    let policy = Policy {
        mode,
        take: if named.is_empty() { Take::Trading } else { Take::Named(named.into_iter().collect()) },
        keep: BTreeSet::new(),
        delete: table.flag("delete", usual.delete),
        cancel: table.flag("cancel", usual.cancel),
        narrow_to: table.list("narrow_to", |text| match text.trim().parse::<std::net::IpAddr>() {
            Ok(address) => Ok(address.to_string().into()),
            Err(_) => Err(format!("{} is no address", value(text))),
        }),
        move_to: table.text("move_to", None).map(Into::into),
    };
    let holder = &mut pending.holder;
    holder.master = table.text("master", None);
    holder.sub_account = table.text("sub_account", None);
    holder.move_from = table.text("move_from", None);
    if let Some(name) = &holder.sub_account
        && !SubAccounts::is_name(name)
    {
        table.refuse("sub_account", format!("{} is neither an e-mail nor a name of a sub-account", value(name)));
    }
    if holder.master.is_some() != holder.sub_account.is_some() {
        let key = if holder.master.is_some() { "sub_account" } else { "master" };
        table.refuse(key, "is missing: a master account's key and the sub-account go together");
    }
    let passphrase = secret(&mut table, "sub_passphrase_file", "sub_passphrase_credential");
    let token = secret(&mut table, "token_file", "token_credential");
    for (key, found, at) in
        [("sub_passphrase_file", &passphrase, Venue::Kucoin), ("token_file", &token, Venue::Coinbase)]
    {
        if venue.is_some_and(|venue| venue != at) && !matches!(found, Found::Absent) {
            table.refuse(key, format!("is for {} alone", at.title()));
        }
    }
    if let Found::Read(secret) = &passphrase {
        holder.sub_passphrase = Some(secret.clone());
    }
    if let Found::Read(secret) = &token {
        holder.token = Some(secret.clone());
    }
    pending.others = vec![(Part::Passphrase, passphrase), (Part::Secret, token)];
    if venue != Some(Venue::Coinbase) && (policy.move_to.is_some() || holder.move_from.is_some()) {
        table.refuse("move_to", "money is moved at Coinbase only, between portfolios");
    }
    if table.has("trade") {
        let mut trade = table.section("trade");
        let version = trade.count("key_version", 3, 1..=3) as u8;
        let secrets = Secrets::read(&mut trade, true);
        if let Some(venue) = venue {
            let key = secrets.clone().join(&trade, venue, Api::Advanced, version);
            holder.trade = key.and_then(RevokeKey::of);
        }
        (pending.trade, pending.trade_line) = (Some(secrets), trade.line());
        trade.close();
    }
    let strict = table.gather.scope != Scope::Middle;
    let armed = holder.master.is_some() || table.has("trade") || !matches!(pending.others[1].1, Found::Absent);
    if mode.acts() && !armed && strict {
        table.refuse(
            "mode",
            "no key may act: name a master and sub_account, a [account.response.trade] key, or a token",
        );
    }
    table.close();
    (policy, pending)
}

/// Why the files of a key that watches are refused for one that acts.
fn watches(id: &AccountId) -> String {
    format!("is made of the files of the key that watches {id}; a key that may act has files of its own")
}

impl Pending {
    /// Refuses a key that cancels and is made of the files of the key that `watching` names.
    pub fn differs(&self, section: &Section<'_>, watching: &KeyPlace, id: &AccountId) {
        if self.trade.as_ref().is_some_and(|trade| trade.place.as_ref() == Some(watching)) {
            section.gather.refuse(self.trade_line, &section.path("response.trade"), watches(id));
        }
    }

    /// Notes the parts of the keys where somebody looks for them, and returns what may act.
    pub fn finish(self, id: &AccountId, taken: &mut Taken) -> Holder {
        if let Some(trade) = &self.trade {
            taken.keep(&format!("{id} (its key that cancels)"), trade);
        }
        if let Some(kept) = &mut taken.kept {
            for (part, found) in self.others {
                let whose = format!("{id} (its sub-account's keys)");
                match found {
                    Found::Absent => {}
                    Found::Unread => kept.push(Kept { whose, part, secret: None }),
                    Found::Read(secret) => kept.push(Kept { whose, part, secret: Some(secret) }),
                }
            }
        }
        self.holder
    }
}

/// Reads the brakes and the masters' keys; `accounts` are those there are, with what may act on each.
pub(super) fn response(
    root: &mut Section<'_>,
    accounts: Vec<(Account, Holder, Option<Fingerprint>)>,
    taken: &mut Taken,
) -> (Settings, Keys) {
    let mut section = root.section("response");
    let usual = Settings::default();
    let (gather, known) = (section.gather, accounts.iter().map(|(account, ..)| &account.id));
    let settings = Settings {
        keys_per_hour: section.count("keys_per_hour", usual.keys_per_hour.into(), 1..=10_000) as u32,
        keys_per_day: section.count("keys_per_day", usual.keys_per_day.into(), 1..=100_000) as u32,
        cool_down: section.time("cool_down", usual.cool_down, Duration::ZERO..=7 * DAY),
        protected: section.list("protected", |text| known_account(text, gather, known.clone())).into_iter().collect(),
        protected_keys: section.list("protected_keys", fingerprint).into_iter().collect(),
        dry_for: section.time("dry_for", usual.dry_for, Duration::ZERO..=90 * DAY),
        fresh: section.time("fresh", usual.fresh, 10 * SECOND..=DAY),
        wait: section.time("wait", usual.wait, 30 * SECOND..=DAY),
        second_person_above: section.list("second_person_above", money),
        breaker: section.count("breaker", usual.breaker.into(), 1..=100) as u32,
        call_timeout: section.time("call_timeout", usual.call_timeout, Duration::from_millis(50)..=30 * SECOND),
        verify_within: section.time("verify_within", usual.verify_within, Duration::from_millis(50)..=60 * SECOND),
        accounts: std::collections::BTreeMap::new(),
    };
    if settings.keys_per_hour > settings.keys_per_day {
        section.refuse("keys_per_hour", "is more than keys_per_day, which would then hold alone");
    }
    let mut keys = Keys::default();
    let mut names: BTreeSet<(Venue, String)> = BTreeSet::new();
    for mut table in section.sections("master") {
        let (venue, name, read) = master(&mut table, taken);
        if let (Some(venue), Some(name)) = (venue, name) {
            if !names.insert((venue, name.clone())) {
                table.refuse("name", format!("there is another master {name} of {}", venue.title()));
            }
            if let Some(master) = read {
                keys.masters.insert((venue, name), Arc::new(master));
            }
        }
        table.close();
    }
    for (account, holder, _) in &accounts {
        if section.gather.scope != Scope::Middle
            && let Some(reason) = unknown_master(&account.id, holder, |of| names.contains(of))
        {
            section.refuse("master", reason);
        }
    }
    section.close();
    joined(settings, keys, accounts)
}

/// Says that an account names a master that there is not.
pub(super) fn unknown_master(
    id: &AccountId,
    holder: &Holder,
    is_known: impl Fn(&(Venue, String)) -> bool,
) -> Option<String> {
    let name = holder.master.as_ref().filter(|name| !is_known(&(id.venue, (*name).clone())))?;
    let title = id.venue.title();
    Some(format!("{id} names the master {name}, and there is no [[response.master]] of {title} so called"))
}

/// Joins the brakes and the masters' keys with the accounts there are.
pub(super) fn joined(
    mut settings: Settings,
    mut keys: Keys,
    accounts: Vec<(Account, Holder, Option<Fingerprint>)>,
) -> (Settings, Keys) {
    let ours: BTreeSet<Fingerprint> = keys.masters.values().map(|master| master.key.fingerprint()).collect();
    for (account, holder, watching) in accounts {
        let mut policy = account.answer;
        policy.keep.extend(ours.iter().cloned());
        policy.keep.extend(watching);
        policy.keep.extend(holder.trade.as_ref().map(RevokeKey::fingerprint));
        settings.accounts.insert(account.id.clone(), policy);
        keys.holders.insert(account.id, holder);
    }
    (settings, keys)
}

fn master(table: &mut Section<'_>, taken: &mut Taken) -> (Option<Venue>, Option<String>, Option<Master>) {
    let venues = [("binance", Venue::Binance), ("kucoin", Venue::Kucoin)];
    let venue = table.choice("exchange", None, &venues);
    let name = table.text("name", None);
    for key in ["exchange", "name"] {
        if !table.has(key) {
            table.refuse(key, "is missing");
        }
    }
    let broker = table.flag("broker", false);
    let version = table.count("key_version", 3, 1..=3) as u8;
    let secrets = Secrets::read(table, false);
    let (Some(venue), Some(name)) = (venue, name.clone()) else { return (venue, name, None) };
    if broker && venue != Venue::Binance {
        table.refuse("broker", "a broker's calls are known of Binance alone");
    }
    taken.keep(&format!("{venue} master {name}"), &secrets);
    if let Some(id) = secrets.place.as_ref().and_then(|place| taken.watching.get(place)) {
        table.refuse_all(watches(id));
    }
    let key = secrets.join(table, venue, Api::Advanced, version).and_then(RevokeKey::of);
    (Some(venue), Some(name.clone()), key.map(|key| Master { name, key, broker }))
}

fn fingerprint(text: &str) -> Result<Fingerprint, String> {
    let hint = "is no fingerprint of a key: eight hexadecimal digits, as `fillguard doctor` shows them";
    Fingerprint::known(text.trim()).ok_or_else(|| format!("{} {hint}", value(text)))
}

fn money(text: &str) -> Result<Money, String> {
    let read = text.trim().split_once(' ').and_then(|(amount, asset)| {
        let amount = decimal(amount).ok().filter(|amount| !amount.is_sign_negative())?;
        Some(Money::new(amount, Asset::new(asset.trim()).ok()?))
    });
    read.ok_or_else(|| format!("{} is no amount: write it with its asset, as in \"50000 USDT\"", value(text)))
}
