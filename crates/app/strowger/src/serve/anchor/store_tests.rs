//! Checkpoints in a store of objects that verifies every signature, refuses to overwrite, and loses connections.

use super::Anchoring;
use super::place::{AnchorFault, FaultKind, Place};
use super::tests::{Log, rewritten, until};
use aws_lc_rs::{digest, hmac};
use md5::{Digest as _, Md5};
use std::collections::{BTreeMap, VecDeque};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use sx_config::{AnchorKind, Config, ObjectPlace, Retention, Secret};
use sx_witness::{Checkpoint, SigningKey, base64};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const ID: &str = "AKIAIOSFODNN7EXAMPLE";
const REGION: &str = "eu-central-1";

#[derive(Clone, Default)]
struct Store(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Object>,
    /// What goes wrong with the next requests.
    faults: VecDeque<Fault>,
    requests: usize,
}

#[derive(Clone)]
struct Object {
    body: String,
    headers: BTreeMap<String, String>,
}

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    /// The connection is lost before anything is done.
    Unheard,
    /// It is lost when all is done.
    Unanswered,
}

struct Asked {
    verb: String,
    path: String,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Store {
    fn open() -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let store = Self::default();
        let serving = store.clone();
        thread::spawn(move || listener.incoming().flatten().for_each(|stream| serving.serve(stream)));
        (store, address)
    }

    fn state<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock().expect("no panic"))
    }

    fn object(&self, path: &str) -> Option<Object> {
        self.state(|state| state.objects.get(path).cloned())
    }

    fn serve(&self, mut stream: TcpStream) {
        let Some(asked) = read(&mut stream) else { return };
        let fault = self.state(|state| {
            state.requests += 1;
            state.faults.pop_front()
        });
        if fault == Some(Fault::Unheard) {
            return;
        }
        let (status, body) = match verify(&asked) {
            Ok(()) => self.carry_out(asked),
            Err(code) => (403, code.to_owned()),
        };
        if fault == Some(Fault::Unanswered) {
            return;
        }
        let body = if status == 200 { body } else { format!("<?xml?><Error><Code>{body}</Code></Error>") };
        let answer =
            format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
        let _ = stream.write_all(answer.as_bytes());
    }

    fn carry_out(&self, asked: Asked) -> (u16, String) {
        let header = |name: &str| asked.headers.get(name).map(String::as_str);
        if asked.verb == "GET" {
            return match self.object(&asked.path) {
                Some(object) => (200, object.body),
                None => (404, "NoSuchKey".to_owned()),
            };
        }
        let modes = [Some("COMPLIANCE"), Some("GOVERNANCE")];
        if !modes.contains(&header("x-amz-object-lock-mode")) || header("content-md5").is_none() {
            return (400, "InvalidRequest".to_owned());
        }
        if header("content-md5") != Some(&base64(Md5::digest(&asked.body).as_slice())) {
            return (400, "BadDigest".to_owned());
        }
        let only_new = header("if-none-match") == Some("*");
        self.state(|state| {
            if only_new && state.objects.contains_key(&asked.path) {
                return (412, "PreconditionFailed".to_owned());
            }
            let object = Object { body: asked.body, headers: asked.headers };
            state.objects.insert(asked.path, object);
            (200, String::new())
        })
    }
}

fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let mut lines = head.lines();
            let mut first = lines.next()?.split(' ');
            let (verb, path) = (first.next()?.to_owned(), first.next()?.to_owned());
            let header = |line: &str| line.split_once(':').map(|(n, v)| (n.to_ascii_lowercase(), v.trim().to_owned()));
            let headers: BTreeMap<String, String> = lines.filter_map(header).collect();
            let length = headers.get("content-length").map_or(0, |length| length.parse().expect("a number"));
            if body.len() >= length {
                return Some(Asked { verb, path, headers, body: body.to_owned() });
            }
        }
        match stream.read(&mut piece) {
            Ok(count) if count > 0 => bytes.extend_from_slice(&piece[..count]),
            _ => return None,
        }
    }
}

