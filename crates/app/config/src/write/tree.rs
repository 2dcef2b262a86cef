//! The tree that says what a configuration means.

use super::trust;
use crate::meant::{
    Callers, Config, Escalation, Evidence, HeaderRules, Identity, Listen, Media, MediaInterface, Ndi, Ng, NumberMatch,
    Recording, Registrar, Room, Route, Sip, Target, TargetKind, Tls, Trunk, TrunkAddress, TrunkRegistration,
};
use crate::reader::Word;
use crate::said::{Node, Origin, Said, Table};
use crate::secret::Secret;
use crate::words::Switch;
use std::fmt::Display;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Everything.
pub(crate) fn config(config: &Config) -> Table {
    let exchange = Builder::default()
        .text("name", &config.exchange.name)
        .texts("domains", &config.exchange.domains)
        .path("data", &config.exchange.data)
        .number("workers", config.exchange.workers)
        .seconds("drain_s", config.exchange.drain);
    let log = Builder::default()
        .word("level", config.log.level)
        .word("format", config.log.format)
        .number("refusals_per_minute", config.log.refusals_per_minute as usize)
        .number("refusal_sources_max", config.log.refusal_sources_max);
    let danger = Builder::default()
        .flag("accept_any_certificate", config.danger.accept_any_certificate)
        .flag("unauthenticated_calls", config.danger.unauthenticated_calls)
        .flag("any_source", config.danger.any_source);
    let keep_days = config.cdr.keep.map_or(0, |keep| keep.as_secs() / 86_400);
    let hep = config.hep.as_ref().map(|hep| {
        Builder::default()
            .text("address", &hep.address)
            .number("capture_id", hep.capture_id as usize)
            .secret_if("password", hep.password.as_ref())
    });
    Builder::default()
        .table("exchange", exchange)
        .table("sip", sip(&config.sip))
        .table("registrar", registrar(&config.registrar))
        .table("media", media(&config.media))
        .table("escalation", escalation(&config.escalation))
        .table("evidence", evidence(&config.evidence))
        .table("ndi", ndi(&config.ndi))
        .table_if("recording", config.recording.as_ref().map(recording))
        .table("ng", ng(&config.ng))
        .tables("trunk", config.trunks.iter().map(|each| trunk(each)))
        .tables("room", config.rooms.iter().map(|each| room(each)))
        .tables("route", config.routes.iter().map(|each| route(each)))
        .table("http", Builder::default().text("listen", config.http.listen))
        .table("edge", trust::edge(&config.edge))
        .tables("organisation", config.organisations.iter().map(|each| trust::organisation(each)))
        .table("policy", trust::policy(&config.policy))
        .table("witness", trust::witness(&config.witness))
        .table("api", trust::api(&config.api))
        .table("cdr", Builder::default().number("keep_days", keep_days as usize))
        .table_if("hep", hep)
        .table("log", log)
        .table("danger", danger)
        .0
}

fn sip(sip: &Sip) -> Builder {
    let connections = Builder::default()
        .number("max", sip.connections.max)
        .number("per_address_max", sip.connections.per_address_max)
        .seconds("idle_s", sip.connections.idle)
        .seconds("handshake_s", sip.connections.handshake)
        .seconds("partial_message_s", sip.connections.partial_message)
        .number("send_queue_bytes_max", sip.connections.send_queue_bytes_max);
    Builder::default()
        .tables("listen", sip.listen.iter().map(listen))
        .text("realm", &sip.realm)
        .text("user_agent", &sip.user_agent)
        .milliseconds("t1_ms", sip.t1)
        .milliseconds("t2_ms", sip.t2)
        .milliseconds("t4_ms", sip.t4)
        .milliseconds("trying_ms", sip.trying)
        .number("coalesce_us", sip.coalesce.as_micros() as usize)
        .seconds("invite_timeout_s", sip.invite_timeout)
        .seconds("ring_timeout_s", sip.ring_timeout)
        .number("message_bytes_max", sip.message_bytes_max)
        .number("udp_request_bytes_max", sip.udp_request_bytes_max)
        .seconds("session_expires_s", sip.session_expires)
        .seconds("min_se_s", sip.min_se)
        .number("calls_max", sip.calls_max)
        .number("transactions_max", sip.transactions_max)
        .table("tls", tls(&sip.tls))
        .table("connections", connections)
}

fn listen(listen: &Listen) -> Builder {
    Builder::default()
        .word("transport", listen.transport)
        .text("address", listen.address)
        .text_if("advertise", listen.advertise.as_ref())
}

