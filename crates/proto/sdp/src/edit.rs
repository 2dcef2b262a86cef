//! Copying a description while changing no more than one is told to.

use crate::description::Section;
use crate::maker::Maker;
use crate::media::payload_type;
use crate::parse::word;
use crate::write::Text;
use crate::{Description, Direction, Format, Line, Media, Profile};
use std::net::{IpAddr, SocketAddr};
use sx_types::PayloadType;

/// What [`Description::edit`] changes. Every line that nothing here names is copied byte for byte, but for an `a=rtcp`
/// before the first media section, which RFC 3605 forbids and which is left out.
#[derive(Clone, Copy, Debug)]
pub struct Edit<'e> {
    /// Who is said to have made the session; `None` leaves `o=` as it is.
    pub origin: Option<OriginEdit>,
    /// The address that takes the place of the one in the session's `c=`.
    pub address: IpAddr,
    /// What happens to each media section, in their order. Sections beyond the end are refused: their port becomes 0.
    pub media: &'e [MediaEdit],
    /// Leave out what ICE and its relatives say about addresses: `candidate`, `remote-candidates`,
    /// `end-of-candidates`, everything that begins with `ice-`, `alt` and `altc`.
    pub drop_ice: bool,
    /// Leave out that media sections share one transport: `group:BUNDLE` and `bundle-only`.
    pub drop_bundle: bool,
    /// Leave out what else tells of the machine and the person who made the description: the session's name, `u=`, `e=`
    /// and `p=`, `tool`, `source-filter` and the like, and any attribute that repeats an address of `o=` or `c=`. A
    /// source whose `cname` tells of its host gets another, made of this number.
    pub hide_maker: Option<u64>,
}

/// A new `o=` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OriginEdit {
    /// The user name and the session; `None` leaves both as they are. The user name becomes `-`.
    pub session: Option<u64>,
    /// The version of the description.
    pub version: u64,
    /// The machine that made it.
    pub address: IpAddr,
}

/// What happens to a media section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaEdit {
    /// The address for `c=` and the port for `m=`. A count of ports is left out. Port 0 refuses the stream.
    pub rtp: SocketAddr,
    /// What happens to `a=rtcp`.
    pub rtcp: RtcpEdit,
    /// Whether `a=rtcp-mux` is there afterwards; `None` leaves it as it is.
    pub rtcp_mux: Option<bool>,
    /// The direction of the section; `None` leaves it as it is.
    pub direction: Option<Direction>,
}

/// What happens to the `a=rtcp` of a media section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtcpEdit {
    /// It stays as it is.
    Keep,
    /// It is left out.
    Drop,
    /// It names this address; the line is added where there was none.
    At(SocketAddr),
    /// It names this address where there was such a line; none is added.
    IfPresent(SocketAddr),
}

