//! Users, their versions and imports.

use super::*;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Instant;
use tempfile::{TempDir, tempdir};

/// A stand-in for a hash: all the store does is keep it.
fn hash(name: &str, password: &str) -> Ha1 {
    let first = |text: &str| text.bytes().next().unwrap_or(0);
    Ha1 { md5: [first(name); 16], sha256: [first(password); 32] }
}

fn user(name: &str, domain: &str) -> UserRecord {
    UserRecord { name: name.into(), domain: domain.into(), ha1_md5: [1; 16], ha1_sha256: [2; 32] }
}

fn open() -> (TempDir, SharedFolder, Users) {
    let dir = tempdir().expect("a folder");
    let folder = SharedFolder::attach(dir.path()).expect("a folder");
    let users = folder.users().expect("the users");
    (dir, folder, users)
}

fn names(users: &Users) -> Vec<String> {
    users.list().expect("the users").iter().map(|user| format!("{}@{}", user.name, user.domain)).collect()
}

#[test]
fn users_are_added_changed_and_removed() {
    let (_dir, _folder, mut users) = open();
    users.add(&user("bert", "Example.ORG")).expect("a new user");
    users.add(&user("anna", "example.org")).expect("a new user");
    users.add(&user("anna", "example.com")).expect("the same name elsewhere");
    assert_eq!(names(&users), ["anna@example.com", "anna@example.org", "bert@example.org"]);

    let again = users.add(&user("anna", "EXAMPLE.org"));
    assert!(matches!(again, Err(UsersError::Exists { .. })), "{again:?}");
    users.passwd("anna", "example.org", hash("x", "y")).expect("a known user");
    let unknown = users.passwd("carl", "example.org", hash("x", "y"));
    assert!(matches!(unknown, Err(UsersError::Unknown { .. })), "{unknown:?}");
    users.remove("anna", "example.com").expect("a known user");
    assert!(matches!(users.remove("anna", "example.com"), Err(UsersError::Unknown { .. })));
    users.set_enabled("bert", "example.org", false).expect("a known user");

    let anna = UserRecord { ha1_md5: [b'x'; 16], ha1_sha256: [b'y'; 32], ..user("anna", "example.org") };
    assert_eq!(users.load_all().expect("the users"), [anna]);
    let list = users.list().expect("the users");
    assert_eq!(list.iter().map(|user| user.enabled).collect::<Vec<_>>(), [true, false]);
    assert!(list.iter().all(|user| user.created > 0 && user.created <= user.changed));
}

#[test]
fn a_name_that_would_make_a_hash_ambiguous_is_refused() {
    let (_dir, _folder, mut users) = open();
    let long = "x".repeat(256);
    for (name, domain) in [("", "a"), ("a", ""), ("a:b", "c"), ("a", "b:c"), ("a\nb", "c"), (&long, "c")] {
        let result = users.add(&user(name, domain));
        assert!(matches!(result, Err(UsersError::Name { .. })), "{name:?}@{domain:?}");
    }
    assert_eq!(users.version().expect("a version"), 0);
}

#[test]
fn another_process_sees_what_has_changed_and_nothing_else() {
    let (_dir, folder, mut users) = open();
    let server = folder.users().expect("another connection");
    assert_eq!(server.changed_since(0).expect("changes"), None);
    for name in ["anna", "bert", "carl"] {
        users.add(&user(name, "d")).expect("a new user");
    }
    let first = server.changed_since(0).expect("changes").expect("there are");
    assert_eq!((first.changed.len(), first.removed.len()), (3, 0));
    assert_eq!(server.changed_since(first.version).expect("changes"), None);

    users.passwd("anna", "d", hash("x", "y")).expect("a known user");
    users.remove("bert", "d").expect("a known user");
    users.set_enabled("carl", "d", false).expect("a known user");
    let second = server.changed_since(first.version).expect("changes").expect("there are");
    assert_eq!(second.changed.iter().map(|user| &*user.name).collect::<Vec<_>>(), ["anna"]);
    assert_eq!(second.removed, [("carl".into(), "d".into()), ("bert".into(), "d".into())]);

    users.add(&user("bert", "d")).expect("a new user again");
    users.set_enabled("carl", "d", true).expect("a known user");
    let third = server.changed_since(second.version).expect("changes").expect("there are");
    assert_eq!((third.changed.len(), third.removed.len()), (2, 0));

    // What was refused is no change.
    users.add(&user("bert", "d")).expect_err("a known user");
    assert_eq!(server.changed_since(third.version).expect("changes"), None);
    // A database that was replaced by an older one is read anew.
    let anew = server.changed_since(third.version + 100).expect("changes").expect("there are");
    assert_eq!((anew.version, anew.changed.len()), (third.version, 3));
}

