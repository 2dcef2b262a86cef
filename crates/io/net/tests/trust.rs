//! Which certificates of clients hold: what was taken back, what no list covers, and how far from an authority they are.

mod bed;

use bed::secure::{client, handshake};
use bed::{Authority, Bed, START, build};
use rcgen::{CertificateRevocationListParams, KeyIdMethod, RevokedCertParams, SerialNumber};
use sx_net::tls::{CertificateSource, ClientAuthentication, Pem, Revocation, TlsConfigError, TlsSettings};
use sx_net::{NetLimits, TlsConfig};
use sx_types::Transport;

/// The serial numbers that this authority has taken back, until this year.
fn list(authority: &Authority, revoked: &[u64], year: i32) -> rcgen::CertificateRevocationList {
    let each = |serial: &u64| RevokedCertParams {
        serial_number: SerialNumber::from(*serial),
        revocation_time: rcgen::date_time_ymd(2025, 1, 2),
        reason_code: None,
        invalidity_date: None,
    };
    let params = CertificateRevocationListParams {
        this_update: rcgen::date_time_ymd(2025, 1, 3),
        next_update: rcgen::date_time_ymd(year, 1, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: revoked.iter().map(each).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(&authority.issuer).expect("a list")
}

fn pem(list: &rcgen::CertificateRevocationList) -> Pem {
    Pem::Bytes(list.pem().expect("PEM").into_bytes())
}

fn numbered(authority: &Authority, serial: u64) -> CertificateSource {
    authority.sign_with(&["phone.example"], |params| params.serial_number = Some(SerialNumber::from(serial)))
}

/// Clients must show a certificate of this authority.
fn settings(authority: &Authority, lists: Vec<Pem>, required: bool) -> TlsSettings {
    TlsSettings {
        client_authentication: ClientAuthentication::Required(vec![Pem::Bytes(authority.pem.clone())]),
        revocation: Revocation { lists, required },
        ..authority.settings(authority.sign(&["a.example"]))
    }
}

/// What becomes of a client that shows this: accepted, or refused for what the counter says.
fn outcome(settings: &TlsSettings, authority: &Authority, shown: &CertificateSource) -> Result<(), &'static str> {
    let mut bed = Bed::new(&[Transport::Tls], NetLimits::default(), Some(build(settings)));
    let mut peer = client(&bed, authority, Some(shown), "a.example");
    // In TLS 1.3 the client may think that all is well until the alert comes.
    let _ = handshake(&mut bed, &mut peer);
    bed.until("an outcome", |bed| bed.net.counters().closed_tls.value() == 1 || !bed.opened().is_empty());
    let rows = bed.net.counters().rows();
    match rows.iter().find(|(name, _, value)| *name == "tls_failures" && *value > 0) {
        None => Ok(()),
        Some((_, why, _)) => {
            assert!(bed.opened().is_empty());
            Err(why)
        }
    }
}

#[test]
fn a_client_whose_certificate_was_taken_back_is_refused_and_others_are_not() {
    let authority = Authority::new();
    let lists = list(&authority, &[7, 8], 2030);
    let der = Pem::Bytes(lists.der().to_vec());
    for file in [pem(&lists), der] {
        for required in [false, true] {
            let settings = settings(&authority, vec![file.clone()], required);
            assert_eq!(outcome(&settings, &authority, &numbered(&authority, 8)), Err("certificate_revoked"));
            assert_eq!(outcome(&settings, &authority, &numbered(&authority, 9)), Ok(()));
        }
    }
}

#[test]
fn what_no_list_covers_is_refused_where_one_is_required() {
    let (authority, other) = (Authority::new(), Authority::new());
    let of_another = pem(&list(&other, &[9], 2030));
    let shown = numbered(&authority, 9);
    assert_eq!(outcome(&settings(&authority, vec![of_another.clone()], false), &authority, &shown), Ok(()));
    let required = settings(&authority, vec![of_another], true);
    assert_eq!(outcome(&required, &authority, &shown), Err("certificate_uncovered"));
    // Nor does it help that the certificate is itself among those that are trusted.
    let trusted = [authority.pem.clone(), shown_pem(&shown)].map(Pem::Bytes).to_vec();
    let required = TlsSettings { client_authentication: ClientAuthentication::Required(trusted), ..required };
    assert_eq!(outcome(&required, &authority, &shown), Err("certificate_uncovered"));
}

fn shown_pem(shown: &CertificateSource) -> Vec<u8> {
    let Pem::Bytes(bytes) = &shown.chain else { panic!("a file") };
    bytes.clone()
}

#[test]
fn a_certificate_that_was_taken_back_stays_so_though_it_is_itself_trusted() {
    let authority = Authority::new();
    let shown = numbered(&authority, 7);
    let trusted = [authority.pem.clone(), shown_pem(&shown)].map(Pem::Bytes).to_vec();
    let settings = TlsSettings {
        client_authentication: ClientAuthentication::Required(trusted),
        ..settings(&authority, vec![pem(&list(&authority, &[7], 2030))], false)
    };
    assert_eq!(outcome(&settings, &authority, &shown), Err("certificate_revoked"));
}

#[test]
fn lists_are_read_anew_with_the_certificates() {
    let authority = Authority::new();
    let before = settings(&authority, vec![pem(&list(&authority, &[], 2030))], true);
    let mut bed = Bed::new(&[Transport::Tls], NetLimits::default(), Some(build(&before)));
    let shown = numbered(&authority, 7);
    let mut peer = client(&bed, &authority, Some(&shown), "a.example");
    handshake(&mut bed, &mut peer).expect("it holds");
    bed.until("it is open", |bed| bed.opened().len() == 1);
    bed.net.reload_tls(build(&settings(&authority, vec![pem(&list(&authority, &[7], 2030))], true)));
    let mut again = client(&bed, &authority, Some(&shown), "a.example");
    let _ = handshake(&mut bed, &mut again);
    bed.until("the refusal", |bed| bed.net.counters().tls_certificate_revoked.value() == 1);
}

#[test]
fn lists_that_cannot_be_used_are_named_with_what_to_do() {
    let authority = Authority::new();
    let with = |lists: Vec<Pem>| {
        let error = TlsConfig::build(&settings(&authority, lists, true), START).expect_err("cannot be used");
        (error.to_string(), error)
    };
    let folder = std::env::temp_dir().join(format!("strowger-lists-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let (old, broken) = (folder.join("old.crl"), folder.join("broken.crl"));
    std::fs::write(&old, list(&authority, &[], 2026).pem().expect("PEM")).expect("a file");
    std::fs::write(&broken, [0x30, 0x03, 0x02, 0x01, 0x00]).expect("a file");
    let (words, error) = with(vec![pem(&list(&authority, &[], 2030)), Pem::File(broken.clone())]);
    assert!(matches!(error, TlsConfigError::MalformedRevocationList { .. }), "{error:?}");
    assert!(words.contains(&broken.display().to_string()) && words.contains("fetch"), "{words}");
    let (words, error) = with(vec![Pem::File(old.clone())]);
    assert!(matches!(error, TlsConfigError::RevocationListExpired { .. }), "{error:?}");
    assert!(words.contains(&old.display().to_string()) && words.contains("2026-01-01T00:00:00.000Z"), "{words}");
    let (words, error) = with(vec![Pem::Bytes(b"no list".to_vec())]);
    assert!(matches!(error, TlsConfigError::MalformedRevocationList { .. }), "{words}");
    let (words, error) = with(vec![Pem::File(folder.join("nowhere"))]);
    assert!(matches!(error, TlsConfigError::Unreadable { .. }), "{words}");
    let (words, error) = with(vec![]);
    assert!(matches!(error, TlsConfigError::NoRevocationList), "{words}");
    std::fs::remove_dir_all(&folder).expect("it is removed");
}

/// A certificate with so many between it and the authority, all of which are sent.
fn far_from(authority: &Authority, between: usize) -> CertificateSource {
    let mut chain = Vec::new();
    let mut last: Option<Authority> = None;
    for _ in 0..between {
        let next = last.as_ref().unwrap_or(authority).authority();
        chain.splice(0..0, next.pem.clone());
        last = Some(next);
    }
    let leaf = last.as_ref().unwrap_or(authority).sign(&["phone.example"]);
    let chain = [shown_pem(&leaf), chain].concat();
    CertificateSource { chain: Pem::Bytes(chain), ..leaf }
}

#[test]
fn a_client_too_far_from_its_authority_is_refused() {
    let authority = Authority::new();
    for (depth_max, between, expected) in [
        (3, 0, Ok(())),
        (3, 2, Ok(())),
        (3, 3, Err("certificate_too_deep")),
        (1, 0, Ok(())),
        (1, 1, Err("certificate_too_deep")),
        (4, 3, Ok(())),
    ] {
        let settings = TlsSettings { depth_max, ..settings(&authority, Vec::new(), false) };
        let shown = far_from(&authority, between);
        assert_eq!(outcome(&settings, &authority, &shown), expected, "{between} between, {depth_max} allowed");
    }
}

#[test]
fn what_a_client_sends_beyond_its_chain_does_not_count() {
    let authority = Authority::new();
    let shown = far_from(&authority, 2);
    let more = [shown_pem(&shown), authority.pem.clone(), Authority::new().pem].concat();
    let shown = CertificateSource { chain: Pem::Bytes(more), ..shown };
    assert_eq!(outcome(&settings(&authority, Vec::new(), false), &authority, &shown), Ok(()));
}

#[test]
fn a_server_too_far_from_its_authority_is_not_called() {
    let authority = Authority::new();
    for (depth_max, expected) in [(3, true), (2, false)] {
        let settings = authority.settings(far_from(&authority, 2));
        let mut server = Bed::new(&[Transport::Tls], NetLimits::default(), Some(build(&settings)));
        let ours = TlsSettings { depth_max, ..authority.settings(authority.sign(&["us.example"])) };
        let mut bed = Bed::new(&[Transport::Tls], NetLimits::default(), Some(build(&ours)));
        bed.send_to(
            Transport::Tls,
            server.address(Transport::Tls),
            Some("phone.example"),
            &bed::message("OPTIONS", ""),
            1,
        );
        bed.until("an outcome", |bed| {
            server.turn();
            !bed.seen.is_empty()
        });
        assert_eq!(matches!(bed.seen[0], bed::Event::Opened(..)), expected, "{:?}", bed.seen);
    }
}

#[test]
fn a_depth_that_makes_no_sense_is_refused() {
    let authority = Authority::new();
    for depth_max in [0, 11] {
        let settings = TlsSettings { depth_max, ..settings(&authority, Vec::new(), false) };
        let error = TlsConfig::build(&settings, START).expect_err("out of range");
        assert!(matches!(error, TlsConfigError::DepthOutOfRange { value } if value == depth_max), "{error}");
    }
}
