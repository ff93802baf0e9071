//! Who this process is: a certificate with its key, and whose certificates it takes. Read anew when the files are replaced, without a restart.

use crate::Certificate;
use crate::certificate::all_in;
use crate::error::{Result, odd};
use crate::files;
use crate::peer::Peer;
use crate::verify::{OfThePool, provider};
use jiff::Timestamp;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::server::{StoresServerSessions, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The certificate.
pub const CERTIFICATE: &str = "cert.pem";
/// Its key.
pub const KEY: &str = "key.pem";
/// The authority's certificate: whoever has one of it belongs to the pool.
pub const AUTHORITY: &str = "ca.pem";
/// When this few days are left, whoever looks is told.
pub const FEW_DAYS: i64 = 30;

pub(crate) const NOT_ITS_KEY: &str =
    "it is not the key of cert.pem beside it; restore both from one copy, or remove both and issue them anew";

/// A process of the pool, as it shows itself. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Identity(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    peer: Peer,
    loaded: Mutex<Arc<Loaded>>,
}

/// What the files said when they were read last.
#[derive(Debug)]
struct Loaded {
    stamps: Stamps,
    certificate: Certificate,
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

/// By which it is seen that a file was replaced.
type Stamps = [Option<(u64, i64, i64, u64)>; 3];

impl Identity {
    /// The identity in a directory.
    ///
    /// # Errors
    /// When a file is not there, others may read the key, or the files do not belong together.
    pub fn load(dir: impl Into<PathBuf>) -> Result<Identity> {
        let dir = dir.into();
        let (peer, loaded) = load(&dir)?;
        let left = loaded.certificate.days_left(Timestamp::now());
        if left < FEW_DAYS {
            let until = loaded.certificate.until;
            tracing::warn!(%peer, %until, "the certificate ends soon or has ended; `holdfast pki renew` makes a new one");
        }
        Ok(Identity(Arc::new(Inner { dir, peer, loaded: Mutex::new(Arc::new(loaded)) })))
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// Who it is. That stays, whatever becomes of the files.
    pub fn peer(&self) -> &Peer {
        &self.0.peer
    }

    /// Its certificate, as it is now.
    pub fn certificate(&self) -> Certificate {
        self.current().certificate.clone()
    }

    /// What was loaded last, anew if the files have changed. If they cannot be used as they are, what was there before goes on.
    fn current(&self) -> Arc<Loaded> {
        let mut loaded = self.0.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let stamps = stamps(&self.0.dir);
        if stamps == loaded.stamps {
            return Arc::clone(&loaded);
        }
        let before = &**loaded;
        let new = match load(&self.0.dir) {
            Ok((peer, new)) if peer == self.0.peer => {
                tracing::info!(%peer, until = %new.certificate.until, "the certificate was replaced");
                new
            }
            Ok((other, _)) => {
                tracing::warn!(own = %self.0.peer, %other, "the new certificate is for somebody else; the old one is used on");
                before.at(stamps)
            }
            Err(error) => {
                tracing::warn!(%error, "the new certificate cannot be used; the old one is used on");
                before.at(stamps)
            }
        };
        *loaded = Arc::new(new);
        Arc::clone(&loaded)
    }
}

impl Loaded {
    fn at(&self, stamps: Stamps) -> Loaded {
        Loaded {
            stamps,
            certificate: self.certificate.clone(),
            server: Arc::clone(&self.server),
            client: Arc::clone(&self.client),
        }
    }
}

/// How this process takes connections: only from whoever has a certificate of the pool.
pub fn server_config(identity: &Identity) -> Arc<ServerConfig> {
    Arc::clone(&identity.current().server)
}

/// How this process connects: to whoever has a certificate of the pool for the name that it is reached by, showing its own.
pub fn client_config(identity: &Identity) -> Arc<ClientConfig> {
    Arc::clone(&identity.current().client)
}

fn load(dir: &Path) -> Result<(Peer, Loaded)> {
    let stamps = stamps(dir);
    let [certificate_file, key_file, authority_file] = [CERTIFICATE, KEY, AUTHORITY].map(|name| dir.join(name));
    if let Some(missing) = [&certificate_file, &key_file, &authority_file].into_iter().find(|file| !file.exists()) {
        return Err(odd(missing, "it is not there; `holdfast pki issue` makes the identity of a process"));
    }
    files::refuse_shared(&key_file)?;
    let chain = all_in(&certificate_file)?;
    let certificate = chain.first().map_or(Err("there is none".into()), |c| Certificate::parse(c));
    let certificate = certificate.map_err(|why| odd(&certificate_file, why))?;
    let peer = Peer::of(&certificate).map_err(|why| odd(&certificate_file, format!("it {why}")))?;
    let key = PrivateKeyDer::from_pem_slice(&files::read(&key_file)?)
        .map_err(|e| odd(&key_file, format!("it is no key ({e}); a PEM text of PKCS#8 is wanted")))?;
    let mut roots = RootCertStore::empty();
    for root in all_in(&authority_file)? {
        roots.add(root).map_err(|e| odd(&authority_file, format!("it is no certificate of an authority ({e})")))?;
    }
    let roots = Arc::new(roots);
    let not_its_key = |e: rustls::Error| match e {
        rustls::Error::InconsistentKeys(_) => odd(&key_file, NOT_ITS_KEY),
        e => odd(&certificate_file, e.to_string()),
    };
    let of_authority = |e: &dyn std::fmt::Display| odd(&authority_file, e.to_string());

    let clients = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), provider()).build();
    let clients = OfThePool(clients.map_err(|e| of_authority(&e))?);
    let mut server = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(|e| of_authority(&e))?
        .with_client_cert_verifier(Arc::new(clients))
        .with_single_cert(chain.clone(), key.clone_key())
        .map_err(not_its_key)?;
    server.session_storage = Arc::new(Receipts);
    server.send_tls13_tickets = 1;

    let servers = WebPkiServerVerifier::builder_with_provider(roots, provider()).build();
    let mut client = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(|e| of_authority(&e))?
        .with_webpki_verifier(servers.map_err(|e| of_authority(&e))?)
        .with_client_auth_cert(chain, key)
        .map_err(not_its_key)?;
    client.resumption = Resumption::disabled();
    Ok((peer, Loaded { stamps, certificate, server: Arc::new(server), client: Arc::new(client) }))
}

fn stamps(dir: &Path) -> Stamps {
    [CERTIFICATE, KEY, AUTHORITY].map(|name| {
        let there = std::fs::metadata(dir.join(name)).ok()?;
        Some((there.ino(), there.mtime(), there.mtime_nsec(), there.size()))
    })
}

/// Nobody gets in by an earlier session, since a certificate may have ended since. The tickets that would allow it are sent all the same: they are the first
/// thing that a server sends after it took the client's certificate, and so tell the client that it did.
#[derive(Debug)]
struct Receipts;

impl StoresServerSessions for Receipts {
    fn put(&self, _: Vec<u8>, _: Vec<u8>) -> bool {
        true
    }

    fn get(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn take(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn can_cache(&self) -> bool {
        true
    }
}
