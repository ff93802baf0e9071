//! Why two processes do not get together, in words: on this side from what we found, on the other from the alert that it sent.

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};
use std::io;
use std::path::Path;

/// The sentence for a handshake that failed. `own` is the directory of this side's identity.
pub(crate) fn why(error: &io::Error, own: &Path) -> String {
    let Some(tls) = error.get_ref().and_then(|e| e.downcast_ref::<Error>()) else {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                "it hung up before both knew each other; its log says why".into()
            }
            io::ErrorKind::TimedOut => "it did not answer in time".into(),
            _ => error.to_string(),
        };
    };
    of_tls(tls, own)
}

/// The same for what TLS itself says.
pub(crate) fn of_tls(error: &Error, own: &Path) -> String {
    let ours = own.join(crate::identity::CERTIFICATE);
    let ours = ours.display();
    match error {
        Error::InvalidCertificate(why) => of_certificate(why, own),
        Error::NoCertificatesPresented => {
            "it showed no certificate; only processes and operators of the pool are let in".into()
        }
        Error::AlertReceived(AlertDescription::CertificateExpired) => format!(
            "it refuses our certificate {ours}, which is over or not valid yet; `holdfast pki renew` makes a new one, or set the clocks right"
        ),
        Error::AlertReceived(AlertDescription::UnknownCA | AlertDescription::DecryptError) => format!(
            "it refuses our certificate {ours}, which is not of its pool's authority; issue one with that authority"
        ),
        Error::AlertReceived(
            AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::AccessDenied,
        ) => format!("it refuses our certificate {ours}; its log says why"),
        Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "it wants a certificate, and we showed none".into()
        }
        Error::AlertReceived(AlertDescription::ProtocolVersion)
        | Error::PeerIncompatible(
            PeerIncompatible::Tls13RequiredForQuic | PeerIncompatible::SupportedVersionsExtensionRequired,
        ) => "it does not speak TLS 1.3".into(),
        Error::AlertReceived(alert) => format!("it ended the handshake ({alert:?}); its log says why"),
        Error::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion) => {
            "it does not speak TLS; is it the right port?".into()
        }
        other => other.to_string(),
    }
}

fn of_certificate(error: &CertificateError, own: &Path) -> String {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate is over; `holdfast pki renew` makes a new one for it".into()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet; compare the clocks of both machines".into()
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => format!(
            "its certificate is not of the pool's authority ({}); issue it one with that authority",
            own.join(crate::identity::AUTHORITY).display()
        ),
        CertificateError::NotValidForNameContext { expected, presented } => {
            format!("its certificate is not for {} but for {}", expected.to_str(), list(presented))
        }
        CertificateError::NotValidForName => "its certificate is for another name".into(),
        CertificateError::Other(odd) => format!("its certificate {}", odd.0),
        other => format!("its certificate cannot be used ({other})"),
    }
}

/// `DnsName("a")` as the library writes it, and `a` as a person reads it.
fn list(presented: &[String]) -> String {
    let plain = |name: &String| name.split('"').nth(1).unwrap_or(name).to_owned();
    presented.iter().map(plain).collect::<Vec<_>>().join(", ")
}
