//! Two telephones on the loopback interface that call each other directly.
#![allow(dead_code, reason = "each test file uses its part")]

pub mod peer;
pub mod registrar;

use std::net::SocketAddr;
use std::time::{Duration, Instant};
use sx_codec::hears;
use sx_phone::{AnswerMode, AudioSource, Phone, PhoneConfig, PhoneEvent, Server};
use sx_types::Transport;

/// Long enough for a loaded machine; reached only by a test that fails.
pub const PATIENCE: Duration = Duration::from_secs(20);
pub const ALICE_HZ: f64 = 440.0;
pub const BOB_HZ: f64 = 1_000.0;

/// Bob, who answers by himself and calls nobody.
pub fn bob(transport: Transport) -> PhoneConfig {
    PhoneConfig {
        answer: AnswerMode::Auto { after: Duration::ZERO },
        source: AudioSource::Tone(vec![(BOB_HZ, -10.0)]),
        ..telephone(transport, "127.0.0.1:9".parse().expect("an address"), "bob")
    }
}

/// Alice, who calls whoever listens there.
pub fn alice(transport: Transport, server: SocketAddr) -> PhoneConfig {
    PhoneConfig { source: AudioSource::Tone(vec![(ALICE_HZ, -10.0)]), ..telephone(transport, server, "alice") }
}

pub fn telephone(transport: Transport, server: SocketAddr, user: &str) -> PhoneConfig {
    PhoneConfig::new(Server::new(transport, server), "example.com", user)
}

pub fn start(config: PhoneConfig) -> Phone {
    Phone::start(config).expect("starts")
}

/// Alice has called Bob, and both know it.
pub fn in_a_call(transport: Transport) -> (Phone, Phone) {
    let bob = start(bob(transport));
    let alice = start(alice(transport, bob.address()));
    alice.call("bob");
    expect(&alice, |event| *event == PhoneEvent::Established);
    expect(&bob, |event| *event == PhoneEvent::Established);
    (alice, bob)
}

pub fn expect(phone: &Phone, wanted: impl FnMut(&PhoneEvent) -> bool) -> PhoneEvent {
    phone.wait_for(wanted, PATIENCE).expect("the event")
}

/// Waits until the last half second of what a telephone hears has this frequency, or has it no longer.
pub fn until_hears(phone: &Phone, hz: f64, wanted: bool) -> Vec<i16> {
    let begun = Instant::now();
    loop {
        let heard = phone.heard();
        let last = &heard[heard.len().saturating_sub(4_000)..];
        if last.len() == 4_000 && hears(last, hz) == wanted {
            return last.to_vec();
        }
        assert!(begun.elapsed() < PATIENCE, "{hz} Hz never becomes {wanted} in {} samples", heard.len());
        // Nothing is told when sound has come; a wait for what never happens lets it come.
        let _ = phone.wait_for(|_| false, Duration::from_millis(20));
    }
}
