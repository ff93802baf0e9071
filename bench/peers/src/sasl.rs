//! Proving who one is: PLAIN, and SCRAM with SHA-1 or SHA-256 (RFC 5802, RFC 7677), without channel binding, for there is no TLS.

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

/// How one signs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// The password as it is.
    Plain,
    /// The strongest SCRAM that is offered.
    Scram,
}

/// What SCRAM hashes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Hash {
    Sha1,
    Sha256,
}

impl Hash {
    pub(crate) fn mechanism(self) -> &'static str {
        match self {
            Self::Sha1 => "SCRAM-SHA-1",
            Self::Sha256 => "SCRAM-SHA-256",
        }
    }

    fn hmac(self, key: &[u8], data: &[u8]) -> Result<Vec<u8>> {
        Ok(match self {
            Self::Sha1 => {
                let mut mac = <Hmac<Sha1> as Mac>::new_from_slice(key)?;
                mac.update(data);
                mac.finalize().into_bytes().to_vec()
            }
            Self::Sha256 => {
                let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(key)?;
                mac.update(data);
                mac.finalize().into_bytes().to_vec()
            }
        })
    }

    fn digest(self, data: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => Sha1::digest(data).to_vec(),
            Self::Sha256 => Sha256::digest(data).to_vec(),
        }
    }

    fn salted(self, password: &str, salt: &[u8], rounds: u32) -> Vec<u8> {
        match self {
            Self::Sha1 => {
                let mut out = [0; 20];
                pbkdf2::pbkdf2_hmac::<Sha1>(password.as_bytes(), salt, rounds, &mut out);
                out.to_vec()
            }
            Self::Sha256 => {
                let mut out = [0; 32];
                pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), salt, rounds, &mut out);
                out.to_vec()
            }
        }
    }
}

/// What a key is derived from: hash, salt, rounds, password.
type Origin = (Hash, Vec<u8>, u32, String);

/// Keys that were derived: a client keeps them, and the generator's thousands of rounds are no server's work.
static DERIVED: LazyLock<Mutex<HashMap<Origin, Vec<u8>>>> = LazyLock::new(Mutex::default);

/// The salted password, derived once.
fn salted(hash: Hash, password: &str, salt: &[u8], rounds: u32) -> Result<Vec<u8>> {
    let key = (hash, salt.to_vec(), rounds, password.to_owned());
    let lock = || DERIVED.lock().map_err(|_| anyhow::anyhow!("a thread died while it kept keys"));
    if let Some(known) = lock()?.get(&key) {
        return Ok(known.clone());
    }
    let derived = hash.salted(password, salt, rounds);
    lock()?.insert(key, derived.clone());
    Ok(derived)
}

/// What PLAIN sends.
pub(crate) fn plain(user: &str, password: &str) -> String {
    STANDARD.encode(format!("\0{user}\0{password}"))
}

/// An exchange of SCRAM.
#[derive(Debug)]
pub(crate) struct Scram {
    hash: Hash,
    bare: String,
    nonce: String,
    expected: Vec<u8>,
}

impl Scram {
    /// `nonce` must not have been used before.
    pub(crate) fn new(hash: Hash, user: &str, nonce: &str) -> Self {
        Self { hash, bare: format!("n={user},r={nonce}"), nonce: nonce.to_owned(), expected: Vec::new() }
    }

    pub(crate) fn first(&self) -> String {
        STANDARD.encode(format!("n,,{}", self.bare))
    }

    /// Answers the server's challenge.
    pub(crate) fn answer(&mut self, challenge: &str, password: &str) -> Result<String> {
        let challenge = String::from_utf8(STANDARD.decode(challenge)?)?;
        let part = |name: char| {
            let of = challenge.split(',').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
            of.with_context(|| format!("no `{name}` in the challenge {challenge}"))
        };
        let (nonce, salt, rounds) = (part('r')?, STANDARD.decode(part('s')?)?, part('i')?.parse()?);
        ensure!(nonce.starts_with(&self.nonce) && nonce.len() > self.nonce.len(), "the server's nonce is not ours");
        let bare = format!("c=biws,r={nonce}");
        let signed = format!("{},{challenge},{bare}", self.bare);
        let salted = salted(self.hash, password, &salt, rounds)?;
        let client = self.hash.hmac(&salted, b"Client Key")?;
        let signature = self.hash.hmac(&self.hash.digest(&client), signed.as_bytes())?;
        let proof: Vec<u8> = client.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        let server = self.hash.hmac(&salted, b"Server Key")?;
        self.expected = self.hash.hmac(&server, signed.as_bytes())?;
        Ok(STANDARD.encode(format!("{bare},p={}", STANDARD.encode(proof))))
    }

    /// Whether the server has proven that it knows the password's keys.
    pub(crate) fn check(&self, success: &str) -> Result<()> {
        let text = String::from_utf8(STANDARD.decode(success)?)?;
        let Some(signature) = text.strip_prefix("v=") else { bail!("the server proves nothing: {text}") };
        ensure!(STANDARD.decode(signature)? == self.expected, "the server's proof is wrong");
        Ok(())
    }
}

/// What a server keeps of a password for SCRAM-SHA-256: for accounts that are written straight into a database.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) stored: Vec<u8>,
    pub(crate) server: Vec<u8>,
}

impl Kept {
    pub(crate) fn of(password: &str, salt: &[u8], rounds: u32) -> Result<Self> {
        let hash = Hash::Sha256;
        let salted = salted(hash, password, salt, rounds)?;
        let stored = hash.digest(&hash.hmac(&salted, b"Client Key")?);
        Ok(Self { stored, server: hash.hmac(&salted, b"Server Key")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 5802 and RFC 7677.
    #[test]
    fn it_is_as_the_examples_of_the_standards() {
        let examples = [
            (
                Hash::Sha1,
                "fyko+d2lbbFgONRv9qkxdawL",
                "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
                "p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
                "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
            ),
            (
                Hash::Sha256,
                "rOprNGfwEbeRWgbNEkqO",
                "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
                "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
                "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
            ),
        ];
        for (hash, nonce, challenge, proof, signature) in examples {
            let mut scram = Scram::new(hash, "user", nonce);
            let answer = scram.answer(&STANDARD.encode(challenge), "pencil").unwrap();
            let answer = String::from_utf8(STANDARD.decode(answer).unwrap()).unwrap();
            assert!(answer.ends_with(proof), "{answer}");
            scram.check(&STANDARD.encode(signature)).unwrap();
            assert!(scram.check(&STANDARD.encode("v=AAAA")).is_err());
        }
    }
}
