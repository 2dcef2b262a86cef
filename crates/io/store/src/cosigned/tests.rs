//! What was cosigned is remembered, whatever happens in between.

use super::*;
use sx_witness::{Batch, Chain, Draft, Kind, Renderer, consistency_proof, leaf_hash, verify_cosignature};
use tempfile::{TempDir, tempdir};

const NOW: Time = Time::from_secs(1_800_000_000);

fn key(name: &str) -> SigningKey {
    SigningKey::from_seed(name, [9; 32]).expect("a key")
}

fn open(dir: &TempDir) -> Result<CosignedLogs, CosignedError> {
    let data = DataFolder::open(dir.path()).expect("a folder");
    CosignedLogs::open(&data, vec![key("a.example/log").verifying_key()], key("w.example/log"))
}

/// A request of a log all of whose records have this subject.
fn request(subject: &str, old: u64, size: u64) -> ConsistencyProof {
    let (mut chain, mut entries) = (Chain::new(), Vec::new());
    for _ in 0..size {
        let (mut renderer, mut batch) = (Renderer::new("test"), Batch::default());
        renderer.render(&Draft { subject, ..Draft::new(NOW, Kind::Trying) }, &mut batch);
        chain.append(&batch, &mut Vec::new(), &mut entries);
    }
    let leaves: Vec<Hash> = entries.iter().map(|entry| leaf_hash(&entry.hash)).collect();
    let checkpoint = chain.checkpoint(NOW, "test", &key("a.example/log"), &mut Vec::new(), &mut Vec::new());
    ConsistencyProof { old, path: consistency_proof(old, size, |number| leaves[number as usize]), checkpoint }
}

fn refused(outcome: Result<String, CosignError>) -> CosignRefused {
    match outcome {
        Err(CosignError::Refused(refused)) => refused,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_cosigned_is_remembered_beyond_a_restart() {
    let dir = tempdir().expect("a folder");
    let logs = open(&dir).expect("nothing yet");
    let first = request("x", 0, 5);
    let line = logs.add_checkpoint(&first, NOW).expect("a cosignature");
    assert_eq!(verify_cosignature(&first.checkpoint, &line, &logs.verifying_key()), Ok(NOW));
    drop(logs);

    let logs = open(&dir).expect("as it was");
    assert_eq!(logs.seen("a.example/log"), Some(Seen::of(&first.checkpoint)));
    assert_eq!(refused(logs.add_checkpoint(&request("x", 0, 9), NOW)), CosignRefused::OtherSize { seen: 5 });
    logs.add_checkpoint(&request("x", 5, 9), NOW).expect("it goes on");
    logs.add_checkpoint(&request("x", 9, 9), NOW).expect("the same once more");
}

#[test]
fn a_log_that_was_rewritten_is_refused_and_changes_nothing() {
    let dir = tempdir().expect("a folder");
    let logs = open(&dir).expect("nothing yet");
    logs.add_checkpoint(&request("x", 0, 5), NOW).expect("a cosignature");
    assert_eq!(refused(logs.add_checkpoint(&request("y", 5, 9), NOW)), CosignRefused::Inconsistent);
    assert_eq!(refused(logs.add_checkpoint(&request("y", 5, 5), NOW)), CosignRefused::OtherRoot);
    logs.add_checkpoint(&request("x", 5, 9), NOW).expect("the honest one goes on");
}

#[test]
fn a_witness_that_cannot_remember_does_not_sign() {
    let dir = tempdir().expect("a folder");
    let logs = open(&dir).expect("nothing yet");
    fs::remove_dir_all(dir.path().join(FOLDER)).expect("removed");
    assert!(matches!(logs.add_checkpoint(&request("x", 0, 5), NOW), Err(CosignError::File(_))));
    assert_eq!(logs.seen("a.example/log"), None);
}

#[test]
fn a_file_that_was_changed_is_no_reason_to_begin_anew() {
    let dir = tempdir().expect("a folder");
    open(&dir).expect("nothing yet").add_checkpoint(&request("x", 0, 5), NOW).expect("a cosignature");
    let path = path_of(&dir.path().join(FOLDER), "a.example/log");
    let text = fs::read_to_string(&path).expect("a file");
    for wrong in [String::new(), text[..20].to_owned(), text.replacen("a.example", "b.example", 1)] {
        fs::write(&path, wrong).expect("written");
        assert!(matches!(open(&dir), Err(CosignedError::Damaged { .. })));
    }
}

#[test]
fn of_requests_at_a_time_none_leads_back() {
    let dir = tempdir().expect("a folder");
    let logs = open(&dir).expect("nothing yet");
    let requests: Vec<_> = (1..=8).map(|size| request("x", 0, size)).collect();
    let signed = std::thread::scope(|scope| {
        let asked: Vec<_> =
            requests.iter().map(|request| scope.spawn(|| logs.add_checkpoint(request, NOW).is_ok())).collect();
        asked.into_iter().map(|asked| asked.join().expect("no panic")).collect::<Vec<_>>()
    });
    assert_eq!(signed.iter().filter(|signed| **signed).count(), 1, "each goes on from nothing: one is the first");
    let seen = logs.seen("a.example/log").expect("one was cosigned");
    assert!(signed[seen.size as usize - 1]);
}
