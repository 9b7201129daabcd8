//! `[rules.*]`, `[engine]`, `[incident]` and `[codec]`: what the pure middle is told.

use std::path::Path;
use std::sync::Arc;

use rust_decimal::Decimal;

use super::exception::Exceptions;
use super::rule_file;
use super::section::{Scope, Section};
use crate::domain::{Asset, RuleName, Span};
use crate::engine::address::Networks;
use crate::engine::model::Model;
use crate::engine::rules::{
    Levels, blind, churn_loss, co_trading, key_permission_widened, key_policy, key_unrestricted, liquidation, new_key,
    planted_ask, pump_buy, slow_buying, unfamiliar_address, unknown_origin,
};
use crate::{alert, codec, engine, pipeline};

const SECOND: std::time::Duration = std::time::Duration::from_secs(1);
const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);
/// The smallest part that can be asked for; none at all would divide by zero.
const LEAST_PART: f64 = 1e-6;
/// A million dollars, in units of worth.
const MOST_WORTH: f64 = 34.0;

/// Whether staged rules are promoted without a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promotion {
    /// Whether `fillguard stage promote --auto` does anything.
    pub on: bool,
    /// For how long a rule must have kept to its budget.
    pub after: std::time::Duration,
}

impl Default for Promotion {
    /// Off; 14 days.
    fn default() -> Self {
        Promotion { on: false, after: 14 * DAY }
    }
}

/// Reads what decides over verdicts.
pub(super) fn pipeline(root: &mut Section<'_>, networks: Networks, file: &Path) -> (pipeline::Settings, Promotion) {
    let (engine, mut exceptions, promotion) = rules(root);
    exceptions.read(root, file);
    let exceptions = exceptions.all;
    let mut section = root.section("incident");
    let usual = alert::Settings::default();
    let quiet = section.time("quiet", duration(usual.quiet), SECOND..=30 * DAY);
    let retell = section.number("retell", usual.retell, Decimal::new(11, 1)..=Decimal::from(1_000));
    let exception = section.time("exception", duration(usual.exception), std::time::Duration::ZERO..=30 * DAY);
    section.close();
    let mut section = root.section("codec");
    let quotes = section.list("quotes", |text| match Asset::new(text) {
        Ok(asset) => Ok(asset.as_str().into()),
        Err(_) => Err("must be an asset's name, as in \"USD\"".to_owned()),
    });
    section.close();
    let settings = pipeline::Settings {
        codec: codec::Settings { quotes },
        engine,
        networks,
        alert: alert::Settings { quiet: quiet.into(), retell, exception: exception.into(), exceptions, ..usual },
    };
    (settings, promotion)
}

fn rules(root: &mut Section<'_>) -> (engine::Settings, Exceptions, Promotion) {
    let mut rules = root.section("rules");
    let mut settings = engine::Settings { model: market_model(root), ..engine::Settings::default() };
    for name in RuleName::ALL.iter().filter(|name| **name != RuleName::User) {
        let mut section = rules.section(name.as_str());
        shipped(&mut settings, *name, &mut section);
        section.close();
    }
    let usual = Promotion::default();
    let on = rules.flag("promote", usual.on);
    let promotion = Promotion { on, after: rules.time("promote_after", usual.after, DAY..=365 * DAY) };
    let folder = rules.path_to("dir", None);
    let exceptions = match folder {
        Some(folder) => rule_file::read(&rules, &folder, &mut settings),
        None => Exceptions::new(Vec::new()),
    };
    rules.close();
    if settings.off.contains(&RuleName::Blind) && root.gather.scope != Scope::Middle {
        root.gather.warn("rule blind is off: nobody will be told that an account cannot be seen".to_owned());
    }
    // `blind` tells that nothing can be seen, never what is seen.
    let mut finders = RuleName::ALL.iter().filter(|name| !matches!(name, RuleName::Blind | RuleName::User));
    let none = finders.all(|name| settings.off.contains(name)) && settings.user.rules.is_empty();
    if none && root.gather.scope != Scope::Middle {
        root.gather
            .warn("every rule that could find a theft is off: accounts are watched, and no theft is told".to_owned());
    }
    (settings, exceptions, promotion)
}

