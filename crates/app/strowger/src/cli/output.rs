//! How results are printed: text, tables and JSON lines on standard output.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

/// Prints a text that ends its own lines.
///
/// # Errors
/// When standard output takes no more, which no command survives.
pub(crate) fn text(text: &str) -> anyhow::Result<ExitCode> {
    let mut output = std::io::stdout().lock();
    output.write_all(text.as_bytes())?;
    output.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// Prints one JSON object as a line.
///
/// # Errors
/// When standard output takes no more.
pub(crate) fn json_line(object: &serde_json::Value) -> anyhow::Result<ExitCode> {
    text(&format!("{object}\n"))
}

/// `strowger version`.
pub(crate) fn version(json: bool) -> anyhow::Result<ExitCode> {
    let version = env!("CARGO_PKG_VERSION");
    if json {
        return json_line(&serde_json::json!({ "name": "strowger", "version": version }));
    }
    text(&format!("strowger {version}\n"))
}

/// What a peer has written, as it can be shown on a terminal: control characters could do anything there.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// The text in at most so many characters; an ellipsis stands for what is left out.
pub(crate) fn shortened(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// Columns under headings, as wide as their widest entry.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings and no rows.
    pub(crate) fn new(headings: &[&str]) -> Self {
        Self { rows: vec![headings.iter().map(ToString::to_string).collect()] }
    }

    /// Adds a row. What is behind the last heading has no width of its own.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| printable(&cell)).collect());
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.rows[0].len()).map(width).collect();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                write!(line, "{cell:width$}  ")?;
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_by_characters() {
        let mut table = Table::new(&["NAME", "N"]);
        table.row(["Zoë".into(), "1".into()]);
        table.row(["Bartholomew".into(), "22".into()]);
        assert_eq!(table.to_string(), "NAME         N\nZoë          1\nBartholomew  22\n");
    }

    #[test]
    fn a_text_that_is_too_long_ends_with_an_ellipsis() {
        for (text, expected) in [("Zoë", "Zoë"), ("Noëlle", "Noë…"), ("", "")] {
            assert_eq!(shortened(text, 4), expected);
        }
    }

    #[test]
    fn a_name_cannot_move_the_cursor() {
        let mut table = Table::new(&["NAME"]);
        table.row(["a\x1b[2Jb\n".into()]);
        assert_eq!(table.to_string(), "NAME\na?[2Jb?\n");
    }
}
