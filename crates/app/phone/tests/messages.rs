//! What a telephone makes of single messages.

mod bed;

use bed::peer::{Peer, SDP, dialog, header};
use bed::{bob, expect, start, telephone};
use sx_phone::{AnswerMode, Phone, PhoneConfig, PhoneEvent};
use sx_types::{Codec, Transport};

fn caller(peer: &Peer) -> Phone {
    start(telephone(Transport::Udp, peer.address(), "alice"))
}

fn tag(message: &str) -> &str {
    header(message, "To").split(";tag=").nth(1).expect("a tag")
}

#[test]
fn requests_outside_of_a_dialog_are_answered() {
    let (peer, phone) = (Peer::new(), start(bob(Transport::Udp)));
    for (seq, (method, status)) in (1..).zip([
        ("OPTIONS", 200),
        ("MESSAGE", 200),
        ("SUBSCRIBE", 405),
        ("REGISTER", 405),
        ("INVENTED", 405),
        ("NOTIFY", 481),
        ("BYE", 481),
        ("INFO", 481),
    ]) {
        peer.ask(phone.address(), method, seq, &dialog(None), "", "");
        let response = peer.next("SIP/2.0 ");
        assert!(response.starts_with(&format!("SIP/2.0 {status} ")), "{method}: {response}");
        assert!(header(&response, "Allow").contains("INVITE"));
    }
}

#[test]
fn early_media_and_the_warning_of_a_refusal_are_told() {
    let peer = Peer::new();
    let phone = caller(&peer);
    phone.call("1002");
    let invite = peer.next("INVITE sip:1002@example.com SIP/2.0");
    peer.answer(phone.address(), &invite, "183 Session Progress", "", SDP);
    expect(&phone, |event| *event == PhoneEvent::Progress { status: 183 });
    assert_eq!(expect(&phone, |_| true), PhoneEvent::EarlyMedia);
    let warning = "Warning: 399 exchange \"No route: \\\"1002\\\" is barred\"\r\n";
    peer.answer(phone.address(), &invite, "403 Barred", warning, "");
    peer.next("ACK");
    let (reason, warning) = ("Barred".to_owned(), Some("No route: \"1002\" is barred".to_owned()));
    assert_eq!(expect(&phone, |_| true), PhoneEvent::Refused { status: 403, reason, warning });
}

#[test]
fn an_answer_without_a_codec_of_ours_is_hung_up() {
    let peer = Peer::new();
    let phone = caller(&peer);
    phone.call("1002");
    let invite = peer.next("INVITE");
    let contact = format!("Contact: <sip:peer@{}>\r\n", peer.address());
    peer.answer(phone.address(), &invite, "200 OK", &contact, &SDP.replace("AVP 8", "AVP 18"));
    peer.next("ACK");
    peer.next("BYE");
    assert!(matches!(expect(&phone, |_| true), PhoneEvent::Ended { by_peer: false, .. }));
}

#[test]
fn an_invite_without_offer_gets_one() {
    let (peer, phone) = (Peer::new(), start(bob(Transport::Udp)));
    peer.ask(phone.address(), "INVITE", 1, &dialog(None), "", "");
    let response = peer.next("SIP/2.0 200");
    assert!(response.contains("m=audio ") && response.contains("a=rtpmap:101 telephone-event/8000"), "{response}");
    peer.ask(phone.address(), "ACK", 1, &dialog(Some(tag(&response))), "", SDP);
    expect(&phone, |event| *event == PhoneEvent::Answered { codec: Codec::Pcma });
    expect(&phone, |event| *event == PhoneEvent::Established);
}

