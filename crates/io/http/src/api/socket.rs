//! Events over a WebSocket (RFC 6455), and messages of agents that come in by it.
//!
//! ```text
//!  exchange ──► {"type":"event","id":…,"kind":…,"data":{…}} ──► client
//!  client   ──► a message, as POST /escalations has it ──► {"type":"answer","status":201,"body":{…}}
//! ```

use super::answer::Gate;
use super::events::{ALIVE_EVERY, Event};
use super::problem::{ApiProblem, Refusal};
use super::routes::{self, Route};
use super::{ApiAnswer, ApiRequest, Caller};
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, interval_at, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

/// A client takes what it is sent within this time, or has gone.
const SEND_MAX: Duration = Duration::from_secs(10);

/// Whoever is at the other end.
pub(super) struct Client {
    pub(super) caller: Caller,
    pub(super) from: IpAddr,
}

/// Does the client want a WebSocket?
pub(super) fn is_asked_for(headers: &HeaderMap) -> bool {
    let upgrade = headers.get(header::UPGRADE).and_then(|value| value.to_str().ok());
    upgrade.is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
}

/// What shows the client that it speaks with somebody who has read its request.
//= https://www.rfc-editor.org/rfc/rfc6455#section-4.2.1
pub(super) fn accept_key(headers: &HeaderMap) -> Result<String, Refusal> {
    let version = headers.get(header::SEC_WEBSOCKET_VERSION).and_then(|value| value.to_str().ok());
    let key = headers.get(header::SEC_WEBSOCKET_KEY).filter(|key| key.len() == KEY_BYTES);
    match (version, key) {
        (Some("13"), Some(key)) => Ok(derive_accept_key(key.as_bytes())),
        _ => {
            let detail = "a WebSocket is asked for with Sec-WebSocket-Version 13 and a Sec-WebSocket-Key";
            let refusal = Refusal::from(ApiProblem::new(400, "no-websocket", "No WebSocket", detail));
            Err(refusal.with(header::SEC_WEBSOCKET_VERSION, "13"))
        }
    }
}

/// Sixteen bytes in base64.
const KEY_BYTES: usize = 24;

/// Answers that it is one from now on, and serves it.
pub(super) fn accept(
    gate: &Arc<Gate>,
    client: Client,
    events: mpsc::Receiver<Event>,
    (accept_key, upgrade): (&str, OnUpgrade),
) -> Response {
    let gate = gate.clone();
    tokio::spawn(async move {
        match upgrade.await {
            Ok(upgraded) => serve(&gate, client, events, upgraded).await,
            Err(error) => tracing::debug!(%error, "a WebSocket of the management API did not begin"),
        }
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    super::answer::set(headers, header::SEC_WEBSOCKET_ACCEPT, accept_key);
    response
}

async fn serve(gate: &Arc<Gate>, client: Client, mut events: mpsc::Receiver<Event>, upgraded: Upgraded) {
    let bytes_max = Some(gate.config.body_bytes_max);
    let config = WebSocketConfig::default().max_message_size(bytes_max).max_frame_size(bytes_max);
    let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
    let mut alive = interval_at(Instant::now() + ALIVE_EVERY, ALIVE_EVERY);
    loop {
        let say = tokio::select! {
            event = events.recv() => match event {
                Some(event) => Message::text(told(&event)),
                None => break close(&mut socket, CloseCode::Away, "there are no more events").await,
            },
            heard = socket.next() => match heard {
                Some(Ok(Message::Text(text))) => Message::text(escalate(gate, &client, text.as_bytes()).await.to_string()),
                Some(Ok(Message::Binary(_))) => {
                    break close(&mut socket, CloseCode::Unsupported, "messages are text").await;
                }
                Some(Err(Error::Capacity(_))) => break close(&mut socket, CloseCode::Size, "the message is too long").await,
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                // It is answered by itself.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
            },
            _ = alive.tick() => Message::Ping(Vec::new().into()),
        };
        if !matches!(timeout(SEND_MAX, socket.send(say)).await, Ok(Ok(()))) {
            break;
        }
    }
}

async fn close(socket: &mut WebSocketStream<TokioIo<Upgraded>>, code: CloseCode, reason: &'static str) {
    let frame = CloseFrame { code, reason: reason.into() };
    // Whoever does not take it has gone.
    let _ = timeout(SEND_MAX, socket.close(Some(frame))).await;
}

fn told(event: &Event) -> String {
    format!(r#"{{"type":"event","id":{},"kind":{},"data":{}}}"#, event.id, json!(event.kind), event.data)
}

/// What a message that comes by the socket is answered with: as if it had been posted.
async fn escalate(gate: &Arc<Gate>, client: &Client, message: &[u8]) -> Value {
    let answered = |status: u16, body: Value| json!({ "type": "answer", "status": status, "body": body });
    let refused = |refusal: &Refusal| answered(refusal.status().as_u16(), refusal.document("/api/v1/escalations"));
    let row = routes::row(Route::Escalate);
    if client.caller.role < row.role {
        let detail = format!("this needs the role {}", row.role.as_str());
        return refused(&ApiProblem::new(403, "insufficient-scope", "The token's role is too low", detail).into());
    }
    if let Err(refusal) = gate.take(&client.caller.id, false) {
        return refused(&refusal);
    }
    let request = ApiRequest::Escalate { message: message.to_vec(), from: client.from };
    let (asking, caller) = (gate.clone(), client.caller.clone());
    match gate.on_waiting_thread(move || asking.management().carry_out(&caller, request)).await {
        Ok(Ok(ApiAnswer::Created { body, .. } | ApiAnswer::Json(body))) => answered(201, body),
        Ok(Ok(_)) => answered(204, Value::Null),
        Ok(Err(problem)) => refused(&problem.into()),
        Err(refusal) => refused(&refusal),
    }
}
