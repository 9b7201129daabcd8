//! Secrets, each in a file of its own: named by path, or handed over by systemd.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::problem::shown;
use super::section::{Scope, Section};
use super::values::text;
use crate::secret::Secret;

/// A private key in PEM has a few thousand bytes at most.
const MOST_BYTES: u64 = 64 << 10;

/// What became of a secret.
#[derive(Clone, Debug)]
pub(super) enum Found {
    /// The file names none.
    Absent,
    /// It is named, and was refused (which is noted) or not to be read now.
    Unread,
    /// Here it is.
    Read(Secret),
}

/// Asks for a secret by the key of its path and the key of its credential; at most one may be there.
pub(super) fn secret(section: &mut Section<'_>, file: &'static str, credential: &'static str) -> Found {
    let given = (section.has(file), section.has(credential));
    let path = section.ask(file, None, |value| path_text(text(value)?).map(PathBuf::from));
    let name = section.ask(credential, None, |value| credential_name(text(value)?));
    match given {
        (false, false) => return Found::Absent,
        (true, true) => {
            section.refuse(credential, format!("is a second place for the same secret; keep this or {file}"));
            return Found::Unread;
        }
        (true, false) | (false, true) => {}
    }
    if section.gather.scope == Scope::Middle {
        return Found::Unread;
    }
    let (key, path) = match (path, name, &section.gather.credentials) {
        (Some(path), _, _) => (file, section.gather.folder.join(path)),
        (None, Some(name), Some(folder)) => (credential, handed_over(folder, &name)),
        (None, Some(_), None) if section.gather.scope == Scope::Look => {
            let line = section.line_of(credential);
            section
                .gather
                .warn(format!("line {line}: {credential} was not looked at: systemd hands it to the service"));
            return Found::Unread;
        }
        (None, Some(_), None) => {
            let reason = "systemd hands over no credentials here ($CREDENTIALS_DIRECTORY is not set): start the service \
                          with LoadCredential=, or name the file";
            section.refuse(credential, format!("{reason} with {file}"));
            return Found::Unread;
        }
        (None, None, _) => return Found::Unread,
    };
    section.gather.touched.borrow_mut().push(path.clone());
    match read(&path, section.gather.credentials.as_deref()) {
        Ok(secret) => Found::Read(secret),
        Err(reason) => {
            section.refuse(key, reason);
            Found::Unread
        }
    }
}

/// Takes a secret that is an address, and so one line; what else it holds might be read in two ways.
pub(super) fn one_line(section: &Section<'_>, secret: Secret, file: &str, credential: &str) -> Option<Secret> {
    if !secret.expose().contains(char::is_control) {
        return Some(secret);
    }
    let key = if section.has(file) { file } else { credential };
    section.refuse(key, "holds more than one line, or control characters; put the address alone into it");
    None
}

/// Where a secret is said to be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    File(PathBuf),
    Credential(String),
}

/// Returns where the file says a secret is, so that the same file is known by any of its paths.
pub(super) fn place(section: &Section<'_>, file: &str, credential: &str) -> Option<Place> {
    if let Some(path) = section.written(file) {
        let path = section.gather.folder.join(path);
        return Some(Place::File(path.canonicalize().unwrap_or(path)));
    }
    section.written(credential).map(|name| Place::Credential(name.to_owned()))
}

/// Returns where a credential lies: under its name, or in the folder whose name systemd puts in front (`keys_a.key` of
/// `LoadCredential=keys:/etc/fillguard/keys` is `a.key` there), where somebody names that folder.
fn handed_over(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    let own = name.split_once('_').map(|(_, own)| folder.join(own));
    own.filter(|own| !path.exists() && own.exists()).unwrap_or(path)
}

/// Takes a path, unless it looks like the secret itself: that would be shown in the complaint that no such file exists.
fn path_text(text: &str) -> Result<&str, String> {
    let rooted = ["/", "./", "../"].iter().any(|start| text.starts_with(start)) && !text.ends_with('=');
    let ending = text.rsplit_once('.').is_some_and(|(_, ending)| (1..=10).contains(&ending.len()));
    if text.contains(['\n', '\0', ':']) || text.starts_with("--") || !(rooted || ending || text.len() < 20) {
        return Err("looks like the secret itself; put that into a file of its own (chmod 600) and name the file here"
            .to_owned());
    }
    if text.is_empty() { Err("is empty; name a file".to_owned()) } else { Ok(text) }
}

