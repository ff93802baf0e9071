//! `use master`: stands at the head of what a query window is given, and says nothing that is not known.

use super::{About, Begins, Verb, Words};
use crate::administration::{Administration, Refusal};
use crate::fault::Fault;
use crate::line::Deed;
use crate::names::Database;
use crate::told::Told;
use async_trait::async_trait;

/// The line.
pub(super) struct Use;

static ABOUT: About = About {
    name: "use",
    begins: Begins::Words(&["use"]),
    form: "use master",
    synopsis: "Does nothing: each line knows the instance and the database that it belongs to.",
    here: "",
    changes: false,
    asks: false,
    example: "use master",
};

impl Verb for Use {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn read(&self, words: &mut Words<'_>) -> Result<Box<dyn Deed>, Fault> {
        let name = words.name("master or mgc")?;
        if !name.it.eq_ignore_ascii_case("master") {
            Database::parse(&name.it).map_err(|what| Fault::new(name.span, what))?;
        }
        Ok(Box::new(Nothing))
    }
}

struct Nothing;

#[async_trait]
impl Deed for Nothing {
    async fn run(&self, _: &dyn Administration, _: bool) -> Result<Told, Refusal> {
        Ok(Told::nothing())
    }
}
