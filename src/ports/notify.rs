//! The notify service of a Taskcluster deployment, which sends mail for clients that may (taskcluster.md 7).

use serde_json::json;

use super::mail::Letter;
use super::post::Poster;
use super::resolve::Resolver;
use crate::base::{ClientId, Error, Result, Secret, Timestamp};
use crate::proto::hawk::{Header, Target, mac};
use crate::proto::urls::RootUrl;

/// Characters of a nonce, as the JavaScript client sends.
const NONCE_LEN: usize = 6;
/// The content type, as it is signed.
const CONTENT_TYPE: &str = "application/json";

/// The service, and who we are to it. Cheap to clone.
#[derive(Clone)]
pub struct Notify {
    http: Poster,
    url: String,
    client_id: ClientId,
    access_token: Secret,
}

impl Notify {
    /// The service of a deployment. The client needs the scope `notify:email:<address>`.
    pub fn new(root_url: &RootUrl, client_id: ClientId, access_token: Secret, resolver: Resolver) -> Result<Self> {
        let url = root_url.api("notify", "v1", "email");
        Ok(Self { http: Poster::new("notify service", resolver)?, url, client_id, access_token })
    }

    /// Hands over a mail. Any 2xx is success: the service answers 204 to what it has seen already, which it judges by
    /// the content. `Invalid` when it will never take this mail; other errors may go away.
    pub async fn send(&self, letter: &Letter, now: Timestamp) -> Result<()> {
        let body = json!({ "address": letter.to, "subject": letter.subject, "content": letter.body }).to_string();
        let authorization = self.sign(&body, now)?;
        match self.http.post(&self.url, &[("authorization", &authorization)], body).await? {
            200..=299 => Ok(()),
            // The input, or an address on its deny list: the same mail will not do better.
            status @ (400 | 413) => {
                Err(Error::invalid(format!("the notify service refused the mail with status {status}")))
            }
            status => Err(self.http.refused(status)),
        }
    }

    fn sign(&self, body: &str, now: Timestamp) -> Result<String> {
        let (ts, random) = (now.as_seconds().to_string(), Secret::generate());
        let hash = mac::payload_hash(Some(CONTENT_TYPE), body.as_bytes());
        let header = Header {
            id: self.client_id.as_str(),
            ts: &ts,
            nonce: &random.expose()[..NONCE_LEN],
            hash: Some(&hash),
            ..Header::default()
        };
        Ok(header.signed(&self.access_token, &Target::of_url("POST", &self.url)?))
    }
}
