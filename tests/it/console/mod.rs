//! The console at its door: who may come where, and what a form must bring along.

mod access;
mod actions;
mod agents;
mod api;
mod archives;
pub mod browser;
mod bus;
mod clients;
mod evidence;
mod hosts;
mod issuer;
mod keeping;
mod live;
mod namespaces;
mod oidc;
mod overview;
mod pages;
mod proxy;
pub mod queues;
mod relay;
mod sessions;

pub use browser::Browser;

use keylender::domain::operators::Role;
use keylender::web::console::{Access, routes};

use crate::wire::{Answer, Ask};
use crate::world::World;
use browser::form;

/// That a page came and has these parts.
pub fn has(page: &Answer, parts: &[&str]) {
    assert_eq!(page.status, 200, "{}", page.text());
    for part in parts {
        assert!(page.text().contains(part), "{part}: {}", page.text());
    }
}

/// A route with something in the place of its arguments.
fn example(route: &str) -> String {
    route.split('/').map(|part| if part.starts_with('{') { "192.0.2.7" } else { part }).collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn every_route_is_for_whom_the_table_says_and_for_nobody_else() {
    let world = World::start().await;
    let mut browsers = Vec::new();
    for role in Role::ALL {
        browsers.push((role, Browser::signed_in(&world, role).await));
    }
    let table = routes();
    assert!(table.len() > 5);
    for route in table {
        let path = example(route.path);
        let is_way_in = route.access == Access::Anybody;
        let nobody = match route.method {
            "GET" => world.ask(&Ask::get(&path)).await,
            _ => world.ask(&form(&path, &[])).await,
        };
        match (route.method, is_way_in) {
            (_, true) => assert!(nobody.status < 500 && nobody.status != 403, "{route:?}: {}", nobody.status),
            ("GET", false) => {
                let location = nobody.header("location").unwrap_or_default();
                assert!(nobody.status == 303 && location.starts_with("/login"), "{route:?}: {nobody:?}");
            }
            (_, false) => assert_eq!(nobody.status, 401, "{route:?}"),
        }
        for (role, browser) in browsers.iter().filter(|_| !is_way_in) {
            let may = match route.access {
                Access::Scope(scope) => {
                    assert!(!scope.wants_name() || route.path.contains('{'), "{route:?}");
                    let scope = if scope.wants_name() { scope.on("192.0.2.7") } else { scope.to_string() };
                    keylender::proto::scopes::covers(&role.scopes(), &scope)
                }
                _ => true,
            };
            // A form without its token goes no further than that, and so changes nothing here.
            let answer = match route.method {
                "GET" => browser.get(&world, &path).await,
                _ => world.ask(&browser.form(&path, &[], "wrong")).await,
            };
            let is_lacking = answer.status == 403 && answer.text().contains("does not have the scope");
            assert_eq!(is_lacking, !may, "{route:?} as {role}: {}", answer.status);
            let is_token_missing = answer.text().contains("not of your present session");
            assert_eq!(is_token_missing, may && route.method == "POST", "{route:?} as {role}: {}", answer.status);
            assert!(answer.status < 500, "{route:?} as {role}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn every_answer_of_the_console_says_what_browsers_must_not_do() {
    let world = World::start().await;
    let browser = Browser::signed_in(&world, Role::Admin).await;
    let asks = [
        Ask::get("/login"),
        Ask::get("/"),
        Ask::get("/").with("Cookie", &browser.cookie),
        Ask::get("/hosts?export=csv").with("Cookie", &browser.cookie),
        Ask::get("/hosts/192.0.2.99").with("Cookie", &browser.cookie),
        browser.form("/logout", &[], "wrong"),
    ];
    for ask in asks {
        let answer = world.ask(&ask).await;
        let policy = answer.header("content-security-policy").unwrap_or_default();
        assert!(
            policy.starts_with("default-src 'none'; style-src 'self'; script-src 'self'"),
            "{}: {policy}",
            ask.target
        );
        assert!(policy.ends_with("frame-ancestors 'none'; base-uri 'none'") && !policy.contains("unsafe"));
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "same-origin"),
            ("x-frame-options", "DENY"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{} {name}", ask.target);
        }
        for inline in ["<style", " style=", "<script>", " onclick=", " onchange=", "javascript:"] {
            assert!(!answer.text().contains(inline), "{}: {inline}", ask.target);
        }
    }
}

#[tokio::test]
async fn a_form_needs_the_token_of_its_session_and_an_origin_of_ours() {
    let world = World::start().await;
    let (ada, bob) = (Browser::signed_in(&world, Role::Viewer).await, Browser::signed_in(&world, Role::Admin).await);
    let other = Browser::signed_in(&world, Role::Viewer).await;
    let token = ada.token(&world).await;
    let fields = [("theme", "dark"), ("to", "/hosts")];
    for wrong in ["", "x", &token[1..], &token.to_uppercase(), &bob.token(&world).await, &other.token(&world).await] {
        assert_eq!(world.ask(&ada.form("/theme", &fields, wrong)).await.status, 403, "{wrong}");
    }
    let good = ada.form("/theme", &fields, &token);
    for (name, value) in [
        ("Origin", "http://evil.example"),
        ("Origin", "null"),
        ("Origin", "http://keylender.test.evil.example"),
        ("Origin", "http://keylender.test:81"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Sec-Fetch-Site", "none"),
    ] {
        assert_eq!(world.ask(&good.clone().with(name, value)).await.status, 403, "{name}: {value}");
    }
    assert_eq!(world.ask(&good.clone().without("Origin")).await.status, 403, "no browser");
    assert_eq!(world.ask(&good.clone().with("Host", "inner:8080")).await.status, 403);
    for ask in [
        good.clone(),
        good.clone().without("Origin").with("Sec-Fetch-Site", "same-origin"),
        good.clone().with("Host", "inner:8080").with("Sec-Fetch-Site", "same-origin"),
    ] {
        let answer = world.ask(&ask).await;
        assert_eq!((answer.status, answer.header("location")), (303, Some("/hosts")));
        assert!(answer.header("set-cookie").unwrap().starts_with("keylender_theme=dark;"));
    }
    let json = Ask { body: None, ..good }.with("Content-Type", "application/json").body(r#"{"theme":"dark"}"#);
    assert_eq!(world.ask(&json).await.status, 403, "not a form");
    let long = [("theme", "dark"), ("to", &*"x".repeat(300 << 10))];
    assert_eq!(world.ask(&ada.form("/theme", &long, &token)).await.status, 400);
    for to in ["https://evil.example/", "//evil.example", "/\\evil.example", "/\tx"] {
        let answer = ada.post(&world, "/theme", &[("theme", "auto"), ("to", to)]).await;
        assert_eq!(answer.header("location"), Some("/"), "{to}");
    }
}
