//! `exec sp_delete_log_shipping_secondary_database mgc`: step 1.

use super::words::database;
use super::{About, Begins, Verb, Words};
use crate::administration::{Administration, Refusal};
use crate::fault::Fault;
use crate::line::Deed;
use crate::names::Database;
use crate::told::Told;
use async_trait::async_trait;

/// The line.
pub(super) struct EndLogShipping;

static ABOUT: About = About {
    name: "exec sp_delete_log_shipping_secondary_database",
    begins: Begins::Procedure(&["sp_delete_log_shipping_secondary_database"]),
    form: "exec sp_delete_log_shipping_secondary_database mgc",
    synopsis: "Step 1: the backup instance stops receiving log and stops waiting for more.",
    here: "Begins the failover, so that it must be known that the other site takes no messages: \
           `holdfast shell --fence` says how, or `, @fence = 'attested:power is off'` behind the line. \
           Can be undone until step 4: `holdfast failover abort`.",
    changes: true,
    asks: false,
    example: "exec sp_delete_log_shipping_secondary_database mgc",
};

impl Verb for EndLogShipping {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn read(&self, words: &mut Words<'_>) -> Result<Box<dyn Deed>, Fault> {
        let name = words.argument("secondary_database", "the name of the database, mgc")?;
        let database = database(&name)?;
        let evidence = "the evidence in quotes, such as 'attested:power is off'";
        let fence = if words.takes(',') { Some(words.argument("fence", evidence)?.it) } else { None };
        Ok(Box::new(Ends { database, fence }))
    }
}

struct Ends {
    database: Database,
    fence: Option<String>,
}

#[async_trait]
impl Deed for Ends {
    async fn run(&self, pool: &dyn Administration, what_if: bool) -> Result<Told, Refusal> {
        pool.end_log_shipping(self.database, self.fence.as_deref(), what_if).await
    }
}
