//! The demonstration, as a program and its reader see it.

mod bed;

use bed::Bed;
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

#[test]
fn for_programs_the_demonstration_is_one_object_a_check_and_a_verdict() {
    let bed = Bed::new();
    let run = bed.run_with(&["demo", "--once", "--json"], "", &[("STROWGER_LOG__LEVEL", "error")]);
    assert_eq!((run.code, &*run.err), (Some(0), ""), "{run:?}");
    let objects: Vec<Value> = run.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    for object in &objects {
        assert!(object["name"].is_string() && object["detail"].is_string() && object["ok"] == true, "{object}");
    }
    let names: Vec<&str> = objects.iter().filter_map(|object| object["name"].as_str()).collect();
    let expected = [
        "exchange", "register", "register", "call", "hang-up", "audio", "audio", "messages", "ladder", "refused",
        "refused", "kept out", "kept out", "kept out", "kept out", "record", "witness", "verify", "forged", "council",
        "guard", "hazard", "expert", "meeting", "meeting", "meeting", "meeting", "evidence", "trace", "verdict",
    ];
    assert_eq!(names, expected);
    let ladder = objects.iter().find(|object| object["name"] == "ladder").expect("a ladder");
    let steps = ladder["steps"].as_array().expect("steps");
    let is = |step: &Value, from: &str, to: &str, begins: &str| {
        let message = step["message"].as_str().expect("a message");
        step["from"] == from && step["to"] == to && message.starts_with(begins) && step["ms"].is_u64()
    };
    assert!(is(&steps[0], "alice", "exchange", "INVITE "), "{ladder}");
    let after_bye = |from: &str, to: &str| {
        let bye = steps.iter().position(|step| is(step, from, to, "BYE ")).expect("a BYE");
        steps[bye..].iter().any(|step| is(step, to, from, "200"))
    };
    assert!(after_bye("alice", "exchange") && after_bye("exchange", "bob"), "{ladder}");
}

#[test]
fn for_people_the_ladder_ends_with_the_answer_to_the_last_bye() {
    let bed = Bed::new();
    let run = bed.run(&["demo", "--once"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let rows: Vec<&str> = run.out.lines().filter(|line| line.contains(" ms ") && line.contains('|')).collect();
    assert_eq!(rows.iter().filter(|row| row.contains(" BYE ")).count(), 2, "{}", run.out);
    assert_eq!(rows.iter().filter(|row| row.contains(" 200 OK ")).count(), 4, "two answers and two ends\n{}", run.out);
    assert!(run.out.trim_end().ends_with("Every check has passed."), "{}", run.out);
}

#[test]
fn what_the_demonstration_cannot_take_it_refuses() {
    let bed = Bed::new();
    let check = |arguments: &[&str], variables: &[(&str, &str)], expected: &str| {
        let run = bed.run_with(arguments, "", variables);
        assert_eq!((run.code, &*run.out), (Some(2), ""), "{run:?}");
        assert!(run.err.contains(expected), "{run:?}");
    };
    check(&["demo", "--once", "--config", "strowger.toml"], &[], "configuration of its own");
    check(&["demo", "--once"], &[("STROWGER_CONFIG", "strowger.toml")], "configuration of its own");
    check(&["demo", "--once"], &[("STROWGER_HEP__ADDRESS", "hep.example")], "hep.address");
    check(&["demo", "--once"], &[("STROWGER_SIP__T1_MS", "0")], "out of range");
}

#[test]
fn a_signal_in_the_midst_leaves_nothing_behind() {
    let bed = Bed::new();
    let mut demo = Command::new(env!("CARGO_BIN_EXE_strowger"))
        .args(["demo", "--once"])
        .env("TMPDIR", bed.path(""))
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut output = BufReader::new(demo.stdout.take().expect("a pipe"));
    let mut text = String::new();
    output.read_line(&mut text).expect("the exchange is up");
    let left = || std::fs::read_dir(bed.path("")).expect("a folder").filter_map(Result::ok);
    assert_eq!(left().filter(|entry| entry.file_name().to_string_lossy().starts_with("strowger-demo-")).count(), 1);
    let pid = rustix::process::Pid::from_child(&demo);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
    output.read_to_string(&mut text).expect("it speaks until it ends");
    assert_eq!(demo.wait().expect("it ends").code(), Some(1), "{text}");
    assert!(text.contains("a signal has stopped it"), "{text}");
    assert_eq!(left().filter(|entry| entry.file_name().to_string_lossy().starts_with("strowger-demo-")).count(), 0);
}

const LISTEN: &str =
    r#"[{ transport = "udp", address = "127.0.0.1:0" }, { transport = "tls", address = "127.0.0.1:0" }]"#;

#[test]
fn whoever_registers_as_it_says_has_somebody_to_call() {
    let bed = Bed::new();
    let mut demo = Command::new(env!("CARGO_BIN_EXE_strowger"))
        .args(["demo", "--json", "--data", "demo"])
        .current_dir(bed.path(""))
        .env_clear()
        .envs([
            ("STROWGER_SIP__LISTEN", LISTEN),
            ("STROWGER_HTTP__LISTEN", "127.0.0.1:0"),
            ("STROWGER_API__LISTEN", "127.0.0.1:0"),
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let lines = BufReader::new(demo.stdout.take().expect("it is piped")).lines();
    let objects = lines.map(|line| serde_json::from_str::<Value>(&line.expect("text")).expect("JSON"));
    let mut phones = Value::Null;
    for object in objects {
        match object["name"].as_str() {
            Some("phones") => phones = object,
            Some("verdict") => break,
            _ => {}
        }
    }
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let (user, password) = (text(&phones["users"][0]["user"]), text(&phones["users"][0]["password"]));
    let (udp, tls) = (text(&phones["udp"]), text(&phones["tls"]));
    let from = format!("{user}@{}", text(&phones["domain"]));
    let certificate = text(&phones["certificate"]);
    let call = text(&phones["call"]);
    let runs = [format!("sip:{udp}"), format!("sip:{tls};transport=tls")].map(|server| {
        let options = ["--server", &server, "--ca", &certificate, "--register", "--duration", "1"];
        let arguments = [&["call", &call, "--from", &from, "--password", &password], &options[..]].concat();
        bed.run(&arguments)
    });
    demo.kill().expect("it stays until then");
    let _ = demo.wait();
    for run in runs {
        assert_eq!(run.code, Some(0), "{run:?}");
    }
}
