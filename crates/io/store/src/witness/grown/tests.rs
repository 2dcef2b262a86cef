//! Proofs out of a log that grows.

use super::*;
use std::fs;
use std::io::Write as _;
use sx_engine::Time;
use sx_witness::{Batch, Chain, Draft, IndexEntry, Kind, Renderer, Seen, SigningKey};
use tempfile::{TempDir, tempdir};

fn key() -> SigningKey {
    SigningKey::from_seed("example.org/test", [7; 32]).expect("a key")
}

/// A log whose files are made by hand, in segments of so many records.
struct Log {
    dir: TempDir,
    chain: Chain,
    entries: Vec<IndexEntry>,
    of_segment: usize,
}

impl Log {
    fn new(of_segment: usize) -> Self {
        let dir = tempdir().expect("a folder");
        Self { dir, chain: Chain::new(), entries: Vec::new(), of_segment }
    }

    fn grow(&mut self, records: usize) {
        for _ in 0..records {
            let (mut renderer, mut batch, mut out) = (Renderer::new("test"), Batch::default(), Vec::new());
            renderer.render(&Draft::new(Time::ZERO, Kind::Trying), &mut batch);
            let place = self.entries.len() - self.entries.len() % self.of_segment;
            self.chain.append(&batch, &mut out, &mut self.entries);
            let path = files::path_of(self.dir.path(), place as u64, files::SEGMENT);
            let mut file = fs::OpenOptions::new().append(true).create(true).open(path).expect("a segment");
            file.write_all(&out).expect("a line");
        }
    }

    /// Gives every full segment its index, and removes the lines of the first ones.
    fn index(&self, without_lines: usize) {
        for (place, entries) in self.entries.chunks_exact(self.of_segment).enumerate() {
            let first = (place * self.of_segment) as u64;
            files::write_index(self.dir.path(), first, entries).expect("an index");
            if place < without_lines {
                // Perhaps it is gone already.
                let _ = fs::remove_file(files::path_of(self.dir.path(), first, files::SEGMENT));
            }
        }
    }

    fn checkpoint(&self) -> Checkpoint {
        self.chain.clone().checkpoint(Time::ZERO, "test", &key(), &mut Vec::new(), &mut Vec::new())
    }
}

fn holds(seen: Seen, proof: &ConsistencyProof) -> bool {
    seen.admit(proof, &[key().verifying_key()]).is_ok()
}

#[test]
fn what_is_in_indexes_and_what_is_in_lines_makes_one_tree() {
    let mut log = Log::new(300);
    log.grow(250);
    let mut grown = GrownLog::of(log.dir.path().to_owned());
    let mut seen = Seen::nothing();
    // Blocks become full, segments get an index while they are read, lines go.
    for (records, without_lines) in [(0, 0), (90, 0), (400, 1), (4_000, 3), (5_000, 9), (1, 20), (0, 20)] {
        log.grow(records);
        log.index(without_lines);
        let checkpoint = log.checkpoint();
        let proof = grown.prove(seen.size, &checkpoint).expect("a proof");
        assert!(holds(seen, &proof), "{} to {}", seen.size, checkpoint.size);
        let anew = GrownLog::of(log.dir.path().to_owned()).prove(seen.size, &checkpoint).expect("a proof");
        assert_eq!(anew, proof, "what was kept changes nothing");
        seen = Seen::of(&checkpoint);
    }
    for old in [1, 4095, 4096, 4097, 8191, 8192, 9000] {
        let proof = grown.prove(old, &log.checkpoint()).expect("a proof");
        let mut tree = Frontier::new();
        log.entries[..old as usize].iter().for_each(|entry| tree.push_record(&entry.hash));
        assert!(holds(Seen { size: old, root: tree.root() }, &proof), "{old}");
    }
}

#[test]
fn the_room_and_half_a_line_behind_the_records_are_none() {
    let mut log = Log::new(1000);
    log.grow(10);
    let path = files::path_of(log.dir.path(), 0, files::SEGMENT);
    let whole = fs::read(&path).expect("a segment");
    let checkpoint = log.checkpoint();
    for behind in [vec![0; 100_000], b"{\"facts\":{".to_vec()] {
        fs::write(&path, [whole.as_slice(), &behind].concat()).expect("written");
        let mut grown = GrownLog::of(log.dir.path().to_owned());
        assert!(holds(Seen::nothing(), &grown.prove(0, &checkpoint).expect("a proof")));
    }
}

#[test]
fn a_log_whose_files_were_changed_proves_nothing() {
    let mut log = Log::new(1000);
    log.grow(20);
    let checkpoint = log.checkpoint();
    let path = files::path_of(log.dir.path(), 0, files::SEGMENT);
    let whole = fs::read_to_string(&path).expect("a segment");
    fs::write(&path, whole.replacen("\"seq\":7,", "\"seq\":8,", 1)).expect("written");
    let mut grown = GrownLog::of(log.dir.path().to_owned());
    assert!(matches!(grown.prove(0, &checkpoint), Err(ProveError::Changed { size: 20 })));
    fs::write(&path, whole.lines().take(15).map(|line| format!("{line}\n")).collect::<String>()).expect("written");
    assert!(matches!(grown.prove(0, &checkpoint), Err(ProveError::Missing { record: 15 })));
    fs::write(&path, whole).expect("written");
    assert!(grown.prove(0, &checkpoint).is_ok(), "what was wrong is read anew");
}
