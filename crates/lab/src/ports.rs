//! Ports of this machine for a lab: consecutive ones, below those that the system gives to outgoing connections, so that whoever was killed finds his own
//! again and no client ever meets itself.

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::TcpListener;

/// Where they are looked for.
const LOWEST: u16 = 20_000;
const HIGHEST: u16 = 31_900;
/// The distance of two labs.
const STEP: u16 = 20;

/// Who listens where, by name; agents have `NAME/agent`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ports(BTreeMap<String, u16>);

impl Ports {
    /// Gives everybody a port, beginning to look at a place that `seed` chooses.
    ///
    /// # Errors
    /// When there are no free ones.
    pub(crate) fn find(names: &[String], seed: u32) -> Result<Ports> {
        let places = u32::from((HIGHEST - LOWEST) / STEP);
        let count = u16::try_from(names.len()).unwrap_or(u16::MAX);
        debug_assert!(count <= STEP);
        for i in 0..places {
            let place = u16::try_from((seed.wrapping_mul(7) + i) % places).unwrap_or(0);
            let base = LOWEST + place * STEP;
            // Held until all are known to be free.
            let held: Vec<TcpListener> =
                (base..base + count).map_while(|port| TcpListener::bind(("127.0.0.1", port)).ok()).collect();
            if held.len() == names.len() {
                return Ok(Ports(names.iter().cloned().zip(base..).collect()));
            }
        }
        bail!("127.0.0.1 has no {count} free ports in a row between {LOWEST} and {HIGHEST}")
    }

    /// Where somebody listens; 0 for somebody who is not known.
    pub fn of(&self, name: &str) -> u16 {
        self.0.get(name).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_a_port_of_his_own_that_is_free() {
        let names: Vec<String> = (0..13).map(|i| format!("n{i}")).collect();
        let ports = Ports::find(&names, 5).unwrap();
        let taken: Vec<TcpListener> =
            names.iter().map(|name| TcpListener::bind(("127.0.0.1", ports.of(name))).unwrap()).collect();
        assert_eq!(taken.len(), 13);
        // Those are passed over while they are taken.
        let others = Ports::find(&names, 5).unwrap();
        assert!(names.iter().all(|name| names.iter().all(|other| ports.of(name) != others.of(other))));
        assert_eq!(ports.of("nobody"), 0);
    }
}
