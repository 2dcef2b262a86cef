//! Two associations with each other, over a way that loses and forges.

use proptest::prelude::*;
use std::time::{Duration, Instant};
use sx_dtls::{
    AFTER_ALERT_MAX, Anchor, Association, Certificate, DATAGRAMS_MAX, Disposition, DtlsRole, Fault, Fingerprint,
    HANDSHAKE_MAX, Keys, Local, Output, is_dtls,
};
use sx_engine::Time;
use sx_rtp::srtp::Suite;

struct End {
    association: Association,
    sent: usize,
    agreed: Option<Keys>,
    failed: Option<Fault>,
}

struct Pair {
    now: Time,
    ends: [End; 2],
}

fn local() -> Local {
    Local::new(Certificate::self_signed().expect("a certificate")).expect("terms")
}

#[expect(clippy::disallowed_methods, reason = "the library speaks of instants: one is where virtual time begins")]
fn start() -> (Time, Anchor) {
    let time = Time::from_secs(1_800_000_000);
    (time, Anchor { time, instant: Instant::now() })
}

/// The client first. `expected`: whose certificate each of them expects, when it is not the other's.
fn pair(expected: [Option<Fingerprint>; 2]) -> Pair {
    let (now, anchor) = start();
    let [client, server] = [local(), local()];
    let [by_client, by_server] = expected;
    let end = |local: &Local, role, peer| End {
        association: Association::new(local, role, vec![peer], anchor, now),
        sent: 0,
        agreed: None,
        failed: None,
    };
    let by_client = by_client.unwrap_or_else(|| server.fingerprint().clone());
    let by_server = by_server.unwrap_or_else(|| client.fingerprint().clone());
    Pair { now, ends: [end(&client, DtlsRole::Client, by_client), end(&server, DtlsRole::Server, by_server)] }
}

impl Pair {
    /// Carries datagrams until none is left. `lost` says which are lost, by sender and how many it has sent before.
    fn carry(&mut self, lost: impl Fn(usize, usize) -> bool) {
        loop {
            let mut quiet = true;
            for from in 0..2 {
                while let Some(output) = self.ends[from].association.poll_output() {
                    quiet = false;
                    match output {
                        Output::Datagram(bytes) => {
                            assert!(is_dtls(&bytes));
                            let number = self.ends[from].sent;
                            self.ends[from].sent += 1;
                            if !lost(from, number) {
                                self.ends[1 - from].association.handle_datagram(self.now, &bytes);
                            }
                        }
                        Output::Agreed(keys) => assert!(self.ends[from].agreed.replace(*keys).is_none(), "told once"),
                        Output::Failed(fault) => assert!(self.ends[from].failed.replace(fault).is_none(), "told once"),
                    }
                }
            }
            if quiet {
                return;
            }
        }
    }

    /// Lets time pass until both are through, or for so long.
    fn run(&mut self, at_most: Duration, lost: impl Fn(usize, usize) -> bool) {
        let end = self.now + at_most;
        self.carry(&lost);
        while self.ends.iter().any(|end| end.agreed.is_none() && end.failed.is_none()) {
            let next = self.ends.iter().filter_map(|end| end.association.poll_timeout()).min();
            let Some(next) = next.filter(|next| *next <= end) else { return };
            self.now = self.now.max(next);
            self.ends.iter_mut().for_each(|end| end.association.handle_timeout(next));
            self.carry(&lost);
        }
    }

    #[track_caller]
    fn check_agreed(&self) {
        let [Some(client), Some(server)] = [&self.ends[0].agreed, &self.ends[1].agreed] else {
            panic!("failed with {:?} and {:?}", self.ends[0].failed, self.ends[1].failed)
        };
        assert_eq!((&client.ours, &client.theirs), (&server.theirs, &server.ours));
        assert_ne!(client.ours, client.theirs);
        assert_eq!((client.suite, server.suite), (Suite::AeadAes256Gcm, Suite::AeadAes256Gcm));
    }
}

#[test]
fn both_sides_have_the_same_keys() {
    let mut pair = pair([None, None]);
    pair.run(Duration::ZERO, |_, _| false);
    pair.check_agreed();
}

#[test]
fn what_is_lost_is_sent_again() {
    // The first three of each side, and then each third.
    for lost in [|_: usize, number: usize| number < 3, |_: usize, number: usize| number % 3 == 2] {
        let mut pair = pair([None, None]);
        pair.run(HANDSHAKE_MAX, lost);
        pair.check_agreed();
    }
}

