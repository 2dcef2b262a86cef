//! What two parties that may share no codec are offered and answered, and what packets become between them.

use bytes::Bytes;
use sx_media::{Agreed, Coding, Conversion, KeyRules, SoundRule, conversions, extend_offer, settle_answer};
use sx_types::{Codec, PayloadType};

const CODABLE: [Codec; 4] = [Codec::Opus, Codec::G722, Codec::Pcma, Codec::Pcmu];
const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n";
const KEYS: &str = "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n";

fn description(sections: &str) -> Bytes {
    format!("{HEAD}{sections}").into()
}

fn audio(formats: &str, lines: &str) -> String {
    format!("m=audio 4000 RTP/AVP {formats}\r\n{lines}")
}

#[track_caller]
fn check_extended(offer: &str, expected: &str) {
    let extended = extend_offer(&description(offer), &CODABLE).expect("an offer");
    assert_eq!(String::from_utf8_lossy(&extended), format!("{HEAD}{expected}"));
}

#[test]
fn an_offer_gets_what_can_be_made_of_it() {
    let opus = "a=rtpmap:120 opus/48000/2\r\na=fmtp:120 useinbandfec=1;stereo=0\r\n";
    let others = "a=rtpmap:9 G722/8000\r\na=rtpmap:8 PCMA/8000\r\n";
    check_extended(&audio("0 101", KEYS), &audio("0 101 120 9 8", &format!("{KEYS}{opus}{others}")));
    // A number that is in use is not taken.
    let strange = "a=rtpmap:120 AMR/8000\r\na=rtpmap:9 speex/8000\r\n";
    let free = opus.replace("120", "119");
    check_extended(&audio("0 8 120 9", strange), &audio("0 8 120 9 119", &format!("{strange}{free}")));
}

#[test]
fn what_nothing_can_be_made_of_stays_as_it_is() {
    let g729 = audio("18 101", KEYS);
    let video = "m=video 5000 RTP/AVP 97\r\na=rtpmap:97 VP8/90000\r\n";
    let strange = audio("0", "").replace("RTP/AVP", "udptl");
    for section in [&*g729, video, &strange, &audio("0", "").replace("4000", "0")] {
        check_extended(section, section);
    }
    let whole = description(&audio("0 8 9 96", "a=rtpmap:96 opus/48000/2\r\n"));
    assert_eq!(extend_offer(&whole, &CODABLE), Ok(whole.clone()));
    let offer = description(&audio("0", ""));
    assert_eq!(extend_offer(&offer, &[]), Ok(offer.clone()), "never");
}

#[track_caller]
fn check_settled(answer: &str, offer: &str, expected: &str) {
    let settled = settle_answer(&description(answer), &description(offer), &CODABLE).expect("an answer");
    assert_eq!(String::from_utf8_lossy(&settled), format!("{HEAD}{expected}"));
}

#[test]
fn of_an_answer_stays_what_both_have() {
    let offer = audio("0 101", KEYS);
    check_settled(&audio("0 101", KEYS), &offer, &audio("0 101", KEYS));
    let both = "a=rtpmap:9 G722/8000\r\na=rtpmap:0 PCMU/8000\r\na=ptime:30\r\n";
    check_settled(&audio("9 0", both), &offer, &audio("0", "a=rtpmap:0 PCMU/8000\r\na=ptime:30\r\n"));
}

#[test]
fn where_they_share_none_the_offerer_gets_one_of_its_own() {
    let opus = "a=rtpmap:120 opus/48000/2\r\na=ptime:40\r\na=recvonly\r\n";
    let own = "a=recvonly\r\na=rtpmap:8 PCMA/8000\r\n";
    check_settled(&audio("120", opus), &audio("18 8 0 101", KEYS), &audio("8", own));
    check_settled(
        &audio("120 101", &format!("{opus}{KEYS}")),
        &audio("18 8 0 101", KEYS),
        &audio("8 101", &format!("{own}{KEYS}")),
    );
    // What nothing can be made of is left to whoever has said it.
    check_settled(&audio("120", opus), &audio("18", ""), &audio("120", opus));
    check_settled(&audio("18", ""), &audio("0", ""), &audio("18", ""));
}

fn coding(payload_type: u8, codec: Codec) -> Coding {
    Coding::new(PayloadType(payload_type), codec)
}

