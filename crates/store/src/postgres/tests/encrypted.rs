//! Connections in which both sides prove who they are, with PostgreSQL's own TLS.

use super::options;
use crate::conformance::support::*;
use crate::postgres::{Outcome, PostgresOptions, PostgresStore, check};
use crate::{Maintenance as _, RoomLog as _};
use holdfast_pki::{Authority, Kind, Wanted};
use holdfast_private_postgres::Postgres;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

const DATABASE: &str = "atl-db-1.litwareinc.com";
const SERVER: &str = "atl-cs-001.litwareinc.com";
const DAY: Duration = Duration::from_secs(86_400);

/// A PostgreSQL that lets `holdfast` in by certificate alone, and whoever issues those.
struct Encrypted {
    postgres: Postgres,
    pool: Pool,
    _theirs: TempDir,
}

/// An authority, and the identities that it made.
struct Pool {
    dir: TempDir,
    authority: Authority,
}

impl Pool {
    fn new() -> Pool {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::init(&dir.path().join("ca"), "chat.litwareinc.com", ago(Duration::ZERO)).unwrap();
        Pool { dir, authority }
    }

    /// An identity that was issued some time ago, for 30 days.
    fn issue(&self, kind: Kind, name: &str, before: Duration) -> PathBuf {
        let to = self.dir.path().join(format!("{name}-{}", before.as_secs()));
        let wanted = Wanted { kind, name: name.into(), addresses: Vec::new(), days: 30 };
        self.authority.issue(&wanted, ago(before), &to).unwrap();
        to
    }
}

fn ago(before: Duration) -> holdfast_pki::Timestamp {
    let then = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() - before;
    holdfast_pki::Timestamp::from_second(i64::try_from(then.as_secs()).unwrap()).unwrap()
}

impl Encrypted {
    fn start() -> Encrypted {
        let (pool, theirs) = (Pool::new(), tempfile::tempdir().unwrap());
        let identity = pool.issue(Kind::Instance, DATABASE, Duration::ZERO);
        for file in ["cert.pem", "key.pem", "ca.pem"] {
            fs::copy(identity.join(file), theirs.path().join(file)).unwrap();
        }
        let hba = "local all all trust\nhost all postgres 127.0.0.1/32 trust\n\
                   hostssl all holdfast 127.0.0.1/32 cert map=pool\n";
        fs::write(theirs.path().join("pg_hba.conf"), hba).unwrap();
        fs::write(theirs.path().join("pg_ident.conf"), format!("pool {SERVER} holdfast\n")).unwrap();
        Postgres::hand_over(theirs.path());
        let path = |file: &str| theirs.path().join(file).display().to_string();
        let [cert, key, ca, hba, ident] = ["cert.pem", "key.pem", "ca.pem", "pg_hba.conf", "pg_ident.conf"].map(path);
        let postgres = Postgres::with(&[
            ("ssl", "on"),
            ("ssl_cert_file", &cert),
            ("ssl_key_file", &key),
            ("ssl_ca_file", &ca),
            ("hba_file", &hba),
            ("ident_file", &ident),
        ]);
        Encrypted { postgres, pool, _theirs: theirs }
    }

    fn url(&self, host: &str) -> String {
        format!("postgres://holdfast@{host}:{}/holdfast?hostaddr=127.0.0.1", self.postgres.port())
    }

    fn options(&self, identity: &Path) -> PostgresOptions {
        PostgresOptions { tls_identity: Some(identity.to_owned()), ..options(self.url(DATABASE)) }
    }

    /// Why no store opens.
    async fn refused(&self, options: PostgresOptions) -> String {
        let findings = check(&options).await;
        let bad = findings.iter().find_map(|f| match &f.outcome {
            Outcome::Bad(why) => Some(why.clone()),
            _ => None,
        });
        let why = PostgresStore::open(options).await.err().unwrap().to_string();
        format!("{why}\n{}", bad.unwrap())
    }
}

