//! `Get-Help`: what can be typed, and how.

use crate::administration::{Administration, Refusal};
use crate::bind::Given;
use crate::cmdlet::{About, Cmdlet, Kind, Parameter};
use crate::nearest::nearest;
use crate::sql;
use crate::told::Told;
use async_trait::async_trait;

/// The cmdlet.
pub(super) struct GetHelp;

static ABOUT: About = About {
    name: "Get-Help",
    synopsis: "Shows what can be typed, or how one of the lines is written.",
    here: "Of our own making.",
    parameters: &[
        Parameter::new("Name", Kind::Text, "A cmdlet, or the first words of an SQL line in quotes.").positional()
    ],
    changes: false,
    example: "Get-Help Set-CsPersistentChatState",
};

#[async_trait]
impl Cmdlet for GetHelp {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    async fn run(&self, given: &Given, _: &dyn Administration, _: bool) -> Result<Told, Refusal> {
        let Some(name) = given.text("Name") else { return Ok(everything()) };
        if let Some(cmdlet) = super::find(name) {
            return Ok(of_cmdlet(cmdlet.about()));
        }
        let found: Vec<&sql::About> = sql::TABLE.iter().map(|v| v.about()).filter(|a| a.is_meant_by(name)).collect();
        if !found.is_empty() {
            return Ok(found.into_iter().fold(Told::nothing(), of_verb));
        }
        let names = super::TABLE.iter().map(|c| c.about().name).chain(sql::TABLE.iter().map(|v| v.about().name));
        let refusal = Refusal::missing(format!("There is no help for `{name}`."));
        Err(match nearest(name, names) {
            Some(near) if near.contains(' ') => refusal.next(format!("Get-Help \"{near}\"")),
            Some(near) => refusal.next(format!("Get-Help {near}")),
            None => refusal.next("Get-Help"),
        })
    }
}

fn everything() -> Told {
    let rows = |names: Vec<(&str, &str)>| names.into_iter().map(|(n, s)| vec![n.to_owned(), s.to_owned()]).collect();
    Told::nothing()
        .and_table(
            &["Name", "Synopsis"],
            rows(super::TABLE.iter().map(|c| (c.about().name, c.about().synopsis)).collect()),
        )
        .and_table(
            &["SQL line", "Synopsis"],
            rows(sql::TABLE.iter().map(|v| (v.about().form, v.about().synopsis)).collect()),
        )
        .and_line(
            "Get-Help NAME shows one of them. `#` begins a comment; a backtick at the end of a line continues it.",
        )
}

fn of_cmdlet(about: &About) -> Told {
    let mut told = Told::line("NAME").and_line(format!("    {}", about.name));
    told = told.and_line("").and_line("SYNOPSIS").and_line(format!("    {}", about.synopsis));
    if !about.here.is_empty() {
        told = told.and_line("").and_line("HERE").and_line(format!("    {}", about.here));
    }
    told = told.and_line("").and_line("SYNTAX");
    for set in about.sets() {
        told = told.and_line(format!("    {}", syntax(about, set)));
    }
    let mut parameters = about.parameters().filter(|p| !matches!(p.kind, Kind::Absent(_))).peekable();
    if parameters.peek().is_some() {
        told = told.and_line("").and_line("PARAMETERS");
        for parameter in parameters {
            told = told
                .and_line(format!("    -{} {}", parameter.name, parameter.kind.shown()).trim_end())
                .and_line(format!("        {}", parameter.about));
        }
    }
    told.and_line("").and_line("EXAMPLE").and_line(format!("    {}", about.example))
}

fn syntax(about: &About, set: &str) -> String {
    let mut line = about.name.to_owned();
    let is_in = |p: &&Parameter| p.sets.is_empty() || p.sets.contains(&set);
    for parameter in about.parameters().filter(is_in).filter(|p| !matches!(p.kind, Kind::Absent(_))) {
        let shown = format!("-{} {}", parameter.name, parameter.kind.shown());
        line.push(' ');
        line.push_str(&if parameter.mandatory {
            shown.trim_end().to_owned()
        } else {
            format!("[{}]", shown.trim_end())
        });
    }
    line
}

fn of_verb(told: Told, about: &sql::About) -> Told {
    let told = if told.parts().is_empty() { told } else { told.and_line("") };
    let told = told.and_line("LINE").and_line(format!("    {}", about.form));
    let told = told.and_line("").and_line("SYNOPSIS").and_line(format!("    {}", about.synopsis));
    let told = if about.here.is_empty() {
        told
    } else {
        told.and_line("").and_line("HERE").and_line(format!("    {}", about.here))
    };
    told.and_line("").and_line("EXAMPLE").and_line(format!("    {}", about.example))
}
