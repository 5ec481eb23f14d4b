//! `CheckedForm`: the only way to read a form. Its origin and its token have been looked at.

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Form, FromRequest, Request};
use axum::http::header::{self, HeaderMap};
use axum::http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::session::Session;
use crate::base::{Error, Reason, Result, Secret};
use crate::domain::auth::Caller;
use crate::web::peer;
use crate::web::state::App;

/// Bytes of a form: some thousands of names for an action on many.
const FORM_LEN_MAX: usize = 256 << 10;
/// Name of the field with the token.
pub const TOKEN_FIELD: &str = "csrf";
/// Name of the field with the reason.
const REASON_FIELD: &str = "reason";

/// A form that this session's own page sent. **Invariant:** made only by [`read`].
#[derive(Debug)]
pub struct CheckedForm<T> {
    pub input: T,
    fields: Vec<(String, String)>,
}

impl<T> CheckedForm<T> {
    /// All values of a field that may be there several times.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.fields.iter().filter(move |(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The caller of the session, with the reason that the form gives: every audit entry of what they do has it.
    /// `Invalid` without one.
    pub fn with_reason(&self, session: &Session) -> Result<Caller> {
        let reason = self.all(REASON_FIELD).next().unwrap_or_default();
        Ok(session.caller.because(Reason::parse(reason)?))
    }
}

/// A form without fields of its own.
#[derive(Debug, Deserialize)]
pub struct Nothing {}

/// A form from before there is a session. Only its origin has been looked at.
#[derive(Debug)]
pub struct OpenForm<T> {
    pub input: T,
    /// The head of the request.
    pub headers: HeaderMap,
}

/// Reads a form of a session.
pub async fn read<T: DeserializeOwned>(
    app: &App,
    session: &Session,
    parts: &Parts,
    body: Body,
) -> Result<CheckedForm<T>> {
    check_origin(app, parts)?;
    let bytes = bytes(app, body).await?;
    let fields: Vec<(String, String)> = url::form_urlencoded::parse(&bytes).into_owned().collect();
    let token = fields.iter().find(|(name, _)| name == TOKEN_FIELD).map(|(_, value)| Secret::new(value.as_str()));
    // Compared in constant time, as all secrets are.
    if token.as_ref() != Some(session.form_token()) {
        return Err(Error::forbidden(
            "This form is not of your present session, and nothing was changed. Open the page again and send it from there.",
        ));
    }
    Ok(CheckedForm { input: fields_of(parts, bytes).await?, fields })
}

/// Reads a form on the way in.
pub async fn read_open<T: DeserializeOwned>(app: &App, request: Request) -> Result<OpenForm<T>> {
    let (parts, body) = request.into_parts();
    check_origin(app, &parts)?;
    let bytes = bytes(app, body).await?;
    Ok(OpenForm { input: fields_of(&parts, bytes).await?, headers: parts.headers })
}

async fn bytes(app: &App, body: Body) -> Result<Bytes> {
    let read = tokio::time::timeout(app.body_timeout, to_bytes(body, FORM_LEN_MAX)).await;
    let read = read.map_err(|_| Error::invalid("the form did not arrive in time"))?;
    read.map_err(|_| Error::invalid(format!("the form did not arrive whole, or has more than {FORM_LEN_MAX} bytes")))
}

async fn fields_of<T: DeserializeOwned>(parts: &Parts, bytes: Bytes) -> Result<T> {
    let mut request = Request::post(parts.uri.clone());
    if let Some(kind) = parts.headers.get(header::CONTENT_TYPE) {
        request = request.header(header::CONTENT_TYPE, kind);
    }
    let request = request.body(Body::from(bytes)).map_err(|e| Error::internal("reading a form", e))?;
    let Form(input) = Form::<T>::from_request(request, &())
        .await
        .map_err(|e| Error::invalid("a field of the form is missing or wrong").because(e.to_string()))?;
    Ok(input)
}

/// Whether a page of ours sent it. Browsers say so in `Sec-Fetch-Site` or in `Origin`; a request without either is not
/// from a browser, and programs have the API.
fn check_origin(app: &App, parts: &Parts) -> Result<()> {
    let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let host = peer::host(&parts.headers, &parts.uri);
    let is_own = match (text("sec-fetch-site"), text("origin")) {
        // The browser compared the origins itself, by the names that it knows: a proxy may have changed the host since.
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => is_own_origin(app, origin, host),
        (None, None) => false,
    };
    if is_own {
        Ok(())
    } else {
        Err(Error::forbidden("This form was sent from another site, and nothing was changed."))
    }
}

fn is_own_origin(app: &App, origin: &str, host: &str) -> bool {
    let authority = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    let is_public = app.public_url.as_ref().is_some_and(|url| url.origin().ascii_serialization() == origin);
    is_public || authority.is_some_and(|authority| !host.is_empty() && authority.eq_ignore_ascii_case(host))
}
