//! `holdfast config`: the settings.

use super::settings;
use crate::cli::Global;
use crate::config::example;
use crate::exit::{Exit, refused};
use crate::output::Output;
use anyhow::{Context as _, Result};
use clap::Subcommand;
use serde_json::json;
use std::path::PathBuf;

/// What can be done with the settings.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Check a settings file, and the environment, without starting anything
    #[command(after_help = "Example:\n  holdfast config check /etc/holdfast/holdfast.toml")]
    Check {
        /// The file [default: the one that `serve` would use]
        file: Option<PathBuf>,
    },
    /// Show the settings as they are in force
    #[command(after_help = "Example:\n  holdfast config show --json")]
    Show,
    /// Print a settings file with every setting, its meaning and its default
    #[command(after_help = "Example:\n  holdfast config example > holdfast.toml")]
    Example,
}

/// Does what was asked.
pub(crate) fn run(verb: &Verb, global: &Global, out: Output) -> Result<Exit> {
    match verb {
        Verb::Check { file } => {
            let environment =
                std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
            let file = file.as_deref().or(global.config.as_deref());
            let loaded = crate::config::load(file, environment).map_err(|e| refused(e.to_string()))?;
            let report = json!({ "holds": true, "file": loaded.file, "environment": loaded.environment });
            out.value(&report, |_| {
                let file = loaded.file.as_ref().map_or_else(|| "no file".to_owned(), |f| f.display().to_string());
                format!("The settings are good ({file}, {} from the environment).", loaded.environment.len())
            });
        }
        Verb::Show => {
            let config = settings(global)?.config;
            let value = serde_json::to_value(&config).context("writing the settings")?;
            let text = toml::to_string(&config).context("writing the settings")?;
            out.value(&value, |_| text.trim_end().to_owned());
        }
        Verb::Example => out.value(&json!({ "example": example() }), |_| example().trim_end().to_owned()),
    }
    Ok(Exit::Done)
}
