//! Calls as a proxy asks for them.

mod driver;

use driver::{KEY, PCMU, PROXY, Threads, World, list, sdp, text};
use std::time::Duration;
use sx_bind_ng::{Input, Settings};
use sx_engine::Engine as _;
use sx_media::{Latch, Suite};
use sx_ng::Value;

const A: &str = "192.0.2.1";
const B: &str = "192.0.2.2";

#[test]
fn a_call_is_relayed_between_two_ports() {
    let mut world = World::new();
    let to_b = world.offer(&sdp(A, PCMU), &[]);
    let to_a = world.answer(&sdp(B, &PCMU.replace("40000", "40002")), &[]);
    assert!(to_b.sdp().contains("c=IN IP4 198.51.100.1\r\n") && !to_b.sdp().contains(A));
    let (faces_b, faces_a) = (world.port(to_b.number()), world.port(to_a.number()));
    assert_ne!(faces_a, faces_b);
    assert_eq!(world.remotes[&faces_a].0.rtp.to_string(), "192.0.2.1:40000");
    assert_eq!(world.remotes[&faces_b].0.rtp.to_string(), "192.0.2.2:40002");
    assert_eq!((world.patched[&faces_a], world.patched[&faces_b]), (faces_b, faces_a));
    let deleted =
        world.ask("delete", &[("call-id", text("x")), ("from-tag", text("a")), ("delete-delay", Value::Integer(0))]);
    assert_eq!(deleted.text("result"), "ok");
    assert!(world.open.is_empty() && world.calls.calls() == 0);
}

#[test]
fn words_of_a_media_line_may_stand_further_apart() {
    let mut world = World::new();
    let apart = PCMU.replace("m=audio 40000 ", "m=audio  40000 ");
    let to_b = world.offer(&sdp(A, &apart), &[("transport-protocol", text("RTP/AVPF"))]);
    assert!(to_b.sdp().contains(&format!("m=audio {} RTP/AVPF 0\r\n", to_b.number())), "{}", to_b.sdp());
    let to_a = world.answer(&sdp(B, &apart), &[]);
    assert!(to_a.sdp().contains(&format!("m=audio {} RTP/AVP 0\r\n", to_a.number())), "{}", to_a.sdp());
}

#[test]
fn an_offer_is_answered_when_its_ports_are_open() {
    let mut world = World::new();
    world.threads = Threads::Silent;
    world.ask_as("1", "offer", &[("call-id", text("x")), ("from-tag", text("a")), ("sdp", text(&sdp(A, PCMU)))]);
    world.ask_as("2", "query", &[("call-id", text("x"))]);
    assert!(world.answers.is_empty());
    world.speak();
    let cookies: Vec<_> = world.answers.iter().map(|(to, bytes)| (*to, bytes[0])).collect();
    assert_eq!(cookies, [(PROXY, b'1'), (PROXY, b'2')]);
}

#[test]
fn the_same_request_again_gets_the_same_answer() {
    let mut world = World::new();
    let more = [("call-id", text("x")), ("from-tag", text("a")), ("sdp", text(&sdp(A, PCMU)))];
    world.ask_as("same", "offer", &more);
    world.ask_as("same", "offer", &more);
    assert!(world.answers.len() == 2 && world.answers[0] == world.answers[1]);
    assert_eq!(world.open.len(), 2, "no further port was opened");
}

#[test]
fn keys_on_one_side_and_none_on_the_other() {
    for secure_caller in [true, false] {
        let mut world = World::new();
        let secure = format!("{}{KEY}", PCMU.replace("RTP/AVP", "RTP/SAVP"));
        let (said_a, said_b) = if secure_caller { (secure.as_str(), PCMU) } else { (PCMU, secure.as_str()) };
        let transport = if secure_caller { "RTP/AVP" } else { "RTP/SAVP" };
        let only = list(&["only-AES_CM_128_HMAC_SHA1_80"]);
        let to_b = world.offer(&sdp(A, said_a), &[("transport-protocol", text(transport)), ("SDES", only)]);
        assert!(to_b.sdp().contains(&format!(" {transport} 0\r\n")), "{}", to_b.sdp());
        assert_eq!(to_b.sdp().matches("a=crypto:1 AES_CM_128_HMAC_SHA1_80").count(), usize::from(!secure_caller));
        let to_a = world.answer(&sdp(B, said_b), &[]);
        assert_eq!(to_a.sdp().matches("a=crypto:").count(), usize::from(secure_caller), "{}", to_a.sdp());
        let keyed = if secure_caller { &to_a } else { &to_b };
        let clear = if secure_caller { &to_b } else { &to_a };
        let (_, keys) = &world.remotes[&world.port(keyed.number())];
        assert_eq!(keys.as_ref().map(|keys| keys.suite), Some(Suite::AesCm128HmacSha1_80));
        assert_eq!(world.remotes[&world.port(clear.number())].1, None);
    }
}

