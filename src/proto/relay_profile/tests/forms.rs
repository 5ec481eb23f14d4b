//! What each table and each key may hold, and where it says so.

use super::*;
use serde_json::json;

#[test]
fn everything_that_may_stand_there_is_read() {
    let profile = Profile::parse(FULL).unwrap();
    assert_eq!(profile.name(), "full-1");
    assert_eq!(profile.absent_users().iter().map(AccountName::as_str).collect::<Vec<_>>(), ["guest", "old user"]);
    assert_eq!(profile.foreign_vhosts().iter().map(VhostName::as_str).collect::<Vec<_>>(), ["shared"]);
    let [vhost] = profile.vhosts() else { panic!("{profile:?}") };
    assert_eq!((vhost.name.as_str(), vhost.on_drift), ("/", OnDrift::Report));
    assert_eq!(vhost.default_queue_type, Some(QueueType::Quorum));
    assert_eq!(vhost.limits, VhostLimits { max_connections: Some(500), max_queues: Some(0) });
    let [odd, usual] = vhost.exchanges.as_slice() else { panic!("{vhost:?}") };
    assert_eq!((odd.name.as_str(), odd.kind.as_str()), ("in", "x-consistent-hash"));
    assert_eq!((odd.durable, odd.auto_delete, odd.internal), (false, true, true));
    let arguments = json!({ "alternate-exchange": "out", "weights": [1, 2.5, true, { "deep": "yes" }] });
    assert_eq!(json!(odd.arguments), arguments);
    assert_eq!((usual.durable, usual.auto_delete, usual.internal, usual.arguments.len()), (true, false, false, 0));
    let [odd, usual] = vhost.queues.as_slice() else { panic!("{vhost:?}") };
    assert_eq!((odd.name.as_str(), odd.kind), ("a queue/ü", Some(QueueType::Classic)));
    assert_eq!((odd.durable, odd.auto_delete), (false, true));
    assert_eq!(json!(odd.arguments), json!({ "x-max-length": 16, "x-odd key": "" }));
    assert_eq!((usual.kind, usual.durable, usual.auto_delete), (None, true, false));
    let [odd, usual] = vhost.bindings.as_slice() else { panic!("{vhost:?}") };
    assert_eq!((odd.source.as_str(), odd.destination.as_str(), odd.routing_key.as_str()), ("in", "out", "1"));
    assert_eq!((odd.destination_type, json!(odd.arguments)), (Destination::Exchange, json!({ "x-match": "any" })));
    assert_eq!((usual.destination_type, usual.routing_key.as_str()), (Destination::Queue, ""));
}

#[test]
fn policies_and_accounts_are_read() {
    let profile = Profile::parse(FULL).unwrap();
    let vhost = &profile.vhosts()[0];
    let [short, long] = vhost.policies.as_slice() else { panic!("{vhost:?}") };
    assert_eq!((short.pattern.as_str(), short.apply_to, short.priority), ("^a", ApplyTo::QuorumQueues, -7));
    assert_eq!((long.apply_to, long.priority), (ApplyTo::All, 0));
    assert_eq!(json!([short.definition, long.definition]), json!([{ "max-length": 1000 }, { "max-length": 2000 }]));
    assert_eq!((vhost.operator_policies.len(), vhost.operator_policies[0].apply_to), (1, ApplyTo::Queues));
    let [worker, idle] = profile.accounts() else { panic!("{profile:?}") };
    assert_eq!((worker.name.as_str(), worker.note.as_deref()), ("worker", Some("runs on relay1")));
    assert_eq!(worker.tags, ["monitoring", "x.y"]);
    assert_eq!(worker.limits, AccountLimits { max_connections: Some(2), max_channels: Some(20) });
    let every = "30 days 2 hours".parse().unwrap();
    assert_eq!(worker.rotation, Some(Rotation { every, by: RotateBy::InTurn }));
    assert_eq!((worker.delivery, worker.on_drift), (Delivery::HandOver, OnDrift::Report));
    assert_eq!(worker.back_within, Some("90 seconds".parse().unwrap()));
    assert_eq!(worker.users().iter().map(AccountName::as_str).collect::<Vec<_>>(), ["worker-1", "worker-2"]);
    let [own, foreign] = worker.grants.as_slice() else { panic!("{worker:?}") };
    assert_eq!((own.vhost.as_str(), own.configure.as_str()), ("/", ""));
    assert_eq!((own.write.as_str(), own.read.as_str()), ("^in$", "^(a queue/ü|plain)$"));
    assert_eq!(own.consumes, ["plain", "of others"]);
    let topic = TopicGrant { exchange: "out".into(), write: r"^new\.".into(), read: String::new() };
    assert_eq!((own.topics.as_slice(), foreign.topics.len()), ([topic].as_slice(), 0));
    assert_eq!(foreign.vhost.as_str(), "shared");
    assert_eq!((idle.rotation, idle.back_within, idle.grants.len()), (None, None, 0));
    assert_eq!((idle.delivery, idle.on_drift), (Delivery::Fetch, OnDrift::Repair));
    assert_eq!(idle.users().iter().map(AccountName::as_str).collect::<Vec<_>>(), ["idle"]);
}

