//! Whose scopes services hold: by which image, and of what their worker holds.

use serde_json::json;

use super::{PATH, STAR, at_loopback, digest, give, open, opening, pulled, role, site, worker};
use crate::authority::{self, ScriptedAuthority};
use crate::proxy::Site;
use crate::wire::Ask;

#[tokio::test]
async fn a_service_holds_what_its_image_was_given_and_the_audit_log_says_why() {
    let site = site().await;
    give(&site.world, &role('a'), &["files:read", "broker:read"]).await;
    give(&site.world, &role('b'), &["files:write"]).await;
    let client = worker(&site.world, &[STAR]).await;
    let answer = open(&site.world, &client, &opening("auth:1", &pulled('a'))).await.json();
    let service = &answer["services"][0];
    assert_eq!(service["imageId"], digest('a'));
    assert_eq!(service["role"], role('a'));
    assert_eq!(service["scopes"], json!([format!("assume:{}", role('a')), "broker:read", "files:read"]));
    let upstreams = service["upstreams"].as_array().unwrap();
    let granted: Vec<_> = upstreams.iter().map(|one| (&one["upstream"], &one["permissions"])).collect();
    assert_eq!(granted, [(&json!("files"), &json!(["read"])), (&json!("broker"), &json!(["read"]))]);

    let session = format!("/proxy/sessions/{}", service["session"].as_str().unwrap());
    let session = site.world.operate("GET", &session, None).await;
    assert_eq!(session["scopes"], json!([format!("assume:{}", role('a'))]), "the one scope that is delegated");
    let entry = site.world.audited("services.open").await.remove(0);
    let said = entry["details"]["services"][0].as_str().unwrap().to_owned();
    assert!(said.contains(&digest('a')) && said.contains("docker.io/library/auth"), "{said}");
}

#[tokio::test]
async fn only_a_worker_that_holds_the_scope_of_all_its_images_opens_services() {
    let site = site().await;
    let own = format!("assume:{}", role('a'));
    for (scopes, status) in [
        (&[STAR] as &[&str], 200),
        (&["assume:docker-service-image:aws/geck*"], 200),
        (&["assume:docker-service-image:aws/*"], 200),
        (&["assume:docker-service-image:*"], 200),
        (&["assume:*"], 200),
        (&["*"], 200),
        (&[], 403),
        (&[&own], 403),
        (&["assume:docker-service-image:aws/gecko"], 403),
        (&["assume:docker-service-image:aws/gecko/s*"], 403),
        (&["assume:docker-service-image:aws/other/*"], 403),
        (&["assume:docker-service-image:gcp/gecko/*"], 403),
        (&["docker-service-image:aws/gecko/*"], 403),
    ] {
        let client = worker(&site.world, scopes).await;
        let answer = open(&site.world, &client, &opening("auth", &pulled('a'))).await;
        assert_eq!(answer.status, status, "{scopes:?}: {}", answer.text());
        if status == 403 {
            assert!(answer.text().contains(STAR), "{}", answer.text());
        }
    }
    let without = site.world.client("other", &[STAR]).await;
    assert_eq!(open(&site.world, &without, &opening("auth", &pulled('a'))).await.status, 403);
}

#[tokio::test]
async fn a_tag_decides_nothing_and_an_image_of_no_registry_gets_nothing_until_it_is_named() {
    let mut named = format!("aws/gecko/{}", digest('0'));
    for is_named in [false, true] {
        let local = named.parse().unwrap();
        let site = Site::with(|settings| {
            at_loopback(settings);
            settings.services.local_images = if is_named { vec![local] } else { Vec::new() };
        })
        .await;
        give(&site.world, &role('0'), &["files:local"]).await;
        give(&site.world, &role('c'), &["files:invented"]).await;
        // A role that somebody named by a tag is nobody's.
        give(&site.world, "docker-service-image:aws/gecko/auth:1", &["files:tag"]).await;
        let client = worker(&site.world, &[STAR]).await;
        for facts in [
            json!({ "id": digest('0'), "entrypoint": ["/auth"] }),
            json!({ "id": digest('0'), "repoDigests": [format!("localhost/auth@{}", digest('c'))] }),
        ] {
            let answer = open(&site.world, &client, &opening("localhost/auth:1", &facts)).await.json();
            let service = &answer["services"][0];
            if is_named {
                assert_eq!(service["imageId"], digest('0'));
                assert_eq!(service["upstreams"][0]["permissions"], json!(["local"]));
            } else {
                assert_eq!(service.get("imageId"), None);
                assert_eq!((service["scopes"].clone(), service["upstreams"].clone()), (json!([]), json!([])));
                assert!(service["decision"].as_str().unwrap().contains(&named), "{service}");
            }
        }
        let elsewhere = json!({ "provisionerId": "aws", "workerType": "other" });
        let mut input = opening("localhost/auth:1", &json!({ "id": digest('0') }));
        input.as_object_mut().unwrap().extend(elsewhere.as_object().unwrap().clone());
        let client = worker(&site.world, &["assume:docker-service-image:aws/*"]).await;
        let answer = open(&site.world, &client, &input).await.json();
        assert_eq!(answer["services"][0].get("imageId"), None, "it is named for others");
        named = format!("aws/gecko/{}", digest('0'));
    }
}

