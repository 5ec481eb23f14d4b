//! From the bytes of a heartbeat to what is in it, member by member as Go fills the records of MIG.
//!
//! Names of members match in either case; of a member that comes several times the last one holds, but for objects and
//! tags, which are filled further; `null` empties a list and the tags and leaves everything else as it was; members of
//! other names are ignored. A value of another type is a refusal, and so is one of a member that nobody uses here.

use std::collections::BTreeMap;

use super::json::{self, Value};
use super::time;
use super::{Environment, Generation, Heartbeat, Kept, Mode};
use crate::base::Timestamp;
use crate::proto::Refusal;

/// Go's moment zero, 1 January of the year 1, which stands for none.
const NO_MOMENT_MS: i64 = -62_135_596_800_000;
/// What the fields of an environment, tags and names of loaders are cut to. None that is honest comes near.
const TEXT_LEN_MAX: usize = 512;
/// Addresses that are kept. A host of many containers has hundreds, which nobody looks at.
const ADDRESSES_MAX: usize = 64;
/// Modules that are kept. The version that has most has 15.
const MODULES_MAX: usize = 32;
/// Tags that are kept. They are typed into the configuration of an agent by hand.
const TAGS_MAX: usize = 64;

/// What was read so far, without limits but that of the body.
#[derive(Default)]
struct Draft {
    name: String,
    queueloc: String,
    mode: String,
    version: String,
    pid: i64,
    started_at: Option<Timestamp>,
    refreshed_at: Option<Timestamp>,
    destroyed_at: Option<Timestamp>,
    sent_at: Option<Timestamp>,
    init: String,
    ident: String,
    os: String,
    arch: String,
    is_proxied: bool,
    proxy: String,
    public_ip: String,
    addresses: Slots<String>,
    modules: Slots<String>,
    aws: [String; 4],
    tags: BTreeMap<String, String>,
    tag_list: Slots<[String; 2]>,
    loader_name: String,
}

/// A list as Go fills it: should it come several times, each value goes into what was in its place before.
#[derive(Default)]
struct Slots<T> {
    items: Vec<T>,
    /// How many of them are in the list now.
    len: usize,
}

/// Reads a body as the scheduler or the API of a generation does.
pub(super) fn heartbeat(body: &[u8], generation: Generation) -> Result<Heartbeat, Refusal> {
    let (value, rest) = json::first(body)?;
    // The API stops behind the first value, and the scheduler does not.
    if generation != Generation::Third && !rest.is_empty() {
        return Err(Refusal::new("JSON with something behind it"));
    }
    let mut draft = Draft::default();
    object(value, |key, value| draft.agent(key, value, generation))?;
    Ok(draft.finish(generation))
}

impl Draft {
    /// A member of the whole.
    fn agent(&mut self, key: &str, value: Value<'_>, generation: Generation) -> Result<(), Refusal> {
        use Generation::{First, Second, Third};
        match (key, generation) {
            ("name", _) => text(&mut self.name, value),
            ("queueloc", _) => text(&mut self.queueloc, value),
            ("mode", _) => text(&mut self.mode, value),
            ("version", _) => text(&mut self.version, value),
            ("pid", _) => whole(&mut self.pid, value, generation == Third),
            ("starttime", _) => moment(&mut self.started_at, value),
            ("environment", _) => object(value, |key, value| self.environment(key, value, generation)),
            ("tags", First) => self.any_tags(value),
            ("tags", Second) => self.tag_object(value),
            ("tags", Third) => self.tag_list.fill(value, tag),
            ("refreshtime", Third) | ("refreshts", Second) => moment(&mut self.refreshed_at, value),
            ("loadername", Second) => text(&mut self.loader_name, value),
            ("destructiontime", First | Second) => moment(&mut self.destroyed_at, value),
            ("heartbeatts", First | Second) => moment(&mut self.sent_at, value),
            // What an agent says about its own row is not kept.
            ("id", First | Second) => float(value),
            ("status", First | Second) => text(&mut String::new(), value),
            ("authorized", First | Second) => flag(&mut false, value),
            _ => Ok(()),
        }
    }

