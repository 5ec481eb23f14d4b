//! The record: every call, before it is answered.

use serde_json::Value;

use super::Site;
use crate::wire::Ask;

#[tokio::test]
async fn every_call_is_in_the_audit_log_before_it_is_answered_and_no_secret_with_it() {
    let site = Site::start().await;
    let task = site.session(&["files:read", "broker:read"]).await;
    task.get("/files/a?token=visible").await;
    task.ask(&Ask::new("DELETE", "/broker/api/queues/x")).await;
    task.get("/broker/api/users").await;
    task.get("/nowhere?secret=visible").await;
    task.get("/files/../x").await;

    let calls = site.audited_calls().await;
    let told: Vec<_> = calls
        .iter()
        .map(|call| (call["method"].as_str().unwrap(), call["url"].as_str().unwrap(), call["status"].as_u64().unwrap()))
        .collect();
    let url = site.service.url("/v1/a");
    assert_eq!(
        told,
        [
            ("GET", url.as_str(), 200),
            ("DELETE", "/broker/api/queues/x", 403),
            ("GET", "/broker/api/users", 403),
            ("GET", "/nowhere", 404),
            ("GET", "/files/../x", 400),
        ]
    );
    assert!(calls[0]["query"].as_str().is_some_and(|hash| hash.len() == 16));
    let log = site.world.operate("GET", "/audit", None).await.to_string();
    for secret in ["visible", "token-1", "issuing-token", "of-monitor"] {
        assert!(!log.contains(secret), "{secret}");
    }
    let minted = site.world.audited("proxy.mint").await;
    assert_eq!((minted.len(), &minted[0]["details"]["upstream"]), (1, &"files".into()));
    let asked = serde_json::json!({ "secret": "token-1" });
    let found = site.world.operate("POST", "/audit/reference", Some(asked)).await;
    let path = format!("/audit?reference={}", found["reference"].as_str().unwrap());
    assert_eq!(site.world.operate("GET", &path, None).await["entries"][0]["action"], "proxy.mint");
}

#[tokio::test]
async fn a_task_reads_its_receipts_and_nobody_elses() {
    let site = Site::start().await;
    let (task, other) = (site.session(&["files:read"]).await, site.session(&["files:read"]).await);
    task.ask(&Ask::post("/files/up", "{\"a\":1}")).await;
    let receipts = loop {
        let receipts = task.get("/receipts").await.json();
        if receipts["calls"].as_array().is_some_and(|calls| !calls.is_empty()) {
            break receipts;
        }
    };
    let call = &receipts["calls"][0];
    assert_eq!(
        (call["status"].clone(), call["sentBytes"].clone(), call["receivedBytes"].clone()),
        (200.into(), 7.into(), 11.into())
    );
    assert_eq!(other.get("/receipts").await.json()["calls"].as_array().unwrap().len(), 0);
    let shown = site.world.operate("GET", &format!("/proxy/sessions/{}/calls", task.session), None).await;
    assert_eq!(shown, receipts);
}

#[tokio::test]
async fn calls_are_counted_by_their_status() {
    let site = Site::start().await;
    let task = site.session(&["files:read"]).await;
    task.get("/files/a").await;
    task.get("/nowhere").await;
    let expected = [
        "keylender_proxy_sessions 1",
        "keylender_proxy_tokens 1",
        "keylender_proxy_calls_total{status=\"2xx\"} 1",
        "keylender_proxy_calls_total{status=\"4xx\"} 1",
        "keylender_proxy_mints_total{outcome=\"minted\"} 1",
    ];
    // The end of a call is written down behind its answer.
    loop {
        let figures = site.world.ask(&Ask::get("/metrics")).await;
        if expected.iter().all(|line| figures.text().contains(line)) {
            break;
        }
    }
}

#[tokio::test]
async fn whole_records_survive_a_restart() {
    let mut site = Site::start().await;
    let task = site.session(&["files:read"]).await;
    for number in 0..50 {
        assert_eq!(task.get(&format!("/files/{number}")).await.status, 200);
    }
    site.world.restart().await;
    assert_eq!(site.audited_calls().await.len(), 50);
    let calls = site.world.operate("GET", &format!("/proxy/sessions/{}/calls", task.session), None).await;
    assert_eq!(calls["calls"].as_array().map(Vec::len), Some(50));
    let session: Value = site.world.operate("GET", &format!("/proxy/sessions/{}", task.session), None).await;
    assert_eq!(session["calls"], 50);
}

#[tokio::test]
async fn a_call_whose_task_did_not_wait_is_recorded_like_any_other() {
    let site = Site::start().await;
    site.service.mints_slowly(std::time::Duration::from_millis(300));
    let task = site.session(&["files:read"]).await;
    let mut talk = crate::wire::Talk::connect(task.address).await;
    talk.send(&Ask::get("/files/left").bytes()).await;
    // It is let go while the token is minted; who goes before they are let in has asked for nothing.
    while site.service.mints().is_empty() {
        tokio::task::yield_now().await;
    }
    drop(talk);
    while site.audited_calls().await.is_empty() {
        tokio::task::yield_now().await;
    }
    let call = site.audited_calls().await.remove(0);
    assert!(call["url"].as_str().unwrap().ends_with("/v1/left"), "{call}");
}
