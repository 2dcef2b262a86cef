//! Logs that are cosigned, by peers that do as they should and by those that do not, over sockets of the loopback interface.

use super::place::{AnchorFault, FaultKind, Place};
use super::{Anchoring, Clock};
use crate::serve::pause;
use crate::serve::trust;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use sx_config::{Anchor, AnchorKind, AnchorMethod, Config};
use sx_http::ClientError;
use sx_store::{DataFolder, WitnessLog};
use sx_witness::{
    Checkpoint, Draft, Facts, Kind, Options, SegmentCheck, SignatureError, SigningKey, Verdict, Verification,
    VerifyingKey, cosign,
};
use tempfile::{TempDir, tempdir};

/// A log with its folder and key, which is that of a cosigner as well.
pub struct Log {
    pub dir: TempDir,
    pub data: DataFolder,
    pub log: WitnessLog,
    pub clock: Clock,
    pub name: &'static str,
}

fn key(name: &str) -> SigningKey {
    SigningKey::from_seed(name, [7; 32]).expect("a key")
}

impl Log {
    pub fn open(name: &'static str) -> Self {
        Self::open_in(tempdir().expect("a folder"), name)
    }

    pub fn open_in(dir: TempDir, name: &'static str) -> Self {
        let path = dir.path().join("witness.key");
        if !path.exists() {
            sx_store::write_signing_key(&path, &key(name)).expect("a key");
        }
        let data = DataFolder::open(dir.path()).expect("a folder");
        let clock = Clock::start();
        let config = config(dir.path(), "");
        let options = trust::witness_options(&config);
        let (log, _) = WitnessLog::open(&data, key(name), options, clock.now()).expect("a log");
        Self { dir, data, log, clock, name }
    }

    /// Writes a record about this and signs.
    pub fn grow(&self, subject: &str) -> Checkpoint {
        let now = self.clock.now();
        let patience = Duration::from_secs(30);
        assert!(self.log.record(&Draft { subject, ..Draft::new(now, Kind::Trying) }, now, patience));
        assert!(self.log.sign(self.clock.now(), patience));
        self.log.last_checkpoint().expect("it was signed")
    }

    pub fn public(&self) -> VerifyingKey {
        key(self.name).verifying_key()
    }

    /// Serves as a witness of these logs.
    pub fn cosigning(&self, logs: &[&Self], more: &str) -> Anchoring {
        let keys = logs.iter().map(|log| format!("{{ key = \"{}\" }}", log.public()));
        let cosigns = keys.collect::<Vec<_>>().join(", ");
        let listen = if more.contains("listen") { "" } else { "listen = \"127.0.0.1:0\"\n" };
        let config = config(self.dir.path(), &format!("[witness]\n{listen}cosigns = [{cosigns}]\n{more}"));
        Anchoring::start(&config, &self.data, &self.log, self.clock).expect("starts")
    }

    /// The place that a witness is for this log.
    pub fn place(&self, url: &str, kind: AnchorKind, trust: Option<&Path>) -> Place {
        let every = Duration::from_secs(60);
        let anchor = Anchor { kind, url: url.into(), trust: trust.map(Path::to_owned), every };
        let states = self.log.anchor_states().expect("readable");
        let shared = (Arc::new(Mutex::new(self.log.grown())), Arc::new(Mutex::new(states)));
        Place::new(&anchor, &self.public(), self.log.clone(), shared.0, shared.1).expect("a place")
    }

    pub fn peer(&self, address: SocketAddr, name: &str) -> Place {
        let kind = AnchorKind::Peer(key(name).verifying_key().as_cosigner());
        self.place(&format!("http://{address}/witness"), kind, None)
    }

    pub fn show(&self, place: &mut Place) -> Result<Option<u64>, AnchorFault> {
        place.show(self.clock.now()).map(|anchored| anchored.map(|anchored| anchored.size))
    }

    pub fn text(&self, name: &str) -> String {
        fs::read_to_string(self.dir.path().join("witness").join(name)).unwrap_or_default()
    }

    pub fn records(&self) -> String {
        self.text("00000000000000000000.jsonl").trim_end_matches('\0').to_owned()
    }

