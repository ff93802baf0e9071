//! Looking after the data: verifying the logs, copying them out, backing them up.

use crate::caller::Caller;
use crate::error::{ChatError, Result};
use crate::service::Chat;
use holdfast_domain::chain::{Fault, Stored, Verifier};
use holdfast_domain::{PrincipalId, RoomId, Seq};
use holdfast_store::StoreError;
use holdfast_store::accounts::ScramKeys;
use holdfast_store::direct::StoredDirect;
use holdfast_store::files::StoredFile;
use holdfast_store::items::Item;
use holdfast_store::log::Head;
use std::path::Path;

/// Entries read at a time.
const PAGE: usize = 2_000;

/// What a verification tells on its way.
#[derive(Clone, Debug)]
pub enum VerifyStep {
    /// Some entries of a log hold; told every few thousand.
    Progress {
        /// Whose log.
        room: RoomId,
        /// Its name.
        name: String,
        /// Entries seen so far.
        entries: i64,
        /// Entries it should have.
        of: i64,
    },
    /// A log was walked to its end.
    Room {
        /// Whose log.
        room: RoomId,
        /// Its name.
        name: String,
        /// Entries it has.
        entries: i64,
    },
    /// Something does not hold.
    Fault {
        /// In whose log.
        room: RoomId,
        /// Its name.
        name: String,
        /// Where and what.
        fault: Fault,
    },
}

/// What a verification found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerifySummary {
    /// Logs walked, the pool's included.
    pub rooms: usize,
    /// Entries seen.
    pub entries: i64,
    /// Things that do not hold.
    pub faults: usize,
}

/// What no log holds of a user, for an export.
#[derive(Clone)]
pub struct AccountExport {
    /// Whose.
    pub user: PrincipalId,
    /// Password keys.
    pub scram: Option<ScramKeys>,
    /// Preferences, JSON.
    pub preferences: Option<String>,
    /// Rooms followed.
    pub followed: Vec<RoomId>,
    /// Reading positions in them.
    pub read: Vec<(RoomId, Seq)>,
    /// Topic feeds.
    pub feeds: Vec<holdfast_domain::feed::Feed>,
    /// What his clients keep with the server: nodes, and their items in their order.
    pub items: Vec<(String, Vec<Item>)>,
}

impl Chat {
    /// Walks one log or all and checks numbers, times, hashes and ends.
    ///
    /// # Errors
    /// When the caller is no administrator, there is no such room, or the store cannot be read at all.
    pub async fn verify(
        &self,
        caller: &Caller,
        room: Option<RoomId>,
        mut report: impl FnMut(VerifyStep) + Send,
    ) -> Result<VerifySummary> {
        self.allow_admin(caller)?;
        let mut logs = self.store().heads().await?;
        if let Some(room) = room {
            logs.retain(|(id, _)| *id == room);
            if logs.is_empty() {
                return Err(ChatError::Unknown("this room"));
            }
        }
        let mut summary = VerifySummary::default();
        for (id, head) in logs {
            self.verify_log(id, head, &mut report, &mut summary).await?;
        }
        Ok(summary)
    }

    async fn verify_log(
        &self,
        room: RoomId,
        head: Head,
        report: &mut (impl FnMut(VerifyStep) + Send),
        summary: &mut VerifySummary,
    ) -> Result<()> {
        let name = self.log_name(room);
        let mut verifier = Verifier::new(room);
        let mut entries = 0;
        let mut told = 0;
        'log: loop {
            let page = match self.store().stored(room, verifier.last(), PAGE).await {
                Ok(page) => page,
                // Pages of the database that cannot be read are just what a verification is to find.
                Err(StoreError::Corrupt { what }) => {
                    summary.faults += 1;
                    let fault = Fault { seq: verifier.last().next(), what: format!("cannot be read: {what}") };
                    report(VerifyStep::Fault { room, name: name.clone(), fault });
                    summary.rooms += 1;
                    summary.entries += entries;
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            };
            if page.is_empty() {
                break;
            }
            for entry in &page {
                // What was committed after we began is not ours to judge against the end that we took.
                if entry.header.seq > head.seq && verifier.last() == head.seq {
                    break 'log;
                }
                entries += 1;
                for fault in verifier.check(entry) {
                    summary.faults += 1;
                    report(VerifyStep::Fault { room, name: name.clone(), fault });
                }
            }
            if entries - told >= 20_000 {
                told = entries;
                report(VerifyStep::Progress { room, name: name.clone(), entries, of: head.seq.0 });
            }
        }
        for fault in verifier.finish(head.seq, head.hash) {
            summary.faults += 1;
            report(VerifyStep::Fault { room, name: name.clone(), fault });
        }
        summary.rooms += 1;
        summary.entries += entries;
        report(VerifyStep::Room { room, name, entries });
        Ok(())
    }

