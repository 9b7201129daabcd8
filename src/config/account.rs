//! `[[account]]`: whom to watch, and with which key.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Deserialize;

use super::credential::{Found, Place, place, secret};
use super::problem::{nearest, value};
use super::section::{Gather, Scope, Section};
use super::values::one_of;
use crate::domain::{AccountId, Right, Symbol, Venue, Wallet};
use crate::engine::rules::key_policy::Policy;
use crate::feed::{self, ReadKey, SubAccounts};
use crate::leakcheck::Part;
use crate::response::{Holder, Policy as Answer};
use crate::secret::Secret;

pub use crate::response::Mode as Response;

/// A watched account, as the file describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub id: AccountId,
    /// The platforms its key was given to, and whatever else it is grouped by.
    pub tags: Vec<String>,
    /// What is done about its key.
    pub response: Response,
    /// How far that may go.
    pub answer: Answer,
    /// Which of its wallets are watched.
    pub wallets: BTreeSet<Wallet>,
    /// The sub-accounts whose keys are listed with its key.
    pub sub_accounts: SubAccounts,
    /// What its owner expects of its key; anything where nothing is written.
    pub policy: Policy,
}

/// Which of Coinbase's two interfaces an account's key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Api {
    Advanced,
    Exchange,
}

/// Coinbase's own key file (`cdp_api_key.json`): `name` in older ones, `id` in newer ones.
#[derive(Deserialize)]
struct KeyFile {
    name: Option<String>,
    id: Option<String>,
    #[serde(rename = "privateKey")]
    private_key: String,
}

/// The secrets of an account; what was refused is noted.
#[derive(Clone)]
pub(super) struct Secrets {
    key: Found,
    secret: Found,
    passphrase: Found,
    key_json: Found,
    /// Where the key's id and its secret are, or Coinbase's key file alone.
    pub place: Option<KeyPlace>,
}

/// Where a key is said to be.
pub(super) type KeyPlace = (Place, Option<Place>);

/// One part of a key of the configuration, to be looked for elsewhere.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Whose: `binance/alice`, or what the key is for.
    pub whose: String,
    /// Which part.
    pub part: Part,
    /// Its text; absent where it could not be read.
    pub secret: Option<Secret>,
}

/// One account as it was read.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// As the file describes it.
    pub account: Account,
    /// As the feeds want it; absent where its key is not to be read now.
    pub keyed: Option<feed::Account>,
    /// The keys that may act on it.
    pub holder: Holder,
    /// The files of its secrets.
    pub touched: Vec<PathBuf>,
    /// Where it stands: a line, or a file of its own.
    pub place: String,
}

/// Names and keys that are taken, and by whom.
#[derive(Clone, Debug, Default)]
pub(super) struct Taken {
    names: BTreeMap<AccountId, String>,
    /// Keys by where they are said to be.
    places: BTreeMap<(Venue, String), AccountId>,
    /// Keys that watch, by all their files.
    pub watching: BTreeMap<KeyPlace, AccountId>,
    /// Keys by their ids.
    keys: BTreeMap<(Venue, String), AccountId>,
    /// The parts of all keys, where somebody looks for them.
    pub kept: Option<Vec<Kept>>,
}

impl Taken {
    /// Notes the parts of a key, where somebody looks for them.
    pub fn keep(&mut self, whose: &str, secrets: &Secrets) {
        let Some(kept) = &mut self.kept else { return };
        let mut keep = |part, secret: Option<Secret>| kept.push(Kept { whose: whose.to_owned(), part, secret });
        for (part, found) in
            [(Part::KeyId, &secrets.key), (Part::Secret, &secrets.secret), (Part::Passphrase, &secrets.passphrase)]
        {
            match found {
                Found::Absent => {}
                Found::Unread => keep(part, None),
                Found::Read(secret) => keep(part, Some(secret.clone())),
            }
        }
        match &secrets.key_json {
            Found::Absent => {}
            Found::Unread => keep(Part::Secret, None),
            Found::Read(json) => match serde_json::from_str::<KeyFile>(json.expose()) {
                Ok(KeyFile { name, id, private_key }) => {
                    keep(Part::KeyId, name.or(id).map(Secret::new));
                    keep(Part::Secret, Some(Secret::new(private_key)));
                }
                Err(_) => keep(Part::Secret, None),
            },
        }
    }

    /// Notes whose name and key are in use.
    pub fn add(&mut self, entry: &Entry) {
        self.names.insert(entry.account.id.clone(), entry.place.clone());
        if let Some(account) = &entry.keyed {
            self.keys.insert((account.id.venue, account.key.id().to_owned()), account.id.clone());
        }
    }
}

