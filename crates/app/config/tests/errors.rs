//! What is wrong with a configuration is said completely, in one run, where it stands.

use sx_config::Config;

fn errors(text: &str) -> Vec<String> {
    match Config::from_text(text) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}

fn check(text: &str, expected: &[&str]) {
    assert_eq!(errors(text), expected, "{text}");
}

/// A trunk and a route that are good but for what is put into them.
fn check_trunk(keys: &str, expected: &[&str]) {
    check(&format!("[[trunk]]\nname = \"a\"\n{keys}\n"), expected);
}

fn check_route(keys: &str, expected: &[&str]) {
    check(&format!("[[trunk]]\nname = \"a\"\nsources = [\"10.0.0.1\"]\n[[route]]\nname = \"r\"\n{keys}\n"), expected);
}

#[test]
fn all_errors_are_found_in_one_run() {
    check(
        "[sip]\nt1_ms = \"fast\"\nrealms = \"x\"\n[media]\nports = \"7-8\"\n[[trunk]]\naddresses = [\"tel:1\"]\n[sipp]\nx = 1",
        &[
            "text:2: sip.t1_ms = \"fast\": of the wrong type; allowed: 50 to 10000 ms",
            "text:3: sip.realms: unknown key; did you mean \"realm\"?",
            "text:5: media.ports = \"7-8\": not allowed here; allowed: \"first-last\" from 1024 to 65535, first even, last odd and greater",
            "text:6: trunk[1].name: missing; allowed: text of 1 to 255 bytes without control characters",
            "text:7: trunk[1].addresses[1].uri = \"tel:1\": not allowed here; allowed: sip:[user@]host[:port][;transport=udp|tcp|tls|ws|wss], or sips:…",
            "text:8: sipp: unknown key; did you mean \"sip\"?",
        ],
    );
}

#[test]
fn text_that_is_no_toml_is_refused_with_its_line() {
    let found = errors("[sip]\nt1_ms = \n[media\nmode = \"relay\"\nmode = \"relay\"");
    assert!(found.len() >= 2 && found.iter().all(|line| line.contains("not TOML")), "{found:?}");
    assert!(found[0].starts_with("text:2: "), "{found:?}");
}

#[test]
fn a_key_that_is_said_twice_is_named_and_hides_nothing() {
    check(
        "[sip]\nt1_ms = 500\nt1_ms = 600\nt2ms = 1\n[media]\n[sip]\nrealms = \"x\"\n[log]\nlevl = { a = 1, a = 2 }",
        &[
            "text:3: t1_ms: said twice in one table, or in two ways",
            "text:4: sip.t2ms: unknown key; did you mean \"t2_ms\"?",
            "text:6: sip: said twice in one table, or in two ways",
            "text:7: sip.realms: unknown key; did you mean \"realm\"?",
            "text:9: a: said twice in one table, or in two ways",
            "text:9: log.levl: unknown key; did you mean \"level\"?",
        ],
    );
    check("[sip]\nt1_ms = 500\nt1_ms = 600", &["text:3: t1_ms: said twice in one table, or in two ways"]);
}

#[test]
fn values_of_another_type_are_refused() {
    check("sip = 1", &["text:1: sip = 1: of the wrong type; allowed: a table"]);
    check("trunk = 1", &["text:1: trunk = 1: of the wrong type; allowed: a list of tables"]);
    check("trunk = [1]", &["text:1: trunk = 1: of the wrong type; allowed: a list of tables"]);
    check("[sip]\nt1_ms = 1.5", &["text:2: sip.t1_ms = 1.5: of the wrong type; allowed: 50 to 10000 ms"]);
    check(
        "[sip]\nt1_ms = 99999999999999999999",
        &["text:2: sip.t1_ms = 99999999999999999999: of the wrong type; allowed: 50 to 10000 ms"],
    );
    check(
        "[exchange]\ndomains = [\n\"good.example\",\n\"bad host\",\n7]",
        &[
            "text:4: exchange.domains = \"bad host\": not allowed here; allowed: a list, each entry a host name",
            "text:5: exchange.domains = 7: of the wrong type; allowed: a list, each entry a host name",
        ],
    );
}

