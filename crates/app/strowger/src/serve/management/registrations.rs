//! Who is registered where.

use super::Operators;
use super::change::{Change, actor};
use crate::serve::asking::{Answered, Asked};
use crate::serve::mailbox::Mail;
use serde_json::{Value, json};
use sx_exchange::{Operation, RegisteredContact, keeper_of};
use sx_http::{ApiAnswer, ApiProblem, Caller};

impl Operators {
    pub(super) fn registrations(&self, user: Option<&str>, limit: u32) -> Result<ApiAnswer, ApiProblem> {
        let max = limit as usize;
        let aors = user.map(|user| self.addresses_of(user));
        let (mut total, mut found) = (0, Vec::new());
        for (worker, answer) in self.ask(Asked::Registrations { aors, max })? {
            if let Answered::Registrations(count, some) = answer {
                // Of one user, who has few, as many as there are.
                total += if user.is_some() { some.len() } else { count };
                found.extend(some.into_iter().map(|contact| (worker, contact)));
            }
        }
        found.sort_by(|(_, one), (_, other)| (&one.aor, &one.uri).cmp(&(&other.aor, &other.uri)));
        found.truncate(max);
        let found: Vec<Value> = found.iter().map(|(worker, contact)| shown(*worker, contact)).collect();
        Ok(ApiAnswer::Json(json!({ "total": total, "registrations": found })))
    }

    pub(super) fn unregister(&self, caller: &Caller, aor: &str) -> Result<ApiAnswer, ApiProblem> {
        let aor = in_form(aor);
        self.change(caller, &Change::new("unregister", &aor), || {
            let asked = Asked::Registrations { aors: Some(vec![aor.clone()]), max: 1 };
            let answers = self.ask(asked)?;
            let is_known = |answer: &Answered| matches!(answer, Answered::Registrations(_, some) if !some.is_empty());
            if !answers.iter().any(|(_, answer)| is_known(answer)) {
                return Err(ApiProblem::not_found("nobody is registered under this address of record"));
            }
            let keeper = keeper_of(&aor, u16::try_from(self.workers.len()).unwrap_or(u16::MAX));
            self.workers
                .tell(keeper, Mail::Operation(Operation::Unregister { aor: aor.clone(), by: actor(caller).into() }));
            Ok(self.told())
        })
    }

    /// A user without a domain may be one of each of ours.
    fn addresses_of(&self, user: &str) -> Vec<Box<str>> {
        if user.contains('@') {
            return vec![in_form(user)];
        }
        self.live.tables().domains.iter().map(|domain| format!("{user}@{domain}").into()).collect()
    }
}

/// The address of record as the registrar has it: the domain in lower case.
fn in_form(aor: &str) -> Box<str> {
    match aor.rsplit_once('@') {
        Some((user, domain)) => format!("{user}@{}", domain.to_ascii_lowercase()).into(),
        None => aor.into(),
    }
}

fn shown(worker: u16, contact: &RegisteredContact) -> Value {
    let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    json!({
        "aor": &*contact.aor,
        "contact": &*contact.uri,
        "path": said(&contact.path),
        "instance": said(&contact.instance),
        "q_milli": contact.q_milli,
        "expires_s": contact.expires_s,
        "worker": worker,
    })
}
