//! Reading the settings: file, then environment. Every error names its place and what was expected.

use super::{Config, check};
use std::fmt;
use std::path::{Path, PathBuf};

/// Where the settings are looked for when no file is named.
const USUAL_FILE: &str = "/etc/holdfast/holdfast.toml";

/// Environment variables `HOLDFAST_SECTION__KEY` set settings; the two underscores tell them from others.
const PREFIX: &str = "HOLDFAST_";

/// The settings and where they came from.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The settings.
    pub(crate) config: Config,
    /// The file, if there was one.
    pub(crate) file: Option<PathBuf>,
    /// The environment variables that were used.
    pub(crate) environment: Vec<String>,
}

/// Something wrong with the settings: where, and what was expected.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ConfigError {
    /// `FILE:LINE` or the environment variable.
    pub(crate) place: String,
    /// A sentence.
    pub(crate) what: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

impl std::error::Error for ConfigError {}

/// Reads the settings from `file` (or the usual one, if it is there) and from `environment`.
///
/// # Errors
/// The first thing that is wrong.
pub(crate) fn load(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Loaded, ConfigError> {
    let file = file.map(Path::to_owned).or_else(|| Some(PathBuf::from(USUAL_FILE)).filter(|p| p.is_file()));
    let text = match &file {
        Some(path) => std::fs::read_to_string(path)
            .map_err(|e| ConfigError { place: path.display().to_string(), what: format!("cannot be read: {e}") })?,
        None => String::new(),
    };
    let name = file.as_ref().map_or_else(String::new, |p| p.display().to_string());
    let mut table = parse(&name, &text)?;

    let mut used = Vec::new();
    let mut variables: Vec<(String, String)> =
        environment.into_iter().filter(|(k, _)| k.strip_prefix(PREFIX).is_some_and(|k| k.contains("__"))).collect();
    variables.sort();
    for (variable, value) in variables {
        // One after the other, so that an error is known to be this variable's.
        let config = put(&mut table, &variable, &value)?;
        check::all(&config).map_err(|wrong| ConfigError {
            place: variable.clone(),
            what: format!("{} {}", wrong.key, wrong.expected),
        })?;
        used.push(variable);
    }
    let config = typed(&table).map_err(|what| ConfigError { place: name.clone(), what })?;
    check::together(&config).map_err(|wrong| ConfigError {
        place: line_of(&text, wrong.section, wrong.key).map_or_else(|| name.clone(), |line| format!("{name}:{line}")),
        what: format!("{}.{} {}", wrong.section, wrong.key, wrong.expected),
    })?;
    Ok(Loaded { config, file, environment: used })
}

fn parse(name: &str, text: &str) -> Result<toml::Table, ConfigError> {
    let at = |offset: usize| {
        let before = text.get(..offset).unwrap_or(text);
        let column = before.rsplit('\n').next().map_or(1, |l| l.chars().count() + 1);
        format!("{name}:{}:{column}", before.matches('\n').count() + 1)
    };
    let config: Config = toml::from_str(text).map_err(|e| ConfigError {
        place: e.span().map_or_else(|| name.to_owned(), |span| at(span.start)),
        what: sentence(e.message()),
    })?;
    check::all(&config).map_err(|wrong| ConfigError {
        place: line_of(text, wrong.section, wrong.key).map_or_else(|| name.to_owned(), |line| format!("{name}:{line}")),
        what: format!("{} {}", wrong.key, wrong.expected),
    })?;
    toml::from_str(text).map_err(|e| ConfigError { place: name.to_owned(), what: sentence(e.message()) })
}

fn typed(table: &toml::Table) -> Result<Config, String> {
    table.clone().try_into().map_err(|e: toml::de::Error| sentence(e.message()))
}

/// Sets what `HOLDFAST_SECTION__KEY` names, and answers the settings with it.
fn put(table: &mut toml::Table, variable: &str, text: &str) -> Result<Config, ConfigError> {
    let wrong = |what: String| ConfigError { place: variable.to_owned(), what };
    let path = variable.trim_start_matches(PREFIX).to_lowercase();
    let Some((section, key)) = path.split_once("__") else {
        return Err(wrong("expected HOLDFAST_SECTION__KEY".into()));
    };
    let mut set = |value: toml::Value| {
        let section = table.entry(section).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        if let Some(section) = section.as_table_mut() {
            section.insert(key.to_owned(), value);
        }
        typed(table)
    };
    // What is no TOML value (`0.0.0.0:80`, `debug`) is text, and so is what is one but not of the setting's type (a name `7`).
    let value = toml::from_str::<toml::Table>(&format!("v = {text}"))
        .ok()
        .filter(|t| t.len() == 1)
        .and_then(|mut t| t.remove("v"));
    let as_text = toml::Value::String(text.to_owned());
    match value {
        Some(value) => set(value).or_else(|first| set(as_text).map_err(|_| first)),
        None => set(as_text),
    }
    .map_err(wrong)
}

/// The line on which `section.key` is set.
fn line_of(text: &str, section: &str, key: &str) -> Option<usize> {
    let mut current = "";
    for (i, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.split(']').next()) {
            current = name.trim();
        } else if let Some((left, _)) = line.split_once('=') {
            let left = left.trim();
            if (current == section && left == key) || (current.is_empty() && left == format!("{section}.{key}")) {
                return Some(i + 1);
            }
        }
    }
    None
}

