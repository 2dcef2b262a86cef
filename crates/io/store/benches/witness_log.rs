//! Measures the witness log on a real disk: writing it beside SQLite, and verifying ten million records.
//!
//! ```text
//! cargo bench -p sx-store --bench witness_log                     both, in a folder that is removed; wants 5 GB
//! cargo bench -p sx-store --bench witness_log -- append FOLDER [RECORDS]
//!     group commits against rusqlite (WAL, synchronous=FULL), one transaction a batch. `waiting`: each batch is durable
//!     before the next is made, as with SQLite; `group`: the next is made meanwhile, as an exchange's workers do
//! cargo bench -p sx-store --bench witness_log -- build FOLDER [RECORDS]      a log of so many, as fast as it can be hashed
//! cargo bench -p sx-store --bench witness_log -- verify FOLDER               verifies it
//! ```
//!
//! `FOLDER` must not be there yet, or be empty, for the first two; it is left there.

#![expect(clippy::print_stdout, reason = "a measurement is printed")]

use rusqlite::Connection;
use rustix::event::{PollFd, PollFlags, poll};
use std::error::Error;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use sx_engine::Time;
use sx_store::{DataFolder, ReadProgress, WitnessFolder, WitnessLog, WitnessOptions, WitnessPort};
use sx_types::{CallId, TraceId};
use sx_witness::{
    Batch, Chain, Draft, Facts, IndexEntry, Kind, Options, Renderer, SigningKey, VerifyingKey, checkpoint_line,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

const SEED: [u8; 32] = [7; 32];
const SEGMENT_BYTES: usize = 64 << 20;
const CHECKPOINT_RECORDS: u64 = 4096;
const APPENDED: u64 = 2_000_000;
const VERIFIED: u64 = 10_000_000;

fn main() -> Outcome<()> {
    // Cargo says `--bench` to every benchmark.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        [] => all(),
        ["append", folder] => append(folder.as_ref(), APPENDED),
        ["append", folder, records] => append(folder.as_ref(), records.parse()?),
        ["build", folder] => build(folder.as_ref(), VERIFIED),
        ["build", folder, records] => build(folder.as_ref(), records.parse()?),
        ["verify", folder] => verify(folder.as_ref()),
        _ => Err("say append, build or verify, and a folder".into()),
    }
}

fn all() -> Outcome<()> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    append(&folder.path().join("append"), APPENDED)?;
    fs::remove_dir_all(folder.path().join("append"))?;
    build(&folder.path().join("log"), VERIFIED)?;
    verify(&folder.path().join("log"))
}

fn key() -> Outcome<SigningKey> {
    Ok(SigningKey::from_seed("example.org/load", SEED)?)
}

