//! Patterns of permissions, as the node reads them: by PCRE up to Erlang 27, by PCRE2 from 28 on.

use keylender::base::{AccountName, Secret, VhostName};
use keylender::ports::broker::{
    Access, Cluster, Construct, Login, ManagementBroker, PasswordHash, UserWish, Users, changed,
};
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use serde_json::json;

use crate::node::{encoded, node};

/// What Keylender says of a pattern, a name of a queue, and whether PCRE and PCRE2 find that the one fits the other;
/// `None`: the pattern is refused.
type Row = (&'static str, Option<Construct>, &'static str, Option<bool>, Option<bool>);

const ROWS: [Row; 38] = {
    use Construct::{
        AssertionInClass, DigitEscape, DoubleOption, EmptyCode, GoneOption, HyphenBehindSet, KeepInLookaround,
        LooseRepetition, NoEscape, Recursion,
    };
    [
        (r"^[\w-.]+$", Some(HyphenBehindSet), "a-b.c", Some(true), None),
        (r"^[a\d-_]+$", Some(HyphenBehindSet), "1-_", Some(true), None),
        (r"^[\d-\w]+$", Some(HyphenBehindSet), "a-1", Some(true), None),
        (r"^[[:alpha:]-z]+$", Some(HyphenBehindSet), "b-", Some(true), None),
        (r"^a\y$", Some(NoEscape), "ay", Some(true), None),
        (r"^a[\i]$", Some(NoEscape), "ai", Some(true), None),
        (r"^a[\A]$", Some(AssertionInClass), "aA", Some(true), None),
        (r"^a[\z]$", Some(AssertionInClass), "az", Some(true), None),
        (r"^x\8$", Some(DigitEscape), "x8", Some(true), None),
        (r"^x\91$", Some(DigitEscape), "x91", Some(true), None),
        (r"^a\xg?$", Some(EmptyCode), "ag", Some(false), None),
        (r"^(?=a\Kb|a)ab$", Some(KeepInLookaround), "ab", Some(true), None),
        ("(?X)^a$", Some(GoneOption), "a", Some(true), None),
        ("^q{,3}$", Some(LooseRepetition), "q{,3}", Some(true), Some(false)),
        ("^q{,3}$", Some(LooseRepetition), "qqq", Some(false), Some(true)),
        ("^q{ 1, 3 }$", Some(LooseRepetition), "q{ 1, 3 }", Some(true), Some(false)),
        ("^q{2 }$", Some(LooseRepetition), "qq", Some(false), Some(true)),
        ("(?xx)^a[b c]$", Some(DoubleOption), "a ", Some(true), Some(false)),
        (r"^(.|(.)(?1)\2)$", Some(Recursion), "abcba", Some(false), Some(true)),
        // And what is to be written instead, or looks alike.
        (r"^[\w.-]+$", None, "a-b.c", Some(true), Some(true)),
        (r"^[-\w]+$", None, "a-b", Some(true), Some(true)),
        (r"^[a-\d]+$", None, "a-1", None, None),
        (r"^[a-[:digit:]]+$", None, "a-1", None, None),
        (r"^[a-z-\d]+$", None, "b-1", Some(true), Some(true)),
        (r"^[[:alpha:]-]+$", None, "b-", Some(true), Some(true)),
        (r"^ay$", None, "ay", Some(true), Some(true)),
        (r"^a[Az]$", None, "aA", Some(true), Some(true)),
        (r"^x8$", None, "x8", Some(true), Some(true)),
        (r"^x[8]$", None, "x8", Some(true), Some(true)),
        (r"^x[\8]$", None, "x8", Some(true), Some(true)),
        (r"^(?=ab)ab$", None, "ab", Some(true), Some(true)),
        (r"^a\x00?$", None, "a", Some(true), Some(true)),
        ("(?x)^a[b c]$", None, "a ", Some(true), Some(true)),
        (r"^a\Kb$", None, "ab", Some(true), Some(true)),
        (r"^q\{,3}$", None, "q{,3}", Some(true), Some(true)),
        ("^q{0,3}$", None, "qq", Some(true), Some(true)),
        ("^q{,}$", None, "q{,}", Some(true), Some(true)),
        (r"^\Qa\y{,3}[\w-.]\E$", None, r"a\y{,3}[\w-.]", Some(true), Some(true)),
    ]
};

/// Whether the user may declare a queue of this name by this pattern. `None`: there is no such permission.
async fn fits(broker: &ManagementBroker, vhost: &VhostName, pattern: &str, queue: &str) -> Option<bool> {
    let (name, password) = (AccountName::parse("by-pattern").unwrap(), Secret::generate());
    let permissions = [(vhost.clone(), Access { configure: pattern.into(), ..Access::default() })];
    let login = Login::Hash(PasswordHash::of(&password));
    broker.put_user(&UserWish { name: &name, login, tags: &[], permissions: &permissions }).await.ok()?;
    let login = format!("{name}:{}", encoded(password.expose()));
    let uri = format!("amqp://{login}@127.0.0.1:{}/{}", node().amqp_port, encoded(vhost.as_str()));
    let connection = Connection::connect(&uri, ConnectionProperties::default()).await.unwrap();
    let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    let channel = connection.create_channel().await.unwrap();
    let is_declared = channel.queue_declare(queue.into(), options, FieldTable::default()).await.is_ok();
    connection.close(200, "done".into()).await.unwrap();
    Some(is_declared)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_pcre2_reads_otherwise_is_known_and_nothing_else_is_said_of_it() {
    let vhost = VhostName::parse("patterns").unwrap();
    node().admin("PUT", &format!("vhosts/{vhost}"), json!({})).await;
    let broker = node().broker();
    let has_pcre2 = broker.overview().await.unwrap().has_pcre2();
    for (pattern, construct, queue, old, new) in ROWS {
        let said: Vec<Construct> = changed(pattern).iter().map(|changed| changed.construct).collect();
        assert_eq!(said, Vec::from_iter(construct), "{pattern}");
        assert_eq!(construct.is_some_and(Construct::is_refused), old.is_some() && new.is_none(), "{pattern}");
        assert_eq!(construct.is_some(), old != new, "{pattern}");
        let expected = if has_pcre2 { new } else { old };
        assert_eq!(fits(&broker, &vhost, pattern, queue).await, expected, "{pattern} and {queue}");
    }
}
