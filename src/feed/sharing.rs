//! Connections that many accounts share: Binance's spot wallets, up to a thousand on each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::Notify;

use super::binance::{self, Members};
use super::error::Error;
use super::keeper::{Keeper, Number};
use super::outlet::Outlet;
use super::settings::Account;
use super::sign::BinanceSigner;
use super::venues::Venues;
use crate::arrival::REMOVED;
use crate::domain::AccountId;
use crate::secret::Secret;

/// Who is on which connection.
pub(super) struct Sharing {
    venues: Arc<Venues>,
    outlet: Outlet,
    connections: BTreeMap<Number, Arc<Members>>,
    /// Where an account is, the newest place last. Binance takes one subscription an account and connection, whatever
    /// the key, so that a new key needs another connection.
    places: BTreeMap<AccountId, Vec<Place>>,
    /// Accounts that are moving to where their new key is.
    moving: BTreeSet<AccountId>,
    /// Connections whose members changed since they were told.
    touched: BTreeSet<Number>,
    subscribed: Arc<Notify>,
}

type Place = (Number, Arc<binance::Account>);

impl Sharing {
    /// Begins with nobody; `subscribed` is told whenever an account was subscribed.
    pub(super) fn new(venues: Arc<Venues>, outlet: Outlet, subscribed: Arc<Notify>) -> Self {
        Sharing {
            venues,
            outlet,
            connections: BTreeMap::new(),
            places: BTreeMap::new(),
            moving: BTreeSet::new(),
            touched: BTreeSet::new(),
            subscribed,
        }
    }

    /// Takes an account in: where there is room, else on a connection more.
    pub(super) fn join(&mut self, member: Arc<binance::Account>, keeper: &mut Keeper) {
        let number = self.place(&member, None, keeper);
        self.places.insert(member.id.clone(), vec![(number, member)]);
    }

    /// Lets an account go.
    pub(super) fn leave(&mut self, id: &AccountId) {
        self.moving.remove(id);
        for (number, _) in self.places.remove(id).unwrap_or_default() {
            self.leave_place(number, id);
        }
    }

    /// Gives an account another key, on another connection while the old one is up.
    pub(super) fn rotate(&mut self, account: &Account, key: (Secret, BinanceSigner), keeper: &mut Keeper) {
        let id = &account.id;
        let Some(mut places) = self.places.remove(id) else { return };
        // A key that never came up is in nobody's way; one that is up stays until a newer one is.
        let kept = places.iter().rposition(|(_, member)| member.is_subscribed());
        for (at, (number, _)) in places.iter().enumerate() {
            if kept.is_some_and(|kept| kept != at) {
                self.leave_place(*number, id);
            }
        }
        if let Some(kept) = kept {
            places = places.into_iter().skip(kept).take(1).collect();
        }
        if let Some((at, before)) = places.last().cloned() {
            let member = Arc::new(before.rotated(key, account.known_until));
            if before.is_subscribed() {
                let number = self.place(&member, Some(at), keeper);
                places.push((number, member));
                self.moving.insert(id.clone());
            } else {
                // Joining under the same name takes the place over.
                if let Some(members) = self.connections.get(&at) {
                    members.join(Arc::clone(&member));
                }
                self.touched.insert(at);
                places = vec![(at, member)];
            }
        }
        self.places.insert(id.clone(), places);
    }

    /// Ends the old places of accounts whose new key is up.
    pub(super) async fn settle(&mut self, keeper: &mut Keeper) -> Result<(), Error> {
        if self.moving.is_empty() {
            return Ok(());
        }
        for id in std::mem::take(&mut self.moving) {
            let Some(places) = self.places.get_mut(&id) else { continue };
            if !places.last().is_some_and(|(_, member)| member.is_subscribed()) {
                self.moving.insert(id);
                continue;
            }
            let newest = places.pop();
            for (number, _) in std::mem::replace(places, newest.into_iter().collect()) {
                self.leave_place(number, &id);
            }
        }
        self.tell(keeper).await
    }

    /// Tells connections of their changes, and ends those that nobody is on.
    pub(super) async fn tell(&mut self, keeper: &mut Keeper) -> Result<(), Error> {
        for number in std::mem::take(&mut self.touched) {
            if self.connections.get(&number).is_some_and(|members| members.count() == 0) {
                self.connections.remove(&number);
                keeper.end(number, REMOVED).await?;
            } else {
                keeper.look(number);
            }
        }
        Ok(())
    }

    /// Puts a member on a connection that has room and is not `but`, on a new one where none has.
    fn place(&mut self, member: &Arc<binance::Account>, but: Option<Number>, keeper: &mut Keeper) -> Number {
        let room = self.venues.settings.binance.accounts_per_connection.clamp(1, 1_000);
        let mut others = self.connections.iter().filter(|(number, _)| Some(**number) != but);
        if let Some((number, members)) = others.find(|(_, members)| members.count() < room) {
            members.join(Arc::clone(member));
            self.touched.insert(*number);
            return *number;
        }
        let members = Arc::new(Members::new(Arc::clone(&self.subscribed)));
        members.join(Arc::clone(member));
        let (venues, outlet) = (Arc::clone(&self.venues), self.outlet.clone());
        let number = keeper.start(Arc::new(binance::Accounts { venues, outlet, members: Arc::clone(&members) }));
        self.connections.insert(number, members);
        number
    }

    fn leave_place(&mut self, number: Number, id: &AccountId) {
        if let Some(members) = self.connections.get(&number) {
            members.leave(id);
        }
        self.touched.insert(number);
    }
}
