//! Which rule takes a call, and what the address becomes.

use crate::tables::{CheckedRule, CheckedSources};
use crate::{DomainFilter, Facts, Rule, Tables};
use sx_leg::{Address, Source};

/// The rule that takes the call, most specific first; `None` when none does.
pub(crate) fn rule_for<'t>(tables: &'t Tables, facts: &Facts<'_>) -> Option<&'t CheckedRule> {
    let ours = counts_as_ours(tables, facts);
    let rank = tables.trie.best(&facts.to.user, |rank| {
        let checked = &tables.rules[rank as usize];
        takes_source(&checked.sources, facts.source)
            && takes_domain(tables, &checked.rule.domain, &facts.to.domain, ours)
            && checked.rule.matches.accepts(&facts.to.user)
    })?;
    Some(&tables.rules[rank as usize])
}

/// Is the dialled domain ours, or as good as ours because a trunk wrote it?
pub(crate) fn counts_as_ours(tables: &Tables, facts: &Facts<'_>) -> bool {
    matches!(facts.source, Source::Trunk(_)) || facts.to.domain.is_empty() || tables.is_ours(&facts.to.domain)
}

/// The address after the rule's rewriting, in our own domain when it counts as ours.
pub(crate) fn rewrite(tables: &Tables, rule: &Rule, to: &Address, ours: bool) -> Address {
    let start = to.user.char_indices().nth(usize::from(rule.strip)).map_or(to.user.len(), |(at, _)| at);
    let mut user = String::with_capacity(rule.prepend.len() + to.user.len() - start);
    user.push_str(&rule.prepend);
    user.push_str(&to.user[start..]);
    let stays = rule.domain == DomainFilter::Elsewhere;
    let domain = if stays { to.domain.clone() } else { home_domain(tables, to, ours) };
    Address { user: user.into(), domain }
}

/// The domain a user is looked up in: what a trunk writes there is not one of ours, and means our first.
pub(crate) fn home_domain(tables: &Tables, to: &Address, ours: bool) -> Box<str> {
    if ours && !tables.is_ours(&to.domain) { tables.home.clone() } else { to.domain.clone() }
}

fn takes_source(sources: &CheckedSources, source: &Source) -> bool {
    match (sources, source) {
        (CheckedSources::Any, _) | (CheckedSources::Users, Source::User(_) | Source::Exchange) => true,
        (CheckedSources::Trunks(trunks), Source::Trunk(name)) => trunks.contains(name),
        (CheckedSources::Users, Source::Trunk(_)) | (CheckedSources::Trunks(_), _) => false,
    }
}

fn takes_domain(tables: &Tables, filter: &DomainFilter, domain: &str, ours: bool) -> bool {
    match filter {
        DomainFilter::Ours => ours,
        DomainFilter::Elsewhere => !domain.is_empty() && !tables.is_ours(domain),
    }
}
