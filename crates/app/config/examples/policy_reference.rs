//! Writes the reference of policies: `cargo run -p sx-config --example policy_reference > docs/policy.md`.

use std::io::Write;

fn main() -> std::io::Result<()> {
    std::io::stdout().write_all(sx_config::policy_reference().as_bytes())
}
