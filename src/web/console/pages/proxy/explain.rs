//! What a task with some scopes could do at each upstream, and why. By its address, so that it can be linked.

use askama::Template;
use axum::response::Response;

use super::in_words;
use crate::base::text::{capitalized, url_encoded};
use crate::base::{Error, Result, Scope};
use crate::domain::auth::scopes;
use crate::domain::proxy::Worth;
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::Equivalents;
use crate::web::console::kit::session::Session;
use crate::web::console::kit::text::{State, Tone, Untrusted};
use crate::web::state::App;

/// Scopes that are judged at once: as many as a session has.
const SCOPES_MAX: usize = 500;

#[derive(Template)]
#[template(path = "console/proxy_explain.html")]
struct Page {
    frame: Frame,
    problem: String,
    /// What is asked about, as it was typed.
    typed: String,
    is_asked: bool,
    worths: Vec<WorthShown>,
    may_store: bool,
    equivalents: Equivalents,
}

/// What the scopes are worth at an upstream.
struct WorthShown {
    upstream: Untrusted<'static>,
    kind: &'static str,
    in_words: &'static str,
    verdict: State,
    permissions: Vec<Untrusted<'static>>,
    reasons: Vec<Untrusted<'static>>,
    missing: Option<Untrusted<'static>>,
}

impl From<Worth> for WorthShown {
    fn from(Worth { upstream, kind, permissions, reasons, missing }: Worth) -> Self {
        let (tone, word) = if permissions.is_empty() { (Tone::Quiet, "nothing") } else { (Tone::Well, "granted") };
        let all = |texts: Vec<String>| texts.into_iter().map(Untrusted::of).collect();
        Self {
            upstream: Untrusted::of(upstream),
            kind,
            in_words: in_words(kind),
            verdict: State { tone, word: word.into() },
            permissions: all(permissions),
            reasons: all(reasons),
            missing: missing.map(Untrusted::of),
        }
    }
}

/// Judges scopes as a session would be judged; nothing is opened. Without scopes, the form that asks for some.
pub async fn explain(app: App, session: Session) -> Result<Response> {
    let typed = session.query("scopes").unwrap_or_default().to_owned();
    let (worths, scopes, problem) = match read(&typed) {
        Ok(scopes) if scopes.is_empty() => (Vec::new(), scopes, None),
        Ok(scopes) => (app.proxy.explain(&scopes), scopes, None),
        Err(error) => (Vec::new(), Vec::new(), Some(error)),
    };
    Ok(page(&Page {
        frame: Frame::of(&app, &session, "What scopes are worth").await,
        problem: problem.map(|error| format!("{}.", capitalized(error.message()))).unwrap_or_default(),
        is_asked: !scopes.is_empty(),
        typed,
        worths: worths.into_iter().map(WorthShown::from).collect(),
        may_store: session.may(scopes::PROXY_UPSTREAMS),
        equivalents: equivalents(&session, &scopes),
    }))
}

/// The scopes that were typed, with blanks or line ends between them.
fn read(typed: &str) -> Result<Vec<Scope>> {
    let scope = |text| Scope::parse(text).map_err(|_| Error::invalid(format!("`{text}` cannot be a scope")));
    let scopes = typed.split_whitespace().map(scope).collect::<Result<Vec<_>>>()?;
    if scopes.len() > SCOPES_MAX {
        return Err(Error::invalid(format!("at most {SCOPES_MAX} scopes are judged at once")));
    }
    Ok(scopes)
}

fn equivalents(session: &Session, scopes: &[Scope]) -> Equivalents {
    let texts: Vec<&str> = scopes.iter().map(Scope::as_str).collect();
    if texts.is_empty() {
        return Equivalents::none();
    }
    let path = format!("/proxy/explain?scopes={}", url_encoded(&texts.join(" ")));
    Equivalents::of(session, "GET", &path, None, &[&["proxy", "explain"], &texts[..]].concat())
}
