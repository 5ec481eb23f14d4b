//! `/metrics`: figures in Prometheus' text format, for askers on this host and for those with the token.

mod agents;
mod meters;
mod proxy;
mod text;

use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

pub use meters::{Lend, Meters, RouteMark};

use super::layers::Origin;
use super::page;
use super::state::App;
use crate::base::{Error, Secret, Timestamp};
use crate::domain::health::Figures;
use crate::domain::loops::Status;
use crate::domain::relay::Trouble;
use agents::Fleet;
use meters::{DENIALS, LENDS, METHODS, OUTCOMES, SCHEMES, STATUSES};
use text::{Text, Type};

/// The version of the format.
const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The figures, or why the asker does not get them.
pub async fn metrics(State(app): State<App>, Extension(origin): Extension<Origin>, headers: HeaderMap) -> Response {
    if let Some(refusal) = refuse(app.metrics_token.as_ref(), &origin, &headers) {
        return refusal;
    }
    let figures = async { Ok((app.health.figures().await?, app.relay.missing().await?.len(), Fleet::of(&app).await?)) };
    match figures.await {
        Ok((figures, missing, fleet)) => {
            ([(header::CONTENT_TYPE, FORMAT)], write(&app, &figures, missing, &fleet)).into_response()
        }
        Err(error) => page::error(StatusCode::SERVICE_UNAVAILABLE, Error::message(&error)),
    }
}

/// Who is on this host may ask. Others show the token, where nobody on the way can read it.
fn refuse(token: Option<&Secret>, origin: &Origin, headers: &HeaderMap) -> Option<Response> {
    if origin.peer.is_on_host {
        return None;
    }
    let Some(token) = token else {
        let text = "metrics are for askers on this host; METRICS_TOKEN opens them to others";
        return Some(page::error(StatusCode::FORBIDDEN, text));
    };
    if !origin.peer.is_private {
        let text = "the metrics token is refused over plain HTTP from other hosts: use https";
        return Some(page::error(StatusCode::FORBIDDEN, text));
    }
    let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let (scheme, shown) = shown.and_then(|shown| shown.split_once(' ')).unwrap_or_default();
    if scheme.eq_ignore_ascii_case("bearer") && Secret::new(shown.trim()) == *token {
        return None;
    }
    let mut refusal = page::error(StatusCode::UNAUTHORIZED, "expected Authorization: Bearer and the metrics token");
    refusal.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    Some(refusal)
}

fn write(app: &App, figures: &Figures, missing: usize, fleet: &Fleet) -> String {
    let mut text = Text::default();
    program(&mut text, figures);
    holdings(&mut text, figures);
    requests(&mut text, &app.meters);
    lending(&mut text, app);
    broker(&mut text, app, figures);
    relay(&mut text, app, missing);
    fleet.write(&mut text);
    proxy::write(&mut text, &app.proxy.figures());
    loops(&mut text, &figures.loops);
    outbox(&mut text, app, figures);
    text.into_string()
}

fn relay(text: &mut Text, app: &App, missing: usize) {
    let accounts = app.relay.declared().map_or(0, |declared| declared.profile.accounts().len());
    for (name, help, value) in [
        ("keylender_relay_accounts", "Accounts that the relay declares.", accounts),
        ("keylender_relay_accounts_missed", "Of these, those whose programs did not come back.", missing),
    ] {
        text.single(name, Type::Gauge, help, value as f64);
    }
    let troubles = app.relay.troubles();
    let present = |about: &str| f64::from(u8::from(troubles.iter().any(|trouble| trouble.about == about)));
    let troubles = Trouble::ABOUT.map(|about| (vec![("about", about)], present(about)));
    let help = "1 while something is wrong with the cluster that the relay is on.";
    text.family("keylender_relay_trouble", Type::Gauge, help, troubles);
}

fn seconds(moment: Timestamp) -> f64 {
    moment.as_millis() as f64 / 1e3
}

fn program(text: &mut Text, figures: &Figures) {
    let build = [(vec![("version", env!("CARGO_PKG_VERSION"))], 1.0)];
    text.family("keylender_build_info", Type::Gauge, "Which program this is.", build);
    text.single("process_start_time_seconds", Type::Gauge, "When it started, since 1970.", seconds(figures.started));
    text.single("keylender_uptime_seconds", Type::Gauge, "Seconds since the start.", figures.uptime_seconds);
    let process = figures.process;
    for (name, help, value) in [
        ("process_resident_memory_bytes", "Memory in use.", process.resident_bytes),
        ("process_open_fds", "Open files and sockets.", process.files_open),
        ("process_max_fds", "How many may be open.", process.files_max),
        ("keylender_store_bytes", "Size of the store's file.", figures.store_bytes),
    ] {
        text.family(name, Type::Gauge, help, value.map(|value| (Vec::new(), value as f64)));
    }
}

