//! Plans as tables: what is declared, what there is and what was applied, and the steps that follow.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::found::Found;
use super::memory::{Memory, Remembered};
use super::plan::plan;
use super::protect::{self, Reserved};
use super::record::Record;
use super::resource::{ResourceId, members};
use super::step::{Plan, Work};
use super::{users, wanted};
use crate::base::{AccountName, Timestamp, VhostName};
use crate::domain::accounts::{Census, Owned, Owner};
use crate::ports::broker::{
    Arguments, Binding, DeclaredBinding, DeclaredExchange, DeclaredQueue, DeclaredVhost, Destination, Key, Policy,
    Resource, Version,
};
use crate::proto::relay_profile::Profile;

fn builtin(name: &str) -> Profile {
    Profile::builtin(name).unwrap()
}

/// A profile with a vhost `v`, and this in it or behind it.
fn profile(rest: &str) -> Profile {
    Profile::parse(&format!("name = 'r'\n[[vhost]]\nname = 'v'\n{rest}")).unwrap()
}

fn vhost(name: &str) -> VhostName {
    VhostName::parse(name).unwrap()
}

fn user(name: &str) -> AccountName {
    AccountName::parse(name).unwrap()
}

fn lines(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(ToString::to_string).collect()
}

/// A broker that has a vhost with these resources.
fn with(name: &str, resources: impl IntoIterator<Item = Resource>) -> Found {
    let mut resources: BTreeSet<Resource> = resources.into_iter().collect();
    if !resources.iter().any(|resource| resource.key() == Key::Vhost) {
        resources.insert(Resource::Vhost(DeclaredVhost::default()));
    }
    Found { vhosts: BTreeMap::from([(vhost(name), resources)]), ..Found::default() }
}

/// What is remembered when the vhost of a profile was applied, and all of it was made here or nothing.
fn applied(profile: &Profile, is_ours: bool) -> Memory {
    let relay = profile.name().to_owned();
    let declared = &profile.vhosts()[0];
    let remember = |resource: Resource| {
        let id = ResourceId { vhost: declared.name.clone(), key: resource.key() };
        (id, Remembered { relay: relay.clone(), is_ours, declared: members(&resource), is_attempted: false })
    };
    wanted::resources(declared, &BTreeMap::new(), None).into_iter().map(remember).collect()
}

/// What the vhost of a profile has when all is as it is declared.
fn as_declared(profile: &Profile) -> Found {
    let declared = &profile.vhosts()[0];
    with(declared.name.as_str(), wanted::resources(declared, &BTreeMap::new(), None))
}

fn queue(name: &str, kind: &str) -> Resource {
    let (kind, arguments) = (kind.to_owned(), Arguments::default());
    Resource::Queue(DeclaredQueue { name: name.to_owned(), kind, durable: true, auto_delete: false, arguments })
}

const QUEUE: &str = "[[vhost.queue]]\nname = 'q'\n";
const POLICY: &str = "[[vhost.policy]]\nname = 'p'\npattern = '.*'\ndefinition = { max-length = 5 }\n";

#[test]
fn from_nothing_everything_is_made_in_an_order_that_works() {
    let mut found = Found::default();
    found.census.users.insert("guest".into());
    let plan = plan(&builtin("mig-2018"), &found, &Memory::new());
    let not_there = |what: &str| format!("create {what}: it is declared, and not there");
    let made = [
        "vhost mig",
        "policy mig-mirror-all in mig",
        "exchange toagents in mig",
        "exchange toschedulers in mig",
        "queue mig.agt.heartbeats in mig",
        "queue mig.agt.results in mig",
        "binding toschedulers → queue mig.agt.heartbeats by 'mig.agt.heartbeats' in mig",
        "binding toschedulers → queue mig.agt.results by 'mig.agt.results' in mig",
        "account admin",
        "account scheduler",
        "account agent",
        "account worker",
    ];
    let guest = "remove user guest: the broker must not have it".to_owned();
    assert_eq!(lines(&plan), made.map(not_there).into_iter().chain([guest]).collect::<Vec<_>>());
    assert_eq!((plan.changes(), plan.unmanaged), (13, 0));
    assert!(plan.steps.iter().all(|step| step.drift.is_none()), "what was never applied is no drift");
}

