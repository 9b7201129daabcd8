//! Hides a channel's secrets in what its server says: servers repeat what they were sent, whole, in part or in another coding.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use zeroize::Zeroizing;

use super::wording::one_line;

/// What stands for a secret.
const HIDDEN: &str = "<redacted>";
/// So many characters of a secret are hidden wherever they stand together, because a repetition may be cut off; of a shorter
/// secret all of it.
const PART: usize = 8;
/// A secret of fewer characters is hidden as a word of its own only: it would be found in many innocent ones.
const WORD: usize = 4;
/// More than this of an answer is not looked at, and not shown either.
const MOST_BYTES: usize = 4_096;

/// The secrets of a channel.
#[derive(Clone, Default)]
pub(super) struct Censor {
    /// In small letters: some servers repeat so.
    secrets: Vec<Zeroizing<Vec<u8>>>,
}

impl Censor {
    /// Adds a secret text and the ways in which it travels.
    pub fn secret(mut self, text: &str) -> Self {
        for coded in [text.to_owned(), STANDARD.encode(text), URL_SAFE.encode(text), escaped(text), decoded(text)] {
            self.add(coded);
        }
        self
    }

    /// Adds what signs in at a mail server (RFC 4616) or over HTTP (RFC 7617).
    pub fn sign_in(mut self, user: &str, password: &str) -> Self {
        // What follows the user's name begins anywhere in a group of three bytes.
        for blob in
            [format!("\0{user}\0{password}"), format!("{user}\0{user}\0{password}"), format!("{user}:{password}")]
        {
            self.add(STANDARD.encode(blob));
        }
        self.secret(password)
    }

    /// Adds what is secret of an address: all but the host, which helps whoever reads of an error.
    pub fn address(mut self, url: &str) -> Self {
        let Ok(parsed) = reqwest::Url::parse(url) else { return self.secret(url) };
        if let Some(password) = parsed.password() {
            self = self.sign_in(&decoded(parsed.username()), &decoded(password)).secret(password);
        } else if !parsed.username().is_empty() {
            self = self.sign_in(&decoded(parsed.username()), "").secret(parsed.username());
        }
        let after = url.split_once("://").map_or(url, |(_, after)| after);
        let written = after.find(['/', '?', '#']).and_then(|at| after.get(at..)).unwrap_or_default();
        let query = parsed.query().map(|query| format!("?{query}")).unwrap_or_default();
        for text in [written.to_owned(), format!("{}{query}", parsed.path())] {
            self.add(decoded(&text));
            self.add(escaped(&text));
            for part in text.split(['/', '?', '&', '=', '#', ':']).filter(|part| is_drawn(part)) {
                self = self.secret(part);
            }
            self.add(text);
        }
        self
    }

    /// Puts what a server said on one line of at most `most` characters, without the secrets.
    pub fn cleaned(&self, text: &str, most: usize) -> String {
        let text = text.get(..text.floor_char_boundary(MOST_BYTES)).unwrap_or_default();
        let hidden = self.hidden(text);
        let mut clean = String::new();
        let mut before = false;
        for (at, c) in text.char_indices() {
            let hides = hidden.iter().skip(at).take(c.len_utf8()).any(|hides| *hides);
            match (before, hides) {
                (false, true) => clean.push_str(HIDDEN),
                (_, true) => {}
                (_, false) => clean.push(c),
            }
            before = hides;
        }
        one_line(&clean, most)
    }

    /// Says of each byte whether it is part of a secret.
    fn hidden(&self, text: &str) -> Vec<bool> {
        let text = text.to_ascii_lowercase().into_bytes();
        let mut hidden = vec![false; text.len()];
        for secret in &self.secrets {
            let least = secret.len().min(PART);
            // Of each place of the secret, how many bytes up to there stand before this place of the text.
            let mut runs = vec![0_usize; secret.len() + 1];
            for (at, byte) in text.iter().enumerate() {
                for place in (0..secret.len()).rev() {
                    let run =
                        if secret.get(place) == Some(byte) { runs.get(place).map_or(0, |run| run + 1) } else { 0 };
                    if let Some(slot) = runs.get_mut(place + 1) {
                        *slot = run;
                    }
                    if run >= least && (secret.len() >= WORD || stands_alone(&text, at + 1 - run, at + 1)) {
                        let from = at + 1 - run;
                        hidden.iter_mut().take(at + 1).skip(from).for_each(|hides| *hides = true);
                    }
                }
            }
        }
        hidden
    }

    fn add(&mut self, text: String) {
        let text = Zeroizing::new(text);
        let small = Zeroizing::new(text.to_ascii_lowercase().into_bytes());
        // A slash alone is no secret.
        if small.iter().any(u8::is_ascii_alphanumeric) && !self.secrets.contains(&small) {
            self.secrets.push(small);
        }
    }
}

