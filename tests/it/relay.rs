//! The relay: declared in a profile, planned, applied, compared with the broker.

use std::collections::BTreeSet;

use keylender::app::operate::Operator;
use keylender::app::settings::RelaySettings;
use keylender::base::{AccountName, Error, Kind, Secret, VhostName};
use keylender::ports::broker::{
    Access, Key, Login, PasswordHash, Policy, Queue, Resource, Resources, TopicAccess, UserWish, Users, Version,
};
use keylender::proto::relay_profile::{Profile, preset};
use serde_json::{Value, json};

use crate::openapi;
use crate::world::World;

/// The table of permissions that the guide of 2015 prints.
const TABLE: &str = r"
admin .* .* .*
agent ^mig\.agt\.(linux|windows|darwin)\..*$ ^mig(|\.agt\.(linux|windows|darwin)\..*)$ ^mig(|\.agt\.(linux|windows|darwin)\..*)$
api ^migevent\..*$ ^migevent(|\..*)$ ^migevent(|\..*)$
scheduler ^mig(|(event|\.agt)(|\..*))$ ^mig(|event(|\..*)|\.(agt\.(heartbeats|results)))$ ^mig(|event(|\..*)|\.(agt\.(heartbeats|results)))$
worker ^migevent\..*$ ^migevent(|\..*)$ ^migevent(|\..*)$
";
/// Something of each kind, all of it put right.
const EVERYTHING: &str = "
name = 'r'
[[vhost]]
name = 'v'
limits = { max-queues = 10 }
exchange = [{ name = 'e', type = 'topic' }]
queue = [{ name = 'q' }]
binding = [{ source = 'e', destination = 'q', routing-key = '#' }]
policy = [{ name = 'p', pattern = '.*', definition = { max-length = 5 } }]
[[account]]
name = 'a'
limits = { max-connections = 1 }
[[account.grant]]
vhost = 'v'
configure = ''
write = '^e$'
read = '^q$'
topic = [{ exchange = 'e', write = '^x', read = '' }]
";

pub fn profile(text: &str) -> Option<RelaySettings> {
    let profile = Profile::builtin(text).or_else(|| Profile::parse(text).ok()).unwrap();
    Some(RelaySettings { profile, from: "a story".into() })
}

/// A world with this profile, whose loop runs only when it is told.
pub async fn world(text: &str) -> World {
    let world = World::with(|settings| settings.relay = profile(text)).await;
    for name in ["reconcile", "monitor"] {
        world.operate("POST", &format!("/loops/{name}/pause"), None).await;
    }
    world
}

/// How many requests a plan takes. Others, such as the check of health, may ask at the same time: the least of some tries.
pub async fn asked_by_a_plan(world: &World) -> u32 {
    let mut least = usize::MAX;
    for _ in 0..3 {
        world.broker.forget_calls();
        plan(world).await;
        least = least.min(world.broker.calls().len());
    }
    u32::try_from(least).unwrap()
}

pub async fn apply(world: &World) -> Value {
    world.operate("POST", "/relay/apply", Some(json!({ "reason": "to see" }))).await
}

pub async fn plan(world: &World) -> Vec<String> {
    let plan = world.operate("GET", "/relay/plan", None).await;
    let text = |step: &Value, member: &str| step[member].as_str().unwrap_or_default().to_owned();
    let line = |step: &Value| format!("{} {} {}", text(step, "what"), text(step, "kind"), text(step, "name"));
    plan["steps"].as_array().unwrap().iter().map(line).collect()
}

pub async fn reconcile(world: &World) -> Result<String, Error> {
    world.appliance().loops.run("reconcile").await
}

pub fn vhost(name: &str) -> VhostName {
    VhostName::parse(name).unwrap()
}

pub fn user(name: &str) -> AccountName {
    AccountName::parse(name).unwrap()
}

/// Somebody else makes a user.
pub async fn make_user(world: &World, name: &str, password: &Secret) {
    let login = Login::Hash(PasswordHash::of(password));
    let wish = UserWish { name: &user(name), login, tags: &[], permissions: &[] };
    world.broker.put_user(&wish).await.unwrap();
}

async fn has_user(world: &World, name: &str) -> bool {
    world.broker.user(&user(name)).await.unwrap().is_some()
}

