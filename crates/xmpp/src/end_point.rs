//! What a connection is bound by where it can be bound by the server's certificate alone (`tls-server-end-point`, RFC 5929 section 4).

use sha2::{Digest as _, Sha224, Sha256, Sha384, Sha512};

/// The hash of a certificate in DER, by the function of its own signature; SHA-256 where that is MD5 or SHA-1. `None` where the signature has no such
/// function (Ed25519), or none that is known here: then the binding is not defined, and not offered.
pub(crate) fn hash(certificate: &[u8]) -> Option<Vec<u8>> {
    let (whole, _) = element(certificate, 0x30)?;
    let (_, rest) = element(whole, 0x30)?;
    let (algorithm, _) = element(rest, 0x30)?;
    let (name, parameters) = element(algorithm, 0x06)?;
    Some(match function(name, parameters)? {
        Function::Sha224 => Sha224::digest(certificate).to_vec(),
        Function::Sha256 => Sha256::digest(certificate).to_vec(),
        Function::Sha384 => Sha384::digest(certificate).to_vec(),
        Function::Sha512 => Sha512::digest(certificate).to_vec(),
    })
}

#[derive(Clone, Copy)]
enum Function {
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

/// The hash function of a signature's algorithm, by the DER of its name.
fn function(name: &[u8], parameters: &[u8]) -> Option<Function> {
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
    const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04];
    if let Some([last]) = name.strip_prefix(RSA) {
        return match last {
            // MD5 and SHA-1.
            4 | 5 | 11 => Some(Function::Sha256),
            10 => of_pss(parameters),
            12 => Some(Function::Sha384),
            13 => Some(Function::Sha512),
            14 => Some(Function::Sha224),
            _ => None,
        };
    }
    match name.strip_prefix(ECDSA)? {
        // SHA-1.
        [1] | [3, 2] => Some(Function::Sha256),
        [3, 1] => Some(Function::Sha224),
        [3, 3] => Some(Function::Sha384),
        [3, 4] => Some(Function::Sha512),
        _ => None,
    }
}

/// The function that RSASSA-PSS names in its parameters (RFC 4055 section 3.1); SHA-1 if it names none.
fn of_pss(parameters: &[u8]) -> Option<Function> {
    const SHA2: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02];
    const SHA1: &[u8] = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];
    let (parameters, _) = element(parameters, 0x30)?;
    let Some((hash, _)) = element(parameters, 0xa0) else { return Some(Function::Sha256) };
    let (algorithm, _) = element(hash, 0x30)?;
    let (name, _) = element(algorithm, 0x06)?;
    match name.strip_prefix(SHA2) {
        Some([1]) => Some(Function::Sha256),
        Some([2]) => Some(Function::Sha384),
        Some([3]) => Some(Function::Sha512),
        Some([4]) => Some(Function::Sha224),
        _ => (name == SHA1).then_some(Function::Sha256),
    }
}

/// What is in the DER element of this tag that `bytes` begin with, and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first()?;
    if *first != tag {
        return None;
    }
    let (length, rest) = match *length {
        short @ 0..=0x7f => (usize::from(short), rest),
        long => {
            let (length, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
            if length.is_empty() || length.len() > 3 {
                return None;
            }
            (length.iter().fold(0, |sum, byte| (sum << 8) | usize::from(*byte)), rest)
        }
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A certificate as far as it is looked at: something, and the algorithm of its signature.
    fn certificate(name: &[u8], parameters: &[u8]) -> Vec<u8> {
        let wrap =
            |tag: u8, content: &[u8]| [&[tag, 0x82, (content.len() >> 8) as u8, content.len() as u8], content].concat();
        let algorithm = wrap(0x30, &[wrap(0x06, name), parameters.to_vec()].concat());
        wrap(0x30, &[wrap(0x30, &[7; 300]), algorithm, vec![3, 1, 0]].concat())
    }

    #[test]
    fn the_function_is_that_of_the_signature_and_none_below_sha_256() {
        const RSA: [u8; 8] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
        let rsa = |last: u8| [&RSA[..], &[last]].concat();
        let bytes = |name: &[u8], parameters: &[u8]| hash(&certificate(name, parameters)).map(|h| h.len());
        assert_eq!(
            [5, 11, 12, 13, 14].map(|last| bytes(&rsa(last), &[5, 0])),
            [Some(32), Some(32), Some(48), Some(64), Some(28)]
        );
        let ecdsa_384 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 3, 3];
        assert_eq!(bytes(&ecdsa_384, &[]), Some(48));
        let ed25519 = [0x2b, 0x65, 0x70];
        assert_eq!(bytes(&ed25519, &[]), None);
        // SHA-512 in the parameters of PSS; then nothing there, which means SHA-1.
        let sha_512 = [0x30, 0x0f, 0xa0, 0x0d, 0x30, 0x0b, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3];
        assert_eq!(bytes(&rsa(10), &sha_512), Some(64));
        assert_eq!(bytes(&rsa(10), &[0x30, 0]), Some(32));
    }

    #[test]
    fn a_real_one_is_read_and_rubbish_is_not() {
        let made = rcgen::generate_simple_self_signed(["example.org".to_owned()]).unwrap();
        let der = made.cert.der();
        assert_eq!(hash(der), Some(Sha256::digest(der).to_vec()));
        assert_eq!(hash(&der[..40]), None);
        assert_eq!(hash(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
        assert_eq!(hash(&[]), None);
    }
}