/// A record of a call as the exchange writes it, of about 350 bytes.
fn render(renderer: &mut Renderer, number: u64, now: Time, batch: &mut Batch) {
    let call = CallId::from_u128(u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
    let facts = Facts::new().with("leg", number % 7).with("trunk", "carrier-west");
    let draft = Draft {
        actor: "user:alice@example.org",
        subject: "+49301234567",
        outcome: "answered",
        call: Some(call),
        trace: Some(TraceId::from(call)),
        facts,
        ..Draft::new(now, Kind::Connected)
    };
    renderer.render(&draft, batch);
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_nanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

fn append(folder: &Path, records: u64) -> Outcome<()> {
    println!("{:>6}  {:>12}  {:>12}  {:>12}  {:>6}", "batch", "group/s", "waiting/s", "sqlite/s", "ratio");
    for batch in [64, 256, 1024, 4096] {
        // A small batch is a wait for the disk each: fewer records say as much.
        let count = records.min(batch * 400) / batch * batch;
        let group = append_witness(&folder.join(format!("group-{batch}")), count, batch, batch)?;
        let waiting = append_witness(&folder.join(format!("waiting-{batch}")), count, batch, 0)?;
        let sqlite = append_sqlite(&folder.join(format!("sqlite-{batch}")), count, batch)?;
        println!("{batch:>6}  {group:>12.0}  {waiting:>12.0}  {sqlite:>12.0}  {:>6.2}", waiting / sqlite);
    }
    Ok(())
}

/// Records a second, until all are durable; so many may be on their way to the disk while a batch is made.
fn append_witness(folder: &Path, count: u64, size: u64, ahead: u64) -> Outcome<f64> {
    let data = DataFolder::open(folder)?;
    let options = WitnessOptions { gather: Duration::ZERO, ..WitnessOptions::default() };
    let (log, _) = WitnessLog::open(&data, key()?, options, now())?;
    let port = log.port()?;
    let (mut renderer, mut batch) = (Renderer::new("node-1"), Batch::default());
    let begun = Instant::now();
    for first in (0..count).step_by(size as usize) {
        let time = now();
        (first..first + size).for_each(|number| render(&mut renderer, number, time, &mut batch));
        let appended = port.append(time, &mut batch)?;
        wait_for(&port, appended - ahead)?;
    }
    wait_for(&port, log.status().records)?;
    let speed = count as f64 / begun.elapsed().as_secs_f64();
    log.close(now(), Duration::from_secs(5));
    Ok(speed)
}

fn wait_for(port: &WitnessPort, size: u64) -> Outcome<()> {
    loop {
        port.step(now(), true);
        if port.durable() >= size {
            return Ok(());
        }
        let patience = Duration::from_millis(1).try_into()?;
        poll(&mut [PollFd::new(port.event(), PollFlags::IN)], Some(&patience))?;
        // The counter is lowered, so that the next wait is one.
        let _ = rustix::io::read(port.event(), &mut [0; 8]);
    }
}

/// The same records as rows, a transaction a batch.
fn append_sqlite(folder: &Path, count: u64, size: u64) -> Outcome<f64> {
    fs::create_dir_all(folder)?;
    let mut database = Connection::open(folder.join("log.sqlite"))?;
    database.pragma_update(None, "journal_mode", "WAL")?;
    database.pragma_update(None, "synchronous", "FULL")?;
    database.execute("CREATE TABLE record (seq INTEGER PRIMARY KEY, line BLOB NOT NULL)", [])?;
    let (mut renderer, mut batch, mut chain) = (Renderer::new("node-1"), Batch::default(), Chain::new());
    let (mut lines, mut index) = (Vec::new(), Vec::new());
    let begun = Instant::now();
    for first in (0..count).step_by(size as usize) {
        let time = now();
        (first..first + size).for_each(|number| render(&mut renderer, number, time, &mut batch));
        lines.clear();
        index.clear();
        chain.append(&batch, &mut lines, &mut index);
        batch.clear();
        let transaction = database.transaction()?;
        {
            let mut insert = transaction.prepare_cached("INSERT INTO record (seq, line) VALUES (?1, ?2)")?;
            for (seq, line) in (first..).zip(lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())) {
                insert.execute((seq as i64, line))?;
            }
        }
        transaction.commit()?;
    }
    Ok(count as f64 / begun.elapsed().as_secs_f64())
}

/// A folder as a writer leaves it, without waiting for the disk.
fn build(folder: &Path, records: u64) -> Outcome<()> {
    fs::create_dir_all(folder)?;
    let key = key()?;
    let public = key.verifying_key().to_string();
    fs::write(folder.join("key.pub"), format!("{public}\n"))?;
    let (mut renderer, mut batch, mut chain) = (Renderer::new("node-1"), Batch::default(), Chain::new());
    let (mut lines, mut index, mut first) = (Vec::new(), Vec::new(), 0);
    let mut checkpoints = BufWriter::new(File::create(folder.join("checkpoints.jsonl"))?);
    let begun = Instant::now();
    let facts = Facts::new().with("format", 1).with("key", public.as_str());
    renderer.render(&Draft { outcome: "begun", facts, ..Draft::new(now(), Kind::Log) }, &mut batch);
    chain.append(&batch, &mut lines, &mut index);
    while chain.size() < records {
        batch.clear();
        let (from, time) = (chain.size(), now());
        (from..from + CHECKPOINT_RECORDS).for_each(|number| render(&mut renderer, number, time, &mut batch));
        chain.append(&batch, &mut lines, &mut index);
        let checkpoint = chain.checkpoint(time, "node-1", &key, &mut lines, &mut index);
        writeln!(checkpoints, "{}", checkpoint_line(&checkpoint.note, &[]))?;
        if lines.len() >= SEGMENT_BYTES {
            write_segment(folder, first, &lines, Some(&index))?;
            (first, lines, index) = (chain.size(), Vec::new(), Vec::new());
        }
    }
    write_segment(folder, first, &lines, None)?;
    checkpoints.flush()?;
    println!("{} records in {:.1} s", chain.size(), begun.elapsed().as_secs_f64());
    Ok(())
}

fn write_segment(folder: &Path, first: u64, lines: &[u8], index: Option<&[IndexEntry]>) -> Outcome<()> {
    fs::write(folder.join(format!("{first:020}.jsonl")), lines)?;
    if let Some(index) = index {
        let entries: Vec<u8> = index.iter().flat_map(|entry| entry.to_bytes()).collect();
        fs::write(folder.join(format!("{first:020}.index")), entries)?;
    }
    Ok(())
}

fn verify(folder: &Path) -> Outcome<()> {
    let folder = WitnessFolder::open(folder)?;
    let key: VerifyingKey = folder.key()?;
    let progress = ReadProgress::default();
    let begun = Instant::now();
    let verdict = folder.verify(&key, &Options::default(), &progress)?;
    let seconds = begun.elapsed().as_secs_f64();
    let records = verdict.records;
    println!(
        "{records} records, {} MiB, {} problems: {seconds:.2} s, {:.0} records/s",
        progress.bytes() >> 20,
        verdict.problems.len(),
        records as f64 / seconds
    );
    Ok(())
}