#[test]
fn what_is_as_declared_takes_no_step_and_is_nobodys_to_remove() {
    let profile = profile(&[QUEUE, POLICY].concat());
    let found = as_declared(&profile);
    let first = plan(&profile, &found, &Memory::new());
    assert_eq!(lines(&first), Vec::<String>::new());
    let memory: Memory = first.as_declared.into_iter().collect();
    assert_eq!(memory, applied(&profile, false));
    let second = plan(&profile, &found, &memory);
    assert_eq!(second, Plan::default());
}

#[test]
fn what_was_applied_and_differs_is_drift_and_what_is_declared_otherwise_since_is_not() {
    let declared = profile(POLICY);
    let policy = |length: u32| {
        Resource::Policy(Policy {
            name: "p".into(),
            pattern: ".*".into(),
            apply_to: "all".into(),
            priority: 0,
            definition: Arguments::new(json!({ "max-length": length }).as_object().unwrap().clone()),
        })
    };
    let memory = applied(&declared, true);
    for (found, line) in [
        (with("v", []), "create policy p in v: it was there, and is gone"),
        (with("v", [policy(6)]), "change policy p in v: the broker has it with another definition"),
    ] {
        let plan = plan(&declared, &found, &memory);
        assert_eq!(lines(&plan), [line]);
        assert_eq!(plan.steps[0].drift.map(|drift| drift.as_str()), Some("repair"));
    }
    let later = profile(&POLICY.replace("max-length = 5", "max-length = 7"));
    let plan = plan(&later, &with("v", [policy(5)]), &memory);
    assert_eq!(lines(&plan), ["change policy p in v: the broker has it with another definition"]);
    assert_eq!(plan.steps[0].drift, None, "it waits to be applied");
}

#[test]
fn a_vhost_that_is_gone_drifts_with_all_that_was_in_it() {
    let profile = profile(&["on-drift = 'report'\n", QUEUE].concat());
    let plan = plan(&profile, &Found::default(), &applied(&profile, true));
    assert_eq!(lines(&plan).len(), 2);
    assert!(plan.steps.iter().all(|step| step.drift.map(|drift| drift.as_str()) == Some("report")));
}

#[test]
fn only_what_was_made_here_is_removed_and_never_a_vhost() {
    let before = profile(&[QUEUE, POLICY].concat());
    let after = Profile::parse("name = 'r'").unwrap();
    let mut found = as_declared(&before);
    found.vhosts.get_mut(&vhost("v")).unwrap().insert(queue("of-a-program", "classic"));
    let left = "leave vhost v: it is declared no more; all that is in it would go with it, so that is for you to do";
    let ours = plan(&after, &found, &applied(&before, true));
    assert_eq!(
        lines(&ours),
        [
            left,
            "remove queue q in v: it is declared no more; its messages go with it",
            "remove policy p in v: it is declared no more"
        ]
    );
    let of_others = plan(&after, &found, &applied(&before, false));
    assert_eq!((lines(&of_others).len(), of_others.forgotten.len()), (0, 3));
    let gone = plan(&after, &Found::default(), &applied(&before, true));
    assert_eq!((lines(&gone).len(), gone.forgotten.len()), (0, 3));
    let less = plan(&profile(""), &found, &applied(&before, true));
    assert_eq!((less.changes(), less.unmanaged), (2, 1), "what a program made is left alone");
}

#[test]
fn a_queue_that_is_there_otherwise_is_left_and_one_without_a_type_is_as_it_is() {
    let plan_of = |text: &str, kind: &str| lines(&plan(&profile(text), &with("v", [queue("q", kind)]), &Memory::new()));
    assert_eq!(plan_of(QUEUE, "quorum"), Vec::<String>::new());
    let why = "leave queue q in v: the broker has it with another type, and cannot change it: delete it there, or declare it so";
    assert_eq!(plan_of(&[QUEUE, "type = 'quorum'\n"].concat(), "classic"), [why]);
}

