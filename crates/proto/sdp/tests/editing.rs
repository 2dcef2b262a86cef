//! An edit changes what it is told to change and nothing else.

use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use sx_sdp::{Description, Direction, Edit, MediaEdit, OriginEdit, RtcpEdit};
use sx_types::Codec;

const OURS: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));

fn at(port: u16) -> MediaEdit {
    MediaEdit { rtp: (OURS, port).into(), rtcp: RtcpEdit::Keep, rtcp_mux: None, direction: None }
}

fn plain(media: &[MediaEdit]) -> Edit<'_> {
    Edit { origin: None, address: OURS, media, drop_ice: false, drop_bundle: false, hide_maker: None }
}

fn edited(text: &str, edit: &Edit<'_>) -> String {
    let description = Description::parse(text.as_bytes()).expect("well formed");
    String::from_utf8(description.edit(edit)).expect("text")
}

const HEAD: &str = "v=0\r\no=jdoe 7 3 IN IP4 10.0.0.5\r\ns=-\r\nc=IN IP4 10.0.0.5\r\nt=0 0\r\n";
const OUR_HEAD: &str = "v=0\r\no=jdoe 7 3 IN IP4 10.0.0.5\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\n";

#[track_caller]
fn check(rest: &str, edit: &Edit<'_>, expected: &str) {
    assert_eq!(edited(&format!("{HEAD}{rest}"), edit), format!("{OUR_HEAD}{expected}"));
}

#[test]
fn ports_and_addresses_change_and_all_else_stays() {
    let media = [at(20000), at(20002)];
    check(
        "b=AS:64\r\na=tool:  odd   spacing \r\nm=audio 4000 RTP/AVP 0 101\r\ni=title\r\na=x-own:\u{1}y\r\nZ=z\r\n\
         m=video 4002 RTP/AVP 31\r\nc=IN IP6 2001:db8::5\r\na=rtcp:4003 IN IP4 10.0.0.5\r\n",
        &plain(&media),
        "b=AS:64\r\na=tool:  odd   spacing \r\nm=audio 20000 RTP/AVP 0 101\r\ni=title\r\na=x-own:\u{1}y\r\nZ=z\r\n\
         m=video 20002 RTP/AVP 31\r\nc=IN IP4 198.51.100.1\r\na=rtcp:4003 IN IP4 10.0.0.5\r\n",
    );
}

#[test]
fn port_zero_stays_zero_and_a_section_without_an_edit_is_refused() {
    check(
        "m=audio 0 RTP/AVP 0\r\nm=video 4002 RTP/AVP 31\r\n",
        &plain(&[at(20000)]),
        "m=audio 0 RTP/AVP 0\r\nm=video 0 RTP/AVP 31\r\n",
    );
    check("m=audio 0 RTP/AVP\r\n", &plain(&[at(20000)]), "m=audio 0 RTP/AVP 0\r\n");
}

#[test]
fn a_section_elsewhere_than_the_session_gets_its_own_address() {
    let v6: SocketAddr = "[2001:db8::1]:20000".parse().expect("an address");
    let media = [MediaEdit { rtp: v6, ..at(0) }];
    check(
        "m=audio 4000/2 RTP/AVP 0\r\ni=title\r\na=x\r\n",
        &plain(&media),
        "m=audio 20000 RTP/AVP 0\r\ni=title\r\nc=IN IP6 2001:db8::1\r\na=x\r\n",
    );
    check("m=audio 4000 RTP/AVP 0\r\n", &plain(&media), "m=audio 20000 RTP/AVP 0\r\nc=IN IP6 2001:db8::1\r\n");
}

