//! Flows and devices: NAT, connections that end, outbound registrations, GRUUs, and what outlives the process.

use std::time::Duration;
use sx_engine::Time;
use sx_sip::message::{Message, Uri};
use sx_sip::registrar::{Change, Gruu, Record, Registrar, RegistrarConfig, Registration, Way};
use sx_types::{Flow, LinkId, Transport};

const AOR: &str = "anna@example.org";
const NOW: Time = Time::from_secs(1_800_000_000);
const URN: &str = "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6";

fn registrar() -> Registrar {
    Registrar::new(RegistrarConfig::default(), [7; 16])
}

fn flow(transport: Transport, link: u32, remote: &str) -> Flow {
    Flow { worker: 3, link: LinkId(link), transport, remote: remote.parse().expect("an address") }
}

fn register(registrar: &mut Registrar, flow: Flow, call_id: &str, cseq: u32, headers: &str) -> Registration {
    let text = format!(
        "REGISTER sip:example.org SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:{AOR}>;tag=1\r\n\
         To: <sip:{AOR}>\r\nCall-ID: {call_id}\r\nCSeq: {cseq} REGISTER\r\n{headers}\r\n\r\n"
    );
    registrar.register(NOW, AOR, flow, &Message::parse(text.as_bytes()).expect("well formed"))
}

fn ways(registrar: &Registrar) -> Vec<(&str, Way)> {
    registrar.contacts(NOW, AOR).map(|contact| (contact.uri, contact.way)).collect()
}

fn outbound(uri: &str, reg_id: u32) -> String {
    format!("Contact: <{uri}>;+sip.instance=\"<{URN}>\";reg-id={reg_id}\r\nSupported: path, outbound")
}

#[test]
fn a_client_behind_a_nat_is_reached_where_its_request_came_from() {
    let mut registrar = registrar();
    let nat = flow(Transport::Udp, 1, "203.0.113.9:40000");
    register(&mut registrar, nat, "c", 1, "Contact: <sip:a@10.0.0.1:5060>");
    assert_eq!(ways(&registrar), [("sip:a@10.0.0.1:5060", Way::Flow(nat))]);
    let moved = flow(Transport::Udp, 1, "203.0.113.9:40001");
    register(&mut registrar, moved, "c", 2, "Contact: <sip:a@10.0.0.1:5060>");
    assert_eq!(ways(&registrar), [("sip:a@10.0.0.1:5060", Way::Flow(moved))]);
    // A proxy between is not the one to send to unless it says so in a Path.
    register(&mut registrar, moved, "c", 3, "Via: SIP/2.0/UDP 10.0.0.1\r\nContact: <sip:a@10.0.0.1:5060>");
    assert_eq!(ways(&registrar), [("sip:a@10.0.0.1:5060", Way::Uri)]);
}

#[test]
fn what_only_a_connection_reached_is_gone_with_it() {
    let mut registrar = registrar();
    let tcp = flow(Transport::Tcp, 5, "192.0.2.1:40000");
    let other = flow(Transport::Wss, 6, "192.0.2.1:40001");
    register(&mut registrar, tcp, "c", 1, "Contact: <sip:open@192.0.2.1:5060;transport=tcp>");
    register(&mut registrar, tcp, "c", 2, "Contact: <sip:nat@10.0.0.1:5060;transport=tcp>");
    register(&mut registrar, other, "c", 3, "Contact: <sip:web@x.invalid;transport=ws>");
    let all = [
        ("sip:web@x.invalid;transport=ws", Way::Flow(other)),
        ("sip:nat@10.0.0.1:5060;transport=tcp", Way::Flow(tcp)),
        ("sip:open@192.0.2.1:5060;transport=tcp", Way::Flow(tcp)),
    ];
    assert_eq!(ways(&registrar), all);
    registrar.handle_flow_closed(LinkId(4));
    assert_eq!(ways(&registrar), all);
    registrar.handle_flow_closed(LinkId(5));
    assert_eq!(ways(&registrar), [all[0], ("sip:open@192.0.2.1:5060;transport=tcp", Way::Uri)]);
    registrar.handle_flow_closed(LinkId(6));
    registrar.handle_flow_closed(LinkId(6));
    assert_eq!(ways(&registrar), [("sip:open@192.0.2.1:5060;transport=tcp", Way::Uri)]);
    assert_eq!((registrar.len(), registrar.counters().disconnected), (1, 2));
}

