//! What the files say, read back by a reader that knows nothing of how they are written.

mod mistakes;
mod reader;

use serde_json::{Map, Value, json};

use super::{Age, Login, Program, render};
use reader::read;

const AGES: [&str; 5] = ["2015-03", "2015-08", "2017-07", "2018-11", "2019-09"];
const LOGIN: Login<'_> = Login { user: "guest", password: "Secret_-09", vhost: "mig" };

/// The keys of each file, with the ages from and to which they are read (docs/mig.md, and the sources of each month).
const KEYS: &[(Program, &str, &str, &str)] = &[
    (Program::Scheduler, "agent", "timeout heartbeatfreq whitelist detectmultiagents killdupagents", ""),
    (Program::Scheduler, "agent", "logactions", "2017-02"),
    (Program::Scheduler, "collector", "freq", ""),
    (Program::Scheduler, "periodic", "freq deleteafter queuescleanupfreq", ""),
    (Program::Scheduler, "directories", "spool tmp", ""),
    (Program::Scheduler, "postgres", "host port dbname user password sslmode maxconn", ""),
    (Program::Scheduler, "mq", "host port user pass vhost usetls cacert tlscert tlskey timeout", ""),
    (Program::Scheduler, "logging", "mode level file", ""),
    (Program::Scheduler, "logging", "maxfilesize", "2016-04"),
    (Program::Scheduler, "logging", "host port protocol", ""),
    (Program::Scheduler, "debug", "heartbeats", ""),
    (Program::Api, "authentication", "enabled tokenduration", ""),
    (Program::Api, "manifest", "requiredsignatures", "2016-03"),
    (Program::Api, "server", "ip port host baseroute", ""),
    (Program::Api, "server", "clientpublicip", "2016-07"),
    (Program::Api, "maxmind", "path", "2015-04..2017-09"),
    (Program::Api, "postgres", "host port dbname user password sslmode maxconn", ""),
    (Program::Api, "logging", "mode level file", ""),
    (Program::Api, "logging", "maxfilesize", "2016-04"),
    (Program::Api, "logging", "host port protocol", ""),
    (Program::Worker, "mq", "host port user pass vhost usetls cacert tlscert tlskey timeout", ""),
    (Program::Worker, "logging", "mode level file", "2015-08"),
    (Program::Worker, "logging", "maxfilesize", "2016-04"),
    (Program::Worker, "logging", "host port protocol", "2015-08"),
    (Program::Agent, "agent", "relay api socket heartbeatfreq moduletimeout isimmortal", ""),
    (Program::Agent, "agent", "proxies", "2016-07"),
    (Program::Agent, "agent", "installservice discoverpublicip", ""),
    (Program::Agent, "agent", "discoverawsmeta", "2015-12"),
    (Program::Agent, "agent", "checkin", ""),
    (Program::Agent, "agent", "refreshenv", "2016-04"),
    (Program::Agent, "agent", "extraprivacymode", "2016-08"),
    (Program::Agent, "agent", "nopersistmods", "2016-10"),
    (Program::Agent, "agent", "persistconfigdir", "2016-12..2017-08"),
    (Program::Agent, "agent", "onlyVerifyPubKey", "2017-02"),
    (Program::Agent, "agent", "tags", "2017-07"),
    (Program::Agent, "stats", "maxactions", "2017-03"),
    (Program::Agent, "certs", "ca cert key", ""),
    (Program::Agent, "logging", "mode level file", ""),
    (Program::Agent, "logging", "maxfilesize", "2016-04"),
    (Program::Agent, "logging", "host port protocol", ""),
];

