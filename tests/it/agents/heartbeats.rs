//! What is known of agents by their heartbeats.

use std::time::Duration;

use keylender::ports::broker::Topology;
use serde_json::{Value, json};

use super::{Fleet, KEY, PERIOD, WEB, WEB_ADDRESS, heartbeat, vhost};
use crate::relay_rotation::try_to;
use crate::world::BEGIN;

const A: &str = "linux.a";

/// What happened to an agent, oldest first.
async fn events(fleet: &Fleet, queueloc: &str) -> Vec<String> {
    let shown = fleet.world.operate("GET", &format!("/agents/known/{queueloc}"), None).await;
    let events = shown["about"]["events"].as_array().unwrap().iter();
    events
        .map(|event| format!("{} {}", event["kind"].as_str().unwrap(), event["what"].as_str().unwrap_or("")))
        .collect()
}

pub async fn counted(fleet: &Fleet, outcome: &str) -> u64 {
    let fates = fleet.world.appliance().agents.figures().await.unwrap().fates;
    fates.into_iter().find(|(fate, _)| fate.code() == outcome).unwrap().1
}

#[tokio::test]
async fn an_agent_is_online_idle_and_offline_by_the_timings_of_its_scheduler() {
    let fleet = Fleet::start().await;
    fleet.admit(A).await;
    fleet.send(&[heartbeat(A, "a", 7, Duration::ZERO)]).await;
    for (after, state) in [(5, "online"), (1, "idle"), (6, "idle"), (1, "offline")] {
        fleet.world.clock.advance(PERIOD * after);
        assert_eq!(fleet.states().await, [format!("linux.a {state}")], "{:?}", fleet.world.clock.now());
    }
    fleet.send(&[heartbeat(A, "a", 7, PERIOD * 13)]).await;
    assert_eq!(fleet.states().await, ["linux.a online"]);
}

#[tokio::test]
async fn restarts_changes_and_duplicates_are_told_apart_and_stand_in_the_time_line() {
    let fleet = Fleet::start().await;
    fleet.admit(A).await;
    let beat = async |pid, round: u32, change: fn(&mut Value)| {
        let mut body = heartbeat(A, "a", pid, PERIOD * round);
        change(&mut body);
        fleet.send(&[body]).await;
    };
    beat(7, 0, |_| {}).await;
    fleet.world.clock.advance(PERIOD);
    beat(7, 1, |_| {}).await;
    fleet.world.clock.advance(PERIOD);
    // Its modules come in another order each time.
    beat(8, 2, |body| body["environment"]["modules"] = json!(["file", "ping"])).await;
    assert_eq!(events(&fleet, A).await, ["heard process 7", "started process 8"]);
    let duplicates = async || fleet.rows("/agents", "agents", &["duplicates"]).await;
    assert_eq!(duplicates().await, ["null"], "the one before is silent since");
    fleet.world.clock.advance(PERIOD / 2);
    beat(7, 2, |body| body["version"] = "20190101".into()).await;
    assert_eq!(duplicates().await, ["[8,7]"], "it was heard after the other one had come");
    assert_eq!(events(&fleet, A).await.last().unwrap(), "changed version");
    let alarms = fleet.rows("/alarms", "alarms", &["alarm"]).await;
    assert!(alarms.contains(&"agents duplicates".to_owned()), "{alarms:?}");
}

