//! What pages show: tables, and texts that somebody else wrote.

use keylender::domain::operators::Role;

use super::browser::Browser;
use crate::wire::Ask;
use crate::world::World;

#[tokio::test]
async fn a_page_says_who_is_signed_in_where_to_go_and_what_is_unwell() {
    let world = World::start().await;
    let browser = Browser::signed_in(&world, Role::Auditor).await;
    let page = browser.get(&world, "/hosts").await;
    for part in [
        "<html lang=\"en\" data-theme=\"auto\">",
        "<a class=\"skip\" href=\"#main\">",
        "<strong>auditor</strong></a>",
        "aria-current=\"page\">Hosts</a>",
        "<h1>Hosts</h1>",
        "No machine has asked so far.",
        "not set are TASKCLUSTER_CLIENT_ID",
    ] {
        assert!(page.text().contains(part), "{part}: {}", page.text());
    }
    assert!(!page.text().contains("class=\"alarms\""));
    let themed = world.ask(&Ask::get("/").with("Cookie", &format!("{}; keylender_theme=dark", browser.cookie))).await;
    assert!(themed.text().contains("data-theme=\"dark\""));
    let crossed =
        world.ask(&Ask::get("/").with("Cookie", &format!("{}; keylender_theme=\"><b>", browser.cookie))).await;
    assert!(crossed.text().contains("data-theme=\"auto\""));
    world.clock.set(keylender::base::Timestamp::from_millis(0));
    let page = browser.get(&world, "/hosts").await;
    assert!(page.text().contains("clock: it shows 1970-01-01T00:00:00.000Z"), "{}", page.text());
}

#[tokio::test]
async fn pages_link_below_the_path_of_the_public_url() {
    let world = World::with(|settings| {
        settings.listen.public_url = Some("https://lend.example/keys/".parse().unwrap());
    })
    .await;
    let browser = Browser::signed_in(&world, Role::Viewer).await;
    for path in ["/hosts", "/keys/hosts"] {
        let page = browser.get(&world, path).await;
        assert!(
            page.text().contains("href=\"/keys/static/console.css\"") && page.text().contains("href=\"/keys/hosts\"")
        );
    }
    assert_eq!(world.ask(&Ask::get("/hosts")).await.header("location"), Some("/keys/login?to=%2Fhosts"));
}

#[tokio::test]
async fn no_link_makes_somebody_believe_that_they_did_something() {
    let world = World::start().await;
    let (ada, bob) = (Browser::signed_in(&world, Role::Admin).await, Browser::signed_in(&world, Role::Viewer).await);
    assert_eq!(ada.post(&world, "/logout", &[]).await.status, 303);
    let seq = world.audited("operator.logout").await[0]["seq"].to_string();
    let ada = Browser::signed_in(&world, Role::Admin).await;
    let own = ada.get(&world, &format!("/?entry={seq}")).await;
    assert!(own.text().contains("operator.logout admin") && own.text().contains(&format!("/audit/{seq}")));
    for entry in [&*seq, "0", "99999", "-1", "%3Cb%3E", ""] {
        let page = bob.get(&world, &format!("/?entry={entry}")).await;
        assert!(page.status == 200 && !page.text().contains("class=\"receipt"), "{entry}");
    }
}

#[tokio::test]
async fn a_change_shows_its_effect_asks_why_and_links_its_audit_entry() {
    let world = World::start().await;
    let operator = Browser::signed_in(&world, Role::Operator).await;
    let plan = operator.get(&world, "/hosts/192.0.2.7/block").await;
    for part in ["get no credentials from now on", "name=\"reason\"", "keylender host block 192.0.2.7", "curl -X PUT"] {
        assert!(plan.text().contains(part), "{part}: {}", plan.text());
    }
    let path = "/hosts/192.0.2.7/block";
    let why = "x".repeat(1001);
    for reason in ["", " ", &why] {
        assert_eq!(operator.post(&world, path, &[("reason", reason)]).await.status, 400, "{reason}");
    }
    assert!(world.audited("host.rule").await.is_empty());
    let done = operator.post(&world, path, &[("reason", " it is old ")]).await;
    let entry = &world.audited("host.rule").await[0];
    assert_eq!(done.header("location"), Some(&*format!("/hosts/192.0.2.7?entry={}", entry["seq"])));
    assert_eq!((&entry["details"]["reason"], &entry["actor"]["operator"]), (&"it is old".into(), &"operator".into()));
}
