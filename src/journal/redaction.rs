//! Keeps secrets and the ids of keys out of what is written down.

use std::borrow::Cow;

use crate::domain::Fingerprint;

/// What stands in a secret's place.
const REDACTED: &str = "<redacted>";

/// Keys whose text is a secret, in small letters without `-` and `_`. Where they come from: `token` in KuCoin's
/// bullet reply, `listenKey` and `listenToken` at Binance, `jwt` and `signature` in Coinbase subscriptions,
/// `secretKey`, `apiSecret` and `passphrase` in replies to key creation, the rest in access logs that keep headers.
const SECRET: [&str; 17] = [
    "accesstoken",
    "apisecret",
    "authorization",
    "clientsecret",
    "cookie",
    "jwt",
    "listenkey",
    "listentoken",
    "passphrase",
    "password",
    "privatekey",
    "refreshtoken",
    "secret",
    "secretkey",
    "sign",
    "signature",
    "token",
];

/// One of these stands in every text that has a secret key. An ordinary frame has none, and costs only this search.
/// `\u00` is there because a key may be spelled with escapes.
const HINTS: [&str; 20] = [
    "oken",
    "istenKey",
    "jwt",
    "ecret",
    "assphrase",
    "ign",
    "C-API-",
    "c-api-",
    "-ACCESS-",
    "-access-",
    "assword",
    "rivate",
    "uthorization",
    "ookie",
    "\\u00",
    "piKey",
    "pikey",
    "pi_key",
    "pi-key",
    "PI",
];

/// The longest spelling of a secret key that is looked at, in bytes.
const LONGEST_KEY: usize = 120;

/// What to do with the text under a key.
enum Verdict {
    Keep,
    Hide,
    /// It is the id of an API key: no secret by itself, but half of one, and what a thief looks for.
    Fingerprint,
}

/// Replaces the text under every key that names a secret by `<redacted>`, a key's id by its fingerprint
/// (`<redacted:ab12cd34>`, so that two keys stay apart), and leaves every other byte as it was. Works on JSON, on
/// JSON inside a JSON text, on broken JSON, and on the parameters of addresses (`?listenKey=...`).
pub fn redact(text: String) -> String {
    redacted(&text).unwrap_or(text)
}

/// Returns the text without its secrets, or nothing when it has none.
pub(super) fn redacted(text: &str) -> Option<String> {
    if !HINTS.iter().any(|hint| text.contains(hint)) {
        return None;
    }
    let named = under_keys(text);
    in_addresses(named.as_deref().unwrap_or(text)).or(named)
}

/// Returns the text without what stands under secret keys of JSON, or nothing when it has none.
fn under_keys(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = String::new();
    let (mut kept, mut at) = (0, 0);
    // Every quotation mark is tried as the start of a key, so that one stray mark cannot hide what follows it.
    // In valid JSON that finds keys only: between a closing mark and the next opening one stands no name.
    while let Some(open) = find(bytes, at, b'"') {
        at = open + 1;
        let depth = backslashes(bytes, open);
        let Some(close) = closing(bytes, at, depth, LONGEST_KEY) else { continue };
        let Some(key) = text.get(at..close - depth) else { continue };
        let verdict = verdict(key);
        if matches!(verdict, Verdict::Keep) {
            continue;
        }
        let Some(value) = value_of(bytes, close + 1, depth) else { continue };
        let end = closing(bytes, value, depth, usize::MAX).map_or(bytes.len(), |end| end - depth);
        out.push_str(text.get(kept..value).unwrap_or_default());
        out.push_str(&hidden(&verdict, text.get(value..end).unwrap_or_default()));
        (kept, at) = (end, end);
    }
    if kept == 0 {
        return None;
    }
    out.push_str(text.get(kept..).unwrap_or_default());
    Some(out)
}

/// Returns the text without the secret parameters of addresses in it, or nothing when it has none. Software that keeps its
/// access log in JSON writes whole addresses there, and exchanges take keys, tokens and signatures as parameters.
fn in_addresses(text: &str) -> Option<String> {
    let mut out = String::new();
    let (mut kept, mut at) = (0, 0);
    while let Some(begins) = parameter(&text[at..]).map(|found| at + found) {
        at = begins;
        let rest = &text[at..];
        // What writers of HTML make of an ampersand.
        let skipped = rest.len() - rest.strip_prefix("amp;").unwrap_or(rest).len();
        let name_ends = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && !matches!(letter, '-' | '_' | ';'));
        let Some(name_ends) = name_ends.filter(|ends| *ends >= skipped && rest[*ends..].starts_with('=')) else {
            continue;
        };
        let verdict = verdict(&rest[skipped..name_ends]);
        if matches!(verdict, Verdict::Keep) {
            continue;
        }
        let value = at + name_ends + 1;
        let ends = |letter: char| matches!(letter, '&' | '#' | '"' | '\'' | '\\' | '<' | '>') || letter.is_whitespace();
        let end = text[value..].find(ends).map_or(text.len(), |length| value + length);
        if end > value {
            out.push_str(&text[kept..value]);
            out.push_str(&hidden(&verdict, &text[value..end]));
            kept = end;
        }
        at = end;
    }
    (kept > 0).then(|| out + &text[kept..])
}

