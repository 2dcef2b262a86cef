//! Keys of DTLS on either side of a proxy's call, each side for itself.

mod driver;

use driver::{PCMU, World, text};
use sx_bind_ng::Settings;
use sx_media::Handshake;
use sx_ng::Value;
use sx_types::{DtlsRole, Fingerprint, HashFunction};

const A: &str = "192.0.2.1";
const B: &str = "192.0.2.2";
const SAVPF: &str = "UDP/TLS/RTP/SAVPF";

fn print(byte: u8) -> Fingerprint {
    Fingerprint::new(HashFunction::Sha256, &[byte; 32]).expect("its length")
}

fn world() -> World {
    World::with(Settings { certificate: Some(print(0xee)), ..Settings::default() })
}

/// A description of somebody whose certificate is known by this.
fn shaking(host: &str, certificate: u8, setup: &str) -> String {
    let section = PCMU.replace("RTP/AVP", SAVPF);
    driver::sdp(host, &format!("{section}a=fingerprint:{}\r\na=setup:{setup}\r\na=rtcp-mux\r\n", print(certificate)))
}

fn clear(host: &str) -> String {
    driver::sdp(host, PCMU)
}

/// The handshake at the port with this number.
fn handshake(world: &World, number: u16) -> Option<&Handshake> {
    world.handshakes.get(&world.port(number))
}

fn transport(protocol: &str) -> [(&'static str, Value<'static>); 1] {
    [("transport-protocol", text(protocol))]
}

#[test]
fn a_handshake_on_one_side_and_none_on_the_other() {
    // The called one has it.
    let mut world = world();
    let to_b = world.offer(&clear(A), &transport(SAVPF));
    for line in
        [&format!("m=audio {} {SAVPF} 0", to_b.number()), "a=setup:actpass", &format!("a=fingerprint:{}", print(0xee))]
    {
        assert!(to_b.sdp().lines().any(|found| found == line), "{line}: {}", to_b.sdp());
    }
    let to_a = world.answer(&shaking(B, 2, "active"), &[]);
    assert!(to_a.sdp().contains(" RTP/AVP 0\r\n") && !to_a.sdp().contains("fingerprint"), "{}", to_a.sdp());
    let known = handshake(&world, to_b.number()).expect("a handshake");
    assert_eq!((known.role, &*known.peer), (DtlsRole::Server, &[print(2)][..]));
    assert_eq!(handshake(&world, to_a.number()), None);
    // The caller has it.
    let mut world = self::world();
    let to_b = world.offer(&shaking(A, 1, "actpass"), &transport("RTP/AVP"));
    assert!(to_b.sdp().contains(" RTP/AVP 0\r\n") && !to_b.sdp().contains("fingerprint"), "{}", to_b.sdp());
    let to_a = world.answer(&clear(B), &[]);
    assert!(
        to_a.sdp().contains(&format!(" {SAVPF} 0\r\n")) && to_a.sdp().contains("a=setup:passive\r\n"),
        "{}",
        to_a.sdp()
    );
    let known = handshake(&world, to_a.number()).expect("a handshake");
    assert_eq!((known.role, &*known.peer), (DtlsRole::Server, &[print(1)][..]));
    assert_eq!(handshake(&world, to_b.number()), None);
}

#[test]
fn each_side_has_a_handshake_of_its_own_and_keeps_it_when_something_else_changes() {
    let mut world = world();
    let to_b = world.offer(&shaking(A, 1, "actpass"), &[]);
    assert!(to_b.sdp().contains(&format!(" {SAVPF} 0\r\n")) && !to_b.sdp().contains(&print(1).to_string()));
    let to_a = world.answer(&shaking(B, 2, "passive"), &[]);
    let of =
        |world: &World| [to_a.number(), to_b.number()].map(|number| handshake(world, number).cloned().expect("one"));
    let first = of(&world);
    assert_eq!(first.clone().map(|one| one.role), [DtlsRole::Server, DtlsRole::Client]);
    // B holds the call, and offers for that.
    let held = shaking(B, 2, "actpass").replace("a=setup", "a=sendonly\r\na=setup");
    let answering = shaking(A, 1, "active").replace("a=setup", "a=recvonly\r\na=setup");
    let from_b = |sdp: &str| {
        [("call-id", "x"), ("from-tag", "b"), ("to-tag", "a"), ("sdp", sdp)].map(|(key, of)| (key, text(of)))
    };
    world.ask("offer", &from_b(&held));
    let again = world.ask("answer", &from_b(&answering));
    assert!(again.sdp().contains("a=setup:active\r\n"), "we go on as the client: {}", again.sdp());
    assert_eq!(of(&world), first);
}

#[test]
fn a_proxy_that_wants_no_handshakes_is_given_none() {
    let refused = "DTLS-SRTP is not wanted, or this media engine takes no part in it";
    for (offer, wanted) in [(clear(A), SAVPF), (shaking(A, 1, "actpass"), "RTP/AVP")] {
        let more = [("transport-protocol", text(wanted)), ("DTLS", text("off"))];
        assert_eq!(world().offer(&offer, &more).error(), refused);
    }
}
