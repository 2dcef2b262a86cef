//! `strowger expert` and `strowger guardian`: those who can be rung, and those who escalate and vote.

mod args;
mod show;

use super::{WrongUsage, output};
use crate::signer::{Signer, from_hex, hex};
use anyhow::{Context as _, ensure};
pub(crate) use args::{EXPERT_HELP, ExpertCommand, GUARDIAN_HELP, GuardianCommand};
use args::{ExpertArgs, GuardianArgs, KeyArgs};
use serde_json::{Value, json};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use sx_config::Config;
use sx_council::Guardian;
use sx_expert::{OnCall, Profile, Specialisation, Standing};
use sx_store::{NewEntry, Registry, RegistryError, RegistryKind, SharedFolder};

/// Carries out `strowger expert`.
///
/// # Errors
/// When it cannot be done; nothing has changed then.
pub(crate) fn run_expert(config: &Config, command: ExpertCommand, json: bool) -> anyhow::Result<ExitCode> {
    let kind = RegistryKind::Experts;
    match command {
        ExpertCommand::Add(args) => {
            let profile = profile(&args)?;
            let key = Key::of(&args.key, &profile.id)?;
            let entry = expert_entry(&profile, &key)?;
            registry(config, kind)?.add(&[entry]).map_err(blamed)?;
            said_added(&profile.id, &key, json)
        }
        ExpertCommand::Import { file } => {
            let entries = imported(&file, expert_of)?;
            import(config, kind, &entries, json)
        }
        ExpertCommand::List => show::experts(&known(config, kind)?.list()?, json),
        ExpertCommand::Show { id } => show::one(&known(config, kind)?.get(&id).map_err(blamed)?, json),
        ExpertCommand::Suspend { id } => stands(config, kind, &id, Standing::Suspended, json),
        ExpertCommand::Activate { id } => stands(config, kind, &id, Standing::Active, json),
        ExpertCommand::Revoke { id } => stands(config, kind, &id, Standing::Revoked, json),
        ExpertCommand::Keygen { file } => keygen(&file, json),
    }
}

/// Carries out `strowger guardian`.
///
/// # Errors
/// When it cannot be done; nothing has changed then.
pub(crate) fn run_guardian(config: &Config, command: GuardianCommand, json: bool) -> anyhow::Result<ExitCode> {
    let kind = RegistryKind::Guardians;
    match command {
        GuardianCommand::Add(args) => {
            let guardian = guardian(*args.clone());
            let key = Key::of(&args.key, &guardian.id)?;
            let entry = guardian_entry(&guardian, key.public, key.proof)?;
            registry(config, kind)?.add(&[entry]).map_err(blamed)?;
            said_added(&guardian.id, &key, json)
        }
        GuardianCommand::Import { file } => {
            let entries = imported(&file, guardian_of)?;
            import(config, kind, &entries, json)
        }
        GuardianCommand::List => show::guardians(&known(config, kind)?.list()?, json),
        GuardianCommand::Show { id } => show::one(&known(config, kind)?.get(&id).map_err(blamed)?, json),
        GuardianCommand::Suspend { id } => stands(config, kind, &id, Standing::Suspended, json),
        GuardianCommand::Activate { id } => stands(config, kind, &id, Standing::Active, json),
        GuardianCommand::Revoke { id } => stands(config, kind, &id, Standing::Revoked, json),
        GuardianCommand::Keygen { file } => keygen(&file, json),
    }
}

/// A key, and where its private half is.
struct Key {
    signer: Option<Signer>,
    public: Option<[u8; 32]>,
    proof: Option<[u8; 64]>,
    /// Where a private half lies that was made now.
    made: Option<PathBuf>,
}

impl Key {
    /// As the options say; without any, a new one in `ID.key`.
    fn of(args: &KeyArgs, id: &str) -> anyhow::Result<Self> {
        if args.no_key {
            return Ok(Self { signer: None, public: None, proof: None, made: None });
        }
        if let Some(text) = &args.public_key {
            let public = from_hex(text).ok_or_else(|| wrong("a public key has 64 hexadecimal digits"))?;
            let proof = args
                .proof
                .as_ref()
                .map(|text| from_hex(text).ok_or_else(|| wrong("a proof has 128 hexadecimal digits")));
            return Ok(Self { signer: None, public: Some(public), proof: proof.transpose()?, made: None });
        }
        let path = args.key.clone().unwrap_or_else(|| PathBuf::from(format!("{}.key", id.replace('/', "_"))));
        let (signer, is_new) = Signer::read_or_make(&path)?;
        Ok(Self { public: Some(signer.public_key()), signer: Some(signer), proof: None, made: is_new.then_some(path) })
    }
}

