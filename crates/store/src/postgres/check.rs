//! Explains a database that cannot be used, or that will disappoint.

use super::error::{Work, unavailable};
use super::hosts::{Host, Hosts, Seen, Trouble};
use super::migrate::{self, MIGRATIONS, Standing};
use super::options::PostgresOptions;
use super::session::Session;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tokio_postgres::config::Host as Place;

/// The oldest PostgreSQL that will do, as `server_version_num` has it.
const OLDEST: i32 = 150_000;

/// One thing that was looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What was looked at, a noun.
    pub what: &'static str,
    /// What was found.
    pub outcome: Outcome,
}

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// As it should be.
    Good(String),
    /// It works, but not as well or as safely as it should; what to do.
    Odd(String),
    /// It does not work; what to do.
    Bad(String),
}

/// Looks at a database from outside in, and stops where nothing more can be seen. Changes nothing.
pub async fn check(options: &PostgresOptions) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |what, outcome| findings.push(Finding { what, outcome });
    let hosts = match options.hosts() {
        Ok(hosts) => {
            add("address", Outcome::Good(options.location()));
            hosts
        }
        Err(e) => {
            add("address", Outcome::Bad(e.to_string()));
            return findings;
        }
    };
    let started = Instant::now();
    let asked = futures_util::future::join_all(hosts.all().iter().map(|host| host.open(None))).await;
    let took = started.elapsed().as_millis();
    if hosts.all().len() > 1 {
        for (host, answer) in hosts.all().iter().zip(&asked) {
            add("host", of_host(&hosts, host, answer));
        }
    }
    let mut troubles = Vec::new();
    let mut best: Option<(Session, bool)> = None;
    for (host, answer) in hosts.all().iter().zip(asked) {
        match answer {
            Ok((session, Seen::Writable)) if !host.is_stale() => best = Some((session, true)),
            Ok((session, _)) => best = best.or(Some((session, false))),
            Err(trouble) => troubles.push(no_connection(&hosts, host, &trouble)),
        }
    }
    let Some((session, takes_writes)) = best else {
        add("connection", Outcome::Bad(troubles.join("; ")));
        return findings;
    };
    add("connection", Outcome::Good(format!("signed in after {took} ms")));
    add("writing", if takes_writes { Outcome::Good("takes writes".into()) } else { Outcome::Bad(READ_ONLY.into()) });
    add("encryption", encryption(&session));
    if let Err(e) = look(&session, options, &mut add).await {
        add("database", Outcome::Bad(e.while_doing("looking at the database").to_string()));
    }
    findings
}

/// One host of several: not every one is to take writes, or to be there.
fn of_host(hosts: &Hosts, host: &Arc<Host>, answer: &Result<(Session, Seen), Trouble>) -> Outcome {
    let name = &host.name;
    match answer {
        Ok((_, Seen::Writable)) if host.is_stale() => {
            let stale = Trouble::Stale { there: host.epoch(), highest: hosts.epochs().highest() };
            Outcome::Bad(format!("{name} {}", hosts.why(host, &stale)))
        }
        Ok((_, Seen::Writable)) => Outcome::Good(format!("{name} takes writes, at epoch {}", host.epoch())),
        Ok(_) => Outcome::Good(format!("{name} takes no writes: a standby, at epoch {}", host.epoch())),
        Err(trouble) => Outcome::Odd(format!("{name} {}", hosts.why(host, trouble))),
    }
}

fn encryption(session: &Session) -> Outcome {
    let host = session.host();
    let on_this_machine = match host.config.get_hosts() {
        [Place::Unix(_)] => return Outcome::Good("by the socket of this machine".into()),
        [Place::Tcp(name)] => {
            name == "localhost" || name.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
        }
        _ => false,
    };
    match &host.identity {
        Some(identity) => {
            Outcome::Good(format!("TLS 1.3 with certificates on both sides; ours is that of {}", identity.peer()))
        }
        None if on_this_machine => Outcome::Good("none, and none needed on this machine".into()),
        None => {
            Outcome::Odd("none: whoever is on the network between reads everything; set database.tls_identity".into())
        }
    }
}

const READ_ONLY: &str = "none of the hosts takes writes: a standby that was not promoted, or default_transaction_read_only is set; \
    promote it (pg_promote), or name the host that takes writes";

