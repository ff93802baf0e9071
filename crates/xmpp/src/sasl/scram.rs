//! The server's half of SCRAM-SHA-256, SCRAM-SHA-1, and -PLUS of both (RFC 5802, RFC 7677): pure, so that it can be tried with every kind of nonsense.

use crate::stream::transport::{Binding, Bindings};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use holdfast_chat::accounts::{ScramFunction, ScramKeys};
use subtle::ConstantTimeEq as _;

/// Why an exchange ends at once.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// The word of RFC 6120 section 6.5.
    pub(crate) condition: &'static str,
    /// A sentence.
    pub(crate) why: &'static str,
}

const MALFORMED: Refused = Refused { condition: "malformed-request", why: "this is no message of SCRAM" };
const NOT_BOUND: Refused =
    Refused { condition: "not-authorized", why: "the sign-in is not bound to this connection as it has to be" };

/// The client's first message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct First {
    /// Who wants to sign in.
    pub(crate) name: String,
    header: String,
    bare: String,
    nonce: String,
    /// How the client binds the sign-in to the connection, if it does.
    bound: Option<Binding>,
}

impl First {
    /// Reads it. `plus`: the mechanism is the one that binds.
    ///
    /// # Errors
    /// When it is malformed, or binds in a way that there is not.
    pub(crate) fn read(words: &[u8], plus: bool, bindings: &Bindings) -> Result<First, Refused> {
        let text = std::str::from_utf8(words).map_err(|_| MALFORMED)?;
        let mut parts = text.splitn(3, ',');
        let (Some(flag), Some(act_as), Some(bare)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(MALFORMED);
        };
        let bound = match (flag, plus) {
            ("n", false) => None,
            // The client could bind but thinks that we cannot: if we can, somebody took the better mechanism off our list.
            ("y", false) if bindings.any() => return Err(NOT_BOUND),
            ("y", false) => None,
            (flag, true) => {
                let wanted = flag.strip_prefix("p=").ok_or(MALFORMED)?;
                Some(bindings.offered().find(|binding| binding.name() == wanted).ok_or(NOT_BOUND)?)
            }
            _ => return Err(MALFORMED),
        };
        let mut fields = bare.split(',');
        let name = fields.next().and_then(|f| f.strip_prefix("n=")).and_then(unescape).ok_or(MALFORMED)?;
        let nonce = fields.next().and_then(|f| f.strip_prefix("r=")).ok_or(MALFORMED)?;
        let printable = |c: u8| (0x21..=0x7e).contains(&c) && c != b',';
        if nonce.is_empty() || nonce.len() > 256 || !nonce.bytes().all(printable) {
            return Err(MALFORMED);
        }
        if !act_as.is_empty() {
            let whom = act_as.strip_prefix("a=").and_then(unescape).ok_or(MALFORMED)?;
            if whom.split('@').next() != Some(name.as_str()) {
                return Err(Refused { condition: "invalid-authzid", why: "nobody acts as somebody else here" });
            }
        }
        let name = stringprep::saslprep(&name).map_err(|_| MALFORMED)?.into_owned();
        if name.is_empty() {
            return Err(MALFORMED);
        }
        let header = format!("{flag},{act_as},");
        Ok(First { name, header, bare: bare.to_owned(), nonce: nonce.to_owned(), bound })
    }

    /// The client's nonce with ours behind it.
    pub(crate) fn nonce_with(&self, random: &[u8]) -> String {
        format!("{}{}", self.nonce, STANDARD.encode(random))
    }
}

/// Our first message.
pub(crate) fn challenge<const N: usize>(nonce: &str, keys: &ScramKeys<N>) -> String {
    format!("r={nonce},s={},i={}", STANDARD.encode(&keys.salt), keys.iterations)
}

/// Judges the client's last message: our last one if the proof is right, `None` if it is not.
///
/// # Errors
/// When it is malformed or bound to another connection.
pub(crate) fn judge<const N: usize>(
    first: &First,
    nonce: &str,
    challenge: &str,
    keys: &ScramKeys<N>,
    words: &[u8],
    bindings: &Bindings,
) -> Result<Option<String>, Refused>
where
    ScramKeys<N>: ScramFunction<N>,
{
    let text = std::str::from_utf8(words).map_err(|_| MALFORMED)?;
    let (without_proof, proof) = text.rsplit_once(",p=").ok_or(MALFORMED)?;
    let mut fields = without_proof.split(',');
    let binding = fields.next().and_then(|f| f.strip_prefix("c=")).ok_or(MALFORMED)?;
    let same_nonce = fields.next().and_then(|f| f.strip_prefix("r=")).ok_or(MALFORMED)?;
    let binding = STANDARD.decode(binding).map_err(|_| MALFORMED)?;
    let proof: [u8; N] = STANDARD.decode(proof).ok().and_then(|p| p.try_into().ok()).ok_or(MALFORMED)?;
    let mut expected = first.header.clone().into_bytes();
    if let Some(binding) = first.bound {
        expected.extend_from_slice(bindings.of(binding).ok_or(NOT_BOUND)?);
    }
    if !bool::from(binding.ct_eq(&expected)) {
        return Err(NOT_BOUND);
    }
    if same_nonce != nonce {
        return Err(MALFORMED);
    }
    let said = format!("{},{challenge},{without_proof}", first.bare);
    let signature = ScramKeys::mac(&keys.stored_key, said.as_bytes());
    let client_key: Vec<u8> = proof.iter().zip(signature).map(|(proof, signature)| proof ^ signature).collect();
    if !bool::from(ScramKeys::hash(&client_key).ct_eq(&keys.stored_key)) {
        return Ok(None);
    }
    Ok(Some(format!("v={}", STANDARD.encode(ScramKeys::mac(&keys.server_key, said.as_bytes())))))
}

