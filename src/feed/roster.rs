//! Follows who is to be watched: starts a link for whoever is new, ends it for whoever is gone, and has a new key up
//! before the old one goes. Who stays notices nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::binance;
use super::coinbase;
use super::error::Error;
use super::keeper::{Keeper, Number};
use super::key_state::Refused;
use super::kucoin;
use super::outlet::Outlet;
use super::relay::{Relay, Relays};
use super::rotating::Rotating;
use super::settings::{Account, ReadKey, Remembered, Roll, Wallets};
use super::sharing::Sharing;
use super::sign::BinanceSigner;
use super::venues::Venues;
use crate::arrival::REMOVED;
use crate::domain::{AccountId, Timestamp, Wallet};
use crate::secret::Secret;

/// Everybody's links.
pub(super) struct Roster {
    venues: Arc<Venues>,
    roll: watch::Receiver<Arc<Roll>>,
    keeper: Keeper,
    watched: BTreeMap<AccountId, Watched>,
    /// Spot wallets at Binance share connections.
    sharing: Sharing,
    relays: Relays,
    /// Margin wallets at Binance share connections, too.
    margins: BTreeMap<Relay, BTreeMap<(AccountId, Wallet), Arc<binance::Account>>>,
    changed: Arc<Notify>,
    outlet: Outlet,
    stop: CancellationToken,
}

/// One account, and what its links are.
struct Watched {
    key: ReadKey,
    links: Links,
}

enum Links {
    /// The wallets that are watched; futures have a connection of their own.
    Binance {
        wallets: BTreeSet<Wallet>,
        futures: Option<(Relay, Arc<binance::Account>)>,
    },
    Kucoin(Number, Arc<kucoin::Private>),
    Coinbase(Number, Arc<coinbase::User>),
    CoinbaseExchange(Relay),
}

/// What of Binance's margin wallets changes with a roll.
#[derive(Default)]
struct Margins {
    new: Vec<Arc<binance::Account>>,
    changed: BTreeSet<Relay>,
}

impl Roster {
    /// Begins with nobody; `stop` ends all.
    pub(super) fn new(
        venues: Arc<Venues>,
        outlet: Outlet,
        roll: watch::Receiver<Arc<Roll>>,
        stop: CancellationToken,
    ) -> Self {
        let changed: Arc<Notify> = Arc::default();
        Roster {
            roll,
            keeper: Keeper::new(outlet.clone(), venues.settings.timing, stop.clone(), Arc::clone(&changed)),
            watched: BTreeMap::new(),
            sharing: Sharing::new(Arc::clone(&venues), outlet.clone(), Arc::clone(&changed)),
            relays: Relays::default(),
            margins: BTreeMap::new(),
            changed,
            venues,
            outlet,
            stop,
        }
    }

