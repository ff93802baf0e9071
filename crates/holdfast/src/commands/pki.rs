//! `holdfast pki`: who belongs to the pool. Works on files alone, where the authority is kept; needs neither settings nor a server.

use crate::exit::{Exit, refused};
use crate::output::{Column, Output, moment, text};
use anyhow::Result;
use clap::{Subcommand, ValueEnum};
use holdfast_pki::identity::{AUTHORITY, CERTIFICATE, FEW_DAYS};
use holdfast_pki::{Authority, Certificate, Kind, Peer, Wanted};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// What can be done with certificates.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Make the authority of a pool, once
    #[command(
        after_help = "Writes ca.pem, which every process of the pool gets, and ca-key.pem, with which anybody can make himself one of them: keep it where no server \
                      runs, with a copy. Overwrites nothing.\n\nExample:\n  holdfast pki init --dir ca --pool chat.litwareinc.com"
    )]
    Init {
        /// The authority's directory; made if it is not there
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// The pool's name, as clients reach it
        #[arg(long, value_name = "FQDN")]
        pool: String,
    },
    /// Make the identity of a process or of a person: a key, and a certificate for it
    #[command(
        after_help = "Writes cert.pem, key.pem and ca.pem to a directory, which goes to the machine of the process and belongs to the user that runs it. The certificate \
                      is for the name, for localhost and 127.0.0.1, and for each --address.\n\nExamples:\n  \
                      holdfast pki issue --dir ca --kind instance atl-db-1.litwareinc.com --to atl-db-1/identity\n  \
                      holdfast pki issue --dir ca --kind server atl-cs-001.litwareinc.com --address 10.0.0.7 --to atl-cs-001/identity"
    )]
    Issue {
        /// For whom: a host's name
        name: String,
        /// The authority's directory
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// What it is to the pool
        #[arg(long, value_enum)]
        kind: KindArg,
        /// Another name or address under which it is reached; may be repeated
        #[arg(long = "address", value_name = "HOST")]
        addresses: Vec<String>,
        /// For how many days it is valid
        #[arg(long, default_value_t = holdfast_pki::authority::DAYS)]
        days: u32,
        /// Where the identity is written
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
    },
    /// Make a new certificate for an identity, with the same name, addresses and key
    #[command(
        after_help = "Running processes take it with their next connection; PostgreSQL when it is told to read its settings anew. Where the identity is on another \
                      machine, renew a copy, which needs no more than its cert.pem and key.pem, and put cert.pem back.\n\nExample:\n  \
                      holdfast pki renew --dir ca atl-db-1/identity"
    )]
    Renew {
        /// The identity's directory
        identity: PathBuf,
        /// The authority's directory
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// For how many days from now it is valid
        #[arg(long, default_value_t = holdfast_pki::authority::DAYS)]
        days: u32,
    },
    /// Show for whom certificates are, and until when
    #[command(
        after_help = "Takes directories of identities or of the authority, and files. Exits with 1 when one of them is over.\n\nExample:\n  holdfast pki show atl-db-1/identity ca"
    )]
    Show {
        /// Directories or files
        #[arg(required = true, value_name = "DIR")]
        places: Vec<PathBuf>,
    },
}

/// [`Kind`] as it is typed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum KindArg {
    /// A PostgreSQL with its agent
    Instance,
    /// A chat server
    Server,
    /// The witness
    Witness,
    /// A person who operates the pool
    Operator,
}

impl From<KindArg> for Kind {
    fn from(kind: KindArg) -> Kind {
        match kind {
            KindArg::Instance => Kind::Instance,
            KindArg::Server => Kind::Server,
            KindArg::Witness => Kind::Witness,
            KindArg::Operator => Kind::Operator,
        }
    }
}

const COLUMNS: &[Column] = &[
    ("NAME", |c| text(c, "name")),
    ("KIND", |c| text(c, "kind")),
    ("VALID UNTIL", |c| moment(&c["until"])),
    ("DAYS LEFT", |c| text(c, "days_left")),
    ("ALSO FOR", |c| text(c, "names")),
    ("FINGERPRINT", |c| text(c, "fingerprint")),
];

/// Does what was asked.
pub(crate) fn run(verb: Verb, out: Output) -> Result<Exit> {
    let now = Timestamp::now();
    let (certificate, place) = match verb {
        Verb::Init { dir, pool } => {
            let authority = Authority::init(&dir, &pool, now).map_err(said)?;
            out.hint(
                "Keep ca-key.pem where no server runs, with a copy: whoever has it can make himself part of the pool.",
            );
            (authority.certificate().clone(), dir)
        }
        Verb::Issue { name, dir, kind, addresses, days, to } => {
            let wanted = Wanted { kind: kind.into(), name, addresses, days };
            (Authority::open(&dir).and_then(|a| a.issue(&wanted, now, &to)).map_err(said)?, to)
        }
        Verb::Renew { identity, dir, days } => {
            (Authority::open(&dir).and_then(|a| a.renew(&identity, days, now)).map_err(said)?, identity)
        }
        Verb::Show { places } => return show(&places, now, out),
    };
    out.record(&shown(&certificate, &place, now), COLUMNS);
    Ok(Exit::Done)
}

fn show(places: &[PathBuf], now: Timestamp, out: Output) -> Result<Exit> {
    let mut all = Vec::new();
    for place in places {
        let certificate = Certificate::read(&file_of(place)).map_err(said)?;
        all.push(shown(&certificate, place, now));
    }
    out.list(&all, "", COLUMNS);
    for certificate in &all {
        let (name, left) = (text(certificate, "name"), certificate["days_left"].as_i64().unwrap_or_default());
        if left < 0 {
            out.hint(&format!(
                "The certificate of {name} is over: it is refused everywhere. `holdfast pki renew` makes a new one."
            ));
        } else if left < FEW_DAYS {
            out.hint(&format!("The certificate of {name} ends in {left} days. `holdfast pki renew` makes a new one."));
        }
    }
    let over = all.iter().any(|c| c["days_left"].as_i64().is_some_and(|left| left < 0));
    Ok(if over { Exit::Refused } else { Exit::Done })
}

/// An identity has both, and its certificate is the one that is meant.
fn file_of(place: &Path) -> PathBuf {
    let [own, authority] = [CERTIFICATE, AUTHORITY].map(|file| place.join(file));
    match place.is_dir() {
        true if !own.exists() && authority.exists() => authority,
        true => own,
        false => place.to_owned(),
    }
}

fn shown(certificate: &Certificate, place: &Path, now: Timestamp) -> Value {
    let (name, kind) = match Peer::of(certificate) {
        Ok(peer) => (peer.name, peer.kind.word().to_owned()),
        Err(_) => (certificate.subjects.join(", "), certificate.units.join(", ")),
    };
    json!({
        "name": name,
        "kind": kind,
        "names": certificate.names,
        "from": certificate.from,
        "until": certificate.until,
        "days_left": certificate.days_left(now),
        "fingerprint": certificate.fingerprint,
        "place": place,
    })
}

#[allow(clippy::needless_pass_by_value, reason = "as `map_err` wants it")]
fn said(error: holdfast_pki::PkiError) -> anyhow::Error {
    refused(error.to_string())
}
