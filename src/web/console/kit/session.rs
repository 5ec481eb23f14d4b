//! `Session`: the proof that whoever asks for a page signed in, and may see it.

use std::fmt;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::StatusCode;
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};

use super::cookie::cookie;
use super::theme::Theme;
use crate::base::{OperatorName, Secret, Timestamp};
use crate::domain::auth::Caller;
use crate::domain::operators::{Role, SignedIn, Visitor};
use crate::web::api::Params;
use crate::web::layers::Origin;
use crate::web::peer;
use crate::web::state::App;

/// The cookie. Over TLS its name makes browsers keep it from plain HTTP and from neighbouring hosts.
const COOKIE: &str = "keylender_session";
const COOKIE_TLS: &str = "__Host-keylender_session";
/// Longest place to go on to after signing in.
const PLACE_LEN_MAX: usize = 2000;

/// A signed-in operator's request: who asks, what they may do, and what for. **Invariant:** made only by [`admit`](super::admit).
#[derive(Clone, Debug)]
pub struct Session {
    /// Who acts, for the domain.
    pub caller: Caller,
    pub operator: OperatorName,
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
    /// Whoever signed in, at this page.
    pub(super) async fn new(app: &App, signed_in: SignedIn, origin: Origin, parts: &mut Parts) -> Self {
        let params = match RawPathParams::from_request_parts(parts, &()).await {
            Ok(params) => params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            Err(_) => Params::default(),
        };
        let query = parts.uri.query().unwrap_or_default();
        Self {
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
        }
    }

    /// The arguments of the route.
    pub(super) fn params(&self) -> &Params {
        &self.params
    }

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
