//! A call as a ladder: a column for each party, an arrow for each message.

use super::output::printable;
use std::fmt;
use std::net::SocketAddr;

/// Collects messages and draws them with [`Display`](fmt::Display), at most [`WIDTH`] columns wide.
///
/// A party is known by its addresses. Over TCP and TLS it sends from a port that nobody knew before; such an address
/// belongs to the one party of the same IP address that is seen nowhere else and is not at the message's other end.
/// Where that is nobody, or several, the address gets a column of its own.
#[derive(Clone, Debug)]
pub struct Ladder {
    parties: Vec<Party>,
    messages: Vec<Message>,
}

#[derive(Clone, Debug)]
struct Party {
    label: String,
    addresses: Vec<SocketAddr>,
}

#[derive(Clone, Debug)]
struct Message {
    /// Nanoseconds since the Unix epoch.
    time: u64,
    from: SocketAddr,
    to: SocketAddr,
    summary: String,
}

/// The width of the drawing, in characters.
pub const WIDTH: usize = 100;
/// Where the time stands.
const TIME_COLUMNS: usize = 11;
/// From the time to the first party's line, and from the last party's line to the margin.
const MARGIN: usize = 9;
/// The most space between two lines.
const SPACING_MAX: usize = 40;
/// The most lines; who comes later shares the last one.
const LANES_MAX: usize = 7;

impl Ladder {
    /// A ladder without messages, with a column for each of these parties from left to right.
    pub fn new(parties: &[(String, Vec<SocketAddr>)]) -> Self {
        let party = |(label, addresses): &(String, Vec<SocketAddr>)| Party {
            label: printable(label),
            addresses: addresses.clone(),
        };
        Self { parties: parties.iter().map(party).collect(), messages: Vec::new() }
    }

    /// Adds a message, given its time in nanoseconds and its first line, or anything else that says what it is.
    pub fn add(&mut self, time: u64, from: SocketAddr, to: SocketAddr, summary: &str) {
        // A request's and a status line's version tells nothing here.
        let summary = summary.trim();
        let summary = summary.strip_prefix("SIP/2.0 ").or(summary.strip_suffix(" SIP/2.0")).unwrap_or(summary);
        self.messages.push(Message { time, from, to, summary: printable(summary) });
    }

    /// The column that has this address as its own.
    fn exact(&self, address: SocketAddr) -> Option<usize> {
        self.parties.iter().position(|party| party.addresses.contains(&address))
    }

    /// Gives every address a column.
    fn settled(&self) -> Self {
        let mut settled = self.clone();
        let ends = || self.messages.iter().flat_map(|message| [message.from, message.to]);
        let seen: Vec<bool> =
            (0..self.parties.len()).map(|lane| ends().any(|end| self.exact(end) == Some(lane))).collect();
        for Message { from, to, .. } in &self.messages {
            for (end, other) in [(*from, *to), (*to, *from)] {
                if settled.exact(end).is_some() {
                    continue;
                }
                let fits = |lane: &usize| {
                    let of_its_ip = |address: &SocketAddr| address.ip() == end.ip();
                    !seen[*lane]
                        && self.parties[*lane].addresses.iter().any(of_its_ip)
                        && settled.exact(other) != Some(*lane)
                };
                let candidates: Vec<usize> = (0..self.parties.len()).filter(fits).collect();
                match candidates[..] {
                    [lane] => settled.parties[lane].addresses.push(end),
                    _ => settled.parties.push(Party { label: end.to_string(), addresses: vec![end] }),
                }
            }
        }
        settled
    }
}

/// One message of a ladder, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Since the first message, in milliseconds.
    pub ms: u64,
    /// The party that has sent it.
    pub from: String,
    /// The party that has received it.
    pub to: String,
    /// What it is.
    pub message: String,
}