/// Reads what a table says of a shipped rule; what it does not say stays.
pub(super) fn shipped(settings: &mut engine::Settings, name: RuleName, section: &mut Section<'_>) {
    let on = section.flag("enabled", !settings.off.contains(&name));
    settings.off.retain(|off| *off != name);
    if !on {
        settings.off.push(name);
    }
    match name {
        RuleName::PumpBuy => {
            settings.pump_buy = pump_buy::Settings {
                levels: levels(section, settings.pump_buy.levels),
                smallest_act: section.worth("smallest_act", settings.pump_buy.smallest_act, 0.0..=MOST_WORTH),
                small_cap: section.float("small_cap", settings.pump_buy.small_cap, 0.0..=1.0),
            };
        }
        RuleName::PlantedAsk => {
            settings.planted_ask = {
                let usual = settings.planted_ask;
                planted_ask::Settings {
                    levels: levels(section, usual.levels),
                    far: section.part("far", usual.far, LEAST_PART..=100.0),
                    far_when_young: section.part("far_when_young", usual.far_when_young, LEAST_PART..=100.0),
                    share: section.part("share", usual.share, LEAST_PART..=1.0),
                    least_loss: section.worth("least_loss", usual.least_loss, 0.0..=MOST_WORTH),
                }
            };
        }
        RuleName::ChurnLoss => {
            settings.churn_loss = {
                let usual = settings.churn_loss;
                churn_loss::Settings {
                    levels: levels(section, usual.levels),
                    turns: section.float("turns", usual.turns, 1.0..=1_000.0),
                    part: section.part("part", usual.part, LEAST_PART..=1.0),
                    share: section.part("share", usual.share, LEAST_PART..=1.0),
                    least_loss: section.worth("least_loss", usual.least_loss, 0.0..=MOST_WORTH),
                }
            };
        }
        RuleName::Liquidation => {
            settings.liquidation = {
                let usual = settings.liquidation;
                liquidation::Settings {
                    levels: levels(section, usual.levels),
                    holdings: section.count("holdings", usual.holdings as u64, 1..=1_000) as usize,
                    share: section.part("share", usual.share, LEAST_PART..=1.0),
                    sessions: section.count("sessions", u64::from(usual.sessions), 0..=100_000) as u32,
                }
            };
        }
        RuleName::SlowBuying => {
            settings.slow_buying = {
                let usual = settings.slow_buying;
                slow_buying::Settings {
                    levels: two_levels(section, usual.levels),
                    orders: section.float("orders", usual.orders, 2.0..=10_000.0),
                    share: section.part("share", usual.share, LEAST_PART..=1.0),
                    least: section.worth("least", usual.least, 0.0..=MOST_WORTH),
                    thin: section.worth("thin", usual.thin, 0.0..=100.0 * MOST_WORTH),
                }
            };
        }
        RuleName::UnfamiliarAddress => {
            settings.unfamiliar_address =
                unfamiliar_address::Settings { levels: two_levels(section, settings.unfamiliar_address.levels) };
        }
        RuleName::UnknownOrigin => {
            settings.unknown_origin =
                unknown_origin::Settings { levels: two_levels(section, settings.unknown_origin.levels) };
        }
        RuleName::Blind => {
            settings.blind = blind::Settings {
                verify_within: section
                    .time("verify_within", duration(settings.blind.verify_within), SECOND..=DAY)
                    .into(),
                down_alert: section.time("down_alert", duration(settings.blind.down_alert), SECOND..=DAY).into(),
                keep_removed: settings.blind.keep_removed,
            };
        }
        RuleName::KeyPermissionWidened => {
            settings.key_permission_widened = {
                let usual = settings.key_permission_widened;
                key_permission_widened::Settings {
                    levels: two_levels(section, usual.levels),
                    again_after: section.time("again_after", duration(usual.again_after), SECOND..=30 * DAY).into(),
                }
            };
        }
        RuleName::KeyUnrestricted => {
            settings.key_unrestricted = {
                let usual = settings.key_unrestricted;
                key_unrestricted::Settings {
                    levels: two_levels(section, usual.levels),
                    again_after: section.time("again_after", duration(usual.again_after), SECOND..=30 * DAY).into(),
                }
            };
        }
        RuleName::NewKey => {
            settings.new_key = new_key::Settings { levels: two_levels(section, settings.new_key.levels) };
        }
        RuleName::KeyPolicy => {
            settings.key_policy = key_policy::Settings {
                again_after: section
                    .time("again_after", duration(settings.key_policy.again_after), SECOND..=30 * DAY)
                    .into(),
                expected: Vec::new(),
            };
        }
        RuleName::CoTrading => {
            settings.co_trading = {
                let usual = settings.co_trading.clone();
                co_trading::Settings {
                    levels: levels(section, usual.levels),
                    accounts: section.count("accounts", usual.accounts as u64, 2..=1_000) as usize,
                    thin: section.worth("thin", usual.thin, 0.0..=10_000.0),
                    copying: {
                        let said = section.has("copying");
                        let copying = section.list("copying", |tag| match tag.trim() {
                            "" => Err("an empty tag groups nothing".to_owned()),
                            tag => Ok(tag.into()),
                        });
                        // What a rule file leaves out stays.
                        if said { copying } else { usual.copying }
                    },
                    warn: section.count("warn", usual.warn as u64, 0..=100_000) as usize,
                }
            };
        }
        RuleName::User => {}
    }
}

