//! `restore database mgc with recovery`: step 4, behind which there is no way back.

use super::{About, Begins, Verb, Words};
use crate::administration::{Administration, Refusal};
use crate::fault::Fault;
use crate::grammar::tree::Word;
use crate::line::Deed;
use crate::names::Database;
use crate::told::Told;
use async_trait::async_trait;

/// The line.
pub(super) struct RestoreDatabase;

static ABOUT: About = About {
    name: "restore database",
    begins: Begins::Words(&["restore", "database"]),
    form: "restore database mgc with recovery",
    synopsis: "Step 4: ends what is still connected, claims the epoch and opens the database for writing.",
    here: "Refused until the log is replayed, and when more would be lost than was shown, or than \
           `, accept_loss = 40` behind the line says.",
    changes: true,
    asks: true,
    example: "restore database mgc with recovery",
};

impl Verb for RestoreDatabase {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn read(&self, words: &mut Words<'_>) -> Result<Box<dyn Deed>, Fault> {
        let database = words.database()?;
        words.keyword("with")?;
        if matches!(words.peek(), Some(Word::Plain(word)) if word.eq_ignore_ascii_case("norecovery")) {
            return Err(
                words.other("recovery: the log alone is replayed by `restore log mgc from share with norecovery`")
            );
        }
        words.keyword("recovery")?;
        let mut accept_loss = None;
        if words.takes(',') {
            words.keyword("accept_loss")?;
            if !words.takes('=') {
                return Err(words.other("`=`"));
            }
            accept_loss = Some(words.number("how many entries may be lost")?.it);
        }
        Ok(Box::new(Opens { database, accept_loss }))
    }
}

struct Opens {
    database: Database,
    accept_loss: Option<u64>,
}

#[async_trait]
impl Deed for Opens {
    async fn run(&self, pool: &dyn Administration, what_if: bool) -> Result<Told, Refusal> {
        pool.recover(self.database, self.accept_loss, what_if).await
    }
}