impl Description<'_> {
    /// Copies the description with the changes asked for.
    pub fn edit(&self, edit: &Edit<'_>) -> Vec<u8> {
        let mut text = Text::with_capacity(self.size_hint());
        let mut has_session_address = false;
        let maker = edit.hide_maker.map(|session| Maker::of(self, session));
        self.write_session(&mut text, |text, line| match line.kind {
            b'o' => self.edit_origin(text, line, edit.origin),
            b'c' => {
                text.begin(b'c').address(edit.address).end();
                has_session_address = true;
            }
            //= https://www.rfc-editor.org/rfc/rfc3605#section-2.1
            // The attribute has no meaning for a session, and an address in it would stay.
            b'a' if edit.drops(line) || line.attribute("rtcp").is_some() => {}
            _ if maker.as_ref().is_some_and(|maker| maker.hide(text, line)) => {}
            _ => text.copy(line),
        });
        let session_address = has_session_address.then_some(edit.address);
        for (index, section) in self.sections.iter().enumerate() {
            let refused = MediaEdit::refused(edit.address);
            let media = edit.media.get(index).unwrap_or(&refused);
            self.edit_section(&mut text, section, edit, media, (session_address, maker.as_ref()));
        }
        text.into_bytes()
    }

    /// Copies the description, but leaves out of its RTP sections the payload types that `keep` does not want, and
    /// their `rtpmap`, `fmtp` and `rtcp-fb`. `keep` is given the place of the section, counted from 0, and the format.
    ///
    /// A stream that loses every codec (telephone events and comfort noise do not count) is refused: its port becomes
    /// 0 and its formats stay, since a media section needs one.
    pub fn retain_codecs(&self, mut keep: impl FnMut(usize, &Format<'_>) -> bool) -> Vec<u8> {
        let mut text = Text::with_capacity(self.size_hint());
        self.write_session(&mut text, Text::copy);
        for (index, media) in self.media().enumerate() {
            if media.profile() == Profile::Other || media.is_rejected() {
                media.lines().iter().for_each(|line| text.copy(line));
                continue;
            }
            let mut kept = PayloadTypes::default();
            let (mut had_primary, mut has_primary) = (false, false);
            for format in media.codecs() {
                had_primary |= format.is_primary();
                if keep(index, &format) {
                    has_primary |= format.is_primary();
                    kept.insert(format.payload_type);
                }
            }
            kept.remove_orphans(media.lines());
            if kept.is_empty() || has_primary != had_primary {
                media.section.media.write(&mut text, (0, 1), |_| true);
                media.lines()[1..].iter().for_each(|line| text.copy(line));
                continue;
            }
            media.section.media.write_formats(&mut text, std::iter::empty(), kept.in_order(&media).into_iter());
            let wanted = media.lines()[1..].iter().filter(|line| !kept.excludes(line));
            wanted.for_each(|line| text.copy(line));
        }
        text.into_bytes()
    }

    fn edit_origin(&self, text: &mut Text, line: &Line<'_>, edit: Option<OriginEdit>) {
        let Some(edit) = edit else {
            return text.copy(line);
        };
        text.begin(b'o');
        match edit.session {
            Some(session) => text.bytes(b"- ").number(session),
            None => text.bytes(self.origin.username).bytes(b" ").bytes(self.origin.session),
        };
        text.bytes(b" ").number(edit.version).bytes(b" ").address(edit.address).end();
    }

    fn edit_section(
        &self,
        text: &mut Text,
        section: &Section<'_>,
        edit: &Edit<'_>,
        media: &MediaEdit,
        (session_address, maker): (Option<IpAddr>, Option<&Maker<'_>>),
    ) {
        let lines = &self.lines[section.first + 1..section.end];
        let port = if section.media.port == 0 { 0 } else { media.rtp.port() };
        section.media.write(text, (port, 1), |_| true);
        //= https://www.rfc-editor.org/rfc/rfc8866#section-5.7
        // A section without an address of its own takes the session's; where there is none, or it is not right, the
        // section needs its own, behind the title.
        let takes_session = session_address.is_some_and(|address| port == 0 || address == media.rtp.ip());
        let mut needs_address = !takes_session && lines.iter().all(|line| line.kind != b'c');
        let (mut has_rtcp, mut has_rtcp_mux) = (false, false);
        for line in lines {
            if needs_address && line.kind != b'i' {
                text.begin(b'c').address(media.rtp.ip()).end();
                needs_address = false;
            }
            match line.kind {
                b'c' => text.begin(b'c').address(media.rtp.ip()).end(),
                b'a' if edit.drops(line) => {}
                b'a' => match Changed::by(line) {
                    Changed::Rtcp(value) => {
                        media.rtcp.write(text, line, value, media.rtp.ip());
                        has_rtcp = true;
                    }
                    Changed::RtcpMux if media.rtcp_mux == Some(false) => {}
                    Changed::RtcpMux => {
                        text.copy(line);
                        has_rtcp_mux = true;
                    }
                    Changed::RtcpMuxOnly if media.rtcp_mux.is_some() => {}
                    Changed::Direction if media.direction.is_some() => {}
                    _ if maker.is_some_and(|maker| maker.hide(text, line)) => {}
                    _ => text.copy(line),
                },
                _ if maker.is_some_and(|maker| maker.hide(text, line)) => {}
                _ => text.copy(line),
            }
        }
        if needs_address {
            text.begin(b'c').address(media.rtp.ip()).end();
        }
        if let (false, RtcpEdit::At(address)) = (has_rtcp, media.rtcp) {
            write_rtcp(text, address, address.ip() != media.rtp.ip());
        }
        if !has_rtcp_mux && media.rtcp_mux == Some(true) {
            text.line(b'a', "rtcp-mux");
        }
        if let Some(direction) = media.direction {
            text.line(b'a', direction.name());
        }
    }
}

impl Edit<'_> {
    fn drops(&self, line: &Line<'_>) -> bool {
        let name = line.attribute_name().unwrap_or_default();
        let ice = match name {
            b"candidate" | b"remote-candidates" | b"end-of-candidates" | b"alt" | b"altc" => true,
            _ => name.starts_with(b"ice-"),
        };
        let bundle = match name {
            b"bundle-only" => true,
            b"group" => line.attribute("group").is_some_and(|value| word(value).0.eq_ignore_ascii_case(b"BUNDLE")),
            _ => false,
        };
        self.drop_ice && ice || self.drop_bundle && bundle
    }
}

