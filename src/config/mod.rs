//! TOML -> settings that need no further checking; every problem told at once.
//!
//! The file is walked table by table. Each table is asked for the keys it may have, each value is read with its unit
//! and bounds, and whatever nobody asked for is unknown; what is wrong is gathered with its line, so that three
//! mistakes are told as three. Secrets are read from files of their own, never from the TOML.

mod access;
mod account;
mod alive;
mod book;
mod credential;
mod document;
mod exception;
mod feed;
mod keeping;
mod leaf;
mod leakcheck;
mod market_cap;
mod notify;
mod problem;
mod reload;
mod response;
mod rule_file;
mod rules;
pub mod schema;
mod section;
#[cfg(test)]
mod tests;
mod tried;
mod units;
mod values;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

pub use account::{Account, Kept, Response};
pub use book::{Book, Look};
pub(crate) use exception::read_end;
pub use keeping::{Log, LogFormat};
pub(crate) use notify::a_few;
pub use problem::{Problem, Problems};
pub use reload::{NewRules, RuleBook, rule_files, rules_folder};
pub use rules::Promotion;
pub use tried::{RuleKey, extended, rule_keys, with_rules};
pub(crate) use units::{read_time, write_part, write_size, write_time, write_worth};

use crate::{journal, pipeline};
use section::{Gather, Scope, Section};

/// Settings of every stage, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file they came from.
    pub file: PathBuf,
    /// Where everything is kept.
    pub state_dir: PathBuf,
    /// The journal, in `journal/` below the state's directory.
    pub journal: journal::Settings,
    /// The watched accounts as the file describes them.
    pub accounts: Vec<Account>,
    /// Feeds, with the accounts' keys.
    pub feed: crate::feed::Settings,
    /// Codec, rules and incidents.
    pub pipeline: pipeline::Settings,
    /// Whether staged rules are promoted without a person.
    pub promotion: Promotion,
    /// Channels.
    pub notify: crate::notify::Settings,
    /// How far a response may go.
    pub response: crate::response::Settings,
    /// The keys that act.
    pub keys: crate::response::Keys,
    /// The answer page, where it is served.
    pub answers: Option<crate::serve::Settings>,
    /// The folder that is searched for our keys, where there is one.
    pub leakcheck: Option<crate::leakcheck::folder::Settings>,
    /// The daemon's own log.
    pub log: Log,
    /// Accounts whose own files have problems; they are not watched until that is mended.
    pub faulty: Vec<Problems>,
    /// How the accounts are followed from now on.
    pub book: Book,
    /// What is allowed and may still not be meant, a sentence each.
    pub warnings: Vec<String>,
}

impl Config {
    /// Reads a file to run with it: accounts, channels and all secrets must be there.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        Config::with_credentials(path, credentials())
    }

    /// Reads a file as [`Config::load`] does, with systemd's credentials looked for in `credentials`.
    pub fn with_credentials(path: &Path, credentials: Option<PathBuf>) -> Result<Self, Problems> {
        read(path, &document::read(path)?, Scope::Run, credentials).map(Config::guarded)
    }

    /// Reads a file to say whether it is fine. Outside the service, credentials that only systemd hands over are not
    /// looked at, and a warning says so; their accounts and channels are then missing from the feeds and channels.
    pub fn check(path: &Path) -> Result<Self, Problems> {
        Config::in_need(path).and_then(Config::whole)
    }

    /// Reads a file as [`Config::check`] does, but is content where only single accounts' own files are wrong: those
    /// are left out and stand in `faulty`. One of a thousand must not keep a person from acting for the others.
    pub fn in_need(path: &Path) -> Result<Self, Problems> {
        read(path, &document::read(path)?, Scope::Look, credentials()).map(Config::guarded)
    }

    /// Refuses a configuration of which an account's own file is wrong.
    fn whole(self) -> Result<Self, Problems> {
        if self.faulty.is_empty() {
            return Ok(self);
        }
        Err(Problems { elsewhere: self.faulty, ..Problems::new(self.file, Vec::new()) })
    }

    /// Reads the parts of all keys of a configuration, to look for them elsewhere; `credentials` is the folder of those
    /// that systemd hands to the service.
    pub fn secrets(path: &Path, credentials: Option<PathBuf>) -> Result<Vec<Kept>, Problems> {
        let mut kept = account::Taken::default();
        kept.kept = Some(Vec::new());
        let credentials = credentials.or_else(self::credentials);
        let (config, taken) = read_taking(path, &document::read(path)?, Scope::Look, credentials, kept)?;
        config.whole().map(|_| taken.kept.unwrap_or_default())
    }

    /// Reads what a replay needs: rules, incidents, codec and networks. Other tables are checked too, but no account,
    /// channel or secret has to be there.
    pub fn pipeline_only(path: &Path) -> Result<pipeline::Settings, Problems> {
        read(path, &document::read(path)?, Scope::Middle, None).map(|config| config.pipeline)
    }

    /// Reads a text that is part of the program, such as `config/demo.toml`; its accounts and addresses are put in by
    /// the caller, and `name` stands in messages for its file.
    pub fn built_in(name: &str, text: &str) -> Result<Self, Problems> {
        read(Path::new(name), text, Scope::Middle, None)
    }

    /// Warns where others could change what is watched and who is told.
    fn guarded(mut self) -> Self {
        if std::fs::metadata(&self.file).is_ok_and(|about| about.permissions().mode() & 0o022 != 0) {
            let file = self.file.display();
            self.warnings
                .push(format!("others may write to {file}, and so change who is told; run: chmod go-w {file}"));
        }
        self
    }

    /// Returns the database's file.
    pub fn store_file(&self) -> PathBuf {
        self.state_dir.join("fillguard.db")
    }

    /// Returns the folder in which answers to responses are left for the daemon.
    pub fn respond_folder(&self) -> PathBuf {
        self.state_dir.join("respond")
    }

    /// Returns the file in which the operator switches leak modes while the daemon runs.
    pub fn leak_file(&self) -> PathBuf {
        self.state_dir.join("leak-mode.json")
    }

    /// Returns the file in which a running daemon writes down how it does.
    pub fn status_file(&self) -> PathBuf {
        self.state_dir.join("status.json")
    }

    /// Returns the folder in which commands ask something of a running daemon.
    pub fn inbox(&self) -> PathBuf {
        self.state_dir.join("inbox")
    }
}

