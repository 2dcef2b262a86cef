//! Objects in a store that speaks as S3 does: put once, with a time until which nobody may remove them, and read again.

use super::signature::{Signed, Signer, escaped, hex_sha256, stamp};
use super::{ClientAnswer, ClientError, HttpClient, HttpUrl, UrlError};
use crate::api::Verb;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Request, header};
use md5::{Digest as _, Md5};
use std::fmt;
use sx_engine::Time;
use sx_witness::base64;

/// A bucket, and who may write there.
#[derive(Clone)]
pub struct ObjectStore {
    /// The server.
    pub endpoint: HttpUrl,
    /// The bucket's name.
    pub bucket: Box<str>,
    /// Is the bucket named in the path and not in the host?
    pub path_style: bool,
    /// The region that signatures are for.
    pub region: Box<str>,
    /// The public name of the key.
    pub access_key_id: Box<str>,
    /// The key itself.
    pub secret_access_key: Box<str>,
}

/// Until when an object must be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Who may shorten that.
    pub mode: RetentionMode,
    /// When it ends.
    pub until: Time,
}

/// Who may remove an object before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetentionMode {
    /// Nobody, not even the owner of the bucket.
    Compliance,
    /// Users to whom the owner of the bucket gives that right.
    Governance,
}

impl RetentionMode {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Compliance => "COMPLIANCE",
            Self::Governance => "GOVERNANCE",
        }
    }
}

impl fmt::Debug for ObjectStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectStore").field("endpoint", &self.endpoint).field("bucket", &self.bucket).finish()
    }
}

impl ObjectStore {
    /// Puts an object under a key at which there is none: 412 is the answer when there is one. `at` is what the wall clock
    /// shows; stores refuse signatures of another quarter of an hour.
    ///
    /// # Errors
    /// When there is no answer. Any status is one.
    pub fn put_new(
        &self,
        client: &HttpClient,
        key: &str,
        text: &str,
        retention: Retention,
        at: Time,
    ) -> Result<ClientAnswer, ClientError> {
        let day = retention.until.to_string();
        let md5 = base64(Md5::digest(text).as_slice());
        let more = [
            //= https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html#API_PutObject_RequestSyntax
            // An object with a time to be kept comes with a checksum of its content.
            ("content-md5", md5.as_str()),
            ("content-type", "text/plain; charset=utf-8"),
            ("if-none-match", "*"),
            ("x-amz-object-lock-mode", retention.mode.as_str()),
            ("x-amz-object-lock-retain-until-date", day.as_str()),
        ];
        self.ask(client, Verb::Put, key, &more, text, at)
    }

    /// Reads an object.
    ///
    /// # Errors
    /// When there is no answer. Any status is one.
    pub fn get(&self, client: &HttpClient, key: &str, at: Time) -> Result<ClientAnswer, ClientError> {
        self.ask(client, Verb::Get, key, &[], "", at)
    }

    /// Where the object of this key is.
    ///
    /// # Errors
    /// When the bucket cannot be part of a host's name.
    pub fn url(&self, key: &str) -> Result<HttpUrl, UrlError> {
        let scheme = if self.endpoint.is_secure() { "https" } else { "http" };
        let authority = self.endpoint.host_header();
        let authority = authority.to_str().map_err(|_| UrlError::Host)?;
        let (bucket, key) = (&self.bucket, escaped(key));
        match self.path_style {
            true => format!("{scheme}://{authority}/{bucket}/{key}").parse(),
            false => format!("{scheme}://{bucket}.{authority}/{key}").parse(),
        }
    }

    fn ask(
        &self,
        client: &HttpClient,
        verb: Verb,
        key: &str,
        more: &[(&str, &str)],
        body: &str,
        at: Time,
    ) -> Result<ClientAnswer, ClientError> {
        let url = self.url(key)?;
        let host = url.host_header();
        let (stamp, body_sha256) = (stamp(at), hex_sha256(body.as_bytes()));
        let mut headers = vec![
            ("host", host.to_str().map_err(|_| UrlError::Host)?),
            ("x-amz-content-sha256", body_sha256.as_str()),
            ("x-amz-date", stamp.as_str()),
        ];
        headers.extend(more);
        headers.sort_unstable();
        let signer = Signer {
            access_key_id: &self.access_key_id,
            secret_access_key: &self.secret_access_key,
            region: &self.region,
        };
        let target = url.target();
        let signed = Signed {
            verb: verb.as_str(),
            path: target.path(),
            query: "",
            headers: &headers,
            body_sha256: &body_sha256,
        };
        let mut wanted = Request::new(Body::from(body.to_owned()));
        *wanted.method_mut() = verb.method();
        *wanted.uri_mut() = target.clone();
        let sent = wanted.headers_mut();
        sent.insert(header::USER_AGENT, HeaderValue::from_static("strowger"));
        for (name, value) in &headers {
            let name = HeaderName::try_from(*name).map_err(|_| ClientError::Token)?;
            sent.insert(name, HeaderValue::try_from(*value).map_err(|_| ClientError::Token)?);
        }
        let authorization = signer.authorization(&signed, at);
        sent.insert(header::AUTHORIZATION, HeaderValue::try_from(authorization).map_err(|_| ClientError::Token)?);
        client.ask(&url, wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_named_in_the_path_or_in_the_host_and_no_secret_is_shown() {
        let store = |path_style, endpoint: &str| ObjectStore {
            endpoint: endpoint.parse().expect("a URL"),
            bucket: "log".into(),
            path_style,
            region: "eu-central-1".into(),
            access_key_id: "AKID".into(),
            secret_access_key: "hunter2".into(),
        };
        let url = |path_style, endpoint| store(path_style, endpoint).url("a b/1.note").map(|url| url.to_string());
        assert_eq!(url(true, "http://127.0.0.1:9000"), Ok("http://127.0.0.1:9000/log/a%20b/1.note".to_owned()));
        assert_eq!(url(false, "https://s3.example"), Ok("https://log.s3.example/a%20b/1.note".to_owned()));
        assert!(!format!("{:?}", store(true, "https://s3.example")).contains("hunter2"));
    }
}
