//! Stories about settings.

mod hosts;
mod listen;
mod log;
mod packaged;
mod relay;
mod shell;
mod sites;

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::base::Secret;
use crate::web::peer::TrustProxy;

/// A load from pairs: flags, environment, and the text of a settings file.
pub(super) fn try_load(flags: &[(&str, &str)], environment: &[(&str, &str)], file: &str) -> Result<Loaded, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keylender.conf");
    fs::write(&path, file).unwrap();
    let owned = |pairs: &[(&str, &str)]| pairs.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
    load(&Sources { flags: owned(flags), environment: owned(environment), config_file: Some(path) })
        .map_err(|problems| problems.to_string().replace(&format!("{}/", dir.path().display()), ""))
}

pub(super) fn load_file(file: &str) -> Loaded {
    try_load(&[], &[], file).unwrap()
}

pub(super) fn problems_of(file: &str) -> String {
    try_load(&[], &[], file).unwrap_err()
}

pub(super) fn shown(loaded: &Loaded, name: &str) -> (Option<String>, String) {
    let effective = loaded.settings.effective.iter().find(|effective| effective.name == name).unwrap();
    (effective.value.clone(), effective.source.clone())
}

#[test]
fn all_problems_of_all_sources_are_reported_at_once_with_their_places() {
    let flags = [("BIND", "nowhere")];
    let environment = [("TRUST_PROXY", "10.0.0.0/99"), ("LOG_LEVEL", "loud"), ("PATH", "/usr/bin")];
    let file = "PORT=80a\n# a comment\nRABBIT_URL=http://localhost:15672/api\nFOO=$(id)\nRABBIT_USERNAME=admin\n\
                NAMESPACE_ROTATION_INTERVAL='0 hours'\nTASKCLUSTER_AMQP_PROTOCOL=amqp\nUSER_READ_PERMISSION='.*'\n";
    insta::assert_snapshot!(try_load(&flags, &environment, file).unwrap_err(), @r#"
    --bind: BIND: expected an IP address, not "nowhere"
    environment: TRUST_PROXY: expected false, true, or CIDRs such as 10.0.0.0/8, not "10.0.0.0/99"
    environment: LOG_LEVEL: expected error, warn, info, debug or trace, not "loud"
    keylender.conf:1: PORT: expected a port from 0 to 65535, not "80a"
    keylender.conf:3: unknown setting `RABBIT_URL`; the nearest known one is `RABBIT_BASE_URL`
    keylender.conf:4: holds a character that a shell may not take as it is; put the value in single quotes
    keylender.conf:5: RABBIT_USERNAME: needs RABBIT_BASE_URL as well
    keylender.conf:6: NAMESPACE_ROTATION_INTERVAL: expected a span such as `1 hour`, not "0 hours"
    keylender.conf:7: TASKCLUSTER_AMQP_PROTOCOL: expected amqp:// or amqps://, not "amqp"
    keylender.conf:8: USER_READ_PERMISSION: expected a regex with {{namespace}}, not ".*"
    "#);
}

#[test]
fn a_flag_beats_the_environment_beats_the_file_beats_the_default() {
    let file = "PORT=1\nBIND=127.0.0.2\nLOG_FORMAT=json\n";
    let loaded = try_load(&[("PORT", "3")], &[("PORT", "2"), ("BIND", "127.0.0.3")], file).unwrap();
    assert_eq!((loaded.settings.listen.port, loaded.settings.log.json), (3, true));
    assert_eq!(shown(&loaded, "PORT"), (Some("3".into()), "--port".into()));
    assert_eq!(shown(&loaded, "BIND"), (Some("127.0.0.3".into()), "environment".into()));
    assert!(shown(&loaded, "LOG_FORMAT").1.ends_with("keylender.conf:3"));
    assert_eq!(shown(&loaded, "LOG_LEVEL"), (Some("info".into()), "default".into()));
}

#[test]
fn an_empty_value_stands_for_the_default_except_where_empty_means_something() {
    let file = "PORT=9\nTASKCLUSTER_ROOT_URL=https://tc.example\n";
    let environment = [("PORT", ""), ("TASKCLUSTER_ROOT_URL", ""), ("QUEUE_PREFIX", ""), ("USER_TAGS", "")];
    let settings = try_load(&[], &environment, file).unwrap().settings;
    assert_eq!((settings.listen.port, settings.root_url), (8080, None));
    assert_eq!(settings.namespaces.queue_prefix, "");
    assert!(settings.namespaces.user_tags.is_empty());
    assert!(problems_of("NAMESPACE_PREFIX=").contains("NAMESPACE_PREFIX: expected 1 to 63"));
}

#[test]
fn without_any_source_the_defaults_of_development_hold() {
    let Settings {
        mode,
        listen,
        data_dir,
        key,
        log,
        root_url,
        credentials,
        broker,
        namespaces,
        verify_logins,
        expire_period,
        notices,
        rotate_period,
        reconcile_period,
        monitor,
        ..
    } = load(&Sources::default()).unwrap().settings;
    assert_eq!((mode, data_dir), (Mode::Development, "./data".into()));
    assert_eq!((listen.bind.to_string().as_str(), listen.port, listen.force_ssl), ("127.0.0.1", 8080, false));
    assert_eq!((listen.public_url, listen.trust_proxy), (None, TrustProxy::Nobody));
    assert!(matches!(key, KeySource::File(path) if path == Path::new("./data/key")));
    assert_eq!((log.filter.as_str(), log.json, log.output), ("info", false, LogOutput::Stdout));
    assert_eq!((root_url, credentials, broker), (None, None, None));
    assert_eq!((notices.smtp, notices.webhook, notices.mail_from.as_str()), (None, None, "keylender@localhost"));
    let (amqp, access) = (namespaces.amqp, namespaces.access);
    assert_eq!((amqp.protocol.as_str(), amqp.hostname.as_str(), amqp.port), ("amqp://", "localhost", 5672));
    assert_eq!((amqp.vhost.as_str(), namespaces.namespace_prefix.as_str()), ("/", "taskcluster-"));
    assert_eq!((namespaces.username_prefix.as_str(), namespaces.user_tags), ("", vec!["taskcluster-pulse".into()]));
    assert_eq!(access.configure, "^(queue/{{namespace}}/.*|exchange/{{namespace}}/.*)");
    assert_eq!(access.write, access.configure);
    assert_eq!(access.read, "^(queue/{{namespace}}/.*|exchange/.*)");
    assert_eq!(namespaces.rotation_interval.size(), Duration::from_secs(3600));
    assert!(!verify_logins);
    let periods = [namespaces.expiration_delay, expire_period, rotate_period, reconcile_period];
    assert_eq!(periods.map(|period| period.as_secs()), [3600, 3600, 300, 60]);
    assert_eq!((monitor.alert_threshold, monitor.delete_threshold, monitor.mock), (4000, 8000, false));
    assert_eq!((monitor.connection_max_lifetime.as_secs(), monitor.period.as_secs()), (72 * 3600, 60));
}

#[test]
fn production_listens_everywhere_keeps_data_in_var_and_forces_tls() {
    let loaded = load_file("NODE_ENV=production");
    let Settings { listen, data_dir, key, .. } = loaded.settings;
    assert_eq!((listen.bind.to_string().as_str(), listen.force_ssl), ("::", true));
    assert_eq!(data_dir, Path::new("/var/lib/keylender"));
    assert!(matches!(key, KeySource::File(path) if path == Path::new("/var/lib/keylender/key")));
    assert!(loaded.warnings[0].starts_with("FORCE_SSL is on but neither TLS_CERT nor TRUST_PROXY is set"));
    let loaded = load_file("NODE_ENV=production\nFORCE_SSL=false\nDATA_DIR=/srv/lender/");
    assert!(!loaded.settings.listen.force_ssl && loaded.warnings.is_empty());
    assert!(matches!(loaded.settings.key, KeySource::File(path) if path == Path::new("/srv/lender/key")));
}

#[test]
fn the_broker_is_known_by_url_user_and_password_together() {
    let file = "RABBIT_BASE_URL=https://broker.example/rabbit/api/\nRABBIT_USERNAME=admin\nRABBIT_PASSWORD='s$cret'\n\
                RABBIT_CERT=/c.pem\nRABBIT_KEY=/k.pem\n";
    let settings = load_file(file).settings;
    let broker = settings.broker.unwrap();
    assert_eq!(broker.base_url.as_str(), "https://broker.example/rabbit/api");
    assert_eq!((broker.username.as_str(), broker.password), ("admin", Secret::new("s$cret")));
    assert_eq!(broker.certificate.unwrap().key_file, Path::new("/k.pem"));
    assert_eq!(settings.namespaces.amqp.hostname, "broker.example");
    let alone = problems_of("RABBIT_BASE_URL=http://localhost:15672/api\nRABBIT_CERT=/c.pem");
    for needed in ["RABBIT_USERNAME", "RABBIT_PASSWORD", "RABBIT_KEY"] {
        assert!(alone.contains(&format!("needs {needed} as well")), "{alone}");
    }
}

#[test]
fn a_url_of_another_kind_is_a_problem_and_no_default_follows_from_it() {
    for url in ["foo://a%20b/", "http://a%2541/", "http://", "localhost:15672/api", "mailto:a@b"] {
        let text = problems_of(&format!("RABBIT_BASE_URL={url}"));
        assert!(text.contains("RABBIT_BASE_URL: expected a URL"), "{text}");
    }
    let ipv6 = "RABBIT_BASE_URL='http://[::1]:15672/api'\nRABBIT_USERNAME=a\nRABBIT_PASSWORD=b";
    assert_eq!(load_file(ipv6).settings.namespaces.amqp.hostname, "[::1]");
}

#[test]
fn credentials_in_a_url_are_refused_and_not_repeated() {
    let text = problems_of("RABBIT_BASE_URL=http://admin:hunter2@localhost/api\nPUBLIC_URL='http://u:hunter2@ho st'");
    assert!(text.contains("no place in this URL") && !text.contains("hunter2"), "{text}");
}

#[test]
fn secrets_are_masked_wherever_settings_are_shown() {
    let loaded = try_load(&[("KEY_PASSPHRASE", "hunter2")], &[], "").unwrap();
    assert_eq!(shown(&loaded, "KEY_PASSPHRASE"), (Some(MASK.into()), "--key-passphrase".into()));
    assert!(is_passphrase(&loaded.settings.key, "hunter2"));
    assert!(!format!("{loaded:?}").contains("hunter2"));
    assert!(loaded.warnings[0].starts_with("--key-passphrase: every user of this host can read"));
}

fn is_passphrase(key: &KeySource, text: &str) -> bool {
    matches!(key, KeySource::Passphrase(passphrase) if passphrase.expose() == text)
}

#[test]
fn a_secret_may_come_from_a_file_in_every_source() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    let name = path.to_str().unwrap();
    fs::write(&path, "hunter2\n").unwrap();
    let by_file = format!("KEY_PASSPHRASE_FILE={name}");
    for (flags, environment, file) in [
        (&[("KEY_PASSPHRASE_FILE", name)][..], &[("KEY_PASSPHRASE", "weaker")][..], ""),
        (&[], &[("KEY_PASSPHRASE_FILE", name), ("KEY_PASSPHRASE", "")], "KEY_PASSPHRASE=weaker"),
        (&[], &[], by_file.as_str()),
    ] {
        let loaded = try_load(flags, environment, file).unwrap();
        assert!(is_passphrase(&loaded.settings.key, "hunter2"));
        assert!(loaded.warnings.is_empty() && shown(&loaded, "KEY_PASSPHRASE").1.ends_with("/secret"));
    }
}

