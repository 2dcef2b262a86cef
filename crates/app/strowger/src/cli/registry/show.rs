//! How entries are shown.

use super::output;
use crate::signer::hex;
use serde_json::Value;
use std::process::ExitCode;
use sx_engine::Time;
use sx_expert::Profile;
use sx_store::RegistryEntry;

pub(super) fn experts(entries: &[RegistryEntry], json: bool) -> anyhow::Result<ExitCode> {
    if json {
        return lines(entries);
    }
    let mut table = output::Table::new(&["ID", "NAME", "STANDING", "KNOWS", "ADDRESSES", "HOURS", "KEY"]);
    for entry in entries {
        let profile: Profile = serde_json::from_str(&entry.document).unwrap_or_default();
        let knows = profile.specialisations.iter().map(|one| format!("{}:{}", one.subject, one.level));
        let hours = profile.hours.as_ref().zip(profile.zone.as_ref());
        table.row([
            entry.id.to_string(),
            profile.name.clone(),
            entry.standing.word().to_owned(),
            knows.collect::<Vec<_>>().join(","),
            profile.addresses.join(","),
            hours.map_or_else(|| "any".to_owned(), |(hours, zone)| format!("{hours} {zone}")),
            proof_word(entry).to_owned(),
        ]);
    }
    output::text(&table.to_string())
}

pub(super) fn guardians(entries: &[RegistryEntry], json: bool) -> anyhow::Result<ExitCode> {
    if json {
        return lines(entries);
    }
    let mut table = output::Table::new(&["ID", "ROLE", "STANDING", "VETO", "KEY", "DESCRIPTION"]);
    for entry in entries {
        let guardian: sx_council::Guardian = serde_json::from_str(&entry.document).unwrap_or_default();
        table.row([
            entry.id.to_string(),
            guardian.role,
            entry.standing.word().to_owned(),
            if guardian.veto { "yes" } else { "no" }.to_owned(),
            entry.key.map_or_else(|| "none".to_owned(), |key| hex(&key[..4])),
            guardian.description,
        ]);
    }
    output::text(&table.to_string())
}

/// One entry, whole.
pub(super) fn one(entry: &RegistryEntry, json: bool) -> anyhow::Result<ExitCode> {
    let object = object(entry);
    if json {
        return output::json_line(&object);
    }
    output::text(&format!("{object:#}\n"))
}

fn lines(entries: &[RegistryEntry]) -> anyhow::Result<ExitCode> {
    for entry in entries {
        output::json_line(&object(entry))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What is written down, and what is kept beside it.
fn object(entry: &RegistryEntry) -> Value {
    let mut object: Value = serde_json::from_str(&entry.document).unwrap_or_default();
    if !object.is_object() {
        object = serde_json::json!({ "id": &*entry.id });
    }
    object["standing"] = entry.standing.word().into();
    if let Some(key) = &entry.key {
        object["public_key"] = hex(key).into();
    }
    if let Some(proof) = &entry.proof {
        object["proof"] = hex(proof).into();
    }
    object["registered"] = Time::from_nanos(entry.registered).to_string().into();
    object["changed"] = Time::from_nanos(entry.changed).to_string().into();
    object
}

const fn proof_word(entry: &RegistryEntry) -> &'static str {
    match (&entry.key, &entry.proof) {
        (None, _) => "none",
        (Some(_), None) => "unsigned",
        (Some(_), Some(_)) => "signed",
    }
}
