//! A whole exchange on the loopback interface: what is asked of it through its own doors.

use super::Exchange;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use sx_config::Config;

/// Two workers, so that what is counted by each is told from what there is.
fn config(data: &Path, more: &str) -> Config {
    let text = format!(
        "[exchange]\ndata = {data:?}\nworkers = 2\n[http]\nlisten = \"127.0.0.1:0\"\n[api]\nlisten = \"127.0.0.1:0\"\n\
         [sip]\nlisten = [{{ transport = \"udp\", address = \"127.0.0.1:0\" }}]\n{more}"
    );
    Config::from_text_with_env(&text, Vec::new()).expect("a good configuration")
}

/// Every metric.
fn metrics(exchange: &Exchange) -> String {
    let mut stream = TcpStream::connect(exchange.http_address()).expect("it listens");
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("it reads");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("it answers");
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    text
}

/// The value of a metric without labels.
fn metric(exchange: &Exchange, name: &str) -> Option<u64> {
    let text = metrics(exchange);
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    Some(line.trim().parse().expect("a number"))
}

#[test]
fn a_trunk_is_counted_once_however_many_workers_there_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let trunk = |name: &str| {
        format!("[[trunk]]\nname = \"{name}\"\naddresses = [\"sip:192.0.2.10\"]\noptions_interval_s = 0\n")
    };
    let config = config(folder.path(), &(trunk("west") + &trunk("east") + &trunk("south")));
    let exchange = Exchange::start(config).expect("starts");
    assert_eq!(metric(&exchange, "strowger_trunks_healthy"), Some(3));
    exchange.stop();
}

#[test]
fn a_room_has_a_metric_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let rooms = "[[room]]\nname = \"council\"\n[[room]]\nname = \"board\"\n";
    let exchange = Exchange::start(config(folder.path(), rooms)).expect("starts");
    let text = metrics(&exchange);
    for room in ["council", "board"] {
        assert!(text.contains(&format!("strowger_room_members{{room=\"{room}\"}} 0\n")), "{text}");
    }
    exchange.stop();
}

#[test]
fn every_label_of_a_metric_has_a_value() {
    let folder = tempfile::tempdir().expect("a folder");
    let exchange = Exchange::start(config(folder.path(), "")).expect("starts");
    let text = metrics(&exchange);
    assert!(text.contains("strowger_net_accept_errors_total{kind=\"system\"} 0"), "{text}");
    assert!(!text.contains("=\"\""), "{text}");
    exchange.stop();
}

#[test]
fn a_reload_says_what_waits_for_a_restart_until_then() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = config(folder.path(), "");
    let mut exchange = Exchange::start(running.clone()).expect("starts");
    let mut wanted = running.clone();
    wanted.sip.listen[0].address.set_port(5_999);
    wanted.media.interfaces[0].name = "another".into();
    wanted.exchange.drain = std::time::Duration::from_secs(7);
    let keys =
        |changes: &[sx_config::Change]| -> Vec<String> { changes.iter().map(|change| change.key.clone()).collect() };
    let first = exchange.reload(&wanted, "operator").expect("a good configuration");
    assert_eq!(keys(&first.changed), ["exchange.drain_s"]);
    assert_eq!(keys(&first.waiting), ["media.interfaces", "sip.listen"]);
    assert_eq!(exchange.drain_time(), wanted.exchange.drain);
    let again = exchange.reload(&wanted, "operator").expect("a good configuration");
    assert_eq!((again.changed, again.waiting), (Vec::new(), first.waiting), "it waits still");
    let back = exchange.reload(&running, "operator").expect("a good configuration");
    assert_eq!((keys(&back.changed), back.waiting), (vec!["exchange.drain_s".to_owned()], Vec::new()));
    exchange.stop();
}

/// A configuration with a certificate until this year; what it trusts is given, since the authorities of the system may
/// be missing where this runs.
fn with_certificate(folder: &Path, year: i32) -> Config {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    params.not_after = rcgen::date_time_ymd(year, 1, 1);
    let (certificate_file, key_file) = (folder.join("certificate.pem"), folder.join("key.pem"));
    std::fs::write(&certificate_file, params.self_signed(&key).expect("a certificate").pem()).expect("a file");
    std::fs::write(&key_file, key.serialize_pem()).expect("a file");
    let tls =
        format!("[sip.tls]\ncertificate = {certificate_file:?}\nkey = {key_file:?}\ntrust = [{certificate_file:?}]\n");
    config(&folder.join("data"), &tls)
}

