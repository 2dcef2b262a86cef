//! Events, as a stream of lines and over a WebSocket.

use crate::exchange::{ask, connected, started};
use std::net::TcpStream;
use sx_http::{ApiRequest, ApiServer, EventsWanted};
use tungstenite::client::IntoClientRequest as _;
use tungstenite::{Message, WebSocket};

#[test]
fn events_come_as_lines_and_go_on_behind_the_last_one() {
    let (server, exchange) = started();
    let lines = |headers: &str, path: &str| {
        let answer = ask(&server, "sxt_viewer", "GET", path, headers, "");
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/event-stream")), "{answer:?}");
        answer.body
    };
    let two = |first: u64| {
        let one = |id: u64| format!("id: {id}\nevent: vote\ndata: {{\"seq\":{id}}}\n\n");
        [one(first), one(first + 1)]
    };
    for (headers, path, first) in
        [("", "/events", 0), ("", "/events?after=7", 8), ("Last-Event-ID: 41\r\n", "/events?after=7&kinds=vote", 42)]
    {
        let body = lines(headers, path);
        assert!(two(first).iter().all(|event| body.contains(event)), "{body}");
    }
    let wanted = |after, kinds: &[&str]| {
        ApiRequest::Events(EventsWanted { after, kinds: kinds.iter().map(ToString::to_string).collect() })
    };
    assert_eq!(exchange.asked(), [wanted(None, &[]), wanted(Some(7), &[]), wanted(Some(41), &["vote"])]);
}

#[test]
fn what_no_event_can_be_is_refused() {
    let (server, exchange) = started();
    let get = |headers: &str, path: &str| ask(&server, "sxt_viewer", "GET", path, headers, "");
    get("Last-Event-ID: yesterday\r\n", "/events").is_problem(400, "bad-event");
    get("", "/events?after=-1").is_problem(422, "invalid-fields");
    get("Upgrade: websocket\r\nConnection: upgrade\r\n", "/events").is_problem(400, "no-websocket");
    assert_eq!(exchange.asked(), []);
    get("", "/events?kinds=gone").is_problem(410, "gone");
}

fn socket(server: &ApiServer, role: &str, query: &str) -> WebSocket<TcpStream> {
    let url = format!("ws://{}/api/v1/events?{query}", server.local_addr());
    let mut request = url.into_client_request().expect("a request");
    let token = format!("Bearer sxt_{role}").parse().expect("a header");
    request.headers_mut().insert("authorization", token);
    tungstenite::client(request, connected(server)).expect("a WebSocket").0
}

fn heard(socket: &mut WebSocket<TcpStream>) -> serde_json::Value {
    match socket.read().expect("a message") {
        Message::Text(text) => serde_json::from_str(&text).expect("JSON"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn events_come_over_a_websocket() {
    let (server, _exchange) = started();
    let mut socket = socket(&server, "viewer", "after=4");
    for id in [5, 6] {
        let expected = serde_json::json!({ "type": "event", "id": id, "kind": "vote", "data": { "seq": id } });
        assert_eq!(heard(&mut socket), expected);
    }
    assert!(matches!(socket.read(), Ok(Message::Close(Some(_)))), "there are no more");
}

#[test]
fn messages_of_agents_come_in_by_a_websocket_from_whoever_may() {
    let (server, exchange) = started();
    for (role, status) in [("operator", 201), ("viewer", 403)] {
        let mut socket = socket(&server, role, "kinds=stay");
        let events = [heard(&mut socket), heard(&mut socket)];
        assert!(events.iter().all(|event| event["type"] == "event"), "{events:?}");
        exchange.asked();
        socket.send(Message::text("{\"id\":\"m-1\"}")).expect("it is sent");
        let answer = heard(&mut socket);
        assert_eq!((&answer["type"], &answer["status"]), (&"answer".into(), &status.into()), "{answer}");
        let asked = exchange.asked();
        match status {
            201 => {
                let from = [127, 0, 0, 1].into();
                assert_eq!(asked, [ApiRequest::Escalate { message: b"{\"id\":\"m-1\"}".to_vec(), from }]);
                assert_eq!(answer["body"]["state"], "ringing");
            }
            _ => assert!(asked.is_empty() && answer["body"]["detail"].is_string(), "{asked:?}"),
        }
    }
    let mut long = socket(&server, "operator", "kinds=stay");
    heard(&mut long);
    heard(&mut long);
    long.send(Message::text("x".repeat(65_537))).expect("it is sent");
    assert!(matches!(long.read(), Ok(Message::Close(Some(frame))) if u16::from(frame.code) == 1009), "it is too long");
}
