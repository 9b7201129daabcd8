//! Which of KuCoin's two private feeds carries an account's fills
//! (<https://www.kucoin.com/docs-new/rest/ua/get-account-mode>).

use serde::Deserialize;

use super::asker::Asker;
use super::read;
use crate::feed::error::{Error, Meaning, Refusal};

/// What asking is paid with: KuCoin counts it as 30, of the smaller pool that unified calls have.
const COST: u32 = 90;

/// Which feed carries the account's fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Spot, margin and futures wallets apart.
    Classic,
    /// One wallet for all.
    Unified,
}

/// What KuCoin says when it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// The mode.
    Is(Mode),
    /// It does not tell this key.
    Untold(Refusal),
}

#[derive(Deserialize)]
struct Answer {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "selfAccountMode")]
    mode: String,
}

/// Asks for the mode. Fails when the key is refused as a whole, and when nobody answers: neither says that the account
/// is a classic one.
pub(super) async fn ask(asker: &Asker) -> Result<Told, Error> {
    for path in ["/api/ua/v1/account/mode", "/api/ua/v2/account/mode"] {
        match asker.get(path, COST).await {
            Ok(answer) => {
                return match read::<Answer>(&answer.text)?.data.mode.as_str() {
                    "CLASSIC" => Ok(Told::Is(Mode::Classic)),
                    "UNIFIED" => Ok(Told::Is(Mode::Unified)),
                    _ => Ok(Told::Untold(Refusal::kucoin("unknown-mode"))),
                };
            }
            Err(Error::Http(404)) => {}
            Err(Error::Refused(refusal)) => match refusal.meaning {
                Meaning::Unknown => {}
                Meaning::Right | Meaning::Other => return Ok(Told::Untold(refusal)),
                Meaning::Key
                | Meaning::Form
                | Meaning::KeySecretOrAddress
                | Meaning::KeyRightOrAddress
                | Meaning::Secret
                | Meaning::Passphrase
                | Meaning::Address
                | Meaning::UnifiedRight
                | Meaning::WalletRight
                | Meaning::Frozen
                | Meaning::Identity
                | Meaning::Unsigned
                | Meaning::Clock
                | Meaning::Token
                | Meaning::Busy => return Err(Error::Refused(refusal)),
            },
            Err(error) => return Err(error),
        }
    }
    // A host that knows neither call has no unified accounts.
    Ok(Told::Is(Mode::Classic))
}
