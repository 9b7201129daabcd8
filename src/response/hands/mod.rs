//! What reaches the exchanges: it surveys, asks and looks. Success is what was seen, never an answer.

mod binance;
mod coinbase;
mod kucoin;
mod listing;
mod own;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use compact_str::{CompactString, format_compact};

use super::Arms;
use super::keys::{Keys, RevokeKey};
use super::plan::{Deed, Survey};
use super::settings::Settings;
use super::words::Outcome;
use crate::domain::{AccountId, Venue, Wallet};
use crate::feed;
use crate::feed::limiter::Limiter;
use crate::runtime::{clock, tls};
pub use own::KeyPage;

use binance::BinanceArm;
use coinbase::CoinbaseArm;
use kucoin::KucoinArm;
use listing::Listing;
use wire::{Call, Said, Wire};

/// Tries of a request that was turned away before it was looked at.
const TRIES: u32 = 4;
/// The wait between the first two looks.
const LOOK: Duration = Duration::from_millis(150);
/// What Binance's calls about keys of sub-accounts may weigh in a minute, and at once; each weighs 3,000. Binance allows an
/// account 180,000 in any minute, so both together stay below that. Three keys, of about nine calls each, go at once.
const PURSE: (u32, u32) = (90_000, 84_000);
const _: () = assert!(PURSE.0 + PURSE.1 < 180_000);

/// Where the exchanges are.
#[derive(Clone, Debug)]
pub struct Places {
    /// Binance's REST.
    pub binance: String,
    /// Binance's futures.
    pub binance_futures: String,
    /// KuCoin's REST.
    pub kucoin: String,
    /// KuCoin's futures.
    pub kucoin_futures: String,
    /// Coinbase's REST.
    pub coinbase: String,
    /// Where Coinbase withdraws the authorisation of applications.
    pub coinbase_login: String,
    /// A PEM file of certificates to trust besides the machine's own.
    pub extra_ca: Option<std::path::PathBuf>,
}

/// What carries steps out; tests have another than the daemon.
pub trait Hands: Send + Sync + 'static {
    /// Finds out what can be done about an account now.
    fn survey(&self, account: &AccountId) -> impl Future<Output = Survey> + Send;
    /// Carries a step out, and looks what became of it.
    fn perform(&self, account: &AccountId, deed: &Deed) -> impl Future<Output = Outcome> + Send;
    /// Looks what became of a step that may have been asked for; asks for nothing.
    fn look(&self, account: &AccountId, deed: &Deed) -> impl Future<Output = Outcome> + Send;
    /// Returns hands that work with these keys; steps under way are not disturbed.
    fn with(&self, arms: &Arms) -> Result<Self, CompactString>
    where
        Self: Sized;
}

/// The hands at the real exchanges.
#[derive(Debug)]
pub struct Reach {
    arms: BTreeMap<AccountId, Arm>,
    places: Places,
    wires: Wires,
    /// What is left of each Binance master's allowance, which outlives a change of the configuration.
    purses: BTreeMap<String, Arc<Limiter>>,
    verify_within: Duration,
}

/// The exchanges' hosts.
#[derive(Debug)]
struct Wires {
    binance: Arc<Wire>,
    futures: Arc<Wire>,
    kucoin: Arc<Wire>,
    kucoin_futures: Arc<Wire>,
    coinbase: Arc<Wire>,
    login: Arc<Wire>,
}

/// What reaches one account.
#[derive(Debug)]
enum Arm {
    Binance(BinanceArm),
    Kucoin(KucoinArm),
    Coinbase(CoinbaseArm),
}

/// What a request for a step gave.
enum Asked {
    /// There is nothing to do, and nothing was asked for.
    Nothing,
    /// The exchange says that it did it.
    Taken,
    /// It says what is so now, and nothing else would: its answer is the look.
    Shown,
    /// The exchange says no, or it never left.
    Refused(CompactString),
    /// It was turned away before it was looked at.
    Later(Duration),
    /// Nobody can say.
    Unclear(CompactString),
}

/// Why something could not be listed.
struct Unlisted {
    why: CompactString,
    /// Whether asking again may find it out: no answer, a fault of theirs, too many requests.
    passing: bool,
}

