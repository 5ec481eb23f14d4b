//! The judgement in tables: numbers in, verdict out.

use proptest::prelude::*;

use super::*;
use crate::domain::monitor::judge::{Verdict, judge};
use crate::domain::monitor::rules::RuleBook;
use crate::domain::monitor::sight::{Remembered, Sight};
use crate::domain::namespaces::MonitoredNamespace;
use crate::ports::broker::Connection;

pub(super) const Q: &str = "queue/t-a/q";

/// What a judgement looks at, with one namespace `t-a`, and thresholds 10 and 20.
pub(super) struct Scene {
    pub(super) queues: Vec<Queue>,
    pub(super) exchanges: Vec<Exchange>,
    pub(super) connections: Vec<Connection>,
    pub(super) namespaces: HashMap<NamespaceName, MonitoredNamespace>,
    pub(super) remembered: HashMap<String, Remembered>,
    pub(super) told: HashMap<NamespaceName, Timestamp>,
    pub(super) samples: HashMap<String, Samples>,
    pub(super) rule: QueueRule,
    /// When the last pass was.
    pub(super) seen: Timestamp,
}

impl Scene {
    pub(super) fn new(queues: Vec<Queue>) -> Self {
        let name = NamespaceName::parse("t-a").unwrap();
        let watched = MonitoredNamespace {
            name: name.clone(),
            receivers: Vec::new(),
            resting: AccountName::parse("u-t-a-2").unwrap(),
            resting_until: Timestamp::MIN,
        };
        Self {
            queues,
            exchanges: Vec::new(),
            connections: Vec::new(),
            namespaces: HashMap::from([(name, watched)]),
            remembered: HashMap::new(),
            told: HashMap::new(),
            samples: HashMap::new(),
            rule: QueueRule::default(),
            seen: START.minus(MINUTE),
        }
    }

    pub(super) fn remembers(mut self, state: Remembered) -> Self {
        self.remembered.insert(Q.into(), state);
        self
    }

    pub(super) fn ruled(mut self, rule: QueueRule) -> Self {
        self.rule = rule;
        self
    }

    pub(super) fn verdict(&self) -> Verdict {
        let rules = vec![(Pattern::parse("queue/t-a/*").unwrap(), self.rule.clone())];
        judge(&Sight {
            now: START,
            last: Some(self.seen),
            period: MINUTE,
            prefixes: &prefixes(),
            queues: &self.queues,
            exchanges: &self.exchanges,
            connections: &self.connections,
            namespaces: &self.namespaces,
            remembered: &self.remembered,
            told: &self.told,
            caps: &HashMap::new(),
            samples: &self.samples,
            rules: &RuleBook::new(Limits::new(10, 20), rules),
            connection_max_lifetime: DAY,
        })
    }

    pub(super) fn steps(&self) -> Vec<String> {
        self.verdict().steps().map(Step::to_string).collect()
    }

    pub(super) fn whats(&self) -> Vec<What> {
        self.verdict().steps().map(|step| step.what).collect()
    }
}

pub(super) fn warned(ago: Duration) -> Remembered {
    Remembered { warned: Some(START.minus(ago)), ..Remembered::default() }
}

#[test]
fn thresholds_count_when_they_are_passed() {
    for (messages, expected) in [
        (None, None),
        (Some(0), None),
        (Some(10), None),
        (Some(11), Some("warn of queue queue/t-a/q: it has 11 messages, more than 10")),
        (Some(20), Some("warn of queue queue/t-a/q: it has 20 messages, more than 10")),
        (Some(21), Some("delete queue queue/t-a/q: it has 21 messages, more than 20")),
        (Some(u64::MAX), Some("delete queue queue/t-a/q: it has 18446744073709551615 messages, more than 20")),
    ] {
        let scene = Scene::new(vec![Queue { messages, ..queue(Q, 0) }]);
        assert_eq!(scene.steps(), expected.into_iter().collect::<Vec<_>>(), "{messages:?}");
    }
}

#[test]
fn a_warning_is_given_per_crossing_and_daily() {
    for (messages, state, expected) in [
        (11, Remembered::default(), Some(What::Warn)),
        (11, warned(DAY - MINUTE), None),
        (11, warned(DAY), Some(What::Warn)),
        (10, warned(MINUTE), Some(What::Normal)),
        (10, Remembered::default(), None),
        (21, warned(MINUTE), Some(What::Delete)),
    ] {
        let scene = Scene::new(vec![queue(Q, messages)]).remembers(state);
        assert_eq!(scene.whats(), expected.into_iter().collect::<Vec<_>>(), "{messages}");
    }
}

