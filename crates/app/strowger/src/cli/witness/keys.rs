//! Keys: where they come from, and making one.

use super::super::output;
use super::{CannotRead, Key, Setting, read_file, wrong_usage};
use anyhow::Context as _;
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;
use sx_store::{WitnessFolder, read_verifying_key, write_signing_key};
use sx_witness::{SigningKey, VerifyingKey};

/// The key that was named, or the one beside the log.
pub(super) fn of_log(key: &Key, folder: &WitnessFolder) -> anyhow::Result<VerifyingKey> {
    match &key.key {
        Some(said) => Ok(said_key(said)?),
        None => beside(&folder.key_path()),
    }
}

/// The key that was named, or the one beside the usual log.
pub(super) fn of_nothing(key: &Key, setting: &Setting<'_>) -> anyhow::Result<VerifyingKey> {
    match &key.key {
        Some(said) => Ok(said_key(said)?),
        None => beside(&setting.usual_folder()?.join("key.pub")),
    }
}

fn beside(path: &Path) -> anyhow::Result<VerifyingKey> {
    let key = read_verifying_key(path)?;
    tell!(
        "warning: the key is taken from {}: it proves nothing against whoever can write there; give --key",
        path.display()
    );
    Ok(key)
}

/// A key as it was written on the command line, or a file that holds it.
pub(super) fn said_key(said: &str) -> Result<VerifyingKey, CannotRead> {
    if let Ok(key) = VerifyingKey::parse(said) {
        return Ok(key);
    }
    let path = Path::new(said);
    let cannot = |problem: String| CannotRead { path: path.to_owned(), problem };
    let text = read_file(path)
        .map_err(|error| cannot(format!("{}; nor is it a key, which is written name+hash+base64", error.problem)))?;
    VerifyingKey::parse(text.trim()).map_err(|error| cannot(error.to_string()))
}

/// `strowger witness keygen`.
pub(super) fn make(name: &str, path: &Path, json: bool) -> anyhow::Result<ExitCode> {
    if path.symlink_metadata().is_ok() {
        anyhow::bail!("{} is there already; a key is never written over", path.display());
    }
    let mut seed = [0; 32];
    aws_lc_rs::rand::fill(&mut seed).ok().context("the system gives no random bytes")?;
    let key = SigningKey::from_seed(name, seed).map_err(|error| wrong_usage(error.to_string()))?;
    // Not one of a log, so that a folder that cannot be written to is a failure like any other.
    write_signing_key(path, &key).map_err(|error| anyhow::anyhow!("{error}"))?;
    let public = key.verifying_key().to_string();
    if json {
        return output::json_line(&json!({ "key": public, "file": path }));
    }
    output::text(&format!("{public}\n"))
}
