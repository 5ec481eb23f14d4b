//! The first page: how the appliance is.

use askama::Template;
use axum::response::Response;

use super::frame::{Frame, page};
use super::session::Session;
use super::text::{Foreign, State, Tone};
use crate::base::Result;
use crate::domain::vitals::Vital;
use crate::web::state::App;

#[derive(Template)]
#[template(path = "console/overview.html")]
struct Overview {
    frame: Frame,
    rows: Vec<Row>,
}

struct Row {
    name: &'static str,
    state: State,
    text: Foreign<'static>,
}

impl From<Vital> for Row {
    fn from(vital: Vital) -> Self {
        let (tone, word) = if vital.state.is_ok() { (Tone::Well, "well") } else { (Tone::Unwell, "unwell") };
        let text = Foreign::of(vital.state.unwrap_or_else(|problem| problem));
        Self { name: vital.name, state: State { tone, word: word.into() }, text }
    }
}

/// How the appliance is.
pub async fn show(app: App, session: Session) -> Result<Response> {
    let rows = app.vitals.check().await.into_iter().map(Row::from).collect();
    let frame = Frame::of(&app, &session, "Overview").await;
    Ok(page(&Overview { frame, rows }))
}
