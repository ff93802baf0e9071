//! What monitoring is told, in the Prometheus text format: `GET /metrics`.

use crate::door::Door;
use axum::extract::State;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use holdfast_chat::{Caller, Chat, Standing};
use holdfast_store::pool::Condition;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The numbers of this door and of the service behind it.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    durations: Family<Route, Histogram, Buckets>,
    /// The servers of the pool, counted when they are asked for.
    servers: Family<OfStanding, Gauge>,
}

/// A number that another part of the server has for monitoring.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// Its name, without `holdfast_` before it and without `_total` behind.
    pub name: &'static str,
    /// What it is, in a few words.
    pub help: &'static str,
    /// How much it is now.
    pub value: u64,
    /// Whether it counts since the start, and so never falls.
    pub counts: bool,
}

/// Reads the figures of another part when somebody asks for them.
pub type Figures = Arc<dyn Fn() -> Vec<Figure> + Send + Sync>;

/// A kind of request by how it was answered. Routes are templates, so that no stranger can make new ones.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Request {
    method: &'static str,
    route: String,
    status: u16,
}

/// A kind of request.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Route {
    method: &'static str,
    route: String,
}

/// Servers of one standing.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfStanding {
    standing: &'static str,
}

/// What a server of a pool may be seen as: see [`holdfast_chat::ServerView::standing`].
const SEEN_AS: [&str; 5] = ["active", "standby", "draining", "stopped", "silent"];
/// For how long the pool is asked before its servers are left out.
const PATIENCE: Duration = Duration::from_secs(2);

/// From half a millisecond to ten seconds.
#[derive(Clone)]
struct Buckets;

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new([0.0005, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0])
    }
}

pub(crate) fn routes() -> OpenApiRouter<Door> {
    OpenApiRouter::new().routes(routes!(metrics))
}

impl Metrics {
    pub(crate) fn new(chat: &Chat, others: Option<Figures>) -> Self {
        let mut registry = Registry::with_prefix("holdfast");
        let requests = Family::<Request, Counter>::default();
        let durations = Family::new_with_constructor(Buckets);
        registry.register("http_requests", "Requests answered", requests.clone());
        registry.register("http_request_duration_seconds", "Time until the answer began", durations.clone());
        let servers = Family::default();
        if chat.in_pool() {
            registry.register("pool_servers", "Servers of the pool by what they are seen as", servers.clone());
        }
        registry.register_collector(Box::new(Service(chat.clone())));
        if let Some(figures) = others {
            registry.register_collector(Box::new(Others(figures)));
        }
        Self { registry, requests, durations, servers }
    }

    /// Counts the servers of the pool; none are told while the database does not answer.
    async fn count_servers(&self, chat: &Chat) {
        let operator = Caller::operator();
        let asked = tokio::time::timeout(PATIENCE, chat.pool(&operator)).await;
        let Ok(Ok(pool)) = asked else {
            self.servers.clear();
            return;
        };
        for standing in SEEN_AS {
            let count = pool.servers.iter().filter(|s| s.standing == standing).count();
            self.servers.get_or_create(&OfStanding { standing }).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// Counts an answered request.
    pub(crate) fn answered(&self, method: &Method, route: &str, status: StatusCode, took: Duration) {
        let method = known(method);
        let route = route.to_owned();
        self.requests.get_or_create(&Request { method, route: route.clone(), status: status.as_u16() }).inc();
        self.durations.get_or_create(&Route { method, route }).observe(took.as_secs_f64());
    }
}

/// A method's name, if it is one that we have; a stranger could make up others without end.
fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        _ => "other",
    }
}

/// The service's own numbers, read when they are asked for.
struct Service(Chat);

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Service")
    }
}

impl Collector for Service {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let status = self.0.status();
        let started = status.started_at.millis() as f64 / 1_000.0;
        let gauges = [
            ("live_connections", "Live connections", status.connections as f64),
            ("live_people", "Users with a live connection", status.people as f64),
            ("rooms", "Rooms", status.rooms as f64),
            ("users", "Users, imported authors included", status.users as f64),
            ("start_time_seconds", "When the service started, in seconds since 1970", started),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        let database = self.0.database();
        database_condition(&mut encoder, database.condition)?;
        if let Some(round_trip) = database.round_trip {
            let gauge = ConstGauge::new(round_trip.as_secs_f64());
            let help = "How long the database takes to answer: the least of the last measurements";
            let name = "database_round_trip_seconds";
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        let standing = self.0.standing();
        let standings = Standing::ALL.map(|s| ("standing", s.word(), s == standing));
        one_of(&mut encoder, "pool_standing", "What the server is to its pool: 1 at the one that holds", &standings)?;
        let counters = [
            ("journal_commits", "Transactions of the journal", status.commits),
            ("journal_entries", "Entries that the journal wrote", status.entries),
            ("journal_repeated", "Drafts that had been written before", status.repeated),
            ("journal_failed", "Requests to the journal that failed", status.failed),
        ];
        for (name, help, value) in counters {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        Ok(())
    }
}

/// What other parts of the server have.
struct Others(Figures);

impl fmt::Debug for Others {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Others")
    }
}

impl Collector for Others {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        for Figure { name, help, value, counts } in (self.0)() {
            if counts {
                let counter = ConstCounter::new(value);
                counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
            } else {
                let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
                gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
            }
        }
        Ok(())
    }
}

/// A gauge for each of some words: 1 where it holds, else 0.
fn one_of(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    words: &[(&'static str, &'static str, bool)],
) -> Result<(), fmt::Error> {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (label, word, holds) in words {
        ConstGauge::new(i64::from(*holds)).encode(family.encode_family(&[(*label, *word)])?)?;
    }
    Ok(())
}

/// The server's numbers for monitoring. Needs no sign-in.
#[utoipa::path(get, path = "/metrics", tag = "health", security(()),
    responses((status = 200, body = String, content_type = "application/openmetrics-text")))]
async fn metrics(State(door): State<Door>) -> impl IntoResponse {
    if door.chat.in_pool() {
        door.metrics.count_servers(&door.chat).await;
    }
    answer(&door.metrics.registry)
}

/// The numbers of a server that has no database yet: that it has none.
pub(crate) fn while_waiting() -> Response {
    let mut registry = Registry::with_prefix("holdfast");
    registry.register_collector(Box::new(NoDatabase));
    answer(&registry)
}

#[derive(Debug)]
struct NoDatabase;

impl Collector for NoDatabase {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        database_condition(&mut encoder, Condition::Gone)
    }
}

fn database_condition(encoder: &mut DescriptorEncoder, holds: Condition) -> Result<(), fmt::Error> {
    let conditions = Condition::ALL.map(|c| ("condition", c.word(), c == holds));
    one_of(encoder, "database_condition", "How the database is: 1 at the one that holds", &conditions)
}

fn answer(registry: &Registry) -> Response {
    let mut text = String::new();
    match encode(&mut text, registry) {
        Ok(()) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store")], text).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "cannot write the metrics");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
