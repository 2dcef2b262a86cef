//! The witness log on the command line: verified, proved from, searched; while an exchange writes it, and of a copy.

mod bed;
mod logged;

use bed::Bed;
use logged::{PATIENCE, SIP_CALL_ID, call, closed_log, json, json_of, open_log, public, segments, text, time, verify};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use sx_types::TraceId;
use sx_witness::{Checkpoint, SigningKey, checkpoint_line, cosign};

#[test]
fn an_honest_log_is_ok_while_it_is_written() {
    let bed = Bed::new();
    let log = open_log(&bed.data(), "north", 40);
    let run = bed.run(&["witness", "verify"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.out.starts_with("verify: ok, ") && run.out.contains("the last covers records 0 to "), "{}", run.out);
    assert!(run.err.contains("proves nothing against whoever can write there"), "{}", run.err);
    assert!(log.close(time(50), PATIENCE));
    let run = verify(&bed, &["--json"]);
    assert_eq!((run.code, run.err.as_str()), (Some(0), ""));
    let verdict = json(&run);
    assert_eq!(
        (&verdict["result"], &verdict["unsigned"], &verdict["problems"]),
        (&"ok".into(), &0.into(), &Value::Array(vec![]))
    );
}

#[test]
fn a_byte_that_was_changed_names_its_record() {
    let (bed, folder) = closed_log();
    assert!(segments(&folder).len() > 2);
    let total = json(&verify(&bed, &["--json"]))["records"].as_u64().expect("a number");
    for path in segments(&folder) {
        let good = fs::read(&path).expect("a segment");
        let first: u64 =
            path.file_stem().and_then(|name| name.to_str()).and_then(|name| name.parse().ok()).expect("a number");
        let used = good.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
        for at in (3..used).step_by(509) {
            let mut bad = good.clone();
            bad[at] ^= 4;
            fs::write(&path, &bad).expect("changed");
            let run = verify(&bed, &["--json"]);
            let record = first + good[..at].iter().filter(|byte| **byte == b'\n').count() as u64;
            if record + 1 < total {
                assert_eq!(run.code, Some(1), "byte {at} of {}", path.display());
                assert_eq!(json(&run)["problems"][0]["record"], record, "byte {at} of {}: {run:?}", path.display());
            }
        }
        fs::write(&path, &good).expect("as it was");
    }
    assert_eq!(verify(&bed, &[]).code, Some(0));
}

#[test]
fn a_log_of_another_key_is_not_ok() {
    let (bed, _) = closed_log();
    let run = bed.run(&["witness", "verify", "--key", &public(8)]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.out.starts_with("problem: the key given, example.org/log+"), "{}", run.out);
    assert!(
        run.out.contains("\nverify: NOT ok, 1 problem, ") && run.out.contains("none of which holds"),
        "{}",
        run.out
    );
    let file = bed.write("log.pub", &format!("{}\n", public(7)));
    assert_eq!(bed.run(&["witness", "verify", "--key", text(&file)]).code, Some(0));
}

#[test]
fn a_log_that_was_cut_off_is_found_out_by_an_anchor() {
    let (bed, folder) = closed_log();
    let anchor = bed.path("anchor.note");
    assert_eq!(verify(&bed, &["-o", text(&anchor)]).code, Some(0));
    let records = json(&verify(&bed, &["--json"]))["records"].as_u64().expect("a number");
    assert_eq!(verify(&bed, &["--anchor", text(&anchor), "--expect-size", &records.to_string()]).code, Some(0));
    // The last segment goes, and whatever names it.
    let last = segments(&folder).pop().expect("a segment");
    fs::remove_file(&last).expect("gone");
    let checkpoints = folder.join("checkpoints.jsonl");
    let kept = fs::read_to_string(&checkpoints).expect("checkpoints");
    let first: u64 =
        last.file_stem().and_then(|name| name.to_str()).and_then(|name| name.parse().ok()).expect("a number");
    let older = kept.lines().filter(|line| {
        let note: Value = serde_json::from_str(line).expect("JSON");
        note["note"].as_str().and_then(|note| note.lines().nth(1)?.parse().ok()).is_some_and(|size: u64| size < first)
    });
    fs::write(&checkpoints, older.map(|line| format!("{line}\n")).collect::<String>()).expect("cut");
    assert_eq!(verify(&bed, &[]).code, Some(0), "nothing in the folder says that there was more");
    // Where a segment ends is the disk's doing as well.
    for more in [["--anchor", text(&anchor)], ["--expect-size", &records.to_string()]] {
        let run = verify(&bed, &more);
        assert_eq!(run.code, Some(1), "{run:?}");
        assert!(run.out.contains("problem: "), "{}", run.out);
    }
    fs::write(&checkpoints, kept).expect("as it was");
    let run = verify(&bed, &[]);
    assert_eq!(run.code, Some(1), "the checkpoints say so as well");
    assert!(run.out.contains("NOT ok, 1 problem, "), "one cut, however many checkpoints are behind it: {}", run.out);
}

#[test]
fn a_proof_holds_without_the_log_and_only_for_its_record() {
    let (bed, folder) = closed_log();
    let proof = bed.path("record.proof");
    bed.ok(&["witness", "prove", "17", "-o", text(&proof)]);
    let other = Bed::new();
    let check = |file: &Path, key: &str| other.run(&["witness", "check-proof", text(file), "--key", key]);
    let run = check(&proof, &public(7));
    assert_eq!(run.code, Some(0), "{run:?}");
    let record: Value = serde_json::from_str(&run.out).expect("the record");
    assert_eq!(record["seq"], 17);
    assert!(run.err.contains("the proof holds: record 17 of the log example.org/log"), "{}", run.err);
    assert_eq!(check(&proof, &public(8)).code, Some(1));
    let forged = fs::read_to_string(&proof).expect("a proof").replace("\nindex 17\n", "\nindex 18\n");
    assert_eq!(check(&other.write("forged.proof", &forged), &public(7)).code, Some(1));
    assert_eq!(check(&other.path("none.proof"), &public(7)).code, Some(3));
    let object = json(&other.run(&["witness", "check-proof", text(&proof), "--key", &public(7), "--json"]));
    assert_eq!((&object["result"], &object["record"]["seq"]), (&"ok".into(), &17.into()));
    // A record that was changed is not proved.
    let path = &segments(&folder)[0];
    let changed = fs::read_to_string(path).expect("a segment").replacen("alice", "malle", 3);
    fs::write(path, changed).expect("changed");
    assert_eq!(bed.run(&["witness", "prove", "2"]).code, Some(1));
    let missing = bed.run(&["witness", "prove", "100000"]);
    assert!(missing.code == Some(1) && missing.err.contains("there is no record 100000"), "{missing:?}");
}

#[test]
fn a_checkpoint_that_there_is_not_names_those_that_there_are() {
    let (bed, folder) = closed_log();
    let notes = fs::read_to_string(folder.join("checkpoints.jsonl")).expect("checkpoints");
    let size = |line: &str| Checkpoint::parse(json_of(line)["note"].as_str().expect("a note")).expect("one").size;
    let sizes: Vec<u64> = notes.lines().map(size).collect();
    let last = sizes[sizes.len() - 1];
    let prove = |record: u64, size: u64| {
        let run = bed.run(&["witness", "prove", &record.to_string(), "--size", &size.to_string()]);
        assert_eq!(run.code, Some(1), "{run:?}");
        run.err
    };
    let near = format!("; the nearest are of {}, {}, {} and {}\n", sizes[1], sizes[2], sizes[3], sizes[4]);
    assert!(prove(3, sizes[2] + 1).ends_with(&near), "{sizes:?}: {}", prove(3, sizes[2] + 1));
    let before = format!("; the nearest are of {} and {last}\n", sizes[sizes.len() - 2]);
    assert!(prove(3, 1_000_000).ends_with(&before), "{}", prove(3, 1_000_000));
    let other = format!("does not cover record {}; that of {} records does\n", sizes[2], sizes[3]);
    assert!(prove(sizes[2], sizes[2]).ends_with(&other), "{}", prove(sizes[2], sizes[2]));
    fs::write(folder.join("checkpoints.jsonl"), format!("{}\n", notes.lines().next().expect("a line"))).expect("cut");
    assert!(prove(3, 4).ends_with("no checkpoint of 4 records; the only one is of 1\n"), "{}", prove(3, 4));
    fs::remove_file(folder.join("checkpoints.jsonl")).expect("removed");
    assert!(prove(3, 4).ends_with("; it has none at all in checkpoints.jsonl\n"), "{}", prove(3, 4));
}

#[test]
fn a_log_has_grown_from_what_was_kept() {
    let (bed, _) = closed_log();
    let sizes: Vec<u64> = fs::read_to_string(bed.data().join("witness/checkpoints.jsonl"))
        .expect("checkpoints")
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).expect("JSON");
            line["note"].as_str().and_then(|note| note.lines().nth(1)?.parse().ok()).expect("a size")
        })
        .collect();
    let (old, new) = (sizes[1].to_string(), sizes[sizes.len() - 1].to_string());
    let key = public(7);
    let proof = bed.ok(&["witness", "consistency", &old, &new, "--key", &key]);
    assert!(proof.starts_with(&format!("old {old}\n")), "{proof}");
    let note = bed.path("new.note");
    assert_eq!(verify(&bed, &["-o", text(&note)]).code, Some(0));
    assert_eq!(bed.ok(&["witness", "consistency", &old, text(&note), "--key", &key]), proof);
    let backwards = bed.run(&["witness", "consistency", &new, &old, "--key", &key]);
    assert_eq!(backwards.code, Some(2), "{backwards:?}");
    // What another log has signed is no beginning of this one.
    let other = Bed::new();
    let log = open_log(&other.data(), "south", 30);
    assert!(log.close(time(60), PATIENCE));
    let strange = bed.path("strange.note");
    assert_eq!(verify(&other, &["-o", text(&strange)]).code, Some(0));
    let run = bed.run(&["witness", "consistency", text(&strange), text(&note), "--key", &key]);
    assert_eq!(run.code, Some(1), "{run:?}");
}

