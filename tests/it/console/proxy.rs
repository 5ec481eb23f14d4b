//! Pages of the task proxy: what is declared, what scopes are worth, and a session from its opening to its end.

use std::os::unix::fs::MetadataExt;

use keylender::domain::operators::Role;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::browser::Browser;
use super::has;
use crate::world::World;

/// One upstream at which nobody is, and one that lets in by a password.
const UPSTREAMS: &str = r#"
[[upstream]]
name = "symbols"
base = "http://127.0.0.1:9"
networks = ["127.0.0.0/8"]
scopes = { prefix = "project:ours:symbols:" }
credential = { kind = "bearer", token = "the-secret-token" }

[[upstream]]
name = "builds"
base = "https://builds.example.com"
methods = ["GET"]
scopes = { whole = "project:ours:builds" }
credential = { kind = "basic", user = "proxy", password = "the-secret-password" }
"#;
/// A permission that is no part of a page.
const HOSTILE: &str = "project:ours:symbols:<b>read</b>";

async fn world() -> World {
    let world = World::start().await;
    let input = json!({ "text": UPSTREAMS, "reason": "a test" });
    world.operate("PUT", "/proxy/upstreams", Some(input)).await;
    world
}

/// Opens a session at a port which this very user may ask.
async fn open(world: &World, scopes: &[&str]) -> Value {
    let user = std::fs::metadata(&world.settings.data_dir).unwrap().uid();
    let input = json!({ "scopes": scopes, "listen": { "on": "port", "users": [user] } });
    world.operate("POST", "/proxy/sessions", Some(input)).await
}

