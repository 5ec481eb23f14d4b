//! Services beside a task: whose scopes they hold, by which image, and how a set of them lives and ends. That they are reached, and
//! by whom, is told by `tests/containers`, with real ones.

use std::collections::BTreeSet;

use keylender::app::settings::Settings;
use serde_json::{Value, json};

use crate::authority::{self, ScriptedAuthority};
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
async fn a_service_holds_what_its_image_was_given_and_the_audit_log_says_why() {
    let site = site().await;
    give(&site.world, &role('a'), &["files:read", "broker:read"]).await;
    give(&site.world, &role('b'), &["files:write"]).await;
    let client = worker(&site.world, &[STAR]).await;
    let answer = open(&site.world, &client, &opening("auth:1", &pulled('a'))).await.json();
    let service = &answer["services"][0];
    assert_eq!(service["imageId"], digest('a'));
    assert_eq!(service["role"], role('a'));
    assert_eq!(service["scopes"], json!([format!("assume:{}", role('a')), "broker:read", "files:read"]));
    let upstreams = service["upstreams"].as_array().unwrap();
    let granted: Vec<_> = upstreams.iter().map(|one| (&one["upstream"], &one["permissions"])).collect();
    assert_eq!(granted, [(&json!("files"), &json!(["read"])), (&json!("broker"), &json!(["read"]))]);

    let session = format!("/proxy/sessions/{}", service["session"].as_str().unwrap());
    let session = site.world.operate("GET", &session, None).await;
    assert_eq!(session["scopes"], json!([format!("assume:{}", role('a'))]), "the one scope that is delegated");
    let entry = site.world.audited("services.open").await.remove(0);
    let said = entry["details"]["services"][0].as_str().unwrap().to_owned();
    assert!(said.contains(&digest('a')) && said.contains("docker.io/library/auth"), "{said}");
}

#[tokio::test]
async fn only_a_worker_that_holds_the_scope_of_all_its_images_opens_services() {
    let site = site().await;
    let own = format!("assume:{}", role('a'));
    for (scopes, status) in [
        (&[STAR] as &[&str], 200),
        (&["assume:docker-service-image:aws/geck*"], 200),
        (&["assume:docker-service-image:aws/*"], 200),
        (&["assume:docker-service-image:*"], 200),
        (&["assume:*"], 200),
        (&["*"], 200),
        (&[], 403),
        (&[&own], 403),
        (&["assume:docker-service-image:aws/gecko"], 403),
        (&["assume:docker-service-image:aws/gecko/s*"], 403),
        (&["assume:docker-service-image:aws/other/*"], 403),
        (&["assume:docker-service-image:gcp/gecko/*"], 403),
        (&["docker-service-image:aws/gecko/*"], 403),
    ] {
        let client = worker(&site.world, scopes).await;
        let answer = open(&site.world, &client, &opening("auth", &pulled('a'))).await;
        assert_eq!(answer.status, status, "{scopes:?}: {}", answer.text());
        if status == 403 {
            assert!(answer.text().contains(STAR), "{}", answer.text());
        }
    }
    let without = site.world.client("other", &[STAR]).await;
    assert_eq!(open(&site.world, &without, &opening("auth", &pulled('a'))).await.status, 403);
}

