//! Throw-away API keys made from the seed, and the checks that a request was signed with one of them.

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use aws_lc_rs::{digest, hmac};
use base64::prelude::{BASE64_STANDARD, Engine};

use super::Error;
use super::dice::Dice;
use crate::domain::Venue;
use crate::secret::Secret;

/// A key as its owner holds it, and what the exchange keeps to check signatures.
#[derive(Clone, Debug)]
pub struct Key {
    /// The public name of the key.
    pub id: String,
    /// What the owner signs with: an HMAC secret, a PEM, or for Coinbase's Ed25519 keys base64.
    pub secret: Secret,
    /// KuCoin's third part.
    pub passphrase: Option<Secret>,
    lock: Lock,
}

#[derive(Clone, Debug)]
enum Lock {
    Hmac,
    Ed25519(Vec<u8>),
    P256(Vec<u8>),
}

impl Key {
    /// Makes a key in the venue's manner; `other` chooses the venue's second kind (Ed25519).
    pub fn make(venue: Venue, other: bool, dice: &mut Dice) -> Result<Self, Error> {
        match (venue, other) {
            (Venue::Binance, false) => {
                Ok(Key { id: dice.word(64), secret: Secret::new(dice.word(64)), passphrase: None, lock: Lock::Hmac })
            }
            (Venue::Binance, true) => {
                let (seed, public) = ed25519(dice)?;
                let mut der = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
                der.extend_from_slice(&seed);
                let secret = Secret::new(pem("PRIVATE KEY", &der));
                Ok(Key { id: dice.word(64), secret, passphrase: None, lock: Lock::Ed25519(public) })
            }
            (Venue::Kucoin, _) => Ok(Key {
                id: dice.hex(24),
                secret: Secret::new(dice.uuid()),
                passphrase: Some(Secret::new(dice.word(16))),
                lock: Lock::Hmac,
            }),
            (Venue::Coinbase, false) => {
                let (secret, public) = p256(dice)?;
                let id = format!("organizations/{}/apiKeys/{}", dice.uuid(), dice.uuid());
                Ok(Key { id, secret, passphrase: None, lock: Lock::P256(public) })
            }
            (Venue::Coinbase, true) => {
                let (seed, public) = ed25519(dice)?;
                let secret = Secret::new(BASE64_STANDARD.encode([seed.as_slice(), &public].concat()));
                let id = format!("organizations/{}/apiKeys/{}", dice.uuid(), dice.uuid());
                Ok(Key { id, secret, passphrase: None, lock: Lock::Ed25519(public) })
            }
        }
    }

    /// Makes a key of Coinbase Exchange: the secret is base64, and decoded before it signs.
    pub fn exchange(dice: &mut Dice) -> Self {
        let secret = BASE64_STANDARD.encode([dice.bytes32(), dice.bytes32()].concat());
        let passphrase = Some(Secret::new(dice.word(12)));
        Key { id: dice.hex(32), secret: Secret::new(secret), passphrase, lock: Lock::Hmac }
    }

    /// Returns true for the venue's second kind of key.
    pub fn is_ed25519(&self) -> bool {
        matches!(self.lock, Lock::Ed25519(_))
    }

    /// Tells whether `signature` is this key's raw signature over `message`: HMAC-SHA256, Ed25519, or ECDSA r‖s.
    pub fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.lock {
            Lock::Hmac => hmac_fits(self.secret.expose(), message, signature),
            Lock::Ed25519(public) => UnparsedPublicKey::new(&ED25519, public).verify(message, signature).is_ok(),
            Lock::P256(public) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public).verify(message, signature).is_ok()
            }
        }
    }

    /// Builds the key of a published vector.
    #[cfg(test)]
    pub fn of_vector(id: &str, secret: &str, passphrase: Option<&str>) -> Self {
        Key {
            id: id.to_owned(),
            secret: Secret::new(secret.to_owned()),
            passphrase: passphrase.map(|text| Secret::new(text.to_owned())),
            lock: Lock::Hmac,
        }
    }

    /// Builds the Ed25519 key of a published vector from its public half.
    #[cfg(test)]
    pub fn of_public(id: &str, public: &[u8]) -> Self {
        let lock = if public.len() == 32 { Lock::Ed25519(public.to_vec()) } else { Lock::P256(public.to_vec()) };
        Key { id: id.to_owned(), secret: Secret::new(String::new()), passphrase: None, lock }
    }
}

