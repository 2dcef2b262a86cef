//! Which codecs whoever receives a description is offered, and which its author may use.

/// Which codecs whoever receives a description is offered, and which its author may use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CodecWishes<'a> {
    /// Not these, as if the author had not said them; `all` and `full`: none but those that are named otherwise.
    pub strip: Vec<CodecName<'a>>,
    /// Not these either, though the author may use them.
    pub mask: Vec<CodecName<'a>>,
    /// The same, and the author does use them.
    pub consume: Vec<CodecName<'a>>,
    /// The author uses these, whatever the other party takes.
    pub accept: Vec<CodecName<'a>>,
    /// These, though all are stripped.
    pub except: Vec<CodecName<'a>>,
    /// These, though all are stripped, in this order.
    pub offer: Vec<CodecName<'a>>,
    /// These as well, though the author has not offered them.
    pub transcode: Vec<CodecName<'a>>,
    /// How these are coded towards the author.
    pub set: Vec<CodecName<'a>>,
}

/// A codec as clients name it: `name/rate/channels/bit rate/ptime/parameters/options`, of which all but the name may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CodecName<'a> {
    /// Its encoding name, or a payload type; `all` and `full` for any.
    pub name: &'a [u8],
    /// Ticks of the RTP timestamp a second; `None`: any.
    pub clock_hz: Option<u32>,
    /// Channels; `None`: any.
    pub channels: Option<u32>,
    /// Bits a second that it is to be sent with.
    pub bit_rate: Option<u32>,
    /// Its parameters in the description (`a=fmtp`), fit to be written; empty for none.
    pub parameters: String,
    /// How much the encoder takes pains, from 0 to 10.
    pub complexity: Option<u8>,
}

/// The longest parameters that are taken.
const PARAMETERS_BYTES_MAX: usize = 256;

impl<'a> CodecWishes<'a> {
    /// Adds a codec to the list of this name. Lists that nobody knows are passed over.
    pub(crate) fn add(&mut self, list: &[u8], codec: &'a [u8]) {
        let list = match list {
            b"strip" => &mut self.strip,
            b"mask" => &mut self.mask,
            b"consume" => &mut self.consume,
            b"accept" => &mut self.accept,
            b"except" => &mut self.except,
            b"offer" => &mut self.offer,
            b"transcode" => &mut self.transcode,
            b"set" => &mut self.set,
            _ => return,
        };
        list.push(CodecName::read(codec));
    }

    /// A flag, as `strip-PCMU` or `strip=PCMU`.
    pub(crate) fn read(&mut self, flag: &'a [u8]) {
        let Some(end) = flag.iter().position(|byte| matches!(byte, b'-' | b'=')) else { return };
        self.add(&flag[..end], &flag[end + 1..]);
    }
}

impl<'a> CodecName<'a> {
    /// Reads what a client writes.
    pub fn read(text: &'a [u8]) -> Self {
        let mut parts = text.splitn(7, |byte| *byte == b'/');
        let mut next = || parts.next().unwrap_or_default();
        let name = next();
        let (clock_hz, channels, bit_rate) = (number(next()), number(next()), number(next()));
        let (_ptime, parameters, options) = (next(), next(), next());
        let complexity = unescaped(options)
            .split([' ', ':', ';', ','])
            .find_map(|option| option.strip_prefix("compression_level=")?.parse().ok())
            .filter(|complexity| *complexity <= 10);
        Self { name, clock_hz, channels, bit_rate, parameters: unescaped(parameters), complexity }
    }

    /// Does it stand for any codec?
    pub fn is_all(&self) -> bool {
        matches!(self.name, b"all" | b"full")
    }
}

fn number(digits: &[u8]) -> Option<u32> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Two hyphens stand for an equals sign, which some proxies cannot write. What could end a line is not taken.
fn unescaped(text: &[u8]) -> String {
    let is_fit = text.len() <= PARAMETERS_BYTES_MAX && text.iter().all(|byte| (b' '..=b'~').contains(byte));
    match std::str::from_utf8(text) {
        Ok(text) if is_fit => text.replace("--", "="),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_say_how_it_is_coded() {
        let opus = CodecName { name: b"opus", clock_hz: Some(48_000), channels: Some(2), ..CodecName::default() };
        let check = |text: &[u8], expected: &CodecName<'_>| assert_eq!(CodecName::read(text), *expected);
        check(b"PCMU", &CodecName { name: b"PCMU", ..CodecName::default() });
        check(b"opus/48000/2", &opus);
        check(b"opus/48000/2/16000", &CodecName { bit_rate: Some(16_000), ..opus.clone() });
        let parameters = "useinbandfec=1;maxaveragebitrate=20000".to_owned();
        check(
            b"opus/48000/2///useinbandfec--1;maxaveragebitrate--20000",
            &CodecName { parameters: parameters.clone(), ..opus.clone() },
        );
        check(
            b"opus/48000/2///useinbandfec=1;maxaveragebitrate=20000/compression_level--2",
            &CodecName { parameters, complexity: Some(2), ..opus.clone() },
        );
        check(b"opus/48000/2////application=voip;compression_level=11", &opus);
        check(b"opus/48000/2///a=1\r\na=sendonly", &opus);
        check(b"", &CodecName::default());
    }

    #[test]
    fn flags_name_lists() {
        let mut wishes = CodecWishes::default();
        for flag in [&b"mask-PCMU"[..], b"transcode=opus/48000/2", b"wurst-PCMA", b"strip"] {
            wishes.read(flag);
        }
        let expected = CodecWishes {
            mask: vec![CodecName::read(b"PCMU")],
            transcode: vec![CodecName::read(b"opus/48000/2")],
            ..CodecWishes::default()
        };
        assert_eq!(wishes, expected);
    }
}
