//! TLS of the door: certificates from files, read anew when they change, or one of its own for trying out.

use crate::end_point;
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(30);

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {why}")]
pub struct TlsError {
    /// What was being done.
    what: String,
    /// What went wrong.
    why: String,
}

fn failed(what: impl Into<String>) -> impl FnOnce(&dyn std::fmt::Display) -> TlsError {
    let what = what.into();
    move |why| TlsError { what, why: why.to_string() }
}

/// What accepts connections with one certificate.
pub(crate) struct Tls {
    pub(crate) acceptor: TlsAcceptor,
    /// What those connections can be bound by that know no better (RFC 5929).
    pub(crate) end_point: Option<Vec<u8>>,
}

/// What accepts connections now. Each certificate has its own, so that a connection is bound by the one that it was shown.
pub(crate) struct Current(RwLock<Arc<Tls>>);

impl Current {
    fn new(tls: Tls) -> Arc<Current> {
        Arc::new(Current(RwLock::new(Arc::new(tls))))
    }

    /// What accepts a connection that begins now.
    pub(crate) fn now(&self) -> Arc<Tls> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One certificate for everybody.
#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

/// Accepts TLS with the certificate in two PEM files, and goes on with new ones when they change.
///
/// # Errors
/// When a file cannot be read, or the key is not the certificate's.
pub(crate) fn from_files(certificate: &Path, key: &Path, stop: CancellationToken) -> Result<Arc<Current>, TlsError> {
    let current = Current::new(accepting(read(certificate, key)?)?);
    tokio::spawn(keep_up(Arc::clone(&current), certificate.to_owned(), key.to_owned(), stop));
    Ok(current)
}

/// Accepts TLS with a certificate that nobody vouches for.
///
/// # Errors
/// When none can be made.
pub(crate) fn self_signed(domains: &[String]) -> Result<Arc<Current>, TlsError> {
    let made = rcgen::generate_simple_self_signed(domains).map_err(|e| failed("making a certificate")(&e))?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let certified = certified(vec![made.cert.der().clone()], key).map_err(|e| failed("making a certificate")(&e))?;
    Ok(Current::new(accepting(certified)?))
}

fn accepting(certificate: CertifiedKey) -> Result<Tls, TlsError> {
    let end_point = certificate.cert.first().and_then(|leaf| end_point::hash(leaf));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| failed("setting up TLS")(&e))?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Always(Arc::new(certificate))));
    // XEP-0368 section 3; without it any is taken.
    config.alpn_protocols = vec![b"xmpp-client".to_vec()];
    config.max_fragment_size = None;
    Ok(Tls { acceptor: TlsAcceptor::from(Arc::new(config)), end_point })
}

fn read(certificate: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let from = |path: &Path| failed(format!("reading {}", path.display()));
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect).map_err(|e| from(certificate)(&e))?;
    if chain.is_empty() {
        return Err(from(certificate)(&"it holds no certificate"));
    }
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|e| from(key)(&e))?;
    certified(chain, secret).map_err(|e| from(key)(&e))
}

fn certified(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<CertifiedKey, rustls::Error> {
    CertifiedKey::from_der(chain, key, &rustls::crypto::aws_lc_rs::default_provider())
}

async fn keep_up(current: Arc<Current>, certificate: PathBuf, key: PathBuf, stop: CancellationToken) {
    let written = || [changed(&certificate), changed(&key)];
    let mut known = written();
    while stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
        let now = written();
        if now == known {
            continue;
        }
        match read(&certificate, &key).and_then(accepting) {
            Ok(new) => {
                *current.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
                known = now;
                tracing::info!(certificate = %certificate.display(), "XMPP goes on with a new certificate");
            }
            // Perhaps one of the two is still to come: looked at again.
            Err(error) => tracing::warn!(%error, "the new certificate is not taken; the one before goes on"),
        }
    }
}

fn changed(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|meta| meta.modified()).ok()
}
