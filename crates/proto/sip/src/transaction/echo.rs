//! What a response repeats of its request, and where it goes.

use crate::message::{HeaderName, Message, Via, Writer, find_outside};
use bytes::Bytes;
use std::fmt::Write as _;
use std::net::SocketAddr;
use sx_types::{Destination, Flow};

/// A response to be written.
#[derive(Default)]
pub struct Reply<'a> {
    /// The status code.
    pub status: u16,
    /// The reason phrase; empty for the usual one.
    pub reason: &'a str,
    /// The tag to add to To when it has none; empty for none.
    pub to_tag: &'a str,
    /// Further headers.
    pub headers: Option<&'a dyn Fn(&mut Writer)>,
    /// The body and its type.
    pub body: Option<(&'a str, &'a [u8])>,
}

/// The lines of a request that every response to it repeats, and where responses go. Kept by a server transaction.
#[derive(Clone, Debug)]
pub(super) struct Echo {
    /// Via, From, Call-ID, CSeq, each with its line end.
    lines: Box<[u8]>,
    /// Record-Route, each with its line end.
    record_route: Box<[u8]>,
    /// The value of To.
    to: Box<[u8]>,
    pub(super) path: Destination,
}

impl Echo {
    pub(super) fn new<B: AsRef<[u8]>>(flow: Flow, request: &Message<B>) -> Self {
        let mut lines = Vec::with_capacity(384);
        write_vias(&mut lines, flow, request);
        for name in [HeaderName::From, HeaderName::CallId, HeaderName::CSeq] {
            if let Some(value) = request.value(name) {
                line(&mut lines, name, value);
            }
        }
        let mut record_route = Vec::new();
        for value in request.values(HeaderName::RecordRoute) {
            line(&mut record_route, HeaderName::RecordRoute, value);
        }
        Self {
            lines: lines.into_boxed_slice(),
            record_route: record_route.into_boxed_slice(),
            to: request.value(HeaderName::To).unwrap_or_default().into(),
            path: reply_path(flow, request),
        }
    }

    /// Nothing more is to be written: only the way is kept.
    pub(super) fn close(&mut self) {
        (self.lines, self.record_route, self.to) = (Box::default(), Box::default(), Box::default());
    }

    pub(super) fn write(&self, answer: &Reply<'_>) -> Bytes {
        let mut writer = Writer::response(answer.status, answer.reason);
        writer.lines(&self.lines);
        if answer.status > 100 && answer.status < 300 {
            //= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.1
            writer.lines(&self.record_route);
        }
        // A request within a dialog has a tag already.
        let tagged = has_tag(&self.to);
        if self.to.is_empty() {
            // A malformed request is told so without what it did not say.
        } else if answer.to_tag.is_empty() || tagged {
            writer.header_bytes(HeaderName::To, &self.to);
        } else {
            let to = String::from_utf8_lossy(&self.to);
            writer.header(HeaderName::To, format_args!("{to};tag={}", answer.to_tag));
        }
        if let Some(headers) = answer.headers {
            headers(&mut writer);
        }
        writer.finish(answer.body)
    }
}

/// Writes the response to a request, and says where it goes.
#[expect(clippy::needless_pass_by_value, reason = "it is made for this one call")]
pub fn reply<B: AsRef<[u8]>>(flow: Flow, request: &Message<B>, answer: Reply<'_>) -> (Destination, Bytes) {
    let echo = Echo::new(flow, request);
    let bytes = echo.write(&answer);
    (echo.path, bytes)
}

fn has_tag(to: &[u8]) -> bool {
    crate::message::NameAddr::parse(to).is_ok_and(|address| address.tag().is_some())
}

fn line(out: &mut Vec<u8>, name: HeaderName, value: &[u8]) {
    out.extend_from_slice(name.name().as_bytes());
    out.extend_from_slice(b": ");
    out.extend(value.iter().map(|byte| if matches!(byte, b'\r' | b'\n' | 0) { b' ' } else { *byte }));
    out.extend_from_slice(b"\r\n");
}

/// Every Via, the topmost with what RFC 3581 adds: where the request really came from.
fn write_vias<B: AsRef<[u8]>>(out: &mut Vec<u8>, flow: Flow, request: &Message<B>) {
    for (position, value) in request.values(HeaderName::Via).enumerate() {
        if position > 0 {
            line(out, HeaderName::Via, value);
            continue;
        }
        let end = find_outside(value, b',');
        let (top, rest) = value.split_at(end);
        let mut text: Vec<u8> = Vec::with_capacity(value.len() + 48);
        write_top_via(&mut text, flow, top);
        text.extend_from_slice(rest);
        line(out, HeaderName::Via, &text);
    }
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-18.2.1
//= https://www.rfc-editor.org/rfc/rfc3581#section-4
fn write_top_via(out: &mut Vec<u8>, flow: Flow, top: &[u8]) {
    let Ok(via) = Via::parse(top) else {
        out.extend_from_slice(top);
        return;
    };
    let asks_rport = via.params.has("rport");
    if !asks_rport && via.host.ip() == Some(flow.remote.ip()) {
        out.extend_from_slice(top);
        return;
    }
    let head = top.iter().position(|b| *b == b';').unwrap_or(top.len());
    out.extend_from_slice(&top[..head]);
    for (name, value) in via.params.iter() {
        if name.eq_ignore_ascii_case(b"rport") || name.eq_ignore_ascii_case(b"received") {
            continue;
        }
        out.push(b';');
        out.extend_from_slice(name);
        if let Some(value) = value {
            out.push(b'=');
            out.extend_from_slice(value);
        }
    }
    let mut added = String::with_capacity(48);
    let _ = write!(added, ";received={}", flow.remote.ip());
    if asks_rport {
        let _ = write!(added, ";rport={}", flow.remote.port());
    }
    out.extend_from_slice(added.as_bytes());
}

/// Where a response goes: back along a connection; over UDP to the source port when the client asks for it, else to
/// the port it names.
//= https://www.rfc-editor.org/rfc/rfc3261#section-18.2.2
fn reply_path<B: AsRef<[u8]>>(flow: Flow, request: &Message<B>) -> Destination {
    if flow.transport.is_reliable() {
        return Destination::Flow(flow);
    }
    let top = request.elements(HeaderName::Via).next().and_then(|top| Via::parse(top).ok());
    match top {
        Some(via) if !via.params.has("rport") => {
            let port = via.port.unwrap_or(5060);
            Destination::Flow(Flow { remote: SocketAddr::new(flow.remote.ip(), port), ..flow })
        }
        _ => Destination::Flow(flow),
    }
}
