//! Categories: they group rooms and bound who may ever get into them (M1-M11).

use crate::id::{CategoryId, PrincipalId};
use crate::name::Name;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A category. Its lists name users and groups; who is denied is out, whatever else allows them (M4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Category {
    /// Its number.
    pub id: CategoryId,
    /// Unique in the pool, among rooms as well (M12).
    pub name: Name,
    /// One line for administrators.
    #[serde(default)]
    pub description: String,
    /// Who may become a member or manager of its rooms, and find its open and closed ones.
    #[serde(default)]
    pub allowed: BTreeSet<PrincipalId>,
    /// Exceptions from `allowed`; they win.
    #[serde(default)]
    pub denied: BTreeSet<PrincipalId>,
    /// Who may create rooms in it, as far as `allowed` and `denied` admit them.
    #[serde(default)]
    pub creators: BTreeSet<PrincipalId>,
    /// Whether people added to a room are told; off here is off in every room of it (M31).
    pub invitations: bool,
    /// Whether files may be uploaded (M7).
    pub file_upload: bool,
    /// Whether members may read what was said before; off makes its rooms real-time only (M43).
    pub history: bool,
}
