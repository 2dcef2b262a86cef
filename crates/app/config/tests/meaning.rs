//! What a configuration means, and that it comes back the same when printed.

use std::time::Duration;
use sx_config::{
    AnchorKind, AnchorMethod, Callers, Config, MediaPriority, NumberMatch, Retention, TargetKind, Trunk, diff,
};
use sx_types::{Cause, Codec, HoldMusic, HoldMusicWhen, Transport};

const FULL: &str = include_str!("fixtures/full.toml");

fn secrets() -> [(String, String); 4] {
    [("CARRIER", "hunter2"), ("HEP", "hunter3"), ("KEEPER", "hunter5"), ("STORE", "hunter6")]
        .map(|(name, secret)| (name.into(), secret.into()))
}

fn full() -> Config {
    Config::from_text_with_env(FULL, secrets()).expect("a good configuration")
}

fn with_text_of(from: &str, to: &str) -> Config {
    assert!(FULL.contains(from), "{from}");
    Config::from_text_with_env(&FULL.replacen(from, to, 1), secrets()).expect("a good configuration")
}

/// The printed text with references where secrets are shown, so that it can be read again.
fn readable(printed: &str) -> String {
    let refer = |text: &str, key: &str| {
        text.replace(&format!("{key} = \"<secret>\""), &format!("{key} = {{ env = \"SAME\" }}"))
    };
    refer(&refer(&refer(printed, "password"), "token"), "secret_access_key")
}

#[test]
fn an_empty_text_has_every_default() {
    let config = Config::default();
    assert_eq!(config, Config::from_text("").expect("an empty text"));
    assert_eq!(&*config.sip.realm, "localhost");
    assert_eq!(config.sip.listen.len(), 2);
    assert_eq!(config.sip.t1, Duration::from_millis(500));
    assert_eq!(config.media.ports.to_string(), "20000-29999");
    assert_eq!(config.hep, None);
    assert!(config.exchange.workers >= 1 && config.media.threads >= 1);
    assert_eq!(config.media.priority, MediaPriority::RealTime);
    assert!(!config.danger.accept_any_certificate && !config.danger.unauthenticated_calls);
}

#[test]
fn what_is_printed_reads_back_as_the_same() {
    let default = Config::default();
    assert_eq!(Config::from_text(&default.print()), Ok(default));
    let mut full = full();
    let printed = readable(&full.print());
    let same = [("SAME".to_owned(), "hunter2".to_owned())];
    let again = Config::from_text_with_env(&printed, same).expect("what was printed");
    full.hep = again.hep.clone();
    full.witness.anchors = again.witness.anchors.clone();
    assert_eq!(again, full, "{printed}");
}

#[test]
fn anchors_and_who_is_cosigned_are_read_with_their_keys() {
    let witness = full().witness;
    let cosigning = witness.cosigning.expect("it listens");
    assert_eq!(cosigning.logs.iter().map(sx_witness::VerifyingKey::name).collect::<Vec<_>>(), ["south.example/south"]);
    assert_eq!((cosigning.listen.port(), cosigning.requests_per_minute), (8443, 30));
    assert!(cosigning.identity.is_some_and(|identity| identity.key.ends_with("witness-tls.key")));
    let [peer, service, store] = witness.anchors.as_slice() else { panic!("three anchors") };
    assert!(matches!(&peer.kind, AnchorKind::Peer(key) if !key.is_of_log()));
    assert_eq!((&*peer.url, peer.every), ("https://south.example/witness", Duration::from_secs(30)));
    let AnchorKind::Https { method, token } = &service.kind else { panic!("a service") };
    assert_eq!((*method, token.as_ref().map(sx_config::Secret::expose)), (AnchorMethod::Post, Some("hunter5")));
    assert_eq!((&service.trust, service.every), (&None, Duration::from_secs(60)));
    let AnchorKind::S3(place) = &store.kind else { panic!("an object store") };
    assert_eq!(&*store.url, "https://s3.eu-central-1.amazonaws.com/strowger-witness/anchors");
    assert_eq!((&*place.bucket, &*place.prefix, place.path_style), ("strowger-witness", "anchors", true));
    assert_eq!((place.retention, place.keep), (Retention::Governance, Duration::from_secs(3_650 * 86_400)));
    assert_eq!(place.secret_access_key.expose(), "hunter6");
    assert_eq!(Config::default().witness.cosigning, None);
}

