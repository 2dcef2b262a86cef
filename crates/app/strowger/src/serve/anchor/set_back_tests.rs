//! A log that an older copy was put in the place of: the witness refuses it, and an auditor is told.

use super::Anchoring;
use super::tests::{Log, config, until};
use std::fs;
use std::path::Path;
use sx_witness::Notice;
use tempfile::tempdir;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
    }
}

#[test]
fn a_log_that_was_set_back_is_told_of_when_it_is_verified() {
    let (log, witness) = (Log::open("n.example/log"), Log::open("w.example/log"));
    let served = witness.cosigning(&[&log], "");
    let address = served.address().expect("it listens");
    log.grow("anna");
    let (backup, folder) = (tempdir().expect("a folder"), log.dir.path().join("witness"));
    copy(&folder, backup.path());
    // More than a start writes.
    (0..8).for_each(|_| drop(log.grow("bert")));
    let seen = log.grow("carl");
    let mut place = log.peer(address, witness.name);
    log.show(&mut place).expect("cosigned");
    drop((place, log.log, log.data));
    fs::remove_dir_all(&folder).expect("removed");
    copy(backup.path(), &folder);

    let log = Log::open_in(log.dir, log.name);
    let peer = format!("kind = \"peer\"\nurl = \"http://{address}/witness\"\nkey = \"{}\"\n", witness.public());
    let config = config(log.dir.path(), &format!("[[witness.anchor]]\n{peer}every_s = 1\n"));
    let showing = Anchoring::start(&config, &log.data, &log.log, log.clock).expect("starts");
    until("a record of the refusal", || log.records().contains("\"outcome\":\"anchor_failed\""));
    drop(showing);
    let verdict = log.audit(Vec::new());
    assert!(verdict.is_honest(), "{:?}", verdict.problems);
    let told = verdict
        .notices
        .iter()
        .any(|notice| matches!(notice, Notice::AnchorRefused { cosigned: Some(size), .. } if *size == seen.size));
    assert!(told, "{:?}", verdict.notices);
}
