//! Whether a certificate is of the pool's authority.

use crate::Certificate;
use crate::peer::Peer;
use jiff::Timestamp;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::CryptoProvider;
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, UnixTime};
use std::sync::Arc;
use std::time::Duration;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// With what we compute.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Takes clients with a certificate of the pool's authority that says who they are, and no others.
#[derive(Debug)]
pub(crate) struct OfThePool(pub(crate) Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for OfThePool {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.0.verify_client_cert(end_entity, intermediates, now)?;
        match peer_of(end_entity) {
            Ok(_) => Ok(verified),
            Err(why) => Err(Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(Odd(why)))))),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// A certificate of the pool that does not say who it is for, completing "its certificate ...".
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Odd(String);

/// Who a certificate that was verified is for.
pub(crate) fn peer_of(certificate: &CertificateDer<'_>) -> Result<Peer, String> {
    Peer::of(&Certificate::parse(certificate)?)
}

/// Whether `authority` issued a certificate that was valid at a time.
pub(crate) fn is_issued_by(certificate: &CertificateDer<'_>, authority: &CertificateDer<'_>, at: Timestamp) -> bool {
    let mut roots = RootCertStore::empty();
    let Ok(parsed) = ParsedCertificate::try_from(certificate) else { return false };
    let Ok(seconds) = u64::try_from(at.as_second()) else { return false };
    let at = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let algorithms = provider().signature_verification_algorithms.all;
    roots.add(authority.clone().into_owned()).is_ok()
        && verify_server_cert_signed_by_trust_anchor(&parsed, &roots, &[], at, algorithms).is_ok()
}

/// The public key in a certificate, as its "subject public key info".
pub(crate) fn public_key_of(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let (_, x509) = X509Certificate::from_der(certificate).ok()?;
    Some(x509.public_key().raw.to_vec())
}
