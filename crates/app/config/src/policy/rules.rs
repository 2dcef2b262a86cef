//! `[[rule]]`.

use super::boxed;
use super::gates::refuse_empty;
use crate::error::Problem;
use crate::reader::Reader;
use crate::said::{Said, Table};
use std::collections::HashSet;
use std::sync::Arc;
use sx_guard::{Conditions, Definition, Obligations, PolicyError, PolicyProblem, Rule, Then};
use sx_types::{called_user, judged_user};

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

/// Reads all rules and refuses what of one does not go with itself. Those are given that can be held against each other:
/// their conditions and outcomes are good, whatever else is wrong with them.
pub(super) fn comparable<'a>(entries: Vec<Reader<'a>>) -> Vec<(Reader<'a>, Rule)> {
    let mut comparable = Vec::new();
    for (index, entry) in entries.into_iter().enumerate() {
        let before = entry.errors();
        let mut rule = rule(&entry);
        if rule.name.is_empty() {
            // Others speak of it as messages show it.
            rule.name = (index + 1).to_string().into();
        }
        let spoilt = entry.spoilt_since(before);
        let is_condition = |key: &String| key == "when" || key.starts_with("when.");
        if spoilt.iter().all(|key| key == "name" || is_condition(key)) {
            let alone = Definition {
                rules: vec![Rule { when: Conditions::default(), ..rule.clone() }],
                ..Definition::default()
            };
            refuse_all(&entry, &alone.check());
        }
        if !spoilt.iter().any(|key| key == "then" || is_condition(key)) {
            comparable.push((entry, rule));
        }
    }
    comparable
}

fn refuse_all(entry: &Reader<'_>, errors: &[PolicyError]) {
    for error in errors {
        entry.refuse(error.key, Problem::Conflict(error.problem.to_string()));
    }
}

/// Is it said of two rules, and not of one alone?
pub(super) fn is_between(problem: &PolicyProblem) -> bool {
    use PolicyProblem::{Contradicts, Covered, TooManyRules, TrunkOfNoTrunk};
    matches!(problem, Contradicts(_) | Covered(_) | TooManyRules(_) | TrunkOfNoTrunk)
}

fn rule(entry: &Reader<'_>) -> Rule {
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
    if let Some((scheme, bare)) = with_scheme(text) {
        return Err(Problem::Conflict(format!("what is dialled is judged without {scheme:?}; write {bare:?}")));
    }
    let (user, domain) = text.split_at(text.rfind('@').unwrap_or(text.len()));
    let together = user.replace(char::is_whitespace, "");
    let number = sx_bind_sip::called_user_part(&together);
    let number = judged_user(&number);
    // Only a number is written with blanks within; nothing begins or ends with one.
    let is_number =
        !number.is_empty() && number.strip_prefix('+').unwrap_or(number).bytes().all(|c| c.is_ascii_digit());
    // What is no number when its escapes are undone may be the name of somebody as it stands here.
    let is_written_otherwise = *number != *together && *judged_user(&called_user(&together)) != *together;
    let judged = if is_number || is_written_otherwise { number } else { user.trim() };
    let judged = format!("{judged}{}", domain.trim());
    if judged == text {
        return Ok(judged.into());
    }
    Err(Problem::Conflict(format!(
        "what is dialled is judged without separators, blanks, escapes and parameters; write {judged:?}"
    )))
}

/// The scheme of a URI, and what stands behind it.
pub(super) fn with_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, _) = text.split_once(':')?;
    let is_scheme = ["sip", "sips", "tel"].iter().any(|known| known.eq_ignore_ascii_case(scheme));
    is_scheme.then(|| text.split_at(scheme.len() + 1))
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
