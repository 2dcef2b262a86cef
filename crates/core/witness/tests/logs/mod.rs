//! Logs as a writer leaves them, and what somebody may do to them afterwards; both from a seed.

pub mod edit;
pub mod forge;

use std::collections::BTreeMap;
use sx_engine::{Rng, Time};
use sx_types::{CallId, TraceId};
use sx_witness::{
    Batch, Chain, Checkpoint, Draft, Facts, IndexEntry, Kind, Line, Options, Renderer, SegmentCheck, SigningKey, Value,
    Verdict, Verification, VerifyingKey, checkpoint_line, cosign,
};

pub const LOG: &str = "exchange.example/log";
pub const WITNESS: &str = "witness.example/w1";
/// The key of the witness as auditors have it, who know it for one that cosigns.
const WITNESS_KEY: &str = "witness.example/w1+24b5d9fe+BP0XJDhaoMdbZPt4zWAvodmR/ev3axPFjtcC6sg16fYY";
const NODE: &str = "node-1";

/// The files of a log's folder.
pub type Folder = BTreeMap<String, Vec<u8>>;

/// A log and what an auditor knows of it.
#[derive(Clone)]
pub struct Case {
    pub folder: Folder,
    /// The key that the auditor has.
    pub key: VerifyingKey,
    /// The key of the witness that has cosigned.
    pub witness: VerifyingKey,
    /// A checkpoint that the auditor has kept.
    pub anchor: Option<Checkpoint>,
    /// The number of records.
    pub records: u64,
    /// The number of the last record that holds a checkpoint.
    pub signed: u64,
    /// The number of the last record that holds a checkpoint which is in `checkpoints.jsonl`.
    pub filed: u64,
    /// The first record that is still there.
    pub first: u64,
    /// How many bytes of a torn write stand at its end.
    pub torn: u64,
    /// What was done to it.
    pub edit: Option<&'static str>,
}

/// The name of a segment or of its index.
pub fn name(first: u64, extension: &str) -> String {
    format!("{first:020}.{extension}")
}

pub fn signing_key(number: u8, name: &str) -> SigningKey {
    SigningKey::from_seed(name, [number; 32]).expect("a good name")
}

/// Writes a log as a writer does that has its time.
struct Writer {
    rng: Rng,
    renderer: Renderer,
    chain: Chain,
    now: Time,
    key: SigningKey,
    out: Vec<u8>,
    index: Vec<IndexEntry>,
    /// The number of the first record of the segment that is open.
    first: u64,
    folder: Folder,
    firsts: Vec<u64>,
    checkpoints: Vec<Checkpoint>,
}

