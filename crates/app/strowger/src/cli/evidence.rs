//! `strowger evidence`: hands evidence in with an escalation, and takes it, in parts that are checked one by one.

use super::api::{Api, ApiArgs, refused};
use super::output;
use super::progress::watched;
use crate::signer::{from_hex, hex};
use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use sx_config::Config;
use sx_http::{CHUNK_BYTES_MAX, ClientAnswer, HttpUrl, Verb};
use sx_store::ReadProgress;

/// Shown below the help of `strowger evidence`.
pub(crate) const HELP: &str = "\
Evidence goes over HTTPS in parts of 64 KiB, each with its SHA-256; a connection that breaks costs one of them. What text
says of persons is blotted out. Whoever has the link of an escalation takes its evidence without a token, and gets a
receipt that the exchange has signed. Each time it changes hands is in the witness log.

Examples:
  strowger evidence add 01a20896... valve.png readings.csv
  strowger evidence link 01a20896... --to lind
  strowger evidence fetch 'https://exchange.example.org:9443/api/v1/escalations/01a2.../evidence?to=lind&...' --out evidence";

const ADD_HELP: &str = "\
Examples:
  strowger evidence add 01a20896... valve.png
  strowger evidence add 01a20896... readings.csv --json";

const LIST_HELP: &str = "\
Examples:
  strowger evidence list 01a20896...
  strowger evidence list 01a20896... --json";

const LINK_HELP: &str = "\
Examples:
  strowger evidence link 01a20896... --to lind
  strowger evidence link 01a20896... --to guardian.legal --hours 72";

const FETCH_HELP: &str = "\
What is there of a file already is not fetched again. The exit code is 0 when all files are here and are what was handed
out, and 1 when one is not.

Examples:
  strowger evidence fetch 'https://exchange.example.org:9443/api/v1/escalations/01a2.../evidence?to=lind&...'
  strowger evidence fetch 'https://...' --out evidence --ca authority.pem";

