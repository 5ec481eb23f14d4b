//! What does not go together in settings.

use super::chosen::Chosen;
use super::keys::{HEARTBEATS_BY_HTTP, WITHOUT_WORKERS};
use super::{Age, Mistake, Program};

/// Keys that are needed with a value of another key: section, key, value, and section and name of the needed ones.
const NEEDED_WITH: &[(&str, &str, &str, &str, &[&str])] = &[
    ("mq", "usetls", "true", "mq", &["cacert", "tlscert", "tlskey"]),
    ("logging", "mode", "file", "logging", &["file"]),
    ("logging", "mode", "syslog", "logging", &["host", "port", "protocol"]),
    ("agent", "discoverpublicip", "true", "agent", &["api"]),
];

/// Notes all that does not go together. What is of the wrong form is noted elsewhere, and counts as there.
pub(super) fn check(program: Program, age: Age, chosen: &Chosen<'_>, mistakes: &mut Vec<Mistake>) {
    if program == Program::Worker && age >= WITHOUT_WORKERS {
        mistakes.push(Mistake::new("", format!("there are no workers from {WITHOUT_WORKERS} on; remove the file")));
    }
    for &(section, name, value, needed_section, needed) in NEEDED_WITH {
        if !chosen.is(section, name, value) {
            continue;
        }
        for key in needed.iter().filter(|key| chosen.lacks(needed_section, key)) {
            let message = format!("is missing; it is needed with {section}.{name} = {value}");
            let key = format!("{needed_section}.{key}");
            if !mistakes.iter().any(|mistake| mistake.key == key) {
                mistakes.push(Mistake::new(key, message));
            }
        }
    }
    if let (Some(spool), Some(tmp)) = (chosen.text("directories", "spool"), chosen.text("directories", "tmp"))
        && spool.trim_end_matches('/') == tmp.trim_end_matches('/')
    {
        let message = "must not be the same as directories.spool; take another directory on the same file system";
        mistakes.push(Mistake::new("directories.tmp", message));
    }
    if program == Program::Agent && age >= HEARTBEATS_BY_HTTP && chosen.is("agent", "discoverpublicip", "false") {
        let message = format!("must be true: from {HEARTBEATS_BY_HTTP} on the API refuses agents without an address");
        mistakes.push(Mistake::new("agent.discoverpublicip", message));
    }
}
