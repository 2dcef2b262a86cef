//! TLS: which certificate is shown, whom we trust, who must prove what, and reloading.

mod bed;

use bed::secure::{Peer, client, handshake};
use bed::{Authority, Bed, START, build, connect, message, write};
use std::sync::Arc;
use std::time::Duration;
use sx_net::tls::{
    CertificateSource, ClientAuthentication, DEPTH_MAX, Pem, SubjectName, TlsConfigError, TlsSettings, TlsVersion,
    TrustAnchors,
};
use sx_net::{CloseReason, NetLimits, PeerCertificate, SendFailure, TlsConfig, TlsFailure};
use sx_types::Transport;

fn bed(settings: &TlsSettings) -> Bed {
    Bed::new(&[Transport::Tls], NetLimits::default(), Some(build(settings)))
}

fn dns(certificate: &PeerCertificate) -> &str {
    let SubjectName::Dns(name) = &certificate.names[0] else { panic!("another name") };
    name
}

#[test]
fn messages_flow_both_ways_in_tls() {
    let authority = Authority::new();
    let mut bed = bed(&authority.settings(authority.sign(&["a.example"])));
    let mut peer = client(&bed, &authority, None, "a.example");
    handshake(&mut bed, &mut peer).expect("a handshake");
    // Longer than one record.
    let long = message("INVITE", &"x".repeat(40_000));
    write_all(&mut bed, &mut peer, &long);
    bed.until_messages(&[&long]);
    let flow = bed.opened()[0];
    assert_eq!(flow.transport, Transport::Tls);
    bed.net.send(&sx_types::Destination::Flow(flow), None, long.clone().into(), sx_types::Ticket(1));
    assert_eq!(bed.read(&mut peer, long.len()), long.as_bytes());
    peer.conn.send_close_notify();
    peer.conn.write_tls(&mut peer.sock).expect("writes");
    assert_eq!(bed.until_closed(), CloseReason::Peer);
}

/// Writes while the loop turns, so that neither waits for the other.
fn write_all(bed: &mut Bed, peer: &mut Peer, text: &str) {
    let mut rest = text.as_bytes();
    while !rest.is_empty() || peer.conn.wants_write() {
        match std::io::Write::write(&mut peer.conn.writer(), rest) {
            Ok(written) => rest = &rest[written..],
            Err(error) => panic!("{error}"),
        }
        match peer.conn.write_tls(&mut peer.sock) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
        }
        bed.turn();
    }
}

#[test]
fn the_certificate_is_chosen_by_server_name_and_reloaded_without_a_cut() {
    let authority = Authority::new();
    let mut settings = authority.settings(authority.sign(&["a.example"]));
    settings.others = vec![authority.sign(&["b.example"]), authority.sign(&["*.c.example"])];
    let mut bed = bed(&settings);
    let mut first = None;
    for (asked, shown) in [("A.example", "a.example"), ("b.example", "b.example"), ("x.c.example", "*.c.example")] {
        let mut peer = client(&bed, &authority, None, asked);
        assert_eq!(dns(&handshake(&mut bed, &mut peer).expect("a handshake")), shown);
        first.get_or_insert(peer);
    }
    let mut stranger = client(&bed, &authority, None, "d.example");
    handshake(&mut bed, &mut stranger).expect_err("the default certificate has another name");

    let renewed = authority.settings(authority.sign(&["a.example", "d.example"]));
    bed.net.reload_tls(build(&renewed));
    let mut peer = client(&bed, &authority, None, "d.example");
    handshake(&mut bed, &mut peer).expect("the new certificate has the name");
    // Who was connected before still is.
    bed.seen.clear();
    write_all(&mut bed, first.as_mut().expect("the first"), &message("BYE", ""));
    bed.until_messages(&[&message("BYE", "")]);
}

