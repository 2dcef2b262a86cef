//! No text makes the reader panic or hang.

use proptest::prelude::*;
use std::fmt::Write;
use sx_config::Config;

const FULL: &str = include_str!("fixtures/full.toml");

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "(\\PC|\n){0,200}") {
        let _ = Config::from_text(&text);
    }

    #[test]
    fn a_good_text_with_a_hole_is_read_or_refused(start in 0..FULL.len(), length in 0usize..40, filling in "[\\PC\n]{0,4}") {
        let end = (start + length).min(FULL.len());
        let text = format!("{}{filling}{}", &FULL[..start], &FULL[end..]);
        let _ = Config::from_text(&text);
    }
}

#[test]
fn deep_nesting_is_refused() {
    for (open, close) in [("[", "]"), ("{a=", "}")] {
        let text = format!("sip = {}1{}", open.repeat(100_000), close.repeat(100_000));
        assert!(Config::from_text(&text).is_err());
    }
    assert!(Config::from_text(&format!("sip{} = 1", ".a".repeat(100_000))).is_err());
    assert!(Config::from_text(&format!("[sip{}]", ".a".repeat(100_000))).is_err());
}

#[test]
fn ten_thousand_trunks_and_routes_are_read() {
    let mut text = String::new();
    for n in 0..10_000 {
        let address = std::net::Ipv4Addr::from(0x0a00_0000 + n);
        writeln!(text, "[[trunk]]\nname = \"t{n}\"\nsources = [\"{address}\"]\naddresses = [\"sip:{address}\"]")
            .expect("text");
        writeln!(text, "[[route]]\nname = \"r{n}\"\nprefix = \"{n}\"\nto = [{{ trunk = \"t{n}\" }}]").expect("text");
    }
    let config = Config::from_text(&text).expect("a good configuration");
    assert_eq!((config.trunks.len(), config.routes.len()), (10_000, 10_000));
}
