//! Events become findings: a memory of pairs and accounts, and rules that judge orders against it.
//!
//! Pure: what it knows came as an event or a setting, and the same events give the same findings.

pub mod account;
pub mod address;
pub mod caps;
pub mod claims;
pub mod cold;
pub mod cost;
pub mod decay;
pub mod expression;
pub mod fleet;
pub mod habit;
pub mod interest;
pub mod keys;
pub mod leak;
pub mod memory;
pub mod model;
pub mod origin;
pub mod pair;
mod places;
pub mod rules;
pub mod sights;
mod together;
pub mod why;
pub mod worth;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::{
    AccountId, Asset, BY_EXCHANGE, Balance, Event, EventKind, Family, FeedChange, FeedKind, Fill, Finding, KeyState,
    Level, Market, MarketKind, OrderChange, OrderStep, Price, Reason, RuleName, Side, Span, Symbol, Timestamp, Venue,
    Via, Wallet,
};
use address::Networks;
use keys::Change;
use memory::{Memory, Watched};
use model::Model;
use pair::{Bar, OwnOrder, Pair, Trade, float};
use rules::{
    Case, KeyCase, blind, churn_loss, co_trading, key_permission_widened, key_policy, key_unrestricted, liquidation,
    new_key, planted_ask, pump_buy, slow_buying, unfamiliar_address, unknown_origin, user,
};

/// Settings of the engine: one block a rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Joint score of market and account.
    pub pump_buy: pump_buy::Settings,
    /// Fills far from the reference.
    pub planted_ask: planted_ask::Settings,
    /// Losing round trips.
    pub churn_loss: churn_loss::Settings,
    /// Holdings sold off.
    pub liquidation: liquidation::Settings,
    /// One-sided trading in small steps.
    pub slow_buying: slow_buying::Settings,
    /// New places.
    pub unfamiliar_address: unfamiliar_address::Settings,
    /// Strange orders.
    pub unknown_origin: unknown_origin::Settings,
    /// Unverified gaps.
    pub blind: blind::Settings,
    /// Several accounts at once.
    pub co_trading: co_trading::Settings,
    /// Which accounts belong together.
    pub tags: fleet::Tags,
    /// Keys that may do more than before.
    pub key_permission_widened: key_permission_widened::Settings,
    /// Keys that may be used from more places than before.
    pub key_unrestricted: key_unrestricted::Settings,
    /// Keys that were not there before.
    pub new_key: new_key::Settings,
    /// Keys that may do more than their owners expect.
    pub key_policy: key_policy::Settings,
    /// Rules of the user's own.
    #[serde(skip_deserializing)]
    pub user: user::Settings,
    /// Shipped rules that only write to the history, with the alerts of an account a month that are put up with.
    pub staged: Vec<(RuleName, f64)>,
    /// Rules that are switched off.
    pub off: Vec<RuleName>,
    /// What judges a pair's market.
    #[serde(skip)]
    pub model: Arc<Model>,
}

/// A fill cannot have traded this much after we heard of it; a clock that says so is not followed.
const AHEAD: Span = Span::from_secs(60);
/// How long after its fill an order waits for the market feed to show it.
const WATCH: Span = Span::from_secs(5);
/// How late the market feed may show an order for it to be judged again.
const SHOWN: Span = Span::from_secs(60);
/// A fill that is told later than this is not compared with a market that has moved on.
const STALE: Span = Span::from_secs(900);
/// What coins are measured in, by how much is traded against it.
const DOLLARS: [&str; 5] = ["USDT", "USDC", "USD", "FDUSD", "BUSD"];
/// What was asked for, and traded longer than this before an account's first fill was told, is its history: learnt, not
/// judged.
const HISTORY: Span = Span::from_secs(60);
/// Their clock may be this far ahead of ours.
const SKEW: Span = Span::from_secs(2);

/// The name of the term that says that a finding was held back: 2 for an alert, 3 for an act.
pub const STAGED: &str = "staged";