/// Who may do what in a vhost, a line each, without ourselves.
pub async fn permissions(world: &World, vhost: &str) -> String {
    let rows = world.broker.permissions().await.unwrap().into_iter();
    let rows = rows.filter(|row| row.vhost == vhost && row.user != "administrator");
    let line = |Access { configure, write, read }: Access| format!("{configure} {write} {read}");
    rows.map(|row| format!("{} {}\n", row.user, line(row.access))).collect()
}

/// For the story that calls every method.
pub async fn every_method(seen: &mut BTreeSet<String>) {
    let world = world("mig-2015").await;
    openapi::call(&world, seen, "GET", "/relay", None).await;
    openapi::call(&world, seen, "GET", "/relay/plan", None).await;
    openapi::call(&world, seen, "POST", "/relay/apply", Some(json!({ "reason": "to see" }))).await;
    openapi::call(&world, seen, "GET", "/relay/drift", None).await;
    openapi::call(&world, seen, "GET", "/relay/cluster", None).await;
    openapi::call(&world, seen, "GET", "/relay/accounts/agent/reach", None).await;
    openapi::call(&world, seen, "GET", "/relay/accounts/agent/credentials", None).await;
    openapi::call(&world, seen, "POST", "/relay/accounts/agent/wrap", Some(json!({ "lastsSeconds": 60 }))).await;
    let input = json!({ "reason": "to see", "closeConnections": true });
    openapi::call(&world, seen, "POST", "/relay/accounts/agent/rotate", Some(input)).await;
    openapi::call(&world, seen, "GET", "/relay/profile", None).await;
    make_user(&world, "shop", &Secret::new("theirs")).await;
    openapi::call(&world, seen, "GET", "/relay/users", None).await;
    let input = json!({ "reason": "to see", "owner": "the shop team", "note": "orders" });
    openapi::call(&world, seen, "POST", "/relay/users/shop/adopt", Some(input)).await;
    openapi::call(&world, seen, "POST", "/relay/users/shop/release", Some(json!({ "reason": "to see" }))).await;
    let world = World::start().await;
    let text = "name = 'r'\n[[part]]\nname = 'files'\nkind = 'rabbitmq-open-files'\n";
    let input = json!({ "reason": "to see", "text": text });
    openapi::call(&world, seen, "PUT", "/relay/profile", Some(input)).await;
    openapi::call(&world, seen, "GET", "/relay/parts/files", None).await;
    crate::whitelist::every_method(seen).await;
    crate::agents::every_method(seen).await;
}

#[tokio::test]
async fn from_an_empty_broker_to_the_table_of_the_guide_by_one_apply_and_a_second_one_changes_nothing() {
    let world = world("mig-2015").await;
    make_user(&world, "guest", &Secret::new("guest")).await;
    let applied = apply(&world).await;
    assert_eq!((&applied["done"], &applied["failed"], &applied["left"]), (&json!(8), &json!(0), &json!(0)));
    assert_eq!(permissions(&world, "mig").await, TABLE.trim_start());
    let admin = world.broker.user(&user("admin")).await.unwrap().unwrap();
    assert_eq!(admin.tags, ["administrator"]);
    assert!(!has_user(&world, "guest").await);
    let declared = world.broker.resources(&vhost("mig")).await.unwrap();
    assert!(declared.iter().any(|it| it.key() == Key::Policy("mig-mirror-all".into())), "{declared:?}");

    world.broker.forget_calls();
    let again = apply(&world).await;
    assert_eq!((&again["steps"], &again["done"]), (&json!([]), &json!(0)));
    assert_eq!(plan(&world).await, Vec::<String>::new());
    assert_eq!(reconcile(&world).await.unwrap(), "");
    assert!(world.broker.calls().iter().all(|call| call.starts_with("GET ")), "{:?}", world.broker.calls());
    let shown = world.operate("GET", "/relay", None).await;
    let users: Vec<&Value> = shown["accounts"].as_array().unwrap().iter().map(|each| &each["users"][0]).collect();
    assert!(users.iter().all(|user| user["settled"] == true && user["usable"] == true), "{users:?}");
    let entries = world.audited("relay.apply").await;
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0]["details"], json!({ "done": 8, "failed": 0, "left": 0, "reason": "to see" }));
    assert_eq!(world.audited("relay.delete_user").await[0]["object"], "user guest");
}

