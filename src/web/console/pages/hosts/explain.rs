//! What an address would get now and why, check by check.

use std::net::IpAddr;

use askama::Template;
use axum::response::Response;

use super::{Row, rows};
use crate::base::{Error, Result};
use crate::domain::hosts::{Check, Explanation};
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::Equivalents;
use crate::web::console::kit::session::Session;
use crate::web::console::kit::text::{State, Tone, Untrusted};
use crate::web::state::App;

#[derive(Template)]
#[template(path = "console/host_explained.html")]
struct Page {
    frame: Frame,
    /// What is asked about, as it was typed.
    address: String,
    explained: Option<Explained>,
    equivalents: Equivalents,
}

struct Explained {
    verdict: State,
    name: Option<Untrusted<'static>>,
    identity: Option<(String, String)>,
    missing: String,
    checks: Vec<(&'static str, State, Untrusted<'static>)>,
    answers: Vec<Row>,
}

impl From<Explanation> for Explained {
    fn from(explanation: Explanation) -> Self {
        let Explanation { address: _, cause, name, identity, missing, checks, answers } = explanation;
        let (tone, word) = match (&cause, missing.is_empty()) {
            (None, true) => (Tone::Well, "would be lent credentials".to_owned()),
            (None, false) => (Tone::Unwell, "nobody is lent anything".to_owned()),
            (Some(cause), _) => (Tone::Warning, format!("would get nothing: {}", cause.code())),
        };
        Self {
            verdict: State { tone, word: word.into() },
            name: name.map(|name| Untrusted::of(name.to_string())),
            identity: identity.map(|(client_id, scope)| (client_id.to_string(), scope.to_string())),
            missing: missing.join(", "),
            checks: checks.iter().map(check).collect(),
            answers: answers.iter().flat_map(rows).collect(),
        }
    }
}

fn check(check: &Check) -> (&'static str, State, Untrusted<'static>) {
    let (tone, word, text) = match &check.outcome {
        Some(Ok(found)) => (Tone::Well, "holds", found.clone()),
        Some(Err(cause)) => (Tone::Warning, "does not hold", cause.to_string()),
        None => (Tone::Quiet, "not looked at", String::new()),
    };
    (check.about, State { tone, word: word.into() }, Untrusted::of(text))
}

/// Judges an address afresh; it lends nothing. Without an address, the form that asks for one.
pub async fn explain(app: App, session: Session) -> Result<Response> {
    let typed = session.query("address").unwrap_or_default().trim().to_owned();
    let explanation = match typed.as_str() {
        "" => None,
        text => {
            let address: IpAddr = text.parse().map_err(|_| Error::invalid("expected an IP address"))?;
            Some(app.hosts.explain(address.to_canonical(), true).await?)
        }
    };
    let equivalents = match &explanation {
        None => Equivalents::none(),
        Some(Explanation { address, .. }) => {
            let path = format!("/hosts/{address}/check");
            Equivalents::of(&session, "GET", &path, None, &["host", "check", &address.to_string()])
        }
    };
    Ok(page(&Page {
        frame: Frame::of(&app, &session, "Explain an address").await,
        address: typed,
        explained: explanation.map(Explained::from),
        equivalents,
    }))
}
