//! Writes the reference of the configuration: `cargo run -p sx-config --example reference > docs/configuration.md`.

use std::io::Write;

fn main() -> std::io::Result<()> {
    std::io::stdout().write_all(sx_config::reference().as_bytes())
}