#[tokio::test]
async fn every_connection_of_a_server_is_encrypted() {
    let at = tokio::task::spawn_blocking(Encrypted::start).await.unwrap();
    let identity = at.pool.issue(Kind::Server, SERVER, Duration::ZERO);
    let store = PostgresStore::open(at.options(&identity)).await.unwrap();
    make_rooms(&store, &[ROOM]).await;
    store.append(vec![draft(ROOM, ANA, say("hello"))]).await.unwrap();
    let of_server = "FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE a.usename = 'holdfast'";
    // One reads and writes, one watches, one listens, one tells.
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while at.postgres.psql(&format!("SELECT count(*) >= 4 {of_server}")).trim() != "t" {
        assert!(std::time::Instant::now() < deadline, "{}", at.postgres.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let how = at.postgres.psql(&format!("SELECT DISTINCT s.ssl, s.version, s.client_dn {of_server}"));
    assert_eq!(how.trim(), format!("t|TLSv1.3|/OU=server/CN={SERVER}"));
    store.close().await.unwrap();

    let findings = check(&at.options(&identity)).await;
    let said = findings.iter().find(|f| f.what == "encryption").map(|f| &f.outcome);
    assert!(matches!(said, Some(Outcome::Good(said)) if said.contains(&format!("server {SERVER}"))), "{said:?}");

    // By the socket there is no TLS, and none is asked for.
    let mut by_socket = at.options(&identity);
    by_socket.url = format!("postgres://postgres@%2Fnowhere/holdfast?port={}", at.postgres.port());
    assert!(!check(&by_socket).await.iter().any(|f| format!("{f:?}").contains("TLS")));
}

#[tokio::test]
async fn whoever_is_not_known_is_refused_with_the_reason() {
    let at = tokio::task::spawn_blocking(Encrypted::start).await.unwrap();
    let identity = at.pool.issue(Kind::Server, SERVER, Duration::ZERO);

    let stranger = Pool::new();
    let why = at.refused(at.options(&stranger.issue(Kind::Server, SERVER, Duration::ZERO))).await;
    assert!(why.matches("its certificate is not of the pool's authority").count() == 2, "{why}");
    assert!(why.contains("`holdfast pki show`"), "{why}");

    // One that believes the database, but whose own certificate is of elsewhere.
    let disguised = stranger.issue(Kind::Server, SERVER, DAY);
    fs::copy(identity.join("ca.pem"), disguised.join("ca.pem")).unwrap();
    let why = at.refused(at.options(&disguised)).await;
    assert!(why.contains("cert.pem, which is not of its pool's authority"), "{why}");

    let over = at.pool.issue(Kind::Server, SERVER, 31 * DAY);
    let why = at.refused(at.options(&over)).await;
    assert!(why.contains("cert.pem, which is over or not valid yet"), "{why}");

    let other = at.pool.issue(Kind::Server, "atl-cs-002.litwareinc.com", Duration::ZERO);
    let why = at.refused(at.options(&other)).await;
    assert!(why.contains("certificate authentication failed for user \"holdfast\""), "{why}");

    let wrong_name = PostgresOptions { url: at.url("atl-db-2.litwareinc.com"), ..at.options(&identity) };
    let why = at.refused(wrong_name).await;
    assert!(why.contains(&format!("its certificate is not for atl-db-2.litwareinc.com but for {DATABASE}")), "{why}");

    let why = at.refused(options(at.url(DATABASE))).await;
    assert!(why.contains("no pg_hba.conf entry"), "{why}");
}

/// PostgreSQL's own library with the files as they are, as an administrator's `psql` and a standby have it.
#[test]
fn psql_takes_the_same_files() {
    let at = Encrypted::start();
    let identity = at.pool.issue(Kind::Server, SERVER, Duration::ZERO);
    let stranger = Pool::new().dir;
    let psql = |host: &str, ca: &Path| {
        let place = format!(
            "host={host} hostaddr=127.0.0.1 port={} user=holdfast dbname=holdfast sslmode=verify-full sslrootcert={} sslcert={} sslkey={}",
            at.postgres.port(),
            ca.display(),
            identity.join("cert.pem").display(),
            identity.join("key.pem").display()
        );
        let done = Command::new("psql").args(["-X", "-A", "-t", "-c", "SELECT current_user", "-d", &place]).output();
        let done = done.unwrap();
        (done.status.success(), String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).trim().to_owned())
    };
    let ca = identity.join("ca.pem");
    assert_eq!(psql(DATABASE, &ca), (true, "holdfast".into()));
    assert!(!psql("atl-db-2.litwareinc.com", &ca).0);
    let other = Authority::init(&stranger.path().join("other"), "chat.litwareinc.com", ago(Duration::ZERO));
    assert!(other.is_ok());
    let (taken, said) = psql(DATABASE, &stranger.path().join("other/ca.pem"));
    assert!(!taken && said.contains("certificate verify failed"), "{said}");
}
