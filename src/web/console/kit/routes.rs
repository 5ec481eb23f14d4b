//! How a page is routed: with the scope that it needs, and a handler that cannot be called without a [`Session`].

use std::future::Future;

use axum::Router;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::de::DeserializeOwned;

use super::admit::{Access, Route, admit};
use super::form::{self, CheckedForm};
use super::frame;
use super::session::Session;
use crate::base::Result;
use crate::domain::auth::scopes::RequiredScope;
use crate::web::layers::Origin;
use crate::web::state::App;

/// What every answer of the console says. `same-origin` and not `no-referrer`, because browsers then send `Origin: null`
/// with forms (Fetch, "append a request Origin header"), and the origin is checked.
const HEADERS: [(HeaderName, &str); 7] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
         form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// The table of routes while it is written.
#[derive(Default)]
pub struct Routes {
    router: Router<App>,
    list: Vec<Route>,
}

impl Routes {
    /// A page that needs a scope.
    pub fn get<H, F>(self, path: &'static str, scope: RequiredScope, handler: H) -> Self
    where
        H: Fn(App, Session) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<Response>> + Send + 'static,
    {
        self.page(Route { method: "GET", path, access: Access::Scope(scope) }, handler)
    }

    /// A page for every operator.
    pub fn get_signed_in<H, F>(self, path: &'static str, handler: H) -> Self
    where
        H: Fn(App, Session) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<Response>> + Send + 'static,
    {
        self.page(Route { method: "GET", path, access: Access::SignedIn }, handler)
    }

    /// A change that needs a scope.
    pub fn post<T, H, F>(self, path: &'static str, scope: RequiredScope, handler: H) -> Self
    where
        T: DeserializeOwned + Send + 'static,
        H: Fn(App, Session, CheckedForm<T>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<Response>> + Send + 'static,
    {
        self.form(Route { method: "POST", path, access: Access::Scope(scope) }, handler)
    }

    /// A change that every operator may make.
    pub fn post_signed_in<T, H, F>(self, path: &'static str, handler: H) -> Self
    where
        T: DeserializeOwned + Send + 'static,
        H: Fn(App, Session, CheckedForm<T>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<Response>> + Send + 'static,
    {
        self.form(Route { method: "POST", path, access: Access::SignedIn }, handler)
    }

    /// A way in. Its handler has no session, and so can do nothing in anybody's name.
    pub fn open_get<H, F>(mut self, path: &'static str, handler: H) -> Self
    where
        H: Fn(App, Origin, Request) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response> + Send + 'static,
    {
        self.list.push(Route { method: "GET", path, access: Access::Anybody });
        let serve = move |State(app): State<App>, Extension(origin): Extension<Origin>, request: Request| {
            handler(app, origin, request)
        };
        self.router = self.router.route(path, get(serve));
        self
    }

    /// A form on the way in: its origin is checked, and it has no token.
    pub fn open_post<T, H, F>(mut self, path: &'static str, handler: H) -> Self
    where
        T: DeserializeOwned + Send + 'static,
        H: Fn(App, Origin, form::OpenForm<T>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response> + Send + 'static,
    {
        self.list.push(Route { method: "POST", path, access: Access::Anybody });
        let serve = move |State(app): State<App>, Extension(origin): Extension<Origin>, request: Request| async move {
            match form::read_open(&app, request).await {
                Ok(form) => handler(app, origin, form).await,
                Err(error) => frame::failure(&app, None, &origin, &error).await,
            }
        };
        self.router = self.router.route(path, post(serve));
        self
    }

    fn page<H, F>(mut self, route: Route, handler: H) -> Self
    where
        H: Fn(App, Session) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<Response>> + Send + 'static,
    {
        self.list.push(route);
        let serve = move |State(app): State<App>, request: Request| async move {
            let (mut parts, _) = request.into_parts();
            let session = match admit(&app, route, &mut parts).await {
                Ok(session) => session,
                Err(response) => return response,
            };
            answer(&app, session.clone(), handler(app.clone(), session)).await
        };
        self.router = self.router.route(route.path, get(serve));
        self
    }

    fn form<T, H, F>(mut self, route: Route, handler: H) -> Self
    where
        T: DeserializeOwned + Send + 'static,
        H: Fn(App, Session, CheckedForm<T>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<Response>> + Send + 'static,
    {
        self.list.push(route);
        let serve = move |State(app): State<App>, request: Request| async move {
            let (mut parts, body) = request.into_parts();
            let session = match admit(&app, route, &mut parts).await {
                Ok(session) => session,
                Err(response) => return response,
            };
            let (handled, visit) = (app.clone(), session.clone());
            // What was begun is carried through when the browser goes away; the stop of the appliance awaits it.
            let form = form::read(&app, &session, &parts, body).await;
            let work = async move { handler(handled, visit, form?).await };
            let work = crate::web::api::detached(&app.tasks, work);
            answer(&app, session, work).await
        };
        self.router = self.router.route(route.path, post(serve));
        self
    }

    pub fn list(self) -> Vec<Route> {
        self.list
    }

    pub fn router(self) -> Router<App> {
        self.router.layer(axum::middleware::map_response(dress))
    }
}

/// What a handler answers, or the page that says why it does not.
async fn answer(app: &App, session: Session, handled: impl Future<Output = Result<Response>>) -> Response {
    match handled.await {
        Ok(response) => response,
        Err(error) => frame::failure(app, Some(&session), &session.origin, &error).await,
    }
}

async fn dress(mut response: Response) -> Response {
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response.into_response()
}
