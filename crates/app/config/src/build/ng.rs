//! `[ng]`.

use crate::meant::{Ng, Sip};
use crate::reader::Reader;
use std::net::SocketAddr;
use sx_types::Transport;

pub(crate) fn ng(section: &Reader<'_>) -> Ng {
    Ng {
        listen_udp: section.has("listen_udp").then(|| section.parsed("listen_udp")).flatten(),
        listen_tcp: section.has("listen_tcp").then(|| section.parsed("listen_tcp")).flatten(),
        allow: section.parsed_list("allow"),
        calls_max: section.number("calls_max"),
        delete_delay: section.seconds("delete_delay_s"),
        silence_timeout: section.seconds_or_off("silence_timeout_s"),
        idle_timeout: section.seconds_or_off("idle_timeout_s"),
        recording_consent: section.choice_if_said("recording_consent"),
    }
}

/// Nobody else has the places where requests come.
pub(crate) fn check_doors(section: &Reader<'_>, ng: &Ng, sip: &Sip) {
    for (name, address, is_udp) in [("listen_udp", ng.listen_udp, true), ("listen_tcp", ng.listen_tcp, false)] {
        let Some(address) = address else { continue };
        let mut others = sip.listen.iter().filter(|listen| (listen.transport == Transport::Udp) == is_udp);
        if others.any(|listen| is_taken_by(address, listen.address)) {
            section.conflict(&[name], "sip.listen has this address");
        }
    }
}

/// Cannot both be listened on? Who listens on every address of the machine has each of them.
fn is_taken_by(one: SocketAddr, other: SocketAddr) -> bool {
    let is_any = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && (one.ip() == other.ip() || is_any)
}