/// What a look gave.
enum Seen {
    /// It is as it should be.
    So,
    /// It is not.
    NotSo(CompactString),
    /// It cannot be seen.
    Dark(CompactString),
    /// The exchange shows it to nobody.
    Never(CompactString),
}

impl From<CompactString> for Unlisted {
    /// What is said without an answer of the exchange may be otherwise a moment later.
    fn from(why: CompactString) -> Self {
        Unlisted { why, passing: true }
    }
}

impl From<Unlisted> for CompactString {
    fn from(unlisted: Unlisted) -> Self {
        unlisted.why
    }
}

impl Unlisted {
    /// Writes down what could not be found out.
    fn note(self, survey: &mut Survey) {
        survey.amiss.push(format_compact!("the sub-account's keys cannot be listed: {}", self.why));
        survey.again |= self.passing;
    }
}

/// Says that a key cannot be asked about: nothing left, and the look that follows tells how it stands.
fn unlisted(unlisted: Unlisted) -> Asked {
    Asked::Refused(format_compact!("the sub-account's keys cannot be listed: {}", unlisted.why))
}

/// A key that is not listed cannot be asked about; the look that follows says whether it is gone.
fn gone() -> Asked {
    Asked::Refused("the key is not among those of the sub-account".into())
}

impl Places {
    /// Takes the places the feeds were told.
    pub fn of(feed: &feed::Settings) -> Self {
        Places {
            binance: feed.binance.rest.clone(),
            binance_futures: feed.binance.futures_rest.clone(),
            kucoin: feed.kucoin.rest.clone(),
            kucoin_futures: feed.kucoin.futures_rest.clone(),
            coinbase: feed.coinbase.rest.clone(),
            coinbase_login: "https://login.coinbase.com".to_owned(),
            extra_ca: feed.extra_ca.clone(),
        }
    }
}

impl Reach {
    /// Builds the hands of all accounts that a key may act on. `wallets` are those an account uses besides spot.
    pub fn new(
        places: &Places,
        settings: &Settings,
        keys: &Keys,
        wallets: &BTreeMap<AccountId, BTreeSet<Wallet>>,
    ) -> Result<Self, CompactString> {
        Reach::spending(BTreeMap::new(), places, settings, keys, wallets)
    }

    fn spending(
        mut purses: BTreeMap<String, Arc<Limiter>>,
        places: &Places,
        settings: &Settings,
        keys: &Keys,
        wallets: &BTreeMap<AccountId, BTreeSet<Wallet>>,
    ) -> Result<Self, CompactString> {
        let tls = tls::client_config(places.extra_ca.as_deref()).map_err(|error| format_compact!("{error}"))?;
        let wire = |base: &str| Wire::new(base, &tls, settings.call_timeout).map(Arc::new);
        let (binance, futures) = (wire(&places.binance)?, wire(&places.binance_futures)?);
        let (kucoin, kucoin_futures) = (wire(&places.kucoin)?, wire(&places.kucoin_futures)?);
        let (coinbase, login) = (wire(&places.coinbase)?, wire(&places.coinbase_login)?);
        let mut arms = BTreeMap::new();
        for (id, holder) in &keys.holders {
            let master = holder.master.as_ref().and_then(|name| keys.masters.get(&(id.venue, name.clone())).cloned());
            if master.is_none() && holder.trade.is_none() && holder.token.is_none() {
                continue;
            }
            let sub = holder.sub_account.clone().unwrap_or_default();
            let arm = match id.venue {
                Venue::Binance => {
                    let purse = holder.master.as_ref().map(|name| {
                        let (minute, burst) = PURSE;
                        let purse = || Arc::new(Limiter::new(minute, Duration::from_secs(60), burst));
                        Arc::clone(purses.entry(name.clone()).or_insert_with(purse))
                    });
                    Arm::Binance(BinanceArm {
                        wire: Arc::clone(&binance),
                        futures: Arc::clone(&futures),
                        master,
                        purse,
                        sub,
                        trade: holder.trade.clone(),
                        listing: Listing::default(),
                        wallets: wallets.get(id).cloned().unwrap_or_default(),
                    })
                }
                Venue::Kucoin => Arm::Kucoin(KucoinArm {
                    wire: Arc::clone(&kucoin),
                    futures: Arc::clone(&kucoin_futures),
                    master,
                    sub,
                    passphrase: holder.sub_passphrase.clone(),
                    trade: holder.trade.clone(),
                    listing: Listing::default(),
                }),
                Venue::Coinbase => Arm::Coinbase(CoinbaseArm {
                    wire: Arc::clone(&coinbase),
                    login: Arc::clone(&login),
                    trade: holder.trade.clone(),
                    token: holder.token.clone(),
                    from: holder.move_from.clone(),
                }),
            };
            arms.insert(id.clone(), arm);
        }
        let wires = Wires { binance, futures, kucoin, kucoin_futures, coinbase, login };
        Ok(Reach { arms, places: places.clone(), wires, purses, verify_within: settings.verify_within })
    }

