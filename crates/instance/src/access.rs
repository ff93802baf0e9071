//! Who may connect to an instance.
//!
//! TCP only with a certificate of the pool's authority; the socket is in a directory that only the agent's own user can enter.

use serde::{Deserialize, Serialize};

/// How far the door is open.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// For the agent alone, on the socket.
    Closed,
    /// Also for other instances: to stream, to copy, to rewind.
    Replication,
    /// Also for chat servers.
    Open,
}

const HEAD: &str = "# Access: ";

impl Access {
    /// `pg_hba.conf`.
    pub(crate) fn pg_hba_conf(self) -> String {
        let mut text = format!("{HEAD}{}. Written by the agent.\n", self.word());
        text.push_str("local all postgres trust\nlocal replication postgres trust\n");
        if self >= Access::Replication {
            text.push_str("hostssl replication replicator all cert map=pool\n");
            // pg_rewind reads files through functions, in an ordinary session.
            text.push_str("hostssl postgres replicator all cert map=pool\n");
        }
        if self >= Access::Open {
            text.push_str("hostssl mgc holdfast all cert map=pool\n");
        }
        text
    }

    /// What a file of ours says.
    pub(crate) fn read(pg_hba_conf: &str) -> Option<Access> {
        let word = pg_hba_conf.strip_prefix(HEAD)?.split('.').next()?;
        [Access::Closed, Access::Replication, Access::Open].into_iter().find(|access| access.word() == word)
    }

    fn word(self) -> &'static str {
        match self {
            Access::Closed => "closed",
            Access::Replication => "replication",
            Access::Open => "open",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_what_it_writes() {
        for access in [Access::Closed, Access::Replication, Access::Open] {
            assert_eq!(Access::read(&access.pg_hba_conf()), Some(access));
        }
        assert_eq!(Access::read("local all all trust"), None);
    }

    #[test]
    fn nobody_comes_in_by_tcp_without_a_certificate() {
        for access in [Access::Closed, Access::Replication, Access::Open] {
            for line in access.pg_hba_conf().lines().filter(|line| line.starts_with("host")) {
                assert!(line.starts_with("hostssl ") && line.ends_with(" cert map=pool"), "{line}");
            }
        }
        assert!(!Access::Closed.pg_hba_conf().contains("host"));
        assert!(!Access::Replication.pg_hba_conf().contains("holdfast"));
    }
}
