//! `restore database mgc with recovery`: step 4, behind which there is no way back.

use super::{About, Begins, Verb, Words};
use crate::administration::{Administration, Recovery, Refusal};
use crate::fault::Fault;
use crate::grammar::tree::Word;
use crate::line::Deed;
use crate::names::Database;
use crate::nearest::nearest;
use crate::told::Told;
use async_trait::async_trait;

/// The line.
pub(super) struct RestoreDatabase;

static ABOUT: About = About {
    name: "restore database",
    begins: Begins::Words(&["restore", "database"]),
    form: "restore database mgc with recovery",
    synopsis: "Step 4: ends what is still connected, fences the other site and opens the database for writing.",
    here: "Refused until the log is replayed. Takes two things more: `, accept_loss = 40` refuses when more entries than that \
           would be lost, `, fence = 'attested:power is off'` says how it is known that the other site takes no messages.",
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
        let mut how = Recovery::default();
        while words.takes(',') {
            let option = words.name("accept_loss or fence")?;
            let sign = |words: &mut Words<'_>| if words.takes('=') { Ok(()) } else { Err(words.other("`=`")) };
            match option.it.to_ascii_lowercase().as_str() {
                "accept_loss" if how.accept_loss.is_none() => {
                    sign(words)?;
                    how.accept_loss = Some(words.number("how many entries may be lost")?.it);
                }
                "fence" if how.fence.is_none() => {
                    sign(words)?;
                    how.fence = Some(words.text("the evidence in quotes, such as 'attested:power is off'")?.it);
                }
                "accept_loss" | "fence" => {
                    return Err(Fault::new(option.span, format!("{} stands here twice", option.it)));
                }
                _ => {
                    return Err(Fault::new(option.span, format!("There is no option {}", option.it))
                        .expected("accept_loss or fence")
                        .nearest(nearest(&option.it, ["accept_loss", "fence"])));
                }
            }
        }
        Ok(Box::new(Opens { database, how }))
    }
}

struct Opens {
    database: Database,
    how: Recovery,
}

#[async_trait]
impl Deed for Opens {
    async fn run(&self, pool: &dyn Administration, what_if: bool) -> Result<Told, Refusal> {
        pool.recover(self.database, &self.how, what_if).await
    }
}
