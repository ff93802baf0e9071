//! What a cmdlet is: its name, its parameters, an example, and what it does. Each stands in a file of its own in `cmdlets/`.

use crate::administration::{Administration, Refusal};
use crate::bind::Given;
use crate::told::Told;
use async_trait::async_trait;

/// A command in PowerShell's spelling.
#[async_trait]
pub trait Cmdlet: Send + Sync {
    /// What it is called and what it takes.
    fn about(&self) -> &'static About;

    /// Does it. `what_if` only where [`About::changes`].
    async fn run(&self, given: &Given, pool: &dyn Administration, what_if: bool) -> Result<Told, Refusal>;
}

/// What a cmdlet is called and what it takes.
#[derive(Debug)]
pub struct About {
    /// Its name.
    pub name: &'static str,
    /// What it is for: one sentence.
    pub synopsis: &'static str,
    /// What is other than in Lync; may be empty.
    pub here: &'static str,
    /// Its own parameters; those that change something have `-WhatIf` and `-Confirm` too.
    pub parameters: &'static [Parameter],
    /// Whether it changes something.
    pub changes: bool,
    /// A whole line.
    pub example: &'static str,
}

impl About {
    /// All parameters: its own, and those that it has with others.
    pub fn parameters(&self) -> impl Iterator<Item = &'static Parameter> {
        self.parameters.iter().chain(if self.changes { COMMON } else { &[] })
    }

    /// Its own sets of parameters that go together; at least one.
    pub(crate) fn sets(&self) -> Vec<&'static str> {
        let mut sets: Vec<&str> = Vec::new();
        for set in self.parameters.iter().flat_map(|p| p.sets) {
            if !sets.contains(set) {
                sets.push(set);
            }
        }
        if sets.is_empty() {
            sets.push("");
        }
        sets
    }
}

/// A parameter.
#[derive(Debug)]
pub struct Parameter {
    /// Its name, without the dash.
    pub name: &'static str,
    /// Another name, short.
    pub alias: Option<&'static str>,
    /// What it takes.
    pub kind: Kind,
    /// What it is for: one sentence.
    pub about: &'static str,
    /// Whether it must be there (in its sets).
    pub mandatory: bool,
    /// The sets that it belongs to; none: to all.
    pub sets: &'static [&'static str],
    /// Whether its value may stand without its name.
    pub positional: bool,
}

impl Parameter {
    /// A parameter that may be left out.
    pub const fn new(name: &'static str, kind: Kind, about: &'static str) -> Parameter {
        Parameter { name, alias: None, kind, about, mandatory: false, sets: &[], positional: false }
    }

    /// It must be there.
    #[must_use]
    pub const fn mandatory(mut self) -> Parameter {
        self.mandatory = true;
        self
    }

    /// It belongs only to these sets.
    #[must_use]
    pub const fn of(mut self, sets: &'static [&'static str]) -> Parameter {
        self.sets = sets;
        self
    }

    /// Its value may stand without its name.
    #[must_use]
    pub const fn positional(mut self) -> Parameter {
        self.positional = true;
        self
    }

    /// With another name.
    #[must_use]
    pub const fn alias(mut self, alias: &'static str) -> Parameter {
        self.alias = Some(alias);
        self
    }
}

/// What a parameter takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Any text.
    Text,
    /// The name of a host or a pool.
    Fqdn,
    /// `service:FQDN` or `PersistentChatServer:FQDN`.
    Identity,
    /// `\\server\share`, a folder, or a URL.
    Share,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A type of database, of which Lync has a dozen and this has one.
    DatabaseType,
    /// Nothing: it is there or not.
    Switch,
    /// Names of servers, `@{Add=...; Remove=...}`, or `$null`.
    Servers,
    /// Lync has it; here it has no meaning, for this reason.
    Absent(&'static str),
}

impl Kind {
    /// As the syntax shows it.
    pub fn shown(self) -> String {
        match self {
            Kind::Text => "<String>".into(),
            Kind::Fqdn => "<Fqdn>".into(),
            Kind::Identity => "service:<Fqdn>".into(),
            Kind::Share => r"<\\server\share>".into(),
            Kind::OneOf(words) => format!("<{}>", words.join(" | ")),
            Kind::DatabaseType => "<PersistentChat>".into(),
            Kind::Servers => "<Fqdn, ... | @{Add=...} | @{Remove=...} | $null>".into(),
            Kind::Switch | Kind::Absent(_) => String::new(),
        }
    }
}

/// What every cmdlet takes that changes something.
const COMMON: &[Parameter] = &[
    Parameter::new("WhatIf", Kind::Switch, "Says what would be done, and changes nothing.").alias("wi"),
    Parameter::new("Confirm", Kind::Switch, "Asks before it does it; -Confirm:$false does not ask.").alias("cf"),
];
