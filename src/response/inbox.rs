//! Answers that the command line leaves for a running daemon: a file each, in a folder of the state's directory.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use compact_str::format_compact;
use serde::{Deserialize, Serialize};

use super::machine::Responder;
use super::words::Verdict;
use crate::domain::{IncidentId, Timestamp};

/// Bytes of the largest answer taken, and answers taken at once.
const MOST: (u64, usize) = (4_096, 100);

/// What somebody said about a response.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Which one.
    pub incident: IncidentId,
    /// Who: the system's number of the user who left the file. Nobody can leave one for another.
    pub who: Responder,
    /// What.
    pub verdict: Verdict,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    incident: IncidentId,
    verdict: Verdict,
}

/// Leaves an answer.
pub fn leave(folder: &Path, incident: &IncidentId, verdict: Verdict, now: Timestamp) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let text = serde_json::to_string(&Wire { incident: incident.clone(), verdict })?;
    let name = format!("{}-{}", now.nanos(), std::process::id());
    let beside = folder.join(format!(".{name}"));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, folder.join(format!("{name}.json")))
}

/// Takes the answers that were left, oldest first. What is no answer is removed with a line in the log.
pub fn take(folder: &Path) -> Vec<Answer> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "json"));
    files.sort();
    let mut answers = Vec::new();
    for file in files.into_iter().take(MOST.1) {
        match read(&file) {
            Ok(answer) => answers.push(answer),
            Err(why) => tracing::warn!(file = %file.display(), %why, "what was left for a response is no answer"),
        }
        if let Err(why) = fs::remove_file(&file) {
            tracing::warn!(file = %file.display(), %why, "an answer cannot be removed, and is taken again");
        }
    }
    answers
}

fn read(file: &Path) -> io::Result<Answer> {
    let about = fs::symlink_metadata(file)?;
    if !about.is_file() || about.len() > MOST.0 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let Wire { incident, verdict } = serde_json::from_str(&fs::read_to_string(file)?)?;
    Ok(Answer { incident, who: format_compact!("user {} of this machine", about.uid()), verdict })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_once_with_who_left_it() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("respond");
        assert_eq!(take(&folder), []);
        let incident = IncidentId::known("binance-alice-7");
        leave(&folder, &incident, Verdict::Approve, Timestamp::EPOCH).unwrap();
        fs::write(folder.join("x.json"), "{").unwrap();
        let taken = take(&folder);
        assert_eq!((taken.len(), &taken[0].incident, taken[0].verdict), (1, &incident, Verdict::Approve));
        assert!(taken[0].who.starts_with("user "));
        assert_eq!(take(&folder), []);
    }
}
