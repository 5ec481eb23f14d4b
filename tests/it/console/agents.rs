//! Pages of a fleet's agents: who is known, who waits, what is decided about them, and how a host gets and loses an account.

use std::time::Duration;

use keylender::domain::operators::Role;
use keylender::proto::relay_profile::preset_with_agents;
use serde_json::json;

use super::browser::Browser;
use super::has;
use crate::relay::{self, apply};
use crate::wire::Ask;
use crate::world::World;

const HOST: &str = "web1.example.net";
/// A name of a queue that a page could take for a part of itself.
const HOSTILE: &str = "linux.<img src=x>.dn0j5d3ugjk0";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A world with the agents of 2018, each with an account of its own; `keys` are further lines of their section.
async fn world(keys: &str) -> World {
    let profile = preset_with_agents("mig-2018", false).unwrap();
    let world = relay::world(&profile.replacen("[agents]\n", &format!("[agents]\n{keys}\n"), 1)).await;
    world.operate("POST", "/loops/agents/pause", None).await;
    apply(&world).await;
    world
}

/// Has an agent heard that calls itself so.
async fn hear(world: &World, queueloc: &str, name: &str, pid: i64) {
    let heartbeat = json!({
        "name": name, "queueloc": queueloc, "mode": "daemon", "version": "<s>1</s>", "pid": pid,
        "heartbeatts": world.clock.now().to_string(), "environment": { "os": "linux", "addresses": ["192.0.2.2/24"] },
        "tags": { "team": "<u>shop</u>" },
    });
    world.appliance().agents.take(&[heartbeat.to_string().into_bytes()]).await.unwrap();
}

