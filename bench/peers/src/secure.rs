//! TLS as a client begins it on a plain stream (RFC 6120 section 5). Any certificate is believed: what TLS costs is measured, not with whom one speaks.

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use std::sync::{Arc, OnceLock};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const TLS: &str = "urn:ietf:params:xml:ns:xmpp-tls";
/// More than any server says before TLS.
const MOST: usize = 16 * 1024;

/// Takes a connection to TLS, after `head`, with which a stream begins.
pub(crate) async fn start(mut stream: TcpStream, head: &str, domain: &str) -> Result<TlsStream<TcpStream>> {
    stream.write_all(head.as_bytes()).await?;
    let offered = said(&mut stream, "</stream:features>").await?;
    ensure!(offered.contains(TLS), "it is not offered");
    stream.write_all(format!("<starttls xmlns='{TLS}'/>").as_bytes()).await?;
    said(&mut stream, "<proceed").await?;
    let name = ServerName::try_from(domain.to_owned())?;
    TlsConnector::from(config()?).connect(name, stream).await.context("beginning TLS")
}

/// Reads until the server has said `what`, and answers all of it. Behind that it waits for the client, so nothing of what follows is taken.
async fn said(stream: &mut TcpStream, what: &str) -> Result<String> {
    let mut all = Vec::new();
    loop {
        if stream.read_buf(&mut all).await? == 0 || all.len() > MOST {
            bail!("no `{what}` came: {}", String::from_utf8_lossy(&all));
        }
        let text = String::from_utf8_lossy(&all);
        // A tag that is cut in two has its end still to come.
        if text.contains(what) && text.ends_with('>') {
            return Ok(text.into_owned());
        }
    }
}

/// One for all connections: a client keeps it.
fn config() -> Result<Arc<ClientConfig>> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(Arc::clone(config));
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let believing = Arc::new(Believing(provider.signature_verification_algorithms));
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| anyhow!("TLS: {error}"))?;
    let config = builder.dangerous().with_custom_certificate_verifier(believing).with_no_client_auth();
    Ok(Arc::clone(CONFIG.get_or_init(|| Arc::new(config))))
}

/// Believes every certificate.
#[derive(Debug)]
struct Believing(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Believing {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