#[test]
fn who_must_show_a_certificate_and_shows_none_or_a_bad_one_is_refused() {
    let (authority, others) = (Authority::new(), Authority::new());
    let mut settings = authority.settings(authority.sign(&["a.example"]));
    settings.client_authentication = ClientAuthentication::Required(vec![Pem::Bytes(authority.pem.clone())]);
    for (identity, expected) in [
        (None, TlsFailure::CertificateMissing),
        (Some(others.sign(&["evil.example"])), TlsFailure::CertificateUntrusted),
        (
            Some(authority.sign_with(&["old.example"], |params| params.not_after = rcgen::date_time_ymd(2020, 1, 1))),
            TlsFailure::CertificateExpired,
        ),
    ] {
        let mut bed = bed(&settings);
        let mut peer = client(&bed, &authority, identity.as_ref(), "a.example");
        // In TLS 1.3 the client may think that all is well until the alert comes.
        let _ = handshake(&mut bed, &mut peer);
        bed.until("the refusal", |bed| bed.net.counters().closed_tls.value() == 1);
        assert!(bed.seen.is_empty(), "never opened: {:?}", bed.seen);
        let rows = bed.net.counters().rows();
        let failures: Vec<_> = rows.iter().filter(|(name, _, value)| *name == "tls_failures" && *value > 0).collect();
        let label = format!("{expected:?}").replace("Certificate", "certificate_").to_ascii_lowercase();
        assert_eq!(failures, [&("tls_failures", label.as_str(), 1)]);
    }
}

#[test]
fn a_client_certificate_is_reported_with_its_names() {
    let authority = Authority::new();
    let mut settings = authority.settings(authority.sign(&["a.example"]));
    settings.client_authentication = ClientAuthentication::Optional(vec![Pem::Bytes(authority.pem.clone())]);
    let mut bed = bed(&settings);
    let mut nobody = client(&bed, &authority, None, "a.example");
    handshake(&mut bed, &mut nobody).expect("optional");
    let mut peer = client(&bed, &authority, Some(&authority.sign(&["trunk.example"])), "a.example");
    handshake(&mut bed, &mut peer).expect("trusted");
    bed.until("both", |bed| bed.opened().len() == 2);
    let proven = bed.seen.iter().map(|event| match event {
        bed::Event::Opened(_, peer) => peer.as_ref().map(dns),
        other => panic!("{other:?}"),
    });
    assert_eq!(proven.collect::<Vec<_>>(), [None, Some("trunk.example")]);
}

#[test]
fn an_outgoing_connection_is_made_to_the_name_that_was_asked_for_only() {
    let (authority, others) = (Authority::new(), Authority::new());
    let sip_uri = |params: &mut rcgen::CertificateParams| {
        params.subject_alt_names.push(rcgen::SanType::URI("sip:domain.example".try_into().expect("ASCII")));
    };
    let mut server = bed(&authority.settings(authority.sign_with(&["a.example", "127.0.0.1"], sip_uri)));
    let there = server.address(Transport::Tls);
    let us = || authority.settings(authority.sign(&["us.example"]));
    let stranger = others.settings(others.sign(&["us.example"]));
    let trusting = TlsSettings { trust: TrustAnchors::InsecureAcceptAny, ..stranger.clone() };
    let wrong_name = Some(TlsFailure::CertificateWrongName);
    for (settings, name, expected) in [
        (us(), Some("a.example"), None),
        (us(), Some("domain.example"), None),
        (us(), None, None),
        (us(), Some("b.example"), wrong_name),
        (stranger, Some("a.example"), Some(TlsFailure::CertificateUntrusted)),
        (trusting, Some("anything.example"), None),
    ] {
        let proves = !matches!(settings.trust, TrustAnchors::InsecureAcceptAny);
        let mut bed = bed(&settings);
        server.seen.clear();
        bed.send_to(Transport::Tls, there, name, &message("OPTIONS", ""), 1);
        bed.until("an outcome", |bed| {
            server.turn();
            !bed.seen.is_empty()
        });
        match (expected, &bed.seen[0]) {
            (None, bed::Event::Opened(flow, peer)) => {
                assert_eq!((flow.remote, peer.is_some()), (there, proves));
                server.until_messages(&[&message("OPTIONS", "")]);
            }
            (Some(failure), bed::Event::SendFailed(ticket, _, reason)) => {
                assert_eq!((ticket.0, *reason), (1, SendFailure::Closed(CloseReason::Tls(failure))));
            }
            (expected, seen) => panic!("{name:?}: {expected:?} but {seen:?}"),
        }
    }
}

