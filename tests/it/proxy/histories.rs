//! Random histories of sessions: whatever happens, nothing is asked that is over, and nothing was answered that is not
//! recorded.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;

use super::{Site, Task, at_port};
use crate::wire::Ask;

/// Histories. Each takes a tenth of a second.
const CASES: u32 = 20;

#[derive(Clone, Debug)]
enum Step {
    Open(u32),
    Call(usize),
    End(usize),
    Wait(u64),
    Restart,
    TokensFail(bool),
    Lend(usize, u8),
    BrokerAway(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (30u32..900).prop_map(Step::Open),
        6 => any::<usize>().prop_map(Step::Call),
        2 => any::<usize>().prop_map(Step::End),
        2 => (1u64..400).prop_map(Step::Wait),
        1 => Just(Step::Restart),
        1 => any::<bool>().prop_map(Step::TokensFail),
        4 => (any::<usize>(), 0u8..4).prop_map(|(task, name)| Step::Lend(task, name)),
        1 => any::<bool>().prop_map(Step::BrokerAway),
    ]
}

#[test]
fn nothing_is_asked_that_is_over_and_every_answer_is_recorded() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let history = proptest::collection::vec(step(), 1..25);
    let outcome = runner.run(&history, |steps| {
        runtime.block_on(play(steps));
        Ok(())
    });
    outcome.unwrap();
}

async fn play(steps: Vec<Step>) {
    let mut site = Site::start().await;
    // What each session may still be asked until, by the second.
    let mut open: BTreeMap<String, (Task, u64)> = BTreeMap::new();
    let (mut now, mut answered) = (0, 0);
    for step in steps {
        match step {
            Step::Open(lasts) => {
                let opening = json!({ "scopes": ["files:read", "pulse:namespace:taskcluster-*"], "listen": at_port(), "lastsSeconds": lasts });
                let task = Task::of(&site.open(opening).await);
                open.insert(task.session.clone(), (task, now + u64::from(lasts)));
            }
            Step::Call(which) if !open.is_empty() => {
                let (task, _) = open.values().nth(which % open.len()).unwrap();
                let status = task.get("/files/x").await.status;
                assert!(matches!(status, 200 | 502), "{status}");
                answered += 1;
            }
            Step::End(which) if !open.is_empty() => {
                let id = open.keys().nth(which % open.len()).unwrap().clone();
                let (task, _) = open.remove(&id).unwrap();
                let end = format!("/proxy/sessions/{id}/end");
                site.world.operate("POST", &end, Some(json!({ "reason": "by chance" }))).await;
                assert!(!task.is_asked().await);
            }
            Step::Wait(seconds) => {
                now += seconds;
                site.world.clock.advance(Duration::from_secs(seconds));
                site.sweep().await;
                let over: Vec<String> =
                    open.iter().filter(|(_, (_, ends))| *ends <= now).map(|(id, _)| id.clone()).collect();
                for id in over {
                    assert!(!open.remove(&id).unwrap().0.is_asked().await);
                }
            }
            Step::Restart => {
                site.world.restart().await;
                for (task, _) in std::mem::take(&mut open).into_values() {
                    assert!(!task.is_asked().await);
                }
            }
            Step::TokensFail(true) => site.service.answers("/tokens", 403, &json!({})),
            Step::TokensFail(false) => site.service.forget_answers(),
            Step::Lend(which, name) if !open.is_empty() => {
                let (task, _) = open.values().nth(which % open.len()).unwrap();
                let answer = task.ask(&Ask::post(&format!("/pulse/taskcluster-{name}"), "")).await;
                assert!(matches!(answer.status, 200 | 409 | 502 | 503), "{}", answer.text());
                answered += 1;
            }
            Step::BrokerAway(true) => site.world.broker.go_away(),
            Step::BrokerAway(false) => site.world.broker.come_back(),
            Step::Call(_) | Step::End(_) | Step::Lend(..) => {}
        }
    }
    // What is over has nothing at the broker, once it is back.
    site.world.broker.come_back();
    site.sweep().await;
    site.world.operate("POST", "/loops/expire/run", None).await;
    let lent = site.world.operate("GET", "/namespaces", None).await;
    for namespace in lent["namespaces"].as_array().unwrap() {
        assert!(open.contains_key(namespace["session"].as_str().unwrap()), "{namespace}");
    }
    let listed = site.world.operate("GET", "/proxy/sessions", None).await;
    let asked = listed["sessions"].as_array().unwrap().iter().filter(|session| session["ended"].is_null()).count();
    assert_eq!(asked, open.len());
    assert_eq!(site.audited_calls().await.len(), answered);
}
