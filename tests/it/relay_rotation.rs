//! Accounts of the relay: rotated in both ways, and looked after until their programs are back.

use std::time::Duration;

use keylender::app::operate::Operator;
use keylender::app::settings::RelaySettings;
use keylender::base::{Error, Kind, Secret, VhostName};
use keylender::ports::broker::Queue;
use keylender::proto::relay_profile::Profile;
use serde_json::{Value, json};

use crate::world::World;

const MINUTE: Duration = Duration::from_secs(60);
pub const HOUR: Duration = Duration::from_secs(3600);

/// An account of each way, and one that never rotates by itself.
const PROFILE: &str = "
name = 'r'
[[vhost]]
name = 'v'
queue = [{ name = 'q' }]
[[account]]
name = 'place'
rotate-every = '2 hours'
delivery = 'render'
back-within = '1 minute'
[[account.grant]]
vhost = 'v'
configure = ''
write = ''
read = '^q$'
consumes = ['q']
[[account]]
name = 'turn'
rotate-every = '2 hours'
rotate-by = 'in-turn'
[[account.grant]]
vhost = 'v'
configure = ''
write = ''
read = ''
[[account]]
name = 'still'
";

/// The relay of these stories, for a world that another story makes.
pub fn declared() -> Option<RelaySettings> {
    profile(PROFILE)
}

fn profile(text: &str) -> Option<RelaySettings> {
    Some(RelaySettings { profile: Profile::parse(text).unwrap(), from: "a story".into() })
}

/// A world whose loops run only when they are told.
pub async fn world() -> World {
    world_of(PROFILE).await
}

async fn world_of(text: &str) -> World {
    let world = World::with(|settings| {
        settings.relay = profile(text);
        settings.namespaces.amqp.query = "frameMax=8192".into();
    })
    .await;
    for name in ["reconcile", "rotate", "monitor"] {
        world.operate("POST", &format!("/loops/{name}/pause"), None).await;
    }
    world
}

pub async fn applied() -> World {
    let world = world().await;
    apply(&world).await;
    world
}

pub async fn apply(world: &World) {
    let applied = world.operate("POST", "/relay/apply", Some(json!({ "reason": "to see" }))).await;
    assert_eq!(applied["failed"], 0, "{applied}");
}

pub async fn run(world: &World, name: &str) -> Result<String, Error> {
    world.appliance().loops.run(name).await
}

/// What an operator is answered.
pub async fn try_to(world: &World, method: &str, path: &str, input: Option<Value>) -> Result<Value, Error> {
    Operator::connect(&world.settings).unwrap().call(method, path, input).await
}

pub async fn rotate(world: &World, name: &str, closes: bool) -> Result<Value, Error> {
    let input = json!({ "reason": "to see", "closeConnections": closes });
    try_to(world, "POST", &format!("/relay/accounts/{name}/rotate"), Some(input)).await
}

pub fn path(name: &str) -> String {
    format!("/relay/accounts/{name}/credentials")
}

/// User and password of an account as it is lent now.
pub async fn fetch(world: &World, name: &str) -> (String, Secret) {
    login(&world.operate("GET", &path(name), None).await)
}

pub fn login(lent: &Value) -> (String, Secret) {
    let text = |member: &str| lent[member].as_str().unwrap().to_owned();
    (text("username"), Secret::new(text("password")))
}

pub fn works(world: &World, (user, password): &(String, Secret)) -> bool {
    world.broker.can_login(user, password)
}

fn vhost() -> VhostName {
    VhostName::parse("v").unwrap()
}

pub fn connect(world: &World, (user, password): &(String, Secret)) {
    world.broker.connect(user, password, &vhost(), world.clock.now()).expect("it works");
}

/// An account as `GET /relay` has it.
async fn shown(world: &World, name: &str) -> Value {
    let relay = world.operate("GET", "/relay", None).await;
    relay["accounts"].as_array().unwrap().iter().find(|account| account["account"] == name).unwrap().clone()
}