/// Warns of exceptions about accounts that nobody watches.
fn strangers(root: &Section<'_>, exceptions: &[crate::alert::Exception], accounts: &[Account]) {
    if root.gather.scope == Scope::Middle {
        return;
    }
    for one in exceptions.iter().filter(|one| !accounts.iter().any(|account| account.id == one.account)) {
        root.gather.warn(format!("exception {} is about {}, which is not watched", one.name, one.account));
    }
}

fn credentials() -> Option<PathBuf> {
    std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from)
}

fn read(path: &Path, text: &str, scope: Scope, credentials: Option<PathBuf>) -> Result<Config, Problems> {
    read_taking(path, text, scope, credentials, account::Taken::default()).map(|(config, _)| config)
}

fn read_taking(
    path: &Path,
    text: &str,
    scope: Scope,
    credentials: Option<PathBuf>,
    mut taken: account::Taken,
) -> Result<(Config, account::Taken), Problems> {
    let document = document::parse(text);
    let file = path.to_owned();
    if !document.readable {
        return Err(Problems::new(file, document.faults));
    }
    let folder = path.parent().map_or_else(PathBuf::new, Path::to_owned);
    let gather = Gather::new(document.lines, folder, scope, credentials, document.faults);
    let mut config = walk(&mut Section::root(&gather, document.root.get_ref()), file.clone(), &mut taken);
    let elsewhere = gather.elsewhere();
    let (problems, warnings) = gather.into_inner();
    // A file of one account is no reason not to watch the others.
    if !problems.is_empty() || !elsewhere.is_empty() {
        let elsewhere = elsewhere.into_iter().chain(config.faulty).collect();
        return Err(Problems { elsewhere, ..Problems::new(file, problems) });
    }
    config.book.text = text.to_owned();
    config.warnings.extend(warnings);
    Ok((config, taken))
}

fn walk(root: &mut Section<'_>, file: PathBuf, taken: &mut account::Taken) -> Config {
    let state_dir = keeping::state(root);
    let journal = keeping::journal(root, &state_dir);
    let own = account::accounts(root, taken);
    let (opened, keep_removed) = book::accounts(root, file.clone(), own, taken);
    let book::Opened { mut book, faulty, warnings } = opened;
    if book.is_empty()
        && faulty.is_empty()
        && !book.has_folder()
        && !root.has("account")
        && root.gather.scope != Scope::Middle
    {
        let reason = "nobody would be watched; add an [[account]] with exchange, name and its key's files";
        root.refuse("account", reason);
    }
    let accounts = book.described();
    let crate::feed::Roll { accounts: keyed, wallets, sub_accounts, .. } = book.roll();
    let market_cap = market_cap::market_cap(root);
    let (networks, access) = access::access(root, &accounts);
    let feed = crate::feed::Settings { accounts: keyed, access, wallets, sub_accounts, market_cap, ..feed::feed(root) };
    let (mut pipeline, promotion) = rules::pipeline(root, networks, &file);
    strangers(root, &pipeline.alert.exceptions, &accounts);
    pipeline.engine.blind.keep_removed = keep_removed;
    pipeline.engine.key_policy.expected = account::policies(&accounts);
    for account in &accounts {
        for tag in &account.tags {
            pipeline.engine.tags.0.entry(tag.as_str().into()).or_default().insert(account.id.clone());
        }
    }
    let mut notify = notify::notify(root, &accounts);
    pipeline.alert.language = notify.language;
    let (response, keys) = response::response(root, book.holders(), taken);
    book.brake(&response, &keys);
    let answers = alive::answers(root, feed.access.http.as_ref().map(|http| http.listen));
    (notify.heartbeat, notify.daily) = alive::alive(root);
    let leakcheck = leakcheck::leakcheck(root);
    let log = keeping::log(root);
    root.close();
    Config {
        file,
        state_dir,
        journal,
        accounts,
        feed,
        pipeline,
        promotion,
        notify,
        response,
        keys,
        answers,
        leakcheck,
        log,
        faulty,
        book,
        warnings,
    }
}