#[test]
fn a_client_that_comes_back_on_another_connection_survives_the_end_of_the_first() {
    let mut registrar = registrar();
    let contact = "Contact: <sip:web@x.invalid;transport=ws>";
    let (first, second) = (flow(Transport::Ws, 1, "192.0.2.1:1"), flow(Transport::Ws, 2, "192.0.2.1:2"));
    register(&mut registrar, first, "c", 1, contact);
    register(&mut registrar, second, "c", 2, contact);
    registrar.handle_flow_closed(LinkId(1));
    assert_eq!(ways(&registrar), [("sip:web@x.invalid;transport=ws", Way::Flow(second))]);
    registrar.handle_flow_closed(LinkId(2));
    assert_eq!((registrar.len(), registrar.users()), (0, 0));
    assert_eq!(registrar.poll_change(), Some(Change::Delete { aor: AOR.into() }));
    assert_eq!(registrar.poll_change(), None);
}

//= https://www.rfc-editor.org/rfc/rfc5626#section-6
//= type=test
#[test]
fn an_outbound_registration_replaces_the_one_of_the_same_instance_and_flow() {
    let mut registrar = registrar();
    let (first, second) = (flow(Transport::Tcp, 1, "192.0.2.1:1"), flow(Transport::Tcp, 2, "192.0.2.1:2"));
    let answer = register(&mut registrar, first, "c", 1, &outbound("sip:a@192.0.2.1", 1));
    let expected = format!(
        "Contact: <sip:a@192.0.2.1>;expires=3600;+sip.instance=\"<{URN}>\";reg-id=1\r\nRequire: outbound\r\n\
         Supported: path, outbound, gruu\r\n"
    );
    assert_eq!((answer.status, answer.headers()), (200, &*expected));
    register(&mut registrar, second, "c", 2, &outbound("sip:a@192.0.2.1", 2));
    assert_eq!(registrar.len(), 2, "two flows of one device");
    // The device starts anew, with another contact and another Call-ID.
    let third = flow(Transport::Tcp, 3, "192.0.2.7:3");
    register(&mut registrar, third, "d", 1, &outbound("sip:a@192.0.2.7", 1));
    assert_eq!(ways(&registrar), [("sip:a@192.0.2.7", Way::Flow(third)), ("sip:a@192.0.2.1", Way::Flow(second))]);
    registrar.handle_flow_closed(LinkId(1));
    assert_eq!(registrar.len(), 2);
    registrar.handle_flow_closed(LinkId(2));
    assert_eq!(ways(&registrar), [("sip:a@192.0.2.7", Way::Flow(third))]);
    let gone = outbound("sip:a@192.0.2.7", 1) + "\r\nExpires: 0";
    assert_eq!(register(&mut registrar, third, "d", 2, &gone).headers(), "Supported: path, outbound, gruu\r\n");
    assert!(registrar.is_empty());
}

#[test]
fn a_flow_number_counts_only_with_an_instance_and_a_client_that_supports_outbound() {
    let tcp = flow(Transport::Tcp, 1, "192.0.2.1:1");
    for headers in [
        "Contact: <sip:a@192.0.2.1>;reg-id=1\r\nSupported: outbound".to_owned(),
        format!("Contact: <sip:a@192.0.2.1>;+sip.instance=\"<{URN}>\";reg-id=1"),
    ] {
        let mut registrar = registrar();
        let answer = register(&mut registrar, tcp, "c", 1, &headers);
        assert!(answer.status == 200 && !answer.headers().contains("Require"), "{headers}");
        registrar.handle_flow_closed(LinkId(1));
        assert_eq!(ways(&registrar), [("sip:a@192.0.2.1", Way::Uri)]);
    }
}