/// Reads `[engine]`: the model that judges pairs' markets.
fn market_model(root: &mut Section<'_>) -> Arc<Model> {
    let mut section = root.section("engine");
    let mut model = Model::shipped();
    if let Some(path) = section.path_to("market_model", None) {
        match load_model(&path) {
            Ok(read) => model = Arc::new(read),
            Err(why) => section.refuse("market_model", format!("{}: {why}", path.display())),
        }
    }
    section.close();
    model
}

/// A market model larger than this is refused, in bytes.
const LARGEST_MODEL: u64 = 8 << 20;

fn load_model(path: &Path) -> Result<Model, String> {
    let unreadable = |error| format!("it cannot be read: {error}");
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > LARGEST_MODEL {
        return Err(format!("it has {size} bytes, and a market model has {LARGEST_MODEL} at most"));
    }
    Model::read(&std::fs::read_to_string(path).map_err(unreadable)?).map_err(|error| error.to_string())
}

fn levels(section: &mut Section<'_>, usual: Levels) -> Levels {
    let Levels { notice, alert, .. } = lower_levels(section, usual);
    let act = section.float("act", usual.act, 0.1..=1_000.0);
    if act < alert {
        section.refuse("act", format!("{act} is below alert ({alert}): levels grow from notice to act"));
    }
    Levels { notice, alert, act }
}

/// The levels of a rule that rests on one family of evidence.
fn two_levels(section: &mut Section<'_>, usual: Levels) -> Levels {
    section.decline("act", "this rule rests on one kind of evidence and never says act by itself; leave it out");
    lower_levels(section, usual)
}

fn lower_levels(section: &mut Section<'_>, usual: Levels) -> Levels {
    let notice = section.float("notice", usual.notice, 0.1..=1_000.0);
    let alert = section.float("alert", usual.alert, 0.1..=1_000.0);
    if alert < notice {
        section.refuse("alert", format!("{alert} is below notice ({notice}): levels grow from notice to act"));
    }
    Levels { notice, alert, act: usual.act }
}

fn duration(span: Span) -> std::time::Duration {
    std::time::Duration::from_nanos(u64::try_from(span.nanos()).unwrap_or(0))
}
