//! A link before a played exchange, in paused time: how long it waits, what it says, where its gaps begin.

use std::sync::Mutex;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message;

use super::*;
use crate::arrival::Incoming;
use crate::domain::{AccountId, Span, Venue};
use crate::feed::error::Refusal;
use crate::feed::socket::Patience;
use crate::runtime::{backoff, tls};

/// What the exchange does with one attempt.
#[derive(Clone, Debug)]
enum Fate {
    Fails(Error),
    /// Lets it in and cuts it after so long.
    Serves(Duration),
    /// Lets it in, but refuses the call for its gap.
    Refuses(Error),
}

/// An exchange that treats each attempt as planned, the last plan for ever.
struct Played {
    plan: Vec<Fate>,
    known_until: Option<Timestamp>,
    unlimited: Limiter,
    attempts: Mutex<Vec<Instant>>,
    gaps: Mutex<Vec<Gap>>,
    refuses: Mutex<Option<Error>>,
    probes: Mutex<u32>,
}

struct Simple;

fn carol() -> Source {
    Source::Account(AccountId::new(Venue::Kucoin, "carol").unwrap())
}

impl Session for Simple {
    type Job = Gap;

    fn heard(&mut self, _received: Received, steps: &mut Vec<Step<Gap>>) -> Result<(), Error> {
        steps.push(Step::Up(carol()));
        Ok(())
    }

    fn due(&self) -> Option<(Instant, u32)> {
        None
    }

    fn speak(&mut self, _now: Instant, _steps: &mut Vec<Step<Gap>>) -> Result<(), Error> {
        Ok(())
    }

    fn settled(&self) -> bool {
        true
    }
}

impl Protocol for Played {
    type Job = Gap;
    type Session = Simple;

    fn sources(&self) -> Vec<Source> {
        vec![carol()]
    }

    fn limiter(&self) -> &Limiter {
        &self.unlimited
    }

    async fn probe(self: Arc<Self>, _outlet: Outlet) -> Result<(), Error> {
        *self.probes.lock().unwrap() += 1;
        let refusal = self.refuses.lock().unwrap().clone();
        if let Some(error) = refusal {
            self.attempts.lock().unwrap().push(clock::steady());
            return Err(error);
        }
        Ok(())
    }

    async fn connect(self: Arc<Self>) -> Result<(Socket, Simple), Error> {
        let fate = {
            let mut attempts = self.attempts.lock().unwrap();
            attempts.push(clock::steady());
            self.plan[(attempts.len() - 1).min(self.plan.len() - 1)].clone()
        };
        let life = match fate {
            Fate::Fails(error) => return Err(error),
            Fate::Serves(life) => life,
            Fate::Refuses(error) => {
                *self.refuses.lock().unwrap() = Some(error);
                Duration::from_secs(86_400)
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut socket = accept_async(listener.accept().await.unwrap().0).await.unwrap();
            socket.send(Message::text("welcome")).await.unwrap();
            let talk = async { while socket.next().await.is_some_and(|heard| heard.is_ok()) {} };
            let _ = tokio::time::timeout(life, talk).await;
        });
        // It ends by itself, when its life is over or the client has gone.
        serving.detach_all();
        let secs = Duration::from_secs;
        let patience = Patience { connect: secs(10), silence: secs(60), pong: secs(10) };
        let socket = Socket::connect(&url, &tls::client_config(None).unwrap(), patience).await?;
        Ok((socket, Simple))
    }

    async fn run(self: Arc<Self>, gap: Gap, _outlet: Outlet) -> Result<(), Error> {
        self.gaps.lock().unwrap().push(gap);
        self.refuses.lock().unwrap().clone().map_or(Ok(()), Err)
    }

    fn fill(&self, _source: &Source, gap: Gap) -> Option<Gap> {
        Some(gap)
    }

    fn known_until(&self, _source: &Source) -> Option<Timestamp> {
        self.known_until
    }
}

