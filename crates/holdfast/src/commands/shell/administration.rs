//! What each line has done: the calls of [`Administration`], each made of the same calls to the agents as the command line's.

use super::agents::{Agents, Answer, Pool, failover, over, sentence, subject, tell};
use super::servers::{changed, shown};
use async_trait::async_trait;
use axum::http::Uri;
use futures_util::future::join_all;
use holdfast_continuity::agent::operations::Spec;
use holdfast_continuity::agent::order::Order;
use holdfast_continuity::agent::report::Report;
use holdfast_continuity::mirror::MirrorOptions;
use holdfast_continuity::register::Protection;
use holdfast_continuity::switchover::SwitchoverOptions;
use holdfast_continuity::topology::{InstancePlace, Role, ServerPlace};
use holdfast_instance::Session;
use holdfast_shell::{
    ActiveServers, Administration, Connection, Database, Fqdn, Identity, MirrorView, NewMirror, PoolState, PoolView,
    Principal, Refusal, ServerView, Told,
};
use holdfast_store::pool::PoolPhase;
use serde_json::json;
use std::time::Duration;
use tokio::net::TcpStream;

/// For a server to take a connection.
const LISTENING: Duration = Duration::from_secs(2);

#[async_trait]
impl Administration for Agents {
    async fn end_log_shipping(&self, _: Database, fence: Option<&str>, what_if: bool) -> Answer<Told> {
        self.step_1(fence, what_if).await
    }

    async fn apply_log(&self, _: Database, what_if: bool) -> Answer<Told> {
        self.steps_2_and_3(what_if).await
    }

    async fn sessions(&self) -> Answer<Vec<Connection>> {
        let pool = self.look().await?;
        let sessions: Vec<Session> = self.get(subject(&pool), "/v1/sessions").await?;
        Ok(sessions.into_iter().map(connection).collect())
    }

    async fn kill_session(&self, id: u32, what_if: bool) -> Answer<Told> {
        let pool = self.look().await?;
        let subject = subject(&pool);
        let sessions: Vec<Session> = self.get(subject, "/v1/sessions").await?;
        let Some(session) = sessions.iter().find(|s| u32::try_from(s.pid) == Ok(id)) else {
            return Ok(Told::line(format!("{subject} has no connection {id}.")));
        };
        let whose = format!("{id} ({} on {})", session.user, session.database);
        if what_if {
            return Ok(Told::line(format!("The connection {whose} would be ended.")));
        }
        self.order(subject, &Order::EndSession { pid: session.pid }).await?;
        Ok(Told::line(format!("The connection {whose} is ended.")))
    }

    async fn recover(&self, _: Database, accept_loss: Option<u64>, what_if: bool) -> Answer<Told> {
        self.step_4(accept_loss, what_if).await
    }

    async fn pool_state(&self, identity: Option<&Identity>) -> Answer<Vec<PoolView>> {
        let name = self.pool_name()?;
        identity.map_or(Ok(()), |i| self.is_of_pool(i.fqdn()))?;
        let pool = self.look().await?;
        let primary = pool.primary().filter(|r| r.serves()).map(|r| r.instance.clone());
        let state = self.state_now(&pool)?;
        Ok(vec![PoolView { pool: name, state, live_site: pool.roles.primary.site.clone(), primary, epoch: pool.epoch }])
    }

    async fn set_pool_state(&self, identity: &Identity, state: PoolState, what_if: bool) -> Answer<Told> {
        self.is_of_pool(identity.fqdn())?;
        self.step_5(state, what_if).await
    }

    async fn install_mirror(&self, mirror: &NewMirror, what_if: bool) -> Answer<Told> {
        let pool = self.look().await?;
        let primary = self.instance(&mirror.primary)?;
        let note = |told: Told| {
            told.and_line(format!("The share {} was not needed: the copy comes from {primary} itself.", mirror.share))
        };
        if let Some(failover) = failover(&pool) {
            return self.step_6(failover, primary, what_if).await.map(note);
        }
        let is = |i: Option<&InstancePlace>| i.is_some_and(|i| i.name == primary);
        if !is(Some(pool.roles.primary)) && !is(pool.roles.backup) {
            let why = format!("{primary} is a mirror itself; its primary is named.");
            return Err(Refusal::refused(why).next(format!("-SqlServerFqdn {}", pool.roles.primary.name)));
        }
        let other = self
            .topology()
            .instance(primary)
            .and_then(|p| self.topology().instances_of(&p.site).find(|i| i.name != primary));
        let Some(other) = other else {
            return Err(Refusal::refused(format!("The topology names no other instance in the site of {primary}.")));
        };
        if what_if {
            return Ok(Told::line(format!("{} would become the mirror of {primary}.", other.name)));
        }
        let view = self.begin(primary, Spec::Mirror(MirrorOptions { anew: mirror.replace }), None).await?;
        over(&view)?;
        Ok(note(tell(None, &view)).with_json(json!({ "operation": view.id, "steps": view.steps })))
    }

