//! SRTP on one side of a relay, on both, and what is no peer's.

mod driver;

use driver::srtp::{Ends, keys};
use driver::{Call, rtcp, rtp};
use std::time::Instant;
use sx_media::{Keys, Latch, MediaCommand, MediaEvent, StreamKeys};
use sx_rtp::srtp::{Protector, Suite};

fn set_keys(call: &Call, end: usize, keys: Option<&StreamKeys>) {
    let (keys, remote) = (keys.cloned().map(Keys::Described).map(Box::new), call.phones[end].remote(Latch::Port));
    call.relay.threads.send(MediaCommand::SetRemote { port: call.ports[end], remote, keys });
    call.relay.settle(&call.ports);
}

#[test]
fn a_side_with_srtp_and_one_without_understand_each_other() {
    for suite in Suite::ALL {
        let call = Call::new(Latch::Port);
        let keys = keys(suite, 1);
        set_keys(&call, 0, Some(&keys));
        let mut phone = Ends::of(&keys);
        for number in [65_534, 65_535, 0, 1] {
            call.phones[0].rtp.send_to(&phone.protect(&rtp(number)), call.opened[0].rtp).unwrap();
            assert_eq!(driver::receive(&call.phones[1].rtp).0, rtp(number), "{suite:?}");
            call.phones[1].rtp.send_to(&rtp(number), call.opened[1].rtp).unwrap();
            let received = driver::receive(&call.phones[0].rtp).0;
            assert_eq!(received.len(), rtp(number).len() + suite.rtp_overhead());
            assert_eq!(phone.open(received), rtp(number), "{suite:?}");
        }
        call.phones[0].rtcp.send_to(&phone.protect(&rtcp()), call.opened[0].rtcp).unwrap();
        assert_eq!(driver::receive(&call.phones[1].rtcp).0, rtcp());
        call.phones[1].rtcp.send_to(&rtcp(), call.opened[1].rtcp).unwrap();
        let received = driver::receive(&call.phones[0].rtcp).0;
        assert_eq!(phone.open(received), rtcp());
    }
}

/// The bytes that name the key are taken off and not looked at, since there is one key; ours names none.
#[test]
fn packets_that_name_their_key_are_opened_and_those_that_do_not_are_dropped() {
    for suite in Suite::ALL {
        let call = Call::new(Latch::Port);
        let keys = StreamKeys { mki_bytes: 4, ..keys(suite, 1) };
        set_keys(&call, 0, Some(&keys));
        let mut phone = Ends::of(&keys);
        // Nothing names a key here: this is not what the telephone has said it would send.
        call.phones[0].rtp.send_to(&phone.protect(&rtp(1)), call.opened[0].rtp).unwrap();
        phone.protector = Protector::new(suite, &keys.theirs).unwrap().with_mki(&[0, 0, 0, 9]).unwrap();
        call.phones[0].rtp.send_to(&phone.protect(&rtp(2)), call.opened[0].rtp).unwrap();
        assert_eq!(driver::receive(&call.phones[1].rtp).0, rtp(2), "{suite:?}");
        call.phones[0].rtcp.send_to(&phone.protect(&rtcp()), call.opened[0].rtcp).unwrap();
        assert_eq!(driver::receive(&call.phones[1].rtcp).0, rtcp(), "{suite:?}");
        call.phones[1].rtp.send_to(&rtp(1), call.opened[1].rtp).unwrap();
        let received = driver::receive(&call.phones[0].rtp).0;
        assert_eq!(received.len(), rtp(1).len() + suite.rtp_overhead(), "ours names no key");
        assert_eq!(phone.open(received), rtp(1), "{suite:?}");
        assert_eq!(call.relay.threads.totals().rejected_srtp, 1, "{suite:?}");
    }
}

#[test]
fn each_side_has_a_key_and_a_suite_of_its_own() {
    let call = Call::new(Latch::Port);
    let both = [keys(Suite::AesCm128HmacSha1_32, 1), keys(Suite::AeadAes256Gcm, 90)];
    let mut phones = [Ends::of(&both[0]), Ends::of(&both[1])];
    set_keys(&call, 0, Some(&both[0]));
    set_keys(&call, 1, Some(&both[1]));
    for number in 1..40 {
        for (from, to) in [(0, 1), (1, 0)] {
            let packet = phones[from].protect(&rtp(number));
            // One is lost on the way.
            if number == 20 {
                continue;
            }
            call.phones[from].rtp.send_to(&packet, call.opened[from].rtp).unwrap();
            let received = driver::receive(&call.phones[to].rtp).0;
            assert_eq!(phones[to].open(received), rtp(number));
        }
    }
}