fn age(text: &str) -> Age {
    Age::parse(text).unwrap()
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn programs(age: &str) -> impl Iterator<Item = Program> {
    let has_workers = age < "2017-10";
    Program::ALL.into_iter().filter(move |program| has_workers || *program != Program::Worker)
}

/// The least that has to be said.
fn least(program: Program, age: &str) -> Value {
    let mut settings = match program {
        Program::Scheduler => json!({"mq": {"host": "relay1", "port": 5672}, "postgres": {"host": "db"}}),
        Program::Api => json!({"server": {"host": "http://localhost:12345"}, "postgres": {"host": "db"}}),
        Program::Worker | Program::Agent => json!({"mq": {"host": "relay1", "port": 5672}}),
    };
    if program == Program::Agent && age < "2016-11" {
        settings["certs"] = json!({"ca": "/ca", "cert": "/cert", "key": "/key"});
    }
    if program == Program::Agent && age >= "2018-12" {
        settings["agent"] = json!({"api": "http://localhost:1664/api/v1/"});
    }
    settings
}

fn is_read(at: &str, ages: &str) -> bool {
    let (first, last) = ages.split_once("..").unwrap_or((ages, "9999"));
    first <= at && at <= last
}

/// All that can be said, by the list of keys above.
fn most(program: Program, at: &str) -> Value {
    let mut settings = json!({});
    for (_, section, names, _) in KEYS.iter().filter(|(of, _, _, ages)| *of == program && is_read(at, ages)) {
        for name in names.split(' ') {
            let value = match (*section, name) {
                ("mq", "user" | "pass" | "vhost") | ("agent", "relay") => continue,
                ("postgres", "sslmode") => json!("require"),
                ("logging", "mode") => json!("syslog"),
                ("logging", "level") => json!("warning"),
                ("logging", "protocol") => json!("udp"),
                ("agent", "api") | ("server", "host") => json!("https://mig.example.net/x"),
                ("agent", "socket") => json!("127.0.0.1:51665"),
                ("agent", "proxies") => json!(["proxy1:8888", "192.0.2.1:3128"]),
                ("agent", "tags") => json!(["operator:A \"Team\"; #1", "site:"]),
                (_, "baseroute") => json!("/api/v2"),
                (_, "clientpublicip") => json!("x-forwarded-for:1"),
                (_, "port" | "maxconn" | "maxfilesize" | "requiredsignatures" | "maxactions") => json!(7),
                (_, "timeout" | "heartbeatfreq" | "freq" | "deleteafter" | "queuescleanupfreq") => json!("1h30m"),
                (_, "tokenduration" | "moduletimeout" | "refreshenv") => json!("90s"),
                (_, "spool" | "tmp" | "whitelist" | "file" | "path" | "persistconfigdir" | "ca" | "cert" | "key") => {
                    json!(format!("/var/{name}"))
                }
                (_, "cacert" | "tlscert" | "tlskey") => json!(format!("/etc/{name}")),
                (_, "host" | "ip" | "dbname" | "user" | "password") => json!(format!("some-{name}")),
                _ => json!(true),
            };
            settings[section][name] = value;
        }
    }
    if program == Program::Agent {
        settings["mq"] = json!({"host": "relay1", "port": 5671, "usetls": true});
    }
    settings
}

#[test]
fn each_program_of_each_age_gets_all_keys_that_it_knows_in_the_order_of_its_sample_and_no_other() {
    for at in AGES {
        for program in programs(at) {
            let settings = object(most(program, at));
            let text = render(program, age(at), &settings, Some(&LOGIN)).unwrap();
            let mut found: Vec<String> = read(&text).into_iter().map(|(key, _)| key).collect();
            found.dedup();
            let known = KEYS.iter().filter(|(of, _, _, ages)| *of == program && is_read(at, ages));
            let known: Vec<String> = known
                .flat_map(|(_, section, names, _)| names.split(' ').map(move |name| format!("{section}.{name}")))
                .collect();
            assert_eq!(found, known, "{program:?} {at}");
        }
    }
}

#[test]
fn what_settings_say_is_what_is_read() {
    for at in AGES {
        for program in programs(at) {
            let settings = most(program, at);
            let text = render(program, age(at), &object(settings.clone()), Some(&LOGIN)).unwrap();
            let found = read(&text);
            for (section, keys) in settings.as_object().unwrap() {
                if program == Program::Agent && section == "mq" {
                    continue;
                }
                for (name, value) in keys.as_object().unwrap() {
                    let key = format!("{section}.{name}");
                    let values: Vec<&str> =
                        found.iter().filter(|(found, _)| *found == key).map(|(_, value)| value.as_str()).collect();
                    let expected = match value {
                        Value::String(text) => vec![text.clone()],
                        Value::Array(items) if name == "proxies" => {
                            vec![items.iter().map(|item| item.as_str().unwrap()).collect::<Vec<_>>().join(",")]
                        }
                        Value::Array(items) => items.iter().map(|item| item.as_str().unwrap().to_owned()).collect(),
                        other => vec![other.to_string()],
                    };
                    assert_eq!(values, expected, "{program:?} {at} {key}");
                }
            }
        }
    }
}

#[test]
fn a_key_that_is_needed_gets_its_usual_value_and_no_other_key_is_written() {
    let logging = [("logging.mode", "stdout"), ("logging.level", "info")];
    let mq = [
        ("mq.host", "relay1"),
        ("mq.port", "5672"),
        ("mq.user", "guest"),
        ("mq.pass", "Secret_-09"),
        ("mq.vhost", "mig"),
    ];
    let postgres = |user| {
        let [host, port] = [("postgres.host", "db"), ("postgres.port", "5432")];
        [host, port, ("postgres.dbname", "mig"), ("postgres.user", user), ("postgres.sslmode", "verify-full")]
    };
    for at in AGES {
        for program in programs(at) {
            let mut expected = Vec::new();
            match program {
                Program::Scheduler => {
                    expected.extend([("agent.timeout", "20m"), ("agent.heartbeatfreq", "5m")]);
                    expected.push(("agent.whitelist", "/var/cache/mig/agents_whitelist.txt"));
                    expected.extend([("collector.freq", "60s"), ("periodic.freq", "87s")]);
                    expected.extend([("periodic.deleteafter", "72h"), ("periodic.queuescleanupfreq", "24h")]);
                    expected.extend([("directories.spool", "/var/cache/mig/"), ("directories.tmp", "/var/tmp/")]);
                    expected.extend(postgres("migscheduler"));
                    expected.extend(mq);
                    expected.extend(logging);
                }
                Program::Api => {
                    expected.extend([("authentication.enabled", "true"), ("authentication.tokenduration", "10m")]);
                    expected.extend((at >= "2016-03").then_some(("manifest.requiredsignatures", "2")));
                    expected.extend([("server.ip", "127.0.0.1"), ("server.port", "12345")]);
                    expected.extend([("server.host", "http://localhost:12345"), ("server.baseroute", "/api/v1")]);
                    expected.extend(postgres("migapi"));
                    expected.extend(logging);
                }
                Program::Worker => {
                    expected.extend(mq);
                    expected.extend(logging.into_iter().filter(|_| at >= "2015-08"));
                }
                Program::Agent => {
                    expected.push(("agent.relay", "amqp://guest:Secret_-09@relay1:5672/mig"));
                    expected.extend((at >= "2018-12").then_some(("agent.api", "http://localhost:1664/api/v1/")));
                    expected.extend([("agent.socket", "127.0.0.1:51664"), ("agent.heartbeatfreq", "300s")]);
                    expected.push(("agent.moduletimeout", "300s"));
                    expected.extend((at >= "2018-12").then_some(("agent.discoverpublicip", "true")));
                    let certs = [("certs.ca", "/ca"), ("certs.cert", "/cert"), ("certs.key", "/key")];
                    expected.extend(certs.into_iter().filter(|_| at < "2016-11"));
                    expected.extend(logging);
                }
            }
            let text = render(program, age(at), &object(least(program, at)), Some(&LOGIN)).unwrap();
            let found = read(&text);
            let found: Vec<(&str, &str)> = found.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            assert_eq!(found, expected, "{program:?} {at}");
        }
    }
}

#[test]
fn a_file_is_as_a_person_would_write_it() {
    let text =
        render(Program::Worker, age("2017-07"), &object(least(Program::Worker, "2017-07")), Some(&LOGIN)).unwrap();

    assert_eq!(
        text,
        r#"; written by Keylender: changes are overwritten

[mq]
host = "relay1"
port = 5672
user = "guest"
pass = "Secret_-09"
vhost = "mig"

[logging]
mode = "stdout"
level = "info"
"#
    );
}

#[test]
fn awkward_texts_survive() {
    for file in ["/a \"b\"", r"/a\b\\", "/a # b ; c", "/ blanks ", "/ärger/日本", "/[x]=\"", r#"/\""#, "/'a`"] {
        let mut settings = least(Program::Agent, "2017-07");
        settings["logging"] = json!({"mode": "file", "file": file});
        settings["agent"] = json!({"persistconfigdir": r"C:\mig\x"});
        let text = render(Program::Agent, age("2017-07"), &object(settings), Some(&LOGIN)).unwrap();
        assert!(read(&text).contains(&("logging.file".to_owned(), file.to_owned())), "{file}");
        assert!(read(&text).contains(&("agent.persistconfigdir".to_owned(), r"C:\mig\x".to_owned())));
    }
}

#[test]
fn what_a_program_puts_into_a_url_is_percent_encoded() {
    let login = Login { user: "a:b@c/d e%ü", password: "A_z-9", vhost: "/" };
    let relay = json!({"host": "2001:db8::1", "port": 5671, "usetls": true});
    let text = render(Program::Agent, age("2018-11"), &object(json!({"mq": relay})), Some(&login)).unwrap();
    let url = "amqps://a%3Ab%40c%2Fd%20e%25%C3%BC:A_z-9@2001:db8::1:5671/%2F";
    assert!(read(&text).contains(&("agent.relay".to_owned(), url.to_owned())), "{text}");

    let postgres = json!({"host": "2001:db8::1", "password": "p@ss/w%rd", "dbname": "m g"});
    let settings = object(json!({"mq": {"host": "[::1]", "port": 5672}, "postgres": postgres}));
    let text = render(Program::Scheduler, age("2015-03"), &settings, Some(&login)).unwrap();
    let found = read(&text);
    for (key, value) in [
        ("mq.user", "a%3Ab%40c%2Fd%20e%25%C3%BC"),
        ("mq.pass", "A_z-9"),
        ("mq.vhost", "%2F"),
        ("mq.host", "::1"),
        ("postgres.host", "[2001:db8::1]"),
        ("postgres.password", "p%40ss%2Fw%25rd"),
        ("postgres.dbname", "m%20g"),
    ] {
        assert!(found.contains(&(key.to_owned(), value.to_owned())), "{key} in {text}");
    }
}
