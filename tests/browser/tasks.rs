//! Sessions of the task proxy in the stories, the service that they reach, and what an operator does with them.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::browser::Browser;
use crate::site::{AWKWARD, Site};

/// What the service says to everybody: to who wants a token, too.
const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 20\r\nConnection: close\r\n\r\n{\"token\":\"a-token!\"}";

/// A service at a port of its own.
async fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 8192];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(ANSWER).await;
        }
    });
    address
}

fn declaration(service: SocketAddr) -> String {
    format!(
        r#"
[[upstream]]
name = "symbols"
base = "http://{service}/v1"
networks = ["127.0.0.0/8"]
methods = ["GET", "PUT"]
scopes = {{ prefix = "project:ours:symbols:" }}
[upstream.credential]
kind = "minted"
url = "http://{service}/tokens"
token = "the token by which others are minted"
body = '{{"permissions":"<permissions>","expires":"<expires>"}}'
pointer = "/token"
life = "10 minutes"

[[upstream]]
preset = "relengapi"
credential = {{ kind = "minted", token = "issuing" }}

[[upstream]]
preset = "taskcluster"
base = "https://tc.example.com"

[[upstream]]
name = "builds"
base = "https://a-host-of-which-the-name-does-not-end-for-quite-a-while.builds.example.org/and/its/path"
scopes = {{ whole = "project:ours:builds" }}
credential = {{ kind = "basic", user = "proxy", password = "x" }}

[[upstream]]
name = "pulse"
credential = {{ kind = "namespace" }}
"#
    )
}

async fn open(site: &Site, scopes: &[&str]) -> Value {
    let input = json!({ "scopes": scopes, "listen": { "on": "port", "users": [site.user()] } });
    site.operate("POST", "/proxy/sessions", Some(input)).await
}

/// Asks a session, as a task does.
async fn ask(opened: &Value, method: &str, path: &str) {
    let address = opened["address"].as_str().unwrap().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.read_to_end(&mut Vec::new()).await.unwrap();
}

/// The namespace that the open session has.
const LENT: &str = "taskcluster-task-7";

/// Fills a site with upstreams, a session that is open and was asked, and one that was ended.
pub async fn fill(site: &Site) {
    let input = json!({ "text": declaration(serve().await), "reason": "symbols moved" });
    site.operate("PUT", "/proxy/upstreams", Some(input)).await;
    let ended = open(site, &["project:ours:builds"]).await;
    let path = format!("/proxy/sessions/{}/end", ended["session"].as_str().unwrap());
    site.operate("POST", &path, Some(json!({ "reason": AWKWARD }))).await;
    let asked = [
        "project:ours:symbols:read",
        "project:ours:symbols:write.<b>not bold</b>",
        "docker-worker:relengapi-proxy:tooltool.download.public",
        "pulse:namespace:taskcluster-task-*",
    ];
    let opened = open(site, &asked).await;
    for path in ["/symbols/files/a.sym?from=here", &*format!("/symbols/files/{AWKWARD}"), "/nowhere"] {
        ask(&opened, "GET", path).await;
    }
    ask(&opened, "POST", &format!("/pulse/{LENT}")).await;
    services(site).await;
}

fn digest(digit: char) -> String {
    format!("sha256:{}", digit.to_string().repeat(64))
}

/// Services beside two tasks: one whose image was given scopes, one that nothing is delegated to; and those that were stopped.
async fn services(site: &Site) {
    let role = format!("docker-service-image:aws/gecko/{}", digest('a'));
    let scopes = ["project:ours:symbols:read", "project:ours:symbols:write.<b>not bold</b>"];
    let path = format!("/roles/{}", role.replace('/', "%2F").replace(':', "%3A"));
    site.operate("PUT", &path, Some(json!({ "scopes": scopes }))).await;
    let input = json!({
        "payload": { "services": [
            { "name": "symbols", "image": "registry.example.com/symbols-proxy:3" },
            { "name": "db", "image": "localhost/postgres-with-a-name-that-does-not-end-for-quite-a-while:latest" },
        ] },
        "provisionerId": "aws", "workerType": "gecko",
        "taskId": "fN1SbArXTPSVFNUvaOlinQ", "runId": 0,
        "images": {
            "symbols": {
                "id": digest('b'),
                "repoDigests": [format!("registry.example.com/symbols-proxy@{}", digest('a'))],
                "entrypoint": ["/proxy"],
            },
            "db": { "id": digest('c') },
        },
    });
    let stopped = site.operate("POST", "/services", Some(input.clone())).await;
    let path = format!("/services/{}/stop", stopped["set"].as_str().unwrap());
    site.operate("POST", &path, Some(json!({ "reason": AWKWARD }))).await;
    site.operate("POST", "/services", Some(input)).await;
}