#[tokio::test]
async fn in_place_the_old_password_is_refused_and_the_new_one_is_lent() {
    let world = applied().await;
    let before = fetch(&world, "place").await;
    assert_eq!((before.0.as_str(), works(&world, &before)), ("place", true));
    connect(&world, &before);
    rotate(&world, "place", false).await.unwrap();
    let after = fetch(&world, "place").await;
    assert!(!works(&world, &before) && works(&world, &after));
    assert!(world.broker.closed().is_empty(), "who is connected stays");
    let account = shown(&world, "place").await;
    let [begin, next] = ["2026-11-20T12:00:00.000Z", "2026-11-20T14:00:00.000Z"];
    assert_eq!((&account["lastRotation"], &account["nextRotation"]), (&json!(begin), &json!(next)));
    assert_eq!((&account["promisedUntil"], &account["holders"]), (&json!(next), &json!(1)));
    assert_eq!(account["rotation"], json!({ "everySeconds": 7200, "by": "in-place" }));
    for action in ["relay.renew", "relay.rotate"] {
        let entries = world.audited(action).await;
        assert_eq!((&entries[0]["object"], &entries[0]["details"]["reason"]), (&json!("place"), &json!("to see")));
    }

    rotate(&world, "place", true).await.unwrap();
    assert_eq!(world.broker.closed().len(), 1);
    assert!(world.broker.closed()[0].1.contains("log in with the new one"));
    assert_eq!(world.audited("relay.close").await[0]["details"]["connections"], 1);
}

#[tokio::test]
async fn in_turn_the_old_password_works_until_it_was_promised() {
    let world = applied().await;
    let first = fetch(&world, "turn").await;
    rotate(&world, "turn", false).await.unwrap();
    let second = fetch(&world, "turn").await;
    assert_eq!((first.0.as_str(), second.0.as_str()), ("turn-1", "turn-2"));
    assert!(works(&world, &first) && works(&world, &second));
    let error = rotate(&world, "turn", false).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(error.message().contains("promised until 2026-11-20T15:00:00.000Z"), "{error}");
    assert!(works(&world, &first), "and nothing was begun");

    world.clock.advance(2 * HOUR);
    run(&world, "rotate").await.unwrap();
    assert!(works(&world, &first) && works(&world, &second), "the promise is three hours");
    world.clock.advance(HOUR);
    run(&world, "rotate").await.unwrap();
    let third = fetch(&world, "turn").await;
    assert_eq!(third.0, "turn-1");
    assert!(!works(&world, &first) && works(&world, &second) && works(&world, &third));
}

#[tokio::test]
async fn the_loop_rotates_what_is_due_and_one_that_fails_stops_no_other() {
    let world = applied().await;
    assert_eq!(run(&world, "rotate").await.unwrap(), "");
    let [place, turn, still] =
        [fetch(&world, "place").await, fetch(&world, "turn").await, fetch(&world, "still").await];
    world.clock.advance(2 * HOUR);
    let plan = world.operate("GET", "/loops/rotate/plan", None).await.to_string();
    assert!(plan.contains("rotate the account place") && plan.contains("rotate the account turn"), "{plan}");
    world.broker.fail_next(1);
    let error = run(&world, "rotate").await.unwrap_err();
    assert!(error.message().contains("1 accounts of the relay were rotated"), "{error}");
    assert!(error.message().contains("1 could not be"), "{error}");
    run(&world, "rotate").await.unwrap();
    assert!(!works(&world, &place) && works(&world, &turn) && works(&world, &still));
    assert_eq!(fetch(&world, "turn").await.0, "turn-2");
    assert_eq!(run(&world, "rotate").await.unwrap(), "");
}