/// Refuses a database that cannot hold what we keep, before anything in it is touched.
pub(super) async fn refuse_unusable(session: &Session) -> Work<()> {
    let facts = Facts::read(session).await?;
    if facts.version < OLDEST {
        return Err(unavailable(too_old(&facts)).into());
    }
    if facts.encoding != "UTF8" {
        return Err(unavailable(wrong_encoding(&facts)).into());
    }
    if !migrate::is_there(session).await? && !facts.may_create {
        return Err(unavailable(may_not_create(&facts)).into());
    }
    Ok(())
}

struct Facts {
    version: i32,
    version_name: String,
    encoding: String,
    database: String,
    user: String,
    may_create: bool,
    superuser: bool,
    settings: [String; 3],
    max_connections: i32,
    now_ms: i64,
}

impl Facts {
    async fn read(session: &Session) -> Work<Facts> {
        const SQL: &str = "SELECT current_setting('server_version_num')::int, current_setting('server_version'),
            current_setting('server_encoding'), current_database()::text, current_user::text,
            has_database_privilege(current_database(), 'CREATE'),
            (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
            current_setting('fsync'), current_setting('full_page_writes'),
            current_setting('synchronous_standby_names'), current_setting('max_connections')::int,
            (extract(epoch FROM clock_timestamp()) * 1000)::bigint";
        let r = session.one(SQL, &[]).await?.ok_or_else(|| unavailable("it does not answer a simple question"))?;
        Ok(Facts {
            version: r.try_get(0)?,
            version_name: r.try_get(1)?,
            encoding: r.try_get(2)?,
            database: r.try_get(3)?,
            user: r.try_get(4)?,
            may_create: r.try_get(5)?,
            superuser: r.try_get(6)?,
            settings: [r.try_get(7)?, r.try_get(8)?, r.try_get(9)?],
            max_connections: r.try_get(10)?,
            now_ms: r.try_get(11)?,
        })
    }
}

async fn look(session: &Session, options: &PostgresOptions, add: &mut impl FnMut(&'static str, Outcome)) -> Work<()> {
    let facts = Facts::read(session).await?;
    let good = |text: &str| Outcome::Good(text.to_owned());
    add("version", if facts.version < OLDEST { Outcome::Bad(too_old(&facts)) } else { good(&facts.version_name) });
    add("encoding", if facts.encoding == "UTF8" { good("UTF8") } else { Outcome::Bad(wrong_encoding(&facts)) });
    match migrate::standing(session, MIGRATIONS).await {
        Ok(Standing::Current) => add("schema", good("is there and up to date")),
        Ok(Standing::Behind(names)) => {
            add(
                "schema",
                Outcome::Good(format!("will be brought up to date by the next start ({})", names.join(", "))),
            );
        }
        Ok(Standing::None) if facts.may_create => {
            add("schema", good("is not there yet; the first start makes it"));
        }
        Ok(Standing::None) => add("schema", Outcome::Bad(may_not_create(&facts))),
        Err(e) => add("schema", Outcome::Bad(e.while_doing("looking at the schema").to_string())),
    }
    let role = format!("{} in database {}", facts.user, facts.database);
    add(
        "role",
        if facts.superuser {
            Outcome::Odd(format!("{role} is a superuser; a role that owns the database is enough, and safer"))
        } else {
            Outcome::Good(role)
        },
    );
    durability(&facts, add);
    connections(session, &facts, options, add).await?;
    language(session, options, add).await?;
    clock(&facts, add);
    round_trip(session, add).await
}

/// That commits wait is asked for by every connection of ours, whatever the server is set to.
fn durability(facts: &Facts, add: &mut impl FnMut(&'static str, Outcome)) {
    let [fsync, full_page_writes, standbys] = &facts.settings;
    let mut wrong = Vec::new();
    if fsync != "on" {
        wrong.push("fsync is off: a crash of the machine can destroy the database");
    }
    if full_page_writes != "on" {
        wrong.push("full_page_writes is off: a crash of the machine can tear pages");
    }
    if wrong.is_empty() {
        let mirror = if standbys.is_empty() { "no synchronous standby" } else { "with a synchronous standby" };
        add("durability", Outcome::Good(format!("commits wait for the disk, {mirror}")));
    } else {
        add("durability", Outcome::Odd(format!("{}; set it to on", wrong.join("; "))));
    }
}

async fn connections(
    session: &Session,
    facts: &Facts,
    options: &PostgresOptions,
    add: &mut impl FnMut(&'static str, Outcome),
) -> Work<()> {
    const SQL: &str = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'";
    /// Beside those for reading and writing: to watch, to listen, to tell.
    const OWN: i64 = 3;
    let row = session.one(SQL, &[]).await?;
    let used: i64 = row.map(|r| r.try_get(0)).transpose()?.unwrap_or(0);
    let needed = i64::try_from(options.connections).unwrap_or(i64::MAX).saturating_add(OWN);
    let most = i64::from(facts.max_connections);
    let text = format!("{used} of {most} are in use; a server takes up to {needed}");
    add(
        "connections",
        if needed > most - used {
            Outcome::Odd(format!("{text}: too few are left; raise max_connections or lower database.connections"))
        } else {
            Outcome::Good(text)
        },
    );
    Ok(())
}

async fn language(
    session: &Session,
    options: &PostgresOptions,
    add: &mut impl FnMut(&'static str, Outcome),
) -> Work<()> {
    const SQL: &str = "SELECT left(dictname, -5)::text FROM pg_ts_dict WHERE dictname LIKE '%\\_stem' ORDER BY 1";
    let mut known = Vec::new();
    for r in session.query(SQL, &[]).await? {
        known.push(r.try_get::<_, String>(0)?);
    }
    let wanted = &options.search_language;
    add(
        "search language",
        if wanted == "simple" || known.contains(wanted) {
            Outcome::Good(wanted.clone())
        } else {
            Outcome::Bad(format!("“{wanted}” is not known; there are simple, {}", known.join(", ")))
        },
    );
    Ok(())
}

fn clock(facts: &Facts, add: &mut impl FnMut(&'static str, Outcome)) {
    const MUCH_MS: i64 = 2_000;
    let here = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(0));
    let apart = facts.now_ms - here;
    add(
        "clock",
        if apart.abs() > MUCH_MS {
            Outcome::Odd(format!("the database's is {apart} ms from this machine's; keep both by NTP"))
        } else {
            Outcome::Good("agrees with this machine's".into())
        },
    );
}

async fn round_trip(session: &Session, add: &mut impl FnMut(&'static str, Outcome)) -> Work<()> {
    const MUCH_US: u128 = 10_000;
    let mut least = u128::MAX;
    for _ in 0..5 {
        let asked = Instant::now();
        session.one("SELECT 1", &[]).await?;
        least = least.min(asked.elapsed().as_micros());
    }
    let text = format!("{}.{:03} ms", least / 1_000, least % 1_000);
    add(
        "round trip",
        if least > MUCH_US {
            Outcome::Odd(format!("{text}: too far for an active server; each message takes two"))
        } else {
            Outcome::Good(text)
        },
    );
    Ok(())
}

fn no_connection(hosts: &Hosts, host: &Host, trouble: &Trouble) -> String {
    let Trouble::Refused(e) = trouble else { return format!("{} {}", host.name, hosts.why(host, trouble)) };
    let said = host.said(e);
    if host.identity.is_some() && e.code().is_none() {
        return format!("{said}; check host and port, and both certificates with `holdfast pki show`");
    }
    let advice = match e.code().map(tokio_postgres::error::SqlState::code) {
        Some("28P01" | "28000") => "check user, password and pg_hba.conf",
        Some("3D000") => "make it with CREATE DATABASE ... OWNER ... ENCODING 'UTF8' TEMPLATE template0",
        Some("53300") => "raise max_connections, or end what uses them",
        Some("57P03") => "it is starting or stopping; try again in a moment",
        Some(_) => "see PostgreSQL's log",
        None => {
            "check host and port, that PostgreSQL runs, listens there (listen_addresses) and no firewall is between"
        }
    };
    format!("{said}; {advice}")
}

fn too_old(facts: &Facts) -> String {
    format!("PostgreSQL {} is too old; 15 or later is needed", facts.version_name)
}

fn wrong_encoding(facts: &Facts) -> String {
    format!(
        "its encoding is {}, in which not all text can be kept; make another database with ENCODING 'UTF8' TEMPLATE template0",
        facts.encoding
    )
}

fn may_not_create(facts: &Facts) -> String {
    format!(
        "{} may not make the schema; run as its owner: GRANT CREATE ON DATABASE \"{}\" TO \"{}\"",
        facts.user, facts.database, facts.user
    )
}
