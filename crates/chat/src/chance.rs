//! Where randomness comes from: secrets and client ids of the server's own entries.

use crate::error::{ChatError, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use holdfast_domain::ClientId;

/// `N` bytes that nobody can guess.
///
/// # Errors
/// When the operating system gives none.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N]> {
    let mut out = [0; N];
    getrandom::fill(&mut out).map_err(|error| {
        tracing::error!(%error, "the operating system gives no random bytes");
        ChatError::Internal
    })?;
    Ok(out)
}

/// A secret of 256 bits in letters, digits, `-` and `_`.
pub(crate) fn secret() -> Result<String> {
    Ok(URL_SAFE_NO_PAD.encode(bytes::<32>()?))
}

/// A code that a person can type: 12 letters and digits without lookalikes, in three groups; 58 bits.
pub(crate) fn typed_code() -> Result<String> {
    const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789!";
    let random = bytes::<24>()?;
    let letters: Vec<char> =
        random.iter().map(|b| char::from(LETTERS[usize::from(b & 31)])).filter(|c| *c != '!').take(12).collect();
    // Twelve of twenty-four draws are practically always good; a shorter code is drawn again.
    if letters.len() < 12 {
        return typed_code();
    }
    Ok(letters.chunks(4).map(|c| c.iter().collect::<String>()).collect::<Vec<_>>().join("-"))
}

/// A client id for something that the server itself writes.
pub(crate) fn client_id() -> ClientId {
    ClientId(uuid::Uuid::new_v4())
}
