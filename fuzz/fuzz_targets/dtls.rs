//! Datagrams for both sides of a handshake, among its own, of which some are lost, changed or repeated: both sides have the same
//! keys or one has none, and in its time each has keys or a fault.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;
use std::time::Instant;
use sx_dtls::{Anchor, Association, Certificate, DtlsRole, HANDSHAKE_MAX, Keys, Local, Output};
use sx_engine::Time;

/// Stands between what a stranger sends; the first byte of each says to whom, and what becomes of a datagram of the handshake.
const SEPARATOR: u8 = 0x1e;
const BEGUN: Time = Time::from_secs(1_800_000_000);

fn locals() -> &'static [Local; 2] {
    static LOCALS: OnceLock<[Local; 2]> = OnceLock::new();
    LOCALS
        .get_or_init(|| [1, 2].map(|_| Local::new(Certificate::self_signed().expect("a certificate")).expect("terms")))
}

fuzz_target!(|input: &[u8]| {
    let anchor = Anchor { time: BEGUN, instant: Instant::now() };
    let [one, other] = locals();
    let mut ends = [(one, other, DtlsRole::Client), (other, one, DtlsRole::Server)]
        .map(|(own, peer, role)| Association::new(own, role, vec![peer.fingerprint().clone()], anchor, BEGUN));
    let mut agreed: [Option<Keys>; 2] = [None, None];
    let mut failed = [false; 2];
    let (mut now, mut strangers) = (BEGUN, input.split(|byte| *byte == SEPARATOR));
    loop {
        // What one is told may have the other, whose turn was before, say more.
        while ends.iter().any(Association::has_output) {
            for from in 0..2 {
                while let Some(output) = ends[from].poll_output() {
                    assert!(!failed[from], "nothing follows a fault");
                    match output {
                        Output::Agreed(keys) => assert!(agreed[from].replace(*keys).is_none(), "told once"),
                        Output::Failed(_) => failed[from] = true,
                        Output::Datagram(mut bytes) => {
                            let Some((how, noise)) = strangers.next().and_then(<[u8]>::split_first) else {
                                ends[1 - from].handle_datagram(now, &bytes);
                                continue;
                            };
                            ends[usize::from(how & 1)].handle_datagram(now, noise);
                            match how >> 1 & 7 {
                                0 => continue,
                                1 => _ = ends[1 - from].handle_datagram(now, &bytes),
                                2 => {
                                    let place = usize::from(*how) * 31 % bytes.len();
                                    bytes[place] ^= 1 << (how >> 5);
                                }
                                _ => {}
                            }
                            ends[1 - from].handle_datagram(now, &bytes);
                        }
                    }
                }
            }
        }
        let waits =
            (0..2).filter(|end| agreed[*end].is_none() && !failed[*end]).filter_map(|end| ends[end].poll_timeout());
        let Some(next) = waits.min() else { break };
        now = now.max(next);
        assert!(now <= BEGUN + HANDSHAKE_MAX, "it ends in its time");
        ends.iter_mut().for_each(|end| end.handle_timeout(now));
    }
    if let [Some(client), Some(server)] = &agreed {
        assert_eq!((&client.ours, &client.theirs), (&server.theirs, &server.ours));
    }
});
