//! The members that a payload may have, and what is said of others.

use super::mistakes::quoted;
use crate::base::text::nearest;

/// The member of a payload that is read here.
pub(super) const SERVICES: &str = "services";
/// What else a payload has: all of docker-worker, which reads it by itself.
pub(super) const USUAL: [&str; 12] = [
    "artifacts",
    "cache",
    "capabilities",
    "command",
    "encryptedEnv",
    "env",
    "features",
    "image",
    "log",
    "maxRunTime",
    "onExitStatus",
    "supersederUrl",
];
/// The members of a service.
pub(super) const OF_SERVICE: [&str; 4] = ["name", "image", "command", "env"];
/// What the proposal thinks of for later.
const LATER: [&str; 6] = ["artifacts", "cache", "caches", "devices", "log", "logs"];
/// What engines are told of a container, in small letters without dashes: the files, rights and networks of the host, and
/// what stands in the image. A service has what its worker gives it, for the image may hold scopes that the task has not.
const NEVER: [&str; 54] = [
    "binds",
    "build",
    "capabilities",
    "capadd",
    "capdrop",
    "cgroupparent",
    "cpus",
    "cpushares",
    "devicecgrouprules",
    "devicerequests",
    "dns",
    "domainname",
    "entrypoint",
    "expose",
    "exposedports",
    "extrahosts",
    "gpus",
    "groupadd",
    "healthcheck",
    "hostconfig",
    "hostname",
    "init",
    "ipc",
    "ipcmode",
    "labels",
    "links",
    "memory",
    "mounts",
    "network",
    "networking",
    "networkmode",
    "networks",
    "oomscoreadj",
    "pid",
    "pidmode",
    "platform",
    "ports",
    "privileged",
    "publish",
    "restart",
    "runtime",
    "scopes",
    "securityopt",
    "shmsize",
    "sysctls",
    "tmpfs",
    "ulimits",
    "user",
    "userns",
    "usernsmode",
    "volumes",
    "volumesfrom",
    "workdir",
    "workingdir",
];

/// What is said of a member that a payload does not have.
pub(super) fn unknown_of_payload(name: &str) -> String {
    unknown(name, USUAL.into_iter().chain([SERVICES]))
}

/// What is said of a member that a service does not have.
pub(super) fn unknown_of_service(name: &str) -> String {
    let spelling = name.to_ascii_lowercase().replace(['_', '-'], "");
    if LATER.contains(&spelling.as_str()) {
        return format!("{} of services are not there yet; leave it out", quoted(name));
    }
    if NEVER.contains(&spelling.as_str()) {
        return format!(
            "{} is not the task's to say: a service has what its worker and its image give it",
            quoted(name)
        );
    }
    unknown(name, OF_SERVICE)
}

fn unknown(name: &str, known: impl IntoIterator<Item = &'static str>) -> String {
    format!("unknown member {}; the nearest is \"{}\"", quoted(name), nearest(name, known))
}
