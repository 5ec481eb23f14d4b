//! A profile that is stored, and edited while the appliance runs.

use keylender::app::operate::Operator;
use keylender::base::Kind;
use keylender::domain::operators::Role;
use serde_json::{Value, json};

use crate::console::{Browser, has};
use crate::proxy::plant;
use crate::relay::{apply, plan, profile, world};
use crate::world::World;

const ONE: &str = "name = 'r'\n[[vhost]]\nname = 'v'\n[[account]]\nname = 'one'\n";
const TWO: &str = "name = 'r'\n[[vhost]]\nname = 'v'\n[[account]]\nname = 'two'\n";

async fn store(world: &World, text: &str) -> Result<Value, keylender::base::Error> {
    let operator = Operator::connect(&world.settings).unwrap();
    operator.call("PUT", "/relay/profile", Some(json!({ "text": text, "reason": "to see" }))).await
}

#[tokio::test]
async fn a_stored_profile_counts_at_once_and_after_a_restart() {
    let mut world = World::start().await;
    world.operate("POST", "/loops/reconcile/pause", None).await;
    store(&world, ONE).await.unwrap();
    assert_eq!(plan(&world).await, ["create vhost v", "create account one"]);
    assert_eq!(apply(&world).await["done"], 2);
    let planned = world.operate("PUT", "/relay/profile?plan=1", Some(json!({ "text": TWO, "reason": "to see" }))).await;
    assert_eq!(planned["plan"][0], "`r` declares 1 vhosts, 1 accounts and 0 files from now on.");
    assert_eq!(plan(&world).await, Vec::<String>::new(), "a plan stores nothing");
    store(&world, TWO).await.unwrap();
    let other = ["create account two", "remove account one"];
    assert_eq!(plan(&world).await, other);
    world.restart().await;
    assert_eq!(plan(&world).await, other);
    assert_eq!(world.operate("GET", "/relay/profile", None).await["text"], TWO);
    assert_eq!(world.audited("relay.profile").await.len(), 2);

    // What the settings say goes before, and is not edited here.
    world.settings.relay = profile(ONE);
    world.restart().await;
    assert_eq!(plan(&world).await, Vec::<String>::new());
    let error = store(&world, TWO).await.unwrap_err();
    assert!(error.kind() == Kind::Conflict && error.message().contains("RELAY_PROFILE"), "{error}");
    world.settings.relay = None;
    world.restart().await;
    assert_eq!(plan(&world).await, other);
}

#[tokio::test]
async fn a_stored_profile_that_cannot_be_read_is_told_and_can_be_edited() {
    let mut world = World::start().await;
    plant(&world, "relay_profile", "profile", "name = 'r'\nof-another-version = 1\n").await;
    world.restart().await;
    let why =
        "the stored profile of the relay cannot be read by this version, and nothing is declared: 2:1: unknown key";
    assert!(world.operate("GET", "/doctor", None).await.to_string().contains(why));
    let admin = Browser::signed_in(&world, Role::Admin).await;
    has(&admin.get(&world, "/relay/profile").await, &[why, "of-another-version = 1\n</textarea>"]);
    store(&world, ONE).await.unwrap();
    assert!(!world.operate("GET", "/doctor", None).await.to_string().contains(why));
}

