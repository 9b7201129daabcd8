//! `fillguard check`: is the configuration fine, and what would run with it?

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Parser, ValueEnum};
use serde_json::{Value, json};

use super::{ConfigFile, FINE, Format, MISUSE};
use crate::config::{Config, Response, a_few, schema, write_part, write_size, write_time, write_worth};
use crate::cost::{self, Cost};
use crate::domain::{AccountId, LeakMode, RuleName, Span, Wallet};
use crate::engine::rules::Levels;
use crate::feed::access::Form;
use crate::journal::{ReadError, Reader};
use crate::notify::{ChannelSettings, console, webhook};
use crate::runtime::clock;

/// Say whether a configuration is fine and what would run with it
///
/// Tells every problem at once: FILE:LINE: key: reason. Starts nothing, creates nothing and connects to nobody. Credentials
/// that only systemd hands over cannot be looked at from a shell; a warning says so.
///
/// Exit code: 0 fine, 2 something is wrong.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigFile,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Print a JSON Schema (draft 2020-12) for editors instead: of the configuration, or with `rules` of rule files
    #[arg(long, value_enum, value_name = "OF", num_args = 0..=1, default_missing_value = "config")]
    pub schema: Option<Schema>,
    /// Say what each rule costs: ns an order, findings, bytes of memory; on a short recording of our own, or on this one
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    pub cost: Option<Option<PathBuf>>,
}

/// The short recording on which costs are measured.
const RECORDING: &str = include_str!("../../replay-data/binance/pump_of_a_new_pair.ndjson");

/// What a schema is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Schema {
    /// The configuration.
    Config,
    /// The files of the rules' folder.
    Rules,
}

/// What would run, in words.
struct Summary {
    accounts: Vec<(String, Vec<String>, Response)>,
    channels: Vec<(String, String)>,
    rules: Vec<Rule>,
    kept: Vec<(&'static str, String)>,
    wallets: Vec<String>,
    watch: Vec<String>,
    access: Vec<(String, String)>,
}

/// A rule with its settings as they would be written.
struct Rule {
    name: RuleName,
    on: bool,
    values: Vec<(&'static str, String)>,
}

/// Checks the file and writes to `out` what would run, or what is wrong; returns the exit code.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<u8> {
    if let Some(schema) = args.schema {
        let schema = match schema {
            Schema::Config => schema::of_configuration(),
            Schema::Rules => schema::of_rules(),
        };
        writeln!(out, "{schema:#}")?;
        return Ok(FINE);
    }
    let config = match Config::check(&args.config.path) {
        Ok(config) => config,
        Err(problems) => {
            match args.format {
                Format::Text => writeln!(out, "{problems}")?,
                Format::Json => {
                    let mut answer = problems.to_json();
                    answer["fine"] = false.into();
                    writeln!(out, "{answer:#}")?;
                }
            }
            return Ok(MISUSE);
        }
    };
    let cost = match args.cost.as_ref().map(|file| measured(file.as_deref(), &config)).transpose() {
        Ok(cost) => cost,
        Err(error) => {
            writeln!(std::io::stderr(), "fillguard: {error}")?;
            return Ok(MISUSE);
        }
    };
    let summary = Summary::of(&config);
    match args.format {
        Format::Json => {
            let mut answer = summary.to_json(&config);
            if let Some(cost) = &cost {
                answer["cost"] = cost.to_json();
            }
            writeln!(out, "{answer:#}")?;
        }
        Format::Text => {
            writeln!(out, "{}: fine", config.file.display())?;
            write!(out, "{summary}")?;
            for rule in &config.pipeline.engine.user.rules {
                writeln!(out, "rule      {}: {} when {}", rule.name, rule.level, rule.when.text().trim())?;
            }
            let now = clock::now();
            for one in &config.pipeline.alert.exceptions {
                let until = if one.expires <= now { "OVER since" } else { "until" };
                let (name, what, account, end) = (&one.name, one.what(), &one.account, one.expires);
                writeln!(
                    out,
                    "exception {name}: {what} about {account}, {until} {end} ({}: {})",
                    one.owner, one.reason
                )?;
            }
            for mode in leak_modes(&config) {
                writeln!(out, "leak mode {}", crate::live::leaks::words(&mode))?;
            }
            if let Some(cost) = &cost {
                write!(out, "{cost}")?;
            }
            config.warnings.iter().try_for_each(|warning| writeln!(out, "warning   {warning}"))?;
        }
    }
    Ok(FINE)
}

/// Says what a channel is told of.
fn told(channel: &ChannelSettings) -> String {
    let only = channel.accounts.as_ref().map(|accounts| a_few(&accounts.iter().collect::<Vec<&AccountId>>()));
    let only = only.map_or(String::new(), |accounts| format!(", of {accounts} only"));
    format!("from {} on{only}", channel.min_level)
}

/// Returns the word by which a configuration names what a webhook's receiver understands.
fn form(form: webhook::Form) -> &'static str {
    match form {
        webhook::Form::Fillguard => "fillguard",
        webhook::Form::Slack => "slack",
        webhook::Form::Discord => "discord",
        webhook::Form::Ntfy => "ntfy",
        webhook::Form::Alertmanager => "alertmanager",
    }
}

