//! The recorded answers of the host-secrets service, at both mounts.

use keylender::app::settings::Settings;
use keylender::base::{Clock, Secret, Timestamp};
use keylender::proto::tempcred::{Certificate, derive_token};
use serde_json::{Value, json};

use super::compare::compare;
use super::request::ask;
use super::{RECORDED, group, text, vectors};
use crate::dns::DnsServer;
use crate::hosts::set_up;
use crate::wire::{Answer, Ask};
use crate::world::World;

const COUNT: usize = 18;
/// Both mounts; the vectors were recorded at the second.
const MOUNTS: [&str; 2] = ["/api/host-secrets/v1", "/v1"];

#[tokio::test]
async fn host_secrets_http_vectors() {
    for mount in MOUNTS {
        for vector in vectors("/host_secrets_http", COUNT) {
            let id = text(&vector["id"]);
            let dns = DnsServer::start().await;
            if id != "hs-http-04" {
                dns.host("127.0.0.1", name(id));
            }
            let world = World::at(Clock::manual(RECORDED), |settings| set(settings, &dns, id)).await;
            let mut request = ask(&vector, "");
            request.target = at_mount(&request.target, mount);
            let answer = world.ask(&request).await;
            let mut expected = expected(id, &vector["response"], &answer, mount);
            if expected["body_json"]["credentials"].is_object() {
                check_credentials(id, &answer, &mut expected);
            }
            compare(id, &answer, &expected);
        }
    }
}

/// The name that the recording's DNS had for its address.
fn name(id: &str) -> &'static str {
    match id {
        "hs-http-15" => "seen-127-0-0-1.example",
        "hs-http-16" => "single",
        "hs-http-17" => "A.Domain.NAME",
        _ => "a.domain.name",
    }
}

/// `meta.recorded_host_secrets_config`.
fn set(settings: &mut Settings, dns: &DnsServer, id: &str) {
    let recorded = group("/meta/recorded_host_secrets_config");
    set_up(settings, &[dns]);
    settings.hosts.scope_base = Some(text(&recorded["scopeBase"]).into());
    settings.hosts.client_id_base = Some(text(&recorded["clientIdBase"]).into());
    let credentials = settings.credentials.as_mut().unwrap();
    credentials.client_id = text(&recorded["credentials"]["clientId"]).parse().unwrap();
    credentials.access_token = Secret::new(text(&recorded["credentials"]["accessToken"]));
    if id == "hs-http-03" {
        settings.hosts.allowed = Some(keylender::proto::addresses::AddressList::parse("10.0.0.0/8").unwrap());
    }
    if id.starts_with("hs-tls") {
        settings.listen.force_ssl = true;
        settings.listen.trust_proxy = keylender::web::peer::TrustProxy::DirectPeer;
    } else {
        // Our hops are lists; without one no header speaks for anybody, as recorded (hs-http-15).
        settings.listen.trust_proxy = keylender::web::peer::TrustProxy::Nobody;
    }
}

fn at_mount(path: &str, mount: &str) -> String {
    path.strip_prefix("/v1").map_or(path.to_owned(), |rest| format!("{mount}{rest}"))
}

/// What was recorded, or where that is a defect, what taskcluster.md says instead.
fn expected(id: &str, recorded: &Value, answer: &Answer, mount: &str) -> Value {
    let mut expected = recorded.clone();
    for member in ["/headers/location", "/body_text"] {
        if let Some(Value::String(place)) = expected.pointer_mut(member) {
            *place = place.replace("/v1/", &format!("{mount}/"));
        }
    }
    expected["length_varies"] = (expected["body_text"].is_string() && mount != "/v1").into();
    match id {
        // The root is the console's (interface.md, section 2).
        "hs-http-12" => json!({"status": 303, "headers": headers(answer)}),
        // HEAD has the length and the hash of credentials that nobody sees.
        "hs-http-10" => {
            expected["length_varies"] = true.into();
            expected
        }
        // Our page says what the limit is.
        "hs-http-21" => {
            expected.as_object_mut().unwrap().remove("body_text");
            expected["length_varies"] = true.into();
            expected
        }
        // A host must not get two identities by letter case (taskcluster.md 6.3).
        "hs-http-17" => {
            let lower = expected["body_json"].to_string().replace("NAME.Domain.A", "name.domain.a");
            expected["body_json"] = lower.parse().unwrap();
            expected
        }
        // A year in seconds, where milliseconds were written (taskcluster.md 5.1).
        "hs-tls-02" => {
            expected["headers"]["strict-transport-security"] = "max-age=31536000; includeSubDomains".into();
            expected
        }
        _ => expected,
    }
}

fn headers(answer: &Answer) -> Value {
    let kept = answer.headers.iter().filter(|(name, _)| !matches!(name.as_str(), "date" | "connection"));
    kept.map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect::<serde_json::Map<_, _>>().into()
}

/// Credentials are never the same twice: what they say must be, and how they are signed.
fn check_credentials(id: &str, answer: &Answer, expected: &mut Value) {
    let ours = answer.json()["credentials"].clone();
    let recorded = expected["body_json"]["credentials"].clone();
    assert_eq!(ours["clientId"], recorded["clientId"], "{id}");
    let read = |credentials: &Value| -> Value { text(&credentials["certificate"]).parse().unwrap() };
    let (certificate, token) = (read(&ours), Secret::new("fake-access-token"));
    let checked = Certificate::read(&certificate).unwrap();
    checked.check_time(Timestamp::from_millis(1_539_604_800_000)).unwrap();
    checked.check_signature(text(&ours["clientId"]), &token).unwrap();
    assert_eq!(derive_token(&token, &checked.seed), Secret::new(text(&ours["accessToken"])), "{id}");
    let mut recorded_certificate = read(&recorded);
    for member in ["seed", "signature"] {
        assert_ne!(certificate[member], recorded_certificate[member], "{id}");
        assert_eq!(text(&certificate[member]).len(), text(&recorded_certificate[member]).len(), "{id}");
        recorded_certificate[member] = certificate[member].clone();
    }
    assert_eq!(text(&ours["certificate"]), recorded_certificate.to_string(), "{id}: the order of its members");
    assert_eq!(answer.header("content-length").unwrap(), text(&expected["headers"]["content-length"]), "{id}");
    expected["body_json"]["credentials"] = ours;
    expected["length_varies"] = true.into();
}

#[tokio::test]
async fn the_host_secrets_reference_document_is_the_recorded_one() {
    let recorded = group("/reference_documents/host_secrets");
    let dns = DnsServer::start().await;
    let world = World::at(Clock::manual(RECORDED), |settings| {
        set(settings, &dns, "");
        settings.listen.public_url = Some("http://localhost:60401".parse().unwrap());
    })
    .await;
    let mut document = world.ask(&Ask::get("/references/host-secrets/v1/api.json")).await.json();
    let members = document.as_object_mut().unwrap();
    // The new format's members, and the descriptions, which the recording left out (taskcluster.md 6.4).
    for added in ["apiVersion", "serviceName", "description"] {
        assert!(members.shift_remove(added).is_some(), "{added}");
    }
    for entry in document["entries"].as_array_mut().unwrap() {
        assert!(entry.as_object_mut().unwrap().shift_remove("description").is_some());
    }
    // Ours ends with a slash, as the pulse service's does.
    document["baseUrl"] = text(&document["baseUrl"]).trim_end_matches('/').into();
    assert_eq!(document, recorded);
}
