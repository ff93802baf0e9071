//! A pool that exists only here: enough of one to be administered, and to refuse what comes out of its order.
//!
//! The lines against real instances are tests of the whole; these are of the grammar, of what is shown, and of refusals.

use async_trait::async_trait;
use holdfast_shell::{
    ActiveServers, Administration, Connection, Database, Fqdn, Identity, MirrorView, NewMirror, PoolState, PoolView,
    Principal, Refusal, RefusalKind, ServerView, Told,
};
use serde_json::json;
use std::sync::Mutex;

const POOL: &str = "chat.litwareinc.com";

/// The pool, with the first site gone.
pub(crate) struct World {
    state: Mutex<State>,
}

struct State {
    shipping: bool,
    /// Segments that are only on the share.
    backlog: u32,
    fenced: bool,
    open: bool,
    away: bool,
    pool: PoolState,
    mirror: bool,
    active: Vec<String>,
    killed: Vec<u32>,
}

type Answer<T> = Result<T, Refusal>;

impl World {
    /// `words`: `backlog`, what lies on the share only; `unfenced`; `open`, step 4 is done; `away`, no agent answers.
    pub(crate) fn new(words: &[&str]) -> World {
        let has = |word: &str| words.contains(&word);
        World {
            state: Mutex::new(State {
                shipping: true,
                backlog: if has("backlog") { 3 } else { 0 },
                fenced: !has("unfenced"),
                open: has("open"),
                away: has("away"),
                pool: PoolState::Normal,
                mirror: false,
                active: vec!["atl-cs-001.litwareinc.com".into()],
                killed: vec![],
            }),
        }
    }

    fn look<T>(&self, look: impl FnOnce(&mut State) -> Answer<T>) -> Answer<T> {
        let mut state = self.state.lock().unwrap();
        if state.away {
            return Err(Refusal::unavailable("The agent of bos-db-1.litwareinc.com does not answer.")
                .next("holdfast agent --instance bos-db-1.litwareinc.com"));
        }
        look(&mut state)
    }
}

fn pool_is(named: &Fqdn) -> Answer<()> {
    match named.as_str() {
        POOL | "atl-cs-001.litwareinc.com" | "bos-cs-001.litwareinc.com" => Ok(()),
        _ => {
            Err(Refusal::missing(format!("There is no pool and no server {named}.")).next("Get-CsPersistentChatState"))
        }
    }
}

#[async_trait]
impl Administration for World {
    async fn end_log_shipping(&self, database: Database, fence: Option<&str>, what_if: bool) -> Answer<Told> {
        self.look(|state| {
            if !state.fenced && fence.is_none() {
                return Err(Refusal::refused("It is not known that atl takes no messages.")
                    .next("exec sp_delete_log_shipping_secondary_database mgc, @fence = 'attested:HOW YOU KNOW'"));
            }
            if what_if {
                return Ok(Told::line(format!("bos-db-1.litwareinc.com would receive no more log of {database}.")));
            }
            state.shipping = false;
            Ok(Told::line("Log shipping has ended. bos-db-1.litwareinc.com is still a standby."))
        })
    }

    async fn apply_log(&self, _: Database, what_if: bool) -> Answer<Told> {
        self.look(|state| {
            if state.shipping {
                return Err(Refusal::refused("Log shipping has not ended.")
                    .next("exec sp_delete_log_shipping_secondary_database mgc"));
            }
            if what_if {
                return Ok(Told::line(format!("{} segments would be copied and replayed.", state.backlog)));
            }
            let copied = std::mem::take(&mut state.backlog);
            Ok(Told::line(format!("Copied: {copied} segments. Replayed to 0/5000148, the end of what was shipped."))
                .and_record([("LossBytes", "320"), ("LossEntries", "2"), ("LossSeconds", "0.4")])
                .with_json(json!({ "copied": copied, "loss": { "bytes": 320, "entries": 2, "seconds": 0.4 } })))
        })
    }

