//! Copying a description while other encodings are put into its media sections.

use crate::edit::PayloadTypes;
use crate::write::Text;
use crate::{Description, Line, Media};
use sx_types::{Codec, PayloadType};

/// An encoding that is written into a media section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewFormat {
    /// The payload type.
    pub payload_type: PayloadType,
    /// The encoding.
    pub codec: Codec,
    /// Ticks of the RTP timestamp a second.
    pub clock_hz: u32,
    /// Its parameters (`a=fmtp`); empty for none.
    pub parameters: String,
}

/// What happens to the encodings of a media section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FormatEdit {
    /// They stay.
    #[default]
    Keep,
    /// These are named behind them.
    Append(Vec<NewFormat>),
    /// These take their place. What was said of the length of packets and of bandwidth was said of the others, and is left out.
    Replace(Vec<NewFormat>),
    /// These and no others, in this order. Where none of those that were there stays, it is as with `Replace`.
    Arrange(Vec<Arranged>),
}

/// An encoding of a media section that is arranged anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arranged {
    /// One that is there, with what is said of it.
    Kept(PayloadType),
    /// One that is not.
    New(NewFormat),
}

impl Description<'_> {
    /// Copies the description with other encodings. `sections` has what happens to each media section, in their order; those
    /// beyond its end stay as they are, and so does one that is to have none.
    pub fn set_formats(&self, sections: &[FormatEdit]) -> Vec<u8> {
        let mut text = Text::with_capacity(self.size_hint());
        self.write_session(&mut text, Text::copy);
        for (index, media) in self.media().enumerate() {
            match sections.get(index) {
                Some(FormatEdit::Append(formats)) if !formats.is_empty() => write(&mut text, &media, true, formats),
                Some(FormatEdit::Replace(formats)) if !formats.is_empty() => write(&mut text, &media, false, formats),
                Some(FormatEdit::Arrange(formats)) if !formats.is_empty() => arrange(&mut text, &media, formats),
                _ => media.lines().iter().for_each(|line| text.copy(line)),
            }
        }
        text.into_bytes()
    }
}

fn write(text: &mut Text, media: &Media<'_, '_>, keeps: bool, formats: &[NewFormat]) {
    let old = media.section.media.formats().filter(|_| keeps);
    media.section.media.write_formats(text, old, formats.iter().map(|format| format.payload_type));
    let lines = media.lines()[1..].iter().filter(|line| keeps || !is_about_formats(line));
    lines.for_each(|line| text.copy(line));
    formats.iter().for_each(|format| describe(text, format));
}

fn arrange(text: &mut Text, media: &Media<'_, '_>, formats: &[Arranged]) {
    let mut kept = PayloadTypes::default();
    formats.iter().for_each(|format| match format {
        Arranged::Kept(payload_type) => kept.insert(*payload_type),
        Arranged::New(_) => {}
    });
    kept.remove_orphans(media.lines());
    let numbers = formats.iter().filter_map(|format| match format {
        Arranged::Kept(payload_type) => kept.contains(*payload_type).then_some(*payload_type),
        Arranged::New(format) => Some(format.payload_type),
    });
    media.section.media.write_formats(text, std::iter::empty(), numbers);
    let stays = |line: &&Line<'_>| if kept.is_empty() { !is_about_formats(line) } else { !kept.excludes(line) };
    media.lines()[1..].iter().filter(stays).for_each(|line| text.copy(line));
    for format in formats {
        if let Arranged::New(format) = format {
            describe(text, format);
        }
    }
}

fn describe(text: &mut Text, format: &NewFormat) {
    let number = u64::from(format.payload_type.0);
    text.begin(b'a').bytes(b"rtpmap:").number(number).bytes(b" ").bytes(format.codec.name().as_bytes());
    text.bytes(b"/").number(u64::from(format.clock_hz));
    if format.codec.channels() > 1 {
        text.bytes(b"/").number(u64::from(format.codec.channels()));
    }
    text.end();
    if !format.parameters.is_empty() {
        text.begin(b'a').bytes(b"fmtp:").number(number).bytes(b" ").bytes(format.parameters.as_bytes()).end();
    }
}

fn is_about_formats(line: &Line<'_>) -> bool {
    let attribute = matches!(
        line.attribute_name(),
        Some(b"rtpmap" | b"fmtp" | b"rtcp-fb" | b"ptime" | b"maxptime" | b"minptime" | b"maxprate" | b"silenceSupp")
    );
    attribute || line.kind == b'b'
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n";
    const SECTION: &str = "m=audio 4000/2 RTP/AVP 8 101\r\nb=AS:80\r\na=rtpmap:101 telephone-event/8000\r\n\
        a=fmtp:101 0-15\r\na=ptime:30\r\na=sendonly\r\n";

    fn check(edit: FormatEdit, expected: &str) {
        let text = format!("{HEAD}{SECTION}{SECTION}");
        let description = Description::parse(text.as_bytes()).expect("a description");
        let written = description.set_formats(&[FormatEdit::Keep, edit]);
        assert_eq!(String::from_utf8_lossy(&written), format!("{HEAD}{SECTION}{expected}"));
    }

    fn formats() -> Vec<NewFormat> {
        let format = |number, codec: Codec, parameters: &str| NewFormat {
            payload_type: PayloadType(number),
            codec,
            clock_hz: codec.clock_hz(),
            parameters: parameters.into(),
        };
        vec![format(120, Codec::Opus, "useinbandfec=1"), format(9, Codec::G722, "")]
    }

    const LINES: &str = "a=rtpmap:120 opus/48000/2\r\na=fmtp:120 useinbandfec=1\r\na=rtpmap:9 G722/8000\r\n";

    #[test]
    fn encodings_are_added_behind_those_that_are_there() {
        let expected = format!("{}{LINES}", SECTION.replace("8 101\r\n", "8 101 120 9\r\n"));
        check(FormatEdit::Append(formats()), &expected);
        check(FormatEdit::Append(Vec::new()), SECTION);
    }

    #[test]
    fn encodings_are_arranged_anew() {
        let [opus, g722] = formats().try_into().expect("two");
        let kept = |number| Arranged::Kept(PayloadType(number));
        let all = "m=audio 4000/2 RTP/AVP 120 101 8 9\r\n";
        let expected = format!("{}{LINES}", SECTION.replace("m=audio 4000/2 RTP/AVP 8 101\r\n", all));
        check(
            FormatEdit::Arrange(vec![Arranged::New(opus.clone()), kept(101), kept(8), Arranged::New(g722)]),
            &expected,
        );
        let one = "m=audio 4000/2 RTP/AVP 8\r\nb=AS:80\r\na=ptime:30\r\na=sendonly\r\n";
        check(FormatEdit::Arrange(vec![kept(8)]), one);
        let (mapped, _) = LINES.split_at(LINES.find("a=rtpmap:9 ").expect("its line"));
        let none = format!("m=audio 4000/2 RTP/AVP 120\r\na=sendonly\r\n{mapped}");
        check(FormatEdit::Arrange(vec![Arranged::New(opus)]), &none);
        check(FormatEdit::Arrange(Vec::new()), SECTION);
    }

    #[test]
    fn encodings_take_the_place_of_those_that_are_there() {
        check(FormatEdit::Replace(formats()), &format!("m=audio 4000/2 RTP/AVP 120 9\r\na=sendonly\r\n{LINES}"));
        check(FormatEdit::Replace(Vec::new()), SECTION);
        check(FormatEdit::Keep, SECTION);
    }
}
