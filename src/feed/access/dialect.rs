//! The languages in which proxies are told the form of their access log, read as patterns.

use super::pattern::{Pattern, Piece};

/// Whose language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// nginx: <https://nginx.org/en/docs/http/ngx_http_log_module.html#log_format>.
    Nginx,
    /// Envoy: <https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage>.
    Envoy,
    /// Squid: <http://www.squid-cache.org/Doc/config/logformat/>.
    Squid,
}

const COMBINED: &str = r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent""#;
const ENVOY: &str = r#"[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%""#;
/// Variables of nginx that hold no spaces, whoever sends what.
const NGINX_TIGHT: [&str; 14] = [
    "body_bytes_sent",
    "bytes_sent",
    "connection",
    "msec",
    "pid",
    "realip_remote_addr",
    "remote_addr",
    "remote_port",
    "request_id",
    "request_length",
    "request_time",
    "server_port",
    "status",
    "time_iso8601",
];
const SQUID_TIGHT: [&str; 13] = [">a", ">p", "<a", "la", "lp", "ts", "tu", "tr", "Ss", "Sh", ">Hs", "<st", ">st"];
const NATIVE: &str = "%ts.%03tu %6tr %>a %Ss/%03>Hs %<st %rm %ru %[un %Sh/%<a %mt";

impl Dialect {
    /// Returns the form that its software has without being told one.
    pub fn usual(self) -> &'static str {
        match self {
            Dialect::Nginx => COMBINED,
            Dialect::Envoy => ENVOY,
            Dialect::Squid => NATIVE,
        }
    }

    /// Reads a form.
    pub fn pattern(self, text: &str) -> Result<Pattern, String> {
        match self {
            Dialect::Nginx => Pattern::new(nginx(text)?, true, false, |name| NGINX_TIGHT.contains(&name)),
            // Envoy masks nothing in its text form; but what it writes of its own accord has no spaces.
            Dialect::Envoy => Pattern::new(envoy(text)?, false, false, |name| {
                ["DOWNSTREAM_", "RESPONSE_", "BYTES_", "DURATION", "PROTOCOL", "UPSTREAM_"]
                    .iter()
                    .any(|s| name.starts_with(s))
            }),
            Dialect::Squid => Pattern::new(squid(text)?, true, true, |name| SQUID_TIGHT.contains(&name)),
        }
    }

    /// Returns a field's name as [`Dialect::pattern`] has it.
    pub fn name(self, text: &str) -> String {
        match self {
            Dialect::Nginx => text.trim_start_matches('$').trim_matches(['{', '}']).to_owned(),
            Dialect::Envoy => text.trim_matches('%').to_ascii_uppercase(),
            Dialect::Squid => match squid(&format!("%{}", text.trim_start_matches('%'))).as_deref() {
                Ok([Piece::Field(name)]) => name.clone(),
                Ok(_) | Err(_) => text.to_owned(),
            },
        }
    }

    /// Undoes the masking of a value.
    pub(super) fn unmask(self, text: &str) -> String {
        match self {
            Dialect::Nginx => unmasked(text),
            Dialect::Envoy => text.to_owned(),
            Dialect::Squid => super::query::decoded(&unmasked(text)),
        }
    }

    /// Returns the fields in which address, program and time usually stand.
    pub(super) fn usual_fields(self) -> [&'static [&'static str]; 3] {
        match self {
            Dialect::Nginx => [&["remote_addr"], &["http_user_agent"], &["msec", "time_iso8601", "time_local"]],
            Dialect::Envoy => [
                &["DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", "DOWNSTREAM_REMOTE_ADDRESS", "REQ(X-FORWARDED-FOR)"],
                &["REQ(USER-AGENT)"],
                &["START_TIME"],
            ],
            Dialect::Squid => [&[">a"], &[">h{User-Agent}"], &["ts", "tl"]],
        }
    }
}

/// Collects pieces while a form is walked.
#[derive(Default)]
struct Pieces(Vec<Piece>);

impl Pieces {
    fn text(&mut self, more: &str) {
        if more.is_empty() {
            return;
        }
        match self.0.last_mut() {
            Some(Piece::Text(text)) => text.push_str(more),
            Some(Piece::Field(_)) | None => self.0.push(Piece::Text(more.to_owned())),
        }
    }

    fn field(&mut self, name: String) {
        self.0.push(Piece::Field(name));
    }
}

