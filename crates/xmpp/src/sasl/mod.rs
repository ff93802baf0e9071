//! Signing in: SASL with SCRAM-SHA-256 (and SCRAM-SHA-1 where the settings say so), bound to the TLS connection where client and connection can, and PLAIN (RFC 4422, 5802, 7677, 4616).

pub(crate) mod profile;
pub(crate) mod scram;

use crate::stream::transport::Bindings;
use holdfast_chat::accounts::{Offer, Origin, ScramFunction, ScramKeys, Sha1Keys};
use holdfast_chat::{Caller, Chat, ChatError};
use scram::{First, Refused};

/// A way to sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mechanism {
    /// SCRAM-SHA-256-PLUS.
    ScramPlus,
    /// SCRAM-SHA-256.
    Scram,
    /// SCRAM-SHA-1-PLUS, if the settings let old clients in.
    Sha1Plus,
    /// SCRAM-SHA-1, likewise.
    Sha1,
    /// PLAIN.
    Plain,
}

impl Mechanism {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Mechanism::ScramPlus => "SCRAM-SHA-256-PLUS",
            Mechanism::Scram => "SCRAM-SHA-256",
            Mechanism::Sha1Plus => "SCRAM-SHA-1-PLUS",
            Mechanism::Sha1 => "SCRAM-SHA-1",
            Mechanism::Plain => "PLAIN",
        }
    }

    /// Those that a connection is offered, the best first. PLAIN shows the password to whoever can read the connection.
    pub(crate) fn offered(bindings: &Bindings, plain: bool, sha1: bool) -> Vec<Mechanism> {
        use Mechanism::{Plain, Scram, ScramPlus, Sha1, Sha1Plus};
        let wanted = |mechanism: &Mechanism| match mechanism {
            Mechanism::ScramPlus => bindings.any(),
            Mechanism::Scram => true,
            Mechanism::Sha1Plus => sha1 && bindings.any(),
            Mechanism::Sha1 => sha1,
            Mechanism::Plain => plain,
        };
        [ScramPlus, Sha1Plus, Scram, Sha1, Plain].into_iter().filter(wanted).collect()
    }
}

/// Why somebody is not signed in (RFC 6120 section 6.5), with a sentence.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The word for it.
    pub(crate) condition: &'static str,
    /// A sentence, if more is to be said than the word.
    pub(crate) why: Option<String>,
}

impl Failure {
    /// A failure of this kind.
    pub(crate) fn new(condition: &'static str) -> Self {
        Self { condition, why: None }
    }
}

/// What comes next.
pub(crate) enum Step {
    /// The client is to answer this.
    Challenge(Vec<u8>, Box<Exchange>),
    /// It is signed in, and is told this.
    Success(Vec<u8>, Caller),
}

/// A sign-in under way: what the client's next words are judged by.
pub(crate) struct Exchange {
    first: First,
    offer: Offered,
    nonce: String,
    challenge: String,
}

/// Keys of one function or the other.
enum Offered {
    Sha256(Offer),
    Sha1(Offer<Sha1Keys>),
}

/// What a sign-in needs besides the client's words.
pub(crate) struct Circumstances<'a> {
    /// The service.
    pub(crate) chat: &'a Chat,
    /// Where the client is.
    pub(crate) address: &'a str,
    /// What the connection can be bound by.
    pub(crate) bindings: &'a Bindings,
}

/// The client's first words.
///
/// # Errors
/// Why it is not signed in.
pub(crate) async fn begin(with: &Circumstances<'_>, mechanism: Mechanism, words: &[u8]) -> Result<Step, Failure> {
    match mechanism {
        Mechanism::Plain => plain(with, words).await,
        Mechanism::Scram | Mechanism::ScramPlus | Mechanism::Sha1 | Mechanism::Sha1Plus => {
            let plus = matches!(mechanism, Mechanism::ScramPlus | Mechanism::Sha1Plus);
            let first = First::read(words, plus, with.bindings)?;
            let offer = match mechanism {
                Mechanism::Sha1 | Mechanism::Sha1Plus => {
                    with.chat.offer_sha1(&first.name, with.address).await.map(Offered::Sha1)
                }
                _ => with.chat.offer(&first.name, with.address).await.map(Offered::Sha256),
            };
            let offer = offer.map_err(Failure::from)?;
            let mut random = [0; 18];
            getrandom::fill(&mut random).map_err(|_| Failure::new("temporary-auth-failure"))?;
            let nonce = first.nonce_with(&random);
            let challenge = match &offer {
                Offered::Sha256(offer) => scram::challenge(&nonce, offer.keys()),
                Offered::Sha1(offer) => scram::challenge(&nonce, offer.keys()),
            };
            Ok(Step::Challenge(challenge.clone().into_bytes(), Box::new(Exchange { first, offer, nonce, challenge })))
        }
    }
}

/// The client's last words.
///
/// # Errors
/// Why it is not signed in.
pub(crate) async fn go_on(with: &Circumstances<'_>, exchange: Exchange, words: &[u8]) -> Result<Step, Failure> {
    match &exchange.offer {
        Offered::Sha256(offer) => judge(with, &exchange, offer, words).await,
        Offered::Sha1(offer) => judge(with, &exchange, offer, words).await,
    }
}

async fn judge<const N: usize>(
    with: &Circumstances<'_>,
    exchange: &Exchange,
    offer: &Offer<ScramKeys<N>>,
    words: &[u8],
) -> Result<Step, Failure>
where
    ScramKeys<N>: ScramFunction<N>,
{
    let Exchange { first, nonce, challenge, .. } = exchange;
    let judged = scram::judge(first, nonce, challenge, offer.keys(), words, with.bindings)?;
    let caller = with.chat.proven(offer, judged.is_some(), with.address).await.map_err(Failure::from)?;
    match judged {
        Some(signature) => Ok(Step::Success(signature.into_bytes(), caller)),
        None => Err(Failure::new("not-authorized")),
    }
}

/// PLAIN (RFC 4616): whom to act as, who, password.
async fn plain(with: &Circumstances<'_>, words: &[u8]) -> Result<Step, Failure> {
    let text = std::str::from_utf8(words).map_err(|_| Failure::new("malformed-request"))?;
    let mut parts = text.split('\0');
    let (Some(act_as), Some(name), Some(password), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Failure::new("malformed-request"));
    };
    if name.is_empty() || password.is_empty() {
        return Err(Failure::new("malformed-request"));
    }
    // Some clients name themselves by their whole address.
    let acts_as_himself = act_as.is_empty() || act_as.split('@').next() == Some(name);
    if !acts_as_himself {
        return Err(Failure::new("invalid-authzid"));
    }
    let caller = with.chat.sign_in_once(name, password, &Origin::at(with.address)).await.map_err(Failure::from)?;
    Ok(Step::Success(Vec::new(), caller))
}

impl From<ChatError> for Failure {
    fn from(error: ChatError) -> Self {
        let condition = match error {
            ChatError::BadCredentials => return Failure::new("not-authorized"),
            ChatError::LockedOut { .. } => "account-disabled",
            ChatError::TooMany { .. } => "temporary-auth-failure",
            _ => "temporary-auth-failure",
        };
        Self { condition, why: Some(error.to_string()) }
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self { condition: refused.condition, why: Some(refused.why.to_owned()) }
    }
}