/// Alice offers, Bob answers what is made of her offer.
fn called(offer: &str, answer: &str) -> Option<[Conversion; 2]> {
    let (offer, answer) = (description(offer), description(answer));
    let to_bob = extend_offer(&offer, &CODABLE).expect("an offer");
    let to_alice = settle_answer(&answer, &offer, &CODABLE).expect("an answer");
    let (alice, bob) = (Agreed { told: &to_alice, said: &offer }, Agreed { told: &to_bob, said: &answer });
    conversions(alice, bob, 0)
}

#[test]
fn a_codec_in_common_needs_no_conversion() {
    assert_eq!(called(&audio("0 8 101", KEYS), &audio("8 101", KEYS)), None);
    assert_eq!(called(&audio("18", ""), &audio("18", "")), None);
    let other_number = "a=rtpmap:96 opus/48000/2\r\n";
    assert_eq!(called(&audio("96", other_number), &audio("96", other_number)), None);
}

#[test]
fn without_one_each_way_becomes_what_the_other_takes() {
    let opus =
        "a=rtpmap:120 opus/48000/2\r\na=fmtp:120 maxaveragebitrate=16000; useinbandfec=1;cbr=1\r\na=ptime:40\r\n";
    let [there, back] = called(&audio("0 101", KEYS), &audio("120 101", &format!("{opus}{KEYS}"))).expect("two ways");
    let keys = coding(101, Codec::TelephoneEvent);
    let mut takes = coding(120, Codec::Opus);
    (takes.opus.fec, takes.opus.bit_rate_max) = (true, Some(16_000));
    let mut sends = coding(120, Codec::Opus);
    sends.opus.fec = true;
    let pcmu = coding(0, Codec::Pcmu);
    assert_eq!(
        there,
        Conversion {
            from: vec![pcmu, keys],
            to: vec![takes, keys],
            ptime_ms: 40,
            keys: KeyRules::default(),
            anew: false,
            sound: SoundRule::Heard
        }
    );
    // In the order of the offer that it answers.
    assert_eq!(
        back,
        Conversion {
            from: vec![keys, sends],
            to: vec![pcmu, keys],
            ptime_ms: 20,
            keys: KeyRules::default(),
            anew: false,
            sound: SoundRule::Heard
        }
    );
}

#[test]
fn who_may_send_what_the_other_has_not_is_listened_to() {
    let [there, back] = called(&audio("0", ""), &audio("9 0", "")).expect("two ways");
    assert!(there.relays_all() && there.relays_sound());
    assert!(back.relays_sound() && !back.relays_all());
}

/// All payload types, each explained behind as many other lines as are read: what costs most to look through.
fn as_much_as_is_read(payload_types: impl Iterator<Item = u8> + Clone, name: impl Fn(u8) -> String) -> String {
    let formats: Vec<_> = payload_types.clone().map(|number| number.to_string()).collect();
    let mappings: String = payload_types.map(|number| format!("a=rtpmap:{number} {}/8000\r\n", name(number))).collect();
    audio(&formats.join(" "), &format!("{}{mappings}", "a=rtpmap:127 x\r\n".repeat(860)))
}

#[test]
fn what_peers_may_say_at_most_is_not_looked_through_for_each_of_its_codecs_again() {
    // Looked at for every codec of every codec of every codec, this takes minutes.
    let name = |number| if number == 0 { "PCMU".to_owned() } else { format!("n{number}") };
    let offer = as_much_as_is_read((0..127).rev(), name);
    let answer = as_much_as_is_read(0..127, |number| if number == 126 { "PCMA".to_owned() } else { name(number) });
    let (offer, answer) = (description(&offer), description(&answer));
    let settled = settle_answer(&answer, &offer, &CODABLE).expect("an answer");
    let settled = String::from_utf8_lossy(&settled).into_owned();
    assert!(settled.contains("a=rtpmap:125 n125/8000") && !settled.contains("PCMA"), "{settled}");
    let told = extend_offer(&offer, &CODABLE).expect("an offer");
    let (alice, bob) = (Agreed { told: settled.as_bytes(), said: &offer }, Agreed { told: &told, said: &answer });
    assert_eq!(conversions(alice, bob, 0), None, "what they share passes");
}
