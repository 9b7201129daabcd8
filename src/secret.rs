//! Keys and passwords that cannot be printed. They sign; they do not hand out their bytes by accident.

use std::fmt;

use zeroize::Zeroizing;

/// A text that must not reach a log, a page, the journal or an error: no `Display`, no `Serialize`, wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a secret text.
    pub fn new(text: String) -> Self {
        Secret(Zeroizing::new(text))
    }

    /// Hands the text to code that signs or signs in with it. Search for this name to see every such place.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}
