//! Domain types that are also wire types (`docs/decisions/0009-domain-types-on-the-wire.md`), pinned to their JSON.

use keylender::base::{AccountName, HostName, OperatorName, Timestamp};
use keylender::domain::accounts::AccountStatus;
use keylender::domain::hosts::Known;
use keylender::domain::loops::Status;
use keylender::domain::monitor::{QueueRule, Rung};
use keylender::domain::operators::SessionView;
use keylender::ports::broker::Overflow;
use serde::Serialize;
use serde_json::{Value, json};

const AT: Timestamp = Timestamp::from_millis(1_795_176_000_000);
const AT_TEXT: &str = "2026-11-20T12:00:00.000Z";

fn wire(value: impl Serialize) -> Value {
    serde_json::to_value(value).unwrap()
}

#[test]
fn a_rule_for_queues_is_on_the_wire_as_it_was() {
    let rule = QueueRule {
        warn_messages: Some(1),
        delete_messages: Some(2),
        warn_bytes: Some(3),
        delete_bytes: Some(4),
        unconsumed_seconds: Some(5),
        grace_seconds: 6,
        exempt_until: Some(AT),
        remark: "why".into(),
        ..QueueRule::default()
    };
    let all = json!({
        "warnMessages": 1, "deleteMessages": 2, "warnBytes": 3, "deleteBytes": 4, "unconsumedSeconds": 5,
        "graceSeconds": 6, "exemptUntil": AT_TEXT, "remark": "why",
    });
    assert_eq!(wire(&rule), all);
    assert_eq!(serde_json::from_value::<QueueRule>(all).unwrap(), rule);
    assert_eq!(wire(QueueRule::default()), json!({ "graceSeconds": 0, "remark": "" }));
    let ladder = QueueRule {
        warn_head_seconds: Some(1),
        delete_head_seconds: Some(2),
        limit: Some(Rung { messages: Some(3), ..Rung::default() }),
        overflow: Overflow::DropHead,
        archive: Some(Rung { head_seconds: Some(4), ..Rung::default() }),
        ..QueueRule::default()
    };
    let all = json!({
        "warnHeadSeconds": 1, "deleteHeadSeconds": 2, "limit": {"messages": 3}, "overflow": "drop-head",
        "archive": {"headSeconds": 4}, "graceSeconds": 0, "remark": "",
    });
    assert_eq!(wire(&ladder), all);
    assert_eq!(serde_json::from_value::<QueueRule>(all).unwrap(), ladder);
    let stored = json!({ "warnMessages": null, "exemptUntil": null, "graceSeconds": 6, "remark": "from before" });
    assert_eq!(serde_json::from_value::<QueueRule>(stored).unwrap().grace_seconds, 6);
}

#[test]
fn what_is_known_of_hosts_sessions_and_accounts_is_on_the_wire_as_it_was() {
    let known = Known {
        address: "192.0.2.7".parse().unwrap(),
        name: Some(HostName::parse("a.example").unwrap()),
        verdict: "verified".into(),
        why: String::new(),
        first_seen: AT,
        last_seen: AT,
        changed: AT,
        lent: 1,
        refused: 2,
    };
    let seen = json!({
        "address": "192.0.2.7", "name": "a.example", "verdict": "verified",
        "firstSeen": AT_TEXT, "lastSeen": AT_TEXT, "changed": AT_TEXT, "lent": 1, "refused": 2,
    });
    assert_eq!(wire(known), seen);

    let session = SessionView {
        id: "ab".into(),
        operator: OperatorName::parse("ada").unwrap(),
        started: AT,
        seen: AT,
        address: "192.0.2.7".parse().unwrap(),
        agent: "browser".into(),
    };
    let shown = json!({
        "session": "ab", "operator": "ada", "started": AT_TEXT, "seen": AT_TEXT, "address": "192.0.2.7",
        "agent": "browser",
    });
    assert_eq!(wire(session), shown);

    let standing = AccountStatus {
        account: AccountName::parse("a-1").unwrap(),
        usable: true,
        settled: false,
        sites: Default::default(),
    };
    assert_eq!(wire(standing), json!({ "account": "a-1", "usable": true, "settled": false }));
}

#[test]
fn a_loop_is_on_the_wire_as_it_was() {
    let status = Status {
        name: "rotate",
        period_seconds: 1,
        why: "so",
        paused: true,
        brake: None,
        due: AT,
        last_run: Some(AT),
        last_success: None,
        last_took_ms: 2,
        failures: 3,
        last_report: "done".into(),
        last_error: String::new(),
    };
    let loops = json!({
        "name": "rotate", "periodSeconds": 1, "why": "so", "paused": true, "brake": null, "due": AT_TEXT,
        "lastRun": AT_TEXT, "lastSuccess": null, "lastTookMs": 2, "failures": 3, "lastReport": "done", "lastError": "",
    });
    assert_eq!(wire(status), loops);
}
