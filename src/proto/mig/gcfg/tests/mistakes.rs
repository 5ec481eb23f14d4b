//! What is wrong with settings is said, all at once and in words that help.

use serde_json::{Value, json};

use super::super::{Age, Login, MISTAKES_MAX, Program, check, render};
use super::{LOGIN, age, least, most, object};

/// Settings of the least extent, with these values in place of theirs.
fn with(program: Program, at: &str, changes: &Value) -> Value {
    let mut settings = least(program, at);
    for (section, keys) in changes.as_object().unwrap() {
        match keys.as_object() {
            Some(keys) => keys.iter().for_each(|(name, value)| settings[section][name] = value.clone()),
            None => settings[section] = keys.clone(),
        }
    }
    settings
}

#[track_caller]
fn assert_mistake(program: Program, at: &str, changes: Value, key: &str, part: &str) {
    let settings = object(with(program, at, &changes));
    let mistakes = check(program, age(at), &settings);
    let messages: Vec<String> =
        mistakes.iter().map(|mistake| format!("{}: {}", mistake.key, mistake.message)).collect();
    assert_eq!(mistakes.len(), 1, "{changes} {messages:?}");
    assert_eq!(mistakes[0].key, key, "{messages:?}");
    assert!(mistakes[0].message.contains(part), "{messages:?} should have {part}");
    assert_eq!(render(program, age(at), &settings, Some(&LOGIN)).unwrap_err(), mistakes);
}

#[test]
fn an_unknown_section_or_key_is_told_with_what_was_meant() {
    let scheduler = |changes, key, part| assert_mistake(Program::Scheduler, "2019-09", changes, key, part);
    scheduler(json!({"postgre": {"host": "db"}}), "postgre", "the nearest known one is `postgres`");
    scheduler(json!({"postgres": {"ssl-mode": "disable"}}), "postgres.ssl-mode", "nearest known one is `sslmode`");
    scheduler(json!({"collector": {"deleteafter": "72h"}}), "collector.deleteafter", "it stands under `periodic`");
    scheduler(json!({"debug": true}), "debug", "expected a table of keys, not true or false");
    scheduler(json!({"debug": {"a\nb": 1}}), "debug.a\\nb", "unknown key");
    assert_mistake(
        Program::Agent,
        "2017-07",
        json!({"agent": {"onlyverifypubkey": true}}),
        "agent.onlyverifypubkey",
        "`onlyVerifyPubKey`",
    );
    assert_mistake(Program::Api, "2017-07", json!({"mq": {"host": "relay1"}}), "mq", "unknown section");
}

#[test]
fn a_key_of_another_age_is_told_with_its_age() {
    for (program, section, name, value, before, since) in [
        (Program::Scheduler, "agent", "logactions", json!(true), "2017-01", "2017-02"),
        (Program::Scheduler, "logging", "maxfilesize", json!(0), "2016-03", "2016-04"),
        (Program::Api, "manifest", "requiredsignatures", json!(1), "2016-02", "2016-03"),
        (Program::Api, "server", "clientpublicip", json!("peer"), "2016-06", "2016-07"),
        (Program::Api, "maxmind", "path", json!("/a"), "2015-03", "2015-04"),
        (Program::Worker, "logging", "level", json!("info"), "2015-07", "2015-08"),
        (Program::Agent, "agent", "discoverawsmeta", json!(true), "2015-11", "2015-12"),
        (Program::Agent, "agent", "refreshenv", json!("5m"), "2016-03", "2016-04"),
        (Program::Agent, "agent", "proxies", json!(["a:1"]), "2016-06", "2016-07"),
        (Program::Agent, "agent", "extraprivacymode", json!(true), "2016-07", "2016-08"),
        (Program::Agent, "agent", "nopersistmods", json!(true), "2016-09", "2016-10"),
        (Program::Agent, "agent", "persistconfigdir", json!("/a"), "2016-11", "2016-12"),
        (Program::Agent, "agent", "onlyVerifyPubKey", json!(true), "2017-01", "2017-02"),
        (Program::Agent, "stats", "maxactions", json!(0), "2017-02", "2017-03"),
        (Program::Agent, "agent", "tags", json!(["a:b"]), "2017-06", "2017-07"),
    ] {
        let key = format!("{section}.{name}");
        assert_mistake(program, before, json!({section: {name: value}}), &key, &format!("it is there since {since}"));
        let settings = with(program, since, &json!({section: {name: value}}));
        assert_eq!(check(program, age(since), &object(settings)), [], "{key}");
    }
    let directory = json!({"agent": {"persistconfigdir": "/a"}});
    assert_mistake(Program::Agent, "2017-09", directory, "agent.persistconfigdir", "it was there until 2017-08");
    assert_mistake(
        Program::Api,
        "2017-10",
        json!({"maxmind": {"path": "/a"}}),
        "maxmind.path",
        "it was there until 2017-09",
    );
    assert_mistake(Program::Worker, "2017-10", json!({}), "", "there are no workers from 2017-10 on");
}

