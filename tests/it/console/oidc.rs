//! Signing in by an OpenID Connect issuer: the way there and back, and everything that must not work.

use std::time::Duration;

use keylender::base::{OperatorName, Secret};
use keylender::domain::auth::Caller;
use keylender::domain::operators::Role;
use serde_json::json;

use super::browser::Browser;
use super::issuer::Issuer;
use crate::wire::{Answer, Ask};
use crate::world::World;

fn ada() -> OperatorName {
    OperatorName::parse("ada").unwrap()
}

/// An issuer, and a world that has it and one operator of its own.
async fn world() -> (Issuer, World) {
    let issuer = Issuer::start().await;
    let world = World::with(|settings| issuer.settle(settings)).await;
    let own = OperatorName::parse("own").unwrap();
    let password = Some(Secret::new("correct horse battery"));
    world.appliance().operators.create(&Caller::local("test", "r"), own, Role::Admin, password).await.unwrap();
    (issuer, world)
}

/// The cookie of a name that an answer gives.
fn cookie(answer: &Answer, name: &str) -> Option<String> {
    let set = answer.headers.iter().filter(|(header, _)| header == "set-cookie").map(|(_, value)| value);
    set.map(|value| value.split(';').next().unwrap().to_owned()).find(|pair| pair.starts_with(&format!("{name}=")))
}

/// The way to the issuer, with the cookie for the way back; and where the issuer sends the browser.
async fn depart(issuer: &Issuer, world: &World, to: &str) -> (String, String) {
    let answer = world.ask(&Ask::get(&format!("/login/oidc?to={to}"))).await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    let back = issuer.sign_in(answer.header("location").unwrap());
    (cookie(&answer, "keylender_signin").unwrap(), back)
}

/// A whole sign-in.
async fn sign_in(issuer: &Issuer, world: &World) -> Answer {
    let (kept, back) = depart(issuer, world, "%2Fhosts").await;
    // Stories have more sign-ins than an address may try in a minute.
    world.clock.advance(Duration::from_secs(6));
    world.ask(&Ask::get(&back).with("Cookie", &kept)).await
}

fn browser(answer: &Answer) -> Browser {
    Browser { operator: ada(), cookie: cookie(answer, "keylender_session").expect("a session") }
}

#[tokio::test]
async fn an_issuer_signs_people_in_and_they_go_where_they_wanted() {
    let (issuer, world) = world().await;
    let login = world.ask(&Ask::get("/login?to=%2Fhosts")).await;
    assert!(login.text().contains("href=\"/login/oidc?to=%2Fhosts\""), "{}", login.text());
    let departed = world.ask(&Ask::get("/login/oidc?to=%2Fhosts")).await;
    let kept = departed.header("set-cookie").unwrap();
    assert!(kept.contains("; Path=/; HttpOnly; SameSite=Lax; Max-Age=600"), "{kept}");
    let answer = sign_in(&issuer, &world).await;
    assert_eq!(answer.status, 200, "a page, because a strict cookie does not come along a redirect");
    assert!(answer.text().contains("http-equiv=\"refresh\" content=\"0; url=/hosts\""), "{}", answer.text());
    assert_eq!(cookie(&answer, "keylender_signin").unwrap(), "keylender_signin=", "it is used up");
    assert!(
        answer
            .headers
            .iter()
            .any(|(_, value)| value.contains("keylender_session=") && value.contains("SameSite=Strict"))
    );
    assert_eq!(browser(&answer).get(&world, "/hosts").await.status, 200);
    let shown = world.appliance().operators.operator(&ada()).unwrap();
    assert!(shown.role == Role::Viewer && !shown.has_password);
    let entry = &world.audited("operator.login").await[0];
    assert_eq!((&entry["actor"]["operator"], &entry["outcome"]), (&"ada".into(), &"done".into()));
    assert_eq!(world.audited("operator.create").await.len(), 2);
    let (kept, back) = depart(&issuer, &world, "%2F%2Fevil.example").await;
    let answer = world.ask(&Ask::get(&back).with("Cookie", &kept)).await;
    assert!(answer.text().contains("url=/\""), "nobody is sent to another site: {}", answer.text());
}