#[tokio::test]
async fn a_profile_that_is_wrong_or_would_lock_keylender_out_is_not_stored() {
    let world = World::start().await;
    let error = store(&world, "name = 'r'\n[[acount]]\n[[vhost]]\n").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    let lines: Vec<&str> = error.message().lines().collect();
    assert_eq!(lines[1], "2:3: unknown key `acount`; the nearest known one is `account`");
    assert!(lines[2].starts_with("3:1: `name` is missing"), "{lines:?}");
    let error = store(&world, "name = 'r'\nabsent-users = ['administrator']\n").await.unwrap_err();
    assert!(error.kind() == Kind::Conflict && error.message().contains("who Keylender is"), "{error}");
    // Whoever stores one need not be who may read files of this host.
    let part = "[[part]]\nname = 'api'\nkind = 'mig-api'\nage = '2018-11'\n[part.settings]\n\
                server = { host = 'http://h' }\npostgres = { host = 'h', password = SECRET }\n";
    let reading = format!("name = 'r'\n{}", part.replace("SECRET", "{ file = '/var/lib/keylender/key' }"));
    let error = store(&world, &reading).await.unwrap_err();
    assert!(error.kind() == Kind::Invalid && error.message().contains("reads a setting from a file"), "{error}");
    let agents = "name = 'r'\nforeign-vhosts = ['v']\n[agents]\nvhost = 'v'\nsends-to = 'e'\ntakes-from = 'e'\n";
    let error = store(&world, &format!("{agents}whitelist = '/etc/passwd'\n")).await.unwrap_err();
    assert!(error.kind() == Kind::Invalid && error.message().contains("[agents] names a file"), "{error}");
    let operator = Operator::connect(&world.settings).unwrap();
    assert_eq!(operator.call("GET", "/relay/plan", None).await.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn the_page_tells_every_mistake_keeps_what_was_typed_and_stores_with_a_reason() {
    let world = World::start().await;
    let admin = Browser::signed_in(&world, Role::Admin).await;
    has(&admin.get(&world, "/relay").await, &["write a profile here"]);
    has(&admin.get(&world, "/relay/profile").await, &["<textarea", "warehouse"]);
    let wrong = admin.post(&world, "/relay/profile", &[("text", "name = &#39;r\r\n[[x]]")]).await;
    has(&wrong, &["<textarea", "[[x]]", "this is no profile that can be used"]);
    let asked = admin.post(&world, "/relay/profile", &[("text", &ONE.replace('\n', "\r\n"))]).await;
    has(&asked, &["declares 1 vhosts, 1 accounts and 0 files", "name=\"reason\"", "Store it"]);
    let fields = [("text", ONE), ("sure", "yes"), ("reason", "the first one")];
    assert_eq!(admin.post(&world, "/relay/profile", &fields).await.status, 303);
    has(&admin.get(&world, "/relay").await, &["the store", "/relay/accounts/one"]);
    let viewer = Browser::signed_in(&world, Role::Viewer).await;
    assert_eq!(viewer.get(&world, "/relay/profile").await.status, 403, "passwords may stand in it");
    assert!(!viewer.get(&world, "/relay").await.text().contains("/relay/profile"));
}

#[tokio::test]
async fn investigators_are_shown_with_what_they_weigh() {
    let key = include_str!("../data/openpgp/rosa.asc");
    let text = format!(
        "name = 'r'\nminimum-weights = {{ default = 2 }}\n[[investigator]]\nname = 'Rosa'\nweights = {{ default = 3 }}\n\
         key = '''{key}'''\n"
    );
    let world = world(&text).await;
    let viewer = Browser::signed_in(&world, Role::Viewer).await;
    let page = viewer.get(&world, "/relay/investigators").await;
    has(&page, &["2D0ABE81C172674DAE2958F2A5FC8287EBE7E0DF", "RSA of 2048 bits", "default 3", "Rosa"]);
}

#[tokio::test]
async fn a_password_that_stands_in_a_stored_profile_lies_sealed() {
    let mut world = World::start().await;
    let secret = "hunter2-in-a-profile";
    let text = format!(
        "name = 'r'\n[[part]]\nname = 'api'\nkind = 'mig-api'\nage = '2018-11'\n[part.settings]\n\
         server = {{ host = 'http://h' }}\npostgres = {{ host = 'h', password = '{secret}' }}\n"
    );
    store(&world, &text).await.unwrap();
    let part = world.operate("GET", "/relay/parts/api", None).await;
    assert!(part["files"][0]["text"].as_str().unwrap().contains(secret));
    assert!(!world.audited("relay.profile").await[0].to_string().contains(secret));
    world.stop().await;
    let store = std::fs::read(world.settings.data_dir.join("keylender.redb")).unwrap();
    assert!(!store.windows(secret.len()).any(|bytes| bytes == secret.as_bytes()), "it lies in clear");
}
