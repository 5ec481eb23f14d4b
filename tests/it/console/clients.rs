//! API clients and roles on the console: each change is shown first, and does what the API and the command do.

use keylender::domain::operators::Role;
use serde_json::{Value, json};

use super::browser::Browser;
use crate::wire::{Answer, Ask};
use crate::world::World;

fn has(page: &Answer, texts: &[&str]) {
    for text in texts {
        assert!(page.text().contains(text), "{text}: {}", page.text());
    }
}

async fn clients(world: &World) -> Vec<Value> {
    world.operate("GET", "/clients", None).await["clients"].as_array().unwrap().clone()
}

fn token_of(page: &Answer) -> String {
    let (_, rest) = page.text().split_once("<pre tabindex=\"0\"><code>").expect("a token");
    rest.split('<').next().unwrap().to_owned()
}

/// A request with a token over what nobody can read.
async fn lists_namespaces(world: &World, token: &str) -> u16 {
    let bearer = format!("Bearer team/builds/{token}");
    world.ask(&Ask::get("/api/keylender/v1/namespaces").with("Authorization", &bearer)).await.status
}

#[tokio::test]
async fn a_client_is_made_after_a_look_at_the_plan_and_its_token_is_shown_once() {
    let world = World::start().await;
    let admin = Browser::signed_in(&world, Role::Admin).await;
    has(&admin.get(&world, "/access/clients").await, &["There is no client", "New client"]);
    let typed =
        [("client", "team/builds"), ("scopes", "keylender:namespace:list\r\n\r\n a:b \r\n"), ("ends", "90 days")];
    let plan = admin.post(&world, "/access/new-client", &typed).await;
    has(&plan, &["It gets the scope keylender:namespace:list", "It ends at", "name=\"sure\" value=\"yes\""]);
    has(
        &plan,
        &["keylender client create team/builds --scope keylender:namespace:list --scope a:b --lasts", "curl -X PUT"],
    );
    assert!(clients(&world).await.is_empty(), "a plan makes nothing");
    let made = admin.post(&world, "/access/new-client", &[&typed[..], &[("sure", "yes")]].concat()).await;
    has(&made, &["shown only now", "client.create"]);
    assert_eq!(made.header("cache-control"), Some("no-store"));
    let token = token_of(&made);
    assert_eq!(lists_namespaces(&world, &token).await, 200);
    let page = admin.get(&world, "/access/clients/team%2Fbuilds").await;
    has(
        &page,
        &["<bdi>team/builds</bdi>", "<bdi>a:b</bdi>", "operator admin", "127.0.0.1", "/audit?object=team%2Fbuilds"],
    );
    assert!(!page.text().contains(&token));
    for wrong in [
        [("client", "team/builds"), ("scopes", "a\u{7f}"), ("ends", "")],
        [("client", "x y z!"), ("scopes", ""), ("ends", "")],
        [("client", "x"), ("scopes", ""), ("ends", "soon")],
    ] {
        let again = admin.post(&world, "/access/new-client", &wrong).await;
        has(&again, &["role=\"alert\"", "<textarea"]);
    }
    let twice = admin.post(&world, "/access/new-client", &[&typed[..], &[("sure", "yes")]].concat()).await;
    assert_eq!(twice.status, 409);
    let csv = admin.get(&world, "/access/clients?export=csv&q=client:team").await;
    assert!(csv.text().starts_with("client,state,used,expires,created,scopes,description\r\nteam/builds,enabled,20"));
}

