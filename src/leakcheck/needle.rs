//! What a key's parts look like in a dump: plain, base64 at its three alignments, hexadecimal, percent-encoded, with
//! JSON's escapes, in UTF-16, and for PEM keys line by line.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use compact_str::CompactString;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// Bytes of the shortest spelling that is looked for: what is shorter stands in every text.
pub(super) const SHORTEST: usize = 6;
/// Bytes of a spelling that are compared; a private key is longer, and found by its beginning.
const LONGEST: usize = 256;
/// Bytes that all private keys of one kind begin with, in base64.
const PEM_PREFIX: usize = 24;

/// Which part of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Its id: half of what a thief needs.
    KeyId,
    /// Its secret.
    Secret,
    /// Its passphrase. People choose these, so one may be found that is not meant.
    Passphrase,
}

/// One spelling of one part of one key.
#[derive(Clone)]
pub struct Needle {
    /// Whose key, `binance/alice`, and where it is used if not for watching.
    pub account: CompactString,
    /// Which part of it.
    pub part: Part,
    /// How it is spelled: `plain`, `base64`, `hex` and so on.
    pub spelling: &'static str,
    pub(super) bytes: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Needle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Needle({} {} {}, <redacted>)", self.account, self.part, self.spelling)
    }
}

impl Part {
    /// Returns the words used in output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Part::KeyId => "key id",
            Part::Secret => "secret",
            Part::Passphrase => "passphrase",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Returns every spelling of a key's part; none where it is too short to mean anything.
pub fn spellings(account: &str, part: Part, secret: &Secret) -> Vec<Needle> {
    let text = Zeroizing::new(secret.expose().trim().replace("\\n", "\n"));
    let mut found: Vec<Needle> = Vec::new();
    let mut add = |spelling: &'static str, bytes: &[u8]| {
        let bytes = &bytes[..bytes.len().min(LONGEST)];
        if bytes.len() >= SHORTEST && !found.iter().any(|known| known.bytes.as_slice() == bytes) {
            let bytes = Zeroizing::new(bytes.to_vec());
            found.push(Needle { account: account.into(), part, spelling, bytes });
        }
    };
    if text.trim_start().starts_with("-----BEGIN") {
        pem(&text, &mut add);
        return found;
    }
    if text.len() < SHORTEST {
        return found;
    }
    add("plain", text.as_bytes());
    // Coinbase's ids are paths that end in the key's own number, and are often kept without the path.
    if let (Part::KeyId, Some((_, last))) = (part, text.rsplit_once('/'))
        && last.len() >= 32
    {
        add("plain, its last part", last.as_bytes());
    }
    for alignment in 0..3 {
        for text in base64_of(text.as_bytes(), alignment) {
            add("base64", text.as_bytes());
        }
    }
    let hex: Zeroizing<String> = Zeroizing::new(text.bytes().map(|byte| format!("{byte:02x}")).collect());
    add("hex", hex.as_bytes());
    add("hex", hex.to_uppercase().as_bytes());
    let percent = Zeroizing::new(crate::feed::sign::percent_encode(&text));
    add("percent-encoded", percent.as_bytes());
    add("percent-encoded", small_percents(&percent).as_bytes());
    if let Ok(json) = serde_json::to_string(text.as_str()).map(Zeroizing::new) {
        let json = json.trim_matches('"');
        add("JSON", json.as_bytes());
        add("JSON", Zeroizing::new(json.replace('/', "\\/")).as_bytes());
    }
    let wide: Zeroizing<Vec<u8>> = Zeroizing::new(text.bytes().flat_map(|byte| [byte, 0]).collect());
    add("UTF-16", &wide);
    found
}

