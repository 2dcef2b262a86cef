//! `[edge]`, `[[organisation]]`, `[policy]`, `[witness]` and `[api]`.

use super::{NO_ADDRESS, days_or_forever, refuse_same_names};
use crate::meant::{
    Anchor, AnchorKind, AnchorMethod, Api, Cosigning, Edge, Exchange, Identity, ObjectPlace, Organisation, Policy,
    Retention, Witness,
};
use crate::reader::Reader;
use crate::words::AnchorWord;
use std::sync::Arc;
use std::time::Duration;
use sx_witness::VerifyingKey;

pub(crate) fn edge(section: &Reader<'_>) -> Edge {
    let percent: u32 = section.number("score_max_percent");
    Edge {
        window: section.seconds("window_s"),
        requests_max: section.number("requests_max"),
        authenticated_requests_max: section.number("authenticated_requests_max"),
        ban: section.seconds("ban_s"),
        failures_max: section.number("failures_max"),
        failures_window: section.seconds("failures_window_s"),
        score_max_milli: percent * 10,
        sources_max: section.number("sources_max"),
        ipv4_prefix: section.number("ipv4_prefix"),
        ipv6_prefix: section.number("ipv6_prefix"),
        scanners: section.has("scanners").then(|| section.tested_list("scanners", |_| true)),
        only_organisations: section.flag("only_organisations"),
        geoip_database: section.file_if_said("geoip_database"),
        countries_blocked: countries(section, "countries_blocked"),
        countries_allowed: countries(section, "countries_allowed"),
    }
}

fn countries(section: &Reader<'_>, name: &str) -> Vec<[u8; 2]> {
    let two_letters = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    let given = section.tested_list(name, two_letters);
    if !given.is_empty() && !section.has("geoip_database") {
        section.conflict(&[name], "countries need a `geoip_database`");
    }
    given.iter().filter_map(|text| text.to_ascii_uppercase().as_bytes().try_into().ok()).collect()
}

pub(crate) fn organisations(top: &Reader<'_>) -> Vec<Arc<Organisation>> {
    let entries = top.entries("organisation");
    refuse_same_names(&entries);
    let organisation = |entry: &Reader<'_>| {
        let networks = entry.parsed_list("networks");
        if networks.is_empty() {
            entry.conflict(&["networks"], "at least one network is needed");
        }
        let member =
            |text: &str| text.split_once('@').is_some_and(|(user, domain)| !user.is_empty() && !domain.is_empty());
        let in_lower_case = |text: &Arc<str>| match text.split_once('@') {
            Some((user, domain)) => format!("{user}@{}", domain.to_ascii_lowercase()).into(),
            None => text.clone(),
        };
        Arc::new(Organisation {
            name: entry.text("name"),
            networks,
            members: entry.tested_list("members", member).iter().map(in_lower_case).collect(),
            tls_required: entry.flag("tls_required"),
        })
    };
    entries.iter().map(organisation).collect()
}

pub(crate) fn policy(section: &Reader<'_>) -> Policy {
    Policy { file: section.file_if_said("file") }
}

pub(crate) fn witness(section: &Reader<'_>, exchange: &Exchange) -> Witness {
    let plain = |text: &str| !text.contains(|c: char| c.is_whitespace() || c == '+');
    let keep_bytes: u64 = section.number("keep_bytes");
    let domain = exchange.domains.first().map_or("localhost", |domain| domain);
    let usual = || format!("{domain}/{}", exchange.name).replace([' ', '+'], "-").into();
    Witness {
        key: section.file_if_said("key"),
        name: section.tested("name", plain).unwrap_or_else(usual),
        checkpoint_records: section.number("checkpoint_records"),
        checkpoint_interval: section.seconds("checkpoint_s"),
        gather: Duration::from_micros(section.number("gather_us")),
        delay: section.milliseconds("delay_ms"),
        patience: section.milliseconds("patience_ms"),
        buffer_bytes_max: section.number("buffer_bytes_max"),
        segment_bytes_max: section.number("segment_bytes_max"),
        keep: days_or_forever(section, "keep_days"),
        keep_bytes: (keep_bytes > 0).then_some(keep_bytes),
        refusals_per_s: section.number("refusals_per_s"),
        refusals_per_source: section.number("refusals_per_source"),
        cosigning: cosigning(section),
        anchors: anchors(section),
    }
}

fn cosigning(section: &Reader<'_>) -> Option<Cosigning> {
    let identity = identity(section, "certificate", "certificate_key");
    let entries = section.entries("cosigns");
    let mut logs: Vec<VerifyingKey> = Vec::new();
    for entry in &entries {
        let Some(key) = entry.parsed::<VerifyingKey>("key") else { continue };
        if !key.is_of_log() {
            entry.conflict(&["key"], "this is the key of a cosigner, and that of a log is needed");
        }
        if logs.contains(&key) {
            entry.conflict(&["key"], "this key stands there twice");
        }
        logs.push(key);
    }
    if entries.is_empty() == section.has("listen") {
        section.conflict(&["listen", "cosigns"], "who is cosigned and where that is asked for go together");
    }
    let requests_per_minute = section.number("requests_per_minute");
    let listen = section.has("listen").then(|| section.parsed("listen"))??;
    Some(Cosigning { listen, identity, requests_per_minute, logs })
}

