//! What the telephone's user is told, as text or as JSON lines.

use super::Heard;
use crate::cli::output::{self, printable};
use serde_json::{Map, Value};
use std::time::Instant;
use sx_phone::{MediaStats, PhoneEvent};

/// Tells what happens, and when since the start.
pub(super) struct Reporter {
    json: bool,
    begun: Instant,
}

/// Silence that went through A-law is not quite silent: its smallest step is at -66 dBm0.
const SILENCE_DBM0: f64 = -60.0;

type Fields = Vec<(&'static str, Value)>;

impl Reporter {
    /// Time begins now.
    pub(super) fn new(json: bool) -> Self {
        Self { json, begun: Instant::now() }
    }

    /// Tells one thing.
    pub(super) fn say(&self, event: &str, text: &str, fields: &[(&'static str, Value)]) -> anyhow::Result<()> {
        let ms = self.begun.elapsed().as_millis() as u64;
        if self.json {
            let mut object = Map::new();
            object.insert("event".to_owned(), event.into());
            object.insert("ms".to_owned(), ms.into());
            object.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
            output::json_line(&Value::Object(object))?;
        } else {
            output::text(format!("{ms:>7} ms  {event:<20} {}", printable(text)).trim_end())?;
            output::text("\n")?;
        }
        Ok(())
    }

    /// Tells what has happened to the telephone.
    pub(super) fn event(&self, event: &PhoneEvent) -> anyhow::Result<()> {
        let (name, text, fields) = described(event);
        self.say(name, &text, &fields)
    }

    /// Tells how the call was.
    pub(super) fn summary(
        &self,
        heard: &Heard,
        stats: &MediaStats,
        level: f64,
        end: &Result<(), String>,
    ) -> anyhow::Result<()> {
        let talked = heard.talked.as_secs_f64();
        let (sent, received) = (stats.packets_sent, stats.packets_received);
        let mut parts = Vec::new();
        if heard.answered.is_some() {
            let (lost, jitter) = (stats.packets_lost, stats.jitter_us as f64 / 1e3);
            parts.push(format!("{talked:.1} s, {}", heard.codec.unwrap_or("no codec")));
            parts.push(format!("{sent} packets sent, {received} received, {lost} lost, jitter {jitter:.1} ms"));
            parts.push(if level > SILENCE_DBM0 {
                format!("heard {level:.1} dBm0")
            } else {
                "heard silence".to_owned()
            });
        }
        if !heard.digits.is_empty() {
            parts.push(format!("digits {}", heard.digits));
        }
        let error = end.as_ref().err();
        parts.extend(error.cloned());
        let fields = [
            ("ok", end.is_ok().into()),
            ("error", error.cloned().into()),
            ("answered", heard.answered.is_some().into()),
            ("talk_s", ((talked * 1e3).round() / 1e3).into()),
            ("codec", heard.codec.into()),
            ("packets_sent", sent.into()),
            ("packets_received", received.into()),
            ("packets_lost", stats.packets_lost.into()),
            ("jitter_us", stats.jitter_us.into()),
            ("heard_dbm0", level.is_finite().then_some((level * 10.0).round() / 10.0).into()),
            ("digits", heard.digits.as_str().into()),
        ];
        self.say(if end.is_ok() { "done" } else { "failed" }, &parts.join("; "), &fields)
    }
}

/// What was refused, with what status, and why the other end says so.
pub(super) fn refusal(what: &str, status: u16, reason: &str, warning: Option<&str>) -> String {
    let warning = warning.map(|warning| format!(" - {warning}")).unwrap_or_default();
    if status == 0 { format!("{what}: {reason}{warning}") } else { format!("{what}: {status} {reason}{warning}") }
}

/// The name, the words and the fields of an event.
fn described(event: &PhoneEvent) -> (&'static str, String, Fields) {
    let nothing = String::new;
    let refused = |status: u16, reason: &str, warning: &Option<String>| {
        let warning_text = warning.as_ref().map(|warning| format!(" - {warning}")).unwrap_or_default();
        let fields = vec![("status", status.into()), ("reason", reason.into()), ("warning", warning.clone().into())];
        (format!("{status} {reason}{warning_text}"), fields)
    };
    let by = |by_peer: bool| if by_peer { "by the other end" } else { "by us" };
    match event {
        PhoneEvent::Registered { expires } => {
            ("registered", format!("for {expires} s"), vec![("expires", (*expires).into())])
        }
        PhoneEvent::RegistrationFailed { status, reason, warning } => {
            let (text, fields) = refused(*status, reason, warning);
            ("registration failed", text, fields)
        }
        PhoneEvent::Unregistered => ("unregistered", nothing(), vec![]),
        PhoneEvent::Incoming { from, to } => {
            let fields = vec![("from", from.as_str().into()), ("to", to.as_str().into())];
            ("incoming", format!("{from} calls {to}"), fields)
        }
        PhoneEvent::Progress { status } => {
            let text = if *status == 180 { "180 Ringing".to_owned() } else { status.to_string() };
            ("progress", text, vec![("status", (*status).into())])
        }
        PhoneEvent::EarlyMedia => ("early media", nothing(), vec![]),
        PhoneEvent::Answered { codec } => ("answered", codec.name().to_owned(), vec![("codec", codec.name().into())]),
        PhoneEvent::Established => ("established", nothing(), vec![]),
        PhoneEvent::Digit(key) => ("digit", key.to_string(), vec![("digit", key.to_string().into())]),
        PhoneEvent::Held { by_peer } => ("held", by(*by_peer).to_owned(), vec![("by_peer", (*by_peer).into())]),
        PhoneEvent::Resumed { by_peer } => ("resumed", by(*by_peer).to_owned(), vec![("by_peer", (*by_peer).into())]),
        PhoneEvent::ChangeRefused { status } => {
            ("change refused", status.to_string(), vec![("status", (*status).into())])
        }
        PhoneEvent::TransferProgress(status) => ("transfer", status.to_string(), vec![("status", (*status).into())]),
        PhoneEvent::Ended { status, reason, by_peer } => {
            let fields =
                vec![("status", (*status).into()), ("reason", reason.as_str().into()), ("by_peer", (*by_peer).into())];
            ("ended", refusal(by(*by_peer), *status, reason, None).trim_end_matches(": ").to_owned(), fields)
        }
        PhoneEvent::Refused { status, reason, warning } => {
            let (text, fields) = refused(*status, reason, warning);
            ("refused", text, fields)
        }
    }
}