/// The parser's message as one line.
fn sentence(message: &str) -> String {
    message.split('\n').map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        parse("holdfast.toml", text).unwrap_err().to_string()
    }

    fn with_env(variables: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
        load(Some(Path::new("/dev/null")), variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
    }

    #[test]
    fn an_unknown_setting_is_refused_with_its_place_and_what_there_is() {
        let e = wrong("[server]\nname = \"x\"\nport = 80\n");
        assert!(
            e.starts_with("holdfast.toml:3:1: unknown field `port`, expected one of `name`, `data`, `http`"),
            "{e}"
        );
    }

    #[test]
    fn a_wrong_type_is_refused_with_its_place_and_what_was_expected() {
        let e = wrong("[limits]\nroster = \"many\"\n");
        assert!(e.starts_with("holdfast.toml:2:10: ") && e.contains("expected usize"), "{e}");
        let e = wrong("[server]\nhttp = \"here\"\n");
        assert!(e.starts_with("holdfast.toml:2:8: ") && e.contains("socket address"), "{e}");
    }

    #[test]
    fn a_value_out_of_bounds_is_refused_with_its_line() {
        let e = wrong("[log]\n\n[limits]\n# two\nmessage_chars = 0\n");
        assert!(e.starts_with("holdfast.toml:5: message_chars must be"), "{e}");
    }

    #[test]
    fn a_databases_address_is_refused_with_its_line_and_without_its_password() {
        let e = wrong("[database]\nurl = \"postgres://u:hunter2@db\"\n");
        assert!(e.starts_with("holdfast.toml:2: url must name a database") && !e.contains("hunter2"), "{e}");
        let e = with_env(&[("HOLDFAST_DATABASE__URL", "mysql://u:hunter2@db/x")]).unwrap_err().to_string();
        assert!(
            e.starts_with("HOLDFAST_DATABASE__URL: url must be empty or begin with") && !e.contains("hunter2"),
            "{e}"
        );
        let config = with_env(&[("HOLDFAST_DATABASE__URL", "postgres://u:hunter2@db/x")]).unwrap().config;
        assert!(config.database.is_shared() && config.database.url.secret().contains("hunter2"));
        assert!(!toml::to_string(&config).unwrap().contains("hunter2"));
        let e = wrong("[pool]\nserver = \"Chat 1\"\n");
        assert!(e.starts_with("holdfast.toml:2: server must be 1 to 63"), "{e}");
    }

    #[test]
    fn broken_toml_is_refused_with_its_place() {
        let e = wrong("[server]\nname = \n");
        assert!(e.starts_with("holdfast.toml:2:"), "{e}");
    }

    #[test]
    fn the_environment_wins_and_its_errors_name_the_variable() {
        let loaded = with_env(&[
            ("HOLDFAST_SERVER__HTTP", "0.0.0.0:99"),
            ("HOLDFAST_LIMITS__ROSTER", "7"),
            ("HOLDFAST_TOKEN", "x"),
        ])
        .unwrap();
        assert_eq!(loaded.config.server.http.port(), 99);
        assert_eq!(loaded.config.limits.roster, 7);
        assert_eq!(loaded.environment, ["HOLDFAST_LIMITS__ROSTER", "HOLDFAST_SERVER__HTTP"]);
        let e = with_env(&[("HOLDFAST_SERVER__PORT", "1")]).unwrap_err().to_string();
        assert!(e.starts_with("HOLDFAST_SERVER__PORT: unknown field `port`"), "{e}");
        let e = with_env(&[("HOLDFAST_HTTP__DRAIN_SECONDS", "9999")]).unwrap_err().to_string();
        assert!(e.starts_with("HOLDFAST_HTTP__DRAIN_SECONDS: drain_seconds must be"), "{e}");
    }

    #[test]
    fn a_text_that_looks_like_a_number_stays_what_its_setting_needs() {
        assert_eq!(with_env(&[("HOLDFAST_SERVER__NAME", "Ops chat")]).unwrap().config.server.name, "Ops chat");
        assert_eq!(with_env(&[("HOLDFAST_SERVER__NAME", "7")]).unwrap().config.server.name, "7");
    }
}
