//! What a master changes about the keys of its sub-accounts.

use serde_json::{Value, json};

use super::{Fault, Params};
use crate::simulate::floor::Floor;
use crate::simulate::world::{SubKey, World};

fn named<'a>(params: &'a Params, name: &str) -> Result<&'a str, Fault> {
    params.get(name).map(String::as_str).ok_or_else(|| Fault::missing(name))
}

fn key<'a>(world: &'a mut World, who: Option<usize>, params: &Params) -> Result<&'a mut SubKey, Fault> {
    let (email, id) = (named(params, "email")?, named(params, "subAccountApiKey")?);
    let found = who.and_then(|who| world.sub_key(who, email, id));
    found.ok_or_else(|| Fault::new(400, -9000, "The sub-account API key does not exist."))
}

/// Deletes a key.
pub fn delete(floor: &Floor, who: Option<usize>, params: &Params) -> Result<Value, Fault> {
    let mut world = floor.world();
    let id = key(&mut world, who, params)?.id.clone();
    world.drop_sub_key(&id);
    Ok(json!({}))
}

/// Changes what a key may do; a flag that is not there stays.
pub fn permit(floor: &Floor, who: Option<usize>, params: &Params) -> Result<Value, Fault> {
    let mut world = floor.world();
    let key = key(&mut world, who, params)?;
    for (name, right) in [
        ("canTrade", "trade"),
        ("canMarginLoanRepay", "margin"),
        ("canFuturesTrade", "futures"),
        ("canUniversalTransfer", "universal_transfer"),
    ] {
        if let Some(flag) = params.get(name) {
            key.permissions.set(right, flag == "true");
        }
    }
    Ok(json!({"email": key.holder, "apikey": key.id, "canTrade": key.permissions.trade}))
}

/// Adds addresses to a key's list.
pub fn restrict(floor: &Floor, who: Option<usize>, params: &Params) -> Result<Value, Fault> {
    let (list, status) = (named(params, "ipAddress")?.to_owned(), named(params, "status")?.to_owned());
    let mut world = floor.world();
    let key = key(&mut world, who, params)?;
    if status == "2" {
        key.permissions.addresses.extend(list.split(',').map(str::to_owned));
        key.permissions.addresses.sort();
        key.permissions.addresses.dedup();
    }
    Ok(json!({"status": status, "ipList": key.permissions.addresses, "apiKey": key.id}))
}

/// Takes addresses off a key's list.
pub fn unlist(floor: &Floor, who: Option<usize>, params: &Params) -> Result<Value, Fault> {
    let list = named(params, "ipAddress")?.to_owned();
    let mut world = floor.world();
    let key = key(&mut world, who, params)?;
    key.permissions.addresses.retain(|address| !list.split(',').any(|gone| gone == address));
    Ok(json!({"ipRestrict": "true", "ipList": key.permissions.addresses, "apiKey": key.id}))
}