#[test]
fn a_secret_given_twice_in_one_source_or_by_a_bad_file_is_a_problem() {
    let twice = problems_of("KEY_PASSPHRASE=a\nKEY_PASSPHRASE_FILE=/b\n");
    assert!(twice.contains("keylender.conf:2: KEY_PASSPHRASE and KEY_PASSPHRASE_FILE are both set"), "{twice}");
    let missing = problems_of("KEY_PASSPHRASE_FILE=/nonexistent/secret");
    assert!(missing.contains("keylender.conf:1: KEY_PASSPHRASE_FILE: /nonexistent/secret: No such file"), "{missing}");
    let endless = problems_of("KEY_PASSPHRASE_FILE=/dev/zero");
    assert!(endless.contains("longer than"), "{endless}");
    let both = problems_of("KEY_PASSPHRASE=a\nKEY_FILE=/k\n");
    assert!(both.contains("keylender.conf:2: KEY_FILE: KEY_PASSPHRASE is set as well"), "{both}");
}

#[test]
fn an_unknown_key_is_told_the_nearest_known_one() {
    for (unknown, nearest) in [
        ("PROT", "PORT"),
        ("port", "PORT"),
        ("RABBIT_PASWORD", "RABBIT_PASSWORD"),
        ("RABBIT_PASSWORD_FIL", "RABBIT_PASSWORD_FILE"),
        ("FORCESSL", "FORCE_SSL"),
        ("SMTP_URI", "SMTP_URL"),
    ] {
        assert_eq!(
            problems_of(&format!("{unknown}=x")),
            format!("keylender.conf:1: unknown setting `{unknown}`; the nearest known one is `{nearest}`")
        );
    }
}