/// Reads the accounts of the configuration itself.
pub(super) fn accounts(root: &mut Section<'_>, taken: &mut Taken) -> Vec<Entry> {
    let mut entries = Vec::new();
    for mut section in root.sections("account") {
        let place = format!("line {}", section.line());
        if let Some(entry) = read(&mut section, taken, None, place) {
            taken.add(&entry);
            entries.push(entry);
        }
        section.close();
    }
    entries
}

/// Reads a table that describes one account; `usual_name` is what it is called unless it says so itself, as it is
/// where it has a file of its own.
pub(super) fn read(
    section: &mut Section<'_>,
    taken: &mut Taken,
    usual_name: Option<&str>,
    place: String,
) -> Option<Entry> {
    section.gather.touched.borrow_mut().clear();
    let venue = section.choice("exchange", None, &Venue::ALL.map(|venue| (venue.as_str(), venue)));
    let given = section.text("name", None);
    let tags = section.list("tags", |tag| match tag.trim() {
        "" => Err("an empty tag groups nothing".to_owned()),
        tag => Ok(tag.to_owned()),
    });
    let (answer, pending) = super::response::account(section, venue);
    let response = answer.mode;
    let sub_accounts = sub_accounts(section);
    let policy = policy(section);
    let api = section.choice("api", None, &[("advanced", Api::Advanced), ("exchange", Api::Exchange)]);
    let api = api.or((!section.has("api")).then_some(Api::Advanced));
    let version = section.has("key_version");
    let key_version = section.count("key_version", 3, 1..=3);
    let key_place = ["key_file", "key_credential", "key_json_file", "key_json_credential"]
        .into_iter()
        .find_map(|key| Some((key, section.written(key)?.to_owned())));
    let secrets = Secrets::read(section, true);
    for key in ["exchange", "name"] {
        if !section.has(key) && (key != "name" || usual_name.is_none()) {
            section.refuse(key, "is missing");
        }
    }
    let named = section.has("name");
    let name = if named { given } else { usual_name.map(str::to_owned) };
    let (venue, name) = (venue?, name?);
    let Ok(id) = AccountId::new(venue, &name) else {
        let file = if named { "" } else { "; the file is named so: rename it, or add a name" };
        let reason = format!("must be 1 to 64 letters, digits and -_.@+, and not \"market\"{file}");
        section.refuse("name", reason);
        return None;
    };
    if section.has("api") && venue != Venue::Coinbase {
        section.refuse("api", "only Coinbase has two interfaces; leave it out");
    }
    if version && venue != Venue::Kucoin {
        section.refuse("key_version", "only KuCoin's keys have a version");
    }
    if venue == Venue::Coinbase && sub_accounts != SubAccounts::None {
        section.refuse("sub_accounts", "Coinbase lists no keys; leave it out");
    }
    // Files of their own have folders of their own, in which the same path may mean another file.
    if usual_name.is_none()
        && let Some((key, key_place)) = &key_place
        && let Some(other) = taken.places.insert((venue, key_place.clone()), id.clone())
        && other != id
    {
        section.refuse(key, format!("is the same key as that of {other}; each account has its own"));
    }
    taken.keep(&id.to_string(), &secrets);
    if let Some(place) = &secrets.place {
        pending.differs(section, place, &id);
        taken.watching.insert(place.clone(), id.clone());
    }
    let wallets = wallets(section, venue);
    let holder = pending.finish(&id, taken);
    // One that is not known was refused above, and its secrets cannot be judged.
    let key = api.and_then(|api| secrets.join(section, venue, api, key_version as u8));
    if let Some(other) = taken.names.get(&id) {
        section.refuse("name", format!("{id} is there already, in {other}"));
    }
    if let (Some(_), Some(key), Some((key_name, _))) = (usual_name, &key, &key_place)
        && let Some(other) = taken.keys.get(&(venue, key.id().to_owned()))
        && *other != id
    {
        section.refuse(key_name, format!("is the same key as that of {other}; each account has its own"));
    }
    let keyed = key.map(|key| feed::Account { id: id.clone(), key, known_until: None });
    let touched = std::mem::take(&mut *section.gather.touched.borrow_mut());
    Some(Entry {
        account: Account { id, tags, response, answer, wallets, sub_accounts, policy },
        keyed,
        holder,
        touched,
        place,
    })
}

