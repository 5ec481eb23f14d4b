//! Tokens: one for many, another in time, the old one while it lives.

use std::time::Duration;

use keylender::app::settings::read_upstreams;
use serde_json::json;

use super::service::Service;
use super::{Site, Task, at_port};
use crate::relay_rotation;
use crate::wire::Ask;
use crate::world::World;

#[tokio::test]
async fn a_hundred_first_requests_mint_one_token() {
    let site = Site::start().await;
    site.service.mints_slowly(Duration::from_millis(200));
    let task = site.session(&["files:read"]).await;
    let calls = (0..100).map(|_| async { task.get("/files/x").await.status });
    let statuses = futures_util::future::join_all(calls).await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    assert_eq!((site.service.mints().len(), site.service.asked().len()), (1, 100));
}

#[tokio::test]
async fn a_token_is_renewed_before_it_is_over_and_the_old_one_does_while_it_lives() {
    let site = Site::start().await;
    let task = site.session(&["files:read"]).await;
    let shown = async || {
        assert_eq!(task.get("/files/x").await.status, 200);
        site.service.asked().pop().unwrap().header("authorization").unwrap().to_owned()
    };
    assert_eq!(shown().await, "Bearer token-1");
    site.world.clock.advance(Duration::from_secs(500));
    assert_eq!(shown().await, "Bearer token-1");
    site.service.answers("/tokens", 503, &json!({}));
    site.world.clock.advance(Duration::from_secs(70));
    assert_eq!(shown().await, "Bearer token-1", "the token service is away, and the token lives");
    // It is tried some times, while nobody waits any more.
    while site.world.audited("proxy.mint").await.iter().all(|entry| entry["outcome"] == "done") {
        tokio::task::yield_now().await;
    }
    site.service.forget_answers();
    assert_eq!(shown().await, "Bearer token-1", "it is not asked again at once");
    site.world.clock.advance(Duration::from_secs(16));
    assert_eq!(shown().await, "Bearer token-2");
    site.world.clock.advance(Duration::from_secs(601));
    assert_eq!(shown().await, "Bearer token-3");
}

/// The 590 seconds of `releng/token/renewed-after-590-s`, on a clock that is moved.
#[tokio::test]
async fn the_preset_of_relengapi_renews_where_its_ancestor_did() {
    let service = super::service::Service::start().await;
    let text = format!(
        "[[upstream]]\npreset = 'relengapi'\nmounts = {{ tooltool = 'http://{0}' }}\nnetworks = ['127.0.0.0/8']\n\
         credential = {{ kind = 'minted', token = 'issuing', url = 'http://{0}/tokens' }}",
        service.address
    );
    let site = Site::with(|settings| {
        settings.proxy.declared = Some(keylender::app::settings::read_upstreams(&text).unwrap());
    })
    .await;
    let task = site.session(&["docker-worker:relengapi-proxy:*", "docker-worker:relengapi-proxy:a"]).await;
    assert_eq!(task.opened["upstreams"][0]["permissions"], json!(["*", "a"]));
    for (seconds, mints) in [(0, 1), (586, 1), (6, 2)] {
        site.world.clock.advance(Duration::from_secs(seconds));
        assert_eq!(task.get("/tooltool/x").await.status, 200);
        assert_eq!(service.mints().len(), mints, "after {seconds} s");
    }
}

#[tokio::test]
async fn a_token_that_is_refused_is_minted_anew_once() {
    let site = Site::start().await;
    let task = site.session(&["files:read"]).await;
    assert_eq!(task.get("/files/x").await.status, 200);
    site.service.refuses("token-1");
    assert_eq!(task.get("/files/x").await.status, 200);
    assert_eq!(site.service.mints().len(), 2);

    site.world.clock.advance(Duration::from_secs(31));
    // A body has gone by when the answer comes: this call fails, the next has a better token.
    site.service.refuses("token-2");
    assert_eq!(task.ask(&Ask::post("/files/x", "{}")).await.status, 401);
    assert_eq!(task.ask(&Ask::post("/files/x", "{}")).await.status, 200);
    assert_eq!(site.service.mints().len(), 3);

    // A service that refuses every token is not stormed for others.
    site.service.answers("/v1", 401, &json!({}));
    for _ in 0..5 {
        assert_eq!(task.get("/files/x").await.status, 401);
    }
    assert!(site.service.mints().len() <= 4, "{}", site.service.mints().len());
}

