//! Hand-over links, for whoever has one: a page that says what it is, and the button that opens it.
//!
//! Looking changes nothing, since chat programs look at every link. Only a POST opens it, once.

use askama::Template;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::api::pulse::Lent;
use super::error::{report, retry_after_seconds, status};
use super::layers::Origin;
use super::metrics::Lend;
use super::page;
use super::state::App;
use crate::base::text::capitalized;
use crate::base::{Error, Kind, Result, Timestamp};
use crate::domain::namespaces::Claimed;
use crate::domain::relay::Login;
use crate::domain::wraps::{Handed, Look, Opened, Opener};

/// No script, no frame, our own style, and a form that goes nowhere else.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";
/// What the log calls an opening: the path of a link is its secret.
const NAME: &str = "opening a hand-over link";

#[derive(Template)]
#[template(path = "wraps/look.html")]
struct LookPage {
    look: Look,
    until: String,
}

#[derive(Template)]
#[template(path = "wraps/opened.html")]
struct OpenedPage<'a> {
    handed: Handed,
    /// How to reach the broker: one, or for each vhost of an account.
    connection_strings: Vec<&'a str>,
    /// The login of an account.
    login: Option<(&'a str, &'a str)>,
    reclaim_at: Timestamp,
    until: String,
}

#[derive(Template)]
#[template(path = "wraps/over.html")]
struct OverPage {
    heading: &'static str,
    message: String,
    advice: &'static str,
    may_repeat: bool,
}

impl OverPage {
    fn new(kind: Kind, message: &str) -> Self {
        let (heading, advice) = match kind {
            // The message says what to do.
            Kind::Conflict => ("This link is over", ""),
            Kind::NotFound => {
                ("There is no such link", "Look whether its address is complete, or ask whoever sent it for a new one.")
            }
            Kind::Limited | Kind::Busy | Kind::Unavailable => {
                ("It cannot be opened just now", "The link is not used up. Try again in a minute.")
            }
            _ => ("This link cannot be opened", "Tell whoever sent it what stands here."),
        };
        let may_repeat = matches!(kind, Kind::Limited | Kind::Busy | Kind::Unavailable);
        Self { heading, message: sentence(message), advice, may_repeat }
    }
}

/// What the link is. It stays unopened.
pub async fn look(
    State(app): State<App>,
    Extension(origin): Extension<Origin>,
    headers: HeaderMap,
    Path(token): Path<String>,
) -> Response {
    match admit(&app, &origin).and_then(|()| app.wraps.look(&token)) {
        Ok(look) if page::is_wanted(&headers) => {
            let until = minute(look.until);
            dressed(page::render(&LookPage { look, until }))
        }
        Ok(Look { handed, by, until }) => answer(
            StatusCode::OK,
            &json!({
                handed.kind(): handed.to_string(), "by": by, "until": until,
                "open": "send a POST to this address; it works once",
            }),
        ),
        Err(error) => refused(&error, &origin, &headers),
    }
}

/// Opens the link: the credentials, once.
pub async fn open(
    State(app): State<App>,
    Extension(origin): Extension<Origin>,
    headers: HeaderMap,
    Path(token): Path<String>,
) -> Response {
    if let Err(error) = admit(&app, &origin) {
        return refused(&error, &origin, &headers);
    }
    // It goes on when the client hangs up, so that no opening stays half-done.
    let (wraps, address, id) = (app.wraps.clone(), origin.peer.address, origin.trace.id.clone());
    let handed = app.wraps.look(&token).ok().map(|look| look.handed);
    let work = async move { wraps.open(&token, Opener { address, request_id: &id }).await };
    let opened = app.tasks.spawn(work).await.unwrap_or_else(|e| Err(Error::internal(NAME, e)));
    let opened = match handed {
        Some(Handed::Namespace(_)) => app.meters.lent(Lend::Namespace, opened),
        Some(Handed::Account(_)) => app.meters.lent(Lend::RelayAccount, opened),
        None => opened,
    };
    match opened {
        Ok(opened) => handed_out(&opened.into_inner(), page::is_wanted(&headers)),
        Err(error) => refused(&error, &origin, &headers),
    }
}

/// The link is a secret, and what it hands out is one, too. Whoever has it needs no other credentials, so it counts like
/// any request without.
fn admit(app: &App, origin: &Origin) -> Result<()> {
    app.auth.admit_stranger(origin.peer.address)?;
    if origin.peer.is_private {
        Ok(())
    } else {
        Err(Error::forbidden("hand-over links are refused over plain HTTP from other hosts: use https"))
    }
}

fn handed_out(opened: &Opened, as_html: bool) -> Response {
    match opened {
        Opened::Namespace(claimed) => namespace_handed_out(claimed, as_html),
        Opened::Account(login) => account_handed_out(login, as_html),
    }
}

fn namespace_handed_out(claimed: &Claimed, as_html: bool) -> Response {
    let connection_string = claimed.connection_string.expose();
    if as_html {
        return dressed(page::render(&OpenedPage {
            handed: Handed::Namespace(claimed.namespace.clone()),
            connection_strings: vec![connection_string],
            login: None,
            reclaim_at: claimed.reclaim_at,
            until: minute(claimed.reclaim_at),
        }));
    }
    answer(StatusCode::OK, &json!(Lent::from(claimed)))
}

fn account_handed_out(login: &Login, as_html: bool) -> Response {
    if as_html {
        return dressed(page::render(&OpenedPage {
            handed: Handed::Account(login.account.clone()),
            connection_strings: login.vhosts.iter().map(|(_, string)| string.expose()).collect(),
            login: Some((login.username.as_str(), login.password.expose())),
            reclaim_at: login.expires,
            until: minute(login.expires),
        }));
    }
    let ways =
        login.vhosts.iter().map(|(vhost, string)| json!({ "vhost": vhost, "connectionString": string.expose() }));
    answer(
        StatusCode::OK,
        &json!({
            "account": login.account,
            "username": login.username,
            "password": login.password.expose(),
            "vhosts": ways.collect::<Vec<_>>(),
            "expires": login.expires,
        }),
    )
}

fn refused(error: &Error, origin: &Origin, headers: &HeaderMap) -> Response {
    let message = report(error, NAME, &origin.trace.id);
    // It was there, and is no more.
    let status = if error.kind() == Kind::Conflict { StatusCode::GONE } else { status(error.kind()) };
    let mut response = if page::is_wanted(headers) {
        let mut response = dressed(page::render(&OverPage::new(error.kind(), &message)));
        *response.status_mut() = status;
        response
    } else {
        answer(status, &json!({ "message": message }))
    };
    if let Some(seconds) = retry_after_seconds(error) {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// A message of an error as a sentence.
fn sentence(message: &str) -> String {
    capitalized(message) + "."
}

/// A moment as people read it, to the minute.
fn minute(moment: Timestamp) -> String {
    let text = moment.to_string();
    let (day, time) = text.split_once('T').unwrap_or((&text, ""));
    format!("{day} {} UTC", time.get(..5).unwrap_or(time))
}

fn answer(status: StatusCode, document: &serde_json::Value) -> Response {
    let json = [(header::CONTENT_TYPE, "application/json; charset=utf-8")];
    dressed((status, json, format!("{document:#}\n")).into_response())
}

/// Nobody keeps a copy, and no other site hears of the address.
fn dressed(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}