/// Reads `$name` and `${name}`; several texts in single quotes, as they stand in a configuration, are one.
fn nginx(text: &str) -> Result<Vec<Piece>, String> {
    let joined = quoted_pieces(text)?;
    let mut pieces = Pieces::default();
    let mut rest = joined.as_str();
    while let Some(at) = rest.find('$') {
        pieces.text(&rest[..at]);
        rest = &rest[at + 1..];
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let (name, after) = match rest.strip_prefix('{') {
            Some(inner) => inner.split_once('}').ok_or("has a ${ without its }")?,
            None => rest.split_at(rest.find(|c| !is_name(c)).unwrap_or(rest.len())),
        };
        if name.is_empty() || !name.chars().all(is_name) {
            return Err("has a $ without a name behind it".to_owned());
        }
        pieces.field(name.to_owned());
        rest = after;
    }
    pieces.text(rest);
    Ok(pieces.0)
}

fn quoted_pieces(text: &str) -> Result<String, String> {
    let trimmed = text.trim().trim_end_matches(';').trim_end();
    let trimmed = match trimmed.strip_prefix("escape=") {
        Some(rest) => rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric()).trim_start(),
        None if trimmed.starts_with('\'') => trimmed,
        None => return Ok(text.trim_end_matches(['\n', '\r']).to_owned()),
    };
    let mut joined = String::new();
    let mut rest = trimmed;
    while let Some(inner) = rest.strip_prefix('\'') {
        let (piece, after) = inner.split_once('\'').ok_or("has a single quote that is not closed")?;
        joined.push_str(piece);
        rest = after.trim_start();
    }
    if rest.is_empty() { Ok(joined) } else { Err("has something after its last single quote".to_owned()) }
}

/// Reads `%NAME%`, `%NAME(ARGUMENT)%` and `%NAME(ARGUMENT):LENGTH%`; `%%` is a percent sign.
fn envoy(text: &str) -> Result<Vec<Piece>, String> {
    let text = text.trim_end_matches(['\n', '\r']);
    let text = text.strip_suffix("\\n").unwrap_or(text);
    let mut pieces = Pieces::default();
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        pieces.text(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            pieces.text("%");
            rest = after;
            continue;
        }
        let end = rest.find(['(', '%', ':']).unwrap_or(rest.len());
        let mut stop = end;
        if rest[end..].starts_with('(') {
            stop = end + rest[end..].find(')').ok_or("has a ( without its )")? + 1;
        }
        let (name, after) = rest.split_at(stop);
        let after = match after.strip_prefix(':') {
            Some(length) => length.trim_start_matches(|c: char| c.is_ascii_digit()),
            None => after,
        };
        let known = end > 0 && rest[..end].chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let after = after.strip_prefix('%').filter(|_| known);
        rest = after.ok_or("has a % that begins no %NAME% or %NAME(ARGUMENT)%")?;
        // How a time is written does not matter to its name.
        let name = if name.starts_with("START_TIME(") { "START_TIME" } else { name };
        pieces.field(name.to_ascii_uppercase());
    }
    pieces.text(rest);
    Ok(pieces.0)
}

/// Reads `%[encoding][-][width]{argument}code`, where the argument may also stand last; `%%` is a percent sign.
fn squid(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Pieces::default();
    let mut rest = text.trim_end_matches(['\n', '\r']);
    while let Some(at) = rest.find('%') {
        pieces.text(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            pieces.text("%");
            rest = after;
            continue;
        }
        rest = rest.strip_prefix(['"', '[', '#', '/', '\'']).unwrap_or(rest);
        rest = rest.trim_start_matches('-').trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let mut argument = argument(&mut rest)?;
        rest = ["http::", "ssl::", "adapt::", "icap::", "tls::"]
            .iter()
            .find_map(|s| rest.strip_prefix(*s))
            .unwrap_or(rest);
        let turned = usize::from(rest.starts_with(['<', '>']));
        let letters = rest[turned..].find(|c: char| !c.is_ascii_alphabetic() && c != '_');
        let (code, after) = rest.split_at(letters.map_or(rest.len(), |letters| turned + letters));
        if code.len() == turned {
            return Err("has a % without a code behind it".to_owned());
        }
        rest = after;
        // Only these take an argument; after another code a brace is text.
        if argument.is_none() && (code.ends_with('h') || code.ends_with("ha") || matches!(code, "note" | "tl" | "tg")) {
            argument = self::argument(&mut rest)?;
        }
        // Seconds and their thousandths are one time.
        if code == "ts" {
            rest = rest.strip_prefix(".%03tu").unwrap_or(rest);
        }
        let argument = argument.map_or_else(String::new, |argument| format!("{{{argument}}}"));
        pieces.field(format!("{code}{argument}"));
    }
    pieces.text(rest);
    Ok(pieces.0)
}

fn argument<'t>(rest: &mut &'t str) -> Result<Option<&'t str>, String> {
    let Some(inner) = rest.strip_prefix('{') else { return Ok(None) };
    let (argument, after) = inner.split_once('}').ok_or("has a { without its }")?;
    *rest = after;
    Ok(Some(argument))
}

