//! Finding, reading, checking and printing the configuration.

use super::{WRONG, output};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use sx_config::{Config, ConfigError};

/// Where the configuration is looked for when nobody says where it is.
const USUAL: [&str; 2] = ["./strowger.toml", "/etc/strowger/strowger.toml"];

/// The file to read; `None`: there is none, and the built-in defaults hold.
pub(crate) fn find(said: Option<PathBuf>) -> Option<PathBuf> {
    said.or_else(|| USUAL.iter().map(PathBuf::from).find(|path| path.exists()))
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
