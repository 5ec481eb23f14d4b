//! Sessions: how they begin, and all the ways in which they end.

use std::time::Duration;

use keylender::base::{OperatorName, Secret};
use keylender::domain::auth::Caller;
use keylender::domain::operators::Role;
use keylender::web::peer::TrustProxy;

use super::browser::{Browser, form};
use crate::wire::Ask;
use crate::world::World;

const PASSWORD: &str = "correct horse battery";

fn ada() -> OperatorName {
    OperatorName::parse("ada").unwrap()
}

/// A world with an operator who has a password.
async fn world() -> World {
    let world = World::with(|settings| settings.listen.trust_proxy = TrustProxy::DirectPeer).await;
    let password = Some(Secret::new(PASSWORD));
    world.appliance().operators.create(&Caller::local("test", "r"), ada(), Role::Viewer, password).await.unwrap();
    world
}

fn log_in(name: &str, password: &str, to: &str) -> Ask {
    form("/login", &[("name", name), ("password", password), ("to", to)])
}

/// What `Set-Cookie` gives a browser.
fn cookie(answer: &crate::wire::Answer) -> String {
    answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_password_opens_a_session_that_is_new_and_goes_where_one_wanted() {
    let world = world().await;
    let asked = world.ask(&Ask::get("/hosts?q=a%20b")).await;
    let location = asked.header("location").unwrap().to_owned();
    assert_eq!(location, "/login?to=%2Fhosts%3Fq%3Da%2520b");
    let page = world.ask(&Ask::get(&location)).await;
    assert!(page.text().contains("name=\"to\" value=\"/hosts?q=a%20b\""), "{}", page.text());
    let planted = log_in(" Ada ", PASSWORD, "/hosts?q=a%20b").with("Cookie", "keylender_session=planted");
    let answer = world.ask(&planted).await;
    assert_eq!((answer.status, answer.header("location")), (303, Some("/hosts?q=a%20b")));
    let set = answer.header("set-cookie").unwrap();
    assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Strict") && !set.contains("planted"), "{set}");
    let browser = Browser { operator: ada(), cookie: cookie(&answer) };
    assert_eq!(browser.get(&world, "/").await.status, 200);
    let again = world.ask(&log_in("ada", PASSWORD, "//evil.example").with("Cookie", &browser.cookie)).await;
    assert_eq!(again.header("location"), Some("/"));
    assert_ne!(cookie(&again), browser.cookie, "a session is never taken over");
    assert_eq!(world.ask(&Ask::get("/").with("Cookie", "keylender_session=planted")).await.status, 303);
    let entry = &world.audited("operator.login").await[0];
    assert_eq!((&entry["actor"]["operator"], &entry["object"]), (&"ada".into(), &"ada".into()));
    let stored = world.appliance().operators.sessions().await.unwrap();
    assert!(stored.iter().all(|session| !browser.cookie.contains(&session.id)), "the store has a hash");
}

#[tokio::test]
async fn over_tls_the_cookie_is_one_that_plain_http_cannot_have_set() {
    let world = world().await;
    let answer = world.ask(&log_in("ada", PASSWORD, "/").with("X-Forwarded-Proto", "https")).await;
    let set = answer.header("set-cookie").unwrap();
    assert!(set.starts_with("__Host-keylender_session=") && set.ends_with("SameSite=Strict; Secure"), "{set}");
    let plain = cookie(&answer).replace("__Host-", "");
    let secure = Ask::get("/").with("X-Forwarded-Proto", "https");
    assert_eq!(world.ask(&secure.clone().with("Cookie", &plain)).await.status, 303);
    assert_eq!(world.ask(&secure.with("Cookie", &cookie(&answer))).await.status, 200);
}

#[tokio::test]
async fn whatever_is_wrong_sounds_alike_and_guessing_is_slow() {
    let world = world().await;
    world
        .appliance()
        .operators
        .create(&Caller::local("test", "r"), "bob".parse().unwrap(), Role::Admin, None)
        .await
        .unwrap();
    let from = |address: &str, name: &str, password: &str| log_in(name, password, "/").with("X-Forwarded-For", address);
    let mut said = Vec::new();
    for (name, password) in [("ada", "wrong"), ("bob", ""), ("nobody", PASSWORD), ("A b", PASSWORD)] {
        let answer = world.ask(&from("192.0.2.1", name, password)).await;
        assert_eq!(answer.status, 401, "{name}");
        assert!(answer.header("set-cookie").is_none());
        said.push(answer.text().replace(name, "").replace(&name.to_lowercase(), ""));
    }
    assert!(said.iter().all(|text| *text == said[0]));
    for _ in 0..4 {
        assert_eq!(world.ask(&from("192.0.2.2", "ada", "wrong")).await.status, 401);
    }
    assert_eq!(world.ask(&from("192.0.2.2", "ada", "wrong")).await.status, 401);
    let held_up = world.ask(&from("192.0.2.2", "ada", PASSWORD)).await;
    assert_eq!(held_up.status, 429, "also with the right one");
    assert!(held_up.header("retry-after").unwrap().parse::<u64>().unwrap() > 0);
    assert_eq!(world.ask(&from("192.0.2.3", "ada", PASSWORD)).await.status, 303, "elsewhere it works");
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(world.ask(&from("192.0.2.2", "ada", PASSWORD)).await.status, 303, "and later");
    let refused: Vec<_> =
        world.audited("operator.login").await.into_iter().filter(|entry| entry["outcome"] == "refused").collect();
    assert_eq!(refused.len(), 8);
    assert!(refused.iter().all(|entry| !entry.to_string().contains("nobody") && entry["details"]["address"] != ""));
}

#[tokio::test]
async fn a_session_ends_when_it_is_idle_and_in_any_case_after_half_a_day() {
    let world = World::start().await;
    let minutes = |n: u64| Duration::from_secs(60 * n);
    let (idle, busy) = (Browser::signed_in(&world, Role::Viewer).await, Browser::signed_in(&world, Role::Viewer).await);
    world.clock.advance(minutes(29));
    assert_eq!(busy.get(&world, "/").await.status, 200);
    world.clock.advance(minutes(1));
    assert_eq!(idle.get(&world, "/").await.status, 303);
    for _ in 0..24 {
        assert_eq!(busy.get(&world, "/").await.status, 200);
        world.clock.advance(minutes(28));
    }
    assert_eq!(busy.get(&world, "/").await.status, 200, "after 11 hours and 42 minutes");
    world.clock.advance(minutes(18));
    assert_eq!(busy.get(&world, "/").await.status, 303);
}

#[tokio::test]
async fn a_session_ends_with_its_operator_by_hand_and_at_a_sign_out() {
    let mut world = World::start().await;
    let (first, second) =
        (Browser::signed_in(&world, Role::Viewer).await, Browser::signed_in(&world, Role::Viewer).await);
    let root = Caller::local("root", "r");
    world.restart().await;
    assert_eq!(first.get(&world, "/").await.status, 200, "a restart ends none");
    let out = first.post(&world, "/logout", &[]).await;
    assert_eq!((out.status, out.header("location")), (303, Some("/login")));
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(first.get(&world, "/").await.status, 303);
    assert_eq!(second.get(&world, "/").await.status, 200, "the others go on");
    let operators = &world.appliance().operators;
    let id = operators.sessions().await.unwrap()[0].id.clone();
    operators.revoke_session(&root, id).await.unwrap();
    assert_eq!(second.get(&world, "/").await.status, 303);
    for role in [Role::Operator, Role::Auditor, Role::Admin] {
        let browser = Browser::signed_in(&world, role).await;
        assert_eq!(browser.get(&world, "/").await.status, 200);
        let name = browser.operator.clone();
        match role {
            Role::Operator => operators.disable(&root, name, true).await.unwrap(),
            Role::Auditor => operators.delete(&root, name).await.unwrap(),
            _ => operators.set_role(&root, name, Role::Viewer).await.unwrap(),
        }
        assert_eq!(browser.get(&world, "/").await.status, 303, "{role}");
    }
    let last = Browser::signed_in(&world, Role::Viewer).await;
    operators.end_sessions().await.unwrap();
    assert_eq!(last.get(&world, "/").await.status, 303, "as after a restoration");
    let back = operators.disable(&root, "operator".parse().unwrap(), false).await;
    assert!(back.is_ok() && world.audited("operator.enable").await.len() == 1);
}
