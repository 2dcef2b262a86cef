//! The headers that announce an upload or a chunk of one, by the rules of tus: a line each.
#![no_main]

use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use sx_http::{FILE_NAME_BYTES_MAX, parse_chunk, parse_new_upload};

fuzz_target!(|bytes: &[u8]| {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n').take(100) {
        let mut halves = line.splitn(2, |byte| *byte == b':');
        let name = HeaderName::from_bytes(halves.next().unwrap_or_default());
        let value = HeaderValue::from_bytes(halves.next().unwrap_or_default().trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    match parse_new_upload(&headers) {
        Ok(new) => {
            assert!(new.length > 0 && !new.name.is_empty() && new.name.len() <= FILE_NAME_BYTES_MAX);
            assert!(!new.name.contains(['/', '\\', '\0', '\r', '\n']) && new.media_type.contains('/'));
        }
        // Few, however long the headers are.
        Err(problem) => assert!(problem.status == 400 && (1..=5).contains(&problem.fields.len())),
    }
    match parse_chunk(&headers, b"chunk") {
        Ok(chunk) => assert_eq!(chunk.bytes, b"chunk"),
        Err(problem) => assert!(problem.status == 400 && (1..=2).contains(&problem.fields.len())),
    }
});