#[test]
fn a_trace_puts_nodes_together_by_time() {
    let (bed, north) = closed_log();
    let other = Bed::new();
    let log = open_log(&other.data(), "south", 12);
    drop(log);
    let south = other.data().join("witness");
    let id = call(1).to_string();
    let table = bed.ok(&["witness", "trace", &id]);
    assert!(table.starts_with("TIME") && table.lines().count() == 4, "{table}");
    assert!(table.contains("a?[2J,\"b"), "a record cannot move the cursor: {table}");
    let both = bed.ok(&["witness", "trace", &id, text(&north), text(&south), "--json"]);
    let records: Vec<Value> = both.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let nodes: Vec<&str> = records.iter().filter_map(|record| record["node"].as_str()).collect();
    assert_eq!(nodes, ["north", "south", "north", "south", "north", "south"]);
    let story = TraceId::from(call(1)).to_string();
    let csv = bed.ok(&["witness", "trace", &story, "--format", "csv"]);
    assert!(csv.starts_with("time,node,seq,kind,"), "{csv}");
    assert_eq!(csv.lines().count(), 1 + 6 + 3, "six of the story, and three of the call of that number: {csv}");
    assert!(table.contains("number=3 rule=\"no bob\"") && table.contains("number=4\n"), "{table}");
    assert_eq!(bed.ok(&["witness", "trace", "--sip-call-id", SIP_CALL_ID]), table, "all of its call");
    assert_eq!(bed.run(&["witness", "trace", "--sip-call-id", "a-call@host"]).code, Some(1));
    assert_eq!(bed.run(&["witness", "trace"]).code, Some(2), "something is to be looked for");
    let other = call(999).to_string();
    let none = bed.run(&["witness", "trace", &other, text(&north)]);
    let said = format!("no record of {other} in {}", text(&north));
    assert!(none.code == Some(1) && none.err.contains(&said), "a folder is no identifier: {none:?}");
    assert_eq!(bed.run(&["witness", "trace", text(&north)]).code, Some(2), "a folder is no identifier");
}