#[test]
fn connections_to_different_names_at_one_address_are_kept_apart() {
    let authority = Authority::new();
    let mut server = bed(&authority.settings(authority.sign(&["a.example", "b.example"])));
    let mut bed = bed(&authority.settings(authority.sign(&["us.example"])));
    let there = server.address(Transport::Tls);
    for name in ["a.example", "b.example", "a.example"] {
        bed.send_to(Transport::Tls, there, Some(name), &message("OPTIONS", ""), 1);
    }
    bed.until("three messages", |_| {
        server.turn();
        server.messages().len() == 3
    });
    assert_eq!(bed.opened().len(), 2);
}

#[test]
fn what_is_no_tls_is_counted_as_that() {
    let authority = Authority::new();
    let mut bed = bed(&authority.settings(authority.sign(&["a.example"])));
    let mut peer = connect(bed.address(Transport::Tls));
    write(&mut peer, message("OPTIONS", ""));
    bed.until("the refusal", |bed| bed.net.counters().tls_not_tls.value() == 1);
    let _silent = connect(bed.address(Transport::Tls));
    bed.until("accepted", |bed| bed.net.counters().connections_accepted.value() == 2);
    bed.now = bed.now + Duration::from_secs(11);
    bed.until("the timeout", |bed| bed.net.counters().closed_handshake_timeout.value() == 1);
    assert!(bed.seen.is_empty(), "neither was ever open");
}

#[test]
fn settings_that_cannot_work_name_their_fault() {
    let authority = Authority::new();
    let good = authority.sign(&["a.example"]);
    let with = |change: &dyn Fn(&mut TlsSettings)| {
        let mut settings = authority.settings(good.clone());
        change(&mut settings);
        TlsConfig::build(&settings, START).expect_err("cannot work")
    };
    let expired = authority.sign_with(&["a"], |params| params.not_after = rcgen::date_time_ymd(2026, 1, 1));
    let early = authority.sign_with(&["a"], |params| params.not_before = rcgen::date_time_ymd(2027, 1, 1));
    let text = Pem::Bytes(b"no PEM".to_vec());
    assert!(matches!(with(&|s| s.default.chain = Pem::File("/nowhere".into())), TlsConfigError::Unreadable { .. }));
    assert!(matches!(with(&|s| s.default.chain = text.clone()), TlsConfigError::NoCertificate { .. }));
    assert!(matches!(with(&|s| s.default.key = text.clone()), TlsConfigError::NoKey { .. }));
    assert!(matches!(with(&|s| s.default.key = authority.sign(&["a"]).key), TlsConfigError::KeyMismatch { .. }));
    assert!(matches!(with(&|s| s.default = expired.clone()), TlsConfigError::Expired { .. }));
    assert!(matches!(with(&|s| s.default = early.clone()), TlsConfigError::NotYetValid { .. }));
    assert!(matches!(with(&|s| s.trust = TrustAnchors::Files(vec![])), TlsConfigError::NoAuthority { .. }));
    let twice = vec![good.clone(), good.clone()];
    assert!(matches!(with(&|s| s.others = twice.clone()), TlsConfigError::NameTwice { .. }));

    let settings = TlsSettings { version_min: TlsVersion::V13, ..authority.settings(good.clone()) };
    let config = build(&settings);
    assert_eq!(config.certificates().len(), 1);
    assert_eq!(config.not_after(), Some(config.certificates()[0].not_after));
    assert!(!format!("{settings:?}").contains("KEY"), "a key is never printed");
}

/// As `openssl req -x509` makes it: signed by itself, and an authority's.
fn self_signed(names: &[&str]) -> CertificateSource {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = rcgen::CertificateParams::new(names).expect("names");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().expect("a key");
    let chain = params.self_signed(&key).expect("a certificate").pem().into_bytes();
    CertificateSource { chain: Pem::Bytes(chain), key: Pem::Bytes(key.serialize_pem().into_bytes()), names: vec![] }
}

