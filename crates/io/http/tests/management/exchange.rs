//! An exchange that notes what it is asked, and a client that says exactly what it is told to.

use socket2::{Domain, Socket, Type};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use sx_http::{
    ApiAnswer, ApiConfig, ApiProblem, ApiRefusal, ApiRequest, ApiServer, Asked, AuthenticationFailed, Caller, Content,
    Event, EventSink, EventsWanted, Link, LinkRefused, Management, Role, UploadState,
};

/// From where, what was wrong, and what was asked.
pub type Failed = (IpAddr, AuthenticationFailed, String);

/// A fake exchange. What it does depends on the token or the id it is given.
#[derive(Default)]
pub struct Exchange {
    pub asked: Mutex<Vec<ApiRequest>>,
    pub authenticated: AtomicUsize,
    /// Who has shown what opens nothing.
    pub failed: (Mutex<Vec<Failed>>, Condvar),
    /// Why requests were refused.
    pub refused: Mutex<Vec<ApiRefusal>>,
    /// Subscribers whose events do not end.
    pub sinks: Mutex<Vec<EventSink>>,
    /// `true` lets go of whoever asks for the call `stuck`.
    pub free: (Mutex<bool>, Condvar),
}

impl Management for Exchange {
    fn authenticate(&self, token: &str) -> Result<Caller, AuthenticationFailed> {
        self.authenticated.fetch_add(1, Ordering::Relaxed);
        let id = "0a1b2c3d4e5f".to_owned();
        match token.strip_prefix("sxt_") {
            Some("expired") => Err(AuthenticationFailed::Expired { id }),
            Some("revoked") => Err(AuthenticationFailed::Revoked { id }),
            Some("unavailable") => Err(AuthenticationFailed::Unavailable { reason: "the disk is gone".into() }),
            Some("broken") => panic!("the tokens are broken"),
            Some(name) => {
                let role = Role::from_name(name).ok_or(AuthenticationFailed::Unknown)?;
                Ok(Caller { name: name.into(), role, id: format!("id-of-{name}") })
            }
            None => Err(AuthenticationFailed::Unknown),
        }
    }

    fn by_link(&self, link: &Link) -> Result<Caller, LinkRefused> {
        let caller = || Caller { name: link.to.clone(), role: Role::Viewer, id: format!("link to {}", link.to) };
        match link.signature.as_str() {
            "good" => Ok(caller()),
            "old" => Err(LinkRefused::Expired),
            _ => Err(LinkRefused::Forged),
        }
    }

    fn authentication_failed(&self, peer: IpAddr, failed: &AuthenticationFailed, asked: &Asked) {
        self.failed.0.lock().expect("not poisoned").push((peer, failed.clone(), asked.to_string()));
        self.failed.1.notify_all();
    }

    fn subscribe(&self, _: &Caller, wanted: &EventsWanted, sink: EventSink) -> Result<(), ApiProblem> {
        self.asked.lock().expect("not poisoned").push(ApiRequest::Events(wanted.clone()));
        let first = wanted.after.map_or(0, |after| after + 1);
        match wanted.kinds.iter().any(|kind| kind == "gone") {
            true => Err(ApiProblem::new(410, "gone", "Gone", "they are kept no longer")),
            // Two events, and then the stream ends.
            false => {
                for id in [first, first + 1] {
                    sink.send(Event { id, kind: "vote".into(), data: format!("{{\"seq\":{id}}}") });
                }
                if wanted.kinds.iter().any(|kind| kind == "stay") {
                    self.sinks.lock().expect("not poisoned").push(sink);
                }
                Ok(())
            }
        }
    }

    fn refused(&self, why: ApiRefusal) {
        self.refused.lock().expect("not poisoned").push(why);
    }

