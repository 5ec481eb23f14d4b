//! What differs between the brokers we meet, RabbitMQ 3.6 to 4.x: the one place that knows (rabbitmq.md 4).

use std::fmt;

use reqwest::StatusCode;
use serde_json::Value;

use super::cluster::{Alarm, Overview};
use crate::base::{Error, Result, Timestamp};

/// AMQP carries the reason, with a prefix of the broker's, in 255 bytes.
const REASON_LEN_MAX: usize = 200;

/// The version of a broker, and what of it our callers have to know. What they have not is in the functions of this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    pub(super) major: u32,
    pub(super) minor: u32,
    pub(super) patch: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl Version {
    /// Its three numbers.
    pub fn parts(self) -> (u32, u32, u32) {
        (self.major, self.minor, self.patch)
    }

    /// Reads one such as `3.10.8`; what follows it, as in `4.0.2-rc.1`, is no matter.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(['.', '-', '+']).map_while(|part| part.parse::<u32>().ok());
        Some(Self { major: parts.next()?, minor: parts.next()?, patch: parts.next().unwrap_or(0) })
    }

    /// Whether it knows limits of users (3.8.10).
    pub fn has_user_limits(self) -> bool {
        self >= Self { major: 3, minor: 8, patch: 10 }
    }

    /// Whether it cuts off clients that offer frames of less than 8 192 bytes, without a word (4.1).
    pub fn needs_large_frames(self) -> bool {
        (self.major, self.minor) >= (4, 1)
    }

    /// Whether it copies classic queues to other nodes, by the settings of policies that begin with `ha-` (until 4.0, which
    /// refuses them).
    pub fn mirrors_classic_queues(self) -> bool {
        self.major < 4
    }

    /// Whether it knows streams (3.9).
    pub fn has_streams(self) -> bool {
        (self.major, self.minor) >= (3, 9)
    }

    /// Whether a vhost says which type queues have that are declared without one (3.10).
    pub fn has_default_queue_types(self) -> bool {
        (self.major, self.minor) >= (3, 10)
    }

    /// Whether policies can be for queues of one type only (3.12).
    pub fn has_policies_by_queue_type(self) -> bool {
        (self.major, self.minor) >= (3, 12)
    }

    /// Whether topic permissions need an exchange that is there already: seen in 4.3.6, and not in 4.0.5.
    pub fn needs_exchange_for_topics(self) -> bool {
        (self.major, self.minor) >= (4, 3)
    }
}

/// What is known of a version of the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// We know it, and its makers do not say that it is over.
    Known,
    /// We know it; its makers mend nothing in it any more.
    EndOfLife,
    /// Older than anything we speak to.
    TooOld,
    /// Newer than anything we were tried with, or no version at all.
    Untried,
}

impl Overview {
    /// What is known of this version.
    pub fn support(&self) -> Support {
        support(&self.version)
    }
}

/// The first series that we speak to, the first that is not at its end, and the last that we know.
const FIRST_SERIES: (u32, u32) = (3, 8);
const FIRST_ALIVE: (u32, u32) = (4, 0);
const LAST_SERIES: (u32, u32) = (4, 3);

/// What is known of a version such as `3.10.8`. Its makers ended the community's support of every 3.x.
fn support(version: &str) -> Support {
    let Some(Version { major, minor, .. }) = Version::parse(version) else { return Support::Untried };
    match (major, minor) {
        series if series < FIRST_SERIES => Support::TooOld,
        series if series < FIRST_ALIVE => Support::EndOfLife,
        series if series <= LAST_SERIES => Support::Known,
        _ => Support::Untried,
    }
}

/// The question for a list of queues. From 3.8.10 on the counts come from the queues themselves, at a tenth of
/// the cost and never stale; older brokers ignore what they do not know and answer from their statistics.
pub(super) const QUEUE_LIST_QUERY: &str = "disable_stats=true&enable_queue_totals=true&columns=name,messages,messages_ready,messages_unacknowledged,\
     consumers,state,type,exclusive,members,online";

