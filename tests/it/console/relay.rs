//! Pages of the relay: what is declared, what applying it would change, and the button that does it.

use keylender::app::settings::RelaySettings;
use keylender::domain::operators::Role;
use keylender::proto::relay_profile::Profile;

use super::browser::Browser;
use super::has;
use crate::relay_adopt::{SHOP, make_shop};
use crate::{relay, world::World};

#[tokio::test]
async fn a_profile_is_looked_at_planned_and_applied_with_a_reason() {
    let profile = Profile::builtin("mig-2015").unwrap();
    let world = World::with(|settings| settings.relay = Some(RelaySettings { profile, from: "mig-2015".into() })).await;
    world.operate("POST", "/loops/reconcile/pause", None).await;
    let (viewer, admin) =
        (Browser::signed_in(&world, Role::Viewer).await, Browser::signed_in(&world, Role::Admin).await);
    let overview = viewer.get(&world, "/relay").await;
    has(&overview, &["mig-2015", "guest", "/relay/accounts/scheduler", "not applied", "keylender relay show"]);
    assert!(!overview.text().contains("/relay/apply"), "a viewer changes nothing");
    has(&viewer.get(&world, "/relay/plan").await, &["policy mig-mirror-all in mig", "it is declared, and not there"]);
    let account = viewer.get(&world, "/relay/accounts/agent").await;
    has(&account, &["never applied", "What it may do in", "^mig\\.agt\\.(linux|windows|darwin)\\..*$"]);
    assert_eq!(viewer.get(&world, "/relay/accounts/nobody").await.status, 404);

    let ask = admin.get(&world, "/relay/apply").await;
    has(&ask, &["create account scheduler", "create policy mig-mirror-all in mig", "name=\"reason\""]);
    let applied = admin.post(&world, "/relay/apply", &[("reason", "the new relay")]).await;
    assert_eq!(applied.status, 303, "{}", applied.text());
    has(&viewer.get(&world, "/relay").await, &["as declared"]);
    has(&viewer.get(&world, "/relay/plan").await, &["The broker is as it is declared."]);
    has(&viewer.get(&world, "/relay/accounts/agent").await, &["may log in"]);
    assert_eq!(world.audited("relay.apply").await.len(), 1);

    let operator = Browser::signed_in(&world, Role::Operator).await;
    let account = operator.get(&world, "/relay/accounts/scheduler").await;
    has(&account, &["/relay/accounts/scheduler/rotate?close=1", "Hold its password"]);
    let ask = operator.get(&world, "/relay/accounts/scheduler/rotate?close=1").await;
    has(&ask, &["scheduler gets a new password", "connections of scheduler are closed", "--close-connections"]);
    let fields = [("reason", "somebody left"), ("close", "1")];
    let rotated = operator.post(&world, "/relay/accounts/scheduler/rotate", &fields).await;
    assert_eq!(rotated.status, 303, "{}", rotated.text());
    has(&viewer.get(&world, "/relay/accounts/scheduler").await, &["Rotated"]);
    assert_eq!(world.audited("relay.close").await.len(), 1);
}

#[tokio::test]
async fn without_a_profile_the_page_says_how_to_declare_one() {
    let world = World::start().await;
    let viewer = Browser::signed_in(&world, Role::Viewer).await;
    has(&viewer.get(&world, "/relay").await, &["No relay is declared. Set RELAY_PROFILE"]);
    assert_eq!(viewer.get(&world, "/relay/plan").await.status, 404);
}

#[tokio::test]
async fn users_of_others_are_listed_and_the_form_that_adopts_one_loses_nothing_that_was_typed() {
    let world = relay::world(SHOP).await;
    make_shop(&world).await;
    let viewer = Browser::signed_in(&world, Role::Viewer).await;
    let list = viewer.get(&world, "/relay/users").await;
    has(&list, &["shop", "nobody&#39;s here"]);
    assert!(!list.text().contains("/relay/users/shop/adopt"), "a viewer changes nothing");
    let admin = Browser::signed_in(&world, Role::Admin).await;
    has(&admin.get(&world, "/relay/users").await, &["/relay/users/shop/adopt"]);
    has(&admin.get(&world, "/relay/users/shop/adopt").await, &["In / it may configure `^shop`", "name=\"owner\""]);
    let again = admin
        .post(&world, "/relay/users/shop/adopt", &[("owner", "the shop"), ("note", "orders"), ("reason", "")])
        .await;
    has(&again, &["value=\"the shop\"", "value=\"orders\"", "say why"]);
    let fields = [("owner", "the shop"), ("note", "orders"), ("reason", "whose is it")];
    assert_eq!(admin.post(&world, "/relay/users/shop/adopt", &fields).await.status, 303);
    has(&viewer.get(&world, "/relay/users").await, &["adopted", "the shop", "orders"]);
    has(&admin.get(&world, "/relay/users/shop/release").await, &["nothing of it changes at the broker"]);
    assert_eq!(admin.post(&world, "/relay/users/shop/release", &[("reason", "theirs")]).await.status, 303);
    assert_eq!(admin.get(&world, "/relay/users/nobody/adopt").await.status, 404);
}
