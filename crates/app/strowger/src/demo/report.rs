//! What was checked, told as text or as one JSON object a line.

use crate::cli::ladder::Ladder;
use crate::serve::Signals;
use serde_json::{Value, json};
use std::io::Write as _;
use std::time::Duration;

/// Tells what the demonstration finds.
#[derive(Clone, Copy)]
pub struct Report<'a> {
    /// For programs: JSON, and nothing else.
    pub json: bool,
    /// One that comes ends the demonstration in order: its folder goes with it.
    pub signals: &'a Signals,
}

impl Report<'_> {
    /// Makes a check, and tells how it went: what it gives, with a sentence about it.
    pub fn check<T>(self, name: &str, check: impl FnOnce() -> anyhow::Result<(T, String)>) -> anyhow::Result<T> {
        let stopped = self.signals.wait(Duration::ZERO).is_some();
        let outcome = if stopped { Err(anyhow::anyhow!("a signal has stopped it")) } else { check() };
        match outcome {
            Ok((found, detail)) => {
                self.tell(&format!("{name:<10} {detail}"), &check_object(name, true, &detail));
                Ok(found)
            }
            Err(error) => {
                // For people the verdict says it.
                if self.json {
                    print_line(&check_object(name, false, &format!("{error:#}")).to_string());
                }
                Err(error)
            }
        }
    }

    /// Shows a call, whose messages were checked to be all there.
    pub fn ladder(self, ladder: &Ladder) {
        let steps: Vec<Value> = ladder
            .steps()
            .into_iter()
            .map(|step| json!({ "ms": step.ms, "from": step.from, "to": step.to, "message": step.message }))
            .collect();
        let mut object = check_object("ladder", true, &format!("{} messages", steps.len()));
        object["steps"] = Value::Array(steps);
        self.tell(&format!("\n{ladder}"), &object);
    }

    /// Tells the outcome of all.
    pub fn verdict(self, outcome: &anyhow::Result<()>) {
        let (text, detail) = match outcome {
            Ok(()) => ("\nEvery check has passed.".to_owned(), "every check has passed".to_owned()),
            Err(error) => (format!("\nFAILED: {error:#}"), format!("{error:#}")),
        };
        self.tell(&text, &check_object("verdict", outcome.is_ok(), &detail));
    }

    /// Tells people what is no check.
    pub fn say(self, text: &str) {
        if !self.json {
            print_line(text);
        }
    }

    /// Tells programs what is no check.
    pub fn object(self, object: &Value) {
        if self.json {
            print_line(&object.to_string());
        }
    }

    fn tell(self, text: &str, object: &Value) {
        self.say(text);
        self.object(object);
    }
}

fn check_object(name: &str, ok: bool, detail: &str) -> Value {
    json!({ "name": name, "ok": ok, "detail": detail })
}

/// Whoever has stopped reading is not told any more.
fn print_line(line: &str) {
    let mut output = std::io::stdout().lock();
    let _ = writeln!(output, "{line}");
    let _ = output.flush();
}