impl Writer {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::from_number(seed);
        let now = Time::from_nanos(1_790_000_000_000_000_000 + rng.below(1 << 50));
        Self {
            rng,
            renderer: Renderer::new(NODE),
            chain: Chain::new(),
            now,
            key: signing_key(1, LOG),
            out: Vec::new(),
            index: Vec::new(),
            first: 0,
            folder: Folder::new(),
            firsts: vec![0],
            checkpoints: Vec::new(),
        }
    }

    fn log(&mut self, outcome: &str, facts: Facts<'_>) {
        let mut batch = Batch::default();
        let draft = Draft { outcome, facts, ..Draft::new(self.now, Kind::Log) };
        self.renderer.render(&draft, &mut batch);
        self.chain.append(&batch, &mut self.out, &mut self.index);
    }

    /// A group of records about calls.
    fn some_records(&mut self) {
        let mut batch = Batch::default();
        for _ in 0..=self.rng.below(6) {
            self.now = Time::from_nanos(self.now.as_nanos() + self.rng.below(1 << 32));
            let call = CallId::from_u128(self.rng.u128());
            let kind = Kind::ALL[2 + self.rng.below(Kind::ALL.len() as u64 - 2) as usize];
            let actor = text(&mut self.rng);
            let mut facts = Facts::new();
            for name in ["legs", "zone", "a\nb", "\u{e000}", "\u{1f600}", "Z"] {
                if self.rng.below(3) == 0 {
                    facts.push(name, value(&mut self.rng, 0));
                }
            }
            let draft = Draft {
                actor: &actor,
                outcome: ["", "answered", "refused"][self.rng.below(3) as usize],
                call: (self.rng.below(4) > 0).then_some(call),
                trace: (self.rng.below(2) > 0).then_some(TraceId::from_u128(self.rng.u128())),
                policy_version: if self.rng.below(2) > 0 { "7" } else { "" },
                facts,
                ..Draft::new(self.now, kind)
            };
            self.renderer.render(&draft, &mut batch);
        }
        self.chain.append(&batch, &mut self.out, &mut self.index);
    }

    fn checkpoint(&mut self) {
        let checkpoint = self.chain.checkpoint(self.now, NODE, &self.key, &mut self.out, &mut self.index);
        self.checkpoints.push(checkpoint);
    }

    fn close_segment(&mut self) {
        if self.out.is_empty() {
            return;
        }
        let entries = self.index.drain(..).flat_map(IndexEntry::to_bytes).collect();
        self.folder.insert(name(self.first, "index"), entries);
        self.folder.insert(name(self.first, "jsonl"), std::mem::take(&mut self.out));
        self.first = self.chain.size();
        self.firsts.push(self.first);
    }

    fn change_key(&mut self, number: u8) {
        let next = signing_key(number, LOG);
        self.log("key_changed", Facts::new().with("key", next.verifying_key().to_string()));
        self.checkpoint();
        self.key = next;
    }

    /// Retires the segments before a later one, and takes their lines away.
    fn retire(&mut self) -> u64 {
        let kept = self.rng.below(self.firsts.len() as u64) as usize;
        let first = self.firsts[kept];
        if first == 0 || first == self.first {
            return 0;
        }
        self.log("retired", Facts::new().with("first", 0).with("last", first - 1));
        self.checkpoint();
        for gone in &self.firsts[..kept] {
            self.folder.remove(&name(*gone, "jsonl"));
        }
        first
    }

    /// `checkpoints.jsonl`, perhaps without its last lines, perhaps with some twice.
    fn file_checkpoints(&mut self, witness: &SigningKey) -> u64 {
        let lacking = if self.rng.below(3) == 0 { self.rng.below(self.checkpoints.len() as u64) as usize } else { 0 };
        let filed = &self.checkpoints[..self.checkpoints.len() - lacking];
        let mut lines = String::new();
        for checkpoint in filed {
            let cosignature = cosign(checkpoint, witness, self.now);
            if self.rng.below(3) == 0 {
                lines += &format!("{}\n", checkpoint_line(&checkpoint.note, &[]));
            }
            lines += &format!("{}\n", checkpoint_line(&checkpoint.note, &[cosignature]));
        }
        if self.rng.below(8) == 0 {
            lines += "{\"cosig";
        }
        self.folder.insert("checkpoints.jsonl".to_owned(), lines.into_bytes());
        filed.last().map_or(0, |checkpoint| checkpoint.size)
    }

    /// What the end of a log looks like: complete, with room, or torn.
    fn leave(&mut self) {
        let mut bytes = std::mem::take(&mut self.out);
        match self.rng.below(8) {
            0 | 1 => bytes.extend_from_slice(b"{\"actor\":\"unfini"),
            2 => self.tear(&mut bytes),
            _ => {}
        }
        if self.rng.below(2) == 0 {
            bytes.extend(vec![0; self.rng.below(300) as usize]);
        }
        self.folder.insert(name(self.first, "jsonl"), bytes);
    }

    /// A further write, of which some sectors have reached the disk when power failed, and others have not.
    fn tear(&mut self, bytes: &mut Vec<u8>) {
        let (begin, known) = (bytes.len(), self.checkpoints.len());
        for _ in 0..=self.rng.below(6) {
            self.some_records();
            if self.rng.below(4) == 0 {
                self.checkpoint();
            }
        }
        // Nobody was told of these.
        self.checkpoints.truncate(known);
        bytes.append(&mut self.out);
        for sector in begin / SECTOR..=bytes.len() / SECTOR {
            let to = bytes.len().min((sector + 1) * SECTOR);
            if self.rng.below(2) == 0 {
                bytes[begin.max(sector * SECTOR).min(to)..to].fill(0);
            }
        }
    }
}

/// What stands in the last segment: how many records there are, the last that holds a checkpoint, and how many bytes are torn.
fn end_of(bytes: &[u8]) -> (Option<u64>, Option<u64>, u64) {
    let written = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    let end = written.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let torn = bytes[end..].iter().rposition(|byte| *byte != 0).map_or(0, |at| at as u64 + 1);
    let lines = written[..end].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let lines: Vec<Line<'_>> = lines.map(|line| Line::parse(line).expect("an honest line")).collect();
    let signed = lines.iter().rfind(|line| line.kind() == Kind::Checkpoint);
    (lines.last().map(|line| line.seq() + 1), signed.map(Line::seq), torn)
}

/// A disk writes as much of it or nothing.
pub const SECTOR: usize = 512;