    /// A member of the environment.
    fn environment(&mut self, key: &str, value: Value<'_>, generation: Generation) -> Result<(), Refusal> {
        use Generation::{Second, Third};
        match (key, generation) {
            ("init", _) => text(&mut self.init, value),
            ("ident", _) => text(&mut self.ident, value),
            ("os", _) => text(&mut self.os, value),
            ("arch", _) => text(&mut self.arch, value),
            ("isproxied", _) => flag(&mut self.is_proxied, value),
            ("proxy", _) => text(&mut self.proxy, value),
            ("addresses", _) => self.addresses.fill(value, text),
            ("publicip", _) => text(&mut self.public_ip, value),
            ("modules", Second | Third) => self.modules.fill(value, text),
            ("aws", Second) => object(value, |key, value| aws(&mut self.aws, key, value)),
            _ => Ok(()),
        }
    }

    /// Tags of any shape. Those that are no object are one without a name.
    fn any_tags(&mut self, value: Value<'_>) -> Result<(), Refusal> {
        self.tags.clear();
        match value {
            Value::Null => {}
            Value::Object(written) => {
                for (name, value) in json::members(written) {
                    self.tags.insert(name, any(value)?);
                }
            }
            value => drop(self.tags.insert(String::new(), any(value)?)),
        }
        Ok(())
    }

    /// Tags that are texts by name. Further ones come to those that are there.
    fn tag_object(&mut self, value: Value<'_>) -> Result<(), Refusal> {
        match value {
            Value::Null => self.tags.clear(),
            Value::Object(written) => {
                for (name, value) in json::members(written) {
                    let mut tag = String::new();
                    text(&mut tag, value)?;
                    self.tags.insert(name, tag);
                }
            }
            _ => return Err(Refusal::new("an object was expected")),
        }
        Ok(())
    }

    fn finish(mut self, generation: Generation) -> Heartbeat {
        self.tags.extend(self.tag_list.into_list().map(|[name, value]| (name, value)));
        let mode = match self.mode.as_str() {
            "" => Mode::Unstated,
            "daemon" => Mode::Daemon,
            "checkin" => Mode::Checkin,
            _ => Mode::Other,
        };
        let environment = Environment {
            init: cut(self.init),
            ident: cut(self.ident),
            os: cut(self.os),
            arch: cut(self.arch),
            is_proxied: self.is_proxied,
            proxy: cut(self.proxy),
            public_ip: cut(self.public_ip),
            addresses: Kept::of(self.addresses.into_list().map(cut), ADDRESSES_MAX),
            modules: Kept::of(self.modules.into_list().map(cut), MODULES_MAX),
            aws: self.aws.map(cut).into(),
        };
        Heartbeat {
            generation,
            name: self.name,
            queueloc: self.queueloc,
            mode,
            version: self.version,
            pid: self.pid,
            started_at: self.started_at,
            refreshed_at: self.refreshed_at,
            destroyed_at: self.destroyed_at,
            sent_at: self.sent_at,
            environment,
            tags: Kept::of(self.tags.into_iter().map(|(name, value)| (cut(name), cut(value))), TAGS_MAX),
            loader_name: cut(self.loader_name),
        }
    }
}

impl<T: Default> Slots<T> {
    fn fill(&mut self, value: Value<'_>, each: fn(&mut T, Value<'_>) -> Result<(), Refusal>) -> Result<(), Refusal> {
        self.len = 0;
        match value {
            Value::Null => {}
            Value::List(written) => {
                for value in json::elements(written) {
                    if self.items.len() == self.len {
                        self.items.push(T::default());
                    }
                    each(&mut self.items[self.len], value)?;
                    self.len += 1;
                }
            }
            _ => return Err(Refusal::new("a list was expected")),
        }
        if self.len == 0 {
            self.items.clear();
        }
        Ok(())
    }

    fn into_list(mut self) -> impl ExactSizeIterator<Item = T> {
        self.items.truncate(self.len);
        self.items.into_iter()
    }
}