#[test]
fn a_key_of_a_later_version_is_accepted_with_a_warning() {
    let warnings = load_file("BASE_ROUTE=/x\n").warnings;
    assert!(warnings[0].ends_with("keylender.conf:1: `BASE_ROUTE` has no effect in this version"), "{warnings:?}");
}

#[test]
fn the_environment_is_searched_for_known_names_only() {
    let loaded = try_load(&[], &[("PROT", "1"), ("BASE_ROUTE", "x"), ("HOME", "/")], "").unwrap();
    assert!(loaded.warnings.is_empty());
    let text = try_load(&[], &[("DATA_DIR", "/srv/\u{fffd}")], "").unwrap_err();
    assert_eq!(text, "environment: DATA_DIR: not valid UTF-8");
}

#[test]
fn debug_set_to_anything_means_the_level_debug() {
    for (value, filter) in [("", "warn"), ("1", "debug"), ("0", "debug"), ("app:*", "debug")] {
        let loaded = try_load(&[], &[("DEBUG", value)], "LOG_LEVEL=warn").unwrap();
        assert_eq!(loaded.settings.log.filter, filter, "{value:?}");
    }
}

#[test]
fn proxies_are_trusted_by_network_or_not_at_all() {
    let trusted = |text: &str| load_file(&format!("TRUST_PROXY='{text}'")).settings.listen.trust_proxy;
    assert_eq!(trusted("false"), TrustProxy::Nobody);
    assert_eq!(trusted("TRUE"), TrustProxy::DirectPeer);
    let hops = ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32"].map(|net| net.parse().unwrap());
    assert_eq!(trusted("10.1.2.3/8, 192.0.2.7 2001:db8::/32"), TrustProxy::Hops(hops.to_vec().into()));
    assert!(load_file("TRUST_PROXY=true").warnings[0].starts_with("TRUST_PROXY is true"));
    assert!(problems_of("TRUST_PROXY=,").contains("TRUST_PROXY: expected"));
}

