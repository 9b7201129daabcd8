//! `[access]`: who operates which addresses, and where the user's own side says who used a key.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use compact_str::CompactString;

use super::account::Account;
use super::credential::{Found, secret};
use super::section::{Scope, Section};
use crate::domain::{AccountId, Network, Venue};
use crate::feed::access::{Dialect, FileSource, Form, HttpSource, Settings, Whose, is_private};
use crate::networks::{Networks, Table};
use crate::secret::Secret;

/// A token of fewer characters could be guessed.
const SHORTEST_TOKEN: usize = 24;

/// How lines are written, before the pattern is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Pattern(Dialect),
}

const FORMATS: [(&str, Format); 4] = [
    ("json", Format::Json),
    ("nginx", Format::Pattern(Dialect::Nginx)),
    ("envoy", Format::Pattern(Dialect::Envoy)),
    ("squid", Format::Pattern(Dialect::Squid)),
];

/// What all sources share while they are read.
struct Sources<'a> {
    accounts: &'a [Account],
    /// Names given so far, with their lines.
    names: Vec<(String, usize)>,
}

/// Reads the table of operators and the sources; `accounts` are those a source may name.
pub(super) fn access(root: &mut Section<'_>, accounts: &[Account]) -> (Networks, Settings) {
    let mut section = root.section("access");
    let networks = networks(&mut section);
    section.decline("log", "is written [[access.file]]");
    let mut sources = Sources { accounts, names: Vec::new() };
    let files = section.sections("file").into_iter().filter_map(|one| sources.file(one)).collect();
    let posted = section.has("http");
    let http = section.section("http");
    let http = if posted { sources.http(http) } else { None };
    section.close();
    (networks.clone(), Settings { files, http, networks, ..Settings::default() })
}

/// Reads the tables of `networks` and `countries`; none is needed.
fn networks(section: &mut Section<'_>) -> Networks {
    let mut tables = Vec::new();
    for key in ["networks", "countries"] {
        let Some(path) = section.path_to(key, None) else { continue };
        match Table::load(&path) {
            Ok(table) => tables.push(table),
            Err(why) => section.refuse(key, format!("{}: {why}", path.display())),
        }
    }
    let hosting = section.list("hosting", |text| match Network::asn_of(text) {
        Some(Some(asn)) => Ok(asn),
        Some(None) | None => Err("must be a network's number, as in \"AS64500\"".to_owned()),
    });
    if tables.is_empty() && !hosting.is_empty() && !section.has("networks") {
        section.refuse("hosting", "is of no use without networks: nothing tells which address is in which network");
    }
    Networks::of_tables(tables, hosting)
}

