//! What a master changes about the keys of its sub-accounts, and the dead-man switch.

use serde_json::{Value, json};

use super::fault::Fault;
use crate::simulate::floor::{Floor, locked};
use crate::simulate::socket::Asked;

/// The passphrase that every key of a sub-account has here.
pub const SUB_PASSPHRASE: &str = "sub passphrase & more";

/// Deletes a key; everything is in the query, the passphrase too.
pub fn delete(floor: &Floor, who: usize, asked: &Asked) -> Result<Value, Fault> {
    let param = |name: &str| asked.param(name).ok_or_else(|| Fault::param("a parameter is missing"));
    let (holder, id, passphrase) = (param("subName")?, param("apiKey")?, param("passphrase")?);
    if passphrase != SUB_PASSPHRASE {
        return Err(Fault::passphrase());
    }
    let mut world = floor.world();
    if world.sub_key(who, &holder, &id).is_none() {
        return Err(Fault::param("sub api key does not exist"));
    }
    world.drop_sub_key(&id);
    Ok(json!({"subName": holder, "apiKey": id}))
}

/// Changes what a key may do.
pub fn update(floor: &Floor, who: usize, asked: &Asked) -> Result<Value, Fault> {
    let body: Value = serde_json::from_str(&asked.body).map_err(|_| Fault::param("body is not JSON"))?;
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    if text("passphrase") != SUB_PASSPHRASE {
        return Err(Fault::passphrase());
    }
    let mut world = floor.world();
    let Some(key) = world.sub_key(who, text("subName"), text("apiKey")) else {
        return Err(Fault::param("sub api key does not exist"));
    };
    let named = |name: &str| text("permission").split(',').any(|one| one == name);
    for (name, right) in
        [("Spot", "trade"), ("Margin", "margin"), ("Futures", "futures"), ("InnerTransfer", "universal_transfer")]
    {
        key.permissions.set(right, named(name));
    }
    Ok(json!({"subName": text("subName"), "apiKey": text("apiKey"), "permission": text("permission")}))
}

/// Sets the switch, or calls it off.
pub fn switch(floor: &Floor, who: usize, asked: &Asked) -> Result<Value, Fault> {
    let body: Value = serde_json::from_str(&asked.body).map_err(|_| Fault::param("body is not JSON"))?;
    let secs = body.get("timeout").and_then(Value::as_i64).unwrap_or(0);
    if secs != -1 && !(5..=86_400).contains(&secs) {
        return Err(Fault::param("timeout is wrong"));
    }
    locked(&floor.acts).switches.insert(who, secs);
    Ok(json!({"currentTime": 0, "triggerTime": secs}))
}

/// Answers how the switch stands.
pub fn switched(floor: &Floor, who: usize, _asked: &Asked) -> Result<Value, Fault> {
    let secs = locked(&floor.acts).switches.get(&who).copied().filter(|secs| *secs > 0);
    Ok(secs.map_or(Value::Null, |secs| json!({"timeout": secs, "symbols": "", "currentTime": 0, "triggerTime": secs})))
}
