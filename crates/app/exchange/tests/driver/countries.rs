//! Writes databases of countries: as much of MaxMind's format (version 2) as a test needs.

use super::{Bench, tables_of};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use sx_engine::Engine as _;
use sx_exchange::{Countries, Input};

/// A database in which these networks, `address/bits`, are in these countries. None may lie within another.
pub fn database(networks: &[(&str, &str)]) -> Vec<u8> {
    let mut tree = Tree { nodes: vec![[Branch::Nowhere; 2]] };
    let (mut data, mut places) = (Vec::new(), BTreeMap::new());
    for (network, country) in networks {
        let place = *places.entry(*country).or_insert_with(|| {
            let place = data.len();
            map(&mut data, &[("country", &|out| map(out, &[("iso_code", &|out| text(out, country))]))]);
            place
        });
        tree.insert(network, place);
    }
    let mut file = tree.write();
    file.extend([0; DATA_SEPARATOR]);
    file.extend(data);
    file.extend(b"\xab\xcd\xefMaxMind.com");
    metadata(&mut file, tree.nodes.len());
    file
}

impl Bench {
    /// Every worker knows these countries from now on, and takes requests from the allowed, not from the blocked.
    pub fn know_countries(&mut self, networks: &[(&str, &str)], blocked: &[[u8; 2]], allowed: &[[u8; 2]]) {
        let countries = Countries::from_bytes(database(networks), blocked, allowed).expect("a database");
        let tables = Arc::into_inner(tables_of(&self.config, Some(&self.tables))).expect("nobody else has it yet");
        self.tables = Arc::new(tables.with_countries(Some(Arc::new(countries))));
        for worker in 0..self.workers.len() {
            let tables = self.tables.clone();
            self.workers[worker].handle_input(self.now, Input::Tables(tables));
        }
        self.settle();
    }
}

#[derive(Clone, Copy)]
enum Branch {
    Nowhere,
    Node(usize),
    /// So many bytes into the data.
    Data(usize),
}

struct Tree {
    nodes: Vec<[Branch; 2]>,
}

impl Tree {
    fn insert(&mut self, network: &str, place: usize) {
        let (address, length) = network.split_once('/').expect("a network");
        let length: u32 = length.parse().expect("a number");
        // What is of IPv4 stands below 96 zeros.
        let (bits, length) = match address.parse().expect("an address") {
            IpAddr::V4(address) => (u128::from(u32::from(address)), length + 96),
            IpAddr::V6(address) => (u128::from(address), length),
        };
        let mut node = 0;
        for at in 0..length {
            let side = (bits >> (127 - at) & 1) as usize;
            if at + 1 == length {
                self.nodes[node][side] = Branch::Data(place);
                return;
            }
            node = match self.nodes[node][side] {
                Branch::Node(next) => next,
                Branch::Nowhere => {
                    self.nodes.push([Branch::Nowhere; 2]);
                    let next = self.nodes.len() - 1;
                    self.nodes[node][side] = Branch::Node(next);
                    next
                }
                Branch::Data(_) => panic!("{network} lies within another network"),
            };
        }
    }

    /// Two records of 24 bits for each node.
    fn write(&self) -> Vec<u8> {
        let count = self.nodes.len();
        let record = |branch: &Branch| match branch {
            Branch::Nowhere => count,
            Branch::Node(node) => *node,
            Branch::Data(place) => count + DATA_SEPARATOR + place,
        };
        let bytes = |branch: &Branch| u32::try_from(record(branch)).expect("a small tree").to_be_bytes();
        self.nodes.iter().flatten().flat_map(|branch| bytes(branch).into_iter().skip(1)).collect()
    }
}

fn metadata(out: &mut Vec<u8>, nodes: usize) {
    let nodes = u32::try_from(nodes).expect("a small tree");
    map(
        out,
        &[
            ("node_count", &|out| number(out, 6, u64::from(nodes), 4)),
            ("record_size", &|out| number(out, 5, 24, 2)),
            ("ip_version", &|out| number(out, 5, 6, 2)),
            ("database_type", &|out| text(out, "Country")),
            ("languages", &|out| head(out, 11, 0)),
            ("binary_format_major_version", &|out| number(out, 5, 2, 2)),
            ("binary_format_minor_version", &|out| number(out, 5, 0, 2)),
            ("build_epoch", &|out| number(out, 9, 1_800_000_000, 8)),
            ("description", &|out| map(out, &[])),
        ],
    );
}

/// What a field of a map says.
type Value<'a> = &'a dyn Fn(&mut Vec<u8>);

/// Three bits of type, five of size; types beyond 7 stand in a byte of their own, less 7.
fn head(out: &mut Vec<u8>, kind: u8, size: usize) {
    let size = u8::try_from(size).ok().filter(|size| *size < 29).expect("a short value");
    if kind > 7 {
        out.extend([size, kind - 7]);
    } else {
        out.push(kind << 5 | size);
    }
}

fn text(out: &mut Vec<u8>, value: &str) {
    head(out, 2, value.len());
    out.extend(value.as_bytes());
}

fn number(out: &mut Vec<u8>, kind: u8, value: u64, bytes: usize) {
    head(out, kind, bytes);
    out.extend(&value.to_be_bytes()[8 - bytes..]);
}

fn map(out: &mut Vec<u8>, fields: &[(&str, Value<'_>)]) {
    head(out, 7, fields.len());
    for (name, value) in fields {
        text(out, name);
        value(out);
    }
}

/// Zeros between the tree and the data.
const DATA_SEPARATOR: usize = 16;
