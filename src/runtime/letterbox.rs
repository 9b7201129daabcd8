//! A folder in which commands leave files for a running daemon, whichever user runs either of them. Only the daemon's
//! user and root may look into it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// Whose a file is in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The daemon's user's.
    Daemon,
    /// That of whoever left it, which says who that was: nobody but root can leave a file for another.
    Sender,
}

/// Puts a file into the folder, as a whole or not at all; returns where it is. Its name without an ending is `name`.
pub fn put(folder: &Path, name: &str, text: &[u8], owner: Owner) -> io::Result<PathBuf> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let (beside, file) = (folder.join(format!("{name}.new")), folder.join(format!("{name}.json")));
    let mut new = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    new.write_all(text)?;
    if owner == Owner::Sender {
        // Whatever the sender's mask: the daemon has to read it, and nobody else gets into the folder.
        new.set_permissions(fs::Permissions::from_mode(0o644))?;
    }
    new.sync_all()?;
    // Asked by root, it must be the daemon's own user who can take it: the one who has the state's directory.
    if let Some(about) = folder.parent().and_then(|dir| fs::metadata(dir).ok()) {
        let _ = chown(folder, Some(about.uid()), Some(about.gid()));
        if owner == Owner::Daemon {
            let _ = chown(&beside, Some(about.uid()), Some(about.gid()));
        }
    }
    fs::rename(&beside, &file)?;
    Ok(file)
}

/// Returns the files that wait, those whose names come first, and at most so many.
pub fn waiting(folder: &Path, most: usize) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(why) => return Err(why),
    };
    let mut files: BTreeMap<String, PathBuf> = BTreeMap::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if name.ends_with(".json") {
            files.insert(name, path);
            if files.len() > most {
                files.pop_last();
            }
        }
    }
    Ok(files.into_values().collect())
}

/// Reads a file of at most so many bytes; returns its text, and the number of the user whose it is.
pub fn read(file: &Path, most: u64) -> io::Result<(String, u32)> {
    let about = fs::symlink_metadata(file)?;
    if !about.is_file() || about.len() > most {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is no small file"));
    }
    let mut text = String::new();
    fs::File::open(file)?.take(most).read_to_string(&mut text)?;
    Ok((text, about.uid()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::print_stderr, reason = "a test that is left out says so")]
    fn a_folder_of_another_user_is_handed_to_the_one_whose_state_it_is_and_a_file_keeps_its_sender() {
        let home = tempfile::tempdir().unwrap();
        let own = fs::metadata(home.path()).unwrap().uid();
        if own != 0 {
            eprintln!("skipped: only root can play two users");
            return;
        }
        let (state, folder) = (home.path().join("state"), home.path().join("state/box"));
        fs::create_dir(&state).unwrap();
        chown(&state, Some(4_711), Some(4_711)).unwrap();
        // As an older version left it.
        fs::DirBuilder::new().mode(0o700).create(&folder).unwrap();
        let of = |path: &Path| (fs::metadata(path).unwrap().uid(), fs::metadata(path).unwrap().mode() & 0o777);
        let sent = put(&folder, "2", b"{}", Owner::Sender).unwrap();
        let ordered = put(&folder, "1", b"{}", Owner::Daemon).unwrap();
        assert_eq!((of(&folder), of(&sent), of(&ordered)), ((4_711, 0o700), (0, 0o644), (4_711, 0o600)));
        assert_eq!(waiting(&folder, 9).unwrap(), [ordered.clone(), sent.clone()]);
        assert_eq!(waiting(&folder, 1).unwrap(), [ordered]);
        assert_eq!(read(&sent, 2).unwrap(), ("{}".to_owned(), 0));
        assert!(read(&sent, 1).is_err() && read(&folder, 9).is_err());
    }
}
