//! `strowger policy`: who may do what, tried out without an exchange.

use super::{WRONG, WrongUsage, configuration, output};
use crate::wanted::Wanted;
use clap::{Args, Subcommand};
use serde_json::json;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use sx_config::{ConfigError, OwnedRequest};
use sx_guard::{Decision, Gate, Obligations, Outcome, Policy, Step};

/// Shown below the help of `strowger policy`.
pub(crate) const HELP: &str = "\
A policy is one TOML file; strowger policy reference says what stands in it, and what facts are.

Exit codes:
  0  the file is good; the request is approved, perhaps with obligations
  1  the request is rejected
  2  the policy, the facts or the usage is wrong

Examples:
  strowger policy check policy.toml
  strowger policy test policy.toml --facts call.toml
  strowger policy explain policy.toml --facts call.json";

const CHECK_HELP: &str = "\
All that is wrong is said at once, each with file, line, key and value; of a file with more than 100 errors the first 100, and how
many more there are. A rule whose obligations nothing here can meet yet is good,
and refuses all that it binds: a warning names it. With --config there are warnings of what the policy names and the configuration
does not have, too.

Examples:
  strowger policy check policy.toml
  strowger policy check policy.toml --config new.toml
  strowger policy check policy.toml --json     what is wrong as an object a line, of file, line, key, value and problem";

const TEST_HELP: &str = "\
The facts of a request are a TOML or a JSON file; what is not said has a default.

Examples:
  strowger policy test policy.toml --facts call.toml
  strowger policy test policy.toml --facts call.json --json | jq -r .outcome";

const EXPLAIN_HELP: &str = "\
Every gate and rule in the order in which they are asked: what it read, and what it said.

Examples:
  strowger policy explain policy.toml --facts call.toml
  strowger policy explain policy.toml --facts call.toml --json";

const REFERENCE_HELP: &str = "\
Examples:
  strowger policy reference | less";

/// What can be done with policies.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Read a policy and say all that is wrong with it
    #[command(after_help = CHECK_HELP)]
    Check {
        /// The policy
        file: PathBuf,
    },
    /// Decide about a request: the exit code says how
    #[command(after_help = TEST_HELP)]
    Test(Trial),
    /// Decide about a request, and say how that came about
    #[command(after_help = EXPLAIN_HELP)]
    Explain(Trial),
    /// Print the reference of policies and facts, as Markdown
    #[command(after_help = REFERENCE_HELP)]
    Reference,
}

/// A policy and a request.
#[derive(Debug, Args)]
pub(crate) struct Trial {
    /// The policy
    file: PathBuf,
    /// The facts of the request
    #[arg(long, value_name = "FACTS")]
    facts: PathBuf,
}

/// Carries out `strowger policy`. No configuration is needed; one that is `wanted` is held against the policy that is checked.
///
/// # Errors
/// When the result cannot be printed.
pub(crate) fn run_policy(command: PolicyCommand, wanted: Option<&Wanted>, json: bool) -> anyhow::Result<ExitCode> {
    match command {
        PolicyCommand::Check { file } => check(&file, wanted, json),
        PolicyCommand::Test(trial) => tried(&trial, json, test),
        PolicyCommand::Explain(trial) => tried(&trial, json, explain),
        PolicyCommand::Reference => output::text(&sx_config::policy_reference()),
    }
}

fn check(file: &Path, wanted: Option<&Wanted>, json: bool) -> anyhow::Result<ExitCode> {
    let (policy, config) = match (build(file)?, wanted.map(Wanted::load).transpose()) {
        (Ok(policy), Ok(config)) => (policy, config),
        (policy, config) => {
            let mut errors: Vec<ConfigError> = [policy.err(), config.err()].into_iter().flatten().flatten().collect();
            // The configuration may name this very policy.
            let mut told = HashSet::new();
            errors.retain(|error| told.insert(error.to_string()));
            return report(&errors, json);
        }
    };
    let (version, rules, identities) = (policy.version(), policy.rules().len(), policy.identities());
    // Without a configuration it is not known whether calls can be recorded.
    let recordings = config.as_ref().map_or(sx_exchange::Recordings::Told, sx_exchange::Recordings::of);
    let between = config.map(|config| sx_exchange::doubts_between(&config, &policy)).unwrap_or_default();
    let doubts = sx_exchange::doubts_of_policy(&policy, recordings).into_iter().chain(between);
    let warnings: Vec<String> = doubts.map(|doubt| doubt.to_string()).collect();
    if json {
        let object = json!({ "result": "good", "version": version, "rules": rules, "identities": identities, "warnings": warnings });
        return output::json_line(&object);
    }
    warnings.iter().for_each(|warning| tell!("{}: warning: {warning}", file.display()));
    output::text(&format!(
        "{}: good\n  version     {version}\n  rules       {rules}\n  identities  {identities}\n",
        file.display()
    ))
}