#[test]
fn a_text_that_is_no_toml_says_where() {
    compare(&[
        ("name = ", &["1:8: this is no TOML: string values must be quoted, expected literal string"]),
        ("name = 'a'\nname = 'b'\n", &["2:1: this is no TOML: duplicate key"]),
        ("name = 'a\n[[vhost]]\nname = 'b'\n", &["1:10: this is no TOML: invalid literal string, expected `'`"]),
        (
            "name = 'ä' x\nabsent_users = [\"gäst\" 'b']\n",
            &[
                "1:8: `name`: expected 1 to 64 of a-z 0-9 -",
                "1:12: this is no TOML: unexpected key or value, expected newline, `#`",
                "2:1: unknown key `absent_users`; the nearest known one is `absent-users`",
                "2:24: this is no TOML: missing comma between array elements, expected `,`",
            ],
        ),
    ]);
}

#[test]
fn unknown_and_missing_keys_are_told_with_their_tables() {
    compare(&[
        ("", &["1:1: `name` is missing from the top of the profile; add it"]),
        (
            "title = 1\n[[vhosts]]\n[[vhost]]\n[[vhost.exchange]]\n[[vhost.queue]]\n[[vhost.binding]]\n[[vhost.policy]]\n",
            &[
                "1:1: unknown key `title`; the nearest known one is `name`",
                "1:1: `name` is missing from the top of the profile; add it",
                "2:3: unknown key `vhosts`; the nearest known one is `vhost`",
                "3:1: `name` is missing from [[vhost]]; add it",
                "4:1: `name` is missing from [[vhost.exchange]]; add it",
                "4:1: `type` is missing from [[vhost.exchange]]; add it",
                "5:1: `name` is missing from [[vhost.queue]]; add it",
                "6:1: `source` is missing from [[vhost.binding]]; add it",
                "6:1: `destination` is missing from [[vhost.binding]]; add it",
                "7:1: `name` is missing from [[vhost.policy]]; add it",
                "7:1: `pattern` is missing from [[vhost.policy]]; add it",
                "7:1: `definition` is missing from [[vhost.policy]]; add it",
            ],
        ),
        (
            "name = 'a'\n[[account]]\nMax_Connections = 1\n[account.limits]\nmax_connections = 2\n\
             [[account.grant]]\nconfig = ''\n[[account.grant.topic]]\n",
            &[
                "2:1: `name` is missing from [[account]]; add it",
                "3:1: unknown key `Max_Connections`; the nearest known one is `back-within`",
                "5:1: unknown key `max_connections`; the nearest known one is `max-connections`",
                "6:1: `vhost` is missing from [[account.grant]]; add it",
                "6:1: `configure` is missing from [[account.grant]]; add it",
                "6:1: `write` is missing from [[account.grant]]; add it",
                "6:1: `read` is missing from [[account.grant]]; add it",
                "7:1: unknown key `config`; the nearest known one is `configure`",
                "8:1: `exchange` is missing from [[account.grant.topic]]; add it",
                "8:1: `write` is missing from [[account.grant.topic]]; add it",
                "8:1: `read` is missing from [[account.grant.topic]]; add it",
            ],
        ),
    ]);
}

