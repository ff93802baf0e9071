//! The pool's certificate authority: a key and a certificate in a directory, which belongs in a safe place and is needed only to issue and renew.

use crate::certificate::{Certificate, all_in};
use crate::error::{PkiError, Result, odd, wanted};
use crate::files::{self, Readers};
use crate::identity::{self, AUTHORITY, CERTIFICATE, KEY};
use crate::peer::{Kind, MOST_NAME_CHARS, Peer, check_name};
use crate::verify;
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls_pki_types::CertificateDer;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use time::OffsetDateTime;

/// For how long a certificate is valid unless something else is asked for: what browsers took at most for years.
pub const DAYS: u32 = 825;
/// For how long the authority itself is.
const AUTHORITY_DAYS: i64 = 3_652;
/// Certificates are valid from a little before now: the clocks of two machines are never quite the same.
const BEFORE: SignedDuration = SignedDuration::from_hours(1);
/// What the authority's own certificate has as its unit. No identity is of this kind.
const UNIT: &str = "authority";
/// The authority's certificate and key in its directory.
const AUTHORITY_KEY: &str = "ca-key.pem";

/// Who issues the certificates of one pool.
pub struct Authority {
    pool: String,
    pem: String,
    der: CertificateDer<'static>,
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate that somebody needs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// For what.
    pub kind: Kind,
    /// For whom: also a DNS name of it.
    pub name: String,
    /// More DNS names and addresses under which it is reached.
    pub addresses: Vec<String>,
    /// For how long.
    pub days: u32,
}

impl Authority {
    /// Makes the authority of a pool in `dir`.
    ///
    /// # Errors
    /// When there is one already, or the files cannot be written.
    pub fn init(dir: &Path, pool: &str, now: Timestamp) -> Result<Authority> {
        check_name(pool).map_err(wanted)?;
        for file in [AUTHORITY_KEY, AUTHORITY] {
            let path = dir.join(file);
            if path.exists() {
                let advice = "an authority is made once; whoever has a certificate of it would be cut off by another";
                return Err(PkiError::Exists { path, advice });
            }
        }
        let key = new_key()?;
        let mut params = dated(now, now + SignedDuration::from_hours(24 * AUTHORITY_DAYS))?;
        params.distinguished_name = subject(pool, UNIT);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let made = params.self_signed(&key).map_err(|e| wanted(format!("the certificate cannot be made: {e}")))?;
        files::make_dir(dir)?;
        files::write(&dir.join(AUTHORITY_KEY), Readers::Owner, &key.serialize_pem())?;
        files::write(&dir.join(AUTHORITY), Readers::Everybody, &made.pem())?;
        Self::open(dir)
    }

    /// The authority whose files are in `dir`.
    ///
    /// # Errors
    /// When they are not, or do not belong together.
    pub fn open(dir: &Path) -> Result<Authority> {
        let (file, key_file) = (dir.join(AUTHORITY), dir.join(AUTHORITY_KEY));
        if !key_file.exists() {
            return Err(odd(&key_file, "it is not there; `holdfast pki init` makes the authority of a pool"));
        }
        files::refuse_shared(&key_file)?;
        let der = all_in(&file)?.swap_remove(0);
        let certificate = Certificate::parse(&der).map_err(|why| odd(&file, why))?;
        let ([pool], true) = (&certificate.subjects[..], certificate.is_authority) else {
            return Err(odd(&file, "it is no certificate of an authority"));
        };
        let key = read_key(&key_file)?;
        if !belongs(&der, &key) {
            return Err(odd(&key_file, "it is not the key of ca.pem beside it; restore both from one copy"));
        }
        let issuer = Issuer::from_ca_cert_der(&der, key).map_err(|e| odd(&file, e.to_string()))?;
        let pem = String::from_utf8(files::read(&file)?).map_err(|_| odd(&file, "it is no text"))?;
        Ok(Authority { pool: pool.clone(), pem, certificate: certificate.clone(), issuer, der })
    }

    /// The pool that it is for.
    pub fn pool(&self) -> &str {
        &self.pool
    }

    /// Its own certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Issues a certificate with a new key, and writes the identity to the directory `to`.
    ///
    /// # Errors
    /// When there is an identity already, the certificate cannot be made as it is wanted, or the files cannot be written.
    pub fn issue(&self, for_whom: &Wanted, now: Timestamp, to: &Path) -> Result<Certificate> {
        let path = to.join(CERTIFICATE);
        if path.exists() {
            let advice = "`holdfast pki renew` makes it valid for longer; for another identity name another directory";
            return Err(PkiError::Exists { path, advice });
        }
        let key = new_key()?;
        let pem = self.sign(for_whom, &key, now)?;
        files::make_dir(to)?;
        files::write(&to.join(KEY), Readers::Owner, &key.serialize_pem())?;
        files::write(&to.join(AUTHORITY), Readers::Everybody, &self.pem)?;
        // Last: without it there is no identity, and issuing can be repeated.
        files::write(&path, Readers::Everybody, &pem)?;
        Certificate::read(&path)
    }

