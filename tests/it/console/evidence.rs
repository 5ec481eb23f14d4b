//! What auditors look at: the log, one entry, the chain, a secret by its value, who had what, and the settings.

use keylender::domain::operators::Role;
use serde_json::json;

use super::browser::{Browser, form};
use super::has;
use crate::wire::Ask;
use crate::world::{NAMESPACE, World};

#[tokio::test]
async fn the_audit_log_is_filtered_paged_exported_and_verified() {
    let world = World::start().await;
    for n in 0..120 {
        world.operate("PUT", &format!("/roles/r{n}"), Some(json!({"scopes": ["a:b"]}))).await;
    }
    world.operate("DELETE", "/roles/r7", None).await;
    let auditor = Browser::signed_in(&world, Role::Auditor).await;
    let newest = auditor.get(&world, "/audit?action=role.create").await;
    assert!(newest.text().contains(">r119<") && !newest.text().contains(">r10<"), "{}", newest.text());
    let (_, rest) = newest.text().split_once("rel=\"next\" href=\"").expect("an older page");
    let older = auditor.get(&world, &rest.split('"').next().unwrap().replace("&amp;", "&").replace("&#38;", "&")).await;
    assert!(older.text().contains(">r0<") && !older.text().contains(">r119<"), "{}", older.text());
    let one = auditor.get(&world, "/audit?object=r7&action=role.delete&outcome=done&since=2026-01-01").await;
    assert!(one.text().contains("role.delete") && !one.text().contains("role.create</bdi>"), "{}", one.text());
    let seq = world.audited("role.delete").await[0]["seq"].to_string();
    let entry = auditor.get(&world, &format!("/audit/{seq}")).await;
    for part in ["role.delete", "local uid ", "&#34;object&#34;: &#34;r7&#34;", "Hash of the entry before"] {
        assert!(entry.text().contains(part), "{part}: {}", entry.text());
    }
    let lines = auditor.get(&world, "/audit?export=jsonl").await;
    assert!(lines.text().lines().count() > 120 && lines.text().starts_with("{\"seq\":1,"));
    let verified = auditor.post(&world, "/audit/verify", &[]).await;
    assert!(verified.text().contains("The chain holds"), "{}", verified.text());
    // For paper: what was asked for, and where the log ended.
    let asked = auditor.get(&world, "/audit?object=%3Cscript%3E%E2%80%AE").await;
    let object = "<bdi>object</bdi>: <bdi>&lt;script&gt;<span class=\"unseen\">U+202E</span></bdi>";
    assert!(asked.text().contains(object), "{}", asked.text());
    let (_, head) = asked.text().split_once(", head <code>").expect("a head");
    assert!(verified.text().contains(&head[..64]), "{}", verified.text());
    for (path, status) in [("/audit/999999", 404), ("/audit/x", 404), ("/audit?since=x", 400), ("/audit?action=X", 400)]
    {
        assert_eq!(auditor.get(&world, path).await.status, status, "{path}");
    }
    let viewer = Browser::signed_in(&world, Role::Viewer).await;
    assert_eq!(viewer.get(&world, "/audit").await.status, 403);
}

#[tokio::test]
async fn a_secret_is_found_by_its_value_and_who_had_it_is_told() {
    let world = World::start().await;
    let client = world.client("builds", &["pulse:*"]).await;
    let claimed = world.claim(&client, NAMESPACE, "{}").await.json();
    let url: url::Url = claimed["connectionString"].as_str().unwrap().parse().unwrap();
    let password = url.password().unwrap();
    let auditor = Browser::signed_in(&world, Role::Auditor).await;
    let find = async |secret: &str| {
        let answer = auditor.post(&world, "/audit/secret", &[("secret", secret)]).await;
        let location = answer.header("location").unwrap().to_owned();
        assert!(answer.status == 303 && !location.contains(secret));
        auditor.get(&world, &location).await
    };
    let found = find(password).await;
    assert!(found.text().contains("namespace.claim") && !found.text().contains(password), "{}", found.text());
    assert!(find("never lent").await.text().contains("never lent by this appliance"));
    let now = auditor.get(&world, "/held").await;
    assert!(now.text().contains(NAMESPACE) && now.text().contains("client builds"), "{}", now.text());
    let before = auditor.get(&world, "/held?time=2026-01-01").await;
    assert!(before.text().contains("Nothing was held then"), "{}", before.text());
    let over_time = auditor.get(&world, &format!("/held?object={NAMESPACE}")).await;
    assert!(over_time.text().contains(">held<"), "{}", over_time.text());
}

#[tokio::test]
async fn settings_are_shown_with_secrets_masked_and_so_is_the_support_bundle() {
    let world = World::start().await;
    let auditor = Browser::signed_in(&world, Role::Auditor).await;
    let page = auditor.get(&world, "/settings").await;
    for part in ["DATA_DIR", "RABBIT_PASSWORD", "Key that seals secrets", "Support bundle"] {
        assert!(page.text().contains(part), "{part}: {}", page.text());
    }
    let bundle = auditor.get(&world, "/settings/support").await;
    assert!(bundle.header("content-disposition").unwrap().contains("keylender-support.json"));
    assert_eq!(bundle.json()["program"], "keylender");
    assert!(bundle.json()["doctor"].as_array().unwrap().len() > 3);
    let listed = world.operate("GET", "/settings", None).await;
    assert_eq!(listed["settings"].as_array().unwrap().len(), bundle.json()["settings"].as_array().unwrap().len());
}

