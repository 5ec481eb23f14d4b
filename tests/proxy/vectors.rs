//! The recorded vectors, sorted by the proxy that each of them needs, and their placeholders filled in.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::{Value, json};

const FILE: &str = include_str!("../fixtures/vectors/proxy-vectors.json");

/// Both programs, and how many vectors each of them has.
const PROGRAMS: [(&str, usize); 2] = [("taskcluster-proxy", 342), ("relengapi-proxy", 99)];

/// What this cannot replay.
const LEFT_OUT: [&str; 1] = [
    // It takes ten minutes. A test with a clock of its own looks at when a token is minted anew.
    "releng/token/renewed-after-590-s",
];

/// As many vectors share a proxy at most, so that several proxies share the work.
const SHARED_MAX: usize = 30;

/// The root URL's host of the recording, which a few vectors spell out.
const RECORDED_ROOT: &str = "127.0.0.1:18080";

/// What one start of a program is asked, in this order.
pub struct Group {
    pub program: &'static str,
    pub args: Value,
    pub env: Value,
    pub keys: Value,
    pub tasks: Value,
    pub vectors: Vec<Value>,
}

/// The addresses that placeholders stand for.
pub struct Places {
    pub root: SocketAddr,
    pub down: u16,
    pub port: u16,
}

pub fn id(vector: &Value) -> &str {
    vector["id"].as_str().expect("a vector has an id")
}

fn file() -> Value {
    serde_json::from_str(FILE).expect("the vectors are JSON")
}

/// Hosts that are to answer by TLS; those whose certificate is to be wrong are not among them.
pub fn hosts() -> Vec<String> {
    let hosts = file()["meta"]["hosts"].as_array().cloned().unwrap_or_default();
    hosts.iter().filter_map(Value::as_str).filter(|host| !host.starts_with("wrong-")).map(str::to_owned).collect()
}

/// All vectors, or those that have a name. The slow ones come first: everything else happens meanwhile.
pub fn groups(only: Option<&str>) -> Vec<Group> {
    let file = file();
    let mut alone = Vec::new();
    let mut shared: BTreeMap<String, Vec<Group>> = BTreeMap::new();
    for (program, count) in PROGRAMS {
        let vectors = file[program]["vectors"].as_array().expect("a list of vectors");
        assert_eq!(vectors.len(), count, "vectors of {program}");
        for vector in vectors {
            if LEFT_OUT.contains(&id(vector)) || only.is_some_and(|only| only != id(vector)) {
                continue;
            }
            let group = group(program, &file[program]["setups"], vector);
            if needs_its_own(vector) {
                alone.push(group);
                continue;
            }
            let key = format!("{program} {} {} {}", group.args, group.env, group.tasks);
            let others = shared.entry(key).or_default();
            match others.last_mut().filter(|last| last.vectors.len() < SHARED_MAX) {
                Some(last) => last.vectors.extend(group.vectors),
                None => others.push(group),
            }
        }
    }
    alone.sort_by_key(|group| !is_slow(group));
    let slow = alone.iter().filter(|group| is_slow(group)).count();
    let rest = alone.split_off(slow);
    alone.into_iter().chain(shared.into_values().flatten()).chain(rest).collect()
}

/// Whether the ancestor took minutes for it.
pub fn is_slow(group: &Group) -> bool {
    group.vectors[0]["slow"] == true
}

/// A command line, one that changes the program's state or ends it, or one that it may refuse to start with.
fn needs_its_own(vector: &Value) -> bool {
    ["cli", "fresh", "steps", "may_exit", "may_refuse_to_start", "log"].iter().any(|member| !vector[member].is_null())
}

fn group(program: &'static str, setups: &Value, vector: &Value) -> Group {
    let setup = &setups[vector["setup"].as_str().unwrap_or_default()];
    let own = |member: &str| if vector[member].is_null() { setup[member].clone() } else { vector[member].clone() };
    Group {
        program,
        args: own("args"),
        env: own("env"),
        keys: setup["keys"].clone(),
        tasks: own("tasks"),
        vectors: vec![vector.clone()],
    }
}

impl Places {
    /// A value with its placeholders filled in, those left that stand for anything.
    pub fn fill(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.text(text).into(),
            Value::Array(items) => items.iter().map(|item| self.fill(item)).collect(),
            Value::Object(members) => {
                let filled = members.iter().map(|(name, value)| (name.clone(), self.fill(value)));
                Value::Object(filled.collect())
            }
            other => other.clone(),
        }
    }

    fn text(&self, text: &str) -> String {
        let root = self.root.to_string();
        let mut text = text.replace(RECORDED_ROOT, &root);
        for (name, value) in [
            ("${root}", format!("http://{root}")),
            ("${roothost}", root),
            ("${down}", format!("http://127.0.0.1:{}", self.down)),
            ("${proxy}", format!("127.0.0.1:{}", self.port)),
            ("${port}", self.port.to_string()),
        ] {
            text = text.replace(name, &value);
        }
        repeated(&text).unwrap_or(text)
    }
}

/// `${100000 x}` is that many.
fn repeated(text: &str) -> Option<String> {
    let (before, rest) = text.split_once("${")?;
    let (inside, after) = rest.split_once('}')?;
    let (count, what) = inside.split_once(' ')?;
    let many = what.repeat(count.parse().ok()?);
    let after = repeated(after).unwrap_or_else(|| after.to_owned());
    Some([before, &many, &after].concat())
}

#[test]
fn placeholders_are_filled_in() {
    let places = Places { root: ([127, 0, 0, 1], 9).into(), down: 1, port: 80 };
    let filled = places.fill(&json!({ "a": ["${root}/x", "${roothost} ${proxy} -p${port}", "127.0.0.1:18080"] }));
    assert_eq!(filled, json!({ "a": ["http://127.0.0.1:9/x", "127.0.0.1:9 127.0.0.1:80 -p80", "127.0.0.1:9"] }));
    assert_eq!(places.fill(&json!("a${3 xy}?${bewit}")), json!("axyxyxy?${bewit}"));
    assert_eq!(places.fill(&json!("${any}${eph}")), json!("${any}${eph}"));
}
