//! What a crash may leave of a log, read by an auditor before the writer comes back, and after.

use super::*;
use crate::witness::ports::WitnessPort;
use crate::witness::{ReadProgress, WitnessFolder};
use sx_witness::{
    Batch, CHECKPOINTS_APPEND_BYTES_MAX, FiledFault, Notice, Options, Problem, Renderer, SegmentCheck, Verdict,
    Verification, lines_end,
};
use tempfile::{TempDir, tempdir};

mod links;

const NOW: Time = Time::from_secs(1_800_000_000);
const PATIENT: Duration = Duration::from_secs(10);
const SECTOR: usize = 512;

fn key() -> SigningKey {
    SigningKey::from_seed("example.org/test", [7; 32]).expect("a key")
}

fn open(folder: &Path) -> Result<(WitnessLog, Opened), WitnessError> {
    let options = WitnessOptions { node: "test".into(), gather: Duration::ZERO, ..WitnessOptions::default() };
    WitnessLog::open_on(folder, disk_for(folder)?, key(), options, NOW)
}

/// Appends, and waits until all is on the disk.
fn write(port: &WitnessPort, count: usize, subject: &str) {
    let (mut renderer, mut batch) = (Renderer::new("test"), Batch::default());
    (0..count).for_each(|_| renderer.render(&Draft { subject, ..Draft::new(NOW, Kind::Trying) }, &mut batch));
    let size = port.append(NOW, &mut batch).expect("room");
    for turn in 0..20_000_u64 {
        if port.durable() >= size {
            return;
        }
        port.step(NOW + Duration::from_millis(turn), true);
        port.event().wait_for(Some(Duration::from_millis(1))).expect("an event");
    }
    panic!("{size} records do not become durable");
}

fn verify(folder: &Path) -> Verdict {
    let log = WitnessFolder::open(folder).expect("a log");
    log.verify(&key().verifying_key(), &Options::default(), &ReadProgress::default()).expect("it can be read")
}

/// The last record that says that the log was resumed.
fn resumed(folder: &Path) -> serde_json::Value {
    let text = fs::read(files::path_of(folder, 0, files::SEGMENT)).expect("a segment");
    let lines = text[..lines_end(&text)].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let records: Vec<Line<'_>> = lines.map(|line| Line::parse(line).expect("a record")).collect();
    let found = records.iter().rfind(|line| line.outcome().as_deref() == Some("resumed"));
    found.expect("it says so").facts()
}

/// A log whose last write is not acknowledged yet.
struct Crashed {
    dir: TempDir,
    /// The segment with that write, and where it begins.
    segment: Vec<u8>,
    acknowledged: usize,
    checkpoints: Vec<u8>,
}

impl Crashed {
    fn new(subject: &str) -> Self {
        let dir = tempdir().expect("a folder");
        let path = files::path_of(dir.path(), 0, files::SEGMENT);
        let (log, _) = open(dir.path()).expect("a log");
        let port = log.port().expect("a port");
        write(&port, 4, subject);
        assert!(log.sign(NOW, PATIENT));
        write(&port, 1, subject);
        let acknowledged = lines_end(&fs::read(&path).expect("a segment"));
        write(&port, 12, "lost");
        drop((port, log));
        let segment = fs::read(&path).expect("a segment");
        let checkpoints = fs::read(dir.path().join(files::CHECKPOINTS)).expect("checkpoints");
        Self { dir, segment, acknowledged, checkpoints }
    }

    /// Puts the files there as a crash has left them.
    fn leave(&self, segment: &[u8], checkpoints: &[u8]) {
        fs::write(files::path_of(self.dir.path(), 0, files::SEGMENT), segment).expect("written");
        fs::write(self.dir.path().join(files::CHECKPOINTS), checkpoints).expect("written");
    }

    /// The segment without the sectors of the last write that have a bit here.
    fn without(&self, lost: usize) -> Vec<u8> {
        let mut segment = self.segment.clone();
        for (bit, sector) in (self.acknowledged / SECTOR..).take(7).enumerate() {
            if lost >> bit & 1 == 1 {
                segment[self.acknowledged.max(sector * SECTOR)..(sector + 1) * SECTOR].fill(0);
            }
        }
        segment
    }
}

#[test]
fn whichever_sectors_of_a_write_are_lost_the_log_is_never_accused_and_goes_on() {
    let step = if cfg!(debug_assertions) { 5 } else { 1 };
    let crashed = Crashed::new("somebody");
    let folder = crashed.dir.path();
    let acknowledged = crashed.segment[..crashed.acknowledged].iter().filter(|byte| **byte == b'\n').count() as u64;
    for lost in (0..1 << 7).step_by(step) {
        let segment = crashed.without(lost);
        crashed.leave(&segment, &crashed.checkpoints);
        let before = verify(folder);
        assert!(before.is_honest() && before.records >= acknowledged, "lost {lost:b}: {before:?}");
        assert_eq!(before.is_torn(), matches!(before.notices[..], [Notice::TornTail { .. }]));
        let (log, opened) = open(folder).expect("the log goes on");
        assert_eq!((opened.records, opened.cut_bytes), (before.records, before.torn_bytes), "lost {lost:b}");
        assert!(log.close(NOW, PATIENT));
        drop(log);
        let after = verify(folder);
        assert!(after.is_honest() && !after.is_torn() && after.notices.is_empty(), "lost {lost:b}: {after:?}");
        assert_eq!(resumed(folder)["cut_bytes"], before.torn_bytes);
    }
}

