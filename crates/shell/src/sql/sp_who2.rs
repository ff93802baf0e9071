//! `exec sp_who2`: who is connected.

use super::{About, Begins, Verb, Words};
use crate::administration::{Administration, Connection, Refusal};
use crate::fault::Fault;
use crate::line::Deed;
use crate::told::Told;
use async_trait::async_trait;
use serde_json::json;

/// The line.
pub(super) struct Who;

static ABOUT: About = About {
    name: "exec sp_who2",
    begins: Begins::Procedure(&["sp_who2", "sp_who"]),
    form: "exec sp_who2",
    synopsis: "Step 4: shows the connections to the instance.",
    here: "The number is the process's. `exec sp_who2 active` shows those that do something, `exec sp_who2 NAME` those of a login.",
    changes: false,
    asks: false,
    example: "exec sp_who2",
};

impl Verb for Who {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn read(&self, words: &mut Words<'_>) -> Result<Box<dyn Deed>, Fault> {
        let of = if words.is_at_end() { None } else { Some(words.argument("loginame", "a login, or active")?.it) };
        Ok(Box::new(Lists { of }))
    }
}

struct Lists {
    of: Option<String>,
}

#[async_trait]
impl Deed for Lists {
    async fn run(&self, pool: &dyn Administration, _: bool) -> Result<Told, Refusal> {
        let mut all = pool.sessions().await?;
        match self.of.as_deref() {
            Some(word) if word.eq_ignore_ascii_case("active") => all.retain(|c| c.status != "idle"),
            Some(login) => all.retain(|c| c.login.eq_ignore_ascii_case(login)),
            None => {}
        }
        let json: Vec<_> = all
            .iter()
            .map(|c| {
                json!({ "id": c.id, "status": c.status, "login": c.login, "host": c.host, "blocked_by": c.blocked_by,
                    "database": c.database, "command": c.command, "program": c.program })
            })
            .collect();
        let headings = ["SPID", "Status", "Login", "HostName", "BlkBy", "DBName", "Command", "ProgramName"];
        let told = match all.len() {
            0 => Told::line("Nobody is connected."),
            1 => Told::nothing().and_table(&headings, rows(&all)).and_line("(1 row affected)"),
            n => Told::nothing().and_table(&headings, rows(&all)).and_line(format!("({n} rows affected)")),
        };
        Ok(told.with_json(json!({ "items": json })))
    }
}

fn rows(all: &[Connection]) -> Vec<Vec<String>> {
    let row = |c: &Connection| {
        let blocked = c.blocked_by.map_or_else(|| ".".to_owned(), |id| id.to_string());
        let or_dot = |text: &str| if text.is_empty() { ".".to_owned() } else { text.to_owned() };
        vec![
            c.id.to_string(),
            c.status.clone(),
            or_dot(&c.login),
            or_dot(&c.host),
            blocked,
            or_dot(&c.database),
            or_dot(&c.command),
            c.program.clone(),
        ]
    };
    all.iter().map(row).collect()
}