impl Sources<'_> {
    fn file(&mut self, mut section: Section<'_>) -> Option<FileSource> {
        let name = self.name(&mut section, None);
        let path = section.path_to("path", None);
        if path.is_none() && !section.has("path") {
            section.refuse("path", "is missing: the log to follow");
        }
        let form = form(&mut section);
        let whose = self.whose(&mut section);
        let account_field = section.text("account_field", None);
        let given = [
            ("account_field", account_field.clone()),
            ("ip_field", section.text("ip_field", None)),
            ("user_agent_field", section.text("user_agent_field", None)),
            ("client_order_id_field", section.text("client_order_id_field", None)),
            ("time_field", section.text("time_field", None)),
        ];
        let mut fields = form.as_ref().map(Form::usual).unwrap_or_default();
        for (key, name) in given {
            let (Some(form), Some(name)) = (&form, name) else { continue };
            let field = match form.field(&name) {
                Ok(field) => vec![field],
                Err(reason) => {
                    section.refuse(key, reason);
                    continue;
                }
            };
            match key {
                "account_field" => fields.account = field,
                "ip_field" => fields.ip = field,
                "user_agent_field" => fields.user_agent = field,
                "client_order_id_field" => fields.client_order_id = field,
                _ => fields.time = field,
            }
        }
        if whose.fixed().is_some() && account_field.is_some() {
            section.refuse("account_field", "is of no use beside account; keep one of them");
        }
        if form.is_some() && whose.fixed().is_none() && fields.account.is_empty() && !section.has("account_field") {
            let reason =
                "is missing: which field names the account; or write account = \"NAME\" where all lines are of one";
            section.refuse("account_field", reason);
        }
        let usual = [("start", true), ("end", false)];
        let from_start = section.choice("begin", Some(true), &usual).unwrap_or(true);
        let longest = section.size("longest_line", 64 << 10, 256..=1 << 20) as usize;
        let every =
            section.time("every", Duration::from_millis(250), Duration::from_millis(10)..=Duration::from_secs(60));
        section.close();
        let path = path?;
        if section.gather.scope != Scope::Middle {
            match fs::metadata(&path) {
                Ok(about) if about.is_dir() => {
                    section.refuse("path", format!("{} is a directory; name the log in it", path.display()));
                }
                Ok(_) => {}
                Err(_) => section.gather.warn(format!(
                    "line {}: {} cannot be read yet; it is waited for (does it exist, and may fillguard's user read it?)",
                    section.line_of("path"),
                    path.display()
                )),
            }
        }
        let reader = crate::feed::access::Reader { form: form?, fields, whose };
        Some(FileSource { from_start, longest, every, ..FileSource::new(&name?, path, reader) })
    }

    fn http(&mut self, mut section: Section<'_>) -> Option<HttpSource> {
        let name = self.name(&mut section, Some("http"));
        let listen = section.ask("listen", None, |value| {
            let text = value.as_str().ok_or("must be a text in quotes, as in \"127.0.0.1:7780\"")?;
            text.parse::<SocketAddr>()
                .map_err(|_| "must be an address with its port, as in \"127.0.0.1:7780\"".to_owned())
        });
        let behind_proxy = section.flag("behind_proxy", false);
        match listen {
            Some(listen) if !is_private(listen) && !behind_proxy => section.refuse(
                "listen",
                "is open to other machines, and the token would travel readable: listen on 127.0.0.1, or put a proxy with \
                 TLS in front and write behind_proxy = true",
            ),
            Some(listen) if listen.port() == 0 => {
                section.refuse("listen", "names port 0, which is another one at each start; name the port to post to");
            }
            None if !section.has("listen") => section.refuse("listen", "is missing: where to listen, as in \"127.0.0.1:7780\""),
            Some(_) | None => {}
        }
        let token = match secret(&mut section, "token_file", "token_credential") {
            Found::Read(token) => checked(&section, token),
            Found::Unread => (section.gather.scope == Scope::Look).then(|| Secret::new(String::new())),
            Found::Absent => {
                if section.gather.scope != Scope::Middle {
                    let reason = "is missing: name the file that holds the token, made with: openssl rand -hex 32";
                    section.refuse("token_file", reason);
                }
                None
            }
        };
        let whose = self.whose(&mut section);
        let largest = section.size("largest_body", 1 << 20, 1 << 10..=16 << 20) as usize;
        let most = section.count("most_entries", 1_000, 1..=10_000) as usize;
        let connections = section.count("connections", 64, 1..=4_096) as usize;
        let patience =
            section.time("timeout", Duration::from_secs(10), Duration::from_millis(100)..=Duration::from_secs(300));
        section.close();
        let usual = HttpSource::new(listen?, token?, whose);
        Some(HttpSource { name: name?, behind_proxy, largest, most, connections, patience, ..usual })
    }

    fn name(&mut self, section: &mut Section<'_>, usual: Option<&str>) -> Option<CompactString> {
        let Some(name) = section.text("name", usual) else {
            if !section.has("name") {
                section.refuse("name", "is missing: what arrivals of this log are called, as in \"gateway\"");
            }
            return None;
        };
        // The rule of account names, so that it cannot blur where an arrival came from.
        if AccountId::new(Venue::Binance, &name).is_err() {
            section.refuse("name", "must be 1 to 64 letters, digits and -_.@+, and not \"market\"");
            return None;
        }
        if let Some((_, line)) = self.names.iter().find(|(other, _)| *other == name) {
            let reason = format!("the source in line {line} has this name too; give one of them another");
            section.refuse("name", reason);
            return None;
        }
        self.names.push((name.clone(), section.line()));
        Some(name.into())
    }

    /// Reads whose keys a source speaks of.
    fn whose(&self, section: &mut Section<'_>) -> Whose {
        let mut whose = Whose::of(self.accounts.iter().map(|account| &account.id));
        let strict = section.gather.scope != Scope::Middle;
        for (alias, account) in section.pairs("accounts") {
            if !whose.alias(alias, &account) && strict {
                section.refuse("accounts", UNKNOWN);
            }
        }
        if let Some(account) = section.text("account", None)
            && !whose.fix(&account)
            && strict
        {
            section.refuse("account", UNKNOWN);
        }
        whose
    }
}

const UNKNOWN: &str = "names an account that is not there; write its name, as in \"alice\" or \"binance/alice\"";

/// Reads how lines are written.
fn form(section: &mut Section<'_>) -> Option<Form> {
    let format = section.choice("format", None, &FORMATS);
    if format.is_none() && !section.has("format") {
        section.refuse("format", "is missing: json, nginx, envoy or squid");
    }
    let pattern = section.text("pattern", None);
    match (format?, pattern) {
        (Format::Json, None) => Some(Form::Json),
        (Format::Json, Some(_)) => {
            section.refuse("pattern", "is of no use with format = \"json\"; leave it out");
            Some(Form::Json)
        }
        (Format::Pattern(dialect), pattern) => {
            let pattern = pattern.unwrap_or_else(|| dialect.usual().to_owned());
            match dialect.pattern(&pattern) {
                Ok(pattern) => Some(Form::Pattern(dialect, pattern)),
                Err(reason) => {
                    section.refuse("pattern", reason);
                    None
                }
            }
        }
    }
}

fn checked(section: &Section<'_>, token: Secret) -> Option<Secret> {
    let text = token.expose();
    if text.len() >= SHORTEST_TOKEN && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Some(token);
    }
    let key = if section.has("token_file") { "token_file" } else { "token_credential" };
    let reason = "holds no token of at least 24 letters and digits without spaces; make one with: openssl rand -hex 32";
    section.refuse(key, reason);
    None
}
