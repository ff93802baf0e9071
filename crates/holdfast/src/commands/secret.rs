//! Passwords on their way in: from standard input, typed, or made here.

use super::shared::first_line_of_stdin;
use crate::exit::{unavailable, usage};
use anyhow::{Context as _, Result};
use std::io::IsTerminal as _;

/// Letters and digits that nobody confuses: no 0 O 1 l I.
const ALPHABET: &[u8; 56] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/// Where a password comes from. Without any of these it is asked for on a terminal.
#[derive(Clone, Copy, Debug, clap::Args)]
#[group(multiple = false)]
pub(crate) struct PasswordFrom {
    /// Read the password from the first line of standard input
    #[arg(long)]
    pub(crate) password_stdin: bool,
    /// Make a password and print it, once
    #[arg(long)]
    pub(crate) generate_password: bool,
}

/// A password, and whether it was made here and must be shown.
pub(crate) struct Password {
    /// The password.
    pub(crate) text: String,
    /// Nobody has seen it yet.
    pub(crate) made: bool,
}

impl PasswordFrom {
    /// Gets the password.
    ///
    /// # Errors
    /// When there is no terminal to ask on, or the two typed ones differ.
    pub(crate) fn get(self) -> Result<Password> {
        if self.password_stdin {
            return Ok(Password { text: first_line_of_stdin("a password")?, made: false });
        }
        if self.generate_password {
            return Ok(Password { text: generate()?, made: true });
        }
        if !std::io::stdin().is_terminal() {
            return Err(usage("give a password with --password-stdin, or have one made with --generate-password"));
        }
        let text = rpassword::prompt_password("Password: ").context("reading the password")?;
        let again = rpassword::prompt_password("Once more: ").context("reading the password")?;
        if text != again {
            return Err(usage("the two passwords differ; nothing was changed"));
        }
        Ok(Password { text, made: false })
    }
}

/// Twenty characters: 116 bits of chance.
fn generate() -> Result<String> {
    let mut out = String::with_capacity(20);
    while out.len() < 20 {
        let mut bytes = [0u8; 32];
        getrandom::fill(&mut bytes).map_err(|e| unavailable(format!("the system gives no random numbers: {e}")))?;
        // Bytes beyond the last whole multiple would make some characters likelier than others.
        let fair = bytes.iter().filter(|b| usize::from(**b) < 256 / ALPHABET.len() * ALPHABET.len());
        out.extend(fair.map(|b| char::from(ALPHABET[usize::from(*b) % ALPHABET.len()])).take(20 - out.len()));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_passwords_are_long_and_differ() {
        let (a, b) = (generate().unwrap(), generate().unwrap());
        assert_eq!(a.len(), 20);
        assert_ne!(a, b);
    }
}