#[test]
fn what_is_neither_an_identifier_nor_a_folder_is_wrong_usage() {
    let (bed, north) = closed_log();
    let id = call(1).to_string();
    for mistyped in [&id[1..], &id.replace('-', "")[..31], "019ab2c3", "nowhere", &id.replace('-', "_")] {
        let run = bed.run(&["witness", "trace", mistyped]);
        assert_eq!(run.code, Some(2), "{run:?}");
        let said = format!(
            "{mistyped:?} is neither the identifier of a call or a trace, which is a UUID or 32 hexadecimal digits"
        );
        assert!(run.err.contains(&said) && run.err.contains("nor a folder that is there"), "{run:?}");
    }
    assert_eq!(bed.run(&["witness", "trace", &id, "./nowhere"]).code, Some(3), "this is said to be a folder");
    // The order is of no account, and a name of the folder one is in will do.
    std::os::unix::fs::symlink(&north, bed.path("copy")).expect("a link");
    assert_eq!(bed.ok(&["witness", "trace", "copy", &id]), bed.ok(&["witness", "trace", &id, text(&north)]));
    let unknown = TraceId::from(call(998)).to_string();
    let run = bed.run(&["witness", "trace", &unknown]);
    assert!(run.code == Some(1) && run.err.contains(&format!("no record of {unknown} in ")), "{run:?}");
}