    /// Returns the accounts that something may be done about.
    pub fn accounts(&self) -> impl Iterator<Item = &AccountId> {
        self.arms.keys()
    }
}

impl Hands for Reach {
    async fn survey(&self, account: &AccountId) -> Survey {
        match self.arms.get(account) {
            Some(Arm::Binance(arm)) => arm.survey().await,
            Some(Arm::Kucoin(arm)) => arm.survey().await,
            Some(Arm::Coinbase(arm)) => arm.survey(),
            None => Survey::default(),
        }
    }

    async fn perform(&self, account: &AccountId, deed: &Deed) -> Outcome {
        let Some(arm) = self.arms.get(account) else {
            return Outcome::Refused("no key is configured that may do this".into());
        };
        // What is so already needs no request, and could not be told from what the request did.
        if let Seen::So = arm.before(deed).await {
            return Outcome::Already;
        }
        let deadline = clock::steady() + self.verify_within;
        let (mut tries, mut unclear) = (0, CompactString::default());
        loop {
            match arm.ask(deed).await {
                Asked::Nothing if tries == 0 => return Outcome::Already,
                Asked::Nothing | Asked::Taken => break,
                Asked::Shown => return Outcome::Done,
                Asked::Unclear(why) => {
                    unclear = format_compact!(" (the request had no clear answer: {why})");
                    break;
                }
                Asked::Refused(why) => {
                    // Somebody may have done it at the same moment, and exchanges refuse what is so already.
                    return if let Seen::So = arm.look(deed).await { Outcome::Already } else { Outcome::Refused(why) };
                }
                Asked::Later(wait) => {
                    tries += 1;
                    if tries >= TRIES || clock::steady() + wait > deadline {
                        return Outcome::Refused("the exchange asks to wait: too many requests".into());
                    }
                    tokio::time::sleep(wait).await;
                }
            }
        }
        match arm.see(deed, deadline).await {
            Outcome::NotDone(why) => Outcome::NotDone(why + &unclear),
            Outcome::Unknown(why) => Outcome::Unknown(why + &unclear),
            other @ (Outcome::Done | Outcome::Already | Outcome::Refused(_)) => other,
        }
    }

    async fn look(&self, account: &AccountId, deed: &Deed) -> Outcome {
        let Some(arm) = self.arms.get(account) else {
            return Outcome::Unknown("no key is configured that could look".into());
        };
        arm.see(deed, clock::steady() + self.verify_within).await
    }

    fn with(&self, arms: &Arms) -> Result<Self, CompactString> {
        Reach::spending(self.purses.clone(), &self.places, &arms.settings, &arms.keys, &arms.wallets)
    }
}

impl Arm {
    async fn ask(&self, deed: &Deed) -> Asked {
        match self {
            Arm::Binance(arm) => arm.ask(deed).await,
            Arm::Kucoin(arm) => arm.ask(deed).await,
            Arm::Coinbase(arm) => arm.ask(deed).await,
        }
    }

    /// Looks how a step stands before it is asked for.
    async fn before(&self, deed: &Deed) -> Seen {
        let listed = match self {
            // What is open is listed for the request itself.
            _ if matches!(deed, Deed::Cancel { .. }) => Some(Seen::NotSo("it is looked at with the request".into())),
            Arm::Binance(arm) => arm.listing.before(deed),
            Arm::Kucoin(arm) => arm.listing.before(deed),
            Arm::Coinbase(_) => None,
        };
        match listed {
            Some(seen) => seen,
            None => self.look(deed).await,
        }
    }

    async fn look(&self, deed: &Deed) -> Seen {
        match self {
            Arm::Binance(arm) => arm.look(deed).await,
            Arm::Kucoin(arm) => arm.look(deed).await,
            Arm::Coinbase(arm) => arm.look(deed).await,
        }
    }

