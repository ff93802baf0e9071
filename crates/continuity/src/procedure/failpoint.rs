//! Places at which a test can have the agent die as if its machine had lost power: before and after everything that a procedure writes or does.
//!
//! `HOLDFAST_FAILPOINTS=failover.promote.acted` in the agent's environment. Only builds for tests look at it. `retain.soon` there is another sort: what comes
//! once a day comes at once.

/// Whether that is asked for.
pub(crate) fn is_wanted(word: &str) -> bool {
    #[cfg(debug_assertions)]
    {
        use std::sync::LazyLock;
        static WANTED: LazyLock<Vec<String>> = LazyLock::new(|| {
            let wanted = std::env::var("HOLDFAST_FAILPOINTS").unwrap_or_default();
            wanted.split(',').map(str::trim).filter(|w| !w.is_empty()).map(str::to_owned).collect()
        });
        WANTED.iter().any(|wanted| wanted == word)
    }
    #[cfg(not(debug_assertions))]
    {
        let _ = word;
        false
    }
}

/// Dies here if that was asked for.
pub(super) fn reach(kind: &str, step: &str, place: &str) {
    if is_wanted(&format!("{kind}.{step}.{place}")) {
        // Nothing is written, closed or said any more.
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}
