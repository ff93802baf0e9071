//! A line made ready: all that can be wrong with it by itself was found, and nothing was done yet.

use crate::administration::{Administration, Refusal};
use crate::bind::{Given, bind};
use crate::cmdlet::Cmdlet;
use crate::cmdlets;
use crate::fault::Fault;
use crate::grammar::tree::{Argument, Command, Statement, What};
use crate::nearest::nearest;
use crate::span::Span;
use crate::sql;
use crate::told::Told;
use async_trait::async_trait;

/// What a line does.
#[async_trait]
pub trait Deed: Send + Sync {
    /// Does it, or only says what it would do.
    async fn run(&self, pool: &dyn Administration, what_if: bool) -> Result<Told, Refusal>;
}

/// A line that can be carried out.
pub(crate) struct Ready {
    /// What it is called.
    pub(crate) name: &'static str,
    /// What it does.
    pub(crate) deed: Box<dyn Deed>,
    /// Where it stands.
    pub(crate) span: Span,
    /// Whether it only says what it would do.
    pub(crate) what_if: bool,
    /// Whether a person who types it is asked.
    pub(crate) asks: bool,
}

/// Makes a statement ready. `what_if`: whatever changes something only says so. `attended`: somebody is there to be asked.
pub(crate) fn ready(statement: &Statement, what_if: bool, attended: bool) -> Result<Ready, Fault> {
    let span = statement.span;
    match &statement.what {
        What::Sql(words) => {
            let (about, deed) = sql::read(words)?;
            Ok(Ready { name: about.name, deed, span, what_if: what_if && about.changes, asks: about.asks })
        }
        What::Command(command) => {
            let cmdlet = cmdlets::find(&command.name.it).ok_or_else(|| no_command(command))?;
            let about = cmdlet.about();
            let given = bind(about, command)?;
            let confirm = given.switch("Confirm");
            if confirm == Some(true) && !attended {
                let typed = command.arguments.iter().find_map(|a| match a {
                    Argument::Parameter { name, .. } if is_confirm(&name.it) => Some(name.span),
                    _ => None,
                });
                let what = "-Confirm asks, and nobody is there to be asked when lines come from a file";
                return Err(Fault::new(typed.unwrap_or(span), what).expected("-Confirm:$false, or no -Confirm"));
            }
            let asks = about.changes && confirm.unwrap_or(!given.is_on("Force"));
            let what_if = about.changes && given.switch("WhatIf").unwrap_or(what_if);
            Ok(Ready { name: about.name, deed: Box::new(Bound { cmdlet, given }), span, what_if, asks })
        }
    }
}

fn is_confirm(typed: &str) -> bool {
    let typed = typed.to_ascii_lowercase();
    typed == "cf" || "confirm".starts_with(&typed)
}

fn no_command(command: &Command) -> Fault {
    let name = &command.name;
    let names = cmdlets::TABLE.iter().map(|c| c.about().name);
    let sql = ["exec", "kill", "restore", "go", "use"];
    Fault::new(name.span, format!("There is no command {}", name.it))
        .expected("one of those that Get-Help shows")
        .nearest(nearest(&name.it, names.chain(sql)))
}

struct Bound {
    cmdlet: &'static dyn Cmdlet,
    given: Given,
}

#[async_trait]
impl Deed for Bound {
    async fn run(&self, pool: &dyn Administration, what_if: bool) -> Result<Told, Refusal> {
        self.cmdlet.run(&self.given, pool, what_if).await
    }
}
