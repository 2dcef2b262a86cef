//! What the writer looks at before it goes on: how segments follow each other, and whether the records are those that were signed.

use super::*;

/// The lines of a log of two segments, of which the first is closed and has room behind it.
struct Closed {
    dir: TempDir,
    second: u64,
}

impl Closed {
    fn new() -> Self {
        let dir = tempdir().expect("a folder");
        let options = WitnessOptions {
            node: "test".into(),
            gather: Duration::ZERO,
            segment_bytes_max: 8_000,
            ..WitnessOptions::default()
        };
        let (log, _) =
            WitnessLog::open_on(dir.path(), disk_for(dir.path()).expect("a disk"), key(), options, NOW).expect("a log");
        let port = log.port().expect("a port");
        while files::list(dir.path(), files::INDEX).expect("indexes").is_empty() {
            write(&port, 10, "somebody");
        }
        assert!(log.sign(NOW, PATIENT));
        drop((port, log));
        let segments = files::list(dir.path(), files::SEGMENT).expect("segments");
        assert_eq!(segments.len(), 2);
        Self { dir, second: segments[1].first }
    }

    fn path(&self, first: u64, extension: &str) -> PathBuf {
        files::path_of(self.dir.path(), first, extension)
    }

    /// Changes a file as a text, and opens the log.
    fn open_with(&self, path: &Path, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Result<Opened, WitnessError> {
        let bytes = fs::read(path).expect("a file");
        fs::write(path, change(bytes)).expect("written");
        open(self.dir.path()).map(|(_, opened)| opened)
    }
}

fn replaced(bytes: &[u8], old: &str, new: &str) -> Vec<u8> {
    let at = memchr::memmem::find(bytes, old.as_bytes()).expect("it is there");
    [&bytes[..at], new.as_bytes(), &bytes[at + old.len()..]].concat()
}

#[test]
fn a_log_that_is_well_is_opened_with_and_without_an_index() {
    for lost in [false, true] {
        let closed = Closed::new();
        if lost {
            fs::remove_file(closed.path(0, files::INDEX)).expect("removed");
        }
        let opened = closed.open_with(&closed.path(0, files::SEGMENT), |bytes| [bytes, vec![0; 9_000]].concat());
        assert_eq!(opened.expect("it is well").indexed, u64::from(lost));
        assert!(verify(closed.dir.path()).is_honest());
    }
}

/// Other records in the place of these, with links that are right in themselves.
fn written_anew(segment: &[u8]) -> Vec<u8> {
    let (mut anew, mut previous) = (Vec::new(), Hash::ZERO);
    for line in segment[..lines_end(segment)].split_inclusive(|byte| *byte == b'\n') {
        let text = String::from_utf8(line.to_vec()).expect("text");
        let old = Line::parse(&line[..line.len() - 1]).expect("a record").prev_hash().to_string();
        let text = text.replace("somebody", "somebodi").replace(&old, &previous.to_string());
        previous = Hash::of(&text.as_bytes()[..text.len() - 1]);
        anew.extend_from_slice(text.as_bytes());
    }
    anew
}

#[test]
fn a_log_that_somebody_else_has_written_is_not_signed() {
    let crashed = Crashed::new("somebody");
    let other = SigningKey::from_seed("example.org/test", [8; 32]).expect("a key");
    let forged = Chain::new().checkpoint(NOW, "test", &other, &mut Vec::new(), &mut Vec::new());
    let line = sx_witness::checkpoint_line(&forged.note, &[]) + "\n";
    for checkpoints in [&b""[..], line.as_bytes()] {
        let anew = written_anew(&crashed.segment);
        crashed.leave(&anew, checkpoints);
        let refused = open(crashed.dir.path());
        assert!(matches!(refused, Err(WitnessError::NotOurs { .. })), "{refused:?}");
    }
}

#[test]
fn how_many_records_nobody_has_signed_is_said_with_and_without_the_file_of_checkpoints() {
    for checkpoints in [true, false] {
        let crashed = Crashed::new("somebody");
        let kept = if checkpoints { &crashed.checkpoints[..] } else { &[] };
        crashed.leave(&crashed.segment, kept);
        open(crashed.dir.path()).expect("the log goes on");
        assert_eq!(resumed(crashed.dir.path())["unsigned"], 13);
    }
}

#[test]
fn a_log_whose_records_are_not_those_of_its_last_checkpoint_is_not_gone_on_with() {
    // An index is what the tree is made of, where its segment is gone.
    let closed = Closed::new();
    fs::remove_file(closed.path(0, files::SEGMENT)).expect("removed");
    let refused = closed.open_with(&closed.path(0, files::INDEX), |mut bytes| {
        bytes[90] ^= 1;
        bytes
    });
    assert!(matches!(refused, Err(WitnessError::Rewritten { .. })), "{refused:?}");
    // So are the lines of the last segment, here with hashes that are right in themselves.
    let crashed = Crashed::new("somebody");
    let anew = written_anew(&crashed.segment);
    crashed.leave(&anew, &crashed.checkpoints);
    let refused = open(crashed.dir.path());
    assert!(matches!(refused, Err(WitnessError::Rewritten { .. })), "{refused:?}");
    assert_eq!(fs::read(files::path_of(crashed.dir.path(), 0, files::SEGMENT)).expect("a segment"), anew, "it stays");
}

#[test]
fn an_index_that_does_not_fit_its_segment_is_made_again_from_it() {
    let changed = |mut bytes: Vec<u8>| {
        bytes[90] ^= 1;
        bytes
    };
    let cut = |bytes: Vec<u8>| bytes[..bytes.len() - 20].to_vec();
    let a_record_less = |bytes: Vec<u8>| bytes[..bytes.len() - 40].to_vec();
    let longer = |bytes: Vec<u8>| [bytes, vec![7; 40]].concat();
    let none = |_| Vec::new();
    // The record behind it names another hash then.
    let last_changed = |mut bytes: Vec<u8>| {
        *bytes.last_mut().expect("an entry") ^= 1;
        bytes
    };
    let wrongs: [&dyn Fn(Vec<u8>) -> Vec<u8>; 6] = [&changed, &cut, &a_record_less, &longer, &none, &last_changed];
    for (number, wrong) in wrongs.iter().enumerate() {
        let closed = Closed::new();
        let index = closed.path(0, files::INDEX);
        let good = fs::read(&index).expect("an index");
        let opened = closed.open_with(&index, wrong).expect("the segment is there");
        assert_eq!((opened.indexed, fs::read(&index).expect("an index") == good), (1, true), "{number}");
        let kept = fs::read(index.with_extension("index.cut")).unwrap_or_default();
        assert_eq!(kept, wrong(good), "what stood there is kept: {number}");
        assert!(!index.with_extension("cut").exists(), "that is the name of what is cut off a segment");
        assert!(verify(closed.dir.path()).is_honest());
    }
}

#[test]
fn an_index_that_no_checkpoint_covers_is_compared_with_its_segment() {
    let closed = Closed::new();
    let (index, checkpoints) = (closed.path(0, files::INDEX), closed.dir.path().join(files::CHECKPOINTS));
    let good = fs::read(&index).expect("an index");
    // A crash has left the line of the first checkpoint only.
    let lines = fs::read(&checkpoints).expect("checkpoints");
    let first = memchr::memchr(b'\n', &lines).expect("a line") + 1;
    for kept in [first, 0] {
        fs::write(&checkpoints, &lines[..kept]).expect("written");
        let opened = closed.open_with(&index, |mut bytes| {
            bytes[90] ^= 1;
            bytes
        });
        assert_eq!(opened.expect("the segment is there").indexed, 1);
        assert!(fs::read(&index).expect("an index") == good);
        let verdict = verify(closed.dir.path());
        assert!(verdict.is_honest(), "{:?}", verdict.problems);
    }
}

#[test]
fn an_index_is_not_made_to_fit_a_segment_that_was_changed() {
    // Its links are right in themselves, but the next segment names another record.
    let closed = Closed::new();
    let (index, segment) = (closed.path(0, files::INDEX), closed.path(0, files::SEGMENT));
    let wrong = fs::read(&index).expect("an index")[..100].to_vec();
    fs::write(&index, &wrong).expect("written");
    let refused = closed.open_with(&segment, |bytes| written_anew(&bytes));
    assert!(matches!(refused, Err(WitnessError::Broken { .. })), "{refused:?}");
    assert_eq!(fs::read(&index).expect("an index"), wrong, "it is evidence, and stays");
    assert!(!index.with_extension("index.cut").exists());
}

#[test]
fn an_index_that_is_cut_and_has_no_segment_is_named() {
    let closed = Closed::new();
    fs::remove_file(closed.path(0, files::SEGMENT)).expect("removed");
    let index = closed.path(0, files::INDEX);
    let refused = closed.open_with(&index, |bytes| bytes[..bytes.len() - 20].to_vec());
    let named = |path: &Path, record| path == index && record == closed.second - 1;
    assert!(matches!(&refused, Err(WitnessError::Broken { record, path }) if named(path, *record)), "{refused:?}");
}

#[test]
fn a_log_whose_segments_are_gone_is_not_begun_anew() {
    let crashed = Crashed::new("somebody");
    fs::remove_file(files::path_of(crashed.dir.path(), 0, files::SEGMENT)).expect("removed");
    assert!(matches!(open(crashed.dir.path()), Err(WitnessError::Damaged { record: 0, .. })));
}

#[test]
fn a_record_that_holds_a_checkpoint_which_was_told_is_not_lost() {
    let crashed = Crashed::new("somebody");
    let begun = memchr::memchr(b'\n', &crashed.segment).expect("a line") + 1;
    let told = crashed.checkpoints.split_inclusive(|byte| *byte == b'\n').next().expect("a line");
    crashed.leave(&crashed.segment[..begun], told);
    assert!(matches!(open(crashed.dir.path()), Err(WitnessError::Damaged { record: 1, signed: 1, .. })));
}

#[test]
fn a_first_record_of_a_segment_that_names_another_hash_is_not_gone_on_with() {
    let digit = |bytes: &[u8]| {
        let at = memchr::memmem::find(bytes, b"prev_hash\":\"").expect("a link") + 12;
        let other = if bytes[at] == b'1' { b'2' } else { b'1' };
        [&bytes[..at], &[other], &bytes[at + 1..]].concat()
    };
    let closed = Closed::new();
    for first in [0, closed.second] {
        let path = closed.path(first, files::SEGMENT);
        let good = fs::read(&path).expect("a segment");
        fs::remove_file(closed.dir.path().join(files::CHECKPOINTS)).ok();
        let refused = closed.open_with(&path, |bytes| digit(&bytes));
        assert!(matches!(&refused, Err(WitnessError::Broken { record, .. }) if *record == first), "{refused:?}");
        fs::write(&path, good).expect("as it was");
    }
    assert!(open(closed.dir.path()).is_ok());
}

#[test]
fn what_is_no_record_is_not_indexed() {
    let closed = Closed::new();
    let (path, index) = (closed.path(0, files::SEGMENT), closed.path(0, files::INDEX));
    let good = fs::read(&path).expect("a segment");
    let end = lines_end(&good);
    let last = memchr::memrchr(b'\n', &good[..end - 1]).expect("a line") + 1;
    fs::remove_file(&index).expect("removed");
    let changes: [(Vec<u8>, u64); 6] = [
        (replaced(&good, "\"somebody\"", "\"somebody\" "), 2),
        (replaced(&good, "\"somebody\"", "\"somebodi\""), 2),
        (replaced(&good, "\"seq\":2", "\"seq\":3"), 2),
        ([&good[..end], b"{}\n"].concat(), closed.second),
        ([&good[..end], b"\0\0{"].concat(), closed.second),
        (good[..last].to_vec(), closed.second - 1),
    ];
    for (changed, broken) in changes {
        let refused = closed.open_with(&path, |_| changed.clone());
        assert!(matches!(&refused, Err(WitnessError::Broken { record, .. }) if *record == broken), "{refused:?}");
        assert!(!index.exists() && fs::read(&path).expect("a segment") == changed, "it is evidence, and stays");
    }
    assert_eq!(closed.open_with(&path, |_| good).expect("as it was").indexed, 1);
}

#[test]
fn what_was_cut_off_before_is_kept() {
    let crashed = Crashed::new("somebody");
    let folder = crashed.dir.path();
    let kept = |name: &str| fs::read(folder.join(name)).ok();
    let torn = |rest: &[u8]| {
        crashed.leave(&[&crashed.segment[..crashed.acknowledged], rest].concat(), &crashed.checkpoints);
        drop(open(folder).expect("the log goes on"));
    };
    torn(b"{\"first");
    torn(b"{\"second");
    // The process died before it had cut that off.
    torn(b"{\"second");
    assert_eq!(kept("00000000000000000000.cut").as_deref(), Some(b"{\"first".as_slice()));
    assert_eq!(kept("00000000000000000000.2.cut").as_deref(), Some(b"{\"second".as_slice()));
    assert_eq!(kept("00000000000000000000.3.cut"), None);
    (3..=100).for_each(|number| fs::write(folder.join(format!("{:020}.{number}.cut", 0)), b"x").expect("written"));
    torn(b"{\"third");
    assert!(
        fs::read_dir(folder).expect("a folder").all(|entry| {
            fs::read(entry.expect("an entry").path()).is_ok_and(|bytes| !bytes.starts_with(b"{\"third"))
        })
    );
    assert_eq!(resumed(folder)["cut_bytes"], 7);
}

#[test]
fn a_closed_segment_that_is_missing_is_told_and_the_log_goes_on() {
    let closed = Closed::new();
    fs::remove_file(closed.path(0, files::SEGMENT)).expect("removed");
    let (log, opened) = open(closed.dir.path()).expect("a log");
    assert_eq!(opened.missing, 1);
    drop(log);
    let text = fs::read(closed.path(closed.second, files::SEGMENT)).expect("a segment");
    assert!(memchr::memmem::find(&text, b"\"missing\":1,").is_some(), "the record of the start says so");
    let problems: Vec<String> = verify(closed.dir.path()).problems.iter().map(ToString::to_string).collect();
    assert!(
        matches!(&problems[..], [one] if one.ends_with("00000000000000000000.jsonl was removed, and its index is there"))
    );
}

#[test]
fn a_segment_that_was_retired_is_not_missed() {
    let dir = tempdir().expect("a folder");
    let options = WitnessOptions {
        node: "test".into(),
        gather: Duration::ZERO,
        segment_bytes_max: 8_000,
        keep_bytes: 20_000,
        ..WitnessOptions::default()
    };
    let (log, _) =
        WitnessLog::open_on(dir.path(), disk_for(dir.path()).expect("a disk"), key(), options, NOW).expect("a log");
    let port = log.port().expect("a port");
    while files::path_of(dir.path(), 0, files::SEGMENT).exists() {
        write(&port, 10, "somebody");
    }
    assert!(log.close(NOW, PATIENT));
    drop((port, log));
    let (log, opened) = open(dir.path()).expect("a log");
    assert_eq!(opened.missing, 0);
    drop(log);
    let there = files::list(dir.path(), files::SEGMENT).expect("segments");
    let closed = there.first().filter(|_| there.len() > 1).expect("one that is closed is kept");
    fs::remove_file(&closed.path).expect("removed");
    assert_eq!(open(dir.path()).expect("a log").1.missing, 1, "one that was kept is");
}