impl std::fmt::Debug for Censor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(HIDDEN)
    }
}

/// Says whether a part of an address looks drawn by lot rather than chosen: words such as `alerts` are in honest answers too.
fn is_drawn(part: &str) -> bool {
    part.len() >= PART || (part.len() >= WORD && part.contains(|c: char| c.is_ascii_digit() || c.is_ascii_uppercase()))
}

/// Says whether no letter or digit goes on before `from` or after `to`.
fn stands_alone(text: &[u8], from: usize, to: usize) -> bool {
    let goes_on = |at: Option<&u8>| at.is_some_and(u8::is_ascii_alphanumeric);
    !goes_on(from.checked_sub(1).and_then(|at| text.get(at))) && !goes_on(text.get(to))
}

/// Writes a text as it stands in quotes.
fn escaped(text: &str) -> String {
    text.escape_debug().to_string()
}

/// Reads `%41` as `A`; what is not so written stays.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let digits = digits.filter(|digits| *first == b'%' && digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWORD: &str = "correct-Horse \"battery\" 9";
    const HOOK: &str = "https://hooks.example.org/services/T0AB12/B9/canary%2BToken99?sig=Zx81&note=plain";

    fn said(censor: &Censor, text: &str) -> String {
        censor.cleaned(text, 300)
    }

    #[test]
    fn a_password_is_hidden_as_it_is_in_quotes_coded_in_another_case_and_cut_off() {
        let censor = Censor::default().sign_in("guard@example.org", PASSWORD);
        let plain = STANDARD.encode(format!("\0guard@example.org\0{PASSWORD}"));
        for (text, told) in [
            (format!("535 no: {PASSWORD}, sorry"), "535 no: <redacted>, sorry"),
            (format!("535 no: {PASSWORD:?}"), "535 no: \"<redacted>\""),
            (format!("535 no: {}", PASSWORD.to_uppercase()), "535 no: <redacted>"),
            (format!("500 unrecognised: AUTH PLAIN {plain}"), "500 unrecognised: AUTH PLAIN <redacted>"),
            (format!("500 {}...", plain.get(..20).unwrap()), "500 <redacted>..."),
            (format!("500 {}", plain.get(9..19).unwrap()), "500 <redacted>"),
            (format!("535 {}", STANDARD.encode(PASSWORD)), "535 <redacted>"),
            ("535 correct-Hor".to_owned(), "535 <redacted>"),
            ("535 guard@example.org is correct, a horse".to_owned(), "535 guard@example.org is correct, a horse"),
        ] {
            assert_eq!(said(&censor, &text), told);
        }
    }

    #[test]
    fn a_short_secret_is_hidden_as_a_word() {
        let censor = Censor::default().secret("ab");
        assert_eq!(said(&censor, "'ab' is not about AB"), "'<redacted>' is not about <redacted>");
        assert_eq!(said(&Censor::default().secret(""), "as it is"), "as it is");
    }

    #[test]
    fn of_an_address_all_but_the_host_is_hidden() {
        let censor = Censor::default().address(HOOK);
        for (text, told) in [
            (format!("no route for {HOOK}"), "no route for https://hooks.example.org<redacted>"),
            ("Cannot POST /services/T0AB12/B9/canary%2BToken99".to_owned(), "Cannot POST <redacted>"),
            ("no hook canary+Token99".to_owned(), "no hook <redacted>"),
            ("workspace t0ab12 is gone".to_owned(), "workspace <redacted> is gone"),
            ("bad signature \"Zx81\"".to_owned(), "bad signature \"<redacted>\""),
            ("ces/T0AB12/B9/can".to_owned(), "<redacted>"),
            ("hooks.example.org: a note in plain words".to_owned(), "hooks.example.org: a note in plain words"),
        ] {
            assert_eq!(said(&censor, &text), told, "{text}");
        }
        let signed = Censor::default().address("https://me:p%40ssw0rd@example.org/");
        assert_eq!(said(&signed, "p@ssw0rd and p%40ssw0rd of example.org"), "<redacted> and <redacted> of example.org");
        assert_eq!(said(&signed, &format!("Basic {}", STANDARD.encode("me:p@ssw0rd"))), "Basic <redacted>");
        let alerts = Censor::default().address("http://127.0.0.1:9093/api/v2/alerts");
        assert_eq!(said(&alerts, "alerts need a start"), "alerts need a start");
    }

    #[test]
    fn a_long_answer_and_letters_of_several_bytes_are_no_harm() {
        let censor = Censor::default().secret("pässwörter");
        assert_eq!(said(&censor, "«pässwörter»"), "«<redacted>»");
        assert_eq!(censor.cleaned(&"ä".repeat(9_000), 5), "ääää…");
    }
}
