//! Who may ask, with credentials of clients in the own store: permanent, temporary, restricted, replayed, late.

use std::time::Duration;

use keylender::base::ClientId;

use crate::sign::Client;
use crate::wire::Ask;
use crate::world::{BEGIN, NAMESPACE, World, token_in};

const SCOPES: [&str; 2] = ["pulse:namespace:taskcluster-*", "auth:create-client:temp/*"];
const UNAUTHENTICATED: (u16, &str) = (401, "AuthenticationFailed");
const FORBIDDEN: (u16, &str) = (403, "InsufficientScopes");

fn refused(answer: &crate::wire::Answer) -> (u16, &'static str) {
    let refusals = [UNAUTHENTICATED, FORBIDDEN];
    let (status, code) = answer.error();
    *refusals.iter().find(|(s, c)| (*s, *c) == (status, code.as_str())).expect("a refusal")
}

#[tokio::test]
async fn a_client_claims_within_its_scopes_only() {
    let world = World::start().await;
    let client = world.client("builds", &["pulse:namespace:taskcluster-foo"]).await;
    assert_eq!(world.claim(&client, NAMESPACE, "{}").await.status, 200);
    assert_eq!(refused(&world.claim(&client, "taskcluster-bar", "{}").await), FORBIDDEN);
    assert_eq!(refused(&world.claim(&client.with_token("wrong"), NAMESPACE, "{}").await), UNAUTHENTICATED);
    assert_eq!(refused(&world.ask(&Ask::claim(NAMESPACE, "{}")).await), FORBIDDEN, "no credentials are no scopes");
}

#[tokio::test]
async fn temporary_credentials_work_as_far_as_their_issuer_and_no_further() {
    let world = World::start().await;
    let issuer = world.client("builds", &SCOPES).await;
    let foo = ["pulse:namespace:taskcluster-foo"];
    for name in [None, Some("temp/worker")] {
        let temporary = issuer.issue(BEGIN, name, &foo);
        assert_eq!(world.claim(&temporary, NAMESPACE, "{}").await.status, 200, "{name:?}");
        assert_eq!(refused(&world.claim(&temporary, "taskcluster-bar", "{}").await), FORBIDDEN, "{name:?}");
    }
    let actors: Vec<_> = world.audited("namespace.claim").await.iter().map(|entry| entry["actor"].clone()).collect();
    assert_eq!(actors, [serde_json::json!({"client": "builds"}), serde_json::json!({"client": "temp/worker"})]);

    for (what, temporary) in [
        ("scopes beyond the issuer's", issuer.issue(BEGIN, None, &["pulse:*"])),
        ("a name the issuer may not give", issuer.issue(BEGIN, Some("other/worker"), &foo)),
        ("a token that was tampered with", issuer.issue(BEGIN, None, &foo).with_token("x")),
        ("not begun", issuer.issue(BEGIN.plus(Duration::from_secs(301)), None, &foo)),
        ("over", issuer.issue(BEGIN.minus(Duration::from_secs(3901)), None, &foo)),
    ] {
        assert_eq!(refused(&world.claim(&temporary, NAMESPACE, "{}").await), UNAUTHENTICATED, "{what}");
    }
    for (what, temporary) in [
        ("five minutes early", issuer.issue(BEGIN.plus(Duration::from_secs(300)), None, &foo)),
        ("five minutes late", issuer.issue(BEGIN.minus(Duration::from_secs(3900)), None, &foo)),
        ("31 days", issuer.issue_for(BEGIN, Duration::from_secs(31 * 86_400), None, &foo)),
    ] {
        assert_eq!(world.claim(&temporary, NAMESPACE, "{}").await.status, 200, "{what}");
    }
}

#[tokio::test]
async fn temporary_credentials_end_with_their_issuer() {
    let world = World::start().await;
    let issuer = world.client("builds", &SCOPES).await;
    let temporary = issuer.issue(
        BEGIN,
        Some("temp/worker"),
        &["pulse:namespace:*"][..0].iter().chain(&SCOPES[..1]).copied().collect::<Vec<_>>(),
    );
    assert_eq!(world.claim(&temporary, NAMESPACE, "{}").await.status, 200);
    world.operate("POST", "/clients/builds/disable", None).await;
    assert_eq!(refused(&world.claim(&temporary, NAMESPACE, "{}").await), UNAUTHENTICATED);
    world.operate("POST", "/clients/builds/enable", None).await;
    assert_eq!(world.claim(&temporary, NAMESPACE, "{}").await.status, 200);
    world.operate("POST", "/clients/builds/reset", None).await;
    assert_eq!(refused(&world.claim(&temporary, NAMESPACE, "{}").await), UNAUTHENTICATED);
}