#[test]
fn what_a_version_does_not_take_is_left_with_what_happens_instead() {
    let mirrored = builtin("mig-2015");
    let streams = profile("[[vhost.queue]]\nname = 'q'\ntype = 'stream'\n");
    let by_type = profile(&[POLICY, "apply-to = 'quorum_queues'\n"].concat());
    let limited = profile("[[account]]\nname = 'a'\nlimits = { max-connections = 1 }\n");
    let topics = profile(
        "[[account]]\nname = 'a'\n[[account.grant]]\nvhost = 'v'\nconfigure = ''\nwrite = '^e$'\nread = ''\n\
         [[account.grant.topic]]\nexchange = 'e'\nwrite = 'x'\nread = ''\n",
    );
    for (profile, version, left) in [
        (&mirrored, "3.10.8", None),
        (&mirrored, "4.0.5", Some("RabbitMQ 4.0.5 keeps no mirrors of classic queues, and refuses ha-mode")),
        (&mirrored, "4.3.6", Some("RabbitMQ 4.3.6 keeps no mirrors")),
        (&streams, "3.8.9", Some("RabbitMQ 3.8.9 knows no streams")),
        (&streams, "3.10.8", None),
        (&by_type, "3.10.8", Some("RabbitMQ 3.10.8 cannot tell types of queues apart")),
        (&by_type, "4.0.5", None),
        (&limited, "3.8.9", Some("RabbitMQ 3.8.9 knows no limits of users")),
        (&limited, "3.10.8", None),
        (&topics, "4.0.5", None),
        (&topics, "4.3.6", Some("RabbitMQ 4.3.6 takes topic permissions for exchanges that are there only")),
    ] {
        let found = Found { version: Version::parse(version), ..Found::default() };
        let lines = lines(&plan(profile, &found, &Memory::new()));
        let told: Vec<&String> = lines.iter().filter(|line| line.starts_with("leave ")).collect();
        match left {
            None => assert!(told.is_empty(), "{version}: {told:?}"),
            Some(words) => assert!(told.len() == 1 && told[0].contains(words), "{version}: {told:?}"),
        }
    }
    let plan = plan(&limited, &Found { version: Version::parse("3.8.9"), ..Found::default() }, &Memory::new());
    assert_eq!(plan.changes(), 2, "the account is made without its limits");
}

#[test]
fn an_exchange_that_will_be_there_or_is_there_is_good_for_topic_permissions() {
    let exchange = "[[vhost.exchange]]\nname = 'e'\ntype = 'topic'\n";
    let account = "[[account]]\nname = 'a'\n[[account.grant]]\nvhost = 'v'\nconfigure = ''\nwrite = '^e$'\nread = ''\n\
                   [[account.grant.topic]]\nexchange = 'e'\nwrite = 'x'\nread = ''\n";
    let there = Resource::Exchange(DeclaredExchange {
        name: "e".into(),
        kind: "topic".into(),
        durable: true,
        auto_delete: false,
        internal: false,
        arguments: Arguments::default(),
    });
    for (text, found) in [([exchange, account].concat(), with("v", [])), (account.to_owned(), with("v", [there]))] {
        let found = Found { version: Version::parse("4.3.6"), ..found };
        let plan = plan(&profile(&text), &found, &Memory::new());
        assert!(plan.steps.iter().any(|step| matches!(step.work, Work::Make { .. })), "{:?}", lines(&plan));
    }
}

const ACCOUNT: &str = "[[account]]\nname = 'a'\non-drift = 'report'\n";