#[test]
fn a_proxy_next_to_the_client_must_know_outbound() {
    let udp = flow(Transport::Udp, 1, "192.0.2.1:5060");
    let via = "Via: SIP/2.0/UDP 10.0.0.1";
    for (extra, status) in [
        (via.to_owned(), 439),
        (format!("{via}\r\nPath: <sip:edge.example;lr>"), 439),
        (format!("{via}\r\nPath: <sip:edge.example;lr;ob>, <sip:other.example;lr>"), 439),
        (format!("{via}\r\nPath: <sip:other.example;lr>, <sip:edge.example;lr;ob>"), 200),
    ] {
        let mut registrar = registrar();
        let answer = register(&mut registrar, udp, "c", 1, &format!("{extra}\r\n{}", outbound("sip:a@10.0.0.1", 1)));
        assert_eq!((answer.status, registrar.len()), (status, usize::from(status == 200)), "{extra}");
        if status == 200 {
            assert_eq!(ways(&registrar), [("sip:a@10.0.0.1", Way::Uri)]);
        }
    }
}

fn param<'a>(answer: &'a Registration, name: &str) -> &'a str {
    let start = answer.headers().find(name).expect("the parameter") + name.len() + 2;
    let rest = &answer.headers()[start..];
    &rest[..rest.find('"').expect("a closing quote")]
}

//= https://www.rfc-editor.org/rfc/rfc5627#section-5.1
//= type=test
#[test]
fn gruus_lead_to_their_device_as_long_as_it_is_registered() {
    let mut registrar = registrar();
    let udp = flow(Transport::Udp, 1, "192.0.2.1:5060");
    let contact = format!("Contact: <sip:a@192.0.2.1>;+sip.instance=\"<{URN}>\"");
    let with = format!("{contact}\r\nSupported: gruu");
    assert!(!register(&mut registrar, udp, "c", 1, &contact).headers().contains("gruu="));
    let answer = register(&mut registrar, udp, "c", 2, &with);
    let (public, first) = (param(&answer, "pub-gruu"), param(&answer, "temp-gruu"));
    assert_eq!(public, format!("sip:anna@example.org;gr={URN}"));
    assert!(!first.contains("anna") && first.starts_with("sip:tgruu.") && first.ends_with("@example.org;gr"));
    let again = register(&mut registrar, udp, "c", 2, &with);
    assert_eq!(answer, again, "a retransmission gets the same");
    let next = register(&mut registrar, udp, "c", 3, &with);
    let second = param(&next, "temp-gruu");
    assert_ne!(first, second);
    let leads = |registrar: &Registrar, text: &str| {
        let uri = Uri::parse(text.as_bytes()).expect("valid");
        registrar.gruu(NOW, &uri).map(|Gruu { aor, instance }| (aor.to_owned(), instance.to_owned()))
    };
    let device = Some((AOR.to_owned(), URN.to_owned()));
    for text in [public, first, second] {
        assert_eq!(leads(&registrar, text), device, "{text}");
    }
    for text in
        ["sip:anna@example.org", "sip:anna@example.org;gr=urn:x", "sip:bert@example.org;gr", "sip:example.org;gr"]
    {
        assert_eq!(leads(&registrar, text), None, "{text}");
    }
    // Another Call-ID: the temporary ones are void, the public one stays.
    register(&mut registrar, udp, "d", 1, &with);
    assert_eq!((leads(&registrar, public), leads(&registrar, first), leads(&registrar, second)), (device, None, None));
    register(&mut registrar, udp, "d", 2, "Contact: *\r\nExpires: 0");
    assert_eq!(leads(&registrar, public), None);
}

fn kept(registrar: &mut Registrar) -> Vec<Change> {
    std::iter::from_fn(|| registrar.poll_change()).collect()
}

