//! A URI, an address, a Via and parameters. What is read points into the text it was read from, and reads the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sx_sip::message::{NameAddr, Params, Uri, Via, elements, escape_user, unescape};

/// Does the part lie within the whole?
fn within(part: &[u8], whole: &[u8]) -> bool {
    part.is_empty() || whole.as_ptr_range().contains(&part.as_ptr()) && part.len() <= whole.len()
}

fn check_uri(uri: &Uri<'_>, whole: &[u8]) {
    for part in [uri.text, uri.user, uri.host.as_str(), uri.headers, uri.password.unwrap_or_default()] {
        assert!(within(part.as_bytes(), whole));
    }
    let user = uri.user_unescaped();
    assert_eq!(unescape(&escape_user(&user)), user);
    assert_eq!(Uri::parse(uri.text.as_bytes()).as_ref(), Ok(uri));
    let _ = (uri.host.ip(), uri.param("transport"), uri.params.has("lr"));
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(uri) = Uri::parse(bytes) {
        check_uri(&uri, bytes);
    }
    for element in elements(bytes) {
        assert!(!element.is_empty() && within(element, bytes));
        if let Ok(address) = NameAddr::parse(element) {
            check_uri(&address.uri, bytes);
            assert!(within(address.display, bytes));
            let _ = (address.display_text(), address.tag(), address.user());
        }
        if let Ok(via) = Via::parse(element) {
            assert!(!via.transport.is_empty() && !via.host.as_str().is_empty());
            assert!(!via.has_magic_cookie() || via.branch.len() > 7);
        }
    }
    for (name, value) in Params(bytes).iter() {
        assert!(within(name, bytes) && within(value.unwrap_or_default(), bytes));
    }
});