#[test]
fn spans_may_be_negative_as_the_pulse_service_wrote_them() {
    let settings = load_file("RECONCILE_PERIOD='- 5 minutes'").settings;
    assert_eq!(settings.reconcile_period, Duration::from_secs(300));
}

#[test]
fn archives_have_a_size_and_a_time_which_may_be_for_ever() {
    let archives = |file: &str| load_file(file).settings.archives;
    assert_eq!((archives("").bytes_max, archives("").keep.as_secs()), (10 << 30, 30 * 24 * 3600));
    assert_eq!(archives("ARCHIVE_SIZE_MAX='500 MiB'\n").bytes_max, 500 << 20);
    assert_eq!(archives("ARCHIVE_KEEP=0\n").keep, Duration::ZERO);
    for size in ["10", "0 GiB", "10 GB", "-1 GiB", "99999999999 TiB"] {
        assert!(problems_of(&format!("ARCHIVE_SIZE_MAX='{size}'\n")).contains("a size such as"), "{size}");
    }
}

#[test]
fn a_warning_comes_before_a_deletion() {
    let monitor = load_file("MONITOR_ALERT_THRESHOLD=7999\nMOCK_MAINTENANCE=yes\n").settings.monitor;
    assert_eq!((monitor.alert_threshold, monitor.mock), (7999, true));
    assert_eq!(
        problems_of("MONITOR_DELETE_THRESHOLD=4000"),
        "keylender.conf:1: MONITOR_ALERT_THRESHOLD: 4000 is not less than 4000, which is MONITOR_DELETE_THRESHOLD"
    );
    for wrong in ["0", "-1", "many"] {
        assert!(problems_of(&format!("MONITOR_ALERT_THRESHOLD={wrong}")).contains("expected a number of messages"));
    }
}