#[test]
fn verify_says_what_is_cosigned_and_what_should_be() {
    let (bed, folder) = closed_log();
    let witness = SigningKey::from_seed("w.example/w1", [9; 32]).expect("a key");
    let config = fs::read_to_string(bed.path("strowger.toml")).expect("a configuration");
    let anchor = format!(
        "[[witness.anchor]]\nkind = \"peer\"\nurl = \"http://192.0.2.2:8443/witness\"\nkey = \"{}\"\n",
        witness.verifying_key().as_cosigner()
    );
    let run = verify(&bed, &[]);
    assert!(run.code == Some(0) && run.out.ends_with("\ncosigned: no checkpoint\n"), "{run:?}");
    bed.write("strowger.toml", &(config + &anchor));
    let run = verify(&bed, &[]);
    let missing = "notice: cosignatures are missing: none in checkpoints.jsonl is by the witness w.example/w1\n";
    assert!(run.code == Some(0) && run.out.starts_with(missing), "the configuration makes it known: {run:?}");
    assert!(!verify(&bed, &[text(&folder)]).out.contains("missing"), "of a copy it does not");
    let path = folder.join("checkpoints.jsonl");
    let mut lines = fs::read_to_string(&path).expect("checkpoints");
    let first: Value = serde_json::from_str(lines.lines().next().expect("a line")).expect("JSON");
    let note = first["note"].as_str().expect("a note");
    let cosignature = cosign(&Checkpoint::parse(note).expect("a checkpoint"), &witness, time(5));
    lines += &format!("{}\n", checkpoint_line(note, &[cosignature]));
    fs::write(&path, &lines).expect("written");
    let run = verify(&bed, &[]);
    assert!(run.code == Some(0) && !run.out.contains("notice"), "{run:?}");
    assert!(
        run.out.contains("\ncosigned: 1 of ") && run.out.contains("; 1 by w.example/w1, the last covers record 0\n")
    );
    let json = json(&verify(&bed, &["--json"]));
    assert_eq!((&json["cosigned"], &json["cosigners"][0]["verified"]), (&1.into(), &true.into()));
}

