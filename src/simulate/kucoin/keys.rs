//! What a master changes about the keys of its sub-accounts, and the dead-man switch.

use serde_json::{Value, json};

use super::fault::Fault;
use crate::domain::{Span, Wallet};
use crate::runtime::clock;
use crate::simulate::acts::Switch;
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

/// Returns the wallet that a switch is for: spot, or futures where that is named.
fn meant(floor: &Floor, who: usize, kind: Option<&str>) -> Result<usize, Fault> {
    match kind {
        None | Some("SPOT") => Ok(who),
        Some("FUTURES") => floor.world().wallet(who, &Wallet::Futures).ok_or_else(Fault::key),
        Some(_) => Err(Fault::param("tradeType is wrong")),
    }
}

/// Sets a switch, or calls it off.
pub fn switch(floor: &Floor, who: usize, asked: &Asked) -> Result<Value, Fault> {
    let body: Value = serde_json::from_str(&asked.body).map_err(|_| Fault::param("body is not JSON"))?;
    let secs = body.get("timeout").and_then(Value::as_i64).unwrap_or(0);
    if secs != -1 && !(5..=86_400).contains(&secs) {
        return Err(Fault::param("timeout is wrong"));
    }
    let kind = body.get("tradeType").and_then(Value::as_str);
    let at = meant(floor, who, kind)?;
    let may = floor.world().accounts.get(who).map(|owner| owner.permissions.clone()).unwrap_or_default();
    if !(if at == who { may.trade } else { may.futures }) {
        return Err(Fault::permission());
    }
    let (now, place) = (clock::now(), (at, String::new()));
    let due = now + Span::from_secs(secs);
    let mut acts = locked(&floor.acts);
    match secs {
        -1 => _ = acts.switches.remove(&place),
        _ => _ = acts.switches.insert(place, Switch { secs, due }),
    }
    Ok(json!({"currentTime": now.millis() / 1_000, "triggerTime": due.millis() / 1_000}))
}

/// Answers how a switch stands; nothing where it is off.
pub fn switched(floor: &Floor, who: usize, asked: &Asked) -> Result<Value, Fault> {
    let at = meant(floor, who, asked.param("tradeType").as_deref())?;
    let on = locked(&floor.acts).switches.get(&(at, String::new())).copied();
    let told = |Switch { secs, due }| {
        json!({"timeout": secs, "symbols": "", "currentTime": clock::now().millis() / 1_000,
            "triggerTime": due.millis() / 1_000})
    };
    Ok(on.map_or(Value::Null, told))
}
