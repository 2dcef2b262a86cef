//! The configuration that a command line asks for: the command line finds it, a running exchange reads it again.

use std::path::{Path, PathBuf};
use sx_config::{Config, ConfigError, LogLevel};

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

    /// What a command needs that works on the data folder and on nothing else: where it is given, no file is read.
    ///
    /// # Errors
    /// All that is wrong with the configuration, when it must say where the folder is.
    pub fn load_for_folder(&self) -> Result<Config, Vec<ConfigError>> {
        let Some(data) = &self.data else { return self.load() };
        let mut config = Config::default();
        config.exchange.data.clone_from(data);
        Ok(config)
    }
}

/// `-v` adds to what the configuration says, and never takes away from it.
pub fn raise_log_level(config: &mut Config, verbose: u8) {
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
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
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
