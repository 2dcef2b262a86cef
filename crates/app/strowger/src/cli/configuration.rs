//! Finding, reading, checking and printing the configuration.

use super::{WRONG, output};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use sx_config::{Config, ConfigError, LogLevel};

/// Where the configuration is looked for when nobody says where it is.
const USUAL: [&str; 2] = ["./strowger.toml", "/etc/strowger/strowger.toml"];

/// The file to read; `None`: there is none, and the built-in defaults hold.
pub(crate) fn find(said: Option<PathBuf>) -> Option<PathBuf> {
    said.or_else(|| USUAL.iter().map(PathBuf::from).find(|path| path.exists()))
}

/// The configuration that a command line asks for, which can be read again.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The file; `None`: the built-in defaults.
    pub path: Option<PathBuf>,
    /// The data folder instead of the one that the file names.
    pub data: Option<PathBuf>,
    /// How much more the log is to say.
    pub verbose: u8,
}

impl Wanted {
    /// Reads it. What the command line says holds every time.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn load(&self) -> Result<Config, Vec<ConfigError>> {
        let mut config = load_config(self.path.as_deref())?;
        if let Some(data) = &self.data {
            config.exchange.data.clone_from(data);
        }
        raise_log_level(&mut config, self.verbose);
        Ok(config)
    }
}

/// `-v` adds to what the configuration says, and never takes away from it.
pub(crate) fn raise_log_level(config: &mut Config, verbose: u8) {
    let wanted = match verbose {
        0 => return,
        1 => LogLevel::Debug,
        _ => LogLevel::Trace,
    };
    config.log.level = config.log.level.max(wanted);
}

/// Reads a configuration file, or the built-in defaults; in both cases environment variables override.
fn load_config(path: Option<&Path>) -> Result<Config, Vec<ConfigError>> {
    match path {
        Some(path) => Config::load(path, environment()),
        None => Config::from_text_with_env("", environment()),
    }
}

/// The environment variables. One that is no UTF-8 cannot be one of ours.
pub(crate) fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Prints what is wrong: a line each to standard error, or a JSON array.
pub(crate) fn report(errors: &[ConfigError], json: bool) -> anyhow::Result<ExitCode> {
    if json {
        let array: Vec<_> = errors.iter().map(error_object).collect();
        output::text(&format!("{}\n", serde_json::Value::Array(array)))?;
    } else {
        errors.iter().for_each(|error| eprintln!("{error}"));
        let count = errors.len();
        eprintln!("strowger: {count} error{} in the configuration", if count == 1 { "" } else { "s" });
    }
    Ok(ExitCode::from(WRONG))
}

fn error_object(error: &ConfigError) -> serde_json::Value {
    json!({
        "file": error.file,
        "line": (error.line > 0).then_some(error.line),
        "key": error.key,
        "value": error.value,
        "problem": error.problem.to_string(),
    })
}

/// `strowger check`, when all keys are good: do the parts fit together as well?
pub(crate) fn run_check(config: &Config, path: Option<&Path>, json: bool) -> anyhow::Result<ExitCode> {
    let name = path.map_or_else(|| "built-in defaults".to_owned(), |path| path.display().to_string());
    // Which addresses this host has is known when the exchange starts; no check depends on them.
    if let Err(errors) = sx_exchange::Tables::build(config, Vec::new(), None) {
        let problems: Vec<String> = errors.iter().map(ToString::to_string).collect();
        if json {
            let objects = problems
                .iter()
                .map(|problem| json!({ "file": name, "line": null, "key": "", "value": "", "problem": problem }));
            output::text(&format!("{}\n", serde_json::Value::Array(objects.collect())))?;
        } else {
            problems.iter().for_each(|problem| eprintln!("{name}: {problem}"));
        }
        return Ok(ExitCode::from(WRONG));
    }
    if json {
        return output::text("[]\n");
    }
    let listen = config.sip.listen.iter().map(|listen| format!("{}:{}", listen.transport, listen.address));
    output::text(&format!(
        "{name}: good\n  domains   {}\n  listens   {}\n  data      {}\n  trunks    {}\n  routes    {}\n",
        config.exchange.domains.join(", "),
        listen.collect::<Vec<_>>().join(", "),
        config.exchange.data.display(),
        config.trunks.len(),
        config.routes.len(),
    ))
}

/// `strowger print-config`.
pub(crate) fn run_print(config: &Config, json: bool) -> anyhow::Result<ExitCode> {
    let text = config.print();
    if json {
        let tree: serde_json::Value = toml::from_str(&text)?;
        return output::text(&format!("{tree}\n"));
    }
    output::text(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_command_line_says_holds_when_the_file_is_read_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("strowger.toml");
        std::fs::write(&path, "[exchange]\ndata = \"elsewhere\"\n").expect("a file");
        let wanted = Wanted { path: Some(path), data: Some("here".into()), verbose: 1 };
        let running = wanted.load().expect("a good file");
        assert_eq!((running.exchange.data.as_path(), running.log.level), (Path::new("here"), LogLevel::Debug));
        let again = wanted.load().expect("a good file");
        assert!(sx_config::diff(&running, &again).is_empty(), "nothing has changed");
    }

    #[test]
    fn verbosity_only_adds() {
        let mut config = Config::default();
        config.log.level = LogLevel::Trace;
        raise_log_level(&mut config, 1);
        assert_eq!(config.log.level, LogLevel::Trace);
        config.log.level = LogLevel::Error;
        raise_log_level(&mut config, 1);
        assert_eq!(config.log.level, LogLevel::Debug);
    }
}
