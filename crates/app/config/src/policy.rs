//! Policy files: from text to a [`Definition`] that fits together, or all that is wrong with it.

mod facts;
mod gates;
mod json;
mod reference;
mod rules;

pub use facts::{OwnedRequest, read_facts, read_facts_file};
pub use reference::policy_reference;

use crate::error::{ConfigError, Problem, sorted};
use crate::keys;
use crate::reader::{Reader, Run};
use crate::said::{self, Node, Origin, Said, Table};
use crate::source::{Machine, Memory, Outside, read_text};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use sx_guard::{Definition, Entry, Place, PolicyHash, Status};

/// Reads a policy file, and the registry that it names. The hash is that of the file's bytes, or of both files'. A file says
/// something of rules or of gates, be it `rule = []`: one that is empty was hardly meant to be.
///
/// # Errors
/// Everything that is wrong, sorted by file and line.
pub fn read_policy(path: &Path) -> Result<(Definition, PolicyHash), Vec<ConfigError>> {
    let name = path.display().to_string();
    let text = read_text(path).map_err(|error| vec![error])?;
    let (mut table, mut errors) = said::parse(&name, &text);
    if !said::is_broken(&errors) && !table.contains_key("rule") && !table.get("gate").is_some_and(says_something) {
        errors.push(Origin::new(&name, 1).error("rule", String::new(), Problem::Conflict(NOTHING_SAID.to_owned())));
    }
    let mut hash = PolicyHash::of(text.as_bytes());
    // One that names nothing is refused as a key.
    if let Some(node @ Node { said: Said::Text(registry), .. }) =
        table.get("registry").filter(|node| !says_nothing(node))
    {
        let (origin, shown) = (node.origin.clone(), node.shown());
        let registry = path.parent().unwrap_or(Path::new("")).join(registry);
        match read_text(&registry) {
            Ok(further) => {
                hash = PolicyHash::of_files(&[text.as_bytes(), further.as_bytes()]);
                errors.extend(add_registry(&mut table, &registry, &further));
            }
            Err(error) => {
                // Where the file is named, and which it is: its name is seen from there.
                let problem = Problem::Unreadable(format!("{}: {}", error.file, error.problem.why()));
                errors.push(origin.error("registry", shown, problem));
            }
        }
    }
    let base = path.parent().unwrap_or(Path::new("")).to_owned();
    let outside = Machine { env: BTreeMap::new(), base };
    definition((&name, &text), table, &outside, errors).map(|definition| (definition, hash))
}

/// Reads a policy from a text, which may name no further file, and be empty. Errors name it `text`.
///
/// # Errors
/// Everything that is wrong, sorted by line.
pub fn read_policy_text(text: &str) -> Result<(Definition, PolicyHash), Vec<ConfigError>> {
    let (table, mut errors) = said::parse("text", text);
    if let Some(node) = table.get("registry") {
        let problem = Problem::Unreadable("a text in memory may not refer to files".into());
        errors.push(node.origin.error("registry", node.shown(), problem));
    }
    let definition = definition(("text", text), table, &Memory { env: BTreeMap::new() }, errors)?;
    Ok((definition, PolicyHash::of(text.as_bytes())))
}

/// Is it an empty text?
fn says_nothing(node: &Node) -> bool {
    matches!(&node.said, Said::Text(text) if text.is_empty())
}

/// Is there a value, at whatever depth?
fn says_something(node: &Node) -> bool {
    match &node.said {
        Said::Table(table) => table.values().any(says_something),
        _ => true,
    }
}

/// A save that was cut short must not drop every rule.
const NOTHING_SAID: &str = "the file has no rule and says nothing of a gate; if that is meant, it says rule = []";

/// The file that a configuration names as its policy, as far as that can be told from one that is wrong.
pub(crate) fn named_by(config: &Table) -> Option<String> {
    let Some(Node { said: Said::Table(policy), .. }) = config.get("policy") else { return None };
    match &policy.get("file")?.said {
        Said::Text(file) => Some(file.clone()),
        _ => None,
    }
}

/// What is wrong with a configuration, and with the policy that it names: whoever mends the one need not wait for the other.
pub(crate) fn with_errors_of(policy: Option<&Path>, mut errors: Vec<ConfigError>) -> Vec<ConfigError> {
    let unreadable = errors.iter().any(|error| error.key == "policy.file");
    if let Some(path) = policy.filter(|_| !unreadable) {
        errors.extend(read_policy(path).err().unwrap_or_default());
    }
    sorted(errors)
}

/// Adds the identities of a registry, which holds nothing else.
fn add_registry(table: &mut Table, path: &Path, text: &str) -> Vec<ConfigError> {
    let (mut further, mut errors) = said::parse(&path.display().to_string(), text);
    if said::is_broken(&errors) {
        // What is no registry says nothing of identities, and hides nothing of the policy.
        return errors;
    }
    for (key, node) in further.extract_if(.., |key, _| key != "identity") {
        let problem = Problem::Conflict("a registry holds nothing but [[identity]]".into());
        errors.push(node.origin.error(&key, String::new(), problem));
    }
    errors.extend(said::merge(table, further, |key| key == "identity"));
    errors
}

