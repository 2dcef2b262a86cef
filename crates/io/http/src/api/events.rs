//! Events, as they happen: as server-sent events, or over a WebSocket by which messages of agents come in as well.
//!
//! ```text
//!  GET /events ──► subscribed ──► EventSink ◄── whoever knows what happens
//!                                    └──► id, event, data … ──► client; behind a break it says the last id it has
//! ```

use super::Caller;
use super::answer::Gate;
use super::problem::{ApiProblem, Refusal};
use super::request::EventsWanted;
use super::socket::{self, Client};
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use hyper::body::{Bytes, Frame};
use hyper::upgrade::OnUpgrade;
use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// Something that has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its number: whoever has it asks for those behind it.
    pub id: u64,
    /// Its kind.
    pub kind: String,
    /// What it is, a line of JSON.
    pub data: String,
}

/// Where the events of one subscriber go. It ends when this is dropped.
#[derive(Clone, Debug)]
pub struct EventSink(mpsc::Sender<Event>);

/// Whoever had subscribed has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nobody hears the events any more")]
pub struct Unheard;

/// Events that wait for a client at most; what is more waits where it comes from.
const WAITING_MAX: usize = 256;
/// Who hears nothing for so long is told that the connection stands.
pub(super) const ALIVE_EVERY: Duration = Duration::from_secs(15);
const EVENT_STREAM: &str = "text/event-stream";

impl EventSink {
    fn new() -> (Self, mpsc::Receiver<Event>) {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        (Self(sender), receiver)
    }

    /// For so many events there is room.
    ///
    /// # Errors
    /// When nobody hears them any more.
    pub fn room(&self) -> Result<usize, Unheard> {
        if self.0.is_closed() { Err(Unheard) } else { Ok(self.0.capacity()) }
    }

    /// One more, for which there must be room.
    pub fn send(&self, event: Event) {
        // What does not fit, or nobody hears, is for whoever asked for more than there was room for.
        let _ = self.0.try_send(event);
    }
}

/// Which events are wanted, by whoever says so in headers too.
pub(super) fn wanted(mut wanted: EventsWanted, headers: &HeaderMap) -> Result<EventsWanted, ApiProblem> {
    //= https://html.spec.whatwg.org/multipage/server-sent-events.html#last-event-id
    if let Some(last) = headers.get("last-event-id") {
        let number = last.to_str().ok().and_then(|text| text.parse().ok());
        let detail = "Last-Event-ID must be the number of an event";
        wanted.after = Some(number.ok_or_else(|| ApiProblem::new(400, "bad-event", "No such event", detail))?);
    }
    Ok(wanted)
}

/// Subscribes, and answers with a stream of events or the upgrade to a WebSocket.
pub(super) async fn answer(
    gate: &Arc<Gate>,
    caller: Caller,
    wanted: EventsWanted,
    request: (&Parts, IpAddr),
) -> Result<Response, Refusal> {
    let (head, from) = request;
    if head.method != Method::GET {
        return Ok(stream(mpsc::channel(1).1));
    }
    let accept_key = socket::is_asked_for(&head.headers).then(|| socket::accept_key(&head.headers)).transpose()?;
    let (sink, events) = EventSink::new();
    let (asking, subscriber) = (gate.clone(), caller.clone());
    gate.on_waiting_thread(move || asking.management().subscribe(&subscriber, &wanted, sink)).await??;
    let upgrade = head.extensions.get::<OnUpgrade>().cloned();
    match accept_key.zip(upgrade) {
        Some((key, upgrade)) => Ok(socket::accept(gate, Client { caller, from }, events, (&key, upgrade))),
        None => Ok(stream(events)),
    }
}

fn stream(events: mpsc::Receiver<Event>) -> Response {
    let mut alive = interval_at(Instant::now() + ALIVE_EVERY, ALIVE_EVERY);
    alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut response = Response::new(Body::new(EventBody { events, alive }));
    *response.status_mut() = StatusCode::OK;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(EVENT_STREAM));
    response
}

/// Events, as lines.
struct EventBody {
    events: mpsc::Receiver<Event>,
    alive: Interval,
}

impl hyper::body::Body for EventBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Poll::Ready(event) = self.events.poll_recv(context) {
            return Poll::Ready(event.map(|event| Ok(Frame::data(lines(&event).into()))));
        }
        ready!(self.alive.poll_tick(context));
        // A line that begins with a colon says nothing.
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b":\n\n")))))
    }
}

//= https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
fn lines(event: &Event) -> String {
    format!("id: {}\nevent: {}\ndata: {}\n\n", event.id, event.kind, event.data)
}