#[test]
fn values_that_do_not_fit_together_are_refused() {
    for (text, expected) in [
        ("[sip]\nt1_ms = 5000", "text:2: sip.t1_ms = 5000: t2_ms must be at least t1_ms"),
        (
            "[sip]\nring_timeout_s = 181",
            "text:2: sip.ring_timeout_s = 181: ring_timeout_s must not exceed invite_timeout_s",
        ),
        ("[sip]\nmin_se_s = 1801", "text:2: sip.min_se_s = 1801: session_expires_s must be at least min_se_s"),
        (
            "[registrar]\nexpires_max_s = 600",
            "text:2: registrar.expires_max_s = 600: expires_min_s, expires_default_s and expires_max_s must not decrease in this order",
        ),
        ("[registrar]\nalgorithms = []", "text:2: registrar.algorithms = []: at least one algorithm is needed"),
        (
            "[registrar]\nalgorithms = [\"MD5\", \"MD5\"]",
            "text:2: registrar.algorithms = \"MD5\": stands in the list twice",
        ),
        (
            "[media]\nsrtp_suites = [\n\"AEAD_AES_128_GCM\",\n\"AES_CM_128_HMAC_SHA1_80\",\n\"AEAD_AES_128_GCM\"]",
            "text:5: media.srtp_suites = \"AEAD_AES_128_GCM\": stands in the list twice",
        ),
        (
            "[media]\nmode = \"direct\"\nsrtp = \"required\"",
            "text:3: media.srtp = \"required\": \"required\" needs packets that pass through the exchange, not \"direct\"",
        ),
        ("[exchange]\ndomains = []", "text:2: exchange.domains = []: at least one domain is needed"),
        ("[sip]\nlisten = []", "text:2: sip.listen = []: at least one place to listen is needed, here or in [ng]"),
        (
            "[sip]\nlisten = [{ transport = \"tls\", address = \"0.0.0.0:5061\" }]",
            "text:2: sip.listen[1].transport = \"tls\": needs sip.tls.certificate and sip.tls.key",
        ),
        (
            "[sip]\nlisten = [{ transport = \"tcp\", address = \"0.0.0.0:1\" }, { transport = \"ws\", address = \"0.0.0.0:1\" }]",
            "text:2: sip.listen[2].address = \"0.0.0.0:1\": another entry of sip.listen has this address",
        ),
        (
            "[sip.tls]\ncertificate = \"c\"",
            "text:2: sip.tls.certificate = \"c\": certificate and key are given together or not at all",
        ),
        (
            "[sip.tls]\nclient_certificate = \"required\"",
            "text:2: sip.tls.client_certificate = \"required\": needs client_ca",
        ),
        (
            "[media]\ninterfaces = [{ name = \"a\", bind = [\"10.0.0.1\", \"10.0.0.2\"] }]",
            "text:2: media.interfaces[a].bind = [\"10.0.0.1\", \"10.0.0.2\"]: only one address of each family",
        ),
        (
            "[media]\ninterfaces = [{ name = \"a\", bind = [\"10.0.0.1\"], advertise = [\"::1\"] }]",
            "text:2: media.interfaces[a].advertise = [\"::1\"]: only one address of each family, and only of a family that is bound",
        ),
    ] {
        check(text, &[expected]);
    }
}