fn aws(aws: &mut [String; 4], key: &str, value: Value<'_>) -> Result<(), Refusal> {
    let [instance_id, local_ipv4, ami_id, instance_type] = aws;
    match key {
        "instanceid" => text(instance_id, value),
        "localipv4" => text(local_ipv4, value),
        "amiid" => text(ami_id, value),
        "instancetype" => text(instance_type, value),
        _ => Ok(()),
    }
}

/// A tag of a list.
fn tag([name, text]: &mut [String; 2], value: Value<'_>) -> Result<(), Refusal> {
    object(value, |key, value| match key {
        "name" => self::text(name, value),
        "value" => self::text(text, value),
        _ => Ok(()),
    })
}

/// Gives each member of an object away, by the name that Go takes it for.
fn object(value: Value<'_>, mut each: impl FnMut(&str, Value<'_>) -> Result<(), Refusal>) -> Result<(), Refusal> {
    let written = match value {
        Value::Null => return Ok(()),
        Value::Object(written) => written,
        _ => return Err(Refusal::new("an object was expected")),
    };
    for (name, value) in json::members(written) {
        let key = folded(&name);
        each(&key, value).map_err(|refusal| Refusal::new(format!("{key}: {refusal}")))?;
    }
    Ok(())
}

/// A name in lower case as Go compares names: a long `s` is one. (The sign of Kelvin is a `k`, which no member has.)
fn folded(name: &str) -> String {
    name.chars().map(|letter| if letter == '\u{17f}' { 's' } else { letter.to_ascii_lowercase() }).collect()
}

fn text(place: &mut String, value: Value<'_>) -> Result<(), Refusal> {
    match value {
        Value::Null => {}
        Value::Text(written) => *place = json::text(written),
        _ => return Err(Refusal::new("a text was expected")),
    }
    Ok(())
}

fn flag(place: &mut bool, value: Value<'_>) -> Result<(), Refusal> {
    match value {
        Value::Null => {}
        Value::Flag(flag) => *place = flag,
        _ => return Err(Refusal::new("true or false was expected")),
    }
    Ok(())
}

/// A whole number, written as one: neither `1.0` nor `1e3`. Go's API wraps what is beyond 63 bits, and this refuses it.
fn whole(place: &mut i64, value: Value<'_>, is_unsigned: bool) -> Result<(), Refusal> {
    let number = match value {
        Value::Null => return Ok(()),
        Value::Number(written) if is_unsigned && written.starts_with('-') => None,
        Value::Number(written) => written.parse().ok(),
        _ => None,
    };
    *place = number.ok_or(Refusal::new("a whole number was expected"))?;
    Ok(())
}

fn float(value: Value<'_>) -> Result<(), Refusal> {
    match value {
        Value::Null => Ok(()),
        Value::Number(written) if json::is_finite(written) => Ok(()),
        _ => Err(Refusal::new("a number was expected")),
    }
}

fn moment(place: &mut Option<Timestamp>, value: Value<'_>) -> Result<(), Refusal> {
    let written = match value {
        Value::Null => return Ok(()),
        Value::Text(written) => time::moment(written),
        _ => None,
    };
    let moment = written.ok_or(Refusal::new("a time such as 2026-11-21T02:37:02Z was expected"))?;
    *place = Some(moment).filter(|moment| moment.as_millis() != NO_MOMENT_MS);
    Ok(())
}

/// A value of any type as a text: a text as what it says, everything else as it is written.
fn any(value: Value<'_>) -> Result<String, Refusal> {
    match value {
        Value::Null => Ok("null".to_owned()),
        Value::Flag(flag) => Ok(flag.to_string()),
        Value::Text(written) => Ok(json::text(written)),
        Value::Number(written) => float(value).map(|()| written.to_owned()),
        Value::List(written) | Value::Object(written) if json::has_finite_numbers(written) => {
            Ok(json::compact(written))
        }
        Value::List(_) | Value::Object(_) => Err(Refusal::new("a number is too large")),
    }
}

/// A text that is not too long to keep: an ellipsis stands for the rest.
fn cut(mut text: String) -> String {
    if text.len() > TEXT_LEN_MAX {
        text.truncate(text.floor_char_boundary(TEXT_LEN_MAX - '…'.len_utf8()));
        text.push('…');
    }
    text
}
