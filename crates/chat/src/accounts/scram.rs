//! Password keys as SCRAM-SHA-256, and SCRAM-SHA-1 for old clients, want them (RFC 5802 section 3, RFC 7677): the password itself is never kept.

use crate::chance;
use crate::error::{ChatError, Result};
use hmac::{Hmac, Mac};
use holdfast_domain::Invalid;
use holdfast_domain::limits::{PASSWORD_MAX_BYTES, PASSWORD_MIN_CHARS};
use holdfast_store::accounts::ScramKeys;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use unicode_normalization::UnicodeNormalization;

/// Checks that a new password is long enough and short enough. Nothing else is asked of it: length is what helps.
pub(crate) fn check_new(field: &str, password: &str) -> Result<()> {
    let n = password.chars().count();
    if n < PASSWORD_MIN_CHARS {
        return Err(Invalid::new(field, format!("has {n} characters; at least {PASSWORD_MIN_CHARS} are needed")).into());
    }
    if password.len() > PASSWORD_MAX_BYTES {
        return Err(Invalid::new(field, format!("is longer than {PASSWORD_MAX_BYTES} bytes")).into());
    }
    if password.chars().any(char::is_control) {
        return Err(Invalid::new(field, "contains a control character").into());
    }
    Ok(())
}

/// Keys for a new password, with a salt of their own. Takes tens of milliseconds of one core, so it runs beside the event loop.
pub(crate) async fn make<const N: usize>(password: &str, iterations: u32) -> Result<ScramKeys<N>>
where
    ScramKeys<N>: ScramFunction<N>,
{
    let salt = chance::bytes::<16>()?.to_vec();
    let password = prepare(password);
    hard(move || derive(&password, salt, iterations)).await
}

/// Whether `password` is the one that `keys` were made from. As expensive where there are no keys, so that the time taken does not
/// tell whether somebody exists.
pub(crate) async fn matches(password: &str, keys: Option<ScramKeys>, iterations: u32) -> Result<bool> {
    let password = prepare(password);
    hard(move || match keys {
        Some(keys) => {
            let tried: ScramKeys = derive(&password, keys.salt.clone(), keys.iterations);
            tried.stored_key.ct_eq(&keys.stored_key).into()
        }
        None => {
            let _: ScramKeys = derive(&password, vec![0; 16], iterations);
            false
        }
    })
    .await
}

fn prepare(password: &str) -> String {
    // SASLprep (RFC 4013) maps compatibility characters; beyond that nothing of it matters to what was accepted above.
    password.nfkc().collect()
}

fn derive<const N: usize>(password: &str, salt: Vec<u8>, iterations: u32) -> ScramKeys<N>
where
    ScramKeys<N>: ScramFunction<N>,
{
    let salted = ScramKeys::salted(password, &salt, iterations);
    let stored_key = ScramKeys::hash(&ScramKeys::mac(&salted, b"Client Key"));
    let server_key = ScramKeys::mac(&salted, b"Server Key");
    ScramKeys { salt, iterations, stored_key, server_key }
}

/// The hash function of keys, and what SCRAM makes with it.
pub trait ScramFunction<const N: usize> {
    /// The hash.
    fn hash(text: &[u8]) -> [u8; N];
    /// HMAC.
    fn mac(key: &[u8], text: &[u8]) -> [u8; N];
    /// The salted password: PBKDF2.
    fn salted(password: &str, salt: &[u8], iterations: u32) -> [u8; N];
}

macro_rules! functions {
    ($($bytes:literal: $function:ty;)*) => {
        $(impl ScramFunction<$bytes> for ScramKeys<$bytes> {
            fn hash(text: &[u8]) -> [u8; $bytes] {
                <$function>::digest(text).into()
            }

            fn mac(key: &[u8], text: &[u8]) -> [u8; $bytes] {
                // HMAC takes keys of any length.
                let Ok(mut mac) = Hmac::<$function>::new_from_slice(key) else { return [0; $bytes] };
                mac.update(text);
                mac.finalize().into_bytes().into()
            }

            fn salted(password: &str, salt: &[u8], iterations: u32) -> [u8; $bytes] {
                let mut salted = [0; $bytes];
                pbkdf2::pbkdf2_hmac::<$function>(password.as_bytes(), salt, iterations, &mut salted);
                salted
            }
        })*
    };
}

functions! {
    32: Sha256;
    20: Sha1;
}

/// Runs something expensive, at most two at a time, so that a storm of sign-ins leaves the server to those who are in.
async fn hard<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    static TURNS: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(2);
    let turn = TURNS.acquire().await.map_err(|_| ChatError::Internal)?;
    let done = tokio::task::spawn_blocking(work).await.map_err(|_| ChatError::Internal);
    drop(turn);
    done
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    #[test]
    fn agrees_with_the_example_of_rfc_7677() {
        // Section 3: user `user`, password `pencil`. The client's proof is ClientKey XOR HMAC(StoredKey, AuthMessage).
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let keys: ScramKeys = derive("pencil", salt, 4096);
        let auth = "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                    s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let server_signature = <ScramKeys>::mac(&keys.server_key, auth.as_bytes());
        assert_eq!(STANDARD.encode(server_signature), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        let proof = STANDARD.decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=").unwrap();
        let signature = <ScramKeys>::mac(&keys.stored_key, auth.as_bytes());
        let client_key: Vec<u8> = proof.iter().zip(signature).map(|(p, s)| p ^ s).collect();
        assert_eq!(<[u8; 32]>::from(Sha256::digest(client_key)), keys.stored_key);
    }

    #[test]
    fn agrees_with_the_example_of_rfc_5802() {
        // Section 5: the server's signature is HMAC(ServerKey, AuthMessage).
        let keys: ScramKeys<20> = derive("pencil", STANDARD.decode("QSXCR+Q6sek8bf92").unwrap(), 4096);
        let auth = "n=user,r=fyko+d2lbbFgONRv9qkxdawL,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,\
                    s=QSXCR+Q6sek8bf92,i=4096,c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j";
        let mut mac = Hmac::<Sha1>::new_from_slice(&keys.server_key).unwrap();
        mac.update(auth.as_bytes());
        assert_eq!(STANDARD.encode(mac.finalize().into_bytes()), "rmF9pqV8S7suAoZWja4dJRkFsKQ=");
    }

    #[tokio::test]
    async fn only_the_password_matches() {
        let keys = make("correct horse", 10).await.unwrap();
        assert!(matches("correct horse", Some(keys.clone()), 10).await.unwrap());
        assert!(!matches("correct horsf", Some(keys), 10).await.unwrap());
        assert!(!matches("anything", None, 10).await.unwrap());
    }
}