/// An honest log of a few segments.
pub fn honest(seed: u64) -> Case {
    let mut writer = Writer::new(seed);
    let (key, witness) = (writer.key.verifying_key(), signing_key(9, WITNESS));
    let witness_key = VerifyingKey::parse(WITNESS_KEY).expect("a good key");
    writer.log("begun", Facts::new().with("format", 1).with("key", key.to_string()));
    let key_changes_in = writer.rng.below(40);
    let mut changed_at = u64::MAX;
    for step in 0..12 + writer.rng.below(20) {
        match writer.rng.below(8) {
            0 => writer.checkpoint(),
            1 => writer.close_segment(),
            2 if step > 2 => writer.log("resumed", Facts::new().with("cut_bytes", 17)),
            _ => writer.some_records(),
        }
        if step == key_changes_in {
            changed_at = writer.chain.size();
            writer.change_key(2);
        }
    }
    writer.checkpoint();
    let first = if writer.rng.below(2) == 0 { writer.retire() } else { 0 };
    // Where the change of the key has been retired, the auditor has the key that came after.
    let key = if changed_at < first { writer.key.verifying_key() } else { key };
    if writer.rng.below(2) == 0 {
        writer.some_records();
    }
    let filed = writer.file_checkpoints(&witness);
    writer.leave();
    let (records, signed, torn) = end_of(&writer.folder[&name(writer.first, "jsonl")]);
    let (records, signed) = (records.expect("it has lines"), signed.expect("the last of them was signed"));
    writer.folder.insert("key.pub".to_owned(), format!("{}\n", writer.key.verifying_key()).into_bytes());
    let kept = writer.rng.below(writer.checkpoints.len() as u64) as usize;
    let anchor = (writer.rng.below(2) == 0).then(|| writer.checkpoints[kept].clone());
    Case { folder: writer.folder, key, witness: witness_key, anchor, records, signed, filed, first, torn, edit: None }
}

fn text(rng: &mut Rng) -> String {
    const CHARACTERS: [char; 12] = ['a', 'Z', ' ', '"', '\\', '\n', '\u{1}', '\u{7f}', 'é', '€', '\u{1f600}', '/'];
    (0..rng.below(12)).map(|_| CHARACTERS[rng.below(CHARACTERS.len() as u64) as usize]).collect()
}

fn value(rng: &mut Rng, depth: u64) -> Value<'static> {
    match rng.below(6 - depth.min(2)) {
        0 => text(rng).into(),
        1 => (rng.u64() as i64 >> rng.below(64)).into(),
        2 => (rng.below(2) == 0).into(),
        3 => rng.below(10).into(),
        4 => Value::List((0..rng.below(4)).map(|_| value(rng, depth + 1)).collect()),
        _ => Facts::new().with("b", value(rng, depth + 1)).with("a", text(rng)).into(),
    }
}

/// Verifies a folder as a shell does: all files in the order of their names, in pieces of any size.
pub fn verify(case: &Case, seed: u64) -> Verdict {
    let mut rng = Rng::from_number(seed);
    let options = Options {
        anchors: case.anchor.iter().cloned().collect(),
        expect_size: None,
        witnesses: vec![case.witness.clone()],
    };
    let mut verification = Verification::new(case.key.clone(), options);
    if let Some(bytes) = case.folder.get("checkpoints.jsonl") {
        verification.checkpoints_file(bytes);
    }
    if let Some(bytes) = case.folder.get("key.pub") {
        verification.key_file(&String::from_utf8_lossy(bytes));
    }
    let firsts: Vec<u64> = numbers(&case.folder);
    for first in &firsts {
        let index = case.folder.get(&name(*first, "index"));
        if let Some(bytes) = case.folder.get(&name(*first, "jsonl")) {
            let is_last =
                firsts.iter().all(|other| other <= first || !case.folder.contains_key(&name(*other, "jsonl")));
            let mut check = SegmentCheck::new(*first, is_last);
            let piece = 1 + rng.below(1 + bytes.len() as u64) as usize;
            bytes.chunks(piece).for_each(|piece| check.feed(piece));
            verification.take(check.finish());
            if let Some(index) = index {
                verification.index_file(*first, index);
            }
        } else if let Some(index) = index {
            let entries = index.chunks_exact(40).filter_map(<[u8]>::first_chunk::<40>);
            let hashes: Vec<_> = entries.map(|entry| IndexEntry::from_bytes(entry).hash).collect();
            verification.missing(*first, index.len().div_ceil(40).max(1) as u64, &hashes);
        }
    }
    verification.finish()
}

/// The numbers in the names of segments and indexes.
pub fn numbers(folder: &Folder) -> Vec<u64> {
    let numbers = folder.keys().filter_map(|name| name.split('.').next()?.parse().ok());
    let mut numbers: Vec<u64> = numbers.collect();
    numbers.dedup();
    numbers
}
