//! A tree as TOML text, in the order of the table of keys.

use crate::keys;
use crate::reader::join;
use crate::said::{Node, Said, Table};
use crate::secret::Secret;
use std::fmt::Write;

/// A whole document.
pub(crate) fn document(table: &Table) -> String {
    let mut text = String::new();
    section("", table, &mut text);
    text.trim_start().to_owned()
}

/// A value on one line.
pub(crate) fn inline(said: &Said) -> String {
    match said {
        Said::Text(text) => quoted(text),
        Said::Integer(number) => number.to_string(),
        Said::Flag(flag) => flag.to_string(),
        Said::Secret(_) => quoted(Secret::SHOWN),
        Said::Other(text) => text.clone(),
        Said::List(items) => {
            let items: Vec<_> = items.iter().map(|item| inline(&item.said)).collect();
            format!("[{}]", items.join(", "))
        }
        Said::Table(table) => {
            let pairs: Vec<_> =
                table.iter().map(|(name, node)| format!("{} = {}", bare(name), inline(&node.said))).collect();
            if pairs.is_empty() { "{}".into() } else { format!("{{ {} }}", pairs.join(", ")) }
        }
    }
}

/// The values of a table, then the tables and lists of tables in it.
fn section(path: &str, table: &Table, text: &mut String) {
    let ordered: Vec<(&'static str, &Node)> =
        keys::CONFIG.names_under(path).filter_map(|name| table.get(name).map(|node| (name, node))).collect();
    let has_header = |name: &str, node: &Node| {
        let entries = path.is_empty() && matches!(name, "trunk" | "route");
        entries || (matches!(node.said, Said::Table(_)) && !path.contains('['))
    };
    for (name, node) in ordered.iter().filter(|(name, node)| !has_header(name, node)) {
        line(text, &format!("{name} = {}", inline(&node.said)));
    }
    for (name, node) in ordered.iter().filter(|(name, node)| has_header(name, node)) {
        let path = join(path, name);
        match &node.said {
            Said::Table(below) => {
                line(text, &format!("\n[{path}]"));
                section(&path, below, text);
            }
            Said::List(items) => {
                for item in items {
                    line(text, &format!("\n[[{path}]]"));
                    if let Said::Table(entry) = &item.said {
                        section(&format!("{path}[]"), entry, text);
                    }
                }
            }
            _ => {}
        }
    }
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

fn bare(name: &str) -> String {
    let is_bare = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if is_bare { name.to_owned() } else { quoted(name) }
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            c if c.is_control() => {
                // Writing to a String cannot fail.
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
