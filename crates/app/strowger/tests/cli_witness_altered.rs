//! What `witness trace` and `export` say of a log that was changed: they show what stands there, and do not pass it off as good.

mod bed;
mod logged;

use bed::{Bed, Run};
use logged::{PATIENCE, call, closed_log, key, open_log, public, segments, text, time};
use std::fs;
use std::path::{Path, PathBuf};
use sx_witness::{Batch, Chain, Draft, Facts, Hash, IndexEntry, Kind, Renderer, checkpoint_line};

/// The lines of a segment.
fn lines(segment: &Path) -> Vec<String> {
    let bytes = fs::read(segment).expect("a segment");
    let written = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    std::str::from_utf8(written).expect("text").lines().map(str::to_owned).collect()
}

fn put(segment: &Path, lines: &[String]) {
    fs::write(segment, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).expect("written");
}

/// The segment with this record, and its place there.
fn place_of(folder: &Path, needle: &str) -> (PathBuf, usize) {
    let found = segments(folder).into_iter().find_map(|segment| {
        let at = lines(&segment).iter().position(|line| line.contains(needle))?;
        Some((segment, at))
    });
    found.unwrap_or_else(|| panic!("no record has {needle}"))
}

fn seq(line: &str) -> u64 {
    serde_json::from_str::<serde_json::Value>(line).expect("JSON")["seq"].as_u64().expect("a number")
}

#[track_caller]
fn is_told(run: &Run, said: &str) {
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.err.contains(said) && run.err.contains("strowger witness verify says more"), "{run:?}");
}

/// A call in the middle of the log.
const NUMBER: u64 = 24;

#[test]
fn a_record_that_was_changed_is_shown_and_named() {
    let (bed, folder) = closed_log();
    let (segment, at) = place_of(&folder, "\"number\":25");
    let is_last = at + 1 == lines(&segment).len();
    // What follows it may stand in the next segment: when checkpoints come is up to the clock.
    let (segment, at) = if is_last { place_of(&folder, "\"number\":24") } else { (segment, at) };
    let id = call(NUMBER / 3).to_string();
    let export = ["witness", "export", "--from", "2026-11-20T12:00:20", "--to", "2026-11-20T12:00:30"];
    let good = lines(&segment);
    for command in [&["witness", "trace", &id][..], &export[..]] {
        let run = bed.run(command);
        assert_eq!((run.code, run.err.as_str()), (Some(0), ""), "{run:?}");
        let mut bad = good.clone();
        bad[at] = bad[at].replace("alice", "malle");
        put(&segment, &bad);
        let run = bed.run(command);
        is_told(
            &run,
            &format!("problem: record {} ({}", seq(&bad[at]), text(segment.file_name().expect("a name").as_ref())),
        );
        assert!(run.err.contains("was changed") && run.out.contains("malle"), "it is shown all the same: {run:?}");
        // One that is gone, and one in the place of another.
        let removed = |lines: &mut Vec<String>, at: usize| drop(lines.remove(at));
        let swapped = |lines: &mut Vec<String>, at: usize| lines.swap(at, at + 1);
        let changes: [fn(&mut Vec<String>, usize); 2] = [removed, swapped];
        for change in changes {
            let mut bad = good.clone();
            change(&mut bad, at);
            put(&segment, &bad);
            is_told(&bed.run(command), &seq(&good[at]).to_string());
        }
        put(&segment, &good);
    }
    let json = bed.run(&["witness", "trace", &id, "--json"]);
    assert_eq!((json.code, json.out.lines().count()), (Some(0), 3));
}

/// Makes all hashes anew, as somebody does who lacks the key.
fn make_anew(folder: &Path) {
    let mut last = "0".repeat(64);
    for segment in segments(folder) {
        let (mut index, mut offset) = (Vec::new(), 0);
        let mut all = lines(&segment);
        for line in &mut all {
            let link = line.find("\"prev_hash\":\"").expect("a link") + 13;
            line.replace_range(link..link + 64, &last);
            let hash = Hash::of(line.as_bytes());
            index.extend(IndexEntry { offset, hash }.to_bytes());
            (offset, last) = (offset + line.len() as u64 + 1, hash.to_string());
        }
        put(&segment, &all);
        let path = segment.with_extension("index");
        if path.exists() {
            fs::write(path, index).expect("an index");
        }
    }
}