#[tokio::test]
async fn a_tag_decides_nothing_and_an_image_of_no_registry_gets_nothing_until_it_is_named() {
    let mut named = format!("aws/gecko/{}", digest('0'));
    for is_named in [false, true] {
        let local = named.parse().unwrap();
        let site = Site::with(|settings| {
            at_loopback(settings);
            settings.services.local_images = if is_named { vec![local] } else { Vec::new() };
        })
        .await;
        give(&site.world, &role('0'), &["files:local"]).await;
        give(&site.world, &role('c'), &["files:invented"]).await;
        // A role that somebody named by a tag is nobody's.
        give(&site.world, "docker-service-image:aws/gecko/auth:1", &["files:tag"]).await;
        let client = worker(&site.world, &[STAR]).await;
        for facts in [
            json!({ "id": digest('0'), "entrypoint": ["/auth"] }),
            json!({ "id": digest('0'), "repoDigests": [format!("localhost/auth@{}", digest('c'))] }),
        ] {
            let answer = open(&site.world, &client, &opening("localhost/auth:1", &facts)).await.json();
            let service = &answer["services"][0];
            if is_named {
                assert_eq!(service["imageId"], digest('0'));
                assert_eq!(service["upstreams"][0]["permissions"], json!(["local"]));
            } else {
                assert_eq!(service.get("imageId"), None);
                assert_eq!((service["scopes"].clone(), service["upstreams"].clone()), (json!([]), json!([])));
                assert!(service["decision"].as_str().unwrap().contains(&named), "{service}");
            }
        }
        let elsewhere = json!({ "provisionerId": "aws", "workerType": "other" });
        let mut input = opening("localhost/auth:1", &json!({ "id": digest('0') }));
        input.as_object_mut().unwrap().extend(elsewhere.as_object().unwrap().clone());
        let client = worker(&site.world, &["assume:docker-service-image:aws/*"]).await;
        let answer = open(&site.world, &client, &input).await.json();
        assert_eq!(answer["services"][0].get("imageId"), None, "it is named for others");
        named = format!("aws/gecko/{}", digest('0'));
    }
}

#[tokio::test]
async fn an_image_that_is_another_one_than_the_payload_names_is_refused() {
    let site = site().await;
    let client = worker(&site.world, &[STAR]).await;
    for (image, facts, status) in [
        (format!("auth@{}", digest('a')), pulled('a'), 200),
        (format!("auth@{}", digest('b')), pulled('a'), 409),
        (digest('0'), pulled('a'), 200),
        (digest('b'), pulled('a'), 409),
    ] {
        let answer = open(&site.world, &client, &opening(&image, &facts)).await;
        assert_eq!(answer.status, status, "{image}: {}", answer.text());
    }
    let refused = site.world.audited("services.open").await;
    assert!(refused.iter().any(|entry| entry["outcome"] == "refused"), "{refused:?}");
}

#[tokio::test]
async fn a_role_that_nobody_made_is_no_error_and_gives_nothing() {
    let site = site().await;
    let client = worker(&site.world, &[STAR]).await;
    let answer = open(&site.world, &client, &opening("auth", &pulled('a'))).await.json();
    let service = &answer["services"][0];
    assert_eq!(service["scopes"], json!([format!("assume:{}", role('a'))]));
    assert_eq!(service["upstreams"], json!([]));

    // One for all images of these workers is theirs, too.
    give(&site.world, "docker-service-image:aws/gecko/*", &["files:<..>"]).await;
    let answer = open(&site.world, &client, &opening("auth", &pulled('a'))).await.json();
    assert_eq!(answer["services"][0]["upstreams"][0]["permissions"], json!([digest('a')]));
}

#[tokio::test]
async fn what_the_worker_does_not_hold_is_not_passed_on_and_is_named() {
    // A deployment that says of the role more than it says of the worker.
    let authority = ScriptedAuthority::start(|question| {
        let answer = if question.head.contains("/scopes/expand") {
            let mut scopes = question.body["scopes"].as_array().unwrap().clone();
            scopes.extend([json!("files:read"), json!("files:secret")]);
            json!({ "scopes": scopes })
        } else {
            json!({ "status": "auth-success", "clientId": "worker", "scopes": [STAR, "files:read", "keylender:services:open"] })
        };
        authority::json("200 OK", &answer.to_string())
    })
    .await;
    let site = Site::with(|settings| {
        at_loopback(settings);
        authority.settle(settings);
    })
    .await;
    let signed = r#"Hawk id="worker", ts="1795176000", nonce="n", mac="m=""#;
    let input = opening("auth", &pulled('a')).to_string();
    let answer = site.world.ask(&Ask::post(PATH, &input).with("Authorization", signed)).await.json();
    let service = &answer["services"][0];
    assert_eq!(service["scopes"], json!([format!("assume:{}", role('a')), "files:read"]));
    assert_eq!(service["notHeld"], json!(["files:secret"]));
    assert_eq!(service["upstreams"][0]["permissions"], json!(["read"]));
}

