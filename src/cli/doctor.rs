//! `fillguard doctor`: what can be done about each key, and what is wrong with it now.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Parser;
use serde::Serialize;

use super::respond::{reach, remembered, survey};
use super::{ConfigFile, FINE, FOUND, Format, MISUSE};
use crate::config::Config;
use crate::domain::{AccountId, Fingerprint, Right, Timestamp, Venue};
use crate::response::checkup::{Trouble, check, untold};
use crate::response::hands::Reach;
use crate::response::{Mode, Survey};
use crate::runtime::clock;

/// Check the keys: what they may do, what could be done about them, and what should be changed
///
/// Asks the exchanges, and changes nothing. For each account: what is seen of its key, what fillguard could do if it
/// leaked (see, narrow, strip, delete, cancel, move) and what only a person can, with the page; then what is wrong with
/// the key now, each with its risk and one thing to do.
///
/// Exit code: 0 nothing wrong, 1 something was found or could not be asked, 2 misuse.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    /// Which configuration.
    #[command(flatten)]
    config: ConfigFile,
    /// The folder with the keys that systemd hands to the service, such as /etc/fillguard/keys
    #[arg(long, value_name = "DIR")]
    credentials: Option<PathBuf>,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// What was found out about one account.
#[derive(Serialize)]
struct Found {
    account: String,
    venue: Venue,
    response: Mode,
    key: Fingerprint,
    rights: Vec<Right>,
    not_told: Vec<String>,
    can: Vec<String>,
    by_hand: Vec<String>,
    keys: Vec<crate::response::KeySeen>,
    troubles: Vec<Trouble>,
    /// What could not be asked.
    amiss: Vec<String>,
}

/// Accounts that are asked about at once.
const TOGETHER: usize = 8;

/// Checks and writes what was found to `out`; returns the exit code.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<u8> {
    let Some(config) = args.config.with_credentials(args.credentials.clone())? else { return Ok(MISUSE) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let hands = reach(&config)?;
    let memory = remembered(&config);
    // Where a watch never saw a trade, it is not known when there was one.
    let traded = |account: &AccountId| {
        let last = memory.as_ref()?.account(account)?.last;
        (last != Timestamp::EPOCH).then_some(last)
    };
    let found = runtime.block_on(async {
        let mut all = Vec::new();
        for some in config.feed.accounts.chunks(TOGETHER) {
            let asked = some.iter().map(|account| examine(&config, &hands, account, traded(&account.id)));
            all.extend(futures_util::future::join_all(asked).await);
        }
        all
    });
    match args.format {
        Format::Json => {
            serde_json::to_writer_pretty(&mut *out, &found)?;
            writeln!(out)?;
        }
        Format::Text => found.iter().try_for_each(|one| tell(one, out))?,
    }
    let wrong: usize = found.iter().map(|one| one.troubles.len() + one.amiss.len()).sum();
    if args.format == Format::Text {
        writeln!(out, "{} accounts, {wrong} things to change", found.len())?;
    }
    Ok(if wrong == 0 { FINE } else { FOUND })
}

async fn examine(config: &Config, hands: &Reach, account: &crate::feed::Account, traded: Option<Timestamp>) -> Found {
    let id = &account.id;
    let described = config.accounts.iter().find(|known| known.id == *id);
    let (survey, _) = survey(config, hands, id).await;
    let mut amiss: Vec<String> = survey.amiss.iter().map(ToString::to_string).collect();
    let (mut rights, mut troubles, mut not_told) = (Vec::new(), Vec::new(), Vec::new());
    match hands.key_page(id, &account.key).await {
        Ok(page) => {
            let key = &page.state;
            rights = key.rights.iter().filter(|(_, on)| **on).map(|(right, _)| right.clone()).collect();
            let policy = described.map(|known| known.policy.clone()).unwrap_or_default();
            let tags = described.map(|known| known.tags.clone()).unwrap_or_default();
            troubles = check(id, key, &policy, &tags, traded, clock::now());
            not_told = untold(id, key).iter().map(ToString::to_string).collect();
            amiss.extend(page.unread.iter().map(|why| format!("of its key could not be read: {why}")));
        }
        Err(why) => amiss.push(format!("what its key may do cannot be asked: {why}")),
    }
    let response = described.map(|known| known.response).unwrap_or_default();
    if response.acts() && config.response.policy(id).is_some_and(|_| survey == Survey::default()) {
        amiss.push("its response is switched on, and nothing can be done over the exchange's API".to_owned());
    }
    let (can, by_hand) = able(id, &survey);
    let key = Fingerprint::of(account.key.id());
    Found {
        account: id.to_string(),
        venue: id.venue,
        response,
        key,
        rights,
        not_told,
        can,
        by_hand,
        keys: survey.keys,
        troubles,
        amiss,
    }
}

