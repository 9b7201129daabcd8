//! Follows who is to be watched: starts a link for whoever is new, ends it for whoever is gone, and has a new key up
//! before the old one goes. Who stays notices nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::binance::{self, Members};
use super::coinbase;
use super::error::Error;
use super::keeper::{Keeper, Number};
use super::kucoin;
use super::outlet::Outlet;
use super::rotating::Rotating;
use super::settings::{Account, ReadKey, Roll};
use super::sign::BinanceSigner;
use super::venues::Venues;
use crate::arrival::REMOVED;
use crate::domain::AccountId;
use crate::secret::Secret;

/// Everybody's links.
pub(super) struct Roster {
    venues: Arc<Venues>,
    outlet: Outlet,
    roll: watch::Receiver<Arc<Roll>>,
    watched: BTreeMap<AccountId, Watched>,
    connections: BTreeMap<Number, Arc<Members>>,
    /// Accounts that are moving to the connection where their new key is.
    moving: BTreeSet<AccountId>,
    subscribed: Arc<Notify>,
}

/// One account, and what its links are.
struct Watched {
    key: ReadKey,
    links: Links,
}

enum Links {
    /// Its places on shared connections, the newest last: Binance takes one subscription an account and connection,
    /// whatever the key, so a new key needs another connection.
    Binance(Vec<(Number, Arc<binance::Account>)>),
    /// A connection of its own.
    Kucoin(Number, Arc<kucoin::Private>),
    /// A connection of its own.
    Coinbase(Number, Arc<coinbase::User>),
}

impl Roster {
    /// Begins with nobody.
    pub(super) fn new(venues: Arc<Venues>, outlet: Outlet, roll: watch::Receiver<Arc<Roll>>) -> Self {
        Roster {
            venues,
            outlet,
            roll,
            watched: BTreeMap::new(),
            connections: BTreeMap::new(),
            moving: BTreeSet::new(),
            subscribed: Arc::default(),
        }
    }