fn profile(args: &ExpertArgs) -> anyhow::Result<Profile> {
    let skill = |text: &String| match text.rsplit_once(':') {
        None => Ok(Specialisation { subject: text.clone(), level: 1 }),
        Some((subject, level)) => match level.parse() {
            Ok(level) => Ok(Specialisation { subject: subject.to_owned(), level }),
            Err(_) => Err(wrong(&format!("--knows {text}: the level is a number from 1 to 255"))),
        },
    };
    let on_call = |text: &String| match text.split_once('/') {
        Some((from, to)) => Ok(OnCall { from: from.to_owned(), to: to.to_owned() }),
        None => Err(wrong(&format!("--on-call {text}: a time on call is FROM/TO"))),
    };
    Ok(Profile {
        id: args.id.clone(),
        name: args.name.clone().unwrap_or_else(|| args.id.clone()),
        addresses: args.address.clone(),
        organisation: args.organisation.clone().unwrap_or_default(),
        networks: args.network.clone(),
        specialisations: args.knows.iter().map(skill).collect::<anyhow::Result<_>>()?,
        languages: args.language.clone(),
        hours: args.hours.clone(),
        zone: args.zone.clone(),
        on_call: args.on_call.iter().map(on_call).collect::<anyhow::Result<_>>()?,
        calls_max: args.calls_max,
    })
}

fn expert_entry(profile: &Profile, key: &Key) -> anyhow::Result<NewEntry> {
    let proof = key.signer.as_ref().and_then(|signer| profile.canonical().map(|bytes| signer.sign(&bytes)));
    checked_expert(profile, key.public, proof.or(key.proof))
}

/// An expert, as they sign for themselves.
pub(crate) fn signed_expert(profile: &Profile, signer: &Signer) -> anyhow::Result<NewEntry> {
    let proof = profile.canonical().map(|bytes| signer.sign(&bytes));
    checked_expert(profile, Some(signer.public_key()), proof)
}

