//! What of a description is changed besides addresses and keys: the protocol of its streams, `a=rtcp-mux`, and `a=ptime`.

use bytes::Bytes;

/// What becomes of a media section.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SectionEdit {
    /// The protocol in `m=`; `None`: as it is.
    pub(crate) protocol: Option<&'static str>,
    /// Is there an `a=rtcp-mux`? `None`: as it is.
    pub(crate) rtcp_mux: Option<bool>,
    /// What `a=ptime` says; `None`: as it is.
    pub(crate) ptime_ms: Option<u16>,
}

/// The description with its sections changed, known by their place. What needs no change keeps its bytes.
pub(crate) fn edit(description: &Bytes, section: impl Fn(usize) -> SectionEdit) -> Bytes {
    let mut text = Vec::with_capacity(description.len() + 32);
    let (mut next, mut current, mut has_mux) = (0, SectionEdit::default(), false);
    for line in description.split_inclusive(|byte| *byte == b'\n') {
        let content = line.trim_ascii_end();
        if content.starts_with(b"m=") {
            close(&mut text, current, has_mux);
            (current, has_mux) = (section(next), false);
            next += 1;
            write_media(&mut text, line, current.protocol);
        } else {
            let is_mux = content == MUX;
            has_mux |= is_mux;
            let is_ptime = content.starts_with(b"a=ptime:");
            if !(is_mux && current.rtcp_mux == Some(false) || is_ptime && current.ptime_ms.is_some()) {
                text.extend(line);
            }
        }
    }
    close(&mut text, current, has_mux);
    if text == *description { description.clone() } else { text.into() }
}

const MUX: &[u8] = b"a=rtcp-mux";

fn close(text: &mut Vec<u8>, section: SectionEdit, has_mux: bool) {
    let mux = (section.rtcp_mux == Some(true) && !has_mux).then(|| MUX.to_vec());
    let ptime = section.ptime_ms.map(|ms| format!("a=ptime:{ms}").into_bytes());
    for line in ptime.into_iter().chain(mux) {
        if !text.ends_with(b"\n") {
            text.extend(b"\r\n");
        }
        text.extend(line);
        text.extend(b"\r\n");
    }
}

/// `m=audio 4000 RTP/AVP 0` with another protocol.
fn write_media(text: &mut Vec<u8>, line: &[u8], protocol: Option<&str>) {
    let mut words = line.splitn(4, |byte| *byte == b' ');
    match (protocol, words.next(), words.next(), words.next(), words.next()) {
        (Some(protocol), Some(kind), Some(port), Some(_), Some(formats)) => {
            for word in [kind, port, protocol.as_bytes()] {
                text.extend(word);
                text.push(b' ');
            }
            text.extend(formats);
        }
        _ => text.extend(line),
    }
}

/// The description with a line at the end of its session's part.
pub(crate) fn with_session_attribute(description: &[u8], attribute: &str) -> Bytes {
    let media = description.windows(3).position(|window| window == b"\nm=").map_or(description.len(), |at| at + 1);
    let (session, sections) = description.split_at(media);
    [session, b"a=", attribute.as_bytes(), b"\r\n", sections].concat().into()
}

/// Has the description this attribute?
pub(crate) fn has_attribute(description: &[u8], attribute: &str) -> bool {
    let mut lines = description.split(|byte| *byte == b'\n');
    lines.any(|line| line.trim_ascii_end().strip_prefix(b"a=") == Some(attribute.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, edits: &[SectionEdit], expected: &str) {
        let edited = edit(&Bytes::from(text.to_owned()), |at| edits.get(at).copied().unwrap_or_default());
        assert_eq!(String::from_utf8_lossy(&edited), expected);
    }

    #[test]
    fn each_section_is_changed_by_itself() {
        let text = "v=0\r\nm=audio 4000 RTP/AVP 0\r\na=rtcp-mux\r\nm=video 4002 RTP/AVP 96\r\na=x\r\n";
        let off = SectionEdit { protocol: Some("RTP/AVPF"), rtcp_mux: Some(false), ptime_ms: None };
        let on = SectionEdit { rtcp_mux: Some(true), ..SectionEdit::default() };
        check(text, &[], text);
        check(text, &[off], "v=0\r\nm=audio 4000 RTP/AVPF 0\r\nm=video 4002 RTP/AVP 96\r\na=x\r\n");
        check(text, &[on, on], &format!("{text}a=rtcp-mux\r\n"));
    }

    #[test]
    fn the_length_of_packets_is_said_once() {
        let section = SectionEdit { ptime_ms: Some(40), ..SectionEdit::default() };
        let text = "v=0\r\nm=audio 1 RTP/AVP 0\r\na=ptime:20\r\na=x\r\n";
        check(text, &[section], "v=0\r\nm=audio 1 RTP/AVP 0\r\na=x\r\na=ptime:40\r\n");
        check("m=audio 1 RTP/AVP 0", &[section], "m=audio 1 RTP/AVP 0\r\na=ptime:40\r\n");
    }

    #[test]
    fn an_attribute_of_the_session_stands_before_the_media() {
        let with = with_session_attribute(b"v=0\r\nt=0 0\r\nm=audio 1 RTP/AVP 0\r\n", "loop:1");
        assert_eq!(&with[..], b"v=0\r\nt=0 0\r\na=loop:1\r\nm=audio 1 RTP/AVP 0\r\n");
        assert!(has_attribute(&with, "loop:1") && !has_attribute(&with, "loop:2"));
    }
}