const EXPIRY: &str = "strowger_tls_certificate_expiry_seconds";
const IN_2040: Option<u64> = Some(2_208_988_800);

#[test]
fn the_expiry_of_the_certificate_is_that_of_the_one_in_use() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut exchange = Exchange::start(with_certificate(folder.path(), 2040)).expect("starts");
    assert_eq!(metric(&exchange, EXPIRY), IN_2040);
    exchange.reload(&with_certificate(folder.path(), 2050), "operator").expect("a good configuration");
    assert_eq!(metric(&exchange, EXPIRY), Some(2_524_608_000));
    exchange.stop();
}

#[test]
fn a_reload_takes_no_certificate_from_an_address_that_shows_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut config_of_start = with_certificate(folder.path(), 2040);
    config_of_start.sip.listen[0].transport = sx_types::Transport::Tls;
    let mut exchange = Exchange::start(config_of_start).expect("starts");
    let trust = format!("[sip.tls]\ntrust = [{:?}]\n", folder.path().join("certificate.pem"));
    exchange.reload(&config(&folder.path().join("data"), &trust), "operator").expect("the rest is taken over");
    assert_eq!(metric(&exchange, EXPIRY), IN_2040);
    exchange.stop();
}

#[test]
fn an_exchange_without_a_certificate_starts_and_can_call_over_tls() {
    let folder = tempfile::tempdir().expect("a folder");
    // Writes the file that is trusted.
    let _ = with_certificate(folder.path(), 2040);
    let trust = format!("[sip.tls]\ntrust = [{:?}]\n", folder.path().join("certificate.pem"));
    let config = config(&folder.path().join("data"), &trust);
    let tls =
        super::tls::build(&config, sx_engine::Time::from_secs(1_800_000_000)).expect("a client").expect("it trusts");
    assert!(!tls.has_identity());
    let missing = self::config(folder.path(), "[sip.tls]\ntrust = [\"/nowhere.pem\"]\n");
    assert!(super::tls::build(&missing, sx_engine::Time::ZERO).is_err(), "what is named must be there");
}

#[test]
fn a_database_of_countries_that_is_broken_is_named_and_the_old_tables_stay() {
    let folder = tempfile::tempdir().expect("a folder");
    let broken = folder.path().join("countries.mmdb");
    std::fs::write(&broken, b"no database").expect("a file");
    let data = folder.path().join("data");
    let mut exchange = Exchange::start(config(&data, "")).expect("starts");
    let before = exchange.drain_time();
    let mut wanted = config(&data, &format!("[edge]\ngeoip_database = {broken:?}\n"));
    wanted.exchange.drain = std::time::Duration::from_secs(7);
    let error = exchange.reload(&wanted, "operator").map(|_| ()).expect_err("it is no database").to_string();
    assert!(error.contains(&broken.display().to_string()), "{error}");
    assert_eq!(exchange.drain_time(), before, "nothing of it is taken over");
    exchange.stop();
}

#[test]
fn a_policy_whose_saving_was_cut_short_does_not_drop_the_rules_in_force() {
    let folder = tempfile::tempdir().expect("a folder");
    let policy = folder.path().join("policy.toml");
    std::fs::write(&policy, "[[rule]]\nname = \"r\"\nthen = \"reject\"\n").expect("a file");
    let config = config(&folder.path().join("data"), &format!("[policy]\nfile = {policy:?}\n"));
    let mut exchange = Exchange::start(config.clone()).expect("starts");
    let rules = |exchange: &Exchange| exchange.tables.policy.rules().len();
    std::fs::write(&policy, "").expect("a file");
    for error in [exchange.reload_policy("operator").map(|_| ()), exchange.reload(&config, "operator").map(|_| ())] {
        assert!(error.expect_err("it says nothing").to_string().contains("rule = []"));
    }
    assert_eq!(rules(&exchange), 1);
    std::fs::write(&policy, "rule = []\n").expect("a file");
    exchange.reload_policy("operator").expect("it is meant");
    assert_eq!(rules(&exchange), 0);
    exchange.stop();
}

/// The records of the witness log.
fn records(data: &Path) -> String {
    let text = std::fs::read_to_string(data.join("witness/00000000000000000000.jsonl")).expect("a segment");
    text.trim_end_matches('\0').to_owned()
}

