//! What a certificate says, read with no trust in it.

use crate::error::{Result, odd};
use crate::files;
use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha256};
use std::net::IpAddr;
use std::path::Path;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// The facts of a certificate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Certificate {
    /// The common names of its subject; ours have one.
    pub subjects: Vec<String>,
    /// The units of its subject; ours have one, which says the kind.
    pub units: Vec<String>,
    /// The hosts that it is for: DNS names and addresses.
    pub names: Vec<String>,
    /// From when it is valid.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// Whether it is an authority's.
    pub is_authority: bool,
    /// SHA-256 over all of it, as `openssl x509 -fingerprint -sha256` writes it.
    pub fingerprint: String,
}

impl Certificate {
    /// Reads the first certificate of a PEM file.
    ///
    /// # Errors
    /// When the file cannot be read, or there is no certificate in it.
    pub fn read(path: &Path) -> Result<Certificate> {
        let first = all_in(path)?.swap_remove(0);
        Self::parse(&first).map_err(|why| odd(path, why))
    }

    /// Reads a certificate as it comes over the wire.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(der: &[u8]) -> std::result::Result<Certificate, String> {
        let (rest, x509) = X509Certificate::from_der(der).map_err(|e| format!("it is no certificate ({e})"))?;
        if !rest.is_empty() {
            return Err("it is no certificate (something follows it)".into());
        }
        let text = |part: &x509_parser::x509::AttributeTypeAndValue<'_>| {
            part.as_str().map(str::to_owned).map_err(|_| "its subject is not text".to_owned())
        };
        let subject = x509.subject();
        let names = match x509.subject_alternative_name() {
            Ok(Some(names)) => names.value.general_names.iter().filter_map(host).collect(),
            Ok(None) => Vec::new(),
            Err(_) => return Err("its names cannot be read".into()),
        };
        let time = |t: i64| Timestamp::from_second(t).map_err(|_| "its dates cannot be".to_owned());
        Ok(Certificate {
            subjects: subject.iter_common_name().map(text).collect::<std::result::Result<_, _>>()?,
            units: subject.iter_organizational_unit().map(text).collect::<std::result::Result<_, _>>()?,
            names,
            from: time(x509.validity().not_before.timestamp())?,
            until: time(x509.validity().not_after.timestamp())?,
            is_authority: x509.is_ca(),
            fingerprint: fingerprint(der),
        })
    }

    /// Whole days that are left of it; negative when it is over.
    pub fn days_left(&self, now: Timestamp) -> i64 {
        (self.until.as_second() - now.as_second()).div_euclid(86_400)
    }
}

/// All certificates of a PEM file; at least one.
pub(crate) fn all_in(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let pem = files::read(path)?;
    let all: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) => Err(odd(path, "there is no certificate in it; a file of PEM text is wanted, with BEGIN CERTIFICATE")),
        Err(e) => Err(odd(path, format!("it is no PEM text ({e}); copy it anew"))),
    }
}

fn host(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let v6 = <[u8; 16]>::try_from(*bytes).map(IpAddr::from);
            v4.or(v6).ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

fn fingerprint(der: &[u8]) -> String {
    let bytes: Vec<String> = Sha256::digest(der).iter().map(|b| format!("{b:02X}")).collect();
    bytes.join(":")
}
