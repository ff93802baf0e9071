//! The names of the runbook, which the lab bears.

/// The pool.
pub const POOL: &str = "chat.litwareinc.com";
/// The domain of all machines.
pub const DOMAIN: &str = "litwareinc.com";
/// The site that is live at the beginning.
pub const FIRST: &str = "atl";
/// The other one.
pub const SECOND: &str = "bos";
/// Both.
pub const SITES: [&str; 2] = [FIRST, SECOND];
/// The third voter.
pub const WITNESS: &str = "witness";
/// The person who operates the pool, as the certificate says.
pub const OPERATOR: &str = "operator";
/// PostgreSQL servers of a site.
pub const INSTANCES_A_SITE: usize = 2;
/// Chat servers of a site.
pub const SERVERS_A_SITE: usize = 2;

/// The short name of an instance: `atl-db-1`.
pub fn instance(site: &str, number: usize) -> String {
    format!("{site}-db-{number}")
}

/// The short name of a chat server: `atl-cs-001`.
pub fn server(site: &str, number: usize) -> String {
    format!("{site}-cs-{number:03}")
}

/// The whole name: `atl-db-1.litwareinc.com`.
pub fn full(short: &str) -> String {
    format!("{short}.{DOMAIN}")
}

/// The short name of a whole one.
pub fn short(full: &str) -> &str {
    full.strip_suffix(DOMAIN).and_then(|name| name.strip_suffix('.')).unwrap_or(full)
}

/// All instances, with their sites.
pub fn instances() -> Vec<(&'static str, String)> {
    let of = |site: &'static str| (1..=INSTANCES_A_SITE).map(move |number| (site, instance(site, number)));
    SITES.into_iter().flat_map(of).collect()
}

/// All chat servers, with their sites.
pub fn servers() -> Vec<(&'static str, String)> {
    let of = |site: &'static str| (1..=SERVERS_A_SITE).map(move |number| (site, server(site, number)));
    SITES.into_iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_the_runbooks() {
        let names: Vec<String> = instances().iter().chain(&servers()).map(|(_, name)| full(name)).collect();
        assert_eq!(names[..2], ["atl-db-1.litwareinc.com", "atl-db-2.litwareinc.com"]);
        assert_eq!(names[4..6], ["atl-cs-001.litwareinc.com", "atl-cs-002.litwareinc.com"]);
        assert_eq!(short(&names[7]), "bos-cs-002");
    }
}