#[test]
fn a_last_flight_that_is_lost_is_sent_again_by_one_that_has_its_keys() {
    let mut pair = pair([None, None]);
    pair.run(Duration::ZERO, |from, _| from == 1);
    while pair.ends[1].agreed.is_none() {
        let at = pair.ends.iter().filter_map(|end| end.association.poll_timeout()).min().expect("a timer");
        pair.now = at;
        pair.ends.iter_mut().for_each(|end| end.association.handle_timeout(at));
        // Of the server's flights only those before its last arrive: it has its keys, and the client waits for it.
        let last = |association: &Association| !association.is_shaking();
        let was_last = last(&pair.ends[1].association);
        pair.carry(|from, _| from == 1 && was_last);
        if pair.ends[0].agreed.is_some() {
            break;
        }
    }
    pair.run(HANDSHAKE_MAX, |_, _| false);
    pair.check_agreed();
}

#[test]
fn another_certificate_than_the_one_that_was_said_is_refused() {
    let other = local().fingerprint().clone();
    for (side, expected) in [[Some(other.clone()), None], [None, Some(other)]].into_iter().enumerate() {
        let mut pair = pair(expected);
        pair.run(HANDSHAKE_MAX, |_, _| false);
        assert_eq!(pair.ends[side].failed, Some(Fault::Certificate));
        assert_eq!(pair.ends[side].agreed, None);
        assert_eq!(pair.ends[1].agreed, None, "the server is through after the client only");
        assert_eq!(pair.ends[side].association.poll_timeout(), None);
    }
}

#[test]
fn a_peer_that_says_nothing_is_given_up() {
    for (side, role) in [DtlsRole::Client, DtlsRole::Server].into_iter().enumerate() {
        let mut pair = pair([None, None]);
        pair.run(HANDSHAKE_MAX, |_, _| true);
        assert_eq!(pair.ends[side].failed, Some(Fault::Late), "{role:?}");
        assert!(pair.ends[side].sent < 32, "{} datagrams", pair.ends[side].sent);
    }
}

/// A fatal alert in the clear, which anybody can send: handshake_failure.
const ALERT: [u8; 15] = [21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40];

#[test]
fn a_forged_alert_ends_no_handshake_and_a_true_one_ends_it_soon() {
    for side in 0..2 {
        let mut pair = pair([None, None]);
        let now = pair.now;
        assert_eq!(pair.ends[side].association.handle_datagram(now, &ALERT), Disposition::Taken);
        pair.run(HANDSHAKE_MAX, |_, _| false);
        pair.check_agreed();
    }
    let mut alone = pair([None, None]);
    let begun = alone.now;
    let behind_another = [&[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 9, 0, 1, 7][..], &ALERT].concat();
    alone.ends[0].association.handle_datagram(begun, &behind_another);
    alone.run(AFTER_ALERT_MAX, |_, _| true);
    assert_eq!(alone.ends[0].failed, Some(Fault::BrokenOff));
}

#[test]
fn a_flood_is_not_looked_at_and_changes_nothing() {
    let mut pair = pair([None, None]);
    let now = pair.now;
    let noise = [22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 9, 0, 4, 1, 2, 3, 4];
    let heard =
        (0..1000).filter(|_| pair.ends[1].association.handle_datagram(now, &noise) == Disposition::Taken).count();
    assert_eq!(heard, usize::from(DATAGRAMS_MAX));
    pair.now = pair.now + Duration::from_secs(1);
    pair.run(HANDSHAKE_MAX, |_, _| false);
    pair.check_agreed();
}

#[test]
fn the_first_byte_tells_dtls_from_what_else_comes() {
    for (first, expected) in [(0, false), (19, false), (20, true), (22, true), (63, true), (64, false), (128, false)] {
        assert_eq!(is_dtls(&[first, 1, 2]), expected, "{first}");
    }
    assert!(!is_dtls(&[]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_comes_besides_the_handshake_goes_through(
        noise in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..8),
        first in 20_u8..=26,
    ) {
        let mut pair = pair([None, None]);
        let now = pair.now;
        for side in 0..2 {
            for mut datagram in noise.clone() {
                if let Some(byte) = datagram.first_mut() {
                    *byte = first;
                }
                pair.ends[side].association.handle_datagram(now, &datagram);
            }
        }
        pair.run(HANDSHAKE_MAX, |_, _| false);
        // What is forged may end it, and never gives keys that are not the same.
        let [client, server] = &pair.ends;
        if let [Some(client), Some(server)] = [&client.agreed, &server.agreed] {
            prop_assert_eq!((&client.ours, &client.theirs), (&server.theirs, &server.ours));
        }
        prop_assert!(client.agreed.is_some() || client.failed.is_some());
    }
}
