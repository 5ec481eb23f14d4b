//! What taskcluster-proxy has beside calls (proxy.md 3): signed URLs, fresh credentials, and headers that say who it is.

use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::{BodyExt, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue, LOCATION};
use hyper::{Method, Request, Response};
use serde::Deserialize;

use super::own::{self, Answer};
use super::{Of, Plane};
use crate::base::{Error, Result, Secret};
use crate::domain::proxy::{Credentials, Key, Opened, Signer};
use crate::proto::proxy::delegation::Delegation;
use crate::proto::proxy::target::{TARGET_LEN_MAX, Target};
use crate::proto::proxy::upstream::Base;
use crate::proto::proxy::{go, taskcluster};

/// The version of the ancestor whose behaviour this is.
pub const VERSION: &str = "106.0.0";
/// Ours.
pub const REVISION: &str = concat!("keylender-", env!("CARGO_PKG_VERSION"));
/// Bytes of a body with credentials: a certificate of many scopes, several times.
const CREDENTIALS_LEN_MAX: usize = 64 << 10;

const ENDPOINT: HeaderName = HeaderName::from_static("x-taskcluster-endpoint");

/// The face of taskcluster-proxy.
#[derive(Debug)]
pub struct Taskcluster {
    /// The root URL.
    pub base: Base,
    /// Whether whoever may ask may also replace the credentials, as the workers of the drop-in command do.
    pub takes_credentials: bool,
    /// The headers that say who answers, made of these credentials.
    shown: Mutex<Option<(Arc<Delegation>, Arc<HeaderMap>)>>,
}

/// What a worker sends. Other members mean nothing.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sent {
    client_id: String,
    access_token: String,
    #[serde(default)]
    certificate: Option<String>,
}

impl Sent {
    /// Without the parser's words, which quote what is there: it may be a token.
    fn read(body: &[u8]) -> Result<Self> {
        serde_json::from_slice(body).map_err(|_| Error::invalid("not credentials in JSON"))
    }
}

impl Taskcluster {
    /// The face for a deployment.
    pub fn new(base: Base, takes_credentials: bool) -> Self {
        Self { base, takes_credentials, shown: Mutex::default() }
    }

    /// The headers that say who answers now.
    pub fn shown(&self, plane: &Plane) -> Arc<HeaderMap> {
        let Ok(signer) = signer(plane) else { return Arc::default() };
        let now = signer.delegation();
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        match &*shown {
            Some((of, headers)) if Arc::ptr_eq(of, &now) => headers.clone(),
            _ => {
                let made = Arc::new(headers(&now));
                *shown = Some((now, made.clone()));
                made
            }
        }
    }

    /// Adds the header that says where a call went.
    pub fn mark_endpoint(headers: &mut HeaderMap, url: &str) {
        if let Ok(value) = HeaderValue::from_str(url) {
            headers.entry(ENDPOINT).or_insert(value);
        }
    }

    /// Signs the URL in the body, if it is one of the deployment that may be read. What was signed is told, for the record.
    pub async fn bewit(&self, plane: &Plane, request: Request<Incoming>) -> (Response<Answer>, Option<String>) {
        let wants_text = request.headers().get(ACCEPT).is_some_and(|accept| accept == "text/plain");
        let Ok(body) = whole(request, TARGET_LEN_MAX).await else {
            return (own::text(413, format!("a URL to sign has at most {TARGET_LEN_MAX} bytes\n")), None);
        };
        let signed = std::str::from_utf8(&body)
            .map_err(|_| Error::invalid("the body is no URL"))
            .and_then(|text| self.sign(plane, text.trim_matches([' ', '\t', '\r', '\n'])));
        match signed {
            Err(error) => (own::failure(&error), None),
            Ok(url) => {
                let location = HeaderValue::from_str(&url);
                let mut answer = own::text(if wants_text { 200 } else { 303 }, url.clone());
                if let Ok(location) = location {
                    answer.headers_mut().insert(LOCATION, location);
                }
                (answer, Some(url))
            }
        }
    }

