//! Cutting agents off, and letting them in again.

use std::time::Duration;

use keylender::base::{Kind, Secret};
use keylender::ports::broker::{Access, Connections, Login, Message, PasswordHash, Queue, Topology, UserWish, Users};
use serde_json::json;

use super::{Fleet, PERIOD, WEB, WEB_ADDRESS, account, heartbeat, vhost};
use crate::relay_rotation::{login, try_to};

#[tokio::test]
async fn who_is_revoked_is_off_at_once_and_comes_back_by_a_token_only() {
    let fleet = Fleet::start().await;
    let enrolled = fleet.enrolled(WEB_ADDRESS).await;
    let queueloc = enrolled["queueloc"].as_str().unwrap();
    let (user, password) = login(&enrolled);
    fleet.world.broker.connect(&user, &password, &vhost(), fleet.world.clock.now()).expect("it works");
    let count = async || fleet.world.broker.connection_count(&account("agent-web1.example.net")).await.unwrap();
    assert_eq!(count().await, 1);
    let plan = fleet
        .world
        .operate("POST", "/agents/hosts/web1.example.net/revoke?plan=1", Some(json!({ "reason": "x" })))
        .await;
    assert!(plan["plan"].to_string().contains("1 connection of it ends at once"), "{plan}");
    fleet.revoke(WEB, "keep").await.unwrap();
    assert!(!fleet.works(&enrolled) && fleet.users().await.is_empty());
    assert_eq!(count().await, 0, "and its connection is gone");
    assert_eq!(fleet.states().await, [format!("{queueloc} revoked")]);
    let checked = fleet.world.operate("GET", &format!("/agents/whitelist/check?queueloc={queueloc}"), None).await;
    assert_eq!(checked["admitted"], false);
    let refused = fleet.enrol_from(WEB_ADDRESS).await;
    assert_eq!(refused.status, 403, "DNS still knows it: {refused:?}");
    assert_eq!(fleet.rows("/leases?kind=agent", "leases", &["name"]).await, Vec::<String>::new());

    let input = json!({ "reason": "it was found" });
    let made = fleet.world.operate("POST", "/agents/hosts/web1.example.net/token", Some(input)).await;
    let ask = crate::wire::Ask::get("/api/keylender/v1/agents/enrol").with("X-Forwarded-For", WEB_ADDRESS);
    let ask = ask.with("Authorization", &format!("Bearer {}", made["token"].as_str().unwrap()));
    let again = fleet.world.ask(&ask).await.json();
    assert!(fleet.works(&again), "{again}");
    assert_ne!(again["queueloc"], enrolled["queueloc"], "it is another one: whoever has the former id has nothing");
    let queueloc = again["queueloc"].as_str().unwrap();
    assert_eq!(fleet.states().await, [format!("{queueloc} unheard")], "nothing is left of the former one");
    let shown = fleet.world.operate("GET", &format!("/agents/known/{queueloc}"), None).await;
    let happened = shown["about"]["events"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap());
    assert_eq!(happened.collect::<Vec<_>>(), ["enrolled", "revoked", "enrolled"], "but what happened to it");
    assert!(fleet.works(&fleet.enrolled(WEB_ADDRESS).await), "and it goes on as before");
}

/// What a host hears that shows a token.
async fn show(fleet: &Fleet, token: &str) -> crate::wire::Answer {
    let ask = crate::wire::Ask::get("/api/keylender/v1/agents/enrol").with("X-Forwarded-For", WEB_ADDRESS);
    fleet.world.ask(&ask.with("Authorization", &format!("Bearer {token}"))).await
}