fn holdings(text: &mut Text, figures: &Figures) {
    for (name, help, value) in [
        ("keylender_namespaces", "Namespaces in the store.", figures.namespaces),
        ("keylender_accounts", "Broker users answered for.", figures.accounts),
        ("keylender_accounts_unsettled", "Broker users not known to be as wished.", figures.accounts_unsettled),
        ("keylender_hosts", "Addresses of machines that asked for credentials.", figures.hosts),
    ] {
        text.single(name, Type::Gauge, help, value as f64);
    }
    let sequence = figures.audit_sequence as f64;
    text.single("keylender_audit_entries_total", Type::Counter, "Entries of the audit log.", sequence);
    let last = figures.audit_last.map(|moment| (Vec::new(), seconds(moment)));
    text.family("keylender_audit_last_timestamp_seconds", Type::Gauge, "When the last of them was committed.", last);
}

fn requests(text: &mut Text, meters: &Meters) {
    let mut samples = Vec::new();
    for (route, counts) in meters.routes() {
        for (method, counts) in METHODS.into_iter().zip(&counts.requests) {
            for (status, count) in STATUSES.into_iter().zip(counts).filter(|(_, count)| count.count() > 0) {
                samples.push((vec![("method", method), ("route", route), ("status", status)], count.count() as f64));
            }
        }
    }
    text.family("keylender_http_requests_total", Type::Counter, "Requests that were answered.", samples);
    let took = meters.routes().map(|(route, counts)| (vec![("route", route)], &counts.took));
    text.histograms("keylender_http_request_seconds", "How long they took.", took);
    let failures = SCHEMES.into_iter().zip(&meters.failures);
    let failures = failures.map(|(scheme, count)| (vec![("scheme", scheme)], count.count() as f64));
    let help = "Requests with wrong credentials, or without any.";
    text.family("keylender_authentication_failures_total", Type::Counter, help, failures);
}

fn lending(text: &mut Text, app: &App) {
    let mut samples = Vec::new();
    for (kind, counts) in LENDS.into_iter().zip(&app.meters.lends) {
        for (outcome, count) in OUTCOMES.into_iter().zip(counts) {
            samples.push((vec![("kind", kind), ("outcome", outcome)], count.count() as f64));
        }
    }
    text.family("keylender_lends_total", Type::Counter, "Attempts to lend, by what they came to.", samples);
    let denials = DENIALS.into_iter().zip(app.meters.denials.iter().map(|count| count.count()));
    let denials = denials.chain(app.hosts.refusals()).map(|(cause, count)| (vec![("cause", cause)], count as f64));
    text.family("keylender_denials_total", Type::Counter, "Requests that were not allowed, by cause.", denials);
}

fn broker(text: &mut Text, app: &App, figures: &Figures) {
    if let Some(calls) = app.health.broker_calls() {
        let counts = [("answered", &calls.answered), ("refused", &calls.refused), ("failed", &calls.failed)];
        let counts = counts.map(|(outcome, count)| (vec![("outcome", outcome)], count.count() as f64));
        text.family("keylender_broker_calls_total", Type::Counter, "Calls of the broker's management API.", counts);
        text.histograms("keylender_broker_call_seconds", "How long they took.", [(Vec::new(), &calls.took)]);
    }
    let refused = figures.administrator_refused.map(|refused| (Vec::new(), f64::from(u8::from(refused))));
    let help = "1 while the broker refuses our administrator and the login of the settings stands in.";
    text.family("keylender_broker_administrator_refused", Type::Gauge, help, refused);
}

fn loops(text: &mut Text, loops: &[Status]) {
    let mut gauge = |name: &str, help: &str, value: fn(&Status) -> Option<f64>| {
        let samples = loops.iter().filter_map(|each| Some((vec![("loop", each.name)], value(each)?)));
        text.family(name, Type::Gauge, help, samples);
    };
    gauge("keylender_loop_period_seconds", "How often the loop runs.", |each| Some(each.period_seconds as f64));
    gauge("keylender_loop_last_success_timestamp_seconds", "When it last ran without an error.", |each| {
        each.last_success.map(seconds)
    });
    gauge("keylender_loop_last_run_seconds", "How long its last run took.", |each| {
        each.last_run.map(|_| each.last_took_ms as f64 / 1e3)
    });
    gauge("keylender_loop_failures", "Runs in a row that failed.", |each| Some(each.failures.into()));
    gauge("keylender_loop_brake", "1 while its brake is on.", |each| Some(f64::from(u8::from(each.brake.is_some()))));
    gauge("keylender_loop_paused", "1 while an operator paused it.", |each| Some(f64::from(u8::from(each.paused))));
}

fn outbox(text: &mut Text, app: &App, figures: &Figures) {
    let delivery_counts = app.notices.delivery_counts();
    let counts =
        [("sent", &delivery_counts.sent), ("retried", &delivery_counts.retried), ("dead", &delivery_counts.dead)];
    let counts = counts.map(|(outcome, count)| (vec![("outcome", outcome)], count.count() as f64));
    text.family("keylender_outbox_deliveries_total", Type::Counter, "Attempts to deliver a notice.", counts);
    let waiting = figures.outbox_waiting as f64;
    text.single("keylender_outbox_waiting", Type::Gauge, "Deliveries of notices that wait.", waiting);
}