#[test]
fn a_trunk_whose_packets_pass_by_cannot_require_keys() {
    let wrong = |key: &str| format!("{key}: \"required\" needs packets that pass through the exchange, not \"direct\"");
    let trunk = "[[trunk]]\nname = \"a\"\nsources = [\"10.0.0.1\"]\n";
    let said = format!("text:4: {}", wrong("trunk[a].srtp = \"required\""));
    check(&format!("{trunk}srtp = \"required\"\nmedia = \"direct\""), &[&said]);
    let from_media = "; media = \"direct\" is that of media.mode (text:6), since the trunk has none of its own";
    check(&format!("{trunk}srtp = \"required\"\n[media]\nmode = \"direct\""), &[&format!("{said}{from_media}")]);
    let inherited = format!(
        "text:4: {}; srtp = \"required\" is that of media.srtp (text:6), since the trunk has none of its own",
        wrong("trunk[a].media = \"direct\"")
    );
    check(&format!("{trunk}media = \"direct\"\n[media]\nsrtp = \"required\""), &[&inherited]);
    check(&format!("{trunk}media = \"direct\"\nsrtp = \"accept\"\n[media]\nsrtp = \"required\""), &[]);
}

#[test]
fn a_message_longer_than_the_sockets_take_is_not_promised() {
    check(
        "[sip]\nmessage_bytes_max = 65536",
        &["text:2: sip.message_bytes_max = 65536: out of range; allowed: 1500 to 65535 bytes"],
    );
}

#[test]
fn an_error_at_a_key_is_not_followed_by_a_conflict_about_it() {
    check("[sip]\nt2_ms = 1\nt1_ms = 9000", &["text:2: sip.t2_ms = 1: out of range; allowed: 100 to 60000 ms"]);
    // What is beyond would be held to less than was said.
    check(
        "[edge]\nwindow_s = 601\nfailures_max = 255",
        &[
            "text:2: edge.window_s = 601: out of range; allowed: 1 to 600 s",
            "text:3: edge.failures_max = 255: out of range; allowed: 1 to 254 failures",
        ],
    );
}

#[test]
fn trunks_that_make_no_sense_are_refused() {
    check_trunk("", &["text:1: trunk[a]: needs addresses or sources: no call could come or go"]);
    check_trunk(
        "register = { registrar = \"sip:h\", aor = \"sip:us@h\" }",
        &["text:1: trunk[a]: needs addresses or sources: no call could come or go"],
    );
    check_trunk(
        "sources = [\"10.0.0.1\", \"::/0\"]",
        &[
            "text:3: trunk[a].sources = [\"10.0.0.1\", \"::/0\"]: everybody would be this trunk: only with any_source in [danger]",
        ],
    );
    check_trunk("sources = [\"0.0.0.0/0\"]\n[danger]\nany_source = true", &[]);
    check_trunk(
        "sources = [\"10.0.0.1\"]\nheaders.set = { s = \"x\", x = \"90\" }",
        &["text:4: trunk[a].headers.set: x carries the call itself and cannot be set"],
    );
    check_trunk(
        "sources = [\"10.0.0.1/8\"]",
        &[
            "text:3: trunk[a].sources = \"10.0.0.1/8\": not allowed here; allowed: a list, each entry an IP address, or address/bits with no bit set after the prefix",
        ],
    );
    check_trunk(
        "addresses = [{ uri = \"sip:h\", weight = 2 }]",
        &[
            "text:3: trunk[a].addresses[1].weight = 2: a weight needs a priority: entries share calls only at the same priority",
        ],
    );
    check_trunk(
        "sources = [\"10.0.0.1\"]\nheaders = { set = { Via = \"x\" } }",
        &["text:4: trunk[a].headers.set: Via carries the call itself and cannot be set"],
    );
    check_trunk(
        "sources = [\"10.0.0.1\"]\nheaders.set.X-A = \"a\\r\\nVia: x\"",
        &["text:4: trunk[a].headers.set: not allowed here; allowed: text of 1 to 255 bytes without control characters"],
    );
    check_trunk(
        "sources = [\"10.0.0.1\"]\n[[trunk]]\nname = \"a\"\nsources = [\"10.0.0.2\"]",
        &["text:5: trunk[a].name = \"a\": said twice; first in text:1"],
    );
    check_trunk(
        "sources = [\"10.0.0.1\"]\n[[trunk]]\nname = \"b\"\nsources = [\"10.0.0.1/32\"]",
        &["text:6: trunk[b].sources = [\"10.0.0.1/32\"]: 10.0.0.1/32 is a source of trunk a already"],
    );
    check_trunk(
        "addresses = [\"sip:h\"]\nregister = { registrar = \"sip:h\", aor = \"sip:h\" }",
        &["text:4: trunk[a].register.aor = \"sip:h\": needs a user: sip:user@host"],
    );
}