/// Asks a session, and reads what comes to its end.
async fn ask(opened: &Value, path: &str) -> String {
    let address = opened["address"].as_str().unwrap().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn without_upstreams_the_page_says_how_to_declare_some() {
    let world = World::start().await;
    let viewer = Browser::signed_in(&world, Role::Viewer).await;
    let list = viewer.get(&world, "/proxy").await;
    has(&list, &["No upstream is declared", "PROXY_UPSTREAMS_FILE", "keylender proxy store upstreams.toml"]);
    has(&list, &["No session was opened so far", "keylender proxy session list"]);
    assert!(!list.text().contains("href=\"/proxy/upstreams\""), "a viewer declares nothing");
    has(&viewer.get(&world, "/proxy/explain?scopes=a").await, &["No upstream is declared"]);
    for unknown in ["x", "%2F", "AAAAAAAAAAAAAAAAAAAAAA"] {
        assert_eq!(viewer.get(&world, &format!("/proxy/sessions/{unknown}")).await.status, 404, "{unknown}");
    }
    let admin = Browser::signed_in(&world, Role::Admin).await;
    has(&admin.get(&world, "/proxy").await, &["href=\"/proxy/upstreams\""]);
}

#[tokio::test]
async fn a_declaration_is_stored_with_a_reason_and_is_not_shown_again() {
    let world = World::start().await;
    let admin = Browser::signed_in(&world, Role::Admin).await;
    let path = "/proxy/upstreams";
    has(&admin.get(&world, path).await, &["No upstream is declared now", "preset = &#34;taskcluster&#34;"]);
    let wrong = format!("{UPSTREAMS}bas = '<b>'\n");
    let again = admin.post(&world, path, &[("text", &wrong)]).await;
    has(&again, &["line 15: ", "role=\"alert\"", "the-secret-token", "bas = &#39;&#60;b&#62;&#39;"]);
    let file = UPSTREAMS.replace("token = ", "token-file = ");
    has(&admin.post(&world, path, &[("text", &file)]).await, &["names a file of this host"]);

    let plan = admin.post(&world, path, &[("text", UPSTREAMS)]).await;
    has(&plan, &["`symbols` is reached by bearer", "name=\"reason\"", "keylender proxy store upstreams.toml"]);
    assert_eq!(plan.text().matches("the-secret-token").count(), 1, "only in the form: {}", plan.text());
    let sure = [("text", UPSTREAMS), ("sure", "yes")];
    has(&admin.post(&world, path, &sure).await, &["role=\"alert\"", "the-secret-token"]);
    assert!(world.audited("proxy.upstreams").await.is_empty());
    let done = admin.post(&world, path, &[sure[0], sure[1], ("reason", "symbols moved")]).await;
    assert!(done.header("location").unwrap().starts_with("/proxy?entry="), "{done:?}");
    assert_eq!(world.audited("proxy.upstreams").await[0]["details"]["reason"], "symbols moved");

    let viewer = Browser::signed_in(&world, Role::Viewer).await;
    let list = viewer.get(&world, "/proxy").await;
    has(
        &list,
        &["symbols", "http://127.0.0.1:9", "a token that stays", "project:ours:builds", "They were stored here"],
    );
    for page in [list, admin.get(&world, path).await] {
        assert!(!page.text().contains("the-secret"), "{}", page.text());
    }
}

#[tokio::test]
async fn upstreams_of_the_settings_are_said_to_be_of_the_settings() {
    let declared = keylender::proto::proxy::declaration::parse(UPSTREAMS).unwrap();
    let world = World::with(|settings| settings.proxy.declared = Some(declared)).await;
    let admin = Browser::signed_in(&world, Role::Admin).await;
    has(&admin.get(&world, "/proxy").await, &["PROXY_UPSTREAMS_FILE declares them", "symbols"]);
    let page = admin.get(&world, "/proxy/upstreams").await;
    has(&page, &["PROXY_UPSTREAMS_FILE says what is declared", "symbols"]);
    assert!(!page.text().contains("<textarea"));
    let refused = admin.post(&world, "/proxy/upstreams", &[("text", UPSTREAMS)]).await;
    has(&refused, &["role=\"alert\"", "take it out of the settings"]);
}

#[tokio::test]
async fn what_scopes_are_worth_is_told_with_reasons_and_can_be_linked() {
    let world = world().await;
    let viewer = Browser::signed_in(&world, Role::Viewer).await;
    has(&viewer.get(&world, "/proxy/explain").await, &["Nothing is opened"]);
    let scopes = crate::world::segment(&format!("{HOSTILE}\r\nproject:ours:symbols:*"));
    let page = viewer.get(&world, &format!("/proxy/explain?scopes={scopes}")).await;
    has(&page, &["<code><bdi>&lt;b&gt;read&lt;/b&gt;</bdi></code>", "which this upstream does not take: nothing"]);
    has(&page, &["What is missing", "<bdi>project:ours:builds</bdi>", "keylender proxy explain"]);
    assert!(!page.text().contains("<b>read"), "{}", page.text());
    let wrong = viewer.get(&world, "/proxy/explain?scopes=good%20b%C3%A4d").await;
    has(&wrong, &["class=\"problem\"", "`bäd` cannot be a scope", "good bäd"]);
}

#[tokio::test]
async fn a_session_is_looked_at_with_its_calls_and_ended_with_a_reason() {
    let world = world().await;
    let opened = open(&world, &[HOSTILE]).await;
    let id = opened["session"].as_str().unwrap();
    assert!(ask(&opened, "/symbols/a?key=value").await.starts_with("HTTP/1.1 502 "));
    let viewer = Browser::signed_in(&world, Role::Viewer).await;
    let path = format!("/proxy/sessions/{id}");
    has(&viewer.get(&world, "/proxy").await, &[&path, "open", "symbols", "&lt;b&gt;read&lt;/b&gt;"]);
    let page = viewer.get(&world, &path).await;
    has(&page, &[opened["address"].as_str().unwrap(), "uid ", "<code><bdi>&lt;b&gt;read&lt;/b&gt;</bdi></code>"]);
    has(&page, &["http://127.0.0.1:9/a?", "502", opened["upstreams"][0]["set"].as_str().unwrap()]);
    assert!(!page.text().contains("key=value"), "{}", page.text());
    assert!(!page.text().contains(&format!("{path}/end")), "a viewer ends nothing");
    let calls = viewer.get(&world, &format!("{path}?export=json")).await.json();
    assert_eq!((&calls[0]["status"], &calls[0]["method"]), (&json!(502), &json!("GET")));

    let operator = Browser::signed_in(&world, Role::Operator).await;
    has(&operator.get(&world, &path).await, &[&format!("href=\"{path}/end\"")]);
    let plan = operator.get(&world, &format!("{path}/end")).await;
    has(&plan, &["is cut off", "name=\"reason\"", &format!("keylender proxy session end {id}")]);
    assert_eq!(operator.post(&world, &format!("{path}/end"), &[("reason", "")]).await.status, 400);
    let done = operator.post(&world, &format!("{path}/end"), &[("reason", "it <i>leaks</i>")]).await;
    assert!(done.header("location").unwrap().starts_with(&path), "{done:?}");
    let page = operator.get(&world, &path).await;
    has(&page, &["ended", "operator operator", "it &lt;i&gt;leaks&lt;/i&gt;", "http://127.0.0.1:9/a?"]);
    assert!(!page.text().contains(&format!("{path}/end\"")), "it is over");
    assert_eq!(operator.get(&world, &format!("{path}/end")).await.status, 404);
    has(&viewer.get(&world, "/proxy?q=state%3Aended").await, &[&path]);
    has(&viewer.get(&world, "/proxy?q=state%3Aopen").await, &["Nothing of 1 fits the filter"]);
}

#[tokio::test]
async fn a_session_ends_with_its_appliance_and_its_page_says_so() {
    let mut world = world().await;
    let id = open(&world, &["project:ours:builds"]).await["session"].as_str().unwrap().to_owned();
    world.restart().await;
    let viewer = Browser::signed_in(&world, Role::Viewer).await;
    has(&viewer.get(&world, &format!("/proxy/sessions/{id}")).await, &["loop proxy", "the appliance was stopped"]);
}
