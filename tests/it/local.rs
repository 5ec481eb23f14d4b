//! Users of this host: bearer tokens over loopback, and the control socket.

use std::os::unix::fs::PermissionsExt;

use keylender::app::operate::Operator;
use keylender::base::Kind;
use keylender::web::peer::TrustProxy;
use serde_json::json;

use crate::authority::ScriptedAuthority;
use crate::wire::Ask;
use crate::world::{NAMESPACE, World};

const SCOPES: [&str; 1] = ["pulse:namespace:taskcluster-*"];

#[tokio::test]
async fn a_bearer_token_is_enough_where_nobody_can_listen() {
    let world = World::start().await;
    let client = world.client("team/builds", &SCOPES).await;
    let claim = Ask::claim(NAMESPACE, "{}").with("Authorization", &client.bearer());
    for _ in 0..2 {
        assert_eq!(world.ask(&claim).await.status, 200, "from loopback, and again");
    }
    assert_eq!(
        world.ask(&claim.clone().with("Authorization", &client.bearer().replace("Bearer", "bearer"))).await.status,
        200
    );
    for wrong in [
        client.with_token("wrong").bearer(),
        "Bearer".into(),
        "Bearer team".into(),
        "Bearer nobody/x".into(),
        format!("{} ", client.bearer()[..20].to_owned()),
    ] {
        assert_eq!(world.ask(&claim.clone().with("Authorization", &wrong)).await.error().0, 401, "{wrong}");
    }
    world.operate("POST", "/clients/team%2Fbuilds/disable", None).await;
    assert_eq!(world.ask(&claim).await.error().0, 401);
}

#[tokio::test]
async fn a_bearer_token_that_came_through_a_proxy_was_in_the_open() {
    let world = World::start().await;
    let client = world.client("builds", &SCOPES).await;
    let claim = Ask::claim(NAMESPACE, "{}").with("Authorization", &client.bearer());
    for (header, value) in [
        ("X-Forwarded-For", "192.0.2.1"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "keylender.example"),
        ("X-Real-IP", "192.0.2.1"),
        ("Forwarded", "for=192.0.2.1;proto=http"),
        ("Via", "1.1 proxy"),
    ] {
        let answer = world.ask(&claim.clone().with(header, value)).await;
        assert_eq!(answer.error(), (401, "AuthenticationFailed".into()), "{header}");
    }
}

#[tokio::test]
async fn a_trusted_proxy_may_say_that_nobody_could_listen() {
    let world = World::with(|settings| {
        settings.listen.trust_proxy = TrustProxy::Hops(vec!["127.0.0.0/8".parse().unwrap()].into())
    })
    .await;
    let client = world.client("builds", &SCOPES).await;
    let claim =
        Ask::claim(NAMESPACE, "{}").with("Authorization", &client.bearer()).with("X-Forwarded-For", "192.0.2.1");
    assert_eq!(world.ask(&claim).await.error().0, 401);
    assert_eq!(world.ask(&claim.clone().with("X-Forwarded-Proto", "http")).await.error().0, 401);
    assert_eq!(world.ask(&claim.with("X-Forwarded-Proto", "https")).await.status, 200);
}

#[tokio::test]
async fn a_bearer_token_means_nothing_to_a_remote_authority() {
    let authority =
        ScriptedAuthority::saying(json!({"status": "auth-success", "scopes": ["*"], "clientId": "x"})).await;
    let world = World::with(|settings| authority.settle(settings)).await;
    let client = world.client("builds", &SCOPES).await;
    let answer = world.ask(&Ask::claim(NAMESPACE, "{}").with("Authorization", &client.bearer())).await;
    assert_eq!(answer.error(), (401, "AuthenticationFailed".into()));
    assert!(authority.questions().is_empty(), "the token is not sent anywhere");
}

#[tokio::test]
async fn the_control_socket_is_for_its_owner_and_leaves_with_the_appliance() {
    let mut world = World::start().await;
    let socket = world.settings.data_dir.join("control.sock");
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::metadata(world.settings.data_dir.join("key")).unwrap().permissions().mode() & 0o777, 0o600);
    let entry = &world.operate("PUT", "/clients/a", Some(json!({"scopes": []}))).await;
    assert!(entry["accessToken"].is_string());
    let actor = &world.audited("client.create").await[0]["actor"];
    assert!(actor["local"].as_str().unwrap().starts_with("uid "), "{actor}");
    world.stop().await;
    assert!(!socket.exists());
}

#[tokio::test]
async fn operators_read_why_something_was_refused() {
    let world = World::start().await;
    world.client("builds", &SCOPES).await;
    let operator = Operator::connect(&world.settings).unwrap();
    for (method, path, input, kind) in [
        ("PUT", "/clients/builds", json!({"scopes": []}), Kind::Conflict),
        ("PUT", "/clients/a%20b", json!({"scopes": []}), Kind::Invalid),
        ("PUT", "/clients/b", json!({"scopes": ["é"]}), Kind::Invalid),
        ("PUT", "/clients/b", json!({"scopes": ["a**"]}), Kind::Invalid),
        ("PUT", "/clients/b", json!({"scopes": [], "surprise": 1}), Kind::Invalid),
        ("PUT", "/clients/b", json!({}), Kind::Invalid),
        ("PUT", "/roles/b", json!({"scopes": ["assume:b"]}), Kind::Invalid),
        ("POST", "/clients/b/reset", json!({}), Kind::NotFound),
        ("DELETE", "/clients/b", json!({}), Kind::NotFound),
        ("DELETE", "/roles/b", json!({}), Kind::NotFound),
        ("GET", "/namespaces/taskcluster-none", json!({}), Kind::NotFound),
        ("GET", "/nowhere", json!({}), Kind::NotFound),
    ] {
        let error = operator.call(method, path, Some(input)).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{method} {path}: {error}");
        assert!(!error.message().contains("requestInfo") && !error.message().is_empty());
    }
    assert_eq!(world.audited("client.create").await.len(), 1, "and nothing changed");
}

#[tokio::test]
async fn an_operator_is_not_told_that_something_was_done_when_it_was_not() {
    let world = World::start().await;
    let client = world.client("builds", &SCOPES).await;
    assert_eq!(world.claim(&client, NAMESPACE, "{}").await.status, 200);
    world.broker.go_away();
    let operator = Operator::connect(&world.settings).unwrap();
    let path = |verb: &str| format!("/namespaces/{NAMESPACE}/{verb}");
    assert_eq!(operator.work(&path("expire")).await.unwrap_err().kind(), Kind::Unavailable, "it goes on later");
    let error = operator.work(&path("rotate")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict, "{error}");
    assert!(error.message().contains("is being removed"), "{error}");
}
