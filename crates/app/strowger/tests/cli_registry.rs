//! Experts and guardians, added and changed as an operator does it.

mod bed;

use bed::Bed;
use serde_json::Value;

fn shown(bed: &Bed, who: &str, id: &str) -> Value {
    serde_json::from_str(&bed.ok(&[who, "show", id, "--json"])).expect("JSON")
}

const LIND: [&str; 8] = ["expert", "add", "lind", "--address", "300", "--knows", "safety:3", "--key"];

#[test]
fn an_expert_is_added_with_a_key_of_their_own_that_signs_the_entry() {
    let bed = Bed::new();
    let out = bed.ok(&[&LIND[..], &["lind.key", "--hours", "mon-fri 09:00-17:00", "--zone", "Europe/Berlin"]].concat());
    assert!(
        out.starts_with("added lind\npublic key ") && out.ends_with("private key lind.key: hand it to them\n"),
        "{out}"
    );
    let lind = shown(&bed, "expert", "lind");
    assert_eq!(
        (&lind["standing"], &lind["addresses"][0], &lind["name"]),
        (&"active".into(), &"300".into(), &"lind".into())
    );
    assert_eq!(lind["specialisations"][0], serde_json::json!({"subject": "safety", "level": 3}));
    assert_eq!(
        (lind["public_key"].as_str().map(str::len), lind["proof"].as_str().map(str::len)),
        (Some(64), Some(128))
    );
    let list = bed.ok(&["expert", "list"]);
    let row = list.lines().nth(1).expect("a row");
    assert!(
        row.contains("lind") && row.contains("safety:3") && row.contains("mon-fri 09:00-17:00 Europe/Berlin"),
        "{list}"
    );
    assert!(row.ends_with("signed"), "{list}");
}

#[test]
fn how_somebody_stands_is_changed_and_revoked_is_for_good() {
    let bed = Bed::new();
    bed.ok(&[&LIND[..], &["lind.key"]].concat());
    assert_eq!(bed.ok(&["expert", "suspend", "lind"]), "lind is suspended\n");
    assert_eq!(bed.ok(&["expert", "activate", "lind"]), "lind is active\n");
    assert_eq!(bed.ok(&["expert", "revoke", "lind"]), "lind is revoked\n");
    let run = bed.run(&["expert", "activate", "lind"]);
    assert!(run.code == Some(2) && run.err.contains("for good"), "{run:?}");
    let run = bed.run(&["expert", "suspend", "nobody"]);
    assert!(run.code == Some(1) && run.err.contains("there is no entry nobody"), "{run:?}");
}

#[test]
fn one_identity_has_one_key_and_a_key_one_identity() {
    let bed = Bed::new();
    bed.ok(&[&LIND[..], &["lind.key"]].concat());
    let run = bed.run(&["guardian", "add", "IF.guard", "--role", "safety", "--key", "lind.key"]);
    assert!(run.code == Some(2) && run.err.contains("that of lind already"), "{run:?}");
    let run = bed.run(&[&LIND[..], &["lind.key"]].concat());
    assert!(run.code == Some(2) && run.err.contains("there is an entry lind already"), "{run:?}");
    bed.ok(&["guardian", "add", "IF.guard", "--role", "safety", "--no-key"]);
    assert_eq!(shown(&bed, "guardian", "IF.guard")["public_key"], Value::Null);
}

#[test]
fn what_is_shown_can_be_imported_and_what_somebody_has_changed_in_it_cannot() {
    let bed = Bed::new();
    bed.ok(&[&LIND[..], &["lind.key"]].concat());
    let lind = bed.ok(&["expert", "show", "lind", "--json"]);
    let other = Bed::new();
    other.write("experts.json", &format!("[{lind}]"));
    assert_eq!(other.ok(&["expert", "import", "experts.json"]), "imported 1\n");
    assert_eq!(shown(&other, "expert", "lind")["proof"], shown(&bed, "expert", "lind")["proof"]);
    other.write("forged.json", &lind.replace("\"300\"", "\"+1900555\""));
    let run = other.run(&["expert", "import", "forged.json"]);
    assert!(run.code == Some(2) && run.err.contains("the proof of lind is no signature of the entry"), "{run:?}");
    assert_eq!(shown(&other, "expert", "lind")["addresses"][0], "300", "nothing was imported");
}

#[test]
fn what_cannot_be_an_entry_is_refused_with_all_that_is_wrong() {
    let bed = Bed::new();
    let run =
        bed.run(&["expert", "add", "a b", "--address", "300", "--knows", "safety:0", "--network", "x", "--no-key"]);
    assert_eq!(run.code, Some(2), "{run:?}");
    for part in ["id \"a b\"", "the level of a specialisation", "\"x\" is no network"] {
        assert!(run.err.contains(part), "{part}: {run:?}");
    }
    let run = bed.run(&["expert", "add", "a", "--address", "300", "--knows", "safety", "--public-key", "12"]);
    assert!(run.code == Some(2) && run.err.contains("64 hexadecimal digits"), "{run:?}");
    bed.write("bad.json", "{\"id\": \"a\", \"role\": \"b\"}\n{\"id\": \"c\", \"rule\": \"d\"}\n");
    let run = bed.run(&["guardian", "import", "bad.json"]);
    assert!(run.code == Some(2) && run.err.contains("entry 2 of bad.json") && run.err.contains("rule"), "{run:?}");
    let run = bed.run(&["guardian", "list"]);
    assert!(run.code == Some(1) && run.err.contains("there is no data folder"), "nothing was written: {run:?}");
}

#[test]
fn a_key_pair_is_made_once() {
    let bed = Bed::new();
    let out = bed.ok(&["guardian", "keygen", "legal.key"]);
    let public = out.lines().nth(1).and_then(|line| line.strip_prefix("public key ")).expect("a key").to_owned();
    let run = bed.run(&["guardian", "keygen", "legal.key"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    bed.ok(&["guardian", "add", "guardian.legal", "--role", "legal", "--key", "legal.key"]);
    assert_eq!(shown(&bed, "guardian", "guardian.legal")["public_key"], public);
}