#[tokio::test]
async fn an_outage_or_a_restart_in_the_middle_of_a_rotation_locks_nobody_out_wherever_it_came() {
    for name in ["place", "turn"] {
        for answers in 0..6 {
            for is_lost in [false, true] {
                let mut world = applied().await;
                let before = fetch(&world, name).await;
                connect(&world, &before);
                if is_lost {
                    world.broker.lose_answer_after(answers);
                } else {
                    world.broker.fail_after(answers);
                }
                let broken = rotate(&world, name, true).await;
                if is_lost && !world.broker.has_lost_an_answer() {
                    continue;
                }
                world.broker.come_back();
                let case = format!("{name} {answers} {is_lost} {broken:?}");
                // Whoever asks gets what works, whatever is not finished.
                assert!(works(&world, &fetch(&world, name).await), "{case}");
                if answers % 2 == 1 {
                    world.restart().await;
                }
                run(&world, "rotate").await.unwrap();
                let after = fetch(&world, name).await;
                assert!(after != before && works(&world, &after), "{case}");
                assert_eq!(works(&world, &before), name == "turn", "{case}");
                assert_eq!(world.broker.closed().len(), 1, "{case}");
                assert_eq!(run(&world, "rotate").await.unwrap(), "", "{case}");
                assert_eq!(run(&world, "reconcile").await.unwrap(), "", "{case}");
            }
        }
    }
}

#[tokio::test]
async fn a_new_password_that_only_the_store_has_is_brought_to_the_broker_by_reconcile() {
    let world = applied().await;
    let before = fetch(&world, "place").await;
    world.broker.go_away();
    assert_eq!(rotate(&world, "place", false).await.unwrap_err().kind(), Kind::Unavailable);
    assert_eq!(try_to(&world, "GET", &path("place"), None).await.unwrap_err().kind(), Kind::Unavailable);
    world.broker.come_back();
    assert!(works(&world, &before));
    run(&world, "reconcile").await.unwrap();
    assert!(!works(&world, &before));
    assert!(works(&world, &fetch(&world, "place").await));
}

pub async fn rows(world: &World, path: &str, list: &str, members: &[&str]) -> Vec<String> {
    let told = world.operate("GET", path, None).await;
    let text = |row: &Value, member: &str| row[member].as_str().unwrap_or("-").to_owned();
    let line = |row: &Value| members.iter().map(|member| text(row, member)).collect::<Vec<_>>().join(" ");
    told[list].as_array().unwrap().iter().map(line).collect()
}

async fn alarms(world: &World) -> Vec<String> {
    rows(world, "/alarms", "alarms", &["alarm", "text"]).await.into_iter().filter(|row| row.contains("relay")).collect()
}

#[tokio::test]
async fn programs_that_do_not_come_back_are_an_alarm_until_they_do() {
    let world = applied().await;
    let queue = |consumers| Queue { name: "q".into(), consumers: Some(consumers), ..Queue::default() };
    world.broker.put_queue(&vhost(), queue(1));
    connect(&world, &fetch(&world, "place").await);
    rotate(&world, "place", true).await.unwrap();
    world.broker.put_queue(&vhost(), queue(0));
    assert_eq!(run(&world, "reconcile").await.unwrap(), "", "they have a minute");
    world.clock.advance(MINUTE);
    let report = run(&world, "reconcile").await.unwrap();
    assert_eq!(report, "the programs of place are not back: no connection, no consumer on `q` in v");
    let alarm = alarms(&world).await.remove(0);
    assert!(alarm.starts_with("relay account place Since its password was replaced"), "{alarm}");
    assert!(alarm.contains("no consumer on `q` in v") && alarm.contains("alive and silent"), "{alarm}");

    connect(&world, &fetch(&world, "place").await);
    let report = run(&world, "reconcile").await.unwrap();
    assert_eq!(report, "the programs of place are not back: no consumer on `q` in v", "alive and silent");
    world.broker.put_queue(&vhost(), queue(1));
    assert_eq!(run(&world, "reconcile").await.unwrap(), "");
    assert_eq!(alarms(&world).await, Vec::<String>::new());
    assert_eq!(run(&world, "reconcile").await.unwrap(), "");
}

