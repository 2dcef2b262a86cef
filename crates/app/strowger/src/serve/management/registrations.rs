//! Who is registered where.

use super::Operators;
use super::change::{Change, actor};
use crate::serve::asking::{Answered, Asked};
use crate::serve::mailbox::Mail;
use serde_json::{Value, json};
use std::borrow::Cow;
use sx_exchange::{Operation, RegisteredContact, Tables, keeper_of};
use sx_http::{ApiAnswer, ApiProblem, Caller};
use sx_sip::message::Uri;

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
        let aor = in_form(aor, &self.live.tables());
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
        let tables = self.live.tables();
        if user.contains('@') {
            return vec![in_form(user, &tables)];
        }
        let user = without_scheme(user).unwrap_or(user);
        tables.domains.iter().map(|domain| format!("{user}@{domain}").into()).collect()
    }
}

/// The address of record as the registrar has it, `user@domain`, of that or of its URI: without scheme, escapes, port and
/// parameters, and with our domain for an address of ours.
//= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
// The URI is converted to a canonical form: its parameters are removed, and escaped characters are unescaped.
pub(super) fn in_form(aor: &str, tables: &Tables) -> Box<str> {
    let uri = without_scheme(aor).and_then(|_| Uri::parse(aor.as_bytes()).ok()).filter(|uri| !uri.user.is_empty());
    let (user, host) = match (&uri, aor.rsplit_once('@')) {
        (Some(uri), _) => (uri.user_unescaped(), uri.host.as_str()),
        (None, Some((user, domain))) => (Cow::Borrowed(user), domain),
        (None, None) => return aor.into(),
    };
    let domain = tables.domain_of_host(host).map_or_else(|| host.to_ascii_lowercase(), str::to_owned);
    format!("{user}@{domain}").into()
}

/// What stands behind `sip:` or `sips:`, if it begins so.
fn without_scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once(':')?;
    ["sip", "sips"].iter().any(|known| scheme.eq_ignore_ascii_case(known)).then_some(rest)
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

#[cfg(test)]
mod tests {
    use super::*;
    use sx_config::Config;

    #[test]
    fn an_address_of_record_and_its_uri_are_the_same() {
        let config = Config::from_text_with_env("[exchange]\ndomains = [\"example.org\"]\n", Vec::new());
        let addresses = vec![[192, 0, 2, 1].into()];
        let tables = Tables::build(&config.expect("a good one"), addresses, None).expect("they fit together");
        let check = |text: &str, expected: &str| assert_eq!(&*in_form(text, &tables), expected, "{text}");
        for text in [
            "bob@example.org",
            "bob@EXAMPLE.org",
            "sip:bob@example.org",
            "SIPS:bob@Example.org",
            "sip:%62ob@example.org:5070;transport=tcp",
            "sip:bob@192.0.2.1",
            "bob@192.0.2.1",
        ] {
            check(text, "bob@example.org");
        }
        check("sip:bob@elsewhere.example", "bob@elsewhere.example");
        // Without a scheme it is no URI, and has no escapes.
        check("b%6Fb@example.org", "b%6Fb@example.org");
        check("+49301234567@example.org", "+49301234567@example.org");
        for nobody in ["bob", "sip:", "sip:example.org", "sip:@example.org", "tel:+49301234567"] {
            assert!(!in_form(nobody, &tables).starts_with("bob@"), "{nobody}");
        }
    }
}