fn lines(changes: &[sx_config::Change]) -> Vec<String> {
    changes.iter().map(ToString::to_string).collect()
}

#[test]
fn no_secret_is_shown_anywhere() {
    let config = full();
    let other = Config::from_text_with_env(FULL, secrets().map(|(name, _)| (name, "hunter4".into()))).expect("good");
    let carrier = trunk(&config, "carrier");
    assert_eq!(carrier.credentials.as_ref().expect("credentials").password.expose(), "hunter2");
    let shown = format!("{config:?}{}{:?}", config.print(), diff(&config, &other));
    assert!(!shown.contains("hunter"), "{shown}");
    let changed = diff(&config, &other);
    assert_eq!(lines(&changed[..2]), ["hep.password: changed", "trunk[carrier].password: changed"]);
    // A list whose entries have no names is shown as a whole.
    assert!(changed.len() == 3 && changed[2].key == "witness.anchor", "{changed:?}");
}

fn trunk<'c>(config: &'c Config, name: &str) -> &'c Trunk {
    config.trunks.iter().find(|trunk| &*trunk.name == name).expect("the trunk")
}

#[test]
fn a_trunk_means_what_it_says() {
    let config = full();
    let carrier = trunk(&config, "carrier");
    // The first entry has no priority: its place, 1, counts, and entries of one priority stay as written.
    let uris: Vec<_> = carrier.addresses.iter().map(|a| (a.uri.to_string(), a.weight, a.priority)).collect();
    assert_eq!(
        uris,
        [
            ("sip:b.example:5070;transport=tcp".to_owned(), 1, 1),
            ("sips:a.example".to_owned(), 3, 1),
            ("sip:c.example".to_owned(), 2, 1)
        ]
    );
    assert_eq!(carrier.addresses[0].uri.transport, Some(Transport::Tcp));
    assert!(carrier.sources[0].contains("10.9.9.9".parse().expect("an address")));
    assert_eq!(carrier.codecs_allowed, [Codec::Pcma, Codec::TelephoneEvent]);
    assert_eq!(carrier.failover_causes, [Cause(34), Cause(41)]);
    assert_eq!(carrier.options_interval, None);
    assert!(carrier.headers.passes("X-Account") && !carrier.headers.passes("x-secret"));
}

#[test]
fn a_trunk_that_says_little_takes_the_defaults_of_the_exchange() {
    let config = full();
    let trunk: &Trunk = trunk(&config, "inbound only");
    assert_eq!(trunk.calls_max, config.sip.calls_max);
    assert_eq!(trunk.media, config.media.mode);
    assert!(trunk.failover_causes.contains(&Cause::CONGESTION) && !trunk.failover_causes.contains(&Cause::USER_BUSY));
    assert_eq!(trunk.options_interval, Some(Duration::from_secs(30)));
}

#[test]
fn a_route_means_what_it_says() {
    let config = full();
    let out = &config.routes[1];
    assert_eq!(out.callers, Callers::Only { trunks: vec!["inbound only".into()], users: true });
    assert!(out.number.matches("0301234") && !out.number.matches("00"));
    assert!(matches!(out.targets[0].kind, TargetKind::Uri(_)), "targets are sorted by priority");
    let TargetKind::Trunk { user_rewrite, .. } = &out.targets[1].kind else { panic!("a trunk") };
    assert_eq!(&*user_rewrite.0, "{user};x");
    assert_eq!(config.routes[0].ring_timeout, config.sip.ring_timeout);
    let users = Callers::Only { trunks: Vec::new(), users: true };
    assert_eq!(config.routes[0].callers, users, "who leaves by a trunk must be named, or is a user");
    assert_eq!(config.routes[2].callers, Callers::Anyone, "users may be called by anybody");
    assert_eq!(config.routes[2].number, NumberMatch::Prefix("9".into()));
}