#[test]
fn rooms_that_make_no_sense_are_refused() {
    let text = "[[room]]\nname = \"a\"\nmembers_max = 1\n[[room]]\nname = \"a\"\nmembers_max = 65\ncodecs = [\"G729\"]\n\
        [[room]]\nname = \"b\"\ncodecs = []\n[[room]]\nmembers_max = 2\n\
        [[route]]\nname = \"r\"\nto = [{ room = \"c\" }, { room = \"a\", users = true }]\n";
    check(
        text,
        &[
            "text:3: room[a].members_max = 1: out of range; allowed: 2 to 64 members",
            "text:5: room[a].name = \"a\": said twice; first in text:1",
            "text:6: room[a].members_max = 65: out of range; allowed: 2 to 64 members",
            "text:7: room[a].codecs = [\"G729\"]: G729 is not coded here, so that it cannot be mixed",
            "text:10: room[b].codecs = []: at least one codec is needed",
            "text:11: room[4].name: missing; allowed: text of 1 to 255 bytes without control characters",
            "text:15: route[r].to[1].room = \"c\": not allowed here; allowed: the name of a room (\"\", \"a\", \"b\")",
            "text:15: route[r].to[2]: needs exactly one of trunk, users, room, announcement, uri and dialled",
        ],
    );
    check(
        "[[route]]\nname = \"r\"\nto = [{ room = \"c\" }]\n",
        &["text:3: route[r].to[1].room = \"c\": not allowed here; allowed: the name of a room (there is none)"],
    );
}

#[test]
fn routes_that_make_no_sense_are_refused() {
    check_route(
        "to = [{ trunk = \"b\" }]",
        &["text:6: route[r].to[1].trunk = \"b\": not allowed here; allowed: the name of a trunk (\"a\")"],
    );
    check_route(
        "to = [{ trunk = \"a\" }]",
        &["text:6: route[r].to[1].trunk = \"a\": this trunk has no addresses to call"],
    );
    check_route("to = []", &["text:6: route[r].to = []: at least one target is needed"]);
    check_route("", &["text:4: route[r].to: missing; allowed: a list of tables"]);
    check_route(
        "to = [{ users = true, uri = \"sip:h\" }]",
        &[
            "text:6: route[r].to[1]: needs exactly one of trunk, users, room, announcement, uri and dialled",
            "text:6: route[r].to: at least one target is needed",
        ],
    );
    check_route(
        "exact = \"1\"\nprefix = \"1\"\nto = [{ users = true }]",
        &["text:6: route[r].exact = \"1\": only one of exact, prefix and pattern"],
    );
    check_route(
        "exact = \"1\"\nstrip = 2\nto = [{ users = true }]",
        &["text:7: route[r].strip = 2: takes off more than the 1 characters that a number is sure to have"],
    );
    check_route(
        "pattern = \"0Z.\"\nstrip = 4\nto = [{ users = true }]",
        &["text:7: route[r].strip = 4: takes off more than the 3 characters that a number is sure to have"],
    );
    check_route("prefix = \"00\"\nstrip = 2\nto = [{ users = true }]", &[]);
    check_route(
        "strip = 1\nto = [{ users = true }]",
        &["text:6: route[r].strip = 1: takes off more than the 0 characters that a number is sure to have"],
    );
    check_route(
        "from_users = false\nto = [{ users = true }]",
        &["text:6: route[r].from_users = false: nobody's calls: name a trunk or let users in"],
    );
}

