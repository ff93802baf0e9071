//! The list of servers that take clients: what a change makes of it.

use holdfast_continuity::topology::Topology;
use holdfast_shell::{ActiveServers, Fqdn, Refusal};
use holdfast_store::pool::MOST_ACTIVE;

/// The list that a change makes. `live`: the site of the database; `moved`: the pool has just come there, so that servers of other sites no longer count.
pub(super) fn changed(
    topology: &Topology,
    now: &[String],
    change: &ActiveServers,
    live: &str,
    moved: bool,
    far: bool,
) -> Result<Vec<String>, Refusal> {
    let site_of = |name: &str| topology.servers.iter().find(|s| s.name == name).map(|s| s.site.as_str());
    let named = |names: &[Fqdn]| -> Result<Vec<String>, Refusal> {
        let name = |fqdn: &Fqdn| {
            let server = topology.servers.iter().find(|s| s.name.eq_ignore_ascii_case(fqdn.as_str()));
            let missing =
                || Refusal::missing(format!("There is no server {fqdn}.")).next("Get-CsService -PersistentChatServer");
            server.map(|s| s.name.clone()).ok_or_else(missing)
        };
        names.iter().map(name).collect()
    };
    let kept: Vec<String> = now.iter().filter(|n| !moved || site_of(n) == Some(live)).cloned().collect();
    let list = match change {
        ActiveServers::Clear => Vec::new(),
        ActiveServers::Set(names) => named(names)?,
        ActiveServers::Swap => {
            let idle = topology.servers_of(live).filter(|s| !now.contains(&s.name)).map(|s| s.name.clone());
            let idle: Vec<String> = idle.collect();
            if idle.is_empty() {
                return Err(Refusal::refused(format!(
                    "Every server of {live} is on the list: there is none to swap in."
                )));
            }
            idle
        }
        ActiveServers::Change { add, remove } => {
            let (add, remove) = (named(add)?, named(remove)?);
            let mut list: Vec<String> = kept.into_iter().filter(|n| !remove.contains(n)).collect();
            list.extend(add.into_iter().filter(|n| !now.contains(n) || moved));
            let mut once = Vec::new();
            list.retain(|n| {
                !once.contains(n) && {
                    once.push(n.clone());
                    true
                }
            });
            list
        }
    };
    if list.len() > MOST_ACTIVE {
        let why = format!("{} servers would be active, and at most {MOST_ACTIVE} can be.", list.len());
        return Err(
            Refusal::refused(why).next("take others off the list in the same line: @{Add=\"...\"; Remove=\"...\"}")
        );
    }
    if let Some(distant) = list.iter().find(|n| !far && !now.contains(n) && site_of(n) != Some(live)) {
        let site = site_of(distant).unwrap_or("another site");
        let why = format!(
            "{distant} is in {site}, and the database is in {live}: everybody on it would wait for every message."
        );
        return Err(Refusal::refused(why).next(format!("name servers of {live}, or insist with -Force")));
    }
    Ok(list)
}

/// The list for people.
pub(super) fn shown(list: &[String]) -> String {
    if list.is_empty() { "no server".into() } else { list.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPOLOGY: &str = r#"
        [pool]
        fqdn = "chat.litwareinc.com"
        [[sites]]
        name = "atl"
        share = "/srv/atl"
        [[sites]]
        name = "bos"
        share = "/srv/bos"
        [[instances]]
        name = "atl-db-1"
        site = "atl"
        role = "primary"
        data = "/var/lib/holdfast/atl-db-1"
    "#;

    fn topology() -> Topology {
        let mut text = TOPOLOGY.to_owned();
        for (site, n) in ["atl", "bos"].iter().flat_map(|s| (1..=3).map(move |n| (s, n))) {
            text.push_str(&format!(
                "[[servers]]\nname = \"{site}-cs-{n}\"\nsite = \"{site}\"\nurl = \"http://{site}-{n}\"\n"
            ));
        }
        toml::from_str(&text).unwrap()
    }

    fn names(names: &[&str]) -> Vec<Fqdn> {
        names.iter().map(|n| Fqdn::parse(n).unwrap()).collect()
    }

    fn change(
        now: &[&str],
        change: &ActiveServers,
        live: &str,
        moved: bool,
        far: bool,
    ) -> Result<Vec<String>, Refusal> {
        let now: Vec<String> = now.iter().map(|n| (*n).to_owned()).collect();
        changed(&topology(), &now, change, live, moved, far)
    }

    #[test]
    fn servers_of_the_lost_site_do_not_stay_on_the_list_of_the_one_that_took_over() {
        let add = ActiveServers::Change { add: names(&["BOS-cs-1"]), remove: vec![] };
        assert_eq!(change(&["atl-cs-1", "atl-cs-2"], &add, "bos", true, false).unwrap(), ["bos-cs-1"]);
        assert_eq!(change(&["bos-cs-2"], &add, "bos", true, false).unwrap(), ["bos-cs-2", "bos-cs-1"]);
        assert_eq!(change(&["bos-cs-2", "bos-cs-1"], &add, "bos", false, false).unwrap(), ["bos-cs-2", "bos-cs-1"]);
    }

    #[test]
    fn far_servers_unknown_ones_and_too_many_are_refused() {
        let set = |n: &[&str]| ActiveServers::Set(names(n));
        let far = change(&[], &set(&["bos-cs-1", "atl-cs-1"]), "bos", true, false).unwrap_err();
        assert!(far.reason.contains("atl-cs-1 is in atl") && far.next.unwrap().contains("-Force"));
        assert_eq!(change(&[], &set(&["atl-cs-1"]), "bos", true, true).unwrap(), ["atl-cs-1"]);
        assert_eq!(
            change(&["atl-cs-1"], &set(&["atl-cs-1"]), "bos", false, false).unwrap(),
            ["atl-cs-1"],
            "it is there already"
        );
        assert!(
            change(&[], &set(&["sin-cs-1"]), "bos", false, true).unwrap_err().reason.contains("no server sin-cs-1")
        );
        let five = set(&["bos-cs-1", "bos-cs-2", "bos-cs-3", "atl-cs-1", "atl-cs-2"]);
        assert!(change(&[], &five, "bos", false, true).unwrap_err().reason.contains("at most 4"));
    }

    #[test]
    fn swap_brings_in_those_that_wait_near_the_database() {
        let swap = |now: &[&str]| change(now, &ActiveServers::Swap, "bos", false, false);
        assert_eq!(swap(&["bos-cs-1"]).unwrap(), ["bos-cs-2", "bos-cs-3"]);
        assert!(swap(&["bos-cs-1", "bos-cs-2", "bos-cs-3"]).is_err());
        assert_eq!(change(&["bos-cs-1"], &ActiveServers::Clear, "bos", false, false).unwrap(), Vec::<String>::new());
        assert_eq!(shown(&[]), "no server");
    }
}