/// Undoes `\xHH`, `\"`, `\\`, `\/`, `\n`, `\r` and `\t`.
fn unmasked(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'x') => {
                let digits = [bytes.next(), bytes.next()].map(|digit| char::from(digit.unwrap_or(b'?')).to_digit(16));
                match digits {
                    [Some(high), Some(low)] => out.push((high * 16 + low) as u8),
                    _ => out.push(b'?'),
                }
            }
            Some(b'n') => out.push(b'\n'),
            Some(b'r') => out.push(b'\r'),
            Some(b't') => out.push(b'\t'),
            Some(other) => out.push(other),
            None => out.push(b'\\'),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dialect: Dialect, text: &str) -> Vec<String> {
        dialect.pattern(text).unwrap_or_else(|why| panic!("{text}: {why}")).names().map(str::to_owned).collect()
    }

    #[test]
    fn the_usual_forms_are_read() {
        assert_eq!(names(Dialect::Nginx, COMBINED).len(), 8);
        assert_eq!(
            names(Dialect::Envoy, ENVOY)[..3],
            ["START_TIME", "REQ(:METHOD)", "REQ(X-ENVOY-ORIGINAL-PATH?:PATH)"]
        );
        assert_eq!(
            names(Dialect::Squid, NATIVE),
            ["ts", "tr", ">a", "Ss", ">Hs", "<st", "rm", "ru", "un", "Sh", "<a", "mt"]
        );
    }

    #[test]
    fn a_form_is_read_as_it_stands_in_the_configuration_it_comes_from() {
        let pasted = "escape=default '$remote_addr - ${http_x_account} [$time_local] '\n   '\"$request\" $status';";
        assert_eq!(names(Dialect::Nginx, pasted), ["remote_addr", "http_x_account", "time_local", "request", "status"]);
        let custom = "%START_TIME(%Y-%m-%dT%H:%M:%SZ)% %REQ(x-account):64% 100%% %DOWNSTREAM_REMOTE_ADDRESS%\\n";
        assert_eq!(names(Dialect::Envoy, custom), ["START_TIME", "REQ(X-ACCOUNT)", "DOWNSTREAM_REMOTE_ADDRESS"]);
        let custom = r#"%>a %[un [%{%d/%b/%Y:%H:%M:%S %z}tl] "%rm %ru HTTP/%rv" %http::>ha{X-Account} "%{User-Agent}>h" %Ss:%Sh"#;
        assert_eq!(
            names(Dialect::Squid, custom),
            [">a", "un", "tl{%d/%b/%Y:%H:%M:%S %z}", "rm", "ru", "rv", ">ha{X-Account}", ">h{User-Agent}", "Ss", "Sh"]
        );
        assert_eq!(Dialect::Squid.name("{User-Agent}>h"), ">h{User-Agent}");
        assert_eq!(Dialect::Envoy.name("%req(x-account)%"), "REQ(X-ACCOUNT)");
        assert_eq!(Dialect::Nginx.name("$http_x_account"), "http_x_account");
    }

    #[test]
    fn a_form_that_cannot_be_read_is_refused() {
        for (dialect, text) in [
            (Dialect::Nginx, "$a$b"),
            (Dialect::Nginx, "$a $"),
            (Dialect::Nginx, "${a b}"),
            (Dialect::Nginx, "${a"),
            (Dialect::Nginx, "'$a"),
            (Dialect::Nginx, "'$a' x"),
            (Dialect::Nginx, "plain"),
            (Dialect::Envoy, "%START_TIME"),
            (Dialect::Envoy, "%REQ(X"),
            (Dialect::Envoy, "% %"),
            (Dialect::Squid, "%"),
            (Dialect::Squid, "%{x"),
            (Dialect::Squid, "%>a%ru"),
        ] {
            assert!(dialect.pattern(text).is_err(), "{text}");
        }
    }

    #[test]
    fn masks_are_undone() {
        assert_eq!(Dialect::Nginx.unmask(r"bot \x22x\x22 \xC3\xA9 \\"), "bot \"x\" é \\");
        assert_eq!(Dialect::Squid.unmask(r#"bot%20\"x\""#), "bot \"x\"");
        assert_eq!(Dialect::Envoy.unmask(r"a\x22"), r"a\x22");
        assert_eq!(unmasked("\\x2"), "?");
    }

    proptest::proptest! {
        #[test]
        fn no_form_panics(text in r"[$%{}()'a-zA-Z:_<>\[ \\é0-9]{0,30}") {
            for dialect in [Dialect::Nginx, Dialect::Envoy, Dialect::Squid] {
                let _read = dialect.pattern(&text);
                let _named = dialect.name(&text);
                let _value = dialect.unmask(&text);
            }
        }
    }
}
