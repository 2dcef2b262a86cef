//! What a description says of a DTLS handshake: whose certificate, who begins, which association.

use crate::{Media, write::Text};
use sx_types::Fingerprint;

/// Who begins a handshake, as the party that wrote it has it.
//= https://www.rfc-editor.org/rfc/rfc4145#section-4
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    /// The party begins.
    Active,
    /// It waits.
    Passive,
    /// It does either: whoever answers chooses. What offers say.
    ActPass,
    /// Nobody is to begin for now.
    HoldConn,
}

/// What is said of our side of a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DtlsTerms<'p> {
    /// The value of `a=fingerprint`.
    pub fingerprint: &'p str,
    /// Who begins.
    pub setup: Setup,
    /// The value of `a=tls-id`; `None` leaves it out.
    pub tls_id: Option<&'p str>,
    /// RTCP is to share the port of RTP, so that one handshake does for both.
    pub rtcp_mux: bool,
}

impl Setup {
    const NAMES: [(&'static str, Self); 4] = [
        ("active", Self::Active),
        ("passive", Self::Passive),
        ("actpass", Self::ActPass),
        ("holdconn", Self::HoldConn),
    ];

    fn parse(value: &[u8]) -> Option<Self> {
        let value = value.trim_ascii();
        Self::NAMES.iter().find(|(name, _)| value.eq_ignore_ascii_case(name.as_bytes())).map(|row| row.1)
    }

    /// As in descriptions.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::ActPass => "actpass",
            Self::HoldConn => "holdconn",
        }
    }
}

impl<'a> Media<'_, 'a> {
    /// The fingerprints of the certificates that the party may show; those of hash functions that count for nothing are left
    /// out.
    //= https://www.rfc-editor.org/rfc/rfc8122#section-5
    // Those of the section stand instead of the session's, not beside them.
    pub fn fingerprints(&self) -> Vec<Fingerprint> {
        let of = |lines: &[crate::Line<'a>]| -> Vec<&'a [u8]> {
            lines.iter().filter_map(|line| line.attribute("fingerprint")).collect()
        };
        let mut values = of(self.lines());
        if values.is_empty() {
            values = of(self.description.session_lines());
        }
        values.into_iter().filter_map(Fingerprint::parse).collect()
    }

    /// Who begins the handshake. Where nothing is said it is the party that wrote this; a word that nobody knows says nothing.
    //= https://www.rfc-editor.org/rfc/rfc4145#section-4
    // The default value of the setup attribute in an offer/answer exchange is 'active'.
    pub fn setup(&self) -> Setup {
        self.inherited("setup").and_then(Setup::parse).unwrap_or(Setup::Active)
    }

    /// The name of the association (`a=tls-id`): another one is another association.
    //= https://www.rfc-editor.org/rfc/rfc8842#section-4
    pub fn tls_id(&self) -> Option<&'a [u8]> {
        self.attribute("tls-id").map(<[u8]>::trim_ascii).filter(|id| !id.is_empty())
    }
}

impl DtlsTerms<'_> {
    pub(crate) fn write(&self, text: &mut Text) {
        text.begin(b'a').bytes(b"fingerprint:").bytes(self.fingerprint.as_bytes()).end();
        text.begin(b'a').bytes(b"setup:").bytes(self.setup.name().as_bytes()).end();
        if let Some(id) = self.tls_id {
            text.begin(b'a').bytes(b"tls-id:").bytes(id.as_bytes()).end();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Description;

    fn print(byte: &str) -> String {
        format!("sha-256 {}", vec![byte; 32].join(":"))
    }

    #[track_caller]
    fn check(session: &str, section: &str, expected: (&[String], Setup, Option<&[u8]>)) {
        let text = format!(
            "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n{session}m=audio 4000 UDP/TLS/RTP/SAVP 0\r\n{section}"
        );
        let description = Description::parse(text.as_bytes()).expect("a description");
        let media = description.media_at(0).expect("a section");
        let prints: Vec<String> = media.fingerprints().iter().map(ToString::to_string).collect();
        assert_eq!((prints.as_slice(), media.setup(), media.tls_id()), expected, "{text}");
    }

    #[test]
    fn a_section_goes_before_the_session() {
        let [one, two] = ["01", "02"].map(print);
        let line = |print: &String| format!("a=fingerprint:{print}\r\n");
        check(&line(&one), "", (std::slice::from_ref(&one), Setup::Active, None));
        check(&line(&one), &line(&two), (std::slice::from_ref(&two), Setup::Active, None));
        check("", &format!("{}{}", line(&one), line(&two)), (&[one.clone(), two.clone()], Setup::Active, None));
        check("a=setup:passive\r\n", "a=setup:ActPass\r\n", (&[], Setup::ActPass, None));
        check("a=setup:passive\r\n", "a=tls-id:abc\r\n", (&[], Setup::Passive, Some(b"abc")));
        check("", "a=setup:holdconn\r\n", (&[], Setup::HoldConn, None));
        // One that is weak counts for nothing, and hides the session's all the same.
        check(&line(&one), "a=fingerprint:sha-1 AA:BB\r\na=setup:maybe\r\n", (&[], Setup::Active, None));
    }

    #[test]
    fn what_is_written_is_read() {
        for (name, setup) in Setup::NAMES {
            assert_eq!((setup.name(), Setup::parse(name.as_bytes())), (name, Some(setup)));
        }
    }
}