#[test]
fn a_room_means_what_it_says() {
    let room = &full().rooms[0];
    assert_eq!((&*room.name, room.members_max, &room.codecs[..]), ("council", 12, &[Codec::Pcma, Codec::G722][..]));
    let text = "[[room]]\nname = \"a\"\n[[route]]\nname = \"r\"\nto = [{ room = \"a\" }]";
    let config = Config::from_text(text).expect("a good configuration");
    assert_eq!(config.rooms[0].members_max, 25);
    let mixed = sx_media::by_preference(config.rooms[0].codecs.iter().copied(), config.media.prefer);
    let all = sx_media::by_preference(Codec::ALL.into_iter(), config.media.prefer);
    assert_eq!(mixed, all, "whatever can be coded");
    assert_eq!(config.routes[0].targets[0].kind, TargetKind::Room("a".into()));
    assert_eq!(config.routes[0].callers, Callers::Anyone, "nobody leaves by a room");
}

#[test]
fn a_reload_says_what_changed() {
    let check = |from: &str, to: &str, expected: &[&str]| {
        assert_eq!(lines(&diff(&full(), &with_text_of(from, to))), expected, "{from} -> {to}");
    };
    check("t1_ms = 250", "t1_ms = 300", &["sip.t1_ms: 250 -> 300"]);
    check("members_max = 12", "members_max = 13", &["room[council].members_max: 12 -> 13"]);
    check("calls_max = 7", "calls_max = 8", &["trunk[carrier].calls_max: 7 -> 8"]);
    check("realm = \"phones\"", "", &["sip.realm: \"phones\" -> \"example.com\""]);
    check("[[route]]\nname = \"rest\"\nprefix = \"9\"\nto = [{ users = true }]", "", &["route[rest]: removed"]);
    let (rest, out) = ("name = \"rest\"", "name = \"emergency\"");
    let text = FULL.replacen(rest, "name = \"x\"", 1).replacen(out, rest, 1).replacen("name = \"x\"", out, 1);
    let moved = Config::from_text_with_env(&text, secrets()).expect("a good configuration");
    assert_eq!(diff(&full(), &moved)[0].to_string(), "route: order [emergency, out, rest] -> [rest, out, emergency]");
    check(
        "realm = \"phones\"\nuser_agent = \"north \\\"1\\\"\"",
        "",
        &["sip.realm: \"phones\" -> \"example.com\"", "sip.user_agent: \"north \\\"1\\\"\" -> \"strowger\""],
    );
    let without = Config::from_text_with_env(&FULL.replacen("from_user = \"+4930\"", "", 1), secrets()).expect("good");
    assert_eq!(lines(&diff(&full(), &without)), ["trunk[carrier].from_user: removed (\"+4930\")"]);
    assert_eq!(lines(&diff(&without, &full())), ["trunk[carrier].from_user: added (\"+4930\")"]);
    assert!(diff(&full(), &full()).is_empty());
}

#[test]
fn the_environment_stands_above_the_text() {
    let env = [
        ("STROWGER_SIP__REALM", "from outside"),
        ("STROWGER_SIP__TLS__CLIENT_CERTIFICATE", "none"),
        ("STROWGER_EXCHANGE__DOMAINS", "[\"a.example\", \"b.example\"]"),
        ("STROWGER_SIP__T1_MS", "100"),
        ("STROWGER_HEP__ADDRESS", "hep.example:9061"),
        ("STROWGER_HEP__PASSWORD", "hunter2"),
        ("STROWGER_CONFIG", "somebody else's"),
    ];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let config = Config::from_text_with_env("[sip]\nrealm = \"inside\"\n", env).expect("a good configuration");
    assert_eq!(&*config.sip.realm, "from outside");
    assert_eq!(config.exchange.domains.len(), 2);
    assert_eq!(config.sip.t1, Duration::from_millis(100));
    let hep = config.hep.expect("a collector");
    assert_eq!((hep.address.port, hep.password.expect("a password").expose()), (Some(9061), "hunter2"));
}