#[test]
fn permissions_follow_the_prefixes_and_take_them_literally() {
    let access = load_file("QUEUE_PREFIX=q.\nUSER_WRITE_PERMISSION='^{{namespace}}$'").settings.namespaces.access;
    assert_eq!(access.configure, r"^(q\.{{namespace}}/.*|exchange/{{namespace}}/.*)");
    assert_eq!(access.write, "^{{namespace}}$");
}

#[test]
fn log_levels_may_be_given_by_target() {
    let filter = |text: &str| load_file(&format!("LOG_LEVEL={text}")).settings.log.filter;
    assert_eq!(filter("WARN"), "warn");
    assert_eq!(filter("info,keylender::app=debug"), "info,keylender::app=debug");
    for wrong in ["5", "inof", "info,,warn", "=info", "keylender=loud"] {
        assert!(problems_of(&format!("LOG_LEVEL={wrong}")).contains("LOG_LEVEL: expected"), "{wrong}");
    }
}

#[test]
fn a_settings_file_that_was_named_must_be_readable() {
    let sources = Sources { config_file: Some("/nonexistent/keylender.conf".into()), ..Sources::default() };
    let text = load(&sources).unwrap_err().to_string();
    assert!(text.starts_with("/nonexistent/keylender.conf: cannot be read: No such file"), "{text}");
}

#[test]
fn a_repeated_key_counts_as_a_shell_counts_it_and_draws_a_warning() {
    let loaded = load_file("PORT=1\nPORT=2\n");
    assert_eq!(loaded.settings.listen.port, 2);
    assert!(loaded.warnings[0].ends_with("keylender.conf:2: `PORT` was set before; the last one counts"));
}

#[test]
fn settings_for_tests_need_nothing_but_a_directory() {
    let settings = Settings::for_tests(Path::new("/tmp/x"));
    assert_eq!((settings.mode, settings.listen.port), (Mode::Test, 0));
    assert!(matches!(settings.key, KeySource::File(path) if path == Path::new("/tmp/x/key")));
}

#[test]
fn every_constant_of_a_section_is_in_the_list() {
    let sections = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/app/settings");
    let texts = fs::read_dir(sections).unwrap().filter_map(|entry| fs::read_to_string(entry.unwrap().path()).ok());
    let is_setting = |line: &&str| {
        line.starts_with("pub(super) const ") && (line.contains(": Setting<") || line.contains(": Optional<"))
    };
    assert_eq!(texts.map(|text| text.lines().filter(is_setting).count()).sum::<usize>(), list::all().count());
}

#[test]
fn names_and_flags_are_unique_and_secrets_follow_the_rule_of_name_file() {
    let all: Vec<Flag> = flags().collect();
    assert_eq!(all.iter().map(|flag| flag.name).collect::<HashSet<_>>().len(), all.len());
    assert_eq!(all.iter().map(|flag| flag.flag).collect::<HashSet<_>>().len(), all.len());
    for pair in all.windows(2).filter(|pair| pair[0].secret) {
        assert_eq!(pair[1].name, format!("{}_FILE", pair[0].name));
        assert_eq!(pair[1].flag, format!("{}-file", pair[0].flag));
    }
}
