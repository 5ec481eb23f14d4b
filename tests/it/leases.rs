//! What is lent now, found by name, holder, host and time, and taken back.

use std::time::Duration;

use keylender::app::settings::Credentials;
use keylender::base::Secret;
use serde_json::{Value, json};

use crate::dns::DnsServer;
use crate::hosts::{HOST, NAME, ask_from, set_up};
use crate::sign::Client;
use crate::wire::{Answer, Ask};
use crate::world::{NAMESPACE, World};

const ELSEWHERE: &str = "198.51.100.9";

/// A claim by a client at an address.
async fn claim_from(world: &World, client: &Client, namespace: &str, address: &str) -> Answer {
    let answer = world.ask_as(client, &Ask::claim(namespace, "{}").with("X-Forwarded-For", address)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

async fn leases(world: &World, query: &str) -> Vec<Value> {
    let list = world.operate("GET", &format!("/leases?{query}"), None).await;
    list["leases"].as_array().unwrap().clone()
}

/// Kind, name and holder of those that fit.
async fn found(world: &World, query: &str) -> Vec<String> {
    let text = |lease: &Value, member: &str| lease[member].as_str().unwrap_or("?").to_owned();
    let row = |lease: &Value| ["kind", "name", "holder"].map(|member| text(lease, member)).join(" ");
    let mut rows: Vec<String> = leases(world, query).await.iter().map(row).collect();
    rows.sort();
    rows
}

async fn revoke(world: &World, input: Value) -> Value {
    let mut input = input;
    input["reason"] = "a test".into();
    input["dryRun"] = false.into();
    world.operate("POST", "/leases/revoke", Some(input)).await
}

fn login(answer: &Answer) -> (String, Secret) {
    let string = answer.json()["connectionString"].as_str().unwrap().to_owned();
    let (user, password) = string.strip_prefix("amqp://").unwrap().split_once('@').unwrap().0.split_once(':').unwrap();
    (user.to_owned(), Secret::new(password))
}

fn works(world: &World, answer: &Answer) -> bool {
    let (user, password) = login(answer);
    world.broker.can_login(&user, &password)
}

/// Its holder logs in at the broker.
fn connect(world: &World, answer: &Answer) {
    let (user, password) = login(answer);
    world.broker.connect(&user, &password, &world.settings.namespaces.amqp.vhost, world.clock.now()).expect("it works");
}

/// Two clients at two addresses, a host, and a namespace of each client.
async fn world(dns: &DnsServer) -> (World, Client, Client) {
    dns.host(HOST, NAME);
    let world = World::with(|settings| set_up(settings, &[dns])).await;
    let builds = world.client("builds", &["pulse:namespace:taskcluster-*"]).await;
    let tests = world.client("tests", &["pulse:namespace:taskcluster-*"]).await;
    claim_from(&world, &builds, "taskcluster-builds", HOST).await;
    claim_from(&world, &tests, "taskcluster-tests", ELSEWHERE).await;
    assert_eq!(ask_from(&world, HOST).await.status, 200);
    (world, builds, tests)
}

#[tokio::test]
async fn what_is_lent_is_found_by_kind_name_holder_host_and_time() {
    let dns = DnsServer::start().await;
    let (world, _, tests) = world(&dns).await;
    let host = format!("host {NAME} host {NAME}");
    let local = format!("local uid {}", rustix::process::getuid().as_raw());
    let [builds_token, tests_token] = ["builds", "tests"].map(|name| format!("client {name} {local}"));
    let [builds, tests_ns] = ["builds", "tests"].map(|name| format!("namespace taskcluster-{name} client {name}"));
    let all = [&builds_token, &tests_token, &host, &builds, &tests_ns].map(String::as_str);
    for (query, expected) in [
        ("", &all[..]),
        ("kind=namespace", &all[3..]),
        ("kind=host", &all[2..3]),
        ("name=taskcluster-builds", &all[3..4]),
        ("name=taskcluster-builds-1", &all[3..4]),
        ("prefix=taskcluster-t", &all[4..]),
        ("holder=builds", &[all[0], all[3]]),
        ("holder=client%20builds", &[all[0], all[3]]),
        ("holder=local", &[]),
        // The client was used from there, and the namespace and the host credentials were lent to there.
        (&format!("host={HOST}"), &[all[0], all[2], all[3]]),
        (&format!("host={NAME}"), &[all[0], all[2], all[3]]),
        (&format!("host=::ffff:{ELSEWHERE}"), &[all[1], all[4]]),
        ("host=192.0.2.99", &[]),
    ] {
        assert_eq!(found(&world, query).await, expected, "{query}");
    }

    world.clock.advance(Duration::from_secs(3600));
    claim_from(&world, &tests, "taskcluster-tests", HOST).await;
    let since = "since=2026-11-20T12:30:00Z";
    assert_eq!(found(&world, &format!("kind=namespace&{since}")).await, [tests_ns.as_str()]);
    assert_eq!(found(&world, &format!("host={HOST}&{since}")).await, [tests_token.as_str(), &tests_ns]);
    let lease = leases(&world, &format!("kind=namespace&host={HOST}&{since}")).await.remove(0);
    assert_eq!(lease["from"], HOST, "{lease}");
    assert_eq!((&lease["since"], &lease["lastLent"]), (&json!("2026-11-20T13:00:00.000Z"), &lease["since"]));
    let answer = world.ask(&Ask::get("/api/keylender/v1/leases")).await;
    assert_eq!(answer.error(), (403, "InsufficientScopes".into()));
}

#[tokio::test]
async fn revoking_a_namespace_ends_both_passwords_and_their_connections_and_nobody_elses() {
    let dns = DnsServer::start().await;
    let (world, builds, tests) = world(&dns).await;
    let first = claim_from(&world, &builds, "taskcluster-builds", HOST).await;
    world.clock.advance(Duration::from_secs(3600));
    world.operate("POST", "/loops/rotate/run", None).await;
    let second = claim_from(&world, &builds, "taskcluster-builds", HOST).await;
    let other = claim_from(&world, &tests, "taskcluster-tests", ELSEWHERE).await;
    assert!(login(&first).0 != login(&second).0 && works(&world, &first) && works(&world, &second));
    assert_eq!(leases(&world, "name=taskcluster-builds").await.len(), 2, "both passwords are lent");
    [&first, &second, &other].into_iter().for_each(|answer| connect(&world, answer));

    let input = json!({ "name": "taskcluster-builds", "reason": "a test" });
    let plan = world.operate("POST", "/leases/revoke", Some(input)).await;
    assert_eq!(plan["planned"].as_array().unwrap().len(), 1);
    assert!(works(&world, &first) && world.audited("lease.revoke").await.is_empty(), "a plan changes nothing");

    let done = revoke(&world, json!({ "name": "taskcluster-builds" })).await;
    assert_eq!((&done["revoked"][0]["outcome"], &done["failed"]), (&json!("done"), &json!(0)), "{done}");
    assert!(!works(&world, &first) && !works(&world, &second) && works(&world, &other));
    assert_eq!(world.broker.closed().len(), 2);
    let entry = world.audited("lease.revoke").await.remove(0);
    assert_eq!((&entry["object"], &entry["outcome"]), (&json!("taskcluster-builds"), &json!("done")));
    for action in ["lease.revoke", "namespace.revoke"] {
        assert_eq!(world.audited(action).await[0]["details"]["reason"], "a test", "{action}");
    }
    let holders = found(&world, "kind=namespace&name=taskcluster-builds").await;
    assert!(holders.is_empty(), "nobody holds the new password: {holders:?}");

    let third = claim_from(&world, &builds, "taskcluster-builds", HOST).await;
    assert!(works(&world, &third));
    for _ in 0..3 {
        world.clock.advance(Duration::from_secs(3600));
        world.operate("POST", "/loops/rotate/run", None).await;
    }
    assert!(works(&world, &claim_from(&world, &builds, "taskcluster-builds", HOST).await), "it rotates on");
}

#[tokio::test]
async fn one_that_cannot_be_revoked_does_not_stop_the_others_and_is_finished_by_the_next_try() {
    let dns = DnsServer::start().await;
    let (world, builds, _) = world(&dns).await;
    let lent = claim_from(&world, &builds, "taskcluster-builds", HOST).await;
    connect(&world, &lent);
    world.broker.go_away();
    let done = revoke(&world, json!({ "host": HOST })).await;
    let outcomes: Vec<_> = done["revoked"].as_array().unwrap().iter().map(|each| each["outcome"].clone()).collect();
    assert_eq!(outcomes, [json!("failed"), json!("done"), json!("done")], "{done}");
    assert_eq!(world.audited("lease.revoke").await[0]["outcome"], "failed");
    world.broker.come_back();
    world.operate("POST", "/loops/reconcile/run", None).await;
    assert!(!works(&world, &lent), "what was wished is brought to the broker later");
    assert!(world.broker.closed().is_empty());
    let done = revoke(&world, json!({ "host": HOST })).await;
    assert_eq!((done["revoked"].as_array().unwrap().len(), &done["failed"]), (1, &json!(0)), "{done}");
    assert_eq!(world.broker.closed().len(), 1);
}

#[tokio::test]
async fn nobody_revokes_everything_by_accident_or_without_a_reason() {
    let dns = DnsServer::start().await;
    let (world, ..) = world(&dns).await;
    let ops = world.client("ops", &["keylender:lease:*"]).await;
    let ask = async |body: Value| {
        let ask = Ask::post("/api/keylender/v1/leases/revoke", &body.to_string());
        world.ask_as(&ops, &ask).await
    };
    assert_eq!(ask(json!({ "reason": "r", "dryRun": false })).await.status, 400);
    assert_eq!(ask(json!({ "name": "taskcluster-builds", "dryRun": false })).await.status, 400);
    assert_eq!(ask(json!({ "name": "taskcluster-builds", "reason": " ", "dryRun": false })).await.status, 400);
    assert_eq!(ask(json!({ "kind": "password", "reason": "r" })).await.status, 400);
    assert_eq!(leases(&world, "").await.len(), 6);
    let planned = ask(json!({ "reason": "r", "all": true })).await.json();
    assert_eq!(planned["planned"].as_array().unwrap().len(), 6, "{planned}");
    let all = json!({ "reason": "r", "all": true, "release": true, "dryRun": false });
    assert_eq!(ask(all).await.json()["failed"], 0);
    assert_eq!(leases(&world, "").await, Vec::<Value>::new());
    assert!(world.operate("GET", "/namespaces", None).await["namespaces"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn revoked_credentials_of_a_host_are_refused_here_and_newer_ones_are_not() {
    let dns = DnsServer::start().await;
    dns.host(HOST, NAME);
    let mut world = World::with(|settings| set_up(settings, &[&dns])).await;
    // The issuer is a client of the own store, whose access token the settings have.
    let scopes = ["assume:project:host:*", "keylender:namespace:list", "auth:create-client:project/host/*"];
    let issuer = world.client("project/hosts", &scopes).await;
    world.role("project:host:*", &["keylender:namespace:list"]).await;
    world.settings.credentials = Some(Credentials { client_id: issuer.id.clone(), access_token: issuer.token.clone() });
    world.restart().await;
    let fetch = async |world: &World| Client::lent(&ask_from(world, HOST).await.json()["credentials"]);
    let status = async |world: &World, client: &Client| {
        world.ask_as(client, &Ask::get("/api/keylender/v1/namespaces")).await.status
    };

    let (old, older) = (fetch(&world).await, fetch(&world).await);
    assert_eq!((status(&world, &old).await, status(&world, &older).await), (200, 200));
    let done = revoke(&world, json!({ "kind": "host", "name": NAME, "block": true })).await;
    let remark = done["revoked"][0]["remark"].as_str().unwrap();
    assert!(remark.contains("refuses them from now on") && remark.contains("project/hosts"), "{remark}");
    assert_eq!((status(&world, &old).await, status(&world, &older).await), (401, 401));
    assert_eq!(ask_from(&world, HOST).await.error(), (403, "IPNotAllowed".into()), "it is blocked, too");
    assert!(leases(&world, "kind=host").await.is_empty());
    world.operate("DELETE", &format!("/host-rules/block%20{NAME}"), None).await;
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(status(&world, &fetch(&world).await).await, 200);
    world.restart().await;
    assert_eq!(status(&world, &old).await, 401, "also after a restart");
}

#[tokio::test]
async fn what_was_not_used_for_long_is_listed() {
    let dns = DnsServer::start().await;
    let (world, builds, _) = world(&dns).await;
    let lent = claim_from(&world, &builds, "taskcluster-builds", HOST).await;
    let day = Duration::from_secs(24 * 3600);
    world.clock.advance(2 * day);
    connect(&world, &lent);
    world.operate("POST", "/loops/monitor/run", None).await;
    world.ask_as(&builds, &Ask::get("/api/keylender/v1/namespaces")).await;
    let shown = world.operate("GET", "/namespaces/taskcluster-builds", None).await;
    assert_eq!(shown["lastConnected"], "2026-11-22T12:00:00.000Z", "{shown}");
    let clients = world.operate("GET", "/clients", None).await;
    assert_eq!(clients["clients"][0]["lastUsed"], "2026-11-22T12:00:00.000Z", "{clients}");
    assert_eq!(clients["clients"][1]["lastUsed"], "2026-11-20T12:00:00.000Z", "{clients}");
    let unused = leases(&world, "unusedSeconds=86400").await;
    let names: Vec<_> = unused.iter().map(|lease| lease["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["taskcluster-tests", "tests"]);
    let of_foo = world.operate("GET", &format!("/leases?name={NAMESPACE}"), None).await;
    assert_eq!(of_foo["count"], 0);
}

#[tokio::test]
async fn credentials_of_a_host_that_another_service_judges_are_revoked_by_an_operator_there() {
    let dns = DnsServer::start().await;
    dns.host(HOST, NAME);
    let world = World::with(|settings| {
        set_up(settings, &[&dns]);
        settings.root_url = Some("http://127.0.0.1:1".parse().unwrap());
    })
    .await;
    assert_eq!(ask_from(&world, HOST).await.status, 200);
    let done = revoke(&world, json!({ "kind": "host", "host": NAME })).await;
    let remark = done["revoked"][0]["remark"].as_str().unwrap();
    assert!(remark.contains("accepts them until 2026-11-21T00:00:00.000Z"), "{remark}");
    assert!(remark.contains("reset the access token of `project/hosts` there"), "{remark}");
    assert_eq!(leases(&world, "kind=host").await.len(), 1, "they still work");
    let at = world.operate("GET", "/audit/at?time=2026-11-20T13:00:00Z", None).await;
    assert_eq!(at["held"][0]["object"], NAME, "{at}");
}