#[test]
fn values_of_the_wrong_form_are_told() {
    let wrong = "name = 1\nabsent-users = 'guest'\nforeign-vhosts = [1, 'v', 'v', '']\nvhost = { nam = 'v' }\n\
                 account = [1, { name = [] , tags = [true], limits = [], grant = 1, note = 2000-01-01 }]\n";
    let flags = "name = 'a'\n[[vhost]]\nname = 'v'\nlimits.max-queues = -1\nlimits.max-connections = '7'\n\
                 [[vhost.queue]]\nname = 'q'\ndurable = 'yes'\narguments = [1]\n\
                 [[vhost.policy]]\nname = 'p'\npattern = 'x'\npriority = 1.5\n\
                 definition = { a = nan, b = 1979-05-27, c = 9223372036854775808, d = [1e999] }\n\
                 [[vhost.operator-policy]]\nname = 'p'\npattern = 'x'\npriority = 99999999999999999999\ndefinition = 'x'\n";
    compare(&[
        (
            wrong,
            &[
                "1:8: `name`: expected a text in quotes, not a whole number",
                "2:16: `absent-users`: expected a list of texts in quotes, not a text",
                "3:19: `foreign-vhosts`: expected a text in quotes, not a whole number",
                "3:27: `foreign-vhosts`: `v` is there twice; remove one",
                "3:32: `foreign-vhosts`: expected a name of 1 to 255 bytes, not . or ..",
                "4:9: `vhost`: expected one [[vhost]] for each, not a table",
                "4:9: `name` is missing from [[vhost]]; add it",
                "4:11: unknown key `nam`; the nearest known one is `name`",
                "5:12: expected [[account]], not a whole number",
                "5:24: `name`: expected a text in quotes, not a list",
                "5:37: `tags`: expected a text in quotes, not true or false",
                "5:53: `limits`: expected a table such as { key = 1 }, not a list",
                "5:65: `grant`: expected one [[account.grant]] for each, not a whole number",
                "5:75: `note`: expected a text in quotes, not a date",
            ],
        ),
        (
            flags,
            &[
                "4:21: `max-queues`: expected 0 to 4294967295; leave it out for no limit",
                "5:26: `max-connections`: expected a whole number without quotes, not a text",
                "8:11: `durable`: expected true or false, not a text",
                "9:13: `arguments`: expected a table such as { key = 1 }, not a list",
                "13:12: `priority`: expected a whole number without quotes, not a number with a point",
                "14:20: `definition`: JSON, in which brokers are told this, has finite numbers only",
                "14:29: `definition`: brokers know no dates; put it in quotes, or write a number",
                "14:45: `definition`: expected a number between -2^63 and 2^63 - 1",
                "14:71: `definition`: JSON, in which brokers are told this, has finite numbers only",
                "18:12: `priority`: expected a number between -2^63 and 2^63 - 1",
                "19:14: `definition`: expected a table such as { key = 1 }, not a text",
            ],
        ),
    ]);
}

#[test]
fn words_name_the_nearest_known_one() {
    compare(&[(
        "name = 'a'\n[[vhost]]\nname = 'v'\non-drift = 'ignore'\ndefault-queue-type = 'quroum'\n\
         [[vhost.exchange]]\nname = 'e'\ntype = 'topci'\n[[vhost.policy]]\nname = 'p'\npattern = 'x'\n\
         apply-to = 'queue'\ndefinition.a = 1\n[[account]]\nname = 'a'\ndelivery = 'hand_over'\n\
         rotate-every = '1 day'\nrotate-by = 'turn'\n",
        &[
            "4:12: `on-drift`: expected repair, report; not `ignore`, to which the nearest is `report`",
            "5:22: `default-queue-type`: expected classic, quorum, stream; not `quroum`, to which the nearest is `quorum`",
            "8:8: `type`: expected direct, fanout, headers, topic, or a type of a plugin, which begins with x-; \
             not `topci`, to which the nearest is `topic`",
            "12:12: `apply-to`: expected all, exchanges, queues, classic_queues, quorum_queues, streams; \
             not `queue`, to which the nearest is `queues`",
            "16:12: `delivery`: expected fetch, render, hand-over; not `hand_over`, to which the nearest is `hand-over`",
            "18:13: `rotate-by`: expected in-place, in-turn; not `turn`, to which the nearest is `in-turn`",
        ],
    )]);
}
