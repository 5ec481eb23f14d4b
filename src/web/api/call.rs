//! One call of an API method: the checks in the ancestors' order, the handler, and the answer or error body.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath, RawPathParams, Request};
use axum::http::header::{self, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::body::{self, ReadBody, Unreadable};
use super::{Answer, Endpoint, Reply};
use crate::base::{Error, Kind, Result, Timestamp};
use crate::domain::auth::scopes::RequiredScope;
use crate::domain::auth::{Caller, Presented};
use crate::proto::formats;
use crate::proto::scopes::Expression;
use crate::web::error::{code, report, retry_after_seconds, status};
use crate::web::layers::Origin;
use crate::web::page;
use crate::web::peer::signed_authority;
use crate::web::state::App;

/// Parameter of the query of actions: with `1`, nothing is changed, and the answer is what would be.
pub(super) const PLAN: &str = "plan";

/// The decoded arguments of a route, by name.
pub type Params = BTreeMap<String, String>;

/// The scope that a route needs for what its arguments name.
pub fn required_on(route: &str, params: &Params, scope: RequiredScope) -> String {
    let first = route.split(['<', '{']).nth(1).and_then(|rest| rest.split(['>', '}']).next());
    match first.and_then(|name| params.get(name)) {
        Some(name) if scope.wants_name() => scope.on(name),
        _ => scope.to_string(),
    }
}

/// A call that passed the checks before its handler.
pub struct Call {
    /// Who is asking; nobody for a public method.
    pub caller: Caller,
    /// The document of the body; `{}` when there is none.
    pub payload: Arc<Value>,
    /// The request's own view of our address, for links.
    pub origin: Origin,
    query: Vec<(String, String)>,
}

impl Call {
    /// The value of a query parameter; the first one when it is given twice (vector `pulse-list-12`).
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The time in a query parameter that is a `QueryParameter::time`.
    pub fn time(&self, name: &str) -> Option<Timestamp> {
        self.query(name).and_then(|text| formats::date_time(text).ok())
    }
}

/// The error body (taskcluster.md 5.2).
#[derive(Serialize, JsonSchema)]
pub(super) struct ErrorBody<'a> {
    code: &'a str,
    message: String,
    #[serde(rename = "requestInfo")]
    request_info: RequestInfo<'a>,
}

#[derive(Serialize, JsonSchema)]
struct RequestInfo<'a> {
    method: &'a str,
    params: &'a Params,
    payload: &'a Value,
    time: Timestamp,
}

/// Answers one request to a method.
pub(super) async fn answer<A, R, H, F, W>(
    app: App,
    endpoint: Endpoint,
    arguments: R,
    handler: H,
    request: Request,
) -> Response
where
    R: Fn(&App, &Params) -> Result<A>,
    H: Fn(App, Call, A) -> F,
    F: Future<Output = Result<W>>,
    W: Answer,
{
    let (mut parts, body) = request.into_parts();
    if let (Some(origin), Some(path)) = (parts.extensions.get::<Origin>(), parts.extensions.get::<MatchedPath>()) {
        app.meters.note_route(&origin.trace.route, path.as_str());
    }
    let params = match RawPathParams::from_request_parts(&mut parts, &()).await {
        Ok(params) => params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        Err(_) => return page::error(StatusCode::BAD_REQUEST, "Failed to decode the path"),
    };
    let Some(origin) = parts.extensions.remove::<Origin>() else {
        return page::error(StatusCode::INTERNAL_SERVER_ERROR, "the request came around the door");
    };
    let body = match body::read(&parts.headers, parts.version, body, app.body_timeout, &app.body_budget).await {
        Ok(body) => body,
        Err(Unreadable { status, message }) => return page::error(status, message),
    };
    let shown = if endpoint.hides_input { Arc::new(body::nothing()) } else { body.view() };
    let trace = origin.trace.clone();
    let outcome = async {
        let caller = admit(&app, &endpoint, &params, &parts, &origin, &body).await?;
        let argument = arguments(&app, &params).map_err(|error| bad_argument(error, &params))?;
        let query = checked_query(&endpoint, parts.uri.query().unwrap_or_default())?;
        // A plan needs no reason, which may be all of the input.
        if body.is_present || !query.iter().any(|(name, value)| name == PLAN && value == "1") {
            check_input(&endpoint, &parts.headers, &body)?;
        }
        let payload = body.payload.clone();
        // Its place is free for others while the handler works.
        drop(body);
        handler(app.clone(), Call { caller, payload, origin, query }, argument).await
    };
    match outcome.await {
        Ok(answer) => answer.into_response(&parts.method, &parts.headers),
        Err(error) => {
            app.meters.count_refusal(error.kind(), error.code());
            let message = report(&error, endpoint.name, &trace.id);
            let time = app.clock.now();
            let request_info = RequestInfo { method: endpoint.name, params: &params, payload: &shown, time };
            error_response(&error, message, request_info, &parts.method)
        }
    }
}