#[tokio::test]
async fn a_command_never_becomes_the_program_that_holds_the_scopes() {
    let site = site().await;
    give(&site.world, &role('a'), &["files:read"]).await;
    let client = worker(&site.world, &[STAR]).await;
    let label = |value: &str| json!({ "org.keylender.command": value });
    for (entrypoint, labels, digit, status) in [
        // Only the image itself knows that it takes a command for the words of a stranger.
        (json!(["/auth"]), label("untrusted"), 'a', 200),
        (json!(["/auth"]), json!({}), 'a', 403),
        (json!(["/auth"]), label("yes"), 'a', 403),
        (json!([]), label("untrusted"), 'a', 403),
        // Whoever holds nothing may run anything.
        (json!([]), json!({}), 'b', 200),
    ] {
        let mut facts = pulled(digit);
        (facts["entrypoint"], facts["labels"]) = (entrypoint.clone(), labels.clone());
        let mut input = opening(&format!("auth@{}", digest(digit)), &facts);
        input["payload"]["services"][0]["command"] = json!(["cat", "/proc/self/environ"]);
        let answer = open(&site.world, &client, &input).await;
        assert_eq!(answer.status, status, "{entrypoint} {labels}: {}", answer.text());
        if status == 403 {
            assert!(answer.text().contains("the service `auth`") && answer.text().contains("org.keylender.command"));
        }
        // Of calls that are signed, only who judges them knows what they are worth.
        input["credentials"] = json!({ "clientId": "worker", "accessToken": "key" });
        let signing = open(&site.world, &client, &input).await;
        assert_eq!(signing.status, if labels == label("untrusted") { status } else { 403 }, "{}", signing.text());
    }
}

#[tokio::test]
async fn of_several_digests_that_one_counts_which_was_given_something() {
    let site = site().await;
    let client = worker(&site.world, &[STAR]).await;
    // As podman lists an image for several platforms: its index, and the manifest of this one.
    let mut facts = pulled('a');
    let digests = ['a', 'b'].map(|digit| format!("docker.io/library/auth@{}", digest(digit)));
    facts["repoDigests"] = json!(digests);
    let decide = async || open(&site.world, &client, &opening("auth:1", &facts)).await;
    assert_eq!(decide().await.json()["services"][0]["upstreams"], json!([]));
    give(&site.world, &role('b'), &["files:read"]).await;
    assert_eq!(decide().await.json()["services"][0]["imageId"], digest('b'));
    give(&site.world, &role('a'), &["files:read"]).await;
    assert_eq!(decide().await.json()["services"][0]["upstreams"][0]["permissions"], json!(["read"]));
    give(&site.world, &role('a'), &["files:write"]).await;
    let refused = decide().await;
    assert!(refused.status == 409 && refused.text().contains("name the one that is meant"), "{}", refused.text());
    let named = open(&site.world, &client, &opening(&format!("auth@{}", digest('b')), &facts)).await;
    assert_eq!(named.json()["services"][0]["upstreams"][0]["permissions"], json!(["read"]));
}

#[tokio::test]
async fn a_deployment_that_expands_roles_for_nobody_is_told_what_is_missing() {
    let authority = ScriptedAuthority::start(|question| {
        let answer =
            json!({ "status": "auth-success", "clientId": "worker", "scopes": [STAR, "keylender:services:open"] });
        let status = if question.head.contains("/scopes/expand") { "403 Forbidden" } else { "200 OK" };
        authority::json(status, &answer.to_string())
    })
    .await;
    let site = Site::with(|settings| {
        at_loopback(settings);
        authority.settle(settings);
    })
    .await;
    let signed = r#"Hawk id="worker", ts="1795176000", nonce="n", mac="m=""#;
    let input = opening("auth", &pulled('a')).to_string();
    let answer = site.world.ask(&Ask::post(PATH, &input).with("Authorization", signed)).await;
    assert!(answer.status == 409 && answer.text().contains("auth:expand-scopes"), "{}", answer.text());
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
