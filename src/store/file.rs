//! The database's file: nobody else may read it, and one process writes it.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::Error;

/// Makes folder (0700) and file (0600) where absent, narrows the file where present, and takes the writer's lock.
///
/// An existing folder keeps its mode, because it may hold other things; it only must not be writable by others.
/// SQLite gives its `-wal` and `-shm` files the database's mode.
pub(super) fn prepare(path: &Path) -> Result<File, Error> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|why| Error::file(folder, why))?;
    let mode = fs::metadata(folder).map_err(|why| Error::file(folder, why))?.permissions().mode();
    if mode & 0o022 != 0 {
        return Err(Error::Shared { path: folder.to_owned() });
    }
    let lock = private(&beside(path, ".lock"))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(Error::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(why)) => return Err(Error::file(path, why)),
    }
    private(path)?;
    Ok(lock)
}

/// Opens a file for its owner only.
fn private(path: &Path) -> Result<File, Error> {
    let open = || -> std::io::Result<File> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        if file.metadata()?.permissions().mode() & 0o077 != 0 {
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
        }
        Ok(file)
    };
    open().map_err(|why| Error::file(path, why))
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn folder_and_files_are_for_their_owner_only() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("state/deep/fillguard.db");
        let mut store = super::super::Store::open(&path).unwrap();
        store.follow("a journal").unwrap();
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        for ending in ["", "-wal", "-shm", ".lock"] {
            assert_eq!(mode(&beside(&path, ending)), 0o600, "{ending}");
        }
    }

    #[test]
    fn a_file_that_others_could_read_is_narrowed() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("fillguard.db");
        fs::write(&path, b"").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        prepare(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_refused() {
        let home = tempfile::tempdir().unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(prepare(&home.path().join("fillguard.db")), Err(Error::Shared { .. })));
    }

    #[test]
    fn a_second_writer_is_refused_while_the_first_lives() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("fillguard.db");
        let first = prepare(&path).unwrap();
        assert!(matches!(prepare(&path), Err(Error::InUse { .. })));
        drop(first);
        prepare(&path).unwrap();
    }
}
