//! A server on ports of its own, users to call, a token for its API, and its witness log.

#![allow(dead_code, reason = "not every file of tests needs all of it")]

use crate::bed::Bed;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::cell::RefCell;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// A running exchange. It ends with [`stop`](Self::stop), or is killed when a test fails before.
pub struct Served {
    pub bed: Bed,
    /// The public name of the administrator's token.
    pub token_id: String,
    secret: String,
    running: RefCell<Running>,
    requests_per_minute: u32,
    more: String,
}

/// The process.
struct Running {
    child: Child,
    /// Where it listens: SIP over UDP, probes, the API.
    sip: String,
    http: String,
    api: String,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

/// A telephone of the command line.
pub struct Telephone {
    child: Child,
    lines: Receiver<Value>,
}

/// How long anything may take that must come.
const PATIENCE: Duration = Duration::from_secs(30);
/// More requests than any test has for the API.
const REQUESTS_PER_MINUTE: u32 = 100_000;

impl Served {
    /// Starts one with more lines of configuration.
    pub fn start(more: &str) -> Self {
        Self::start_with(more, |_| {})
    }

    /// The same, when the folder was made ready for it.
    pub fn start_with(more: &str, prepare: impl FnOnce(&Bed)) -> Self {
        Self::start_limited(REQUESTS_PER_MINUTE, more, prepare)
    }

    /// The same, when its API takes so many requests of a token in a minute.
    pub fn start_limited(requests_per_minute: u32, more: &str, prepare: impl FnOnce(&Bed)) -> Self {
        let bed = Bed::new();
        prepare(&bed);
        write_configuration(&bed, "[exchange]\ndomains = [\"example.org\"]\n", requests_per_minute, more);
        for user in ["alice", "bob"] {
            let run = bed.run_with(&["user", "add", user, "--password-stdin"], "secret\n", &[]);
            assert_eq!(run.code, Some(0), "{run:?}");
        }
        let made: Value =
            serde_json::from_str(&bed.ok(&["token", "create", "root", "--role", "administrator", "--json"]))
                .expect("JSON");
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let running = RefCell::new(Running::start(&bed));
        let (token_id, secret) = (text(&made["id"]), text(&made["secret"]));
        Self { bed, token_id, secret, running, requests_per_minute, more: more.to_owned() }
    }

    /// Ends it by this signal and starts it again in its folder. It listens elsewhere then.
    pub fn restart_after(&self, signal: Signal) {
        self.restart_with(signal, || {});
    }

    /// The same; this is done while it does not run.
    pub fn restart_with(&self, signal: Signal, meanwhile: impl FnOnce()) {
        self.signal(signal);
        let mut running = self.running.borrow_mut();
        running.child.wait().expect("it ends");
        meanwhile();
        *running = Running::start(&self.bed);
    }

    /// Writes the configuration anew, with another `[exchange]`.
    pub fn configure(&self, exchange: &str) {
        write_configuration(&self.bed, exchange, self.requests_per_minute, &self.more);
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask(&self.secret, "GET", path, "")
    }

    pub fn put(&self, path: &str, body: &str) -> Answer {
        self.ask(&self.secret, "PUT", path, body)
    }

    pub fn post(&self, path: &str, body: &str) -> Answer {
        self.ask(&self.secret, "POST", path, body)
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.ask(&self.secret, "DELETE", path, "")
    }

    /// Asks the API with a token, if any.
    pub fn ask(&self, secret: &str, method: &str, path: &str, body: &str) -> Answer {
        let token = if secret.is_empty() { String::new() } else { format!("Authorization: Bearer {secret}\r\n") };
        let json = match body.len() {
            0 => String::new(),
            length => format!("Content-Type: application/json\r\nContent-Length: {length}\r\n"),
        };
        said(
            &self.running.borrow().api,
            &format!("{method} /api/v1{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{token}{json}\r\n{body}"),
        )
    }

    /// What the command line shows of a call.
    pub fn shows(&self, id: &str, more: &[&str]) -> String {
        self.tries_to_show(id, more).expect("it is shown")
    }