fn tls(tls: &Tls) -> Builder {
    let identity = |builder: Builder, identity: &Identity| {
        builder.path("certificate", &identity.certificate).path("key", &identity.key)
    };
    let builder = match &tls.identity {
        Some(own) => identity(Builder::default(), own),
        None => Builder::default(),
    };
    let builder = match &tls.client_ca {
        Some(path) => builder.path("client_ca", path),
        None => builder,
    };
    builder
        .word("client_certificate", tls.client_certificate)
        .paths("client_crl", &tls.client_crl)
        .flag("crl_required", tls.crl_required)
        .number("depth_max", tls.depth_max)
        .paths("trust", &tls.trust)
        .tables(
            "sni",
            tls.sni.iter().map(|named| identity(Builder::default().text("name", &named.name), &named.identity)),
        )
}

fn registrar(registrar: &Registrar) -> Builder {
    Builder::default()
        .seconds("expires_min_s", registrar.expires_min)
        .seconds("expires_max_s", registrar.expires_max)
        .seconds("expires_default_s", registrar.expires_default)
        .number("contacts_max", registrar.contacts_max)
        .number("bindings_max", registrar.bindings_max)
        .seconds("nonce_lifetime_s", registrar.nonce_lifetime)
        .words("algorithms", &registrar.algorithms)
}

fn media(media: &Media) -> Builder {
    Builder::default()
        .word("mode", media.mode)
        .tables("interfaces", media.interfaces.iter().map(interface))
        .text("ports", media.ports)
        .seconds("quarantine_s", media.quarantine)
        .seconds("silence_timeout_s", media.silence_timeout.unwrap_or_default())
        .number("dscp_audio", media.dscp_audio.into())
        .number("dscp_video", media.dscp_video.into())
        .number("threads", media.threads)
        .word("priority", media.priority)
        .flag("io_uring", media.io_uring)
        .number("coalesce_us", media.coalesce.as_micros() as usize)
        .word("rtcp_xr", media.rtcp_xr)
        .word("latch", media.latch)
        .word("srtp", media.srtp)
        .word("srtp_keying", media.srtp_keying)
        .words("srtp_suites", &media.srtp_suites)
        .word("dtmf", media.dtmf)
        .word("transcode", media.transcode)
        .word("prefer", media.prefer)
        .text_if("sounds", media.sounds.folder.as_ref().map(|folder| folder.display()))
        .word("tones", media.sounds.country)
        .number("sound_seconds_max", media.sounds.seconds_max as usize)
        .number("sound_bytes_max", media.sounds.bytes_max)
        .number("sound_files_max", media.sounds.files_max)
        .number("plays_max", media.sounds.plays_max)
        .text_if("music_on_hold", media.hold_music.as_ref().map(|music| &music.sound))
        .word("music_on_hold_when", media.hold_music_when)
}

fn recording(recording: &Recording) -> Builder {
    Builder::default()
        .path("folder", &recording.folder)
        .word("container", recording.container)
        .word("tracks", recording.tracks)
        .word("bandwidth", recording.bandwidth)
        .texts("recipients", &recording.recipients)
        .number("calls_max", recording.calls_max)
        .number("threads", recording.threads.map_or(0, NonZero::get))
        .flag("required", recording.required)
        .text_if("announcement", recording.announcement.as_ref())
        .text("agree_key", recording.agree_key)
        .text("refuse_key", recording.refuse_key)
        .number("answer_s", recording.answer_wait.as_secs() as usize)
        .number("beep_s", recording.beep.map_or(0, |beep| beep.as_secs() as usize))
}

fn escalation(escalation: &Escalation) -> Builder {
    Builder::default()
        .text_if("room", escalation.room.as_ref())
        .texts("rooms", &escalation.rooms)
        .tables(
            "announcement",
            escalation
                .announcements
                .iter()
                .map(|(hazard, sound)| Builder::default().text_if("hazard", hazard.as_ref()).text("sound", sound)),
        )
        .word("order", escalation.order)
        .number("parallel_max", escalation.parallel_max)
        .seconds("ring_timeout_s", escalation.ring_timeout)
        .flag("evidence_message", escalation.evidence_message)
        .word("rering", escalation.rering)
        .number("escalate_below_milli", escalation.escalate_below_milli as usize)
        .number("share_from_milli", escalation.share_from_milli as usize)
        .flag("keyless_experts", escalation.keyless_experts)
        .number("rings_per_minute", escalation.rings_per_minute as usize)
        .number("experts_max", escalation.experts_max)
        .number("running_max", escalation.running_max)
        .number("kept_max", escalation.kept_max)
        .number("senders_max", escalation.senders_max)
        .number("nonces_max", escalation.nonces_max)
}