/// A PEM key: its lines, its body in one piece, and the bytes it stands for.
fn pem(text: &str, add: &mut impl FnMut(&'static str, &[u8])) {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.starts_with("-----")).collect();
    let body = Zeroizing::new(lines.concat());
    // All keys of a kind begin alike; what follows is this one.
    let own = body.get(PEM_PREFIX..).unwrap_or(&body);
    add("PEM in one line", own.as_bytes());
    for (place, line) in lines.iter().enumerate() {
        let line = if place == 0 { line.get(PEM_PREFIX..).unwrap_or_default() } else { line };
        if line.len() >= 16 {
            add("PEM", line.as_bytes());
        }
    }
    if let Ok(der) = base64::engine::general_purpose::STANDARD.decode(body.as_bytes()).map(Zeroizing::new) {
        let own = der.get(PEM_PREFIX..).unwrap_or(&der);
        add("DER", own);
        let hex: Zeroizing<String> = Zeroizing::new(own.iter().map(|byte| format!("{byte:02x}")).collect());
        add("hex", hex.as_bytes());
        add("hex", hex.to_uppercase().as_bytes());
    }
    // A file of JSON or of variables that was packed as a whole: the body again, in base64 of base64.
    for alignment in 0..3 {
        for text in base64_of(own.as_bytes(), alignment) {
            add("base64", text.as_bytes());
        }
    }
}

/// Returns the characters that bytes certainly have in a base64 text, where so many bytes of their first group of three
/// come before them; in both alphabets.
fn base64_of(bytes: &[u8], alignment: usize) -> [Zeroizing<String>; 2] {
    let mut padded = Zeroizing::new(vec![0; alignment]);
    padded.extend_from_slice(bytes);
    let (from, to) = ((8 * alignment).div_ceil(6), 8 * padded.len() / 6);
    let cut = |text: String| Zeroizing::new(Zeroizing::new(text).get(from..to).unwrap_or_default().to_owned());
    [cut(STANDARD_NO_PAD.encode(&*padded)), cut(URL_SAFE_NO_PAD.encode(&*padded))]
}

/// Returns a percent-encoded text with small hexadecimal digits.
fn small_percents(text: &str) -> Zeroizing<String> {
    let mut small = Zeroizing::new(String::with_capacity(text.len()));
    let mut left = 0;
    for character in text.chars() {
        match character {
            '%' => left = 3,
            _ => left = usize::saturating_sub(left, 1),
        }
        small.push(if left > 0 { character.to_ascii_lowercase() } else { character });
    }
    small
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needles(text: &str) -> Vec<(&'static str, String)> {
        let found = spellings("binance/alice", Part::Secret, &Secret::new(text.into()));
        found.into_iter().map(|one| (one.spelling, String::from_utf8_lossy(&one.bytes).into_owned())).collect()
    }

    #[test]
    fn each_alignment_of_base64_has_the_characters_that_no_neighbour_changes() {
        let secret = "a-secret/with+signs=";
        let known = needles(secret);
        for before in ["", "x", "xy", "xyz", "some words "] {
            for after in ["", "&", "\"}", " and more"] {
                let packed = base64::engine::general_purpose::STANDARD.encode(format!("{before}{secret}{after}"));
                assert!(
                    known.iter().any(|(how, text)| *how == "base64" && packed.contains(text.as_str())),
                    "{before:?} {after:?} {packed}"
                );
            }
        }
    }

    #[test]
    fn percent_and_json_spellings_differ_only_where_they_must() {
        let known = needles("ab/cd+ef\"gh");
        let texts: Vec<&str> = known.iter().map(|(_, text)| text.as_str()).collect();
        for wanted in ["ab%2Fcd%2Bef%22gh", "ab%2fcd%2bef%22gh", "ab/cd+ef\\\"gh", "ab\\/cd+ef\\\"gh"] {
            assert!(texts.contains(&wanted), "{wanted}: {texts:?}");
        }
        assert!(needles("abcdef").iter().filter(|(_, text)| text == "abcdef").count() == 1);
        assert!(needles("abc").is_empty());
    }

    #[test]
    fn nothing_of_a_needle_is_printed() {
        let found = spellings("binance/alice", Part::Secret, &Secret::new("not-a-real-secret".into()));
        assert!(!format!("{found:?}").contains("not-a-real") && found.len() > 5);
    }
}
