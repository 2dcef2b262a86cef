//! Finding, reading, checking and printing the configuration.

use super::{WRONG, output};
use crate::serve;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use sx_config::{Config, ConfigError};
use sx_guard::Policy;

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

/// One error, for programs.
pub(super) fn error_object(error: &ConfigError) -> serde_json::Value {
    json!({
        "file": error.file,
        "line": (error.line > 0).then_some(error.line),
        "key": error.key,
        "value": error.value,
        "problem": error.problem.to_string(),
    })
}

/// `strowger check`, when all keys are good: do the parts fit together as well, and can the files be read that they name?
pub(crate) fn run_check(config: &Config, path: Option<&Path>, json: bool) -> anyhow::Result<ExitCode> {
    let name = path.map_or_else(|| "built-in defaults".to_owned(), |path| path.display().to_string());
    // Which addresses this host has is known when the exchange starts; no check depends on them.
    let tables = sx_exchange::Tables::build(config, Vec::new(), None).err().unwrap_or_default();
    let mut wrong: Vec<Wrong> = tables.iter().map(|error| Wrong::in_words(&name, &error.to_string())).collect();
    let warnings = check_policy(config, &mut wrong);
    if let Err(error) = serve::countries(config) {
        wrong.push(Wrong::in_words(&name, &error.to_string()));
    }
    warnings.iter().for_each(|warning| eprintln!("{warning}"));
    if !wrong.is_empty() {
        if json {
            let objects = wrong.into_iter().map(|wrong| wrong.object);
            output::text(&format!("{}\n", serde_json::Value::Array(objects.collect())))?;
        } else {
            wrong.iter().for_each(|wrong| eprintln!("{}", wrong.line));
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

/// Something that is wrong, for people and for programs.
struct Wrong {
    line: String,
    object: serde_json::Value,
}

impl Wrong {
    fn in_words(file: &str, problem: &str) -> Self {
        let line = format!("{file}: {problem}");
        Self { line, object: json!({ "file": file, "line": null, "key": "", "value": "", "problem": problem }) }
    }
}

/// Reads the policy that the configuration names. What is no error, and yet hardly meant, is a warning.
fn check_policy(config: &Config, wrong: &mut Vec<Wrong>) -> Vec<String> {
    let Some(path) = &config.policy.file else { return Vec::new() };
    let file = path.display().to_string();
    let (definition, hash) = match sx_config::read_policy(path) {
        Ok(read) => read,
        Err(errors) => {
            wrong.extend(errors.iter().map(|error| Wrong { line: error.to_string(), object: error_object(error) }));
            return Vec::new();
        }
    };
    match Policy::build(definition, hash) {
        Ok(policy) => {
            let trunks = serve::unknown_trunks(&policy, config).into_iter();
            let unknown =
                trunks.map(|trunk| format!("it names the trunk {trunk}, which the configuration does not have"));
            let unmet = sx_exchange::unmet_rules(&policy).map(|unmet| unmet.to_string());
            unknown.chain(unmet).map(|warning| format!("{file}: warning: {warning}")).collect()
        }
        Err(errors) => {
            wrong.extend(errors.iter().map(|error| Wrong::in_words(&file, &error.to_string())));
            Vec::new()
        }
    }
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
