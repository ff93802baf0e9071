//! Taking an archive into an empty store: files first, since messages name them; then the logs; then what follows from them.

use super::direct::DirectLine;
use super::entry::{EntryLine, Files};
use super::manifest::Manifest;
use super::read::Reader;
use crate::exit::refused;
use crate::progress::Progress;
use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use holdfast_domain::chain::{Digest, Header, Stored};
use holdfast_domain::entry::FileRef;
use holdfast_domain::feed::Feed;
use holdfast_domain::{PrincipalId, RoomId, Seq, Time};
use holdfast_store::Store;
use holdfast_store::accounts::ScramKeys;
use holdfast_store::direct::StoredDirect;
use holdfast_store::files::{CHUNK, NewFile};
use holdfast_store::items::Item;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;
use tokio::runtime::Handle;

/// Entries of one transaction.
const BATCH: usize = 5_000;

/// What no log holds of a user.
#[derive(Debug, Deserialize)]
struct Account {
    id: PrincipalId,
    scram: Option<Scram>,
    #[serde(default)]
    preferences: Option<Value>,
    #[serde(default)]
    followed: Vec<RoomId>,
    #[serde(default)]
    read: Vec<(RoomId, Seq)>,
    #[serde(default)]
    feeds: Vec<Feed>,
    #[serde(default)]
    items: Vec<KeptItem>,
}

/// What a client of his keeps with the server.
#[derive(Debug, Deserialize)]
struct KeptItem {
    node: String,
    id: String,
    at: Time,
    payload: String,
}

#[derive(Debug, Deserialize)]
struct Keys {
    addresses: Digest,
}

#[derive(Debug, Deserialize)]
struct Scram {
    salt: String,
    iterations: u32,
    stored_key: Digest,
    server_key: Digest,
}

/// Takes in an archive that was found to hold. Blocks; call it where that is allowed.
pub(crate) fn load(reader: &mut Reader, manifest: &Manifest, store: &Arc<dyn Store>, quiet: bool) -> Result<()> {
    let loader = Loader { store, runtime: Handle::current() };
    loader.files(reader, manifest, quiet)?;
    loader.logs(reader, manifest, quiet)?;
    loader.runtime.block_on(store.rebuild()).context("working out the state from the logs")?;
    loader.accounts(reader)?;
    loader.direct(reader, manifest, quiet)?;
    loader.keys(reader)
}

struct Loader<'a> {
    store: &'a Arc<dyn Store>,
    runtime: Handle,
}