fn checked_hash(name: &str, password: &str) -> Result<Ha1, String> {
    if password.is_empty() { Err("no password".to_owned()) } else { Ok(hash(name, password)) }
}

#[test]
fn an_import_takes_every_line_or_none() {
    let (_dir, _folder, mut users) = open();
    users.add(&user("anna", "example.org")).expect("a new user");
    let good = "name,password\nanna,secret\n\"bert\",\"a,\"\"b\"\"\"\r\n+4930123,x\n";
    let imported = users.import("Example.org", good.as_bytes(), checked_hash).expect("an import");
    assert_eq!(imported, Imported { added: 2, changed: 1 });
    assert_eq!(names(&users), ["+4930123@example.org", "anna@example.org", "bert@example.org"]);
    let anna = users.load_all().expect("the users").remove(1);
    assert_eq!((anna.ha1_md5, anna.ha1_sha256), ([b'a'; 16], [b's'; 32]));

    let version = users.version().expect("a version");
    for (bad, bad_line) in [
        ("carl,x\ndora\n", 2),
        ("carl,x\n\nb:c,x\n", 2),
        ("carl,x,y\n", 1),
        (",x\n", 1),
        ("carl,x\ndora,x\n,\n", 3),
        ("carl,\n", 1),
        ("carl,x\ndora@d,x\n", 2),
    ] {
        match users.import("example.org", bad.as_bytes(), checked_hash) {
            Err(UsersError::Import { line, .. }) => assert_eq!(line, bad_line, "{bad:?}"),
            other => panic!("{bad:?} gives {other:?}"),
        }
    }
    let not_utf8 = users.import("example.org", &b"carl,x\ndor\xff,x\n"[..], checked_hash);
    assert!(matches!(not_utf8, Err(UsersError::Import { line: 2, .. })), "{not_utf8:?}");
    assert_eq!((users.version().expect("a version"), names(&users).len()), (version, 3));
}

#[test]
fn a_hundred_thousand_users_are_imported_and_loaded_within_seconds() {
    let (_dir, _folder, mut users) = open();
    let csv: String = (0..102_000).map(|number| format!("user{number:06},password{number}\n")).collect();
    let start = Instant::now();
    let imported = users.import("example.org", csv.as_bytes(), checked_hash).expect("an import");
    let import_took = start.elapsed();
    let loaded = users.changed_since(0).expect("changes").expect("there are").changed.len();
    assert_eq!((imported.added, loaded), (102_000, 102_000));
    assert!(import_took.as_secs() < if cfg!(debug_assertions) { 30 } else { 5 }, "{import_took:?}");
}

#[test]
fn hashes_are_neither_shown_nor_readable_by_others() {
    let (dir, _folder, mut users) = open();
    users.add(&user("anna", "d")).expect("a new user");
    assert_eq!(format!("{:?} {:?}", user("anna", "d"), hash("a", "b")), "UserRecord(anna@d) Ha1");
    for entry in std::fs::read_dir(dir.path()).expect("a folder") {
        let entry = entry.expect("an entry");
        let mode = entry.metadata().expect("metadata").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?}", entry.path());
    }
}

#[test]
fn tables_of_a_newer_version_are_left_alone() {
    let (dir, folder, users) = open();
    drop(users);
    let other = Connection::open(dir.path().join(FILE)).expect("a connection");
    other.pragma_update(None, "user_version", VERSION + 1).expect("a change");
    let error = folder.users().err().expect("it is newer").to_string();
    assert!(error.contains("newer version") && error.contains(FILE), "{error}");
}

#[test]
fn a_file_that_is_no_database_is_named_with_a_remedy() {
    let dir = tempdir().expect("a folder");
    std::fs::write(dir.path().join(FILE), [b'x'; 4096]).expect("a file");
    let folder = SharedFolder::attach(dir.path()).expect("a folder");
    let error = folder.users().err().expect("no database").to_string();
    assert!(error.contains("users.sqlite") && error.contains("backup"), "{error}");
}
