//! The experts and the guardians: read when the exchange starts, and whenever somebody changes them.

use crate::signer::{Signer, verifies};
use anyhow::Context as _;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use sx_council::{EXAMPLES, Guardian};
use sx_exchange::People;
use sx_expert::{Expert, Profile};
use sx_store::{NewEntry, Registry, RegistryEntry, RegistryKind, SharedFolder};
use tracing::{info, warn};

/// Where the private keys of the guardians lie that the exchange has made itself.
const KEYS: &str = "guardians";

/// Both registries.
pub struct Registries {
    experts: Registry,
    guardians: Registry,
}

impl Registries {
    /// Opens both. Where no guardian was ever registered, there are twelve guardians to begin with, with keys of their own.
    pub fn open(folder: &SharedFolder) -> anyhow::Result<Self> {
        let (experts, mut guardians) =
            (folder.registry(RegistryKind::Experts)?, folder.registry(RegistryKind::Guardians)?);
        if guardians.list()?.is_empty() {
            let made = make_examples(&folder.path().join(KEYS))?;
            guardians.add(&made)?;
            info!(guardians = made.len(), "guardians were made as an example; their keys are in the folder guardians");
        }
        Ok(Self { experts, guardians })
    }

    /// How often either was changed.
    pub fn version(&self) -> anyhow::Result<u64> {
        Ok(self.experts.version()?)
    }

    /// Who was changed since then, how they stand now, and until when that is: `expert lind suspended`.
    pub fn changed_since(&self, since: u64) -> anyhow::Result<(Vec<String>, u64)> {
        let (experts, guardians) = (self.experts.list()?, self.guardians.list()?);
        let both =
            experts.iter().map(|entry| ("expert", entry)).chain(guardians.iter().map(|entry| ("guardian", entry)));
        let until = both.clone().map(|(_, entry)| entry.changed).max().unwrap_or_default();
        let changed = both.filter(|(_, entry)| entry.changed > since);
        Ok((changed.map(|(kind, entry)| format!("{kind} {} {}", entry.id, entry.standing.word())).collect(), until))
    }

    /// Everybody, as they stand. Who cannot be read is left out, and the log says so.
    pub fn load(&self, keyless_experts: bool) -> anyhow::Result<People> {
        let experts = self.experts.list()?;
        let experts = experts.iter().filter_map(|entry| expert(entry, keyless_experts)).collect();
        let guardians = self.guardians.list()?;
        Ok(People::new(
            experts,
            guardians.iter().filter_map(|entry| guardian(entry).map(|it| (it, entry.standing, entry.key))),
        ))
    }
}

fn make_examples(folder: &Path) -> anyhow::Result<Vec<NewEntry>> {
    let cannot = || format!("the folder {} for the keys of guardians cannot be made", folder.display());
    DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(cannot)?;
    let one = |(role, description, veto): (&str, &str, bool)| {
        let (signer, _) = Signer::read_or_make(&folder.join(format!("{role}.key")))?;
        let guardian = Guardian {
            id: format!("guardian.{role}"),
            role: role.to_owned(),
            description: description.to_owned(),
            bandwidth_kbps: sx_council::BANDWIDTH_KBPS,
            veto,
            ..Guardian::default()
        };
        let document = serde_json::to_string(&guardian)?.into();
        Ok(NewEntry { id: guardian.id.into(), document, key: Some(signer.public_key()), proof: None })
    };
    EXAMPLES.into_iter().map(one).collect()
}

fn expert(entry: &RegistryEntry, keyless: bool) -> Option<Expert> {
    let profile: Profile = match serde_json::from_str(&entry.document) {
        Ok(profile) => profile,
        Err(error) => {
            warn!(expert = &*entry.id, %error, "what is written down of an expert cannot be read; nobody rings them");
            return None;
        }
    };
    let mut expert = match profile.expert(entry.standing) {
        Ok(expert) if *expert.id == *entry.id => expert,
        Ok(_) => {
            warn!(expert = &*entry.id, "what is written down of an expert is of another; nobody rings them");
            return None;
        }
        Err(errors) => {
            let error = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            warn!(expert = &*entry.id, error, "what is written down of an expert is wrong; nobody rings them");
            return None;
        }
    };
    expert.public_key = entry.key;
    let signed = profile.canonical().unwrap_or_default();
    expert.proved = match (&entry.key, &entry.proof) {
        (None, _) => keyless,
        (Some(key), Some(proof)) => verifies(key, &signed, proof),
        (Some(_), None) => false,
    };
    Some(expert)
}

