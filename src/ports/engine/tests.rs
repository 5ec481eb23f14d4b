//! Answers as Docker 28.5.2 and podman 4.3.1 and 5.8.6 gave them, from a socket of our own.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use super::*;
use crate::base::Kind;
use crate::proto::frames::Output;

/// An answer to what begins so, as it goes over the wire.
struct Answer {
    call: &'static str,
    status: u16,
    body: Vec<u8>,
    /// Bytes that go at once.
    part_len: usize,
}

fn answer(call: &'static str, status: u16, body: impl ToString) -> Answer {
    Answer { call, status, body: body.to_string().into_bytes(), part_len: usize::MAX }
}

struct Fake {
    dir: tempfile::TempDir,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    fn new(mut answers: Vec<Answer>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("s")).unwrap();
        answers.push(answer("GET /version", 200, podman_4()));
        let (asked, answers) = (Arc::new(Mutex::new(Vec::new())), Arc::new(answers));
        let notes = asked.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, answers.clone(), notes.clone()));
            }
        });
        Self { dir, asked }
    }

    async fn engine(&self) -> Engine {
        Engine::connect(&self.dir.path().join("s")).await.unwrap()
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn serve(mut stream: UnixStream, answers: Arc<Vec<Answer>>, asked: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let len = head
        .to_lowercase()
        .split("content-length: ")
        .nth(1)
        .map_or(0, |rest| rest.split("\r\n").next().unwrap().parse::<usize>().unwrap());
    let mut body = vec![0; len];
    stream.read_exact(&mut body).await.unwrap();
    let call = head.split(" HTTP").next().unwrap().replace("/v1.41", "");
    asked.lock().unwrap().push(format!("{call} {}", String::from_utf8(body).unwrap()).trim_end().to_owned());
    let missing = answer("", 404, json!({ "message": "page not found" }));
    let found = answers.iter().find(|answer| call.starts_with(answer.call)).unwrap_or(&missing);
    let status = found.status;
    stream.write_all(format!("HTTP/1.1 {status} X\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
    for part in found.body.chunks(found.part_len) {
        stream.write_all(part).await.unwrap();
        tokio::task::yield_now().await;
    }
}

fn podman_4() -> serde_json::Value {
    json!({
        "Version": "4.3.1", "ApiVersion": "1.41", "MinAPIVersion": "1.24",
        "Components": [{ "Name": "Podman Engine" }, { "Name": "Conmon" }, { "Name": "OCI Runtime (runc)" }],
    })
}

fn version(newest: &str, oldest: &str) -> Option<String> {
    let hello = json!({ "Version": "1", "ApiVersion": newest, "MinAPIVersion": oldest });
    serde_json::from_value::<Hello>(hello).unwrap().version().ok().map(|version| version.api)
}

#[test]
fn the_newest_version_that_both_speak_is_spoken() {
    assert_eq!(version("1.41", "1.24").unwrap(), "1.41");
    assert_eq!(version("1.51", "1.24").unwrap(), "1.44");
    assert_eq!(version("1.52", "1.44").unwrap(), "1.44");
    assert_eq!(version("1.60", "1.50").unwrap(), "1.50");
    assert_eq!(version("2.0", "2.0"), None);
}

#[test]
fn a_podman_is_known_by_the_headers_of_its_shortest_answer() {
    let of = |server: &'static str, api: &'static str| {
        let headers = [("server", server), ("api-version", api)];
        let headers = headers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        podman(&headers.into_iter().collect()).map(|version| format!("{} {}", version.version, version.api))
    };
    assert_eq!(of("Libpod/4.3.1 (linux)", "1.41").unwrap(), "4.3.1 1.41");
    assert_eq!(of("Libpod/5.8.6 (linux)", "1.44").unwrap(), "5.8.6 1.44");
    // Of these it must be known what is the oldest that they take.
    assert_eq!(of("Libpod/7.0.0 (linux)", "1.51"), None);
    assert_eq!(of("Docker/28.5.2 (linux)", "1.51"), None);
}

#[tokio::test]
async fn an_engine_says_who_it_is_and_is_asked_in_its_version() {
    let fake = Fake::new(vec![answer("GET /networks", 200, "[]")]);
    let engine = fake.engine().await;
    assert_eq!((engine.version().name.as_str(), engine.version().version.as_str()), ("podman", "4.3.1"));
    assert_eq!(engine.networks().await.unwrap(), []);
    assert_eq!(fake.asked(), ["GET /_ping", "GET /version", "GET /networks"]);
}

#[tokio::test]
async fn where_no_engine_listens_that_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let error = Engine::connect(&dir.path().join("none")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.message().contains("none does not answer"), "{error}");
}

#[tokio::test]
async fn what_ended_or_is_gone_need_not_be_killed_again() {
    let ended = "can only kill running containers. 1f is in state exited: container state improper";
    for (status, words) in
        [(409, "Container 1f is not running"), (409, ended), (500, ended), (404, "No such container: 1f"), (204, "")]
    {
        let fake = Fake::new(vec![
            answer("POST /containers/1f/kill", status, json!({ "message": words })),
            answer("DELETE /containers/1f?force=true&v=true", 404, json!({ "message": "no such container" })),
        ]);
        let engine = fake.engine().await;
        engine.kill("1f").await.unwrap();
        engine.remove("1f").await.unwrap();
        let calls = ["POST /containers/1f/kill", "DELETE /containers/1f?force=true&v=true"];
        assert_eq!(fake.asked()[3..], calls, "it is killed before it is removed");
    }
    let broken = json!({ "message": "the disk is full" });
    let fake = Fake::new(vec![
        answer("POST /containers/1f/kill", 500, broken.clone()),
        answer("DELETE /containers/1f", 500, broken),
    ]);
    let error = fake.engine().await.remove("1f").await.unwrap_err();
    assert_eq!(error.message(), "the container engine: the disk is full");
}

#[tokio::test]
async fn a_subnet_that_is_taken_is_told_from_all_other_refusals() {
    for (status, words) in [
        (403, "Pool overlaps with other one on this address space"),
        (500, "subnet 10.231.0.0/28 is already used on the host or by another config"),
    ] {
        let fake = Fake::new(vec![answer("POST /networks/create", status, json!({ "message": words }))]);
        let error = fake.engine().await.create_network(&json!({ "Name": "n" })).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (Kind::Conflict, Some(SUBNET_TAKEN)));
    }
}

#[tokio::test]
async fn networks_have_the_addresses_that_they_say() {
    let listed = json!([
        { "Name": "bridge", "Id": "1", "IPAM": { "Driver": "default", "Options": null, "Config": [
            { "Subnet": "172.17.0.0/16", "Gateway": "172.17.0.1" }, { "Subnet": "fd00::/64" }] }, "Labels": {} },
        { "Name": "host", "Id": "2", "IPAM": { "Config": null }, "Labels": null },
        { "Name": "podman", "Id": "3", "IPAM": { "Config": [{ "Subnet": "10.88.0.0/16" }] }, "Labels": { "a": "b" } },
    ]);
    let fake = Fake::new(vec![answer("GET /networks", 200, listed)]);
    let engine = fake.engine().await;
    let networks = engine.networks().await.unwrap();
    let subnets: Vec<String> = networks.iter().flat_map(|network| &network.subnets).map(ToString::to_string).collect();
    assert_eq!(subnets, ["172.17.0.0/16", "fd00::/64", "10.88.0.0/16"]);
    assert_eq!(networks[2].labels["a"], "b");
    engine.networks_with("org.keylender.set=x").await.unwrap();
    let asked = fake.asked().pop().unwrap();
    assert_eq!(asked, r#"GET /networks?filters=%7B%22label%22%3A%5B%22org.keylender.set%3Dx%22%5D%7D"#);
}

#[tokio::test]
async fn a_pull_that_began_well_may_still_fail() {
    let lines = [
        json!({ "status": "Pulling from library/none" }),
        json!({ "errorDetail": { "message": "manifest unknown" }, "error": "manifest unknown" }),
    ];
    let lines = lines.map(|line| line.to_string()).join("\r\n");
    let mut refused = answer("POST /images/create?fromImage=none%3Alatest", 200, lines);
    refused.part_len = 7;
    let fetched = answer("POST /images/create?fromImage=good%3A1", 200, json!({ "status": "Download complete" }));
    let fake = Fake::new(vec![refused, fetched]);
    let engine = fake.engine().await;
    engine.pull("good:1").await.unwrap();
    let error = engine.pull("none").await.unwrap_err();
    assert_eq!(error.message(), "the container engine could not fetch none: manifest unknown");
}

#[tokio::test]
async fn the_output_of_a_container_may_come_in_any_parts() {
    let frames = [&b"\x01\0\0\0\0\0\0\x04one\n"[..], b"\x02\0\0\0\0\0\0\x04two\n", b"\x01\0\0\0\0\0\0\x03end"].concat();
    for part_len in [1, 3, 8, 11, 100] {
        let mut logs = answer("GET /containers/1f/logs", 200, "");
        (logs.body, logs.part_len) = (frames.clone(), part_len);
        let fake = Fake::new(vec![logs]);
        let mut logs = fake.engine().await.logs("1f").await.unwrap();
        let (mut out, mut error) = (Vec::new(), Vec::new());
        while let Some(said) = logs.next().await.unwrap() {
            for (output, bytes) in said {
                if output == Output::Out { out.extend(bytes) } else { error.extend(bytes) }
            }
        }
        assert_eq!((out, error), (b"one\nend".to_vec(), b"two\n".to_vec()));
    }
}

#[tokio::test]
async fn a_container_is_as_the_engine_says() {
    let running = json!({
        "State": { "Status": "running", "Running": true, "ExitCode": 0 },
        "NetworkSettings": { "Networks": { "n": { "IPAddress": "10.1.0.2" }, "none": { "IPAddress": "" } } },
    });
    let listed = json!([{ "Id": "1f", "Names": ["/a"], "Labels": { "org.keylender.set": "x" } }]);
    let fake = Fake::new(vec![
        answer("GET /containers/1f/json", 200, running),
        answer("GET /containers/json?all=true", 200, listed),
        answer("POST /containers/1f/wait", 200, json!({ "StatusCode": 137, "Error": null })),
        answer("POST /containers/1f/start", 304, ""),
        answer("POST /containers/create?name=b", 409, json!({ "message": "Conflict. The container name \"/b\" is …" })),
    ]);
    let engine = fake.engine().await;
    let state = engine.state("1f").await.unwrap().unwrap();
    assert!(state.is_running);
    assert_eq!(state.addresses.len(), 1);
    assert_eq!(engine.state("2e").await.unwrap(), None);
    assert_eq!(engine.ended("1f").await.unwrap(), 137);
    engine.start("1f").await.unwrap();
    assert_eq!(engine.create("b", &json!({})).await.unwrap_err().kind(), Kind::Conflict);
    assert_eq!(engine.containers_with("org.keylender.set").await.unwrap()[0].name, "a");
}

#[tokio::test]
async fn a_command_in_a_container_ends_with_its_exit_code() {
    let fake = Fake::new(vec![
        answer("POST /containers/1f/exec", 201, json!({ "Id": "e" })),
        answer("POST /exec/e/start", 200, "whatever it says"),
        answer("GET /exec/e/json", 200, json!({ "Running": false, "ExitCode": 3 })),
    ]);
    let command = ["/bin/check".to_owned()];
    assert_eq!(fake.engine().await.exec("1f", &command, Duration::from_secs(5)).await.unwrap(), 3);
    let asked = fake.asked();
    assert_eq!(asked[2], r#"POST /containers/1f/exec {"Cmd":["/bin/check"],"AttachStdout":true,"AttachStderr":true}"#);
}
