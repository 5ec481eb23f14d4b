//! The recorded conversation with the pulse service: one service, whose state goes on from vector to vector.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use keylender::proto::hawk::Target;
use serde_json::{Value, json};

use super::compare::{compare, without_password};
use super::request::{ask, at_mount};
use super::resign::Clients;
use super::{MOUNTS, RECORDED, group, recorded_world, text, vectors};
use crate::authority::{self, ScriptedAuthority};
use crate::wire::{Answer, Ask};
use crate::world::World;

const COUNT: usize = 81;

#[tokio::test]
async fn pulse_http_vectors_with_a_remote_authority() {
    for mount in MOUNTS {
        let said = Arc::new(Mutex::new(Value::Null));
        let says = Arc::clone(&said);
        let authority =
            ScriptedAuthority::start(move |_| authority::json("200 OK", &says.lock().unwrap().to_string())).await;
        let world = recorded_world(|settings| authority.settle(settings)).await;
        let mut sequence = Sequence::default();
        for vector in vectors("/pulse_http", COUNT) {
            let exchange = &vector["auth_service_exchange"][0];
            *said.lock().unwrap() = exchange["response"].clone();
            let answer = sequence.step(&world, &vector, mount, &ask(&vector, mount)).await;
            check_questions(&authority, &vector, mount, &answer);
        }
        assert_eq!(sequence.count, COUNT);
    }
}

#[tokio::test]
async fn pulse_http_vectors_with_the_own_store() {
    for mount in MOUNTS {
        let world = recorded_world(|_| {}).await;
        let clients = Clients::make(&world, &group("/meta/recorded_auth_clients_for_pulse_http")).await;
        let mut sequence = Sequence::default();
        for vector in vectors("/pulse_http", COUNT) {
            let mut request = ask(&vector, mount);
            let signed = &vector["auth_service_exchange"][0]["request"];
            if let Some(resource) = signed["resource"].as_str() {
                let target = Target {
                    method: text(&signed["method"]),
                    resource,
                    host: text(&signed["host"]),
                    port: signed["port"].as_u64().unwrap() as u16,
                };
                request = clients.resign(&world, &request, target, &at_mount(resource, mount));
            }
            sequence.step(&world, &vector, mount, &request).await;
        }
        assert_eq!(sequence.count, COUNT);
    }
}

/// What the authority was asked about this vector: what was recorded, and nothing where nothing was.
fn check_questions(authority: &ScriptedAuthority, vector: &Value, mount: &str, answer: &Answer) {
    let id = text(&vector["id"]);
    let asked = authority.questions();
    let mut recorded = vector["auth_service_exchange"].as_array().cloned().unwrap_or_default();
    if answer.status == 413 {
        // pulse-body-21: nobody is asked whose a body is that is too long.
        recorded.clear();
    }
    assert_eq!(asked.len(), recorded.len(), "{id}");
    for (asked, recorded) in asked.iter().zip(&recorded) {
        let mut expected = recorded["request"].clone();
        expected["resource"] = at_mount(text(&expected["resource"]), mount).into();
        // Later versions say where the request came from (taskcluster.md 3.1).
        expected["sourceIp"] = "127.0.0.1".into();
        assert_eq!(asked.body, expected, "{id}");
        assert!(asked.head.starts_with("post /api/auth/v1/authenticate-hawk http/1.1\r\n"), "{id}: {}", asked.head);
        assert!(asked.head.contains("\r\ncontent-type: application/json"), "{id}: {}", asked.head);
        assert!(!asked.head.contains("\r\nauthorization:"), "{id}: {}", asked.head);
    }
}

/// The conversation so far.
#[derive(Default)]
struct Sequence {
    count: usize,
    passwords: std::collections::BTreeMap<String, String>,
}