impl Ladder {
    /// The messages in the order of their times.
    pub fn steps(&self) -> Vec<Step> {
        let ladder = self.settled();
        let party = |address| ladder.exact(address).map(|lane| ladder.parties[lane].label.clone()).unwrap_or_default();
        let messages = ladder.in_order();
        let start = messages.first().map_or(0, |message| message.time);
        let step = |message: &&Message| Step {
            ms: (message.time - start) / 1_000_000,
            from: party(message.from),
            to: party(message.to),
            message: message.summary.clone(),
        };
        messages.iter().map(step).collect()
    }

    fn in_order(&self) -> Vec<&Message> {
        let mut messages: Vec<&Message> = self.messages.iter().collect();
        messages.sort_by_key(|message| message.time);
        messages
    }
}

impl fmt::Display for Ladder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ladder = self.settled();
        let lanes = Lanes::new(ladder.parties.len());
        let mut header = [' '; WIDTH];
        for (lane, party) in ladder.parties.iter().take(LANES_MAX).enumerate() {
            let others = ladder.parties.len() > LANES_MAX && lane == LANES_MAX - 1;
            lanes.center(&mut header, lane, if others { "others" } else { &party.label });
        }
        write_row(f, &header)?;
        let messages = ladder.in_order();
        let start = messages.first().map_or(0, |message| message.time);
        for message in messages {
            let mut row = lanes.row();
            let time = format!("{:>+6} ms", (message.time - start) / 1_000_000);
            put(&mut row[..TIME_COLUMNS], 0, &time);
            let lane = |address| ladder.exact(address).unwrap_or(0).min(lanes.count - 1);
            lanes.arrow(&mut row, lane(message.from), lane(message.to), &message.summary);
            write_row(f, &row)?;
        }
        Ok(())
    }
}

/// Where the lines stand.
struct Lanes {
    count: usize,
    spacing: usize,
}

impl Lanes {
    fn new(parties: usize) -> Self {
        let count = parties.clamp(1, LANES_MAX);
        let room = WIDTH - TIME_COLUMNS - 2 * MARGIN;
        Self { count, spacing: (room / (count - 1).max(1)).min(SPACING_MAX) }
    }

    fn column(&self, lane: usize) -> usize {
        TIME_COLUMNS + MARGIN + lane * self.spacing
    }

    /// A row with nothing but the lines.
    fn row(&self) -> [char; WIDTH] {
        let mut row = [' '; WIDTH];
        (0..self.count).for_each(|lane| row[self.column(lane)] = '|');
        row
    }

    /// Writes a label above a line, cut so that it does not touch its neighbours.
    fn center(&self, row: &mut [char; WIDTH], lane: usize, label: &str) {
        let label = fitted(label, (self.spacing - 1).min(2 * MARGIN));
        let start = self.column(lane).saturating_sub(label.chars().count() / 2);
        put(row, start, &label);
    }

    fn arrow(&self, row: &mut [char; WIDTH], from: usize, to: usize, label: &str) {
        let (left, right) = (self.column(from.min(to)) + 1, self.column(from.max(to)));
        if from == to {
            // Nothing is between a party and itself; the label stands beside its line.
            let room = WIDTH - left;
            put(row, left, &fitted(&format!(" (to itself) {label}"), room));
            return;
        }
        row[left..right].fill('-');
        row[if from < to { right - 1 } else { left }] = if from < to { '>' } else { '<' };
        let width = right - left;
        // A dash or the head, and a space, stay on either side.
        let label = format!(" {} ", fitted(label, width - 6));
        put(row, left + (width - label.chars().count()) / 2, &label);
    }
}

/// The text, cut to so many characters; a cut is marked.
fn fitted(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(width.saturating_sub(2)).collect();
    cut.push_str("..");
    cut
}

/// Writes the text into the row, as far as the row goes.
fn put(row: &mut [char], start: usize, text: &str) {
    row.iter_mut().skip(start).zip(text.chars()).for_each(|(place, c)| *place = c);
}

