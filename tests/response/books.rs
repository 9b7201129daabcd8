//! Open orders of every book are cancelled, and seen to be.

use std::time::Duration;

use fillguard::domain::{AccountId, Side, Symbol, Venue, Wallet};
use fillguard::response::hands::{Hands, Reach};
use fillguard::response::{Deed, Outcome, Policy, Settings, Wallets, plan};
use fillguard::runtime::clock;
use fillguard::simulate::ActFault;

use super::{HOLDER, World, armed, reach_in};

const BOOKS: [Wallets; 4] = [Wallets::Spot, Wallets::Stops, Wallets::Margin, Wallets::Futures];

fn pair(text: &str) -> Symbol {
    Symbol::from_dashed(text).unwrap()
}

fn wallets() -> [Wallet; 4] {
    [Wallet::Spot, Wallet::Margin, Wallet::Isolated(pair("ETH-USDT")), Wallet::Futures]
}

/// A victim with orders in each wallet, and hands that may cancel all of them.
struct Books {
    world: World,
    settings: Settings,
    hands: Reach,
    victim: AccountId,
}

impl Books {
    async fn new(seed: u64, venue: Venue, rights: &[&str]) -> Books {
        let world = World::new(seed).await;
        let (settings, keys, victim, _) = armed(&world, venue, HOLDER);
        for right in rights {
            world.handle.permit(&victim, right, true).unwrap();
        }
        let hands = reach_in(&world, &settings, &keys, &wallets()[1..]);
        let books = Books { world, settings, hands, victim };
        books.fill();
        books
    }

    /// Gives each wallet two resting orders in different pairs, and at KuCoin one of each kind that waits for a price.
    fn fill(&self) {
        let handle = &self.world.handle;
        for wallet in wallets() {
            let pairs: &[&str] =
                if let Wallet::Isolated(_) = wallet { &["ETH-USDT"] } else { &["BTC-USDT", "ETH-USDT"] };
            for name in pairs {
                handle.deposit(&self.victim, "USDT", 100_000.into()).unwrap();
                assert!(handle.rest_order_in(&wallet, &self.victim, &pair(name)).unwrap(), "{wallet} {name}");
            }
            if self.victim.venue == Venue::Kucoin {
                handle.place_stop(&wallet, &self.victim, &pair("BTC-USDT"), false).unwrap();
                // There is no such kind among futures.
                if wallet != Wallet::Futures {
                    handle.place_stop(&wallet, &self.victim, &pair("BTC-USDT"), true).unwrap();
                }
            }
        }
        handle.acts();
    }

    fn open(&self) -> Vec<usize> {
        wallets().iter().map(|wallet| self.world.handle.open_orders_in(wallet, &self.victim)).collect()
    }

    async fn cancel(&self, book: Wallets) -> Outcome {
        self.hands.perform(&self.victim, &Deed::Cancel { book }).await
    }

