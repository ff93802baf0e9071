//! A client that listens, in all rooms, and goes on from where it stopped.

use crate::hosts::Place;
use crate::http::Http;
use crate::live::Live;
use crate::read::{read, seen};
use crate::shared::{BREATH, End, REACH, Shared, lock};
use anyhow::{Context as _, Result};
use holdfast_history::View;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{sleep, timeout};

pub(crate) struct Listener {
    pub(crate) number: usize,
    pub(crate) place: Place,
    pub(crate) http: Http,
    pub(crate) shared: Arc<Shared>,
    pub(crate) views: Vec<View>,
}

impl Listener {
    pub(crate) async fn listen(mut self) -> Vec<View> {
        while !self.is_over() {
            let Some(host) = self.place.host() else {
                sleep(BREATH).await;
                continue;
            };
            self.http.move_to(&host);
            let servers = match timeout(REACH, Live::connect(&host, &self.http)).await {
                Ok(Ok(live)) => self.stay(live).await.unwrap_or_default(),
                Ok(Err(refused)) => {
                    let text = refused.to_string();
                    // While the database is away nobody can be signed in, and a standby says who else there is.
                    if text.starts_with('4') || text.starts_with("500") {
                        self.shared.surprise(format!("listener{} on {host} was answered {text}", self.number));
                    }
                    let body = text.split_once('{').map(|(_, rest)| format!("{{{rest}")).unwrap_or_default();
                    serde_json::from_str::<Value>(&body).map(|problem| problem["servers"].clone()).unwrap_or_default()
                }
                Err(_) => Value::Null,
            };
            if !self.is_over() {
                self.shared.reconnects.fetch_add(1, Ordering::AcqRel);
                self.place.move_on(&servers);
                sleep(BREATH).await;
            }
        }
        self.views
    }

    fn is_over(&self) -> bool {
        self.shared.seen_all.load(Ordering::Acquire)
    }

    fn name(&self) -> String {
        format!("listener{}", self.number)
    }

    /// Where it stopped in a room.
    fn known(&self, room: i64) -> Option<End> {
        lock(&self.shared.ends).get(&(self.number, room)).copied()
    }

    fn has_seen(&self, room: i64, epoch: i64, seq: i64) {
        lock(&self.shared.ends).insert((self.number, room), End { epoch, seq });
    }

    /// Listens until the connection or everything is over; answers which servers it was told to go to.
    ///
    /// # Errors
    /// When the connection breaks.
    async fn stay(&mut self, mut live: Live) -> Result<Value> {
        let Some(welcome) = live.next(REACH).await?.filter(|frame| frame["type"] == "welcome") else {
            anyhow::bail!("no welcome");
        };
        let epoch = welcome["epoch"].as_i64().context("an epoch")?;
        let known: HashMap<i64, End> =
            self.shared.rooms.iter().filter_map(|room| Some((*room, self.known(*room)?))).collect();
        live.join(self.shared.rooms.iter().map(|room| (*room, known.get(room).map(|end| (end.epoch, end.seq)))))
            .await?;
        // Of each room, which of the views is open, and after which entry the first is to begin.
        let mut open: HashMap<i64, usize> = HashMap::new();
        let mut valid: HashMap<i64, i64> = known.iter().map(|(room, end)| (*room, end.seq)).collect();
        while !self.is_over() {
            anyhow::ensure!(live.silence() < REACH, "the server is silent");
            let Some(frame) = live.next(Duration::from_millis(200)).await? else { continue };
            let room = frame["room"].as_i64().or(frame["entry"]["room"].as_i64()).unwrap_or_default();
            match frame["type"].as_str().unwrap_or_default() {
                // What this client has after that number was lost with the epoch in which it had it.
                "cut" => match frame["valid_through"].as_i64() {
                    Some(through) => drop(valid.insert(room, through)),
                    None => drop(valid.remove(&room)),
                },
                "joined" => {
                    let head = frame["head"].as_i64().context("a head")?;
                    let after = valid.get(&room).copied();
                    open.insert(room, self.begin(live.host(), epoch, room, after.unwrap_or(head), after.is_some()));
                }
                "entry" => {
                    let seen = seen(&frame["entry"])?;
                    let Some(view) = open.get(&room).map(|i| &mut self.views[*i]) else {
                        self.shared.surprise(format!("{} saw an entry before it had joined: {frame}", self.name()));
                        continue;
                    };
                    view.entries.push(seen);
                    self.has_seen(room, epoch, seen.seq);
                }
                "gap" => {
                    let (after, head) =
                        (frame["after"].as_i64().context("after")?, frame["head"].as_i64().context("a head")?);
                    let view = self.begin(live.host(), epoch, room, after, true);
                    for entry in read(&mut self.http, room, after, Some(head)).await? {
                        self.views[view].entries.push(seen(&entry)?);
                    }
                    open.insert(room, self.begin(live.host(), epoch, room, head, true));
                }
                "refused" => {
                    let code = frame["problem"]["code"].as_str().unwrap_or_default().to_owned();
                    // A server that is behind what this client has seen sends it elsewhere.
                    if !matches!(code.as_str(), "unavailable" | "standby" | "conflict") {
                        self.shared.surprise(format!("{} was refused: {frame}", self.name()));
                    }
                    return Ok(frame["problem"]["servers"].clone());
                }
                "bye" => {
                    if frame["reason"] == "session-ended" {
                        self.shared.surprise(format!("{}: {frame}", self.name()));
                    }
                    return Ok(frame["servers"].clone());
                }
                "kicked" | "problem" => self.shared.surprise(format!("{}: {frame}", self.name())),
                _ => {}
            }
        }
        Ok(Value::Null)
    }

    /// A new view, and where it is.
    fn begin(&mut self, host: &str, epoch: i64, room: i64, after: i64, continues: bool) -> usize {
        self.has_seen(room, epoch, after);
        let (observer, server) = (self.name(), host.to_owned());
        self.views.push(View { observer, server, epoch, room, after, continues, entries: Vec::new() });
        self.views.len() - 1
    }
}