    async fn uninstall_mirror(&self, primary: &Fqdn, drop_data: bool, what_if: bool) -> Answer<Told> {
        let pool = self.look().await?;
        let primary = self.instance(primary)?;
        if pool.roles.primary.name != primary {
            let why = format!("{primary} is not the primary of the pool.");
            return Err(Refusal::refused(why).next(format!("-SqlServerFqdn {}", pool.roles.primary.name)));
        }
        let Some(mirror) = pool.roles.mirror else {
            return Err(Refusal::missing(format!("The topology names no mirror of {primary}.")));
        };
        if drop_data {
            return Err(Refusal::refused(
                "Data is not deleted from here: what there is of the mirror is moved aside when it is installed anew.",
            )
            .next("the line without -DropExistingDatabasesOnMirror"));
        }
        if what_if {
            return Ok(Told::line(format!(
                "{primary} would not wait for {} any more, which would be stopped.",
                mirror.name
            )));
        }
        let view = self.begin(primary, Spec::RemoveMirror, None).await?;
        over(&view)?;
        let stopped = view.steps.last().map_or("", |step| step.observed.as_str());
        Ok(Told::line(format!("{primary} goes on alone, exposed.")).and_line(format!("{stopped}.")))
    }

    async fn mirror_state(&self, name: &Fqdn) -> Answer<Vec<MirrorView>> {
        self.is_of_pool(name)?;
        let pool = self.look().await?;
        Ok(vec![mirror_view(&pool)])
    }

    async fn switch_principal(&self, name: &Fqdn, principal: Principal, what_if: bool) -> Answer<Told> {
        self.is_of_pool(name)?;
        let pool = self.look().await?;
        let live = &pool.roles.primary.site;
        let meant = match principal {
            Principal::Primary => [Role::Primary, Role::Backup],
            Principal::Mirror => [Role::Mirror, Role::BackupMirror],
        };
        let wanted = self
            .topology()
            .instances_of(live)
            .find(|i| meant.contains(&i.role))
            .ok_or_else(|| Refusal::missing(format!("The topology names no such instance in {live}.")))?;
        if wanted.name == pool.roles.primary.name {
            return Ok(Told::line(format!("{} is the primary already.", wanted.name)));
        }
        // Whether the mirror may take the place of a primary that does not answer is for the procedure to find out.
        let from = &pool.roles.primary.name;
        let lost = pool.report(from).is_none();
        let view = mirror_view(&pool);
        if !lost && view.status_on_primary != "synchronized" {
            let why = format!(
                "{} cannot become the primary: it is {} as {} sees it.",
                wanted.name, view.status_on_primary, view.primary
            );
            return Err(Refusal::refused(why)
                .next(format!("Get-CsDatabaseMirrorState -PoolFqdn {}", self.topology().pool.fqdn)));
        }
        if what_if {
            let then = if lost { "does not answer, and would be left" } else { "would be its mirror" };
            return Ok(Told::line(format!(
                "{} would become the primary in the place of {from}, which {then}.",
                wanted.name
            )));
        }
        let options = SwitchoverOptions { primary_is_lost: lost, fence: self.fence(None)? };
        let view = self.begin(&wanted.name, Spec::Switchover(options), None).await?;
        over(&view)?;
        let told = tell(None, &view).and_line(format!("{} is the primary.", wanted.name));
        Ok(told.with_json(json!({ "operation": view.id, "steps": view.steps })))
    }

    async fn change_active_servers(
        &self,
        identity: Option<&Identity>,
        change: &ActiveServers,
        far: bool,
        what_if: bool,
    ) -> Answer<Told> {
        identity.map_or(Ok(()), |i| self.is_of_pool(i.fqdn()))?;
        let pool = self.look().await?;
        let failover = failover(&pool);
        let live = match failover {
            Some(failover) => self.topology().instance(&failover.instance).map_or("", |i| i.site.as_str()),
            None => pool.roles.primary.site.as_str(),
        };
        let now =
            pool.report(subject(&pool)).and_then(|r| r.holds.as_ref()).map(|h| h.active.clone()).unwrap_or_default();
        let list = changed(self.topology(), &now, change, live, failover.is_some(), far)?;
        if let Some(failover) = failover {
            return self.step_7(failover, &list, far, what_if).await;
        }
        if what_if {
            return Ok(Told::line(format!("Clients would be taken by {}.", shown(&list))));
        }
        let obeyed = self.order(&pool.roles.primary.name, &Order::Servers { active: list.clone(), far }).await?;
        Ok(Told::line(sentence(&obeyed.told)).with_json(json!({ "active": list })))
    }

    async fn servers(&self) -> Answer<Vec<ServerView>> {
        let name = self.pool_name()?;
        let pool = self.look().await?;
        let known = pool.primary().and_then(|r| r.holds.as_ref()).map(|h| h.active.as_slice());
        let servers = &self.topology().servers;
        let listening = join_all(servers.iter().map(|s| answers(&s.url))).await;
        let view = |(server, listens): (&ServerPlace, bool)| {
            let active = known.is_some_and(|k| k.contains(&server.name));
            let standing = match (listens, known, active) {
                (false, ..) => "silent",
                (true, None, _) => "unknown",
                (true, Some(_), true) => "active",
                (true, Some(_), false) => "standby",
            };
            let (pool, server, site) = (name.clone(), server.name.clone(), server.site.clone());
            ServerView { pool, server, site, active, standing: standing.into() }
        };
        Ok(servers.iter().zip(listening).map(view).collect())
    }
}

