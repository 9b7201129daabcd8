//! Who posted what under which key, and what is still to be durable: at most once, over restarts too.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use compact_str::CompactString;
use serde::Serialize;
use tokio::sync::watch;

use super::entry::Entry;
use super::posted::Batch;
use crate::arrival::{Body, Source};
use crate::domain::{LogProgress, LogRequest};
use crate::feed::outlet::Outlet;
use crate::networks::Networks;
use crate::runtime::clock;

/// Takes batches for one log.
pub(super) struct Desk {
    log: CompactString,
    outlet: Outlet,
    durable: watch::Receiver<u64>,
    book: Mutex<Book>,
    networks: Networks,
}

/// What was handed over.
struct Book {
    /// Requests with a key, those of this process and those the journal told.
    requests: LogProgress,
    /// Which arrival of this process each key was.
    tickets: BTreeMap<CompactString, u64>,
    sent: u64,
}

/// What a client is told of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Receipt {
    /// Entries that are in the journal.
    pub(super) accepted: u32,
    /// Entries that said what an earlier one of the same body says.
    pub(super) duplicates: u32,
}

/// Why a batch is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denial {
    /// Another body came under the same key.
    OtherBody,
    /// The queue is full.
    Full,
    /// It was handed over, and is not durable yet.
    Waiting,
    /// The daemon is stopping.
    Closed,
}

/// A key and a body, by their hashes: neither enters the journal.
pub(super) struct Request {
    key: CompactString,
    body: CompactString,
}

#[derive(Serialize)]
struct Frame<'a> {
    fillguard: Own<'a>,
}

#[derive(Serialize)]
struct Own<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<Told<'a>>,
    lines: &'a [Entry],
}

#[derive(Serialize)]
struct Told<'a> {
    key: &'a str,
    body: &'a str,
    accepted: u32,
    duplicates: u32,
}

impl Request {
    /// Takes an `Idempotency-Key` and the body it came with.
    pub(super) fn new(key: &str, body: &[u8]) -> Self {
        let hash = |bytes: &[u8]| CompactString::from(&blake3::hash(bytes).to_hex()[..32]);
        Request { key: hash(key.as_bytes()), body: hash(body) }
    }
}

impl Desk {
    /// Goes on with what the journal told.
    pub(super) fn new(
        log: CompactString,
        outlet: Outlet,
        durable: watch::Receiver<u64>,
        requests: LogProgress,
    ) -> Self {
        let book = Mutex::new(Book { requests, tickets: BTreeMap::new(), sent: 0 });
        Desk { log, outlet, durable, book, networks: Networks::default() }
    }

    /// Takes who operates which addresses.
    pub(super) fn with(self, networks: Networks) -> Self {
        Desk { networks, ..self }
    }

    /// Hands a batch over, as one arrival, and returns when it is durable; a request that was taken before is answered
    /// again as it was.
    pub(super) async fn take(
        &self,
        batch: &Batch,
        request: Option<Request>,
        patience: Duration,
    ) -> Result<Receipt, Denial> {
        let (receipt, ticket) = self.hand_over(batch, request)?;
        let mut durable = self.durable.clone();
        let waited = tokio::time::timeout(patience, durable.wait_for(|count| *count >= ticket)).await;
        match waited {
            Ok(Ok(_)) => Ok(receipt),
            Ok(Err(_)) => Err(Denial::Closed),
            Err(_) => Err(Denial::Waiting),
        }
    }

    /// Says that nothing can be posted. Until something is again, no order is a stranger's for not being named.
    pub(super) async fn tell_closed(&self, why: &str) {
        let body = Body::LinkDown { why: why.into() };
        // With the queue closed there is nobody to tell.
        drop(self.outlet.note(Source::Access(self.log.clone()), body).await);
    }