impl MediaEdit {
    /// The section is refused; its `c=` becomes `address`, so that nothing of the old one stays.
    pub fn refused(address: IpAddr) -> Self {
        Self { rtp: SocketAddr::new(address, 0), rtcp: RtcpEdit::Drop, rtcp_mux: None, direction: None }
    }
}

impl RtcpEdit {
    /// Writes what becomes of an `a=rtcp` line. The address is written when the line had one, or has to.
    fn write(self, text: &mut Text, line: &Line<'_>, value: &[u8], rtp: IpAddr) {
        let has_address = !word(word(value).1).0.is_empty();
        match self {
            Self::Keep => text.copy(line),
            Self::Drop => {}
            Self::At(address) | Self::IfPresent(address) => {
                write_rtcp(text, address, has_address || address.ip() != rtp);
            }
        }
    }
}

/// The attributes that an edit may change.
enum Changed<'a> {
    Rtcp(&'a [u8]),
    RtcpMux,
    RtcpMuxOnly,
    Direction,
    Nothing,
}

impl<'a> Changed<'a> {
    fn by(line: &Line<'a>) -> Self {
        match line.attribute_name() {
            Some(b"rtcp") => Self::Rtcp(line.attribute("rtcp").unwrap_or_default()),
            Some(b"rtcp-mux") => Self::RtcpMux,
            Some(b"rtcp-mux-only") => Self::RtcpMuxOnly,
            Some(b"sendrecv" | b"sendonly" | b"recvonly" | b"inactive") => Self::Direction,
            _ => Self::Nothing,
        }
    }
}

/// A set of payload types.
#[derive(Default)]
pub(crate) struct PayloadTypes(u128);

impl PayloadTypes {
    pub(crate) fn insert(&mut self, payload_type: PayloadType) {
        self.0 |= 1 << (payload_type.0 & 127);
    }

    pub(crate) fn contains(&self, payload_type: PayloadType) -> bool {
        self.0 >> (payload_type.0 & 127) & 1 == 1
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// Takes out the payload types that retransmit one that is not in the set.
    //= https://www.rfc-editor.org/rfc/rfc4588#section-8.1
    pub(crate) fn remove_orphans(&mut self, lines: &[Line<'_>]) {
        for (payload_type, parameters) in lines.iter().filter_map(|line| line.described("fmtp")) {
            let apt = parameters.trim_ascii().strip_prefix(b"apt=").map(|rest| {
                let end = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
                &rest[..end]
            });
            if apt.and_then(self::payload_type).is_some_and(|of| !self.contains(of)) {
                self.0 &= !(1 << (payload_type.0 & 127));
            }
        }
    }

    /// Those of a section in its order. What is first is preferred: what goes beside sound does not come to be first for
    /// having lost what stood before it.
    fn in_order(&self, media: &Media<'_, '_>) -> Vec<PayloadType> {
        let mut formats: Vec<Format<'_>> = media.codecs().filter(|format| self.contains(format.payload_type)).collect();
        let sound = formats.iter().position(Format::is_primary);
        if let Some(sound) = sound.filter(|_| media.codecs().next().is_some_and(|format| format.is_primary())) {
            formats[..=sound].rotate_right(1);
        }
        formats.iter().map(|format| format.payload_type).collect()
    }

    /// Does the line describe a payload type that is not in the set?
    pub(crate) fn excludes(&self, line: &Line<'_>) -> bool {
        let names = ["rtpmap", "fmtp", "rtcp-fb"];
        names.into_iter().find_map(|name| line.described(name)).is_some_and(|(of, _)| !self.contains(of))
    }
}

fn write_rtcp(text: &mut Text, address: SocketAddr, with_address: bool) {
    text.begin(b'a').bytes(b"rtcp:").number(u64::from(address.port()));
    if with_address {
        text.bytes(b" ").address(address.ip());
    }
    text.end();
}