    /// What an auditor finds who has the keys of these witnesses.
    pub fn audit(self, witnesses: Vec<VerifyingKey>) -> Verdict {
        let (public, dir) = (self.public(), self.dir);
        drop(self.log);
        let options = Options { witnesses, ..Options::default() };
        let mut verification = Verification::new(public, options);
        let read = |name: &str| fs::read(dir.path().join("witness").join(name)).expect("a file");
        verification.checkpoints_file(&read("checkpoints.jsonl"));
        let mut check = SegmentCheck::new(0, true);
        check.feed(&read("00000000000000000000.jsonl"));
        verification.take(check.finish());
        verification.finish()
    }
}

pub fn config(data: &Path, more: &str) -> Config {
    let text = format!("[exchange]\ndata = {data:?}\n{more}");
    Config::from_text_with_env(&text, vec![("TOKEN".to_owned(), "hunter2".to_owned())]).expect("a good configuration")
}

/// Waits for what other threads do.
pub fn until(what: &str, done: impl Fn() -> bool) {
    for _ in 0..600 {
        if done() {
            return;
        }
        pause(Duration::from_millis(50));
    }
    panic!("it does not come to this: {what}");
}

/// A server of one answer after the other; the last is repeated. Gives what it has heard.
fn canned(answers: Vec<String>) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (told, turn) = (heard.clone(), AtomicUsize::new(0));
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut bytes = vec![0; 65_536];
            let mut end = 0;
            // A request of these tests ends in a newline, its head in a blank line.
            while !bytes[..end].ends_with(b"=\n") {
                match stream.read(&mut bytes[end..]) {
                    Ok(count) if count > 0 => end += count,
                    _ => break,
                }
            }
            told.lock().expect("no panic").push(String::from_utf8_lossy(&bytes[..end]).into_owned());
            let answer = &answers[turn.fetch_add(1, Ordering::Relaxed).min(answers.len() - 1)];
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (address, heard)
}

