//! Copying a description while changing how its RTP is protected.

use crate::write::Text;
use crate::{Description, Line, Media, Profile};

/// How the RTP of a media section is protected from now on, as [`Description::protect`] writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection<'p> {
    /// It stays as it is.
    Keep,
    /// Not at all: `RTP/AVP` or `RTP/AVPF`, and no keys.
    Clear,
    /// With one of these keys, each the value of an `a=crypto`, best first: `RTP/SAVP` or `RTP/SAVPF`.
    Keys(&'p [String]),
    /// With one of these keys if the peer knows how, else not at all: `RTP/AVP` or `RTP/AVPF`, with the keys.
    //= https://www.rfc-editor.org/rfc/rfc8643#section-3.1
    KeysIfKnown(&'p [String]),
    /// By this protocol, which was offered, and with these keys.
    //= https://www.rfc-editor.org/rfc/rfc3264#section-6
    // The protocol of an answer is that of the offer.
    Answer(&'p [u8], &'p [String]),
}

impl Description<'_> {
    /// Copies the description with other keys. `sections` has what happens to each media section, in their order; those
    /// beyond its end stay as they are, and so do those that are refused or whose keys come from DTLS, or that are no RTP.
    pub fn protect(&self, sections: &[Protection<'_>]) -> Vec<u8> {
        let mut text = Text::with_capacity(self.size_hint());
        self.write_session(&mut text, Text::copy);
        for (index, media) in self.media().enumerate() {
            let protection = sections.get(index).copied().unwrap_or(Protection::Keep);
            match protection.of(&media) {
                Some((protocol, keys)) => write_section(&mut text, &media, protocol, keys),
                None => media.lines().iter().for_each(|line| text.copy(line)),
            }
        }
        text.into_bytes()
    }
}

impl<'p> Protection<'p> {
    /// The protocol of a section and its keys; `None` leaves it as it is.
    fn of(self, media: &Media<'_, '_>) -> Option<(&'p [u8], &'p [String])> {
        if media.is_rejected() || !matches!(media.profile(), Profile::Rtp | Profile::SecureRtp) {
            return None;
        }
        let feedback = media.protocol().last().is_some_and(|letter| letter.eq_ignore_ascii_case(&b'F'));
        let (clear, secure): (&[u8], &[u8]) =
            if feedback { (b"RTP/AVPF", b"RTP/SAVPF") } else { (b"RTP/AVP", b"RTP/SAVP") };
        match self {
            Self::Keep => None,
            Self::Clear => Some((clear, &[])),
            Self::Keys(keys) => Some((secure, keys)),
            Self::KeysIfKnown(keys) => Some((clear, keys)),
            Self::Answer(protocol, keys) => Some((protocol, keys)),
        }
    }
}

fn write_section(text: &mut Text, media: &Media<'_, '_>, protocol: &[u8], keys: &[String]) {
    media.section.media.write_as(text, protocol, (media.port(), media.port_count()), |_| true);
    media.lines()[1..].iter().filter(|line| !is_key(line)).for_each(|line| text.copy(line));
    for key in keys {
        text.begin(b'a').bytes(b"crypto:").bytes(key.as_bytes()).end();
    }
}

/// Does the line say with what key the media is protected?
//= https://www.rfc-editor.org/rfc/rfc4567#section-3
fn is_key(line: &Line<'_>) -> bool {
    matches!(line.attribute_name(), Some(b"crypto" | b"key-mgmt"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n";

    fn check(section: &str, protection: Protection<'_>, expected: &str) {
        let text = format!("{HEAD}{section}");
        let description = Description::parse(text.as_bytes()).expect("a description");
        let protected = description.protect(&[protection]);
        assert_eq!(String::from_utf8_lossy(&protected), format!("{HEAD}{expected}"));
    }

    #[test]
    fn keys_and_the_protocol_that_goes_with_them_are_written() {
        let keys = ["1 AES_CM_128_HMAC_SHA1_80 inline:x".to_owned(), "2 AEAD_AES_128_GCM inline:y".to_owned()];
        let clear = "m=audio 4000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=sendonly\r\n";
        let lines = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\na=crypto:2 AEAD_AES_128_GCM inline:y\r\n";
        let secure = format!("{}{lines}", clear.replace("RTP/AVP", "RTP/SAVP"));
        check(clear, Protection::Keys(&keys), &secure);
        check(clear, Protection::KeysIfKnown(&keys), &format!("{clear}{lines}"));
        check(&secure, Protection::Clear, clear);
        check(&secure, Protection::Keep, &secure);
        check(&secure, Protection::Keys(&keys[..1]), &secure.replace("a=crypto:2 AEAD_AES_128_GCM inline:y\r\n", ""));
    }

    #[test]
    fn feedback_stays_and_other_keys_go() {
        let keys = ["1 AES_CM_128_HMAC_SHA1_80 inline:x".to_owned()];
        let secure = "m=video 4000/2 rtp/savpf 96\r\na=key-mgmt:mikey x\r\na=crypto:7 F8_128 inline:z\r\n";
        check(secure, Protection::Clear, "m=video 4000/2 RTP/AVPF 96\r\n");
        let written = "m=video 4000/2 RTP/SAVPF 96\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n";
        check(secure, Protection::Keys(&keys), written);
        let answer = "m=video 4000/2 RTP/SAVP 96\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n";
        check(written, Protection::Answer(b"RTP/SAVP", &keys), answer);
    }

    #[test]
    fn what_is_refused_or_has_its_keys_from_elsewhere_stays() {
        for section in [
            "m=audio 0 RTP/SAVP 8\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n",
            "m=audio 4000 UDP/TLS/RTP/SAVPF 8\r\na=fingerprint:sha-256 AB\r\n",
            "m=image 4000 udptl t38\r\n",
        ] {
            check(section, Protection::Clear, section);
            check(section, Protection::Keys(&[]), section);
        }
    }
}
