//! What the hosts of a relay need: a scheduler's directories, more open files for a broker, and a port that firewalls
//! let through.

/// What a scheduler and an API keep there: actions and commands, by what became of them. `ready` and `done` of
/// commands are in the guide, and used by no version.
const SPOOL: &str = "action/new action/inflight action/done action/invalid command/ready command/inflight \
    command/returned command/done";
/// Longest path.
const PATH_LEN_MAX: usize = 1000;
/// Longest name of a user or group that `useradd` takes.
const USER_LEN_MAX: usize = 32;
/// Longest name of an interface in Linux.
const INTERFACE_LEN_MAX: usize = 15;
/// Fewest open files that are worth a setting: what systems have without one.
const FILES_MIN: u32 = 1024;
/// What Linux allows at most unless told otherwise, `fs.nr_open`.
const FILES_MAX: u32 = 1_048_576;

/// A shell script that makes the spool of a scheduler, for its user and nobody else. Run again it changes nothing.
///
/// `temporary` is the setting `directories.tmp`. Files are written there and renamed into the spool, so the script
/// ends with an error if the two are on different file systems. Directories that are there keep what is in them;
/// nothing is done recursively.
pub fn spool(directory: &str, temporary: &str, user: &str) -> Result<String, String> {
    let (directory, temporary) = (path(directory)?, path(temporary)?);
    let is_user = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    if user.is_empty() || user.len() > USER_LEN_MAX || user.starts_with('-') || !user.chars().all(is_user) {
        return Err(format!("{user:?} is no name of a user: 1 to {USER_LEN_MAX} of a-z, 0-9, `_` and `-`"));
    }
    Ok(format!(
        "\
#!/bin/sh
# The directories of MIG's scheduler and API. By root, and again at any time.
set -eu
spool={directory}
temporary={temporary}
if [ -d \"$spool\" ] && [ ! -d \"$spool/action\" ] && [ -n \"$(ls -A \"$spool\")\" ]; then
    echo \"$spool is there, and something else is in it\" >&2
    exit 1
fi
# One that is there may be everybody's, and stays as it is.
if [ ! -d \"$temporary\" ]; then
    mkdir -p \"$temporary\"
    chown {user}: \"$temporary\"
    chmod 0750 \"$temporary\"
fi
if [ -L \"$spool\" ]; then
    echo \"$spool is a link\" >&2
    exit 1
fi
mkdir -p \"$spool\"
chown {user}: \"$spool\"
chmod 0750 \"$spool\"
# What is below is its user's: root would follow links that the user made.
cd \"$spool\"
su -s /bin/sh {user} -c 'umask 027; mkdir -p {SPOOL}'
# Files are renamed from one into the other.
if [ \"$(stat -c %d \"$spool\")\" != \"$(stat -c %d \"$temporary\")\" ]; then
    echo \"$spool and $temporary have to be on one file system\" >&2
    exit 1
fi
"
    ))
}

/// How many files a broker may open: a connection takes one, and so does a queue with messages on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenFiles {
    /// A line for `/etc/security/limits.conf`, which counts for a broker that is started from a session.
    pub session: String,
    /// All of `/etc/systemd/system/rabbitmq-server.service.d/open-files.conf`, which counts for a service.
    pub service: String,
}

/// The two texts for a limit of so many files.
pub fn open_files(limit: u32) -> Result<OpenFiles, String> {
    if !(FILES_MIN..=FILES_MAX).contains(&limit) {
        return Err(format!("a broker's limit of open files is from {FILES_MIN} to {FILES_MAX}"));
    }
    Ok(OpenFiles {
        session: format!("rabbitmq - nofile {limit}\n"),
        service: format!(
            "\
# Then: systemctl daemon-reload && systemctl restart rabbitmq-server
# limits.conf, which the guide of 2015 names, does not count for services.
[Service]
LimitNOFILE={limit}
"
        ),
    })
}

/// A redirection of port 443 to a broker's port, for connections from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// A shell script with the commands of `iptables`, for both versions of IP. Run again it changes nothing.
    pub iptables: String,
    /// A file for `nft -f`, with a table of its own, which it replaces.
    pub nftables: String,
}

/// The two texts for one interface, or for all. Use one of them.
pub fn redirect(interface: Option<&str>, port: u16) -> Result<Redirect, String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "._-@".contains(c);
    if let Some(name) = interface
        && (name.is_empty() || name.len() > INTERFACE_LEN_MAX || name.starts_with('-') || !name.chars().all(is_name))
    {
        return Err(format!("{name:?} is no name of an interface"));
    }
    if matches!(port, 0 | 443) {
        return Err("the port of the broker is from 1 to 65535, and not 443 itself".to_owned());
    }
    let by_iptables = interface.map_or_else(String::new, |name| format!(" -i {name}"));
    let by_nft = interface.map_or_else(String::new, |name| format!("iifname \"{name}\" "));
    Ok(Redirect {
        iptables: format!(
            "\
#!/bin/sh
# Port 443, which firewalls let through, is the broker's port {port}. By root, and again at each start of the system.
set -eu
for command in iptables ip6tables; do
    set -- PREROUTING{by_iptables} -p tcp --dport 443 -m comment --comment 'AMQPS on 443' -j REDIRECT --to-ports {port}
    $command -w -t nat -C \"$@\" 2>/dev/null || $command -w -t nat -A \"$@\"
done
"
        ),
        nftables: format!(
            "\
#!/usr/sbin/nft -f
# Port 443, which firewalls let through, is the broker's port {port}. Needs Linux 5.2 or newer.
table inet mig_relay
delete table inet mig_relay
table inet mig_relay {{
    chain prerouting {{
        type nat hook prerouting priority dstnat; policy accept;
        {by_nft}tcp dport 443 redirect to :{port} comment \"AMQPS on 443\"
    }}
}}
"
        ),
    })
}

/// A path in single quotes, as a shell reads it. Not one of the directories that belong to the system.
fn path(path: &str) -> Result<String, String> {
    let mut parts = path.split('/').skip(1);
    let is_part = |part: &str| !matches!(part, "" | "." | "..") && !part.chars().any(char::is_control);
    let is_deep = path.trim_end_matches('/').matches('/').count() >= 2;
    if !path.starts_with('/') || path.len() > PATH_LEN_MAX || !is_deep || !parts.all(is_part) {
        return Err(format!(
            "{path:?} is no path of a directory here: from `/` on, two deep or deeper, as short as it goes"
        ));
    }
    Ok(format!("'{}'", path.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_and_those_that_would_hit_the_system_are_refused() {
        let script = spool("/var/cache/m'ig $x", "/var/cache/tmp", "mig").unwrap();
        assert!(script.contains(r"spool='/var/cache/m'\''ig $x'"));
        for bad in ["", "/", "/var", "var/x", "/var/../etc", "/var//x", "/var/x\n", "/var/"] {
            assert!(spool(bad, "/var/cache/tmp", "mig").is_err(), "{bad:?}");
            assert!(spool("/var/cache/mig", bad, "mig").is_err(), "{bad:?}");
        }
        for bad in ["", "-x", "a b", "a;b", "Root", "root:root"] {
            assert!(spool("/var/cache/mig", "/var/cache/tmp", bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn limits_that_change_nothing_or_that_the_system_refuses_are_refused() {
        let files = open_files(102_400).unwrap();
        assert_eq!(files.session, "rabbitmq - nofile 102400\n");
        assert!(files.service.ends_with("[Service]\nLimitNOFILE=102400\n"));
        assert!(open_files(1023).is_err() && open_files(1_048_577).is_err());
    }

    #[test]
    fn a_redirection_names_its_interface_or_none() {
        let one = redirect(Some("eth0"), 5671).unwrap();
        assert!(one.iptables.contains("PREROUTING -i eth0 -p tcp --dport 443"));
        assert!(one.nftables.contains("iifname \"eth0\" tcp dport 443 redirect to :5671"));
        let all = redirect(None, 5671).unwrap();
        assert!(!all.iptables.contains(" -i ") && !all.nftables.contains("iifname"));
        for bad in ["", "-i", "a b", "eth0\"", "a/b", "interface-too-long"] {
            assert!(redirect(Some(bad), 5671).is_err(), "{bad:?}");
        }
        assert!(redirect(None, 443).is_err() && redirect(None, 0).is_err());
    }
}