#[tokio::test]
async fn heartbeats_of_each_generation_are_read_from_a_queue_beside_the_schedulers() {
    let fleet = Fleet::start().await;
    fleet.admit("re:linux\\..*").await;
    let bodies = [
        include_bytes!("../../../src/proto/heartbeat/tests/captures/2015_heartbeat.json").to_vec(),
        heartbeat(A, "a", 7, Duration::ZERO).to_string().into_bytes(),
    ];
    // The clock stands at noon of the day before those were captured.
    fleet.world.clock.set("2026-11-21T02:37:04Z".parse().unwrap());
    let reading = || fleet.world.appliance().agents.figures();
    for _ in 0..200 {
        if reading().await.unwrap().reading.since.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(fleet.world.broker.publish(&vhost(), "toschedulers", KEY, &bodies), 1, "one queue is bound");
    for _ in 0..200 {
        if counted(&fleet, "taken").await == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(fleet.states().await, ["linux.vm.dn0j5d3ugjk0 online"]);
    assert_eq!(counted(&fleet, "expired").await, 1, "the other one is of hours before");
    let left = fleet.world.broker.queue(&vhost(), "keylender.heartbeats").await.unwrap().unwrap();
    assert_eq!(left.messages, Some(0), "and nothing is left in the queue");
}

#[tokio::test]
async fn what_is_wrong_with_one_heartbeat_is_counted_and_hinders_no_other() {
    let fleet = Fleet::start().await;
    fleet.admit("re:.*").await;
    let good = heartbeat(A, "a", 7, Duration::ZERO);
    let with = |change: fn(&mut Value)| {
        let mut body = good.clone();
        change(&mut body);
        body.to_string().into_bytes()
    };
    let old = BEGIN.minus(Duration::from_secs(3601)).to_string();
    let ahead = BEGIN.plus(Duration::from_secs(3600)).to_string();
    let at = |sent: &str| {
        let mut body = good.clone();
        body["heartbeatts"] = sent.into();
        body.to_string().into_bytes()
    };
    let bodies = [
        b"not JSON".to_vec(),
        vec![b' '; 102_401],
        Vec::new(),
        at(&old),
        at(&ahead),
        with(|body| body["name"] = "n".repeat(65_536).into()),
        with(|body| body["queueloc"] = "linux.\u{7}".into()),
        with(|body| body["queueloc"] = "q".repeat(300).into()),
        good.to_string().into_bytes(),
    ];
    fleet.world.appliance().agents.take(&bodies).await.unwrap();
    let mut counts = Vec::new();
    for outcome in ["taken", "unreadable", "expired", "from-the-future", "malformed", "other-host", "not-listed"] {
        counts.push(counted(&fleet, outcome).await);
    }
    assert_eq!(counts, [1, 3, 1, 1, 3, 0, 0]);
    assert_eq!(fleet.states().await, ["linux.a online"]);
    assert_eq!(fleet.rows("/agents/pending", "pending", &["queueloc"]).await, Vec::<String>::new());
}

#[tokio::test]
async fn an_agent_that_was_enrolled_cannot_be_another_hosts() {
    let fleet = Fleet::start().await;
    let queueloc = fleet.enrolled(WEB_ADDRESS).await["queueloc"].as_str().unwrap().to_owned();
    fleet.send(&[heartbeat(&queueloc, "evil.example.net", 1, Duration::ZERO)]).await;
    assert_eq!(counted(&fleet, "other-host").await, 1);
    fleet.send(&[heartbeat(&queueloc, WEB, 2, Duration::ZERO), heartbeat(&queueloc, "WEB1", 2, Duration::ZERO)]).await;
    assert_eq!(fleet.rows("/agents", "agents", &["host", "state", "enrolled"]).await, ["web1.example.net online true"]);
}

#[tokio::test]
async fn agents_that_vanish_in_numbers_are_an_alarm_and_a_few_are_not() {
    let fleet = Fleet::start().await;
    fleet.admit("re:linux\\..*").await;
    let beat = async |hosts: std::ops::Range<i64>, round: u32| {
        let bodies: Vec<Value> =
            hosts.map(|number| heartbeat(&format!("linux.n{number}"), "n", 7, PERIOD * round)).collect();
        fleet.send(&bodies).await;
    };
    for _ in 0..200 {
        if fleet.world.appliance().agents.figures().await.unwrap().reading.since.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for round in 0..8 {
        beat(0..40, round).await;
        fleet.world.clock.advance(PERIOD);
    }
    let alarms = async || {
        let alarms = fleet.rows("/alarms", "alarms", &["alarm", "text"]).await;
        alarms.into_iter().find(|alarm| alarm.starts_with("agents vanished")).unwrap_or_default()
    };
    for round in 8..14 {
        beat(3..40, round).await;
        fleet.world.clock.advance(PERIOD);
    }
    assert_eq!(alarms().await, "", "three of forty go now and then");
    for round in 14..19 {
        beat(9..40, round).await;
        fleet.world.clock.advance(PERIOD);
    }
    beat(9..40, 19).await;
    fleet.world.clock.advance(PERIOD / 2);
    let told = alarms().await;
    assert!(told.contains("6 of 37 agents are not heard any more: `linux.n3`"), "{told}");
}

#[tokio::test]
async fn without_a_section_of_agents_there_are_none() {
    let world = crate::relay::world("name = 'r'").await;
    for path in ["/agents", "/agents/known/linux.a"] {
        let error = try_to(&world, "GET", path, None).await.unwrap_err();
        assert!(error.message().contains("[agents]"), "{error}");
    }
    assert_eq!(world.operate("GET", "/agents/pending", None).await, json!({ "pending": [] }));
}