#[test]
fn a_call_that_names_ours_takes_its_place() {
    let (peer, phone) = (Peer::new(), start(bob(Transport::Udp)));
    peer.ask(phone.address(), "INVITE", 1, &dialog(None), "", SDP);
    let response = peer.next("SIP/2.0 200");
    peer.ask(phone.address(), "ACK", 1, &dialog(Some(tag(&response))), "", "");
    expect(&phone, |event| *event == PhoneEvent::Established);

    let other = dialog(None).replace("1@peer", "2@peer");
    peer.ask(phone.address(), "INVITE", 2, &other, "Replaces: 3@peer;to-tag=a;from-tag=b\r\n", SDP);
    peer.next("SIP/2.0 481");
    let replaces = format!("Replaces: 1@peer;to-tag={};from-tag=p\r\n", tag(&response));
    peer.ask(phone.address(), "INVITE", 3, &other, &replaces, SDP);
    let mut begins = [peer.next(""), peer.next("")].map(|text| text[..3].to_owned());
    begins.sort();
    assert_eq!(begins, ["BYE", "SIP"]);
    expect(&phone, |event| matches!(event, PhoneEvent::Ended { by_peer: true, .. }));
    expect(&phone, |event| matches!(event, PhoneEvent::Incoming { .. }));
    expect(&phone, |event| matches!(event, PhoneEvent::Answered { .. }));
}

#[test]
fn the_reason_of_a_hang_up_is_told() {
    let (peer, phone) = (Peer::new(), start(bob(Transport::Udp)));
    peer.ask(phone.address(), "INVITE", 1, &dialog(None), "", SDP);
    let ours = dialog(Some(tag(&peer.next("SIP/2.0 200"))));
    peer.ask(phone.address(), "ACK", 1, &ours, "", "");
    peer.ask(phone.address(), "BYE", 2, &ours, "Reason: Q.850;cause=102;text=\"Out of credit\"\r\n", "");
    peer.next("SIP/2.0 200");
    let reason = "Out of credit".to_owned();
    assert_eq!(expect(&phone, PhoneEvent::is_end), PhoneEvent::Ended { status: 0, reason, by_peer: true });
}

#[test]
fn a_transfer_is_followed_to_its_end_and_the_call_hung_up() {
    let (peer, phone) = (Peer::new(), start(PhoneConfig { answer: AnswerMode::Manual, ..bob(Transport::Udp) }));
    peer.ask(phone.address(), "INVITE", 1, &dialog(None), "", SDP);
    peer.next("SIP/2.0 180");
    phone.answer();
    let ours = dialog(Some(tag(&peer.next("SIP/2.0 200"))));
    peer.ask(phone.address(), "ACK", 1, &ours, "", "");
    expect(&phone, |event| *event == PhoneEvent::Established);
    phone.transfer("1003");
    let refer = peer.next("REFER");
    assert_eq!(header(&refer, "Refer-To"), "<sip:1003@example.com>");
    peer.answer(phone.address(), &refer, "202 Accepted", "", "");
    let notify = |seq, state: &str, fragment: &str| {
        let headers =
            format!("Event: refer\r\nSubscription-State: {state}\r\nContent-Type: message/sipfrag;version=2.0\r\n");
        peer.ask(phone.address(), "NOTIFY", seq, &ours, &headers, fragment);
    };
    notify(2, "active", "SIP/2.0 180 Ringing\r\n");
    expect(&phone, |event| *event == PhoneEvent::TransferProgress(180));
    notify(3, "terminated", "SIP/2.0 200 OK\r\n");
    expect(&phone, |event| *event == PhoneEvent::TransferProgress(200));
    peer.next("BYE");
    expect(&phone, |event| matches!(event, PhoneEvent::Ended { by_peer: false, .. }));
}

#[test]
fn what_is_no_message_is_dropped() {
    let (peer, phone) = (Peer::new(), start(bob(Transport::Udp)));
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for bytes in [&b"\0\xff"[..], b"INVITE", b"INVITE sip:a SIP/2.0\r\n\r\n", b"SIP/2.0 200 OK\r\nCSeq: x\r\n\r\n"] {
        socket.send_to(bytes, phone.address()).expect("sends");
    }
    peer.ask(phone.address(), "OPTIONS", 1, &dialog(None), "", "");
    peer.next("SIP/2.0 200");
}