#[test]
fn rtcp_is_kept_dropped_or_moved() {
    let with = |rtcp| MediaEdit { rtcp, ..at(20000) };
    let ours = (OURS, 20009).into();
    let line = |rest: &str| format!("m=audio 20000 RTP/AVP 0\r\n{rest}");
    for (rtcp, had, has) in [
        (RtcpEdit::Drop, "a=rtcp:4001\r\n", ""),
        (RtcpEdit::At(ours), "a=rtcp:4001\r\n", "a=rtcp:20009\r\n"),
        (RtcpEdit::At(ours), "a=rtcp:4001 IN IP4 10.0.0.5\r\n", "a=rtcp:20009 IN IP4 198.51.100.1\r\n"),
        (RtcpEdit::At(ours), "", "a=rtcp:20009\r\n"),
        (RtcpEdit::IfPresent(ours), "", ""),
        (RtcpEdit::IfPresent(ours), "a=rtcp:4001\r\n", "a=rtcp:20009\r\n"),
        (RtcpEdit::Drop, "a=rtcp-xr:x\r\na=rtcp-fb:0 nack\r\n", "a=rtcp-xr:x\r\na=rtcp-fb:0 nack\r\n"),
    ] {
        check(&format!("m=audio 4000 RTP/AVP 0\r\n{had}"), &plain(&[with(rtcp)]), &line(has));
    }
}

#[test]
fn rtcp_before_the_first_section_is_left_out() {
    check("a=rtcp:4001 IN IP4 10.0.0.5\r\na=rtcp-x\r\n", &plain(&[]), "a=rtcp-x\r\n");
}

#[test]
fn rtcp_mux_and_direction_are_set() {
    let with = |rtcp_mux, direction| [MediaEdit { rtcp_mux, direction, ..at(20000) }];
    for (media, had, has) in [
        (with(Some(true), None), "a=rtcp-mux\r\na=x\r\n", "a=rtcp-mux\r\na=x\r\n"),
        (with(Some(true), None), "a=x\r\na=rtcp-mux-only\r\n", "a=x\r\na=rtcp-mux\r\n"),
        (with(Some(false), None), "a=rtcp-mux\r\na=x\r\n", "a=x\r\n"),
        (with(None, Some(Direction::SendOnly)), "a=sendrecv\r\na=x\r\n", "a=x\r\na=sendonly\r\n"),
    ] {
        check(
            &format!("m=audio 4000 RTP/AVP 0\r\n{had}"),
            &plain(&media),
            &format!("m=audio 20000 RTP/AVP 0\r\n{has}"),
        );
    }
}

#[test]
fn ice_and_bundling_are_dropped_when_told() {
    let media = [at(20000)];
    let edit = Edit { drop_ice: true, drop_bundle: true, ..plain(&media) };
    check(
        "a=ice-lite\r\na=group:BUNDLE 0\r\na=group:LS 0\r\nm=audio 4000 RTP/AVP 0\r\na=ice-ufrag:x\r\na=ice-pwd:y\r\n\
         a=candidate:1 1 udp 1 10.0.0.5 4000 typ host\r\na=end-of-candidates\r\na=bundle-only\r\na=mid:0\r\na=icecream\r\n",
        &edit,
        "a=group:LS 0\r\nm=audio 20000 RTP/AVP 0\r\na=mid:0\r\na=icecream\r\n",
    );
}