#[tokio::test]
async fn the_last_lines_of_the_log_are_on_the_page_of_settings() {
    let world = World::start().await;
    let auditor = Browser::signed_in(&world, Role::Auditor).await;
    has(&auditor.get(&world, "/settings").await, &["Nothing was logged since the start"]);
    let tail = &world.settings.log.tail;
    tail.add(b"2026-11-20T14:03:00.000Z  INFO keylender: listening port=8080\n");
    tail.add("2026-11-20T14:03:01.000Z  WARN keylender: <b>of somebody\u{202e}</b>\n".as_bytes());
    has(
        &auditor.get(&world, "/settings").await,
        &["keylender: listening port=8080", "keylender: &lt;b&gt;of somebody<span class=\"unseen\">U+202E</span>"],
    );
    let lines = world.operate("GET", "/log", None).await;
    assert_eq!(lines["lines"][0], "2026-11-20T14:03:00.000Z  INFO keylender: listening port=8080");
    let viewer = Browser::signed_in(&world, Role::Viewer).await;
    assert_eq!(viewer.get(&world, "/settings").await.status, 403);
}

#[tokio::test]
async fn whatever_others_write_is_shown_harmlessly_on_every_page() {
    let world = World::start().await;
    let text = format!("<script>alert(1)</script>\u{202e}=1+1\"'>{}", "é".repeat(4000));
    let input = json!({"scopes": ["a:b"], "description": text});
    world.operate("PUT", "/clients/hostile", Some(input)).await;
    let admin = Browser::signed_in(&world, Role::Admin).await;
    let agent = Ask::get("/").with("User-Agent", "<b>\"'");
    assert_eq!(world.ask(&agent).await.status, 303);
    world.ask(&form("/login", &[("name", &text), ("password", &text)])).await;
    let reason = "<script>alert(1)</script>\u{202e}\u{0}";
    assert_eq!(admin.post(&world, "/hosts/192.0.2.7/block", &[("reason", reason)]).await.status, 303);
    let seq = world.audited("host.rule").await[0]["seq"].to_string();
    for path in [
        "/access/clients",
        "/access/clients/hostile",
        "/audit",
        &format!("/audit/{seq}"),
        "/access",
        "/access/clients?q=script",
        "/held",
    ] {
        let page = admin.get(&world, path).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(!page.text().contains("<script>") && !page.text().contains('\u{202e}'), "{path}: {}", page.text());
        assert!(page.body.len() < 200_000, "{path}: {}", page.body.len());
    }
    assert!(admin.get(&world, "/access/clients").await.text().contains("&lt;script&gt;"));
    let hostile = "%3Cscript%3E%22%27%E2%80%AE";
    for path in
        ["/audit?actor=", "/hosts?q=", "/access/test?scope=a&who=", "/held?object=", "/hosts?sort=", "/hosts?x="]
    {
        let page = admin.get(&world, &format!("{path}{hostile}")).await;
        assert!(page.status < 500 && !page.text().contains("<script>"), "{path}: {}", page.text());
    }
    let csv = admin.get(&world, "/access/clients?export=csv").await;
    assert!(csv.text().starts_with("client,state,used,expires,created,scopes,description\r\n"));
    world.operate("PUT", "/clients/formula", Some(json!({"scopes": ["a:b"], "description": "=1+1"}))).await;
    let csv = admin.get(&world, "/access/clients?export=csv&q=formula").await;
    assert!(csv.text().trim_end().ends_with(",'=1+1"), "{}", csv.text());
}

#[tokio::test]
async fn a_table_is_filtered_sorted_and_paged_by_its_address() {
    let world = World::start().await;
    for n in 0..60 {
        world.operate("PUT", &format!("/clients/c{n:02}"), Some(json!({"scopes": ["a:b"]}))).await;
    }
    world.operate("POST", "/clients/c07/disable", None).await;
    let admin = Browser::signed_in(&world, Role::Admin).await;
    let page = async |query: &str| admin.get(&world, &format!("/access/clients?{query}")).await.text().to_owned();
    let first = page("").await;
    assert!(first.contains(">c00<") && !first.contains(">c50<") && first.contains("1–50 of 60"), "{first}");
    assert!(first.contains("aria-sort=\"ascending\""));
    let second = page("page=2").await;
    assert!(second.contains(">c59<") && second.contains("51–60 of 60"));
    assert!(page("page=99").await.contains("51–60 of 60"));
    let down = page("sort=-client").await;
    assert!(down.contains(">c59<") && !down.contains(">c00<"));
    let filtered = page("q=state:disabled").await;
    assert!(filtered.contains(">c07<") && filtered.contains("1–1 of 1, 60 without the filter"), "{filtered}");
    assert!(page("q=nothing-like-it").await.contains("Nothing of 60 fits the filter."));
    let json = admin.get(&world, "/access/clients?export=json&q=c0&sort=-client").await.json();
    assert_eq!((json.as_array().unwrap().len(), &json[0]["client"]), (10, &json!("c09")));
}