fn answer(status: u16, kind: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

#[test]
fn two_logs_cosign_each_other_and_an_auditor_is_content() {
    let (north, south) = (Log::open("n.example/log"), Log::open("s.example/log"));
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
    let anchor = |port: u16, peer: &Log| {
        let key = peer.public().as_cosigner();
        format!(
            "[[witness.anchor]]\nkind = \"peer\"\nurl = \"http://127.0.0.1:{port}/witness\"\nkey = \"{key}\"\nevery_s = 1\n"
        )
    };
    let listen = format!("listen = \"127.0.0.1:{port}\"\n");
    let of_north = north.cosigning(&[&south], &(listen + &anchor(port, &south)));
    drop(of_north);
    let of_south = south.cosigning(&[&north], &anchor(port, &north));
    let there = of_south.address().expect("it listens").port();
    let of_north = north.cosigning(&[&south], &(format!("listen = \"127.0.0.1:{port}\"\n") + &anchor(there, &south)));
    for (log, peer) in [(&north, &south), (&south, &north)] {
        for subject in ["anna", "bert"] {
            let checkpoint = log.grow(subject);
            let line = format!("{{\"cosignatures\":[\"— {} ", peer.name);
            let size = format!("\\n{}\\n", checkpoint.size);
            let is_there = |text: &str| text.lines().any(|have| have.starts_with(&line) && have.contains(&size));
            until("a cosignature of the peer", || is_there(&log.text("checkpoints.jsonl")));
        }
        until("a record of it", || log.grow("more").size > 0 && log.records().contains("\"outcome\":\"anchored\""));
        assert_eq!(log.records().matches("\"outcome\":\"anchored\"").count(), 1, "only what is new is said");
        let by = format!("\"cosigned_by\":\"{}\"", peer.name);
        assert!(log.records().contains(&by), "by it is known later that a cosignature was there");
    }
    for log in [&north, &south] {
        until("a record that the other was cosigned", || log.records().contains("\"outcome\":\"cosigned\""));
        assert_eq!(log.records().matches("\"outcome\":\"cosigned\"").count(), 1, "only what is new is said");
    }
    let counts = of_north.counts();
    assert!(counts.cosigned.load(Ordering::Relaxed) >= 2 && counts.places[0].anchored.load(Ordering::Relaxed) >= 2);
    drop((of_north, of_south));
    let keys = [north.public(), south.public()].map(|key| key.as_cosigner()).to_vec();
    for log in [north, south] {
        log.grow("the end");
        // None has cosigned its own.
        let of_others = keys.iter().filter(|key| key.name() != log.name).cloned().collect();
        let verdict = log.audit(of_others);
        assert!(verdict.is_honest(), "{:?}", verdict.problems);
        assert_eq!(verdict.notices, []);
    }
}

#[test]
fn a_restart_goes_on_where_it_was_and_a_lost_note_is_asked_for() {
    let (log, witness) = (Log::open("n.example/log"), Log::open("w.example/log"));
    let served = witness.cosigning(&[&log], "");
    let address = served.address().expect("it listens");
    let first = log.grow("anna");
    let mut place = log.peer(address, witness.name);
    assert_eq!(log.show(&mut place).expect("cosigned"), Some(first.size));
    assert_eq!(log.show(&mut place).expect("nothing new"), None);
    drop(place);
    drop(log.log);
    drop(log.data);

    let log = Log::open_in(log.dir, log.name);
    let second = log.grow("bert");
    let mut place = log.peer(address, witness.name);
    assert_eq!(place.known().map(|known| known.size), Some(first.size));
    assert_eq!(log.show(&mut place).expect("cosigned"), Some(second.size));
    let refused = served.counts().cosign_refused.load(Ordering::Relaxed);
    assert_eq!(refused, 0, "it was known where to go on");

    // Both sides restart, and the note is lost: the witness remembers.
    drop(served);
    let served = witness.cosigning(&[&log], "");
    fs::remove_file(log.dir.path().join("witness/anchors.json")).expect("removed");
    let third = log.grow("carl");
    let mut place = log.peer(served.address().expect("it listens"), witness.name);
    assert_eq!(log.show(&mut place).expect("cosigned"), Some(third.size));
    assert_eq!(served.counts().cosign_refused.load(Ordering::Relaxed), 1, "it was told where to go on");
    assert!(log.audit(vec![witness.public()]).is_honest());
}

/// A log of the same name and key with another history.
pub fn rewritten(log: Log, subjects: &[&str]) -> Log {
    let name = log.name;
    let anchors = log.text("anchors.json");
    drop(log);
    let other = Log::open(name);
    subjects.iter().for_each(|subject| drop(other.grow(subject)));
    fs::write(other.dir.path().join("witness/anchors.json"), anchors).expect("written");
    other
}

#[test]
fn a_log_that_was_rewritten_is_refused_and_both_write_it_down() {
    let (log, witness) = (Log::open("n.example/log"), Log::open("w.example/log"));
    let served = witness.cosigning(&[&log], "");
    let address = served.address().expect("it listens");
    let seen = log.grow("anna");
    let mut place = log.peer(address, witness.name);
    log.show(&mut place).expect("cosigned");
    let url = place.url();
    drop(place);

    let forged = rewritten(log, &["bert", "carl"]);
    let text =
        format!("[[witness.anchor]]\nkind = \"peer\"\nurl = \"{url}\"\nkey = \"{}\"\nevery_s = 1\n", witness.public());
    let config = config(forged.dir.path(), &text);
    let showing = Anchoring::start(&config, &forged.data, &forged.log, forged.clock).expect("starts");
    until("a record of the refusal", || {
        forged.grow("more").size > seen.size && forged.records().contains("\"outcome\":\"anchor_failed\"")
    });
    assert!(forged.records().contains("another history of the log (422)"), "{}", forged.records());
    assert!(forged.records().contains("\"other_history\":true"), "{}", forged.records());
    until("more refusals", || showing.counts().places[0].failures.load(Ordering::Relaxed) > 2);
    assert_eq!(forged.records().matches("\"outcome\":\"anchor_failed\"").count(), 1, "it is said once");
    drop(showing);
    assert!(!forged.text("checkpoints.jsonl").contains(&format!("— {} ", witness.name)));
    until("the witness's record", || witness.grow("more").size > 0 && witness.records().contains("cosign_unproved"));
    assert!(!witness.records().contains("cosign_refused"), "hashes that lead nowhere prove nothing");
    assert_eq!(witness.records().matches("cosign_unproved").count(), 1, "nor is that written down each time");
    assert!(witness.audit(Vec::new()).is_honest());
}

#[test]
fn a_stranger_with_a_public_checkpoint_accuses_nobody() {
    let (log, witness) = (Log::open("n.example/log"), Log::open("w.example/log"));
    let served = witness.cosigning(&[&log], "");
    let address = served.address().expect("it listens");
    let mut place = log.peer(address, witness.name);
    let seen = log.grow("anna");
    log.show(&mut place).expect("cosigned");
    let newer = log.grow("bert");
    let client = sx_http::HttpClient::new(None, sx_http::ClientLimits::default()).expect("a client");
    let url: sx_http::HttpUrl = format!("http://{address}/witness/add-checkpoint").parse().expect("a URL");
    let garbage = sx_witness::base64(&[9; 32]);
    let body = format!("old {}\n{garbage}\n\n{}", seen.size, newer.note);
    let request = sx_http::ClientRequest {
        verb: sx_http::Verb::Post,
        url: &url,
        media_type: "text/plain",
        headers: &[],
        bearer: None,
        body: body.as_bytes(),
    };
    for _ in 0..3 {
        assert_eq!(client.send(&request).expect("an answer").status, 422);
    }
    assert_eq!(log.show(&mut place).expect("cosigned"), Some(newer.size), "the log itself is as before");
    witness.grow("more");
    let records = witness.records();
    assert!(!records.contains("cosign_refused"), "{records}");
    assert_eq!(records.matches("\"outcome\":\"cosign_unproved\"").count(), 1);
    assert_eq!(records.matches("\"outcome\":\"cosigned\"").count(), 1, "nor is it news that it is cosigned");
}

#[test]
fn another_root_for_one_size_and_an_end_that_is_missing_are_found() {
    let (log, witness) = (Log::open("n.example/log"), Log::open("w.example/log"));
    let served = witness.cosigning(&[&log], "");
    let address = served.address().expect("it listens");
    let mut place = log.peer(address, witness.name);
    let seen = log.grow("anna");
    log.show(&mut place).expect("cosigned");
    drop(place);
    let forged = rewritten(log, &["bert"]);
    assert_eq!(forged.log.last_checkpoint().map(|checkpoint| checkpoint.size), Some(seen.size));
    let mut place = forged.peer(address, witness.name);
    let fault = forged.show(&mut place).expect_err("another root");
    assert!(matches!(fault, AnchorFault::OtherHistory(409)) && fault.kind() == FaultKind::Log, "{fault}");
    witness.grow("more");
    let records = witness.records();
    let accusation = records.lines().find(|line| line.contains("\"outcome\":\"cosign_refused\"")).expect("a record");
    for root in [seen.root, forged.log.last_checkpoint().expect("signed").root] {
        assert!(accusation.contains(&sx_witness::base64(&root.0)), "both roots, signed: {accusation}");
    }

    let later = forged.grow("carl");
    // The note says nothing of it; the witness does.
    let (conflict, _) = canned(vec![answer(409, "text/x.tlog.size", &format!("{}\n", later.size + 1))]);
    let mut place = forged.peer(conflict, witness.name);
    let fault = forged.show(&mut place).expect_err("it has seen more");
    let told = Facts::new().with("ahead", later.size as i64 + 1);
    assert!(matches!(fault, AnchorFault::Ahead { .. }) && fault.add_to(Facts::new()) == told, "{fault:?}");
}

#[test]
fn what_a_peer_answers_that_is_none_is_no_anchor() {
    let log = Log::open("n.example/log");
    let checkpoint = log.grow("anna");
    let other = log.grow("bert");
    let witness = key("w.example/log");
    let now = log.clock.now();
    let forged = cosign(&checkpoint, &witness, now) + "\n";
    let stranger = cosign(&other, &key("x.example/log"), now) + "\n";
    let (size, plain) = ("text/x.tlog.size", "text/plain");
    let check = |answers: Vec<String>, expected: fn(&AnchorFault) -> bool| {
        let shown = answers.join(" | ");
        let mut place = log.peer(canned(answers).0, "w.example/log");
        let fault = log.show(&mut place).expect_err("no anchor");
        assert!(expected(&fault), "{shown:.200}: {fault:?}");
        assert_eq!(place.known(), None);
    };
    check(vec!["garbage\r\n".into()], |fault| matches!(fault, AnchorFault::Unreachable(ClientError::Answer(_))));
    check(vec![String::new()], |fault| matches!(fault, AnchorFault::Unreachable(ClientError::Answer(_))));
    check(vec![answer(200, plain, &"x".repeat(70_000))], |fault| {
        matches!(fault, AnchorFault::Unreachable(ClientError::TooLong(_)))
    });
    check(vec![answer(200, plain, "")], |fault| matches!(fault, AnchorFault::Cosignature(SignatureError::OtherKey)));
    check(vec![answer(200, plain, "what\n")], |fault| matches!(fault, AnchorFault::Answer(_)));
    // Of an older checkpoint, with the right key.
    check(vec![answer(200, plain, &forged)], |fault| matches!(fault, AnchorFault::Cosignature(SignatureError::Wrong)));
    check(vec![answer(200, plain, &stranger)], |fault| {
        matches!(fault, AnchorFault::Cosignature(SignatureError::OtherKey))
    });
    check(vec![answer(409, size, "1\n"), answer(409, size, "2\n")], |fault| matches!(fault, AnchorFault::Answer(_)));
    check(vec![answer(409, size, "0\n")], |fault| matches!(fault, AnchorFault::Answer(_)));
    check(vec![answer(409, size, "99\n")], |fault| matches!(fault, AnchorFault::Ahead { seen: 99, .. }));
    for body in ["01\n", "1", "one\n", "18446744073709551616\n"] {
        check(vec![answer(409, size, body)], |fault| matches!(fault, AnchorFault::OtherHistory(409)));
    }
    check(vec![answer(409, plain, "1\n")], |fault| matches!(fault, AnchorFault::OtherHistory(409)));
    for status in [201, 301, 400, 403, 404, 500, 503] {
        check(vec![answer(status, plain, "")], |fault| matches!(fault, AnchorFault::Status(_)));
    }
    // Lines of others beside the right one do no harm.
    let good = format!("{stranger}{}\n", cosign(&other, &witness, now));
    let mut place = log.peer(canned(vec![answer(200, plain, &good)]).0, "w.example/log");
    assert_eq!(log.show(&mut place).expect("cosigned"), Some(other.size));
    until("the line", || log.text("checkpoints.jsonl").contains("— w.example/log "));
    assert!(!log.text("checkpoints.jsonl").contains("— x.example/log "), "only what was verified is kept");
}

#[test]
fn a_log_whose_files_were_changed_is_not_shown() {
    let log = Log::open("n.example/log");
    log.grow("anna");
    let path = log.dir.path().join("witness/00000000000000000000.jsonl");
    let changed = fs::read_to_string(&path).expect("a segment").replacen("anna", "bert", 1);
    fs::write(&path, changed).expect("written");
    let (address, heard) = canned(vec![answer(200, "text/plain", "")]);
    let fault = log.show(&mut log.peer(address, "w.example/log")).expect_err("it was changed");
    assert!(matches!(fault, AnchorFault::Own(_)) && fault.kind() == FaultKind::Log, "{fault}");
    assert!(heard.lock().expect("no panic").is_empty());
}

const SERVICE: &str =
    "[[witness.anchor]]\nkind = \"https\"\nurl = \"https://localhost/\"\ntoken = { env = \"TOKEN\" }\n";

/// A server within TLS that answers one request with this, and tells what it was.
fn tls_server(certificate: CertificateDer<'static>, key: Vec<u8>, answer: &'static str) -> (u16, Receiver<String>) {
    let key = PrivateKeyDer::try_from(key).expect("a key");
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a certificate and its key");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (tell, told) = channel();
    thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a connection");
        let tls = rustls::ServerConnection::new(Arc::new(config)).expect("TLS");
        let mut stream = rustls::StreamOwned::new(tls, stream);
        let (mut bytes, mut end) = (vec![0; 65_536], 0);
        while !bytes[..end].ends_with(b"=\n") {
            match stream.read(&mut bytes[end..]) {
                Ok(count) if count > 0 => end += count,
                _ => return,
            }
        }
        stream.write_all(answer.as_bytes()).expect("it listens");
        tell.send(String::from_utf8_lossy(&bytes[..end]).into_owned()).expect("somebody asks");
    });
    (port, told)
}

