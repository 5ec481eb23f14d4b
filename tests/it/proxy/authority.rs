//! What the proxy signs, judged by our own authority.

use serde_json::json;

use super::{Task, at_port};
use crate::wire::Ask;
use crate::world::World;

#[tokio::test]
async fn a_signature_and_a_bewit_count_at_our_own_authority_within_the_scopes_of_the_session() {
    let world = World::start().await;
    let scopes = ["pulse:namespace:taskcluster-*", "keylender:client:list"];
    let made = world.operate("PUT", "/clients/task%2FA", Some(json!({ "scopes": scopes }))).await;
    let upstream = format!(
        "[[upstream]]\npreset = 'taskcluster'\nbase = 'http://{}'\nnetworks = ['127.0.0.0/8']",
        world.address()
    );
    world.operate("PUT", "/proxy/upstreams", Some(json!({ "text": upstream, "reason": "to see" }))).await;
    let input = json!({
        "scopes": ["pulse:namespace:taskcluster-foo", "keylender:client:list"],
        "credentials": { "clientId": "task/A", "accessToken": made["accessToken"] },
        "listen": at_port(),
    });
    let task = Task::of(&world.operate("POST", "/proxy/sessions", Some(input)).await);
    let claim = async |name: &str| task.ask(&Ask::post(&format!("/api/pulse/v1/namespace/{name}"), "{}")).await;
    assert_eq!(claim("taskcluster-foo").await.status, 200);
    assert_eq!(claim("taskcluster-bar").await.error(), (403, "InsufficientScopes".into()));

    let url = format!("http://{}/api/keylender/v1/clients", world.address());
    let signed = task.ask(&Ask::post("/bewit", &url)).await;
    let target = signed.header("location").unwrap().strip_prefix(&format!("http://{}", world.address())).unwrap();
    let host = world.address().to_string();
    assert_eq!(world.ask(&Ask::get(target).with("Host", &host)).await.status, 200);
    let altered = target.replace("/clients", "/roles");
    assert_eq!(world.ask(&Ask::get(&altered).with("Host", &host)).await.status, 401);
}