#[tokio::test]
async fn a_request_restricts_itself_by_authorized_scopes() {
    let world = World::start().await;
    let client = world.client("builds", &SCOPES).await;
    let answer = world.claim(&client.restricted(&["pulse:namespace:taskcluster-foo"]), NAMESPACE, "{}").await;
    assert_eq!(answer.status, 200);
    for (scopes, refusal) in [
        (&["pulse:namespace:taskcluster-bar"][..], FORBIDDEN),
        (&[], FORBIDDEN),
        // More than it has is a lie about itself (taskcluster.md 2.4).
        (&["pulse:*"], UNAUTHENTICATED),
    ] {
        assert_eq!(refused(&world.claim(&client.restricted(scopes), NAMESPACE, "{}").await), refusal, "{scopes:?}");
    }
}

#[tokio::test]
async fn a_signed_url_reads_until_it_ends_and_may_be_used_again() {
    let world = World::start().await;
    let client = world.client("auditor", &["keylender:audit:read"]).await;
    let path = "/api/keylender/v1/audit?from=1";
    let target = client.sign_target(path, BEGIN.plus(Duration::from_secs(900)));
    for method in ["GET", "GET", "HEAD"] {
        assert_eq!(world.ask(&Ask::new(method, &target)).await.status, 200);
    }
    let elsewhere = target.replace("from=1", "from=2");
    assert_eq!(refused(&world.ask(&Ask::get(&elsewhere)).await), UNAUTHENTICATED);
    let twice = client.sign(&world, &Ask::get(&target));
    assert_eq!(refused(&world.ask(&twice).await), UNAUTHENTICATED, "one way to sign is enough");
    let posted = client.sign_target("/api/keylender/v1/audit/verify", BEGIN.plus(Duration::from_secs(900)));
    assert_eq!(refused(&world.ask(&Ask::new("POST", &posted)).await), UNAUTHENTICATED);
    world.clock.advance(Duration::from_secs(899));
    assert_eq!(world.ask(&Ask::get(&target)).await.status, 200);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(refused(&world.ask(&Ask::get(&target)).await), UNAUTHENTICATED);
}

