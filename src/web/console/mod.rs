//! The console: pages for people. For now how the appliance is, and the machines that asked for credentials.

mod hosts;

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;

use super::page;
use super::state::App;
use crate::domain::vitals::Vital;

pub use hosts::{host, hosts};

/// No script, no frame, and only our own style.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

#[derive(Template)]
#[template(path = "console/overview.html")]
struct Overview {
    version: &'static str,
    rows: Vec<Row>,
}

struct Row {
    name: &'static str,
    is_well: bool,
    text: String,
}

impl From<Vital> for Row {
    fn from(vital: Vital) -> Self {
        let is_well = vital.state.is_ok();
        Self { name: vital.name, is_well, text: vital.state.unwrap_or_else(|problem| problem) }
    }
}

/// How the appliance is. Nothing on it is secret: it stands before any sign-in.
pub async fn overview(State(app): State<App>) -> Response {
    let rows = app.vitals.check().await.into_iter().map(Row::from).collect();
    page(&Overview { version: env!("CARGO_PKG_VERSION"), rows })
}

/// A page of the console, which nobody keeps a copy of.
fn page(template: &impl Template) -> Response {
    let mut response = page::render(template);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