#[test]
fn a_value_that_a_scheduler_refuses_or_takes_for_another_is_told_with_what_is_expected() {
    let control = "a text in quotes, not empty and without control characters";
    for (program, section, name, values, part) in [
        (
            Program::Scheduler,
            "collector",
            "freq",
            json!(["60", "0", "0s", "-5s", "5 m", "1d", "s", "", "9999999h", 60]),
            "with its unit",
        ),
        (Program::Scheduler, "postgres", "password", json!(["", "a\nb", "a\u{7f}", "\u{feff}", 7, null]), control),
        (
            Program::Scheduler,
            "postgres",
            "sslmode",
            json!(["prefer", "", "Disable", true]),
            "disable, require, verify-ca, verify-full",
        ),
        (Program::Scheduler, "postgres", "port", json!([0, 65_536, -1, 1.5, "5432"]), "from 1 to 65535 without quotes"),
        (Program::Scheduler, "postgres", "maxconn", json!([0, -1]), "a whole number from 1"),
        (
            Program::Scheduler,
            "postgres",
            "host",
            json!(["", "a b", "a:1", "-a", "http://a", "é"]),
            "the name or address of a host",
        ),
        (Program::Scheduler, "mq", "host", json!(["", "a/b", "a@b"]), "the name or address of a host"),
        (Program::Scheduler, "mq", "usetls", json!(["on", 1]), "true or false without quotes"),
        (Program::Scheduler, "agent", "whitelist", json!(["", "list.txt", r"C:\list"]), "an absolute path"),
        (Program::Scheduler, "logging", "mode", json!(["none", ""]), "one of stdout, file, syslog"),
        (
            Program::Scheduler,
            "logging",
            "level",
            json!(["error", "warn", ""]),
            "one of emerg, alert, crit, err, warning",
        ),
        (Program::Scheduler, "logging", "protocol", json!(["tls", ""]), "one of udp, tcp"),
    ] {
        for value in values.as_array().unwrap() {
            assert_mistake(program, "2017-07", json!({section: {name: value}}), &format!("{section}.{name}"), part);
        }
    }
}

#[test]
fn a_value_that_an_api_or_an_agent_refuses_or_takes_for_another_is_told_with_what_is_expected() {
    for (program, section, name, values, part) in [
        (Program::Api, "manifest", "requiredsignatures", json!([0, "2"]), "a whole number from 1"),
        (
            Program::Api,
            "server",
            "clientpublicip",
            json!(["", "x-forwarded-for", "x-forwarded-for:-1", "x-forwarded-for:"]),
            "\"peer\"",
        ),
        (
            Program::Api,
            "server",
            "host",
            json!(["", "localhost", "http://a/", "http://", "http://a b", "http://a:x"]),
            "without a slash at the end",
        ),
        (Program::Api, "server", "baseroute", json!(["", "/", "api", "/api/", "/a b"]), "a slash at the beginning"),
        (
            Program::Agent,
            "agent",
            "socket",
            json!(["", "127.0.0.1", ":51664", "a:0", "a:65536", "::1:5"]),
            "a host and a port",
        ),
        (
            Program::Agent,
            "agent",
            "proxies",
            json!([[], ["a"], ["http://a:1"], ["a:1,b:2"], "a:1", [1]]),
            "a list of proxies",
        ),
        (
            Program::Agent,
            "agent",
            "tags",
            json!([[], ["a"], [":b"], ["a:b:c"], ["a: b"], ["a:b", "a:c"], ["a:\n"], {"a": "b"}]),
            "a list of different tags",
        ),
        (Program::Agent, "stats", "maxactions", json!([31, -1]), "from 0 to 30"),
        (Program::Agent, "certs", "ca", json!(["", "ca.pem", "c:ca.pem"]), "an absolute path, of Windows perhaps"),
    ] {
        for value in values.as_array().unwrap() {
            assert_mistake(program, "2017-07", json!({section: {name: value}}), &format!("{section}.{name}"), part);
        }
    }
}

#[test]
fn a_word_is_told_with_the_nearest_one() {
    let level = json!({"logging": {"level": "warn"}});
    assert_mistake(Program::Agent, "2019-09", level, "logging.level", "not `warn`, to which the nearest is `warning`");
}

#[test]
fn what_comes_from_the_login_stands_in_no_settings() {
    for (program, name) in [(Program::Scheduler, "user"), (Program::Worker, "pass"), (Program::Agent, "vhost")] {
        let part = "comes from the login of the broker's account; remove it here";
        assert_mistake(program, "2017-07", json!({"mq": {name: "x"}}), &format!("mq.{name}"), part);
    }
    let relay = json!({"agent": {"relay": "amqp://guest:guest@localhost:5672/"}});
    assert_mistake(
        Program::Agent,
        "2017-07",
        relay,
        "agent.relay",
        "comes from mq.host, mq.port, mq.usetls and the login",
    );
}

