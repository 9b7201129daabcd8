//! The journal as a stage: whatever feeds hand over goes on, numbered, once it is on disk.

use std::time::{Duration, Instant};

use tokio::sync::mpsc::{Receiver, Sender};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::arrival::{Arrival, Incoming};
use crate::runtime::clock;

use super::error::Error;
use super::recorder::weight;
use super::writer::Journal;

/// At most this many arrivals are taken from the queue at once.
const PIECE: usize = 256;
/// At most about this many arrivals and bytes go into one commit.
const MOST_ARRIVALS: usize = 4_096;
const MOST_BYTES: usize = 8 << 20;
/// The pause between two tries on a full disk.
const FULL_DISK_PAUSE: Duration = Duration::from_millis(500);
/// How often it is said that the disk is full.
const TELL_EVERY: Duration = Duration::from_secs(30);

/// Takes arrivals until the inbox closes or `stop` is given, commits them in groups, and passes each group on only when
/// it is durable. What is in the inbox at the end is committed and passed on too. While a commit syncs, the next
/// group gathers in the inbox; when that is full, feeds wait. A full disk is waited for as long as the settings say.
pub async fn run(
    mut journal: Journal,
    mut inbox: Receiver<Incoming>,
    outbox: Sender<Vec<Arrival>>,
    stop: CancellationToken,
) -> Result<(), Error> {
    let gathering = journal.settings().commit_every;
    let mut group = Vec::new();
    loop {
        let taken = tokio::select! {
            biased;
            () = stop.cancelled(), if !inbox.is_closed() => {
                inbox.close();
                continue;
            }
            taken = inbox.recv_many(&mut group, PIECE) => taken,
        };
        if taken == 0 {
            break;
        }
        let begun = clock::steady();
        while begun.elapsed() < gathering && group.len() < MOST_ARRIVALS && bytes(&group) < MOST_BYTES {
            // Feeds that are ready get a turn; when none had anything more to say, the group goes.
            tokio::task::yield_now().await;
            if inbox.is_empty() {
                break;
            }
            inbox.recv_many(&mut group, PIECE).await;
        }
        let arrivals;
        (journal, arrivals) = write(journal, std::mem::take(&mut group), &stop).await?;
        if outbox.send(arrivals).await.is_err() {
            close(journal).await?;
            return if stop.is_cancelled() { Ok(()) } else { Err(Error::Unheard) };
        }
    }
    close(journal).await
}

/// Appends a group and commits it, again and again while the disk is full.
async fn write(
    journal: Journal,
    group: Vec<Incoming>,
    stop: &CancellationToken,
) -> Result<(Journal, Vec<Arrival>), Error> {
    let patience = journal.settings().full_disk_wait;
    let (mut journal, arrivals, mut committed) = blocking(move || {
        let mut journal = journal;
        let appended: Result<Vec<Arrival>, Error> = group.into_iter().map(|each| journal.append(each)).collect();
        let (arrivals, committed) = match appended {
            Ok(arrivals) => (arrivals, journal.commit(clock::now())),
            Err(error) => (Vec::new(), Err(error)),
        };
        (journal, arrivals, committed)
    })
    .await?;
    let begun = clock::steady();
    let mut told = None;
    loop {
        let Err(error) = committed else { return Ok((journal, arrivals)) };
        if !error.is_full_disk() || begun.elapsed() >= patience || stop.is_cancelled() {
            close(journal).await?;
            return Err(error);
        }
        if told.is_none_or(|told: Instant| told.elapsed() >= TELL_EVERY) {
            tracing::error!(%error, "the disk is full: arrivals wait, and nothing is judged until there is room");
            told = Some(clock::steady());
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(FULL_DISK_PAUSE) => {}
        }
        (journal, committed) = blocking(move || {
            let mut journal = journal;
            let committed = journal.commit(clock::now());
            (journal, committed)
        })
        .await?;
    }
}

/// Closes the journal, which waits for the segment that is being compressed.
async fn close(journal: Journal) -> Result<(), Error> {
    blocking(move || drop(journal)).await
}

/// Runs what waits for the disk where it does not hold up the sockets.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    let mut task = JoinSet::new();
    task.spawn_blocking(work);
    match task.join_next().await {
        Some(Ok(done)) => Ok(done),
        Some(Err(_)) | None => Err(Error::Lost),
    }
}

fn bytes(group: &[Incoming]) -> usize {
    group.iter().map(|incoming| weight(&incoming.body)).sum()
}
