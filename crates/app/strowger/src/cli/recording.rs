//! `strowger recording`: recordings of calls, held against their side-cars, and decrypted.

use super::{WrongUsage, output};
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use sx_record::{ReadError, Verified, decrypt, sha256, verify};

/// Shown below the help of `strowger recording`.
pub(crate) const HELP: &str = "\
Examples:
  strowger recording verify call-7.wav.age
  strowger recording decrypt call-7.wav.age --identity keys.txt";

const VERIFY_HELP: &str = "\
A file must have the length and the SHA-256 that its side-car NAME.json says; with the side-car as FILE, all files of the recording
must. The side-car can be changed as easily as the file: --sha256 compares with a hash that was kept elsewhere, and does without a
side-car.

The exit code is 1 when a file was changed or is not there.

Examples:
  strowger recording verify call-7.wav
  strowger recording verify call-7.json --json
  strowger recording verify call-7.opus.age --sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

const DECRYPT_HELP: &str = "\
The identities are those of age (AGE-SECRET-KEY-1…), one a line, as age-keygen writes them. Nothing is overwritten. The lengths in a
WAV file, which an encrypted one does not know, are put right.

A file that was cut off, or changed further on, is decrypted up to there; that is said on standard error, and the exit code is 1.

Examples:
  strowger recording decrypt call-7.wav.age --identity keys.txt
  strowger recording decrypt call-7.opus.age --identity keys.txt -o listen.opus";

/// What can be done with recordings.
#[derive(Debug, Subcommand)]
pub(crate) enum RecordingCommand {
    /// Say whether a recording is as it was when it ended
    #[command(after_help = VERIFY_HELP)]
    Verify(VerifyArgs),
    /// Decrypt a recording
    #[command(after_help = DECRYPT_HELP)]
    Decrypt(DecryptArgs),
}

/// What is verified.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// A file of a recording, or its side-car
    file: PathBuf,
    /// The SHA-256 that the file must have, in hexadecimal
    #[arg(long, value_name = "HASH")]
    sha256: Option<String>,
}

/// What is decrypted.
#[derive(Debug, Args)]
pub(crate) struct DecryptArgs {
    /// The encrypted file
    file: PathBuf,
    /// The file with identities of age
    #[arg(short, long, value_name = "KEYS")]
    identity: PathBuf,
    /// Where it goes [default: FILE without .age]
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
}

/// Carries out `strowger recording`.
///
/// # Errors
/// When a file cannot be read or written, or cannot be decrypted at all.
pub(crate) fn run_recording(command: &RecordingCommand, json: bool) -> anyhow::Result<ExitCode> {
    match command {
        RecordingCommand::Verify(args) => run_verify(args, json),
        RecordingCommand::Decrypt(args) => run_decrypt(args, json),
    }
}

fn run_verify(args: &VerifyArgs, json: bool) -> anyhow::Result<ExitCode> {
    let is_hash = |text: &str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if args.sha256.as_ref().is_some_and(|wanted| !is_hash(wanted.trim())) {
        return Err(WrongUsage("--sha256 takes the 64 digits of a hash in hexadecimal".to_owned()).into());
    }
    let mut files = match verify(&args.file) {
        // The hash that was kept elsewhere says more than the side-car, which may be lost.
        Err(ReadError::NoSideCar(path)) if args.sha256.is_some() => {
            vec![Verified { sha256: Some(sha256(&path)?), path, intact: true, cut_short: None, is_told: false }]
        }
        found => found?,
    };
    if let Some(wanted) = &args.sha256 {
        let [file] = &mut files[..] else {
            return Err(
                WrongUsage("--sha256 is the hash of one file, and this recording has several".to_owned()).into()
            );
        };
        let same = |found: &String| found.eq_ignore_ascii_case(wanted.trim());
        file.intact &= file.sha256.as_ref().is_some_and(same);
    }
    for file in &files {
        if json {
            output::json_line(&verified_json(file))?
        } else {
            output::text(&verified_text(file))?
        };
    }
    let intact = files.iter().all(|file| file.intact);
    Ok(if intact { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn verified_text(file: &Verified) -> String {
    let found = match (&file.sha256, file.intact) {
        (None, _) => "is not there, or cannot be read",
        (Some(_), true) => "ok",
        (Some(_), false) => "was changed",
    };
    let why = |why: &String| format!(", but the recording ended before its call: {}", output::printable(why));
    let cut_short = file.cut_short.as_ref().filter(|_| file.intact).map(why).unwrap_or_default();
    format!("{}: {found}{cut_short}\n", output::printable(&file.path.display().to_string()))
}

fn verified_json(file: &Verified) -> serde_json::Value {
    let complete = file.is_told.then(|| file.cut_short.is_none());
    json!({ "file": file.path, "sha256": file.sha256, "intact": file.intact, "complete": complete })
}

fn run_decrypt(args: &DecryptArgs, json: bool) -> anyhow::Result<ExitCode> {
    let out = match (&args.output, args.file.extension()) {
        (Some(out), _) => out.clone(),
        (None, Some(extension)) if extension == "age" => args.file.with_extension(""),
        (None, _) => return Err(WrongUsage("FILE does not end with .age: say with -o where it goes".to_owned()).into()),
    };
    let decrypted = decrypt(&args.file, &args.identity, &out)?;
    if let Some(cut) = &decrypted.cut {
        tell!("strowger: {} is decrypted up to where it was cut off or changed: {cut}", args.file.display());
    }
    say_decrypted(&out, decrypted.bytes, decrypted.cut.is_none(), json)?;
    Ok(if decrypted.cut.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn say_decrypted(out: &Path, bytes: u64, whole: bool, json: bool) -> anyhow::Result<ExitCode> {
    if json {
        return output::json_line(&json!({ "file": out, "bytes": bytes, "whole": whole }));
    }
    output::text(&format!("{}: {bytes} bytes\n", output::printable(&out.display().to_string())))
}