#[test]
fn what_is_not_known_changes_nothing() {
    let down = Queue { state: Some("down".into()), ..queue(Q, 1_000) };
    let uncounted = Queue { messages: None, ..queue(Q, 0) };
    let stream = Queue { kind: Some("stream".into()), messages: None, ..queue(Q, 0) };
    for queue in [down, uncounted, stream] {
        let scene = Scene::new(vec![queue]).remembers(warned(2 * DAY));
        assert_eq!(scene.whats(), []);
        assert!(scene.verdict().findings.is_empty(), "what was remembered stays as it is");
    }
    let bytes = QueueRule { delete_bytes: Some(1), ..QueueRule::default() };
    let scene = Scene::new(vec![queue(Q, 1)]).ruled(bytes).remembers(warned(MINUTE));
    assert_eq!(scene.whats(), [], "without its bytes it is not in order again");
}

#[test]
fn a_queue_is_forgotten_after_two_passes_without_it() {
    let scene = Scene::new(vec![]).remembers(warned(MINUTE));
    let state = scene.verdict().findings.remove(0).state.unwrap();
    assert_eq!((state.absent, state.warned), (1, Some(START.minus(MINUTE))));
    let scene = Scene::new(vec![]).remembers(state);
    assert_eq!(scene.verdict().findings.remove(0).state, None);
    assert_eq!(scene.whats(), []);
}

#[test]
fn rules_give_grace_exemption_and_other_measures() {
    let grace = QueueRule { grace_seconds: 60, ..QueueRule::default() };
    let since = |ago| Remembered { over_since: Some(START.minus(ago)), ..warned(ago) };
    let exempt = |until| QueueRule { exempt_until: Some(until), ..QueueRule::default() };
    let bytes = QueueRule { warn_bytes: Some(100), delete_bytes: Some(200), ..QueueRule::default() };
    let heavy = |bytes| Queue { bytes: Some(bytes), ..queue(Q, 1) };
    let idle = QueueRule { unconsumed_seconds: Some(60), ..QueueRule::default() };
    let unused = |consumers| Queue { consumers: Some(consumers), ..queue(Q, 0) };
    let alone = |ago| Remembered { idle_since: Some(START.minus(ago)), ..Remembered::default() };
    let new = Remembered::default;
    for (what, queue, rule, state, expected) in [
        ("grace begins", queue(Q, 21), grace.clone(), new(), Some(What::Warn)),
        ("grace goes on", queue(Q, 21), grace.clone(), since(MINUTE / 2), None),
        ("grace is over", queue(Q, 21), grace.clone(), since(MINUTE), Some(What::Delete)),
        ("exempt", queue(Q, 21), exempt(START.plus(MINUTE)), new(), None),
        ("no longer exempt", queue(Q, 21), exempt(START), new(), Some(What::Delete)),
        ("light", heavy(100), bytes.clone(), new(), None),
        ("heavy", heavy(101), bytes.clone(), new(), Some(What::Warn)),
        ("too heavy", heavy(201), bytes, new(), Some(What::Delete)),
        ("alone", unused(0), idle.clone(), new(), None),
        ("alone for half of it", unused(0), idle.clone(), alone(MINUTE / 2), Some(What::Warn)),
        ("alone for too long", unused(0), idle.clone(), alone(MINUTE), Some(What::Delete)),
        ("not alone", unused(1), idle, alone(DAY), None),
        (
            "of a connection",
            Queue { exclusive: Some(true), ..queue(Q, 21) },
            QueueRule::default(),
            new(),
            Some(What::Warn),
        ),
    ] {
        let scene = Scene::new(vec![queue]).ruled(rule).remembers(state);
        assert_eq!(scene.whats(), expected.into_iter().collect::<Vec<_>>(), "{what}");
    }
}

#[test]
fn a_forecast_is_told_once_until_the_queue_is_out_of_danger() {
    let mut samples = Samples::default();
    for minute in 0..5 {
        samples.add(START.minus(MINUTE * (4 - minute)), u64::from(minute) + 4);
    }
    let mut scene = Scene::new(vec![queue(Q, 8)]);
    scene.samples.insert(Q.into(), samples);
    let expected = "forecast queue queue/t-a/q: it has 8 messages, grows by 60 an hour, and at this rate gets over 10 \
                    in 3 minutes and is deleted at 20 in 13 minutes";
    assert_eq!(scene.steps(), [expected]);
    let state = scene.verdict().findings.remove(0).state.unwrap();
    assert!(state.forecast_told);
    let mut scene = scene.remembers(state);
    assert_eq!(scene.whats(), []);
    scene.samples.clear();
    assert!(scene.verdict().findings.is_empty(), "after a restart nothing is known, so nothing is new");
    let mut still = Samples::default();
    (0..5).for_each(|minute| still.add(START.minus(MINUTE * (4 - minute)), 8));
    scene.samples.insert(Q.into(), still);
    assert_eq!(scene.verdict().findings.remove(0).state, None, "it may be told again");
}

