//! `restore log mgc from share with norecovery`: steps 2 and 3, which Lync leaves to hands: copy what of the log is only on the share, and
//! replay it.

use super::{About, Begins, Verb, Words};
use crate::administration::{Administration, Refusal};
use crate::fault::Fault;
use crate::grammar::tree::Word;
use crate::line::Deed;
use crate::names::Database;
use crate::told::Told;
use async_trait::async_trait;

/// The line.
pub(super) struct RestoreLog;

static ABOUT: About = About {
    name: "restore log",
    begins: Begins::Words(&["restore", "log"]),
    form: "restore log mgc from share with norecovery",
    synopsis: "Steps 2 and 3: copies and verifies the log that is only on the share, and replays all of it.",
    here: "One line of ours for what is done by hand in Lync. It ends with what will be lost, in bytes, entries and seconds.",
    changes: true,
    asks: false,
    example: "restore log mgc from share with norecovery",
};

impl Verb for RestoreLog {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn read(&self, words: &mut Words<'_>) -> Result<Box<dyn Deed>, Fault> {
        let database = words.database()?;
        words.keyword("from")?;
        // SQL Server's own spelling, which names each file.
        if matches!(words.peek(), Some(Word::Plain(word)) if word.eq_ignore_ascii_case("disk")) {
            return Err(words.other("share, which is all of the log that is there: files are not named one by one"));
        }
        words.keyword("share")?;
        words.keyword("with")?;
        if matches!(words.peek(), Some(Word::Plain(word)) if word.eq_ignore_ascii_case("recovery")) {
            let later =
                "norecovery: the database is opened by `restore database mgc with recovery`, when the loss was seen";
            return Err(words.other(later));
        }
        words.keyword("norecovery")?;
        Ok(Box::new(Applies(database)))
    }
}

struct Applies(Database);

#[async_trait]
impl Deed for Applies {
    async fn run(&self, pool: &dyn Administration, what_if: bool) -> Result<Told, Refusal> {
        pool.apply_log(self.0, what_if).await
    }
}