#[test]
fn who_only_connects_needs_no_certificate_and_verifies_all_the_same() {
    let (authority, others) = (Authority::new(), Authority::new());
    let mut server = bed(&authority.settings(authority.sign(&["a.example"])));
    let there = server.address(Transport::Tls);
    for (trusted, name, expected) in [
        (&authority, "a.example", None),
        (&authority, "b.example", Some(TlsFailure::CertificateWrongName)),
        (&others, "a.example", Some(TlsFailure::CertificateUntrusted)),
    ] {
        let trust = TrustAnchors::Files(vec![Pem::Bytes(trusted.pem.clone())]);
        let tls = TlsConfig::client_only(&trust, TlsVersion::V12, DEPTH_MAX).expect("an authority");
        assert!(!tls.has_identity() && tls.not_after().is_none());
        let mut bed = Bed::new(&[], NetLimits::default(), Some(Arc::new(tls)));
        bed.send_to(Transport::Tls, there, Some(name), &message("OPTIONS", ""), 1);
        bed.until("an outcome", |bed| {
            server.turn();
            !bed.seen.is_empty()
        });
        match (expected, &bed.seen[0]) {
            (None, bed::Event::Opened(flow, Some(peer))) => assert_eq!((flow.remote, dns(peer)), (there, "a.example")),
            (Some(failure), bed::Event::SendFailed(_, _, reason)) => {
                assert_eq!(*reason, SendFailure::Closed(CloseReason::Tls(failure)));
            }
            (expected, seen) => panic!("{name}: {expected:?} but {seen:?}"),
        }
    }
}

#[test]
fn nothing_listens_without_a_certificate() {
    let authority = Authority::new();
    let trust = TrustAnchors::Files(vec![Pem::Bytes(authority.pem.clone())]);
    let client = Arc::new(TlsConfig::client_only(&trust, TlsVersion::V12, DEPTH_MAX).expect("an authority"));
    let listener = sx_net::Listener { transport: Transport::Tls, address: "127.0.0.1:0".parse().expect("an address") };
    let limits = NetLimits::default();
    let config = sx_net::NetConfig { listeners: vec![listener], tls: Some(client), limits };
    assert!(matches!(sx_net::Net::open(0, &config, START), Err(sx_net::NetError::TlsMissing { .. })));
}

#[test]
fn a_peer_whose_own_certificate_is_trusted_is_trusted_though_it_is_an_authority() {
    let (authority, pbx) = (Authority::new(), self_signed(&["pbx.example"]));
    let other = self_signed(&["pbx.example"]);
    let mut server = bed(&authority.settings(pbx.clone()));
    let there = server.address(Transport::Tls);
    let is_authority = SendFailure::Closed(CloseReason::Tls(TlsFailure::CertificateIsAuthority));
    for (trusted, expected) in [(&pbx, None), (&other, Some(is_authority))] {
        let trust = TrustAnchors::Files(vec![trusted.chain.clone()]);
        let tls = TlsConfig::client_only(&trust, TlsVersion::V12, DEPTH_MAX).expect("a certificate");
        let mut bed = Bed::new(&[], NetLimits::default(), Some(Arc::new(tls)));
        bed.send_to(Transport::Tls, there, Some("pbx.example"), &message("OPTIONS", ""), 1);
        bed.until("an outcome", |bed| {
            server.turn();
            !bed.seen.is_empty()
        });
        let failed = bed.seen.iter().find_map(|event| match event {
            bed::Event::SendFailed(_, _, reason) => Some(*reason),
            _ => None,
        });
        assert_eq!(failed, expected);
    }

    // The other way round: the same certificate, shown by who connects to us.
    let mut settings = authority.settings(authority.sign(&["a.example"]));
    settings.client_authentication = ClientAuthentication::Required(vec![pbx.chain.clone()]);
    let mut bed = bed(&settings);
    let mut peer = client(&bed, &authority, Some(&pbx), "a.example");
    handshake(&mut bed, &mut peer).expect("trusted");
    bed.until("it is open", |bed| bed.opened().len() == 1);
    let mut stranger = client(&bed, &authority, Some(&other), "a.example");
    let _ = handshake(&mut bed, &mut stranger);
    bed.until("the refusal", |bed| bed.net.counters().tls_certificate_is_authority.value() == 1);
}
