//! A client that writes: one message after the other, each until its fate is known or it is tired.

use crate::hosts::Place;
use crate::http::Http;
use crate::shared::{BREATH, REACH, Shared, lock};
use holdfast_history::{Digest, Fate, Message, Told};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

/// Every so many messages a writer sends one again that was acknowledged, as if the answer had been lost.
const REPEATED: usize = 7;
/// Every so many writers one gives a message up after the first answer that is none.
const CARELESS: usize = 4;

/// What came of one attempt to post.
enum Attempt {
    Taken(Told),
    /// Not taken, certainly.
    Refused(String),
    /// Nobody was there, or whoever was takes no clients: certainly not taken either, and no reason to give up.
    Elsewhere,
    /// Nobody knows.
    Unknown,
}

pub(crate) struct Writer {
    pub(crate) number: usize,
    pub(crate) author: String,
    pub(crate) place: Place,
    pub(crate) http: Http,
    pub(crate) shared: Arc<Shared>,
    /// The latest epoch that it has heard of.
    pub(crate) epoch: i64,
}

impl Writer {
    pub(crate) async fn write(mut self) -> Vec<Message> {
        let mut sent = Vec::new();
        loop {
            self.shared.pace.turn().await;
            if self.shared.is_enough() {
                return sent;
            }
            sent.push(self.send(sent.len()).await);
            sleep(self.shared.plan.pause).await;
        }
    }

    async fn send(&mut self, number: usize) -> Message {
        let room = self.shared.rooms[(self.number + number) % self.shared.rooms.len()];
        let client_id = Uuid::new_v4();
        let text = format!("{} says {number} in {room}", self.author);
        let mut body = json!({ "client_id": client_id, "text": text });
        let begun = self.shared.now();
        let careless = self.number % CARELESS == CARELESS - 1;
        let (mut taken, mut unknown, mut refused) = (Vec::new(), false, None);
        while taken.is_empty() {
            match self.attempt(room, &mut body).await {
                Attempt::Taken(told) => {
                    lock(&self.shared.acknowledged).push(told.at);
                    taken.push(told);
                }
                Attempt::Refused(why) => refused = Some(why),
                Attempt::Elsewhere => {}
                Attempt::Unknown => unknown = true,
            }
            let tired = self.shared.now() > begun + self.shared.plan.persistence;
            if taken.is_empty() && (tired || (careless && (unknown || refused.is_some()))) {
                break;
            }
            if taken.is_empty() {
                sleep(BREATH).await;
            }
        }
        if !taken.is_empty()
            && number % REPEATED == 3
            && let Attempt::Taken(again) = self.attempt(room, &mut body).await
        {
            taken.push(again);
        }
        let fate = if !taken.is_empty() {
            Fate::Acknowledged(taken)
        } else if unknown {
            Fate::Unknown
        } else {
            Fate::Failed(refused.unwrap_or_else(|| "nobody was there".to_owned()))
        };
        let ended = self.shared.now();
        Message { room, author: self.author.clone(), client_id, content: Digest::of(&text), begun, ended, fate }
    }

    async fn attempt(&mut self, room: i64, body: &mut Value) -> Attempt {
        let Some(host) = self.place.host() else { return Attempt::Elsewhere };
        self.http.move_to(&host);
        if !matches!(timeout(REACH, self.http.reach()).await, Ok(Ok(()))) {
            self.http.hang_up();
            self.place.move_on(&Value::Null);
            return Attempt::Elsewhere;
        }
        let path = format!("/rooms/{room}/messages");
        if self.epoch > 0 {
            body["epoch"] = self.epoch.into();
        }
        let answer = timeout(self.shared.plan.patience, self.http.post(&path, body)).await;
        let at = self.shared.now();
        let Ok(Ok((status, answer))) = answer else {
            self.http.hang_up();
            self.place.move_on(&Value::Null);
            return Attempt::Unknown;
        };
        match (status, answer["code"].as_str().unwrap_or_default()) {
            (200 | 201, _) => {
                if let Some(seq) = answer["seq"].as_i64() {
                    let said = answer["epoch"].as_i64().unwrap_or_default();
                    self.epoch = self.epoch.max(said);
                    let epoch = said.max(self.shared.epoch.load(Ordering::Acquire));
                    return Attempt::Taken(Told { seq, epoch, at });
                }
                self.shared.surprise(format!("{} was answered {status} {answer}", self.author));
                Attempt::Unknown
            }
            (503, "standby") => {
                self.place.move_on(&answer["servers"]);
                Attempt::Elsewhere
            }
            (503, "outcome-unknown") => Attempt::Unknown,
            (503, "unavailable") => {
                self.place.move_on(&Value::Null);
                Attempt::Refused(answer["code"].to_string())
            }
            (507, "storage-full") | (429, _) => Attempt::Refused(answer["code"].to_string()),
            _ => {
                self.shared.surprise(format!("{} on {host} was answered {status} {answer}", self.author));
                Attempt::Unknown
            }
        }
    }
}