    /// What a log is called.
    fn log_name(&self, room: RoomId) -> String {
        if room == RoomId::POOL {
            return "(pool)".into();
        }
        self.directory().room(room).map_or_else(|| format!("(room {room})"), |s| s.room.name.to_string())
    }

    /// The ends of all logs with their names, the pool's first: where an export begins.
    ///
    /// # Errors
    /// When the caller is no administrator.
    pub async fn logs(&self, caller: &Caller) -> Result<Vec<(RoomId, String, Head)>> {
        self.allow_admin(caller)?;
        let mut heads = self.store().heads().await?;
        heads.sort_by_key(|(room, _)| *room);
        Ok(heads.into_iter().map(|(room, head)| (room, self.log_name(room), head)).collect())
    }

    /// Entries of a log exactly as they are stored.
    ///
    /// # Errors
    /// When the caller is no administrator.
    pub async fn stored(&self, caller: &Caller, room: RoomId, after: Seq, limit: usize) -> Result<Vec<Stored>> {
        self.allow_admin(caller)?;
        Ok(self.store().stored(room, after, limit.min(PAGE)).await?)
    }

    /// What no log holds of a user. Operator only, since it contains password keys.
    ///
    /// # Errors
    /// When the caller is not the operator.
    pub async fn account_export(&self, caller: &Caller, user: PrincipalId) -> Result<AccountExport> {
        self.allow_operator(caller)?;
        let store = self.store();
        let followed = store.followed(user).await?;
        let read = self.readings(user, followed.clone()).await?.into_iter().map(|r| (r.room, r.read)).collect();
        let nodes = store.item_nodes(user).await?;
        let items = store.items_in(user, &nodes.iter().map(String::as_str).collect::<Vec<_>>()).await?;
        Ok(AccountExport {
            user,
            scram: store.credentials(user).await?.scram,
            preferences: store.preferences(user).await?,
            followed,
            read,
            feeds: store.feeds(user).await?,
            items: nodes.into_iter().zip(items).collect(),
        })
    }

    /// One-to-one messages of everybody behind a number, ascending, with their files. Operator only: nobody else reads what is said between two.
    ///
    /// # Errors
    /// When the caller is not the operator, or the store cannot be read.
    pub async fn export_direct(&self, caller: &Caller, after: i64, limit: usize) -> Result<Vec<StoredDirect>> {
        self.allow_operator(caller)?;
        Ok(self.store().direct_stored(after, limit).await?)
    }

    /// The key by which addresses of files are made. Operator only.
    ///
    /// # Errors
    /// When the caller is not the operator, or the store cannot be read.
    pub async fn export_address_key(&self, caller: &Caller) -> Result<[u8; 32]> {
        self.allow_operator(caller)?;
        Ok(self.store().address_key().await?)
    }

    /// The files of a room's messages in sight, newest first: what an export takes along.
    ///
    /// # Errors
    /// When the caller is no administrator.
    pub async fn export_files(
        &self,
        caller: &Caller,
        room: RoomId,
        before: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<StoredFile>> {
        self.allow_admin(caller)?;
        Ok(self.store().files_in(room, before, limit).await?)
    }

    /// Copies everything to a new file on the server's machine, consistent as of one moment, while the server works. Operator only,
    /// since it names a path.
    ///
    /// # Errors
    /// When the caller is not the operator, the path is not absolute or taken, or the copy cannot be written.
    pub async fn backup(
        &self,
        caller: &Caller,
        to: &Path,
        progress: Box<dyn Fn(u64, u64) + Send + Sync>,
    ) -> Result<u64> {
        self.allow_operator(caller)?;
        if !to.is_absolute() {
            return Err(ChatError::invalid("to", "must be an absolute path"));
        }
        let bytes = self.store().backup(to, progress).await?;
        self.record(caller, "backup", format!("A backup of {bytes} bytes was written to {}", to.display())).await?;
        Ok(bytes)
    }

    fn allow_operator(&self, caller: &Caller) -> Result<()> {
        if caller.is_operator() {
            Ok(())
        } else {
            Err(ChatError::Forbidden("only the operator of the machine may, by the command line there".into()))
        }
    }
}
