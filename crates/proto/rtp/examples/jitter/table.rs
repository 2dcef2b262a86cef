//! The table: a network a row, as the buffer plays it and as a fixed delay would.

use crate::simulation::{Heard, jitter_of_network, lost_share, play, play_fixed};
use std::time::Duration;
use sx_testkit::Journeys;

pub const HEAD: &str = "\
| network | its jitter | lost | | jitter left | wait | made up | late |
| --- | --- | --- | --- | --- | --- | --- | --- |
";

const BEGIN: &str = "<!-- written by the simulator -->\n";
const END: &str = "<!-- to here -->\n";

/// Two rows for a network.
pub fn row(name: &str, journeys: &Journeys) -> String {
    let every = crate::FRAME;
    let adaptive = cells(&play(journeys, every, |_, _| ()));
    let fixed = cells(&play_fixed(journeys, Duration::from_millis(60)));
    let (jitter, lost) = (pair(jitter_of_network(journeys)), percent(lost_share(journeys)));
    format!("| {name} | {jitter} | {lost} | adaptive | {adaptive} |\n| | | | 60 ms | {fixed} |\n")
}

fn cells(heard: &Heard) -> String {
    let (concealed, late) = (percent(heard.concealed_share()), percent(heard.late_share()));
    format!("{} | {:.0} / {:.0} | {concealed} | {late}", pair(heard.jitter()), heard.waits(0.5), heard.waits(0.99))
}

fn pair((mean, most): (f64, f64)) -> String {
    format!("{mean:.1} / {most:.1}")
}

fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

/// A page with the table in the place of the one before.
pub fn put_into(page: &str, table: &str) -> Result<String, &'static str> {
    let (before, rest) = page.split_once(BEGIN).ok_or("no place for the table")?;
    let (_, after) = rest.split_once(END).ok_or("no end of the table")?;
    Ok(format!("{before}{BEGIN}\n{table}\n{END}{after}"))
}
