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
        array(errors.iter().map(error_object))?;
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
        "warning": false,
    })
}

fn array(objects: impl Iterator<Item = serde_json::Value>) -> anyhow::Result<ExitCode> {
    output::text(&format!("{}\n", serde_json::Value::Array(objects.collect())))
}

/// `strowger check`, when all keys are good: do the parts fit together as well, and can the files be read that they name?
pub(crate) fn run_check(config: &Config, path: Option<&Path>, json: bool) -> anyhow::Result<ExitCode> {
    let name = path.map_or_else(|| "built-in defaults".to_owned(), |path| path.display().to_string());
    // Which addresses this host has is known when the exchange starts; no check depends on them.
    let tables = sx_exchange::Tables::build(config, Vec::new(), None).err().unwrap_or_default();
    let mut found: Vec<Finding> = tables.iter().map(|error| Finding::in_words(&name, &error.to_string())).collect();
    found.extend(check_policy(config));
    if let Err(error) = serve::countries(config) {
        found.push(Finding::in_words(&name, &error.to_string()));
    }
    // Those that hardly matter come first, so that the others are seen.
    found.sort_by_key(|finding| !finding.is_warning);
    let is_wrong = found.iter().any(|finding| !finding.is_warning);
    if json {
        array(found.into_iter().map(|finding| finding.object))?;
        return Ok(if is_wrong { ExitCode::from(WRONG) } else { ExitCode::SUCCESS });
    }
    found.iter().for_each(|finding| eprintln!("{}", finding.line));
    if is_wrong {
        return Ok(ExitCode::from(WRONG));
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

/// Something that is wrong, or that is hardly meant, for people and for programs.
struct Finding {
    is_warning: bool,
    line: String,
    object: serde_json::Value,
}

impl Finding {
    fn in_words(file: &str, problem: &str) -> Self {
        let object =
            json!({ "file": file, "line": null, "key": "", "value": "", "problem": problem, "warning": false });
        Self { is_warning: false, line: format!("{file}: {problem}"), object }
    }

    fn said(error: &ConfigError) -> Self {
        Self { is_warning: false, line: error.to_string(), object: error_object(error) }
    }

    fn warning(file: &str, problem: &str) -> Self {
        let mut finding = Self::in_words(file, problem);
        finding.object["warning"] = true.into();
        Self { is_warning: true, line: format!("{file}: warning: {problem}"), ..finding }
    }
}

/// Reads the policy that the configuration names. What is no error, and yet hardly meant, is a warning.
fn check_policy(config: &Config) -> Vec<Finding> {
    let Some(path) = &config.policy.file else { return Vec::new() };
    let file = path.display().to_string();
    let (definition, hash) = match sx_config::read_policy(path) {
        Ok(read) => read,
        Err(errors) => return errors.iter().map(Finding::said).collect(),
    };
    match Policy::build(definition, hash) {
        Ok(policy) => {
            let trunks = serve::unknown_trunks(&policy, config).into_iter();
            let unknown =
                trunks.map(|trunk| format!("it names the trunk {trunk}, which the configuration does not have"));
            let unmet = sx_exchange::unmet_rules(&policy).map(|unmet| unmet.to_string());
            unknown.chain(unmet).map(|warning| Finding::warning(&file, &warning)).collect()
        }
        Err(errors) => errors.iter().map(|error| Finding::in_words(&file, &error.to_string())).collect(),
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