/// A name as it was before `=` and `,` were written as `=3D` and `=2C`.
fn unescape(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('=') {
        out.push_str(&rest[..at]);
        out.push(match rest.get(at..at + 3)? {
            "=2C" => ',',
            "=3D" => '=',
            _ => return None,
        });
        rest = &rest[at + 3..];
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys() -> ScramKeys {
        // Of RFC 7677 section 3: the password is `pencil`.
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let salted: [u8; 32] =
            STANDARD.decode("xKSVEDI6tPlSysH6mUQZOeeOp01r6B3fcJbodRPcYV0=").unwrap().try_into().unwrap();
        let mac = |text: &[u8]| <ScramKeys>::mac(&salted, text);
        let stored_key = <ScramKeys>::hash(&mac(b"Client Key"));
        ScramKeys { salt, iterations: 4096, stored_key, server_key: mac(b"Server Key") }
    }

    const FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    const NONCE: &str = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const LAST: &str =
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

    fn judged(last: &str) -> Result<Option<String>, Refused> {
        let first = First::read(FIRST.as_bytes(), false, &Bindings::default())?;
        let challenge = challenge(NONCE, &keys());
        judge(&first, NONCE, &challenge, &keys(), last.as_bytes(), &Bindings::default())
    }

    #[test]
    fn the_example_of_rfc_7677_signs_in() {
        assert_eq!(challenge(NONCE, &keys()), format!("r={NONCE},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"));
        let signature = judged(LAST).unwrap();
        assert_eq!(signature.as_deref(), Some("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
        let wrong = LAST.replace("dHzb", "dHzc");
        assert_eq!(judged(&wrong), Ok(None));
        assert_eq!(judged(&LAST.replace("biws", "eSws")), Err(NOT_BOUND), "another header than at first");
        assert_eq!(judged(&LAST.replace("NEkqO%", "NEkqO&")), Err(MALFORMED), "another nonce");
    }

    #[test]
    fn whoever_could_bind_must_bind() {
        let can = Bindings { exporter: Some(vec![7; 32]), end_point: Some(vec![6; 32]) };
        let read = |text: &str, plus| First::read(text.as_bytes(), plus, &can).map(|f| f.bound);
        assert_eq!(read("p=tls-exporter,,n=a,r=b", true), Ok(Some(Binding::Exporter)));
        assert_eq!(read("p=tls-server-end-point,,n=a,r=b", true), Ok(Some(Binding::EndPoint)));
        assert_eq!(read("n,,n=a,r=b", false), Ok(None));
        assert_eq!(read("y,,n=a,r=b", false), Err(NOT_BOUND), "somebody hid that it can be bound");
        assert_eq!(read("p=tls-unique,,n=a,r=b", true), Err(NOT_BOUND));
        assert_eq!(read("p=tls-exporter,,n=a,r=b", false), Err(MALFORMED));
        assert_eq!(read("n,,n=a,r=b", true), Err(MALFORMED));
        let first = First::read(b"p=tls-exporter,,n=user,r=x", true, &can).unwrap();
        let said = |binding: &[u8]| format!("c={},r=xy,p={}", STANDARD.encode(binding), STANDARD.encode([0; 32]));
        let judged = |words: String| judge(&first, "xy", "r=xy", &keys(), words.as_bytes(), &can);
        let mut right = b"p=tls-exporter,,".to_vec();
        right.extend([7; 32]);
        assert_eq!(judged(said(&right)), Ok(None), "bound to this connection, but the proof is wrong");
        right[20] = 8;
        assert_eq!(judged(said(&right)), Err(NOT_BOUND));
        // On TLS 1.2 there is the certificate alone.
        let old = Bindings { exporter: None, ..can.clone() };
        assert_eq!(First::read(b"p=tls-exporter,,n=a,r=b", true, &old).unwrap_err(), NOT_BOUND);
        assert_eq!(First::read(b"y,,n=a,r=b", false, &old).unwrap_err(), NOT_BOUND);
        let first = First::read(b"p=tls-server-end-point,,n=user,r=x", true, &old).unwrap();
        let judged = |words: String| judge(&first, "xy", "r=xy", &keys(), words.as_bytes(), &old);
        let of = |binding: [u8; 32]| [&b"p=tls-server-end-point,,"[..], &binding].concat();
        assert_eq!(judged(said(&of([6; 32]))), Ok(None), "bound to this certificate");
        assert_eq!(judged(said(&of([7; 32]))), Err(NOT_BOUND), "bound to another");
    }

    #[test]
    fn names_may_hold_what_scram_uses_itself() {
        let name = |text: &str| First::read(text.as_bytes(), false, &Bindings::default()).map(|f| f.name);
        assert_eq!(name("n,,n=a=2Cb=3Dc,r=x"), Ok("a,b=c".into()));
        assert_eq!(name("n,,n=a=b,r=x"), Err(MALFORMED));
        assert_eq!(name("n,a=a@example.org,n=a,r=x"), Ok("a".into()));
        assert_eq!(name("n,a=b,n=a,r=x").unwrap_err().condition, "invalid-authzid");
    }

    proptest! {
        #[test]
        fn nonsense_is_refused_and_breaks_nothing(first in "[ -~]{0,60}", last in "\\PC{0,80}") {
            let _ = First::read(first.as_bytes(), first.len() % 2 == 0, &Bindings::default());
            prop_assert!(!matches!(judged(&last), Ok(Some(_))));
        }
    }
}