#[tokio::test]
async fn drift_of_each_kind_is_found_and_put_right() {
    let world = world(EVERYTHING).await;
    assert_eq!(apply(&world).await["failed"], 0);
    let (broker, v, a) = (&world.broker, vhost("v"), user("a"));
    let declared = broker.resources(&v).await.unwrap();
    for key in declared.iter().map(Resource::key).collect::<Vec<_>>() {
        assert!(broker.remove_resource(&v, &key).await.unwrap(), "{key:?}");
        if key == Key::Vhost {
            // The rights in it went with it.
            broker.add_vhost(&v);
        }
        let drifts = world.operate("GET", "/relay/drift", None).await;
        assert!(!drifts["drifts"].as_array().unwrap().is_empty(), "{key:?}");
        reconcile(&world).await.unwrap();
        assert_eq!(broker.resources(&v).await.unwrap(), declared, "{key:?}");
        assert_eq!(plan(&world).await, Vec::<String>::new(), "{key:?}");
    }

    let other = Access { configure: ".*".into(), ..Access::default() };
    broker.put_permission(&v, &a, &other).await.unwrap();
    assert_eq!(plan(&world).await, ["change account a"]);
    reconcile(&world).await.unwrap();
    let topic = TopicAccess { exchange: "e".into(), write: ".*".into(), read: ".*".into() };
    broker.put_topic_permission(&v, &a, &topic).await.unwrap();
    reconcile(&world).await.unwrap();
    broker.put_limits(&a, &Default::default()).await.unwrap();
    reconcile(&world).await.unwrap();
    broker
        .put_login(&UserWish { name: &a, login: Login::Locked, tags: &["x".into()], permissions: &[] })
        .await
        .unwrap();
    reconcile(&world).await.unwrap();
    broker.delete_user(&a).await.unwrap();
    reconcile(&world).await.unwrap();
    assert_eq!(reconcile(&world).await.unwrap(), "");
    assert_eq!(permissions(&world, "v").await, "a  ^e$ ^q$\n");
    assert_eq!(broker.topic_permissions().await.unwrap()[0].access.write, "^x");
    assert_eq!(broker.limits().await.unwrap()[0].limits.max_connections, Some(1));
    assert_eq!(plan(&world).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_lost_vhost_comes_back_with_all_that_was_declared_in_it() {
    let world = world(EVERYTHING).await;
    apply(&world).await;
    let before = world.broker.resources(&vhost("v")).await.unwrap();
    world.broker.remove_resource(&vhost("v"), &Key::Vhost).await.unwrap();
    let report = reconcile(&world).await.unwrap();
    assert!(report.starts_with("of what the relay declares 6 were put right, 0 could not be"), "{report}");
    assert_eq!(world.broker.resources(&vhost("v")).await.unwrap(), before);
    assert_eq!(permissions(&world, "v").await, "a  ^e$ ^q$\n");
}

#[tokio::test]
async fn what_is_only_to_be_reported_is_told_and_left_until_it_is_applied() {
    let reported = EVERYTHING.replace("name = 'v'\nlimits", "name = 'v'\non-drift = 'report'\nlimits");
    let world = world(&reported.replace("name = 'a'", "name = 'a'\non-drift = 'report'")).await;
    apply(&world).await;
    let (v, a) = (vhost("v"), user("a"));
    world.broker.remove_resource(&v, &Key::Policy("p".into())).await.unwrap();
    world.broker.put_permission(&vhost("/"), &a, &Access::default()).await.unwrap();
    let report = reconcile(&world).await.unwrap();
    assert!(report.contains("policy p in v is left as it is: it was there, and is gone"), "{report}");
    assert!(report.contains("a is left as it is: it may enter the vhost /"), "{report}");
    let drifts = world.operate("GET", "/relay/drift", None).await;
    assert!(drifts["drifts"].as_array().unwrap().iter().all(|drift| drift["onDrift"] == "report"), "{drifts}");
    assert_eq!(plan(&world).await, ["create policy p", "change account a"]);
    assert_eq!(apply(&world).await["done"], 2);
    assert_eq!(plan(&world).await, Vec::<String>::new());
    assert_eq!(permissions(&world, "/").await, "");
}

#[tokio::test]
async fn an_account_with_a_pattern_that_the_broker_cannot_read_is_left_and_stops_no_other() {
    // One that no broker takes. What can be read here is not asked for.
    let pattern = r"^mig\.agt\.[(linux|windows|darwin)\..*$";
    let text = preset("mig-2015").unwrap().replace(r"configure = '^mig\.agt\.(", r"configure = '^mig\.agt\.[(");
    let world = world(&text).await;
    world.broker.refuse_pattern(pattern);
    let applied = apply(&world).await;
    assert_eq!((&applied["done"], &applied["failed"], &applied["left"]), (&json!(6), &json!(0), &json!(1)));
    let left = applied["steps"].as_array().unwrap().iter().find(|step| step["outcome"] == "left").unwrap();
    let why = format!("the broker cannot read the pattern `{pattern}` for mig: mend it");
    assert_eq!((&left["name"], &left["why"]), (&json!("agent"), &json!(why)));
    assert!(!has_user(&world, "agent").await && has_user(&world, "worker").await, "the one behind it");
    assert_eq!(plan(&world).await, ["leave account agent"]);
}

#[tokio::test]
async fn a_user_of_somebody_else_is_left_alone() {
    let world = world("mig-2015").await;
    let password = Secret::new("theirs");
    make_user(&world, "scheduler", &password).await;
    assert!(plan(&world).await.contains(&"leave account scheduler".to_owned()));
    let applied = apply(&world).await;
    assert_eq!((&applied["failed"], &applied["left"]), (&json!(0), &json!(1)));
    assert!(world.broker.can_login("scheduler", &password));
    assert!(!permissions(&world, "mig").await.contains("scheduler"));
    reconcile(&world).await.unwrap();
    assert!(world.broker.can_login("scheduler", &password));

    world.broker.delete_user(&user("scheduler")).await.unwrap();
    apply(&world).await;
    assert_eq!(permissions(&world, "mig").await, TABLE.trim_start());
}

#[tokio::test]
async fn an_outage_in_the_middle_is_resumed_wherever_it_came() {
    for answers in [0, 4, 7, 8, 9, 12, 16, 20] {
        let world = world("mig-2018").await;
        world.broker.fail_after(answers);
        let operator = Operator::connect(&world.settings).unwrap();
        let broken = operator.call("POST", "/relay/apply", Some(json!({ "reason": "to see" }))).await;
        assert!(broken.map_or(true, |applied| applied["failed"] != 0), "{answers}");
        world.broker.come_back();
        assert_eq!(apply(&world).await["failed"], 0, "{answers}");
        assert_eq!(plan(&world).await, Vec::<String>::new(), "{answers}");
        assert_eq!(permissions(&world, "mig").await.lines().count(), 3, "{answers}");
    }
}

#[tokio::test]
async fn mirrors_are_left_where_there_are_none_and_the_plan_says_what_happens_instead() {
    for (version, changes, left) in [("3.8.9", 7, 0), ("3.10.8", 7, 0), ("4.0.5", 6, 1), ("4.3.6", 6, 1)] {
        let world = world("mig-2015").await;
        world.broker.play(Version::parse(version).unwrap());
        let applied = apply(&world).await;
        assert_eq!((&applied["done"], &applied["left"]), (&json!(changes), &json!(left)), "{version}");
        assert_eq!(permissions(&world, "mig").await, TABLE.trim_start(), "{version}");
        assert_eq!(plan(&world).await.len(), left, "{version}");
        assert_eq!(reconcile(&world).await.unwrap(), "", "{version}: it is no drift");
    }
}

#[tokio::test]
async fn what_a_later_profile_does_not_have_goes_if_it_was_made_here() {
    let mut world = world("mig-2018").await;
    let queue = |name: &str| Queue { name: name.into(), ..Queue::default() };
    let mig = vhost("mig");
    world.broker.add_vhost(&mig);
    world.broker.put_queue(&mig, queue("mig.agt.results"));
    assert_eq!(apply(&world).await["failed"], 0);
    world.broker.put_queue(&mig, queue("mig.agt.linux.abc"));
    assert_eq!(world.operate("GET", "/relay/plan", None).await["unmanaged"], 1);

    world.settings.relay = profile("name = 'mig'\n[[vhost]]\nname = 'mig'\n[[account]]\nname = 'scheduler'\n");
    world.restart().await;
    reconcile(&world).await.unwrap();
    assert!(has_user(&world, "agent").await, "only apply takes away");
    assert_eq!(apply(&world).await["failed"], 0);
    let left: Vec<Key> = world.broker.resources(&mig).await.unwrap().iter().map(Resource::key).collect();
    let queues = ["mig.agt.linux.abc", "mig.agt.results"].map(|name| Key::Queue(name.into()));
    assert_eq!(left, [[Key::Vhost].as_slice(), queues.as_slice()].concat());
    assert!(!has_user(&world, "agent").await && has_user(&world, "scheduler").await);
    assert_eq!(permissions(&world, "mig").await, "", "its grant was taken away");
    assert_eq!(plan(&world).await, Vec::<String>::new());
    assert_eq!(world.audited("relay.remove").await.len(), 6, "both bindings, a queue, two exchanges, a policy");
}

#[tokio::test]
async fn a_profile_that_would_lock_keylender_out_is_refused_and_nothing_is_applied() {
    let world = world("name = 'r'\nabsent-users = ['administrator']\n[[vhost]]\nname = 'v'\n").await;
    let operator = Operator::connect(&world.settings).unwrap();
    let error = operator.call("POST", "/relay/apply", Some(json!({ "reason": "to see" }))).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(error.message().contains("`administrator` is who Keylender is to the broker"), "{error}");
    assert_eq!(world.broker.resources(&vhost("v")).await.unwrap_err().kind(), Kind::NotFound);
    assert!(has_user(&world, "administrator").await);
}

#[tokio::test]
async fn while_nothing_is_declared_everything_is_as_it_was() {
    let world = World::start().await;
    let operator = Operator::connect(&world.settings).unwrap();
    let error = operator.call("GET", "/relay", None).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (Kind::NotFound, "no relay is declared: see RELAY_PROFILE, or store a profile")
    );
    assert_eq!(reconcile(&world).await.unwrap(), "");
}

#[tokio::test]
async fn a_changed_policy_is_put_back() {
    let world = world(EVERYTHING).await;
    apply(&world).await;
    let (v, key) = (vhost("v"), Key::Policy("p".into()));
    let find = async || world.broker.resources(&v).await.unwrap().into_iter().find(|it| it.key() == key).unwrap();
    let Resource::Policy(declared) = find().await else { panic!("a policy") };
    let other = Policy { pattern: "^x".into(), ..declared.clone() };
    world.broker.put_resource(&v, &Resource::Policy(other)).await.unwrap();
    let drift = world.operate("GET", "/relay/drift", None).await;
    assert_eq!(drift["drifts"][0]["why"], "the broker has it with another pattern");
    reconcile(&world).await.unwrap();
    assert_eq!(find().await, Resource::Policy(declared));
}

#[tokio::test]
async fn an_administrator_of_our_own_keeps_the_rights_by_which_it_declared_something() {
    let world = world(EVERYTHING).await;
    let rotated = world.operate("POST", "/broker/rotate", None).await;
    let administrator = user(rotated["administrator"].as_str().unwrap());
    assert_eq!(apply(&world).await["failed"], 0);
    assert_eq!(reconcile(&world).await.unwrap(), "");
    assert!(permissions(&world, "v").await.contains(&format!("{administrator} .* .* .*\n")));
    assert_eq!(world.audited("relay.enter").await[0]["details"]["user"], administrator.as_str());
    assert_eq!(world.audited("account.drift").await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_thing_that_could_not_be_declared_is_in_the_audit_log_with_the_cause() {
    let world = world(EVERYTHING).await;
    apply(&world).await;
    world.broker.remove_resource(&vhost("v"), &Key::Policy("p".into())).await.unwrap();
    // What the plan asks is answered, and nothing further.
    assert_eq!(plan(&world).await, ["create policy p"]);
    world.broker.fail_after(asked_by_a_plan(&world).await);
    assert_eq!(apply(&world).await["failed"], 1);
    let entries = world.audited("relay.declare").await;
    let last = entries.last().unwrap();
    assert_eq!((&last["object"], &last["outcome"]), (&json!("policy p in v"), &json!("failed")));
    assert_eq!(last["details"]["cause"], "the broker does not answer");
}