    /// Says what of the requests was carried out twice since it was last asked.
    fn twice(&self) -> Vec<String> {
        let mut done = self.world.handle.acts();
        done.sort();
        let twice = done.windows(2).filter(|two| two[0] == two[1]).map(|two| two[0].clone());
        twice.collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_of_every_book_are_cancelled_and_those_of_the_others_stay_until_their_turn() {
    for (venue, left) in [
        (Venue::Binance, [[0, 2, 1, 2], [0, 2, 1, 2], [0, 0, 0, 2], [0, 0, 0, 0]]),
        (Venue::Kucoin, [[2, 4, 3, 3], [0, 4, 3, 3], [0, 0, 0, 3], [0, 0, 0, 0]]),
    ] {
        let books = Books::new(41, venue, &["margin", "futures"]).await;
        for (book, left) in BOOKS.into_iter().zip(left) {
            // Binance keeps orders that wait for a price among the others.
            let wanted = if venue == Venue::Binance && book == Wallets::Stops { "already so" } else { "done" };
            assert_eq!(books.cancel(book).await.word(), wanted, "{venue} {book:?}");
            assert_eq!(books.open(), left, "{venue} {book:?}");
            assert_eq!(books.cancel(book).await, Outcome::Already, "{venue} {book:?}");
        }
        assert_eq!(books.twice(), Vec::<String>::new(), "{venue}");
        books.world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plan_cancels_what_the_key_that_cancels_may_and_says_what_it_may_not() {
    for (rights, wanted) in [
        (&[][..], vec![Wallets::Spot, Wallets::Stops]),
        (&["margin"], vec![Wallets::Spot, Wallets::Stops, Wallets::Margin]),
        (&["margin", "futures"], vec![Wallets::Spot, Wallets::Stops, Wallets::Margin, Wallets::Futures]),
    ] {
        let books = Books::new(43, Venue::Kucoin, rights).await;
        let master = super::id(&books.world.of(Venue::Kucoin).0);
        books.world.handle.add_sub_key(&master, HOLDER, "wide", &["trade", "margin", "futures"]).unwrap();
        let survey = books.hands.survey(&books.victim).await;
        let plan = plan::make(&books.victim, &books.settings, &Policy::default(), &survey);
        let cancelled: Vec<Wallets> = plan
            .deeds
            .iter()
            .filter_map(|deed| if let Deed::Cancel { book } = deed { Some(*book) } else { None })
            .collect();
        assert_eq!(cancelled, wanted);
        let missing: Vec<&str> = ["margin", "futures"].into_iter().filter(|book| !rights.contains(book)).collect();
        assert_eq!(plan.amiss.len(), missing.len(), "{:?}", plan.amiss);
        for (told, book) in plan.amiss.iter().zip(missing) {
            assert!(told.contains(&format!("may place {book} orders")), "{told}");
        }
        books.world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_that_fails_in_part_is_asked_once_looked_at_and_told() {
    // What the first request of a book meets; how it ends, and how many orders stay open.
    let faults = [
        (ActFault::Refuse(1), "done", 0),
        (ActFault::Fail, "not done", 1),
        (ActFault::FailAfter, "done", 0),
        (ActFault::HangAfter(900), "done", 0),
        (ActFault::Right, "not done", 1),
        (ActFault::Lie, "not done", 1),
    ];
    for venue in [Venue::Binance, Venue::Kucoin] {
        for book in [Wallets::Margin, Wallets::Futures] {
            let books = Books::new(47, venue, &["margin", "futures"]).await;
            let open = || match book {
                Wallets::Spot | Wallets::Stops => 0,
                Wallets::Margin => books.open()[1] + books.open()[2],
                Wallets::Futures => books.open()[3],
            };
            for (fault, wanted, left) in faults {
                books.cancel(book).await;
                assert_eq!(open(), 0);
                books.fill();
                books.world.handle.fail_acts(&[fault]);
                let outcome = books.cancel(book).await;
                assert_eq!((outcome.word(), open()), (wanted, left), "{venue} {book:?} {fault:?}: {outcome}");
                assert_eq!(books.twice(), Vec::<String>::new(), "{venue} {book:?} {fault:?}");
                if left > 0 {
                    assert!(outcome.to_string().contains("still open") || outcome.to_string().contains("are open in"));
                }
            }
            books.world.end().await;
        }
    }
}

/// Plans the switches of a survey, each with so many seconds.
async fn switches(books: &Books, secs: u32) -> Vec<Deed> {
    let survey = books.hands.survey(&books.victim).await;
    assert!(survey.amiss.is_empty(), "{:?}", survey.amiss);
    let plan = plan::make(&books.victim, &books.settings, &Policy::default(), &survey);
    let mut deeds: Vec<Deed> = plan.deeds.into_iter().filter(|deed| matches!(deed, Deed::Switch { .. })).collect();
    for deed in &mut deeds {
        if let Deed::Switch { secs: planned, .. } = deed {
            assert_eq!(*planned, 30);
            *planned = secs;
        }
    }
    deeds
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_cancels_what_was_placed_after_it_was_set_and_one_that_is_called_off_does_not() {
    for (venue, secs, books_of) in
        [(Venue::Binance, 2, vec![Wallets::Futures]), (Venue::Kucoin, 5, vec![Wallets::Spot, Wallets::Futures])]
    {
        let books = Books::new(59, venue, &["margin", "futures"]).await;
        let (handle, victim) = (&books.world.handle, &books.victim);
        // One contract has orders, the other a position.
        if venue == Venue::Binance {
            assert_eq!(books.cancel(Wallets::Futures).await, Outcome::Done);
            assert!(handle.rest_order_in(&Wallet::Futures, victim, &pair("BTC-USDT")).unwrap());
            handle.trade_in(&Wallet::Futures, victim, &pair("ETH_PERP-USDT"), Side::Buy, 1_000.into()).unwrap();
        }
        let deeds = switches(&books, secs).await;
        let planned: Vec<Wallets> = deeds
            .iter()
            .filter_map(|deed| if let Deed::Switch { book, .. } = deed { Some(*book) } else { None })
            .collect();
        assert_eq!(planned, books_of);
        if venue == Venue::Binance {
            let said = deeds[0].to_string();
            assert_eq!(said, "have the exchange cancel all futures orders in BTCUSDT, ETHUSDT once more in 2 s");
        }
        for book in BOOKS {
            books.cancel(book).await;
        }
        handle.acts();
        for deed in &deeds {
            assert_eq!(books.hands.perform(victim, deed).await, Outcome::Done, "{venue} {deed}");
        }
        let all = deeds.iter().collect::<Vec<_>>();
        let place = || {
            for wallet in [Wallet::Spot, Wallet::Futures] {
                handle.deposit(victim, "USDT", 100_000.into()).unwrap();
                assert!(handle.rest_order_in(&wallet, victim, &pair("BTC-USDT")).unwrap());
            }
        };
        let kept = |book| usize::from(!books_of.contains(&book));
        place();
        let begun = clock::steady();
        while books.open() != [kept(Wallets::Spot), 0, 0, 0] {
            assert!(begun.elapsed() < Duration::from_secs(30), "{venue} {:?}", books.open());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // Set again and called off, the orders outlive the time it was set to.
        books.cancel(Wallets::Spot).await;
        for deed in &deeds {
            assert_eq!(books.hands.perform(victim, deed).await, Outcome::Done, "{venue} {deed}");
        }
        place();
        for deed in plan::undoing(&all) {
            assert_eq!(books.hands.perform(victim, &deed).await, Outcome::Done, "{venue} {deed}");
        }
        tokio::time::sleep(Duration::from_secs(u64::from(secs) + 1)).await;
        assert_eq!(books.open(), [1, 0, 0, 1], "{venue}");
        books.world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_switch_is_planned_for_contracts_that_nobody_uses_and_one_that_is_not_answered_is_told_at_once() {
    let books = Books::new(61, Venue::Binance, &["futures"]).await;
    let found = switches(&books, 30).await;
    // What nobody can ever see is not waited for.
    let (_, keys, ..) = armed(&books.world, Venue::Binance, "another@desk.example");
    let settings = Settings { verify_within: Duration::from_secs(3_600), ..books.settings.clone() };
    let hands = reach_in(&books.world, &settings, &keys, &[Wallet::Futures]);
    let [switch] = found.as_slice() else { panic!("{found:?}") };
    for (fault, wanted) in [
        (ActFault::FailAfter, "unknown"),
        (ActFault::HangAfter(900), "unknown"),
        (ActFault::Fail, "unknown"),
        (ActFault::Lie, "unknown"),
        (ActFault::Refuse(1), "done"),
        // The other contract's countdown runs.
        (ActFault::Right, "unknown"),
    ] {
        books.world.handle.acts();
        books.world.handle.fail_acts(&[fault]);
        let outcome = hands.perform(&books.victim, switch).await;
        assert_eq!(outcome.word(), wanted, "{fault:?} {outcome}");
        assert_eq!(books.twice(), Vec::<String>::new(), "{fault:?}");
    }
    books.world.end().await;
    let world = World::new(61).await;
    let (settings, keys, victim, _) = armed(&world, Venue::Binance, HOLDER);
    let hands = reach_in(&world, &settings, &keys, &[Wallet::Futures]);
    let survey = hands.survey(&victim).await;
    assert_eq!(survey.timers[0].pairs, Some(Vec::new()));
    let plan = plan::make(&victim, &settings, &Policy::default(), &survey);
    assert!(!plan.deeds.iter().any(|deed| matches!(deed, Deed::Switch { .. })), "{:?}", plan.deeds);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_without_the_right_to_futures_is_refused_and_nothing_is_repeated() {
    let books = Books::new(53, Venue::Kucoin, &["margin"]).await;
    let outcome = books.cancel(Wallets::Futures).await;
    assert!(outcome.word() == "refused" && outcome.to_string().contains("lacks the right"), "{outcome}");
    assert_eq!(books.open(), [4, 4, 3, 3]);
    assert_eq!(books.world.handle.acts(), Vec::<String>::new());
    books.world.end().await;
}