/// Takes a credential's name. It is never shown: it, too, might be the secret itself.
fn credential_name(text: &str) -> Result<String, String> {
    let fine = (1..=255).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@'))
        && !matches!(text, "." | "..");
    let reason = "is not the name of a credential: that is what stands before the colon in LoadCredential=NAME:FILE";
    if fine { Ok(text.to_owned()) } else { Err(reason.to_owned()) }
}

/// Reads a secret; the reason of a refusal names the file and nothing of its content.
fn read(path: &Path, credentials: Option<&Path>) -> Result<Secret, String> {
    let guarded = credentials.and_then(|folder| folder.canonicalize().ok());
    let guarded = guarded.is_some_and(|folder| path.canonicalize().is_ok_and(|path| path.starts_with(folder)));
    // Where systemd keeps it, the name alone is told: it was given as a name.
    let told = if guarded { "the credential".to_owned() } else { printable(path) };
    let cannot = |error: std::io::Error| {
        let absent = error.kind() == ErrorKind::NotFound;
        if absent && credentials.is_some_and(|folder| path.starts_with(folder)) {
            "there is no such credential: add LoadCredential=NAME:FILE to the service".to_owned()
        } else if absent {
            "there is no such file (a relative path begins at this file's folder)".to_owned()
        } else if error.kind() == ErrorKind::PermissionDenied {
            let other = "give it to that user, or let systemd hand it over (LoadCredential=)";
            format!("{told} may not be read by the user this runs as; {other}")
        } else {
            format!("{told} cannot be read: {error}")
        }
    };
    // Asked before opening: opening a named pipe would wait for somebody to write.
    let about = fs::metadata(path).map_err(cannot)?;
    if about.is_dir() {
        return Err(format!("{told} is a directory; name the file in it"));
    }
    if !about.is_file() {
        return Err(format!("{told} is not a regular file"));
    }
    let file = File::open(path).map_err(cannot)?;
    let about = file.metadata().map_err(cannot)?;
    let mode = about.permissions().mode() & 0o777;
    if !guarded && mode & 0o077 != 0 {
        return Err(format!("{told} can be read by others (mode {mode:04o}); run: chmod 600 {told}"));
    }
    if about.len() > MOST_BYTES {
        return Err(format!("{told} is larger than 64 KiB, so it is no secret"));
    }
    let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(about.len() as usize + 1));
    file.take(MOST_BYTES).read_to_end(&mut bytes).map_err(cannot)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| format!("{told} is not text"))?;
    let text = text.trim_end_matches(['\n', '\r']);
    if text.trim().is_empty() {
        return Err(format!("{told} is empty; put the secret into it"));
    }
    Ok(Secret::new(text.to_owned()))
}

/// Returns a path without characters that could rewrite a terminal.
fn printable(path: &Path) -> String {
    let text = path.display().to_string();
    if text.chars().any(char::is_control) { shown(&text) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_in_the_place_of_a_path_is_recognised_and_a_path_is_not_taken_for_one() {
        for path in
            ["alice.secret", "keys/alice.key", "/etc/fillguard/keys/alice", "../alice", "alice_secret", "cdp.json"]
        {
            assert!(path_text(path).is_ok(), "{path}");
        }
        for secret in [
            "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j",
            "-----BEGIN EC PRIVATE KEY-----\nMHcC",
            "/m0Zc5vDA5Rj2cBBOqkCp5dZw5YkYBkYoKZ1ZkpY4A8r8rQ==",
            "123456:ABC-def",
        ] {
            let refusal = path_text(secret).unwrap_err();
            assert!(!refusal.contains(&secret[..6]), "{refusal}");
        }
    }

    #[test]
    fn a_credential_is_a_plain_name() {
        assert!(credential_name("keys_alice.secret").is_ok());
        for bad in ["", "..", "../alice", "a/b", "two words"] {
            assert!(credential_name(bad).is_err(), "{bad}");
        }
    }
}
