//! Texts that stand for tables.

use super::join;
use crate::keys::{KeyTable, Kind};
use crate::said::{Node, Said, Table};

/// Makes a table of each bare text that stands for one, everywhere below `path`.
pub(crate) fn spell_out(keys: &KeyTable, path: &str, table: &mut Table) {
    for (name, node) in table {
        let path = join(path, name);
        match &mut node.said {
            Said::Table(below) => spell_out(keys, &path, below),
            Said::List(items) => {
                let Some(Kind::Entries { short }) = keys.find(&path).map(|entry| entry.key.kind) else { continue };
                let path = format!("{path}[]");
                for item in items {
                    spell_out_item(keys, &path, item, short);
                }
            }
            _ => {}
        }
    }
}

fn spell_out_item(keys: &KeyTable, path: &str, item: &mut Node, short: Option<&str>) {
    if let (Said::Text(_), Some(short)) = (&item.said, short) {
        let table = Table::from([(short.to_owned(), item.clone())]);
        item.said = Said::Table(table);
    }
    if let Said::Table(below) = &mut item.said {
        spell_out(keys, path, below);
    }
}