/// Reads which wallets are watched: the spot wallet where nothing is said.
fn wallets(section: &mut Section<'_>, venue: Venue) -> BTreeSet<Wallet> {
    let (named, isolated) = (section.has("wallets"), section.has("isolated"));
    let wallets = section.list_or("wallets", Some("[\"spot\"]".to_owned()), |text| match text.trim() {
        "spot" => Ok(Wallet::Spot),
        "margin" => Ok(Wallet::Margin),
        "futures" => Ok(Wallet::Futures),
        _ => Err(format!(
            "{} is no wallet: write \"spot\", \"margin\" (cross margin) or \"futures\"; isolated margin has a key of its \
             own, as in isolated = [\"BTC-USDT\"]",
            value(text)
        )),
    });
    let pairs = section.list("isolated", |text| {
        let pair = Symbol::from_dashed(text.trim()).ok().filter(|pair| !pair.is_contract());
        pair.map(Wallet::Isolated)
            .ok_or_else(|| format!("{} is no pair: write BASE-QUOTE, as in \"BTC-USDT\"", value(text)))
    });
    if venue != Venue::Binance {
        for (key, _) in [("wallets", named), ("isolated", isolated)].into_iter().filter(|(_, there)| *there) {
            section.refuse(
                key,
                format!("only Binance's margin and futures wallets can be watched, not {}'s", venue.title()),
            );
        }
        return BTreeSet::from([Wallet::Spot]);
    }
    let mut watched: BTreeSet<Wallet> = wallets.unwrap_or_default().into_iter().collect();
    if !named {
        watched.insert(Wallet::Spot);
    }
    watched.extend(pairs);
    if watched.is_empty() {
        section.refuse("wallets", "names no wallet, so nothing of this account would be watched; write [\"spot\"]");
    }
    watched
}

/// Returns the accounts whose owners expect something of their keys.
pub(super) fn policies(accounts: &[Account]) -> Vec<(AccountId, Policy)> {
    let with_one = accounts.iter().filter(|account| account.policy != Policy::default());
    with_one.map(|account| (account.id.clone(), account.policy.clone())).collect()
}

fn sub_accounts(section: &mut Section<'_>) -> SubAccounts {
    let read = |given: &toml::de::DeValue<'_>| {
        let wrong = || "must be true, false, or a list of e-mails (Binance) or names (KuCoin)".to_owned();
        if let Some(all) = given.as_bool() {
            return Ok(if all { SubAccounts::All } else { SubAccounts::None });
        }
        let mut names = Vec::new();
        for item in given.as_array().ok_or_else(wrong)? {
            let name = item.get_ref().as_str().ok_or_else(wrong)?;
            if !SubAccounts::is_name(name) {
                return Err(format!("{} is neither an e-mail nor a name of a sub-account", value(name)));
            }
            names.push(name.to_owned());
        }
        Ok(if names.is_empty() { SubAccounts::None } else { SubAccounts::Named(names) })
    };
    section.ask("sub_accounts", Some("false".to_owned()), read).unwrap_or_default()
}

fn policy(section: &mut Section<'_>) -> Policy {
    let mut section = section.section("policy");
    let allow = section.list("allow", |text| text.parse::<Right>().map_err(|_| one_of(text, Right::NAMES.into_iter())));
    let restricted = section.flag("restricted", false);
    section.close();
    Policy { allow, restricted }
}

impl Secrets {
    /// Reads the files of a key that a table names; `json` where it may be one of Coinbase's key files.
    pub fn read(section: &mut Section<'_>, json: bool) -> Self {
        let key_json = if json { secret(section, "key_json_file", "key_json_credential") } else { Found::Absent };
        let key_place = place(section, "key_file", "key_credential");
        let secret_place = place(section, "secret_file", "secret_credential");
        if key_place.is_some() && key_place == secret_place {
            let reason = "is the same file as that of the key's id; each of the two has a file of its own";
            section.refuse(named(section, "secret"), reason);
        }
        let whole = place(section, "key_json_file", "key_json_credential").filter(|_| json);
        let place = whole.map(|whole| (whole, None)).or(key_place.map(|key| (key, secret_place)));
        Secrets {
            place,
            key: secret(section, "key_file", "key_credential"),
            secret: secret(section, "secret_file", "secret_credential"),
            passphrase: secret(section, "passphrase_file", "passphrase_credential"),
            key_json,
        }
    }