impl Settings {
    /// Says whether the rule of a finding only writes to the history.
    pub fn is_staged(&self, finding: &Finding) -> bool {
        if let Reason::User { rule, .. } = &finding.reason {
            return self.user.rules.iter().any(|own| own.name == *rule && own.staged);
        }
        self.staged.iter().any(|(rule, _)| *rule == finding.rule)
    }
}

/// The engine.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    networks: Networks,
    memory: Memory,
    /// The latest time that was heard of.
    passed: Timestamp,
    /// What the user's rules could not judge since the start. Judging only reads the engine, so that what is asked of it
    /// cannot change what it knows; this one count is kept all the same.
    failures: std::sync::Mutex<user::Failures>,
}

impl Engine {
    /// Starts with an empty memory.
    pub fn new(settings: Settings, networks: Networks) -> Self {
        Engine { settings, networks, memory: Memory::default(), passed: Timestamp::EPOCH, failures: Default::default() }
    }

    /// Starts with a memory read from a snapshot.
    pub fn with_memory(settings: Settings, networks: Networks, mut memory: Memory) -> Self {
        memory.index();
        Engine { settings, networks, memory, passed: Timestamp::EPOCH, failures: Default::default() }
    }

    /// Returns an engine with the same rules that remembers nothing.
    pub fn anew(&self) -> Self {
        Engine::new(self.settings.clone(), self.networks.clone())
    }

    /// Judges by other rules from now on; what was learnt stays.
    pub fn set(&mut self, settings: Settings, networks: Networks) {
        (self.settings, self.networks) = (settings, networks);
    }

