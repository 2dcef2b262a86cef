//! What a call says to a leg, as a line.

use bytes::Bytes;
use sx_leg::{LegCommand, Media, Target};
use sx_types::LegId;

pub fn leg_name(leg: LegId) -> String {
    if leg.0 < 1 << 63 {
        char::from(b'a' + (leg.0 - 1) as u8 % 26).to_string()
    } else {
        format!("out{}", leg.0 - (1 << 63))
    }
}

pub fn line(command: &LegCommand) -> String {
    let media = |media: &Option<Media>| media.as_ref().map_or("nothing".to_owned(), described);
    match command {
        LegCommand::Dial(dial) => {
            let target = match &dial.target {
                Target::Trunk { trunk, user } => format!("{trunk}/{user}"),
                Target::Contact { uri, .. } | Target::Uri(uri) | Target::Place { dialog: uri, .. } => uri.to_string(),
            };
            format!("dial {target} {}", dial.offer.as_ref().map_or("nothing".to_owned(), short))
        }
        LegCommand::Progress { kind, media: early } => format!("progress {kind:?} {}", media(early)),
        LegCommand::Answer { media: told, .. } => format!("answer {}", media(told)),
        LegCommand::Reject(rejection) => format!("reject {} {}", rejection.status, rejection.cause.0),
        LegCommand::Confirm { media } => format!("confirm {}", described(media)),
        LegCommand::Offer { media } => format!("offer {}", media.as_ref().map_or("nothing".to_owned(), short)),
        LegCommand::AnswerOffer { media } => format!("answer-offer {}", described(media)),
        LegCommand::RefuseOffer { cause, status, .. } => format!("refuse-offer {status} {}", cause.0),
        LegCommand::TransferProgress { status } => format!("transfer-progress {status}"),
        LegCommand::Digit { digit, .. } => format!("digit {digit}"),
        LegCommand::Info { content_type, .. } => format!("info {content_type}"),
        LegCommand::Hangup { cause } => format!("hangup {}", cause.0),
    }
}

/// The description that a command brings.
pub fn description(command: &LegCommand) -> Option<&Bytes> {
    match command {
        LegCommand::Dial(dial) => dial.offer.as_ref(),
        LegCommand::Progress { media, .. } | LegCommand::Answer { media, .. } => media.as_ref().map(Media::bytes),
        LegCommand::Confirm { media } | LegCommand::AnswerOffer { media } => Some(media.bytes()),
        LegCommand::Offer { media } => media.as_ref(),
        _ => None,
    }
}

fn described(media: &Media) -> String {
    format!("{}:{}", if media.is_offer() { "offer" } else { "answer" }, short(media.bytes()))
}

/// A description in a few characters: the addresses of its streams, or itself when it is not a real one.
fn short(description: &Bytes) -> String {
    let text = String::from_utf8_lossy(description);
    if !text.starts_with("v=0") {
        return text.into_owned();
    }
    let host = text.lines().find_map(|line| line.strip_prefix("c=IN IP4 ")).unwrap_or("?");
    let ports = text.lines().filter_map(|line| line.strip_prefix("m=audio ")?.split(' ').next());
    let direction = text.lines().find_map(|line| {
        ["sendrecv", "sendonly", "recvonly", "inactive"].into_iter().find(|d| line == format!("a={d}"))
    });
    format!("{host}:{} {}", ports.collect::<Vec<_>>().join(","), direction.unwrap_or("-"))
}