/// The lines of the step of an account that is in the store so, or not.
fn judged(there: bool, owned: Option<Owned>, other: Option<Owner>) -> Vec<String> {
    let mut census = Census::default();
    census.users.extend(there.then(|| "a".to_owned()));
    census.owned.extend(owned.map(|owned| (user("a"), owned)));
    census.others.extend(other.map(|owner| (user("a"), owner)));
    let mut plan = Plan::default();
    users::plan(&profile(ACCOUNT), &Found { census, ..Found::default() }, &mut plan);
    lines(&plan)
}

#[test]
fn an_account_is_made_changed_and_left_by_whose_it_is_and_how_it_stands() {
    let terms = wanted::terms(&profile(ACCOUNT).accounts()[0]);
    let settled = || Owned { terms: terms.clone(), is_told: true, is_settled: true, ..Owned::default() };
    let foreign = "leave account a: the broker has a user of this name that is not ours, and is left alone:";
    assert_eq!(judged(false, None, None), ["create account a: it is declared, and not there"]);
    let adopt = format!("{foreign} `relay adopt` takes it up, or declare another name");
    assert_eq!(judged(true, None, None), [adopt]);
    let delete = format!("{foreign} delete it there, or declare another name");
    assert_eq!(judged(true, Some(Owned { is_told: false, is_settled: false, ..settled() }), None), [delete]);
    let adopted = "take over account a: it was adopted and keeps its password and its tags until it is rotated";
    assert_eq!(judged(true, None, Some(Owner::Adopted)), [adopted]);
    let gone = "leave account a: it was adopted, and is gone from the broker: release it, and apply again";
    assert_eq!(judged(false, None, Some(Owner::Adopted)), [gone]);
    let other = Some(Owner::Relay("other".into()));
    assert_eq!(judged(true, None, other), ["leave account a: the broker user belongs to the relay `other`"]);
    assert_eq!(judged(true, Some(settled()), None), Vec::<String>::new());
    let unsettled = Owned { is_settled: false, ..settled() };
    assert_eq!(judged(true, Some(unsettled), None), ["change account a: the broker was not told all of it yet"]);
    let drifted = Owned { drift: Some("its tags are [x]".into()), ..settled() };
    assert_eq!(judged(true, Some(drifted), None), ["change account a: its tags are [x]"]);
    let kept = Owned { drift: Some("its tags are [x]".into()), needs_password: true, ..settled() };
    let rotate =
        "leave account a: its tags are [x], and only the broker knows its password: rotating it puts that right";
    assert_eq!(judged(true, Some(kept), None), [rotate]);
    let mut otherwise = settled();
    otherwise.terms.tags = vec!["x".into()];
    assert_eq!(judged(true, Some(otherwise), None), ["change account a: it is declared with other tags"]);
    let leaving = Owned { is_leaving: true, ..settled() };
    assert_eq!(judged(true, Some(leaving), None), ["create account a: it was to be deleted, and is declared again"]);
}

#[test]
fn of_two_users_that_take_turns_the_second_cannot_log_in() {
    let profile = builtin("plain");
    let plan = plan(&profile, &Found::default(), &Memory::new());
    let made = plan.steps.iter().filter_map(|step| match &step.work {
        Work::Make { account, user, .. } => {
            let account = profile.accounts().iter().find(|declared| declared.name == *account).unwrap();
            Some((user.as_str(), Record::new(account, Timestamp::MIN).lends(user)))
        }
        _ => None,
    });
    assert_eq!(made.collect::<Vec<_>>(), [("shop-1", true), ("shop-2", false), ("warehouse", true)]);
}

#[test]
fn accounts_that_are_declared_no_more_end_and_users_that_must_not_be_there_go_unless_they_are_somebodys() {
    let declared = Profile::parse("name = 'r'\nabsent-users = ['guest', 'b', 'c']").unwrap();
    let mut census = Census::default();
    census.users.extend(["guest", "b", "old"].map(str::to_owned));
    census.owned.insert(user("old"), Owned::default());
    census.others.insert(user("b"), Owner::Agent("x".into()));
    let plan = plan(&declared, &Found { census, ..Found::default() }, &Memory::new());
    assert_eq!(
        lines(&plan),
        [
            "remove account old: it is declared no more",
            "remove user guest: the broker must not have it",
            "leave user b: it belongs to the agent `x`"
        ]
    );
}

