//! What KuCoin is asked about keys: the one that asks, and those of sub-accounts where it is a master's.

use serde::Deserialize;

use super::account::Private;
use super::read;
use crate::arrival::Source;
use crate::feed::error::Error;
use crate::feed::key_state::askable;
use crate::feed::outlet::Outlet;
use crate::feed::rest::Answer;
use crate::feed::settings::SubAccounts;
use crate::feed::sign::percent_encode;

/// Sub-accounts of one page.
const ROWS: usize = 100;
/// Pages read of the list of sub-accounts.
const PAGES: usize = 10;
/// What these calls cost of the account's 4,000 in 30 s.
const COST: u32 = 20;

#[derive(Deserialize)]
struct Users {
    data: Option<UserPage>,
}

#[derive(Deserialize)]
struct UserPage {
    #[serde(default)]
    items: Vec<User>,
}

#[derive(Deserialize)]
struct User {
    #[serde(rename = "subName")]
    name: String,
}

/// Asks what the account's key may do, and its sub-accounts' keys, and hands the pages over.
pub(super) async fn inspect(account: &Private, outlet: &Outlet) -> Result<(), Error> {
    let asked = Asked { account, outlet };
    let own = match asked.ask("/api/v1/user/api-key").await {
        Ok(own) => own,
        Err(error) => return account.refused.own(&account.id, error),
    };
    asked.pass(own, format!("user/api-key?key={}", account.asker.proven().signer().fingerprint())).await?;
    match asked.listed().await {
        Ok(()) => Ok(()),
        Err(error) => account.refused.listed(&account.id, error),
    }
}

struct Asked<'a> {
    account: &'a Private,
    outlet: &'a Outlet,
}

impl Asked<'_> {
    async fn ask(&self, path: &str) -> Result<Answer, Error> {
        self.account.asker.proven().get(path, COST).await
    }

    async fn pass(&self, answer: Answer, call: String) -> Result<(), Error> {
        let (at, page) = answer.page(call)?;
        self.outlet.pass(at, Source::AccountRest(self.account.id.clone()), page).await
    }

    async fn listed(&self) -> Result<(), Error> {
        let account = self.account;
        let wanted = account.venues.settings.sub_accounts.get(&account.id);
        let (names, skipped) = match wanted.unwrap_or(&SubAccounts::None) {
            SubAccounts::None => return Ok(()),
            SubAccounts::All => askable(self.sub_accounts().await?),
            SubAccounts::Named(names) => askable(names.clone()),
        };
        account.refused.skipped(&account.id, skipped);
        for name in &names {
            let answer = self.ask(&format!("/api/v1/sub/api-key?subName={}", percent_encode(name))).await?;
            self.pass(answer, format!("sub/api-key?subName={name}")).await?;
        }
        Ok(())
    }

    async fn sub_accounts(&self) -> Result<Vec<String>, Error> {
        let mut names = Vec::new();
        for page in 1..=PAGES {
            let path = format!("/api/v2/sub/user?currentPage={page}&pageSize={ROWS}");
            let answer = self.ask(&path).await?;
            let rows = read::<Users>(&answer.text)?.data.map(|data| data.items).unwrap_or_default();
            self.pass(answer, path.trim_start_matches("/api/").to_owned()).await?;
            let last = rows.len() < ROWS;
            names.extend(rows.into_iter().map(|row| row.name));
            if last {
                break;
            }
        }
        Ok(names)
    }
}
