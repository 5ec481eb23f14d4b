//! The smaller groups: TLS, a failing authority, payload hashes, reference documents, calls to the broker.

use keylender::app::settings::Settings;
use keylender::base::Secret;
use keylender::ports::broker::Users;
use serde_json::{Value, json};

use super::compare::{compare, without_password};
use super::request::{ask, at_mount};
use super::{MOUNTS, group, recorded_tls_world, recorded_world, text, vectors};
use crate::authority::{self, ScriptedAuthority};
use crate::wire::{Answer, Ask};
use crate::world::World;

/// An authority that believes everybody, as the recorded client `tester`.
async fn believing() -> ScriptedAuthority {
    let scopes = ["auth:create-client:test/*", "pulse:*"];
    let expires = "2018-12-31T00:00:00.000Z";
    let answer =
        json!({"status": "auth-success", "scheme": "hawk", "expires": expires, "scopes": scopes, "clientId": "tester"});
    ScriptedAuthority::saying(answer).await
}

#[tokio::test]
async fn pulse_http_tls_vectors() {
    for mount in MOUNTS {
        let authority = believing().await;
        let world = recorded_tls_world(|settings| authority.settle(settings)).await;
        for vector in vectors("/pulse_http_tls", 6) {
            let id = text(&vector["id"]);
            let answer = world.ask(&ask(&vector, mount)).await;
            let mut expected = vector["response"].clone();
            if let Some(hsts) = expected["headers"].get_mut("strict-transport-security") {
                // pulse-tls-04, -05, -07: a year in seconds, where milliseconds were written (taskcluster.md 5.1).
                *hsts = "max-age=31536000; includeSubDomains".into();
            }
            for member in ["/headers/location", "/body_text"] {
                if let Some(Value::String(place)) = expected.pointer_mut(member) {
                    *place = place.replace(MOUNTS[0], mount);
                }
            }
            if id == "pulse-tls-07" {
                // The console is at home there now (interface.md, section 2).
                assert_eq!(answer.status, 303);
                let hsts = expected["headers"]["strict-transport-security"].as_str();
                assert_eq!(answer.header("strict-transport-security"), hsts);
                continue;
            }
            expected["length_varies"] = (mount != MOUNTS[0]).into();
            compare(id, &answer, &expected);
            for asked in authority.questions() {
                let mut recorded = vector["auth_service_exchange"][0]["request"].clone();
                recorded["resource"] = at_mount(text(&recorded["resource"]), mount).into();
                recorded["sourceIp"] = "127.0.0.1".into();
                assert_eq!(asked.body, recorded, "{id}");
            }
        }
    }
}

/// What the authority says in `pulse_http_auth_service_failures`.
fn behaviour(name: &str) -> Vec<u8> {
    let success = |more: Value| {
        let mut answer = json!({"status": "auth-success", "scheme": "hawk", "clientId": "x", "scopes": ["*"]});
        answer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        authority::json("200 OK", &answer.to_string())
    };
    match name {
        "500" => authority::json("500 Internal Server Error", "{}"),
        "html" => b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 9\r\n\r\n<p>hi</p>".to_vec(),
        "no-auth" => {
            let expires = "2018-12-31T00:00:00.000Z";
            let answer = json!({"status": "no-auth", "scheme": "none", "scopes": ["pulse:*"], "expires": expires});
            authority::json("200 OK", &answer.to_string())
        }
        "weird" => success(json!({"hash": "short"})),
        "expired" => success(json!({"expires": "2001-01-01T00:00:00.000Z"})),
        "noscopes" => {
            authority::json("200 OK", &json!({"status": "auth-success", "scheme": "hawk", "clientId": "x"}).to_string())
        }
        other => panic!("no behaviour {other}"),
    }
}

#[tokio::test]
async fn pulse_http_auth_service_failures_vectors() {
    for mount in MOUNTS {
        for vector in vectors("/pulse_http_auth_service_failures", 6) {
            let id = text(&vector["id"]);
            let name = text(&vector["auth_service_behaviour"]).to_owned();
            let authority = ScriptedAuthority::start(move |_| behaviour(&name)).await;
            let world = recorded_world(|settings| {
                authority.settle(settings);
                settings.patience.authority.pause = std::time::Duration::from_millis(1);
            })
            .await;
            let answer = world.ask(&ask(&vector, mount)).await;
            compare(id, &answer, &sensible(id, &vector["response"]));
            assert_eq!(json!(authority.questions().len()), vector["auth_service_requests"], "{id}");
        }
    }
}

/// pulse-authsvc-02, -03, -08: an authority that gives no answer is 503, for repeating later helps.
/// pulse-authsvc-05: a hash of another length is a hash that does not match, 401 (taskcluster.md 11.12).
fn sensible(id: &str, recorded: &Value) -> Value {
    let (status, code, header) = match (recorded["status"].as_u64(), id) {
        (Some(500), "pulse-authsvc-05") => (401, "AuthenticationFailed", ("www-authenticate", "hawk")),
        (Some(500), _) => (503, "ServiceUnavailable", ("retry-after", "5")),
        _ => return recorded.clone(),
    };
    let mut expected = recorded.clone();
    expected["status"] = status.into();
    expected["headers"][header.0] = header.1.into();
    expected["body_json"]["code"] = code.into();
    let message = text(&recorded["body_json"]["message"]).replace("InternalServerError", code);
    expected["body_json"]["message"] = message.replace("500", &status.to_string()).into();
    expected
}

