//! What the settings of the log may say.

use super::{load_file, problems_of};
use crate::app::settings::LogOutput;
use crate::ports::log::{Facility, SyslogSettings, Target};

#[test]
fn the_log_goes_where_the_settings_say() {
    let syslog =
        |facility, target| LogOutput::Syslog(SyslogSettings { target, facility: Facility::parse(facility).unwrap() });
    for (text, expected) in [
        ("", LogOutput::Stdout),
        (
            "LOG_MODE=file\nLOG_FILE=/var/log/keylender/keylender.log",
            LogOutput::File("/var/log/keylender/keylender.log".into()),
        ),
        ("LOG_MODE=syslog", syslog("daemon", Target::Local("/dev/log".into()))),
        ("LOG_MODE=syslog\nSYSLOG_PROTOCOL=local", syslog("daemon", Target::Local("/dev/log".into()))),
        ("LOG_MODE=syslog\nSYSLOG_HOST=Log.example", syslog("daemon", Target::Udp("log.example".into(), 514))),
        (
            "LOG_MODE=syslog\nSYSLOG_HOST='[2001:db8::1]'\nSYSLOG_PROTOCOL=tcp\nSYSLOG_PORT=601\nSYSLOG_FACILITY=local3",
            syslog("local3", Target::Tcp("2001:db8::1".into(), 601)),
        ),
    ] {
        let loaded = load_file(text);
        assert_eq!(loaded.settings.log.output, expected, "{text}");
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    }
}

#[test]
fn a_log_that_cannot_be_is_a_problem() {
    for (text, problem) in [
        ("LOG_MODE=file", "LOG_MODE: needs LOG_FILE as well"),
        ("LOG_MODE=journal", "LOG_MODE: expected stdout, file or syslog, not \"journal\""),
        ("LOG_MODE=syslog\nSYSLOG_PROTOCOL=tcp", "SYSLOG_PROTOCOL: needs SYSLOG_HOST as well"),
        ("LOG_MODE=syslog\nSYSLOG_HOST=a\nSYSLOG_PROTOCOL=local", "SYSLOG_PROTOCOL: local is the socket of this host"),
        ("LOG_MODE=syslog\nSYSLOG_HOST=a\nSYSLOG_PROTOCOL=tls", "SYSLOG_PROTOCOL: expected local, udp or tcp"),
        ("LOG_MODE=syslog\nSYSLOG_HOST='a b'", "SYSLOG_HOST: expected a host name or address"),
        ("LOG_MODE=syslog\nSYSLOG_PORT=0", "SYSLOG_PORT: expected a port"),
        ("LOG_MODE=syslog\nSYSLOG_FACILITY=local8", "SYSLOG_FACILITY: expected a facility"),
    ] {
        let said = problems_of(text);
        assert!(said.contains(problem) && said.lines().count() == 1, "{said}");
    }
}

#[test]
fn what_another_mode_needs_draws_a_warning() {
    let warnings = load_file("LOG_FILE=/a\nSYSLOG_HOST=b").warnings;
    let expected = ["LOG_FILE", "SYSLOG_HOST"].map(|name| format!("{name} has no effect: LOG_MODE is stdout"));
    assert_eq!(warnings, expected);
}