/// Measures what the rules cost.
fn measured(file: Option<&Path>, config: &Config) -> Result<Cost, ReadError> {
    let readers = match file {
        Some(file) => {
            let files = if file.is_dir() { segments(file) } else { vec![file.to_owned()] };
            files.iter().map(|file| Reader::open(file)).collect::<Result<Vec<_>, _>>()?
        }
        None => vec![Reader::new(RECORDING.as_bytes(), "the built-in recording")?],
    };
    cost::measure(readers, &config.pipeline)
}

/// Returns the segments of a journal's directory; what is none fails where it is opened.
fn segments(folder: &Path) -> Vec<PathBuf> {
    super::verify::files(&[folder.to_owned()]).unwrap_or_else(|_| vec![folder.to_owned()])
}

impl Summary {
    fn of(config: &Config) -> Self {
        let accounts = config.accounts.iter();
        let email = config.notify.email.iter().map(|mail| {
            let to: Vec<String> = mail.to.iter().map(ToString::to_string).collect();
            let what = format!("e-mail to {} over {}:{}", to.join(", "), mail.server, mail.port);
            (mail.channel.name.clone(), format!("{what}, {}", told(&mail.channel)))
        });
        let telegram =
            config.notify.telegram.iter().map(|chat| {
                (chat.channel.name.clone(), format!("Telegram chat {}, {}", Chat(chat), told(&chat.channel)))
            });
        // Where it goes is a secret: with some services whoever knows the address may post to it.
        let webhook = config.notify.webhook.iter().map(|hook| {
            (hook.channel.name.clone(), format!("webhook of the form {}, {}", form(hook.form), told(&hook.channel)))
        });
        let console = config.notify.console.then(|| (console::NAME.to_owned(), "where the daemon runs".to_owned()));
        Summary {
            accounts: accounts.map(|one| (one.id.to_string(), one.tags.clone(), one.response)).collect(),
            channels: email.chain(telegram).chain(webhook).chain(console).collect(),
            rules: rules(config),
            kept: kept(config),
            wallets: config
                .feed
                .watched()
                .filter(|(_, wallet)| *wallet != Wallet::Spot)
                .map(|(id, wallet)| wallet.of(&id))
                .collect(),
            watch: config
                .feed
                .watch
                .iter()
                .map(|(venue, pair)| format!("{venue}/{}-{}", pair.base(), pair.quote()))
                .collect(),
            access: access(config),
        }
    }

