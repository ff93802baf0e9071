//! The register: the newest epoch, who holds it, and whether the mirror may be promoted. A pure state machine; [`crate::witness`] keeps it on disk.
//!
//! The rules make it safe to lose any one of primary, mirror and witness (continuity of SQL Server's mirroring with a witness):
//! an epoch is granted once; *exposed* is granted to the holder of the newest epoch only, so that after a newer grant the old primary can never
//! acknowledge anything without its mirror; a register that was lost does not vote until both data nodes have told it what they know.

use serde::{Deserialize, Serialize};

/// Whether what is acknowledged is on two machines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protection {
    /// The mirror has everything that was acknowledged.
    InSync,
    /// The primary goes on alone: the mirror must not be promoted.
    Exposed,
}

impl Protection {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Protection::InSync => "in sync",
            Protection::Exposed => "exposed",
        }
    }
}

/// What the register holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Register {
    /// The newest epoch that was granted.
    pub epoch: u64,
    /// To whom; empty before the first.
    pub holder: String,
    /// Whether the mirror has everything.
    pub protection: Protection,
    /// Those who have told a register that was lost what they know; `None` when it may vote.
    pub relearning: Option<Vec<String>>,
}

/// A vote that was refused.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "refused", rename_all = "kebab-case")]
pub enum Refused {
    /// Another epoch at least as new was granted.
    #[error("epoch {epoch} was granted to {holder} already")]
    Granted {
        /// The newest.
        epoch: u64,
        /// Its holder.
        holder: String,
    },
    /// Only the holder of the newest epoch may say so.
    #[error("the newest epoch is {epoch}, and {holder} holds it")]
    NotHolder {
        /// The newest.
        epoch: u64,
        /// Its holder.
        holder: String,
    },
    /// The mirror lacks what was acknowledged.
    #[error("the pool is exposed: the mirror lacks messages that were acknowledged")]
    Exposed,
    /// It lost its memory.
    #[error("the witness has lost its memory and does not vote until both instances have told it what they know")]
    Relearning,
}

impl Register {
    /// Of a witness that never was before, or that lost what it knew: which of the two it cannot tell.
    pub fn lost() -> Register {
        Register { epoch: 0, holder: String::new(), protection: Protection::Exposed, relearning: Some(Vec::new()) }
    }

    /// Grants an epoch to `holder`. `promotes`: it was the mirror and is to become primary although the old one may not have agreed, so that it must
    /// have everything. The same grant again is no other one.
    ///
    /// # Errors
    /// [`Refused`]
    pub fn claim(&mut self, epoch: u64, holder: &str, promotes: bool) -> Result<(), Refused> {
        if self.relearning.is_some() {
            return Err(Refused::Relearning);
        }
        if self.epoch == epoch && self.holder == holder {
            return Ok(());
        }
        if epoch <= self.epoch {
            return Err(Refused::Granted { epoch: self.epoch, holder: self.holder.clone() });
        }
        if promotes && self.protection == Protection::Exposed {
            return Err(Refused::Exposed);
        }
        self.epoch = epoch;
        holder.clone_into(&mut self.holder);
        Ok(())
    }

    /// Records how well the pool is protected.
    ///
    /// # Errors
    /// [`Refused`]
    pub fn set_protection(&mut self, epoch: u64, holder: &str, protection: Protection) -> Result<(), Refused> {
        if self.relearning.is_some() {
            return Err(Refused::Relearning);
        }
        if (self.epoch, self.holder.as_str()) != (epoch, holder) {
            return Err(Refused::NotHolder { epoch: self.epoch, holder: self.holder.clone() });
        }
        self.protection = protection;
        Ok(())
    }

    /// What a data node knows. The highest epoch is believed; of protection the worse. When all of `needed` have told it, it votes again.
    pub fn tell(&mut self, from: &str, epoch: u64, holder: &str, protection: Protection, needed: &[String]) {
        let Some(heard) = &mut self.relearning else { return };
        if epoch > self.epoch {
            self.epoch = epoch;
            holder.clone_into(&mut self.holder);
            self.protection = protection;
        } else if epoch == self.epoch && protection == Protection::Exposed {
            self.protection = Protection::Exposed;
        }
        if !heard.iter().any(|name| name == from) {
            heard.push(from.to_owned());
        }
        if needed.iter().all(|name| heard.contains(name)) {
            self.relearning = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both() -> Vec<String> {
        vec!["a1".into(), "a2".into()]
    }

    fn learned() -> Register {
        let mut register = Register::lost();
        register.tell("a1", 5, "a1", Protection::InSync, &both());
        register.tell("a2", 5, "a1", Protection::InSync, &both());
        register
    }

    #[test]
    fn an_epoch_is_granted_once() {
        let mut register = learned();
        assert_eq!(register.claim(6, "a2", true), Ok(()));
        assert_eq!(register.claim(6, "a2", true), Ok(()), "the same again");
        assert!(matches!(register.claim(6, "a1", false), Err(Refused::Granted { epoch: 6, .. })));
        assert!(matches!(register.claim(5, "a1", false), Err(Refused::Granted { epoch: 6, .. })));
    }

    #[test]
    fn exposed_and_promoted_exclude_each_other() {
        let mut register = learned();
        assert_eq!(register.set_protection(5, "a1", Protection::Exposed), Ok(()));
        assert_eq!(register.claim(6, "a2", true), Err(Refused::Exposed));
        assert_eq!(register.set_protection(5, "a1", Protection::InSync), Ok(()));
        assert_eq!(register.claim(6, "a2", true), Ok(()));
        assert!(matches!(
            register.set_protection(5, "a1", Protection::Exposed),
            Err(Refused::NotHolder { epoch: 6, .. })
        ));
    }

    #[test]
    fn one_that_lost_its_memory_does_not_vote_until_both_have_told_it() {
        let mut register = Register::lost();
        assert_eq!(register.claim(1, "a1", false), Err(Refused::Relearning));
        register.tell("a1", 4, "a1", Protection::InSync, &both());
        register.tell("a1", 4, "a1", Protection::InSync, &both());
        assert_eq!(register.claim(5, "a1", false), Err(Refused::Relearning));
        register.tell("a2", 5, "a2", Protection::Exposed, &both());
        assert_eq!((register.epoch, register.holder.as_str()), (5, "a2"));
        assert_eq!(register.claim(6, "a1", true), Err(Refused::Exposed));
        assert_eq!(register.claim(6, "a1", false), Ok(()));
    }
}
