//! Finding, reading, checking and printing the configuration.

use super::{WRONG, output};
use crate::serve;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use sx_config::{Config, ConfigError};
use sx_exchange::{About, Doubt};
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
        errors.iter().for_each(|error| tell!("{error}"));
        let count = errors.iter().map(ConfigError::count).sum::<usize>();
        tell!("strowger: {count} error{} in the configuration", if count == 1 { "" } else { "s" });
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
    found.extend(serve::unbuilt(config).map(|why| Finding::in_words(&name, why)));
    found.extend(plain_api(config).map(|why| Finding::in_words(&name, &why)));
    found.extend(no_folder(config).map(|why| Finding::in_words(&name, &why)));
    found.extend(check_policy(config, &name));
    let sounds = serve::sounds(config).err().unwrap_or_default();
    found.extend(sounds.iter().map(|error| Finding::in_words(&name, error)));
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
    found.iter().for_each(|finding| tell!("{}", finding.line));
    if is_wrong {
        return Ok(ExitCode::from(WRONG));
    }
    let listen = config.sip.listen.iter().map(|listen| format!("{}:{}", listen.transport, listen.address));
    output::text(&format!(
        "{name}: good\n  domains   {}\n  listens   {}\n  data      {}\n  trunks    {}\n  rooms     {}\n  routes    {}\n",
        config.exchange.domains.join(", "),
        listen.collect::<Vec<_>>().join(", "),
        config.exchange.data.display(),
        config.trunks.len(),
        config.rooms.len(),
        config.routes.len(),
    ))
}

/// Would tokens for the management API pass a network in the clear? It does not start then.
fn plain_api(config: &Config) -> Option<String> {
    let api = &config.api;
    if api.identity.is_some() || api.listen.ip().to_canonical().is_loopback() {
        return None;
    }
    let why = sx_http::StartError::PlainText { server: "management server", address: api.listen };
    Some(format!("api.listen: {why}"))
}

/// Is there something else where the folder of recordings is to be? The exchange makes it when it is not there.
fn no_folder(config: &Config) -> Option<String> {
    let folder = &config.recording.as_ref()?.folder;
    let is_taken = std::fs::metadata(folder).is_ok_and(|there| !there.is_dir());
    is_taken.then(|| format!("recording.folder: {} is no folder", folder.display()))
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

    /// A doubt about one of these two files.
    fn warning((configuration, policy): (&str, &str), doubt: &Doubt) -> Self {
        let file = if doubt.about == About::Policy { policy } else { configuration };
        let object = json!({ "file": file, "line": null, "key": doubt.key, "value": "", "problem": doubt.sentence,
            "warning": true });
        Self { is_warning: true, line: format!("{file}: warning: {doubt}"), object }
    }
}

/// Reads the policy that the configuration names, if any. What is no error in either, and yet hardly meant, is a warning.
fn check_policy(config: &Config, name: &str) -> Vec<Finding> {
    let file = config.policy.file.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    let warnings = |policy: Option<&Policy>| -> Vec<Finding> {
        let doubts = serve::doubts(config, policy);
        doubts.iter().map(|doubt| Finding::warning((name, &file), doubt)).collect()
    };
    let Some(path) = &config.policy.file else { return warnings(None) };
    let (definition, hash) = match sx_config::read_policy(path) {
        Ok(read) => read,
        Err(errors) => return warnings(None).into_iter().chain(errors.iter().map(Finding::said)).collect(),
    };
    match Policy::build(definition, hash) {
        Ok(policy) => warnings(Some(&policy)),
        Err(errors) => {
            let wrong = errors.iter().map(|error| Finding::in_words(&file, &error.to_string()));
            warnings(None).into_iter().chain(wrong).collect()
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
