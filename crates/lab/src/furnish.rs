//! Something to see when one comes in: people, rooms, and logs of old times.

use crate::Lab;
use crate::names;
use crate::papers::{PROBE, PROBE_ROOM};
use anyhow::{Context as _, Result, ensure};
use holdfast_load::cast::{add_room, add_user};
use serde_json::json;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// People who can sign in, with the password of the lab.
const PEOPLE: [&str; 2] = ["ana", "boris"];
/// Rooms that are open to everybody, and what is said in them.
const ROOMS: [(&str, &str); 2] =
    [("Night shift", "Good evening. Both sites are up."), ("Pumps", "Pump 4 was serviced at 14:00.")];

impl Lab {
    /// Makes people and rooms.
    pub(crate) async fn furnish(&self) -> Result<()> {
        let mut admin = self.administrator(&names::server(names::FIRST, 1)).await?;
        for person in PEOPLE {
            add_user(&mut admin, person, &self.record.password).await?;
        }
        add_user(&mut admin, PROBE, &self.record.password).await?;
        add_room(&mut admin, PROBE_ROOM).await?;
        self.record.owner.write(&self.place.probe_password(), &format!("{}\n", self.record.password))?;
        for (name, text) in ROOMS {
            let room = add_room(&mut admin, name).await?;
            let body = json!({ "client_id": Uuid::new_v4(), "text": text });
            let (status, answer) = admin.post(&format!("/rooms/{room}/messages"), &body).await?;
            ensure!(status == 201, "{status} {answer}");
        }
        Ok(())
    }

    /// Brings in IRC logs, a file a day.
    pub(crate) async fn import(&self, corpus: &Path) -> Result<()> {
        let entries = std::fs::read_dir(corpus).with_context(|| corpus.display().to_string())?;
        let mut files: Vec<PathBuf> =
            entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
        files.sort();
        ensure!(!files.is_empty(), "there are no files in {}", corpus.display());
        let settings = self.place.server_settings(names::FIRST, &names::server(names::FIRST, 1));
        let room: [OsString; 4] = ["import".into(), "irc-log".into(), "--room".into(), "ubuntu".into()];
        let args = room.into_iter().chain(["--config".into(), settings.into_os_string()]);
        self.holdfast(args.chain(files.into_iter().map(PathBuf::into_os_string))).await.map(drop)
    }
}