    async fn sessions(&self) -> Answer<Vec<Connection>> {
        let connection = |id, status: &str, login: &str, command: &str, program: &str| Connection {
            id,
            status: status.into(),
            login: login.into(),
            host: "127.0.0.1".into(),
            blocked_by: (id == 51).then_some(53),
            database: if login.is_empty() { String::new() } else { "mgc".into() },
            command: command.into(),
            program: program.into(),
        };
        self.look(|state| {
            let mut all = vec![
                connection(7, "active", "", "", "startup"),
                connection(51, "active", "holdfast", "SELECT", "bos-cs-001"),
                connection(53, "idle", "reports", "SELECT", "psql\u{1b}[31m"),
            ];
            all.retain(|c| !state.killed.contains(&c.id));
            Ok(all)
        })
    }

    async fn kill_session(&self, id: u32, what_if: bool) -> Answer<Told> {
        self.look(|state| match id {
            51 | 53 if what_if => Ok(Told::line(format!("The connection {id} would be ended."))),
            51 | 53 => {
                state.killed.push(id);
                Ok(Told::line(format!("The connection {id} is ended.")))
            }
            7 => Err(Refusal::refused("The process 7 belongs to PostgreSQL itself.").next("exec sp_who2")),
            _ => Ok(Told::line(format!("There is no connection {id}."))),
        })
    }

    async fn recover(&self, database: Database, accept_loss: Option<u64>, what_if: bool) -> Answer<Told> {
        self.look(|state| {
            if state.shipping {
                return Err(Refusal::refused("Step 1 lacks: log shipping has not ended.")
                    .next("exec sp_delete_log_shipping_secondary_database mgc"));
            }
            if state.backlog > 0 {
                return Err(Refusal::refused("Steps 2 and 3 lack: 3 segments are on the share and not replayed.")
                    .next("restore log mgc from share with norecovery"));
            }
            if accept_loss.is_some_and(|most| most < 2) {
                return Err(Refusal::refused(
                    "2 entries would be lost, more than were accepted.\nThey are of the last 0.4 s.",
                ));
            }
            if what_if {
                return Ok(Told::line(format!(
                    "{database} would be opened for writing; 2 entries of the last 0.4 s would be lost."
                )));
            }
            state.open = true;
            Ok(Told::line(format!("{database} takes writes. Timeline 2, epoch 1000.")).and_line("2 entries were lost."))
        })
    }

    async fn pool_state(&self, pool: Option<&Identity>) -> Answer<Vec<PoolView>> {
        self.look(|state| {
            pool.map_or(Ok(()), |p| pool_is(p.fqdn()))?;
            let failed_over = state.pool == PoolState::FailedOver;
            Ok(vec![PoolView {
                pool: Fqdn::parse(POOL).unwrap(),
                state: state.pool,
                live_site: if failed_over { "bos" } else { "atl" }.into(),
                primary: state.open.then(|| "bos-db-1.litwareinc.com".to_owned()),
                epoch: if state.open { 1000 } else { 1 },
            }])
        })
    }

    async fn set_pool_state(&self, pool: &Identity, new: PoolState, what_if: bool) -> Answer<Told> {
        self.look(|state| {
            pool_is(pool.fqdn())?;
            if !state.open {
                return Err(Refusal::refused("Step 4 lacks: mgc does not take writes in bos.")
                    .next("restore database mgc with recovery"));
            }
            if what_if {
                return Ok(Told::line(format!("The state of {POOL} would be {}.", new.as_str())));
            }
            state.pool = new;
            Ok(Told::line(format!("The state of {POOL} is {}. Servers that have seen it: 1 of 1.", new.as_str())))
        })
    }

    async fn install_mirror(&self, mirror: &NewMirror, what_if: bool) -> Answer<Told> {
        self.look(|state| {
            if state.pool != PoolState::FailedOver {
                return Err(Refusal::refused("Step 5 lacks: the state of the pool is Normal."));
            }
            if mirror.primary.as_str() != "bos-db-1.litwareinc.com" {
                return Err(Refusal::missing(format!("{} is not the primary of a site.", mirror.primary)));
            }
            if what_if {
                return Ok(Told::line("bos-db-2.litwareinc.com would become the mirror of bos-db-1.litwareinc.com."));
            }
            state.mirror = true;
            Ok(Told::line(format!("The share {} is not needed: the clone comes from the primary.", mirror.share))
                .and_line("bos-db-2.litwareinc.com is the mirror of bos-db-1.litwareinc.com. Commits wait for it."))
        })
    }