async fn token(fleet: &Fleet) -> String {
    let input = json!({ "minutes": 600, "reason": "it was found" });
    let made = fleet.world.operate("POST", "/agents/hosts/web1.example.net/token", Some(input)).await;
    made["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_token_of_before_does_not_bring_a_revoked_host_back() {
    let fleet = Fleet::start().await;
    fleet.enrolled(WEB_ADDRESS).await;
    let old = token(&fleet).await;
    fleet.revoke(WEB, "keep").await.unwrap();
    assert_eq!(show(&fleet, &old).await.status, 403);
    assert_eq!(show(&fleet, &token(&fleet).await).await.status, 200);
}

#[tokio::test]
async fn a_token_during_an_outage_is_not_used_up_and_keeps_no_connection_of_before_alive() {
    let fleet = Fleet::start().await;
    let enrolled = fleet.enrolled(WEB_ADDRESS).await;
    let (user, password) = login(&enrolled);
    fleet.world.broker.connect(&user, &password, &vhost(), fleet.world.clock.now()).expect("it works");
    fleet.world.broker.go_away();
    assert_eq!(fleet.revoke(WEB, "keep").await.unwrap_err().kind(), Kind::Unavailable);
    let token = token(&fleet).await;
    assert_eq!(show(&fleet, &token).await.status, 503);
    fleet.world.broker.come_back();
    let back = show(&fleet, &token).await;
    assert_eq!(back.status, 200, "asking again was safe: {back:?}");
    let open = fleet.world.broker.connection_count(&account("agent-web1.example.net")).await.unwrap();
    assert_eq!(open, 0, "whoever was connected is not any more");
    assert_eq!(fleet.world.audited("agent.cut_off").await.len(), 1);
}

#[tokio::test]
async fn no_rule_lets_in_who_was_cut_off() {
    let fleet = Fleet::start().await;
    let enrolled = fleet.enrolled(WEB_ADDRESS).await;
    let queueloc = enrolled["queueloc"].as_str().unwrap();
    let rule = format!("/agents/rules/{}", crate::world::segment("approve zone *.example.net"));
    fleet.world.operate("PUT", &rule, Some(json!({ "reason": "ours" }))).await;
    fleet.revoke(WEB, "keep").await.unwrap();
    fleet.send(&[heartbeat(queueloc, WEB, 7, Duration::ZERO)]).await;
    fleet.keep().await.unwrap();
    assert_eq!(fleet.rows("/agents/pending", "pending", &["queueloc"]).await, Vec::<String>::new());
    let list = fleet.world.operate("GET", "/agents/whitelist", None).await["text"].clone();
    assert_eq!(list, "");
}

#[tokio::test]
async fn its_queue_is_kept_emptied_or_deleted_as_asked() {
    for (fate, left) in [("keep", Some(1)), ("purge", Some(0)), ("delete", None)] {
        let fleet = Fleet::start().await;
        let enrolled = fleet.enrolled(WEB_ADDRESS).await;
        let queue = format!("mig.agt.{}", enrolled["queueloc"].as_str().unwrap());
        fleet.world.broker.put_queue(&vhost(), Queue { name: queue.clone(), ..Queue::default() });
        fleet.world.broker.put_messages(&vhost(), &queue, [Message::default()]);
        fleet.revoke(WEB, fate).await.unwrap();
        let found = fleet.world.broker.queue(&vhost(), &queue).await.unwrap();
        assert_eq!(found.map(|queue| queue.messages.unwrap()), left, "{fate}");
    }
}

#[tokio::test]
async fn a_revocation_is_wished_while_the_broker_is_away_and_done_when_it_is_back() {
    let mut fleet = Fleet::start().await;
    let enrolled = fleet.enrolled(WEB_ADDRESS).await;
    let queue = format!("mig.agt.{}", enrolled["queueloc"].as_str().unwrap());
    fleet.world.broker.put_queue(&vhost(), Queue { name: queue.clone(), ..Queue::default() });
    fleet.world.broker.go_away();
    assert_eq!(fleet.revoke(WEB, "delete").await.unwrap_err().kind(), Kind::Unavailable);
    assert_eq!(fleet.enrol_from(WEB_ADDRESS).await.status, 403, "it gets nothing from that moment on");
    assert!(fleet.keep().await.is_err());
    fleet.world.restart().await;
    fleet.world.broker.come_back();
    assert!(fleet.keep().await.unwrap().contains("1 were cut off"));
    assert!(fleet.users().await.is_empty() && !fleet.works(&enrolled));
    assert!(fleet.world.broker.queue(&vhost(), &queue).await.unwrap().is_none());
    assert_eq!(fleet.world.audited("agent.cut_off").await.len(), 1);
    assert_eq!(fleet.keep().await.unwrap(), "", "once");
}

#[tokio::test]
async fn one_that_was_cut_off_is_forgotten_and_may_enrol_by_its_name_again() {
    let fleet = Fleet::start().await;
    let enrolled = fleet.enrolled(WEB_ADDRESS).await;
    fleet.send(&[heartbeat(enrolled["queueloc"].as_str().unwrap(), WEB, 7, Duration::ZERO)]).await;
    let forget = async || {
        try_to(&fleet.world, "POST", "/agents/hosts/web1.example.net/forget", Some(json!({ "reason": "sold" }))).await
    };
    assert_eq!(forget().await.unwrap_err().kind(), Kind::Conflict, "it is not cut off");
    fleet.revoke(WEB, "keep").await.unwrap();
    forget().await.unwrap();
    assert_eq!(fleet.states().await, Vec::<String>::new(), "what was heard of it says nothing of who comes next");
    assert_eq!(forget().await.unwrap_err().kind(), Kind::NotFound);
    assert!(fleet.works(&fleet.enrolled(WEB_ADDRESS).await));
}

/// RabbitMQ 4.3 lets a connection live that was opened in the moment before its user was deleted.
#[tokio::test]
async fn connections_of_who_was_cut_off_are_closed_once_more_later_or_before_it_is_forgotten() {
    for is_forgotten in [false, true] {
        let fleet = Fleet::start().await;
        fleet.enrolled(WEB_ADDRESS).await;
        fleet.revoke(WEB, "keep").await.unwrap();
        let (name, password) = (account("agent-web1.example.net"), Secret::generate());
        let access = Access { configure: String::new(), write: String::new(), read: String::new() };
        let login = Login::Hash(PasswordHash::of(&password));
        let permissions = [(vhost(), access)];
        let late = UserWish { name: &name, login, tags: &[], permissions: &permissions };
        fleet.world.broker.put_user(&late).await.unwrap();
        fleet.world.broker.connect(name.as_str(), &password, &vhost(), fleet.world.clock.now()).unwrap();
        if is_forgotten {
            let forget = "/agents/hosts/web1.example.net/forget";
            fleet.world.operate("POST", forget, Some(json!({ "reason": "sold" }))).await;
        } else {
            fleet.world.clock.advance(Duration::from_secs(3));
            fleet.keep().await.unwrap();
        }
        assert_eq!(fleet.world.broker.connection_count(&name).await.unwrap(), 0, "forgotten: {is_forgotten}");
    }
}

#[tokio::test]
async fn those_that_are_gone_are_proposed_and_a_brake_stops_too_many() {
    let fleet = Fleet::start().await;
    let mut enrolled = Vec::new();
    for number in 30..42 {
        let (address, name) = (format!("192.0.2.{number}"), format!("w{number}.example.net"));
        fleet.dns.host(&address, &name);
        enrolled.push((address.clone(), name, fleet.enrolled(&address).await));
    }
    let month = Duration::from_secs(31 * 24 * 3600);
    fleet.world.clock.advance(month);
    fleet.keep().await.unwrap();
    let gone = async || fleet.rows("/agents/gone", "agents", &["host"]).await;
    assert_eq!(gone().await, Vec::<String>::new(), "they are silent, and in DNS");
    // The first two are heard, the third went from DNS.
    let bodies: Vec<_> = enrolled[..2]
        .iter()
        .map(|(_, name, enrolled)| heartbeat(enrolled["queueloc"].as_str().unwrap(), name, 7, month))
        .collect();
    fleet.send(&bodies).await;
    fleet.dns.forget_host(&enrolled[2].0, &enrolled[2].1).forget_host(&enrolled[0].0, &enrolled[0].1);
    fleet.world.clock.advance(Duration::from_secs(3601));
    fleet.keep().await.unwrap();
    assert_eq!(gone().await, ["w32.example.net"]);
    let remove = async || try_to(&fleet.world, "POST", "/agents/gone/remove", Some(json!({ "reason": "gone" }))).await;
    assert_eq!(remove().await.unwrap()["report"], "1 agent was cut off");
    assert_eq!((fleet.users().await.len(), gone().await.len()), (11, 0));

    // DNS loses all of them: that is not believed.
    for (address, name, _) in &enrolled {
        fleet.dns.forget_host(address, name);
    }
    fleet.world.clock.advance(month + PERIOD);
    fleet.keep().await.unwrap();
    assert_eq!(gone().await.len(), 11);
    let error = remove().await.unwrap_err();
    assert!(error.kind() == Kind::Conflict && error.message().contains("11 of 11 agents seem to be gone"), "{error}");
    assert_eq!(fleet.users().await.len(), 11);
    let alarms = fleet.rows("/alarms", "alarms", &["alarm"]).await;
    assert!(alarms.contains(&"agents gone".to_owned()), "{alarms:?}");
}
