//! `Session`: the proof that whoever asks for a page signed in, and may see it.

use std::fmt;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::frame;
use super::routes::{Access, Route};
use super::theme::Theme;
use crate::base::{Error, OperatorName, Result, Secret, Timestamp};
use crate::domain::auth::Caller;
use crate::domain::operators::{Role, SignedIn, Visitor};
use crate::proto::scopes::Expression;
use crate::web::api::{Params, required_on};
use crate::web::layers::Origin;
use crate::web::peer;
use crate::web::state::App;

/// The cookie. Over TLS its name makes browsers keep it from plain HTTP and from neighbouring hosts.
const COOKIE: &str = "keylender_session";
const COOKIE_TLS: &str = "__Host-keylender_session";
/// Longest place to go on to after signing in.
const PLACE_LEN_MAX: usize = 2000;
/// Most of a cookie header that is looked at.
const COOKIES_LEN_MAX: usize = 16 << 10;

/// Somebody at a page: who, what they may do, and what they asked for. **Invariant:** made only by [`of`].
#[derive(Clone, Debug)]
pub struct Session {
    /// Who acts, for the domain.
    pub caller: Caller,
    /// Their name.
    pub operator: OperatorName,
    /// Their role.
    pub role: Role,
    /// The way the request came.
    pub origin: Origin,
    /// One moment for the whole page.
    pub now: Timestamp,
    /// What stands before every path of ours in a link; mostly empty.
    pub root: String,
    /// The host that the browser asked.
    pub host: String,
    /// The path of this page, without what stands before it.
    pub path: String,
    pub signed_in: SignedIn,
    pub theme: Theme,
    params: Params,
    query: Vec<(String, String)>,
}

impl Session {
    /// An argument of the route.
    pub fn param(&self, name: &str) -> &str {
        self.params.get(name).map_or("", String::as_str)
    }

    /// The argument of a route that has one.
    pub fn argument(&self) -> &str {
        self.params.values().next().map_or("", String::as_str)
    }

    /// A parameter of the query; none when it is missing or empty, as an empty field of a form is.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str()).filter(|v| !v.is_empty())
    }

    /// All parameters of the query, in order: a name may come several times.
    pub fn queries(&self) -> &[(String, String)] {
        &self.query
    }

    /// Whether they hold a scope: a button that would be refused is not shown.
    pub fn may(&self, scope: impl fmt::Display) -> bool {
        self.caller.holds(&scope.to_string())
    }

    /// What forms must bring along.
    pub fn form_token(&self) -> &Secret {
        &self.signed_in.form_token
    }
}

/// Who asks, if they may come to this route; else the answer that they get instead.
pub async fn of(app: &App, route: Route, parts: &mut Parts) -> Result<Session, Response> {
    let Some(origin) = parts.extensions.get::<Origin>().cloned() else {
        return Err((StatusCode::INTERNAL_SERVER_ERROR, "the request came around the door").into_response());
    };
    let found = match session_id(&parts.headers, &origin) {
        Some(id) => app.operators.session(&id, &origin.trace.id, origin.peer.address).await,
        None => Ok(None),
    };
    let signed_in = match found {
        Ok(Some(signed_in)) => signed_in,
        Ok(None) => return Err(sign_in_first(app, parts, &origin).await),
        Err(error) => return Err(frame::failure(app, None, &origin, &error).await),
    };
    let params = match RawPathParams::from_request_parts(parts, &()).await {
        Ok(params) => params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        Err(_) => Params::default(),
    };
    let query = parts.uri.query().unwrap_or_default();
    let session = Session {
        caller: signed_in.caller.clone(),
        operator: signed_in.operator.clone(),
        role: signed_in.role,
        origin,
        now: app.clock.now(),
        root: root(app),
        host: peer::host(&parts.headers, &parts.uri).to_owned(),
        path: parts.uri.path().to_owned(),
        theme: Theme::of(&parts.headers),
        signed_in,
        params,
        query: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
    };
    if let Access::Scope(scope) = route.access
        && let Err(error) = require(&session, required_on(route.path, &session.params, scope))
    {
        return Err(frame::failure(app, Some(&session), &session.origin, &error).await);
    }
    Ok(session)
}

