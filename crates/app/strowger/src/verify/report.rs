//! What was found, told as it is found and written down at the end.

use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;

/// The checks, in their order.
pub struct Report {
    json: bool,
    checks: Vec<Check>,
}

struct Check {
    name: &'static str,
    ok: bool,
    detail: String,
}

/// What is looked at, in this order.
pub const CHECKS: [&str; 17] = [
    "client",
    "message",
    "set-up time",
    "INVITE",
    "responses",
    "ACK",
    "room",
    "evidence",
    "NDI",
    "witness",
    "security",
    "latency",
    "held call",
    "BYE",
    "clean-up",
    "logs",
    "figures",
];
/// And what has to be refused.
pub const REFUSALS: [&str; 2] = ["bad source", "unapproved expert"];

impl Report {
    pub fn new(json: bool) -> Self {
        Self { json, checks: Vec::new() }
    }

    /// Makes a check, and tells how it went.
    pub fn check<T>(&mut self, name: &'static str, check: impl FnOnce() -> anyhow::Result<(T, String)>) -> Option<T> {
        match check() {
            Ok((found, detail)) => {
                self.tell(name, true, detail);
                Some(found)
            }
            Err(error) => {
                self.failed(name, &error);
                None
            }
        }
    }

    /// A check has failed.
    pub fn failed(&mut self, name: &'static str, error: &anyhow::Error) {
        self.tell(name, false, format!("{error:#}"));
    }

    fn tell(&mut self, name: &'static str, ok: bool, detail: String) {
        let number = CHECKS.iter().position(|known| *known == name).map(|place| place + 1);
        match (self.json, number) {
            (true, _) => line(&json!({ "name": name, "ok": ok, "detail": detail }).to_string()),
            (false, Some(number)) => line(&format!("{number:>3}  {}  {name:<12} {detail}", word(ok))),
            (false, None) => line(&format!("     {}  {name}: {detail}", word(ok))),
        }
        self.checks.push(Check { name, ok, detail });
    }

    /// Have all been made, and has none failed?
    pub fn has_passed(&self) -> bool {
        let made = |name: &&'static str| self.checks.iter().any(|check| check.name == *name && check.ok);
        CHECKS.iter().all(made) && REFUSALS.iter().all(made) && self.failures() == 0
    }

    fn failures(&self) -> usize {
        self.checks.iter().filter(|check| !check.ok).count()
    }

    /// The report.
    pub fn document(&self, uri: &str, figures: &Value) -> Value {
        let one = |name: &&'static str| {
            let made = self.checks.iter().find(|check| check.name == *name);
            let (ok, detail) = made.map_or((false, "it did not come to this"), |check| (check.ok, &*check.detail));
            json!({ "name": name, "ok": ok, "detail": detail })
        };
        json!({
            "uri": uri,
            "version": env!("CARGO_PKG_VERSION"),
            "time": crate::serve::now().to_string(),
            "passed": self.has_passed(),
            "checks": CHECKS.iter().map(one).collect::<Vec<_>>(),
            "refusals": REFUSALS.iter().map(one).collect::<Vec<_>>(),
            "figures": figures,
        })
    }

    /// Says what came of it all.
    pub fn verdict(&self, path: &Path) {
        let passed = self.checks.iter().filter(|check| check.ok).count();
        let all = CHECKS.len() + REFUSALS.len();
        if self.json {
            return line(
                &json!({ "name": "verdict", "ok": self.has_passed(), "passed": passed, "of": all }).to_string(),
            );
        }
        let words = if self.has_passed() {
            "Every check has passed".to_owned()
        } else {
            format!("FAILED: {passed} of {all} have passed")
        };
        line(&format!("\n{words}. The report is in {}.", path.display()));
    }
}

fn word(ok: bool) -> &'static str {
    if ok { "ok  " } else { "FAIL" }
}

/// Whoever has stopped reading is not told any more.
fn line(text: &str) {
    let mut output = std::io::stdout().lock();
    let _ = writeln!(output, "{text}");
    let _ = output.flush();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_did_not_come_to_has_not_passed() {
        let mut report = Report::new(true);
        for name in CHECKS.into_iter().chain(REFUSALS) {
            assert!(!report.has_passed());
            report.check(name, || Ok(((), "fine".into())));
        }
        assert!(report.has_passed());
        report.check("message", || anyhow::bail!("once more, and it was lost") as anyhow::Result<((), String)>);
        assert!(!report.has_passed());
        let document = report.document("sip:lind@127.0.0.1", &json!({}));
        assert_eq!((document["checks"].as_array().map(Vec::len), &document["passed"]), (Some(17), &Value::Bool(false)));
        let early = Report::new(true).document("sip:lind@127.0.0.1", &json!({}));
        assert_eq!(early["checks"][0]["detail"], "it did not come to this");
    }
}