    /// Returns what is to be told, once so many arrivals are durable. Nothing waits in here, so that the queue has the
    /// order of the tickets.
    fn hand_over(&self, batch: &Batch, request: Option<Request>) -> Result<(Receipt, u64), Denial> {
        let now = clock::now();
        let receipt =
            Receipt { accepted: u32::try_from(batch.entries.len()).unwrap_or(u32::MAX), duplicates: batch.duplicates };
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(request) = &request
            && let Some(known) = book.requests.request(&request.key, now)
        {
            if known.body != request.body {
                return Err(Denial::OtherBody);
            }
            let receipt = Receipt { accepted: known.accepted, duplicates: known.duplicates };
            // What an earlier process took is durable.
            return Ok((receipt, book.tickets.get(&request.key).copied().unwrap_or(0)));
        }
        if batch.entries.is_empty() {
            return Ok((receipt, 0));
        }
        let told = request.as_ref().map(|request| Told {
            key: &request.key,
            body: &request.body,
            accepted: receipt.accepted,
            duplicates: receipt.duplicates,
        });
        let lines: Vec<Entry> = batch.entries.iter().map(|entry| entry.clone().located(&self.networks)).collect();
        let frame = Frame { fillguard: Own { request: told, lines: &lines } };
        let frame = serde_json::value::to_raw_value(&frame).map_err(|_| Denial::Closed)?;
        let from = Source::Access(self.log.clone());
        if !self.outlet.try_pass(now, from, Body::Frame(frame)).map_err(|_| Denial::Closed)? {
            return Err(Denial::Full);
        }
        book.sent += 1;
        let ticket = book.sent;
        if let Some(Request { key, body }) = request {
            let Receipt { accepted, duplicates } = receipt;
            book.tickets.insert(key.clone(), ticket);
            book.requests.remember(LogRequest { key, body, accepted, duplicates, at: now });
            if book.tickets.len() > 2 * LogProgress::MOST_REQUESTS {
                let Book { requests, tickets, .. } = &mut *book;
                tickets.retain(|key, _| requests.requests.iter().any(|request| request.key == *key));
            }
        }
        Ok((receipt, ticket))
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use crate::arrival::Incoming;
    use crate::domain::AccountId;
    use crate::feed::access::{Receipts, Whose};

    /// A desk with room for `room` arrivals, and the ends of its queue.
    fn desk(room: usize) -> (Desk, mpsc::Receiver<Incoming>, Receipts) {
        let (send, queue) = mpsc::channel(room);
        let receipts = Receipts::default();
        let durable = receipts.of(&"http".into());
        (Desk::new("http".into(), Outlet::new(send), durable, LogProgress::default()), queue, receipts)
    }

    fn batch() -> Batch {
        let ids: Vec<AccountId> = vec!["binance/alice".parse().unwrap()];
        let body = br#"{"account":"alice"}"#;
        super::super::posted::read(super::super::posted::Kind::Json, body, &Whose::of(&ids), 9).unwrap()
    }

    fn request(key: &str, body: &str) -> Option<Request> {
        Some(Request::new(key, body.as_bytes()))
    }

    const LONG: Duration = Duration::from_secs(3_600);

    #[tokio::test(start_paused = true)]
    async fn nothing_is_answered_before_it_is_durable() {
        let (desk, mut queue, receipts) = desk(4);
        let batch = batch();
        let mut taken = std::pin::pin!(desk.take(&batch, None, LONG));
        let early = tokio::time::timeout(Duration::from_secs(60), taken.as_mut()).await;
        assert!(early.is_err(), "handed over and not durable");
        let arrival = queue.try_recv().unwrap().numbered(1);
        let other = Incoming { from: "access/other".parse().unwrap(), ..queued() }.numbered(2);
        receipts.note(&[other]);
        assert!(tokio::time::timeout(Duration::from_secs(60), taken.as_mut()).await.is_err(), "another log's arrival");
        receipts.note(&[arrival]);
        assert_eq!(taken.await, Ok(Receipt { accepted: 1, duplicates: 0 }));
    }

    fn queued() -> Incoming {
        Incoming { at: clock::now(), from: Source::Clock, body: Body::Tick }
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_takes_nothing_and_a_slow_disk_is_told_as_it_is() {
        let (desk, mut queue, receipts) = desk(1);
        let (batch, short) = (batch(), Duration::from_secs(1));
        assert_eq!(desk.take(&batch, request("a", "1"), short).await, Err(Denial::Waiting));
        assert_eq!(desk.take(&batch, request("b", "1"), short).await, Err(Denial::Full));
        assert_eq!(desk.take(&batch, request("a", "1"), short).await, Err(Denial::Waiting), "not handed over again");
        assert_eq!(desk.take(&batch, request("a", "2"), short).await, Err(Denial::OtherBody));
        receipts.note(&[queue.try_recv().unwrap().numbered(1)]);
        assert_eq!(desk.take(&batch, request("a", "1"), short).await, Ok(Receipt { accepted: 1, duplicates: 0 }));
        assert!(queue.try_recv().is_err());
        drop(queue);
        assert_eq!(desk.take(&batch, request("c", "1"), short).await, Err(Denial::Closed));
    }

    #[tokio::test]
    async fn two_at_once_with_one_key_are_one() {
        let (desk, mut queue, receipts) = desk(4);
        let (batch, receipts) = (batch(), &receipts);
        let durable = async {
            let arrival = queue.recv().await.unwrap().numbered(1);
            receipts.note(&[arrival]);
        };
        let one = desk.take(&batch, request("a", "1"), LONG);
        let other = desk.take(&batch, request("a", "1"), LONG);
        let (one, other, ()) = tokio::join!(one, other, durable);
        assert_eq!((one, one), (other, Ok(Receipt { accepted: 1, duplicates: 0 })));
        assert!(queue.try_recv().is_err());
    }
}
