//! Agents that knock and are in no list: looked up, let in, kept out, by hand or by rules.

use std::time::Duration;

use keylender::base::Kind;
use serde_json::json;

use super::{Fleet, PERIOD, WEB_ADDRESS, heartbeat};
use crate::relay_rotation::try_to;

const A: &str = "linux.a";

async fn waiting(fleet: &Fleet) -> Vec<String> {
    fleet.rows("/agents/pending", "pending", &["queueloc", "name", "count"]).await
}

async fn decide(fleet: &Fleet, queueloc: &str, how: &str) -> Result<serde_json::Value, keylender::base::Error> {
    let input = Some(json!({ "reason": "I know it" }));
    try_to(&fleet.world, "POST", &format!("/agents/pending/{queueloc}/{how}"), input).await
}

#[tokio::test]
async fn one_that_knocks_waits_with_what_dns_says_of_it_until_somebody_lets_it_in() {
    let fleet = Fleet::start().await;
    fleet.send(&[heartbeat(A, "web1.example.net", 7, Duration::ZERO)]).await;
    fleet.send(&[heartbeat(A, "web1.example.net", 7, Duration::ZERO), heartbeat("linux.b", "web9", 7, PERIOD)]).await;
    assert_eq!(fleet.states().await, Vec::<String>::new(), "none of them is an agent yet");
    assert_eq!(waiting(&fleet).await, ["linux.a web1.example.net 2", "linux.b web9 1"]);
    fleet.keep().await.unwrap();
    let verdicts = fleet.rows("/agents/pending", "pending", &["host", "verdict"]).await;
    assert_eq!(verdicts[0], format!("web1.example.net {WEB_ADDRESS} is web1.example.net, both ways"));
    assert_eq!(verdicts[1], format!("null {WEB_ADDRESS} is web1.example.net, which is not what it calls its host"));

    let plan = fleet.world.operate("POST", "/agents/pending/linux.a/approve?plan=1", None).await;
    let plan = plan["plan"].to_string();
    assert!(plan.contains("both ways") && plan.contains("over AMQP nobody proves them"), "{plan}");
    decide(&fleet, A, "approve").await.unwrap();
    assert_eq!(waiting(&fleet).await, ["linux.b web9 1"]);
    fleet.send(&[heartbeat(A, "web1.example.net", 7, Duration::ZERO)]).await;
    assert_eq!(fleet.states().await, ["linux.a online"]);
    let entry = fleet.world.audited("agent.approve").await.remove(0);
    assert_eq!((&entry["object"], &entry["details"]["reason"]), (&json!(A), &json!("I know it")));
    assert_eq!(decide(&fleet, A, "approve").await.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn one_that_is_refused_stays_out_and_is_listed_so_and_may_be_let_in_later() {
    let fleet = Fleet::start().await;
    fleet.send(&[heartbeat(A, "a", 7, Duration::ZERO)]).await;
    decide(&fleet, A, "refuse").await.unwrap();
    fleet.send(&[heartbeat(A, "a", 7, Duration::ZERO)]).await;
    fleet.keep().await.unwrap();
    let rows = fleet.rows("/agents/pending", "pending", &["queueloc", "count", "refusedBecause"]).await;
    assert_eq!(rows, ["linux.a 2 I know it"]);
    decide(&fleet, A, "approve").await.unwrap();
    fleet.send(&[heartbeat(A, "a", 7, Duration::ZERO)]).await;
    assert_eq!(fleet.states().await, ["linux.a online"]);
}

#[tokio::test]
async fn rules_decide_by_name_network_and_zone_and_those_that_refuse_come_first() {
    let fleet = Fleet::start().await;
    fleet.dns.host("192.0.2.22", "web2.example.net").host("198.51.100.9", "web3.example.net");
    let set = async |rule: &str, until: Option<&str>| {
        let path = format!("/agents/rules/{}", crate::world::segment(rule));
        let input = json!({ "until": until, "reason": "ours" });
        try_to(&fleet.world, "PUT", &path, Some(input)).await
    };
    for (rule, says) in [
        ("approve", "one or more of"),
        ("approve zone", "one or more of"),
        ("admit zone example.net", "expected `approve`"),
        ("approve queueloc re:(a", "cannot be read"),
        ("approve network 192.0.2.7/24", "write the rule as `approve network 192.0.2.0/24`"),
    ] {
        let error = set(rule, None).await.unwrap_err();
        assert!(error.kind() == Kind::Invalid && error.message().contains(says), "{rule}: {error}");
    }
    let path = format!("/agents/rules/{}?plan=1", crate::world::segment("approve queueloc re:.*"));
    let plan = fleet.world.operate("PUT", &path, Some(json!({ "reason": "ours" }))).await;
    assert!(plan["plan"].to_string().contains("it admits everybody"), "{plan}");
    assert!(set("approve zone example.net", Some("soon")).await.unwrap_err().message().contains("2027-01-31"));
    assert_eq!(set("approve zone example.net", Some("2026-01-01T00:00:00Z")).await.unwrap_err().kind(), Kind::Invalid);
    set("approve network 192.0.2.0/24 zone *.example.net", Some("2026-11-20T14:00:00Z")).await.unwrap();
    set("refuse queueloc re:linux\\.bad.*", None).await.unwrap();
    let rules = fleet.rows("/agents/rules", "rules", &["rule"]).await;
    assert_eq!(rules, ["refuse queueloc re:linux\\.bad.*", "approve network 192.0.2.0/24 zone *.example.net"]);

    let knock = async |queueloc: &str, name: &str, address: &str| {
        let mut body = heartbeat(queueloc, name, 7, Duration::ZERO);
        body["environment"]["addresses"] = json!([format!("{address}/24")]);
        fleet.send(&[body]).await;
    };
    knock("linux.one", "web1", WEB_ADDRESS).await;
    knock("linux.bad2", "web2", "192.0.2.22").await;
    knock("linux.three", "web3", "198.51.100.9").await;
    knock("linux.liar", "web1", "192.0.2.22").await;
    let report = fleet.keep().await.unwrap();
    assert_eq!(report, "1 agents were let in by rules; 1 were refused by rules");
    let rows = fleet.rows("/agents/pending", "pending", &["queueloc", "refusedBy"]).await;
    assert_eq!(rows, ["linux.bad2 rule refuse queueloc re:linux\\.bad.*", "linux.liar null", "linux.three null"]);
    let line = fleet.world.operate("GET", "/agents/whitelist", None).await["lines"][0].clone();
    assert_eq!(line["by"], "rule approve network 192.0.2.0/24 zone *.example.net", "{line}");

    // An end that has come, and a rule that is gone, decide nothing any more.
    fleet.world.clock.advance(Duration::from_secs(3 * 3600));
    let mut body = heartbeat("linux.late", "web1", 7, Duration::from_secs(3 * 3600));
    body["environment"]["addresses"] = json!(["192.0.2.21/24"]);
    fleet.send(&[body]).await;
    let path = format!("/agents/rules/{}", crate::world::segment("refuse queueloc re:linux\\.bad.*"));
    fleet.world.operate("DELETE", &path, Some(json!({ "reason": "over" }))).await;
    assert_eq!(fleet.keep().await.unwrap(), "");
}

#[tokio::test]
async fn a_flood_of_names_is_bounded_and_those_that_are_known_go_on() {
    let fleet = Fleet::start().await;
    fleet.admit(A).await;
    for thousand in 0..11 {
        let flood = (0..1000).map(|number| heartbeat(&format!("linux.x{thousand}-{number}"), "x", 1, Duration::ZERO));
        let bodies: Vec<_> = flood.chain([heartbeat(A, "a", 7, Duration::ZERO)]).collect();
        fleet.send(&bodies).await;
    }
    assert_eq!(fleet.states().await, ["linux.a online"]);
    assert_eq!(waiting(&fleet).await.len(), 10_000);
    // Who knocks no more is forgotten after a week.
    fleet.world.clock.advance(Duration::from_secs(8 * 24 * 3600));
    fleet.keep().await.unwrap();
    assert_eq!(waiting(&fleet).await.len(), 0);
}

#[tokio::test]
async fn who_keeps_knocking_for_an_hour_is_an_alarm_until_somebody_decides() {
    let fleet = Fleet::start().await;
    for round in 0..13 {
        fleet.send(&[heartbeat(A, "a", 7, PERIOD * round)]).await;
        fleet.world.clock.advance(PERIOD);
    }
    let alarms = async || fleet.rows("/alarms", "alarms", &["alarm", "text"]).await;
    let told = alarms().await.into_iter().find(|alarm| alarm.starts_with("agents pending")).unwrap();
    assert!(told.contains("1 agent keeps asking and is not let in: `linux.a`"), "{told}");
    decide(&fleet, A, "refuse").await.unwrap();
    fleet.world.clock.advance(Duration::from_secs(3601));
    assert!(alarms().await.iter().all(|alarm| !alarm.starts_with("agents pending")));
}
