//! WebSocket (RFC 7118) with a real client of it.

mod bed;

use bed::{Bed, connect, message, write};
use std::net::TcpStream;
use sx_net::{CloseReason, NetLimits, SendFailure, WebSocketFailure};
use sx_types::{Destination, Ticket, Transport};
use tungstenite::client::IntoClientRequest;
use tungstenite::handshake::HandshakeError;
use tungstenite::handshake::client::ClientHandshake;
use tungstenite::{Error, Message, WebSocket};

fn bed() -> Bed {
    Bed::new(&[Transport::Ws], NetLimits::default(), None)
}

/// A client that offers these subprotocols.
fn upgrade(bed: &mut Bed, offer: &str) -> Result<WebSocket<TcpStream>, Error> {
    let to = bed.address(Transport::Ws);
    let mut request = format!("ws://{to}/").into_client_request().expect("a request");
    request.headers_mut().insert("Sec-WebSocket-Protocol", offer.parse().expect("a header"));
    let mut handshake = ClientHandshake::start(connect(to), request, None).expect("a client");
    loop {
        bed.turn();
        match handshake.handshake() {
            Ok((socket, response)) => {
                assert_eq!(response.headers()["Sec-WebSocket-Protocol"], "sip");
                return Ok(socket);
            }
            Err(HandshakeError::Interrupted(again)) => handshake = again,
            Err(HandshakeError::Failure(error)) => return Err(error),
        }
    }
}

fn next(bed: &mut Bed, socket: &mut WebSocket<TcpStream>) -> Message {
    loop {
        bed.turn();
        match socket.read() {
            Ok(message) => return message,
            Err(Error::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn messages_flow_both_ways_as_text_and_as_binary() {
    let mut bed = bed();
    let mut socket = upgrade(&mut bed, "sip").expect("upgrades");
    let long = message("INVITE", &"x".repeat(60_000));
    socket.send(Message::text(message("REGISTER", ""))).expect("sends");
    socket.send(Message::binary(long.clone())).expect("sends");
    bed.until_messages(&[&message("REGISTER", ""), &long]);
    let to = Destination::Flow(bed.opened()[0]);
    bed.net.send(&to, None, long.clone().into(), Ticket(1));
    bed.net.send(&to, None, b"\xff".to_vec().into(), Ticket(2));
    assert_eq!(next(&mut bed, &mut socket), Message::text(long));
    assert_eq!(next(&mut bed, &mut socket), Message::binary(b"\xff".to_vec()));
    socket.close(None).expect("closes");
    assert_eq!(bed.until_closed(), CloseReason::Peer);
}

#[test]
fn pings_and_crlf_keep_alives_are_answered() {
    let mut bed = bed();
    let mut socket = upgrade(&mut bed, "sip").expect("upgrades");
    socket.send(Message::Ping("are you there".into())).expect("sends");
    assert_eq!(next(&mut bed, &mut socket), Message::Pong("are you there".into()));
    socket.send(Message::text("\r\n\r\n")).expect("sends");
    assert_eq!(next(&mut bed, &mut socket), Message::text("\r\n"));
    assert!(bed.messages().is_empty());
    assert_eq!(bed.net.counters().keep_alives_websocket.value(), 2);
}

//= https://www.rfc-editor.org/rfc/rfc7118#section-4
//= type=test
#[test]
fn another_subprotocol_is_refused() {
    let mut bed = bed();
    let Err(Error::Http(response)) = upgrade(&mut bed, "xmpp") else { panic!("accepted") };
    assert_eq!(response.status(), 400);
    bed.until("the count", |bed| bed.net.counters().websocket_wrong_subprotocol.value() == 1);
    assert!(bed.seen.is_empty(), "never opened");
}

#[test]
fn an_unmasked_frame_closes_the_connection() {
    let mut bed = bed();
    let mut socket = upgrade(&mut bed, "sip").expect("upgrades");
    write(socket.get_mut(), [0x81, 1, b'x']);
    assert_eq!(bed.until_closed(), CloseReason::WebSocket(WebSocketFailure::Unmasked));
    let Message::Close(Some(frame)) = next(&mut bed, &mut socket) else { panic!("no close frame") };
    assert_eq!(u16::from(frame.code), 1002);
    assert_eq!(bed.net.counters().websocket_unmasked.value(), 1);
}

#[test]
fn a_websocket_is_never_opened_by_us() {
    let mut bed = bed();
    bed.send_to(Transport::Ws, "127.0.0.1:1".parse().expect("an address"), None, "x", 1);
    assert_eq!(bed.until_failed(1), SendFailure::WebSocketOutgoing);
}

#[test]
fn a_secure_websocket_upgrades_through_tls() {
    let authority = bed::Authority::new();
    let tls = bed::build(&authority.settings(authority.sign(&["127.0.0.1"])));
    let mut bed = Bed::new(&[Transport::Wss], NetLimits::default(), Some(tls.clone()));
    // A shell of its own makes the TLS connection; its bytes are the handshake.
    let mut roots = rustls::RootCertStore::empty();
    let root = rustls_pki_types::pem::PemObject::from_pem_slice(&authority.pem).expect("a certificate");
    roots.add(root).expect("a root");
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = std::net::IpAddr::from([127, 0, 0, 1]).into();
    let conn = rustls::ClientConnection::new(std::sync::Arc::new(config), name).expect("a client");
    let mut peer = rustls::StreamOwned::new(conn, connect(bed.address(Transport::Wss)));
    while peer.conn.is_handshaking() {
        bed.turn();
        match peer.conn.complete_io(&mut peer.sock) {
            Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => panic!("{error}"),
            _ => {}
        }
    }
    write(
        &mut peer,
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\n\r\n",
    );
    let response = bed.read(&mut peer, 100);
    assert!(response.starts_with(b"HTTP/1.1 101"));
    bed.until("opened", |bed| bed.opened().len() == 1);
    write(&mut peer, [0x82, 0x83, 0, 0, 0, 0, b'B', b'Y', b'E']);
    bed.until_messages(&["BYE"]);
    assert_eq!(bed.opened()[0].transport, Transport::Wss);
}

#[test]
fn nothing_gets_ahead_of_the_upgrade() {
    let mut bed = bed();
    let mut peer = connect(bed.address(Transport::Ws));
    bed.until("accepted", |bed| bed.net.counters().connections_accepted.value() == 1);
    bed.send_to(Transport::Ws, peer.local_addr().expect("bound"), None, "x", 1);
    assert_eq!(bed.until_failed(1), SendFailure::FlowGone);
    write(&mut peer, "GET / HTTP/1.1\r\n");
    bed.now = bed.now + std::time::Duration::from_secs(11);
    bed.until("the timeout", |bed| bed.net.counters().closed_handshake_timeout.value() == 1);
}