impl Loader<'_> {
    fn files(&self, reader: &mut Reader, manifest: &Manifest, quiet: bool) -> Result<()> {
        let mut progress = Progress::new("files", manifest.files, quiet);
        let mut named_before = Files::default();
        for log in &manifest.logs {
            let mut named: Vec<(Stored, Vec<FileRef>)> = Vec::new();
            reader.lines(&format!("logs/{}.jsonl", log.room), |_, line: EntryLine| {
                let stored = line.stored().map_err(refused)?;
                let files = named_before.named_by(&stored);
                if !files.is_empty() {
                    named.push((stored, files));
                }
                Ok(())
            })?;
            for (stored, files) in named {
                let Header { room, author: by, at, .. } = stored.header;
                for file in files {
                    self.file(reader, (room, by, at), file)?;
                    progress.add(1);
                }
            }
        }
        let mut named = Vec::new();
        reader.lines("direct.jsonl", |_, line: DirectLine| {
            named.extend(line.files.into_iter().map(|file| ((RoomId::POOL, line.from, line.at), file)));
            Ok(())
        })?;
        for (whose, file) in named {
            self.file(reader, whose, file)?;
            progress.add(1);
        }
        progress.finish();
        Ok(())
    }

    fn file(&self, reader: &mut Reader, (room, by, at): (RoomId, PrincipalId, Time), file: FileRef) -> Result<()> {
        let (store, id) = (self.store, file.id);
        let new = NewFile { id, room, by, at, bytes: file.bytes };
        let mut begun = false;
        let mut index = 0;
        let there = reader.bytes(&format!("files/{id}"), CHUNK, |piece| {
            self.runtime.block_on(async {
                if !begun {
                    begun = true;
                    store.begin_file(new.clone(), u64::MAX).await?;
                }
                store.put_chunk(id, index, Bytes::copy_from_slice(piece)).await
            })?;
            index += 1;
            Ok(())
        })?;
        if !there {
            return Ok(());
        }
        let mut thumbnail = Vec::new();
        if file.thumbnail {
            reader.bytes(&format!("thumbnails/{id}"), CHUNK, |piece| {
                thumbnail.extend_from_slice(piece);
                Ok(())
            })?;
        }
        let thumbnail = (!thumbnail.is_empty()).then(|| Bytes::from(thumbnail));
        self.runtime
            .block_on(async {
                if !begun {
                    store.begin_file(new.clone(), u64::MAX).await?;
                }
                store.finish_file(file, thumbnail).await
            })
            .with_context(|| format!("taking in file {id}"))
    }

    fn logs(&self, reader: &mut Reader, manifest: &Manifest, quiet: bool) -> Result<()> {
        let total = manifest.logs.iter().map(|l| u64::try_from(l.seq.0).unwrap_or(0)).sum();
        let mut progress = Progress::new("entries", total, quiet);
        for log in &manifest.logs {
            let mut batch: Vec<Stored> = Vec::with_capacity(BATCH);
            let doing = || format!("taking in the log of room {}", log.room);
            reader.lines(&format!("logs/{}.jsonl", log.room), |_, line: EntryLine| {
                batch.push(line.stored().map_err(refused)?);
                if batch.len() == BATCH {
                    progress.add(batch.len() as u64);
                    self.runtime.block_on(self.store.load(std::mem::take(&mut batch))).with_context(doing)?;
                }
                Ok(())
            })?;
            progress.add(batch.len() as u64);
            self.runtime.block_on(self.store.load(batch)).with_context(doing)?;
        }
        progress.finish();
        Ok(())
    }

    fn direct(&self, reader: &mut Reader, manifest: &Manifest, quiet: bool) -> Result<()> {
        let mut progress = Progress::new("messages", manifest.direct, quiet);
        let mut batch: Vec<StoredDirect> = Vec::with_capacity(BATCH);
        let load = |batch| self.runtime.block_on(self.store.load_direct(batch)).context("taking in messages");
        reader.lines("direct.jsonl", |_, line: DirectLine| {
            batch.push(line.into());
            if batch.len() == BATCH {
                progress.add(batch.len() as u64);
                load(std::mem::take(&mut batch))?;
            }
            Ok(())
        })?;
        progress.add(batch.len() as u64);
        load(batch)?;
        progress.finish();
        Ok(())
    }

    fn keys(&self, reader: &mut Reader) -> Result<()> {
        reader.lines("keys.json", |_, Keys { addresses }| {
            let put = self.store.put_address_key(addresses.0);
            self.runtime.block_on(put).context("taking in the key of files' addresses")
        })
    }

    fn accounts(&self, reader: &mut Reader) -> Result<()> {
        reader.lines("accounts.jsonl", |_, account: Account| {
            let id = account.id;
            self.runtime.block_on(self.account(account)).with_context(|| format!("taking in the account of user {id}"))
        })
    }

    async fn account(&self, account: Account) -> Result<()> {
        let (store, id) = (self.store, account.id);
        if let Some(scram) = account.scram {
            let salt = BASE64_STANDARD.decode(&scram.salt).context("reading the salt of a password key")?;
            let keys = ScramKeys {
                salt,
                iterations: scram.iterations,
                stored_key: scram.stored_key.0,
                server_key: scram.server_key.0,
            };
            store.set_password(id, Some(keys)).await?;
        }
        if let Some(preferences) = account.preferences.filter(|p| !p.is_null()) {
            store.put_preferences(id, preferences.to_string()).await?;
        }
        // Positions first: following a room for the first time would count it as read to its end.
        store.mark_read(account.read.into_iter().map(|(room, seq)| (id, room, seq)).collect()).await?;
        if !account.followed.is_empty() {
            store.follow(id, account.followed).await?;
        }
        for feed in account.feeds {
            store.put_feed(id, Feed { id: 0, ..feed }).await?;
        }
        for items in account.items.chunk_by(|a, b| a.node == b.node) {
            let node = items[0].node.clone();
            let kept = |KeptItem { id, at, payload, .. }: &KeptItem| Item {
                id: id.clone(),
                at: *at,
                payload: payload.clone(),
            };
            store.put_items(id, node, items.iter().map(kept).collect(), items.len()).await?;
        }
        Ok(())
    }
}
