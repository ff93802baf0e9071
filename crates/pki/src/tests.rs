//! Who is let in and who is not, with real files and real connections; and what others say of our certificates.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails should stop where it fails")]

use crate::authority::DAYS;
use crate::{Acceptor, Authority, Certificate, Identity, Kind, Peer, PkiError, TlsStream, Wanted, connect};
use jiff::{SignedDuration, Timestamp};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const A: &str = "atl-db-1.litwareinc.com";
const B: &str = "atl-cs-001.litwareinc.com";

/// An authority in a directory that is gone when the test is over.
struct Pool {
    home: TempDir,
    authority: Authority,
}

impl Pool {
    fn new() -> Pool {
        let home = tempfile::tempdir().unwrap();
        let authority = Authority::init(&home.path().join("ca"), "chat.litwareinc.com", Timestamp::now()).unwrap();
        Pool { home, authority }
    }

    fn dir(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn issue(&self, kind: Kind, name: &str) -> Identity {
        self.issue_at(kind, name, Timestamp::now())
    }

    fn issue_at(&self, kind: Kind, name: &str, at: Timestamp) -> Identity {
        self.authority.issue(&wanted(kind, name), at, &self.dir(name)).unwrap();
        Identity::load(self.dir(name)).unwrap()
    }
}

fn wanted(kind: Kind, name: &str) -> Wanted {
    Wanted { kind, name: name.into(), addresses: Vec::new(), days: DAYS }
}

fn long_ago() -> Timestamp {
    Timestamp::now() - SignedDuration::from_hours(24 * 1_000)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

type Met = (Result<(TlsStream, Peer), PkiError>, Result<TlsStream, PkiError>);

/// What comes of it when `client` connects to `server`, taking it for `name`: what the server says, and what the client.
async fn meet(server: &Identity, client: &Identity, name: &str) -> Met {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = Acceptor::new(server.clone());
    let accepting = async { acceptor.accept(listener.accept().await.unwrap().0).await };
    tokio::join!(accepting, connect("127.0.0.1", port, name, client))
}

fn refused<T>(outcome: Result<T, PkiError>) -> String {
    match outcome {
        Err(e @ PkiError::Refused { .. }) => e.to_string(),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was let in"),
    }
}

#[tokio::test]
async fn two_of_one_pool_know_each_other() {
    let pool = Pool::new();
    let (a, b) = (pool.issue(Kind::Instance, A), pool.issue(Kind::Server, B));
    let (accepted, connected) = meet(&a, &b, A).await;
    let ((mut at_server, peer), mut at_client) = (accepted.unwrap(), connected.unwrap());
    assert_eq!(peer, Peer { name: B.into(), kind: Kind::Server });
    assert_eq!(at_server.peer(), &peer);
    assert_eq!(at_client.peer(), &Peer { name: A.into(), kind: Kind::Instance });
    at_client.write_all(b"hello").await.unwrap();
    at_client.flush().await.unwrap();
    let mut heard = [0; 5];
    at_server.read_exact(&mut heard).await.unwrap();
    at_server.write_all(b"there").await.unwrap();
    at_server.shutdown().await.unwrap();
    let mut answer = String::new();
    at_client.read_to_string(&mut answer).await.unwrap();
    assert_eq!((&heard, answer.as_str()), (b"hello", "there"));
}

#[tokio::test]
async fn a_certificate_that_is_over_is_refused_and_both_sides_hear_why() {
    let pool = Pool::new();
    let (a, old) = (pool.issue(Kind::Instance, A), pool.issue_at(Kind::Server, B, long_ago()));
    let (accepted, connected) = meet(&a, &old, A).await;
    assert!(refused(accepted).contains("its certificate is over; `holdfast pki renew`"));
    let why = refused(connected);
    assert!(
        why.contains("it refuses our certificate") && why.contains(&format!("{B}/cert.pem, which is over")),
        "{why}"
    );

    let (accepted, connected) = meet(&old, &a, B).await;
    assert!(refused(connected).contains("its certificate is over"));
    assert!(refused(accepted).contains("it refuses our certificate"));

    let early =
        pool.issue_at(Kind::Witness, "witness.litwareinc.com", Timestamp::now() + SignedDuration::from_hours(48));
    let (accepted, _) = meet(&a, &early, A).await;
    assert!(refused(accepted).contains("is not valid yet; compare the clocks"));
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused_and_both_sides_hear_why() {
    // The same names, down to those of the authority: what counts is the key.
    let (pool, other) = (Pool::new(), Pool::new());
    let (a, stranger) = (pool.issue(Kind::Instance, A), other.issue(Kind::Server, B));
    let (accepted, connected) = meet(&a, &stranger, A).await;
    assert!(refused(connected).contains("its certificate is not of the pool's authority"));
    assert!(refused(accepted).contains("it refuses our certificate"));

    // One that takes ours, but whose certificate is of elsewhere.
    let disguised = other.dir(B);
    fs::copy(pool.dir("ca").join("ca.pem"), disguised.join("ca.pem")).unwrap();
    let (accepted, connected) = meet(&a, &Identity::load(&disguised).unwrap(), A).await;
    let why = refused(accepted);
    assert!(why.contains("is not of the pool's authority") && why.contains("127.0.0.1:"), "{why}");
    let why = refused(connected);
    assert!(why.contains(&format!("{B}/cert.pem, which is not of its pool's authority")), "{why}");
}

#[tokio::test]
async fn who_is_not_the_one_that_was_wanted_is_left() {
    let pool = Pool::new();
    let (a, b) = (pool.issue(Kind::Instance, A), pool.issue(Kind::Server, B));
    let (_, connected) = meet(&a, &b, "atl-db-2.litwareinc.com").await;
    let why = refused(connected);
    assert!(why.contains("is not for atl-db-2.litwareinc.com but for") && why.contains(A), "{why}");
    // Every certificate is for this machine, but nobody is called so.
    let (_, connected) = meet(&a, &b, "localhost").await;
    assert!(refused(connected).contains(&format!("it is instance {A}")));
}

#[tokio::test]
async fn who_shows_no_certificate_or_speaks_no_tls_is_refused() {
    let pool = Pool::new();
    let a = pool.issue(Kind::Instance, A);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = Acceptor::new(a.clone());
    let accept = || async { acceptor.accept(listener.accept().await.unwrap().0).await };

    let plain = async {
        let mut tcp = TcpStream::connect(address).await.unwrap();
        tcp.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let _ = tcp.read_to_end(&mut Vec::new()).await;
    };
    let (accepted, ()) = tokio::join!(accept(), plain);
    let why = refused(accepted);
    assert!(why.contains("it does not speak TLS"), "{why}");

    let mut roots = rustls::RootCertStore::empty();
    roots.add(crate::certificate::all_in(&pool.dir("ca").join("ca.pem")).unwrap().swap_remove(0)).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(crate::verify::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let nameless = async {
        let tcp = TcpStream::connect(address).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
        let mut tls = connector.connect(A.try_into().unwrap(), tcp).await.unwrap();
        tls.read_u8().await.unwrap_err()
    };
    let (accepted, _) = tokio::join!(accept(), nameless);
    assert!(refused(accepted).contains("it showed no certificate"));

    // The other way round: one that listens and knows no TLS.
    let echo = async {
        let (mut tcp, _) = listener.accept().await.unwrap();
        tcp.write_all(b"220 hello\r\n").await.unwrap();
        let _ = tcp.read_to_end(&mut Vec::new()).await;
    };
    let (connected, ()) = tokio::join!(connect("127.0.0.1", address.port(), A, &a), echo);
    assert!(refused(connected).contains("it does not speak TLS; is it the right port?"));
    // And one that says nothing.
    let (connected, _silent) = tokio::join!(connect("127.0.0.1", address.port(), A, &a), listener.accept());
    assert!(refused(connected).contains("it did not answer in time"));
    drop(listener);
    let gone = connect("127.0.0.1", address.port(), A, &a).await.unwrap_err();
    assert!(matches!(gone, PkiError::Unreachable { .. }), "{gone}");
}

#[tokio::test]
async fn a_certificate_of_the_pool_that_does_not_say_who_it_is_for_is_refused() {
    let pool = Pool::new();
    let a = pool.issue(Kind::Instance, A);
    for (unit, name, said) in [
        (Some("emperor"), B, "does not say of what kind it is"),
        (None, B, "does not say of what kind it is"),
        (Some("server"), "Chat Server", "has a name that cannot be"),
    ] {
        let b = pool.issue(Kind::Server, B);
        write_odd(&pool, unit, name);
        let Err(PkiError::Odd { why, .. }) = Identity::load(pool.dir(B)) else { panic!("it was loaded") };
        assert!(why.contains(said), "{why}");
        // As if it came from a program that does not look at its own.
        let chain = crate::certificate::all_in(&pool.dir(B).join("cert.pem")).unwrap();
        let verified = rustls::server::danger::ClientCertVerifier::verify_client_cert(
            &*client_verifier(&pool),
            &chain[0],
            &[],
            rustls_pki_types::UnixTime::now(),
        );
        let why = crate::refusal::of_tls(&verified.unwrap_err(), a.dir());
        assert!(why.contains(said), "{why}");
        drop(b);
        fs::remove_dir_all(pool.dir(B)).unwrap();
    }
}

fn client_verifier(pool: &Pool) -> std::sync::Arc<dyn rustls::server::danger::ClientCertVerifier> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(crate::certificate::all_in(&pool.dir("ca").join("ca.pem")).unwrap().swap_remove(0)).unwrap();
    let inner = rustls::server::WebPkiClientVerifier::builder_with_provider(roots.into(), crate::verify::provider());
    std::sync::Arc::new(crate::verify::OfThePool(inner.build().unwrap()))
}

/// Puts a certificate of the authority in place that our own commands would not issue.
fn write_odd(pool: &Pool, unit: Option<&str>, name: &str) {
    let ca = fs::read_to_string(pool.dir("ca").join("ca.pem")).unwrap();
    let ca_key = fs::read_to_string(pool.dir("ca").join("ca-key.pem")).unwrap();
    let issuer = rcgen::Issuer::from_ca_cert_pem(&ca, rcgen::KeyPair::from_pem(&ca_key).unwrap()).unwrap();
    let key = fs::read_to_string(pool.dir(B).join("key.pem")).unwrap();
    let mut params = rcgen::CertificateParams::new([B.to_owned()]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    if let Some(unit) = unit {
        params.distinguished_name.push(rcgen::DnType::OrganizationalUnitName, unit);
    }
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let made = params.signed_by(&rcgen::KeyPair::from_pem(&key).unwrap(), &issuer).unwrap();
    fs::write(pool.dir(B).join("cert.pem"), made.pem()).unwrap();
}

#[tokio::test]
async fn a_renewed_certificate_is_used_without_a_restart() {
    let pool = Pool::new();
    let (a, b) = (pool.issue(Kind::Instance, A), pool.issue_at(Kind::Server, B, long_ago()));
    let key = fs::read(pool.dir(B).join("key.pem")).unwrap();
    assert!(meet(&a, &b, A).await.0.is_err());
    let before = b.certificate();
    pool.authority.renew(&pool.dir(B), DAYS, Timestamp::now()).unwrap();
    let (accepted, connected) = meet(&a, &b, A).await;
    assert_eq!(accepted.unwrap().1, *b.peer());
    connected.unwrap();
    assert!(meet(&b, &a, B).await.1.is_ok());
    assert_eq!(b.certificate().names, before.names);
    assert_eq!(fs::read(pool.dir(B).join("key.pem")).unwrap(), key);

    // One that is half copied, of somebody else, or gone leaves things as they are.
    let whole = fs::read(pool.dir(B).join("cert.pem")).unwrap();
    for odd in [&whole[..100], b"", &fs::read(pool.dir(A).join("cert.pem")).unwrap()] {
        fs::write(pool.dir(B).join("cert.pem"), odd).unwrap();
        assert!(meet(&a, &b, A).await.0.is_ok());
    }
    fs::remove_file(pool.dir(B).join("cert.pem")).unwrap();
    assert!(meet(&b, &a, B).await.0.is_ok());
}

#[test]
fn an_authority_is_made_once() {
    let pool = Pool::new();
    let ca = pool.dir("ca");
    assert_eq!((mode(&ca), mode(&ca.join("ca-key.pem")), mode(&ca.join("ca.pem"))), (0o700, 0o600, 0o644));
    let key = fs::read(ca.join("ca-key.pem")).unwrap();
    let again = Authority::init(&ca, "chat.litwareinc.com", Timestamp::now()).err().unwrap();
    assert!(again.to_string().contains("ca-key.pem is there already"), "{again}");
    // Not even when half of it is lost.
    fs::remove_file(ca.join("ca.pem")).unwrap();
    assert!(Authority::init(&ca, "chat.litwareinc.com", Timestamp::now()).is_err());
    assert_eq!(fs::read(ca.join("ca-key.pem")).unwrap(), key);
    let none = Authority::open(&pool.dir("elsewhere")).err().unwrap();
    assert!(none.to_string().contains("`holdfast pki init`"), "{none}");
}

#[test]
fn an_identity_says_who_it_is_for_and_where() {
    let pool = Pool::new();
    let addresses = ["10.0.0.7", "DB.internal", "127.0.0.1"].map(str::to_owned).to_vec();
    let for_whom = Wanted { addresses, days: 30, ..wanted(Kind::Instance, A) };
    let now = Timestamp::now();
    let issued = pool.authority.issue(&for_whom, now, &pool.dir(A)).unwrap();
    assert_eq!(issued.names, [A, "10.0.0.7", "db.internal", "127.0.0.1", "localhost"]);
    let in_31_days = now + SignedDuration::from_hours(24 * 31);
    assert_eq!((issued.days_left(now), issued.days_left(in_31_days)), (30, -1));
    assert_eq!((mode(&pool.dir(A).join("key.pem")), mode(&pool.dir(A).join("cert.pem"))), (0o600, 0o644));
    assert_eq!(Identity::load(pool.dir(A)).unwrap().peer().to_string(), format!("instance {A}"));
    // There is one now.
    let again = pool.authority.issue(&for_whom, now, &pool.dir(A)).unwrap_err();
    assert!(again.to_string().contains("pki renew"), "{again}");
    for (name, address, days) in [
        ("", "a", 1),
        ("Atl", "a", 1),
        ("a b", "a", 1),
        (&"x".repeat(64), "a", 1),
        ("a", "a_b", 1),
        ("a", "a", 0),
        ("a", "a", 4_000),
    ] {
        let for_whom = Wanted { kind: Kind::Server, name: name.into(), addresses: vec![address.into()], days };
        assert!(pool.authority.issue(&for_whom, now, &pool.dir("x")).is_err(), "{for_whom:?}");
        assert!(!pool.dir("x").exists());
    }
}

#[test]
fn only_its_own_authority_renews_a_certificate() {
    let (pool, other) = (Pool::new(), Pool::new());
    pool.issue(Kind::Operator, "ana");
    let refused = other.authority.renew(&pool.dir("ana"), 10, Timestamp::now()).unwrap_err();
    assert!(refused.to_string().contains("did not issue it"), "{refused}");
    // Nor for another key than the one it was issued for.
    fs::remove_file(pool.dir("ana").join("key.pem")).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    fs::write(pool.dir("ana").join("key.pem"), key.serialize_pem()).unwrap();
    let refused = pool.authority.renew(&pool.dir("ana"), 10, Timestamp::now()).unwrap_err();
    assert!(refused.to_string().contains("not the key of cert.pem"), "{refused}");
}

#[test]
fn files_that_do_not_do_are_named_with_what_to_do() {
    let pool = Pool::new();
    pool.issue(Kind::Server, B);
    pool.issue(Kind::Instance, A);
    let (dir, key) = (pool.dir(B), pool.dir(B).join("key.pem"));
    let load = || Identity::load(&dir).unwrap_err().to_string();

    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(load().contains("key.pem cannot be used: others may read it (mode 644); `chmod 600` it"));
    let own = fs::read(&key).unwrap();
    fs::remove_file(&key).unwrap();
    assert!(load().contains("key.pem cannot be used: it is not there; `holdfast pki issue`"));
    fs::copy(pool.dir(A).join("key.pem"), &key).unwrap();
    assert!(load().contains("it is not the key of cert.pem beside it"));
    fs::write(&key, "hello").unwrap();
    assert!(load().contains("key.pem cannot be used: it is no key"));
    fs::write(&key, own).unwrap();
    let cert = fs::read(dir.join("cert.pem")).unwrap();
    fs::write(dir.join("cert.pem"), "hello").unwrap();
    assert!(load().contains("cert.pem cannot be used: there is no certificate in it"));
    fs::write(dir.join("cert.pem"), cert).unwrap();
    assert!(Identity::load(&dir).is_ok());
}

#[test]
fn what_is_no_certificate_is_an_error_and_no_panic() {
    let pool = Pool::new();
    pool.issue(Kind::Server, B);
    let der = crate::certificate::all_in(&pool.dir(B).join("cert.pem")).unwrap().swap_remove(0).to_vec();
    assert!(Certificate::parse(&der).is_ok());
    for end in 0..der.len() {
        assert!(Certificate::parse(&der[..end]).is_err());
    }
    for i in 0..der.len() {
        for bits in [0x01, 0x80, 0xff] {
            let mut odd = der.clone();
            odd[i] ^= bits;
            if let Ok(certificate) = Certificate::parse(&odd) {
                let _ = Peer::of(&certificate);
            }
        }
    }
}

/// OpenSSL is what PostgreSQL has.
#[test]
fn openssl_takes_our_certificates() {
    if Command::new("openssl").arg("version").output().is_err() {
        return;
    }
    let (pool, other) = (Pool::new(), Pool::new());
    let identity = pool.issue(Kind::Instance, A);
    let openssl = |args: &[&str], file: &Path| {
        let done = Command::new("openssl").args(args).arg(file).output().unwrap();
        (done.status.success(), String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned())
    };
    let (cert, key) = (pool.dir(A).join("cert.pem"), pool.dir(A).join("key.pem"));
    for (ca, purpose, right) in [(&pool, "sslserver", true), (&pool, "sslclient", true), (&other, "sslserver", false)] {
        let ca = ca.dir("ca").join("ca.pem");
        let (verified, said) = openssl(
            &["verify", "-x509_strict", "-purpose", purpose, "-verify_hostname", A, "-CAfile", ca.to_str().unwrap()],
            &cert,
        );
        assert_eq!(verified, right, "{said}");
    }
    let (_, said) = openssl(&["x509", "-noout", "-subject", "-fingerprint", "-sha256", "-in"], &cert);
    assert!(said.contains(&identity.certificate().fingerprint), "{said}");
    assert!(
        said.contains("OU = instance, CN = atl-db-1.litwareinc.com") || said.contains("OU=instance, CN=atl-db-1"),
        "{said}"
    );
    assert!(openssl(&["pkey", "-noout", "-check", "-in"], &key).0);
    assert!(fs::read_to_string(&key).unwrap().starts_with("-----BEGIN PRIVATE KEY-----"));
}