    #[expect(clippy::too_many_lines, reason = "an answer for each request")]
    fn carry_out(&self, caller: &Caller, request: ApiRequest) -> Result<ApiAnswer, ApiProblem> {
        assert!(caller.role >= request.role(), "{caller:?} asked {request:?}");
        self.asked.lock().expect("not poisoned").push(request.clone());
        let document = |text: &str| Ok(ApiAnswer::Json(serde_json::json!({ "is": text })));
        match request {
            ApiRequest::Call { id } => match id.as_str() {
                "gone" => Err(ApiProblem::not_found("there is no such call")),
                "odd" => Err(ApiProblem::new(200, "odd", "Not a problem", "it says that all is well")),
                "later" => Err(ApiProblem::unavailable("the worker is busy")),
                "broken" => panic!("the calls are broken"),
                "stuck" => {
                    let (free, changed) = &self.free;
                    let held = changed.wait_while(free.lock().expect("not poisoned"), |free| !*free);
                    drop(held.expect("not poisoned"));
                    document("free")
                }
                _ => document("a call"),
            },
            ApiRequest::Hangup { id, .. } if id == "ending" => Err(ApiProblem::conflict("the call is ending")),
            ApiRequest::Trunks => document(&"trunk ".repeat(100_000)),
            ApiRequest::Drain => Ok(ApiAnswer::Accepted),
            ApiRequest::Invite { .. } | ApiRequest::Originate { .. } => Ok(ApiAnswer::Created {
                location: "/api/v1/calls/01a207ff".into(),
                body: serde_json::json!({ "id": "01a207ff" }),
            }),
            ApiRequest::AddEvidence { upload, .. } => {
                let location = Some("/api/v1/escalations/4bf9/evidence/4bfb".into());
                let body = Some(serde_json::json!({ "id": "4bfb" }));
                Ok(ApiAnswer::Upload(UploadState {
                    location,
                    offset: 0,
                    length: upload.length,
                    expires: Some(7),
                    body,
                }))
            }
            ApiRequest::UploadEvidence { chunk, .. } => {
                let offset = chunk.offset + chunk.bytes.len() as u64;
                Ok(ApiAnswer::Upload(UploadState { location: None, offset, length: 3, expires: None, body: None }))
            }
            ApiRequest::EvidencePiece { .. } => {
                let body = Some(serde_json::json!({ "id": "4bfb" }));
                Ok(ApiAnswer::Upload(UploadState { location: None, offset: 2, length: 3, expires: Some(7), body }))
            }
            ApiRequest::EvidenceContent { .. } => Ok(ApiAnswer::Content(Content {
                path: concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml").into(),
                bytes: 9,
                media_type: "text/plain".into(),
                name: "valve 7.txt".into(),
                sha256: [0xab; 32],
            })),
            ApiRequest::AcknowledgeEvidence { .. } | ApiRequest::LinkEvidence { .. } => Ok(ApiAnswer::Created {
                location: "/api/v1/escalations/4bf9/evidence".into(),
                body: serde_json::json!({ "to": "lind" }),
            }),
            ApiRequest::OpenVote { .. } | ApiRequest::CastBallot { .. } => Ok(ApiAnswer::Created {
                location: "/api/v1/votes/4bfa".into(),
                body: serde_json::json!({ "id": "4bfa", "state": "open" }),
            }),
            ApiRequest::Escalate { .. } => Ok(ApiAnswer::Created {
                location: "/api/v1/escalations/4bf9".into(),
                body: serde_json::json!({ "id": "4bf9", "state": "ringing" }),
            }),
            ApiRequest::CreateToken { .. } => Ok(ApiAnswer::Created {
                location: "/api/v1/tokens/0a1b2c3d4e5f".into(),
                body: serde_json::json!({ "id": "0a1b2c3d4e5f", "secret": "sxt_once" }),
            }),
            ApiRequest::Hangup { .. }
            | ApiRequest::Record { .. }
            | ApiRequest::ImportCall { .. }
            | ApiRequest::Ban { .. }
            | ApiRequest::Unban { .. }
            | ApiRequest::Undrain
            | ApiRequest::EndEscalation { .. }
            | ApiRequest::RemoveEvidence { .. }
            | ApiRequest::ChangeMember { .. }
            | ApiRequest::ChangeParty { .. }
            | ApiRequest::RemoveMember { .. }
            | ApiRequest::LockRoom { .. }
            | ApiRequest::UnlockRoom { .. }
            | ApiRequest::Unregister { .. }
            | ApiRequest::RevokeToken { .. } => Ok(ApiAnswer::NoContent),
            _ => document("something"),
        }
    }
}

