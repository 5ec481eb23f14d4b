//! The client of the engine at a real podman.

use std::time::Duration;

use keylender::base::Kind;
use keylender::ports::engine::{Engine, SUBNET_TAKEN};
use keylender::proto::frames::Output;
use serde_json::{Value, json};

use crate::podman::Podman;

/// For a command in a container.
const PATIENCE: Duration = Duration::from_secs(20);

async fn engine(podman: &Podman) -> Engine {
    Engine::connect(&podman.socket()).await.unwrap()
}

fn network(name: &str, subnet: &str, gateway: &str) -> Value {
    json!({
        "Name": name, "Internal": true, "Labels": { "org.keylender.test": name },
        "IPAM": { "Config": [{ "Subnet": subnet, "Gateway": gateway }] },
    })
}

fn container(image: &str, command: &[&str]) -> Value {
    json!({ "Image": image, "Cmd": command, "StopTimeout": 0, "HostConfig": { "NetworkMode": "none" } })
}

async fn said(engine: &Engine, container: &str) -> (String, String) {
    let (mut out, mut error) = (Vec::new(), Vec::new());
    let mut logs = engine.logs(container).await.unwrap();
    while let Some(parts) = logs.next().await.unwrap() {
        for (output, bytes) in parts {
            if output == Output::Out { out.extend(bytes) } else { error.extend(bytes) }
        }
    }
    (String::from_utf8(out).unwrap(), String::from_utf8(error).unwrap())
}