#[test]
fn a_missing_secret_is_an_error_that_names_it() {
    let hep = |password: &str| format!("[hep]\naddress = \"h\"\npassword = {password}");
    check(
        &hep("{ env = \"HEP_PASSWORD\" }"),
        &["text:3: hep.password = <secret>: the environment variable HEP_PASSWORD is not set"],
    );
    let allowed = "allowed: { env = \"NAME\" } or { file = \"path\" }, a file with mode 0600 or stricter";
    for wrong in ["\"hunter2\"", "{ env = \"A\", file = \"b\" }", "{}", "{ vault = \"hunter2\" }", "7"] {
        check(&hep(wrong), &[&format!("text:3: hep.password = <secret>: of the wrong type; {allowed}")]);
    }
}

#[test]
fn a_password_under_a_mistaken_key_is_not_shown() {
    for text in ["[hep]\naddress = \"h\"\npasword = \"hunter2\"", "[hep]\naddress = \"h\"\npassword = [\"hunter2\"]"] {
        let found = errors(text).join("\n");
        assert!(found.contains("text:3: hep.pas") && !found.contains("hunter2"), "{found}");
    }
}

#[test]
fn an_override_of_no_key_is_an_error() {
    let check = |name: &str, value: &str, expected: &str| {
        let found = Config::from_text_with_env("", [(name.to_owned(), value.to_owned())]).expect_err(name);
        assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected]);
    };
    check("STROWGER_SIP__RELM", "x", "STROWGER_SIP__RELM: sip.relm: unknown key; did you mean \"sip.realm\"?");
    check("STROWGER_SIP__T1_MS", "fast", "STROWGER_SIP__T1_MS: sip.t1_ms: of the wrong type; allowed: 50 to 10000 ms");
    check("STROWGER_SIP__T1_MS", "5", "STROWGER_SIP__T1_MS: sip.t1_ms = 5: out of range; allowed: 50 to 10000 ms");
    check(
        "STROWGER_TRUNK[]__NAME",
        "x",
        "STROWGER_TRUNK[]__NAME: trunk[].name: unknown key; did you mean \"trunk[].name\"?",
    );
    check("STROWGER_SIP____", "x", "STROWGER_SIP____: sip..: unknown key");
}

#[test]
fn a_text_in_memory_refers_to_no_file() {
    check(
        "include = [\"a.toml\"]",
        &["text:1: include = \"a.toml\": cannot be read: a text in memory may not refer to files"],
    );
    check(
        "[hep]\naddress = \"h\"\npassword = { file = \"/dev/stdin\" }",
        &["text:3: hep.password = <secret>: /dev/stdin: a text in memory may not refer to files"],
    );
}

#[test]
fn a_quoted_key_with_a_dot_is_no_way_around_the_sections() {
    check("[sip]\n\"tls.key\" = \"x\"", &["text:2: sip.tls.key: unknown key"]);
}