    /// Makes a new certificate for whom an identity is, with its names and its key, valid for `days` from now. It may be over.
    ///
    /// # Errors
    /// When it is no identity that this authority issued, or the files cannot be written.
    pub fn renew(&self, identity: &Path, days: u32, now: Timestamp) -> Result<Certificate> {
        let path = identity.join(CERTIFICATE);
        let old = all_in(&path)?.swap_remove(0);
        let certificate = Certificate::parse(&old).map_err(|why| odd(&path, why))?;
        // Anybody can write a certificate that says anything.
        if !verify::is_issued_by(&old, &self.der, certificate.from) {
            return Err(odd(
                &path,
                format!("the authority of {} did not issue it; name its own with --dir", self.pool),
            ));
        }
        let peer = Peer::of(&certificate).map_err(|why| odd(&path, format!("it {why}")))?;
        let key_file = identity.join(KEY);
        let key = read_key(&key_file)?;
        if !belongs(&old, &key) {
            return Err(odd(key_file, identity::NOT_ITS_KEY));
        }
        let for_whom = Wanted { kind: peer.kind, name: peer.name, addresses: certificate.names, days };
        let pem = self.sign(&for_whom, &key, now)?;
        files::write(&path, Readers::Everybody, &pem)?;
        Certificate::read(&path)
    }

    fn sign(&self, for_whom: &Wanted, key: &KeyPair, now: Timestamp) -> Result<String> {
        check_name(&for_whom.name).map_err(wanted)?;
        if !(1..=3_650).contains(&for_whom.days) {
            return Err(wanted("a certificate is valid for 1 to 3,650 days"));
        }
        if self.certificate.until <= now {
            return Err(wanted(format!(
                "the authority itself ended on {}; a new one is needed",
                self.certificate.until
            )));
        }
        // What outlives its authority is refused by everybody anyway.
        let until = (now + SignedDuration::from_hours(24 * i64::from(for_whom.days))).min(self.certificate.until);
        let mut params = dated(now, until)?;
        params.distinguished_name = subject(&for_whom.name, for_whom.kind.word());
        params.subject_alt_names = hosts(for_whom)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let made = params.signed_by(key, &self.issuer);
        made.map(|c| c.pem()).map_err(|e| wanted(format!("the certificate cannot be made: {e}")))
    }
}

/// Its name, this machine, and whatever else it is reached by.
fn hosts(for_whom: &Wanted) -> Result<Vec<SanType>> {
    let mut hosts = Vec::new();
    let this_machine = ["localhost", "127.0.0.1"];
    let all = [for_whom.name.as_str()].into_iter().chain(for_whom.addresses.iter().map(String::as_str));
    for text in all.chain(this_machine) {
        let host = match text.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => dns_name(text)?,
        };
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    debug_assert!(hosts.contains(&SanType::IpAddress(Ipv4Addr::LOCALHOST.into())));
    Ok(hosts)
}

fn dns_name(text: &str) -> Result<SanType> {
    let name = text.to_ascii_lowercase();
    // Longer than a name may be, since it stands in no subject.
    let is_plain = name.len() <= 253 && name.split('.').all(|l| l.len() <= MOST_NAME_CHARS && check_name(l).is_ok());
    let odd = || wanted(format!("`{text}` is neither an address nor a host's name"));
    if !is_plain {
        return Err(odd());
    }
    Ok(SanType::DnsName(name.try_into().map_err(|_| odd())?))
}

fn subject(name: &str, unit: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationalUnitName, unit);
    subject.push(DnType::CommonName, name);
    subject
}

fn dated(now: Timestamp, until: Timestamp) -> Result<CertificateParams> {
    let date = |t: Timestamp| {
        OffsetDateTime::from_unix_timestamp(t.as_second())
            .map_err(|_| wanted("the clock of this machine cannot be right"))
    };
    let mut params = CertificateParams::default();
    params.not_before = date(now - BEFORE)?;
    params.not_after = date(until)?;
    Ok(params)
}

fn new_key() -> Result<KeyPair> {
    KeyPair::generate().map_err(|e| wanted(format!("no key can be made on this machine: {e}")))
}

fn read_key(path: &PathBuf) -> Result<KeyPair> {
    let pem = String::from_utf8(files::read(path)?).map_err(|_| odd(path, "it is no text"))?;
    KeyPair::from_pem(&pem).map_err(|e| odd(path, format!("it is no key ({e}); a PEM text of PKCS#8 is wanted")))
}

/// Whether a key is that of a certificate.
fn belongs(certificate: &CertificateDer<'_>, key: &KeyPair) -> bool {
    use rcgen::PublicKeyData as _;
    verify::public_key_of(certificate).is_some_and(|public| public == key.subject_public_key_info())
}