    /// The same, if it shows anything.
    pub fn tries_to_show(&self, id: &str, more: &[&str]) -> Option<String> {
        let api = format!("http://{}", self.running.borrow().api);
        let arguments = [&["call", "show", id, "--url", &api][..], more].concat();
        let run = self.bed.run_with(&arguments, "", &[("STROWGER_TOKEN", &self.secret)]);
        (run.code == Some(0)).then_some(run.out)
    }

    /// The status of a page for probes.
    pub fn status(&self, path: &str) -> u16 {
        said(&self.running.borrow().http, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
            .status
    }

    /// What scrapers are told.
    pub fn metrics(&self) -> String {
        said(&self.running.borrow().http, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").body
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.running.borrow().child), signal).expect("it runs");
    }

    /// The witness log, record by record.
    pub fn records(&self) -> Vec<Value> {
        let folder = self.bed.data().join("witness");
        let entries = std::fs::read_dir(folder).expect("a log").map(|entry| entry.expect("an entry").path());
        let is_segment = |path: &std::path::PathBuf| {
            path.extension().is_some_and(|extension| extension == "jsonl") && !path.ends_with("checkpoints.jsonl")
        };
        let mut segments: Vec<_> = entries.filter(is_segment).collect();
        segments.sort();
        let texts = segments.iter().map(|path| std::fs::read(path).expect("a segment"));
        let text = texts.flatten().filter(|byte| *byte != 0).collect();
        let text = String::from_utf8(text).expect("text");
        // The last line may still be written.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).expect("a record")).collect()
    }

    /// The status with which the exchange answers an OPTIONS, if it does in time.
    pub fn options_status(&self, patience: Duration) -> Option<u16> {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_read_timeout(Some(patience)).expect("a timeout");
        let (local, sip) = (socket.local_addr().expect("an address"), &self.running.borrow().sip);
        let branch = local.port();
        let options = format!(
            "OPTIONS sip:{sip} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n\
             From: <sip:probe@example.org>;tag=1\r\nTo: <sip:{sip}>\r\nCall-ID: {branch}@probe\r\nCSeq: 1 OPTIONS\r\n\
             Content-Length: 0\r\n\r\n"
        );
        socket.send_to(options.as_bytes(), sip).expect("it is sent");
        let mut answer = [0; 2_000];
        let length = socket.recv(&mut answer).ok()?;
        let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
        answer.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
    }

    pub fn answers_options(&self, patience: Duration) -> bool {
        self.options_status(patience).is_some()
    }

    /// A telephone that is registered and answers.
    pub fn waits_for_a_call(&self, user: &str) -> Telephone {
        let telephone = self.telephone(&["call", "--answer", "--register"], user);
        told("a registration", || telephone.lines.recv_timeout(PATIENCE).ok().filter(|l| l["event"] == "registered"));
        telephone
    }

    /// A telephone that calls another.
    pub fn calls(&self, user: &str, other: &str) -> Telephone {
        self.telephone(&["call", &format!("sip:{other}@example.org"), "--duration", "60"], user)
    }

    fn telephone(&self, arguments: &[&str], user: &str) -> Telephone {
        let (server, password) = (format!("sip:{}", self.running.borrow().sip), self.bed.write("password", "secret\n"));
        let mut child = Command::new(env!("CARGO_BIN_EXE_strowger"))
            .args(arguments)
            .args(["--from", &format!("{user}@example.org"), "--server", &server, "--json", "--password-file"])
            .arg(password)
            .current_dir(self.bed.path(""))
            .env_clear()
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = send.send(serde_json::from_str(&line).expect("JSON"));
            }
        });
        Telephone { child, lines }
    }

    /// Ends it in order.
    pub fn stop(self) {
        self.signal(Signal::TERM);
        assert_eq!(self.running.borrow_mut().child.wait().expect("it ends").code(), Some(0));
    }
}

