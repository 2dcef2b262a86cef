//! NDI sources, and whether the one that an escalation names is there.

use super::Operators;
use serde_json::{Value, json};
use sx_exchange::EscalationReport;
use sx_http::ApiAnswer;
use sx_net::mdns::Service;

impl Operators {
    pub(super) fn ndi_sources(&self) -> ApiAnswer {
        let sources = self.ndi.as_ref().map(|browser| browser.services()).unwrap_or_default();
        let sources: Vec<Value> = sources.iter().map(shown).collect();
        ApiAnswer::Json(json!({ "looks": self.ndi.is_some(), "total": sources.len(), "sources": sources }))
    }

    /// The source that an escalation names, and whether it is there; null when it names none.
    pub(super) fn ndi_of(&self, report: &EscalationReport) -> Value {
        let Some(name) = report.content.get("ndi_stream").and_then(Value::as_str) else { return Value::Null };
        match self.ndi.as_ref().map(|browser| browser.find(name)) {
            Some(Some(source)) => json!({ "stream": name, "state": "available", "source": shown(&source) }),
            Some(None) => json!({ "stream": name, "state": "absent" }),
            // Nobody knows, which is not an error.
            None => json!({ "stream": name, "state": "unknown" }),
        }
    }
}

fn shown(source: &Service) -> Value {
    json!({
        "name": source.name,
        "host": source.host,
        "addresses": source.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "port": source.port,
    })
}