#[test]
fn a_forecast_says_that_a_grace_time_comes_first() {
    let mut samples = Samples::default();
    (0..5).for_each(|minute| samples.add(START.minus(MINUTE * (4 - minute)), u64::from(minute) + 8));
    let rule = QueueRule { grace_seconds: 3 * 3_600, ..QueueRule::default() };
    let mut scene = Scene::new(vec![queue(Q, 12)]).ruled(rule);
    scene.samples.insert(Q.into(), samples);
    let expected = [
        "warn of queue queue/t-a/q: it has 12 messages, more than 10, and at the present rate is deleted in 3 hours",
        "forecast queue queue/t-a/q: it has 12 messages, grows by 60 an hour, and at this rate gets over 20 in 9 \
         minutes and is deleted 3 hours later",
    ];
    assert_eq!(scene.steps(), expected);
}

#[test]
fn connections_are_closed_when_they_are_old_or_their_namespace_is_gone() {
    let connection = |user: &str, age: Option<Duration>| Connection {
        name: format!("{user} {age:?}"),
        user: user.into(),
        connected_at: age.map(|age| START.minus(age)),
        ..Connection::default()
    };
    let mut scene = Scene::new(vec![]);
    scene.connections = vec![
        connection("u-t-a-1", Some(DAY)),
        connection("u-t-a-2", Some(DAY - MINUTE)),
        connection("u-t-a-1", None),
        connection("u-t-gone-2", None),
        connection("u-t-a-3", Some(DAY)),
        connection("t-a-1", Some(DAY)),
        connection("u-t-a", Some(DAY)),
        connection("u-other-1", Some(DAY)),
    ];
    let verdict = scene.verdict();
    let closed: Vec<&str> = verdict.steps().map(|step| step.object.name()).collect();
    assert_eq!(closed, ["u-t-gone-2 None", "u-t-a-1 Some(86400s)"]);
    scene.connections = (0..200).map(|_| connection("u-t-a-1", Some(DAY))).collect();
    assert_eq!(scene.whats().len(), 50, "not all clients come back together");
}

#[test]
fn things_of_gone_namespaces_are_deleted_unless_nobody_can() {
    let exclusive = Queue { exclusive: Some(true), ..queue("queue/t-gone/mine", 1) };
    let down = Queue { state: Some("down".into()), ..queue("queue/t-gone/down", 1) };
    let mut scene = Scene::new(vec![queue("queue/t-gone/q", 1), exclusive, down]);
    scene.exchanges = vec![exchange("exchange/t-gone/e"), exchange("exchange/t-a/e"), exchange("")];
    let expected = [
        "delete queue queue/t-gone/q: the namespace t-gone no longer exists",
        "delete exchange exchange/t-gone/e: the namespace t-gone no longer exists",
    ];
    assert_eq!(scene.steps(), expected);
}

#[test]
fn an_empty_namespace_prefix_and_the_brokers_own_names_are_nobodys() {
    let nothing = Prefixes { namespace: String::new(), ..prefixes() };
    assert_eq!(nothing.queue(Q), None);
    let greedy = Prefixes { exchange: "amq.".into(), ..prefixes() };
    assert_eq!(greedy.exchange("amq.t-a/e"), None);
}

/// Names that look a little like ours.
fn almost_ours() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "queue/t-a/",
        "exchange/t-",
        "u-t-a",
        "queue/",
        "exchange/",
        "queue",
        "t-",
        "t-a",
        "T-a",
        "/",
        "//",
        "t",
        "u-",
        "-1",
        "-2",
        "amq.",
        "..",
        "",
        "é",
        "\0",
        " ",
    ]);
    prop::collection::vec(part, 0..6).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn whatever_is_planned_is_named_as_ours(names in prop::collection::vec(almost_ours(), 1..40), messages in 0_u64..40) {
        let mut scene = Scene::new(names.iter().map(|name| queue(name, messages)).collect());
        scene.namespaces.clear();
        scene.exchanges = names.iter().map(|name| exchange(name)).collect();
        scene.connections = names
            .iter()
            .map(|name| Connection { name: name.clone(), user: name.clone(), ..Connection::default() })
            .collect();
        scene.remembered = names.iter().map(|name| (name.clone(), Remembered { condemned: Some(1), absent: 1, ..Remembered::default() })).collect();
        for step in scene.verdict().steps() {
            let name = step.object.name();
            let (prefix, what) = match &step.object {
                Object::Resource(resource) if resource.sort() == Sort::Queue => ("queue/t-", name),
                Object::Resource(_) => ("exchange/t-", name),
                Object::Connection(connection) => ("u-t-", connection.user().as_str()),
                Object::Namespace(name) => ("t-", name.as_str()),
            };
            prop_assert!(what.starts_with(prefix), "{step}");
            prop_assert!(step.object.namespace().as_str().starts_with("t-"), "{step}");
        }
    }
}