    fn sign(&self, plane: &Plane, url: &str) -> Result<String> {
        let base = self.base.to_string();
        let rest = url.split('#').next().and_then(|url| url.strip_prefix(&base)).filter(|rest| rest.starts_with('/'));
        let rest = rest.ok_or_else(|| Error::invalid(format!("a URL is signed that begins with {base}/")))?;
        let Some((_, opened)) = plane.taskcluster() else { return Err(Error::not_found("nothing is signed here")) };
        opened.upstream.admit("GET", &Target::parse(rest)?)?;
        let delegation = signer(plane)?.delegation();
        let Delegation { client_id, access_token, ext, .. } = &*delegation;
        let now = plane.clock.now();
        // No longer than the session.
        let life_s = plane.of.as_ref().map_or(taskcluster::BEWIT_LIFE_S, |of| {
            let left = i64::try_from(of.live.session.ends.since(now).as_secs()).unwrap_or(i64::MAX);
            left.min(taskcluster::BEWIT_LIFE_S)
        });
        taskcluster::signed(url, client_id, access_token, now.as_seconds() + life_s, ext.as_deref())
    }

    /// Takes fresh credentials for what is asked from now on. What is under way goes on with the old ones. Of a session of
    /// an appliance, who opened it gives them, and it says why it does not take some.
    pub async fn credentials(&self, plane: &Plane, request: Request<Incoming>) -> Response<Answer> {
        if request.method() != Method::PUT {
            return own::text(405, "");
        }
        let replaced = match whole(request, CREDENTIALS_LEN_MAX).await {
            Err(error) => Err(error),
            Ok(body) => replace(plane, &body).await,
        };
        match replaced {
            Ok(()) => own::text(200, ""),
            Err(error) => {
                tracing::warn!("credentials were not taken: {}", error.chain());
                if plane.of.is_some() { own::failure(&error) } else { own::text(400, "") }
            }
        }
    }
}

async fn replace(plane: &Plane, body: &[u8]) -> Result<()> {
    let Sent { client_id, access_token, certificate } = Sent::read(body)?;
    let access_token = Secret::new(access_token);
    if let Some(Of { live, proxy, opener, .. }) = plane.of.clone() {
        let fresh = Credentials { client_id, access_token, certificate };
        // A worker that goes away meanwhile leaves no entry of what did not happen. It lasts no longer than a commit.
        let refresh = tokio::spawn(async move { proxy.refresh(&opener, &live.id, fresh).await });
        return refresh.await.map_err(|e| Error::internal("taking fresh credentials", e))?;
    }
    let signer = signer(plane)?;
    let replaced = signer.delegation().replaced(&client_id, access_token, certificate.as_deref())?;
    signer.replace(replaced);
    Ok(())
}

/// Adds headers of ours. An upstream's of the same name win.
pub fn mark(mut answer: Response<Answer>, own: &HeaderMap) -> Response<Answer> {
    for (name, value) in own {
        answer.headers_mut().entry(name).or_insert_with(|| value.clone());
    }
    answer
}

/// Who signs for the deployment.
fn signer(plane: &Plane) -> Result<&Signer> {
    match plane.taskcluster() {
        Some((_, Opened { key: Key::Hawk(signer), .. })) => Ok(signer),
        _ => Err(Error::not_found("nothing is signed here")),
    }
}

async fn whole(request: Request<Incoming>, len_max: usize) -> Result<Bytes> {
    let body = Limited::new(request.into_body(), len_max).collect().await;
    Ok(body.map_err(|_| Error::invalid("the body is too long or broke off"))?.to_bytes())
}

fn headers(delegation: &Delegation) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut add = |name: &'static str, text: &str| {
        if let Ok(value) = HeaderValue::from_str(text) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    add("x-taskcluster-proxy-version", VERSION);
    add("x-taskcluster-proxy-revision", REVISION);
    let id = delegation.client_id.as_str();
    match &delegation.certified {
        None => add("x-taskcluster-proxy-perm-clientid", id),
        Some(scopes) => {
            add("x-taskcluster-proxy-temp-clientid", id);
            add("x-taskcluster-proxy-temp-scopes", &go::json_list(Some(&texts(scopes))));
        }
    }
    if let Some(scopes) = &delegation.authorized {
        add("x-taskcluster-authorized-scopes", &go::json_list(Some(&texts(scopes))));
    }
    headers
}

fn texts(scopes: &[crate::base::Scope]) -> Vec<&str> {
    scopes.iter().map(crate::base::Scope::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_broken_credentials_does_not_quote_them() {
        for body in
            [r#""token-x""#, r#"{"clientId":"a","accessToken":"k","certificate":["token-x"]}"#, r#"["a",1,"token-x"]"#]
        {
            let refused = Sent::read(body.as_bytes()).err().unwrap();
            assert!(!refused.chain().contains("token-x"), "{}", refused.chain());
        }
    }
}
