//! AWS Signature Version 4 as object stores ask for it: the verb, the path, the query, headers and the body's hash are
//! hashed, and the hash is signed with a key of the day, the region and the service.
//!
//! It knows no clock and no socket: the time comes in, and the value of `Authorization` comes out.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>

use aws_lc_rs::{digest, hmac};
use std::fmt::Write as _;
use sx_engine::{Time, civil_from_days};

/// Who signs, and where it holds.
pub(super) struct Signer<'a> {
    pub(super) access_key_id: &'a str,
    pub(super) secret_access_key: &'a str,
    pub(super) region: &'a str,
}

/// What is signed of a request.
pub(super) struct Signed<'a> {
    pub(super) verb: &'a str,
    /// Escaped once, as it is sent.
    pub(super) path: &'a str,
    /// In order and escaped, without the question mark.
    pub(super) query: &'a str,
    /// In lower case and in order.
    pub(super) headers: &'a [(&'a str, &'a str)],
    /// The hash of the body, in hexadecimal digits.
    pub(super) body_sha256: &'a str,
}

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const SERVICE: &str = "s3";

impl Signer<'_> {
    /// The value of `Authorization` for a request at this time.
    pub(super) fn authorization(&self, request: &Signed<'_>, at: Time) -> String {
        let stamp = stamp(at);
        let day = &stamp[..8];
        let names = request.headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let scope = format!("{day}/{}/{SERVICE}/aws4_request", self.region);
        let canonical = hex_sha256(request.canonical(&names).as_bytes());
        let to_sign = format!("{ALGORITHM}\n{stamp}\n{scope}\n{canonical}");
        let secret = format!("AWS4{}", self.secret_access_key);
        let key = [day, self.region, SERVICE, "aws4_request"]
            .into_iter()
            .fold(secret.into_bytes(), |key, text| mac(&key, text).as_ref().to_vec());
        let signature = hex(mac(&key, &to_sign).as_ref());
        format!("{ALGORITHM} Credential={}/{scope},SignedHeaders={names},Signature={signature}", self.access_key_id)
    }
}

impl Signed<'_> {
    fn canonical(&self, names: &str) -> String {
        let mut text = format!("{}\n{}\n{}\n", self.verb, self.path, self.query);
        for (name, value) in self.headers {
            let _ = writeln!(text, "{name}:{}", value.trim());
        }
        let _ = write!(text, "\n{names}\n{}", self.body_sha256);
        text
    }
}

/// A time as signatures have it: `20130524T000000Z`.
pub(super) fn stamp(at: Time) -> String {
    let second = at.as_secs() % 86_400;
    let (year, month, day) = civil_from_days(at.as_secs() / 86_400);
    format!("{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

/// A path whose bytes stand for themselves only where every reader agrees on that; slashes stay.
pub(super) fn escaped(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => text.push(byte.into()),
            byte => {
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    text
}

/// The hash of a body, in hexadecimal digits.
pub(super) fn hex_sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn mac(key: &[u8], text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the documentation: one user, one bucket, one time.
    fn check(verb: &str, path: &str, query: &str, more: &[(&str, &str)], body: &str, signature: &str) {
        let signer = Signer {
            access_key_id: "AKIAIOSFODNN7EXAMPLE",
            secret_access_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            region: "us-east-1",
        };
        let body_sha256 = hex_sha256(body.as_bytes());
        let mut headers = vec![
            ("host", "examplebucket.s3.amazonaws.com"),
            ("x-amz-content-sha256", body_sha256.as_str()),
            ("x-amz-date", "20130524T000000Z"),
        ];
        headers.extend(more);
        headers.sort_unstable();
        let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let request = Signed { verb, path: &escaped(path), query, headers: &headers, body_sha256: &body_sha256 };
        let expected = format!(
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
             SignedHeaders={names},Signature={signature}"
        );
        assert_eq!(signer.authorization(&request, Time::from_secs(1_369_353_600)), expected, "{verb} {path}");
    }

    #[test]
    fn the_published_examples_have_their_signatures() {
        let range = [("range", "bytes=0-9")];
        let of_get = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";
        check("GET", "/test.txt", "", &range, "", of_get);
        let stored = [("date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")];
        let of_put = "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd";
        check("PUT", "/test$file.text", "", &stored, "Welcome to Amazon S3.", of_put);
        let of_lifecycle = "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543";
        check("GET", "/", "lifecycle=", &[], "", of_lifecycle);
        let of_list = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7";
        check("GET", "/", "max-keys=2&prefix=J", &[], "", of_list);
    }

    #[test]
    fn only_what_is_the_same_everywhere_stands_for_itself() {
        assert_eq!(escaped("n.example/log~1_-"), "n.example/log~1_-");
        assert_eq!(escaped("a b+c/ü%"), "a%20b%2Bc/%C3%BC%25");
    }
}