#[tokio::test]
async fn a_client_is_limited_reset_refused_and_deleted_and_each_time_the_reason_is_kept() {
    let world = World::start().await;
    let admin = Browser::signed_in(&world, Role::Admin).await;
    let input = json!({"scopes": ["keylender:namespace:list", "a:*"]});
    let issued = world.operate("PUT", "/clients/team%2Fbuilds", Some(input)).await;
    let first = issued["accessToken"].as_str().unwrap().to_owned();
    let place = |verb: &str| format!("/access/clients/team%2Fbuilds{verb}");
    // Limited: what is lost comes first.
    has(&admin.get(&world, &place("/change")).await, &["keylender:namespace:list\na:*</textarea>"]);
    let nothing = [("scopes", "keylender:namespace:list\na:*"), ("ends", ""), ("description", "")];
    has(&admin.post(&world, &place("/change"), &nothing).await, &["this would change nothing"]);
    let less = [("scopes", "keylender:namespace:list"), ("ends", "2027-01-31"), ("description", "of ada")];
    let plan = admin.post(&world, &place("/change"), &less).await;
    has(
        &plan,
        &["It loses the scope a:*.", "It ends at 2027-01-31T00:00:00.000Z.", "name=\"reason\"", "client change"],
    );
    let sure = [&less[..], &[("sure", "yes")]].concat();
    assert_eq!(admin.post(&world, &place("/change"), &sure).await.status, 400, "no reason");
    let done = admin.post(&world, &place("/change"), &[&sure[..], &[("reason", "too much")]].concat()).await;
    let receipt = done.header("location").unwrap();
    assert!(receipt.starts_with(&place("?entry=")), "{receipt}");
    has(&admin.get(&world, receipt).await, &["client.change", "of ada"]);
    let shown = &clients(&world).await[0];
    assert_eq!((&shown["scopes"], &shown["description"]), (&json!(["keylender:namespace:list"]), &json!("of ada")));
    assert_eq!(lists_namespaces(&world, &first).await, 200, "its token stays");
    // Reset, with the old token kept and without.
    let reason = ("reason", "it leaked");
    has(&admin.get(&world, &place("/reset?keep=yes")).await, &["name=\"keep_seconds\" value=\"86400\"", "--keep-old"]);
    let second = token_of(&admin.post(&world, &place("/reset"), &[reason, ("keep_seconds", "86400")]).await);
    assert_eq!([lists_namespaces(&world, &first).await, lists_namespaces(&world, &second).await], [200, 200]);
    has(&admin.get(&world, &place("")).await, &["Token before works until"]);
    has(&admin.get(&world, &place("/reset")).await, &["end at once"]);
    let third = token_of(&admin.post(&world, &place("/reset"), &[reason]).await);
    assert_eq!([lists_namespaces(&world, &second).await, lists_namespaces(&world, &third).await], [401, 200]);
    // Refused, and believed again.
    admin.get(&world, &place("/disable")).await;
    assert_eq!(admin.post(&world, &place("/disable"), &[reason]).await.status, 303);
    assert_eq!(lists_namespaces(&world, &third).await, 401);
    has(&admin.get(&world, &place("")).await, &[">disabled<", "/enable"]);
    has(&admin.get(&world, &place("/enable")).await, &["Enable now"]);
    assert_eq!(admin.post(&world, &place("/enable"), &[]).await.status, 303);
    assert_eq!(lists_namespaces(&world, &third).await, 200);
    // Deleted.
    has(&admin.get(&world, &place("/delete")).await, &["It was last used at", "cannot be taken back"]);
    assert_eq!(admin.post(&world, &place("/delete"), &[]).await.status, 400);
    assert_eq!(admin.post(&world, &place("/delete"), &[reason]).await.status, 303);
    assert_eq!(admin.get(&world, &place("")).await.status, 404);
    for action in ["client.change", "client.reset", "client.disable", "client.delete"] {
        let entry = &world.audited(action).await[0];
        assert!(entry["details"]["reason"].is_string(), "{action}: {entry}");
    }
}