/// Tells in constant time whether `tag` is HMAC-SHA256 of `message`.
pub fn hmac_fits(secret: &str, message: &[u8], tag: &[u8]) -> bool {
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), message, tag).is_ok()
}

/// Reads hexadecimal text in either case.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

fn ed25519(dice: &mut Dice) -> Result<([u8; 32], Vec<u8>), Error> {
    let seed = dice.bytes32();
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| Error::Keys)?;
    Ok((seed, pair.public_key().as_ref().to_vec()))
}

fn p256(dice: &mut Dice) -> Result<(Secret, Vec<u8>), Error> {
    // Clearing the top bit keeps the number below the curve's order; hashing keeps it from being zero.
    let mut scalar = [0; 32];
    scalar.copy_from_slice(digest::digest(&digest::SHA256, &dice.bytes32()).as_ref());
    scalar[0] &= 0x7f;
    let private = PrivateKey::from_private_key(&ECDH_P256, &scalar).map_err(|_| Error::Keys)?;
    let public = private.compute_public_key().map_err(|_| Error::Keys)?.as_ref().to_vec();
    let mut der = vec![0x30, 0x77, 2, 1, 1, 4, 0x20];
    der.extend_from_slice(&scalar);
    der.extend_from_slice(&[0xa0, 0x0a, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7, 0xa1, 0x44, 3, 0x42, 0]);
    der.extend_from_slice(&public);
    Ok((Secret::new(pem("EC PRIVATE KEY", &der)), public))
}

fn pem(label: &str, der: &[u8]) -> String {
    let body = BASE64_STANDARD.encode(der);
    let lines: Vec<&str> = body.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};

    use super::*;

    fn der(pem: &str) -> Vec<u8> {
        let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        BASE64_STANDARD.decode(body).unwrap()
    }

    #[test]
    fn the_private_half_handed_out_signs_for_the_public_half_kept() {
        let mut dice = Dice::new(3, "keys");
        let key = Key::make(Venue::Coinbase, false, &mut dice).unwrap();
        let pair =
            EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, &der(key.secret.expose())).unwrap();
        let signature = pair.sign(&SystemRandom::new(), b"text").unwrap();
        assert!(key.signed(b"text", signature.as_ref()));
        assert!(!key.signed(b"texts", signature.as_ref()));

        let key = Key::make(Venue::Binance, true, &mut dice).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der(key.secret.expose())).unwrap();
        assert!(key.signed(b"text", pair.sign(b"text").as_ref()));
        assert!(!key.signed(b"text", &[0; 64]));
    }

    #[test]
    fn a_seed_gives_the_same_keys_and_each_venue_its_own_kind() {
        for venue in Venue::ALL {
            for other in [false, true] {
                let make = || Key::make(venue, other, &mut Dice::new(9, "keys")).unwrap();
                assert_eq!((make().id, make().secret), (make().id, make().secret));
            }
        }
        assert!(Key::make(Venue::Kucoin, false, &mut Dice::new(9, "keys")).unwrap().passphrase.is_some());
    }

    #[test]
    fn hexadecimal_is_read_in_either_case_and_nothing_else() {
        assert_eq!(unhex("0aFF"), Some(vec![10, 255]));
        assert_eq!(unhex("0"), None);
        assert_eq!(unhex("zz"), None);
        assert_eq!(unhex("é1"), None);
    }
}
