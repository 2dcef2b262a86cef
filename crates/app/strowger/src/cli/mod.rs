//! stub
use clap::Parser;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
#[derive(Parser)]
pub struct Cli { #[arg(long)] config: Option<PathBuf>, command: String }
pub struct DemoOptions { pub data: Option<PathBuf>, pub once: bool }
pub fn load_config(path: Option<&Path>) -> Result<sx_config::Config, Vec<sx_config::ConfigError>> {
    let env = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
    sx_config::Config::load(path.unwrap(), env)
}
pub fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    if cli.command == "demo" { return crate::demo::run(DemoOptions { data: None, once: true }); }
    match load_config(cli.config.as_deref()) { Ok(c) => crate::serve::run(c, cli.config), Err(e) => { for e in e { eprintln!("{e}"); } Ok(ExitCode::from(2)) } }
}
pub mod ladder {
    use std::net::SocketAddr;
    pub struct Ladder(String);
    impl Ladder { pub fn new(_: &[(String, Vec<SocketAddr>)]) -> Self { Self(String::new()) } pub fn add(&mut self, _t: u64, a: SocketAddr, b: SocketAddr, l: &str) { self.0 += &format!("{a} -> {b} {l}\n"); } }
    impl std::fmt::Display for Ladder { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(&self.0) } }
}
