//! A change shows its effect first: the page that asks for it, and the redirect after it.

use askama::Template;
use askama::filters::HtmlSafe;
use axum::response::Response;

use super::address::ENTRY;
use super::form::TOKEN_FIELD;
use super::frame::{Frame, page};
use super::session::{Session, see_other};
use super::text::Untrusted;
use crate::base::Result;
pub use crate::domain::actions::Weight;
use crate::web::state::App;

/// Effects that are listed; of more, the number.
const EFFECTS_MAX: usize = 100;

/// What a change would do.
pub struct Plan {
    /// What it is: `Rotate taskcluster-builds`.
    pub title: String,
    /// What will be so afterwards, a sentence each.
    pub effects: Vec<String>,
    /// What it takes to do it.
    pub weight: Weight,
    /// Where the form goes to; a path of ours.
    pub action: String,
    pub fields: Vec<(&'static str, String)>,
    /// What the button says: `Rotate now`.
    pub button: &'static str,
    /// Where one is who does not want it; a path of ours.
    pub back: String,
    /// The same thing by other means.
    pub equivalents: Equivalents,
}

/// The same thing as a call of the API and as a command.
#[derive(Template)]
#[template(path = "parts/equivalents.html")]
pub struct Equivalents {
    /// A line for `curl`.
    pub curl: String,
    pub command: String,
}

impl HtmlSafe for Equivalents {}

impl Equivalents {
    /// For what can be done here only.
    pub fn none() -> Self {
        Self { curl: String::new(), command: String::new() }
    }

    /// A call of our own API, below its mount, and the words of a command.
    pub fn of(session: &Session, method: &str, path: &str, body: Option<&str>, command: &[&str]) -> Self {
        let words: Vec<String> = command.iter().map(|word| shell(word)).collect();
        Self { command: format!("keylender {}", words.join(" ")), ..Self::of_call(session, method, path, body) }
    }

    /// A call and a command for each of some names, which stand for `$name`.
    pub fn of_each(session: &Session, names: &[&str], path: &str, command: &str) -> Self {
        let names: Vec<String> = names.iter().map(|name| shell(name)).collect();
        let each = |line: &str| format!("for name in {}; do {line}; done", names.join(" "));
        let Self { curl, .. } = Self::of_call(session, "POST", path, None);
        Self { curl: each(&curl), command: each(&format!("keylender {command} \"$name\"")) }
    }

    /// A call that no command makes.
    pub fn of_call(session: &Session, method: &str, path: &str, body: Option<&str>) -> Self {
        let scheme = if session.origin.peer.is_https { "https" } else { "http" };
        let url = format!("{scheme}://$KEYLENDER{}/api/keylender/v1{path}", session.root);
        let method = if method == "GET" { String::new() } else { format!("-X {method} ") };
        let body = body.map(|body| format!(" -H 'Content-Type: application/json' -d {}", shell(body)));
        let curl = format!(
            "curl {method}-H \"Authorization: Bearer $CLIENT_ID/$ACCESS_TOKEN\" \"{url}\"{}",
            body.unwrap_or_default()
        );
        Self { curl, command: String::new() }
    }
}

/// A text as one word of a shell.
fn shell(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[derive(Template)]
#[template(path = "console/plan.html")]
struct PlanPage {
    frame: Frame,
    effects: Vec<Untrusted<'static>>,
    more: usize,
    plan: Plan,
    token_field: &'static str,
    form_token: String,
}

/// The page that shows a plan, and the button that carries it out.
pub async fn ask(app: &App, session: &Session, mut plan: Plan) -> Result<Response> {
    let frame = Frame::of(app, session, plan.title.clone()).await;
    let effects = std::mem::take(&mut plan.effects);
    let more = effects.len().saturating_sub(EFFECTS_MAX);
    Ok(page(&PlanPage {
        frame,
        effects: effects.into_iter().take(EFFECTS_MAX).map(Untrusted::of).collect(),
        more,
        plan,
        token_field: TOKEN_FIELD,
        form_token: session.form_token().expose().to_owned(),
    }))
}

/// Goes on to a page after a change, which shows the audit entry that this request made.
pub fn done(session: &Session, back: &str) -> Result<Response> {
    let (path, query) = back.split_once('?').unwrap_or((back, ""));
    let entry = session.caller.receipt().map(|seq| format!("{ENTRY}={seq}"));
    let query: Vec<&str> =
        [query, entry.as_deref().unwrap_or_default()].into_iter().filter(|q| !q.is_empty()).collect();
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    Ok(see_other(&format!("{}{path}{query}", session.root)))
}