    fn to_json(&self, config: &Config) -> Value {
        let accounts = self
            .accounts
            .iter()
            .map(|(name, tags, response)| json!({ "name": name, "tags": tags, "response": Does(*response).name() }));
        let channels = self.channels.iter().map(|(name, what)| json!({ "name": name, "what": what }));
        let rules = self.rules.iter().map(|Rule { name, on, values }| {
            let values: serde_json::Map<String, Value> =
                values.iter().map(|(key, value)| ((*key).to_owned(), value.as_str().into())).collect();
            json!({ "name": name.as_str(), "enabled": on, "settings": values })
        });
        let own = config.pipeline.engine.user.rules.iter().map(|rule| {
            json!({ "name": rule.name, "level": rule.level.as_str(), "when": rule.when.text(), "why": rule.why.text() })
        });
        let access = self.access.iter().map(|(name, what)| json!({ "name": name, "what": what }));
        let kept: serde_json::Map<String, Value> =
            self.kept.iter().map(|(key, value)| ((*key).to_owned(), value.as_str().into())).collect();
        json!({
            "fine": true,
            "leak_modes": leak_modes(config).iter().map(crate::live::leaks::words).collect::<Vec<_>>(),
            "file": config.file.to_string_lossy(),
            "accounts": accounts.collect::<Vec<_>>(),
            "channels": channels.collect::<Vec<_>>(),
            "rules": rules.collect::<Vec<_>>(),
            "exceptions": config.pipeline.alert.exceptions.iter()
                .map(|one| super::except::row(one, &[], clock::now())).collect::<Vec<_>>(),
            "own_rules": own.collect::<Vec<_>>(),
            "kept": kept,
            "wallets": self.wallets,
            "watch": self.watch,
            "access": access.collect::<Vec<_>>(),
            "warnings": config.warnings,
        })
    }
}

/// Returns the leak modes that are on; one that cannot be read is told by `leak-mode` itself.
fn leak_modes(config: &Config) -> Vec<LeakMode> {
    let mut modes = crate::live::leaks::read(&config.leak_file()).unwrap_or_default();
    modes.retain(|mode| mode.until > clock::now());
    modes
}

fn rules(config: &Config) -> Vec<Rule> {
    let rules = &config.pipeline.engine;
    let three = |levels: &Levels| {
        let [notice, alert, act] = [levels.notice, levels.alert, levels.act].map(|nats| nats.to_string());
        vec![("notice", notice), ("alert", alert), ("act", act)]
    };
    let two = |levels: &Levels| three(levels)[..2].to_vec();
    let with = |mut levels: Vec<_>, more: Vec<(&'static str, String)>| {
        levels.extend(more);
        levels
    };
    let (pump, planted, churn) = (&rules.pump_buy, &rules.planted_ask, &rules.churn_loss);
    let (sold, slow, together) = (&rules.liquidation, &rules.slow_buying, &rules.co_trading);
    let listed = vec![
        (RuleName::PumpBuy, with(three(&pump.levels), vec![("smallest_act", write_worth(pump.smallest_act))])),
        (
            RuleName::PlantedAsk,
            with(
                three(&planted.levels),
                vec![
                    ("far", write_part(planted.far)),
                    ("far_when_young", write_part(planted.far_when_young)),
                    ("share", write_part(planted.share)),
                    ("least_loss", write_worth(planted.least_loss)),
                ],
            ),
        ),
        (
            RuleName::ChurnLoss,
            with(
                three(&churn.levels),
                vec![
                    ("turns", churn.turns.to_string()),
                    ("part", write_part(churn.part)),
                    ("share", write_part(churn.share)),
                    ("least_loss", write_worth(churn.least_loss)),
                ],
            ),
        ),
        (
            RuleName::Liquidation,
            with(
                three(&sold.levels),
                vec![
                    ("holdings", sold.holdings.to_string()),
                    ("share", write_part(sold.share)),
                    ("sessions", sold.sessions.to_string()),
                ],
            ),
        ),
        (
            RuleName::SlowBuying,
            with(
                two(&slow.levels),
                vec![
                    ("orders", slow.orders.to_string()),
                    ("share", write_part(slow.share)),
                    ("least", write_worth(slow.least)),
                    ("thin", write_worth(slow.thin)),
                ],
            ),
        ),
        (RuleName::UnfamiliarAddress, two(&rules.unfamiliar_address.levels)),
        (RuleName::UnknownOrigin, two(&rules.unknown_origin.levels)),
        (
            RuleName::Blind,
            vec![("verify_within", time(rules.blind.verify_within)), ("down_alert", time(rules.blind.down_alert))],
        ),
        (
            RuleName::CoTrading,
            with(
                three(&together.levels),
                vec![
                    ("accounts", together.accounts.to_string()),
                    ("thin", write_worth(together.thin)),
                    ("copying", together.copying.join(" ")),
                    ("warn", together.warn.to_string()),
                ],
            ),
        ),
        (
            RuleName::KeyPermissionWidened,
            with(
                two(&rules.key_permission_widened.levels),
                vec![("again_after", time(rules.key_permission_widened.again_after))],
            ),
        ),
        (
            RuleName::KeyUnrestricted,
            with(two(&rules.key_unrestricted.levels), vec![("again_after", time(rules.key_unrestricted.again_after))]),
        ),
        (RuleName::NewKey, two(&rules.new_key.levels)),
        (RuleName::KeyPolicy, vec![("again_after", time(rules.key_policy.again_after))]),
    ];
    listed.into_iter().map(|(name, values)| Rule { name, on: !rules.off.contains(&name), values }).collect()
}