#[test]
fn users_that_another_process_changes_are_written_down_before_they_hold() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut exchange = Exchange::start(config(folder.path(), "")).expect("starts");
    let mut users = sx_store::SharedFolder::attach(folder.path()).expect("a folder").users().expect("users");
    let user = |name: &str, byte| sx_store::UserRecord {
        name: name.into(),
        domain: "example.org".into(),
        ha1_md5: [byte; 16],
        ha1_sha256: [byte; 32],
    };
    let mut until = |what: &str| {
        for _ in 0..600 {
            exchange.watch();
            if records(folder.path()).contains(what) && exchange.noticed.is_none() {
                return;
            }
            super::pause(std::time::Duration::from_millis(20));
        }
        panic!("no record has {what}: {}", records(folder.path()));
    };
    users.add(&user("anna", 1)).expect("added");
    users.add(&user("bert", 2)).expect("added");
    until("\"facts\":{\"added\":[\"anna@example.org\",\"bert@example.org\"]}");
    users.passwd("anna", "example.org", sx_store::Ha1 { md5: [3; 16], sha256: [3; 32] }).expect("changed");
    until("\"facts\":{\"changed\":[\"anna@example.org\"]}");
    users.set_enabled("bert", "example.org", false).expect("disabled");
    until("\"facts\":{\"disabled\":[\"bert@example.org\"]}");
    let records = records(folder.path());
    assert_eq!(records.matches("\"users_changed\"").count(), 3, "{records}");
    assert!(!records.contains("03030303") && !records.contains("ha1"), "nothing of a password");
    assert!(exchange.directory.find("anna@example.org").is_some());
    assert!(exchange.directory.find("bert@example.org").is_none());
    exchange.stop();
}

#[test]
fn a_clock_that_was_set_back_while_nobody_ran_is_written_down() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = config(folder.path(), "");
    Exchange::start(config.clone()).expect("starts").stop();
    assert!(!records(folder.path()).contains("clock_jumped"));
    let tomorrow = super::now() + std::time::Duration::from_secs(86_400);
    {
        let data = sx_store::DataFolder::open(folder.path()).expect("a folder");
        let key = super::trust::own_witness_key(&config).expect("a key");
        let options = super::trust::witness_options(&config);
        let (log, _) = sx_store::WitnessLog::open(&data, key, options, tomorrow).expect("a log");
        assert!(log.close(tomorrow, std::time::Duration::from_secs(10)));
    }
    Exchange::start(config).expect("starts").stop();
    assert_eq!(records(folder.path()).matches("\"outcome\":\"clock_jumped\"").count(), 1);
}

#[test]
fn a_disk_that_hangs_keeps_the_main_thread_from_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut exchange = Exchange::start(config(folder.path(), "")).expect("starts");
    let live = exchange.live.clone();
    let held = live.bans.hold();
    let (tell, told) = std::sync::mpsc::channel();
    let watching = std::thread::spawn(move || {
        exchange.watch();
        tell.send(()).expect("somebody listens");
        exchange
    });
    let watched = told.recv_timeout(std::time::Duration::from_secs(10));
    drop(held);
    watching.join().expect("it watches").stop();
    assert_eq!(watched, Ok(()));
}

#[cfg(feature = "recordings")]
#[test]
fn recordings_have_a_folder_for_nobody_else_and_metrics() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    let exchange = Exchange::start(config(folder.path(), "[recording]\n")).expect("starts");
    let made = std::fs::metadata(folder.path().join("recordings")).expect("it was made");
    assert_eq!(made.permissions().mode() & 0o777, 0o700);
    assert_eq!(metric(&exchange, "strowger_recordings"), Some(0));
    let text = metrics(&exchange);
    for result in ["complete", "failed", "refused"] {
        assert!(text.contains(&format!("strowger_recordings_ended_total{{result=\"{result}\"}} 0\n")), "{text}");
    }
    exchange.stop();
}

#[cfg(feature = "recordings")]
#[test]
fn a_recipient_that_is_none_stops_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let nobody = format!("[recording]\nrecipients = [\"age1{}\"]\n", "q".repeat(58));
    let error = Exchange::start(config(folder.path(), &nobody)).err().expect("it is nobody's key");
    assert!(format!("{error:#}").contains("recording.recipients"), "{error:#}");
}

#[cfg(not(feature = "recordings"))]
#[test]
fn a_program_without_recordings_starts_with_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = Exchange::start(config(folder.path(), "[recording]\n")).err().expect("it cannot record");
    assert!(error.to_string().contains("built without recordings"), "{error}");
}