#[tokio::test]
async fn lib_api_8_payload_hash_mismatch_vectors() {
    for mount in MOUNTS {
        for vector in vectors("/lib_api_8_payload_hash_mismatch", 1) {
            let answer = json!({"status": "auth-success", "scheme": "hawk", "clientId": "x", "scopes": ["*"], "hash": "{{hash}}"});
            let authority = ScriptedAuthority::saying(answer).await;
            let world = recorded_world(|settings| authority.settle(settings)).await;
            // Recorded with a method of a test API; a claim stands for it.
            let to_claim = |text: String| {
                let text = text.replace("/v1/thing/a", &format!("{mount}/namespace/tcpulse-test-foo"));
                let text = text.replace(r#"{"id":"a"}"#, r#"{"namespace":"tcpulse-test-foo"}"#);
                text.replace("     thing", "     claimNamespace").replace(r#""thing""#, r#""claimNamespace""#)
            };
            let mut vector: Value = to_claim(vector.to_string()).parse().unwrap();
            vector["response"]["length_varies"] = true.into();
            let answer = world.ask(&ask(&vector, mount)).await;
            compare(text(&vector["id"]), &answer, &vector["response"]);
            assert_eq!(answer.json()["message"], vector["response"]["body_json"]["message"]);
        }
    }
}

#[tokio::test]
async fn reference_documents_vectors() {
    let recorded = group("/reference_documents/pulse");
    assert_eq!(recorded["entries"].as_array().unwrap().len(), 4);
    let world = recorded_world(|_| {}).await;
    let answer = world.ask(&Ask::get("/references/pulse/v1/api.json")).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json; charset=utf-8")));
    let mut document = answer.json();
    // The recording left the descriptions out; the new format's member is added (taskcluster.md 6.4).
    assert_eq!(document.as_object_mut().unwrap().shift_remove("apiVersion"), Some("v1".into()));
    let entries = document["entries"].as_array_mut().unwrap().iter_mut().map(remove_description);
    assert_eq!(entries.count(), 4);
    remove_description(&mut document);
    assert_eq!(document.to_string(), recorded.to_string());
}

fn remove_description(document: &mut Value) {
    let description = document.as_object_mut().unwrap().shift_remove("description").unwrap();
    assert!(!text(&description).is_empty());
}

#[tokio::test]
async fn pulse_rabbitmq_calls_on_first_claim_vectors() {
    let plain = |_: &mut Settings| {};
    check_calls("plain", recorded_world(plain).await, "tcpulse-test-foo").await;
    check_calls("with_username_prefix", recorded_tls_world(plain).await, "taskcluster-foo").await;
}

async fn check_calls(name: &str, world: World, namespace: &str) {
    let recorded = vectors(&format!("/pulse_rabbitmq_calls_on_first_claim/{name}"), 4);
    let client = world.client("tester", &["pulse:*"]).await;
    let claim = Ask::claim(namespace, "{}").with("X-Forwarded-Proto", "https");
    let answer: Answer = world.ask_as(&client, &claim).await;
    let password = Secret::new(without_password(text(&answer.json()["connectionString"])).1);
    let (users, permissions) = (world.broker.users().await.unwrap(), world.broker.permissions().await.unwrap());
    let calls = world.broker.calls();
    let is_once = |wanted: &str| {
        let count = calls.iter().filter(|call| *call == wanted).count();
        assert_eq!(count, 1, "{wanted} in {calls:?}");
    };
    for pair in recorded.chunks(2) {
        let (create, permit) = (pair[0].as_array().unwrap(), pair[1].as_array().unwrap());
        assert_eq!((text(&create[0]), text(&permit[0])), ("createUser", "setUserPermissions"));
        let user = text(&create[1]);
        // Both users are made at the same time, each with its permissions in the same call.
        is_once(&format!("PUT user {user}"));
        // The empty password let nobody in on the broker of 2018; ours is a user without one (rabbitmq.md, fact 2).
        assert_eq!(world.broker.can_login(user, &password), create[2] != "", "{user}");
        assert!(!world.broker.can_login(user, &Secret::new("")));
        let made = users.iter().find(|made| made.name == user).unwrap();
        assert_eq!(json!(made.tags), create[3]);
        let given: Vec<_> = permissions.iter().filter(|given| given.user == user).collect();
        let [given] = given[..] else { panic!("{user} has {given:?}") };
        let access = &given.access;
        assert_eq!(json!([given.vhost, access.configure, access.write, access.read]), json!(permit[2..]));
    }
    assert_eq!(calls.iter().filter(|call| call.starts_with("PUT")).count(), recorded.len() / 2, "{calls:?}");
    world.broker.forget_calls();
    assert_eq!(world.ask_as(&client, &claim).await.status, 200);
    assert!(!world.broker.calls().iter().any(|call| call.starts_with("PUT")), "a repeated claim makes none");
}
