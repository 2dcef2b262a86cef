//! Users, added and changed as an operator does it.

mod bed;

use bed::Bed;
use serde_json::Value;
use sx_sip::digest::{self, Algorithm};
use sx_store::{DataFolder, SharedFolder, UserRecord};

/// The one user in the folder with this name.
fn stored(bed: &Bed, name: &str) -> Option<UserRecord> {
    let users = SharedFolder::attach(&bed.data()).expect("a folder").users().expect("the users");
    users.load_all().expect("all users").into_iter().find(|user| *user.name == *name)
}

fn has_password(user: &UserRecord, realm: &str, password: &str) -> bool {
    let hash = |algorithm| digest::Ha1::new(algorithm, &user.name, realm, password);
    hash(Algorithm::Md5).bytes() == user.ha1_md5 && hash(Algorithm::Sha256).bytes() == user.ha1_sha256
}

#[test]
fn a_user_gets_a_password_that_is_printed_once() {
    let bed = Bed::new();
    let out = bed.ok(&["user", "add", "alice"]);
    let password = out.strip_prefix("added alice@example.org\npassword ").expect("a password").trim();
    assert!(password.len() >= 16, "{password}");
    let alice = stored(&bed, "alice").expect("alice");
    assert!(has_password(&alice, "example.org", password), "{out}");
}

#[test]
fn a_password_comes_from_a_file_or_from_standard_input() {
    let bed = Bed::new();
    bed.write("secret", "from a file\nand more\n");
    let out = bed.ok(&["user", "add", "alice@EXAMPLE.net", "--password-file", "secret"]);
    assert_eq!(out, "added alice@example.net\n");
    assert!(has_password(&stored(&bed, "alice").expect("alice"), "example.org", "from a file"));
    let run = bed.run_with(&["user", "passwd", "alice@example.net", "--password-stdin"], "from a pipe\n", &[]);
    assert_eq!((run.code, run.out.as_str()), (Some(0), "changed alice@example.net\n"), "{run:?}");
    assert!(has_password(&stored(&bed, "alice").expect("alice"), "example.org", "from a pipe"));
}

#[test]
fn the_realm_of_the_configuration_is_hashed() {
    let bed = Bed::new();
    let variables = [("STROWGER_SIP__REALM", "Another realm")];
    let run = bed.run_with(&["user", "add", "alice", "--password-stdin"], "secret\n", &variables);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(has_password(&stored(&bed, "alice").expect("alice"), "Another realm", "secret"));
}

#[test]
fn users_are_listed_and_removed() {
    let bed = Bed::new();
    bed.ok(&["user", "add", "bob"]);
    bed.ok(&["user", "add", "alice@example.net"]);
    let list = bed.ok(&["user", "list"]);
    let names: Vec<&str> = list.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, ["USER", "alice@example.net", "bob@example.org"]);
    let lines = bed.ok(&["user", "list", "--json"]);
    let first: Value = serde_json::from_str(lines.lines().next().expect("a line")).expect("JSON");
    assert_eq!((&first["name"], &first["enabled"]), (&"alice".into(), &true.into()));
    assert_eq!(bed.ok(&["user", "remove", "bob"]), "removed bob@example.org\n");
    assert!(stored(&bed, "bob").is_none());
}

#[test]
fn a_user_is_disabled_and_enabled_and_keeps_its_password() {
    let bed = Bed::new();
    let run = bed.run_with(&["user", "add", "alice", "--password-stdin"], "secret\n", &[]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(bed.ok(&["user", "disable", "alice"]), "disabled alice@example.org\n");
    assert!(stored(&bed, "alice").is_none(), "it may not authenticate");
    assert!(bed.ok(&["user", "list"]).contains("alice@example.org  no "), "but is there");
    let done: Value = serde_json::from_str(&bed.ok(&["user", "enable", "alice", "--json"])).expect("JSON");
    assert_eq!((&done["done"], &done["name"]), (&"enabled".into(), &"alice".into()));
    assert!(has_password(&stored(&bed, "alice").expect("alice"), "example.org", "secret"));
}

#[test]
fn what_cannot_be_done_says_why() {
    let bed = Bed::new();
    let check = |arguments: &[&str], code, why: &str| {
        let run = bed.run(arguments);
        assert_eq!(run.code, Some(code), "{arguments:?}: {run:?}");
        assert!(run.err.contains(why) && run.out.is_empty(), "{run:?}");
    };
    check(&["user", "list"], 1, "there is no data folder");
    assert!(!bed.data().exists());
    bed.ok(&["user", "add", "alice"]);
    check(&["user", "add", "alice"], 1, "the user alice@example.org exists");
    check(&["user", "passwd", "bob"], 1, "there is no user bob@example.org");
    check(&["user", "disable", "bob"], 1, "there is no user bob@example.org");
    check(&["user", "enable", "bob"], 1, "there is no user bob@example.org");
    check(&["user", "remove", "bob"], 1, "there is no user bob@example.org");
    check(&["user", "add", "bob@example.com"], 2, "exchange.domains has: example.org, example.net");
    check(&["user", "add", "b:b"], 2, "is no user name");
    check(&["user", "add", "bob", "--password-file", "missing"], 1, "cannot read missing");
    bed.write("empty", "\n");
    check(&["user", "add", "bob", "--password-file", "empty"], 2, "is no password");
    check(&["user", "import", "missing.csv"], 1, "cannot read missing.csv");
}

#[test]
fn a_file_is_imported_whole_or_not_at_all() {
    let bed = Bed::new();
    bed.write("good.csv", "name,password\nalice,one\nbob,two\n");
    assert_eq!(bed.ok(&["user", "import", "good.csv"]), "imported: 2 added, 0 changed\n");
    let run = bed.run_with(&["user", "import", "-", "--json"], "bob,three\ncarol,four\n", &[]);
    let done: Value = serde_json::from_str(&run.out).expect("JSON");
    assert_eq!((&done["added"], &done["changed"]), (&1.into(), &1.into()));
    assert!(has_password(&stored(&bed, "bob").expect("bob"), "example.org", "three"));
    bed.write("bad.csv", "dave,five\neve\n");
    let run = bed.run_with(&["user", "import", "-"], "zoe,good\nyves,\n", &[]);
    assert_eq!(run.code, Some(1), "an empty password would let everybody in");
    assert!(run.err.contains("line 2 of the import: no password"), "{}", run.err);
    let run = bed.run(&["user", "import", "bad.csv"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.err.contains("line 2") && stored(&bed, "dave").is_none(), "{run:?}");
}

#[test]
fn users_can_be_changed_while_a_server_has_the_folder() {
    let bed = Bed::new();
    let folder = DataFolder::open(&bed.data()).expect("nobody has it");
    let users = folder.shared().users().expect("the users");
    let before = users.version().expect("a version");
    bed.ok(&["user", "add", "alice"]);
    assert_ne!(users.version().expect("a version"), before, "the server notices");
}
