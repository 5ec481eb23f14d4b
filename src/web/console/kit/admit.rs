//! Who may come to a page, and what everybody else gets instead.

use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};

use super::frame;
use super::session::{Session, own_place, root, see_other, session_id};
use crate::base::text::url_encoded;
use crate::base::{Error, Result};
use crate::domain::auth::scopes::RequiredScope;
use crate::proto::scopes::Expression;
use crate::web::api::required_on;
use crate::web::layers::Origin;
use crate::web::state::App;

/// Who may come to a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody: there is nothing but a way in.
    Anybody,
    SignedIn,
    /// Operators with this scope. Where it is about one thing, that is the first argument of the route.
    Scope(RequiredScope),
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// The path, with `{arguments}`.
    pub path: &'static str,
    pub access: Access,
}

/// Who asks, if they may come to this route; else the answer that they get instead.
pub async fn admit(app: &App, route: Route, parts: &mut Parts) -> Result<Session, Response> {
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
    let session = Session::new(app, signed_in, origin, parts).await;
    if let Access::Scope(scope) = route.access
        && let Err(error) = require(&session, required_on(route.path, session.params(), scope))
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
    let to = to.map(|place| format!("?to={}", url_encoded(place))).unwrap_or_default();
    let door = if app.operators.exist().unwrap_or(true) { "login" } else { "setup" };
    see_other(&format!("{}/{door}{to}", root(app)))
}