#[tokio::test]
async fn connections_are_closed_when_the_programs_have_had_their_time_to_learn_the_new_password() {
    let world = world_of(&PROFILE.replace("back-within", "close-after = '15 minutes'\nback-within")).await;
    apply(&world).await;
    let before = fetch(&world, "place").await;
    connect(&world, &before);
    world.clock.advance(2 * HOUR);
    run(&world, "rotate").await.unwrap();
    assert!(!works(&world, &before));
    world.clock.advance(14 * MINUTE);
    assert_eq!(run(&world, "rotate").await.unwrap(), "");
    assert!(world.broker.closed().is_empty(), "a file may be written still");
    let after = fetch(&world, "place").await;
    connect(&world, &after);
    world.clock.advance(MINUTE);
    let report = run(&world, "rotate").await.unwrap();
    assert!(
        report.starts_with("0 accounts of the relay were rotated") && report.contains("of 1, connections"),
        "{report}"
    );
    assert_eq!(world.broker.closed().len(), 1, "not of who has learned the new one");
    assert_eq!(run(&world, "rotate").await.unwrap(), "", "once");
    world.clock.advance(MINUTE);
    assert!(run(&world, "reconcile").await.unwrap().contains("no consumer on `q`"), "they are looked after, too");

    rotate(&world, "place", false).await.unwrap();
    assert_eq!(world.broker.closed().len(), 1, "an operator may leave it at that");
    rotate(&world, "place", true).await.unwrap();
    assert_eq!(world.broker.closed().len(), 2, "or not wait");
}

#[tokio::test]
async fn another_rotation_gives_programs_their_time_anew_and_what_waits_to_be_closed_is_in_the_way_of_nothing() {
    let mut world = world_of(&PROFILE.replace("back-within", "close-after = '15 minutes'\nback-within")).await;
    apply(&world).await;
    connect(&world, &fetch(&world, "place").await);
    rotate(&world, "place", false).await.unwrap();
    world.clock.advance(14 * MINUTE);
    rotate(&world, "place", false).await.unwrap();
    world.clock.advance(14 * MINUTE);
    run(&world, "rotate").await.unwrap();
    assert!(world.broker.closed().is_empty(), "the second password has its own time");

    // A restart, an outage at the moment of closing, and a shorter interval in between.
    world.settings.relay = profile(&PROFILE.replace("2 hours'\ndelivery", "1 hour'\ndelivery"));
    world.restart().await;
    let present = fetch(&world, "place").await;
    world.clock.advance(MINUTE);
    world.broker.go_away();
    run(&world, "rotate").await.unwrap_err();
    world.broker.come_back();
    run(&world, "rotate").await.unwrap();
    assert_eq!(world.broker.closed().len(), 1);
    assert!(works(&world, &present), "another interval is no rotation");

    world.settings.relay = profile(&PROFILE.replace("back-within", "close-after = '15 minutes'\nback-within"));
    world.restart().await;
    rotate(&world, "place", false).await.unwrap();
    let released = try_to(&world, "POST", "/relay/users/place/release", Some(json!({ "reason": "to see" }))).await;
    assert!(released.is_ok(), "{released:?}");
}

#[tokio::test]
async fn an_account_that_nobody_used_is_not_missed() {
    let world = applied().await;
    rotate(&world, "place", true).await.unwrap();
    world.clock.advance(MINUTE);
    assert_eq!(run(&world, "reconcile").await.unwrap(), "");
    assert_eq!(alarms(&world).await, Vec::<String>::new());
}

#[tokio::test]
async fn another_way_or_interval_is_in_force_when_it_is_applied() {
    let mut world = applied().await;
    let turn = fetch(&world, "turn").await;
    let other = PROFILE
        .replace("rotate-by = 'in-turn'\n", "")
        .replace("name = 'still'", "name = 'still'\nrotate-every = '1 hour'");
    world.settings.relay = profile(&other);
    world.restart().await;
    assert_eq!(try_to(&world, "GET", &path("turn"), None).await.unwrap_err().kind(), Kind::Conflict);
    assert!(works(&world, &turn));
    apply(&world).await;
    assert!(!works(&world, &turn), "its users went");
    let turn = fetch(&world, "turn").await;
    assert_eq!((turn.0.as_str(), works(&world, &turn)), ("turn", true));
    // The time of one that did not rotate by itself begins with the first pass.
    let still = fetch(&world, "still").await;
    let plan = world.operate("GET", "/loops/rotate/plan", None).await.to_string();
    assert!(!plan.contains("still"), "{plan}");
    run(&world, "rotate").await.unwrap();
    assert!(works(&world, &still));
    world.clock.advance(HOUR);
    run(&world, "rotate").await.unwrap();
    assert!(!works(&world, &still) && works(&world, &fetch(&world, "still").await));
}