/// Returns where the next parameter of an address may begin. Some writers of JSON escape the ampersand.
fn parameter(text: &str) -> Option<usize> {
    let escaped = text.find("\\u0026").map(|mark| mark + 6);
    let plain = text[..escaped.unwrap_or(text.len())].find(['?', '&']).map(|mark| mark + 1);
    plain.or(escaped)
}

/// What stands in the place of `secret`.
fn hidden(verdict: &Verdict, secret: &str) -> Cow<'static, str> {
    match verdict {
        Verdict::Keep | Verdict::Hide => Cow::Borrowed(REDACTED),
        Verdict::Fingerprint if secret.is_empty() => Cow::Borrowed(""),
        Verdict::Fingerprint => Cow::Owned(Fingerprint::of(secret).redacted().into_string()),
    }
}

/// Returns whether a key names a secret, however it is spelled: `secretKey`, `secret_key`, `KC-API-SIGN`; or an id, as
/// `apiKey` of KuCoin, `apikey` and `subAccountApiKey` of Binance, and `X-MBX-APIKEY` do.
fn verdict(key: &str) -> Verdict {
    let unescaped = match key.contains("\\u") {
        true => serde_json::from_str::<String>(&format!("\"{key}\"")).ok(),
        false => None,
    };
    let name: String = unescaped
        .as_deref()
        .unwrap_or(key)
        .chars()
        .filter(|letter| !matches!(letter, '-' | '_'))
        .map(|letter| letter.to_ascii_lowercase())
        .collect();
    // `KC-API-...` are KuCoin's headers, `CB-ACCESS-...` those of Coinbase Exchange.
    if name.starts_with("kcapi") || name.starts_with("cbaccess") || SECRET.contains(&name.as_str()) {
        Verdict::Hide
    } else if name.ends_with("apikey") {
        Verdict::Fingerprint
    } else {
        Verdict::Keep
    }
}

/// Returns where the text under a key begins, if a text is under it.
fn value_of(bytes: &[u8], after_key: usize, depth: usize) -> Option<usize> {
    let colon = skip_space(bytes, after_key);
    if bytes.get(colon) != Some(&b':') {
        return None;
    }
    let open = skip_space(bytes, colon + 1) + depth;
    (bytes.get(open) == Some(&b'"') && backslashes(bytes, open) == depth).then_some(open + 1)
}

/// Returns the mark that closes a text opened by a mark after `depth` backslashes (0 in JSON, 1 in JSON inside a
/// text, 3 one level deeper). Inside it, a mark or backslash of its own has `depth + 1` backslashes more.
fn closing(bytes: &[u8], from: usize, depth: usize, within: usize) -> Option<usize> {
    let end = bytes.len().min(from.saturating_add(within));
    let mut at = from;
    while let Some(mark) = find(&bytes[..end], at, b'"') {
        let run = backslashes(bytes, mark).min(mark - from);
        if run % (2 * (depth + 1)) == depth {
            return Some(mark);
        }
        at = mark + 1;
    }
    None
}

fn find(bytes: &[u8], from: usize, byte: u8) -> Option<usize> {
    bytes.get(from..)?.iter().position(|found| *found == byte).map(|at| from + at)
}

fn backslashes(bytes: &[u8], before: usize) -> usize {
    bytes[..before].iter().rev().take_while(|byte| **byte == b'\\').count()
}

