//! The choice of colours.

use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::base::Result;
use crate::web::console::kit::form::CheckedForm;
use crate::web::console::kit::session::{Session, own_place, see_other};
use crate::web::console::kit::theme::{COOKIE, Theme};
use crate::web::state::App;

/// A year, in seconds.
const REMEMBERED_SECONDS: u32 = 31_536_000;

/// A choice, and the page it was made on.
#[derive(Deserialize)]
pub struct Choice {
    theme: Theme,
    #[serde(default)]
    to: String,
}

/// Remembers the choice in the browser.
pub async fn choose(_: App, session: Session, form: CheckedForm<Choice>) -> Result<Response> {
    let Choice { theme, to } = form.input;
    let to = own_place(&to).unwrap_or("/");
    let cookie: (HeaderName, String) = (
        header::SET_COOKIE,
        format!("{COOKIE}={}; Path=/; Max-Age={REMEMBERED_SECONDS}; SameSite=Lax; HttpOnly", theme.name()),
    );
    Ok(([cookie], see_other(&format!("{}{to}", session.root))).into_response())
}