/// Lets a link live until it has tried so often; returns the exchange as it saw it, and what the link said.
async fn lived(plan: Vec<Fate>, known_until: Option<Timestamp>, attempts: usize) -> (Arc<Played>, Vec<Incoming>) {
    let played = Arc::new(Played {
        plan,
        known_until,
        unlimited: Limiter::new(1_000_000, Duration::from_secs(1), 1_000_000),
        attempts: Mutex::default(),
        gaps: Mutex::default(),
        refuses: Mutex::default(),
        probes: Mutex::default(),
    });
    let (out, mut arrivals) = mpsc::channel(4_096);
    let timing = Timing { reconcile: Duration::ZERO, ..Timing::default() };
    let link = Link::new(Arc::clone(&played), Outlet::new(out), timing, None);
    let (stop, watching) = (CancellationToken::new(), Arc::clone(&played));
    let ending = async {
        while watching.attempts.lock().unwrap().len() < attempts {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        stop.cancel();
    };
    let (ended, ()) = tokio::join!(link.run(stop.clone()), ending);
    ended.unwrap();
    let mut said = Vec::new();
    while let Ok(arrival) = arrivals.try_recv() {
        said.push(arrival);
    }
    (played, said)
}

fn waits(played: &Played) -> Vec<Duration> {
    played.attempts.lock().unwrap().windows(2).map(|two| two[1] - two[0]).collect()
}

fn reasons(said: &[Incoming]) -> Vec<String> {
    let why = |one: &Incoming| match &one.body {
        Body::LinkDown { why } => Some(why.to_string()),
        Body::Frame(_)
        | Body::Text(_)
        | Body::Bytes(_)
        | Body::Page { .. }
        | Body::LinkUp
        | Body::Filled { .. }
        | Body::Tick => None,
    };
    said.iter().filter_map(why).collect()
}

fn cut_off() -> Error {
    Error::Connect("no route".into())
}

/// Timers count whole milliseconds.
const TICK: Duration = Duration::from_millis(2);

#[tokio::test(start_paused = true)]
async fn waits_grow_threefold_at_most_within_their_bounds_and_no_two_clients_wait_alike() {
    let bounds = backoff::Settings::default();
    let (played, said) = lived(vec![Fate::Fails(cut_off())], None, 60).await;
    let waits = waits(&played);
    let mut last = bounds.min;
    for wait in &waits {
        assert!(*wait >= bounds.min && *wait <= bounds.max + TICK, "{waits:?}");
        assert!(*wait <= last * 3 + TICK * 3, "{waits:?}");
        last = *wait;
    }
    assert!(waits.iter().any(|wait| *wait > bounds.min * 20), "{waits:?}");
    let (other, _) = lived(vec![Fate::Fails(cut_off())], None, 20).await;
    assert_ne!(waits[..10], self::waits(&other)[..10]);
    // One line a reason, not one an attempt.
    assert_eq!(reasons(&said), ["cannot connect: no route"]);
}

#[tokio::test(start_paused = true)]
async fn only_a_connection_that_lasted_makes_the_next_wait_short_again() {
    let bounds = backoff::Settings::default();
    let healthy = bounds.healthy + Duration::from_secs(5);
    for (life, short) in [(healthy, true), (Duration::from_secs(2), false)] {
        let mut shortest = Duration::MAX;
        let mut longest = Duration::ZERO;
        for _ in 0..8 {
            let mut plan = vec![Fate::Fails(cut_off()); 25];
            plan.push(Fate::Serves(life));
            plan.push(Fate::Fails(cut_off()));
            let (played, _) = lived(plan, None, 27).await;
            let after = waits(&played)[25] - life;
            (shortest, longest) = (shortest.min(after), longest.max(after));
        }
        if short {
            assert!(longest <= bounds.min * 3 + Duration::from_secs(1), "{longest:?}");
        } else {
            assert!(longest > bounds.min * 3 + Duration::from_secs(1), "{longest:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_key_is_tried_rarely_and_what_passes_is_not_told_in_its_place() {
    let refused = Error::Refused(Refusal::kucoin("400004"));
    let plan = vec![
        Fate::Fails(refused.clone()),
        Fate::Fails(cut_off()),
        Fate::Fails(refused.clone()),
        Fate::Fails(Error::Http(502)),
        Fate::Fails(refused.clone()),
        Fate::Fails(refused),
    ];
    let (played, said) = lived(plan, None, 12).await;
    let waits = waits(&played);
    let rarely = |wait: &Duration| *wait >= Duration::from_secs(60) && *wait <= Duration::from_secs(1_800) + TICK;
    assert!([0, 2, 4, 5, 6, 7, 8, 9, 10].iter().all(|nth| rarely(&waits[*nth])), "{waits:?}");
    let told = reasons(&said);
    assert!(told.len() == 1 && told[0].contains("400004"), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_the_exchange_asked_for_is_not_cut_short_by_our_own() {
    let asked = Duration::from_secs(3_600);
    let (played, _) = lived(vec![Fate::Fails(Error::Limited(asked)), Fate::Fails(cut_off())], None, 2).await;
    let wait = waits(&played)[0];
    assert!(wait >= asked && wait <= asked + TICK, "{wait:?}");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_may_not_read_the_past_is_asked_before_the_feed_is_said_to_be_up_again() {
    let refused = Error::Refused(Refusal::coinbase(403));
    let (played, said) = lived(vec![Fate::Refuses(refused)], None, 8).await;
    assert_eq!(said.iter().filter(|one| matches!(one.body, Body::LinkUp)).count(), 1, "{said:?}");
    let told = reasons(&said);
    assert!(told.len() == 1 && told[0].contains("403"), "{told:?}");
    assert_eq!(*played.probes.lock().unwrap(), 7);
    assert_eq!(played.gaps.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_gap_begins_where_the_account_was_known_or_heard_of_last() {
    let overlap = Span::from(Timing::default().overlap);
    let cursor = Timestamp::from_millis(1_650_000_000_000);
    let plan = vec![Fate::Serves(Duration::from_secs(2)), Fate::Serves(Duration::from_secs(2)), Fate::Fails(cut_off())];
    let (played, said) = lived(plan.clone(), Some(cursor), 3).await;
    let gaps = played.gaps.lock().unwrap().clone();
    assert_eq!(gaps[0].since, cursor - overlap, "after a restart");
    // Between its welcome and the next one it was last heard of.
    let ups: Vec<Timestamp> = said.iter().filter(|one| matches!(one.body, Body::LinkUp)).map(|one| one.at).collect();
    assert!(gaps[1].since >= ups[0] - overlap - Span::from_secs(1) && gaps[1].since <= ups[1] - overlap, "{gaps:?}");
    assert!(gaps[0].until >= ups[0] && gaps[1].until >= ups[1], "{gaps:?}");
    let (played, _) = lived(plan, None, 2).await;
    let first = played.gaps.lock().unwrap()[0];
    let back = first.until - Span::from(Timing::default().lookback);
    assert!(first.since <= back && first.since >= back - Span::from_secs(1), "never watched before: {first:?}");
}