    /// Follows the roll until `stop`. Ends with an error only when nobody takes what is received.
    pub(super) async fn run(mut self, stop: CancellationToken) -> Result<(), Error> {
        let (outlet, timing) = (self.outlet.clone(), self.venues.settings.timing);
        let mut keeper = Keeper::new(outlet, timing, stop.clone());
        let roll = Arc::clone(&self.roll.borrow_and_update());
        self.follow(&roll, &mut keeper).await?;
        drop(roll);
        let mut closed = false;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                changed = self.roll.changed(), if !closed => match changed {
                    Ok(()) => {
                        let roll = Arc::clone(&self.roll.borrow_and_update());
                        self.follow(&roll, &mut keeper).await?;
                    }
                    // Nobody can change it any more; who is watched now goes on.
                    Err(_) => closed = true,
                },
                () = self.subscribed.notified(), if !self.moving.is_empty() => self.move_on(&mut keeper).await?,
                tended = keeper.tend() => tended?,
            }
        }
        keeper.ended_all().await;
        Ok(())
    }

    async fn follow(&mut self, roll: &Roll, keeper: &mut Keeper) -> Result<(), Error> {
        let listed: BTreeSet<&AccountId> = roll.accounts.iter().map(|account| &account.id).collect();
        let gone: Vec<AccountId> = self.watched.keys().filter(|id| !listed.contains(id)).cloned().collect();
        let mut touched = BTreeSet::new();
        for id in gone {
            if let Some(watched) = self.watched.remove(&id) {
                self.let_go(&id, watched, keeper, &mut touched).await?;
            }
        }
        for account in in_order(&roll.accounts) {
            // An account with another exchange's key was refused where the settings were checked.
            if account.id.venue != account.key.venue() {
                continue;
            }
            match self.watched.get(&account.id).map(|watched| watched.key.same(&account.key)) {
                Some(true) => {}
                Some(false) => self.rotate(account, keeper, &mut touched),
                None => self.take_in(account, roll, keeper, &mut touched),
            }
        }
        for number in touched {
            keeper.look(number);
        }
        self.close_empty(keeper).await
    }

    fn take_in(&mut self, account: &Account, roll: &Roll, keeper: &mut Keeper, touched: &mut BTreeSet<Number>) {
        let Account { id, key, known_until } = account.clone();
        let venues = Arc::clone(&self.venues);
        let links = match &account.key {
            ReadKey::Binance { key, signer } => {
                let member = binance::Account::new(id.clone(), key.clone(), signer.clone(), known_until);
                if let Some(remembered) = roll.remembered.get(&id) {
                    member.remember(remembered);
                }
                let member = Arc::new(member);
                let number = self.place(&member, None, keeper);
                touched.insert(number);
                Links::Binance(vec![(number, member)])
            }
            ReadKey::Kucoin(signer) => {
                let private = Arc::new(kucoin::Private::new(&venues, id.clone(), signer, known_until));
                Links::Kucoin(keeper.start(Arc::clone(&private)), private)
            }
            ReadKey::Coinbase(signer) => {
                let (id, signer) = (id.clone(), Arc::new(Rotating::new(signer.clone())));
                let user = Arc::new(coinbase::User { venues, id, signer, known_until });
                Links::Coinbase(keeper.start(Arc::clone(&user)), user)
            }
        };
        self.watched.insert(id, Watched { key, links });
    }

    fn rotate(&mut self, account: &Account, keeper: &mut Keeper, touched: &mut BTreeSet<Number>) {
        let id = account.id.clone();
        let Some(mut watched) = self.watched.remove(&id) else { return };
        tracing::info!(account = %id, "its key changed; the new one comes up before the old one goes");
        match (&mut watched.links, &account.key) {
            (Links::Binance(places), ReadKey::Binance { key, signer }) => {
                self.rotate_member((key, signer), account, places, keeper, touched);
            }
            (Links::Kucoin(number, private), ReadKey::Kucoin(signer)) => {
                private.rotate(signer);
                keeper.renew(*number);
            }
            (Links::Coinbase(number, user), ReadKey::Coinbase(signer)) => {
                user.signer.set(signer.clone());
                keeper.renew(*number);
            }
            // An account's exchange is part of its name.
            (Links::Binance(_) | Links::Kucoin(..) | Links::Coinbase(..), _) => {}
        }
        watched.key = account.key.clone();
        self.watched.insert(id, watched);
    }

    fn rotate_member(
        &mut self,
        (key, signer): (&Secret, &BinanceSigner),
        account: &Account,
        places: &mut Vec<(Number, Arc<binance::Account>)>,
        keeper: &mut Keeper,
        touched: &mut BTreeSet<Number>,
    ) {
        // A key that never came up is in nobody's way; one that is up stays until a newer one is.
        let kept = places.iter().rposition(|(_, member)| member.is_subscribed());
        let mut place = 0;
        let leaving = places.extract_if(.., |_| {
            place += 1;
            kept.is_some_and(|kept| place - 1 != kept)
        });
        for (number, _) in leaving {
            self.leave(number, &account.id);
            touched.insert(number);
        }
        let Some((at, before)) = places.last() else { return };
        let (at, up) = (*at, before.is_subscribed());
        let member = Arc::new(before.rotated(key.clone(), signer.clone(), account.known_until));
        if up {
            let number = self.place(&member, Some(at), keeper);
            touched.insert(number);
            places.push((number, member));
            self.moving.insert(account.id.clone());
        } else {
            // Joining under the same name takes the place over.
            if let Some(members) = self.connections.get(&at) {
                members.join(Arc::clone(&member));
            }
            touched.insert(at);
            *places = vec![(at, member)];
        }
    }

    /// Puts a member on a connection that has room and is not `but`, on a new one where none has.
    fn place(&mut self, member: &Arc<binance::Account>, but: Option<Number>, keeper: &mut Keeper) -> Number {
        let room = self.venues.settings.binance.accounts_per_connection.clamp(1, 1_000);
        let mut others = self.connections.iter().filter(|(number, _)| Some(**number) != but);
        if let Some((number, members)) = others.find(|(_, members)| members.count() < room) {
            members.join(Arc::clone(member));
            return *number;
        }
        let members = Arc::new(Members::new(Arc::clone(&self.subscribed)));
        members.join(Arc::clone(member));
        let (venues, outlet) = (Arc::clone(&self.venues), self.outlet.clone());
        let number = keeper.start(Arc::new(binance::Accounts { venues, outlet, members: Arc::clone(&members) }));
        self.connections.insert(number, members);
        number
    }

    fn leave(&self, number: Number, id: &AccountId) {
        if let Some(members) = self.connections.get(&number) {
            members.leave(id);
        }
    }

    async fn let_go(
        &mut self,
        id: &AccountId,
        watched: Watched,
        keeper: &mut Keeper,
        touched: &mut BTreeSet<Number>,
    ) -> Result<(), Error> {
        self.moving.remove(id);
        match watched.links {
            Links::Binance(places) => {
                for (number, _) in places {
                    self.leave(number, id);
                    touched.insert(number);
                }
                Ok(())
            }
            Links::Kucoin(number, _) | Links::Coinbase(number, _) => keeper.end(number, REMOVED).await,
        }
    }

    /// Ends the old places of accounts whose new key is up.
    async fn move_on(&mut self, keeper: &mut Keeper) -> Result<(), Error> {
        let mut touched = BTreeSet::new();
        for id in std::mem::take(&mut self.moving) {
            let Some(Watched { links: Links::Binance(places), .. }) = self.watched.get_mut(&id) else { continue };
            if !places.last().is_some_and(|(_, member)| member.is_subscribed()) {
                self.moving.insert(id);
                continue;
            }
            let newest = places.pop();
            for (number, _) in std::mem::replace(places, newest.into_iter().collect()) {
                if let Some(members) = self.connections.get(&number) {
                    members.leave(&id);
                }
                touched.insert(number);
            }
        }
        for number in touched {
            keeper.look(number);
        }
        self.close_empty(keeper).await
    }

    async fn close_empty(&mut self, keeper: &mut Keeper) -> Result<(), Error> {
        let empty: Vec<Number> =
            self.connections.iter().filter(|(_, members)| members.count() == 0).map(|(number, _)| *number).collect();
        for number in empty {
            self.connections.remove(&number);
            keeper.end(number, REMOVED).await?;
        }
        Ok(())
    }
}

/// Returns the accounts in the order in which they are started: those that were watched before come first, the longest
/// blind foremost, because something may have been missed of them; then the others as they are listed.
fn in_order(accounts: &[Account]) -> Vec<&Account> {
    let mut ordered: Vec<&Account> = accounts.iter().collect();
    ordered.sort_by_key(|account| (account.known_until.is_none(), account.known_until));
    ordered
}
