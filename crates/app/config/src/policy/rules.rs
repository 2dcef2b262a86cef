//! `[[rule]]`.

use super::boxed;
use super::gates::refuse_empty;
use crate::error::Problem;
use crate::reader::Reader;
use crate::said::{Said, Table};
use std::collections::HashSet;
use std::sync::Arc;
use sx_guard::{Conditions, Obligations, PolicyProblem, Rule, Then};
use sx_types::called_user;

/// The conditions that are lists.
const LISTS: [&str; 14] = [
    "action",
    "source",
    "trunk",
    "identity",
    "class",
    "organisation",
    "dialled",
    "dialled_prefix",
    "country",
    "network",
    "transport",
    "authenticated",
    "hours",
    "weekdays",
];

/// Makes a list of each condition that is written as a single text.
pub(super) fn bracket_single_values(table: &mut Table) {
    let Some(Said::List(rules)) = table.get_mut("rule").map(|node| &mut node.said) else { return };
    for rule in rules {
        let Said::Table(rule) = &mut rule.said else { continue };
        let Some(Said::Table(when)) = rule.get_mut("when").map(|node| &mut node.said) else { continue };
        for (name, node) in when {
            if matches!(node.said, Said::Text(_)) && LISTS.contains(&name.as_str()) {
                node.said = Said::List(vec![node.clone()]);
            }
        }
    }
}

pub(super) fn rule(entry: &Reader<'_>) -> Rule {
    Rule {
        name: boxed(entry.text_if_said("name")),
        when: conditions(&entry.section("when")),
        then: entry.choice("then", Then::Approve),
        status: entry.number_if_said("status"),
        reason: entry.text_if_said("reason").as_deref().map(Into::into),
        obligations: obligations(&entry.section("obligations")),
    }
}

/// Refuses every rule whose name an earlier one has, whatever else is wrong with either.
pub(super) fn refuse_same_names(rules: &[Reader<'_>]) {
    let mut seen = HashSet::new();
    for rule in rules {
        if let Some(name) = rule.text_as_said("name").filter(|name| !seen.insert(*name)) {
            rule.refuse("name", Problem::Conflict(PolicyProblem::RuleTwice(name.into()).to_string()));
        }
    }
}

fn conditions(when: &Reader<'_>) -> Conditions {
    refuse_empty(when, &LISTS);
    let texts = |name: &str| {
        let texts: Vec<Arc<str>> = when.tested_list(name, |_| true);
        texts.iter().map(|text| Box::from(&**text)).collect()
    };
    Conditions {
        action: when.choices("action"),
        source: when.choices("source"),
        trunk: texts("trunk"),
        identity: when.parsed_list("identity"),
        class: texts("class"),
        organisation: texts("organisation"),
        dialled: when.checked_list("dialled", dialled),
        dialled_prefix: when.checked_list("dialled_prefix", dialled),
        country: when.parsed_list("country"),
        network: when.parsed_list("network"),
        transport: when.choices("transport"),
        authenticated: when.choices("authenticated"),
        hours: when.parsed_list("hours"),
        weekdays: when.choices("weekdays"),
        score_min: when.number_if_said("score_min"),
    }
}

/// A number or a user, as they are judged. A number that is written in any other way would match no call. It would match
/// registrations of a user whose name is that, and as a prefix names that only begin so (`12-34-lobby`): of those no rule
/// can speak, since a rule that lets calls by unnoticed would be worse.
fn dialled(text: &str) -> Result<Box<str>, Problem> {
    let (user, domain) = text.split_at(text.rfind('@').unwrap_or(text.len()));
    let together = user.replace(char::is_whitespace, "");
    let number = called_user(&together);
    // Only a number is written with blanks within; nothing begins or ends with one.
    let is_number =
        !number.is_empty() && number.strip_prefix('+').unwrap_or(&number).bytes().all(|c| c.is_ascii_digit());
    let judged = if is_number || *number != *together { &*number } else { user.trim() };
    let judged = format!("{judged}{}", domain.trim());
    if judged == text {
        return Ok(judged.into());
    }
    Err(Problem::Conflict(format!("what is dialled is judged without separators and blanks; write {judged:?}")))
}

fn obligations(section: &Reader<'_>) -> Obligations {
    refuse_empty(section, &["codecs"]);
    Obligations {
        codecs: section.has("codecs").then(|| section.choices("codecs").into()),
        record: section.flag("record"),
        consent: section.choice_if_said("consent"),
        announce: section.text_if_said("announce").as_deref().map(Into::into),
        bandwidth_kbps: section.number_if_said("bandwidth_kbps"),
        limit_s: section.number_if_said("limit_s"),
    }
}
