//! Services beside a task: whose scopes they hold, by which image, and how a set of them lives and ends. That they are reached, and
//! by whom, is told by `tests/containers`, with real ones.

mod delegation;

use std::collections::BTreeSet;

use keylender::app::settings::Settings;
use serde_json::{Value, json};

use crate::openapi::call;
use crate::proxy::Site;
use crate::sign::Client;
use crate::wire::{Answer, Ask};
use crate::world::World;

const PATH: &str = "/api/keylender/v1/services";
const STAR: &str = "assume:docker-service-image:aws/gecko/*";

fn digest(digit: char) -> String {
    format!("sha256:{}", digit.to_string().repeat(64))
}

fn role(digit: char) -> String {
    format!("docker-service-image:aws/gecko/{}", digest(digit))
}

/// Loopback addresses, which every host has: a real one gets them with the network of a container.
fn at_loopback(settings: &mut Settings) {
    settings.services.pool = "127.231.0.0/16".parse().unwrap();
}

async fn site() -> Site {
    Site::with(at_loopback).await
}

/// What the engine says of an image that was pulled: its own id, and the digest of the manifest.
fn pulled(digit: char) -> Value {
    json!({ "id": digest('0'), "repoDigests": [format!("docker.io/library/auth@{}", digest(digit))], "entrypoint": ["/auth"] })
}

/// One service `auth`, of an image.
fn opening(image: &str, facts: &Value) -> Value {
    json!({
        "payload": { "services": [{ "name": "auth", "image": image }] },
        "provisionerId": "aws", "workerType": "gecko",
        "images": { "auth": facts },
    })
}

async fn give(world: &World, role: &str, scopes: &[&str]) {
    let path = format!("/roles/{}", role.replace('/', "%2F").replace(':', "%3A").replace('*', "%2A"));
    world.operate("PUT", &path, Some(json!({ "scopes": scopes }))).await;
}

async fn open(world: &World, client: &Client, input: &Value) -> Answer {
    world.ask_as(client, &Ask::post(PATH, &input.to_string())).await
}

async fn worker(world: &World, scopes: &[&str]) -> Client {
    let all: Vec<&str> = scopes.iter().copied().chain(["keylender:services:open"]).collect();
    let count = world.operate("GET", "/clients", None).await["clients"].as_array().unwrap().len();
    world.client(&format!("worker-{count}"), &all).await
}

