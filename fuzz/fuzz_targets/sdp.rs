//! Session descriptions: what is read can be edited, filtered and answered, and what is written can be read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::net::{IpAddr, Ipv4Addr};
use sx_sdp::{Crypto, Description, Direction, Edit, MediaEdit, OriginEdit, OurFormat, Ours, RtcpEdit, answer};

const OURS: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));

fn read<'a>(text: &'a [u8], what: &str) -> Description<'a> {
    Description::parse(text).unwrap_or_else(|error| panic!("what {what} writes cannot be read: {error}"))
}

/// Reads everything there is to read.
fn look_at(description: &Description<'_>) {
    let _ = (description.origin(), description.connection(), description.direction());
    for media in description.media() {
        let _ = (media.kind(), media.port_count(), media.profile(), media.rtcp(), media.rtcp_mux(), media.ptime_ms());
        let _ = (media.has_crypto(), media.has_fingerprint(), media.has_ice(), media.is_held());
        assert_eq!(media.rtp_address().is_some(), media.rtcp_address().is_some());
        for crypto in media.cryptos().flatten() {
            assert_eq!(Crypto::parse(crypto.write().as_bytes()), Ok(crypto), "what is written is read as the same");
            assert!(crypto.mki.is_none_or(|mki| mki.to_bytes().len() == usize::from(mki.bytes)));
        }
        for format in media.codecs() {
            assert!(format.payload_type.0 < 128);
            let _ = media.fmtp(format.payload_type);
        }
    }
}

fn edit(description: &Description<'_>, media: &[MediaEdit]) -> Vec<u8> {
    let origin = Some(OriginEdit { session: Some(1), version: 2, address: OURS });
    description.edit(&Edit { origin, address: OURS, media, drop_ice: true, drop_bundle: true, hide_maker: Some(1) })
}

fuzz_target!(|input: &[u8]| {
    let Ok(description) = Description::parse(input) else { return };
    look_at(&description);

    let rtcp = RtcpEdit::At((OURS, 20_009).into());
    let direction = Some(Direction::SendOnly);
    let change = MediaEdit { rtp: (OURS, 20_000).into(), rtcp, rtcp_mux: Some(true), direction };
    let changes = vec![change; description.media().len()];
    let edited = edit(&description, &changes);
    // Near the limit of bytes or lines the edit may grow beyond it.
    if input.len() < 2_000 && description.media().len() < 32 {
        let again = read(&edited, "an edit");
        // Where our address stood before, the second edit takes it for one of the maker's that is to be hidden.
        let ours = OURS.to_string();
        if !input.windows(ours.len()).any(|window| window == ours.as_bytes()) {
            assert_eq!(edit(&again, &changes), edited, "a second edit changes nothing");
        }
        for (before, after) in description.media().zip(again.media()) {
            let is_rejected = before.is_rejected();
            assert_eq!(after.port(), if is_rejected { 0 } else { 20_000 });
            assert!(after.is_rejected() || after.rtp_address() == Some((OURS, 20_000).into()));
            let (before, after): (Vec<_>, Vec<_>) = (before.codecs().collect(), after.codecs().collect());
            assert!(before == after || is_rejected);
        }
        look_at(&read(&description.retain_codecs(|_, format| format.payload_type.0 % 2 == 0), "a filter"));
    }

    let formats = vec![OurFormat::PCMU, OurFormat::PCMA, OurFormat::TELEPHONE_EVENT];
    let rtp = (OURS, 20_000).into();
    let ours = Ours { session: 1, version: 1, rtp, formats, direction: Direction::SendRecv, ptime_ms: 20 };
    if let Ok(answered) = answer(&description, &ours) {
        let answer = read(&answered.text, "an answer");
        assert_eq!(answer.media().len(), description.media().len());
        assert_eq!(answer.media().any(|media| !media.is_rejected()), answered.chosen.is_some());
    }
});