fn write_row(f: &mut fmt::Formatter<'_>, row: &[char; WIDTH]) -> fmt::Result {
    let line: String = row.iter().collect();
    writeln!(f, "{}", line.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    fn party(label: &str, ports: &[u16]) -> (String, Vec<SocketAddr>) {
        (label.to_owned(), ports.iter().map(|port| address(*port)).collect())
    }

    fn add(ladder: &mut Ladder, ms: u64, from: u16, to: u16, line: &str) {
        ladder.add(1_795_176_000_000_000_000 + ms * 1_000_000, address(from), address(to), line);
    }

    fn check(ladder: &Ladder, expected: &[&str]) {
        let drawn = ladder.to_string();
        assert!(drawn.lines().all(|line| line.chars().count() <= WIDTH), "{drawn}");
        assert_eq!(drawn.lines().collect::<Vec<_>>(), expected, "drawn:\n{drawn}");
    }

    #[test]
    fn a_call_over_udp_and_tls_has_three_parties() {
        let mut ladder =
            Ladder::new(&[party("alice", &[4001]), party("exchange", &[5060, 5061]), party("bob", &[4002])]);
        add(&mut ladder, 0, 4001, 5060, "INVITE sip:bob@localhost SIP/2.0");
        add(&mut ladder, 1, 5060, 4001, "SIP/2.0 100 Trying");
        // Bob sends from a port of his connection.
        add(&mut ladder, 3, 5061, 39_999, "INVITE sip:bob@127.0.0.1:39999;transport=tls;ob=yes SIP/2.0");
        add(&mut ladder, 1_504, 39_999, 5061, "SIP/2.0 200 OK");
        // Comes late, but belongs before.
        add(&mut ladder, 12, 39_999, 5061, "SIP/2.0 180 Ringing");
        let expected = [
            "                  alice                            exchange                              bob",
            "    +0 ms           |---- INVITE sip:bob@localhost --->|                                  |",
            "    +1 ms           |<---------- 100 Trying -----------|                                  |",
            "    +3 ms           |                                  |-- INVITE sip:bob@127.0.0.1:3.. ->|",
            "   +12 ms           |                                  |<--------- 180 Ringing -----------|",
            " +1504 ms           |                                  |<------------ 200 OK -------------|",
        ];
        check(&ladder, &expected);
    }

    #[test]
    fn unknown_addresses_have_columns_of_their_own() {
        let mut ladder = Ladder::new(&[party("phone", &[4001])]);
        add(&mut ladder, 0, 4001, 5060, "REGISTER sip:localhost SIP/2.0");
        add(&mut ladder, 2, 5060, 4001, "SIP/2.0 401 Unauthorized");
        add(&mut ladder, 3, 4001, 4001, "OPTIONS sip:me SIP/2.0");
        let expected = [
            "                  phone                              127.0.0.1:5060",
            "    +0 ms           |------- REGISTER sip:localhost ------->|",
            "    +2 ms           |<--------- 401 Unauthorized -----------|",
            "    +3 ms           | (to itself) OPTIONS sip:me            |",
        ];
        check(&ladder, &expected);
    }

    #[test]
    fn two_candidates_are_none() {
        let mut ladder = Ladder::new(&[party("exchange", &[5060]), party("a", &[1]), party("b", &[2])]);
        add(&mut ladder, 0, 5060, 9, "BYE sip:x SIP/2.0");
        let drawn = ladder.to_string();
        assert!(drawn.lines().next().is_some_and(|header| header.contains("127.0.0.1:9")), "{drawn}");
    }

    #[test]
    fn many_parties_share_the_last_column() {
        let mut ladder = Ladder::new(&[]);
        for port in 1..40 {
            add(&mut ladder, u64::from(port) * 100_000, port, port + 1, "INVITE sip:somebody@example.com SIP/2.0");
        }
        let drawn = ladder.to_string();
        assert!(drawn.lines().all(|line| line.chars().count() <= WIDTH), "{drawn}");
        assert!(drawn.lines().next().is_some_and(|header| header.contains("others")), "{drawn}");
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        check(&Ladder::new(&[]), &[""]);
    }
}
