//! The operator's webhook: every notice as signed JSON.
//!
//! A receiver takes `X-Keylender-Signature: t=<unix time>,v1=<hex>`, computes HMAC-SHA256 of `<t>.<body>` with the
//! shared secret, and refuses what differs or whose time is more than five minutes from its own. Delivery is at least
//! once: the member `id`, which is signed, and the header `X-Keylender-Id` stay the same over all tries, so it drops an
//! id that it has seen.

use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use sha2::Sha256;
use url::Url;

use super::post::Poster;
use super::resolve::Resolver;
use crate::base::text::hex;
use crate::base::{Error, Result, Secret, Timestamp};

/// What the webhook is told. The JSON has these members.
#[derive(Clone, Copy, Serialize)]
pub struct Event<'a> {
    /// The same over all tries, and of no other event.
    pub id: &'a str,
    /// What kind of thing happened, such as `queue.delete`.
    pub kind: &'a str,
    /// The name of the thing.
    pub about: &'a str,
    /// In one line.
    pub subject: &'a str,
    /// In full; plain text or markdown.
    pub body: &'a str,
    /// When it happened.
    pub time: Timestamp,
}

/// The webhook. Cheap to clone.
#[derive(Clone)]
pub struct Webhook {
    http: Poster,
    url: Url,
    secret: Secret,
}

impl Webhook {
    /// The webhook at a URL, which is called by nobody else who knows the secret.
    pub fn new(url: Url, secret: Secret, resolver: Resolver) -> Result<Self> {
        Ok(Self { http: Poster::new("webhook", resolver)?, url, secret })
    }

    /// Tells it an event. Any 2xx is success; everything else may go better later.
    pub async fn send(&self, event: &Event<'_>, now: Timestamp) -> Result<()> {
        let body = serde_json::to_string(event).map_err(|e| Error::internal("writing an event", e))?;
        let signature = signature(&self.secret, now.as_seconds(), &body);
        let headers = [("x-keylender-signature", signature.as_str()), ("x-keylender-id", event.id)];
        match self.http.post(self.url.as_str(), &headers, body).await? {
            200..=299 => Ok(()),
            status => Err(self.http.refused(status)),
        }
    }
}

/// The value of the signature's header.
fn signature(secret: &Secret, time: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).expect("HMAC takes keys of any length");
    mac.update(format!("{time}.{body}").as_bytes());
    let hex = hex(&mac.finalize().into_bytes());
    format!("t={time},v1={hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed by `printf '1539604800.{"id":"a"}' | openssl dgst -sha256 -hmac hunter2hunter2`.
    #[test]
    fn the_signature_is_what_openssl_computes() {
        assert_eq!(
            signature(&Secret::new("hunter2hunter2"), 1_539_604_800, r#"{"id":"a"}"#),
            "t=1539604800,v1=e1ccff82925abaaa0f229375ff1a72a75dedcb3ad11e9903f0f772c15294c739"
        );
    }
}
