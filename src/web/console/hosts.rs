//! The machines that asked for credentials, and why they got what they got.

use std::net::IpAddr;

use askama::Template;
use axum::extract::{Extension, OriginalUri, Path, Query, State};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde::Deserialize;

use super::page;
use crate::domain::hosts::Known;
use crate::ports::dns::{Answer, Data, Kind, Status};
use crate::web::layers::Origin;
use crate::web::page::{error, not_found};
use crate::web::state::App;

/// Machines on one page.
const PAGE_LEN: usize = 100;
/// Who sees these pages while there is no sign-in: DNS answers are nothing for strangers.
const NOT_HERE: &str = "this page is for people on the appliance's own host";

#[derive(Template)]
#[template(path = "console/hosts.html")]
struct Hosts {
    missing: String,
    hosts: Vec<Known>,
    next: Option<IpAddr>,
}

#[derive(Template)]
#[template(path = "console/host.html")]
struct Host {
    known: Known,
    answers: Vec<Row>,
}

/// A question to DNS and one line of what was answered.
struct Row {
    server: String,
    question: String,
    answer: String,
}

/// Where a page begins.
#[derive(Deserialize)]
pub struct From {
    after: Option<IpAddr>,
}

/// All machines that asked, a page at a time.
pub async fn hosts(State(app): State<App>, Extension(origin): Extension<Origin>, Query(from): Query<From>) -> Response {
    if !origin.peer.is_on_host {
        return error(StatusCode::FORBIDDEN, NOT_HERE);
    }
    match app.hosts.list(from.after.as_ref(), PAGE_LEN) {
        Ok(hosts) => {
            let next = hosts.last().filter(|_| hosts.len() == PAGE_LEN).map(|last| last.address);
            page(&Hosts { missing: app.hosts.missing().join(", "), hosts, next })
        }
        Err(failure) => error(StatusCode::SERVICE_UNAVAILABLE, failure.message()),
    }
}

/// One machine.
pub async fn host(
    State(app): State<App>,
    Extension(origin): Extension<Origin>,
    method: Method,
    OriginalUri(target): OriginalUri,
    Path(address): Path<String>,
) -> Response {
    if !origin.peer.is_on_host {
        return error(StatusCode::FORBIDDEN, NOT_HERE);
    }
    let known = address.parse::<IpAddr>().ok().map(|address| app.hosts.known(address.to_canonical()));
    match known {
        Some(Ok(Some((known, answers)))) => page(&Host { known, answers: answers.iter().flat_map(rows).collect() }),
        Some(Err(failure)) => error(StatusCode::SERVICE_UNAVAILABLE, failure.message()),
        None | Some(Ok(None)) => not_found(&method, &target),
    }
}

fn rows(answer: &Answer) -> Vec<Row> {
    let kind = match answer.question.kind {
        Kind::Ptr => "PTR",
        Kind::A => "A",
        Kind::Aaaa => "AAAA",
    };
    let row = |said: String| Row {
        server: answer.server.clone(),
        question: format!("{kind} {}", answer.question.name),
        answer: said,
    };
    let records: Vec<Row> = answer
        .records
        .iter()
        .map(|record| {
            let data = match &record.data {
                Data::Ptr(name) => format!("PTR {name}"),
                Data::Cname(name) => format!("CNAME {name}"),
                Data::Address(address) => format!("address {address}"),
            };
            row(format!("{} {data} (ttl {} s)", record.name, record.ttl_seconds))
        })
        .collect();
    match (&answer.status, records.is_empty()) {
        (Status::Failed(why), _) => vec![row(format!("failed: {why}"))],
        (Status::NoSuchName, true) => vec![row("there is no such name".to_owned())],
        (Status::Answered, true) => vec![row("no record of this kind".to_owned())],
        (_, false) => records,
    }
}