fn anchors(section: &Reader<'_>) -> Vec<Arc<Anchor>> {
    let mut anchors: Vec<Arc<Anchor>> = Vec::new();
    for entry in section.entries("anchor") {
        let Some(anchor) = anchor(&entry) else { continue };
        if anchors.iter().any(|known| known.url == anchor.url) {
            entry.conflict(&["url"], "this URL stands there twice");
        }
        anchors.push(Arc::new(anchor));
    }
    anchors
}

fn anchor(entry: &Reader<'_>) -> Option<Anchor> {
    let with_host = |text: &str| {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let good = |rest: &str| !rest.is_empty() && !rest.starts_with('/') && !rest.contains(['@', '#', ' ']);
        rest.is_some_and(good)
    };
    let url = entry.tested("url", with_host);
    let (trust, every) = (entry.file_if_said("trust"), entry.seconds("every_s"));
    let word = entry.choice_if_said::<AnchorWord>("kind")?;
    if word != AnchorWord::S3 {
        refuse_keys(entry, &OBJECT_KEYS, "only an object store (kind = \"s3\") has these keys");
    }
    let (kind, url) = match word {
        AnchorWord::Peer => {
            refuse_keys(
                entry,
                &["token", "method"],
                "a peer is sent checkpoints as its protocol says, without a token",
            );
            if !entry.has("key") {
                entry.conflict(&["key"], "a peer needs the `key` that it cosigns with");
            }
            (AnchorKind::Peer(entry.parsed("key")?), url?)
        }
        AnchorWord::Https => {
            refuse_keys(entry, &["key"], "a service cosigns nothing; only a peer has a key");
            if url.as_ref().is_some_and(|url| !url.starts_with("https://")) {
                entry.conflict(&["url"], "a service is spoken to over https");
            }
            let token = entry.secret("token");
            (AnchorKind::Https { method: entry.choice("method", AnchorMethod::Put), token }, url?)
        }
        AnchorWord::S3 => {
            refuse_keys(
                entry,
                &["key", "token", "method"],
                "an object store has no key of a peer, no token and no method",
            );
            let place = object_place(entry, url)?;
            let url = [&*place.endpoint, &*place.bucket, &*place.prefix].join("/");
            (AnchorKind::S3(place), url.trim_end_matches('/').into())
        }
    };
    Some(Anchor { kind, url, trust, every })
}

const OBJECT_KEYS: [&str; 8] =
    ["bucket", "prefix", "region", "path_style", "access_key_id", "secret_access_key", "retention", "retain_days"];

fn refuse_keys(entry: &Reader<'_>, keys: &[&str], why: &str) {
    let said: Vec<&str> = keys.iter().copied().filter(|key| entry.has(key)).collect();
    if !said.is_empty() {
        entry.conflict(&said, why);
    }
}

fn object_place(entry: &Reader<'_>, endpoint: Option<Arc<str>>) -> Option<ObjectPlace> {
    let bucket_like = |text: &str| {
        (3..=63).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte))
    };
    let region_like =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let id_like = |text: &str| {
        (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"/,".contains(&byte))
    };
    let path_like = |text: &str| text.len() <= 255 && !text.contains(char::is_control);
    for needed in ["bucket", "region", "access_key_id", "secret_access_key", "retain_days"] {
        if !entry.has(needed) {
            entry.conflict(&[needed], &format!("an object store needs the key `{needed}`"));
        }
    }
    let bucket = entry.tested("bucket", bucket_like);
    let region = entry.tested("region", region_like);
    let access_key_id = entry.tested("access_key_id", id_like);
    let secret_access_key = entry.secret("secret_access_key");
    let prefix = entry.tested("prefix", path_like).unwrap_or_default();
    let days: Option<u64> = entry.number_if_said("retain_days");
    let endpoint = endpoint?;
    let host = endpoint.split_once("://").map_or("", |(_, rest)| rest.trim_end_matches('/'));
    if host.contains(['/', '?']) {
        entry.conflict(
            &["url"],
            "the endpoint of an object store has no path; the bucket and the prefix have keys of their own",
        );
    }
    // Its answers are not signed: only TLS shows that they are its own.
    if endpoint.starts_with("http://") && !is_loopback(host) {
        entry.conflict(&["url"], "an object store is spoken to over https, except on this machine");
    }
    Some(ObjectPlace {
        endpoint: endpoint.trim_end_matches('/').into(),
        bucket: bucket?,
        prefix: prefix.trim_matches('/').into(),
        region: region?,
        path_style: entry.flag("path_style"),
        access_key_id: access_key_id?,
        secret_access_key: secret_access_key?,
        retention: entry.choice("retention", Retention::Compliance),
        keep: Duration::from_secs(days? * 86_400),
    })
}

/// Is this host, with or without a port, this machine?
fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    name == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn identity(section: &Reader<'_>, certificate: &str, key: &str) -> Option<Identity> {
    let (found, its_key) = (section.file_if_said(certificate), section.file_if_said(key));
    if found.is_some() != its_key.is_some() {
        section.conflict(&[key, certificate], "a certificate and its key go together");
    }
    found.zip(its_key).map(|(certificate, key)| Identity { certificate, key })
}

pub(crate) fn api(section: &Reader<'_>) -> Api {
    let origin = |text: &str| text.split_once("://").is_some_and(|(_, host)| !host.is_empty() && !host.contains('/'));
    Api {
        listen: section.parsed("listen").unwrap_or(NO_ADDRESS),
        identity: identity(section, "certificate", "key"),
        client_ca: section.file_if_said("client_ca"),
        cors_origins: section.tested_list("cors_origins", origin),
        requests_per_minute: section.number("requests_per_minute"),
        subscribers_max: section.number("subscribers_max"),
    }
}