#[test]
fn what_is_needed_together_is_told() {
    let paths = json!({"mq": {"usetls": true, "cacert": "/a", "tlscert": "/b"}});
    assert_mistake(Program::Scheduler, "2015-03", paths, "mq.tlskey", "is missing; it is needed with mq.usetls = true");
    assert_mistake(
        Program::Api,
        "2015-03",
        json!({"logging": {"mode": "file"}}),
        "logging.file",
        "logging.mode = file",
    );
    let syslog = json!({"logging": {"mode": "syslog", "host": "localhost", "port": 514}});
    assert_mistake(Program::Agent, "2015-03", syslog, "logging.protocol", "needed with logging.mode = syslog");
    let same = json!({"directories": {"spool": "/var/tmp"}});
    assert_mistake(Program::Scheduler, "2019-09", same, "directories.tmp", "must not be the same as directories.spool");
    let public = json!({"agent": {"discoverpublicip": true}});
    assert_mistake(Program::Agent, "2018-11", public, "agent.api", "needed with agent.discoverpublicip = true");
    let public = json!({"agent": {"discoverpublicip": false}});
    assert_mistake(Program::Agent, "2019-09", public, "agent.discoverpublicip", "must be true");
}

#[test]
fn all_that_is_missing_is_told_at_once() {
    for (program, at, expected) in [
        (Program::Scheduler, "2015-03", &["postgres.host", "mq.host", "mq.port"][..]),
        (Program::Api, "2015-03", &["server.host", "postgres.host"]),
        (Program::Worker, "2015-03", &["mq.host", "mq.port"]),
        (Program::Agent, "2016-10", &["mq.host", "mq.port", "certs.ca", "certs.cert", "certs.key"]),
        (Program::Agent, "2016-11", &["mq.host", "mq.port"]),
        (Program::Agent, "2018-12", &["mq.host", "mq.port", "agent.api"]),
    ] {
        let mistakes = check(program, age(at), &object(json!({})));
        assert_eq!(
            mistakes.iter().map(|mistake| mistake.key.as_str()).collect::<Vec<_>>(),
            expected,
            "{program:?} {at}"
        );
        assert!(mistakes.iter().all(|mistake| mistake.message.starts_with("is missing; add ")), "{mistakes:?}");
    }
}

#[test]
fn a_file_with_a_login_needs_one_and_others_do_not() {
    for program in Program::ALL {
        let settings = object(least(program, "2017-07"));
        assert_eq!(check(program, age("2017-07"), &settings), []);
        assert_eq!(render(program, age("2017-07"), &settings, None).is_err(), program.needs_login());
        let nobody = Login { user: "", ..LOGIN };
        assert_eq!(render(program, age("2017-07"), &settings, Some(&nobody)).is_err(), program.needs_login());
    }
}

#[test]
fn no_mistake_repeats_what_may_be_secret() {
    let mut settings = most(Program::Scheduler, "2019-09");
    settings["postgres"]["password"] = json!("Topf\tsecret");
    settings["mq"]["pass"] = json!("Topfsecret");
    let mistakes = render(Program::Scheduler, age("2019-09"), &object(settings), Some(&LOGIN)).unwrap_err();
    assert_eq!(mistakes.len(), 2);
    assert!(!format!("{mistakes:?}").contains("Topf"));
}

#[test]
fn of_very_many_mistakes_the_first_are_told() {
    let keys: serde_json::Map<_, _> = (0..1000).map(|n| (format!("key{n}"), json!(n))).collect();
    assert_eq!(check(Program::Api, age("2019-09"), &keys).len(), MISTAKES_MAX);
}

#[test]
fn an_age_is_a_month_of_their_history() {
    for text in ["2015-03", "2017-10", "2019-09"] {
        assert_eq!(Age::parse(text).unwrap().to_string(), text);
    }
    for text in ["2015-02", "2019-10", "2017-13", "2017-00", "2017-7", "+017-07", "2017-+7", "2017", "", "2017-07-01"] {
        assert_eq!(
            Age::parse(text).unwrap_err(),
            "expected a month from 2015-03 to 2019-09, such as 2017-07",
            "{text}"
        );
    }
}

#[test]
fn a_program_is_known_by_its_name() {
    for program in Program::ALL {
        assert_eq!(Program::parse(program.name()), Ok(program));
        assert!(program.file_name().ends_with(".cfg"));
    }
    assert_eq!(
        Program::parse("scheduler").unwrap_err(),
        "expected one of mig-scheduler, mig-api, mig-worker, mig-agent"
    );
}