#[test]
fn names_that_keylender_itself_uses_are_refused_all_at_once() {
    let reserved = Reserved { administrator: Some("boss".into()), namespaces: "ns-taskcluster-".into() };
    let names = ["boss", "acting", "keylender-admin-x", "ns-taskcluster-a-1", "fine"];
    let accounts: Vec<String> = names.iter().map(|name| format!("[[account]]\nname = '{name}'\n")).collect();
    let error = protect::check(&profile(&accounts.concat()), &reserved, "acting").unwrap_err();
    insta::assert_snapshot!(error.message(), @"the profile `r` cannot be applied: `acting` is who Keylender is to the broker; `boss` is who Keylender is to the broker; `keylender-admin-x` is the name of an administrator of Keylender; `ns-taskcluster-a-1` is the name of a user of a namespace");
    let absent = Profile::parse("name = 'r'\nabsent-users = ['boss']").unwrap();
    assert!(protect::check(&absent, &reserved, "acting").is_err(), "it would lock us out");
    assert!(protect::check(&builtin("mig-2015"), &reserved, "acting").is_ok());
}

#[test]
fn names_of_things_read_back() {
    let arguments = |value: Value| Arguments::new(value.as_object().unwrap().clone());
    let binding = |destination: Destination| {
        let binding = Binding { source: "s/\"".into(), destination, routing_key: "#".into() };
        Key::Binding(DeclaredBinding { binding, arguments: arguments(json!({ "x-match": "all", "n": 1 })) })
    };
    for key in [
        Key::Vhost,
        Key::Exchange("a b".into()),
        Key::Queue("q\"[]".into()),
        Key::Policy("é".into()),
        Key::OperatorPolicy("p".into()),
        Key::Limit("max-queues".into()),
        binding(Destination::Queue("d".into())),
        binding(Destination::Exchange("d".into())),
    ] {
        let id = ResourceId { vhost: vhost("/v"), key };
        assert_eq!(id.to_string().parse::<ResourceId>().unwrap(), id, "{id}");
    }
    assert!("[\"vhost\"]".parse::<ResourceId>().is_err() && "x".parse::<ResourceId>().is_err());
}

#[test]
fn queues_have_the_type_that_their_vhost_has_or_gets_so_that_programs_can_declare_them() {
    let profile = profile(&["default-queue-type = 'quorum'\n", QUEUE].concat());
    for (version, there, made, left) in [
        ("3.8.9", None, ["", "classic"], "RabbitMQ 3.8.9 knows no such type of a vhost"),
        ("3.10.8", None, ["quorum", "quorum"], ""),
        ("4.3.6", Some("classic"), ["", "classic"], "which is told to a broker only when a vhost is made"),
        ("4.3.6", Some("quorum"), ["", "quorum"], ""),
    ] {
        let found = there.map_or_else(Found::default, |kind| with("v", [Resource::Vhost(DeclaredVhost::of(kind))]));
        let plan = plan(&profile, &Found { version: Version::parse(version), ..found }, &Memory::new());
        let (mut vhost, mut queue) = (String::new(), String::new());
        for step in &plan.steps {
            let Work::Put { resource, .. } = &step.work else { continue };
            match &**resource {
                Resource::Vhost(itself) => vhost = itself.default_queue_type.clone().unwrap_or_default(),
                Resource::Queue(declared) => queue.clone_from(&declared.kind),
                _ => {}
            }
        }
        assert_eq!([vhost, queue], made, "{version} {there:?}");
        let told: Vec<String> = lines(&plan).into_iter().filter(|line| line.starts_with("leave ")).collect();
        assert!(told.len() == usize::from(!left.is_empty()) && told.concat().contains(left), "{version}: {told:?}");
    }
}
