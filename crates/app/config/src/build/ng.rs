//! `[ng]`.

use crate::meant::Ng;
use crate::reader::Reader;

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