#[tokio::test]
async fn a_mint_that_fails_is_a_502_with_a_reason_and_an_alarm() {
    let site = Site::start().await;
    let task = site.session(&["files:read", "broker:read"]).await;
    for (status, body, reason) in [
        (403, json!({}), "the token service answered 403"),
        (200, json!("text"), "the token service answered without a token"),
        (200, json!({ "result": { "token": 7 } }), "the token service answered without a token"),
        (
            200,
            json!({ "result": { "token": "a\r\nX: b" } }),
            "the token service answered a token that no header can hold",
        ),
    ] {
        site.service.answers("/tokens", status, &body);
        let answer = task.get("/files/x").await;
        assert_eq!((answer.status, answer.text().trim()), (502, reason));
    }
    let alarms = site.world.operate("GET", "/alarms", None).await;
    assert!(alarms.to_string().contains("proxy mint files"), "{alarms}");
    assert_eq!(task.get("/broker/api/queues").await.status, 200, "the others go on");
    let failed = site.world.audited("proxy.mint").await;
    assert!(failed.iter().all(|entry| entry["outcome"] == "failed") && !failed.is_empty());

    site.service.forget_answers();
    assert_eq!(task.get("/files/x").await.status, 200);
    let alarms = site.world.operate("GET", "/alarms", None).await;
    assert!(!alarms.to_string().contains("proxy mint"), "{alarms}");
}

#[tokio::test]
async fn every_token_that_may_work_is_taken_back_at_the_end() {
    let site = Site::start().await;
    let task = site.session(&["files:read"]).await;
    for seconds in [0, 560, 560] {
        site.world.clock.advance(Duration::from_secs(seconds));
        assert_eq!(task.get("/files/x").await.status, 200);
    }
    let end = format!("/proxy/sessions/{}/end", task.session);
    site.world.operate("POST", &end, Some(json!({ "reason": "done" }))).await;
    let revoked = site.service.mints().into_iter().filter(|asked| asked.method == "DELETE");
    let revoked: Vec<_> = revoked.map(|asked| asked.header("authorization").unwrap().to_owned()).collect();
    assert_eq!(revoked, ["Bearer token-2", "Bearer token-3"], "the first one was over");
}

#[tokio::test]
async fn a_life_that_is_shorter_than_the_margin_is_no_reason_to_mint_for_every_call() {
    let text = "[[upstream]]\nname = 'short'\nbase = 'http://ADDRESS'\nnetworks = ['127.0.0.0/8']\nscopes = { whole = 'short' }\n\
                [upstream.credential]\nkind = 'minted'\nurl = 'http://ADDRESS/tokens'\ntoken = 't'\nbody = '{}'\n\
                pointer = '/token'\nlife-pointer = '/expires_in'\nmargin = '1 minute'";
    let service = super::service::Service::start().await;
    let text = text.replace("ADDRESS", &service.address.to_string());
    let declared = keylender::app::settings::read_upstreams(&text).unwrap();
    let site = Site::with(|settings| settings.proxy.declared = Some(declared)).await;
    service.answers("/tokens", 200, &json!({ "token": "short-lived", "expires_in": 60 }));
    let task = site.session(&["short"]).await;
    for _ in 0..5 {
        assert_eq!(task.get("/short/x").await.status, 200);
    }
    assert_eq!(service.mints().len(), 1);
}

#[tokio::test]
async fn the_login_of_an_account_is_lent_again_when_it_was_rotated() {
    let service = Service::start().await;
    let upstream = format!(
        "[[upstream]]\nname = 'management'\nbase = 'http://{}'\nnetworks = ['127.0.0.0/8']\n\
         scopes = {{ whole = 'relay:use' }}\ncredential = {{ kind = 'relay-account', account = 'place' }}\n",
        service.address
    );
    let world = World::with(|settings| {
        settings.relay = relay_rotation::declared();
        settings.proxy.declared = Some(read_upstreams(&upstream).unwrap());
        settings.root_url = None;
    })
    .await;
    let opening = json!({ "scopes": ["relay:use"], "listen": at_port() });
    let refused = relay_rotation::try_to(&world, "POST", "/proxy/sessions", Some(opening.clone())).await.unwrap_err();
    assert!(refused.message().contains("`keylender relay apply` makes it"), "{refused:?}");
    relay_rotation::apply(&world).await;
    let task = Task::of(&world.operate("POST", "/proxy/sessions", Some(opening)).await);
    assert_eq!(world.audited("relay.lend").await.len(), 0, "nothing is lent before it is needed");

    let shown = async || {
        let status = task.get("/management/api/overview").await.status;
        (status, service.asked().last().unwrap().header("authorization").unwrap().to_owned())
    };
    let (_, first) = shown().await;
    assert_eq!(shown().await, (200, first.clone()));
    assert_eq!(world.audited("relay.lend").await.len(), 1);
    relay_rotation::rotate(&world, "place", false).await.unwrap();
    service.refuses(&first);
    assert_eq!(shown().await, (401, first.clone()), "a login that was lent just now is not asked for again and again");
    world.clock.advance(Duration::from_secs(60));
    let (status, second) = shown().await;
    assert_eq!(status, 200);
    assert_ne!(second, first);
    let entries = world.audited("relay.lend").await;
    assert_eq!((entries.len(), &entries[0]["actor"]), (2, &json!({ "session": task.session })));
}