/// Whether quorum queues can refuse what is published. 3.8.9 takes a policy that says so, and throws the oldest away.
pub(super) fn quorum_refuses(version: Version) -> bool {
    version >= Version { major: 3, minor: 9, patch: 0 }
}

/// Whether a change was made. Creating answers 201 since 3.7 and 204 before; changing answers 204. A 200 to a change
/// is not the broker's: a web server says it to everything.
pub(super) fn is_done(status: StatusCode) -> bool {
    matches!(status, StatusCode::CREATED | StatusCode::NO_CONTENT)
}

/// Tags as every broker takes them: one text with commas. A list with `a,b` in it would be one strange tag.
pub(super) fn tags_to_send(tags: &[String]) -> Result<String> {
    if tags.iter().any(|tag| tag.is_empty() || tag.contains(',') || tag.trim() != tag) {
        Err(Error::invalid("not valid tags of a broker user"))
    } else {
        Ok(tags.join(","))
    }
}

/// Tags as they come: a list since 3.9, one text with commas before.
pub(super) fn tags(value: &Value) -> Vec<String> {
    match value {
        Value::Array(tags) => tags.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Value::String(tags) => {
            tags.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

/// When a connection was made: milliseconds since 1970; absent where no statistics are kept (before 4.3).
pub(super) fn connected_at(value: Option<&Value>) -> Option<Timestamp> {
    value.and_then(Value::as_i64).map(Timestamp::from_millis)
}

/// Why the broker refused, for the log only: a text, or a list of anything, in which texts are lists of character codes; its
/// wording changes between releases (4.2.9), so nothing may depend on it.
pub(super) fn reason(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    body.get("reason").map_or_else(|| "no reason given".to_owned(), read_reason)
}

fn read_reason(reason: &Value) -> String {
    let character = |code: &Value| code.as_u64().and_then(|code| u32::try_from(code).ok()).and_then(char::from_u32);
    match reason {
        Value::String(text) => text.clone(),
        Value::Array(parts) => match parts.iter().map(character).collect::<Option<String>>() {
            Some(text) if !text.is_empty() => text,
            _ => parts.iter().map(read_reason).collect::<Vec<_>>().join(", "),
        },
        other => other.to_string(),
    }
}

/// A reason for closing a connection as the clients of every version can read it: 4.x takes what is beyond ASCII for
/// Latin-1, and cuts the connection without a word when that makes it longer than AMQP carries (cases/brokers.md 6).
pub(super) fn readable_reason(reason: &str) -> String {
    let mut line = String::new();
    for c in reason.chars() {
        match c {
            ' '..='~' => line.push(c),
            c if c.is_control() => line.push(' '),
            c => line.extend(c.escape_unicode()),
        }
    }
    line.truncate(REASON_LEN_MAX);
    line
}

/// Why the broker answers 401, which it does for a wrong password and for missing rights alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Wrong user name or password.
    Login,
    /// The login is right, but lacks a tag or a permission.
    Rights,
    /// It did not look at the password: basic authentication is switched off (3.8 and later), or this is not the
    /// broker but something in front of it.
    Scheme,
}

/// Tells the meanings of a 401 apart: by the spelling of one word, and where 3.8.9 spells both alike by the reason
/// (rabbitmq-versions.md, A25).
pub(super) fn refusal(body: &[u8]) -> Refusal {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    match (text("error"), text("reason")) {
        (Some("not_authorized"), _) | (Some("not_authorised"), Some("Login failed")) => Refusal::Login,
        (Some("not_authorised"), _) => Refusal::Rights,
        _ => Refusal::Scheme,
    }
}

/// Whether a 404 is the broker's own word that there is no such thing, and not that of a proxy before it.
pub(super) fn is_own_not_found(body: &[u8]) -> bool {
    serde_json::from_slice::<Value>(body).is_ok_and(|body| body.get("error").is_some_and(Value::is_string))
}

/// Whether a broker has no `DELETE /connections/username/…`: it came with 3.10.8 and 3.11, and where it exists it
/// answers 204 even for users that do not exist. 3.8 says 405.
pub(super) fn lacks_bulk_close(status: StatusCode) -> bool {
    matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED)
}

/// Whether a broker refused topic permissions because it has no such exchange (4.3).
pub(super) fn lacks_exchange(body: &[u8]) -> bool {
    reason(body).starts_with("no_such_exchange")
}

/// Whether a broker has the feature of a request and its flag is not on, as while nodes of an older version are in the cluster.
pub(super) fn lacks_feature_flag(body: &[u8]) -> bool {
    reason(body).contains("feature flag is not enabled")
}

/// Whether a broker knows no limits of users, from its answer to a change of one: they came with 3.8.10.
pub(super) fn lacks_user_limits(status: StatusCode) -> bool {
    status == StatusCode::METHOD_NOT_ALLOWED
}

/// The alarms in an answer of the health check: `{"status":"ok"}`, or with 503 a list of them. `None` when it is
/// neither, so that the nodes must be asked.
pub(super) fn alarms_of_health_check(status: StatusCode, body: &[u8]) -> Option<Vec<Alarm>> {
    let body: Value = serde_json::from_slice(body).ok()?;
    match (status, body.get("status")?.as_str()?) {
        (StatusCode::OK, "ok") => Some(Vec::new()),
        (StatusCode::SERVICE_UNAVAILABLE, "failed") => {
            let text = |alarm: &Value, key: &str| alarm.get(key).and_then(Value::as_str).unwrap_or("?").to_owned();
            let alarms = body.get("alarms")?.as_array()?;
            Some(alarms.iter().map(|a| Alarm { node: text(a, "node"), resource: text(a, "resource") }).collect())
        }
        _ => None,
    }
}

/// The alarms in a list of nodes, for brokers before 3.8.10, which have no such health check.
pub(super) fn alarms_of_nodes(nodes: &[Value]) -> Vec<Alarm> {
    let kinds = [("mem_alarm", "memory"), ("disk_free_alarm", "disk")];
    let mut alarms = Vec::new();
    for node in nodes {
        for (key, resource) in kinds {
            if node.get(key).and_then(Value::as_bool) == Some(true) {
                let name = node.get("name").and_then(Value::as_str).unwrap_or("?");
                alarms.push(Alarm { node: name.to_owned(), resource: resource.to_owned() });
            }
        }
    }
    alarms
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn texts(tags: &[&str]) -> Vec<String> {
        tags.iter().map(|&tag| tag.to_owned()).collect()
    }

    #[test]
    fn a_version_is_too_old_at_its_end_known_or_untried() {
        for (version, known) in [
            ("3.7.28", Support::TooOld),
            ("3.8.9", Support::EndOfLife),
            ("3.13.7", Support::EndOfLife),
            ("4.0.2-rc.1", Support::Known),
            ("4.3.0+dirty", Support::Known),
            ("4.4.0", Support::Untried),
            ("latest", Support::Untried),
        ] {
            assert_eq!(support(version), known, "{version}");
        }
    }

    #[test]
    fn creating_answers_201_since_3_7_and_204_before() {
        assert!([StatusCode::CREATED, StatusCode::NO_CONTENT].into_iter().all(is_done));
        assert!(![StatusCode::OK, StatusCode::BAD_REQUEST].into_iter().any(is_done));
    }

    #[test]
    fn tags_are_a_list_since_3_9_and_a_text_before() {
        assert_eq!(tags(&json!(["administrator", "monitoring"])), texts(&["administrator", "monitoring"]));
        assert_eq!(tags(&json!("administrator, monitoring")), texts(&["administrator", "monitoring"]));
        assert_eq!(tags(&json!("")), texts(&[]));
        assert_eq!(tags(&json!([])), texts(&[]));
        assert_eq!(tags(&Value::Null), texts(&[]));
    }

    #[test]
    fn tags_are_sent_as_a_text_that_every_version_takes() {
        assert_eq!(tags_to_send(&texts(&["a", "b"])).unwrap(), "a,b");
        assert_eq!(tags_to_send(&[]).unwrap(), "");
        assert!(tags_to_send(&texts(&["a,b"])).is_err());
    }

    #[test]
    fn connected_at_is_milliseconds_or_missing() {
        let at = json!(1_539_604_800_054_i64);
        assert_eq!(connected_at(Some(&at)).unwrap().to_string(), "2018-10-15T12:00:00.054Z");
        assert_eq!(connected_at(None), None);
        assert_eq!(connected_at(Some(&json!("undefined"))), None);
    }

    #[test]
    fn a_reason_is_a_text_or_a_list_of_anything() {
        assert_eq!(reason(br#"{"error":"bad_request","reason":"vhost_or_user_not_found"}"#), "vhost_or_user_not_found");
        let list = br#"{"error":"bad_request","reason":["invalid_regexp",[94,40],[[109],1]]}"#;
        assert_eq!(reason(list), "invalid_regexp, ^(, m, 1");
        assert_eq!(reason(b""), "no reason given");
        assert_eq!(reason(b"\"not_available\""), "no reason given");
    }

    #[test]
    fn a_reason_for_clients_is_one_short_line_of_ascii() {
        assert_eq!(readable_reason("a\r\nb: ü"), r"a  b: \u{fc}");
        assert_eq!(readable_reason(&"я".repeat(200)).len(), REASON_LEN_MAX);
    }

    #[test]
    fn a_wrong_password_and_a_missing_tag_differ_by_one_letter() {
        assert_eq!(refusal(br#"{"error":"not_authorized","reason":"Login failed"}"#), Refusal::Login);
        assert_eq!(refusal(br#"{"error":"not_authorised","reason":"Not administrator user"}"#), Refusal::Rights);
        assert_eq!(refusal(br#"{"error":"not_authorised","reason":"Login failed"}"#), Refusal::Login, "3.8.9");
        assert_eq!(refusal(b""), Refusal::Scheme);
    }

    #[test]
    fn a_404_of_a_proxy_is_not_the_brokers_word() {
        assert!(is_own_not_found(br#"{"error":"Object Not Found","reason":"Not Found"}"#));
        assert!(is_own_not_found(br#"{"error":"Object Not Found","reason":"\"Not Found\"\n"}"#));
        assert!(!is_own_not_found(b"<html><h1>404 Not Found</h1></html>"));
        assert!(!is_own_not_found(b""));
    }

    #[test]
    fn bulk_close_is_missing_before_3_10_8() {
        assert!(lacks_bulk_close(StatusCode::NOT_FOUND));
        assert!(lacks_bulk_close(StatusCode::METHOD_NOT_ALLOWED));
        assert!(!lacks_bulk_close(StatusCode::NO_CONTENT));
    }

    #[test]
    fn alarms_come_from_the_health_check_since_3_8_10() {
        let memory = Alarm { node: "rabbit@a".into(), resource: "memory".into() };
        let failed = br#"{"status":"failed","reason":"There are alarms in effect","alarms":[{"node":"rabbit@a","resource":"memory"}]}"#;
        assert_eq!(alarms_of_health_check(StatusCode::OK, br#"{"status":"ok"}"#), Some(vec![]));
        assert_eq!(alarms_of_health_check(StatusCode::SERVICE_UNAVAILABLE, failed), Some(vec![memory.clone()]));
        let missing = br#"{"error":"Object Not Found","reason":"Not Found"}"#;
        assert_eq!(alarms_of_health_check(StatusCode::NOT_FOUND, missing), None);
        let nodes = [json!({"name":"rabbit@a","mem_alarm":true,"disk_free_alarm":false}), json!({"name":"rabbit@b"})];
        assert_eq!(alarms_of_nodes(&nodes), [memory]);
    }
}