#[tokio::test]
async fn an_image_that_is_another_one_than_the_payload_names_is_refused() {
    let site = site().await;
    let client = worker(&site.world, &[STAR]).await;
    for (image, facts, status) in [
        (format!("auth@{}", digest('a')), pulled('a'), 200),
        (format!("auth@{}", digest('b')), pulled('a'), 409),
        (digest('0'), pulled('a'), 200),
        (digest('b'), pulled('a'), 409),
    ] {
        let answer = open(&site.world, &client, &opening(&image, &facts)).await;
        assert_eq!(answer.status, status, "{image}: {}", answer.text());
    }
    let refused = site.world.audited("services.open").await;
    assert!(refused.iter().any(|entry| entry["outcome"] == "refused"), "{refused:?}");
}

#[tokio::test]
async fn a_role_that_nobody_made_is_no_error_and_gives_nothing() {
    let site = site().await;
    let client = worker(&site.world, &[STAR]).await;
    let answer = open(&site.world, &client, &opening("auth", &pulled('a'))).await.json();
    let service = &answer["services"][0];
    assert_eq!(service["scopes"], json!([format!("assume:{}", role('a'))]));
    assert_eq!(service["upstreams"], json!([]));

    // One for all images of these workers is theirs, too.
    give(&site.world, "docker-service-image:aws/gecko/*", &["files:<..>"]).await;
    let answer = open(&site.world, &client, &opening("auth", &pulled('a'))).await.json();
    assert_eq!(answer["services"][0]["upstreams"][0]["permissions"], json!([digest('a')]));
}

#[tokio::test]
async fn what_the_worker_does_not_hold_is_not_passed_on_and_is_named() {
    // A deployment that says of the role more than it says of the worker.
    let authority = ScriptedAuthority::start(|question| {
        let answer = if question.head.contains("/scopes/expand") {
            let mut scopes = question.body["scopes"].as_array().unwrap().clone();
            scopes.extend([json!("files:read"), json!("files:secret")]);
            json!({ "scopes": scopes })
        } else {
            json!({ "status": "auth-success", "clientId": "worker", "scopes": [STAR, "files:read", "keylender:services:open"] })
        };
        authority::json("200 OK", &answer.to_string())
    })
    .await;
    let site = Site::with(|settings| {
        at_loopback(settings);
        authority.settle(settings);
    })
    .await;
    let signed = r#"Hawk id="worker", ts="1795176000", nonce="n", mac="m=""#;
    let input = opening("auth", &pulled('a')).to_string();
    let answer = site.world.ask(&Ask::post(PATH, &input).with("Authorization", signed)).await.json();
    let service = &answer["services"][0];
    assert_eq!(service["scopes"], json!([format!("assume:{}", role('a')), "files:read"]));
    assert_eq!(service["notHeld"], json!(["files:secret"]));
    assert_eq!(service["upstreams"][0]["permissions"], json!(["read"]));
}

#[tokio::test]
async fn a_command_never_becomes_the_program_that_holds_the_scopes() {
    let site = site().await;
    give(&site.world, &role('a'), &["files:read"]).await;
    let client = worker(&site.world, &[STAR]).await;
    let label = |value: &str| json!({ "org.keylender.command": value });
    for (entrypoint, labels, digit, status) in [
        // Only the image itself knows that it takes a command for the words of a stranger.
        (json!(["/auth"]), label("untrusted"), 'a', 200),
        (json!(["/auth"]), json!({}), 'a', 403),
        (json!(["/auth"]), label("yes"), 'a', 403),
        (json!([]), label("untrusted"), 'a', 403),
        // Whoever holds nothing may run anything.
        (json!([]), json!({}), 'b', 200),
    ] {
        let mut facts = pulled(digit);
        (facts["entrypoint"], facts["labels"]) = (entrypoint.clone(), labels.clone());
        let mut input = opening(&format!("auth@{}", digest(digit)), &facts);
        input["payload"]["services"][0]["command"] = json!(["cat", "/proc/self/environ"]);
        let answer = open(&site.world, &client, &input).await;
        assert_eq!(answer.status, status, "{entrypoint} {labels}: {}", answer.text());
        if status == 403 {
            assert!(answer.text().contains("the service `auth`") && answer.text().contains("org.keylender.command"));
        }
        // Of calls that are signed, only who judges them knows what they are worth.
        input["credentials"] = json!({ "clientId": "worker", "accessToken": "key" });
        let signing = open(&site.world, &client, &input).await;
        assert_eq!(signing.status, if labels == label("untrusted") { status } else { 403 }, "{}", signing.text());
    }
}

