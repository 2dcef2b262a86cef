//! `strowger codec`: what codecs cost, and what a conference needs.

use super::output::{self, Table};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use std::process::ExitCode;
use sx_media::{Load, Plan, Preset, Rate, cost_of};
use sx_types::Codec;

/// Shown below the help of `strowger codec`.
pub(crate) const HELP: &str = "\
Examples:
  strowger codec list
  strowger codec plan --members 12 --preset browser";

const LIST_HELP: &str = "\
Quality is the R factor of the wideband E-model (ITU-T G.107.1), at most 129; that of Opus is an estimate. So is the
processor's share, for coding and decoding one stream, in powers of ten.

Examples:
  strowger codec list
  strowger codec list --json";

const PLAN_HELP: &str = "\
Mbit/s are 10^6 bits a second. Payload is what codecs make; the wire has the headers of RTP, UDP and IPv4 as well.
Processors are estimated.

Examples:
  strowger codec plan --members 12 --preset browser
  strowger codec plan --members 40 --preset audio-only --json";

/// What is asked of codecs.
#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum CodecCommand {
    /// List the codecs with their rates, their quality and what they cost the processor
    #[command(after_help = LIST_HELP)]
    List,
    /// Say what a conference takes of links and processors
    #[command(after_help = PLAN_HELP)]
    Plan(PlanArgs),
}

/// A conference.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct PlanArgs {
    /// How many take part
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    members: u32,
    /// What each of them sends
    #[arg(long, value_enum, default_value = "browser")]
    preset: PresetWord,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PresetWord {
    /// VP8 with 1 Mbit/s, and Opus: 1.032 Mbit/s
    Browser,
    /// H.264 with 1.2 Mbit/s, and G.711: 1.264 Mbit/s
    Mixed,
    /// VP8 with 0.5 Mbit/s, and G.729: 0.508 Mbit/s
    Constrained,
    /// Opus alone: 0.032 Mbit/s
    AudioOnly,
}

/// Carries out `strowger codec`.
///
/// # Errors
/// When standard output takes no more.
pub(crate) fn run_codec(command: CodecCommand, json: bool) -> anyhow::Result<ExitCode> {
    match command {
        CodecCommand::List => list(json),
        CodecCommand::Plan(PlanArgs { members, preset }) => {
            let preset = match preset {
                PresetWord::Browser => Preset::Browser,
                PresetWord::Mixed => Preset::Mixed,
                PresetWord::Constrained => Preset::Constrained,
                PresetWord::AudioOnly => Preset::AudioOnly,
            };
            let plan = Plan::new(members, preset);
            if json { output::json_line(&plan_json(&plan)) } else { output::text(&plan_text(&plan)) }
        }
    }
}

fn list(json: bool) -> anyhow::Result<ExitCode> {
    let costs = Codec::ALL.into_iter().filter_map(cost_of);
    if json {
        for cost in costs {
            output::json_line(&json!({
                "codec": cost.codec.name(),
                "payload_mbit_s": mbit(cost.payload_bit_s.into()),
                "wire_mbit_s": mbit(cost.wire_bit_s().into()),
                "quality": cost.quality,
                "processor_us_per_s": cost.cpu_us_per_s,
                "transcoded": sx_audio::can_code(cost.codec),
            }))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(&["CODEC", "PAYLOAD", "ON THE WIRE", "QUALITY", "PROCESSOR", "TRANSCODED"]);
    for cost in costs {
        let share = |us: u32| format!("{:.2} %", f64::from(us) / 1e4);
        table.row([
            cost.codec.name().to_owned(),
            format!("{:.3} Mbit/s", mbit(cost.payload_bit_s.into())),
            format!("{:.3} Mbit/s", mbit(cost.wire_bit_s().into())),
            cost.quality.map_or_else(|| "-".to_owned(), |quality| quality.to_string()),
            cost.cpu_us_per_s.map_or_else(|| "-".to_owned(), share),
            if sx_audio::can_code(cost.codec) { "yes" } else { "no" }.to_owned(),
        ]);
    }
    output::text(&table.to_string())
}

fn plan_text(plan: &Plan) -> String {
    let pictures = plan.preset.pictures().map(|(codec, _)| format!("{codec} and "));
    let mut table = Table::new(&["", "RELAYED", "ON THE WIRE", "MIXED", "ON THE WIRE"]);
    let both = [&plan.relayed, &plan.mixed];
    for (name, rates) in [
        ("a member sends", both.map(|load| load.up)),
        ("a member is sent", both.map(|load| load.down)),
        ("the exchange", both.map(|load| load.total)),
    ] {
        let cells = rates.into_iter().flat_map(|rate| [rate.payload_bit_s, rate.wire_bit_s]);
        table.row([name.to_owned()].into_iter().chain(cells.map(|rate| format!("{:.3} Mbit/s", mbit(rate)))));
    }
    let shares = both.map(|load| format!("{:.1} %", load.efficiency * 100.0));
    let processors = both.map(|load| {
        load.processors.map_or_else(|| "not coded here".to_owned(), |processors| format!("{processors:.3} processors"))
    });
    for (name, [relayed, mixed]) in [("payload of the wire", shares), ("processors", processors)] {
        table.row([name.to_owned(), relayed, String::new(), mixed]);
    }
    format!(
        "{} members, preset {}: each sends {}{}\n\n{table}",
        plan.members,
        plan.preset.name(),
        pictures.unwrap_or_default(),
        plan.preset.sound(),
    )
}

fn plan_json(plan: &Plan) -> Value {
    let rate = |rate: Rate| json!({ "payload_mbit_s": mbit(rate.payload_bit_s), "wire_mbit_s": mbit(rate.wire_bit_s) });
    let load = |load: &Load| {
        json!({
            "up": rate(load.up),
            "down": rate(load.down),
            "total": rate(load.total),
            "processors": load.processors,
            "efficiency": load.efficiency,
        })
    };
    json!({
        "members": plan.members,
        "preset": plan.preset.name(),
        "audio": plan.preset.sound().name(),
        "video": plan.preset.pictures().map(|(codec, _)| codec.name()),
        "relayed": load(&plan.relayed),
        "mixed": load(&plan.mixed),
    })
}

/// Mbit/s: 10⁶ bits a second.
fn mbit(bit_s: u64) -> f64 {
    bit_s as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_says_its_rates_in_one_unit() {
        let plan = Plan::new(12, Preset::Browser);
        let text = plan_text(&plan);
        assert!(text.starts_with("12 members, preset browser: each sends VP8 and opus\n"), "{text}");
        for expected in ["1.032 Mbit/s", "1.081 Mbit/s", "11.352 Mbit/s", "148.608 Mbit/s", "24.768 Mbit/s"] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
        let json = plan_json(&plan);
        assert_eq!(json["relayed"]["up"]["payload_mbit_s"], 1.032);
        assert_eq!(json["mixed"]["total"]["payload_mbit_s"], 24.768);
        assert!(plan_text(&Plan::new(3, Preset::Constrained)).contains("not coded here"));
    }
}
