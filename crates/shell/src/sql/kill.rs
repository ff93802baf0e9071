//! `kill 53`: ends a connection.

use super::{About, Begins, Verb, Words};
use crate::administration::{Administration, Refusal};
use crate::fault::Fault;
use crate::line::Deed;
use crate::told::Told;
use async_trait::async_trait;

/// The line.
pub(super) struct Kill;

static ABOUT: About = About {
    name: "kill",
    begins: Begins::Words(&["kill"]),
    form: "kill <SPID>",
    synopsis: "Step 4: ends a connection, by the number that `exec sp_who2` shows.",
    here: "One that is gone already is no error. Step 4 itself ends all that are left.",
    changes: true,
    asks: false,
    example: "kill 53",
};

impl Verb for Kill {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn read(&self, words: &mut Words<'_>) -> Result<Box<dyn Deed>, Fault> {
        Ok(Box::new(Ends(words.number("the number of a connection, as exec sp_who2 shows it")?.it)))
    }
}

struct Ends(u32);

#[async_trait]
impl Deed for Ends {
    async fn run(&self, pool: &dyn Administration, what_if: bool) -> Result<Told, Refusal> {
        pool.kill_session(self.0, what_if).await
    }
}
