//! Everybody who takes part in a load, made by an administrator and signed in.

use crate::hosts::Hosts;
use crate::http::Http;
use crate::plan::Plan;
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Within this a change is known everywhere.
const KNOWN: Duration = Duration::from_secs(1);

/// The rooms and the people of a load.
#[derive(Debug)]
pub struct Cast {
    pub(crate) rooms: Vec<i64>,
    /// Who reads everything in the end.
    pub(crate) reader: Http,
    pub(crate) listeners: Vec<Http>,
    pub(crate) writers: Vec<(String, Http)>,
    pub(crate) hosts: Hosts,
}

impl Cast {
    /// Makes rooms and users, and signs everybody in: at the servers of `at` in turn, which take clients. The clients may later be at any of `hosts`.
    ///
    /// # Errors
    /// When one of that is refused.
    pub async fn make(admin: &mut Http, plan: &Plan, hosts: &Hosts, at: &[String], password: &str) -> Result<Self> {
        ensure!(!at.is_empty(), "no server takes clients; look at `holdfast pool status`");
        let mut rooms = Vec::new();
        for i in 0..plan.rooms {
            rooms.push(add_room(admin, &format!("{}Room {i}", plan.tag)).await?);
        }
        let mut sign_in = async |name: String, i: usize| {
            add_user(admin, &name, password).await?;
            let http = sign_in(&at[i % at.len()], &name, password).await?;
            anyhow::Ok((name, http))
        };
        let (_, reader) = sign_in(format!("{}reader", plan.tag), 0).await?;
        let (mut listeners, mut writers) = (Vec::new(), Vec::new());
        for i in 0..plan.listeners {
            listeners.push(sign_in(format!("{}listener{i}", plan.tag), i).await?.1);
        }
        for i in 0..plan.writers {
            writers.push(sign_in(format!("{}writer{i}", plan.tag), i).await?);
        }
        Ok(Self { rooms, reader, listeners, writers, hosts: hosts.clone() })
    }
}

/// Adds an open room, in a category of its own, and answers its number.
///
/// # Errors
/// When that is refused.
pub async fn add_room(admin: &mut Http, name: &str) -> Result<i64> {
    let category = made(admin, "/categories", &json!({ "name": format!("{name}, a category") })).await?;
    made(admin, "/rooms", &json!({ "name": name, "category": category, "privacy": "open" })).await
}

/// Adds a user and answers his number.
///
/// # Errors
/// When that is refused.
pub async fn add_user(admin: &mut Http, name: &str, password: &str) -> Result<i64> {
    made(admin, "/users", &json!({ "name": name, "password": password })).await
}

async fn made(admin: &mut Http, path: &str, body: &Value) -> Result<i64> {
    let (status, answer) = admin.post(path, body).await.with_context(|| format!("{path} {body}"))?;
    ensure!(status == 201, "{path} {body}: {status} {answer}");
    answer["id"].as_i64().with_context(|| format!("{path} {body}: {answer}"))
}

/// Somebody who is signed in at a server. A user who was made a moment ago at another server may not be known there yet.
///
/// # Errors
/// When the server does not let him in within a second.
pub async fn sign_in(host: &str, name: &str, password: &str) -> Result<Http> {
    let mut http = Http::new(host);
    let deadline = Instant::now() + KNOWN;
    while let Err(refused) = http.sign_in(name, password).await {
        let unknown = refused.to_string().contains("bad-credentials");
        if !unknown || Instant::now() >= deadline {
            return Err(refused.context(format!("signing {name} in at {host}")));
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(http)
}