#[tokio::test]
async fn of_several_digests_that_one_counts_which_was_given_something() {
    let site = site().await;
    let client = worker(&site.world, &[STAR]).await;
    // As podman lists an image for several platforms: its index, and the manifest of this one.
    let mut facts = pulled('a');
    let digests = ['a', 'b'].map(|digit| format!("docker.io/library/auth@{}", digest(digit)));
    facts["repoDigests"] = json!(digests);
    let decide = async || open(&site.world, &client, &opening("auth:1", &facts)).await;
    assert_eq!(decide().await.json()["services"][0]["upstreams"], json!([]));
    give(&site.world, &role('b'), &["files:read"]).await;
    assert_eq!(decide().await.json()["services"][0]["imageId"], digest('b'));
    give(&site.world, &role('a'), &["files:read"]).await;
    assert_eq!(decide().await.json()["services"][0]["upstreams"][0]["permissions"], json!(["read"]));
    give(&site.world, &role('a'), &["files:write"]).await;
    let refused = decide().await;
    assert!(refused.status == 409 && refused.text().contains("name the one that is meant"), "{}", refused.text());
    let named = open(&site.world, &client, &opening(&format!("auth@{}", digest('b')), &facts)).await;
    assert_eq!(named.json()["services"][0]["upstreams"][0]["permissions"], json!(["read"]));
}

#[tokio::test]
async fn a_deployment_that_expands_roles_for_nobody_is_told_what_is_missing() {
    let authority = ScriptedAuthority::start(|question| {
        let answer =
            json!({ "status": "auth-success", "clientId": "worker", "scopes": [STAR, "keylender:services:open"] });
        let status = if question.head.contains("/scopes/expand") { "403 Forbidden" } else { "200 OK" };
        authority::json(status, &answer.to_string())
    })
    .await;
    let site = Site::with(|settings| {
        at_loopback(settings);
        authority.settle(settings);
    })
    .await;
    let signed = r#"Hawk id="worker", ts="1795176000", nonce="n", mac="m=""#;
    let input = opening("auth", &pulled('a')).to_string();
    let answer = site.world.ask(&Ask::post(PATH, &input).with("Authorization", signed)).await;
    assert!(answer.status == 409 && answer.text().contains("auth:expand-scopes"), "{}", answer.text());
}

#[tokio::test]
async fn the_queue_says_what_the_task_may_and_whose_workers_run_it() {
    let authority = ScriptedAuthority::start(|question| {
        let answer = if question.head.contains("/scopes/expand") {
            json!({ "scopes": question.body["scopes"] })
        } else if question.head.contains("/status") {
            json!({ "status": { "runs": [{ "runId": 0, "state": "running" }] } })
        } else if question.head.contains("/queue/v1/task/") {
            let deadline = "2026-11-20T13:00:00.000Z";
            json!({ "scopes": ["a:b"], "deadline": deadline, "provisionerId": "aws", "workerType": "gecko" })
        } else {
            let scopes = ["assume:docker-service-image:*", "keylender:services:open"];
            json!({ "status": "auth-success", "clientId": "worker", "scopes": scopes })
        };
        authority::json("200 OK", &answer.to_string())
    })
    .await;
    let site = Site::with(|settings| {
        at_loopback(settings);
        authority.settle(settings);
    })
    .await;
    let signed = r#"Hawk id="worker", ts="1795176000", nonce="n", mac="m=""#;
    let ask = async |change: &[(&str, serde_json::Value)]| {
        let mut input = opening("auth", &pulled('a'));
        (input["taskId"], input["runId"]) = ("fN1SbArXTPSVFNUvaOlinQ".into(), 0.into());
        change.iter().for_each(|(member, value)| input[*member] = value.clone());
        site.world.ask(&Ask::post(PATH, &input.to_string()).with("Authorization", signed)).await
    };
    let opened = ask(&[]).await.json();
    assert_eq!(opened["ends"], "2026-11-20T13:00:00.000Z", "with its task, at the latest: {opened}");
    assert_eq!(opened["task"]["environment"]["TASK_ID"], "fN1SbArXTPSVFNUvaOlinQ");
    let env = opened["services"][0]["container"]["create"]["Env"].to_string();
    assert!(env.contains("RUN_ID=0") && !env.contains("a:b"), "{env}");
    for (change, status, words) in [
        (("workerType", json!("other")), 409, "for workers of aws/gecko"),
        (("runId", json!(1)), 409, "is not running"),
        (("taskScopes", json!(["c:d"])), 400, "leave taskScopes out"),
    ] {
        let answer = ask(std::slice::from_ref(&change)).await;
        assert!(answer.status == status && answer.text().contains(words), "{change:?}: {}", answer.text());
    }
}