#[tokio::test]
async fn whoever_limits_a_client_needs_none_of_its_scopes_and_whoever_widens_it_needs_them() {
    let world = World::start().await;
    let end = (world.clock.now().plus(std::time::Duration::from_secs(86_400))).to_string();
    let input = json!({"scopes": ["a:*", "b"], "expires": end});
    world.operate("PUT", "/clients/builds", Some(input)).await;
    let limiter = world.client("limiter", &["keylender:client:change:*", "c"]).await;
    let change = async |body: Value| {
        let ask = Ask::post("/api/keylender/v1/clients/builds/change", &body.to_string());
        world.ask_as(&limiter, &ask).await.status
    };
    let later = "2030-01-01T00:00:00.000Z";
    for refused in [json!({"scopes": ["a:*", "b", "d"]}), json!({"expires": later}), json!({"scopes": ["c"], "x": 1})] {
        assert!([400, 403].contains(&change(refused.clone()).await), "{refused}");
    }
    for fine in [
        json!({"scopes": ["a:b", "b", "c"]}),
        json!({"scopes": ["c"]}),
        json!({"expires": later, "description": "for c"}),
        json!({}),
    ] {
        assert_eq!(change(fine.clone()).await, 200, "{fine}");
    }
    assert_eq!(change(json!({"scopes": ["c**"]})).await, 400);
    let builds = clients(&world).await.into_iter().find(|client| client["clientId"] == "builds").unwrap();
    assert_eq!((&builds["scopes"], &builds["expires"]), (&json!(["c"]), &json!(later)));
}

#[tokio::test]
async fn a_role_is_made_changed_and_deleted_with_a_look_at_who_holds_it() {
    let world = World::start().await;
    let (admin, auditor) =
        (Browser::signed_in(&world, Role::Admin).await, Browser::signed_in(&world, Role::Auditor).await);
    let typed = [("role", "builds/*"), ("scopes", "pulse:namespace:<..>")];
    let plan = admin.post(&world, "/access/new-role", &typed).await;
    has(&plan, &["It gets the scope pulse:namespace:&lt;..&gt;.", "keylender role create"]);
    let sure = |fields: &[(&'static str, &'static str)]| [fields, &[("sure", "yes")]].concat();
    let made = admin.post(&world, "/access/new-role", &sure(&typed)).await;
    assert!(made.header("location").unwrap().starts_with("/access/roles/builds%2F%2A?entry="), "{made:?}");
    has(&admin.post(&world, "/access/new-role", &sure(&typed)).await, &["this role exists"]);
    world.client("team/builds", &["assume:builds/x"]).await;
    has(&auditor.get(&world, "/access/roles").await, &["builds/*", "pulse:namespace:"]);
    let page = auditor.get(&world, "/access/roles/builds%2F%2A").await;
    has(&page, &["/access/clients/team%2Fbuilds"]);
    assert!(!page.text().contains("/delete"), "an auditor only looks");
    let other = [("scopes", "pulse:namespace:<..>\nqueue:x")];
    let place = |verb: &str| format!("/access/roles/builds%2F%2A{verb}");
    has(&admin.get(&world, &place("/change")).await, &["pulse:namespace:&"]);
    has(
        &admin.post(&world, &place("/change"), &other).await,
        &["It gets the scope queue:x.", "for the client team/builds at once"],
    );
    assert_eq!(admin.post(&world, &place("/change"), &sure(&other)).await.status, 400, "no reason");
    let reasoned = [&sure(&other)[..], &[("reason", "tasks")]].concat();
    assert_eq!(admin.post(&world, &place("/change"), &reasoned).await.status, 303);
    let roles = world.operate("GET", "/roles", None).await;
    assert_eq!(roles["roles"][0]["scopes"], json!(["pulse:namespace:<..>", "queue:x"]));
    has(&admin.get(&world, &place("/delete")).await, &["loses these scopes", "Delete now"]);
    assert_eq!(admin.post(&world, &place("/delete"), &[("reason", "unused")]).await.status, 303);
    assert_eq!(admin.get(&world, &place("")).await.status, 404);
    assert_eq!(world.audited("role.delete").await[0]["details"]["reason"], "unused");
}