impl Running {
    fn start(bed: &Bed) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_strowger"))
            .arg("serve")
            .current_dir(bed.path(""))
            .env_clear()
            .env("STROWGER_LOG__FORMAT", "json")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let ready = ready(&mut child);
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let sip = text(&ready["listening"]).strip_prefix("udp:").expect("UDP").to_owned();
        Self { child, sip, http: text(&ready["http"]), api: text(&ready["api"]) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Telephone {
    /// Waits for its call to be answered.
    pub fn is_answered(&self) {
        let mut said = Vec::new();
        while said.last().is_none_or(|event: &Value| event["event"] != "answered") {
            let event = self.lines.recv_timeout(PATIENCE);
            said.push(event.unwrap_or_else(|error| panic!("no answer ({error}): {said:?}")));
        }
    }

    /// What it has said by the end of its call.
    pub fn end(mut self) -> Vec<Value> {
        let said = std::iter::from_fn(|| self.lines.recv_timeout(PATIENCE).ok()).collect();
        let _ = self.child.wait();
        said
    }

    pub fn interrupt(mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::INT);
        let _ = self.child.wait();
    }
}

impl Drop for Telephone {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The document of a 200.
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()
    }

    /// It is a problem of this status and kind.
    pub fn is(&self, status: u16, kind: &str) {
        let body = self.json();
        let found = body["type"].as_str().and_then(|kind| kind.rsplit('/').next()).map(str::to_owned);
        assert_eq!((self.status, found.as_deref()), (status, Some(kind)), "{self:?}");
    }
}

/// The records of kind `command` about this, as (actor, outcome, reason).
pub fn commands(served: &Served, command: &str) -> Vec<(String, String, String)> {
    let records = served.records().into_iter();
    let these = records.filter(|record| record["kind"] == "command" && record["facts"]["command"] == command);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    these.map(|record| (text(&record["actor"]), text(&record["outcome"]), text(&record["reason"]))).collect()
}

/// What a record says, without its place in the log and the policy in force.
pub fn bare(mut record: Value) -> Value {
    for member in ["node", "policy_version", "prev_hash", "seq", "time"] {
        record.as_object_mut().expect("a record").remove(member);
    }
    record
}

/// The records of this kind and about this, as [`bare`] shows them.
pub fn records_about(served: &Served, kind: &str, subject: &str) -> Vec<Value> {
    let records = served.records().into_iter();
    records.filter(|record| record["kind"] == kind && record["subject"] == subject).map(bare).collect()
}

/// Asks until there is an answer. What is asked takes its own time, so that nobody spins.
pub fn told<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "no {what} in time");
    }
}

fn said(address: &str, request: &str) -> Answer {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut text = String::new();
    let _ = stream.read_to_string(&mut text);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("a head: {text:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Answer { status, body: body.to_owned() }
}

/// `more` begins within `[api]`, which takes so many requests of a token in a minute.
fn write_configuration(bed: &Bed, exchange: &str, requests_per_minute: u32, more: &str) {
    let text = format!(
        "{exchange}data = \"data\"\nworkers = 2\n[sip]\nlisten = [{{ transport = \"udp\", address = \"127.0.0.1:0\" }}]\n\
         [media]\ninterfaces = [{{ name = \"default\", bind = [\"127.0.0.1\"] }}]\n[http]\nlisten = \"127.0.0.1:0\"\n\
         [api]\nlisten = \"127.0.0.1:0\"\nrequests_per_minute = {requests_per_minute}\n{more}"
    );
    bed.write("strowger.toml", &text);
}

/// What the exchange says when it is ready; the rest of what it says is read and forgotten.
fn ready(child: &mut Child) -> Value {
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
    let mut said = Vec::new();
    let ready = lines.by_ref().find_map(|line| {
        let value: Value = serde_json::from_str(&line).unwrap_or_default();
        let fields = if value["fields"].is_object() { value["fields"].clone() } else { value };
        said.push(line);
        (fields["message"] == "the exchange is ready").then_some(fields)
    });
    std::thread::spawn(move || lines.for_each(drop));
    ready.unwrap_or_else(|| panic!("it did not start: {said:?}"))
}