impl Exchange {
    /// What was asked since this was called last.
    pub fn asked(&self) -> Vec<ApiRequest> {
        std::mem::take(&mut self.asked.lock().expect("not poisoned"))
    }

    /// Who has shown what opens nothing, once it was so many.
    pub fn failed(&self, count: usize) -> Vec<Failed> {
        let (failed, told) = &self.failed;
        let failed = failed.lock().expect("not poisoned");
        let waited = told.wait_timeout_while(failed, Duration::from_secs(30), |failed| failed.len() < count);
        waited.expect("not poisoned").0.clone()
    }

    /// Lets go of whoever waits.
    pub fn let_go(&self) {
        *self.free.0.lock().expect("not poisoned") = true;
        self.free.1.notify_all();
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn read(stream: &mut impl Read) -> Self {
        let mut text = String::new();
        // A connection that is reset after its answer has answered.
        let _ = stream.read_to_string(&mut text);
        Self::parse(&text)
    }

    pub fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("a head: {text:?}"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// It is a well-formed problem document of this status and kind.
    pub fn is_problem(&self, status: u16, kind: &str) -> &Self {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let body = self.json();
        let found = body["type"].as_str().and_then(|kind| kind.rsplit('/').next());
        assert_eq!(found, Some(kind), "{self:?}");
        assert_eq!(body["status"], status);
        assert!(body["title"].is_string() && body["detail"].is_string() && body["instance"].is_string(), "{body}");
        self
    }

    /// The fields that are at fault.
    pub fn faults(&self) -> Vec<String> {
        let body = self.json();
        let errors = body["errors"].as_array().cloned().unwrap_or_default();
        let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
        errors.iter().map(|error| format!("{} {}", text(&error["in"]), text(&error["field"]))).collect()
    }
}

pub fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().expect("an address")
}

pub fn started() -> (ApiServer, Arc<Exchange>) {
    started_with(|_| {})
}

pub fn started_with(set: impl FnOnce(&mut ApiConfig)) -> (ApiServer, Arc<Exchange>) {
    let exchange = Arc::new(Exchange::default());
    let mut config = ApiConfig::new(loopback());
    set(&mut config);
    (ApiServer::start(config, exchange.clone()).expect("a free port"), exchange)
}

pub fn connected(server: &ApiServer) -> TcpStream {
    let stream = TcpStream::connect(server.local_addr()).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    stream
}

/// A connection of the loopback address 127.0.0.`host`.
pub fn connected_from(server: &ApiServer, host: u8) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from(([127, 0, 0, host], 0)).into()).expect("a loopback address");
    socket.connect(&server.local_addr().into()).expect("a connection");
    socket.into()
}

/// Says this and hears the answer.
pub fn say(server: &ApiServer, text: &[u8]) -> Answer {
    let mut stream = connected(server);
    // A server that has heard enough may close before all is said.
    let _ = stream.write_all(text);
    Answer::read(&mut stream)
}

/// Asks with a token, further header lines, and a body where there is one.
pub fn ask(server: &ApiServer, token: &str, method: &str, path: &str, lines: &str, body: &str) -> Answer {
    let authorization = if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
    let chunk = "Content-Type: application/offset+octet-stream\r\n";
    let json = if method == "PATCH" { chunk } else { "Content-Type: application/json\r\n" };
    let uploads = method == "PATCH" || (method == "POST" && path.ends_with("/evidence"));
    let tus = "Tus-Resumable: 1.0.0\r\nUpload-Length: 3\r\nUpload-Offset: 0\r\n";
    let tus = if uploads && lines.is_empty() { tus } else { "" };
    let kind = if body.is_empty() || lines.to_lowercase().contains("content-type") { "" } else { json };
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let text = format!(
        "{method} /api/v1{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{authorization}{kind}{length}{tus}{lines}\r\n{body}"
    );
    say(server, text.as_bytes())
}

/// Asks without further lines.
pub fn asked(server: &ApiServer, role: Role, method: &str, path: &str, body: &str) -> Answer {
    ask(server, &format!("sxt_{}", role.as_str()), method, path, "", body)
}
