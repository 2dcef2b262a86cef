//! Plays streams that have travelled over several kinds of networks through the jitter buffer, and says what it is like.
//!
//! ```text
//! jitter               the table of an hour on each kind of network
//! jitter docs          the same, written into docs/jitter-buffer.md, with plots in docs/jitter-buffer/
//! jitter trace FILE    the line of one recorded journey: `sent,arrived` in milliseconds, or `sent,lost`
//! ```

mod plot;
#[path = "../../tests/simulation/mod.rs"]
mod simulation;
mod table;

use plot::Plot;
use simulation::{Heard, play};
use std::error::Error;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;
use sx_testkit::{Journeys, Route, read_journeys};

const FRAME: Duration = Duration::from_millis(20);
const HOUR: Duration = Duration::from_secs(3_600);
const SEED: u64 = 1;
/// The plots of networks show this much, so that single packets can be seen.
const SHOWN: Duration = Duration::from_secs(40);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "jitter: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [] => say(&table_of_all()),
        ["docs"] => write_documents(),
        ["trace", file] => {
            let text = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
            let journeys = read_journeys(&text).map_err(|error| format!("{file}: {error}"))?;
            if journeys.sent == 0 {
                return Err(format!("{file}: no packet was sent in it").into());
            }
            say(&format!("{}{}", table::HEAD, table::row(file, &journeys)))
        }
        _ => Err("usage: jitter [docs | trace FILE]".into()),
    }
}

fn say(text: &str) -> Result<(), Box<dyn Error>> {
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

fn table_of_all() -> String {
    let row = |route: &Route| table::row(&route.to_string(), &route.journeys(SEED, FRAME, HOUR));
    table::HEAD.to_owned() + &Route::ALL.iter().map(row).collect::<String>()
}

fn write_documents() -> Result<(), Box<dyn Error>> {
    let docs = std::path::Path::new("docs");
    let page = docs.join("jitter-buffer.md");
    let text = table::put_into(&std::fs::read_to_string(&page)?, &table_of_all())?;
    std::fs::write(page, text)?;
    let folder = docs.join("jitter-buffer");
    std::fs::create_dir_all(&folder)?;
    for (name, route) in
        [("dsl", Route::Dsl), ("wi-fi", Route::WiFi), ("lte", Route::Lte), ("low-orbit", Route::LowOrbit)]
    {
        std::fs::write(folder.join(name).with_extension("svg"), packets(route).to_svg())?;
    }
    std::fs::write(folder.join("drift.svg"), drift().to_svg())?;
    Ok(())
}

/// What packets take longer than the fastest, and when they are played.
fn packets(route: Route) -> Plot {
    let journeys = route.journeys(SEED, FRAME, SHOWN);
    let heard = play(&journeys, FRAME, |_, _| ());
    let fastest = journeys.arrived.iter().map(|a| millis(a.at) - millis(a.sent)).fold(f64::INFINITY, f64::min);
    let dots = journeys.arrived.iter().map(|a| (a.sent.as_secs_f64(), millis(a.at) - millis(a.sent) - fastest));
    let fixed = dots.clone().next().map_or(0.0, |first| first.1) + 60.0;
    Plot {
        title: format!("{route}: ms after the fastest packet would have come"),
        x_max: SHOWN.as_secs_f64(),
        x_unit: "s",
        y_max: 160.0,
        dots: dots.collect(),
        lines: vec![
            ("played by the jitter buffer", played(&heard, fastest)),
            ("60 ms after the first, fixed", vec![(0.0, fixed), (SHOWN.as_secs_f64(), fixed)]),
        ],
    }
}

fn played(heard: &Heard, fastest: f64) -> Vec<(f64, f64)> {
    heard.played.iter().map(|p| (p.sent.as_secs_f64(), millis(p.at) - millis(p.sent) - fastest)).collect()
}

/// How long packets wait in the buffer while clocks drift.
fn drift() -> Plot {
    let waits = |route: Route| {
        let journeys: Journeys = route.journeys(SEED, FRAME, HOUR);
        let heard = play(&journeys, FRAME, |_, _| ());
        let each = 250;
        heard.played.iter().step_by(each).map(|p| (p.at.as_secs_f64() / 60.0, millis(p.at) - millis(p.came))).collect()
    };
    Plot {
        title: "Clocks that drift: ms that packets wait".to_owned(),
        x_max: 60.0,
        x_unit: "min",
        y_max: 80.0,
        dots: Vec::new(),
        lines: vec![
            ("the sender is fast by 200 ppm", waits(Route::FastClock)),
            ("the sender is slow by 200 ppm", waits(Route::SlowClock)),
        ],
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