fn checked_expert(profile: &Profile, key: Option<[u8; 32]>, proof: Option<[u8; 64]>) -> anyhow::Result<NewEntry> {
    if let Err(errors) = profile.expert(Standing::Active) {
        return Err(wrong(&errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")));
    }
    let canonical = profile.canonical().unwrap_or_default();
    if let Some((key, proof)) = key.as_ref().zip(proof.as_ref())
        && !crate::signer::verifies(key, &canonical, proof)
    {
        return Err(wrong(&format!("the proof of {} is no signature of the entry by its key", profile.id)));
    }
    Ok(NewEntry { id: profile.id.as_str().into(), document: String::from_utf8_lossy(&canonical).into(), key, proof })
}

fn guardian(args: GuardianArgs) -> Guardian {
    Guardian {
        id: args.id,
        role: args.role,
        description: args.description.unwrap_or_default(),
        specialisation: args.specialisation.unwrap_or_default(),
        organisation: args.organisation.unwrap_or_default(),
        address: args.address.unwrap_or_default(),
        bandwidth_kbps: args.bandwidth_kbps,
        veto: args.veto,
    }
}

fn guardian_entry(guardian: &Guardian, key: Option<[u8; 32]>, proof: Option<[u8; 64]>) -> anyhow::Result<NewEntry> {
    let errors = guardian.check();
    if !errors.is_empty() {
        return Err(wrong(&errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")));
    }
    let document = serde_json::to_string(guardian)?.into();
    Ok(NewEntry { id: guardian.id.as_str().into(), document, key, proof })
}

fn expert_of(value: Value, key: Option<[u8; 32]>, proof: Option<[u8; 64]>) -> anyhow::Result<NewEntry> {
    checked_expert(&serde_json::from_value(value)?, key, proof)
}

fn guardian_of(value: Value, key: Option<[u8; 32]>, proof: Option<[u8; 64]>) -> anyhow::Result<NewEntry> {
    guardian_entry(&serde_json::from_value(value)?, key, proof)
}

/// Makes an entry of what is written down, a key and a proof.
type MakeEntry = fn(Value, Option<[u8; 32]>, Option<[u8; 64]>) -> anyhow::Result<NewEntry>;

/// The longest file of entries.
const IMPORT_BYTES_MAX: u64 = 64 << 20;

/// The entries of a file: a JSON array of what `show --json` prints, or one such object a line.
fn imported(file: &Path, entry: MakeEntry) -> anyhow::Result<Vec<NewEntry>> {
    let mut text = String::new();
    let cannot = || format!("cannot read {}", file.display());
    match file == Path::new("-") {
        true => std::io::stdin().take(IMPORT_BYTES_MAX + 1).read_to_string(&mut text).with_context(cannot)?,
        false => {
            let file = std::fs::File::open(file).with_context(cannot)?;
            file.take(IMPORT_BYTES_MAX + 1).read_to_string(&mut text).with_context(cannot)?
        }
    };
    ensure!(text.len() as u64 <= IMPORT_BYTES_MAX, "{} is longer than 64 MiB", file.display());
    let values: Vec<Value> = if text.trim_start().starts_with('[') {
        serde_json::from_str(&text).map_err(|error| wrong(&error.to_string()))?
    } else {
        let each = serde_json::Deserializer::from_str(&text).into_iter();
        each.collect::<Result<_, _>>().map_err(|error| wrong(&error.to_string()))?
    };
    let one = |(number, mut value): (usize, Value)| {
        let mut take = |name: &str| value.as_object_mut().and_then(|object| object.remove(name));
        let (key, proof) = (take("public_key"), take("proof"));
        // What the list says of an entry besides is not written down again.
        for name in ["standing", "registered", "changed"] {
            take(name);
        }
        let place = || format!("entry {} of {}", number + 1, file.display());
        let key =
            key.map(|key| key.as_str().and_then(from_hex).ok_or_else(|| wrong("public_key has 64 hexadecimal digits")));
        let proof = proof
            .map(|proof| proof.as_str().and_then(from_hex).ok_or_else(|| wrong("proof has 128 hexadecimal digits")));
        let entry = || entry(value, key.transpose()?, proof.transpose()?);
        entry().map_err(|error| wrong(&format!("{}: {error}; nothing was imported", place())))
    };
    values.into_iter().enumerate().map(one).collect()
}

fn import(config: &Config, kind: RegistryKind, entries: &[NewEntry], json: bool) -> anyhow::Result<ExitCode> {
    registry(config, kind)?.put(entries).map_err(blamed)?;
    if json {
        return output::json_line(&json!({ "done": "imported", "entries": entries.len() }));
    }
    output::text(&format!("imported {}\n", entries.len()))
}

fn stands(config: &Config, kind: RegistryKind, id: &str, standing: Standing, json: bool) -> anyhow::Result<ExitCode> {
    known(config, kind)?.set_standing(id, standing).map_err(blamed)?;
    if json {
        return output::json_line(&json!({ "id": id, "standing": standing.word() }));
    }
    output::text(&format!("{} is {}\n", output::printable(id), standing.word()))
}

fn keygen(file: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let signer = Signer::generate()?;
    signer.write(file)?;
    let public = hex(&signer.public_key());
    if json {
        return output::json_line(&json!({ "key": file, "public_key": public }));
    }
    output::text(&format!("made {}\npublic key {public}\n", file.display()))
}

fn said_added(id: &str, key: &Key, json: bool) -> anyhow::Result<ExitCode> {
    let public = key.public.map(|public| hex(&public));
    if json {
        return output::json_line(&json!({ "done": "added", "id": id, "public_key": public, "key": key.made }));
    }
    let public = public.map(|public| format!("public key {public}\n")).unwrap_or_default();
    let made = key.made.as_ref().map(|path| format!("private key {}: hand it to them\n", path.display()));
    output::text(&format!("added {id}\n{public}{}", made.unwrap_or_default()))
}

/// A registry of a folder that must be there: a mistyped one would look like an empty one.
fn known(config: &Config, kind: RegistryKind) -> anyhow::Result<Registry> {
    let data = &config.exchange.data;
    ensure!(data.is_dir(), "there is no data folder {}", data.display());
    registry(config, kind)
}

fn registry(config: &Config, kind: RegistryKind) -> anyhow::Result<Registry> {
    // Attached, not opened: a server may have the folder.
    Ok(SharedFolder::attach(&config.exchange.data)?.registry(kind)?)
}

fn wrong(text: &str) -> anyhow::Error {
    WrongUsage(text.to_owned()).into()
}

/// What cannot be is wrong usage; everything else is a failure.
fn blamed(error: RegistryError) -> anyhow::Error {
    match error {
        RegistryError::Exists { .. } | RegistryError::KeyTaken { .. } | RegistryError::Revoked { .. } => {
            WrongUsage(error.to_string()).into()
        }
        other => other.into(),
    }
}