#[tokio::test]
async fn what_is_to_be_started_is_said_in_full_and_nothing_of_the_payload_is_in_it_but_command_and_variables() {
    let site = site().await;
    give(&site.world, &role('a'), &["files:read"]).await;
    let client = worker(&site.world, &[STAR]).await;
    let mut input = opening("auth:1", &pulled('a'));
    input["payload"]["services"][0]["command"] = json!(["--verbose"]);
    input["images"]["auth"]["labels"] = json!({ "org.keylender.command": "untrusted" });
    input["payload"]["services"][0]["env"] = json!({ "LEVEL": "high" });
    input["payload"]["services"].as_array_mut().unwrap().push(json!({ "name": "db", "image": "postgres" }));
    input["images"]["db"] = json!({ "id": digest('d') });
    input["labels"] = json!({ "org.example.worker": "7", "org.keylender.set": "somebody else's" });
    // What the host has already is passed by.
    input["taken"] = json!(["127.231.0.0/28", "fe80::/10"]);
    let answer = open(&site.world, &client, &input).await.json();
    let (set, auth, db) = (answer["set"].as_str().unwrap(), &answer["services"][0], &answer["services"][1]);
    let create = &auth["container"]["create"];
    assert_eq!(create["Image"], digest('0'), "what was looked at, and not what a tag says later");
    assert_eq!(create["Cmd"], json!(["--verbose"]));
    let env: BTreeSet<&str> = create["Env"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    let address = auth["address"].as_str().unwrap();
    assert!(env.contains("LEVEL=high"), "{env:?}");
    assert!(env.contains(&*format!("FILES_PROXY_URL={address}/files")), "{env:?}");
    assert!(env.contains(&*format!("KEYLENDER_PROXY_URL={address}")), "{env:?}");
    assert_eq!(create["Labels"]["org.keylender.set"], set);
    assert_eq!(create["Labels"]["org.example.worker"], "7");
    let host = &create["HostConfig"];
    assert_eq!(host["SecurityOpt"], json!(["no-new-privileges"]));
    assert!(host["CapDrop"].as_array().unwrap().contains(&json!("NET_RAW")));
    for absent in ["Binds", "Mounts", "Privileged", "CapAdd", "Devices", "PidMode", "Links", "Ulimits"] {
        assert!(host.get(absent).is_none() && create.get(absent).is_none(), "{absent}");
    }
    assert!(create.get("Entrypoint").is_none() && db["container"]["create"].get("Cmd").is_none());

    // Each has a network of its own, which leads nowhere, and the task is in all of them.
    let networks = [auth, db].map(|one| one["network"]["create"].clone());
    assert_eq!(networks[0]["Internal"], true);
    assert_eq!(networks[0]["IPAM"]["Config"], json!([{ "Subnet": "127.231.0.16/29", "Gateway": "127.231.0.17" }]));
    assert_eq!(networks[1]["IPAM"]["Config"], json!([{ "Subnet": "127.231.0.24/29", "Gateway": "127.231.0.25" }]));
    assert!(address.starts_with("http://127.231.0.17:"), "{address}");
    assert_eq!(auth["container"]["address"], "127.231.0.18");
    let task = &answer["task"];
    assert_eq!(task["hosts"], json!({ "auth": "127.231.0.18", "db": "127.231.0.26" }));
    assert_eq!(task["environment"]["AUTH_SERVICE_HOST"], "127.231.0.18");
    let joined = json!([{ "name": auth["network"]["name"], "address": "127.231.0.19" }, { "name": db["network"]["name"], "address": "127.231.0.27" }]);
    assert_eq!(task["networks"], joined);
    assert_eq!(task["network"]["create"]["Internal"], false);

    let task_of = |answer: &Value| answer["services"][0]["container"]["create"]["HostConfig"]["ExtraHosts"].clone();
    assert_eq!(task_of(&answer), json!(["task:127.231.0.19"]));

    // The next set gets others.
    let next = open(&site.world, &client, &opening("auth:1", &pulled('a'))).await.json();
    let taken = next["services"][0]["network"]["create"]["IPAM"]["Config"][0]["Subnet"].clone();
    assert_eq!(taken, "127.231.0.0/29");
    let mut on_host = opening("auth:1", &pulled('a'));
    on_host["taskOnHost"] = json!(true);
    let next = open(&site.world, &client, &on_host).await.json();
    assert_eq!(next["services"][0]["network"]["create"]["IPAM"]["Config"][0]["Subnet"], "127.231.0.40/29");
    assert_eq!(task_of(&next), json!(["task:127.231.0.41"]));
}

#[tokio::test]
async fn a_set_ends_with_its_worker_by_an_operator_or_when_nobody_is_heard() {
    let site = site().await;
    let client = worker(&site.world, &[STAR]).await;
    let mut input = opening("auth", &pulled('a'));
    input["heardWithinSeconds"] = json!(60);
    let begin = async || {
        let answer = open(&site.world, &client, &input).await.json();
        (answer["set"].as_str().unwrap().to_owned(), answer["services"][0]["session"].as_str().unwrap().to_owned())
    };
    let alive = async |set: &str| site.world.ask_as(&client, &Ask::post(&format!("{PATH}/{set}/alive"), "{}")).await;
    let state = async |set: &str| site.world.operate("GET", &format!("/services/{set}"), None).await;

    let (closed, session) = begin().await;
    assert_eq!(alive(&closed).await.status, 200);
    let stranger = site.world.client("stranger", &["*"]).await;
    let delete = Ask { method: "DELETE".into(), ..Ask::get(&format!("{PATH}/{closed}")) };
    assert_eq!(site.world.ask_as(&stranger, &delete).await.status, 404, "only who opened it");
    assert_eq!(site.world.ask_as(&client, &delete).await.json()["isOver"], true);
    assert_eq!(site.world.ask_as(&client, &delete).await.status, 404);
    let ended = site.world.operate("GET", &format!("/proxy/sessions/{session}"), None).await;
    assert_eq!(ended["cause"], "its worker closed it");

    let (stopped, _) = begin().await;
    site.world.operate("POST", &format!("/services/{stopped}/stop"), Some(json!({ "reason": "it mines" }))).await;
    let told = alive(&stopped).await;
    assert!(told.status == 409 && told.text().contains("it mines"), "{}", told.text());
    assert_eq!(state(&stopped).await["cause"], "it mines");

    let (silent, _) = begin().await;
    site.world.clock.advance(std::time::Duration::from_secs(61));
    site.sweep().await;
    assert_eq!(state(&silent).await["isOver"], true);
    assert_eq!(alive(&silent).await.status, 404, "its worker may open another one");
    let list = site.world.operate("GET", "/services", None).await;
    assert_eq!(list["sets"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn what_is_wrong_with_an_opening_is_said_with_its_place() {
    let site = site().await;
    let client = worker(&site.world, &[STAR]).await;
    let mut hostile = opening("auth", &pulled('a'));
    hostile["payload"]["services"][0]["env"] = json!({ "LD_PRELOAD": "/x.so", "KEYLENDER_PROXY_URL": "http://x" });
    hostile["payload"]["services"][0]["volumes"] = json!(["/:/host"]);
    let answer = open(&site.world, &client, &hostile).await;
    assert_eq!(answer.status, 400);
    for place in ["/services/0/env/LD_PRELOAD", "/services/0/env/KEYLENDER_PROXY_URL", "/services/0/volumes"] {
        assert!(answer.text().contains(place), "{place}: {}", answer.text());
    }
    let mut many = opening("auth", &pulled('a'));
    let list = (0..100).map(|n| json!({ "name": format!("s{n}"), "image": "x" })).collect();
    many["payload"]["services"] = Value::Array(list);
    let mut long = opening("auth", &pulled('a'));
    long["payload"]["services"][0]["env"] = json!({ "A": "x".repeat(40_000) });
    let mut too_long = long.clone();
    too_long["payload"]["services"][0]["env"] = json!({ "A": "x".repeat(1 << 20) });
    for (input, place) in [(many, "/services: "), (long, "/services/0/env"), (too_long, "Payload is too long")] {
        let answer = open(&site.world, &client, &input).await;
        assert!(answer.status == 400 && answer.text().contains(place), "{}", answer.text());
    }
    for (member, value) in [
        ("images", json!({})),
        ("images", json!({ "auth": pulled('a'), "other": pulled('a') })),
        ("provisionerId", json!("aws/gecko")),
        ("workerType", json!("*")),
        ("payload", json!({ "services": [] })),
        ("taken", json!(["10.0.0.0"])),
        ("taskId", json!("fN1SbArXTPSVFNUvaOlinQ")),
        ("labels", json!({ "x": "y".repeat(2000) })),
    ] {
        let mut input = opening("auth", &pulled('a'));
        input[member] = value.clone();
        let answer = open(&site.world, &client, &input).await;
        assert_eq!(answer.status, 400, "{member} {value}: {}", answer.text());
    }
}

#[tokio::test]
async fn of_a_set_that_cannot_be_opened_whole_nothing_stays_open() {
    let site = site().await;
    let client = worker(&site.world, &[STAR]).await;
    let mut input = opening("auth", &pulled('a'));
    input["heardWithinSeconds"] = json!(5);
    let answer = open(&site.world, &client, &input).await;
    assert!(answer.status == 400 && answer.text().contains("heardWithinSeconds"), "{}", answer.text());
    let entries = site.world.audited("services.open").await;
    let outcomes: BTreeSet<_> = entries.iter().map(|entry| entry["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, BTreeSet::from(["done", "failed"]), "{entries:?}");
    assert_eq!(site.world.operate("GET", "/services", None).await["sets"], json!([]));
}

/// Calls every method of services once.
pub async fn every_method(seen: &mut BTreeSet<String>) {
    let world = World::with(at_loopback).await;
    let input = opening("auth", &pulled('a'));
    let mut sets = Vec::new();
    for _ in 0..2 {
        let answer = call(&world, seen, "POST", "/services", Some(input.clone())).await;
        sets.push(format!("/services/{}", answer["set"].as_str().unwrap()));
    }
    let [first, second] = &sets[..] else { panic!("two were opened") };
    call(&world, seen, "GET", "/services", None).await;
    call(&world, seen, "GET", first, None).await;
    call(&world, seen, "POST", &format!("{first}/alive"), None).await;
    call(&world, seen, "DELETE", first, None).await;
    call(&world, seen, "POST", &format!("{second}/stop"), Some(json!({ "reason": "to see" }))).await;
}
