//! Cookies of requests.

use axum::http::header::{self, HeaderMap};

/// Most of a cookie header that is looked at.
const COOKIES_LEN_MAX: usize = 16 << 10;

/// A cookie of a request.
pub fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.filter(|line| line.len() <= COOKIES_LEN_MAX).flat_map(|line| line.split(';'));
    pairs.filter_map(|pair| pair.trim().split_once('=')).find(|(given, _)| *given == name).map(|(_, value)| value)
}