#[test]
fn what_is_kept_is_short_and_comes_back() {
    let mut before = registrar();
    let nat = flow(Transport::Udp, 1, "203.0.113.9:40000");
    let tcp = flow(Transport::Tcp, 2, "192.0.2.1:40000");
    register(&mut before, nat, "c", 1, "Contact: <sip:nat@10.0.0.1:5060>;expires=600");
    register(&mut before, tcp, "c", 2, "Contact: <sip:open@192.0.2.1;transport=tcp>;q=0.5");
    register(&mut before, tcp, "c", 3, &outbound("sip:flow@192.0.2.1", 1));
    let changes = kept(&mut before);
    let [Change::Put { aor, record }] = &changes[..] else { panic!("one change a user: {changes:?}") };
    let text = serde_json::to_string(record).expect("has a JSON form");
    assert_eq!(&**aor, AOR);
    assert!(text.len() < 300 && !text.contains("flow@"), "{} bytes: {text}", text.len());
    let record: Record = serde_json::from_str(&text).expect("reads back");

    let mut after = registrar();
    after.restore(NOW, AOR, &record);
    let remote = "203.0.113.9:40000".parse().expect("an address");
    let expected = [("sip:nat@10.0.0.1:5060", Way::Datagrams(remote)), ("sip:open@192.0.2.1;transport=tcp", Way::Uri)];
    assert_eq!(ways(&after), expected);
    assert_eq!(kept(&mut after), []);
    // With the same key, what was old stays old, and the next refresh brings the flow back.
    let contact = "Contact: <sip:nat@10.0.0.1:5060>;expires=600";
    assert_eq!(register(&mut after, nat, "c", 0, contact).status, 500);
    register(&mut after, nat, "c", 4, contact);
    assert_eq!(ways(&after)[0].1, Way::Flow(nat));
    // A user who has registered meanwhile knows better.
    after.restore(NOW, AOR, &record);
    assert_eq!(ways(&after)[0].1, Way::Flow(nat));

    let mut late = registrar();
    late.restore(NOW + Duration::from_secs(600), AOR, &record);
    assert_eq!(late.len(), 1, "what expired meanwhile does not come back");
    late.restore(NOW + Duration::from_secs(3_600), "bert@example.org", &record);
    assert_eq!((late.len(), late.users()), (1, 1));
}

#[test]
fn a_record_with_line_ends_in_it_is_not_restored() {
    for text in [
        r#"[{"u":"sip:a@h\r\nEvil: 1","e":4000000000,"c":1,"s":1}]"#.to_owned(),
        format!(r#"[{{"u":"sip:{}@h","e":4000000000,"c":1,"s":1}}]"#, "a".repeat(70_000)),
    ] {
        let record: Record = serde_json::from_str(&text).expect("reads");
        let mut registrar = registrar();
        registrar.restore(NOW, AOR, &record);
        assert!(registrar.is_empty());
    }
}

#[test]
fn what_has_expired_is_swept_out_within_a_minute() {
    let mut registrar = registrar();
    assert_eq!(registrar.poll_timeout(), None);
    let udp = flow(Transport::Udp, 1, "192.0.2.1:5060");
    register(&mut registrar, udp, "c", 1, "Contact: <sip:a@192.0.2.1>;expires=60");
    kept(&mut registrar);
    let end = NOW + Duration::from_secs(60);
    assert!(!registrar.knows(end, AOR) && registrar.contacts(end, AOR).next().is_none());
    while let Some(at) = registrar.poll_timeout() {
        assert!(at <= end + Duration::from_secs(60));
        registrar.handle_timeout(at);
    }
    assert_eq!((registrar.len(), registrar.users(), registrar.counters().expired), (0, 0, 1));
    assert_eq!(kept(&mut registrar), [Change::Delete { aor: AOR.into() }]);
}

#[test]
fn what_an_operator_removes_is_gone_and_is_not_kept() {
    let mut registrar = registrar();
    let tcp = flow(Transport::Tcp, 5, "192.0.2.1:40000");
    register(&mut registrar, tcp, "c", 1, "Contact: <sip:nat@10.0.0.1:5060;transport=tcp>");
    register(&mut registrar, tcp, "c", 2, "Contact: <sip:a@192.0.2.1:5060;transport=tcp>;q=0.5");
    let all: Vec<(&str, &str)> = registrar.all(NOW).map(|(aor, contact)| (aor, contact.uri)).collect();
    assert_eq!(all, [(AOR, "sip:nat@10.0.0.1:5060;transport=tcp"), (AOR, "sip:a@192.0.2.1:5060;transport=tcp")]);
    assert_eq!(registrar.all(NOW + Duration::from_secs(7_200)).count(), 0, "what has expired is not told");
    while registrar.poll_change().is_some() {}
    assert_eq!((registrar.remove("nobody@example.org"), registrar.remove(AOR), registrar.remove(AOR)), (0, 2, 0));
    assert_eq!(registrar.poll_change(), Some(Change::Delete { aor: AOR.into() }));
    assert_eq!((registrar.poll_change(), registrar.all(NOW).count(), registrar.len()), (None, 0, 0));
    // Nothing hangs on the connection any more, and its end finds nobody.
    registrar.handle_flow_closed(LinkId(5));
    assert_eq!(registrar.poll_change(), None);
}
