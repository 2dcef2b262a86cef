//! Draws a trace as a ladder.

use crate::trace::{Fate, Packet, Trace};
use std::time::Duration;

/// Characters between two columns: enough for a method, a status line or a short URI.
const GAP: usize = 34;

/// Characters in front of the first column: seconds with milliseconds.
const MARGIN: usize = 14;

/// The ladder of a trace; see [`Trace::ladder`].
pub(crate) fn draw(trace: &Trace, label: impl Fn(&[u8]) -> String) -> String {
    let columns = columns(trace);
    let Some(first) = trace.packets.first() else {
        return String::new();
    };
    let mut lines = vec![header(&columns)];
    for packet in &trace.packets {
        let position = |name: String| columns.iter().position(|c| *c == name).unwrap_or(0);
        let from = position(trace.name_of(packet.datagram.from));
        let to = position(trace.name_of(packet.datagram.to));
        let text = format!("{}{}", label(&packet.datagram.bytes), mark(packet));
        lines.push(row(columns.len(), from, to, &text, packet.sent.since(first.sent)));
    }
    lines.join("\n") + "\n"
}

/// The names of the endpoints, in the order in which they first appear.
fn columns(trace: &Trace) -> Vec<String> {
    let mut columns: Vec<String> = Vec::new();
    for packet in &trace.packets {
        for address in [packet.datagram.from, packet.datagram.to] {
            let name = trace.name_of(address);
            if !columns.contains(&name) {
                columns.push(name);
            }
        }
    }
    columns
}

fn mark(packet: &Packet) -> &'static str {
    match &packet.fate {
        Fate::Arrives(times) if times.len() > 1 => " 2",
        Fate::Arrives(_) => "",
        Fate::Lost | Fate::Unreachable(_) => " x",
    }
}

/// Each name is centred over its column as far as its neighbour allows.
fn header(columns: &[String]) -> String {
    let mut line = String::new();
    for (index, name) in columns.iter().enumerate() {
        let start = (MARGIN + index * (GAP + 1)).saturating_sub(name.chars().count() / 2);
        let width = line.chars().count();
        let least = usize::from(index > 0);
        line.extend(std::iter::repeat_n(' ', start.saturating_sub(width).max(least)));
        line.push_str(name);
    }
    line
}

fn row(columns: usize, from: usize, to: usize, text: &str, after: Duration) -> String {
    let width = (columns.max(1) - 1) * (GAP + 1) + 1;
    let mut cells: Vec<char> = (0..width).map(|at| if at % (GAP + 1) == 0 { '|' } else { ' ' }).collect();
    let (left, right) = (from.min(to) * (GAP + 1), from.max(to) * (GAP + 1));
    if left == right {
        // An endpoint that writes to itself has no arrow, only its label beside the column.
        return format!("{:>10.3}    {}  {text}", after.as_secs_f64(), cells.iter().collect::<String>());
    }
    for cell in &mut cells[left + 1..right] {
        *cell = '-';
    }
    cells[if from < to { right - 1 } else { left + 1 }] = if from < to { '>' } else { '<' };
    let room = right - left - 7;
    let shown: Vec<char> = text.chars().take(room).collect();
    let start = left + 1 + (right - left - 1 - shown.len() - 2) / 2;
    cells[start] = ' ';
    cells[start + 1..=start + shown.len()].copy_from_slice(&shown);
    cells[start + shown.len() + 1] = ' ';
    format!("{:>10.3}    {}", after.as_secs_f64(), cells.iter().collect::<String>())
}

#[cfg(test)]
mod tests {
    use crate::trace::{Datagram, Fate, Packet, Trace};
    use std::net::SocketAddr;
    use sx_engine::Time;

    fn address(host: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, host], 5060))
    }

    fn packet(millis: u64, from: u8, to: u8, text: &str, fate: Fate) -> Packet {
        let datagram = Datagram::new(address(from), address(to), text.as_bytes());
        Packet { sent: Time::from_millis(1_000_000 + millis), datagram, fate }
    }

    #[test]
    fn draws_directions_losses_and_duplicates() {
        let once = Fate::Arrives(vec![Time::ZERO]);
        let mut trace = Trace::default();
        for (host, name) in [(1, "alice"), (2, "exchange"), (3, "bob")] {
            trace.names.insert(address(host), name.to_owned());
        }
        trace.packets = vec![
            packet(0, 1, 2, "INVITE", once.clone()),
            packet(20, 2, 3, "INVITE", Fate::Lost),
            packet(520, 2, 3, "INVITE", Fate::Arrives(vec![Time::ZERO, Time::ZERO])),
            packet(1540, 3, 2, "SIP/2.0 200 OK", once.clone()),
            packet(1560, 3, 1, "through", once),
        ];
        let expected = "            alice                            exchange                              bob
     0.000    |------------- INVITE ------------>|                                  |
     0.020    |                                  |------------ INVITE x ----------->|
     0.520    |                                  |------------ INVITE 2 ----------->|
     1.540    |                                  |<-------- SIP/2.0 200 OK ---------|
     1.560    |<----------------------------- through ------------------------------|
";
        assert_eq!(trace.to_string(), expected, "\n{trace}");
    }

    #[test]
    fn a_label_longer_than_the_gap_is_cut() {
        let packets = vec![packet(0, 1, 2, &"x".repeat(500), Fate::Lost)];
        let trace = Trace { packets, ..Trace::default() };
        assert!(trace.to_string().lines().all(|line| line.chars().count() <= 60), "{trace}");
    }

    #[test]
    fn nothing_sent_draws_nothing() {
        assert_eq!(Trace::default().to_string(), "");
    }
}
