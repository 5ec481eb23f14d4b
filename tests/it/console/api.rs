//! The methods of the APIs as pages.

use keylender::domain::operators::Role;
use keylender::web::api::openapi;

use super::browser::Browser;
use super::has;
use crate::world::World;

#[tokio::test]
async fn every_method_of_the_document_has_a_page_that_says_how_to_call_it() {
    let world = World::start().await;
    let viewer = Browser::signed_in(&world, Role::Viewer).await;
    let list = viewer.get(&world, "/api").await;
    has(&list, &["host rules", "aria-current=\"page\">API</a>", "openapi.json", "anybody"]);
    let found = viewer.get(&world, "/api?q=group%3Ahost%20disable").await;
    has(&found, &["Nothing of"]);
    let (document, mut seen) = (openapi::document(None), 0);
    for item in document["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            let id = operation["operationId"].as_str().unwrap();
            let page = viewer.get(&world, &format!("/api/methods/{id}")).await;
            let curl = operation["x-curl"].as_str().unwrap();
            has(
                &page,
                &[id, &curl.replace('"', "&#34;").replace('\'', "&#39;").replace('<', "&#60;").replace('>', "&#62;")],
            );
            let asks_for_scopes = operation["x-scopes"][0].is_string();
            assert_eq!(page.text().contains("InsufficientScopes"), asks_for_scopes, "{id}");
            seen += 1;
        }
    }
    assert!(seen > 60, "{seen}");
}

#[tokio::test]
async fn a_page_of_a_method_has_its_parameters_body_answers_and_errors() {
    let world = World::start().await;
    let viewer = Browser::signed_in(&world, Role::Viewer).await;
    let page = viewer.get(&world, "/api/methods/keylender_setHostRule").await;
    has(
        &page,
        &[
            "PUT /api/keylender/v1/host-rules/{rule}",
            "<code>keylender:host:rule:&#60;rule&#62;</code>",
            "a viewer may not call it",
            "keylender host block &#60;what&#62;",
            "<h2>Body</h2>",
            "<code>remark</code>",
            "<h2>Answer 200</h2>",
            "<code>done</code>",
            "<code>AuthenticationFailed</code>",
            "<code>requestInfo.payload</code>",
        ],
    );
    let operator = Browser::signed_in(&world, Role::Operator).await;
    has(&operator.get(&world, "/api/methods/keylender_setHostRule").await, &["an operator may call it"]);
    has(&viewer.get(&world, "/api/methods/health_heartbeat").await, &["<h2>Answer 503</h2>", "<p>None.</p>"]);
    assert_eq!(viewer.get(&world, "/api/methods/none").await.status, 404);
}