    /// Follows the roll until stopped. Ends with an error only when nobody takes what is received.
    pub(super) async fn run(mut self) -> Result<(), Error> {
        let (stop, changed) = (self.stop.clone(), Arc::clone(&self.changed));
        self.follow().await?;
        let mut closed = false;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                changed = self.roll.changed(), if !closed => match changed {
                    Ok(()) => self.follow().await?,
                    // Nobody can change it any more; who is watched now goes on.
                    Err(_) => closed = true,
                },
                () = changed.notified() => {
                    self.sharing.settle(&mut self.keeper).await?;
                    self.relays.settle(&mut self.keeper);
                }
                tended = self.keeper.tend() => tended?,
            }
        }
        self.keeper.ended_all().await;
        Ok(())
    }

    async fn follow(&mut self) -> Result<(), Error> {
        let roll = Arc::clone(&self.roll.borrow_and_update());
        let listed: BTreeSet<&AccountId> = roll.accounts.iter().map(|account| &account.id).collect();
        let gone: Vec<AccountId> = self.watched.keys().filter(|id| !listed.contains(id)).cloned().collect();
        let mut margins = Margins::default();
        for id in gone {
            self.let_go(&id, &mut margins).await?;
        }
        for account in in_order(&roll.accounts) {
            // An account with another exchange's key was refused where the settings were checked.
            if account.id.venue != account.key.venue() {
                continue;
            }
            let wallets = roll.wallets.get(&account.id).cloned().unwrap_or_else(Wallets::spot);
            let remembered = roll.remembered.get(&account.id);
            match self.watched.get(&account.id) {
                Some(Watched { key, .. }) if key.same(&account.key) => {
                    self.change_wallets(account, &wallets, remembered, &mut margins).await?;
                }
                Some(Watched { links, .. }) if fits(links, &account.key) => {
                    self.rotate(account, &wallets, &mut margins);
                    self.change_wallets(account, &wallets, remembered, &mut margins).await?;
                }
                before => {
                    if before.is_some() {
                        self.let_go(&account.id, &mut margins).await?;
                    }
                    self.take_in(account, &wallets, remembered, &mut margins).await?;
                }
            }
        }
        self.share_margins(margins).await?;
        self.sharing.tell(&mut self.keeper).await
    }

    async fn take_in(
        &mut self,
        account: &Account,
        wallets: &Wallets,
        remembered: Option<&Remembered>,
        margins: &mut Margins,
    ) -> Result<(), Error> {
        let Account { id, key, known_until } = account.clone();
        let venues = Arc::clone(&self.venues);
        let links = match &key {
            ReadKey::Binance { .. } => Links::Binance { wallets: BTreeSet::new(), futures: None },
            ReadKey::Kucoin(signer) => {
                let private = Arc::new(kucoin::Private::new(&venues, id.clone(), signer, known_until));
                Links::Kucoin(self.keeper.start(Arc::clone(&private)), private)
            }
            ReadKey::Coinbase(signer) => {
                let (id, signer) = (id.clone(), Arc::new(Rotating::new(signer.clone())));
                let user = Arc::new(coinbase::User { venues, id, signer, known_until, refused: Refused::default() });
                Links::Coinbase(self.keeper.start(Arc::clone(&user)), user)
            }
            ReadKey::CoinbaseExchange(signer) => {
                let profile = coinbase::Profile::new(venues, id.clone(), signer.clone(), known_until, remembered);
                Links::CoinbaseExchange(self.relays.begin(self.keeper.start(Arc::new(profile))))
            }
        };
        self.watched.insert(id, Watched { key, links });
        self.change_wallets(account, wallets, remembered, margins).await
    }

    /// Watches those wallets of a Binance account that are wanted and no other.
    async fn change_wallets(
        &mut self,
        account: &Account,
        wanted: &Wallets,
        remembered: Option<&Remembered>,
        margins: &mut Margins,
    ) -> Result<(), Error> {
        let id = &account.id;
        let Some(Watched { key: ReadKey::Binance { key, signer }, links: Links::Binance { wallets, futures } }) =
            self.watched.get_mut(id)
        else {
            return Ok(());
        };
        for wallet in wallets.extract_if(.., |wallet| !wanted.watched.contains(wallet)) {
            match wallet {
                Wallet::Spot => self.sharing.leave(id),
                Wallet::Futures => {
                    if let Some((relay, _)) = futures.take() {
                        self.relays.end(relay, &mut self.keeper).await?;
                    }
                }
                Wallet::Margin | Wallet::Isolated(_) => forget_margin(&mut self.margins, id, &wallet, margins),
            }
        }
        for wallet in &wanted.watched {
            if !wallets.insert(wallet.clone()) {
                continue;
            }
            let until = known_until(account, wanted, wallet);
            let mut member = binance::Account::new(id.clone(), wallet.clone(), (key.clone(), signer.clone()), until);
            // The key is the account's, whatever it watches: one wallet's link asks.
            member.asks_about_key = wanted.watched.first() == Some(wallet);
            if let Some(remembered) = remembered {
                member.remember(remembered);
            }
            let member = Arc::new(member);
            match wallet {
                Wallet::Spot => self.sharing.join(member, &mut self.keeper),
                Wallet::Futures => {
                    let link = binance::Futures { venues: Arc::clone(&self.venues), account: Arc::clone(&member) };
                    *futures = Some((self.relays.begin(self.keeper.start(Arc::new(link))), member));
                }
                Wallet::Margin | Wallet::Isolated(_) => margins.new.push(member),
            }
        }
        Ok(())
    }

    fn rotate(&mut self, account: &Account, wanted: &Wallets, margins: &mut Margins) {
        let (id, venues) = (&account.id, Arc::clone(&self.venues));
        let Some(watched) = self.watched.get_mut(id) else { return };
        tracing::info!(account = %id, "its key changed; the new one comes up before the old one goes");
        watched.key = account.key.clone();
        match (&mut watched.links, &account.key) {
            (Links::Binance { futures, .. }, ReadKey::Binance { key, signer }) => {
                let key: (Secret, BinanceSigner) = (key.clone(), signer.clone());
                self.sharing.rotate(account, key.clone(), &mut self.keeper);
                if let Some((relay, before)) = futures {
                    let until = known_until(account, wanted, &Wallet::Futures);
                    *before = Arc::new(before.rotated(key.clone(), until));
                    let link = binance::Futures { venues, account: Arc::clone(before) };
                    let next = self.keeper.start(Arc::new(link));
                    self.relays.follow(*relay, next, &mut self.keeper);
                }
                for (relay, members) in &mut self.margins {
                    for ((_, wallet), member) in members.iter_mut().filter(|((whose, _), _)| whose == id) {
                        *member = Arc::new(member.rotated(key.clone(), known_until(account, wanted, wallet)));
                        margins.changed.insert(*relay);
                    }
                }
            }
            (Links::Kucoin(number, private), ReadKey::Kucoin(signer)) => {
                private.rotate(signer);
                self.keeper.renew(*number);
            }
            (Links::Coinbase(number, user), ReadKey::Coinbase(signer)) => {
                user.signer.set(signer.clone());
                self.keeper.renew(*number);
            }
            (Links::CoinbaseExchange(relay), ReadKey::CoinbaseExchange(signer)) => {
                let profile = coinbase::Profile::new(venues, id.clone(), signer.clone(), account.known_until, None);
                let next = self.keeper.start(Arc::new(profile));
                self.relays.follow(*relay, next, &mut self.keeper);
            }
            // Another interface's key was taken in anew instead.
            (Links::Binance { .. } | Links::Kucoin(..) | Links::Coinbase(..) | Links::CoinbaseExchange(_), _) => {}
        }
    }

    async fn let_go(&mut self, id: &AccountId, margins: &mut Margins) -> Result<(), Error> {
        let Some(watched) = self.watched.remove(id) else { return Ok(()) };
        match watched.links {
            Links::Binance { wallets, futures } => {
                self.sharing.leave(id);
                for wallet in &wallets {
                    forget_margin(&mut self.margins, id, wallet, margins);
                }
                match futures {
                    Some((relay, _)) => self.relays.end(relay, &mut self.keeper).await,
                    None => Ok(()),
                }
            }
            Links::Kucoin(number, _) | Links::Coinbase(number, _) => self.keeper.end(number, REMOVED).await,
            Links::CoinbaseExchange(relay) => self.relays.end(relay, &mut self.keeper).await,
        }
    }

    /// Puts new margin wallets on connections of their own; where one left or has another key, a connection with today's
    /// wallets follows, because each is subscribed once on a connection.
    async fn share_margins(&mut self, margins: Margins) -> Result<(), Error> {
        for relay in margins.changed {
            let Some(members) = self.margins.get(&relay) else { continue };
            if members.is_empty() {
                self.margins.remove(&relay);
                self.relays.end(relay, &mut self.keeper).await?;
                continue;
            }
            let accounts = Arc::new(members.values().map(Arc::clone).collect());
            let next = self.margin_link(accounts);
            self.relays.follow(relay, next, &mut self.keeper);
        }
        let room = self.venues.settings.binance.accounts_per_connection.clamp(1, 1_000);
        for part in margins.new.chunks(room) {
            let link = self.margin_link(Arc::new(part.to_vec()));
            let relay = self.relays.begin(link);
            let members = part.iter().map(|one| ((one.id.clone(), one.wallet.clone()), Arc::clone(one)));
            self.margins.insert(relay, members.collect());
        }
        Ok(())
    }

    fn margin_link(&mut self, accounts: Arc<Vec<Arc<binance::Account>>>) -> Number {
        let (venues, outlet) = (Arc::clone(&self.venues), self.outlet.clone());
        self.keeper.start(Arc::new(binance::Margins { venues, outlet, accounts }))
    }
}

