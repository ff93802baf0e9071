//! Losing a site.

use crate::{Lab, names, processes};
use anyhow::{Result, ensure};

impl Lab {
    /// Kills every process of a site at once: agents, PostgreSQL with all of its children, chat servers, and whatever they have started. They are stopped
    /// first, so that none of them does anything about the others' end. Answers how many there were. The witness is in a third place.
    ///
    /// # Errors
    /// When there is no such site, or its processes do not go.
    pub fn kill(&self, site: &str) -> Result<usize> {
        ensure!(
            names::SITES.contains(&site),
            "there is no site {site:?}; the sites are {}",
            names::SITES.join(" and ")
        );
        processes::kill(&self.place, &self.place.site(site))
    }
}
