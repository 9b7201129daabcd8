//! What Coinbase is asked about keys: the rights of the one that asks. It tells nothing else
//! (<https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/data-api/get-api-key-permissions>).

use super::account::{User, refused};
use crate::arrival::Source;
use crate::domain::Timestamp;
use crate::feed::error::Error;
use crate::feed::outlet::Outlet;
use crate::feed::rest::Call;

const PATH: &str = "/api/v3/brokerage/key_permissions";

/// Asks what the key may do, and hands the page over.
pub(super) async fn inspect(user: &User, outlet: &Outlet) -> Result<(), Error> {
    let rest = &user.venues.coinbase;
    let sign = || {
        let uri = format!("GET {}{PATH}", rest.host());
        let token = user.signer.proven().token(Timestamp::from_millis(rest.millis()), Some(&uri))?;
        let headers = vec![("Authorization", format!("Bearer {token}"))];
        Ok(Call { path: PATH.to_owned(), headers, cost: 1, ..Call::default() })
    };
    let answer = rest.ask(sign).await?;
    if answer.status != 200 {
        return user.refused.own(&user.id, refused(answer.status));
    }
    let (at, page) = answer.page(format!("key_permissions?key={}", user.signer.proven().fingerprint()))?;
    outlet.pass(at, Source::AccountRest(user.id.clone()), page).await
}
