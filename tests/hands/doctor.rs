//! `fillguard doctor`.

use fillguard::domain::{Span, Venue};
use fillguard::runtime::clock;
use fillguard::simulate::How;
use serde_json::Value;

use super::world::{Entry, World, id, quiet};

fn entry(account: &fillguard::simulate::SimAccount) -> Entry {
    Entry { account: account.clone(), tags: "", sub: None, mode: "dry", trade: false }
}

fn what(report: &Value, account: &str) -> Vec<String> {
    let found = report.as_array().unwrap().iter().find(|one| one["account"] == account).unwrap();
    found["troubles"].as_array().unwrap().iter().map(|one| one["what"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_can_only_read_from_listed_addresses_is_fine_at_each_exchange() {
    let world = World::new(quiet(3, 1)).await;
    for account in &world.accounts {
        for right in ["trade", "margin", "futures", "internal_transfer", "universal_transfer", "withdraw"] {
            world.handle.permit(&id(account), right, false).unwrap();
        }
        world.handle.restrict(&id(account), &["127.0.0.1"]).unwrap();
        world.handle.remake_key(&id(account), clock::now()).unwrap();
    }
    let entries: Vec<Entry> = world.accounts.iter().map(entry).collect();
    world.configure("", "", &[], &entries);
    let (code, said) = world.run(&["doctor"], "");
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("3 accounts, 0 things to change"), "{said}");
    // Each account can be locked by a person, and that is said with the place.
    for account in &world.accounts {
        let told = format!("{}  key ", id(account));
        assert!(said.contains(&told) && said.contains(account.venue.key_page()), "{said}");
        assert!(!said.contains(&account.key_id) && !said.contains(account.secret.expose()));
    }
    assert!(said.contains("not told  its addresses; its age"), "Coinbase tells neither: {said}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_key_is_found_at_each_exchange_and_none_is_asked_for_more() {
    let world = World::new(quiet(5, 2)).await;
    let (binance, kucoin, coinbase) =
        (world.at(Venue::Binance), world.at(Venue::Kucoin), world.at(Venue::Coinbase)[0].clone());
    let subs: Vec<String> = vec!["victim@desk.example".into(), "victimdesk1".into()];
    let mut entries = Vec::new();
    for (venue, sub) in [(&binance, &subs[0]), (&kucoin, &subs[1])] {
        let (master, victim) = (&venue[0], &venue[1]);
        world.handle.permit(&id(victim), "trade", true).unwrap();
        world.handle.permit(&id(victim), "withdraw", true).unwrap();
        world.handle.restrict(&id(victim), &[]).unwrap();
        world.handle.adopt(&id(master), sub, &id(victim)).unwrap();
        let sub = Some(sub.clone());
        let account = victim.clone();
        entries.push(Entry { account, tags: "\"one\", \"two\"", sub, mode: "confirm", trade: true });
    }
    world.handle.permit(&id(&coinbase), "trade", true).unwrap();
    entries.push(Entry { trade: true, mode: "auto", ..entry(&coinbase) });
    world.configure("", "", &[binance[0].clone(), kucoin[0].clone()], &entries);
    world.remember(&[], &[(id(&binance[1]), clock::now() - Span::from_secs(70 * 86_400))]);
    world.handle.acts();
    let (code, said) = world.run(&["doctor", "--format", "json"], "");
    assert_eq!(code, 1, "{said}");
    let report: Value = serde_json::from_str(&said).unwrap();
    let all = ["withdrawal", "more than reading", "no address list", "old", "shared"];
    assert_eq!(what(&report, &id(&kucoin[1]).to_string()), all);
    let unused: Vec<&str> = all.into_iter().chain(["unused"]).collect();
    assert_eq!(what(&report, &id(&binance[1]).to_string()), unused);
    assert_eq!(what(&report, &id(&coinbase).to_string()), ["more than reading"]);
    for one in report.as_array().unwrap() {
        assert_eq!(one["amiss"], Value::Array(Vec::new()), "{one}");
        for trouble in one["troubles"].as_array().unwrap() {
            assert!(trouble["action"].as_str().unwrap().contains("https://"), "{trouble}");
        }
    }
    let (_, said) = world.run(&["doctor"], "");
    assert!(said.contains("can       delete a key") && said.contains("\"leaked\": read, trade"), "{said}");
    assert!(said.contains("by hand   withdraw an application's token: https://portal.cdp.coinbase.com"), "{said}");
    assert!(said.contains("and the account has not for 70 days"), "{said}");
    assert_eq!(world.handle.acts(), Vec::<String>::new(), "it only looks");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_is_said_and_a_broken_configuration_is_misuse() {
    let world = World::new(quiet(7, 1)).await;
    let entries: Vec<Entry> = world.accounts.iter().map(entry).collect();
    world.configure("", "", &[], &entries);
    for account in &world.accounts {
        world.handle.break_key(&id(account), Some(How::Deleted)).unwrap();
    }
    let (code, said) = world.run(&["doctor"], "");
    assert_eq!(code, 1, "{said}");
    assert_eq!(said.matches("WRONG     what its key may do cannot be asked").count(), 3, "{said}");
    world.put("fillguard.toml", "[[account]]\nexchange = \"mtgox\"\n");
    let (code, said) = world.run(&["doctor"], "");
    assert!(code == 2 && said.contains("mtgox"), "{said}");
    world.end().await;
}