#[test]
fn the_suites_that_are_offered_are_those_the_proxy_leaves() {
    let offered = |flags: &[&str]| {
        let mut world = World::new();
        let answered = world.offer(&sdp(A, PCMU), &[("transport-protocol", text("RTP/SAVP")), ("flags", list(flags))]);
        if answered.text("result") == "error" {
            return answered.error();
        }
        let sdp = answered.sdp();
        let lines = sdp.lines().filter_map(|line| line.strip_prefix("a=crypto:")?.split(' ').nth(1));
        lines.collect::<Vec<_>>().join(" ")
    };
    let all: Vec<_> = Suite::ALL.iter().map(|suite| suite.sdp_name()).collect();
    assert_eq!(offered(&[]), all.join(" "));
    assert_eq!(offered(&["SDES-only-AEAD_AES_128_GCM", "SDES-no-AEAD_AES_128_GCM"]), "AEAD_AES_128_GCM");
    assert_eq!(offered(&["SDES-no-AEAD_AES_256_GCM"]).split(' ').count(), all.len() - 1);
    assert_eq!(offered(&["SDES-only-F8_128"]), "No crypto suite is left to offer");
    assert_eq!(
        offered(&["SDES-off"]),
        "Keys in RTP/SAVP are those of SDES; those of DTLS are offered as UDP/TLS/RTP/SAVP"
    );
}

#[test]
fn feedback_is_told_as_the_proxy_wishes_and_answered_as_it_was_offered() {
    let mut world = World::new();
    let to_b = world.offer(&sdp(A, &PCMU.replace("RTP/AVP", "RTP/AVPF")), &[("transport-protocol", text("RTP/AVP"))]);
    assert!(to_b.sdp().contains(" RTP/AVP 0\r\n"));
    assert!(world.answer(&sdp(B, PCMU), &[]).sdp().contains(" RTP/AVPF 0\r\n"));
}

/// What B is offered and A is answered: is RTCP to share the port of RTP?
fn check_mux(asked: bool, wishes: &[&str], answers: bool, expected: (bool, bool)) {
    let mut world = World::new();
    let mux = "a=rtcp-mux\r\n";
    let said = |mux_too: bool| format!("{PCMU}{}", if mux_too { mux } else { "" });
    let to_b = world.offer(&sdp(A, &said(asked)), &[("rtcp-mux", list(wishes))]).sdp();
    let to_a = world.answer(&sdp(B, &said(answers)), &[]);
    assert_eq!((to_b.contains(mux), to_a.sdp().contains(mux)), expected, "{asked} {wishes:?} {answers}");
    let remote = world.remotes[&world.port(to_a.number())].0;
    assert_eq!(remote.rtcp.port() - remote.rtp.port(), u16::from(!expected.1), "where RTCP of A goes");
}

#[test]
fn a_port_is_shared_with_rtcp_as_the_parties_and_the_proxy_wish() {
    check_mux(true, &[], true, (true, true));
    check_mux(true, &[], false, (true, false));
    check_mux(false, &[], false, (false, false));
    check_mux(true, &["demux"], false, (false, true));
    check_mux(true, &["reject"], true, (true, false));
    check_mux(true, &["accept"], false, (true, false));
    check_mux(false, &["offer"], true, (true, false));
    check_mux(true, &["offer", "reject"], true, (true, false));
}