    /// Looks until it is so, or the time is over.
    async fn see(&self, deed: &Deed, deadline: std::time::Instant) -> Outcome {
        // Ever longer waits: at Binance each look at a key costs a sixtieth of the minute's allowance.
        let mut wait = LOOK;
        loop {
            let seen = self.look(deed).await;
            match seen {
                Seen::So => return Outcome::Done,
                Seen::Never(why) => return Outcome::Unknown(why),
                Seen::NotSo(_) | Seen::Dark(_) => {}
            }
            if clock::steady() + wait >= deadline {
                return match seen {
                    Seen::So => Outcome::Done,
                    Seen::NotSo(why) => Outcome::NotDone(why),
                    Seen::Dark(why) | Seen::Never(why) => Outcome::Unknown(why),
                };
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(1));
        }
    }
}

/// Says what a step is that was asked for in parts. Those that were turned away unread are asked for again, but not beside
/// one whose fate is unclear: it might be asked for twice.
fn together(parts: impl IntoIterator<Item = Asked>) -> Asked {
    let (mut taken, mut refused, mut later, mut unclear) = (false, None, None, None);
    for part in parts {
        match part {
            Asked::Nothing => {}
            Asked::Taken | Asked::Shown => taken = true,
            Asked::Refused(why) => refused = refused.or(Some(why)),
            Asked::Later(wait) => later = later.max(Some(wait)),
            Asked::Unclear(why) => unclear = unclear.or(Some(why)),
        }
    }
    match (unclear, later, refused) {
        (Some(why), _, _) => Asked::Unclear(why),
        (None, Some(wait), _) => Asked::Later(wait),
        // "Refused" means that nothing changed.
        (None, None, Some(why)) if taken => Asked::Unclear(format_compact!("a part was refused: {why}")),
        (None, None, Some(why)) => Asked::Refused(why),
        (None, None, None) if taken => Asked::Taken,
        (None, None, None) => Asked::Nothing,
    }
}

/// The longest wait that is taken while the rest of a step stands still.
const PATIENCE: Duration = Duration::from_secs(2);

/// Sends one part of a step; where it was turned away unread it is sent again, the parts before it are not.
async fn change_part(wire: &Wire, call: impl Fn() -> Option<Call>, judge: impl Fn(u16, &str) -> Asked) -> Asked {
    let mut tries = 1;
    loop {
        match change(wire, call(), &judge).await {
            Asked::Later(wait) if tries < TRIES && wait <= PATIENCE => {
                tries += 1;
                tokio::time::sleep(wait).await;
            }
            Asked::Later(_) => return Asked::Refused("the exchange asks to wait: too many requests".into()),
            other @ (Asked::Nothing | Asked::Taken | Asked::Shown | Asked::Refused(_) | Asked::Unclear(_)) => {
                return other;
            }
        }
    }
}

/// Reads something, which may be asked for again and again: three times at most.
async fn read(wire: &Wire, call: impl Fn() -> Option<Call>) -> Result<(u16, String), CompactString> {
    let mut why = CompactString::default();
    for _ in 0..3 {
        let Some(call) = call() else { return Err("the request cannot be signed".into()) };
        match wire.say(call).await {
            Said::Answer(status, text) => return Ok((status, text)),
            Said::NotSent(words) | Said::Unclear(words) => {
                why = words;
                tokio::time::sleep(LOOK).await;
            }
            Said::Later(wait) if wait <= Duration::from_secs(2) => {
                why = "too many requests".into();
                tokio::time::sleep(wait).await;
            }
            Said::Later(_) => return Err("the exchange asks to wait: too many requests".into()),
        }
    }
    Err(why)
}

/// Sends a request that changes something, once; `judge` says what an answer means.
async fn change(wire: &Wire, call: Option<Call>, judge: impl FnOnce(u16, &str) -> Asked) -> Asked {
    let Some(call) = call else { return Asked::Refused("the request cannot be signed".into()) };
    match wire.say(call).await {
        Said::Answer(status, text) => judge(status, &text),
        Said::NotSent(why) => Asked::Refused(format_compact!("the exchange cannot be reached: {why}")),
        Said::Later(wait) => Asked::Later(wait),
        Said::Unclear(why) => Asked::Unclear(why),
    }
}