    async fn uninstall_mirror(&self, primary: &Fqdn, drop_data: bool, what_if: bool) -> Answer<Told> {
        self.look(|state| {
            if !state.mirror {
                return Err(Refusal::missing(format!("{primary} has no mirror.")));
            }
            let data = if drop_data { " Its data goes." } else { "" };
            if what_if {
                return Ok(Told::line(format!("{primary} would have no mirror.{data}")));
            }
            state.mirror = false;
            Ok(Told::line(format!("{primary} has no mirror any more.{data}")))
        })
    }

    async fn mirror_state(&self, pool: &Fqdn) -> Answer<Vec<MirrorView>> {
        self.look(|state| {
            pool_is(pool)?;
            let status = if state.mirror { "synchronized" } else { "disconnected" };
            Ok(vec![MirrorView {
                database: "mgc".into(),
                state_on_primary: "Principal".into(),
                state_on_mirror: if state.mirror { "Mirror" } else { "NotThere" }.into(),
                status_on_primary: status.into(),
                status_on_mirror: status.into(),
                primary: "bos-db-1.litwareinc.com".into(),
                mirror: state.mirror.then(|| "bos-db-2.litwareinc.com".into()),
                lag_bytes: state.mirror.then_some(0),
            }])
        })
    }

    async fn switch_principal(&self, _: &Fqdn, principal: Principal, what_if: bool) -> Answer<Told> {
        self.look(|state| {
            if !state.mirror {
                return Err(Refusal::refused("There is no mirror in sync."));
            }
            let name = if principal == Principal::Mirror { "bos-db-2" } else { "bos-db-1" };
            let verb = if what_if { "would be" } else { "is" };
            Ok(Told::line(format!("{name}.litwareinc.com {verb} the primary.")))
        })
    }

    async fn change_active_servers(
        &self,
        _: Option<&Identity>,
        change: &ActiveServers,
        far: bool,
        what_if: bool,
    ) -> Answer<Told> {
        self.look(|state| {
            let text = |names: &[Fqdn]| names.iter().map(|n| n.as_str().to_owned()).collect::<Vec<_>>();
            let mut list = match change {
                ActiveServers::Set(names) => text(names),
                ActiveServers::Clear => vec![],
                ActiveServers::Swap => vec!["bos-cs-001.litwareinc.com".to_owned()],
                ActiveServers::Change { add, remove } => {
                    let mut list = state.active.clone();
                    list.extend(text(add));
                    list.retain(|n| !text(remove).contains(n));
                    list
                }
            };
            list.dedup();
            if let Some(near) = list.iter().find(|n| n.starts_with("sin-")).filter(|_| !far) {
                return Err(Refusal::refused(format!("{near} is far from the database: 180 ms."))
                    .next("Set-CsPersistentChatActiveServer ... -Force, if it shall be"));
            }
            if list.iter().any(|n| n.starts_with("broken")) {
                return Err(Refusal::new(RefusalKind::Unknown, "The connection broke before the answer came.")
                    .next("Get-CsService -PersistentChatServer"));
            }
            let names = if list.is_empty() { "none".to_owned() } else { list.join(", ") };
            if what_if {
                return Ok(Told::line(format!("Active would be: {names}.")));
            }
            state.active = list;
            Ok(Told::line(format!("Active now: {names}.")))
        })
    }

    async fn servers(&self) -> Answer<Vec<ServerView>> {
        self.look(|state| {
            let server = |name: &str, site: &str| {
                let server = format!("{name}.litwareinc.com");
                let active = state.active.contains(&server);
                let standing = match (site, active) {
                    ("atl", _) => "silent",
                    (_, true) => "active",
                    _ => "standby",
                };
                ServerView {
                    pool: Fqdn::parse(POOL).unwrap(),
                    server,
                    site: site.into(),
                    active,
                    standing: standing.into(),
                }
            };
            Ok(vec![server("atl-cs-001", "atl"), server("bos-cs-001", "bos")])
        })
    }
}