#[tokio::test]
async fn without_an_issuer_there_is_no_button_and_no_way() {
    let world = World::start().await;
    drop(Browser::signed_in(&world, Role::Viewer).await);
    assert!(!world.ask(&Ask::get("/login")).await.text().contains("oidc"));
    assert_eq!(world.ask(&Ask::get("/login/oidc")).await.status, 404);
    assert_eq!(world.ask(&Ask::get("/login/oidc/back?code=a&state=b")).await.status, 404);
}

#[tokio::test]
async fn a_token_that_is_not_for_this_sign_in_opens_nothing() {
    let (issuer, world) = world().await;
    let now = crate::world::BEGIN.as_seconds();
    for (claims, why) in [
        (json!({"nonce": "another"}), "another sign-in"),
        (json!({"nonce": null}), "another sign-in"),
        (json!({"aud": "another"}), "another client"),
        (json!({"aud": ["lend", "another"]}), "another client"),
        (json!({"azp": "another"}), "another client"),
        (json!({"iss": "https://evil.example"}), "another issuer"),
        (json!({"exp": now - 61}), "it is over"),
        (json!({"nbf": now + 3600}), "not valid yet"),
        (json!({"iat": now + 3600}), "not valid yet"),
        (json!({"sub": ""}), "not written as one"),
    ] {
        issuer.with(|state| state.claims = claims.clone());
        let answer = sign_in(&issuer, &world).await;
        assert!(answer.status == 401 && answer.text().contains(why), "{claims}: {} {}", answer.status, answer.text());
        assert_eq!(cookie(&answer, "keylender_session"), None, "{claims}");
    }
    issuer.with(|state| state.claims = json!({}));
    for alg in ["none", "HS256", "RS256", "ES384"] {
        issuer.with(|state| state.alg = alg.into());
        assert_eq!(sign_in(&issuer, &world).await.status, 401, "{alg}");
    }
    let refused = world.audited("operator.login").await;
    assert!(refused.len() == 14 && refused.iter().all(|entry| entry["outcome"] == "refused"), "{refused:?}");
    issuer.with(|state| state.alg = "ES256".into());
    issuer.with(|state| state.claims = json!({"aud": ["lend", "another"], "azp": "lend", "exp": now + 9000}));
    assert_eq!(sign_in(&issuer, &world).await.status, 200);
}

#[tokio::test]
async fn the_way_back_works_once_soon_and_in_the_browser_that_went() {
    let (issuer, world) = world().await;
    let (kept, back) = depart(&issuer, &world, "").await;
    let (_, of_another) = depart(&issuer, &world, "").await;
    assert_eq!(world.ask(&Ask::get(&back)).await.status, 401, "no cookie: another browser");
    assert_eq!(world.ask(&Ask::get(&of_another).with("Cookie", &kept)).await.status, 401, "the state of another");
    let (kept, back) = depart(&issuer, &world, "").await;
    assert_eq!(world.ask(&Ask::get(&back).with("Cookie", &kept)).await.status, 200);
    assert_eq!(world.ask(&Ask::get(&back).with("Cookie", &kept)).await.status, 401, "used already");
    let (kept, back) = depart(&issuer, &world, "").await;
    world.clock.advance(Duration::from_secs(601));
    assert_eq!(world.ask(&Ask::get(&back).with("Cookie", &kept)).await.status, 401, "too late");
    let (kept, back) = depart(&issuer, &world, "").await;
    let denied = back.replace("code=c0de", "error=access_denied");
    assert_eq!(world.ask(&Ask::get(&denied).with("Cookie", &kept)).await.status, 401, "the issuer says no");
    for _ in 0..20 {
        world.ask(&Ask::get(&back)).await;
    }
    assert_eq!(world.ask(&Ask::get(&back)).await.status, 429, "guessing is slow");
}