/// Makes a token on the console, and enrols the host by it. Where its agent takes commands.
async fn enrol(world: &World, operator: &Browser) -> String {
    let path = format!("/agents/hosts/{HOST}/token");
    has(&operator.get(world, &path).await, &[&format!("is taken for {HOST}, once"), "name=\"reason\"", "agent enrol"]);
    let made = operator.post(world, &path, &[("reason", "it is new")]).await;
    has(&made, &["shown only now", "/api/keylender/v1/agents/enrol?form=tar", "| tar -xC /", "os=darwin"]);
    let token = made.text().split("<pre tabindex=\"0\"><code>").nth(1).unwrap().split('<').next().unwrap();
    let ask = Ask::get("/api/keylender/v1/agents/enrol").with("Authorization", &format!("Bearer {token}"));
    world.ask(&ask).await.json()["queueloc"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn without_agents_the_page_says_how_to_declare_them() {
    let world = World::start().await;
    let viewer = Browser::signed_in(&world, Role::Viewer).await;
    has(&viewer.get(&world, "/agents").await, &["No agents are declared", "keylender relay profile mig-2018 --agents"]);
    has(&viewer.get(&world, "/agents/pending").await, &["Nobody waits"]);
    has(&viewer.get(&world, "/agents/gone").await, &["No agent is gone"]);
    assert_eq!(viewer.get(&world, "/agents/known/linux.web1.x").await.status, 404);
}

#[tokio::test]
async fn who_waits_is_approved_or_refused_with_a_reason_and_its_name_does_no_harm() {
    let world = world("").await;
    hear(&world, HOSTILE, "<img src=x>", 1).await;
    hear(&world, "linux.web2.x", "web2", 1).await;
    let viewer = Browser::signed_in(&world, Role::Viewer).await;
    let list = viewer.get(&world, "/agents/pending").await;
    has(&list, &["linux.&lt;img src=x&gt;.dn0j5d3ugjk0", "&lt;s&gt;1&lt;/s&gt;", "says 192.0.2.2", "waits"]);
    assert!(!list.text().contains("<img src=x") && !list.text().contains("/approve"), "a viewer changes nothing");
    let operator = Browser::signed_in(&world, Role::Operator).await;
    has(&operator.get(&world, "/agents/pending").await, &["/agents/pending/linux.web2.x/approve"]);
    let csv = operator.get(&world, "/agents/pending?export=csv&q=approve").await;
    assert_eq!(
        csv.text().trim(),
        "queueloc,name,dns,from,count,first,last,version,decision",
        "what can be done is no column"
    );
    let hostile = format!("/agents/pending/{}", crate::world::segment(HOSTILE));
    let ask = operator.get(&world, &format!("{hostile}/refuse")).await;
    has(&ask, &["stays out", "over AMQP nobody proves them", "agent refuse"]);
    assert!(!ask.text().contains("<img src=x"), "{}", ask.text());
    assert_eq!(operator.post(&world, &format!("{hostile}/refuse"), &[("reason", "")]).await.status, 400);
    let fields = [("reason", "nobody knows it")];
    assert_eq!(operator.post(&world, &format!("{hostile}/refuse"), &fields).await.status, 303);
    has(&viewer.get(&world, "/agents/pending").await, &["refused by", "nobody knows it"]);

    assert_eq!(operator.post(&world, "/agents/pending/linux.web2.x/approve", &fields).await.status, 303);
    assert_eq!(operator.get(&world, "/agents/pending/linux.web2.x/approve").await.status, 404, "it waits no more");
    has(&viewer.get(&world, "/agents/whitelist").await, &["linux.web2.x"]);
    hear(&world, "linux.web2.x", "web2", 1).await;
    has(&viewer.get(&world, "/agents").await, &["/agents/known/linux.web2.x", "online", "1 taken, 2 not listed"]);
    has(&viewer.get(&world, "/agents/known/linux.web2.x").await, &["team=&lt;u&gt;shop&lt;/u&gt;", "never enrolled"]);
    let lines = viewer.get(&world, "/agents?export=json").await.json();
    assert_eq!((&lines[0]["queueloc"], &lines[0]["account"]), (&json!("linux.web2.x"), &json!("no")));
}

#[tokio::test]
async fn a_host_enrols_by_a_token_that_is_shown_once_and_is_revoked_and_forgotten() {
    let world = world("").await;
    let operator = Browser::signed_in(&world, Role::Operator).await;
    let to = operator.get(&world, &format!("/agents/enrol?host={HOST}&minutes=1440")).await;
    assert_eq!(to.header("location"), Some(&*format!("/agents/hosts/{HOST}/token?minutes=1440")));
    let day = operator.get(&world, &format!("/agents/hosts/{HOST}/token?minutes=1440")).await;
    has(&day, &["within 1440 minutes", "name=\"minutes\" value=\"1440\"", "--minutes 1440"]);
    for wrong in ["0", "99999", "x"] {
        assert_eq!(operator.get(&world, &format!("/agents/hosts/{HOST}/token?minutes={wrong}")).await.status, 400);
    }
    has(&operator.get(&world, "/agents/enrol?host=a+b").await, &["class=\"problem\"", "value=\"a b\""]);
    let queueloc = enrol(&world, &operator).await;
    let path = format!("/agents/known/{queueloc}");
    let page = operator.get(&world, &path).await;
    has(
        &page,
        &[&format!("Agent of {HOST}"), "agent-web1.example.net", "its own", "a token", "unheard", "it was never heard"],
    );
    has(&page, &[&format!("/agents/hosts/{HOST}/revoke?queue=purge"), &format!("/agents/hosts/{HOST}/reach")]);
    let viewer = Browser::signed_in(&world, Role::Viewer).await;
    assert!(!viewer.get(&world, &path).await.text().contains("/revoke"), "a viewer changes nothing");
    let reach = viewer.get(&world, &format!("/agents/hosts/{HOST}/reach")).await;
    has(&reach, &["toagents is a direct one", "It cannot send any.", &format!("mig.agt.{queueloc}"), "agent reach"]);

    let revoke = format!("/agents/hosts/{HOST}/revoke");
    assert_eq!(operator.get(&world, &format!("{revoke}?queue=burn")).await.status, 400);
    let ask = operator.get(&world, &format!("{revoke}?queue=delete")).await;
    has(&ask, &["is deleted, with the commands in it", "name=\"queue\" value=\"delete\"", "--queue delete"]);
    let fields = [("queue", "delete"), ("reason", "it was stolen")];
    let done = operator.post(&world, &revoke, &fields).await;
    assert!(done.header("location").unwrap().starts_with(&path), "{done:?}");
    has(&operator.get(&world, &path).await, &["It was revoked by", &format!("/agents/hosts/{HOST}/forget")]);
    assert_eq!(world.audited("agent.revoke").await[0]["details"]["queue"], "delete");
    let forgotten = operator.post(&world, &format!("/agents/hosts/{HOST}/forget"), &[("reason", "found")]).await;
    assert_eq!(forgotten.status, 303, "{}", forgotten.text());
}

#[tokio::test]
async fn a_rule_is_asked_for_again_while_it_cannot_be_read() {
    let world = world("").await;
    let operator = Browser::signed_in(&world, Role::Operator).await;
    let wrong = operator.get(&world, "/agents/rules/add?rule=approve+everybody&until=").await;
    has(&wrong, &["role=\"alert\"", "value=\"approve everybody\""]);
    let wrong = operator.get(&world, "/agents/rules/add?rule=approve+zone+*.x.net&until=soon").await;
    has(&wrong, &["Expected a time", "value=\"approve zone *.x.net\"", "value=\"soon\""]);
    let ask = operator.get(&world, "/agents/rules/add?rule=refuse+network+10.1.2.3/8&until=2027-01-01T00:00:00Z").await;
    has(&ask, &["refuse network 10.0.0.0/8", "name=\"until\" value=\"2027-01-01T00:00:00Z\"", "--until"]);
    let fields = [("rule", "refuse network 10.0.0.0/8"), ("until", "2027-01-01T00:00:00Z"), ("reason", "theirs")];
    assert_eq!(operator.post(&world, "/agents/rules/add", &fields).await.status, 303);
    let remove = "/agents/rules/refuse%20network%2010.0.0.0%2F8/remove";
    has(&operator.get(&world, "/agents/rules").await, &["2027-01-01", "theirs", remove]);
    has(&operator.get(&world, remove).await, &["others who knock wait", "saying: theirs"]);
    assert_eq!(operator.post(&world, remove, &[("reason", "ours now")]).await.status, 303);
    has(&operator.get(&world, "/agents/rules").await, &["There is no rule"]);
}

#[tokio::test]
async fn what_is_gone_is_listed_and_goes_when_somebody_says_so() {
    let world = world("").await;
    let operator = Browser::signed_in(&world, Role::Operator).await;
    enrol(&world, &operator).await;
    world.clock.advance(31 * DAY);
    world.appliance().loops.run("agents").await.unwrap();
    let operator = Browser::signed_in(&world, Role::Operator).await;
    has(
        &operator.get(&world, "/agents/gone").await,
        &[HOST, "DNS has no address for web1.example.net", "/agents/gone/remove"],
    );
    has(&operator.get(&world, "/agents/gone/remove").await, &["is cut off, and its queue deleted"]);
    assert_eq!(operator.post(&world, "/agents/gone/remove", &[("reason", "all of them")]).await.status, 303);
    has(&operator.get(&world, "/agents/gone").await, &["No agent is gone"]);
}

#[tokio::test]
async fn a_whitelist_that_was_edited_by_hand_is_overwritten_only_when_somebody_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("whitelist.txt");
    std::fs::write(&file, "linux.by-hand.x\n").unwrap();
    let world = world(&format!("whitelist = '{}'", file.display())).await;
    let operator = Browser::signed_in(&world, Role::Operator).await;
    has(&operator.get(&world, "/agents/whitelist").await, &["was edited by hand", "/agents/whitelist/overwrite"]);
    has(&operator.get(&world, "/").await, &["href=\"/agents/whitelist\""]);
    has(&operator.get(&world, "/agents/whitelist/overwrite").await, &["is written anew"]);
    assert_eq!(operator.post(&world, "/agents/whitelist/overwrite", &[("reason", "ours")]).await.status, 303);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "");
    has(&operator.get(&world, "/agents/whitelist").await, &["has just these lines"]);
}
