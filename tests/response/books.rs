//! Open orders of every book are cancelled, and seen to be.

use fillguard::domain::{AccountId, Symbol, Venue, Wallet};
use fillguard::response::hands::{Hands, Reach};
use fillguard::response::{Deed, Outcome, Policy, Settings, Wallets, plan};
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

#[tokio::test(flavor = "multi_thread")]
async fn a_key_without_the_right_to_futures_is_refused_and_nothing_is_repeated() {
    let books = Books::new(53, Venue::Kucoin, &["margin"]).await;
    let outcome = books.cancel(Wallets::Futures).await;
    assert!(outcome.word() == "refused" && outcome.to_string().contains("lacks the right"), "{outcome}");
    assert_eq!(books.open(), [4, 4, 3, 3]);
    assert_eq!(books.world.handle.acts(), Vec::<String>::new());
    books.world.end().await;
}
