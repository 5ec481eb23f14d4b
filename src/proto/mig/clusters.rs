//! What an operator types to change a cluster of brokers, or to get one back, with the names of its nodes filled in.
//! None of it is ever run by Keylender: it loses messages, or queues, or what a node knows.
//!
//! Commands are those that `rabbitmqctl` and `rabbitmq-queues` of 3.8.9, 3.10.8, 4.0.5 and 4.3.6 have.

use std::fmt;

/// Longest name of a node.
const NODE_LEN_MAX: usize = 255;
/// Longest name of a vhost that is written here.
const VHOST_LEN_MAX: usize = 255;

/// The broker's version: what commands differ by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u16, pub u16);

/// The oldest and the newest version that the commands were compared with.
pub const KNOWN: (Version, Version) = (Version(3, 8), Version(4, 3));
/// From here on `forget_cluster_node` takes members of quorum queues away, too. 3.8.9 does not, 3.10.8 does.
const FORGETS_MEMBERS: Version = Version(3, 10);
/// The first whose node, forgotten and started again, neither ends nor says why; seen at 4.3.6, not at 4.0.5.
const WAITS_WHEN_FORGOTTEN: Version = Version(4, 1);
/// From here on Khepri may be the store of what a cluster knows, and from 4.3 on nothing else is.
const MAY_HAVE_KHEPRI: Version = Version(4, 0);
const HAS_ONLY_KHEPRI: Version = Version(4, 3);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// The name of a node, `rabbit@relay1`: safe in a shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node(String);

