//! The first start, the second factor, and who may do what.

use keylender::base::{OperatorName, Secret};
use keylender::domain::auth::Caller;
use keylender::domain::operators::Role;
use keylender::proto::totp;
use serde_json::json;

use super::browser::{Browser, form};
use crate::wire::{Answer, Ask};
use crate::world::World;

const PASSWORD: &str = "correct horse battery";

/// What stands between two texts of a page.
fn between<'p>(page: &'p Answer, before: &str, after: &str) -> &'p str {
    let (_, rest) = page.text().split_once(before).unwrap_or_else(|| panic!("{before}: {}", page.text()));
    rest.split(after).next().unwrap()
}

#[tokio::test]
async fn the_first_admin_is_made_by_a_link_that_works_once_and_for_a_day() {
    let world = World::start().await;
    let operators = &world.appliance().operators;
    assert_eq!(world.ask(&Ask::get("/")).await.header("location"), Some("/setup"));
    assert_eq!(world.ask(&Ask::get("/login")).await.header("location"), Some("/setup"));
    let link = async || operators.new_setup_link().await.unwrap().unwrap();
    let (old, new) = (link().await, link().await);
    let page = async |token: &Secret| world.ask(&Ask::get(&format!("/setup?token={}", token.expose()))).await;
    for token in [&old, &Secret::new("x"), &Secret::new("")] {
        let page = page(token).await;
        assert!(page.status == 403 && page.text().contains("keylender operator create"), "{}", page.text());
        assert!(!page.text().contains("RabbitMQ"), "strangers learn nothing");
    }
    let shown = page(&new).await;
    for part in ["store", "clock", "broker", "host credentials", "mail", "RabbitMQ"] {
        assert!(shown.status == 200 && shown.text().contains(part), "{part}: {}", shown.text());
    }
    let send = async |token: &Secret, password: &str, again: &str| {
        let fields = [("token", token.expose()), ("name", "ada"), ("password", password), ("again", again)];
        world.ask(&form("/setup", &fields)).await
    };
    assert_eq!(send(&old, PASSWORD, PASSWORD).await.status, 403);
    for (password, again) in [("short", "short"), (PASSWORD, "another one, longer")] {
        let answer = send(&new, password, again).await;
        assert!(answer.status == 400 && answer.text().contains("role=\"alert\""), "{}", answer.text());
        assert!(!answer.text().contains(again));
    }
    let (one, other) = tokio::join!(send(&new, PASSWORD, PASSWORD), send(&new, PASSWORD, PASSWORD));
    assert_eq!([one.status, other.status].iter().filter(|status| **status == 303).count(), 1);
    let made = if one.status == 303 { one } else { other };
    let cookie = made.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let ada = Browser { operator: "ada".parse().unwrap(), cookie };
    assert!(ada.get(&world, "/access").await.text().contains(">ada<"));
    assert_eq!(send(&new, PASSWORD, PASSWORD).await.status, 403);
    assert_eq!(page(&new).await.header("location"), Some("/login"));
    assert!(operators.new_setup_link().await.unwrap().is_none());
    let entry = &world.audited("operator.create").await[0];
    assert_eq!((&entry["details"]["role"], &entry["details"]["by"]), (&"admin".into(), &"setup link".into()));
}

#[tokio::test]
async fn a_setup_link_is_over_after_a_day() {
    let world = World::start().await;
    let operators = &world.appliance().operators;
    let token = operators.new_setup_link().await.unwrap().unwrap();
    world.clock.advance(std::time::Duration::from_secs(24 * 60 * 60 - 1));
    assert!(operators.setup_link_works(&token).unwrap());
    world.clock.advance(std::time::Duration::from_secs(1));
    assert!(!operators.setup_link_works(&token).unwrap());
}

fn unbase32(text: &str) -> Vec<u8> {
    let value = |c: char| "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".find(c).unwrap() as u8;
    let bits: Vec<u8> = text.chars().flat_map(|c| (0..5).rev().map(move |bit| value(c) >> bit & 1)).collect();
    bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |byte, bit| byte << 1 | bit)).collect()
}