/// What the opening of a log has left in its first segment, whose end was this before.
fn opened_at(folder: &Path, before: &[u8]) -> Vec<u8> {
    let path = files::path_of(folder, 0, files::SEGMENT);
    fs::write(&path, before).expect("written");
    if let Err(error) = fs::remove_file(folder.join(files::CHECKPOINTS)) {
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    }
    drop(open(folder).expect("the log goes on"));
    let bytes = fs::read(&path).expect("a segment");
    bytes[..lines_end(&bytes)].to_vec()
}

fn kinds(bytes: &[u8]) -> Vec<String> {
    let lines = bytes.split(|byte| *byte == b'\n').filter_map(|line| Line::parse(line).ok());
    lines.map(|line| line.outcome().map_or("checkpoint".to_owned(), |outcome| outcome.to_string())).collect()
}

#[test]
fn a_log_is_signed_with_its_first_write_and_the_first_write_of_each_run() {
    let dir = tempdir().expect("a folder");
    let first = opened_at(dir.path(), b"");
    assert_eq!(kinds(&first), ["begun", "checkpoint"]);
    let verdict = verify(dir.path());
    assert_eq!((verdict.is_honest(), verdict.checkpoints, verdict.unsigned_tail), (true, 1, 0), "{verdict:?}");
    let second = opened_at(dir.path(), &first);
    assert_eq!(kinds(&second), ["begun", "checkpoint", "resumed", "checkpoint"]);
}

#[test]
fn a_first_write_that_is_torn_anywhere_and_the_one_after_it_are_never_accused() {
    let step = if cfg!(debug_assertions) { 61 } else { 3 };
    let dir = tempdir().expect("a folder");
    let first = opened_at(dir.path(), b"");
    let begun = first.iter().position(|byte| *byte == b'\n').expect("a line") + 1;
    for cut in (0..first.len()).step_by(step).chain([begun]) {
        let second = opened_at(dir.path(), &first[..cut]);
        let expected: &[&str] = match cut < begun {
            true => &["begun", "checkpoint"],
            false => &["begun", "checkpoint", "resumed", "checkpoint"],
        };
        assert_eq!(kinds(&second), expected, "cut at {cut}");
        assert!(verify(dir.path()).is_honest(), "cut at {cut}");
    }
    // A log of one record, whose next run is cut short in its first write as well.
    let second = opened_at(dir.path(), &first[..begun]);
    for cut in 0..second.len() {
        let mut check = SegmentCheck::new(0, true);
        check.feed(&second[..cut]);
        let mut verification = Verification::new(key().verifying_key(), Options::default());
        verification.take(check.finish());
        let verdict = verification.finish();
        assert!(verdict.is_honest(), "cut at {cut}: {:?}", verdict.problems);
    }
}

#[test]
fn what_no_crash_leaves_is_not_gone_on_with() {
    let crashed = Crashed::new("somebody");
    let begin = crashed.acknowledged;
    let mut misfits = Vec::new();
    for (at, with) in [(begin + 30, 0), (begin + 30, b' '), (begin - 1, b' '), (begin - 40, 0)] {
        let mut segment = crashed.segment.clone();
        segment[at] = with;
        misfits.push(segment);
    }
    misfits.push([&crashed.segment[..begin], b"\n"].concat());
    misfits.push([&crashed.segment[..begin], vec![b'x'; 65_537].as_slice()].concat());
    for segment in misfits {
        crashed.leave(&segment, &crashed.checkpoints);
        assert!(!verify(crashed.dir.path()).is_honest());
        let refused = open(crashed.dir.path());
        assert!(matches!(refused, Err(WitnessError::Broken { .. })), "{refused:?}");
        let there = fs::read(files::path_of(crashed.dir.path(), 0, files::SEGMENT)).expect("a segment");
        assert!(there == segment, "it is evidence, and stays");
    }
}

#[test]
fn a_hole_in_what_was_signed_is_not_gone_on_with() {
    let crashed = Crashed::new("somebody");
    let mut segment = crashed.segment.clone();
    segment[SECTOR..2 * SECTOR].fill(0);
    crashed.leave(&segment, &crashed.checkpoints);
    assert!(!verify(crashed.dir.path()).is_honest());
    assert!(matches!(open(crashed.dir.path()), Err(WitnessError::Damaged { .. })));
}