#[test]
fn an_anchor_or_a_witness_that_cannot_be_is_refused_with_the_reason() {
    const LOG: &str = "south.example/south+e136176f+AQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUF";
    const COSIGNER: &str = "south.example/south+45a46ec4+BAUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUF";
    let check = |text: &str, reason: &str| {
        let found = errors(text).join("\n");
        assert!(found.contains(reason) && !found.contains("hunter"), "{text}: {found}");
    };
    let anchor = |more: &str| format!("[[witness.anchor]]\n{more}\n");
    check(&anchor("kind = \"peer\"\nurl = \"http://a.example\""), "a peer needs the `key`");
    check(&anchor("kind = \"https\"\nurl = \"http://a.example\""), "over https");
    check(&anchor("kind = \"https\"\nurl = \"https://a@b.example\""), "https://host");
    check(&anchor("kind = \"https\"\nurl = \"ftp://b.example\""), "https://host");
    check(&anchor("kind = \"peer\"\nurl = \"http://a.example\"\nkey = \"a+b\""), "verifier key");
    check(&anchor("kind = \"https\"\nurl = \"https://a.example\"\ntoken = \"hunter2\""), "wrong type");
    let peer = anchor(&format!("kind = \"peer\"\nurl = \"http://a.example\"\nkey = \"{COSIGNER}\""));
    check(&peer.repeat(2), "this URL stands there twice");
    check(&format!("{peer}method = \"put\"\n"), "as its protocol says");
    let store = |url: &str, more: &str| {
        anchor(&format!("kind = \"s3\"\nurl = \"{url}\"\nregion = \"r\"\naccess_key_id = \"a\"\n{more}"))
    };
    let whole = "bucket = \"abc\"\nsecret_access_key = { env = \"HOME\" }\nretain_days = 1\n";
    check(&store("https://s.example", ""), "an object store needs the key `bucket`");
    check(&store("https://s.example", ""), "an object store needs the key `retain_days`");
    check(&store("https://s.example", "bucket = \"A_B\""), "3 to 63 of a-z");
    check(&store("https://s.example", "secret_access_key = \"hunter2\""), "{ file = ");
    check(&store("https://s.example/path", whole), "has no path");
    check(&store("https://s.example", "token = { env = \"HOME\" }"), "no token");
    check(&store("http://127.0.0.1.example", whole), "over https, except on this machine");
    check(&format!("{peer}bucket = \"abc\"\n"), "only an object store");
    let cosigns = |key: &str| format!("[[witness.cosigns]]\nkey = \"{key}\"\n");
    check(&cosigns(LOG), "go together");
    check("[witness]\nlisten = \"127.0.0.1:1\"", "go together");
    check(&format!("[witness]\nlisten = \"127.0.0.1:1\"\n{}", cosigns(COSIGNER)), "the key of a cosigner");
    check(&format!("[witness]\nlisten = \"127.0.0.1:1\"\n{}", cosigns(LOG).repeat(2)), "stands there twice");
}

#[test]
fn sounds_that_cannot_be_are_refused() {
    let tones = "\"tone:dial\", \"tone:ringback\", \"tone:busy\", \"tone:congestion\", \"tone:special-information\", \"tone:beep\", \
                 \"tone:joined\", \"tone:left\", \"tone:recorded\", \"tone:silence\"";
    check(
        "[media]\ntones = \"se\"\nmusic_on_hold = \"tone:howler\"\nmusic_on_hold_when = \"never\"",
        &[
            "text:2: media.tones = \"se\": not allowed here; allowed: \"us\", \"gb\", \"de\", \"fr\"",
            &format!("text:3: media.music_on_hold = \"tone:howler\": not allowed here; allowed: {tones}"),
            "text:4: media.music_on_hold_when = \"never\": not allowed here; allowed: \"inactive\", \"always\"",
        ],
    );
    check_route(
        "to = [{ announcement = \"closed.wav\" }]",
        &[
            "text:6: route[r].to[1].announcement = \"closed.wav\": a file is played from the folder media.sounds, which is not given",
        ],
    );
    for outside in ["../closed.wav", "/etc/passwd", "a/../../b.wav"] {
        check(
            &format!("[media]\nsounds = \"sounds\"\nmusic_on_hold = \"{outside}\""),
            &[&format!(
                "text:3: media.music_on_hold = \"{outside}\": not allowed here; allowed: the name of a file in the folder media.sounds"
            )],
        );
    }
    check_route(
        "to = [{ users = true, cause = 17, answer = true }]",
        &[
            "text:6: route[r].to[1].answer = true: goes only with announcement",
            "text:6: route[r].to[1].cause = 17: goes only with announcement",
        ],
    );
}

#[test]
fn a_name_that_is_none_is_one_error() {
    let expected =
        "text:2: room[1].name = -7: of the wrong type; allowed: text of 1 to 255 bytes without control characters";
    check("[[room]]\nname = -7", &[expected]);
}
