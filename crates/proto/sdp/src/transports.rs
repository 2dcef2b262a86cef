//! Copying a description while it changes how the packets of its media sections travel.

use crate::write::Text;
use crate::{Description, Line, Media};

/// What happens to how the packets of a media section travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransportEdit<'e> {
    /// The protocol in `m=`; `None` leaves it as it is.
    pub protocol: Option<&'e str>,
    /// Whether `a=rtcp-mux` is there afterwards; `None` leaves it as it is.
    pub rtcp_mux: Option<bool>,
    /// What `a=ptime` says, in milliseconds; `None` leaves it as it is.
    pub ptime_ms: Option<u16>,
}

impl Description<'_> {
    /// Copies the description with sections that travel otherwise. `sections` has what happens to each media section, in their
    /// order; those beyond its end stay as they are.
    pub fn set_transports(&self, sections: &[TransportEdit<'_>]) -> Vec<u8> {
        let mut text = Text::with_capacity(self.size_hint());
        self.write_session(&mut text, Text::copy);
        for (index, media) in self.media().enumerate() {
            write(&mut text, &media, sections.get(index).copied().unwrap_or_default());
        }
        text.into_bytes()
    }

    /// Copies the description with another attribute at the end of its session's part.
    pub fn add_attribute(&self, attribute: &str) -> Vec<u8> {
        let mut text = Text::with_capacity(self.size_hint() + attribute.len());
        self.write_session(&mut text, Text::copy);
        text.line(b'a', attribute);
        self.media().flat_map(|media| media.lines()).for_each(|line| text.copy(line));
        text.into_bytes()
    }
}

fn write(text: &mut Text, media: &Media<'_, '_>, edit: TransportEdit<'_>) {
    let (first, rest) = (&media.lines()[0], &media.lines()[1..]);
    match edit.protocol {
        Some(protocol) => {
            let ports = (media.port(), media.port_count());
            media.section.media.write_as(text, protocol.as_bytes(), ports, |_| true);
        }
        None => text.copy(first),
    }
    let is_mux = |line: &Line<'_>| line.attribute("rtcp-mux").is_some();
    let is_replaced = |line: &Line<'_>| match line.attribute_name() {
        Some(b"rtcp-mux") => edit.rtcp_mux == Some(false),
        Some(b"rtcp-mux-only") => edit.rtcp_mux.is_some(),
        Some(b"ptime") => edit.ptime_ms.is_some(),
        _ => false,
    };
    rest.iter().filter(|line| !is_replaced(line)).for_each(|line| text.copy(line));
    if let Some(ms) = edit.ptime_ms {
        text.begin(b'a').bytes(b"ptime:").number(u64::from(ms)).end();
    }
    if edit.rtcp_mux == Some(true) && !rest.iter().any(is_mux) {
        text.line(b'a', "rtcp-mux");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n";

    fn check(sections: &str, edits: &[TransportEdit<'_>], expected: &str) {
        let text = format!("{HEAD}{sections}");
        let description = Description::parse(text.as_bytes()).expect("a description");
        assert_eq!(String::from_utf8_lossy(&description.set_transports(edits)), format!("{HEAD}{expected}"));
    }

    #[test]
    fn each_section_is_changed_by_itself() {
        let text = "m=audio 4000 RTP/AVP 0\r\na=rtcp-mux\r\nm=video 4002/2 RTP/AVP 96\r\na=x\r\n";
        let off = TransportEdit { protocol: Some("RTP/AVPF"), rtcp_mux: Some(false), ptime_ms: None };
        let on = TransportEdit { rtcp_mux: Some(true), ..TransportEdit::default() };
        check(text, &[], text);
        check(text, &[off], "m=audio 4000 RTP/AVPF 0\r\nm=video 4002/2 RTP/AVP 96\r\na=x\r\n");
        check(text, &[on, on], &format!("{text}a=rtcp-mux\r\n"));
        check("m=audio 1 RTP/AVP 0\r\na=rtcp-mux-only\r\n", &[off], "m=audio 1 RTP/AVPF 0\r\n");
        check("m=audio 1 RTP/AVP 0\r\na=rtcp-mux-only\r\n", &[on], "m=audio 1 RTP/AVP 0\r\na=rtcp-mux\r\n");
    }

    #[test]
    fn words_may_stand_further_apart() {
        let edit = TransportEdit { protocol: Some("RTP/AVPF"), ..TransportEdit::default() };
        check("m=audio  4000 \t RTP/AVP   0  8\r\n", &[edit], "m=audio 4000 RTP/AVPF 0 8\r\n");
    }

    #[test]
    fn the_length_of_packets_is_said_once() {
        let edit = TransportEdit { ptime_ms: Some(40), ..TransportEdit::default() };
        check("m=audio 1 RTP/AVP 0\r\na=ptime:20\r\na=x\r\n", &[edit], "m=audio 1 RTP/AVP 0\r\na=x\r\na=ptime:40\r\n");
        check("m=audio 1 RTP/AVP 0", &[edit], "m=audio 1 RTP/AVP 0\r\na=ptime:40\r\n");
    }

    #[test]
    fn an_attribute_of_the_session_stands_before_the_media() {
        let media = "m=audio 1 RTP/AVP 0\r\na=x\r\nm=video 0 RTP/AVP 31\r\n";
        let text = format!("{HEAD}{media}");
        let description = Description::parse(text.as_bytes()).expect("a description");
        let with = description.add_attribute("loop:1");
        assert_eq!(String::from_utf8_lossy(&with), format!("{HEAD}a=loop:1\r\n{media}"));
    }
}