#[test]
fn a_closed_segment_that_is_gone_is_named() {
    let (bed, folder) = closed_log();
    let segment = segments(&folder).swap_remove(1);
    assert!(segment.with_extension("index").exists());
    fs::remove_file(&segment).expect("removed");
    let run = verify(&bed, &[]);
    let name = segment.file_name().and_then(|name| name.to_str()).expect("a name");
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(
        run.out.contains("no record has retired them") && run.out.contains(&format!("{name} was removed")),
        "{run:?}"
    );
}

#[test]
fn a_time_that_ends_before_it_begins_is_wrong_usage() {
    let (bed, _) = closed_log();
    for to in ["2026-11-20T12:00:10", "2026-11-20T12:00:20"] {
        let file = bed.path("none.jsonl");
        let run = bed.run(&["witness", "export", "--from", "2026-11-20T12:00:20", "--to", to, "-o", text(&file)]);
        assert!(run.code == Some(2) && run.err.contains("--from must be earlier than --to"), "{run:?}");
        assert!(!file.exists(), "nothing is written over");
    }
}

#[test]
fn the_records_of_a_time_are_exported() {
    let (bed, _) = closed_log();
    let export = ["witness", "export", "--from", "2026-11-20T12:00:10", "--to", "2026-11-20T12:00:20"];
    let lines = bed.ok(&export);
    let of_calls = |lines: &str| lines.lines().filter(|line| line.contains("connected")).count();
    assert_eq!(of_calls(&lines), 10, "{lines}");
    let file = bed.path("ten.csv");
    bed.ok(&[&export[..], &["--format", "csv", "-o", text(&file)]].concat());
    let csv = fs::read_to_string(&file).expect("a file");
    assert_eq!((of_calls(&csv), csv.starts_with("time,")), (10, true));
    let all = bed.ok(&["witness", "export"]);
    let status = json(&bed.run(&["witness", "status", "--json"]));
    assert_eq!(status["records"], all.lines().count());
}

#[test]
fn a_key_is_made_once_for_its_owner_alone() {
    let bed = Bed::new();
    let file = bed.path("witness.key");
    let public = bed.ok(&["witness", "keygen", "example.org/log", "-o", text(&file)]);
    let secret = fs::read_to_string(&file).expect("a key");
    assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
    let key = SigningKey::parse(secret.trim()).expect("a key");
    assert_eq!(public, format!("{}\n", key.verifying_key()));
    let again = bed.run(&["witness", "keygen", "example.org/log", "-o", text(&file)]);
    assert!(again.code == Some(1) && again.err.contains("there already"), "{again:?}");
    assert_eq!(fs::read_to_string(&file).expect("a key"), secret);
    // A bare name is a file of the folder one is in, as in the example of the help.
    bed.ok(&["witness", "keygen", "exchange.example/log", "-o", "bare.key"]);
    assert!(SigningKey::parse(fs::read_to_string(bed.path("bare.key")).expect("a key").trim()).is_ok());
    assert_eq!(bed.run(&["witness", "keygen", "a name", "-o", text(&bed.path("b.key"))]).code, Some(2));
}

