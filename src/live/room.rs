//! Tells people that the disk fills up while they can still be told: once it is full, no message can be kept either.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::statvfs;

use crate::notify;
use crate::notify::words::{Room, words};
use crate::runtime::clock;
use crate::runtime::supervisor::{Outcome, Stage, Task};
use crate::store::{Cause, Handle};

/// How often is looked.
const EVERY: Duration = Duration::from_secs(30);
/// On a small disk little is usual: it is short of room when less than this part of it is left, whatever was asked for.
const PART: u64 = 10;

/// When people were told, and of how much.
#[derive(Debug, Default)]
struct Told(Option<u64>);

impl Told {
    /// Says whether people are to be told now: when there is less than `least` for the first time, and each time half of
    /// that is gone too. With a quarter more than `least` it is over.
    fn takes(&mut self, free: u64, least: u64) -> bool {
        match self.0 {
            _ if free > least.saturating_add(least / 4) => {
                self.0 = None;
                false
            }
            Some(told) if free > told / 2 => false,
            None if free > least => false,
            Some(_) | None => {
                self.0 = Some(free);
                true
            }
        }
    }
}

/// Returns the task that looks at the disk below `folder`; nothing where nobody wants to know.
pub(super) fn task(folder: PathBuf, least: Option<u64>, settings: &notify::Settings, store: &Handle) -> Option<Task> {
    let (least, words, store) = (least?, words(settings.language), store.clone());
    Some(Task::restartable("room", Stage::Notifiers, move |stop| {
        let (folder, store) = (folder.clone(), store.clone());
        async move {
            let mut told = Told::default();
            loop {
                if let Some(room) = room(&folder)
                    && told.takes(room.free, least.min(room.whole / PART))
                {
                    tracing::warn!(free = room.free, folder = %folder.display(), "the disk fills up");
                    let channels = store.routes().iter().filter(|route| !route.is_later());
                    let channels: Vec<String> = channels.map(|route| route.name.clone()).collect();
                    let now = clock::now();
                    match store.queue(words.short_of_room(&folder, &room, now), now, channels, Cause::Report).await {
                        Ok(()) => {}
                        // It is told when there is room for that.
                        Err(error) if error.is_passing() => told = Told::default(),
                        Err(error) => return Outcome::Err(error.into()),
                    }
                }
                tokio::select! {
                    () = stop.cancelled() => return Outcome::Ok(()),
                    () = tokio::time::sleep(EVERY) => {}
                }
            }
        }
    }))
}

/// Returns how much of the disk is left to us; nothing where the system does not say.
fn room(folder: &Path) -> Option<Room> {
    let disk = statvfs(folder).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
    Some(Room { free: bytes(disk.f_bavail), whole: bytes(disk.f_blocks) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_told_once_and_again_when_half_is_gone_and_anew_after_there_was_room() {
        let mut told = Told::default();
        let taken: Vec<bool> = [101, 100, 99, 51, 50, 49, 26, 24, 110, 24, 126, 100, 90]
            .into_iter()
            .map(|free| told.takes(free, 100))
            .collect();
        let wanted = [false, true, false, false, true, false, false, true, false, false, false, true, false];
        assert_eq!(taken, wanted);
    }

    #[test]
    fn a_folder_that_is_there_has_a_disk() {
        let folder = tempfile::tempdir().unwrap();
        let room = room(folder.path()).unwrap();
        assert!(room.free <= room.whole && room.whole > 0, "{room:?}");
        assert!(super::room(&folder.path().join("missing")).is_none());
    }
}