    /// Returns what the user's rules could not judge since the start, by rule.
    pub fn failures(&self) -> user::Failures {
        self.failures.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Returns how often a rule of the user's could not be judged since the start, all together.
    pub fn unjudged(&self) -> u64 {
        let failures = self.failures.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        failures.values().map(|(times, _)| times).sum()
    }

    /// Returns the memory, for a snapshot.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Judges what time alone brought up to `at`; call before the events of an arrival.
    pub fn pass(&mut self, n: u64, at: Timestamp, out: &mut Vec<Finding>) {
        self.passed = at;
        while let Some(account) = self.memory.next_due(at) {
            let settings = self.settings.blind;
            let watched = self.memory.watched_mut(account);
            if watched.sights.is_over(&settings, at) {
                self.memory.forget(account);
                continue;
            }
            out.extend(watched.sights.pass(&settings, n, at, &watched.account.id));
            watched.cold.pass(at);
            let unclaimed = watched.claims.overdue(at);
            for order_id in unclaimed {
                self.not_ours(account, &order_id, n, at, out);
            }
            self.memory.reckon(account, &settings);
        }
    }

    /// Judges one event.
    pub fn judge(&mut self, event: &Event, out: &mut Vec<Finding>) {
        let (n, at) = (event.n, event.at);
        let before = out.len();
        match &event.kind {
            EventKind::Fill(fill) => self.fill(fill, n, at, out),
            EventKind::Confirmed(confirmation) => {
                let account = self.memory.account(&confirmation.account);
                self.memory.watched_mut(account).account.correct(confirmation);
            }
            EventKind::Order(order) => self.order(order, at),
            EventKind::Balance(balance) => self.balance(balance, at),
            EventKind::Access(access) => self.access(access, n, at, out),
            EventKind::KeyState(state) => self.key_state(state, n, at, out),
            EventKind::KeyList(list) => {
                let at = at.max(self.passed);
                let account = self.memory.account(&list.account);
                self.memory.watched_mut(account).keys.listed(list, at);
            }
            EventKind::Market(market) => self.market(market, n, at, out),
            EventKind::Cap(cap) => {
                if self.memory.caps.take(cap, at) {
                    self.late_cap(&cap.asset, n, at, out);
                }
            }
            EventKind::Leaks(modes) => self.memory.leaks.take(modes),
            EventKind::Answer(answer) => {
                if let Some(account) = self.memory.find(&answer.account) {
                    self.memory.watched_mut(account).account.answer(answer);
                }
            }
            EventKind::Feed(change) => self.feed(change, n, at, out),
            EventKind::Drill(_) | EventKind::Tick => {}
        }
        self.mark_leaks(&mut out[before..], at);
        self.hold_back(&mut out[before..]);
        self.mark_prices(&mut out[before..]);
        self.mark_alarms(&out[before..]);
    }

    /// What the pair's price did stands beside what was found, for a picture.
    fn mark_prices(&self, found: &mut [Finding]) {
        for finding in found {
            let pair = finding.symbol.as_ref().and_then(|symbol| self.memory.find_pair(finding.account.venue, symbol));
            finding.prices = pair.map(|pair| self.memory.pairs[pair].prices()).unwrap_or_default();
        }
    }

    fn fill(&mut self, fill: &Fill, n: u64, at: Timestamp, out: &mut Vec<Finding>) {
        let time = fill.time.min(at + AHEAD);
        let account = self.memory.account(&fill.account);
        let pair = self.memory.pair(fill.account.venue, &fill.symbol, time);
        let unit = self.memory.worth.unit(fill.symbol.quote());
        self.memory.interest(pair, time);
        let stale = self.memory.pairs[pair].last().since(time) > STALE;
        let reference = self.memory.pairs[pair].reference().filter(|_| !stale);
        let watched = self.memory.watched_mut(account);
        let history = fill.via == Via::Rest && watched.since.get_or_insert(at).since(time) > HISTORY;
        watched.since.get_or_insert(at);
        let traded = watched.account.habit(&fill.symbol).map(|habit| habit.last);
        let taken = watched.account.take(fill, n, time, float(fill.notional) * unit, reference);
        let (client_id, source) = origin_of(fill.client_order_id.as_deref(), fill.source.as_deref());
        let seen = watched.account.sight(&fill.order_id, client_id, source, time);
        let group = watched.account.group_at_mut(taken.group);
        group.strange = seen.grammar.max(seen.source);
        group.strange_source = seen.source > seen.grammar;
        if let Some(within) = self.settings.user.looks_back() {
            let dollars = float(fill.notional) * unit * worth::DOLLARS_A_UNIT;
            watched.past.trade(&fill.order_id, &fill.symbol, fill.side, time, dollars);
            watched.past.forget(time, within);
        }
        if taken.first_of_order {
            watched.claims.sent(&fill.order_id, client_id, at);
            self.memory.reckon(account, &self.settings.blind);
        }
        let watched = self.memory.watched_mut(account);
        let group = watched.account.group_at(taken.group);
        if group.side == Side::Buy && !history {
            let share = habit::share_of_balance(&watched.account, group);
            watched.account.session.whole |= share >= habit::NEARLY_WHOLE;
        }
        let group = watched.account.group_at(taken.group);
        if group.taker && !stale {
            let own = own_order(group);
            let model = &self.settings.model;
            if let Some((score, _)) = self.memory.pairs[pair].score_of(&own, unit, |seen| model.score(seen)) {
                let nats = model.evidence(score);
                self.heat(account, taken.group, nats);
            }
            self.memory.watch(pair, account, time + WATCH);
        }
        if !history && taken.new_pair {
            let account = &mut self.memory.watched_mut(account).account;
            let group = account.group_at(taken.group);
            let odd = group.taker && (group.strange >= 2.0 || habit::dormancy(account).nats >= 1.0);
            let (order_id, last, units) = (group.order_id.clone(), group.last, float(group.notional) * unit);
            account.try_key(&order_id, last, units, odd);
        }
        if !history && !stale && !taken.late {
            self.run_on(account, pair, fill, time, taken);
        }
        if !history {
            if taken.first_of_order {
                self.chill(account, taken.group, pair, at);
                self.do_together((account, taken.group, pair), traded, (n, at), out);
            }
            let before = out.len();
            self.judge_group(account, taken.group, pair, n, at, out);
            if let Some(level) = out[before..].iter().map(|finding| finding.level).max() {
                self.memory.watched_mut(account).cold.note(&fill.order_id, level);
            }
        }
    }

    /// Takes a fill into the account's one-sided run in its pair.
    fn run_on(&mut self, account: usize, pair: usize, fill: &Fill, time: Timestamp, taken: account::Taken) {
        let quote = float(fill.notional);
        let units = quote * self.memory.worth.unit(fill.symbol.quote());
        let equity = self.memory.equity(&self.memory.watched(account).account, None);
        let market = &self.memory.pairs[pair];
        let daily = market.daily_quote(fill.side);
        // A pair that was followed for hours tells little of its day.
        let of_day = if market.young() || daily <= 0.0 { 0.0 } else { quote / daily };
        let step = account::Step {
            side: fill.side,
            time,
            taker: fill.maker != Some(true),
            first_of_order: taken.first_of_order,
            price: float(fill.price.get()),
            quote: fill.notional,
            units,
            of_account: equity.map_or(0.0, |equity| units / equity.max(units)),
            of_day,
        };
        self.memory.watched_mut(account).account.run_on(&fill.symbol, &step);
    }

    /// Notes market evidence at an own order; returns whether it is stronger than what was known.
    fn heat(&mut self, account: usize, group: usize, nats: f64) -> bool {
        let account = &mut self.memory.watched_mut(account).account;
        account.session.heat = account.session.heat.max(nats);
        let group = account.group_at_mut(group);
        let stronger = group.market == 0.0 || nats > group.market;
        if stronger {
            group.market = nats;
        }
        let (symbol, last) = (group.symbol.clone(), group.last);
        if let Some(habit) = account.habit_mut(&symbol)
            && habit.episode.began <= last
            && (habit.episode.market == 0.0 || nats > habit.episode.market)
        {
            habit.episode.market = nats;
        }
        stronger
    }

    fn judge_group(&self, account: usize, group: usize, pair: usize, n: u64, at: Timestamp, out: &mut Vec<Finding>) {
        out.extend(self.judge_against(account, group, &self.memory.pairs[pair], None, n, at));
    }

    /// Judges a group by the market in `pair`; `worth` is what its base was worth then, in units, where that is not now.
    fn judge_against(
        &self,
        account: usize,
        group: usize,
        pair: &Pair,
        worth: Option<f64>,
        n: u64,
        at: Timestamp,
    ) -> Vec<Finding> {
        let Some(case) = self.case(account, group, pair, worth, n, at) else { return Vec::new() };
        let watched = self.memory.watched(account);
        let settings = self.settings_for(&case.account.id, at);
        let on = rules::OF_ORDERS.iter().filter(|rule| !settings.off.contains(&rule.name));
        let mut found: Vec<_> = on.filter_map(|rule| (rule.judge)(&settings, &case)).collect();
        let around = (&watched.keys, &watched.past, &settings.tags);
        let mut failures = self.failures.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        found.extend(user::judge(&settings.user, &settings.pump_buy, &case, around, &mut failures));
        found
    }

    /// Puts together what is known around a group, to be judged by the market in `pair`.
    fn case<'a>(
        &'a self,
        account: usize,
        group: usize,
        pair: &'a Pair,
        worth: Option<f64>,
        n: u64,
        at: Timestamp,
    ) -> Option<Case<'a>> {
        let account = &self.memory.watched(account).account;
        let group = account.group_at(group);
        let habit = account.habit(&group.symbol)?;
        let place = self.memory.places(&account.id.name).and_then(|places| places.about_order(at));
        let unit = self.memory.worth.unit(group.symbol.quote());
        let followed = |pair: &&Pair| pair.last_price().is_some() && pair.last().since(group.last) <= STALE;
        let dollar = (group.side == Side::Sell).then(|| self.dollar_market(account.id.venue, group.symbol.quote()));
        let dollars = pair.reference().map(float).filter(|_| self.memory.worth.is_dollar(group.symbol.quote()));
        Some(Case {
            account,
            group,
            habit,
            pair: Some(pair).filter(followed),
            dollar: dollar.flatten().filter(followed),
            new_pair: account.is_new(&group.symbol, group.last),
            time: group.last,
            n,
            at,
            unit,
            equity: self.memory.equity(account, worth.map(|worth| (group.symbol.base(), worth))),
            place,
            together: self.memory.fleet.told(&account.id, &group.symbol).map(co_trading::about_order),
            cap: self.memory.caps.of(group.symbol.base(), dollars, at),
        })
    }

    /// Returns the market of an asset against a dollar; nothing for dollars.
    fn dollar_market(&self, venue: Venue, asset: &Asset) -> Option<&Pair> {
        let against = |dollar| Some(Symbol::new(asset.clone(), Asset::new(dollar).ok()?));
        let found = DOLLARS.into_iter().filter_map(against).find_map(|symbol| self.memory.find_pair(venue, &symbol));
        found.filter(|_| !self.memory.worth.is_dollar(asset)).map(|place| &self.memory.pairs[place])
    }

    /// Returns the thresholds for an account: lower ones while the platform that has its key is known to leak.
    fn settings_for(&self, account: &AccountId, at: Timestamp) -> std::borrow::Cow<'_, Settings> {
        let lowered = self.memory.leaks.lowered(account, &self.settings.tags, at);
        if lowered == 0.0 {
            return std::borrow::Cow::Borrowed(&self.settings);
        }
        let mut settings = self.settings.clone();
        for levels in [
            &mut settings.pump_buy.levels,
            &mut settings.planted_ask.levels,
            &mut settings.churn_loss.levels,
            &mut settings.liquidation.levels,
            &mut settings.slow_buying.levels,
            &mut settings.unknown_origin.levels,
            &mut settings.unfamiliar_address.levels,
        ] {
            *levels = levels.lowered(lowered);
        }
        std::borrow::Cow::Owned(settings)
    }

    fn order(&mut self, order: &OrderChange, at: Timestamp) {
        let account = self.memory.account(&order.account);
        let time = order.time.min(at + AHEAD);
        let pair = self.memory.pair(order.account.venue, &order.symbol, time);
        self.memory.interest(pair, time);
        let watched = self.memory.watched_mut(account);
        match order.step {
            OrderStep::Accepted => {
                watched.account.hear_of_order(time);
                let (client_id, source) = origin_of(order.client_order_id.as_deref(), order.source.as_deref());
                watched.account.sight(&order.order_id, client_id, source, time);
                watched.claims.sent(&order.order_id, client_id, at);
                self.memory.reckon(account, &self.settings.blind);
            }
            OrderStep::Cancelled => {
                watched.account.cancels.hear(time);
                watched.account.cancels.take(&order.order_id, time);
            }
            // It stays the order that was sent; its fills may carry another client id from now on.
            OrderStep::Amended => {
                let (client_id, source) = origin_of(order.client_order_id.as_deref(), order.source.as_deref());
                watched.account.sight(&order.order_id, client_id, source, time);
                watched.claims.amended(&order.order_id);
            }
            OrderStep::Done | OrderStep::Expired | OrderStep::Rejected | OrderStep::Other => {}
        }
    }

    fn balance(&mut self, balance: &Balance, at: Timestamp) {
        let place = self.memory.account(&balance.account);
        let account = &mut self.memory.watched_mut(place).account;
        let amount = match (balance.free, balance.locked, balance.delta) {
            (Some(free), locked, _) => free.saturating_add(locked.unwrap_or_default()),
            (None, Some(locked), _) => locked,
            (None, None, Some(delta)) => {
                let held = account.balances_in(&balance.wallet).and_then(|held| held.get(&balance.asset));
                held.map(|held| held.amount).unwrap_or_default().saturating_add(delta)
            }
            (None, None, None) => return,
        };
        let before =
            account.balances_in(&balance.wallet).and_then(|held| held.get(&balance.asset)).map(|held| held.amount);
        account.hold(
            &balance.wallet,
            &balance.asset,
            amount.max(rust_decimal::Decimal::ZERO),
            balance.time.min(at + AHEAD),
        );
        // What backs a contract is money, not a holding.
        if balance.wallet != Wallet::Futures {
            self.memory.follow_holding(place, &balance.asset, before, amount, at);
        }
    }

    fn key_state(&mut self, state: &KeyState, n: u64, at: Timestamp, out: &mut Vec<Finding>) {
        // What was last seen when counts from the latest time heard of: a clock that jumped back makes no key younger.
        let at = at.max(self.passed);
        let account = self.memory.account(&state.account);
        let Watched { account, keys, .. } = self.memory.watched_mut(account);
        let Some((changes, key)) = keys.take(state, at) else { return };
        let case = KeyCase { account: &account.id, n, at };
        let settings = &self.settings;
        let mut found = Vec::new();
        for change in &changes {
            found.extend(match change {
                // The rights of a key that just appeared are part of what is said about it.
                Change::Has(_) => None,
                Change::Gained(rights, since) => {
                    key_permission_widened::judge(&settings.key_permission_widened, &case, key, rights, *since)
                }
                Change::Opened(since) => key_unrestricted::opened(&settings.key_unrestricted, &case, key, *since),
                Change::Grew(added, since) => {
                    key_unrestricted::grew(&settings.key_unrestricted, &case, key, added, *since)
                }
                Change::NeverRestricted => key_unrestricted::never_restricted(&settings.key_unrestricted, &case, key),
                Change::Appeared(made, since) => new_key::appeared(&settings.new_key, &case, key, *made, *since),
                Change::Remade(made, before, since, certain) => {
                    new_key::remade(&settings.new_key, &case, key, (*made, *before, *since), *certain)
                }
                Change::Replaced(since) => new_key::replaced(&settings.new_key, &case, key, *since),
            });
        }
        found.extend(key_policy::judge(&settings.key_policy, &case, key, &changes));
        out.extend(found.into_iter().filter(|finding| !settings.off.contains(&finding.rule)));
    }

    fn market(&mut self, market: &Market, n: u64, at: Timestamp, out: &mut Vec<Finding>) {
        let time = match &market.kind {
            MarketKind::Trade { time, .. } | MarketKind::Volume { time, .. } | MarketKind::PastTrade { time, .. } => {
                *time
            }
            MarketKind::PastTold { until, .. } => *until,
            MarketKind::Candle { start, span, .. } => *start + *span,
        };
        let time = time.min(at + AHEAD);
        let pair = self.memory.pair(market.venue, &market.symbol, time);
        let unit = self.memory.worth.unit(market.symbol.quote());
        match &market.kind {
            MarketKind::Trade { price, quantity, taker, taker_order, .. } => {
                self.learn_worth(pair, &market.symbol, *price);
                let trade =
                    Trade { time, taker: *taker, price: *price, quantity: *quantity, order: taker_order.as_ref() };
                // A quiet pair's last order is complete only when the next one comes. Hours later its account has moved
                // on, and what it does today says nothing of that order.
                let model = &self.settings.model;
                if let Some(scored) = self.memory.pairs[pair].trade(&trade, unit, |seen| model.score(seen))
                    && time.since(scored.at()) <= SHOWN
                {
                    self.shown(pair, &scored, n, at, out);
                }
            }
            MarketKind::Volume { quote, last, .. } => {
                self.memory.pairs[pair].set_volume(float(*quote));
                self.late_volume(pair, float(*quote), n, at, out);
                self.know_turnover(market.venue, pair, n, at, out);
                if let Some(last) = last {
                    self.learn_worth(pair, &market.symbol, *last);
                }
            }
            MarketKind::Candle { start, span, high, low, close, quote, taker_buy_quote, trades, .. } => {
                // A bar that is still growing is no past yet.
                if *start + *span > at + SKEW {
                    return;
                }
                self.memory.worth.learn(&market.symbol, float(close.get()));
                let bar = Bar {
                    start: *start,
                    span: *span,
                    high: *high,
                    low: *low,
                    close: *close,
                    quote: float(*quote),
                    taker_buy_quote: taker_buy_quote.map(float),
                    trades: *trades,
                };
                let news = self.memory.pairs[pair].is_news(&bar) && at.since(*start + *span) <= SHOWN;
                if news {
                    self.closed(pair, &bar, unit, n, at, out);
                }
                if self.memory.pairs[pair].lives() && news {
                    self.memory.pairs[pair].follow(&bar);
                } else {
                    self.memory.pairs[pair].seed(&bar);
                }
                self.past_bar(pair, &bar);
            }
            MarketKind::PastTrade { price, quantity, taker, taker_order, .. } => {
                let trade =
                    Trade { time, taker: *taker, price: *price, quantity: *quantity, order: taker_order.as_ref() };
                self.past_trade(pair, &trade, unit);
            }
            MarketKind::PastTold { until, trades } => {
                if !trades && at.since(*until) <= cold::PRESENT {
                    self.memory.pairs[pair].past_is_told();
                }
                self.past_told(pair, *until, n, at, out);
                self.know_turnover(market.venue, pair, n, at, out);
            }
        }
    }

    /// One planted price must not make its victim look rich, and the loss small: an asset is worth what its pair cost a
    /// minute ago, where that is known.
    fn learn_worth(&mut self, pair: usize, symbol: &Symbol, price: Price) {
        let price = self.memory.pairs[pair].reference().unwrap_or(price.get());
        self.memory.worth.learn(symbol, float(price));
    }

    /// The market feed showed a taker order: whoever of ours it may have been is judged again with it.
    fn shown(&mut self, pair: usize, scored: &pair::Scored, n: u64, at: Timestamp, out: &mut Vec<Finding>) {
        let nats = self.settings.model.evidence(f64::from(scored.score));
        for account in self.memory.watchers(pair, scored.at()) {
            let symbol = self.memory.symbol(pair).clone();
            let groups = self.memory.watched(account).account.recent_groups(&symbol, scored.at(), WATCH);
            for group in groups {
                let taken = self.memory.watched(account).account.group_at(group);
                if taken.taker && scored.is(&own_order(taken)) && self.heat(account, group, nats) {
                    self.judge_group(account, group, pair, n, at, out);
                }
            }
        }
    }

    /// A bar closed in which no trade was seen: whoever of ours traded in it is judged again with it.
    fn closed(&mut self, pair: usize, bar: &Bar, unit: f64, n: u64, at: Timestamp, out: &mut Vec<Finding>) {
        let watchers = self.memory.watchers(pair, bar.start);
        if watchers.is_empty() {
            return;
        }
        let market = &self.memory.pairs[pair];
        let model = &self.settings.model;
        let nats = [Side::Buy, Side::Sell].map(|side| model.bar_nats(&market.bar_features(bar, side, unit)));
        let symbol = self.memory.symbol(pair).clone();
        for account in watchers {
            let groups = self.memory.watched(account).account.recent_groups(&symbol, bar.start + bar.span, bar.span);
            for group in groups {
                let taken = self.memory.watched(account).account.group_at(group);
                let inside = bar.low.get() <= taken.high && taken.low <= bar.high.get();
                let toward = match taken.side {
                    Side::Buy => nats[0],
                    Side::Sell => nats[1],
                };
                if let Some(nats) = toward
                    && taken.taker
                    && inside
                    && self.heat(account, group, nats)
                {
                    self.judge_group(account, group, pair, n, at, out);
                }
            }
        }
    }

    fn feed(&mut self, change: &FeedChange, n: u64, at: Timestamp, out: &mut Vec<Finding>) {
        let Some(id) = &change.account else {
            // Of the sources that are nobody's and no exchange's only access logs go down. While one cannot be read its
            // silence says nothing.
            if change.venue.is_none() && matches!(change.kind, FeedKind::Down(_)) {
                self.unheard();
            }
            return;
        };
        // Deadlines count from the latest time heard of: after a clock jumped back they would all be over at once.
        let at = at.max(self.passed);
        let account = self.memory.account(id);
        let watched = self.memory.watched_mut(account);
        let finding = watched.sights.take(&change.wallet, &change.kind, n, at, id);
        self.memory.reckon(account, &self.settings.blind);
        if !self.settings.off.contains(&RuleName::Blind) {
            out.extend(finding);
        }
    }

    /// No order is a stranger's for not being named in a log that cannot be read.
    fn unheard(&mut self) {
        for account in 0..self.memory.accounts() {
            let watched = self.memory.watched_mut(account);
            watched.claims.unheard();
            self.memory.reckon(account, &self.settings.blind);
        }
    }

    fn not_ours(&mut self, account: usize, order_id: &str, n: u64, at: Timestamp, out: &mut Vec<Finding>) {
        let watched = self.memory.watched_mut(account);
        let venue = watched.account.id.venue;
        let Some(group) = watched.account.find(order_id) else { return };
        let taken = watched.account.group_at_mut(group);
        taken.not_ours = true;
        let (symbol, time) = (taken.symbol.clone(), taken.last);
        let pair = self.memory.pair(venue, &symbol, time);
        let before = out.len();
        self.judge_group(account, group, pair, n, at, out);
        self.mark_alarms(&out[before..]);
    }

    /// What was judged by lower thresholds says so.
    fn mark_leaks(&self, found: &mut [Finding], at: Timestamp) {
        for finding in found.iter_mut().filter(|finding| finding.rule != RuleName::Blind) {
            let lowered = self.memory.leaks.lowered(&finding.account, &self.settings.tags, at);
            if lowered > 0.0 {
                finding.terms.push(habit::term("leak_mode", Family::Accounts, 0.0, lowered, "nats lowered"));
            }
        }
    }

    /// A rule that is staged is heard in the history only; what it would have said stands beside it.
    fn hold_back(&self, found: &mut [Finding]) {
        for finding in found.iter_mut().filter(|finding| finding.level > Level::Notice) {
            if self.settings.is_staged(finding) {
                let level = if finding.level == Level::Act { 3.0 } else { 2.0 };
                finding.terms.push(habit::term(STAGED, Family::Habit, 0.0, level, "level held back"));
                finding.level = Level::Notice;
            }
        }
    }

    /// A session that alarmed does not become a habit.
    fn mark_alarms(&mut self, found: &[Finding]) {
        for finding in found {
            if let Some(term) = finding.terms.iter().find(|term| term.name == planted_ask::DISPLACEMENT) {
                let account = self.memory.account(&finding.account);
                let session = &mut self.memory.watched_mut(account).account.session;
                session.far = session.far.max(term.value / 100.0);
            }
            // Selling everything is a habit some have, and alone it cost nothing yet.
            // What a key may do says nothing about who trades.
            let harmless = matches!(
                finding.rule,
                RuleName::Blind
                    | RuleName::Liquidation
                    | RuleName::KeyPermissionWidened
                    | RuleName::KeyUnrestricted
                    | RuleName::NewKey
                    | RuleName::KeyPolicy
                    // A rule of one's own may be chatty; it must not keep the account from being learnt.
                    | RuleName::User
            ) || matches!(finding.reason, Reason::OthersHit { .. } | Reason::OthersUsedFrom { .. });
            if finding.level >= Level::Alert && finding.rule != RuleName::Blind {
                let account = self.memory.account(&finding.account);
                self.memory.watched_mut(account).account.session.tell(finding.n, !harmless);
            }
        }
    }
}

/// Returns by what an order's sender is known. What the exchange itself sent says nothing of who uses the key.
fn origin_of<'a>(client_id: Option<&'a str>, source: Option<&'a str>) -> (Option<&'a str>, Option<&'a str>) {
    if source == Some(BY_EXCHANGE) { (None, None) } else { (client_id, source) }
}

fn own_order(group: &account::Group) -> OwnOrder {
    OwnOrder {
        side: group.side,
        time: group.last,
        quote: float(group.notional),
        levels: group.levels,
        high: float(group.high),
        low: float(group.low),
    }
}

#[cfg(test)]
mod tests;