/// Whether somebody listens where clients reach a server.
async fn answers(url: &str) -> bool {
    let Ok(url) = url.parse::<Uri>() else { return false };
    let Some(host) = url.host() else { return false };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = url.port_u16().unwrap_or(if url.scheme_str() == Some("https") { 443 } else { 80 });
    let connected = tokio::time::timeout(LISTENING, TcpStream::connect((host, port))).await;
    matches!(connected, Ok(Ok(_)))
}

impl Agents {
    fn pool_name(&self) -> Answer<Fqdn> {
        Fqdn::parse(&self.topology().pool.fqdn).map_err(|why| Refusal::refused(format!("{why}: see the topology.")))
    }

    /// Whether a name is the pool's, or that of one of its servers.
    fn is_of_pool(&self, name: &Fqdn) -> Answer<()> {
        let is = |other: &str| other.eq_ignore_ascii_case(name.as_str());
        if is(&self.topology().pool.fqdn) || self.topology().servers.iter().any(|s| is(&s.name)) {
            return Ok(());
        }
        Err(Refusal::missing(format!("There is no pool {name}, and no server of that name."))
            .next(format!("service:{}", self.topology().pool.fqdn)))
    }

    /// The instance of a name, as the topology writes it.
    fn instance(&self, name: &Fqdn) -> Answer<&str> {
        let found = self.topology().instances.iter().find(|i| i.name.eq_ignore_ascii_case(name.as_str()));
        found.map(|i| i.name.as_str()).ok_or_else(|| {
            let names: Vec<&str> = self.topology().instances.iter().map(|i| i.name.as_str()).collect();
            Refusal::missing(format!("There is no instance {name}.")).next(format!("one of {}", names.join(", ")))
        })
    }

    /// The state of the pool: as its database says, or, while that cannot be asked, as follows from who holds the epoch.
    pub(super) fn state_now(&self, pool: &Pool<'_>) -> Answer<PoolState> {
        let written = pool.primary().and_then(|r| r.holds.as_ref()).map(|h| h.state == PoolPhase::FailedOver.word());
        let moved = self.topology().first_primary().is_some_and(|i| i.site != pool.roles.primary.site);
        Ok(if written.unwrap_or(moved) { PoolState::FailedOver } else { PoolState::Normal })
    }
}

fn connection(session: Session) -> Connection {
    Connection {
        id: u32::try_from(session.pid).unwrap_or_default(),
        status: session.state,
        login: session.user,
        // PostgreSQL writes a host as a network of one.
        host: session
            .address
            .map(|a| a.trim_end_matches("/32").trim_end_matches("/128").to_owned())
            .unwrap_or_default(),
        blocked_by: None,
        database: session.database,
        command: session.waits_for.map(|w| format!("waits for {w}")).unwrap_or_default(),
        program: session.application,
    }
}

/// The mirror of the live site, in the words that Lync has.
fn mirror_view(pool: &Pool<'_>) -> MirrorView {
    let primary = pool.primary();
    let mirror = pool.roles.mirror;
    let seen = mirror.and_then(|m| pool.report(&m.name));
    let follower = mirror.and_then(|m| {
        let followers = primary?.status.server.as_ref().map(|s| s.followers.as_slice()).unwrap_or_default();
        followers.iter().find(|f| f.name == m.name)
    });
    let flushed = primary.and_then(Report::position);
    let behind = follower.and_then(|f| Some(flushed?.since(f.flushed?)));
    let on_primary = match (primary, follower) {
        (None, _) => "unknown",
        (Some(_), None) => "disconnected",
        (Some(p), Some(f)) if f.sync_state == "sync" && p.protection == Protection::InSync => "synchronized",
        (Some(_), Some(_)) => "synchronizing",
    };
    let receives = seen.and_then(|r| r.status.server.as_ref()?.standby.as_ref()?.receiver.as_ref());
    let on_mirror = match (mirror, seen, receives) {
        (None, ..) => "none",
        (_, None, _) => "unknown",
        (_, _, Some(r)) if r.status == "streaming" => on_primary,
        _ => "disconnected",
    };
    let state = |report: Option<&Report>, role: &str| match report {
        None => "DoesNotAnswer".to_owned(),
        Some(r) if !r.is_up() => "Down".to_owned(),
        Some(_) => role.to_owned(),
    };
    MirrorView {
        database: Database::Mgc.as_str().into(),
        state_on_primary: state(primary, "Principal"),
        state_on_mirror: if mirror.is_some() { state(seen, "Mirror") } else { "None".into() },
        status_on_primary: on_primary.into(),
        status_on_mirror: on_mirror.into(),
        primary: pool.roles.primary.name.clone(),
        mirror: mirror.map(|m| m.name.clone()),
        lag_bytes: behind,
    }
}
