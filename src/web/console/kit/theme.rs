//! The colour theme: light, dark, or as the system has it.

use axum::http::HeaderMap;
use serde::Deserialize;

use super::cookie::cookie;

/// The cookie that keeps the choice.
pub const COOKIE: &str = "keylender_theme";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Theme {
    /// As the system has it.
    #[default]
    Auto,
    Light,
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