fn ndi(ndi: &Ndi) -> Builder {
    Builder::default().texts("interfaces", &ndi.interfaces).number("sources_max", ndi.sources_max)
}

fn evidence(evidence: &Evidence) -> Builder {
    let bytes = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    Builder::default()
        .text_if("public_url", evidence.public_url.as_ref())
        .seconds("link_s", evidence.link)
        .flag("in_calls", evidence.in_calls)
        .number("bytes_max", bytes(evidence.bytes_max))
        .number("pieces_max", evidence.pieces_max)
        .number("total_bytes_max", bytes(evidence.total_bytes_max))
        .seconds("unfinished_s", evidence.unfinished)
        .seconds("kept_s", evidence.kept)
}

fn ng(ng: &Ng) -> Builder {
    Builder::default()
        .text_if("listen_udp", ng.listen_udp)
        .text_if("listen_tcp", ng.listen_tcp)
        .texts("allow", &ng.allow)
        .number("calls_max", ng.calls_max)
        .seconds("delete_delay_s", ng.delete_delay)
        .seconds("silence_timeout_s", ng.silence_timeout.unwrap_or_default())
        .seconds("idle_timeout_s", ng.idle_timeout.unwrap_or_default())
        .text_if("recording_consent", ng.recording_consent.map(Word::word))
}

fn interface(interface: &MediaInterface) -> Builder {
    let addresses: Vec<_> = [interface.ipv4, interface.ipv6].into_iter().flatten().collect();
    let bind: Vec<_> = addresses.iter().map(|address| address.bind).collect();
    let advertise: Vec<_> = addresses.iter().filter_map(|address| address.advertise).collect();
    Builder::default().text("name", &interface.name).texts("bind", &bind).texts("advertise", &advertise)
}

fn trunk(trunk: &Trunk) -> Builder {
    let causes = trunk.failover_causes.iter().map(|cause| Said::Integer(cause.0.into()));
    let switch = |on| if on { Switch::On } else { Switch::Off };
    Builder::default()
        .text("name", &trunk.name)
        .tables("addresses", trunk.addresses.iter().map(address))
        .texts("sources", &trunk.sources)
        .text_if("username", trunk.credentials.as_ref().map(|credentials| &credentials.username))
        .secret_if("password", trunk.credentials.as_ref().map(|credentials| &credentials.password))
        .table_if("register", trunk.register.as_ref().map(registration))
        .seconds("options_interval_s", trunk.options_interval.unwrap_or_default())
        .number("calls_max", trunk.calls_max)
        .number("calls_per_s_max", trunk.calls_per_s_max as usize)
        .words("codecs_allowed", &trunk.codecs_allowed)
        .word("media", trunk.media)
        .word("srtp", trunk.srtp)
        .word("srtp_keying", trunk.srtp_keying)
        .word("dtmf", trunk.dtmf)
        .text_if("from_user", trunk.from_user.as_ref())
        .text_if("from_domain", trunk.from_domain.as_ref())
        .word("asserted_identity", trunk.asserted_identity)
        .word("privacy", trunk.privacy)
        .table("headers", headers(&trunk.headers))
        .text("music_on_hold", trunk.hold_music.as_ref().map_or("none", |music| &*music.sound))
        .flag("early_media", trunk.early_media)
        .word("reliable_provisional", trunk.reliable_provisional)
        .word("session_timer", switch(trunk.session_timer))
        .flag("accept_refer", trunk.accept_refer)
        .list("failover_causes", causes)
}

fn address(address: &TrunkAddress) -> Builder {
    Builder::default()
        .text("uri", &address.uri)
        .number("weight", address.weight.into())
        .number("priority", address.priority.into())
}

fn registration(registration: &TrunkRegistration) -> Builder {
    Builder::default()
        .text("registrar", &registration.registrar)
        .text("aor", &registration.aor)
        .seconds("expires_s", registration.expires)
}

fn headers(rules: &HeaderRules) -> Builder {
    let set = rules.set.iter().fold(Builder::default(), |builder, (name, value)| builder.text(name, value));
    Builder::default().texts("pass", &rules.pass).table("set", set).texts("remove", &rules.remove)
}

fn room(room: &Room) -> Builder {
    Builder::default()
        .text("name", &room.name)
        .number("members_max", room.members_max as usize)
        .words("codecs", &room.codecs)
        .text_if("join_sound", room.sounds.joined.as_ref())
        .text_if("leave_sound", room.sounds.left.as_ref())
        .text_if("alone_sound", room.sounds.alone.as_ref())
}

