//! How a command ends: the exit codes, and failures that carry one.

use std::fmt;

/// The exit codes of every command. Scripts rely on them, so a number never changes its meaning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    /// It was done, and everything holds.
    Done = 0,
    /// Something does not hold (`verify`, `config check`, `db check`), or the request was refused.
    Refused = 1,
    /// The command line is wrong. Nothing was tried.
    Usage = 2,
    /// No server answers and the data cannot be opened, or the server cannot do it now. It may work later.
    Unavailable = 3,
    /// What was named is not there.
    Missing = 4,
    /// It is not known whether the change was made; running the command again is safe where its help says so.
    Unknown = 5,
}

impl Exit {
    /// All of them, for the help.
    pub(crate) const ALL: [Exit; 6] =
        [Exit::Done, Exit::Refused, Exit::Usage, Exit::Unavailable, Exit::Missing, Exit::Unknown];

    /// One line for the help.
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Exit::Done => "Done; everything holds.",
            Exit::Refused => {
                "Refused, or something does not hold: a wrong value, a right that lacks, a fault found by `verify` or `db check`."
            }
            Exit::Usage => "The command line is wrong; nothing was tried.",
            Exit::Unavailable => {
                "Cannot be done now: no server answers, the data is in use or cannot be opened, the database is away, the disk is full."
            }
            Exit::Missing => "What was named is not there.",
            Exit::Unknown => {
                "The connection broke before the answer came: it is not known whether the change was made."
            }
        }
    }
}

/// A failure that says what to do next and carries its exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) exit: Exit,
    /// What happened and what to do: one or two sentences.
    pub(crate) message: String,
    /// The server's own problem document, for `--json`.
    pub(crate) problem: Option<serde_json::Value>,
}

impl Failure {
    /// A failure with a sentence.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), problem: None }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// A refusal (exit code 1) with a sentence.
pub(crate) fn refused(message: impl Into<String>) -> anyhow::Error {
    Failure::new(Exit::Refused, message).into()
}

/// Wrong usage (exit code 2) with a sentence.
pub(crate) fn usage(message: impl Into<String>) -> anyhow::Error {
    Failure::new(Exit::Usage, message).into()
}

/// Something that cannot be done now (exit code 3) with a sentence.
pub(crate) fn unavailable(message: impl Into<String>) -> anyhow::Error {
    Failure::new(Exit::Unavailable, message).into()
}

/// Something that is not there (exit code 4) with a sentence.
pub(crate) fn missing(message: impl Into<String>) -> anyhow::Error {
    Failure::new(Exit::Missing, message).into()
}

/// The same failure, where the server names a field of the request that is called otherwise on the command line: fields, and what they are called here.
pub(crate) fn naming(error: anyhow::Error, options: &[(&str, &str)]) -> anyhow::Error {
    match error.downcast::<Failure>() {
        Ok(mut failure) => {
            let field = failure.problem.as_ref().and_then(|problem| problem["field"].as_str());
            if let Some((field, option)) = options.iter().find(|(name, _)| field == Some(name)) {
                failure.message = failure.message.replace(&format!("`{field}`"), &format!("`{option}`"));
            }
            failure.into()
        }
        Err(other) => other,
    }
}

/// The exit code of any error: its own, or "unavailable" for what the operating system said.
pub(crate) fn code_of(error: &anyhow::Error) -> Exit {
    error.chain().find_map(|e| e.downcast_ref::<Failure>()).map_or(Exit::Unavailable, |f| f.exit)
}
