//! Every recorded vector (`tests/fixtures/vectors`): those of pure functions, and those of the whole appliance, at both mounts.

mod compare;
mod functions;
mod host_secrets;
mod others;
mod pulse_http;
mod request;
mod resign;

use keylender::app::settings::Settings;
use keylender::base::{Clock, Timestamp, VhostName};
use keylender::web::peer::TrustProxy;
use serde_json::Value;

use crate::world::World;

/// Both mounts of the pulse API; the vectors were recorded at the first.
const MOUNTS: [&str; 2] = ["/api/pulse/v1", "/v1"];
/// When the vectors were recorded: 2018-10-15T12:00:00Z.
const RECORDED: Timestamp = Timestamp::from_millis(1_539_604_800_000);

/// A part of the file.
fn group(path: &str) -> Value {
    let text = include_str!("../../fixtures/vectors/taskcluster-vectors.json");
    serde_json::from_str::<Value>(text).unwrap().pointer(path).unwrap_or_else(|| panic!("no group {path}")).clone()
}

/// The vectors of a group. `count` is how many were recorded: none can get lost unseen.
fn vectors(path: &str, count: usize) -> Vec<Value> {
    let vectors = group(path).as_array().unwrap().clone();
    assert!(!vectors.is_empty() && vectors.len() == count, "{path} has {} vectors", vectors.len());
    vectors
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// An appliance as the recorded pulse service was set up (`meta.recorded_pulse_config`).
async fn recorded_world(change: impl FnOnce(&mut Settings)) -> World {
    World::at(Clock::manual(RECORDED), |settings| {
        settings.namespaces.namespace_prefix = "tcpulse-test-".into();
        settings.namespaces.amqp.hostname = "localhost".into();
        settings.namespaces.amqp.vhost = VhostName::parse("/test").unwrap();
        change(settings);
    })
    .await
}

/// The same with TLS forced (`meta.recorded_pulse_tls_config`).
async fn recorded_tls_world(change: impl FnOnce(&mut Settings)) -> World {
    World::at(Clock::manual(RECORDED), |settings| {
        settings.namespaces.username_prefix = "tc-prod-".into();
        settings.namespaces.amqp.hostname = "pulse.example.org".into();
        settings.namespaces.amqp.protocol = "amqps://".into();
        settings.namespaces.amqp.port = 5671;
        settings.listen.force_ssl = true;
        settings.listen.trust_proxy = TrustProxy::DirectPeer;
        change(settings);
    })
    .await
}
