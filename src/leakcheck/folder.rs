//! A folder that is looked at again and again: each file in it is searched once, when it has come to rest.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;

/// Which folder, how often, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The folder; what is in folders inside it is searched too.
    pub dir: PathBuf,
    /// How often it is looked at. A file is searched when it is the same at two looks; 10 s by default.
    pub every: Duration,
    /// Unpacked bytes of one file that are searched; a longer one is told. 64 GiB by default.
    pub largest: u64,
}

/// The folder with what was seen of it.
#[derive(Clone, Debug)]
pub struct Folder {
    dir: PathBuf,
    /// What lay there at the last look.
    seen: BTreeSet<Mark>,
    /// What was searched, and still lies there.
    done: BTreeSet<Mark>,
}

/// A file as it is now: its path, place on the disk, size and time of change, hashed.
pub type Mark = String;

/// A file that came to rest and was not searched yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rested {
    /// Where it is.
    pub path: PathBuf,
    /// What is handed back when it was searched.
    pub mark: Mark,
}

/// What a look gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Files to be searched, by path.
    pub rested: Vec<Rested>,
    /// Why some of the folder was not looked at, a sentence each.
    pub amiss: Vec<String>,
}

/// Files that are looked at, and folders inside folders.
const MOST: usize = 10_000;
const DEEPEST: usize = 16;

impl Settings {
    /// Looks at a folder in the usual way.
    pub fn new(dir: PathBuf) -> Self {
        Settings { dir, every: Duration::from_secs(10), largest: 64 << 30 }
    }
}

impl Folder {
    /// Begins with what was searched before, as [`Folder::done`] told it.
    pub fn new(dir: PathBuf, done: BTreeSet<Mark>) -> Self {
        Folder { dir, seen: BTreeSet::new(), done }
    }

    /// Returns what was searched and still lies there.
    pub fn done(&self) -> &BTreeSet<Mark> {
        &self.done
    }

    /// Writes down that a file was searched.
    pub fn finish(&mut self, mark: Mark) {
        self.done.insert(mark);
    }

    /// Looks at the folder.
    pub fn look(&mut self) -> Look {
        let (mut files, mut look) = (BTreeMap::new(), Look::default());
        walk(&self.dir, 0, &mut files, &mut look.amiss);
        let seen: BTreeSet<Mark> = files.values().cloned().collect();
        // A folder that could not be read whole says nothing of what is gone from it.
        if look.amiss.is_empty() {
            self.done.retain(|mark| seen.contains(mark));
        }
        let rests = |mark: &Mark| self.seen.contains(mark) && !self.done.contains(mark);
        let rested = files.into_iter().filter(|(_, mark)| rests(mark));
        look.rested = rested.map(|(path, mark)| Rested { path, mark }).collect();
        self.seen = seen;
        look
    }
}

/// Opens a file of the folder; a link or a pipe that took its place meanwhile is none and waits for nobody.
pub fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("is no file"));
    }
    Ok(file)
}

fn walk(folder: &Path, depth: usize, files: &mut BTreeMap<PathBuf, Mark>, amiss: &mut Vec<String>) {
    if depth > DEEPEST {
        return amiss.push(format!("folders inside folders are gone into {DEEPEST} deep"));
    }
    let inside: io::Result<Vec<PathBuf>> =
        std::fs::read_dir(folder).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    let mut inside = match inside {
        Ok(inside) => inside,
        Err(why) => return amiss.push(format!("a folder cannot be read: {why}")),
    };
    inside.sort();
    for path in inside {
        if files.len() >= MOST {
            return amiss.push(format!("there are more than {MOST} files"));
        }
        match std::fs::symlink_metadata(&path) {
            Ok(about) if about.is_dir() => walk(&path, depth + 1, files, amiss),
            // Links, pipes and sockets: nothing published is one.
            Ok(about) if about.is_file() => _ = files.insert(path.clone(), mark(&path, &about)),
            Ok(_) => {}
            // Gone since the folder was read.
            Err(why) if why.kind() == io::ErrorKind::NotFound => {}
            Err(why) => amiss.push(format!("a file cannot be looked at: {why}")),
        }
    }
}

fn mark(path: &Path, about: &Metadata) -> Mark {
    let mut hasher = blake3::Hasher::new();
    hasher.update(path.as_os_str().as_encoded_bytes());
    // The time of its last change of any kind too: a file that could not be opened and now can be is another.
    let times = [about.mtime(), about.mtime_nsec(), about.ctime(), about.ctime_nsec()].map(|time| time as u64);
    for number in [about.dev(), about.ino(), about.len()].into_iter().chain(times) {
        hasher.update(&number.to_le_bytes());
    }
    hasher.finalize().to_hex()[..32].to_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn names(look: &Look) -> Vec<String> {
        look.rested.iter().map(|one| one.path.file_name().unwrap().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_file_is_searched_once_and_only_when_it_has_come_to_rest() {
        let home = tempfile::tempdir().unwrap();
        let mut folder = Folder::new(home.path().to_owned(), BTreeSet::new());
        std::fs::write(home.path().join("a"), "half").unwrap();
        assert_eq!(names(&folder.look()), Vec::<String>::new(), "it may still grow");
        std::fs::write(home.path().join("a"), "half and the rest").unwrap();
        assert_eq!(names(&folder.look()), Vec::<String>::new(), "it grew");
        let look = folder.look();
        assert_eq!(names(&look), ["a"]);
        assert_eq!(names(&folder.look()), ["a"], "until it was searched");
        folder.finish(look.rested[0].mark.clone());
        assert_eq!(names(&folder.look()), Vec::<String>::new());
        // After a restart it is known, and a change makes it another file.
        let mut folder = Folder::new(home.path().to_owned(), folder.done().clone());
        folder.look();
        assert_eq!(names(&folder.look()), Vec::<String>::new());
        std::fs::write(home.path().join("a"), "other").unwrap();
        folder.look();
        assert_eq!(names(&folder.look()), ["a"]);
        let mark = folder.look().rested.remove(0).mark;
        folder.finish(mark);
        std::fs::set_permissions(home.path().join("a"), std::fs::Permissions::from_mode(0o640)).unwrap();
        folder.look();
        assert_eq!(names(&folder.look()), ["a"], "it may not have been readable before");
        std::fs::remove_file(home.path().join("a")).unwrap();
        folder.look();
        assert!(folder.done().is_empty(), "what is gone is forgotten");
    }

    #[test]
    fn links_and_pipes_are_passed_over_and_a_folder_that_is_not_there_is_told() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("deep")).unwrap();
        std::fs::write(home.path().join("deep/b"), "x").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", home.path().join("link")).unwrap();
        std::os::unix::fs::symlink(home.path(), home.path().join("round")).unwrap();
        let pipe = home.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        let mut folder = Folder::new(home.path().to_owned(), BTreeSet::new());
        folder.look();
        let look = folder.look();
        assert_eq!((names(&look), look.amiss.len()), (vec!["b".to_owned()], 0));
        // One that took a file's place meanwhile is not waited for.
        assert!(open(&pipe).is_err() && open(&home.path().join("link")).is_err());
        let mut nowhere = Folder::new(home.path().join("nowhere"), BTreeSet::new());
        assert_eq!(nowhere.look().amiss.len(), 1);
    }
}
