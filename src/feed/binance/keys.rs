//! What Binance is asked about keys: the rights of the one that asks, and the keys of sub-accounts where it is a master's
//! (<https://developers.binance.com/docs/sub_account/api-management>).

use serde::Deserialize;

use super::gap::{Account, read};
use crate::arrival::Source;
use crate::domain::{Fingerprint, Wallet};
use crate::feed::error::Error;
use crate::feed::key_state::askable;
use crate::feed::outlet::Outlet;
use crate::feed::rest::Answer;
use crate::feed::settings::SubAccounts;
use crate::feed::venues::Venues;

/// Sub-accounts of one page, and keys of one.
const ROWS: (usize, usize) = (200, 100);
/// Pages read of one question.
const PAGES: usize = 10;
/// Keys of one round whose addresses are asked for, at 3,000 of the account's 180,000 weight a minute each.
const ADDRESSES: usize = 60;

#[derive(Deserialize)]
struct SubAccountPage {
    #[serde(default, rename = "subAccounts")]
    sub_accounts: Vec<SubAccount>,
}

#[derive(Deserialize)]
struct SubAccount {
    email: String,
}

#[derive(Deserialize)]
struct KeyPage {
    #[serde(default)]
    rows: Vec<Key>,
}

#[derive(Deserialize)]
struct Key {
    #[serde(alias = "apiKey")]
    apikey: String,
}

/// Asks what the account's key may do, and its sub-accounts' keys, and hands the pages over.
pub(super) async fn inspect(venues: &Venues, account: &Account, outlet: &Outlet) -> Result<(), Error> {
    let asked = Asked { venues, account, outlet };
    let own = match account.ask_of(&Wallet::Spot, venues, "/sapi/v1/account/apiRestrictions", &[], 1).await {
        Ok(own) => own,
        Err(error) => return account.refused.own(&account.id, error),
    };
    let key = Fingerprint::of(account.key.expose());
    asked.pass(own, format!("sapi/v1/account/apiRestrictions?key={key}")).await?;
    match asked.listed().await {
        Ok(()) => Ok(()),
        Err(error) => account.refused.listed(&account.id, error),
    }
}

struct Asked<'a> {
    venues: &'a Venues,
    account: &'a Account,
    outlet: &'a Outlet,
}

impl Asked<'_> {
    async fn pass(&self, answer: Answer, call: String) -> Result<(), Error> {
        let (at, page) = answer.page(call)?;
        self.outlet.pass(at, Source::AccountRest(self.account.id.clone()), page).await
    }

    /// These calls are counted by account, and dearly.
    async fn ask(&self, path: &str, params: &[(&str, String)]) -> Result<Answer, Error> {
        self.venues.binance_sub.ready(1).await;
        self.account.ask_of(&Wallet::Spot, self.venues, path, params, 1).await
    }

    async fn listed(&self) -> Result<(), Error> {
        let wanted = self.venues.settings.sub_accounts.get(&self.account.id);
        let (emails, skipped) = match wanted.unwrap_or(&SubAccounts::None) {
            SubAccounts::None => return Ok(()),
            SubAccounts::All => askable(self.sub_accounts().await?),
            SubAccounts::Named(names) => askable(names.clone()),
        };
        self.account.refused.skipped(&self.account.id, skipped);
        let mut left = ADDRESSES;
        for email in &emails {
            let keys = self.keys(email).await?;
            for key in keys.iter().take(left) {
                self.addresses(email, key).await?;
            }
            left = left.saturating_sub(keys.len());
        }
        Ok(())
    }

    async fn sub_accounts(&self) -> Result<Vec<String>, Error> {
        let mut emails = Vec::new();
        for page in 1..=PAGES {
            let limit = ROWS.0;
            let params = [("page", page.to_string()), ("limit", limit.to_string())];
            let answer = self.ask("/sapi/v1/sub-account/list", &params).await?;
            let rows = read::<SubAccountPage>(&answer.text)?.sub_accounts;
            self.pass(answer, format!("sapi/v1/sub-account/list?page={page}&limit={limit}")).await?;
            let last = rows.len() < limit;
            emails.extend(rows.into_iter().map(|row| row.email));
            if last {
                break;
            }
        }
        Ok(emails)
    }

    /// Reads the keys of a sub-account; returns their ids, which go into the next questions and nowhere else.
    async fn keys(&self, email: &str) -> Result<Vec<String>, Error> {
        let mut keys = Vec::new();
        for page in 1..=PAGES {
            let size = ROWS.1;
            let params = [("email", email.to_owned()), ("page", page.to_string()), ("size", size.to_string())];
            let answer = self.ask("/sapi/v1/sub-account/subAccountApi", &params).await?;
            let rows = read::<KeyPage>(&answer.text)?.rows;
            let call = format!("sapi/v1/sub-account/subAccountApi?email={email}&page={page}&size={size}");
            self.pass(answer, call).await?;
            let last = rows.len() < size;
            keys.extend(rows.into_iter().map(|row| row.apikey));
            if last {
                break;
            }
        }
        Ok(keys)
    }

    async fn addresses(&self, email: &str, key: &str) -> Result<(), Error> {
        let params = [("email", email.to_owned()), ("subAccountApiKey", key.to_owned())];
        let answer = self.ask("/sapi/v1/sub-account/subAccountApi/ipRestriction", &params).await?;
        let key = Fingerprint::of(key);
        self.pass(answer, format!("sapi/v1/sub-account/subAccountApi/ipRestriction?email={email}&key={key}")).await
    }
}
