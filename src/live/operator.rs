//! What the operator switches while the daemon runs: a file in the state's directory, handed over as an arrival whenever
//! it changed, so that a replay knows the same.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;

use crate::arrival::{Body, Incoming, Source};
use crate::runtime::clock;
use crate::runtime::supervisor::{Outcome, Stage, Task};

/// How often the file is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// Bytes of the largest file taken.
const MOST_BYTES: u64 = 64 << 10;

/// Returns the task that hands the file over at the start and whenever it changed. A file that cannot be read is told once
/// in the log, and what was switched stays.
pub(super) fn switches(file: PathBuf, incoming: mpsc::Sender<Incoming>) -> Task {
    Task::restartable("operator", Stage::Feeds, move |stop| {
        let (file, incoming) = (file.clone(), incoming.clone());
        async move {
            let mut seen: Option<Mark> = None;
            let mut said = None;
            loop {
                match look(&file, seen) {
                    Ok(Some((mark, text))) => {
                        (seen, said) = (Some(mark), None);
                        tell(&text);
                        let switched =
                            Incoming { at: clock::now(), from: Source::Operator, body: Body::from_text(text) };
                        tokio::select! {
                            () = stop.cancelled() => return Outcome::Ok(()),
                            sent = incoming.send(switched) => sent.map_err(|_| "the queue to the journal is closed")?,
                        }
                    }
                    Ok(None) => {}
                    Err(why) if said == Some(why) => {}
                    Err(why) => {
                        tracing::warn!(file = %file.display(), %why, "what the operator switched cannot be read");
                        said = Some(why);
                    }
                }
                tokio::select! {
                    () = stop.cancelled() => return Outcome::Ok(()),
                    () = tokio::time::sleep(EVERY) => {}
                }
            }
        }
    })
}

/// Writes the leak modes that are on into the log: whoever reads it later must see why less evidence was enough.
fn tell(text: &str) {
    let now = clock::now();
    match crate::codec::operator::read(text) {
        Some(modes) => {
            let on: Vec<_> = modes.iter().filter(|mode| mode.until > now).collect();
            for mode in &on {
                let (tag, venue, account) = (&mode.tag, mode.venue, &mode.account);
                tracing::info!(?tag, ?venue, ?account, until = %mode.until, why = %mode.why, "leak mode is on");
            }
            if on.is_empty() {
                tracing::info!("no leak mode is on");
            }
        }
        None => tracing::warn!("the file of leak modes is not understood; what was switched before stays"),
    }
}

/// When a file was written, and how long it is.
type Mark = (SystemTime, u64);

fn look(file: &Path, seen: Option<Mark>) -> Result<Option<(Mark, String)>, std::io::ErrorKind> {
    let about = match std::fs::metadata(file) {
        Ok(about) => about,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.kind()),
    };
    let mark = (about.modified().map_err(|error| error.kind())?, about.len());
    if Some(mark) == seen {
        return Ok(None);
    }
    if about.len() > MOST_BYTES || !about.is_file() {
        return Err(std::io::ErrorKind::InvalidData);
    }
    let mut text = String::new();
    let opened = std::fs::File::open(file).map_err(|error| error.kind())?;
    opened.take(MOST_BYTES).read_to_string(&mut text).map_err(|error| error.kind())?;
    Ok(Some((mark, text)))
}
