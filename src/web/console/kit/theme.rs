//! Light, dark, or as the system has it.

use axum::http::{HeaderMap, HeaderName, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::form::CheckedForm;
use super::session::{Session, cookie, own_place, see_other};
use crate::base::Result;
use crate::web::state::App;

const COOKIE: &str = "keylender_theme";
/// A year, in seconds.
const REMEMBERED_SECONDS: u32 = 31_536_000;

/// Which colours somebody chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Theme {
    /// As the system has it.
    #[default]
    Auto,
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

impl Theme {
    pub fn of(headers: &HeaderMap) -> Self {
        match cookie(headers, COOKIE) {
            Some("light") => Self::Light,
            Some("dark") => Self::Dark,
            _ => Self::Auto,
        }
    }

    /// Its name, as the style sheet knows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

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
