//! The files of a piece of evidence: a folder or one archive, with a list of hashes that is signed.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::tar;

/// The list of hashes, and the signature of it.
const MANIFEST: &str = "manifest.json";
const SIGNATURE: &str = "manifest.sig";
/// Bytes of the largest file that is read back.
const MOST: u64 = 4 << 30;

/// A piece of evidence, complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// Its files by name, the list and the signature last.
    pub files: Vec<(String, Vec<u8>)>,
}

/// The key that this installation signs with.
pub struct SigningKey(Ed25519KeyPair);

/// What does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Flaw {
    /// In which file.
    pub file: String,
    /// What it is.
    pub what: String,
}

#[derive(Serialize, Deserialize)]
struct Manifest {
    fillguard_evidence: u32,
    incident: String,
    files: Vec<Listed>,
}

#[derive(Serialize, Deserialize)]
struct Listed {
    name: String,
    bytes: u64,
    blake3: String,
}

impl SigningKey {
    /// Reads the key, or makes it at its first use: 0600, in the state's folder.
    pub fn open(path: &Path) -> io::Result<Self> {
        let broken = || io::Error::new(io::ErrorKind::InvalidData, "is not the key that evidence is signed with");
        match fs::read_to_string(path) {
            Ok(text) => {
                let text = Zeroizing::new(text);
                if fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
                    return Err(io::Error::new(
                        io::ErrorKind::PermissionDenied,
                        "can be read by others; run chmod 600",
                    ));
                }
                let der = Zeroizing::new(STANDARD.decode(text.trim()).map_err(|_| broken())?);
                Ed25519KeyPair::from_pkcs8(&der).map(SigningKey).map_err(|_| broken())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
                let made = made.map_err(|_| io::Error::other("the system gives no randomness"))?;
                let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
                let text = Zeroizing::new(STANDARD.encode(made.as_ref()));
                file.write_all(text.as_bytes())?;
                file.sync_all()?;
                Ed25519KeyPair::from_pkcs8(made.as_ref()).map(SigningKey).map_err(|_| broken())
            }
            Err(error) => Err(error),
        }
    }

    /// Returns the public half, in base64: what a reader compares.
    pub fn public(&self) -> String {
        STANDARD.encode(self.0.public_key().as_ref())
    }
}

impl Bundle {
    /// Lists, hashes and signs files.
    pub fn sign(incident: &str, mut files: Vec<(String, Vec<u8>)>, key: &SigningKey) -> serde_json::Result<Self> {
        files.sort();
        let listed = files.iter().map(|(name, data)| Listed {
            name: name.clone(),
            bytes: data.len() as u64,
            blake3: blake3::hash(data).to_hex().to_string(),
        });
        let manifest = Manifest { fillguard_evidence: 1, incident: incident.to_owned(), files: listed.collect() };
        let mut text = serde_json::to_vec_pretty(&manifest)?;
        text.push(b'\n');
        let signature = STANDARD.encode(key.0.sign(&text).as_ref());
        let signed = format!("ed25519 {} {signature}\n", key.public());
        files.push((MANIFEST.to_owned(), text));
        files.push((SIGNATURE.to_owned(), signed.into_bytes()));
        Ok(Bundle { files })
    }

    /// Writes a folder, or one archive where the name ends in `.tar`; refuses to overwrite.
    pub fn write(&self, to: &Path) -> io::Result<()> {
        let put = |path: &Path, data: &[u8]| -> io::Result<()> {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            file.write_all(data)?;
            file.sync_all()
        };
        if to.extension().is_some_and(|ending| ending == "tar") {
            return put(to, &tar::pack(&self.files));
        }
        fs::DirBuilder::new().mode(0o700).create(to)?;
        self.files.iter().try_for_each(|(name, data)| put(&to.join(name), data))
    }
}

/// Says whether a path is a piece of evidence.
pub fn is_bundle(path: &Path) -> bool {
    path.join(MANIFEST).is_file() || path.extension().is_some_and(|ending| ending == "tar")
}

/// Reads a piece of evidence; a flaw where it cannot be one.
pub fn read(path: &Path) -> io::Result<Result<Bundle, Flaw>> {
    let within = |about: &fs::Metadata| about.is_file() && about.len() <= MOST;
    if path.is_dir() {
        let mut files = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !within(&entry.metadata()?) {
                return Ok(Err(Flaw { file: name, what: "is no file of a piece of evidence".to_owned() }));
            }
            files.push((name, fs::read(entry.path())?));
        }
        files.sort();
        return Ok(Ok(Bundle { files }));
    }
    let flaw = || Flaw { file: path.display().to_string(), what: "the archive is not as it was written".to_owned() };
    if !within(&fs::metadata(path)?) {
        return Ok(Err(flaw()));
    }
    Ok(tar::unpack(&fs::read(path)?).map(|files| Bundle { files }).ok_or_else(flaw))
}