#[test]
fn what_is_forged_repeated_or_in_the_clear_is_dropped_and_teaches_nothing() {
    let call = Call::new(Latch::Port);
    let keys = keys(Suite::AesCm128HmacSha1_80, 1);
    set_keys(&call, 0, Some(&keys));
    let (mut phone, mut forger) = (Ends::of(&keys), Ends::of(&self::keys(Suite::AesCm128HmacSha1_80, 9)));
    // From another port of the telephone's address: believed, it would be latched to.
    let elsewhere = driver::Phone::new();
    for packet in [rtp(1), forger.protect(&rtp(1)), rtcp(), phone.protect(&rtp(1))[..40].to_vec()] {
        elsewhere.rtp.send_to(&packet, call.opened[0].rtp).unwrap();
    }
    let first = phone.protect(&rtp(2));
    for packet in [&first, &first, &phone.protect(&rtp(3))] {
        call.phones[0].rtp.send_to(packet, call.opened[0].rtp).unwrap();
    }
    for number in [2, 3] {
        assert_eq!(driver::receive(&call.phones[1].rtp).0, rtp(number));
    }
    let totals = call.relay.threads.totals();
    assert_eq!((totals.rejected_srtp, totals.packets_received), (4, 2));
    let stats = call.relay.close(call.ports[0]);
    // RTCP from there is not even looked at: before RTP has come it is believed from the negotiated port only.
    assert_eq!((stats.rejected_format, stats.rejected_source, stats.packets_received), (4, 1, 2));
}

#[test]
fn a_new_key_is_taken_without_a_gap_and_the_same_one_changes_nothing() {
    let call = Call::new(Latch::Port);
    let (old, new) = (keys(Suite::AeadAes128Gcm, 1), keys(Suite::AeadAes128Gcm, 3));
    let mut phone = Ends::of(&old);
    set_keys(&call, 0, Some(&old));
    let send = |phone: &mut Ends, number| {
        call.phones[0].rtp.send_to(&phone.protect(&rtp(number)), call.opened[0].rtp).unwrap();
        assert_eq!(driver::receive(&call.phones[1].rtp).0, rtp(number));
        call.phones[1].rtp.send_to(&rtp(number), call.opened[1].rtp).unwrap();
        driver::receive(&call.phones[0].rtp).0
    };
    let received = send(&mut phone, 1);
    assert_eq!(phone.open(received), rtp(1));
    set_keys(&call, 0, Some(&old));
    let received = send(&mut phone, 2);
    assert_eq!(phone.open(received), rtp(2));
    // What the telephone has sent before it knew of the new key arrives behind it.
    set_keys(&call, 0, Some(&new));
    let received = send(&mut phone, 3);
    phone.unprotector.rekey(&new.ours).unwrap();
    assert_eq!(phone.open(received), rtp(3));
    phone.protector.rekey(&new.theirs).unwrap();
    let received = send(&mut phone, 4);
    assert_eq!(phone.open(received), rtp(4));
    set_keys(&call, 0, None);
    call.check_relayed(&call.phones[0].rtp, 0, &rtp(5));
}

#[test]
fn a_suite_that_comes_back_goes_on_where_it_was() {
    let call = Call::new(Latch::Port);
    let [one, other] = [Suite::AesCm128HmacSha1_80, Suite::AeadAes128Gcm].map(|suite| keys(suite, 1));
    let mut phone = Ends::of(&one);
    let send = |number| call.phones[1].rtp.send_to(&rtp(number), call.opened[1].rtp).unwrap();
    for (keys, number) in [(&one, 65_535), (&one, 0), (&other, 1), (&one, 2)] {
        set_keys(&call, 0, Some(keys));
        send(number);
        let received = driver::receive(&call.phones[0].rtp).0;
        if keys.suite == one.suite {
            assert_eq!(phone.open(received), rtp(number), "its rollover counter went on");
        }
    }
    // What it has protected once it does not protect again.
    send(2);
    send(3);
    let received = driver::receive(&call.phones[0].rtp).0;
    assert_eq!(phone.open(received), rtp(3));
}

#[test]
fn another_process_goes_on_with_the_keys_where_the_first_has_stopped() {
    for suite in Suite::ALL {
        let mut call = Call::new(Latch::Port);
        let keys = keys(suite, 1);
        set_keys(&call, 0, Some(&keys));
        let mut phone = Ends::of(&keys);
        let mut heard = Vec::new();
        let mut talk = |call: &Call, phone: &mut Ends, numbers: &[u16]| {
            for number in numbers.iter().copied() {
                heard = phone.protect(&rtp(number));
                call.phones[0].rtp.send_to(&heard, call.opened[0].rtp).unwrap();
                assert_eq!(driver::receive(&call.phones[1].rtp).0, rtp(number), "{suite:?}");
                call.phones[1].rtp.send_to(&rtp(number), call.opened[1].rtp).unwrap();
                let received = driver::receive(&call.phones[0].rtp).0;
                assert_eq!(phone.open(received), rtp(number), "{suite:?}");
            }
            // Its index is in the packet, and one that was used before is refused by the telephone.
            call.phones[1].rtcp.send_to(&rtcp(), call.opened[1].rtcp).unwrap();
            let received = driver::receive(&call.phones[0].rtcp).0;
            assert_eq!(phone.open(received), rtcp(), "{suite:?}");
            heard.clone()
        };
        // The numbers of a sender have wrapped, which only who was there knows.
        let old = talk(&call, &mut phone, &[65_534, 65_535, 0, 1]);
        call = call.taken_over();
        set_keys(&call, 0, Some(&keys));
        call.set_remote(1, call.phones[1].remote(Latch::Port));
        call.phones[0].rtp.send_to(&old, call.opened[0].rtp).unwrap();
        talk(&call, &mut phone, &[3, 4]);
        let totals = call.relay.threads.totals();
        assert_eq!(totals.rejected_srtp, 1, "what was repeated is refused here as it was there: {suite:?}");
    }
}