#[test]
fn the_reference_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../docs/configuration.md");
    let written = std::fs::read_to_string(path).expect("docs/configuration.md");
    assert!(
        written == sx_config::reference(),
        "docs/configuration.md is old; run `cargo run -p sx-config --example reference > docs/configuration.md`"
    );
}

#[test]
fn a_reload_takes_over_what_it_can_and_keeps_the_rest() {
    let check = |from: &str, to: &str, at_once: &[&str], later: &[&str]| {
        let (running, new) = (full(), with_text_of(from, to));
        let mixed = running.reloaded(&new);
        assert_eq!(lines(&diff(&running, &mixed)), at_once, "{from} -> {to}");
        assert_eq!(lines(&diff(&mixed, &new)), later, "{from} -> {to}");
    };
    check("calls_max = 7", "calls_max = 8", &["trunk[carrier].calls_max: 7 -> 8"], &[]);
    check("realm = \"phones\"", "", &["sip.realm: \"phones\" -> \"example.com\""], &[]);
    check("t1_ms = 250", "t1_ms = 300", &[], &["sip.t1_ms: 250 -> 300"]);
    check("level = \"debug\"", "level = \"info\"", &[], &["log.level: \"debug\" -> \"info\""]);
    let mut patient = full();
    (patient.sip.invite_timeout, patient.sip.ring_timeout) = (Duration::from_secs(600), Duration::from_secs(300));
    let mixed = full().reloaded(&patient);
    assert_eq!(mixed.sip.ring_timeout, full().sip.invite_timeout, "nothing rings longer than its INVITE may take");
    assert_eq!(diff(&mixed, &patient).len(), 2, "the rest waits with it");
    let listen = full().sip.listen.clone();
    let mut elsewhere = full();
    elsewhere.sip.listen[0].address.set_port(5_999);
    elsewhere.exchange.drain = Duration::from_secs(7);
    let mixed = full().reloaded(&elsewhere);
    assert_eq!((mixed.sip.listen.clone(), mixed.exchange.drain), (listen, Duration::from_secs(7)));
    let waits = diff(&mixed, &elsewhere);
    assert!(waits.len() == 1 && waits[0].key == "sip.listen", "{waits:?}");
}

#[test]
fn sounds_mean_what_they_say() {
    let text = "[media]\nsounds = \"sounds\"\ntones = \"gb\"\nmusic_on_hold = \"music.wav\"\nmusic_on_hold_when = \"always\"\n\
        [[trunk]]\nname = \"own\"\nsources = [\"10.0.0.1\"]\nmusic_on_hold = \"tone:beep\"\n\
        [[trunk]]\nname = \"silent\"\nsources = [\"10.0.0.2\"]\nmusic_on_hold = \"none\"\n\
        [[trunk]]\nname = \"usual\"\nsources = [\"10.0.0.3\"]\n\
        [[route]]\nname = \"closed\"\nto = [{ announcement = \"closed.wav\", cause = 20 }, { announcement = \"tone:busy\", answer = true }]\n";
    let config = Config::from_text(text).expect("sounds");
    let music = |sound: &str| Some(HoldMusic { sound: sound.into(), when: HoldMusicWhen::Always });
    assert_eq!(config.media.hold_music, music("music.wav"));
    assert_eq!(config.media.sounds.country, sx_audio::Country::UnitedKingdom);
    let trunks: Vec<_> = config.trunks.iter().map(|trunk| trunk.hold_music.clone()).collect();
    assert_eq!(trunks, [music("tone:beep"), None, music("music.wav")]);
    let targets: Vec<_> = config.routes[0].targets.iter().map(|target| target.kind.clone()).collect();
    let announcement = |sound: &str, answer, cause| TargetKind::Announcement { sound: sound.into(), answer, cause };
    let expected = [announcement("closed.wav", false, Cause::ABSENT), announcement("tone:busy", true, Cause(31))];
    assert_eq!(targets, expected);
    assert_eq!(config.routes[0].callers, Callers::Anyone, "nobody pays for what is announced");
    assert_eq!(Config::from_text(&config.print()).expect("what is printed can be read"), config);
    assert_eq!(Config::default().media.hold_music, None);
}
