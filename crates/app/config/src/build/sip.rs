//! `[sip]` and `[registrar]`.

use super::NO_ADDRESS;
use crate::meant::{
    ClientCertificate, Connections, Exchange, Identity, Listen, NamedIdentity, Ng, Registrar, Sip, Tls,
};
use crate::reader::Reader;
use crate::value::is_host;
use std::collections::HashSet;
use std::time::Duration;
use sx_types::Transport;

pub(crate) fn sip(section: &Reader<'_>, exchange: &Exchange, ng: &Ng) -> Sip {
    let tls = tls(&section.section("tls"));
    let main_domain = || exchange.domains.first().cloned().unwrap_or_default();
    let sip = Sip {
        listen: listen(section, &tls, ng),
        realm: section.text_if_said("realm").unwrap_or_else(main_domain),
        user_agent: section.text("user_agent"),
        t1: section.milliseconds("t1_ms"),
        t2: section.milliseconds("t2_ms"),
        t4: section.milliseconds("t4_ms"),
        trying: section.milliseconds("trying_ms"),
        coalesce: Duration::from_micros(section.number("coalesce_us")),
        invite_timeout: section.seconds("invite_timeout_s"),
        ring_timeout: section.seconds("ring_timeout_s"),
        message_bytes_max: section.number("message_bytes_max"),
        udp_request_bytes_max: section.number("udp_request_bytes_max"),
        session_expires: section.seconds("session_expires_s"),
        min_se: section.seconds("min_se_s"),
        calls_max: section.number("calls_max"),
        transactions_max: section.number("transactions_max"),
        connections: connections(&section.section("connections")),
        tls,
    };
    if sip.t1 > sip.t2 {
        section.conflict(&["t2_ms", "t1_ms"], "t2_ms must be at least t1_ms");
    }
    if sip.ring_timeout > sip.invite_timeout {
        section.conflict(&["ring_timeout_s", "invite_timeout_s"], "ring_timeout_s must not exceed invite_timeout_s");
    }
    if sip.min_se > sip.session_expires {
        section.conflict(&["session_expires_s", "min_se_s"], "session_expires_s must be at least min_se_s");
    }
    if sip.udp_request_bytes_max > sip.message_bytes_max {
        let names = ["udp_request_bytes_max", "message_bytes_max"];
        section.conflict(&names, "udp_request_bytes_max must not exceed message_bytes_max");
    }
    sip
}

fn listen(section: &Reader<'_>, tls: &Tls, ng: &Ng) -> Vec<Listen> {
    let mut taken = HashSet::new();
    let mut listeners = Vec::new();
    for entry in section.entries("listen") {
        let listen = Listen {
            transport: entry.choice("transport", Transport::DEFAULT),
            address: entry.parsed("address").unwrap_or(NO_ADDRESS),
            advertise: entry.parsed("advertise"),
        };
        if listen.transport.is_secure() && tls.identity.is_none() {
            entry.conflict(&["transport"], "needs sip.tls.certificate and sip.tls.key");
        }
        let is_new = taken.insert((listen.transport.is_reliable(), listen.address));
        if !is_new && listen.address.port() != 0 {
            entry.conflict(&["address", "transport"], "another entry of sip.listen has this address");
        }
        listeners.push(listen);
    }
    if listeners.is_empty() && !ng.is_spoken() {
        section.conflict(&["listen"], "at least one place to listen is needed, here or in [ng]");
    }
    listeners
}

fn tls(section: &Reader<'_>) -> Tls {
    let identity = match (section.file_if_said("certificate"), section.file_if_said("key")) {
        (Some(certificate), Some(key)) => Some(Identity { certificate, key }),
        _ => None,
    };
    if section.has("certificate") != section.has("key") {
        section.conflict(&["certificate", "key"], "certificate and key are given together or not at all");
    }
    let tls = Tls {
        identity,
        sni: section.entries("sni").iter().map(named_identity).collect(),
        client_ca: section.file_if_said("client_ca"),
        client_certificate: section.choice("client_certificate", ClientCertificate::None),
        client_crl: section.files("client_crl"),
        crl_required: section.flag("crl_required"),
        depth_max: section.number("depth_max"),
        trust: section.files("trust"),
    };
    if !tls.client_crl.is_empty() && !section.has("client_ca") {
        section.conflict(&["client_crl"], "needs client_ca");
    }
    if tls.crl_required && tls.client_crl.is_empty() {
        section.conflict(&["crl_required"], "needs client_crl");
    }
    if tls.client_certificate != ClientCertificate::None && !section.has("client_ca") {
        section.conflict(&["client_certificate"], "needs client_ca");
    }
    if !tls.sni.is_empty() && !section.has("certificate") {
        section.conflict(&["sni"], "needs certificate and key for peers that ask for no name");
    }
    tls
}

fn named_identity(entry: &Reader<'_>) -> NamedIdentity {
    NamedIdentity {
        name: entry.tested("name", is_host).unwrap_or_default().to_ascii_lowercase().into(),
        identity: Identity {
            certificate: entry.file_if_said("certificate").unwrap_or_default(),
            key: entry.file_if_said("key").unwrap_or_default(),
        },
    }
}

fn connections(section: &Reader<'_>) -> Connections {
    Connections {
        max: section.number("max"),
        per_address_max: section.number("per_address_max"),
        idle: section.seconds("idle_s"),
        handshake: section.seconds("handshake_s"),
        partial_message: section.seconds("partial_message_s"),
        send_queue_bytes_max: section.number("send_queue_bytes_max"),
    }
}

pub(crate) fn registrar(section: &Reader<'_>) -> Registrar {
    let registrar = Registrar {
        expires_min: section.seconds("expires_min_s"),
        expires_max: section.seconds("expires_max_s"),
        expires_default: section.seconds("expires_default_s"),
        contacts_max: section.number("contacts_max"),
        bindings_max: section.number("bindings_max"),
        nonce_lifetime: section.seconds("nonce_lifetime_s"),
        algorithms: section.choices_in_order("algorithms"),
    };
    let in_order =
        registrar.expires_min <= registrar.expires_default && registrar.expires_default <= registrar.expires_max;
    if !in_order {
        let names = ["expires_default_s", "expires_min_s", "expires_max_s"];
        section.conflict(&names, "expires_min_s, expires_default_s and expires_max_s must not decrease in this order");
    }
    if registrar.algorithms.is_empty() {
        section.conflict(&["algorithms"], "at least one algorithm is needed");
    }
    registrar
}
