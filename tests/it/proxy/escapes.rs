//! Ways out, tried with harmless requests: none reaches anything but what was declared.

use serde_json::json;

use super::{Site, at_port};
use crate::wire::{Ask, Talk};

/// Sends bytes as they are; the status of the answer, if there is one.
async fn raw(site: &Site, task: &super::Task, text: &str) -> Option<u16> {
    let _ = site;
    let mut talk = Talk::connect(task.address).await;
    talk.send(text.as_bytes()).await;
    talk.answer("GET").await.map(|answer| answer.status)
}

#[tokio::test]
async fn no_path_leaves_what_was_declared() {
    let site = Site::start().await;
    let task = site.session(&["files:read", "broker:read"]).await;
    for target in [
        "/broker/api/queues/../users",
        "/broker/api/queues/%2e%2e/users",
        "/broker/api/queues/..%2fusers",
        "/broker/api%2Fqueues",
        "/broker//api/queues",
        "/broker/api/queuesX",
        "/broker/API/queues",
        "/broker/api/./queues",
        "/broker/api/queues%5c..%5cusers",
        "/files/../broker/x",
        "/filesX/x",
        "/files@evil.test/x",
        "//evil.test/files/x",
        "/hidden/x",
        "/foreign.example.org/x",
        "/",
    ] {
        let answer = task.ask(&Ask::get(target)).await;
        assert!((400..500).contains(&answer.status), "{target}: {}", answer.status);
    }
    assert!(site.service.asked().is_empty(), "{:?}", site.service.asked());
}

#[tokio::test]
async fn no_form_of_a_request_reaches_another_host() {
    let site = Site::start().await;
    let task = site.session(&["files:read"]).await;
    let own = site.service.address.to_string();
    assert_eq!(raw(&site, &task, "GET http://evil.test/files/x HTTP/1.1\r\nHost: evil.test\r\n\r\n").await, Some(200));
    assert_eq!(raw(&site, &task, "CONNECT evil.test:443 HTTP/1.1\r\nHost: evil.test\r\n\r\n").await, Some(404));
    for refused in [
        "GET /files/x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET /files/x HTTP/1.1\r\n\r\n",
        "POST /files/x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nhello",
        "GET /files/x HTTP/1.1\r\nHost: a\r\nX-A : b\r\n\r\n",
        "GET /files/x y HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let status = raw(&site, &task, refused).await;
        assert!(status.is_none_or(|status| status == 400), "{refused:?}: {status:?}");
    }
    for asked in site.service.asked() {
        assert_eq!((asked.target.as_str(), asked.header("host")), ("/v1/x", Some(own.as_str())));
    }
}

#[tokio::test]
async fn a_body_has_one_length() {
    let site = Site::start().await;
    let task = site.session(&["files:read"]).await;
    let both = "POST /files/x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n\
                5\r\nhello\r\n0\r\n\r\nGET /files/smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    raw(&site, &task, both).await;
    let asked = site.service.asked();
    assert!(asked.iter().all(|asked| asked.body.as_ref() == b"hello" || asked.target == "/v1/smuggled"), "{asked:?}");
    for asked in asked.iter().filter(|asked| asked.target == "/v1/x") {
        assert!(asked.header("content-length").is_none() || asked.header("transfer-encoding").is_none());
    }
}

#[tokio::test]
async fn a_network_that_is_not_public_must_be_listed() {
    let site = Site::start().await;
    let task = site.session(&["hidden:all"]).await;
    let answer = task.get("/hidden/x").await;
    assert_eq!((answer.status, answer.text().trim()), (502, "the upstream is in a network that is not allowed"));
    assert!(site.service.asked().is_empty());
    let call = site.audited_calls().await.pop().unwrap();
    assert!(call["cause"].as_str().unwrap().contains("127.0.0.1"), "{call}");
}

#[tokio::test]
async fn a_redirect_goes_back_to_the_task() {
    let site = Site::start().await;
    let task = site.session(&["files:read"]).await;
    site.service.answers("/v1/moved", 302, &json!({}));
    assert_eq!(task.get("/files/moved").await.status, 302);
    assert_eq!(site.service.asked().len(), 1);
}

#[tokio::test]
async fn a_bewit_is_for_the_deployment_only() {
    let site = Site::start().await;
    let credentials = json!({ "clientId": "task/A", "accessToken": "key" });
    let opened = site.open(json!({ "scopes": ["queue:x"], "credentials": credentials, "listen": at_port() })).await;
    let task = super::Task::of(&opened);
    let sign = async |url: String| task.ask(&Ask::post("/bewit", &url)).await;
    let signed = sign(site.service.url("/api/queue/v1/x?a=1")).await;
    assert_eq!(signed.status, 303);
    assert!(signed.header("location").unwrap().starts_with(&site.service.url("/api/queue/v1/x?a=1&bewit=")));
    for url in ["https://evil.test/x", "not a url", "", "file:///x"] {
        assert_eq!(sign(url.to_owned()).await.status, 400, "{url}");
    }
    assert_eq!(sign("x".repeat(20_000)).await.status, 413);
}