impl Sequence {
    /// Sends one request at the moment it was recorded at, and compares the answer.
    async fn step(&mut self, world: &World, vector: &Value, mount: &str, request: &Ask) -> Answer {
        let id = text(&vector["id"]);
        world.clock.set(RECORDED);
        if text(&vector["description"]).starts_with("ten minutes later") {
            world.clock.advance(Duration::from_secs(600));
        }
        let answer = world.ask(request).await;
        match id {
            // pulse-http-15: a later convention (taskcluster.md 6.5). It is not well, for the year 2018 is long past.
            "pulse-http-15" => {
                assert_eq!(answer.status, 503);
                assert_eq!(answer.json()["broker"]["ok"], true);
                assert_eq!(answer.json()["clock"]["ok"], false);
            }
            // pulse-http-16: clients find the reference document where a root URL has it (taskcluster.md 6.4).
            "pulse-http-16" => {
                assert_eq!((answer.status, &answer.json()["serviceName"]), (200, &json!("pulse")));
            }
            _ => compare(id, &answer, &expected(vector, mount)),
        }
        if let Some(string) =
            serde_json::from_slice::<Value>(&answer.body).unwrap_or_default()["connectionString"].as_str()
        {
            // As pulse-claim-02 says of one: until the next rotation every claim of a name gets the same password.
            let (around, password) = without_password(string);
            assert_eq!(*self.passwords.entry(around).or_insert(password.clone()), password, "{id}");
        }
        self.count += 1;
        answer
    }
}

/// What is expected of a vector: what was recorded, or where that is a defect, what taskcluster.md says instead.
fn expected(vector: &Value, mount: &str) -> Value {
    let mut expected = vector["response"].clone();
    if let Some(page) = expected["body_text"].as_str().map(|page| page.replace(MOUNTS[0], mount)) {
        // Pages name the path; only those at the recorded mount have the recorded length.
        expected["length_varies"] = (mount != MOUNTS[0]).into();
        expected["body_text"] = page.into();
    }
    match text(&vector["id"]) {
        // A query where none is expected: 400 instead of a crash (taskcluster.md 5.6).
        "pulse-http-03" => refusal(vector, 400, "InvalidRequestArguments", "ping"),
        // The answer to HEAD has the length of a body with an uptime in it.
        "pulse-http-04" => {
            expected["length_varies"] = true.into();
            expected
        }
        // Both mounts are served (taskcluster.md 6.1).
        "pulse-http-12" => json!({
            "status": 200,
            "headers": api_headers(),
            "body_json": {"alive": true, "uptime": 0.0},
        }),
        // The wrong payload hash: 401 as intended, instead of 500 (taskcluster.md 3.3).
        "pulse-claim-07" | "pulse-claim-08" => refusal(vector, 401, "AuthenticationFailed", "claimNamespace"),
        // A body that is too long: 413 instead of none (taskcluster.md 5.6).
        "pulse-body-21" => {
            let mut headers = expected["headers"].clone();
            headers["content-security-policy"] = "default-src 'self'".into();
            headers["content-type"] = "text/html; charset=utf-8".into();
            headers.as_object_mut().unwrap().remove("etag");
            json!({"status": 413, "headers": headers, "length_varies": true})
        }
        // `a1` and `0` are no limits (taskcluster.md 5.6).
        "pulse-list-07" | "pulse-list-11" => refusal(vector, 400, "InvalidRequestArguments", "listNamespaces"),
        _ => expected,
    }
}

/// An error body for a vector that was answered otherwise.
fn refusal(vector: &Value, status: u16, code: &str, method: &str) -> Value {
    let time = "2018-10-15T12:00:00.000Z";
    let is_claim = method == "claimNamespace";
    let params = if is_claim { json!({"namespace": "tcpulse-test-foo"}) } else { json!({}) };
    let payload = vector["request"]["body"].as_str().map_or(json!({}), |body| body.parse().unwrap());
    let mut headers = api_headers();
    if status == 401 {
        headers["www-authenticate"] = "hawk".into();
    }
    let trailer = format!(
        "\n\n---\n\n* method:     {method}\n* errorCode:  {code}\n* statusCode: {status}\n* time:       {time}"
    );
    let info = json!({"method": method, "params": params, "payload": payload, "time": time});
    json!({"status": status, "headers": headers, "body_json": {"code": code, "message": trailer, "requestInfo": info}})
}

/// The headers of every JSON answer.
fn api_headers() -> Value {
    vectors("/pulse_http", COUNT)[0]["response"]["headers"].clone()
}
