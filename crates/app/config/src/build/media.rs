//! `[media]`.

use super::sounds;
use super::{or_cores, refuse_same_names};
use crate::meant::{LatchMode, Media, MediaAddress, MediaInterface, MediaMode, MediaPriority, RtcpXr, Transcode};
use crate::reader::Reader;
use crate::value::PortRange;
use std::net::IpAddr;
use std::time::Duration;
use sx_media::Preference;
use sx_rtp::srtp::Suite;
use sx_types::{Dtmf, HoldMusic, HoldMusicWhen, SrtpKeying, SrtpPolicy};

pub(crate) fn media(section: &Reader<'_>) -> Media {
    let entries = section.entries("interfaces");
    refuse_same_names(&entries);
    if entries.is_empty() {
        section.conflict(&["interfaces"], "at least one interface is needed");
    }
    let sounds = sounds::settings(section);
    let hold_music_when = section.choice("music_on_hold_when", HoldMusicWhen::default());
    let hold_music = sounds::sound(section, "music_on_hold", &sounds);
    let media = Media {
        mode: section.choice("mode", MediaMode::Relay),
        interfaces: entries.iter().map(interface).collect(),
        ports: section.parsed("ports").unwrap_or(PortRange { first: 0, last: 1 }),
        quarantine: section.seconds("quarantine_s"),
        silence_timeout: section.seconds_or_off("silence_timeout_s"),
        dscp_audio: section.number("dscp_audio"),
        dscp_video: section.number("dscp_video"),
        threads: or_cores_but_one(section.number("threads")),
        priority: section.choice("priority", MediaPriority::RealTime),
        io_uring: section.flag("io_uring"),
        coalesce: Duration::from_micros(section.number("coalesce_us")),
        rtcp_xr: section.choice("rtcp_xr", RtcpXr::Negotiated),
        latch: section.choice("latch", LatchMode::Nat),
        srtp: section.choice("srtp", SrtpPolicy::Accept),
        srtp_keying: section.choice("srtp_keying", SrtpKeying::Sdes),
        srtp_suites: suites(section),
        dtmf: section.choice("dtmf", Dtmf::Auto),
        transcode: section.choice("transcode", Transcode::Needed),
        prefer: section.choice("prefer", Preference::Quality),
        hold_music: hold_music.map(|sound| HoldMusic { sound, when: hold_music_when }),
        hold_music_when,
        sounds,
    };
    if media.mode == MediaMode::Direct && media.srtp == SrtpPolicy::Required {
        section.conflict(&["srtp", "mode"], UNPROTECTED);
    }
    media
}

/// Of packets that do not pass through the exchange.
pub(super) const UNPROTECTED: &str = "\"required\" needs packets that pass through the exchange, not \"direct\"";

fn suites(section: &Reader<'_>) -> Vec<Suite> {
    let suites = section.choices_in_order("srtp_suites");
    if suites.is_empty() {
        section.conflict(&["srtp_suites"], "at least one suite is needed; `srtp = \"off\"` takes none");
    }
    suites
}

/// Whatever comes to the media ports, the rest of the exchange keeps a core.
fn or_cores_but_one(number: usize) -> usize {
    if number == 0 { (or_cores(0) - 1).max(1) } else { number }
}

fn interface(entry: &Reader<'_>) -> MediaInterface {
    let bind: Vec<IpAddr> = entry.parsed_list("bind");
    let advertise: Vec<IpAddr> = entry.parsed_list("advertise");
    let address = |wanted: fn(&IpAddr) -> bool| {
        let mut bound = bind.iter().filter(|ip| wanted(ip));
        let mut advertised = advertise.iter().filter(|ip| wanted(ip));
        let (bind, advertise) = (bound.next().copied(), advertised.next().copied());
        if bound.next().is_some() {
            entry.conflict(&["bind"], "only one address of each family");
        }
        if advertised.next().is_some() || (bind.is_none() && advertise.is_some()) {
            entry.conflict(
                &["advertise", "bind"],
                "only one address of each family, and only of a family that is bound",
            );
        }
        if advertise.is_some_and(|ip| ip.is_unspecified()) {
            entry.conflict(&["advertise"], "no peer can send to this address");
        }
        bind.map(|bind| MediaAddress { bind, advertise })
    };
    if bind.is_empty() && entry.has("bind") {
        entry.conflict(&["bind"], "at least one address is needed");
    }
    MediaInterface { name: entry.text("name"), ipv4: address(IpAddr::is_ipv4), ipv6: address(IpAddr::is_ipv6) }
}