#[tokio::test]
async fn a_new_key_of_the_issuer_is_fetched_but_not_more_than_once_a_minute() {
    let (issuer, world) = world().await;
    assert_eq!(sign_in(&issuer, &world).await.status, 200);
    issuer.rotate("two");
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(sign_in(&issuer, &world).await.status, 200, "an unknown key is asked for");
    issuer.rotate("three");
    assert_eq!(sign_in(&issuer, &world).await.status, 401, "not again at once");
    let fetched = issuer.with(|state| state.asked.iter().filter(|path| *path == "/keys").count());
    assert_eq!(fetched, 2);
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(sign_in(&issuer, &world).await.status, 200);
}

#[tokio::test]
async fn groups_decide_at_each_sign_in_what_one_may_do() {
    let (issuer, world) = world().await;
    let groups = |groups: serde_json::Value| issuer.with(|state| state.claims = json!({ "groups": groups }));
    for none in [json!([]), json!(["guests"]), json!("root beer"), json!({"root": true}), json!(null)] {
        groups(none.clone());
        let answer = sign_in(&issuer, &world).await;
        assert!(answer.status == 403 && answer.text().contains("none of your groups"), "{none}: {}", answer.text());
    }
    assert!(world.appliance().operators.operator(&ada()).is_err());
    groups(json!(["staff", "root", "on call"]));
    let admin = browser(&sign_in(&issuer, &world).await);
    assert_eq!(world.appliance().operators.operator(&ada()).unwrap().role, Role::Admin, "the highest");
    groups(json!(["staff"]));
    assert_eq!(sign_in(&issuer, &world).await.status, 200);
    assert_eq!(world.appliance().operators.operator(&ada()).unwrap().role, Role::Viewer);
    assert_eq!(admin.get(&world, "/").await.status, 303, "sessions with more than that are over");
    assert_eq!(world.audited("operator.role").await.len(), 1);
}

#[tokio::test]
async fn nobody_takes_an_operator_over_by_having_their_name_elsewhere() {
    let (issuer, world) = world().await;
    for claims in [
        json!({"preferred_username": "own", "groups": ["root"]}),
        json!({"preferred_username": "Not A Name", "email": "OWN"}),
    ] {
        issuer.with(|state| state.claims = claims);
        let answer = sign_in(&issuer, &world).await;
        assert!(answer.status == 403 && answer.text().contains("nobody takes an account over"), "{}", answer.text());
    }
    issuer.with(|state| state.claims = json!({"preferred_username": "x y", "email": "a@b", "email_verified": false}));
    assert_eq!(sign_in(&issuer, &world).await.status, 403, "an address that anybody could write");
    issuer.with(|state| state.claims = json!({}));
    assert_eq!(sign_in(&issuer, &world).await.status, 200);
    issuer.with(|state| state.claims = json!({"sub": "2"}));
    assert_eq!(sign_in(&issuer, &world).await.status, 403, "another person of the same name");
    let caller = Caller::local("test", "r");
    world.appliance().operators.disable(&caller, ada(), true).await.unwrap();
    for name in ["Ada", "ada2"] {
        issuer.with(|state| state.claims = json!({ "preferred_username": name }));
        let answer = sign_in(&issuer, &world).await;
        assert!(answer.status == 403 && answer.text().contains("disabled"), "{name}: {}", answer.text());
    }
}

#[tokio::test]
async fn an_issuer_that_is_away_is_a_finding_and_leaves_the_password() {
    let (issuer, world) = world().await;
    let about_issuer = async || {
        let found = world.appliance().health.diagnose().await;
        found.into_iter().find(|finding| finding.about == "OIDC issuer").unwrap()
    };
    assert!(about_issuer().await.text.contains("as it should be"));
    issuer.with(|state| state.key_id = "x".into());
    let mut other = World::with(|settings| {
        issuer.settle(settings);
        settings.oidc.as_mut().unwrap().issuer.issuer.push('/');
    })
    .await;
    drop(Browser::signed_in(&other, Role::Viewer).await);
    let answer = other.ask(&Ask::get("/login/oidc")).await;
    assert!(answer.status == 503 && answer.text().contains("name=\"password\""), "{}", answer.text());
    let found = other.appliance().health.diagnose().await;
    assert!(found.iter().any(|finding| finding.about == "OIDC issuer" && finding.text.contains("to the last slash")));
    other.stop().await;
}