/// What a tree means. `errors` were found before. Where the file is no TOML in places, what is wrong elsewhere in it is said all
/// the same.
fn definition(
    (file, text): (&str, &str),
    mut table: Table,
    outside: &dyn Outside,
    errors: Vec<ConfigError>,
) -> Result<Definition, Vec<ConfigError>> {
    let (broken, before) = (said::broken_tables(file, text, &errors), errors.len());
    let is_broken = |at: &str, line: usize| {
        // They are apart and in their order.
        let place = broken.partition_point(|lines| lines.end <= line);
        at == file && broken.get(place).is_some_and(|lines| lines.contains(&line))
    };
    rules::bracket_single_values(&mut table);
    let run = Run { keys: &keys::POLICY, outside, errors: RefCell::new(errors.into()) };
    let top = Reader::top(&run, &table, Origin::new(file, 1));
    top.text_if_said("registry");
    let gate = top.section("gate");
    let (codec, rate) = (gate.section("codec"), gate.section("rate"));
    let mut rules = top.entries("rule");
    // Of a rule that is no TOML nobody knows what it takes, so that none is held against it.
    rules.retain(|rule| !is_broken(&rule.origin().file, rule.origin().line));
    rules::refuse_same_names(&rules);
    let lists = Lists {
        rules: rules::comparable(rules),
        registry: top.entries("identity").into_iter().map(with_value(entry)).collect(),
        codec_classes: good(codec.entries("class"), gates::codecs),
        codec_trunks: good(codec.entries("trunk"), gates::codecs),
        rate_classes: good(rate.entries("class"), gates::named_rate),
        rate_trunks: good(rate.entries("trunk"), gates::named_rate),
        rate_identities: good(rate.entries("identity"), gates::identity_rate),
    };
    let definition = Definition {
        authenticity: gates::authenticity(&gate.section("authenticity")),
        identity: gates::identity(&gate.section("identity")),
        registry: values(&lists.registry),
        rules: values(&lists.rules),
        fairness: gates::fairness(&gate.section("fairness")),
        codec: gates::codec(&codec, values(&lists.codec_classes), values(&lists.codec_trunks)),
        rate: gates::rate(
            &rate,
            values(&lists.rate_classes),
            values(&lists.rate_trunks),
            values(&lists.rate_identities),
        ),
    };
    for error in definition.check() {
        // What of a rule does not go with itself or its name was refused before.
        let is_refused = matches!(error.place, Place::Rule(_)) && !rules::is_between(&error.problem);
        if let Some(reader) = lists.reader(error.place).filter(|_| !is_refused) {
            reader.refuse(error.key, Problem::Conflict(error.problem.to_string()));
        }
    }
    let mut errors = run.errors.into_inner().into_errors();
    let drawn = errors.split_off(before);
    // What a table is that a broken header belongs to cannot be told, only what stands in the others.
    let is_there = |error: &ConfigError| error.key.contains('.') && !is_broken(&error.file, error.line);
    errors.extend(drawn.into_iter().filter(|error| broken.is_empty() || is_there(error)));
    if errors.is_empty() { Ok(definition) } else { Err(sorted(errors)) }
}

/// The entries of a list that are good in themselves, and where each stands: only these are held against each other. Of the
/// registry it is all of them: what is wrong with one in itself does not hide that its key is another's.
type Good<'a, T> = Vec<(Reader<'a>, T)>;

struct Lists<'a> {
    rules: Good<'a, sx_guard::Rule>,
    registry: Good<'a, Entry>,
    codec_classes: Good<'a, gates::Codecs>,
    codec_trunks: Good<'a, gates::Codecs>,
    rate_classes: Good<'a, gates::Named>,
    rate_trunks: Good<'a, gates::Named>,
    rate_identities: Good<'a, gates::Named>,
}

impl<'a> Lists<'a> {
    fn reader(&self, place: Place) -> Option<&Reader<'a>> {
        fn at<'l, 'a, T>(list: &'l Good<'a, T>, index: usize) -> Option<&'l Reader<'a>> {
            list.get(index).map(|(reader, _)| reader)
        }
        match place {
            Place::Rule(index) => at(&self.rules, index),
            Place::Identity(index) => at(&self.registry, index),
            Place::CodecClass(index) => at(&self.codec_classes, index),
            Place::CodecTrunk(index) => at(&self.codec_trunks, index),
            Place::RateClass(index) => at(&self.rate_classes, index),
            Place::RateTrunk(index) => at(&self.rate_trunks, index),
            Place::RateIdentity(index) => at(&self.rate_identities, index),
        }
    }
}

fn good<'a, T>(entries: Vec<Reader<'a>>, read: impl Fn(&Reader<'a>) -> T) -> Good<'a, T> {
    let read_one = |entry: Reader<'a>| {
        let before = entry.errors();
        let value = read(&entry);
        (entry.errors() == before).then_some((entry, value))
    };
    entries.into_iter().filter_map(read_one).collect()
}

fn with_value<'a, T>(read: fn(&Reader<'a>) -> T) -> impl Fn(Reader<'a>) -> (Reader<'a>, T) {
    move |entry| {
        let value = read(&entry);
        (entry, value)
    }
}

fn values<T: Clone>(list: &Good<'_, T>) -> Vec<T> {
    list.iter().map(|(_, value)| value.clone()).collect()
}

fn entry(entry: &Reader<'_>) -> Entry {
    Entry {
        identity: boxed(entry.tested("identity", is_identity)),
        status: entry.choice("status", Status::Active),
        key: entry.parsed("key"),
        class: boxed(entry.text_if_said("class")),
        organisation: boxed(entry.text_if_said("organisation")),
    }
}

fn boxed(text: Option<Arc<str>>) -> Box<str> {
    text.map_or_else(Box::default, |text| Box::from(&*text))
}

/// `user@domain` without a scheme and without anything that would spell it another way, or the name of a trunk.
fn is_identity(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let scheme = ["sip:", "sips:", "tel:"].iter().any(|scheme| lower.starts_with(scheme));
    let halves = text.rsplit_once('@').is_none_or(|(user, domain)| !user.is_empty() && crate::value::is_host(domain));
    !scheme && halves && !text.ends_with('.') && !text.contains(['*', '<', '>', '"']) && text.trim() == text
}
