//! What only two processes can show: who may open a data folder, and what is left of one that was killed.

use std::env;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use sx_call::{CallRecord, Cdr, Ender};
use sx_engine::Time;
use sx_leg::{Address, Source};
use sx_store::{
    CdrFilter, CdrOptions, CdrStore, DataFolder, FolderError, Ha1, JournalOptions, SharedFolder, UserRecord,
};
use sx_types::{CallId, Cause};
use tempfile::tempdir;

/// Comes before the data folder in the arguments of the process that is started, which is this file once more. The
/// test harness takes both for names of tests that there are not.
const FOLDER: &str = "in-the-folder";
const READY: &str = "the records are written";
const CALLS: u64 = 1000;
const STILL_TALKING: u64 = 10;

fn cdr(number: u64) -> Box<Cdr> {
    let start = 1_795_176_000_000_000_000 + number;
    let call = CallId::new(start / 1_000_000, number.into());
    Box::new(Cdr {
        call,
        trace: call.into(),
        source: Source::Exchange,
        caller: Address::new("anna", "example.org"),
        dialled: Address::new("bert", "example.org"),
        start,
        ring: None,
        answer: None,
        end: start,
        cause: Cause::NORMAL,
        status: 0,
        ended_by: Ender::Caller,
        attempts: Vec::new(),
        codec: None,
        caller_media: None,
        called_media: None,
    })
}

/// Does nothing but in the process that [`start`] starts: there it writes records and waits to be killed.
#[test]
fn the_process_that_is_killed() {
    let Some(path) = env::args_os().skip_while(|argument| argument != FOLDER).nth(1) else { return };
    let folder = DataFolder::open(Path::new(&path)).expect("the folder opens");
    let (mut store, _) = CdrStore::open(&folder, &CdrOptions::default(), || Time::ZERO).expect("the store opens");
    let (mut log, _) = folder.keyed("bindings", &JournalOptions::default()).expect("the log opens");
    let mut writer = store.writer("worker-0").expect("a writer");
    for number in 0..CALLS {
        writer.append(&CallRecord::Begun(cdr(number))).expect("room");
        if number >= STILL_TALKING {
            writer.append(&CallRecord::Ended(cdr(number - STILL_TALKING))).expect("room");
        }
        writer.commit().expect("a commit");
        log.put(&format!("user-{:02}", number % 50), &number).expect("room");
        log.commit().expect("a commit");
    }
    // What is only appended dies with the process.
    writer.append(&CallRecord::Begun(cdr(CALLS))).expect("room");
    writeln!(io::stderr(), "{READY}").expect("somebody listens");
    // Ends by itself when the test that waits for it has failed, and its end of the pipe is closed.
    let _ = io::stdin().read(&mut [0]);
}

/// Starts the process above and waits until it has written its records.
fn start(path: &Path) -> Child {
    let mut child = Command::new(env::current_exe().expect("this test"))
        .args(["--exact", "the_process_that_is_killed", "--nocapture", FOLDER])
        .arg(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a process");
    let output = BufReader::new(child.stderr.take().expect("it is piped"));
    let ready = output.lines().any(|line| line.expect("a line").contains(READY));
    assert!(ready, "the process has ended too early");
    child
}

#[test]
fn a_killed_process_leaves_every_committed_record() {
    let dir = tempdir().expect("a folder");
    let mut child = start(dir.path());
    child.kill().expect("it lives");
    child.wait().expect("it is gone");

    let folder = DataFolder::open(dir.path()).expect("nobody holds the lock any more");
    let (store, recovery) = CdrStore::open(&folder, &CdrOptions::default(), || Time::ZERO).expect("the store opens");
    assert_eq!(recovery.calls_cut_off, STILL_TALKING);
    drop(store);
    let cdrs = folder.shared().cdrs().expect("a reader").list(&CdrFilter::default()).expect("the calls");
    let mut expected: Vec<Cdr> = (0..CALLS).map(|number| *cdr(number)).collect();
    let end = expected[CALLS as usize - 1].start;
    for cdr in &mut expected[(CALLS - STILL_TALKING) as usize..] {
        (cdr.end, cdr.cause, cdr.ended_by) = (end, Cause(41), Ender::Process);
    }
    assert_eq!(cdrs, expected);
    let (_, bindings) = folder.keyed::<u64>("bindings", &JournalOptions::default()).expect("the log opens");
    let expected: Vec<_> = (0..50).map(|key| (format!("user-{key:02}"), CALLS - 50 + key)).collect();
    assert_eq!(bindings, expected);
}

#[test]
fn a_second_server_is_told_who_has_the_folder_and_a_command_may_work_in_it() {
    let dir = tempdir().expect("a folder");
    let mut child = start(dir.path());

    match DataFolder::open(dir.path()) {
        Err(error @ FolderError::InUse { .. }) => {
            let text = error.to_string();
            assert!(text.contains(&child.id().to_string()), "{text}");
            assert!(text.contains(&dir.path().display().to_string()), "{text}");
        }
        other => panic!("{other:?}"),
    }
    let shared = SharedFolder::attach(dir.path()).expect("the folder is there");
    assert!(shared.cdrs().expect("a reader").count(&CdrFilter::default()).expect("a count") <= CALLS);
    let mut users = shared.users().expect("the users");
    let (name, domain) = ("anna".into(), "example.org".into());
    users.add(&UserRecord { name, domain, ha1_md5: [0; 16], ha1_sha256: [0; 32] }).expect("a new user");
    users.passwd("anna", "example.org", Ha1 { md5: [1; 16], sha256: [1; 32] }).expect("a known user");

    child.kill().expect("it lives");
    child.wait().expect("it is gone");
    DataFolder::open(dir.path()).expect("nobody holds the lock any more");
}

#[test]
fn readers_see_whole_calls_while_calls_are_written() {
    let dir = tempdir().expect("a folder");
    let folder = DataFolder::open(dir.path()).expect("the folder opens");
    let (mut store, _) = CdrStore::open(&folder, &CdrOptions::default(), || Time::ZERO).expect("the store opens");
    let mut writer = store.writer("worker-0").expect("a writer");
    let shared = folder.shared().clone();
    let reading = std::thread::spawn(move || {
        let reader = shared.cdrs().expect("a reader");
        let mut seen = 0;
        while seen < CALLS {
            let cdrs = reader.list(&CdrFilter::default()).expect("the calls");
            assert!(cdrs.len() as u64 >= seen, "calls have vanished");
            assert!((0..).zip(&cdrs).all(|(number, read)| *read == *cdr(number)));
            seen = cdrs.len() as u64;
        }
    });
    for number in 0..CALLS {
        writer.append(&CallRecord::Ended(cdr(number))).expect("room");
        writer.commit().expect("a commit");
        if number % 50 == 49 {
            store.fold().expect("a fold");
        }
    }
    reading.join().expect("the reader is content");
}
