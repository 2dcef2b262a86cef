//! What a worker is told once, from the configuration.

use std::sync::Arc;
use std::time::Duration;
use sx_call::{RecordingRules, Telling};
use sx_config::{Config, Media, Transcode};
use sx_edge::{Prefixes, SourceLimits};
use sx_escalation::FreshnessLimits;
use sx_exchange::{LayerSettings, RecordLimits, RefusalLimits, WitnessSettings, WorkerSettings};
use sx_media::{Means, by_preference};
use sx_sip::agent::AgentConfig;
use sx_sip::registrar::RegistrarConfig;
use sx_sip::transaction::Timers;
use sx_types::{Codec, Fingerprint, Kind, LegId};

/// What worker `worker` is told. Each limit holds for each worker, as the reference of the configuration says: what one
/// peer sends over UDP lands on one worker, which must not refuse it because others have nothing to do.
/// `certificate`: by what peers know the one of our handshakes.
pub fn settings(config: &Config, worker: u16, certificate: Option<Fingerprint>) -> WorkerSettings {
    let seconds = |duration: Duration| u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
    WorkerSettings {
        links: None,
        worker,
        workers: u16::try_from(config.exchange.workers.max(1)).unwrap_or(u16::MAX),
        agent: AgentConfig {
            worker,
            timers: Timers {
                t1: config.sip.t1,
                t2: config.sip.t2,
                t4: config.sip.t4,
                trying: config.sip.trying,
                // A session gives an attempt up by then; this is for what no session waits for any more.
                ringing: config.sip.invite_timeout + config.sip.t1 * 64,
                // A call may ring at many places, one after the other.
                unanswered: config.sip.invite_timeout * 20,
            },
            user_agent: config.sip.user_agent.as_ref().into(),
            session_expires_s: seconds(config.sip.session_expires),
            min_se_s: seconds(config.sip.min_se),
            // Two legs a call, and as many again for those that are being hung up.
            sessions_max: config.sip.calls_max.saturating_mul(4),
            invite_timeout: config.sip.invite_timeout,
            ..AgentConfig::default()
        },
        calls: sx_call::Settings {
            worker,
            first_outgoing_leg: LegId(1 << 63),
            calls_max: u32::try_from(config.sip.calls_max).unwrap_or(u32::MAX),
            means: Means { suites: config.media.srtp_suites.clone().into(), certificate },
            transcode: codable(&config.media),
            announced_in: by_preference(sx_audio::codable(), config.media.prefer).into(),
            recording: config.recording.as_ref().map(|wanted| RecordingRules {
                required: wanted.required,
                telling: Telling {
                    announcement: wanted.announcement.clone(),
                    agree: wanted.agree_key,
                    refuse: wanted.refuse_key,
                    answer_wait: wanted.answer_wait,
                    beep: wanted.beep,
                },
            }),
            ..sx_call::Settings::default()
        },
        registrar: RegistrarConfig {
            expires_min_s: seconds(config.registrar.expires_min),
            expires_max_s: seconds(config.registrar.expires_max),
            expires_default_s: seconds(config.registrar.expires_default),
            contacts_max: config.registrar.contacts_max,
            bindings_max: config.registrar.bindings_max,
            ..RegistrarConfig::default()
        },
        nonces: 1 << 20,
        transactions_max: config.sip.transactions_max,
        udp_request_bytes_max: config.sip.udp_request_bytes_max,
        refusals: RefusalLimits {
            per_source: config.log.refusals_per_minute,
            sources_max: config.log.refusal_sources_max,
        },
        witness: WitnessSettings { node: config.exchange.name.as_ref().into(), patience: config.witness.patience },
        layers: LayerSettings {
            sources: sources(config),
            records: RecordLimits {
                per_second: config.witness.refusals_per_s,
                per_source: config.witness.refusals_per_source,
                ..RecordLimits::default()
            },
            nanos: super::clock::nanos,
        },
        freshness: freshness(config),
        recordable: recordable(),
    }
}

fn freshness(config: &Config) -> FreshnessLimits {
    let told = &config.escalation;
    FreshnessLimits { senders_max: told.senders_max, nonces_max: told.nonces_max, ..FreshnessLimits::default() }
}

/// What is coded anew between parties that share no codec, best first.
pub(super) fn codable(media: &Media) -> Arc<[Codec]> {
    match media.transcode {
        Transcode::Needed => by_preference(sx_audio::codable(), media.prefer).into(),
        Transcode::Never => Arc::from([]),
    }
}

/// What a call that is recorded can be spoken in, and what goes beside it.
pub(super) fn recordable() -> Arc<[Codec]> {
    let beside = Codec::ALL.into_iter().filter(|codec| codec.kind() == Kind::BesideAudio);
    sx_audio::codable().chain(beside).collect()
}

fn sources(config: &Config) -> SourceLimits {
    let edge = &config.edge;
    SourceLimits {
        window: edge.window,
        unknown: edge.requests_max,
        authenticated: edge.authenticated_requests_max,
        ban: edge.ban,
        // The one beyond is too many.
        failures_max: edge.failures_max + 1,
        failures_window: edge.failures_window,
        score_max_milli: edge.score_max_milli,
        sources_max: edge.sources_max,
        prefixes: prefixes(config),
    }
}

/// What counts as one source.
pub(super) fn prefixes(config: &Config) -> Prefixes {
    Prefixes { ipv4_bits: config.edge.ipv4_prefix, ipv6_bits: config.edge.ipv6_prefix }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_worker_has_the_whole_limit_however_many_there_are() {
        let text = "[exchange]\ndomains = [\"example.org\"]\nworkers = 4\n\
                    [sip]\ncalls_max = 10\ntransactions_max = 100\n[registrar]\nbindings_max = 7\n";
        let settings = settings(&Config::from_text(text).expect("it is right"), 3, None);
        assert_eq!((settings.worker, settings.workers), (3, 4));
        assert_eq!((settings.calls.calls_max, settings.transactions_max), (10, 100));
        assert_eq!(settings.calls.transcode.last(), Some(&Codec::Pcma));
        assert_eq!((settings.agent.sessions_max, settings.registrar.bindings_max), (40, 7));
    }
}