/// The policy in a file, or all that is wrong with it. What the file's reader lets pass, building does.
fn build(file: &Path) -> anyhow::Result<Result<Policy, Vec<ConfigError>>> {
    let (definition, hash) = match sx_config::read_policy(file) {
        Ok(read) => read,
        Err(errors) => return Ok(Err(errors)),
    };
    let wrong = |errors: Vec<sx_guard::PolicyError>| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        WrongUsage(errors.join("\n"))
    };
    Ok(Ok(Policy::build(definition, hash).map_err(wrong)?))
}

fn report(errors: &[ConfigError], json: bool) -> anyhow::Result<ExitCode> {
    if json {
        for error in errors {
            output::json_line(&configuration::error_object(error))?;
        }
        return Ok(ExitCode::from(WRONG));
    }
    errors.iter().for_each(|error| tell!("{error}"));
    let count = errors.iter().map(ConfigError::count).sum::<usize>();
    tell!("strowger: {count} error{}", if count == 1 { "" } else { "s" });
    Ok(ExitCode::from(WRONG))
}

/// Reads both files, says all that is wrong with either, or goes on.
fn tried(
    trial: &Trial,
    json: bool,
    then: fn(&Policy, &OwnedRequest, bool) -> anyhow::Result<ExitCode>,
) -> anyhow::Result<ExitCode> {
    match (build(&trial.file)?, sx_config::read_facts_file(&trial.facts)) {
        (Ok(policy), Ok(request)) => then(&policy, &request, json),
        (policy, request) => {
            let errors = [policy.err(), request.err()].into_iter().flatten().flatten();
            report(&errors.collect::<Vec<_>>(), json)
        }
    }
}

fn code(outcome: &Outcome<'_>) -> ExitCode {
    if outcome.reason().is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn test(policy: &Policy, request: &OwnedRequest, json: bool) -> anyhow::Result<ExitCode> {
    let decision = policy.decide(&request.as_request());
    if json {
        output::json_line(&decided(&decision.outcome, decision.rule, decision.gate, policy.version()))?;
    } else {
        output::text(&in_words(&decision, policy.version())?)?;
    }
    Ok(code(&decision.outcome))
}

fn in_words(decision: &Decision<'_>, version: &str) -> Result<String, std::fmt::Error> {
    let by = match (decision.rule, decision.gate) {
        (Decision::NOBODY, None) => "no rule".to_owned(),
        (rule, None) => format!("rule {rule}"),
        (rule, Some(_)) => format!("gate {rule}"),
    };
    let mut lines = vec![("outcome", decision.outcome.word().to_owned()), ("by", by)];
    if let Some(reason) = decision.outcome.reason() {
        lines.push(("reason", format!("{}: {}", reason.kind, reason.sentence)));
        lines.push(("status", sx_exchange::status_of(reason).to_string()));
        if reason.retry_after_s > 0 {
            lines.push(("retry after", format!("{} s", reason.retry_after_s)));
        }
    }
    if let Some(obligations) = decision.outcome.obligations() {
        lines.push(("obligations", obligations.to_string()));
    }
    lines.push(("version", version.to_owned()));
    let mut text = String::new();
    for (name, value) in lines {
        writeln!(text, "{name:<12} {value}")?;
    }
    Ok(text)
}

fn decided(outcome: &Outcome<'_>, rule: &str, gate: Option<Gate>, version: &str) -> serde_json::Value {
    let reason = outcome.reason().map(|reason| {
        let retry = Some(reason.retry_after_s).filter(|seconds| *seconds > 0);
        json!({
            "kind": reason.kind.to_string(),
            "status": sx_exchange::status_of(reason),
            "sentence": reason.sentence,
            "retry_after_s": retry,
        })
    });
    json!({
        "outcome": outcome.word(),
        "rule": rule,
        "gate": gate.map(|gate| gate.to_string()),
        "reason": reason,
        "obligations": outcome.obligations().map(obligations_json),
        "version": version,
    })
}

fn obligations_json(obligations: &Obligations) -> serde_json::Value {
    let codecs = obligations.codecs.as_ref().map(|codecs| codecs.iter().map(|codec| codec.name()).collect::<Vec<_>>());
    json!({
        "codecs": codecs,
        "record": obligations.record,
        "announce": obligations.announce,
        "bandwidth_kbps": obligations.bandwidth_kbps,
        "limit_s": obligations.limit_s,
    })
}

fn explain(policy: &Policy, request: &OwnedRequest, json: bool) -> anyhow::Result<ExitCode> {
    let explanation = policy.explain(&request.as_request());
    if json {
        let (outcome, rule) = (explanation.outcome(), explanation.rule());
        let mut object = decided(outcome, rule, explanation.gate(), explanation.version());
        object["steps"] = explanation.steps().iter().map(step_json).collect();
        output::json_line(&object)?;
    } else {
        output::text(&format!("{explanation}\n"))?;
    }
    Ok(code(explanation.outcome()))
}

fn step_json(step: &Step) -> serde_json::Value {
    let read = step
        .read
        .iter()
        .map(|fact| json!({ "name": fact.name, "value": fact.value, "wanted": fact.wanted, "holds": fact.holds }));
    json!({ "part": step.part.to_string(), "said": step.said.words(), "read": read.collect::<Vec<_>>() })
}
