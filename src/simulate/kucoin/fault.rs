//! KuCoin's errors: a code of six digits and a sentence, under an HTTP status that is not always an error's.

use serde_json::{Value, json};

use crate::simulate::broken::How;

/// A refusal as KuCoin words it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The HTTP status.
    pub status: u16,
    /// The code.
    pub code: &'static str,
    /// The sentence.
    pub msg: String,
}

impl Fault {
    /// Words a refusal.
    pub fn new(status: u16, code: &'static str, msg: &str) -> Self {
        Fault { status, code, msg: msg.to_owned() }
    }

    /// A header is missing.
    pub fn headers() -> Self {
        let msg =
            "Please check the header of your request for KC-API-KEY, KC-API-SIGN, KC-API-TIMESTAMP, KC-API-PASSPHRASE";
        Fault::new(401, "400001", msg)
    }

    /// The time is too far from the server's.
    pub fn timestamp() -> Self {
        Fault::new(400, "400002", "KC-API-TIMESTAMP Invalid")
    }

    /// The key does not exist, or not any more.
    pub fn key() -> Self {
        Fault::new(401, "400003", "KC-API-KEY not exists")
    }

    /// The passphrase is wrong.
    pub fn passphrase() -> Self {
        Fault::new(401, "400004", "Invalid KC-API-PASSPHRASE")
    }

    /// The signature is wrong.
    pub fn sign() -> Self {
        Fault::new(401, "400005", "Invalid KC-API-SIGN")
    }

    /// The key may not do this.
    pub fn permission() -> Self {
        Fault::new(200, "400007", "Access denied, require more permission")
    }

    /// Words what a broken key is answered; nothing for what KuCoin does not know, or refuses in one place only.
    pub fn of(how: How) -> Option<Self> {
        Some(match how {
            How::Secret => Fault::sign(),
            How::Passphrase => Fault::passphrase(),
            How::Right | How::SubAccount => Fault::permission(),
            How::Address => Fault::new(401, "400006", "The requested ip address is not in the api whitelist"),
            How::Deleted | How::Unknown | How::Form => Fault::key(),
            How::Clock => Fault::timestamp(),
            How::Unsigned => Fault::headers(),
            How::Frozen => Fault::new(200, "411100", "User is frozen."),
            How::Identity => Fault::new(200, "400303", "Please complete identity verification first"),
            How::Unified | How::Portfolio => return None,
        })
    }

    /// A parameter is missing or wrong. KuCoin says this with HTTP 200.
    pub fn param(msg: &str) -> Self {
        Fault::new(200, "400100", msg)
    }

    /// Returns the envelope.
    pub fn value(&self) -> Value {
        json!({"code": self.code, "msg": self.msg})
    }
}