/// Checks a piece of evidence; returns who signed it, and everything that does not hold.
pub fn verify(bundle: &Bundle) -> (Option<String>, Vec<Flaw>) {
    let mut flaws = Vec::new();
    let mut flaw = |file: &str, what: &str| flaws.push(Flaw { file: file.to_owned(), what: what.to_owned() });
    let file = |name: &str| bundle.files.iter().find(|(known, _)| known == name).map(|(_, data)| data.as_slice());
    let (Some(text), Some(signed)) = (file(MANIFEST), file(SIGNATURE)) else {
        flaw(MANIFEST, "the list of hashes or its signature is missing");
        return (None, flaws);
    };
    let signer = signer(text, signed);
    if signer.is_none() {
        flaw(SIGNATURE, "the signature does not hold: the list of hashes was changed, or another key signed it");
    }
    let Ok(manifest) = serde_json::from_slice::<Manifest>(text) else {
        flaw(MANIFEST, "the list of hashes cannot be read");
        return (signer, flaws);
    };
    for listed in &manifest.files {
        match file(&listed.name) {
            None => flaw(&listed.name, "the file is missing"),
            Some(data) if blake3::hash(data).to_hex().as_str() != listed.blake3 => {
                flaw(&listed.name, "the file is not as it was signed");
            }
            Some(_) => {}
        }
    }
    for (place, (name, _)) in bundle.files.iter().enumerate() {
        // Of two files of one name in an archive this looks at the first, and who unpacks it gets the last.
        if bundle.files[..place].iter().any(|(other, _)| other == name) {
            flaw(name, "the file stands there twice");
        }
        let known = manifest.files.iter().any(|listed| listed.name == *name);
        if !known && name != MANIFEST && name != SIGNATURE {
            flaw(name, "the file is not part of what was signed");
        }
    }
    (signer, flaws)
}

fn signer(text: &[u8], signed: &[u8]) -> Option<String> {
    let signed = std::str::from_utf8(signed).ok()?;
    let mut parts = signed.strip_suffix('\n')?.split(' ');
    let (kind, key, signature, end) = (parts.next()?, parts.next()?, parts.next()?, parts.next());
    if kind != "ed25519" || end.is_some() {
        return None;
    }
    let (public, bytes) = (STANDARD.decode(key).ok()?, STANDARD.decode(signature).ok()?);
    UnparsedPublicKey::new(&ED25519, &public).verify(text, &bytes).ok()?;
    Some(key.to_owned())
}

/// Names the file of the installation's key below the state's folder.
impl SigningKey {
    /// Returns where the key of an installation is kept.
    pub fn place(state: &Path) -> PathBuf {
        state.join("evidence.key")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_byte_anywhere_is_found() {
        let home = tempfile::tempdir().unwrap();
        let key = SigningKey::open(&SigningKey::place(home.path())).unwrap();
        let again = SigningKey::open(&SigningKey::place(home.path())).unwrap();
        assert_eq!(key.public(), again.public());
        let files = vec![
            ("report.html".to_owned(), b"<p>what happened</p>".to_vec()),
            ("frames.ndjson".to_owned(), b"{\"n\":1}\n".repeat(40)),
        ];
        let bundle = Bundle::sign("binance-alice-7", files, &key).unwrap();
        assert_eq!(verify(&bundle), (Some(key.public()), Vec::new()));
        let mut flipped = 0;
        for place in 0..bundle.files.len() {
            for at in (0..bundle.files[place].1.len()).step_by(3) {
                for bit in [1, 0x20] {
                    let mut changed = bundle.clone();
                    changed.files[place].1[at] ^= bit;
                    assert!(!verify(&changed).1.is_empty(), "{} byte {at}", bundle.files[place].0);
                    flipped += 1;
                }
            }
        }
        assert!(flipped > 500);
        let (folder, archive) = (home.path().join("evidence"), home.path().join("evidence.tar"));
        bundle.write(&folder).unwrap();
        bundle.write(&archive).unwrap();
        assert!(bundle.write(&folder).is_err(), "it overwrites nothing");
        for path in [&folder, &archive] {
            assert!(is_bundle(path));
            assert_eq!(verify(&read(path).unwrap().unwrap()).1, []);
        }
        fs::write(folder.join("more.txt"), "x").unwrap();
        assert_eq!(verify(&read(&folder).unwrap().unwrap()).1.len(), 1);
        let packed = fs::read(&archive).unwrap();
        for at in (0..packed.len()).step_by(5) {
            let mut changed = packed.clone();
            changed[at] ^= 1;
            fs::write(&archive, changed).unwrap();
            let found = match read(&archive).unwrap() {
                Err(_) => true,
                Ok(bundle) => !verify(&bundle).1.is_empty(),
            };
            assert!(found, "byte {at} of the archive");
        }
    }
}
