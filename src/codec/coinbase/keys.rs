//! What Coinbase says about the asking key: its rights. No call tells its addresses, its age or other keys.
//!
//! <https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/data-api/get-api-key-permissions>

use crate::codec::key::{self, Row};
use crate::codec::shape::Heard;
use crate::codec::unread::Unread;
use crate::domain::{EventKind, Right};

/// `{"can_view":true,"can_trade":false,"can_transfer":false,"portfolio_uuid":"..","portfolio_type":"DEFAULT",
/// "can_receive":false}`; `can_transfer` takes money out of the portfolio.
const RIGHTS: [(&str, Right); 4] = [
    ("can_view", Right::Read),
    ("can_trade", Right::Trade),
    ("can_transfer", Right::Withdraw),
    ("can_receive", Right::Receive),
];

/// Tells what the asking key may do.
pub(super) fn own(call: &str, json: &str, heard: &mut Heard<'_>) -> Result<(), Unread> {
    let row = Row::read("a key's rights", json)?;
    let rights = row.rights(&RIGHTS, &["can_"]);
    let mut state = key::state(heard, key::own(call, None))?;
    state.rights = rights.told;
    rights.amiss.into_iter().for_each(|why| heard.row(Err(why)));
    key::says_something(&state)?;
    heard.push(EventKind::KeyState(state));
    Ok(())
}