#[test]
fn hashes_made_anew_are_not_what_was_signed() {
    for with_checkpoints in [true, false] {
        let (bed, folder) = closed_log();
        make_anew(&folder);
        let id = call(NUMBER / 3).to_string();
        assert_eq!(bed.run(&["witness", "trace", &id]).code, Some(0), "nothing was changed");
        let (segment, at) = place_of(&folder, "\"number\":25");
        let mut bad = lines(&segment);
        bad[at] = bad[at].replace("alice", "malle");
        put(&segment, &bad);
        make_anew(&folder);
        if !with_checkpoints {
            fs::remove_file(folder.join("checkpoints.jsonl")).expect("removed");
        }
        is_told(&bed.run(&["witness", "trace", &id]), "is not that of the records before it");
        is_told(&bed.run(&["witness", "export"]), "is not that of the records before it");
    }
}

#[test]
fn a_time_that_was_changed_does_not_hide_a_segment() {
    let (bed, folder) = closed_log();
    let (segment, _) = place_of(&folder, "\"number\":25");
    let mut bad = lines(&segment);
    bad[0] = bad[0].replace("\"time\":\"2026", "\"time\":\"2096");
    put(&segment, &bad);
    let run = bed.run(&["witness", "export", "--from", "2026-11-20T12:00:20", "--to", "2026-11-20T12:00:30"]);
    is_told(&run, &format!("record {} ", seq(&bad[0])));
}

#[test]
fn what_other_segments_have_is_told_by_their_indexes() {
    let (bed, folder) = closed_log();
    let id = call(NUMBER / 3).to_string();
    let (segment, _) = place_of(&folder, "\"number\":3,");
    let index = segment.with_extension("index");
    let good = fs::read(&index).expect("an index");
    let mut bad = good.clone();
    bad[50] ^= 1;
    fs::write(&index, bad).expect("changed");
    is_told(&bed.run(&["witness", "trace", &id]), ".index was changed");
    fs::write(&index, good).expect("as it was");
    // A segment that is gone is told as well: records of the call may have been in it.
    fs::remove_file(&index).expect("gone");
    fs::remove_file(&segment).expect("gone");
    is_told(&bed.run(&["witness", "trace", &id]), "missing");
}

#[test]
fn a_log_without_its_key_has_a_chain_still() {
    let (bed, folder) = closed_log();
    let id = call(NUMBER / 3).to_string();
    fs::remove_file(folder.join("key.pub")).expect("removed");
    let run = bed.run(&["witness", "trace", &id]);
    assert!(run.code == Some(0) && run.err.contains("the key that the log names itself"), "{run:?}");
    let (segment, at) = place_of(&folder, "\"number\":25");
    let mut bad = lines(&segment);
    bad[at] = bad[at].replace("alice", "malle");
    put(&segment, &bad);
    is_told(&bed.run(&["witness", "trace", &id]), "was changed");
}

#[test]
fn a_log_without_its_key_is_not_accused_however_many_checkpoints_it_has() {
    let bed = Bed::new();
    let folder = bed.path("copy");
    fs::create_dir(&folder).expect("a folder");
    let (mut renderer, mut chain) = (Renderer::new("north"), Chain::new());
    let (mut bytes, mut filed) = (Vec::new(), String::new());
    let id = call(1);
    for number in 0..150 {
        let begun = Facts::new().with("format", 1).with("key", public(7));
        let draft = match number {
            0 => Draft { outcome: "begun", facts: begun, ..Draft::new(time(0), Kind::Log) },
            _ => Draft { actor: "user:alice", call: Some(id), ..Draft::new(time(number), Kind::Invite) },
        };
        let mut batch = Batch::default();
        renderer.render(&draft, &mut batch);
        chain.append(&batch, &mut bytes, &mut Vec::new());
        let checkpoint = chain.checkpoint(time(number), "north", &key(7), &mut bytes, &mut Vec::new());
        filed += &format!("{}\n", checkpoint_line(&checkpoint.note, &[]));
    }
    let segment = folder.join("00000000000000000000.jsonl");
    fs::write(&segment, &bytes).expect("written");
    fs::write(folder.join("checkpoints.jsonl"), filed).expect("written");
    for command in [&["witness", "trace", &id.to_string(), text(&folder)][..], &["witness", "export", text(&folder)]] {
        let run = bed.run(command);
        assert!(run.code == Some(0) && !run.err.contains("problem"), "{run:?}");
    }
    let changed = String::from_utf8(bytes).expect("text").replacen("alice", "malle", 1);
    fs::write(&segment, changed).expect("changed");
    is_told(&bed.run(&["witness", "export", text(&folder)]), "was changed");
}

#[test]
fn a_log_that_is_written_to_is_good() {
    let bed = Bed::new();
    let log = open_log(&bed.data(), "north", 40);
    let id = call(13).to_string();
    for command in [&["witness", "trace", &id][..], &["witness", "export"]] {
        let run = bed.run(command);
        assert_eq!((run.code, run.err.as_str()), (Some(0), ""), "{run:?}");
    }
    assert!(log.close(time(50), PATIENCE));
}