#[test]
fn a_service_is_given_the_checkpoint_over_tls_it_must_be_trusted_for() {
    let log = Log::open("n.example/log");
    let checkpoint = log.grow("anna");
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let path = |name: &str, text: String| {
        let path = log.dir.path().join(name);
        fs::write(&path, text).expect("written");
        path
    };
    let (certificate, stranger) = (path("service.pem", certified.cert.pem()), path("other.pem", other.cert.pem()));
    let service_key = path("service.key", certified.signing_key.serialize_pem());
    let keeper =
        |answer: &'static str| tls_server(certified.cert.der().clone(), certified.signing_key.serialize_der(), answer);
    let service = |port: u16, method: AnchorMethod, trust: &Path| {
        let token = config(log.dir.path(), SERVICE).witness.anchors.iter().find_map(|anchor| match &anchor.kind {
            AnchorKind::Https { token, .. } => token.clone(),
            AnchorKind::Peer(_) | AnchorKind::S3(_) => None,
        });
        let kind = AnchorKind::Https { method, token };
        log.place(&format!("https://localhost:{port}/{{size}}"), kind, Some(trust))
    };
    for (method, verb) in [(AnchorMethod::Put, "PUT"), (AnchorMethod::Post, "POST")] {
        let (port, heard) = keeper("HTTP/1.1 204 Kept\r\n\r\n");
        let mut place = service(port, method, &certificate);
        assert_eq!(log.show(&mut place).expect("kept"), Some(checkpoint.size));
        assert_eq!(place.known().map(|known| known.size), Some(checkpoint.size));
        let request = heard.recv().expect("a request");
        assert!(request.starts_with(&format!("{verb} /{} HTTP/1.1\r\n", checkpoint.size)), "{request}");
        assert!(request.contains("authorization: Bearer hunter2\r\n"), "{request}");
        assert!(request.ends_with(&format!("\r\n\r\n{}", checkpoint.note)), "{request}");
    }
    let (port, _) = keeper("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    assert!(matches!(log.show(&mut service(port, AnchorMethod::Put, &certificate)), Err(AnchorFault::Status(403))));
    let (port, heard) = keeper("HTTP/1.1 204 Kept\r\n\r\n");
    let untrusted = log.show(&mut service(port, AnchorMethod::Put, &stranger));
    assert!(matches!(untrusted, Err(AnchorFault::Unreachable(ClientError::Tls { .. }))), "{untrusted:?}");
    assert!(heard.recv().is_err(), "nothing was said to who is not trusted");
    let tls = format!("certificate = {certificate:?}\ncertificate_key = {service_key:?}\n");
    let witness = Log::open("w.example/log");
    let served = witness.cosigning(&[&log], &tls);
    let port = served.address().expect("it listens").port();
    // A peer over TLS is one like any other.
    let kind = AnchorKind::Peer(witness.public());
    let mut peer = log.place(&format!("https://localhost:{port}/witness/"), kind, Some(&certificate));
    assert_eq!(log.show(&mut peer).expect("cosigned"), Some(checkpoint.size));
}

#[test]
fn a_peer_that_says_nothing_does_not_keep_the_exchange_from_ending() {
    let log = Log::open("n.example/log");
    log.grow("anna");
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address");
    let text = format!(
        "[[witness.anchor]]\nkind = \"peer\"\nurl = \"http://{address}/\"\nkey = \"{}\"\nevery_s = 1\n",
        key("w.example/log").verifying_key()
    );
    let config = config(log.dir.path(), &text);
    let begun = std::time::Instant::now();
    let showing = Anchoring::start(&config, &log.data, &log.log, log.clock).expect("starts");
    let connection = silent.accept().expect("it asks");
    drop(showing);
    assert!(begun.elapsed() < Duration::from_secs(10), "the answer may take 15 s");
    drop(connection);
    assert!(!log.records().contains("anchor_failed"), "that the exchange ends says nothing of the place");
}