#[tokio::test]
async fn a_second_factor_is_asked_for_and_each_of_its_codes_works_once() {
    let world = World::start().await;
    let ada: OperatorName = "ada".parse().unwrap();
    let password = Some(Secret::new(PASSWORD));
    world.appliance().operators.create(&Caller::local("test", "r"), ada.clone(), Role::Viewer, password).await.unwrap();
    let log_in = async |code: &str| {
        let answer = world.ask(&form("/login", &[("name", "ada"), ("password", PASSWORD), ("code", code)])).await;
        world.clock.advance(std::time::Duration::from_secs(60));
        answer
    };
    let cookie = |answer: &Answer| answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let browser = Browser { operator: ada, cookie: cookie(&log_in("").await) };
    let page = browser.post(&world, "/account/second", &[]).await;
    let key = unbase32(&between(&page, "<pre tabindex=\"0\"><code>", "<").replace(' ', ""));
    let now = || totp::code_at(&key, u64::try_from(world.clock.now().as_seconds()).unwrap());
    assert_eq!(log_in("").await.status, 303, "not before a code was seen");
    assert_eq!(browser.post(&world, "/account/second/confirm", &[("code", "000000")]).await.status, 400);
    let page = browser.post(&world, "/account/second/confirm", &[("code", &now())]).await;
    let codes: Vec<String> =
        between(&page, "<pre tabindex=\"0\"><code>", "</code>").lines().map(str::to_owned).collect();
    assert_eq!(codes.len(), 10, "{codes:?}");
    assert_eq!(log_in(&now()).await.status, 401, "that code was used to turn it on");
    assert_eq!(log_in("").await.status, 401);
    let code = now();
    assert_eq!(log_in(&code).await.status, 303);
    assert_eq!(log_in(&code).await.status, 401, "used, and over");
    assert_eq!(log_in(&codes[0].to_lowercase()).await.status, 303);
    assert_eq!(log_in(&codes[0]).await.status, 401);
    assert!(browser.get(&world, "/account").await.text().contains("9 recovery codes left"));
    assert_eq!(browser.post(&world, "/account/second/remove", &[("code", "1")]).await.status, 400);
    assert_eq!(browser.post(&world, "/account/second/remove", &[("code", &codes[1])]).await.status, 303);
    assert_eq!(log_in("").await.status, 303);
}

#[tokio::test]
async fn operators_are_managed_alike_by_page_by_command_and_by_api() {
    let world = World::start().await;
    let made = world.operate("PUT", "/operators/ada", Some(json!({"role": "auditor"}))).await;
    let password = made["password"].as_str().unwrap().to_owned();
    let answer = world.ask(&form("/login", &[("name", "ada"), ("password", &password)])).await;
    assert_eq!(answer.status, 303);
    let ada = Browser {
        operator: "ada".parse().unwrap(),
        cookie: answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned(),
    };
    let page = ada.get(&world, "/access").await;
    assert!(page.status == 200 && !page.text().contains("New operator"), "an auditor only looks");
    let admin = Browser::signed_in(&world, Role::Admin).await;
    let page = admin.post(&world, "/access/new", &[("name", "bob"), ("role", "viewer")]).await;
    assert!(page.text().contains("not shown again"), "{}", page.text());
    let plan = admin.get(&world, "/access/operators/ada/operator").await;
    assert!(plan.text().contains("Instead of auditor they are operator"), "{}", plan.text());
    let done = admin.post(&world, "/access/operators/ada/operator", &[]).await;
    assert_eq!(done.status, 303);
    assert_eq!(ada.get(&world, "/").await.status, 303, "their sessions end");
    let list = world.operate("GET", "/operators", None).await;
    let roles: Vec<_> = list["operators"].as_array().unwrap().iter().map(|o| o["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["operator", "admin", "viewer"]);
    let shown = admin.get(&world, "/access/sessions?export=json").await.json();
    assert_eq!(shown.as_array().unwrap().len(), 1);
    world.operate("DELETE", "/operators/bob", None).await;
    assert_eq!(admin.get(&world, "/access/operators/bob").await.status, 404);
}

#[tokio::test]
async fn the_tester_says_whether_somebody_may_and_why() {
    let world = World::start().await;
    world.role("builds", &["pulse:namespace:taskcluster-*"]).await;
    world.client("team/builds", &["assume:builds", "a:b"]).await;
    let browser = Browser::signed_in(&world, Role::Auditor).await;
    for (who, scope, word, why) in [
        ("team/builds", "a:b", ">yes<", "it holds the scope a:b"),
        ("team/builds", "pulse:namespace:taskcluster-x", ">yes<", "a role that it holds has the scope"),
        ("team/builds", "keylender:client:list", ">no<", "none of its scopes"),
        ("auditor", "keylender:audit:read", ">yes<", "the role auditor has the scope keylender:audit:read"),
        ("auditor", "keylender:loop:run:rotate", ">no<", "no scope of the role auditor"),
        ("nobody", "a", ">unknown<", "there is no client"),
    ] {
        let page = browser.get(&world, &format!("/access/test?who={}&scope={scope}", who.replace('/', "%2F"))).await;
        assert!(page.text().contains(word) && page.text().contains(why), "{who} {scope}: {}", page.text());
    }
}