#[test]
fn who_made_it_is_hidden_when_told() {
    let media = [at(20000), at(20002)];
    let edit = Edit { hide_maker: Some(77), ..plain(&media) };
    let text = "v=0\r\no=jdoe 7 3 IN IP4 10.0.0.5\r\ns=call from 10.0.0.5\r\ni=title\r\nu=http://10.0.0.5/\r\n\
         e=jdoe@example.com\r\np=+1 2\r\nc=IN IP4 10.0.0.5/127\r\nb=AS:64\r\nt=0 0\r\na=tool:pbx 1.2\r\n\
         a=source-filter: incl IN IP4 * 10.9.9.9\r\na=x-own:via 10.0.0.5;y\r\na=x-other:10.0.0.51\r\na=sendrecv\r\n\
         m=audio 4000 RTP/AVP 0\r\na=ssrc:11 cname:jdoe@10.0.0.5\r\na=ssrc:11 label:x\r\na=ssrc:12 cname:10.0.0.6\r\n\
         a=rtpmap:0 PCMU/8000\r\nm=video 4002 RTP/AVP 31\r\nc=IN IP6 2001:db8::5\r\na=x-mine:[2001:db8::5]:1\r\n\
         a=ssrc:13 cname: jdoe@10.0.0.5\r\na=ssrc:14 cname:q8Zr+/3kT1uV\r\n";
    let expected = "v=0\r\no=jdoe 7 3 IN IP4 10.0.0.5\r\ns=-\r\ni=title\r\n\
         c=IN IP4 198.51.100.1\r\nb=AS:64\r\nt=0 0\r\n\
         a=x-other:10.0.0.51\r\na=sendrecv\r\n\
         m=audio 20000 RTP/AVP 0\r\na=ssrc:11 cname:77-0\r\na=ssrc:11 label:x\r\na=ssrc:12 cname:77-1\r\n\
         a=rtpmap:0 PCMU/8000\r\nm=video 20002 RTP/AVP 31\r\nc=IN IP4 198.51.100.1\r\n\
         a=ssrc:13 cname:77-0\r\na=ssrc:14 cname:q8Zr+/3kT1uV\r\n";
    assert_eq!(edited(text, &edit), expected);
}

#[test]
fn the_origin_changes_as_told() {
    let origin = |session| Edit { origin: Some(OriginEdit { session, version: 12, address: OURS }), ..plain(&[]) };
    let check = |session, expected: &str| {
        let text = edited(HEAD, &origin(session));
        assert_eq!(text.lines().nth(1), Some(expected));
    };
    check(None, "o=jdoe 7 12 IN IP4 198.51.100.1");
    check(Some(u64::MAX), "o=- 18446744073709551615 12 IN IP4 198.51.100.1");
}

#[test]
fn untidy_input_leaves_tidy() {
    let text = "v=0\no=- 1 1 IN IP4 192.0.2.1\n\nc=IN IP4 192.0.2.1\na=x\nm=audio 4000 RTP/AVP 0\nc=IN IP4 192.0.2.1";
    let expected = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\na=x\r\n\
        m=audio 20000 RTP/AVP 0\r\nc=IN IP4 198.51.100.1\r\n";
    assert_eq!(edited(text, &plain(&[at(20000)])), expected);
}

#[test]
fn unwanted_codecs_leave_with_all_that_describes_them() {
    let text = format!(
        "{HEAD}m=audio 4000/2 RTP/AVP 0 8 96 97 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:96 opus/48000/2\r\n\
         a=fmtp:96 useinbandfec=1\r\na=rtcp-fb:96 nack\r\na=rtpmap:97 rtx/48000\r\na=fmtp:97 apt=96\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\nm=audio 4002 RTP/AVP 96 101\r\n\
         a=rtpmap:96 opus/48000/2\r\na=rtpmap:101 telephone-event/48000\r\nm=image 4004 udptl t38\r\n"
    );
    let expected = format!(
        "{HEAD}m=audio 4000/2 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n\
         a=fmtp:101 0-15\r\na=ptime:20\r\nm=audio 0 RTP/AVP 96 101\r\na=rtpmap:96 opus/48000/2\r\n\
         a=rtpmap:101 telephone-event/48000\r\nm=image 4004 udptl t38\r\n"
    );
    let description = Description::parse(text.as_bytes()).expect("well formed");
    let filtered = description.retain_codecs(|_, format| format.codec != Some(Codec::Opus));
    assert_eq!(String::from_utf8(filtered).expect("text"), expected);
}

