//! A search that can be broken off: every finished evaluation is a line in a file, and is not made again.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::tally::Tally;

/// Evaluations by candidate and unit.
pub type Known = BTreeMap<(usize, String), Tally>;

/// Where finished evaluations are written; nowhere without a file.
#[derive(Debug, Default)]
pub struct State {
    file: Option<(PathBuf, Mutex<File>)>,
}

/// Parts of a question, by name, each as text or as a hash of what it is of.
pub type Asked = BTreeMap<String, String>;

/// What a file of evaluations cannot be used for.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It cannot be read or written.
    #[error("{path}: {why}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        why: std::io::Error,
    },
    /// It is something else.
    #[error("{0} is not a file of `fillguard tune --state`; name another, or one that does not exist yet")]
    Foreign(PathBuf),
    /// It holds answers to another question.
    #[error("{path} belongs to another search ({differs}); ask what was asked then, or name another file")]
    Another {
        /// The file.
        path: PathBuf,
        /// In what the two differ.
        differs: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    fillguard_tune: u32,
    asked: Asked,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    candidate: usize,
    unit: String,
    tally: Tally,
}

/// The form of the file.
const VERSION: u32 = 1;

impl State {
    /// Opens a file, or begins it, and returns what is in it already. A line that was not written to its end is dropped.
    pub fn open(path: &Path, asked: &Asked) -> Result<(State, Known), StateError> {
        let io = |why| StateError::Io { path: path.to_owned(), why };
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(io)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let mut known = Known::new();
        if whole == 0 {
            // Not even its head was finished: nothing is lost. Anything else is not ours to overwrite.
            if !bytes.is_empty() && !bytes.starts_with(b"{\"fillguard_tune\"") {
                return Err(StateError::Foreign(path.to_owned()));
            }
            file.set_len(0).map_err(io)?;
            file.seek(SeekFrom::Start(0)).map_err(io)?;
            let head = Head { fillguard_tune: VERSION, asked: asked.clone() };
            let text = serde_json::to_string(&head).map_err(|why| io(why.into()))?;
            writeln!(file, "{text}").map_err(io)?;
        } else {
            let foreign = || StateError::Foreign(path.to_owned());
            let text = std::str::from_utf8(&bytes[..whole]).map_err(|_| foreign())?;
            let mut lines = text.lines();
            let head: Head = lines.next().and_then(|line| serde_json::from_str(line).ok()).ok_or_else(foreign)?;
            if head.fillguard_tune != VERSION {
                return Err(foreign());
            }
            if let Some(differs) = difference(&head.asked, asked) {
                return Err(StateError::Another { path: path.to_owned(), differs });
            }
            for line in lines {
                let Line { candidate, unit, tally } = serde_json::from_str(line).map_err(|_| foreign())?;
                known.insert((candidate, unit), tally);
            }
            file.set_len(whole as u64).map_err(io)?;
            file.seek(SeekFrom::Start(whole as u64)).map_err(io)?;
        }
        Ok((State { file: Some((path.to_owned(), Mutex::new(file))) }, known))
    }

    /// Writes a finished evaluation down.
    pub fn note(&self, candidate: usize, unit: &str, tally: &Tally) -> Result<(), StateError> {
        let Some((path, file)) = &self.file else { return Ok(()) };
        let io = |why| StateError::Io { path: path.clone(), why };
        let line = Line { candidate, unit: unit.to_owned(), tally: tally.clone() };
        let mut text = serde_json::to_string(&line).map_err(|why| io(why.into()))?;
        text.push('\n');
        // One write a line: of one that is broken off only the last can be torn.
        file.lock().unwrap_or_else(PoisonError::into_inner).write_all(text.as_bytes()).map_err(io)
    }
}

fn difference(before: &Asked, now: &Asked) -> Option<String> {
    let names: std::collections::BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let differ: Vec<&str> =
        names.into_iter().filter(|name| before.get(*name) != now.get(*name)).map(String::as_str).collect();
    (!differ.is_empty()).then(|| format!("it differs in: {}", differ.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(seed: &str) -> Asked {
        Asked::from([("seed".to_owned(), seed.to_owned()), ("rules".to_owned(), "a".to_owned())])
    }

    #[test]
    fn what_is_finished_is_known_again_and_a_torn_line_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let tally = Tally { ordinary_s: 9, alerts: 1, ..Tally::default() };
        let (state, known) = State::open(&path, &asked("1")).unwrap();
        assert!(known.is_empty());
        state.note(3, "tape <X>", &tally).unwrap();
        state.note(4, "b", &tally).unwrap();
        drop(state);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 9]).unwrap();
        let (state, known) = State::open(&path, &asked("1")).unwrap();
        assert_eq!(known, Known::from([((3, "tape <X>".to_owned()), tally.clone())]));
        state.note(4, "b", &tally).unwrap();
        drop(state);
        assert!(std::fs::read(&path).unwrap() == whole);
    }

    #[test]
    fn another_question_and_a_foreign_file_are_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        drop(State::open(&path, &asked("1")).unwrap());
        let why = State::open(&path, &asked("2")).unwrap_err().to_string();
        assert!(why.contains("differs in: seed"), "{why}");
        for foreign in ["no newline", "a letter\nof mine\n"] {
            std::fs::write(&path, foreign).unwrap();
            assert!(matches!(State::open(&path, &asked("1")), Err(StateError::Foreign(_))));
            assert_eq!(std::fs::read_to_string(&path).unwrap(), foreign);
        }
    }
}
