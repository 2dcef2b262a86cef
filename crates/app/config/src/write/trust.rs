//! The tree of what decides who is let in.

use super::tree::Builder;
use crate::meant::{Anchor, AnchorKind, Api, Cosigning, Edge, ObjectPlace, Organisation, Policy, Witness};
use crate::words::AnchorWord;

pub(super) fn edge(edge: &Edge) -> Builder {
    let country = |letters: &[u8; 2]| String::from_utf8_lossy(letters).into_owned();
    let builder = Builder::default()
        .seconds("window_s", edge.window)
        .number("requests_max", edge.requests_max as usize)
        .number("authenticated_requests_max", edge.authenticated_requests_max as usize)
        .seconds("ban_s", edge.ban)
        .number("failures_max", edge.failures_max as usize)
        .seconds("failures_window_s", edge.failures_window)
        .number("score_max_percent", edge.score_max_milli as usize / 10)
        .number("sources_max", edge.sources_max)
        .number("ipv4_prefix", usize::from(edge.ipv4_prefix))
        .number("ipv6_prefix", usize::from(edge.ipv6_prefix));
    let builder = match &edge.scanners {
        Some(scanners) => builder.texts("scanners", scanners),
        None => builder,
    };
    let builder = builder.flag("only_organisations", edge.only_organisations);
    let builder = match &edge.geoip_database {
        Some(path) => builder.path("geoip_database", path),
        None => builder,
    };
    builder
        .texts("countries_blocked", &edge.countries_blocked.iter().map(country).collect::<Vec<_>>())
        .texts("countries_allowed", &edge.countries_allowed.iter().map(country).collect::<Vec<_>>())
}

pub(super) fn organisation(organisation: &Organisation) -> Builder {
    Builder::default()
        .text("name", &organisation.name)
        .texts("networks", &organisation.networks)
        .texts("members", &organisation.members)
        .flag("tls_required", organisation.tls_required)
}

pub(super) fn policy(policy: &Policy) -> Builder {
    match &policy.file {
        Some(path) => Builder::default().path("file", path),
        None => Builder::default(),
    }
}

pub(super) fn witness(witness: &Witness) -> Builder {
    let builder = match &witness.key {
        Some(path) => Builder::default().path("key", path),
        None => Builder::default(),
    };
    let builder = builder
        .text("name", &witness.name)
        .number("checkpoint_records", witness.checkpoint_records as usize)
        .seconds("checkpoint_s", witness.checkpoint_interval)
        .number("gather_us", witness.gather.as_micros() as usize)
        .milliseconds("delay_ms", witness.delay)
        .milliseconds("patience_ms", witness.patience)
        .number("buffer_bytes_max", witness.buffer_bytes_max)
        .number("segment_bytes_max", witness.segment_bytes_max as usize)
        .number("keep_days", witness.keep.map_or(0, |keep| keep.as_secs() / 86_400) as usize)
        .number("keep_bytes", witness.keep_bytes.unwrap_or(0) as usize)
        .number("refusals_per_s", witness.refusals_per_s as usize)
        .number("refusals_per_source", witness.refusals_per_source as usize)
        .tables("anchor", witness.anchors.iter().map(|each| anchor(each)));
    match &witness.cosigning {
        Some(cosigning) => cosigned(builder, cosigning),
        None => builder,
    }
}

fn cosigned(builder: Builder, cosigning: &Cosigning) -> Builder {
    let builder = builder.text("listen", cosigning.listen);
    let builder = match &cosigning.identity {
        Some(identity) => builder.path("certificate", &identity.certificate).path("certificate_key", &identity.key),
        None => builder,
    };
    builder
        .number("requests_per_minute", cosigning.requests_per_minute as usize)
        .tables("cosigns", cosigning.logs.iter().map(|key| Builder::default().text("key", key)))
}

fn anchor(anchor: &Anchor) -> Builder {
    let url = match &anchor.kind {
        AnchorKind::S3(place) => &place.endpoint,
        AnchorKind::Peer(_) | AnchorKind::Https { .. } => &anchor.url,
    };
    let builder = Builder::default().text("url", url).seconds("every_s", anchor.every);
    let builder = match &anchor.trust {
        Some(path) => builder.path("trust", path),
        None => builder,
    };
    match &anchor.kind {
        AnchorKind::Peer(key) => builder.word("kind", AnchorWord::Peer).text("key", key),
        AnchorKind::Https { method, token } => {
            builder.word("kind", AnchorWord::Https).word("method", *method).secret_if("token", token.as_ref())
        }
        AnchorKind::S3(place) => objects(builder.word("kind", AnchorWord::S3), place),
    }
}

fn objects(builder: Builder, place: &ObjectPlace) -> Builder {
    let builder = builder
        .text("bucket", &place.bucket)
        .text("region", &place.region)
        .flag("path_style", place.path_style)
        .text("access_key_id", &place.access_key_id)
        .secret_if("secret_access_key", Some(&place.secret_access_key))
        .word("retention", place.retention)
        .number("retain_days", (place.keep.as_secs() / 86_400) as usize);
    if place.prefix.is_empty() { builder } else { builder.text("prefix", &place.prefix) }
}

pub(super) fn api(api: &Api) -> Builder {
    let builder = Builder::default().text("listen", api.listen);
    let builder = match &api.identity {
        Some(identity) => builder.path("certificate", &identity.certificate).path("key", &identity.key),
        None => builder,
    };
    let builder = match &api.client_ca {
        Some(path) => builder.path("client_ca", path),
        None => builder,
    };
    builder
        .texts("cors_origins", &api.cors_origins)
        .number("requests_per_minute", api.requests_per_minute as usize)
        .number("subscribers_max", api.subscribers_max)
}