/// Verifies a signature from what has come alone.
fn verify(asked: &Asked) -> Result<(), &'static str> {
    let header = |name: &str| asked.headers.get(name).map(String::as_str).ok_or("AccessDenied");
    let authorization = header("authorization")?.strip_prefix("AWS4-HMAC-SHA256 ").ok_or("AccessDenied")?;
    let fields: BTreeMap<&str, &str> =
        authorization.split(',').filter_map(|field| field.trim().split_once('=')).collect();
    let field = |name: &str| fields.get(name).copied().ok_or("AccessDenied");
    let date = header("x-amz-date")?;
    let scope = format!("{}/{REGION}/s3/aws4_request", &date[..8]);
    if field("Credential")? != format!("{ID}/{scope}") {
        return Err("InvalidAccessKeyId");
    }
    let signed: Vec<&str> = field("SignedHeaders")?.split(';').collect();
    let must = |name: &str| name.starts_with("x-amz-") || ["host", "content-md5", "if-none-match"].contains(&name);
    if asked.headers.keys().any(|name| must(name) && !signed.contains(&name.as_str())) {
        return Err("AccessDenied");
    }
    let hash = hex(digest::digest(&digest::SHA256, asked.body.as_bytes()).as_ref());
    if header("x-amz-content-sha256")? != hash {
        return Err("XAmzContentSHA256Mismatch");
    }
    let mut canonical = format!("{}\n{}\n\n", asked.verb, asked.path);
    for name in &signed {
        canonical += &format!("{name}:{}\n", header(name)?);
    }
    canonical += &format!("\n{}\n{hash}", signed.join(";"));
    let canonical = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
    let mut key = format!("AWS4{SECRET}").into_bytes();
    for part in [&date[..8], REGION, "s3", "aws4_request"] {
        key = sign(&key, part);
    }
    let expected = hex(&sign(&key, &format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{canonical}")));
    if field("Signature")? == expected { Ok(()) } else { Err("SignatureDoesNotMatch") }
}

fn sign(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn place_of(log: &Log, address: SocketAddr, secret: &str) -> Place {
    let endpoint = format!("http://{address}");
    let kind = AnchorKind::S3(ObjectPlace {
        endpoint: endpoint.as_str().into(),
        bucket: "bucket".into(),
        prefix: "our logs".into(),
        region: REGION.into(),
        path_style: true,
        access_key_id: ID.into(),
        secret_access_key: Secret::new(secret),
        retention: Retention::Compliance,
        keep: Duration::from_secs(10 * 86_400),
    });
    log.place(&format!("{endpoint}/bucket/our logs"), kind, None)
}

fn path_of(checkpoint: &Checkpoint) -> String {
    format!("/bucket/our%20logs/{}/{:020}.note", checkpoint.origin, checkpoint.size)
}

#[test]
fn a_store_has_each_checkpoint_once_and_for_its_time() {
    let log = Log::open("n.example/log");
    let (store, address) = Store::open();
    let mut place = place_of(&log, address, SECRET);
    for subject in ["anna", "bert"] {
        let checkpoint = log.grow(subject);
        assert_eq!(log.show(&mut place).expect("kept"), Some(checkpoint.size));
        assert_eq!(log.show(&mut place).expect("nothing new"), None);
        let object = store.object(&path_of(&checkpoint)).expect("it is there");
        assert_eq!(object.body, checkpoint.note);
        assert_eq!(object.headers["x-amz-object-lock-mode"], "COMPLIANCE");
        let until = (crate::serve::now() + Duration::from_secs(10 * 86_400)).to_string();
        assert_eq!(object.headers["x-amz-object-lock-retain-until-date"][..13], until[..13], "to the hour");
        assert!(!format!("{:?}", object.headers).contains(SECRET));
    }
    assert_eq!(store.state(|state| (state.objects.len(), state.requests)), (2, 2));
}

#[test]
fn a_connection_that_is_lost_before_or_after_is_made_good_by_the_next_attempt() {
    let log = Log::open("n.example/log");
    let (store, address) = Store::open();
    let mut place = place_of(&log, address, SECRET);
    for fault in [Fault::Unheard, Fault::Unanswered] {
        let checkpoint = log.grow("anna");
        store.state(|state| state.faults.push_back(fault));
        let lost = log.show(&mut place).expect_err("the connection is lost");
        assert!(matches!(lost, AnchorFault::Unreachable(_)), "{lost}");
        assert_eq!(store.object(&path_of(&checkpoint)).is_some(), fault == Fault::Unanswered);
        assert_eq!(log.show(&mut place).expect("kept"), Some(checkpoint.size));
        assert_eq!(store.object(&path_of(&checkpoint)).expect("it is there").body, checkpoint.note);
    }
}

#[test]
fn a_store_that_does_not_know_the_key_says_why() {
    let log = Log::open("n.example/log");
    log.grow("anna");
    let (store, address) = Store::open();
    let refused = log.show(&mut place_of(&log, address, "another")).expect_err("another key");
    assert_eq!(refused.to_string(), "it answers with the status 403, SignatureDoesNotMatch");
    assert_eq!(refused.kind(), FaultKind::Place);
    assert_eq!(store.state(|state| state.objects.len()), 0);
}

#[test]
fn another_history_and_an_object_of_a_stranger_are_found() {
    let log = Log::open("n.example/log");
    let (store, address) = Store::open();
    let seen = log.grow("anna");
    log.show(&mut place_of(&log, address, SECRET)).expect("kept");
    let forged = rewritten(log, &["bert"]);
    let fault = forged.show(&mut place_of(&forged, address, SECRET)).expect_err("another root");
    assert!(matches!(fault, AnchorFault::OtherHistory(412)) && fault.kind() == FaultKind::Log, "{fault}");
    assert_eq!(store.object(&path_of(&seen)).expect("it is there").body, seen.note, "nothing was overwritten");

    let later = forged.grow("carl");
    // Signed for another size, so that the signature does not hold.
    let theirs = seen.note.replacen(&format!("\n{}\n", seen.size), &format!("\n{}\n", later.size), 1);
    assert!(Checkpoint::parse(&theirs).is_ok());
    for body in ["garbage".to_owned(), theirs] {
        let object = Object { body, headers: BTreeMap::new() };
        store.state(|state| state.objects.insert(path_of(&later), object));
        let fault = forged.show(&mut place_of(&forged, address, SECRET)).expect_err("no checkpoint of ours");
        assert!(matches!(fault, AnchorFault::Answer(_)) && fault.kind() == FaultKind::Place, "{fault}");
    }
}

#[test]
fn an_exchange_whose_store_loses_connections_tries_again_and_says_so() {
    let log = Log::open("n.example/log");
    let (store, address) = Store::open();
    store.state(|state| state.faults.extend([Fault::Unheard, Fault::Unanswered]));
    let secret = log.dir.path().join("store.secret");
    sx_store::write_signing_key(&secret, &SigningKey::from_seed("x", [1; 32]).expect("a key")).expect("a private file");
    std::fs::write(&secret, SECRET).expect("written");
    let text = format!(
        "[[witness.anchor]]\nkind = \"s3\"\nurl = \"http://{address}\"\nbucket = \"bucket\"\nprefix = \"our logs\"\n\
         region = \"{REGION}\"\npath_style = true\naccess_key_id = \"{ID}\"\nretain_days = 10\nevery_s = 1\n\
         secret_access_key = {{ file = {secret:?} }}\n"
    );
    let file = log.dir.path().join("strowger.toml");
    std::fs::write(&file, format!("[exchange]\ndata = {:?}\n{text}", log.dir.path())).expect("written");
    let config = Config::load(&file, Vec::new()).expect("a good configuration");
    assert!(!config.print().contains(SECRET) && !format!("{config:?}").contains(SECRET));
    let checkpoint = log.grow("anna");
    let showing = Anchoring::start(&config, &log.data, &log.log, log.clock).expect("starts");
    until("the object", || store.object(&path_of(&checkpoint)).is_some());
    until("a record of it", || log.records().contains("\"outcome\":\"anchored\""));
    assert!(log.records().contains("\"outcome\":\"anchor_failed\""));
    assert!(showing.counts().places[0].failures.load(Ordering::Relaxed) >= 2);
    drop(showing);
    assert!(log.text("anchors.json").contains("/bucket/our logs"));
}