fn skip_space(bytes: &[u8], from: usize) -> usize {
    from + bytes.get(from..).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(redact(text.to_owned()), expected);
    }

    #[test]
    fn every_secret_key_loses_its_text_and_nothing_else_changes() {
        for key in [
            "token",
            "listenKey",
            "listenToken",
            "jwt",
            "secretKey",
            "secret",
            "apiSecret",
            "passphrase",
            "signature",
            "sign",
            "KC-API-SIGN",
            "KC-API-PASSPHRASE",
            "KC-API-KEY",
            "kc-api-sign",
            "CB-ACCESS-KEY",
            "cb-access-passphrase",
            "secret_key",
            "tok\\u0065n",
        ] {
            check(
                &format!("{{ \"a\":1.50,\"{key}\" :\t\"s3\\\"cr\\\\et\\\\\" ,\"b\":[\"x\"]}}"),
                &format!("{{ \"a\":1.50,\"{key}\" :\t\"<redacted>\" ,\"b\":[\"x\"]}}"),
            );
        }
    }

    #[test]
    fn the_id_of_a_key_becomes_a_name_that_tells_two_apart() {
        let hidden = |id: &str| Fingerprint::of(id).redacted();
        for key in ["apiKey", "apikey", "subAccountApiKey", "api_key", "X-MBX-APIKEY", "API-KEY"] {
            let page = |one: &str, other: &str| format!(r#"[{{"{key}":"{one}","a":1}},{{"{key}": "{other}"}}]"#);
            check(&page("id-one", "id-two"), &page(&hidden("id-one"), &hidden("id-two")));
        }
        assert_ne!(hidden("id-one"), hidden("id-two"));
        check(
            r#"{"apiKey":"","apiKeys":"x","apiKeyVersion":"3"}"#,
            r#"{"apiKey":"","apiKeys":"x","apiKeyVersion":"3"}"#,
        );
        check(r#"{"apiKey":"<redacted:ab12cd34>"}"#, r#"{"apiKey":"<redacted:ab12cd34>"}"#);
    }

    #[test]
    fn a_bullet_reply_keeps_its_servers() {
        check(
            r#"{"code":"200000","data":{"token":"2neAiuYvAU61ZD","instanceServers":[{"endpoint":"wss://x/","pingInterval":18000}]}}"#,
            r#"{"code":"200000","data":{"token":"<redacted>","instanceServers":[{"endpoint":"wss://x/","pingInterval":18000}]}}"#,
        );
    }

    #[test]
    fn parameters_of_addresses_lose_their_secrets() {
        check(
            r#"{"uri":"/api/v3/order?symbol=APPCBTC&timestamp=17&signature=ab12%3D&recvWindow=5","n":1}"#,
            r#"{"uri":"/api/v3/order?symbol=APPCBTC&timestamp=17&signature=<redacted>&recvWindow=5","n":1}"#,
        );
        check(
            "10.0.0.1 GET /stream?token=2neAiu==&connectId=7 HTTP/1.1",
            "10.0.0.1 GET /stream?token=<redacted>&connectId=7 HTTP/1.1",
        );
        check("DELETE /v1/sub?apiPassphrase=x&passphrase=abc", "DELETE /v1/sub?apiPassphrase=x&passphrase=<redacted>");
        check(r#"{"u":"/a?listenKey=k\"}"#, r#"{"u":"/a?listenKey=<redacted>\"}"#);
        check(r"?a=1\u0026sign=00\u0026b=2", r"?a=1\u0026sign=<redacted>\u0026b=2");
        check("?a=1&amp;signature=00&amp;b=2", "?a=1&amp;signature=<redacted>&amp;b=2");
        let id = format!("/x?apiKey={}", Fingerprint::of("id-one").redacted());
        check("/x?apiKey=id-one", &id);
        for text in
            ["?design=1&tokens=2", "what is a token? a=b", "signature=1", "?signature", "?token=&x=1", "?é=1&token"]
        {
            check(text, text);
        }
    }

    #[test]
    fn words_that_only_look_alike_stay() {
        for text in [
            r#"{"tokens":"a","design":"b","note":"token","assign":"c"}"#,
            r#"{"token":5,"sign":null,"secret":{"a":"b"},"jwt":["c"]}"#,
            r#"["token","value"]"#,
            r#"{"x":"token\":\"v"}"#,
            "",
            "\"",
            "\"token\"",
            "\"token\":",
            "\"token\":\\",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn a_secret_in_a_json_text_or_in_broken_json_goes_too() {
        check(r#"{"d":"{\"token\":\"ab\\\"c\",\"x\":1}"}"#, r#"{"d":"{\"token\":\"<redacted>\",\"x\":1}"}"#);
        check(
            r#"{"d":"{\"e\":\"{\\\"jwt\\\":\\\"x\\\"}\"}"}"#,
            r#"{"d":"{\"e\":\"{\\\"jwt\\\":\\\"<redacted>\\\"}\"}"}"#,
        );
        check(r#"5" {"token":"abc"#, r#"5" {"token":"<redacted>"#);
        check(r#"{"token":"a","secret":"b"}"#, r#"{"token":"<redacted>","secret":"<redacted>"}"#);
        check(r#"{"token":""}"#, r#"{"token":"<redacted>"}"#);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_text_survives_and_twice_is_once(text in r#"["\\:{}?&=<>, tokenjw\u{e9}]{0,60}"#) {
            let once = redact(text);
            prop_assert_eq!(redact(once.clone()), once);
        }

        #[test]
        fn whatever_the_secret_was_it_is_gone_and_the_rest_is_not(secret in "\\PC{0,40}", other in "\\PC{0,40}") {
            let frame = |text: &str| serde_json::json!({ "a": other, "token": text, "z": [other, 1.5] }).to_string();
            prop_assert_eq!(redact(frame(&secret)), frame(REDACTED));
        }
    }
}
