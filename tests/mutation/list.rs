//! The changes: of each rule its thresholds, its comparisons, and what it tells apart.

/// One change of one expression.
#[derive(Clone, Copy, Debug)]
pub struct Mutation {
    /// Below `src/engine`.
    pub file: &'static str,
    /// Text that stands in the file once.
    pub context: &'static str,
    /// The expression in it that is changed.
    pub find: &'static str,
    /// What it becomes.
    pub replace: &'static str,
}

/// All of them; a mutant is known by its place, counted from 1.
pub fn mutations() -> Vec<Mutation> {
    let whole = |file, find, replace| Mutation { file, context: find, find, replace };
    let part = |file, context, find, replace| Mutation { file, context, find, replace };
    vec![
        // levels and families
        whole("rules/mod.rs", "score >= self.act && families(terms) >= 2", "score >= self.act"),
        part(
            "rules/mod.rs",
            "score >= self.act && families(terms) >= 2",
            "families(terms) >= 2",
            "families(terms) >= 3",
        ),
        whole("rules/mod.rs", "score >= self.alert", "score >= self.alert + 2.0"),
        whole("rules/mod.rs", "score >= self.notice", "score >= self.notice - 2.0"),
        whole("rules/mod.rs", "(level - nats).max(floor).min(level)", "(level + nats).max(floor)"),
        // pump_buy
        whole("rules/pump_buy.rs", "market < MOVES && origin < ODD && !sold", "false"),
        whole("rules/pump_buy.rs", "unlike_owner < UNLIKE", "false"),
        whole("rules/pump_buy.rs", "all_habits < 0.0", "false"),
        whole("rules/pump_buy.rs", "account.orders < WARM && account.sessions < WARM_SESSIONS", "false"),
        whole("rules/pump_buy.rs", "market < 3.0", "false"),
        whole("rules/pump_buy.rs", "spent < settings.smallest_act", "spent < settings.smallest_act * 1e6"),
        part("rules/pump_buy.rs", "s if s >= 0.24 => 4.0", "s >= 0.24", "s >= 2.4e9"),
        whole("rules/pump_buy.rs", "young || seen <= 0.0", "false"),
        whole("rules/pump_buy.rs", "trips.part > ORDINARY_TRIP && enough", "trips.part > -1.0 && enough"),
        part("rules/pump_buy.rs", "b if b < NEAR / 2.0 =>", "b < NEAR / 2.0", "false"),
        whole("rules/pump_buy.rs", "market >= STIRS && nats > 0.0", "nats > 0.0"),
        // planted_ask
        part("rules/planted_ask.rs", "if !group.taker {\n        return None;", "!group.taker", "false"),
        whole("rules/planted_ask.rs", "far < needed || !matters", "!matters"),
        part("rules/planted_ask.rs", "if far < needed || !matters", "!matters", "false"),
        part("rules/planted_ask.rs", "share: 0.01, least_loss: 0.002", "0.01", "0.1"),
        part("rules/planted_ask.rs", "far: 0.20, far_when_young: 1.0", "0.20", "0.04"),
        part("rules/planted_ask.rs", "far_when_young: 1.0, share", "1.0", "0.1"),
        part("rules/planted_ask.rs", "else { reference / extreme }", "reference / extreme", "extreme / reference"),
        // churn_loss
        whole("rules/churn_loss.rs", "trips.turns < settings.turns", "trips.turns < 4.0 * settings.turns"),
        whole("rules/churn_loss.rs", "trips.part < settings.part", "trips.part < -1.0"),
        whole("rules/churn_loss.rs", "share >= settings.share", "share >= 20.0 * settings.share"),
        whole("rules/churn_loss.rs", "lost >= settings.least_loss", "lost >= 1e3 * settings.least_loss"),
        // liquidation
        whole(
            "rules/liquidation.rs",
            "case.group.side != Side::Sell || !case.group.taker",
            "case.group.side != Side::Sell",
        ),
        whole("rules/liquidation.rs", "sold.len() < settings.holdings", "sold.len() < settings.holdings + 2"),
        whole("rules/liquidation.rs", "share < settings.share", "false"),
        whole("rules/liquidation.rs", "account.sessions < settings.sessions", "false"),
        whole("rules/liquidation.rs", "sale.whole == Some(true)", "false"),
        // slow_buying
        part("rules/slow_buying.rs", "if !group.taker || group.symbol", "!group.taker", "false"),
        part("rules/slow_buying.rs", "if !thin || !matters || run.orders", "!thin", "false"),
        whole("rules/slow_buying.rs", "run.orders < settings.orders", "run.orders < 8.0 * settings.orders"),
        whole("rules/slow_buying.rs", "run.before < FAMILIAR * run.units", "run.before <= 0.0"),
        whole("rules/slow_buying.rs", "run.count >= 3 && part >= AVERAGES", "false"),
        part("rules/slow_buying.rs", "|| usual && origin < ODD", "origin < ODD", "false"),
        whole("rules/slow_buying.rs", "cold && score < settings.levels.alert + UNKNOWN", "false"),
        part(
            "rules/slow_buying.rs",
            "settings.levels.of(score, &terms)?.min(Level::Alert)",
            "Level::Alert",
            "Level::Notice",
        ),
        // unknown_origin
        whole("rules/unknown_origin.rs", "case.group.strange <= 0.0 && !case.group.not_ours", "false"),
        part("rules/unknown_origin.rs", ".min(Level::Alert)", "Level::Alert", "Level::Notice"),
        // keys
        part(
            "rules/key_permission_widened.rs",
            "settings.levels.of(nats, &terms)?.min(Level::Alert)",
            "Level::Alert",
            "Level::Notice",
        ),
        part("rules/key_unrestricted.rs", "(\"list_removed\", 7.0)", "7.0", "3.0"),
        part("rules/key_unrestricted.rs", "(\"addresses_added\", 6.0)", "6.0", "1.0"),
        part("rules/new_key.rs", "if certain { 6.0 } else { 4.0 }", "6.0", "4.0"),
        whole("rules/key_policy.rs", "!allow.contains(right)", "allow.contains(right)"),
        // blind
        whole("rules/blind.rs", "self.due(settings).is_none_or(|due| at < due)", "self.due(settings).is_none()"),
        whole("rules/blind.rs", "*since <= from + slack && *until + slack >= to", "true"),
        // the account's terms
        whole("habit.rs", "pauses.count >= 5 && days > 2.0", "pauses.count >= 5"),
        whole("habit.rs", "share >= WHOLE", "share >= 0.1"),
        part("habit.rs", "let nats = if sold >= 2 {", "sold >= 2", "sold >= 1"),
        part(
            "habit.rs",
            "Some((orders, 0)) => (orders.ln() - 0.2).clamp(0.0, 2.5)",
            "(orders.ln() - 0.2).clamp(0.0, 2.5)",
            "0.0",
        ),
        whole(
            "habit.rs",
            "group.taker && new_pair && units >= 10.0 * probe.units",
            "group.taker && new_pair && units >= 1e9 * probe.units",
        ),
        whole("habit.rs", "seen_before(past, spent.ln())", "0.0"),
        part("habit.rs", "market <= 0.0 || past.len() < 5", "past.len() < 5", "true"),
        whole("habit.rs", "account.far.len() < 5 || reached == 0", "true"),
        part(
            "habit.rs",
            "account.sells.len() < 3 && account.sessions >= WARM_SESSIONS => &account.buys",
            "account.sells.len() < 3",
            "false",
        ),
        part("habit.rs", "if account.sessions < WARM_SESSIONS { 0.0 }", "account.sessions < WARM_SESSIONS", "true"),
        // the account's memory
        whole(
            "account/group.rs",
            "group.order_id == fill.order_id && group.symbol == fill.symbol && group.side == fill.side",
            "false",
        ),
        whole("account/sale.rs", "Some(&sale.asset) != but", "true"),
        part(
            "account/sale.rs",
            "if sale.at <= now && now.since(sale.at) <= span",
            "now.since(sale.at) <= span",
            "true",
        ),
        part(
            "account/sale.rs",
            "quantity >= held.saturating_mul(Decimal::new(9, 1))",
            "Decimal::new(9, 1)",
            "Decimal::new(1, 2)",
        ),
        whole("account/cancels.rs", "self.ids.contains(order_id)", "false"),
        whole("account/cancels.rs", "warm && fresh && self.most >= BURST", "warm && fresh"),
        part("account/cancels.rs", "warm && fresh && self.most", "fresh", "true"),
        whole("account/probe.rs", "now.since(probe.at) <= WATCHED", "true"),
        part("account/probe.rs", "probe.order_id != order_id && probe.at", "probe.order_id != order_id", "true"),
        part("account/run.rs", "if step.taker {\n                    run.go_on(step);", "step.taker", "true"),
        whole("account/run.rs", "step.time.since(run.at) > RUN_ENDS", "false"),
        whole("account/run.rs", "money + market > room", "false"),
        whole("account/session.rs", "pause > SESSION_ENDS", "false"),
        whole(
            "account/session.rs",
            "!done.session.alarmed && !done.session.hostile && !self.alarmed.iter().any(suspected)",
            "true",
        ),
        part(
            "account/session.rs",
            "!done.session.hostile && !self.alarmed.iter().any(suspected)",
            "!self.alarmed.iter().any(suspected)",
            "true",
        ),
        whole("account/session.rs", "now.since(pair.first) < NEW_FOR", "false"),
        whole("account/session.rs", "answer.first <= last && first <= answer.last", "false"),
        part(
            "account/session.rs",
            "if past.session.hostile {\n                // Somebody",
            "past.session.hostile",
            "false",
        ),
        part(
            "account/episode.rs",
            "time.since(pair.last) > EPISODE_ENDS {",
            "time.since(pair.last) > EPISODE_ENDS",
            "false",
        ),
        whole("account/mod.rs", "self.last.since(time) > LATE", "false"),
        whole("origin.rs", "self.sessions < ENOUGH_SESSIONS", "false"),
        whole("origin.rs", "f64::from(self.novel) - sessions as f64", "f64::from(self.novel)"),
        whole("origin.rs", "self.distinct as f64 - young().count() as f64", "self.distinct as f64"),
        whole("origin.rs", "new > usize::from(self.sessions == 0)", "new > 0"),
        whole("rules/mod.rs", "habits.are_few()", "false"),
        whole("fleet/groups.rs", "!deed.doubtful", "true"),
        whole("fleet/groups.rs", "at.since(tie.calm_since) >= NEXT_DAY", "true"),
        whole("origin.rs", "cap.min(CAP_OF_FEW)", "cap"),
        whole("origin.rs", "(!self.is_beginning()).then_some(began)", "None"),
        whole("together.rs", "!habits.are_few()", "true"),
        whole("origin.rs", "age < FAMILIAR_AFTER", "false"),
        // who is judged, and once
        part("mod.rs", "fill.via == Via::Rest && watched.since", "fill.via == Via::Rest", "false"),
        whole("mod.rs", "finding.level >= Level::Alert && finding.rule != RuleName::Blind", "false"),
        part(
            "claims.rs",
            "self.orders >= ENOUGH_CLAIMS && self.claimed * 20 >= self.orders * 19",
            "self.orders >= ENOUGH_CLAIMS",
            "true",
        ),
        whole("claims.rs", "self.claimed * 20 >= self.orders * 19", "self.claimed * 20 >= self.orders * 0"),
        whole("rules/slow_buying.rs", "-HASTY * left", "0.0"),
        // co_trading
        whole("rules/co_trading.rs", "apart < least", "false"),
        whole("rules/co_trading.rs", "!scan.thin", "false"),
        whole("rules/co_trading.rs", "if lowered > 0.0 { scan.apart } else { scan.presumed }", "scan.apart"),
        part(
            "rules/co_trading.rs",
            "if lowered > 0.0 { settings.accounts.min(2) }",
            "settings.accounts.min(2)",
            "settings.accounts",
        ),
        whole("rules/co_trading.rs", "what == What::SoldOff && scan.tag.is_none() && origin.is_empty()", "false"),
        whole("rules/co_trading.rs", "told >= Level::Alert", "told >= Level::Act"),
        whole("together.rs", "time.since(before) > NEWLY", "true"),
        whole("together.rs", "!order.taker || at.since(time) > LATE", "false"),
        whole("together.rs", "known.is_none_or(|known| at.since(known) < LEARNING)", "false"),
        whole("together.rs", "before >= Some(loudest)", "false"),
        whole("together.rs", "hit >= 3", "hit >= 2"),
        whole("together.rs", "hit < 2 || most == 0", "most == 0"),
        whole("fleet/mod.rs", "ring.deeds.iter().any(|known| known.account == deed.account)", "false"),
        part(
            "fleet/mod.rs",
            "ring.turnover != Turnover::Busy && ring.deeds",
            "ring.turnover != Turnover::Busy",
            "true",
        ),
        whole("fleet/mod.rs", "first.heat.max(1.0)", "1.0"),
        whole("fleet/mod.rs", "ring.told < Some(Level::Alert)", "true"),
        whole("fleet/mod.rs", "self.warned.get(tag).is_some_and(|(_, told)| *told >= level)", "false"),
        whole("fleet/groups.rs", "self.times >= TIMES", "true"),
        whole("fleet/groups.rs", "self.pairs.count_ones() >= PAIRS", "true"),
        whole("fleet/groups.rs", "self.calm_days >= PRESUMED_DAYS", "true"),
        whole("fleet/groups.rs", "self.calm_pairs.count_ones() >= PRESUMED_PAIRS", "true"),
        part("fleet/groups.rs", "if deed.strange {", "deed.strange", "false"),
        // unfamiliar_address
        whole("rules/unfamiliar_address.rs", "seen.learning", "false"),
        whole("rules/unfamiliar_address.rs", "seen.told >= Some(level)", "false"),
        whole("rules/unfamiliar_address.rs", "visit.guests.len() < SHARED", "visit.guests.len() < SHARED - 1"),
        part("rules/unfamiliar_address.rs", "if visit.moved {", "visit.moved", "false"),
        whole("address/mod.rs", "self.uses < LEARN_USES", "false"),
        whole("address/mod.rs", "between && at.since(strange.last) <= AT_ONCE", "between"),
        whole("address/mod.rs", "at.since(self.since) <= TRIAL", "true"),
        whole("address/mod.rs", "at.since(strange.last) <= STAYS", "true"),
        whole("address/sharing.rs", "now.since(*heard) > WITHIN", "false"),
        whole("address/sharing.rs", "visits.guests.iter().any(|known| known.name == guest.name)", "false"),
    ]
}