/// The scopes of a route are those of the API for the same call.
fn require(session: &Session, scope: String) -> Result<()> {
    session.caller.require(&Expression::Scope(scope.clone())).map_err(|_| {
        Error::forbidden(format!(
            "Your role, {}, does not have the scope {scope}, which this needs. Somebody who is an admin can do it or \
             give you another role.",
            session.role
        ))
    })
}

/// To the form, and from there back. Who sent something is told that it is not done.
async fn sign_in_first(app: &App, parts: &Parts, origin: &Origin) -> Response {
    if matches!(parts.method, Method::GET | Method::HEAD) {
        let place = parts.uri.path_and_query().map_or("/", |place| place.as_str());
        return to_sign_in(app, place);
    }
    let error = Error::unauthenticated("Your session is over, and nothing was changed. Sign in and send it again.");
    frame::failure(app, None, origin, &error).await
}

fn to_sign_in(app: &App, place: &str) -> Response {
    let to = own_place(place).filter(|place| *place != "/");
    let to = to.map(|place| format!("?to={}", utf8_percent_encode(place, NON_ALPHANUMERIC))).unwrap_or_default();
    let door = if app.operators.exist().unwrap_or(true) { "login" } else { "setup" };
    see_other(&format!("{}/{door}{to}", root(app)))
}

/// A path on this server to go to, if the text is one. Nothing that a browser could read as another host: it begins with
/// one slash, and has no backslash and no control character.
pub fn own_place(text: &str) -> Option<&str> {
    let second = text.strip_prefix('/')?.chars().next();
    let is_plain = |c: char| !c.is_control() && c != '\\' && !c.is_whitespace();
    let fits = text.len() <= PLACE_LEN_MAX && second != Some('/') && text.chars().all(is_plain);
    fits.then_some(text)
}

/// Sends a browser on with a GET.
pub fn see_other(location: &str) -> Response {
    match HeaderValue::from_str(location) {
        Ok(location) => (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response(),
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}

/// What stands before every path of ours: the path of `PUBLIC_URL`, which is also understood without a proxy.
pub fn root(app: &App) -> String {
    app.public_url.as_ref().map(|url| url.path().trim_end_matches('/').to_owned()).unwrap_or_default()
}

/// The id of the session that a request shows. Over TLS only the cookie that plain HTTP cannot have set counts.
pub fn session_id(headers: &HeaderMap, origin: &Origin) -> Option<Secret> {
    cookie(headers, name(origin)).map(Secret::new)
}

/// A cookie of a request.
pub fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.filter(|line| line.len() <= COOKIES_LEN_MAX).flat_map(|line| line.split(';'));
    pairs.filter_map(|pair| pair.trim().split_once('=')).find(|(given, _)| *given == name).map(|(_, value)| value)
}

fn name(origin: &Origin) -> &'static str {
    if origin.peer.is_https { COOKIE_TLS } else { COOKIE }
}

/// The header that gives a browser its session; without an id, that takes it away.
pub fn set_cookie(origin: &Origin, id: Option<&Secret>) -> (header::HeaderName, String) {
    let (value, end) = match id {
        Some(id) => (id.expose(), ""),
        None => ("", "; Max-Age=0"),
    };
    let secure = if origin.peer.is_https { "; Secure" } else { "" };
    (header::SET_COOKIE, format!("{}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{end}", name(origin)))
}

/// Where a request of a browser comes from.
pub fn visitor(headers: &HeaderMap, origin: &Origin) -> Visitor {
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    Visitor { address: origin.peer.address, agent: agent.to_owned(), request_id: origin.trace.id.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_signing_in_one_stays_on_this_server() {
        for place in ["/", "/hosts", "/hosts?after=10.0.0.1&q=a%20b", "/a/../b", "/%2f%2fevil.example"] {
            assert_eq!(own_place(place), Some(place));
        }
        for place in [
            "",
            "hosts",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "https://evil.example/",
            "/\t/evil.example",
            "/a\r\nSet-Cookie: x",
            " /a",
            "javascript:alert(1)",
            &format!("/{}", "a".repeat(PLACE_LEN_MAX)),
        ] {
            assert_eq!(own_place(place), None, "{place}");
        }
    }
}