    /// Makes the exchange's kind of key; notes what is missing or does not belong.
    pub fn join(self, section: &Section<'_>, venue: Venue, api: Api, version: u8) -> Option<ReadKey> {
        let Secrets { key, secret, passphrase, key_json, place: _ } = self;
        let exchange = venue == Venue::Coinbase && api == Api::Exchange;
        let title = if exchange { "Coinbase Exchange" } else { venue.title() };
        if venue != Venue::Kucoin && !exchange && !matches!(passphrase, Found::Absent) {
            let hint = if venue == Venue::Coinbase { "; for Coinbase Exchange write api = \"exchange\"" } else { "" };
            section.refuse(named(section, "passphrase"), format!("a key of {title} has no passphrase{hint}"));
        }
        if exchange && !matches!(key_json, Found::Absent) {
            let reason = "is a key file of Coinbase Advanced; a key of Coinbase Exchange is key_file, secret_file and \
                          passphrase_file";
            section.refuse(named(section, "key_json"), reason);
        }
        if venue != Venue::Coinbase && !matches!(key_json, Found::Absent) {
            let reason = format!("only Coinbase hands out keys as JSON; {title} needs key_file and secret_file");
            section.refuse(named(section, "key_json"), reason);
        }
        let demand = |found: Found, key: &str| match found {
            Found::Read(secret) => Some(secret),
            Found::Unread => None,
            Found::Absent => {
                if section.gather.scope != Scope::Middle {
                    section.refuse(key, format!("is missing; name the file that holds this part of the {title} key"));
                }
                None
            }
        };
        let made = match venue {
            Venue::Binance => {
                let (key, secret) = (demand(key, "key_file"), demand(secret, "secret_file"));
                ReadKey::binance(key?.expose(), &secret?)
            }
            Venue::Kucoin => {
                let (key, secret) = (demand(key, "key_file"), demand(secret, "secret_file"));
                let passphrase = demand(passphrase, "passphrase_file");
                ReadKey::kucoin(key?.expose(), &secret?, &passphrase?, version)
            }
            Venue::Coinbase if exchange => {
                let (key, secret) = (demand(key, "key_file"), demand(secret, "secret_file"));
                let passphrase = demand(passphrase, "passphrase_file");
                ReadKey::coinbase_exchange(key?.expose(), &secret?, &passphrase?)
            }
            Venue::Coinbase if !matches!(key_json, Found::Absent) => {
                if !matches!((&key, &secret), (Found::Absent, Found::Absent)) {
                    section
                        .refuse(named(section, "key_json"), "holds the whole key; leave out key_file and secret_file");
                }
                let (name, private) = key_parts(section, &demand(key_json, "key_json_file")?)?;
                ReadKey::coinbase(name.expose(), &private)
            }
            Venue::Coinbase => {
                let (key, secret) = (demand(key, "key_file"), demand(secret, "secret_file"));
                ReadKey::coinbase(key?.expose(), &secret?)
            }
        };
        made.map_err(|error| section.refuse_all(format!("the key cannot be used: {error}"))).ok()
    }
}

/// Takes Coinbase's key file apart. The parser's own words are left out: they may quote what they stumbled over.
fn key_parts(section: &Section<'_>, json: &Secret) -> Option<(Secret, Secret)> {
    let file = serde_json::from_str::<KeyFile>(json.expose()).ok();
    let parts = file.and_then(|KeyFile { name, id, private_key }| Some((name.or(id)?, private_key)));
    match parts {
        Some((name, private_key)) => Some((Secret::new(name), Secret::new(private_key))),
        None => {
            let reason = "is not Coinbase's key file: JSON with `name` (or `id`) and `privateKey`; download it again";
            section.refuse(named(section, "key_json"), reason);
            None
        }
    }
}

/// Returns which of a secret's two keys the file uses.
fn named(section: &Section<'_>, stem: &str) -> &'static str {
    let (file, credential) = match stem {
        "passphrase" => ("passphrase_file", "passphrase_credential"),
        "secret" => ("secret_file", "secret_credential"),
        _ => ("key_json_file", "key_json_credential"),
    };
    if section.has(file) { file } else { credential }
}

/// Reads the name of an account as other sections spell it.
pub(super) fn account_name(text: &str) -> Result<AccountId, String> {
    text.parse().map_err(|_| format!("{} is no account: write exchange/name, as in \"binance/alice\"", value(text)))
}

/// Reads the name of an account that must be among those that are `known`, or be one whose own file cannot be read.
pub(super) fn known_account<'a>(
    text: &str,
    gather: &Gather,
    known: impl Iterator<Item = &'a AccountId> + Clone,
) -> Result<AccountId, String> {
    let id = account_name(text)?;
    let excused = || gather.excused.borrow().iter().any(|name| *name == id.name.as_str());
    if gather.scope == Scope::Middle || known.clone().any(|one| *one == id) || excused() {
        return Ok(id);
    }
    let names: Vec<&str> = known.clone().filter(|one| one.venue == id.venue).map(|one| one.name.as_str()).collect();
    let near = nearest(&id.name, &names).map(|name| format!("{}/{name}", id.venue));
    let elsewhere = || known.clone().find(|one| one.name == id.name).map(ToString::to_string);
    let meant = near.or_else(elsewhere).map_or(String::new(), |meant| format!("; did you mean {meant}?"));
    Err(format!("there is no account {id}{meant}"))
}