/// Body, then credentials, then scopes (taskcluster.md 5.4).
async fn admit(
    app: &App,
    endpoint: &Endpoint,
    params: &Params,
    parts: &axum::http::request::Parts,
    origin: &Origin,
    body: &ReadBody,
) -> Result<Caller> {
    if let Some(message) = &body.malformed {
        return Err(Error::invalid(message.clone()).with_code("MalformedPayload"));
    }
    if let Some(user) = &origin.peer.local {
        return Ok(Caller::local(user, &origin.trace.id));
    }
    let Some(scope) = endpoint.scope else {
        if !origin.peer.is_on_host {
            app.auth.admit_stranger(origin.peer.address)?;
        }
        return Ok(Caller::nobody(&origin.trace.id));
    };
    let authority = signed_authority(&parts.headers, &origin.target, origin.tls);
    let authority = authority.as_ref().map(|(host, port)| (*host, *port)).map_err(|error| error.message());
    let presented = Presented {
        resource: origin.target.path_and_query().map_or("/", |target| target.as_str()),
        method: parts.method.as_str(),
        authority,
        authorization: match parts.headers.get(header::AUTHORIZATION).map(HeaderValue::to_str) {
            Some(Ok(text)) => Some(text),
            Some(Err(_)) => Some("not text"),
            None => None,
        },
        payload: (body::content_type(&parts.headers), &body.bytes),
        certificate: origin.peer.certificate.as_deref(),
        address: origin.peer.address,
        is_on_host: origin.peer.is_on_host,
        is_private: origin.peer.is_private,
        request_id: &origin.trace.id,
    };
    let caller = app.auth.authenticate(&presented).await.inspect_err(|error| {
        if error.kind() == Kind::Unauthenticated {
            app.meters.count_failure(presented.authorization);
        }
    })?;
    let scope = required_on(endpoint.route, params, scope);
    caller.require(&Expression::AllOf(vec![Expression::Scope(scope)]))?;
    Ok(caller)
}

fn bad_argument(error: Error, params: &Params) -> Error {
    let (name, value) = params.iter().next().map_or(("", ""), |(name, value)| (name, value));
    match error.kind() {
        Kind::Invalid => Error::invalid(format!(
            "Invalid URL patterns:\nURL parameter '{name}' given  as '{value}' is not valid: {}",
            error.message()
        )),
        _ => error,
    }
}

/// The query, with every problem named (vectors `pulse-list-06` to `-14`). `bewit` belongs to the credentials.
fn checked_query(endpoint: &Endpoint, query: &str) -> Result<Vec<(String, String)>> {
    let pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let problems: Vec<String> = pairs
        .iter()
        .filter(|(name, _)| name != "bewit")
        .filter_map(|(name, value)| match endpoint.query.iter().find(|parameter| parameter.name == name) {
            None => Some(format!("Query-string parameter: {name} is not supported!")),
            Some(parameter) if !(parameter.matches)(value) => {
                let pattern = parameter.pattern;
                Some(format!("Query-string parameter: {name}=\"{value}\" does not match expression: {pattern}"))
            }
            Some(_) => None,
        })
        .collect();
    if problems.is_empty() { Ok(pairs) } else { Err(Error::invalid(problems.join("\n"))) }
}

fn check_input(endpoint: &Endpoint, headers: &axum::http::HeaderMap, body: &ReadBody) -> Result<()> {
    if endpoint.input.is_none() {
        return Ok(());
    }
    if body.is_present && body::is_json(headers) {
        let (len, max) = (body.bytes.len(), body::DOCUMENT_LEN_MAX);
        let message = || format!("Payload is too long: it has {len} bytes, and {max} are taken");
        return if len <= max { Ok(()) } else { Err(Error::invalid(message()).with_code("InputValidationError")) };
    }
    let got = body::content_type(headers).unwrap_or("null");
    let message = format!("Payload must be JSON with content-type: application/json got content-type: {got}");
    Err(Error::invalid(message).with_code("MalformedPayload"))
}

fn error_response(error: &Error, human: String, request_info: RequestInfo<'_>, method: &Method) -> Response {
    let (code, status) = (code(error), status(error.kind()));
    let message = format!(
        "{human}\n\n---\n\n* method:     {}\n* errorCode:  {code}\n* statusCode: {}\n* time:       {}",
        request_info.method,
        status.as_u16(),
        request_info.time
    );
    let body = ErrorBody { code, message, request_info };
    let mut response = match Reply::json(&body) {
        Ok(reply) => reply.with_status(status, method, &Default::default()),
        Err(_) => return page::error(status, code),
    };
    let headers = response.headers_mut();
    if error.kind() == Kind::Unauthenticated {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("hawk"));
    }
    if let Some(seconds) = retry_after_seconds(error) {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    response
}