#[test]
fn what_goes_beside_sound_does_not_come_first_for_losing_what_stood_before_it() {
    let formats = |order: &str, kept: &[u8]| {
        let text = format!("{HEAD}m=audio 4000 RTP/AVP {order}\r\na=rtpmap:101 telephone-event/8000\r\n");
        let description = Description::parse(text.as_bytes()).expect("well formed");
        let filtered = description.retain_codecs(|_, format| kept.contains(&format.payload_type.0));
        let filtered = String::from_utf8(filtered).expect("text");
        let line = filtered.lines().find(|line| line.starts_with("m=")).expect("a section");
        line.trim_start_matches("m=audio 4000 RTP/AVP ").to_owned()
    };
    assert_eq!(formats("0 101 13 8 9", &[101, 13, 8, 9]), "8 101 13 9");
    assert_eq!(formats("0 8 101", &[8, 101]), "8 101");
    assert_eq!(formats("101 0 8", &[101, 8]), "101 8");
}

/// Is it a line that a plain edit may change?
fn is_edited(line: &str) -> bool {
    line.starts_with("c=") || line.starts_with("m=")
}

fn any_line() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-bd-ln-uw-zA-Z]=[ -~]{0,30}".prop_filter("one origin only", |line| !line.starts_with("o=")),
        "a=(rtpmap|fmtp|rtcp|candidate|ice-ufrag|group|rtcp-mux|sendonly|rtcp-fb)(:[ -~]{0,20})?",
        "c=IN IP[46] [0-9a-f.:/]{1,20}",
        "m=(audio|video|image) [0-9]{1,4}(/[0-9])? RTP/AVP( [0-9]{1,3}){1,6}",
    ]
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Description::parse(&bytes);
    }

    #[test]
    fn an_edit_keeps_every_line_it_does_not_name(lines in proptest::collection::vec(any_line(), 0..40)) {
        let text = format!("{HEAD}{}", lines.iter().map(|line| format!("{line}\r\n")).collect::<String>());
        let description = Description::parse(text.as_bytes()).expect("well formed");
        let media: Vec<_> = (0..description.media().len()).map(|_| at(20000)).collect();
        let result = edited(&text, &plain(&media));
        let others = |text: &str| {
            let session = text.find("\r\nm=").unwrap_or(text.len());
            let (session, media) = text.split_at(session);
            let session = session.lines().filter(|line| *line != "a=rtcp" && !line.starts_with("a=rtcp:"));
            let lines = session.chain(media.lines()).filter(|line| !is_edited(line));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        prop_assert_eq!(others(&text), others(&result));
        let addresses = result.lines().filter(|line| line.starts_with("c="));
        prop_assert!(addresses.into_iter().all(|line| line == "c=IN IP4 198.51.100.1"));
        let again = Description::parse(result.as_bytes()).expect("what is written can be read");
        prop_assert_eq!(again.media().len(), description.media().len());
        for (before, after) in description.media().zip(again.media()) {
            prop_assert_eq!(after.port(), if before.port() == 0 { 0 } else { 20000 });
            prop_assert_eq!(before.codecs().collect::<Vec<_>>(), after.codecs().collect::<Vec<_>>());
            prop_assert_eq!(before.direction(), after.direction());
        }
        prop_assert_eq!(&edited(&result, &plain(&media)), &result);
    }

    #[test]
    fn a_filter_leaves_only_what_is_kept(lines in proptest::collection::vec(any_line(), 0..40), kept in any::<u128>()) {
        let text = format!("{HEAD}{}", lines.iter().map(|line| format!("{line}\r\n")).collect::<String>());
        let description = Description::parse(text.as_bytes()).expect("well formed");
        let is_kept = |number: u8| kept >> number & 1 == 1;
        let result = description.retain_codecs(|_, format| is_kept(format.payload_type.0));
        let result = Description::parse(&result).expect("what is written can be read");
        for media in result.media().filter(|media| media.profile().is_rtp() && !media.is_rejected()) {
            prop_assert!(media.codecs().all(|format| is_kept(format.payload_type.0)));
        }
    }
}
