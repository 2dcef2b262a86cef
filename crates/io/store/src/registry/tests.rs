//! What is in the registries, and who may change it how.

use super::*;

fn registries() -> (tempfile::TempDir, Registry, Registry) {
    let folder = tempfile::tempdir().expect("a folder");
    let shared = SharedFolder::attach(folder.path()).expect("a data folder");
    let open = |kind| shared.registry(kind).expect("a registry");
    let (experts, guardians) = (open(RegistryKind::Experts), open(RegistryKind::Guardians));
    (folder, experts, guardians)
}

fn new(id: &str, key: u8) -> NewEntry {
    let document = format!("{{\"id\":\"{id}\"}}").into();
    NewEntry { id: id.into(), document, key: Some([key; 32]), proof: Some([key; 64]) }
}

fn ids(registry: &Registry) -> Vec<Box<str>> {
    registry.list().expect("they are read").into_iter().map(|entry| entry.id).collect()
}

#[test]
fn what_is_added_is_there_for_every_process() {
    let (folder, mut experts, guardians) = registries();
    assert_eq!(experts.version().expect("a version"), 0);
    experts.add(&[new("b", 2), new("a", 1)]).expect("they are added");
    let other = SharedFolder::attach(folder.path()).expect("the folder");
    let other = other.registry(RegistryKind::Experts).expect("the registry");
    assert_eq!(ids(&other), ["a".into(), "b".into()]);
    assert_eq!(ids(&guardians), []);
    let found = other.get("a").expect("it is there");
    assert_eq!((found.standing, found.key, found.proof), (Standing::Active, Some([1; 32]), Some([1; 64])));
    assert_eq!((&*found.document, found.registered), ("{\"id\":\"a\"}", found.changed));
    assert_eq!((other.version().expect("one"), guardians.version().expect("one")), (1, 1));
    assert!(matches!(other.get("c"), Err(RegistryError::Unknown { .. })));
}

#[test]
fn all_are_added_or_none() {
    let (_folder, mut experts, _) = registries();
    experts.add(&[new("a", 1)]).expect("it is added");
    assert!(matches!(experts.add(&[new("b", 2), new("a", 3)]), Err(RegistryError::Exists { id }) if &*id == "a"));
    assert!(
        matches!(experts.add(&[new("b", 2), new("c", 2)]), Err(RegistryError::KeyTaken { id, of }) if (&*id, &*of) == ("c", "b"))
    );
    assert_eq!((ids(&experts), experts.version().expect("one")), (vec!["a".into()], 1));
}

#[test]
fn a_key_is_of_one_entry_of_either_registry() {
    let (_folder, mut experts, mut guardians) = registries();
    experts.add(&[new("a", 1)]).expect("it is added");
    assert!(matches!(guardians.add(&[new("a", 1)]), Err(RegistryError::KeyTaken { .. })));
    // Who has no key stands in nobody's way.
    let keyless = |id: &str| NewEntry { key: None, proof: None, ..new(id, 0) };
    guardians.add(&[keyless("b"), keyless("c")]).expect("they are added");
    guardians.put(&[NewEntry { document: "{}".into(), ..new("b", 7) }]).expect("it is changed");
    let found = guardians.get("b").expect("it is there");
    assert_eq!((&*found.document, found.key), ("{}", Some([7; 32])));
    guardians.put(&[new("b", 7)]).expect("its own key is no other's");
}

#[test]
fn who_is_suspended_may_come_back_and_who_is_revoked_may_not() {
    let (_folder, mut experts, _) = registries();
    experts.add(&[new("a", 1)]).expect("it is added");
    for standing in [Standing::Suspended, Standing::Active, Standing::Suspended] {
        experts.set_standing("a", standing).expect("it is changed");
        assert_eq!(experts.get("a").expect("it is there").standing, standing);
    }
    experts.put(&[new("a", 2)]).expect("it is changed");
    assert_eq!(experts.get("a").expect("it is there").standing, Standing::Suspended, "another entry pardons nobody");
    experts.set_standing("a", Standing::Revoked).expect("it is changed");
    experts.set_standing("a", Standing::Revoked).expect("twice is as once");
    assert!(matches!(experts.set_standing("a", Standing::Active), Err(RegistryError::Revoked { .. })));
    assert!(matches!(experts.put(&[new("a", 1)]), Err(RegistryError::Revoked { .. })));
    assert!(matches!(experts.set_standing("b", Standing::Active), Err(RegistryError::Unknown { .. })));
}
