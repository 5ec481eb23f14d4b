//! What the package put on a host: files, modes, the user, and the service. Looked at by a command, below any root.

use std::fs;
use std::io;
use std::path::Path;

use super::{Finding, Grade};
use crate::ports::system::{self, FileState};

/// Who the service runs as.
const USER: &str = "keylender";
const PROGRAM: &str = "usr/bin/keylender";
const SETTINGS: &str = "etc/keylender.conf";
const ROTATION: &str = "etc/logrotate.d/keylender";
/// Directories of the user, each with the permission bits that nobody else may have.
const DIRECTORIES: [(&str, &str, u32); 2] =
    [("data directory", "var/lib/keylender", 0o077), ("log directory", "var/log/keylender", 0o027)];
/// What starts it: for each kind of host the file, where its links at boot are, how their names begin and end, and what to do.
const SERVICES: [(&str, &str, &str, &str, &str); 2] = [
    (
        "usr/lib/systemd/system/keylender.service",
        "etc/systemd/system/multi-user.target.wants",
        "keylender",
        ".service",
        "systemctl enable keylender",
    ),
    ("etc/rc.d/init.d/keylender", "etc/rc.d/rc3.d", "S", "keylender", "chkconfig keylender on"),
];
/// Somebody else than the owner may write.
const WRITABLE: u32 = 0o022;
const EVERYBODY: u32 = 0o007;

/// Looks at a host whose files begin at `root`.
pub fn installed(root: &Path) -> Vec<Finding> {
    let mut findings = vec![file(root, "program", PROGRAM, WRITABLE, "install the package again")];
    findings.push(file(root, "settings file", SETTINGS, WRITABLE | EVERYBODY, "the package brings one"));
    let user = system::user_id(root, USER);
    findings.push(match user {
        Some(id) => Finding::new("user", Grade::Well, format!("{USER} has the number {id}")),
        None => Finding::new("user", Grade::Problem, format!("there is no user {USER}: useradd -r {USER}")),
    });
    findings.extend(DIRECTORIES.map(|(about, path, others)| directory(root, about, path, others, user)));
    findings.push(service(root));
    findings.push(file(root, "log rotation", ROTATION, WRITABLE, "without it a log file grows for ever"));
    findings
}

/// A file that is there, and that others than its owner may not do this to.
fn file(root: &Path, about: &'static str, path: &str, forbidden: u32, remedy: &str) -> Finding {
    let path = root.join(path);
    let shown = path.display();
    match system::file(&path) {
        Err(error) => cannot(about, &error),
        Ok(None) => Finding::new(about, Grade::Problem, format!("there is no {shown}: {remedy}")),
        Ok(Some(FileState { mode, .. })) if mode & forbidden != 0 => {
            let text = format!("others may do too much with {shown}: chmod {:o} {shown}", mode & !forbidden);
            Finding::new(about, Grade::Problem, text)
        }
        Ok(Some(FileState { mode, .. })) => Finding::new(about, Grade::Well, format!("{shown}, mode {mode:o}")),
    }
}

/// A directory of the service's user.
fn directory(root: &Path, about: &'static str, path: &str, forbidden: u32, user: Option<u32>) -> Finding {
    let found = file(root, about, path, forbidden, "install the package again");
    let path = root.join(path);
    match system::file(&path) {
        Ok(Some(state)) if found.grade == Grade::Well && Some(state.owner) != user => {
            let text = format!("{0} belongs to user {1}: chown {USER} {0}", path.display(), state.owner);
            Finding::new(about, Grade::Problem, text)
        }
        _ => found,
    }
}

/// Whether a service is there, and starts when the host does.
fn service(root: &Path) -> Finding {
    let about = "service";
    let there: Vec<_> = SERVICES.into_iter().filter(|(path, ..)| root.join(path).exists()).collect();
    let at_boot = |links: &str, begin: &str, end: &str| {
        let names = fs::read_dir(root.join(links)).into_iter().flatten().flatten();
        names.map(|entry| entry.file_name()).any(|name| {
            let name = name.to_string_lossy();
            name.starts_with(begin) && name.ends_with(end)
        })
    };
    match there.iter().find(|(_, links, begin, end, _)| at_boot(links, begin, end)) {
        Some((path, ..)) => Finding::new(about, Grade::Well, format!("{} starts at boot", root.join(path).display())),
        None if there.is_empty() => {
            Finding::new(about, Grade::Problem, "there is neither a unit nor an init script: install the package again")
        }
        None => {
            let remedies: Vec<&str> = there.iter().map(|(.., remedy)| *remedy).collect();
            Finding::new(about, Grade::Warning, format!("it does not start at boot: {}", remedies.join(", or ")))
        }
    }
}

fn cannot(about: &'static str, error: &io::Error) -> Finding {
    Finding::new(about, Grade::Problem, format!("it cannot be looked at: {error}"))
}