#[test]
fn a_line_of_checkpoints_that_is_cut_anywhere_is_cut_off_before_the_next() {
    let step = if cfg!(debug_assertions) { 13 } else { 1 };
    let crashed = Crashed::new("somebody");
    let (folder, whole) = (crashed.dir.path(), &crashed.checkpoints);
    let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    assert_eq!(lines.len(), 2, "the one that the log began with, and another");
    for cut in (0..lines[1].len()).step_by(step) {
        // Behind other lines, with and without zero bytes that stand for what was not written.
        for zeros in [0, 700] {
            let torn = [whole, &lines[1][..cut], vec![0; zeros].as_slice()].concat();
            crashed.leave(&crashed.segment, &torn);
            let before = verify(folder);
            assert!(before.is_honest() && before.notices.len() == usize::from(cut > 0), "cut at {cut}: {before:?}");
            let (log, _) = open(folder).expect("the log goes on");
            assert!(log.sign(NOW, PATIENT) && log.close(NOW, PATIENT));
            drop(log);
            let after = verify(folder);
            assert!(after.is_honest() && after.notices.is_empty(), "cut at {cut}: {after:?}");
            let filed = WitnessFolder::open(folder).and_then(|log| Ok(log.checkpoints()?)).expect("checkpoints");
            assert_eq!(filed.len(), 5, "those before, and three new ones");
            let said = resumed(folder);
            assert_eq!(said.get("checkpoints_cut_bytes").and_then(serde_json::Value::as_u64).unwrap_or(0), cut as u64);
        }
    }
}

#[test]
fn a_hole_in_the_checkpoints_is_cut_off_with_what_is_behind_it() {
    let crashed = Crashed::new("somebody");
    let whole = &crashed.checkpoints;
    let torn = [whole.as_slice(), &vec![0; SECTOR - whole.len() % SECTOR], b"what was\n"].concat();
    crashed.leave(&crashed.segment, &torn);
    assert!(verify(crashed.dir.path()).is_honest());
    let (log, _) = open(crashed.dir.path()).expect("the log goes on");
    assert!(log.close(NOW, PATIENT));
    drop(log);
    let after = verify(crashed.dir.path());
    assert!(after.is_honest() && after.notices.is_empty(), "{after:?}");
    assert_eq!(resumed(crashed.dir.path())["checkpoints_cut_bytes"], torn.len() - whole.len());
    let aside = fs::read(crashed.dir.path().join("checkpoints.cut")).expect("it is kept");
    assert!(aside.ends_with(b"what was\n"));
}

#[test]
fn a_hole_in_the_checkpoints_of_years_takes_nothing_away() {
    let crashed = Crashed::new("somebody");
    let mut holed = crashed.checkpoints.repeat(3_000);
    assert!(holed.len() > CHECKPOINTS_APPEND_BYTES_MAX + 2 * SECTOR);
    holed[SECTOR..2 * SECTOR].fill(0);
    crashed.leave(&crashed.segment, &holed);
    let check_named = || {
        let problems = verify(crashed.dir.path()).problems;
        let is_named = matches!(problems[..], [Problem::Filed { line: 3, fault: FiledFault::Form, .. }]);
        assert!(is_named, "{problems:?}");
    };
    check_named();
    let (log, _) = open(crashed.dir.path()).expect("the log goes on");
    assert!(log.close(NOW, PATIENT));
    drop(log);
    let there = fs::read(crashed.dir.path().join(files::CHECKPOINTS)).expect("checkpoints");
    assert!(there.starts_with(&holed) && there.len() > holed.len(), "no line was cut, and there are new ones");
    check_named();
    assert!(!crashed.dir.path().join("checkpoints.cut").exists());
    assert!(resumed(crashed.dir.path()).get("checkpoints_cut_bytes").is_none());
}

#[test]
fn what_was_written_into_the_checkpoints_is_left_there_and_no_line_is_glued_to_it() {
    let crashed = Crashed::new("somebody");
    // No write leaves zero bytes that end within a sector.
    let changed = [&crashed.checkpoints[..], b"{}\n{\0\"cosig"].concat();
    crashed.leave(&crashed.segment, &changed);
    let (log, _) = open(crashed.dir.path()).expect("the log goes on");
    assert!(log.close(NOW, PATIENT));
    drop(log);
    let there = fs::read(crashed.dir.path().join(files::CHECKPOINTS)).expect("checkpoints");
    let behind = there.strip_prefix(&changed[..]).expect("it is left as it is");
    let lines: Vec<&[u8]> = behind.split(|byte| *byte == b'\n').collect();
    let [b"", first, second, b""] = lines[..] else {
        panic!("two checkpoints, of the start and of the end: {lines:?}")
    };
    for line in [first, second] {
        assert!(parse_checkpoint_line(std::str::from_utf8(line).expect("text")).is_some());
    }
}