/// What can be done with evidence.
#[derive(Debug, Subcommand)]
pub(crate) enum EvidenceCommand {
    /// Give files with an escalation
    #[command(after_help = ADD_HELP)]
    Add {
        /// The escalation
        escalation: String,
        /// The files
        #[arg(required = true)]
        files: Vec<PathBuf>,
        #[command(flatten)]
        api: ApiArgs,
    },
    /// List the evidence of an escalation
    #[command(after_help = LIST_HELP)]
    List {
        /// The escalation
        escalation: String,
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Make a link that opens the evidence of an escalation to somebody who has no token
    #[command(after_help = LINK_HELP)]
    Link(LinkArgs),
    /// Take the evidence behind a link, and get receipts for it
    #[command(after_help = FETCH_HELP)]
    Fetch(FetchArgs),
}

/// For whom a link is.
#[derive(Debug, Args)]
pub(crate) struct LinkArgs {
    /// The escalation
    escalation: String,
    /// For whom it is, as the witness log will have them
    #[arg(long)]
    to: String,
    /// For how many hours it is good [default: as evidence.link_s says]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=720))]
    hours: Option<u64>,
    #[command(flatten)]
    api: ApiArgs,
}

/// What is fetched.
#[derive(Debug, Args)]
pub(crate) struct FetchArgs {
    /// The link
    link: String,
    /// The folder for the files
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// The authorities that the certificate of the exchange is held against
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

/// What is asked without a body has one that is empty.
const NO_BODY: (&str, &[u8]) = ("application/json", b"");
/// So often a part is tried again.
const RETRIES: u32 = 3;
/// After so long; each time twice as long.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// Carries out `strowger evidence`.
///
/// # Errors
/// When the exchange cannot be asked, or refuses.
pub(crate) fn run_evidence(config: &Config, command: EvidenceCommand, json: bool) -> anyhow::Result<ExitCode> {
    match command {
        EvidenceCommand::Add { escalation, files, api } => {
            let api = Api::of(config, &api)?;
            for file in &files {
                let receipt = hand_in(&api, &escalation, file)?;
                show(&receipt, json)?;
            }
            Ok(ExitCode::SUCCESS)
        }
        EvidenceCommand::List { escalation, api } => {
            let (status, answer) =
                Api::of(config, &api)?.ask(Verb::Get, &format!("/escalations/{escalation}/evidence"), "")?;
            ensure!(status == 200, "{}", refused(status, &answer));
            answer["evidence"].as_array().into_iter().flatten().try_for_each(|piece| show(piece, json))?;
            Ok(ExitCode::SUCCESS)
        }
        EvidenceCommand::Link(args) => {
            let body = json!({ "to": args.to, "seconds": args.hours.map(|hours| hours * 3_600) });
            let path = format!("/escalations/{}/links", args.escalation);
            let (status, answer) = Api::of(config, &args.api)?.ask(Verb::Post, &path, &body.to_string())?;
            ensure!(status == 201, "{}", refused(status, &answer));
            match json {
                true => output::json_line(&answer),
                false => output::text(&format!("{}\n", answer["url"].as_str().unwrap_or_default())),
            }
        }
        EvidenceCommand::Fetch(args) => {
            let api = Api::without_token(&args.link, args.ca.as_deref())?;
            let receipts = fetch(&api, &args.link, &args.out)?;
            for receipt in &receipts {
                match json {
                    true => output::json_line(receipt)?,
                    false => output::text(&format!("{}\n", told(receipt)))?,
                };
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn show(piece: &Value, json: bool) -> anyhow::Result<()> {
    if json {
        return output::json_line(piece).map(drop);
    }
    let text = |name: &str| output::printable(piece[name].as_str().unwrap_or_default());
    let redacted = match piece["redacted"].as_u64() {
        Some(count) if count > 0 => format!(", {count} blotted out"),
        _ => String::new(),
    };
    let line = match piece["bytes"].as_u64() {
        Some(bytes) => format!("{} {bytes} bytes sha256 {}{redacted} {}\n", text("id"), text("sha256"), text("name")),
        None => format!("{} {} of {} bytes {}\n", text("id"), piece["offset"], piece["length"], text("name")),
    };
    output::text(&line).map(drop)
}

fn told(receipt: &Value) -> String {
    let text = |name: &str| output::printable(receipt[name].as_str().unwrap_or_default());
    format!("{}: {} bytes sha256 {}, received {}", text("file"), receipt["bytes"], text("sha256"), text("received"))
}

/// Hands a file in, and says what the exchange has of it then.
pub(crate) fn hand_in(api: &Api, escalation: &str, path: &Path) -> anyhow::Result<Value> {
    let cannot = || format!("cannot read {}", path.display());
    let mut file = File::open(path).with_context(cannot)?;
    let length = file.metadata().with_context(cannot)?.len();
    ensure!(length > 0, "{} is empty", path.display());
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let sha256 = watched("hash", |progress| {
        progress.begin(length);
        hash_of(&mut file, progress)
    });
    let sha256 = hex(&sha256.with_context(cannot)?);
    let metadata: Vec<String> = [("filename", name.as_str()), ("filetype", media_type(path)), ("sha256", &sha256)]
        .iter()
        .map(|(key, value)| format!("{key} {}", STANDARD.encode(value)))
        .collect();
    let headers = [
        ("tus-resumable", "1.0.0".to_owned()),
        ("upload-length", length.to_string()),
        ("upload-metadata", metadata.join(",")),
    ];
    let answer = api.send(Verb::Post, &format!("/escalations/{escalation}/evidence"), &headers, NO_BODY)?;
    let made: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    ensure!(answer.status == 201, "{}", refused(answer.status, &made));
    let piece = made["id"].as_str().context("the answer names no evidence")?;
    let at = format!("/escalations/{escalation}/evidence/{piece}");
    watched(&name, |progress| {
        progress.begin(length);
        upload(api, &at, &mut file, length, progress)
    })?;
    let (status, kept) = api.ask(Verb::Get, &at, "")?;
    ensure!(status == 200 && kept["state"] == "whole", "{}", refused(status, &kept));
    Ok(kept)
}

/// Sends all parts. Where one fails the exchange is asked how far it has got, three times at most.
fn upload(api: &Api, at: &str, file: &mut File, length: u64, progress: &ReadProgress) -> anyhow::Result<()> {
    let (mut offset, mut failures) = (0, 0);
    let mut chunk = vec![0; CHUNK_BYTES_MAX];
    while offset < length {
        file.seek(SeekFrom::Start(offset))?;
        let count = usize::try_from((length - offset).min(CHUNK_BYTES_MAX as u64))?;
        file.read_exact(&mut chunk[..count]).context("the file has become shorter")?;
        let sum = format!("sha256 {}", STANDARD.encode(Sha256::digest(&chunk[..count])));
        let headers =
            [("tus-resumable", "1.0.0".to_owned()), ("upload-offset", offset.to_string()), ("upload-checksum", sum)];
        let sent = api.send(Verb::Patch, at, &headers, ("application/offset+octet-stream", &chunk[..count]));
        match sent {
            Ok(answer) if answer.status == 204 => {
                failures = 0;
                offset = offset_of(&answer).context("the exchange does not say how far it is")?;
                progress.add(count as u64);
            }
            Ok(answer) if !is_passing(answer.status) || failures == RETRIES => {
                bail!("{}", refused(answer.status, &serde_json::from_slice(&answer.body).unwrap_or_default()))
            }
            Err(error) if failures == RETRIES => return Err(error),
            Ok(_) | Err(_) => {
                crate::serve::pause(RETRY_AFTER * 2_u32.pow(failures));
                failures += 1;
                if let Some(come) = api.send(Verb::Get, at, &[], NO_BODY).ok().as_ref().and_then(offset_of) {
                    offset = come;
                }
            }
        }
    }
    Ok(())
}

/// May it go better the next time?
fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 409 | 429 | 460 | 500..)
}

fn offset_of(answer: &ClientAnswer) -> Option<u64> {
    answer.header("upload-offset")?.parse().ok()
}

/// Takes everything behind a link into a folder: the receipts.
fn fetch(api: &Api, link: &str, out: &Path) -> anyhow::Result<Vec<Value>> {
    let (base, query) = link.split_once('?').context("a link has a ? in it")?;
    let answer = api.send_to(Verb::Get, &link.parse()?, &[], NO_BODY)?;
    let listed: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    ensure!(answer.status == 200, "{}", refused(answer.status, &listed));
    fs::create_dir_all(out).with_context(|| format!("cannot make the folder {}", out.display()))?;
    let mut receipts = Vec::new();
    for piece in listed["evidence"].as_array().into_iter().flatten().filter(|piece| piece["state"] == "whole") {
        receipts.push(fetch_piece(api, (base, query), piece, out)?);
    }
    Ok(receipts)
}

/// The same, of an exchange on this machine.
pub(crate) fn take(link: &str, out: &Path) -> anyhow::Result<Vec<Value>> {
    fetch(&Api::without_token(link, None)?, link, out)
}

fn fetch_piece(api: &Api, (base, query): (&str, &str), piece: &Value, out: &Path) -> anyhow::Result<Value> {
    let text = |name: &str| piece[name].as_str().context("the exchange does not say what there is");
    let (id, name, bytes) = (text("id")?, text("name")?, piece["bytes"].as_u64().context("a piece has bytes")?);
    // Whatever it is called, it goes into this folder.
    let harmless = |text: &str| -> Option<String> {
        let text = text.chars().map(|c| if c == '/' || c.is_control() { '_' } else { c }).collect::<String>();
        (!matches!(text.as_str(), "" | "." | "..")).then_some(text)
    };
    let name = harmless(name).or_else(|| harmless(id)).context("the exchange gives no name that a file can have")?;
    let path = out.join(&name);
    let hashes: Vec<[u8; 32]> = piece["chunks"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|hash| hash.as_str().and_then(from_hex).context("a chunk has a SHA-256"))
        .collect::<anyhow::Result<_>>()?;
    let cannot = || format!("cannot write {}", path.display());
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).with_context(cannot)?;
    let url: HttpUrl = format!("{base}/{id}/content?{query}").parse()?;
    watched(&name, |progress| {
        progress.begin(bytes);
        hashes.iter().enumerate().try_for_each(|(number, hash)| {
            let from = number as u64 * CHUNK_BYTES_MAX as u64;
            let count = (bytes - from).min(CHUNK_BYTES_MAX as u64);
            if !has_chunk(&mut file, from, count, hash) {
                let chunk = fetch_chunk(api, &url, from, count, hash)?;
                file.seek(SeekFrom::Start(from)).and_then(|_| file.write_all(&chunk)).with_context(cannot)?;
            }
            progress.add(count);
            anyhow::Ok(())
        })
    })?;
    file.set_len(bytes).with_context(cannot)?;
    file.seek(SeekFrom::Start(0))?;
    let sha256 = hex(&hash_of(&mut file, &ReadProgress::default())?);
    ensure!(piece["sha256"] == sha256.as_str(), "{} is not what was handed out", path.display());
    let receipts = format!("{base}/{id}/receipts?{query}").parse()?;
    let body = json!({ "sha256": sha256 }).to_string();
    let answer = api.send_to(Verb::Post, &receipts, &[], ("application/json", body.as_bytes()))?;
    let mut receipt: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    ensure!(answer.status == 201, "{}", refused(answer.status, &receipt));
    receipt["file"] = path.display().to_string().into();
    Ok(receipt)
}

/// Is this part of the file here already?
fn has_chunk(file: &mut File, from: u64, count: u64, hash: &[u8; 32]) -> bool {
    let mut chunk = Vec::new();
    let read = file.seek(SeekFrom::Start(from)).and_then(|_| file.take(count).read_to_end(&mut chunk));
    read.is_ok() && chunk.len() as u64 == count && Sha256::digest(&chunk)[..] == hash[..]
}

/// One part, which is what it has to be.
fn fetch_chunk(api: &Api, url: &HttpUrl, from: u64, count: u64, hash: &[u8; 32]) -> anyhow::Result<Vec<u8>> {
    let mut failures = 0;
    loop {
        let range = [("range", format!("bytes={from}-{}", from + count - 1))];
        let problem = match api.send_to(Verb::Get, url, &range, NO_BODY) {
            Ok(answer) if matches!(answer.status, 200 | 206) && Sha256::digest(&answer.body)[..] == hash[..] => {
                return Ok(answer.body);
            }
            Ok(answer) if matches!(answer.status, 200 | 206) => anyhow::anyhow!("a part was damaged on the way"),
            Ok(answer) => {
                anyhow::anyhow!(refused(answer.status, &serde_json::from_slice(&answer.body).unwrap_or_default()))
            }
            Err(error) => error,
        };
        if failures == RETRIES {
            return Err(problem);
        }
        crate::serve::pause(RETRY_AFTER * 2_u32.pow(failures));
        failures += 1;
    }
}

fn hash_of(file: &mut File, progress: &ReadProgress) -> std::io::Result<[u8; 32]> {
    let (mut hash, mut chunk) = (Sha256::new(), vec![0; CHUNK_BYTES_MAX]);
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(hash.finalize().into()),
            count => {
                hash.update(&chunk[..count]);
                progress.add(count as u64);
            }
        }
    }
}

/// The type of a file, by its name.
fn media_type(path: &Path) -> &'static str {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    match extension.as_deref().unwrap_or_default() {
        "txt" | "log" => "text/plain",
        "md" => "text/markdown",
        "csv" => "text/csv",
        "json" => "application/json",
        "pdf" => "application/pdf",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "wav" => "audio/wav",
        "ogg" | "opus" => "audio/ogg",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        _ => "application/octet-stream",
    }
}