/// The button that carries out what a page has shown.
const DO_IT: &str = "main .plan form button";

async fn see(browser: &Browser, text: &str) {
    let seen = browser.text("main").await;
    assert!(seen.contains(text), "{text:?} is not on\n{seen}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_finds_a_session_and_ends_it_with_and_without_scripts() {
    for browser in [Browser::start().await, Browser::without_scripts().await] {
        let site = Site::busy().await;
        browser.take_session(&site).await;
        browser.open(&site.url("/proxy")).await;
        browser.press("main .cards a[href*='open']").await;
        // With those of services, which are sessions, too.
        see(&browser, "1–3 of 3").await;
        see(&browser, "service db of the task fN1SbArXTPSVFNUvaOlinQ").await;
        browser.open(&site.page("/proxy/sessions/{proxy}").await).await;
        see(&browser, "write.<b>not bold</b>").await;
        see(&browser, "/v1/files/a.sym").await;
        see(&browser, LENT).await;
        browser.open(&site.url(&format!("/namespaces/{LENT}"))).await;
        see(&browser, "Lent to a task").await;
        browser.check("namespace-of-a-task").await;
        browser.press("main dl a[href*='/proxy/sessions/']").await;
        browser.press("main a[href*='/proxy/explain']").await;
        see(&browser, "begins with").await;
        browser.open(&site.page("/proxy/sessions/{proxy}").await).await;
        browser.press("main .buttons a[href$='/end']").await;
        see(&browser, "is cut off").await;
        see(&browser, "The namespace taskcluster-task-7 is removed").await;
        browser.fill("#reason", "it should not be there").await;
        browser.press(DO_IT).await;
        see(&browser, "Done: proxy.end").await;
        see(&browser, "it should not be there").await;
        browser.check("proxy-session-ended").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_declaration_that_cannot_be_used_is_typed_once_only() {
    let (site, browser) = (Site::start().await, Browser::start().await);
    browser.take_session(&site).await;
    browser.open(&site.url("/proxy")).await;
    browser.press("main .buttons a[href$='/proxy/upstreams']").await;
    browser.fill("#text", "[[upstream]]\npreset = \"taskcluster\"\n").await;
    browser.press("main form.fields button").await;
    see(&browser, "line 1: ").await;
    browser.check("proxy-upstreams-wrong").await;
    browser.fill("#text", "[[upstream]]\npreset = \"taskcluster\"\nbase = \"https://tc.example.com\"\n").await;
    browser.press("main form.fields button").await;
    see(&browser, "is reached by hawk").await;
    browser.check("proxy-upstreams-plan").await;
    browser.fill("#reason", "the first").await;
    browser.press(DO_IT).await;
    see(&browser, "Done: proxy.upstreams").await;
    see(&browser, "https://tc.example.com").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_sees_what_was_decided_on_the_services_of_a_task_and_stops_them() {
    let (site, browser) = (Site::busy().await, Browser::start().await);
    browser.take_session(&site).await;
    browser.open(&site.url("/services?q=state%3Aopen")).await;
    browser.press("main td a[href*='/services/']").await;
    see(&browser, &digest('a')).await;
    see(&browser, "project:ours:symbols:write.<b>not bold</b>").await;
    see(&browser, "nothing is delegated to it unless").await;
    browser.press("main .buttons a[href$='/stop']").await;
    browser.fill("#reason", "it mines coins").await;
    browser.press(DO_IT).await;
    see(&browser, "it mines coins").await;
    browser.check("services-stopped").await;
}
