//! Copying a description while changing how its RTP is protected.

use crate::write::Text;
use crate::{Description, DtlsTerms, Line, Media, MediaKind, Profile};

/// How the RTP of a media section is protected from now on, as [`Description::protect`] writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection<'p> {
    /// It stays as it is.
    Keep,
    /// Not at all: `RTP/AVP` or `RTP/AVPF`, and no keys. Sound that has come with a handshake goes on without feedback, of which
    /// there is little for sound: those who have handshakes ask for it with everything, and plain telephones know none.
    Clear,
    /// With one of these keys, each the value of an `a=crypto`, best first: `RTP/SAVP` or `RTP/SAVPF`.
    Keys(&'p [String]),
    /// With one of these keys if the peer knows how, else not at all: `RTP/AVP` or `RTP/AVPF`, with the keys.
    //= https://www.rfc-editor.org/rfc/rfc8643#section-3.1
    KeysIfKnown(&'p [String]),
    /// With keys of a DTLS handshake: `UDP/TLS/RTP/SAVP` or `UDP/TLS/RTP/SAVPF`.
    //= https://www.rfc-editor.org/rfc/rfc5764#section-8
    Dtls(DtlsTerms<'p>),
    /// With keys of a DTLS handshake if the peer knows how, else not at all: `RTP/AVP` or `RTP/AVPF`, with what is said of it.
    //= https://www.rfc-editor.org/rfc/rfc8643#section-3.1
    DtlsIfKnown(DtlsTerms<'p>),
    /// By this protocol, which was offered, and with keys of a DTLS handshake.
    DtlsAnswer(&'p [u8], DtlsTerms<'p>),
    /// By this protocol, which was offered, and with these keys.
    //= https://www.rfc-editor.org/rfc/rfc3264#section-6
    // The protocol of an answer is that of the offer.
    Answer(&'p [u8], &'p [String]),
}

impl Description<'_> {
    /// Copies the description with other keys. `sections` has what happens to each media section, in their order; those
    /// beyond its end stay as they are, and so do those that are refused, or that are no RTP. What the session says of keys goes
    /// unless everything stays.
    pub fn protect(&self, sections: &[Protection<'_>]) -> Vec<u8> {
        let mut text = Text::with_capacity(self.size_hint());
        let stays = sections.iter().all(|protection| *protection == Protection::Keep);
        self.write_session(&mut text, |text, line| {
            if stays || !is_key(line) {
                text.copy(line);
            }
        });
        for (index, media) in self.media().enumerate() {
            let protection = sections.get(index).copied().unwrap_or(Protection::Keep);
            match protection.of(&media) {
                Some((protocol, keys)) => write_section(&mut text, &media, protocol, &keys),
                None => media.lines().iter().for_each(|line| text.copy(line)),
            }
        }
        text.into_bytes()
    }
}

/// What a section says of its keys.
enum Keys<'p> {
    Sdes(&'p [String]),
    Dtls(DtlsTerms<'p>),
}

impl<'p> Protection<'p> {
    /// The protocol of a section and its keys; `None` leaves it as it is.
    fn of(self, media: &Media<'_, '_>) -> Option<(&'p [u8], Keys<'p>)> {
        if media.is_rejected() || media.profile() == Profile::Other {
            return None;
        }
        let feedback = media.protocol().last().is_some_and(|letter| letter.eq_ignore_ascii_case(&b'F'));
        let of_three: [&[u8]; 3] = match feedback {
            true => [b"RTP/AVPF", b"RTP/SAVPF", b"UDP/TLS/RTP/SAVPF"],
            false => [b"RTP/AVP", b"RTP/SAVP", b"UDP/TLS/RTP/SAVP"],
        };
        let [clear, secure, dtls] = of_three;
        match self {
            Self::Keep => None,
            Self::Clear if has_idle_feedback(media) => Some((b"RTP/AVP", Keys::Sdes(&[]))),
            Self::Clear => Some((clear, Keys::Sdes(&[]))),
            Self::Keys(keys) => Some((secure, Keys::Sdes(keys))),
            Self::KeysIfKnown(keys) => Some((clear, Keys::Sdes(keys))),
            Self::Answer(protocol, keys) => Some((protocol, Keys::Sdes(keys))),
            Self::Dtls(terms) => Some((dtls, Keys::Dtls(terms))),
            Self::DtlsIfKnown(terms) => Some((clear, Keys::Dtls(terms))),
            Self::DtlsAnswer(protocol, terms) => Some((protocol, Keys::Dtls(terms))),
        }
    }
}

fn write_section(text: &mut Text, media: &Media<'_, '_>, protocol: &[u8], keys: &Keys<'_>) {
    media.section.media.write_as(text, protocol, (media.port(), media.port_count()), |_| true);
    let no_feedback = has_idle_feedback(media) && !protocol.ends_with(b"F");
    let goes = |line: &Line<'_>| is_key(line) || no_feedback && line.attribute_name() == Some(b"rtcp-fb");
    media.lines()[1..].iter().filter(|line| !goes(line)).for_each(|line| text.copy(line));
    match keys {
        Keys::Sdes(keys) => {
            for key in *keys {
                text.begin(b'a').bytes(b"crypto:").bytes(key.as_bytes()).end();
            }
        }
        Keys::Dtls(terms) => {
            if terms.rtcp_mux && !media.rtcp_mux() {
                text.line(b'a', "rtcp-mux");
            }
            terms.write(text);
        }
    }
}

/// Is it sound that asks for feedback because handshakes came with it?
fn has_idle_feedback(media: &Media<'_, '_>) -> bool {
    media.profile() == Profile::DtlsRtp && media.kind() == MediaKind::Audio
}

/// Does the line say with what key the media is protected?
//= https://www.rfc-editor.org/rfc/rfc4567#section-3
//= https://www.rfc-editor.org/rfc/rfc8842#section-4
// `dtls-id` is what `tls-id` was called before.
fn is_key(line: &Line<'_>) -> bool {
    const OF_KEYS: [&[u8]; 7] =
        [b"crypto", b"key-mgmt", b"fingerprint", b"setup", b"connection", b"tls-id", b"dtls-id"];
    line.attribute_name().is_some_and(|name| OF_KEYS.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Setup;

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

    fn terms(setup: Setup) -> DtlsTerms<'static> {
        DtlsTerms { fingerprint: "sha-256 AB", setup, tls_id: Some("one"), rtcp_mux: setup == Setup::ActPass }
    }

    #[test]
    fn a_handshake_and_the_protocol_that_goes_with_it_are_written() {
        let clear = "m=audio 4000 RTP/AVP 8\r\na=sendonly\r\n";
        let lines = "a=rtcp-mux\r\na=fingerprint:sha-256 AB\r\na=setup:actpass\r\na=tls-id:one\r\n";
        let offered = format!("{}{lines}", clear.replace("RTP/AVP", "UDP/TLS/RTP/SAVP"));
        check(clear, Protection::Dtls(terms(Setup::ActPass)), &offered);
        check(clear, Protection::DtlsIfKnown(terms(Setup::ActPass)), &format!("{clear}{lines}"));
        let sound = "m=audio 4000 UDP/TLS/RTP/SAVPF 8\r\na=rtcp-fb:* nack\r\n";
        check(sound, Protection::Clear, "m=audio 4000 RTP/AVP 8\r\n");
        check(sound, Protection::Keep, sound);
        let answered = offered.replace("actpass", "passive");
        check(&answered, Protection::DtlsAnswer(b"UDP/TLS/RTP/SAVP", terms(Setup::Passive)), &answered);
        check(&offered, Protection::Clear, "m=audio 4000 RTP/AVP 8\r\na=sendonly\r\na=rtcp-mux\r\n");
        check(
            "m=video 4000 udp/tls/rtp/savpf 8\r\na=connection:new\r\n",
            Protection::Clear,
            "m=video 4000 RTP/AVPF 8\r\n",
        );
    }

    #[test]
    fn what_the_session_says_of_keys_goes_as_well() {
        let head = HEAD.replace("t=0 0\r\n", "t=0 0\r\na=fingerprint:sha-256 AB\r\na=setup:actpass\r\n");
        let section = "m=audio 4000 UDP/TLS/RTP/SAVP 8\r\n";
        let text = format!("{head}{section}");
        let description = Description::parse(text.as_bytes()).expect("a description");
        let clear = format!("{HEAD}m=audio 4000 RTP/AVP 8\r\n");
        assert_eq!(description.protect(&[Protection::Clear]), clear.as_bytes());
        assert_eq!(description.protect(&[Protection::Keep]), text.as_bytes());
    }

    #[test]
    fn what_is_refused_or_is_no_rtp_stays() {
        for section in
            ["m=audio 0 RTP/SAVP 8\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n", "m=image 4000 udptl t38\r\n"]
        {
            check(section, Protection::Clear, section);
            check(section, Protection::Keys(&[]), section);
        }
    }
}
