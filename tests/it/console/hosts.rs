//! Pages about machines: why one gets what it gets, and what an operator decides about it.

use keylender::domain::operators::Role;
use serde_json::{Value, json};

use super::browser::Browser;
use crate::dns::DnsServer;
use crate::hosts::{HOST, NAME, ask_from, lent, set_up};
use crate::world::{World, segment};

async fn world(dns: &DnsServer) -> World {
    World::with(|settings| set_up(settings, &[dns])).await
}

#[tokio::test]
async fn on_the_console_an_address_is_explained_check_by_check() {
    let dns = DnsServer::start().await;
    dns.host(HOST, NAME);
    let world = world(&dns).await;
    let (viewer, operator) =
        (Browser::signed_in(&world, Role::Viewer).await, Browser::signed_in(&world, Role::Operator).await);
    assert_eq!(viewer.get(&world, "/hosts/explain").await.status, 403);
    let form = operator.get(&world, "/hosts/explain").await;
    assert!(form.status == 200 && form.text().contains("name=\"address\"") && !form.text().contains("just now"));
    let explain = |address: &'static str| {
        let (world, operator) = (&world, &operator);
        async move { operator.get(world, &format!("/hosts/explain?address={address}")).await.text().to_owned() }
    };
    let well = explain(HOST).await;
    for part in [
        "would be lent credentials",
        "it is called builder-1.example.org",
        "builder-1.example.org is 192.0.2.7",
        "assume:project:host:",
        "PTR 7.2.0.192.in-addr.arpa",
        "keylender host check 192.0.2.7",
    ] {
        assert!(well.contains(part), "{part}: {well}");
    }
    let lost = explain("192.0.2.9").await;
    for part in ["would get nothing: no-name", "the address has no PTR record", "not looked at"] {
        assert!(lost.contains(part), "{part}: {lost}");
    }
    dns.ptr("192.0.2.10", NAME);
    let elsewhere = explain("192.0.2.10").await;
    assert!(elsewhere.contains("it has one name") && elsewhere.contains("has another address"), "{elsewhere}");
    assert!(explain("203.0.113.1").await.contains("would get nothing: not-allowed"));
    let block = format!("/host-rules/{}", segment("block *.example.org"));
    world.operate("PUT", &block, Some(json!({}))).await;
    let blocked = explain(HOST).await;
    assert!(blocked.contains("would get nothing: blocked") && blocked.contains("block *.example.org"), "{blocked}");
    assert_eq!(operator.get(&world, "/hosts/explain?address=nobody").await.status, 400);
    assert!(world.audited("host.refuse").await.is_empty(), "nothing was asked for or lent");
    let shown = world.operate("GET", &format!("/hosts/{HOST}/check"), None).await;
    let holds: Vec<&Value> = shown["checks"].as_array().unwrap().iter().map(|check| &check["holds"]).collect();
    assert_eq!(holds, [&json!(true), &json!(true), &json!(true), &json!(true), &json!(false), &json!(true)], "{shown}");
}

#[tokio::test]
async fn on_the_console_a_machine_is_pinned_blocked_and_freed_with_a_reason() {
    let dns = DnsServer::start().await;
    dns.host(HOST, NAME);
    let world = world(&dns).await;
    lent(&ask_from(&world, HOST).await);
    let operator = Browser::signed_in(&world, Role::Operator).await;
    let home = format!("/hosts/{HOST}");
    let plan = operator.get(&world, &format!("{home}/pin")).await;
    for part in
        ["believed only from", "value=\"builder-1.example.org\"", "keylender host pin builder-1.example.org 192.0.2.7"]
    {
        assert!(plan.text().contains(part), "{part}: {}", plan.text());
    }
    let unreasoned = [("name", NAME), ("reason", "")];
    assert_eq!(operator.post(&world, &format!("{home}/pin"), &unreasoned).await.status, 400);
    let done = operator.post(&world, &format!("{home}/pin"), &[("name", NAME), ("reason", "it moved once")]).await;
    assert!(done.header("location").unwrap().starts_with(&format!("{home}?entry=")), "{done:?}");
    assert_eq!(operator.post(&world, &format!("{home}/block"), &[("reason", "sold")]).await.status, 303);

    let page = operator.get(&world, &home).await;
    let rules = ["pin builder-1.example.org 192.0.2.7/32", "block 192.0.2.7/32"];
    for part in [rules[0], rules[1], "Rules about it", "it moved once", "operator operator"] {
        assert!(page.text().contains(part), "{part}: {}", page.text());
    }
    let list = operator.get(&world, "/host-rules").await;
    assert!(list.text().contains(rules[0]) && list.text().contains("1–2 of 2"), "{}", list.text());
    assert_eq!(ask_from(&world, HOST).await.status, 403);
    for (rule, title) in [(rules[1], "Unblock 192.0.2.7/32"), (rules[0], "Unpin builder-1.example.org 192.0.2.7/32")] {
        let remove = format!("/host-rules/{}/remove", segment(rule));
        let plan = operator.get(&world, &remove).await;
        assert!(plan.text().contains(title) && plan.text().contains("It was decided by"), "{}", plan.text());
        assert_eq!(operator.post(&world, &remove, &[("reason", "")]).await.status, 400);
        let done = operator.post(&world, &remove, &[("reason", "bought back")]).await;
        assert!(done.header("location").unwrap().starts_with("/host-rules?entry="), "{done:?}");
        assert_eq!(operator.get(&world, &remove).await.status, 404);
    }
    let removed = world.audited("host.unrule").await;
    assert_eq!((&removed[0]["object"], &removed[0]["details"]["reason"]), (&json!(rules[1]), &json!("bought back")));
    lent(&ask_from(&world, HOST).await);
    // What never had a name cannot be pinned.
    ask_from(&world, "192.0.2.9").await;
    assert_eq!(operator.get(&world, "/hosts/192.0.2.9/pin").await.status, 409);
}