#[test]
fn a_call_in_the_clear_that_is_gone_on_with_is_in_the_clear_and_faces_whom_it_faced() {
    let mut call = Call::new(Latch::Port);
    let elsewhere = driver::Phone::new();
    call.check_relayed(&elsewhere.rtp, 0, &rtp(1));
    call = call.taken_over();
    for end in [0, 1] {
        call.set_remote(end, call.phones[end].remote(Latch::Port));
    }
    call.phones[1].rtp.send_to(&rtp(1), call.opened[1].rtp).unwrap();
    assert_eq!(driver::receive(&elsewhere.rtp).0, rtp(1), "it had sent from there");
}

#[test]
fn another_process_has_no_index_of_a_sender_that_had_sent_no_report() {
    let mut call = Call::new(Latch::Port);
    let keys = keys(Suite::AeadAes128Gcm, 1);
    set_keys(&call, 0, Some(&keys));
    let mut phone = Ends::of(&keys);
    call.phones[1].rtp.send_to(&rtp(1), call.opened[1].rtp).unwrap();
    assert_eq!(phone.open(driver::receive(&call.phones[0].rtp).0), rtp(1));
    call = call.taken_over();
    set_keys(&call, 0, Some(&keys));
    call.set_remote(1, call.phones[1].remote(Latch::Port));
    call.phones[1].rtcp.send_to(&rtcp(), call.opened[1].rtcp).unwrap();
    let report = driver::receive(&call.phones[0].rtcp).0;
    let index = u32::from_be_bytes(report[report.len() - 4..].try_into().unwrap()) & 0x7fff_ffff;
    assert!(index > 1_000, "the first process may have sent some since: {index}");
    assert_eq!(phone.open(report), rtcp());
}

/// With the same key from the beginning, two packets would have one key stream, and the peer's could be repeated.
#[test]
fn keys_of_which_it_is_not_known_how_far_they_are_used_are_not_used_again() {
    let keys = keys(Suite::AeadAes128Gcm, 1);
    for (good, bad) in [
        // What has protected ours, and what has opened the peer's.
        (r#""rtp_packets""#, r#""mki":[LONG],"rtp_packets""#),
        (r#""mki_bytes":0"#, r#""mki_bytes":129"#),
    ] {
        let mut call = Call::new(Latch::Port);
        set_keys(&call, 0, Some(&keys));
        let mut phone = Ends::of(&keys);
        call.phones[0].rtp.send_to(&phone.protect(&rtp(1)), call.opened[0].rtp).unwrap();
        assert_eq!(driver::receive(&call.phones[1].rtp).0, rtp(1));
        call.phones[1].rtp.send_to(&rtp(1), call.opened[1].rtp).unwrap();
        phone.open(driver::receive(&call.phones[0].rtp).0);
        let (port, long) = (call.ports[0], vec!["0"; 129].join(","));
        call = call.taken_over_as(|of, text| {
            assert!(of != port || text.contains(good), "{text}");
            if of == port { text.replacen(good, &bad.replace("LONG", &long), 1) } else { text }
        });
        let told = call.relay.told_until_settled(port);
        assert_eq!(told, [MediaEvent::KeysLost { port }], "{bad}");
        // Whatever is negotiated, nothing passes: neither under the key nor in the clear.
        for (number, keys) in [(2, Some(&keys)), (3, None), (4, Some(&keys))] {
            set_keys(&call, 0, keys);
            call.set_remote(1, call.phones[1].remote(Latch::Port));
            call.phones[1].rtp.send_to(&rtp(number), call.opened[1].rtp).unwrap();
            call.phones[1].rtcp.send_to(&rtcp(), call.opened[1].rtcp).unwrap();
            call.phones[0].rtp.send_to(&phone.protect(&rtp(number)), call.opened[0].rtp).unwrap();
        }
        let begun = Instant::now();
        let mut totals = call.relay.threads.totals();
        while (totals.rejected_srtp, totals.packets_received, totals.rtcp_received) != (3, 3, 3) {
            assert!(begun.elapsed() < driver::PATIENCE, "{totals:?}");
            std::thread::yield_now();
            totals = call.relay.threads.totals();
        }
        assert_eq!((totals.keys_lost, totals.rtcp_sent), (1, 0), "{bad}");
        let (stats, other) = (call.relay.close(call.ports[0]), call.relay.close(call.ports[1]));
        assert_eq!((stats.packets_sent, stats.packets_received, stats.rejected_format), (0, 0, 3), "{bad}");
        assert_eq!((other.packets_received, other.packets_sent), (3, 0), "{bad}");
    }
}