#[test]
fn whom_a_port_believes_follows_from_the_signalling_and_the_flags() {
    let latch = |host: &str, more: &[(&str, Value<'static>)]| {
        let mut world = World::new();
        world.offer(&sdp(host, PCMU), more);
        let to_a = world.answer(&sdp(B, PCMU), &[]);
        let remote = world.remotes[&world.port(to_a.number())].0;
        (remote.rtp.ip().to_string(), remote.latch)
    };
    let from = ("received-from", list(&["IP4", "203.0.113.9"]));
    let nat = Latch::Nat("203.0.113.9".parse().unwrap());
    assert_eq!(latch(A, &[]), (A.into(), Latch::Port));
    assert_eq!(latch(A, std::slice::from_ref(&from)), (A.into(), Latch::Port));
    assert_eq!(latch("10.0.0.7", std::slice::from_ref(&from)), ("10.0.0.7".into(), nat));
    let source = ("flags", list(&["SIP source address"]));
    assert_eq!(latch("10.0.0.7", &[from.clone(), source]), ("203.0.113.9".into(), Latch::Port));
    assert_eq!(latch(A, &[("flags", list(&["asymmetric"]))]), (A.into(), Latch::Host));
}

#[test]
fn a_re_offer_from_either_side_keeps_the_ports() {
    let mut world = World::new();
    let to_b = world.offer(&sdp(A, PCMU), &[]);
    let to_a = world.answer(&sdp(B, PCMU), &[]);
    let again = world.offer(&sdp(A, &format!("{PCMU}a=sendonly\r\n")), &[("to-tag", text("b"))]);
    assert_eq!(again.number(), to_b.number());
    assert!(again.sdp().contains(" 2 IN IP4 198.51.100.1\r\n"), "a new version: {}", again.sdp());
    assert_eq!(world.answer(&sdp(B, PCMU), &[]).number(), to_a.number());
    // B's turn: the tags are the other way round.
    let more =
        |sdp: String| [("call-id", text("x")), ("from-tag", text("b")), ("to-tag", text("a")), ("sdp", text(&sdp))];
    let offered = world.ask("offer", &more(sdp("192.0.2.7", PCMU)));
    assert_eq!(offered.number(), to_a.number());
    assert_eq!(world.ask("answer", &more(sdp(A, PCMU))).number(), to_b.number());
    assert_eq!(world.remotes[&world.port(to_b.number())].0.rtp.to_string(), "192.0.2.7:40000");
    assert_eq!(world.open.len(), 2);
}

#[test]
fn branches_of_a_fork_have_ports_of_their_own() {
    let mut world = World::new();
    let via = |branch: &str| ("via-branch", text(branch));
    let first = world.offer(&sdp(A, PCMU), &[via("1")]).number();
    let second = world.offer(&sdp(A, PCMU), &[via("2")]).number();
    assert_ne!(first, second);
    let mut answer = |tag: &str, branch: &str, host: &str| {
        let more = [("call-id", text("x")), ("from-tag", text("a")), ("to-tag", text(tag)), via(branch)];
        let more: Vec<_> = more.into_iter().chain([("sdp", text(&sdp(host, PCMU)))]).collect();
        world.ask("answer", &more).number()
    };
    let (two, one) = (answer("b2", "2", "192.0.2.22"), answer("b1", "1", "192.0.2.11"));
    assert_ne!(one, two);
    assert_eq!(world.remotes[&world.port(first)].0.rtp.ip().to_string(), "192.0.2.11");
    assert_eq!(world.remotes[&world.port(second)].0.rtp.ip().to_string(), "192.0.2.22");
    let gone =
        [("call-id", text("x")), ("from-tag", text("a")), ("to-tag", text("b2")), ("delete-delay", Value::Integer(0))];
    world.ask("delete", &gone);
    assert_eq!(world.open.len(), 2, "the other branch stays");
    let told = world.ask("query", &[("call-id", text("x"))]);
    assert_eq!(String::from_utf8_lossy(&told.0).matches("\"tag\":\"a\"").count(), 1);
}

#[test]
fn another_party_may_answer_what_one_has_answered_already() {
    let mut world = World::new();
    let to_b = world.offer(&sdp(A, PCMU), &[]).number();
    world.answer(&sdp(B, PCMU), &[]);
    let more = [("call-id", text("x")), ("from-tag", text("a")), ("to-tag", text("voicemail"))];
    let more: Vec<_> = more.into_iter().chain([("sdp", text(&sdp("192.0.2.3", PCMU)))]).collect();
    world.ask("answer", &more);
    assert_eq!(world.remotes[&world.port(to_b)].0.rtp.ip().to_string(), "192.0.2.3");
}

#[test]
fn ports_stay_for_the_delay_and_a_new_offer_revives_them() {
    let mut world = World::new();
    let number = world.offer(&sdp(A, PCMU), &[]).number();
    let delete = [("call-id", text("x")), ("from-tag", text("a")), ("delete-delay", Value::Integer(10))];
    world.ask("delete", &delete);
    world.pass(Duration::from_secs(9));
    assert_eq!(world.offer(&sdp(A, PCMU), &[]).number(), number);
    world.pass(Duration::from_secs(60));
    assert_eq!(world.open.len(), 2, "it was revived");
    world.ask("delete", &delete);
    world.pass(Duration::from_secs(11));
    assert!(world.open.is_empty() && world.calls.calls() == 0);
}

#[test]
fn a_branch_that_is_deleted_with_a_long_delay_keeps_no_other_one_alive() {
    let mut world = World::new();
    for branch in ["1", "2"] {
        let via = ("via-branch", text(branch));
        world.offer(&sdp(A, PCMU), std::slice::from_ref(&via));
        let tags = [("call-id", text("x")), ("from-tag", text("a")), ("to-tag", text(branch)), via];
        let all: Vec<_> = tags.into_iter().chain([("sdp", text(&sdp(B, PCMU)))]).collect();
        world.ask("answer", &all).sdp();
    }
    let delay = ("delete-delay", Value::Integer(50_000));
    world.ask("delete", &[("call-id", text("x")), ("from-tag", text("a")), ("via-branch", text("1")), delay]);
    world.pass(Duration::from_secs(120));
    assert!(world.open.is_empty(), "nobody sends");
}

#[test]
fn a_call_that_nobody_deletes_ends_when_nobody_sends() {
    let mut world = World::new();
    let to_b = world.offer(&sdp(A, PCMU), &[]).number();
    world.answer(&sdp(B, PCMU), &[]);
    let port = world.port(to_b);
    for minute in 1..=5 {
        world.received.insert(port, minute);
        world.pass(Duration::from_secs(50));
        assert_eq!(world.open.len(), 2, "somebody sends");
    }
    world.pass(Duration::from_secs(90));
    assert!(world.open.is_empty() && world.calls.calls() == 0);
}

#[test]
fn a_held_call_and_an_offer_without_answer_may_be_silent_for_longer() {
    let held = format!("{PCMU}a=inactive\r\n");
    for answered in [true, false] {
        let mut world = World::new();
        world.offer(&sdp(A, &held), &[]);
        if answered {
            world.answer(&sdp(B, &held), &[]);
        }
        world.pass(Duration::from_secs(3_500));
        assert_eq!(world.open.len(), 2);
        world.pass(Duration::from_secs(200));
        assert!(world.open.is_empty());
    }
}

#[test]
fn without_ports_the_offer_is_refused_and_nothing_stays() {
    let mut world = World::new();
    world.threads = Threads::Exhausted;
    assert_eq!(world.offer(&sdp(A, PCMU), &[]).error(), "Ran out of ports");
    assert_eq!(world.calls.calls(), 0);
}

#[test]
fn packet_threads_that_say_nothing_are_not_waited_for_for_ever() {
    let mut world = World::new();
    world.threads = Threads::Silent;
    world.ask_as("1", "offer", &[("call-id", text("x")), ("from-tag", text("a")), ("sdp", text(&sdp(A, PCMU)))]);
    world.pass(Duration::from_secs(4));
    assert!(String::from_utf8_lossy(&world.answers[0].1).contains("The packet threads do not answer"));
}

#[test]
fn only_so_many_calls_there_are() {
    let mut world = World::with(Settings { calls_max: 1, ..Settings::default() });
    world.offer(&sdp(A, PCMU), &[]);
    let more = [("call-id", text("y")), ("from-tag", text("a")), ("sdp", text(&sdp(A, PCMU)))];
    assert_eq!(world.ask("offer", &more).error(), "Parallel session limit reached");
    let more: Vec<_> = more.into_iter().chain([("supports", list(&["load limit"]))]).collect();
    assert_eq!(world.ask("offer", &more).text("result"), "load limit");
}

#[test]
fn an_engine_that_is_drained_goes_on_with_the_calls_it_has() {
    let mut world = World::new();
    world.offer(&sdp(A, PCMU), &[]);
    world.calls.handle_input(world.now, Input::Drain(true));
    world.answer(&sdp(B, PCMU), &[]).sdp();
    let more = [("call-id", text("y")), ("from-tag", text("a")), ("sdp", text(&sdp(A, PCMU)))];
    assert_eq!(world.ask("offer", &more).error(), "Parallel session limit reached");
    world.calls.handle_input(world.now, Input::Drain(false));
    world.ask("offer", &more).sdp();
    world.calls.handle_input(world.now, Input::Clear);
    world.pass(Duration::ZERO);
    assert!(world.open.is_empty() && world.calls.calls() == 0);
}

#[test]
fn streams_that_are_refused_lose_their_ports() {
    let mut world = World::new();
    let video = "m=video 40010 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n";
    world.offer(&sdp(A, &format!("{PCMU}{video}")), &[]);
    assert_eq!(world.open.len(), 4);
    world.answer(&sdp(B, &format!("{PCMU}{}", video.replace("40010", "0"))), &[]);
    assert_eq!(world.open.len(), 2);
}

#[test]
fn a_port_whose_key_was_used_is_not_opened_a_second_time() {
    let mut world = World::new();
    let secure = format!("{}{KEY}", PCMU.replace("RTP/AVP", "RTP/SAVP"));
    let both = format!("{secure}{}", secure.replace("40000", "40010"));
    let taken_back = format!("{secure}{}", PCMU.replace("40000", "0").replace("RTP/AVP", "RTP/SAVP"));
    let suite = list(&["only-AES_CM_128_HMAC_SHA1_80"]);
    world.offer(&sdp(A, &both), &[("SDES", suite.clone())]);
    world.answer(&sdp(B, &both), &[]);
    let opened = world.opened;
    world.offer(&sdp(A, &taken_back), &[("to-tag", text("b")), ("SDES", suite.clone())]);
    world.answer(&sdp(B, &taken_back), &[]);
    world.offer(&sdp(A, &both), &[("to-tag", text("b")), ("SDES", suite)]);
    world.answer(&sdp(B, &both), &[]);
    assert_eq!((world.opened, opened, world.closed), (4, 4, 0));
}

#[test]
fn what_nobody_here_can_do_is_said() {
    let mut world = World::new();
    let mut check = |more: &[(&str, Value<'static>)], expected: &str| {
        assert_eq!(world.offer(&sdp(A, PCMU), more).error(), expected);
    };
    check(&[("ICE", text("force"))], "This media engine does not take part in ICE");
    // It has no certificate.
    let no_dtls = "DTLS-SRTP is not wanted, or this media engine takes no part in it";
    check(&[("transport-protocol", text("UDP/TLS/RTP/SAVPF"))], no_dtls);
    check(&[("flags", list(&["transcode-opus"]))], "This media engine cannot transcode to opus");
    for command in ["subscribe request", "publish", "start forwarding", "unsubscribe"] {
        let answered = world.ask(command, &[("call-id", text("x"))]);
        assert_eq!(answered.error(), "This media engine does not support that command");
    }
    assert_eq!(world.calls.calls(), 0);
}

#[test]
fn what_is_missing_is_said_in_the_words_that_clients_know() {
    let mut world = World::new();
    let all = [("call-id", text("x")), ("from-tag", text("a")), ("sdp", text(&sdp(A, PCMU)))];
    let without = |key: &str| all.iter().filter(|(known, _)| *known != key).cloned().collect::<Vec<_>>();
    for (key, expected) in [
        ("sdp", "No SDP body in message"),
        ("call-id", "No call-id in message"),
        ("from-tag", "No from-tag in message"),
    ] {
        assert_eq!(world.ask("offer", &without(key)).error(), expected);
    }
    assert_eq!(world.ask("answer", &all).error(), "No to-tag in message");
    assert_eq!(world.answer(&sdp(A, PCMU), &[]).error(), "Unknown call-id");
    assert_eq!(world.ask("query", &[("call-id", text("x"))]).error(), "Unknown call-id");
    assert_eq!(world.ask("wurst", &[]).error(), "Unrecognized command");
    let gone = world.ask("delete", &[("call-id", text("x")), ("from-tag", text("a"))]);
    assert_eq!(
        (gone.text("result"), gone.text("warning")),
        ("ok".into(), "Call-ID not found or tags didn't match".into())
    );
    let fatal = [("call-id", text("x")), ("from-tag", text("a")), ("flags", list(&["fatal"]))];
    assert_eq!(world.ask("delete", &fatal).error(), "Call-ID not found or tags didn't match");
    assert!(world.offer("junk", &[]).error().starts_with("Failed to parse SDP"));
    world.send(b"cookie li1ee");
    assert_eq!(world.answers.pop().unwrap().1, b"cookie d6:result5:error12:error-reason22:Invalid NG data formate");
}

#[test]
fn a_query_tells_of_both_sides_and_what_they_have_sent() {
    let mut world = World::new();
    let to_b = world.offer(&sdp(A, PCMU), &[]).number();
    world.answer(&sdp(B, PCMU), &[]);
    world.received.insert(world.port(to_b), 50);
    let told = world.ask("query", &[("call-id", text("x"))]);
    let told = String::from_utf8_lossy(&told.0).into_owned();
    for part in [
        "\"totals\":{\"RTP\":{\"packets\":50,\"bytes\":8600,\"errors\":0}",
        "\"b\":{\"tag\":\"b\"",
        "\"in dialogue with\":\"a\"",
        "\"endpoint\":{\"family\":\"IPv4\",\"address\":\"192.0.2.2\",\"port\":40000}",
        "\"stats\":{\"packets\":50,\"bytes\":8600,\"errors\":0}",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    assert!(String::from_utf8_lossy(&world.ask("list", &[]).0).contains("\"calls\":[\"x\"]"));
    let statistics = world.ask("statistics", &[]);
    assert!(String::from_utf8_lossy(&statistics.0).contains("\"sessionsown\":1"));
}

#[test]
fn a_description_that_has_passed_before_stays_as_it_is() {
    let mut world = World::new();
    let protect = ("flags", list(&["loop-protect"]));
    let passed = world.offer(&sdp(A, PCMU), std::slice::from_ref(&protect)).sdp();
    let again = world.ask("offer", &[("call-id", text("y")), ("from-tag", text("a")), ("sdp", text(&passed)), protect]);
    assert_eq!(again.sdp(), passed);
    assert_eq!(world.open.len(), 2);
}

#[test]
fn the_proxy_names_interfaces_addresses_and_families() {
    let interface = |name: &str| sx_bind_ng::Interface { name: name.into(), ipv4: true, ipv6: true };
    let settings = Settings { interfaces: vec![interface("inside"), interface("outside")], ..Settings::default() };
    let mut world = World::with(settings);
    let more = [("direction", list(&["inside", "outside"])), ("address-family", text("IP6"))];
    let to_b = world.offer(&sdp(A, PCMU), &more);
    assert!(to_b.sdp().contains("c=IN IP6 2001:db8::1\r\n"));
    let asked = format!("{:?}", world.open[&world.port(to_b.number())].0);
    assert!(asked.contains("outside") && asked.contains("ipv6: true"), "{asked}");
    let told = world.offer(&sdp(A, PCMU), &[("media-address", text("203.0.113.1"))]).sdp();
    assert!(told.contains("c=IN IP4 203.0.113.1\r\n"), "{told}");
}

#[test]
fn an_offer_whose_keys_are_of_no_use_is_refused_before_anybody_rings() {
    let strange = format!("{}a=crypto:1 F8_128_HMAC_SHA1_80 inline:AAAA\r\n", PCMU.replace("RTP/AVP", "RTP/SAVP"));
    for offer in [PCMU.replace("RTP/AVP", "RTP/SAVP"), strange] {
        let mut world = World::new();
        let answered = world.offer(&sdp(A, &offer), &[("transport-protocol", text("RTP/AVP"))]);
        assert!(answered.error().contains("no key of stream 0"), "{}", answered.error());
        assert!(world.open.is_empty(), "no port was opened for it");
    }
}

#[test]
fn no_list_is_shorter_than_nothing() {
    let answered = World::new().ask("list", &[("limit", Value::Integer(-1))]);
    assert_eq!(answered.error(), "invalid limit, must be >= 0");
}
