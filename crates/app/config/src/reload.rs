//! What of a configuration can be taken over while the exchange runs.

use crate::meant::{Config, Edge, Escalation, Exchange, Media, Registrar, Route, Sip, SoundSettings};
use std::sync::Arc;

/// The keys, with all below them, that [`Config::reloaded`] takes over. Every other one is set up once.
pub(crate) const RELOADED: &[&str] = &[
    "trunk",
    "room",
    "route",
    "exchange.domains",
    "exchange.drain_s",
    "sip.realm",
    "sip.ring_timeout_s",
    "sip.tls",
    "registrar.algorithms",
    "media.mode",
    "media.latch",
    "media.srtp",
    "media.srtp_keying",
    "media.dtmf",
    "media.sounds",
    "media.tones",
    "media.sound_seconds_max",
    "media.sound_bytes_max",
    "media.sound_files_max",
    "media.music_on_hold",
    "media.music_on_hold_when",
    "escalation.room",
    "escalation.rooms",
    "escalation.announcement",
    "escalation.order",
    "escalation.parallel_max",
    "escalation.ring_timeout_s",
    "escalation.evidence_message",
    "escalation.rering",
    "escalation.escalate_below_milli",
    "escalation.share_from_milli",
    "escalation.rings_per_minute",
    "escalation.experts_max",
    "escalation.running_max",
    "escalation.kept_max",
    "organisation",
    "policy",
    "edge.only_organisations",
    "edge.geoip_database",
    "edge.countries_blocked",
    "edge.countries_allowed",
    "cdr",
    "danger",
];

/// `running` with everything of `new` that needs no restart.
pub(crate) fn reloaded(running: &Config, new: &Config) -> Config {
    let old = running.clone();
    let new = new.clone();
    // Addresses that show a certificate do so until a restart, whatever is said of them now.
    let shows = old.sip.listen.iter().any(|listen| listen.transport.is_secure());
    let tls = if shows && new.sip.tls.identity.is_none() { old.sip.tls } else { new.sip.tls };
    // The INVITE of whatever rings is given up as it was until the restart: ringing ends before.
    let patience = old.sip.invite_timeout;
    let ring_timeout = new.sip.ring_timeout.min(patience);
    let in_time = |route: Arc<Route>| match route.ring_timeout > patience {
        true => Arc::new(Route { ring_timeout: patience, ..Route::clone(&route) }),
        false => route,
    };
    Config {
        exchange: Exchange { domains: new.exchange.domains, drain: new.exchange.drain, ..old.exchange },
        sip: Sip { realm: new.sip.realm, ring_timeout, tls, ..old.sip },
        registrar: Registrar { algorithms: new.registrar.algorithms, ..old.registrar },
        media: Media {
            mode: new.media.mode,
            latch: new.media.latch,
            srtp: new.media.srtp,
            srtp_keying: new.media.srtp_keying,
            dtmf: new.media.dtmf,
            sounds: SoundSettings { plays_max: old.media.sounds.plays_max, ..new.media.sounds },
            hold_music: new.media.hold_music,
            hold_music_when: new.media.hold_music_when,
            ..old.media
        },
        recording: old.recording,
        ng: old.ng,
        trunks: new.trunks,
        rooms: new.rooms,
        routes: new.routes.into_iter().map(in_time).collect(),
        http: old.http,
        edge: Edge {
            only_organisations: new.edge.only_organisations,
            geoip_database: new.edge.geoip_database,
            countries_blocked: new.edge.countries_blocked,
            countries_allowed: new.edge.countries_allowed,
            ..old.edge
        },
        escalation: Escalation {
            senders_max: old.escalation.senders_max,
            nonces_max: old.escalation.nonces_max,
            // Whoever is registered was read with it.
            keyless_experts: old.escalation.keyless_experts,
            ..new.escalation
        },
        evidence: old.evidence,
        ndi: old.ndi,
        organisations: new.organisations,
        policy: new.policy,
        witness: old.witness,
        api: old.api,
        cdr: new.cdr,
        hep: old.hep,
        log: old.log,
        danger: new.danger,
    }
}