#[tokio::test]
async fn a_signed_body_cannot_be_exchanged() {
    let world = World::start().await;
    let client = world.client("builds", &SCOPES).await.hashing();
    let signed = client.sign(&world, &Ask::claim(NAMESPACE, r#"{"contact":"a@example.com"}"#));
    let exchanged = signed.clone().body(r#"{"contact":"b@example.com"}"#);
    assert_eq!(refused(&world.ask(&exchanged).await), UNAUTHENTICATED);
    assert!(world.audited("namespace.create").await.is_empty());
    assert_eq!(world.ask(&signed).await.status, 200, "and the true one still works");
}

#[tokio::test]
async fn a_captured_request_is_refused_for_as_long_as_its_time_stamp_is_accepted() {
    let mut world = World::start().await;
    let client = world.client("builds", &SCOPES).await;
    let request = client.sign(&world, &Ask::claim(NAMESPACE, "{}"));
    assert_eq!(world.ask(&request).await.status, 200);
    assert_eq!(refused(&world.ask(&request).await), UNAUTHENTICATED);
    // The same signature over another way to write the same claim is no other request.
    let elsewhere = Ask { target: format!("/api/pulse/v1/namespace/{NAMESPACE}"), ..request.clone() };
    assert_eq!(refused(&world.ask(&elsewhere).await), UNAUTHENTICATED);
    for seconds in [0, 60, 840] {
        world.clock.advance(Duration::from_secs(seconds));
        world.restart().await;
        assert_eq!(refused(&world.ask(&request).await), UNAUTHENTICATED, "after a restart");
    }
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(refused(&world.ask(&request).await), UNAUTHENTICATED, "and then it is stale");
    assert_eq!(world.audited("namespace.claim").await.len(), 1);
}

#[tokio::test]
async fn a_captured_claim_that_failed_lends_nothing_after_a_restart() {
    let mut world = World::start().await;
    let client = world.client("builds", &SCOPES).await;
    let input = r#"{"expires":"2030-01-01T00:00:00Z"}"#;
    world.broker.go_away();
    assert_eq!(world.claim(&client, NAMESPACE, input).await.status, 503);
    // It wishes nothing new, so that its failure is all there is to note.
    let captured = client.sign(&world, &Ask::claim(NAMESPACE, input));
    assert_eq!(world.ask(&captured).await.status, 503);
    let failures = world.audited("account.settle").await;
    assert!(failures.len() == 2 && failures.iter().all(|entry| entry["request_id"].is_string()), "{failures:?}");
    world.restart().await;
    world.broker.come_back();
    assert_eq!(refused(&world.ask(&captured).await), UNAUTHENTICATED);
    assert_eq!(world.claim(&client, NAMESPACE, input).await.status, 200);
}

#[tokio::test]
async fn a_new_access_token_that_was_lent_cannot_be_captured_by_a_replay_after_a_restart() {
    let mut world = World::start().await;
    let admin = world.client("admin", &["keylender:client:*", SCOPES[0], SCOPES[1]]).await;
    world.client("builds", &SCOPES).await;
    let reset = admin.sign(&world, &Ask::new("POST", "/api/keylender/v1/clients/builds/reset"));
    assert_eq!(world.ask(&reset).await.status, 200);
    world.restart().await;
    assert_eq!(refused(&world.ask(&reset).await), UNAUTHENTICATED);
}

#[tokio::test]
async fn clocks_may_differ_by_a_quarter_of_an_hour() {
    let world = World::start().await;
    let client = world.client("builds", &SCOPES).await;
    for (skew, accepted) in [(-900, true), (900, true), (-901, false), (901, false)] {
        let answer = world.claim(&client.skewed(skew), NAMESPACE, "{}").await;
        assert_eq!(answer.status == 200, accepted, "{skew}");
    }
}

#[tokio::test]
async fn disabled_expired_reset_and_deleted_clients_are_refused() {
    let world = World::start().await;
    let mut client = world.client("builds", &SCOPES).await;
    world.operate("POST", "/clients/builds/disable", None).await;
    assert_eq!(refused(&world.claim(&client, NAMESPACE, "{}").await), UNAUTHENTICATED);
    world.operate("POST", "/clients/builds/enable", None).await;
    assert_eq!(world.claim(&client, NAMESPACE, "{}").await.status, 200);

    let issued = world.operate("POST", "/clients/builds/reset", None).await;
    assert_eq!(refused(&world.claim(&client, NAMESPACE, "{}").await), UNAUTHENTICATED, "the old token");
    client.token = token_in(&issued);
    assert_eq!(world.claim(&client, NAMESPACE, "{}").await.status, 200);

    world.operate("DELETE", "/clients/builds", None).await;
    assert_eq!(refused(&world.claim(&client, NAMESPACE, "{}").await), UNAUTHENTICATED);

    let brief = world.client_until("brief", &SCOPES, Some(BEGIN.plus(Duration::from_secs(60)))).await;
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(world.claim(&brief, NAMESPACE, "{}").await.status, 200);
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(refused(&world.claim(&brief, NAMESPACE, "{}").await), UNAUTHENTICATED);
}

#[tokio::test]
async fn roles_stand_for_scopes_and_take_parameters() {
    let world = World::start().await;
    let client = world.client("builds", &["assume:pulse-user:taskcluster-foo", "assume:indirect"]).await;
    assert_eq!(refused(&world.claim(&client, NAMESPACE, "{}").await), FORBIDDEN);
    world.role("pulse-user:*", &["pulse:namespace:<..>"]).await;
    world.role("indirect", &["assume:pulse-user:taskcluster-bar-*"]).await;
    for (namespace, status) in [(NAMESPACE, 200), ("taskcluster-bar-1", 200), ("taskcluster-baz", 403)] {
        assert_eq!(world.claim(&client, namespace, "{}").await.status, status, "{namespace}");
    }
    world.operate("DELETE", "/roles/pulse%2Duser%3A%2A", None).await;
    assert_eq!(refused(&world.claim(&client, NAMESPACE, "{}").await), FORBIDDEN, "at once");
}

#[tokio::test]
async fn nobody_gives_away_what_they_do_not_have() {
    let world = World::start().await;
    let client = world
        .client(
            "team",
            &["keylender:client:create:team/*", "keylender:role:create:*", "pulse:namespace:taskcluster-team-*"],
        )
        .await;
    let path = "/api/keylender/v1/clients/team%2Fci";
    let put = |path: &str, json: &str| Ask { method: "PUT".into(), ..Ask::post(path, json) };
    let wide = put(path, r#"{"scopes":["pulse:namespace:taskcluster-*"]}"#);
    assert_eq!(refused(&world.ask_as(&client, &wide).await), FORBIDDEN);
    let role = put("/api/keylender/v1/roles/everything", r#"{"scopes":["*"]}"#);
    assert_eq!(refused(&world.ask_as(&client, &role).await), FORBIDDEN);
    let other = put("/api/keylender/v1/clients/other", r#"{"scopes":[]}"#);
    assert_eq!(refused(&world.ask_as(&client, &other).await), FORBIDDEN);
    let own = put(path, r#"{"scopes":["pulse:namespace:taskcluster-team-ci"]}"#);
    assert_eq!(world.ask_as(&client, &own).await.status, 200);
}

#[tokio::test]
async fn nobody_takes_or_wakes_a_client_that_may_do_more_than_they() {
    let world = World::start().await;
    let narrow = world.client("narrow", &["keylender:client:*", SCOPES[0]]).await;
    let wide = world.client("wide", &["keylender:client:*", SCOPES[0], SCOPES[1]]).await;
    let builds = world.client("builds", &SCOPES).await;
    let post = |what: &str| Ask::new("POST", &format!("/api/keylender/v1/clients/builds/{what}"));
    assert_eq!(refused(&world.ask_as(&narrow, &post("reset")).await), FORBIDDEN);
    assert_eq!(world.claim(&builds, NAMESPACE, "{}").await.status, 200, "its token is still good");

    assert_eq!(world.ask_as(&narrow, &post("disable")).await.status, 200, "to stop one takes nothing");
    assert_eq!(refused(&world.ask_as(&narrow, &post("enable")).await), FORBIDDEN);
    assert_eq!(refused(&world.claim(&builds, NAMESPACE, "{}").await), UNAUTHENTICATED);

    assert_eq!(world.ask_as(&wide, &post("enable")).await.status, 200);
    assert_eq!(world.claim(&builds, NAMESPACE, "{}").await.status, 200);
    assert_eq!(world.ask_as(&wide, &post("reset")).await.status, 200);
}

#[tokio::test]
async fn a_replaced_access_token_is_good_for_as_long_as_it_is_kept_and_no_longer() {
    let world = World::start().await;
    let old = world.client("builds", &SCOPES).await;
    let reset = async |seconds: u64| {
        let path = format!("/clients/builds/reset?keepSeconds={seconds}");
        let issued = world.operate("POST", &path, None).await;
        Client::new(ClientId::parse("builds").unwrap(), token_in(&issued))
    };
    let status = async |client: &Client| world.claim(client, NAMESPACE, "{}").await.status;
    let new = reset(3600).await;
    let temporary = old.issue(BEGIN, None, &SCOPES);
    for client in [&old, &new, &temporary] {
        assert_eq!(status(client).await, 200);
    }
    let bearer = Ask::get("/api/keylender/v1/namespaces").with("authorization", &old.bearer());
    assert_eq!(world.ask(&bearer).await.status, 403, "known, and without that scope");
    assert_eq!(status(&old.with_token("x")).await, 401);
    world.clock.advance(Duration::from_secs(3600));
    for (client, expected) in [(&old, 401), (&new, 200), (&temporary, 401)] {
        assert_eq!(status(client).await, expected);
    }
    assert_eq!(world.ask(&bearer).await.status, 401);

    let newer = reset(3600).await;
    let newest = reset(0).await;
    for (client, expected) in [(&new, 401), (&newer, 401), (&newest, 200)] {
        assert_eq!(status(client).await, expected, "a reset that keeps nothing ends all before");
    }
}
