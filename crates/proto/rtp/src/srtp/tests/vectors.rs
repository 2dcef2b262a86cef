//! The packets of RFC 7714, and of others for AES in counter mode.

use super::*;

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
/// "Quid pro quo".
const SALT: &str = "517569642070726f2071756f";
/// "Gallia est omnis divisa in partes tres".
const RTP: &str = "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070
    61727465 73207472 6573";
/// As the sections 17.1 to 17.4 print it; what stands before them differs.
const RTCP: &str = "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61
    deadbeef deadbeef deadbeef deadbeef deadbeef";
const RTCP_INDEX: u32 = 0x5d4;

/// Both sides with these session keys, before RTCP's packet with the index of the vectors.
fn gcm_pair(suite: Suite) -> (Protector, Unprotector) {
    let keys = || {
        let salt = hex(SALT).try_into().expect("twelve bytes");
        session_keys::SessionKeys::of_gcm(suite, &hex(KEY)[..suite.key_bytes()], salt)
    };
    let (mut protector, mut unprotector) = pair(suite);
    protector.sources.entry(Ssrc(0x4d61_7273)).expect("room").rtcp.record(u64::from(RTCP_INDEX - 1));
    (protector.keys, unprotector.current.keys) = (keys(), keys());
    (protector, unprotector)
}

#[track_caller]
fn check_rtp(suite: Suite, sealed: &str) {
    let (mut protector, mut unprotector) = gcm_pair(suite);
    assert_eq!(protect(&mut protector, &hex(RTP)), Ok(hex(sealed)));
    assert_eq!(unprotect(&mut unprotector, &hex(sealed)), Ok(hex(RTP)));
}

#[track_caller]
fn check_rtcp(suite: Suite, sealed: &str, tagged: &str) {
    let (mut protector, mut unprotector) = gcm_pair(suite);
    assert_eq!(protect_rtcp(&mut protector, &hex(RTCP)), Ok(hex(sealed)));
    assert_eq!(unprotect_rtcp(&mut unprotector, &hex(sealed)), Ok(hex(RTCP)));

    let tagged = [hex(RTCP), hex(tagged)].concat();
    let (_, mut unprotector) = gcm_pair(suite);
    assert_eq!(unprotect_rtcp(&mut unprotector, &tagged), Ok(hex(RTCP)));
    for place in 0..tagged.len() {
        let (_, mut unprotector) = gcm_pair(suite);
        let mut flipped = tagged.clone();
        flipped[place] ^= 1;
        assert!(unprotect_rtcp(&mut unprotector, &flipped).is_err(), "{place}");
    }
}

#[test]
fn aes_128_gcm_protects_rtp_as_the_rfc_shows() {
    //= https://www.rfc-editor.org/rfc/rfc7714#section-16.1
    //= type=test
    check_rtp(
        Suite::AeadAes128Gcm,
        "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b
         36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce",
    );
}

#[test]
fn aes_256_gcm_protects_rtp_as_the_rfc_shows() {
    //= https://www.rfc-editor.org/rfc/rfc7714#section-16.2
    //= type=test
    check_rtp(
        Suite::AeadAes256Gcm,
        "8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 b50b2a02 76ffae0f
         1ba63799 b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13",
    );
}

#[test]
fn aes_128_gcm_protects_rtcp_as_the_rfc_shows() {
    //= https://www.rfc-editor.org/rfc/rfc7714#section-17.1
    //= https://www.rfc-editor.org/rfc/rfc7714#section-17.3
    //= type=test
    check_rtcp(
        Suite::AeadAes128Gcm,
        "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda 4ce09b46
         86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4",
        "841dd968 3dd78ec9 2ae58790 125f62b3 000005d4",
    );
}

#[test]
fn aes_256_gcm_protects_rtcp_as_the_rfc_shows() {
    //= https://www.rfc-editor.org/rfc/rfc7714#section-17.2
    //= https://www.rfc-editor.org/rfc/rfc7714#section-17.4
    //= type=test
    check_rtcp(
        Suite::AeadAes256Gcm,
        "81c8000d 4d617273 d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50 a2eaa5c1 110555be 8415f658
         c61de047 6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be 800005d4",
        "91db4afb feee5a97 8fab4393 ed2615fe 000005d4",
    );
}

#[test]
fn aes_cm_protects_as_others_do() {
    // With the master key of RFC 3711, appendix B.3; the packets are those that libsrtp checks itself with.
    let suite = Suite::AesCm128HmacSha1_80;
    let key = hex("E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6");
    let key = MasterKey::from_bytes(suite, &key).expect("its length");
    let plain = [hex("800f1234decafbadcafebabe"), vec![0xab; 16]].concat();
    let sealed = hex("800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb");
    let mut protector = Protector::new(suite, &key).expect("its key");
    let mut unprotector = Unprotector::new(suite, &key).expect("its key");
    assert_eq!(protect(&mut protector, &plain), Ok(sealed.clone()));
    assert_eq!(unprotect(&mut unprotector, &sealed), Ok(plain));

    let plain = [hex("81c8000bcafebabe"), vec![0xab; 16]].concat();
    let sealed = hex("81c8000bcafebabe7128035be487b9bdbef89041f977a5a880000001993e08cd54d6c1230798");
    assert_eq!(unprotect_rtcp(&mut unprotector, &sealed), Ok(plain.clone()));
    // libsrtp begins to count with one.
    protect_rtcp(&mut protector, &plain).expect("room");
    assert_eq!(protect_rtcp(&mut protector, &plain), Ok(sealed));
}
