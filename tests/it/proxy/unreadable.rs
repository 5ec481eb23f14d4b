//! Upstreams that another version stored, and this one cannot read.

use keylender::base::Secret;
use keylender::base::audit::{Action, Actor, Note};
use keylender::domain::operators::Role;
use keylender::store::Table;
use serde_json::{Value, json};

use super::at_port;
use crate::console::{Browser, has};
use crate::wire::Ask;
use crate::world::World;

const WHY: &str = "he stored upstreams of the task proxy cannot be read by this version";
/// What a version to come may know. Mistakes quote what is wrong.
const OF_ANOTHER: &str = "[[upstream]]\nname = 'files'\nbase = 'https://files.example.com'\nscopes = { whole = 'files' }\n\
                          credential = 'a-secret-token'\n";
const OF_THIS: &str = "[[upstream]]\nname = 'files'\nbase = 'https://files.example.com'\nscopes = { whole = 'files' }\n\
                       credential = { kind = 'bearer', token = 'a-secret-token' }\n";

/// Stores a declaration past the door.
pub async fn plant(world: &World, table: &'static str, key: &str, text: &'static str) {
    let (table, key): (Table<String, Value>, _) = (Table::audited(table), key.to_owned());
    let change = move |tx: &mut keylender::store::WriteTx<'_, '_>| {
        tx.audit(Note::done(Actor::Appliance, Action::ProxyUpstreams, &key));
        let text = tx.seal(&table, &key, &Secret::new(text))?;
        tx.put(&table, &key, &json!({ "text": text, "stored": tx.now() }))
    };
    world.appliance().domain.parts.store.write(change).await.unwrap();
}

#[tokio::test]
async fn stored_upstreams_that_cannot_be_read_are_told_everywhere_until_others_are_stored() {
    let mut world = World::start().await;
    plant(&world, "proxy_upstreams", "upstreams", OF_ANOTHER).await;
    world.restart().await;

    let admin = Browser::signed_in(&world, Role::Admin).await;
    let input = json!({ "scopes": ["files"], "upstreams": ["files"], "listen": at_port() });
    let worker = world.client("worker", &["keylender:proxy:open", "files"]).await;
    let ask = Ask::post("/api/keylender/v1/proxy/sessions", &input.to_string());
    let refused = world.ask_as(&worker, &ask).await;
    assert_eq!(refused.status, 409);
    let pages = [admin.get(&world, "/proxy/upstreams").await, admin.get(&world, "/").await, refused];
    let told = [world.operate("GET", "/doctor", None).await, world.operate("GET", "/alarms", None).await];
    for told in pages.iter().map(|page| page.text().to_owned()).chain(told.iter().map(Value::to_string)) {
        assert!(told.contains(WHY) && told.contains("a mistake in line 5"), "{told}");
        assert!(!told.contains("a-secret-token"), "{told}");
    }

    world.operate("PUT", "/proxy/upstreams", Some(json!({ "text": OF_THIS, "reason": "as it was" }))).await;
    assert_eq!(world.ask_as(&worker, &ask).await.status, 200);
    assert!(!world.operate("GET", "/doctor", None).await.to_string().contains(WHY));
    assert!(!world.operate("GET", "/alarms", None).await.to_string().contains(WHY));
    has(&admin.get(&world, "/proxy/upstreams").await, &["files"]);
}
