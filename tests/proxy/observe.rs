//! What was seen, written as the vectors write it.

use keylender::base::Clock;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::client::Answer;
use crate::signature;
use crate::stubs::{Scene, Seen};
use crate::wire::{Framing, Headers};

/// Longer bodies are told by length and hash.
const BODY_LEN_MAX: usize = 150_000;

/// An answer.
pub fn response(answer: &Answer, keys: &Value) -> Value {
    let mut seen = Map::new();
    if answer.is_abandoned {
        return json!({ "abandoned": true });
    }
    if let (Some(status), Some(framing)) = (answer.status, answer.framing) {
        seen.insert("status".into(), status.into());
        seen.insert("h".into(), headers(&answer.headers, &["date", "content-length"]));
        seen.insert("framing".into(), framing.name().into());
        let len = answer.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        if let Some((_, len)) = len.filter(|_| framing == Framing::None) {
            seen.insert("content-length".into(), len.as_str().into());
        }
    }
    if !answer.interim.is_empty() {
        seen.insert("interim".into(), answer.interim.join(", ").into());
    }
    if answer.is_late {
        seen.insert("timeout".into(), true.into());
    } else if !answer.body.is_whole {
        seen.insert("closed".into(), true.into());
    } else {
        seen.insert("body".into(), body(&answer.body.bytes));
    }
    if !answer.body.trailers.is_empty() {
        seen.insert("trailers".into(), json!(answer.body.trailers));
    }
    let mut seen = Value::Object(seen);
    bewit(&mut seen, keys);
    seen
}

/// Takes a bewit out of the link that was answered, and says what is in it.
fn bewit(seen: &mut Value, keys: &Value) {
    let links = [&seen["h"]["location"], &seen["body"]];
    let Some(link) = links.into_iter().find_map(|link| link.as_str().filter(|link| link.contains("bewit="))) else {
        return;
    };
    let Some(value) = signature::bewit_in(link).filter(|value| !value.is_empty()).map(str::to_owned) else { return };
    let told = signature::link(link, keys);
    for place in ["/h/location", "/body"] {
        if let Some(Value::String(text)) = seen.pointer_mut(place) {
            *text = text.replace(&value, "${bewit}");
        }
    }
    seen["bewit"] = told.unwrap_or_else(|| "no server can read it".into());
}

/// A request as a server got it.
pub fn received(seen: &Seen, keys: &Value) -> Value {
    let mut told = json!({
        "m": seen.method,
        "t": seen.target,
        "host": seen.head.header("host"),
        "hawk": signature::authorization(seen, keys),
        "h": headers(&seen.head.headers, &["host", "authorization", "content-length"]),
    });
    if seen.is_tls {
        told["tls"] = true.into();
    }
    if !seen.body.is_empty() {
        told["body"] = body(&seen.body);
    }
    if seen.is_chunked {
        told["chunked"] = true.into();
    }
    if seen.has_waited {
        told["expect-waited"] = true.into();
    }
    told
}

/// What the servers behind the proxy saw of a step.
pub fn scene(scene: &Scene, keys: &Value) -> Map<String, Value> {
    let (upstream, tokens, tasks) = (&scene.upstream.seen, &scene.tokens.seen, &scene.tasks.seen);
    let mut seen = Map::new();
    for (name, count) in [("tries", upstream), ("mints", tokens), ("fetches", tasks)] {
        seen.insert(name.into(), count.len().into());
    }
    let mut bearers: Vec<_> = upstream.iter().filter_map(|one| one.head.header("authorization")).collect();
    bearers.sort_unstable();
    bearers.dedup();
    seen.insert("bearers".into(), bearers.len().into());
    seen.extend(upstream.first().map(|one| ("received".into(), received(one, keys))));
    seen.extend(tokens.first().map(|one| ("mint".into(), mint(one, keys))));
    seen.extend(tasks.first().map(|one| {
        let told = json!({
            "m": one.method,
            "t": one.target,
            "host": one.head.header("host"),
            "tls": one.is_tls,
            "authorization": one.head.header("authorization"),
        });
        ("fetch".into(), told)
    }));
    seen
}

/// A request for a token; of its end the shape and how far away it is.
fn mint(seen: &Seen, keys: &Value) -> Value {
    let mut told = received(seen, keys);
    if let Ok(mut json) = serde_json::from_slice::<Value>(&seen.body) {
        if let Some(expires) = json["expires"].as_str() {
            let end = expires.parse::<jiff::Timestamp>().map(|end| end.as_millisecond()).ok();
            let seconds = end.map(|end| (end - Clock::system().now().as_millis()) as f64 / 1000.0);
            json["expires"] = json!({ "seconds": seconds, "shape": shape(expires) });
        }
        told["body"] = json!({ "json": json });
    }
    told
}

/// `N` for each number.
fn shape(text: &str) -> String {
    let mut shape = String::new();
    for c in text.chars() {
        match c {
            '0'..='9' if shape.ends_with('N') => {}
            '0'..='9' => shape.push('N'),
            other => shape.push(other),
        }
    }
    shape
}

/// By lower-case names; a repeated one is a list.
fn headers(all: &Headers, without: &[&str]) -> Value {
    let mut told = Map::new();
    for (name, value) in all {
        let name = name.to_ascii_lowercase();
        if without.contains(&&*name) {
            continue;
        }
        match told.get_mut(&name) {
            None => drop(told.insert(name, value.as_str().into())),
            Some(Value::Array(values)) => values.push(value.as_str().into()),
            Some(first) => *first = json!([first, value]),
        }
    }
    Value::Object(told)
}

fn body(bytes: &[u8]) -> Value {
    use base64::Engine;
    if bytes.len() > BODY_LEN_MAX {
        let hash = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        return json!({ "length": bytes.len(), "sha256": hash });
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => json!({ "base64": base64::engine::general_purpose::STANDARD.encode(bytes) }),
    }
}

#[test]
fn the_shape_of_a_time_has_no_numbers() {
    assert_eq!(shape("2026-08-21T10:11:12.123456789-04:00"), "N-N-NTN:N:N.N-N:N");
}