/// Says what can be done, and what only a person can.
fn able(id: &AccountId, survey: &Survey) -> (Vec<String>, Vec<String>) {
    let (mut can, mut hand) = (Vec::new(), Vec::new());
    let page = id.venue.key_page();
    let mut sort = |yes: bool, what: &str| match yes {
        true => can.push(what.to_owned()),
        false => hand.push(format!("{what}: {page}")),
    };
    sort(!survey.keys.is_empty(), "see the keys of its sub-account");
    sort(survey.strips, "take the right to trade from a key");
    if id.venue == Venue::Binance {
        sort(survey.narrows, "restrict a key to addresses");
    }
    sort(survey.deletes, "delete a key");
    let books: Vec<&str> = survey.cancels.iter().map(|book| book.as_str()).collect();
    match books.is_empty() {
        true => sort(false, "cancel open orders"),
        false => sort(true, &format!("cancel open orders: {}", books.join(", "))),
    }
    let timers: Vec<&str> = survey.timers.iter().map(|timer| timer.book.as_str()).collect();
    match timers.is_empty() {
        false => sort(true, &format!("have orders cancelled once more later: {}", timers.join(", "))),
        true if id.venue == Venue::Kucoin => sort(false, "have orders cancelled once more later"),
        true => {}
    }
    if id.venue == Venue::Coinbase {
        sort(survey.revokes, "withdraw an application's token");
        sort(survey.moves, "move the money to another portfolio");
    }
    hand.push(format!("lock the account: {}", lock_page(id.venue)));
    (can, hand)
}

fn lock_page(venue: Venue) -> &'static str {
    match venue {
        Venue::Binance => "Security, Disable account; or the link in any of Binance's security mails",
        Venue::Kucoin => "Security, Freeze account; or the link in any of KuCoin's security mails",
        Venue::Coinbase => "Settings, Lock account; or the link in any of Coinbase's security mails",
    }
}

fn tell(one: &Found, out: &mut dyn Write) -> io::Result<()> {
    let rights: Vec<&str> = one.rights.iter().map(Right::as_str).collect();
    writeln!(out, "{}  key {}  response {}", one.account, one.key, one.response.as_str())?;
    if !rights.is_empty() {
        writeln!(out, "  may       {}", rights.join(", "))?;
    }
    for key in &one.keys {
        let label = key.label.as_deref().unwrap_or("without a name");
        let rights: Vec<&str> = key.rights.iter().map(Right::as_str).collect();
        writeln!(out, "  sub key   {} \"{label}\": {}", key.key, rights.join(", "))?;
    }
    for what in &one.can {
        writeln!(out, "  can       {what}")?;
    }
    for what in &one.by_hand {
        writeln!(out, "  by hand   {what}")?;
    }
    if !one.not_told.is_empty() {
        writeln!(out, "  not told  {}", one.not_told.join("; "))?;
    }
    for Trouble { what, says, risk, action } in &one.troubles {
        writeln!(out, "  WRONG     {what}: {says}. {risk}. {action}")?;
    }
    for what in &one.amiss {
        writeln!(out, "  WRONG     {what}")?;
    }
    writeln!(out)
}