impl Node {
    /// An error says what a node is called.
    pub fn parse(name: &str) -> Result<Self, String> {
        let is_plain = |part: &str, more: &str| {
            !part.is_empty()
                && !part.starts_with('-')
                && part.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
        };
        match name.split_once('@') {
            Some((name, host)) if is_plain(name, "_-") && is_plain(host, "_-.:") => (),
            _ => return Err(format!("{name:?} is no name of a node, such as rabbit@relay1")),
        }
        if name.len() > NODE_LEN_MAX {
            return Err(format!("a name of a node has at most {NODE_LEN_MAX} bytes"));
        }
        Ok(Self(name.to_owned()))
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Makes a node a member of the cluster that another one is in.
pub fn join(node: &Node, member: &Node, vhost: &str, version: Version) -> Result<String, String> {
    let vhost = checked(vhost)?;
    let streams = if version >= Version(3, 9) {
        format!("# Streams are not among them: rabbitmq-streams add_replica --vhost '{vhost}' STREAM {node}\n")
    } else {
        String::new()
    };
    let membership = if version >= Version(4, 0) { "\n# New members vote when they have caught up." } else { "" };
    Ok(format!(
        "\
{head}# Both have the same /var/lib/rabbitmq/.erlang.cookie, the same RabbitMQ and Erlang, and reach one another.
# On the host of {node}. It loses all that {node} has: users, vhosts, queues, messages.
rabbitmqctl stop_app
rabbitmqctl reset
rabbitmqctl join_cluster {member}
rabbitmqctl start_app
rabbitmqctl cluster_status
# Quorum queues that are there already get a member on {node} only so; classic ones stay where they are.{membership}
rabbitmq-queues grow {node} all --vhost-pattern '^{pattern}$'
# Or one queue: rabbitmq-queues add_member --vhost '{vhost}' QUEUE {node}
{streams}rabbitmq-queues rebalance quorum --vhost-pattern '^{pattern}$'
",
        head = head(version),
        pattern = pattern(vhost),
    ))
}

/// Takes a node out that will not come back.
pub fn forget(node: &Node, member: &Node, version: Version) -> String {
    let shrink = format!("rabbitmq-queues shrink {node}\n");
    let (before, after) = if version < FORGETS_MEMBERS {
        (
            format!(
                "# This version goes on counting members of quorum queues on {node} unless they go first.\n{shrink}"
            ),
            String::new(),
        )
    } else {
        (
            String::new(),
            format!(
                "# Members of quorum queues on {node} go with it. If it says that it failed for some:\n#   {shrink}"
            ),
        )
    };
    let again = if version < WAITS_WHEN_FORGOTTEN {
        "it ends, and its log says that it is inconsistent with the others"
    } else {
        "it waits for minutes without a word, and so does stop_app; end its process"
    };
    format!(
        "\
{head}# On the host of {member}, or of any other node that runs. {node} is off, and stays off.
{before}rabbitmqctl forget_cluster_node {node}
{after}rabbitmqctl cluster_status
# Durable classic queues whose only place was {node} are gone with it; programs declare theirs again as they start.
# Should {node} ever be started again: {again}. Empty its data, /var/lib/rabbitmq/mnesia, before it joins as a new one.
",
        head = head(version)
    )
}

/// Gets a cluster back whose nodes are all off, when the one that stopped last, or most of them, are lost.
pub fn recover(node: &Node, lost: &[Node], version: Version) -> String {
    let mut text = format!(
        "\
{head}# Try first to start all nodes, the one that stopped last included, within five minutes of one another.
# What follows is for when {names} will not come back. On the host of {node}, after a copy of /var/lib/rabbitmq/mnesia.
",
        head = head(version),
        names = names(lost)
    );
    if version < HAS_ONLY_KHEPRI {
        if version >= MAY_HAVE_KHEPRI {
            text.push_str(
                "# If the feature flag khepri_db is not enabled (rabbitmqctl list_feature_flags, while it last ran):\n",
            );
        }
        text.push_str("systemctl stop rabbitmq-server\nrabbitmqctl force_boot\nsystemctl start rabbitmq-server\n");
        for node in lost {
            if version < FORGETS_MEMBERS {
                text.push_str(&format!("rabbitmq-queues shrink {node}\n"));
            }
            text.push_str(&format!("rabbitmqctl forget_cluster_node {node}\n"));
        }
    }
    if version >= MAY_HAVE_KHEPRI {
        let begin = if version < HAS_ONLY_KHEPRI { "# If it is enabled:\n" } else { "" };
        text.push_str(&format!(
            "\
{begin}# {node} becomes a cluster of its own, with what it knows. All others, lost or not, are reset and join it.
# The command is for a node that starts, and waits for the others.
systemctl start --no-block rabbitmq-server
rabbitmqctl force_standalone_khepri_boot
"
        ));
    }
    text.push_str(if version >= MAY_HAVE_KHEPRI {
        "\
# Quorum queues that lost most of their members come back with what this node has of them, and only here, by:
# rabbitmqctl eval 'rabbit_quorum_queue:force_all_queues_shrink_member_to_current_member().'
rabbitmqctl cluster_status
"
    } else {
        "\
# Quorum queues that lost most of their members do not come back by this: delete them, and let programs declare them.
rabbitmqctl cluster_status
"
    });
    text
}

/// The way out when agents are told `NOT_FOUND - no binding mig.agt…`: the home of a classic queue is off, so that
/// the queue is neither there nor not there. The guide deletes all queues of MIG, which come back as programs start;
/// those of a node that is off cannot be deleted and go with their node.
pub fn limbo(vhost: &str, off: &[Node], version: Version) -> Result<String, String> {
    let vhost = checked(vhost)?;
    let forget: String = off.iter().map(|node| format!("# rabbitmqctl forget_cluster_node {node}\n")).collect();
    // Seen with a classic queue on a node of two that was killed.
    let (listing, further) = if version < MAY_HAVE_KHEPRI {
        (
            format!("# Queues that wait for them: rabbitmqctl list_queues --vhost '{vhost}' --offline name\n"),
            "# Such a queue cannot be deleted by itself: the answer is `Queue not found`.\n",
        )
    } else {
        (
            String::new(),
            "# With Khepri nothing can be deleted while half of the nodes or more are off: it says `timed out`.\n",
        )
    };
    Ok(format!(
        "\
{head}# Best is to start the nodes that are off: {names}.
{listing}# Otherwise, on a node that runs. Heartbeats and results that wait in queues are lost.
# 1. Stop the schedulers.
# 2. Nodes that will not come back are forgotten, and their durable classic queues with them.
{forget}{further}# 3. The guide deletes all others, too. Look at what would go, then take the `echo` away.
for queue in $(rabbitmqctl --quiet list_queues --vhost '{vhost}' --no-table-headers name | grep '^mig'); do
    echo rabbitmqctl delete_queue --vhost '{vhost}' \"$queue\"
done
# 4. Start the schedulers. Agents start themselves again, and declare their queues.
",
        head = head(version),
        names = names(off),
    ))
}

/// The first line of each text, with a warning where nobody looked.
fn head(version: Version) -> String {
    let (oldest, newest) = KNOWN;
    let beyond = if (oldest..=newest).contains(&version) { "" } else { " It was not compared with that version." };
    format!("# For RabbitMQ {version}, by its operator; Keylender runs none of this.{beyond}\n")
}

fn names(nodes: &[Node]) -> String {
    let names: Vec<&str> = nodes.iter().map(|node| node.0.as_str()).collect();
    if names.is_empty() { "the others".to_owned() } else { names.join(", ") }
}

/// A vhost that needs no more than single quotes.
fn checked(vhost: &str) -> Result<&str, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if vhost.is_empty() || vhost.len() > VHOST_LEN_MAX || vhost.starts_with('-') || !vhost.chars().all(is_plain) {
        return Err(format!("{vhost:?} is no vhost that is written here: letters, digits, `/`, `.`, `_` and `-`"));
    }
    Ok(vhost)
}

/// The regular expression that only this vhost fits.
fn pattern(vhost: &str) -> String {
    vhost.replace('.', r"\.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str) -> Node {
        Node::parse(name).unwrap()
    }

    /// The lines that are no comments.
    fn commands(text: &str) -> Vec<&str> {
        text.lines().filter(|line| !line.starts_with('#')).collect()
    }

    #[test]
    fn a_node_is_forgotten_with_its_members_of_queues() {
        let (lost, member) = (node("rabbit@relay3"), node("rabbit@relay1"));
        let of = |version| forget(&lost, &member, version);
        assert_eq!(
            commands(&of(Version(3, 8))),
            [
                "rabbitmq-queues shrink rabbit@relay3",
                "rabbitmqctl forget_cluster_node rabbit@relay3",
                "rabbitmqctl cluster_status"
            ]
        );
        let since = ["rabbitmqctl forget_cluster_node rabbit@relay3", "rabbitmqctl cluster_status"];
        assert_eq!(commands(&of(Version(3, 10))), since);
        assert_eq!(commands(&of(Version(4, 3))), since);
        assert!(of(Version(4, 0)).contains("it ends, and") && of(Version(4, 3)).contains("waits for minutes"));
    }

    #[test]
    fn a_cluster_is_recovered_by_what_its_store_understands() {
        let of = |version| recover(&node("rabbit@relay1"), &[node("rabbit@relay2")], version);
        assert!(of(Version(3, 8)).contains("force_boot") && !of(Version(3, 13)).contains("khepri"));
        assert!(of(Version(4, 0)).contains("force_boot") && of(Version(4, 0)).contains("force_standalone_khepri_boot"));
        assert!(!of(Version(4, 3)).contains("rabbitmqctl force_boot"));
        assert!(of(Version(4, 3)).contains("for when rabbit@relay2 will not come back"));
    }

    #[test]
    fn a_node_that_joins_gets_members_of_the_queues_of_one_vhost() {
        let text = join(&node("rabbit@relay2"), &node("rabbit@relay1"), "mig.eu", Version(4, 0)).unwrap();
        assert!(text.contains(r"rabbitmq-queues grow rabbit@relay2 all --vhost-pattern '^mig\.eu$'"));
        assert!(commands(&text).contains(&"rabbitmqctl join_cluster rabbit@relay1"));
        assert!(text.contains("rabbitmq-streams add_replica --vhost 'mig.eu' STREAM rabbit@relay2"));
    }

    #[test]
    fn the_recipe_for_limbo_deletes_nothing_until_somebody_takes_the_echo_away() {
        let text = limbo("mig", &[node("rabbit@relay2")], Version(3, 10)).unwrap();
        let deletes = commands(&text).into_iter().filter(|line| line.contains("delete_queue"));
        assert!(deletes.clone().count() == 1 && deletes.clone().all(|line| line.contains("echo rabbitmqctl")));
    }

    #[test]
    fn names_that_a_shell_would_take_for_more_are_refused() {
        for name in
            ["", "rabbit", "rabbit@", "-n@x", "rabbit@a b", "rabbit@$(x)", "a@b@c", &format!("a@{}", "b".repeat(255))]
        {
            assert!(Node::parse(name).is_err(), "{name:?}");
        }
        for vhost in ["", "-x", "a'b", "a b", "ä"] {
            assert!(limbo(vhost, &[], Version(4, 0)).is_err(), "{vhost:?}");
        }
    }

    #[test]
    fn a_version_that_nobody_looked_at_is_named_as_such() {
        assert!(!limbo("mig", &[], Version(4, 2)).unwrap().contains("not compared"));
        assert!(limbo("mig", &[], Version(4, 4)).unwrap().contains("not compared"));
    }
}