fn guardian(entry: &RegistryEntry) -> Option<Guardian> {
    match serde_json::from_str::<Guardian>(&entry.document) {
        Ok(guardian) if guardian.id == *entry.id => Some(guardian),
        Ok(_) | Err(_) => {
            warn!(
                guardian = &*entry.id,
                "what is written down of a guardian cannot be read; their word does not count"
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sx_expert::{Specialisation, Standing};

    fn registries() -> (tempfile::TempDir, Registries) {
        let folder = tempfile::tempdir().expect("a folder");
        let registries = Registries::open(&SharedFolder::attach(folder.path()).expect("a folder")).expect("registries");
        (folder, registries)
    }

    #[test]
    fn who_registers_experts_first_has_guardians_all_the_same() {
        let folder = tempfile::tempdir().expect("a folder");
        let shared = SharedFolder::attach(folder.path()).expect("a folder");
        let lind = NewEntry { id: "lind".into(), document: "{}".into(), key: None, proof: None };
        shared.registry(RegistryKind::Experts).expect("opens").add(&[lind]).expect("it is new");
        let people = Registries::open(&shared).expect("opens").load(false).expect("people");
        assert_eq!(people.guardians().count(), 12);
    }

    #[test]
    fn twelve_guardians_are_made_once_with_keys_of_their_own() {
        let (folder, registries) = registries();
        let people = registries.load(false).expect("people");
        let known: Vec<_> = people.guardians().collect();
        let mut keys: Vec<_> = known.iter().filter_map(|known| known.key).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!((known.len(), keys.len()), (12, 12));
        let vetoes: Vec<&str> =
            known.iter().filter(|known| known.guardian.veto).map(|known| &*known.guardian.role).collect();
        assert_eq!(vetoes, ["contrarian"]);
        let legal = Signer::read(&folder.path().join("guardians/legal.key")).expect("its key");
        assert_eq!(people.guardian("guardian.legal").and_then(|known| known.key), Some(legal.public_key()));
        let version = registries.version().expect("one");
        drop(registries);
        let again = Registries::open(&SharedFolder::attach(folder.path()).expect("a folder")).expect("registries");
        assert_eq!(again.version().expect("one"), version, "they are made at the first start only");
    }

    #[test]
    fn only_an_entry_that_its_expert_has_signed_is_proved() {
        let (_folder, mut registries) = registries();
        let profile = |id: &str, address: &str| Profile {
            id: id.into(),
            name: id.into(),
            addresses: vec![address.into()],
            specialisations: vec![Specialisation { subject: "safety".into(), level: 1 }],
            calls_max: 1,
            ..Profile::default()
        };
        let entry = |written: &Profile, key, proof| NewEntry {
            id: written.id.as_str().into(),
            document: serde_json::to_string(written).expect("JSON").into(),
            key,
            proof,
        };
        let signer = || Signer::generate().expect("a key");
        let (lind, mallory) = (signer(), signer());
        let sign = |signer: &Signer, of: &Profile| Some(signer.sign(&of.canonical().expect("a form")));
        let (good, redirected) = (profile("good", "300"), profile("redirected", "300"));
        let entries = [
            entry(&good, Some(lind.public_key()), sign(&lind, &good)),
            entry(&profile("redirected", "+1900"), Some(mallory.public_key()), sign(&mallory, &redirected)),
            entry(&profile("unsigned", "300"), Some(signer().public_key()), None),
            entry(&profile("keyless", "300"), None, None),
        ];
        registries.experts.add(&entries).expect("they are added");
        registries.experts.set_standing("good", Standing::Suspended).expect("it is changed");
        let proved = |keyless| {
            let people = registries.load(keyless).expect("people");
            let told = people.experts().iter().map(|expert| (expert.id.to_string(), expert.proved)).collect::<Vec<_>>();
            assert_eq!(people.experts()[0].standing, Standing::Suspended);
            told
        };
        let expected = |keyless| {
            [("good", true), ("keyless", keyless), ("redirected", false), ("unsigned", false)]
                .map(|(id, is)| (id.to_owned(), is))
                .to_vec()
        };
        assert_eq!(proved(false), expected(false));
        assert_eq!(proved(true), expected(true));
    }
}
