//! Codes standard input to standard output, for trying codecs against others.
//!
//! ```sh
//! recode encode g722 < sound.s16le > sound.g722      # frames of 20 ms; sound at the rate of the codec
//! recode decode g722 < sound.g722 > sound.s16le      # `lose=N` loses each Nth frame
//! recode resample 48000 8000 < in.s16le > out.s16le
//! ```
//!
//! Samples are 16 bits, the lower byte first. The packets of Opus stand behind their length in two bytes, the upper one
//! first; `rate=`, `complexity=` and `fec` set its encoder, and with `fec` its decoder looks for a lost frame in the next.

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::time::Duration;
use sx_codec::{ComfortNoise, Decoder, Encoder, Format, L16Rate, Law, Resampler, comfort_noise_payload};

type Fallible<T> = Result<T, Box<dyn Error>>;

const FRAME: Duration = Duration::from_millis(20);

fn main() -> Fallible<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut input = Vec::new();
    std::io::stdin().read_to_end(&mut input)?;
    let output = match words[..] {
        ["encode", "cn"] => comfort_noise_payload(&samples(&input)).to_vec(),
        ["decode", "cn"] => {
            let (mut noise, mut out) = (ComfortNoise::new(1), Vec::new());
            noise.handle_payload(&input);
            noise.generate(8_000, &mut out);
            bytes(&out)
        }
        ["encode", format, ref options @ ..] => encode(format, options, &samples(&input))?,
        ["decode", format, ref options @ ..] => bytes(&decode(format, options, &input)?),
        ["resample", from, to] => {
            let mut out = Vec::new();
            let mut resampler = Resampler::new(from.parse()?, to.parse()?).ok_or("a rate is unknown")?;
            for frame in samples(&input).chunks(160) {
                resampler.process(frame, &mut out);
            }
            bytes(&out)
        }
        _ => return Err("encode FORMAT, decode FORMAT or resample FROM TO".into()),
    };
    Ok(std::io::stdout().write_all(&output)?)
}

fn format_of(name: &str) -> Fallible<Format> {
    Ok(match name {
        "pcma" => Format::G711(Law::A),
        "pcmu" => Format::G711(Law::Mu),
        "g722" => Format::G722,
        "l16-8000" => Format::L16(L16Rate::Hz8000),
        "l16-16000" => Format::L16(L16Rate::Hz16000),
        "l16-48000" => Format::L16(L16Rate::Hz48000),
        #[cfg(feature = "opus")]
        "opus" => Format::Opus(sx_codec::OpusRate::Hz16000),
        #[cfg(feature = "opus")]
        "opus-8000" => Format::Opus(sx_codec::OpusRate::Hz8000),
        _ => return Err(format!("no such format: {name}").into()),
    })
}

/// Do its payloads differ in length?
#[cfg(feature = "opus")]
fn is_counted(format: Format) -> bool {
    matches!(format, Format::Opus(_))
}

#[cfg(not(feature = "opus"))]
fn is_counted(_format: Format) -> bool {
    false
}

fn value(options: &[&str], name: &str) -> Fallible<Option<u32>> {
    let said = options.iter().find_map(|option| option.strip_prefix(name)?.strip_prefix('='));
    Ok(said.map(str::parse).transpose()?)
}

#[cfg(feature = "opus")]
fn encoder(format: Format, options: &[&str]) -> Fallible<Encoder> {
    let mut settings = sx_codec::OpusSettings { fec: options.contains(&"fec"), ..Default::default() };
    settings.bit_rate = value(options, "rate")?.unwrap_or(settings.bit_rate);
    settings.complexity = value(options, "complexity")?.map_or(Ok(settings.complexity), u8::try_from)?;
    settings.loss_percent = value(options, "loss")?.map_or(Ok(settings.loss_percent), u8::try_from)?;
    Ok(match format {
        Format::Opus(rate) => Encoder::opus(sx_codec::OpusSettings { rate, ..settings }),
        format => Encoder::new(format),
    })
}

#[cfg(not(feature = "opus"))]
fn encoder(format: Format, _options: &[&str]) -> Fallible<Encoder> {
    Ok(Encoder::new(format))
}

fn encode(format: &str, options: &[&str], samples: &[i16]) -> Fallible<Vec<u8>> {
    let format = format_of(format)?;
    let mut encoder = encoder(format, options)?;
    let mut out = Vec::new();
    // What is left at the end is no whole frame.
    for frame in samples.chunks_exact(format.frame_samples(FRAME)) {
        let mut payload = Vec::new();
        encoder.encode(frame, &mut payload)?;
        if is_counted(format) {
            out.extend(u16::try_from(payload.len())?.to_be_bytes());
        }
        out.extend(payload);
    }
    Ok(out)
}

fn decode(format: &str, options: &[&str], input: &[u8]) -> Fallible<Vec<i16>> {
    let format = format_of(format)?;
    let frame = format.frame_samples(FRAME);
    let payloads: Vec<&[u8]> = match is_counted(format) {
        true => counted(input)?,
        false => input.chunks(format.payload_len(frame)).collect(),
    };
    let lose = value(options, "lose")?.map_or(Ok(usize::MAX), usize::try_from)?;
    let mut decoder = Decoder::new(format);
    let mut out = Vec::new();
    for (number, payload) in payloads.iter().enumerate() {
        if number % lose != lose - 1 {
            decoder.decode(payload, &mut out)?;
        } else if let Some(next) = payloads.get(number + 1).filter(|_| options.contains(&"fec")) {
            decoder.recover(next, frame, &mut out);
        } else {
            decoder.conceal(frame, &mut out);
        }
    }
    Ok(out)
}

fn counted(mut input: &[u8]) -> Fallible<Vec<&[u8]>> {
    let mut payloads = Vec::new();
    while let Some((length, rest)) = input.split_first_chunk() {
        let (payload, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into()).ok_or("a packet is cut")?;
        payloads.push(payload);
        input = rest;
    }
    Ok(payloads)
}

fn samples(bytes: &[u8]) -> Vec<i16> {
    bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
}

fn bytes(samples: &[i16]) -> Vec<u8> {
    samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}
