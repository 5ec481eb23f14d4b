//! Accounts of the relay, fetched by programs: what they are told, the leases that come of it, and taking them back.

use keylender::base::{Kind, Secret};
use keylender::ports::broker::Connections;
use serde_json::{Value, json};

use crate::relay_rotation::{
    HOUR, applied, apply, connect, fetch, login, path, rotate, rows, run, try_to, works, world,
};
use crate::wire::Ask;
use crate::world::World;

#[tokio::test]
async fn what_is_fetched_says_how_to_connect_and_when_to_ask_again() {
    let world = applied().await;
    let place = world.operate("GET", &path("place"), None).await;
    let (_, password) = login(&place);
    assert!(password.expose().chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'));
    let string = format!("amqp://place:{}@", password.expose());
    let ways = place["vhosts"].as_array().unwrap();
    assert_eq!((ways.len(), &ways[0]["vhost"]), (1, &json!("v")));
    let has = ways[0]["connectionString"].as_str().unwrap();
    assert!(has.starts_with(&string) && has.ends_with("/v?frameMax=8192"), "{has}");
    let expires = async |name: &str| world.operate("GET", &path(name), None).await["expires"].clone();
    assert_eq!(place["expires"], "2026-11-20T14:00:00.000Z");
    assert_eq!(expires("turn").await, "2026-11-20T15:00:00.000Z");
    assert_eq!(expires("still").await, "2026-11-20T13:00:00.000Z");
    world.clock.advance(3 * HOUR);
    assert_eq!(expires("place").await, "2026-11-20T15:01:00.000Z", "the rotation is late");
    assert_eq!(expires("turn").await, "2026-11-20T16:00:00.000Z", "and the promise gets no shorter by that");
    let entry = world.audited("relay.lend").await.remove(0);
    assert_eq!((&entry["object"], &entry["details"]["account"]), (&json!("place"), &json!("place")));
    assert_eq!(entry["details"]["expires"], place["expires"]);
}

#[tokio::test]
async fn an_account_is_lent_to_who_may_have_it_and_when_it_is_applied() {
    let world = world().await;
    let client = world.client("turner", &["keylender:relay:lend:turn"]).await;
    let ask = async |name: &str| {
        let ask = Ask::get(&format!("/api/keylender/v1{}", path(name)));
        world.ask_as(&client, &ask).await
    };
    let answer = ask("turn").await;
    assert_eq!(answer.status, 409, "{answer:?}");
    assert!(answer.json()["message"].as_str().unwrap().contains("`keylender relay apply` makes it"), "{answer:?}");
    assert_eq!(rotate(&world, "turn", false).await.unwrap_err().kind(), Kind::Conflict);
    apply(&world).await;
    assert_eq!(ask("turn").await.status, 200);
    assert_eq!(ask("place").await.error(), (403, "InsufficientScopes".into()));
    assert_eq!(try_to(&world, "GET", &path("nobody"), None).await.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn a_link_hands_an_account_over_once_in_the_name_of_who_made_it() {
    let world = applied().await;
    let client = world.client("turner", &["keylender:relay:lend:turn"]).await;
    let wrap = async |name: &str| {
        let path = format!("/api/keylender/v1/relay/accounts/{name}/wrap");
        world.ask_as(&client, &Ask::post(&path, r#"{"lastsSeconds":60}"#)).await
    };
    assert_eq!(wrap("place").await.error(), (403, "InsufficientScopes".into()));
    let made = wrap("turn").await;
    assert_eq!(made.status, 200, "{made:?}");
    let link = made.json()["path"].as_str().unwrap().to_owned();
    let leases = world.operate("GET", "/leases?kind=wrap", None).await;
    assert_eq!(
        (&leases["leases"][0]["part"], &leases["leases"][0]["holder"]),
        (&json!("turn"), &json!("client turner"))
    );
    let look = world.ask(&Ask::get(&link)).await.json();
    assert_eq!((&look["account"], &look["by"]), (&json!("turn"), &json!("client turner")));
    rotate(&world, "turn", false).await.unwrap();

    let open = Ask::new("POST", &link).body("");
    let opened = world.ask(&open).await;
    assert_eq!((opened.status, &opened.json()["vhosts"][0]["vhost"]), (200, &json!("v")), "{opened:?}");
    let handed = login(&opened.json());
    assert!(works(&world, &handed) && handed.0 == "turn-2", "what is active when it is opened");
    assert_eq!(world.ask(&open).await.status, 410);
    let lent = world.audited("relay.lend").await.remove(0);
    assert_eq!((&lent["object"], &lent["actor"]), (&json!("turn"), &json!({ "client": "turner" })));
    let page = wrap("turn").await.json()["path"].as_str().unwrap().to_owned();
    let page = world.ask(&Ask::new("POST", &page).with("Accept", "text/html").body("")).await;
    for text in ["turn-2", handed.1.expose(), "amqp://turn-2:"] {
        assert!(page.text().contains(text), "{}", page.text());
    }
}

#[tokio::test]
async fn what_was_fetched_is_a_lease_is_taken_back_and_stays_in_the_history() {
    let world = applied().await;
    let client = world.client("turner", &["keylender:relay:lend:turn"]).await;
    let ask = Ask::get(&format!("/api/keylender/v1{}", path("turn")));
    let lend = async || login(&world.ask_as(&client, &ask).await.json());
    let first = lend().await;
    world.clock.advance(HOUR);
    rotate(&world, "turn", false).await.unwrap();
    let second = lend().await;
    [&first, &second].into_iter().for_each(|login| connect(&world, login));
    run(&world, "monitor").await.unwrap();
    let members = ["kind", "name", "part", "holder", "lastUsed"];
    let leases = rows(&world, "/leases?kind=relay", "leases", &members).await;
    let used = "2026-11-20T13:00:00.000Z";
    let expected = ["turn-1", "turn-2"].map(|user| format!("relay turn {user} client turner {used}"));
    assert_eq!(leases, expected);
    assert_eq!(rows(&world, "/leases?holder=turner&kind=relay", "leases", &["part"]).await, ["turn-1", "turn-2"]);

    let input = json!({ "kind": "relay", "name": "turn", "reason": "a test", "dryRun": false });
    let done = world.operate("POST", "/leases/revoke", Some(input)).await;
    assert_eq!((&done["revoked"][0]["outcome"], &done["failed"]), (&json!("done"), &json!(0)), "{done}");
    assert!(!works(&world, &first) && !works(&world, &second));
    assert_eq!(world.broker.closed().len(), 2);
    assert_eq!(rows(&world, "/leases?kind=relay", "leases", &["part"]).await, Vec::<String>::new());
    assert_eq!(world.audited("relay.revoke").await[0]["details"]["reason"], "a test");
    world.clock.advance(HOUR);
    let third = lend().await;
    assert!(works(&world, &third));
    let held = rows(&world, "/audit/held?object=turn", "held", &["kind", "part", "since", "until", "ended"]).await;
    let (at, later) = ("2026-11-20T12:00:00.000Z", "2026-11-20T14:00:00.000Z");
    assert_eq!(
        held,
        [
            format!("relay turn-1 {at} {used} replaced"),
            format!("relay turn-2 {used} {used} replaced"),
            format!("relay turn-2 {later} - -"),
        ]
    );
}

/// A world in which an account was lent, somebody is connected by that, and its revocation met a broker that went away after
/// so many answers and is back. The login that was lent, and what the revocation said.
async fn revoked_in_an_outage(name: &str, answers: u32) -> (World, (String, Secret), Value) {
    let world = applied().await;
    let before = fetch(&world, name).await;
    connect(&world, &before);
    world.broker.fail_after(answers);
    let input = json!({ "name": name, "reason": "a test", "dryRun": false });
    let said = world.operate("POST", "/leases/revoke", Some(input)).await;
    world.broker.come_back();
    (world, before, said)
}

#[tokio::test]
async fn a_revocation_that_fails_in_the_middle_is_finished_by_the_loop() {
    for name in ["place", "turn"] {
        for answers in 0..6 {
            let (world, before, done) = revoked_in_an_outage(name, answers).await;
            run(&world, "reconcile").await.unwrap();
            run(&world, "rotate").await.unwrap();
            assert!(!works(&world, &before), "{name} {answers} {done}");
            assert_eq!(world.broker.closed().len(), 1, "{name} {answers} {done}");
            assert_eq!(rows(&world, "/leases?kind=relay", "leases", &["part"]).await, Vec::<String>::new());
            assert!(works(&world, &fetch(&world, name).await), "{name} {answers}");
            assert_eq!(run(&world, "rotate").await.unwrap(), "", "{name} {answers}");
        }
    }
}

#[tokio::test]
async fn a_rotation_after_a_revocation_that_failed_leaves_nobody_connected_with_the_revoked_password() {
    for name in ["place", "turn"] {
        for answers in 0..6 {
            let (world, before, _) = revoked_in_an_outage(name, answers).await;
            rotate(&world, name, true).await.unwrap();
            assert!(!works(&world, &before), "{name} {answers}: it could connect again, and nobody would close that");
            assert_eq!(world.broker.connections().await.unwrap().len(), 0, "{name} {answers}");
            assert!(works(&world, &fetch(&world, name).await), "{name} {answers}");
        }
    }
}