#[test]
fn what_cannot_be_read_is_no_verdict_and_a_folder_needs_no_configuration() {
    let (bed, folder) = closed_log();
    let nowhere = bed.path("nowhere");
    for command in ["verify", "status", "export"] {
        let run = bed.run(&["witness", command, text(&nowhere)]);
        let said = format!(
            "strowger: there is no folder {}; name that of a witness log, or of a copy of one\n",
            text(&nowhere)
        );
        assert_eq!((run.code, run.err), (Some(3), said));
    }
    let unreadable = bed.run(&["witness", "verify", text(&folder), "--key", "nowhere.pub"]);
    assert_eq!(unreadable.err.matches("os error 2").count(), 1, "it is said once: {unreadable:?}");
    assert_eq!(verify(&bed, &["--anchor", "nowhere.note"]).code, Some(3));
    // A name that is there and leads nowhere is no segment that went meanwhile.
    for name in ["00000000000000000000.index", "00000000000000009999.jsonl", "00000000000000009999.index"] {
        let (path, aside) = (folder.join(name), bed.path("aside"));
        let was_there = fs::rename(&path, &aside).is_ok();
        std::os::unix::fs::symlink("nowhere", &path).expect("a link");
        let run = verify(&bed, &[]);
        assert!(run.code == Some(3) && run.err.contains(name), "{run:?}");
        fs::remove_file(&path).expect("removed");
        fs::create_dir(&path).expect("a folder");
        assert_eq!(verify(&bed, &[]).code, Some(3), "nor is a folder of that name");
        fs::remove_dir(&path).expect("removed");
        if was_there {
            fs::rename(&aside, &path).expect("as it was");
        }
    }
    bed.write("strowger.toml", "nonsense = 1\n");
    assert_eq!(verify(&bed, &[]).code, Some(2));
    assert_eq!(verify(&bed, &[text(&folder)]).code, Some(0));
    assert_eq!(bed.run(&["witness", "status", "--data", "data"]).code, Some(0));
}

#[test]
fn what_is_no_regular_file_is_refused_by_its_name() {
    let check = |name: &dyn Fn(&Path) -> std::path::PathBuf| {
        let (bed, folder) = closed_log();
        let path = name(&folder);
        fs::remove_file(&path).expect("removed");
        std::os::unix::fs::symlink("/dev/zero", &path).expect("a link");
        let run = verify(&bed, &[]);
        assert_eq!(run.code, Some(3), "{run:?}");
        assert!(
            run.err.contains("not a regular file")
                && run.err.contains(text(Path::new(path.file_name().expect("a name")))),
            "{}",
            run.err
        );
    };
    check(&|folder| segments(folder)[0].clone());
    check(&|folder| folder.join("checkpoints.jsonl"));
    check(&|folder| folder.join("key.pub"));
}

/// A pipe that nobody writes, a device that never ends, and a folder: none is waited for, and each is refused in the same words.
#[test]
fn a_file_that_is_named_and_is_none_is_refused() {
    let (bed, _) = closed_log();
    let pipe = bed.path("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    fs::create_dir(bed.path("folder")).expect("made");
    let long = "long".to_owned();
    bed.write(&long, &"x".repeat((1 << 20) + 1));
    let key = public(7);
    for (named, why) in [
        (text(&pipe), "not a regular file"),
        ("/dev/zero", "not a regular file"),
        (text(&bed.path("folder")), "not a regular file"),
        (text(&bed.path(&long)), "longer than 1048576 bytes"),
    ] {
        let commands: [&[&str]; 5] = [
            &["witness", "verify", "--key", named],
            &["witness", "verify", "--key", &key, "--anchor", named],
            &["witness", "verify", "--key", &key, "--witness", named],
            &["witness", "check-proof", named, "--key", &key],
            &["witness", "consistency", named, named, "--key", &key],
        ];
        for command in commands {
            let run = bed.run(command);
            assert_eq!(run.code, Some(3), "{command:?}: {run:?}");
            assert!(run.err.contains(named) && run.err.contains(why), "{command:?}: {}", run.err);
        }
    }
}

#[test]
fn a_message_that_nobody_can_read_changes_no_exit_code() {
    let bed = Bed::new();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("a device");
    let status = std::process::Command::new(env!("CARGO_BIN_EXE_strowger"))
        .args(["witness", "verify", "/no/such/folder"])
        .current_dir(bed.path(""))
        .stderr(full)
        .status()
        .expect("it runs");
    assert_eq!(status.code(), Some(3));
}
