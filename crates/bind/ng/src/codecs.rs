//! Which codecs a party is offered.

use crate::offer::Refusal;
use bytes::Bytes;
use sx_ng::CodecWishes;
use sx_sdp::{Description, Format};

/// The offer with those of its codecs that the client wants it to have.
pub(crate) fn wanted(offer: &Bytes, wishes: &CodecWishes<'_>) -> Result<Bytes, Refusal> {
    let parsed = Description::parse(offer)?;
    let offered = |name: &[u8]| {
        let mut formats = parsed.media().filter(|media| media.profile().is_rtp()).flat_map(|media| media.codecs());
        formats.any(|format| names(name, &format))
    };
    // A codec that the author has offered needs no conversion. Any other would.
    if let Some(name) = wishes.transcode.iter().find(|name| !offered(name)) {
        return Err(Refusal::Transcoding(String::from_utf8_lossy(name).into_owned()));
    }
    let removed = || wishes.strip.iter().chain(&wishes.mask);
    if removed().next().is_none() {
        return Ok(offer.clone());
    }
    let kept = || wishes.except.iter().chain(&wishes.offer).chain(&wishes.transcode);
    let keep = |format: &Format<'_>| {
        kept().any(|name| names(name, format)) || !removed().any(|name| is_all(name) || names(name, format))
    };
    // Who wants to have none left is not heard: the offer stays.
    let any_left = parsed.media().filter(|media| media.profile().is_rtp() && !media.is_rejected()).all(|media| {
        media.codecs().any(|format| format.is_primary() && keep(&format))
            || !media.codecs().any(|format| format.is_primary())
    });
    Ok(if any_left { parsed.retain_codecs(|_, format| keep(format)).into() } else { offer.clone() })
}

fn is_all(name: &[u8]) -> bool {
    matches!(name, b"all" | b"full")
}

/// Is this format meant by `name`, `name/rate` or `name/rate/channels`, or by its payload type?
fn names(wish: &[u8], format: &Format<'_>) -> bool {
    let mut parts = wish.split(|byte| *byte == b'/');
    let name = parts.next().unwrap_or_default();
    let number = |part: Option<&[u8]>| part.and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<u32>().ok());
    let same_name = !name.is_empty() && name.eq_ignore_ascii_case(format.encoding)
        || number(Some(name)) == Some(u32::from(format.payload_type.0));
    let (rate, channels) = (number(parts.next()), number(parts.next()));
    same_name
        && rate.is_none_or(|rate| rate == format.clock_hz)
        && channels.is_none_or(|channels| channels == u32::from(format.channels))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n";

    fn check(wishes: &CodecWishes<'_>, expected: Result<&str, &str>) {
        let maps = "a=rtpmap:96 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\n";
        let offer = Bytes::from(format!("{HEAD}m=audio 4000 RTP/AVP 96 0 8 101\r\n{maps}"));
        let found = wanted(&offer, wishes).map_err(|refusal| refusal.to_string()).map(|text| {
            let parsed = Description::parse(&text).expect("a description");
            let formats: Vec<_> = parsed.media().flat_map(|media| media.codecs()).collect();
            formats.iter().map(|format| format.payload_type.0.to_string()).collect::<Vec<_>>().join(" ")
        });
        assert_eq!(found.as_deref().map_err(String::as_str), expected, "{wishes:?}");
    }

    #[test]
    fn codecs_are_taken_out_by_name_and_kept_by_name() {
        let wishes = CodecWishes::default;
        check(&wishes(), Ok("96 0 8 101"));
        check(&CodecWishes { strip: vec![b"opus"], ..wishes() }, Ok("0 8 101"));
        check(&CodecWishes { strip: vec![b"opus/48000/1"], ..wishes() }, Ok("96 0 8 101"));
        check(&CodecWishes { mask: vec![b"opus/48000/2"], strip: vec![b"PCMA"], ..wishes() }, Ok("0 101"));
        check(&CodecWishes { strip: vec![b"all"], except: vec![b"PCMA", b"G729"], ..wishes() }, Ok("8"));
        check(&CodecWishes { strip: vec![b"all"], offer: vec![b"PCMU", b"telephone-event"], ..wishes() }, Ok("0 101"));
    }

    #[test]
    fn whoever_takes_all_out_takes_none_out() {
        check(&CodecWishes { strip: vec![b"all"], ..CodecWishes::default() }, Ok("96 0 8 101"));
    }

    #[test]
    fn what_was_not_offered_cannot_be_added() {
        let transcode = |names: &[&'static [u8]]| CodecWishes { transcode: names.to_vec(), ..CodecWishes::default() };
        check(&transcode(&[b"PCMU"]), Ok("96 0 8 101"));
        check(&transcode(&[b"PCMU", b"G722"]), Err("This media engine cannot transcode to G722"));
    }
}