fn forget_margin(
    groups: &mut BTreeMap<Relay, BTreeMap<(AccountId, Wallet), Arc<binance::Account>>>,
    id: &AccountId,
    wallet: &Wallet,
    margins: &mut Margins,
) {
    for (relay, members) in groups {
        if members.remove(&(id.clone(), wallet.clone())).is_some() {
            margins.changed.insert(*relay);
        }
    }
}

/// Says whether a key is of the kind that an account's links are made for.
fn fits(links: &Links, key: &ReadKey) -> bool {
    matches!(
        (links, key),
        (Links::Binance { .. }, ReadKey::Binance { .. })
            | (Links::Kucoin(..), ReadKey::Kucoin(_))
            | (Links::Coinbase(..), ReadKey::Coinbase(_))
            | (Links::CoinbaseExchange(_), ReadKey::CoinbaseExchange(_))
    )
}

fn known_until(account: &Account, wallets: &Wallets, wallet: &Wallet) -> Option<Timestamp> {
    if *wallet == Wallet::Spot { account.known_until } else { wallets.known_until.get(wallet).copied() }
}

/// Returns the accounts in the order in which they are started: those that were watched before come first, the longest
/// blind foremost, because something may have been missed of them; then the others as they are listed.
fn in_order(accounts: &[Account]) -> Vec<&Account> {
    let mut ordered: Vec<&Account> = accounts.iter().collect();
    ordered.sort_by_key(|account| (account.known_until.is_none(), account.known_until));
    ordered
}
