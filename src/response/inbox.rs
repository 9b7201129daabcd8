//! Answers that the command line leaves for a running daemon: a file each, in a folder of the state's directory. The
//! daemon removes each once what it says is on disk.

use std::io;
use std::path::{Path, PathBuf};

use compact_str::format_compact;
use serde::{Deserialize, Serialize};

use super::machine::Responder;
use super::words::Verdict;
use crate::domain::{IncidentId, Timestamp};
use crate::runtime::letterbox::{self, Owner};

/// Bytes of the largest answer taken, and answers taken at once.
const MOST: (u64, usize) = (4_096, 100);

/// What somebody said about a response.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Which one.
    pub incident: IncidentId,
    /// Who: the system's number of the user who left the file. Nobody but root can leave one for another.
    pub who: Responder,
    /// What.
    pub verdict: Verdict,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    incident: IncidentId,
    verdict: Verdict,
}

/// Leaves an answer; returns its file, which is gone when the daemon has taken it.
pub fn leave(folder: &Path, incident: &IncidentId, verdict: Verdict, now: Timestamp) -> io::Result<PathBuf> {
    let text = serde_json::to_vec(&Wire { incident: incident.clone(), verdict })?;
    let name = format!("{:020}-{}", now.nanos(), std::process::id());
    letterbox::put(folder, &name, &text, Owner::Sender)
}

/// Returns the answers that wait, oldest first, each with its file. What is no answer is removed with a line in the log.
pub fn waiting(folder: &Path) -> io::Result<Vec<(PathBuf, Answer)>> {
    let mut answers = Vec::new();
    for file in letterbox::waiting(folder, MOST.1)? {
        match read(&file) {
            Ok(answer) => answers.push((file, answer)),
            Err(why) => {
                tracing::warn!(file = %file.display(), %why, "what was left for a response is no answer");
                remove(&file);
            }
        }
    }
    Ok(answers)
}

/// Removes an answer that was taken; returns whether it is gone.
pub fn remove(file: &Path) -> bool {
    let removed = std::fs::remove_file(file);
    if let Err(why) = &removed {
        tracing::warn!(file = %file.display(), %why, "an answer cannot be removed");
    }
    removed.is_ok()
}

fn read(file: &Path) -> io::Result<Answer> {
    let (text, user) = letterbox::read(file, MOST.0)?;
    let Wire { incident, verdict } = serde_json::from_str(&text)?;
    Ok(Answer { incident, who: format_compact!("user {user} of this machine"), verdict })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_waits_with_who_left_it_until_it_is_removed() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("respond");
        assert_eq!(waiting(&folder).unwrap(), []);
        let incident = IncidentId::known("binance-alice-7");
        let file = leave(&folder, &incident, Verdict::Approve, Timestamp::EPOCH).unwrap();
        std::fs::write(folder.join("x.json"), "{").unwrap();
        for _ in 0..2 {
            let left = waiting(&folder).unwrap();
            let [(place, answer)] = left.as_slice() else { panic!("{left:?}") };
            assert_eq!((place, &answer.incident, answer.verdict), (&file, &incident, Verdict::Approve));
            assert!(answer.who.starts_with("user "));
        }
        assert!(!folder.join("x.json").exists());
        assert!(remove(&file));
        assert_eq!(waiting(&folder).unwrap(), []);
    }
}