/// Returns where it is heard who used a key.
fn access(config: &Config) -> Vec<(String, String)> {
    let files = config.feed.access.files.iter().map(|file| {
        let names: Vec<&str> = match &file.reader.form {
            Form::Json => vec!["JSON"],
            Form::Pattern(_, pattern) => pattern.names().collect(),
        };
        (file.name.to_string(), format!("follows {} ({})", file.path.display(), names.join(" ")))
    });
    let http = config.feed.access.http.iter().map(|http| {
        let proxy = if http.behind_proxy { ", behind a proxy" } else { "" };
        (http.name.to_string(), format!("takes posts on {}{proxy}", http.listen))
    });
    let networks = &config.pipeline.networks;
    let table = networks.hash().map(|hash| {
        ("networks".to_owned(), format!("{} entries of who operates which addresses ({hash})", networks.rows()))
    });
    files.chain(http).chain(table).collect()
}

fn kept(config: &Config) -> Vec<(&'static str, String)> {
    let journal = &config.journal;
    vec![
        ("journal", journal.dir.display().to_string()),
        ("segment_bytes", write_size(journal.segment_bytes)),
        ("keep_for", journal.keep_for.map_or_else(|| "forever".to_owned(), time)),
        ("keep_bytes", journal.keep_bytes.map_or_else(|| "unlimited".to_owned(), write_size)),
        ("warn_free", journal.warn_free.map_or_else(|| "never".to_owned(), write_size)),
        ("database", config.store_file().display().to_string()),
    ]
}

fn time(span: Span) -> String {
    write_time(std::time::Duration::from_nanos(u64::try_from(span.nanos()).unwrap_or(0)))
}

/// A chat, by number or by name.
struct Chat<'a>(&'a crate::notify::telegram::TelegramSettings);

impl fmt::Display for Chat<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.chat {
            crate::notify::telegram::Chat::Number(number) => write!(f, "{number}"),
            crate::notify::telegram::Chat::Name(name) => f.write_str(name),
        }
    }
}

/// What a response does.
struct Does(Response);

impl Does {
    fn name(&self) -> &'static str {
        self.0.as_str()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, tags, response) in &self.accounts {
            let tags = if tags.is_empty() { String::new() } else { format!(", tags {}", tags.join(" ")) };
            writeln!(f, "account   {name}{tags}, response {}", Does(*response).name())?;
        }
        for (name, what) in &self.channels {
            writeln!(f, "channel   {name}: {what}")?;
        }
        for Rule { name, on, values } in &self.rules {
            let said = |value: &str| if value.is_empty() { "none".to_owned() } else { value.to_owned() };
            let values: Vec<String> = values.iter().map(|(key, value)| format!("{key} {}", said(value))).collect();
            let values = if *on { values.join(", ") } else { "off".to_owned() };
            writeln!(f, "rule      {:<18} {values}", name.as_str())?;
        }
        for (key, value) in &self.kept {
            writeln!(f, "keeps     {key:<19}{value}")?;
        }
        for (name, what) in &self.access {
            writeln!(f, "access    {name}: {what}")?;
        }
        if !self.wallets.is_empty() {
            writeln!(f, "wallets   {}", self.wallets.join(" "))?;
        }
        if !self.watch.is_empty() {
            writeln!(f, "watches   {}", self.watch.join(" "))?;
        }
        let armed = self.accounts.iter().filter(|(_, _, response)| response.acts()).count();
        match armed {
            0 => writeln!(f, "response  only written down: no key and no order is touched"),
            armed => writeln!(f, "response  may take keys away on {armed} accounts (see `fillguard doctor`)"),
        }
    }
}