#[tokio::test]
async fn an_image_is_as_it_was_made_and_one_that_is_not_there_cannot_be_fetched() {
    let Some(podman) = Podman::shared() else { return };
    let engine = engine(podman).await;
    assert_eq!(engine.version().name, "podman");
    let image = engine.image("localhost/service:1").await.unwrap().unwrap();
    assert_eq!(image.entrypoint, ["sh", "-c"]);
    assert_eq!(image.exposed_ports, [7000]);
    assert!(image.id.starts_with("sha256:"), "{}", image.id);
    // podman 4.3 tells this of a container only.
    let id = engine.create("healthy", &container("localhost/service:1", &[])).await.unwrap();
    let healthcheck = engine.state(&id).await.unwrap().unwrap().healthcheck;
    assert_eq!(healthcheck.unwrap(), ["CMD-SHELL", "test -e /tmp/ready"]);
    engine.remove(&id).await.unwrap();
    assert_eq!(engine.image(&image.id).await.unwrap().unwrap().id, image.id);
    assert_eq!(engine.image("localhost/none:1").await.unwrap(), None);
    let error = engine.pull("127.0.0.1:1/none").await.unwrap_err();
    assert!(error.message().contains("127.0.0.1:1/none"), "{error:?}");
    assert_eq!(engine.create("none", &container("localhost/none:1", &[])).await.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn what_a_container_says_and_ends_with_is_told_and_it_may_be_killed_and_removed_again_and_again() {
    let Some(podman) = Podman::shared() else { return };
    let engine = engine(podman).await;
    let command = ["sh", "-c", "echo one; echo two >&2; seq 5000; exit 7"];
    let id = engine.create("says", &container("localhost/box:1", &command)).await.unwrap();
    let taken = engine.create("says", &container("localhost/box:1", &command)).await.unwrap_err();
    assert_eq!(taken.kind(), Kind::Conflict, "{taken:?}");
    engine.start(&id).await.unwrap();
    assert_eq!(engine.ended(&id).await.unwrap(), 7);
    let (out, error) = said(&engine, &id).await;
    assert!(out.starts_with("one\n1\n2\n") && out.ends_with("5000\n"), "{} bytes", out.len());
    assert_eq!(error, "two\n");
    let state = engine.state(&id).await.unwrap().unwrap();
    assert_eq!((state.is_running, state.exit_code), (false, 7));
    engine.kill(&id).await.unwrap();
    engine.remove(&id).await.unwrap();
    engine.remove(&id).await.unwrap();
    engine.kill(&id).await.unwrap();
    assert_eq!(engine.state(&id).await.unwrap(), None);
    assert_eq!(engine.ended(&id).await.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn a_container_that_runs_is_tried_from_inside_found_by_its_label_and_ends_without_delay() {
    let Some(podman) = Podman::shared() else { return };
    let engine = engine(podman).await;
    let mut body = container("localhost/box:1", &["sleep", "1000"]);
    body["Labels"] = json!({ "org.keylender.test": "tried", "other": "1" });
    // What podman 5 would wait for when it is removed by force.
    body["StopTimeout"] = 10.into();
    let id = engine.create("tried", &body).await.unwrap();
    engine.start(&id).await.unwrap();
    engine.start(&id).await.unwrap();
    let command = |line: &str| ["sh", "-c", line].map(str::to_owned);
    assert_eq!(engine.exec(&id, &command("echo much; exit 3"), PATIENCE).await.unwrap(), 3);
    assert_eq!(engine.exec(&id, &command("test -e /etc/passwd"), PATIENCE).await.unwrap(), 0);
    assert!(engine.exec(&id, &command("sleep 100"), Duration::from_millis(500)).await.is_err());
    let found = engine.containers_with("org.keylender.test=tried").await.unwrap();
    assert_eq!(found.iter().map(|found| found.name.as_str()).collect::<Vec<_>>(), ["tried"]);
    assert_eq!(found[0].labels["other"], "1");
    assert!(engine.containers_with("org.keylender.test=nobody").await.unwrap().is_empty());
    let begun = std::time::Instant::now();
    let (ended, removed) = tokio::join!(engine.ended(&id), engine.remove(&id));
    removed.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    // The end is told, or that it is gone.
    assert!(ended.is_err() || ended.unwrap() == 137);
}

#[tokio::test]
async fn networks_have_addresses_of_ours_and_names_that_resolve() {
    let Some(podman) = Podman::shared() else { return };
    let engine = engine(podman).await;
    engine.create_network(&network("of-a", "10.201.0.0/28", "10.201.0.1")).await.unwrap();
    let taken = engine.create_network(&network("of-a", "10.201.9.0/28", "10.201.9.1")).await.unwrap_err();
    assert_eq!((taken.kind(), taken.code()), (Kind::Conflict, None), "{taken:?}");
    let taken = engine.create_network(&network("of-b", "10.201.0.0/28", "10.201.0.1")).await.unwrap_err();
    assert_eq!((taken.kind(), taken.code()), (Kind::Conflict, Some(SUBNET_TAKEN)), "{taken:?}");
    engine.create_network(&network("of-b", "10.201.0.16/28", "10.201.0.17")).await.unwrap();
    let subnets: Vec<String> =
        engine.networks().await.unwrap().iter().flat_map(|n| &n.subnets).map(ToString::to_string).collect();
    assert!(subnets.contains(&"10.201.0.16/28".to_owned()), "{subnets:?}");

    let service = |net: &str, address: &str| {
        json!({
            "Image": "localhost/port:1", "StopTimeout": 0,
            "HostConfig": { "NetworkMode": net, "ExtraHosts": ["db:10.201.0.2", "mq:10.201.0.18"] },
            "NetworkingConfig": { "EndpointsConfig": { net: {
                "Aliases": ["db"], "IPAMConfig": { "IPv4Address": address } } } },
        })
    };
    let db = engine.create("of-db", &service("of-a", "10.201.0.2")).await.unwrap();
    let mq = engine.create("of-mq", &service("of-b", "10.201.0.18")).await.unwrap();
    let mut body = service("of-a", "10.201.0.3");
    body["Cmd"] = json!(["sh", "-c", "cat /etc/hosts; for n in db mq; do nc -w 5 $n 7000 </dev/null; done; ip a"]);
    let task = engine.create("of-task", &body).await.unwrap();
    engine.join("of-b", &task, "10.201.0.19".parse().unwrap()).await.unwrap();
    for id in [&db, &mq, &task] {
        engine.start(id).await.unwrap();
    }
    assert_eq!(engine.state(&db).await.unwrap().unwrap().addresses["of-a"].to_string(), "10.201.0.2");
    assert_eq!(engine.ended(&task).await.unwrap(), 0);
    let (out, error) = said(&engine, &task).await;
    assert_eq!(out.matches("hello\n").count(), 2, "{out}\n{error}");
    assert!(out.contains("10.201.0.3/28") && out.contains("10.201.0.19/28"), "{out}");

    let in_use = engine.remove_network("of-a").await.unwrap_err();
    assert_eq!(in_use.kind(), Kind::Conflict, "{in_use:?}");
    for id in [&db, &mq, &task] {
        engine.remove(id).await.unwrap();
    }
    assert_eq!(engine.networks_with("org.keylender.test=of-a").await.unwrap().len(), 1);
    for name in ["of-a", "of-b", "of-a"] {
        engine.remove_network(name).await.unwrap();
    }
    assert!(engine.networks_with("org.keylender.test=of-a").await.unwrap().is_empty());
}

#[tokio::test]
async fn an_engine_that_dies_breaks_off_what_is_followed_and_its_containers_are_found_again() {
    let Some(podman) = Podman::own() else { return };
    let first = engine(&podman).await;
    let mut body = container("localhost/box:1", &["sh", "-c", "echo here; sleep 1000"]);
    body["Labels"] = json!({ "org.keylender.test": "stays" });
    let id = first.create("stays", &body).await.unwrap();
    first.start(&id).await.unwrap();
    let mut logs = first.logs(&id).await.unwrap();
    assert!(logs.next().await.unwrap().is_some());
    podman.die();
    let broken = tokio::time::timeout(PATIENCE, logs.next()).await.unwrap();
    assert!(!matches!(broken, Ok(Some(_))), "{:?}", broken.is_ok());
    assert_eq!(first.networks().await.unwrap_err().kind(), Kind::Unavailable);
    podman.revive();
    let found = first.containers_with("org.keylender.test").await.unwrap();
    assert_eq!(found[0].id, id);
    first.remove(&id).await.unwrap();
    assert!(first.containers_with("org.keylender.test").await.unwrap().is_empty());
}
