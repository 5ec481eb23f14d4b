//! Our own API for machines of a fleet: a host enrols its agent, and an agent sends its heartbeat over HTTP.

use axum::body::to_bytes;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::timeout;

use super::{Answer, Call, Endpoint, QueryParameter, Reply, Routes, call, nothing};
use crate::base::{AccountName, Error, HostName, Kind, Queueloc, Result, Secret, Timestamp, VhostName};
use crate::domain::agents::{Enrolment, Wanted};
use crate::domain::hosts::Asker;
use crate::proto::enrolment::{self, File};
use crate::proto::heartbeat::{self, BODY_LEN_MAX};
use crate::web::error::{report, status};
use crate::web::layers::Origin;
use crate::web::metrics::Lend;
use crate::web::page;
use crate::web::state::App;

/// Systems that agents are built for, as Go calls them.
const SYSTEMS: [&str; 3] = ["linux", "darwin", "windows"];
/// What MIG's API answers to who only asks whether it is there.
const GREETING: &str = "gatorz say hi";

static ENROL: Endpoint = Endpoint {
    query: &[
        QueryParameter { name: "os", pattern: "linux, darwin or windows", matches: |text| SYSTEMS.contains(&text) },
        QueryParameter { name: "form", pattern: "json or tar", matches: |text| matches!(text, "json" | "tar") },
    ],
    ..Endpoint::public(
        "enrolAgent",
        "/agents/enrol",
        "Enrols the agent of the host that asks, which is known by its address and DNS name or shows a token once, and \
         gives it an account with another password.",
    )
    .answers::<Enrolled>()
};

pub(super) fn routes() -> Routes {
    Routes::default().serve_by(&ENROL, get(enrol))
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Enrolled {
    host: HostName,
    queueloc: Queueloc,
    vhost: VhostName,
    /// The broker user.
    username: AccountName,
    password: String,
    /// When to enrol again.
    expires: Timestamp,
    /// What belongs on the host, each with its path from the root on. With `form=tar` it is all of the answer.
    files: Vec<FileBody>,
}

#[derive(Serialize, JsonSchema)]
struct FileBody {
    path: String,
    /// Who may read and write it, in octal digits.
    mode: String,
    text: String,
}

impl From<&File> for FileBody {
    fn from(file: &File) -> Self {
        Self { path: file.path.clone(), mode: format!("{:04o}", file.mode), text: file.text.expose().to_owned() }
    }
}

/// What a host hears: a document, or an archive.
enum Handed {
    Json(Reply),
    Tar(Secret),
}

impl Answer for Handed {
    fn into_response(self, method: &Method, asked: &HeaderMap) -> Response {
        match self {
            Self::Json(reply) => reply.into_response(method, asked),
            Self::Tar(archive) => {
                let tar = HeaderValue::from_static("application/x-tar");
                ([(header::CONTENT_TYPE, tar)], archive.expose().as_bytes().to_vec()).into_response()
            }
        }
    }
}

async fn enrol(State(app): State<App>, request: Request) -> Response {
    // It would get another password and never see it.
    if request.method() == Method::HEAD {
        return page::error(StatusCode::METHOD_NOT_ALLOWED, "ask with GET: each answer has another password");
    }
    // A page that a browser of the host shows is not the host, and must not replace what its agent has.
    if [header::ORIGIN.as_str(), "sec-fetch-site"].iter().any(|name| request.headers().contains_key(*name)) {
        return page::error(StatusCode::FORBIDDEN, "browsers enrol no agents: ask with curl");
    }
    // Whoever shows anything is not taken for the host by its name instead.
    let shown = request.headers().get(header::AUTHORIZATION).map(|value| value.to_str().unwrap_or_default());
    let token = shown.map(|shown| shown.split_once(' ').map_or("", |(_, token)| token.trim())).map(Secret::new);
    let handler = move |app: App, call: Call, ()| hand_out(app, call, token.clone());
    call::answer(app, ENROL, nothing, handler, request).await
}

async fn hand_out(app: App, call: Call, token: Option<Secret>) -> Result<Handed> {
    let peer = &call.origin.peer;
    let asker = Asker { address: peer.address, is_sure: peer.is_sure, request_id: &call.origin.trace.id };
    let wanted = Wanted { os: call.query("os").unwrap_or(SYSTEMS[0]).to_owned(), token };
    let lent = app.meters.lent(Lend::Agent, app.agents.enrol(asker, wanted).await)?;
    let Enrolment { host, queueloc, vhost, username, password, until, files } = lent.into_inner();
    if call.query("form") == Some("tar") {
        let archive = enrolment::tar(&files, app.clock.now());
        return archive
            .map(Handed::Tar)
            .map_err(|error| Error::conflict(format!("the files make no archive: {error}")));
    }
    let (password, files) = (password.expose().to_owned(), files.iter().map(FileBody::from).collect());
    let enrolled = Enrolled { host, queueloc, vhost, username, password, expires: until, files };
    Reply::json(&enrolled).map(Handed::Json)
}

/// A heartbeat over HTTP, as agents send it to MIG's API, and its answer in the API's words.
pub async fn heartbeat(State(app): State<App>, Extension(origin): Extension<Origin>, request: Request) -> Response {
    if !origin.peer.is_on_host
        && let Err(error) = app.auth.admit_stranger(origin.peer.address)
    {
        return page::error(status(error.kind()), error.message());
    }
    let Ok(read) = timeout(app.body_timeout, to_bytes(request.into_body(), BODY_LEN_MAX)).await else {
        return page::error(StatusCode::REQUEST_TIMEOUT, "the heartbeat did not come in time");
    };
    let Ok(body) = read else {
        return answer(heartbeat::Answer::unreadable(&heartbeat::too_long()));
    };
    let asker = Asker { address: origin.peer.address, is_sure: origin.peer.is_sure, request_id: &origin.trace.id };
    match app.agents.receive(asker, &body).await {
        Ok(said) => answer(said),
        Err(error) if error.kind() == Kind::NotFound => {
            page::error(StatusCode::NOT_FOUND, "no agents are declared here")
        }
        Err(error) => page::error(status(error.kind()), &report(&error, "heartbeat", &origin.trace.id)),
    }
}

/// What MIG's API answers to who asks whether it takes heartbeats.
pub async fn greeting(State(app): State<App>) -> Response {
    match app.agents.agents() {
        Ok(_) => GREETING.into_response(),
        Err(_) => page::error(StatusCode::NOT_FOUND, "no agents are declared here"),
    }
}

/// MIG's API answers every one with a document. Agents of 2019 never read it, and keep the connection of each 200 that has
/// one open for good; so what is taken is answered without one, and the connection ends.
fn answer(heartbeat::Answer { status, body }: heartbeat::Answer) -> Response {
    if status == StatusCode::OK.as_u16() {
        return [(header::CONNECTION, HeaderValue::from_static("close"))].into_response();
    }
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
}
