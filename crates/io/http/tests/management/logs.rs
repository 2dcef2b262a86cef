//! What is logged, and what never is.

use crate::exchange::{ask, started};
use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Every line of this process at every level.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a String cannot fail.
        let _ = write!(self.0, " {field}={value:?}");
    }
}

impl Subscriber for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut line = Line(span.metadata().name().to_owned());
        span.record(&mut line);
        self.0.lock().expect("not poisoned").push(line.0);
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut line = Line(String::new());
        values.record(&mut line);
        self.0.lock().expect("not poisoned").push(line.0);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().expect("not poisoned").push(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[test]
fn no_token_body_or_name_is_in_any_line_of_the_log() {
    let lines = Lines::default();
    tracing::subscriber::set_global_default(lines.clone()).expect("no other in this process");
    let (server, _exchange) = started();
    let ban = r#"{"seconds":60,"reason":"hush-reason"}"#;
    assert_eq!(ask(&server, "sxt_operator", "PUT", "/sources/192.0.2.99/ban", "", ban).status, 204);
    assert_eq!(ask(&server, "sxt_operator", "DELETE", "/registrations/hush-aor", "", "").status, 204);
    assert_eq!(ask(&server, "sxt_viewer", "GET", "/registrations?user=hush-user", "", "").status, 200);
    let token = r#"{"name":"hush-name","role":"viewer"}"#;
    assert_eq!(ask(&server, "sxt_administrator", "POST", "/tokens", "", token).status, 201);
    for body in [r#"{"hush-key":"hush-value""#, r#"{"seconds":"hush-value"}"#, "hush-value"] {
        ask(&server, "sxt_operator", "PUT", "/sources/192.0.2.99/ban", "", body);
    }
    ask(&server, "sxt_hush-token", "GET", "/calls", "", "").is_problem(401, "invalid-token");
    ask(&server, "sxt_expired", "GET", "/calls", "", "").is_problem(401, "invalid-token");
    ask(&server, "sxt_revoked", "GET", "/calls", "", "").is_problem(401, "invalid-token");
    ask(&server, "", "GET", "/hush-path", "Authorization: Basic hush-basic\r\nX: hush-header\r\n", "");
    server.stop();

    let lines = lines.0.lock().expect("not poisoned");
    for secret in ["hush-", "sxt_", "192.0.2.99"] {
        let found: Vec<_> = lines.iter().filter(|line| line.contains(secret)).collect();
        assert!(found.is_empty(), "{secret}: {found:?}");
    }
    // The operator learns who changed what, and why a token was refused.
    for wanted in [
        "route=Ban status=204",
        "caller=\"id-of-operator\"",
        "reason=no such token",
        "reason=the token 0a1b2c3d4e5f has expired",
        "reason=the token 0a1b2c3d4e5f was revoked",
    ] {
        assert!(lines.iter().any(|line| line.contains(wanted)), "{wanted}: {lines:#?}");
    }
}