fn route(route: &Route) -> Builder {
    let builder = Builder::default().text("name", &route.name);
    let builder = match &route.callers {
        Callers::Anyone => builder,
        Callers::Only { trunks, users } => builder.texts("from_trunk", trunks).flag("from_users", *users),
    };
    let builder = match &route.number {
        NumberMatch::Any => builder,
        NumberMatch::Exact(number) => builder.text("exact", number),
        NumberMatch::Prefix(number) => builder.text("prefix", number),
        NumberMatch::Pattern(pattern) => builder.text("pattern", pattern),
    };
    builder
        .number("strip", route.strip)
        .text_if("prepend", Some(&route.prepend).filter(|prepend| !prepend.is_empty()))
        .tables("to", route.targets.iter().map(target))
        .seconds("ring_timeout_s", route.ring_timeout)
}

fn target(target: &Target) -> Builder {
    let builder = match &target.kind {
        TargetKind::Trunk { name, user_rewrite } => {
            Builder::default().text("trunk", name).text("user_rewrite", &user_rewrite.0)
        }
        TargetKind::Users => Builder::default().flag("users", true),
        TargetKind::Room(name) => Builder::default().text("room", name),
        TargetKind::Announcement { sound, answer, cause } => {
            Builder::default().text("announcement", sound).flag("answer", *answer).number("cause", cause.0.into())
        }
        TargetKind::Uri(uri) => Builder::default().text("uri", uri),
        TargetKind::Dialled => Builder::default().flag("dialled", true),
    };
    builder.number("weight", target.weight.into()).number("priority", target.priority.into())
}

/// Fills a table, key by key.
#[derive(Default)]
pub(super) struct Builder(Table);

fn node(said: Said) -> Node {
    Node { origin: Origin::new("", 0), said }
}

impl Builder {
    pub(super) fn put(mut self, name: &str, said: Said) -> Self {
        self.0.insert(name.to_owned(), node(said));
        self
    }

    pub(super) fn text(self, name: &str, value: impl Display) -> Self {
        self.put(name, Said::Text(value.to_string()))
    }

    pub(super) fn text_if(self, name: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    pub(super) fn list(self, name: &str, items: impl Iterator<Item = Said>) -> Self {
        self.put(name, Said::List(items.map(node).collect()))
    }

    pub(super) fn texts(self, name: &str, values: &[impl Display]) -> Self {
        self.list(name, values.iter().map(|value| Said::Text(value.to_string())))
    }

    pub(super) fn word(self, name: &str, value: impl Word) -> Self {
        self.text(name, value.word())
    }

    pub(super) fn words<W: Word>(self, name: &str, values: &[W]) -> Self {
        self.list(name, values.iter().map(|value| Said::Text(value.word().to_owned())))
    }

    pub(super) fn path(self, name: &str, path: &Path) -> Self {
        self.text(name, path.display())
    }

    pub(super) fn paths(self, name: &str, paths: &[PathBuf]) -> Self {
        self.list(name, paths.iter().map(|path| Said::Text(path.display().to_string())))
    }

    /// Every number of a configuration is far below the end of its range here.
    pub(super) fn number(self, name: &str, value: usize) -> Self {
        self.put(name, Said::Integer(i64::try_from(value).unwrap_or(i64::MAX)))
    }

    pub(super) fn seconds(self, name: &str, value: Duration) -> Self {
        self.put(name, Said::Integer(i64::try_from(value.as_secs()).unwrap_or(i64::MAX)))
    }

    pub(super) fn milliseconds(self, name: &str, value: Duration) -> Self {
        self.put(name, Said::Integer(i64::try_from(value.as_millis()).unwrap_or(i64::MAX)))
    }

    pub(super) fn flag(self, name: &str, value: bool) -> Self {
        self.put(name, Said::Flag(value))
    }

    pub(super) fn secret_if(self, name: &str, secret: Option<&Secret>) -> Self {
        match secret {
            Some(secret) => self.put(name, Said::Secret(secret.clone())),
            None => self,
        }
    }

    pub(super) fn table(self, name: &str, table: Self) -> Self {
        self.put(name, Said::Table(table.0))
    }

    pub(super) fn table_if(self, name: &str, table: Option<Self>) -> Self {
        match table {
            Some(table) => self.table(name, table),
            None => self,
        }
    }

    pub(super) fn tables(self, name: &str, tables: impl Iterator<Item = Self>) -> Self {
        self.list(name, tables.map(|table| Said::Table(table.0)))
    }
}
