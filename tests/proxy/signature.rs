//! What a request or a link says about who signed it, and whether the signature is right.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keylender::base::{Clock, Secret};
use keylender::proto::hawk::{Bewit, Header, Target, bewit, host, mac};
use serde_json::{Value, json};

use crate::stubs::Seen;

/// Who a request says it is from: of Hawk the parts, of anything else the whole header.
pub fn authorization(seen: &Seen, keys: &Value) -> Value {
    let all = seen.head.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    let all: Vec<&str> = all.map(|(_, value)| value.as_str()).collect();
    match all[..] {
        [] => Value::Null,
        [one] => hawk(one, seen, keys).unwrap_or_else(|| json!({ "authorization": one })),
        _ => json!({ "authorization": all }),
    }
}

fn hawk(text: &str, seen: &Seen, keys: &Value) -> Option<Value> {
    let header = Header::parse(text).ok()?;
    let host = host::parse(seen.head.header("host")?).ok()?;
    let port = host.port.unwrap_or(if seen.is_tls { 443 } else { 80 });
    let target = Target { method: &seen.method, resource: &seen.target, host: host.name, port };
    let mac = keys[header.id].as_str().map(|key| mac::sign(&Secret::new(key), &header.signed_text(&target)));
    Some(json!({
        "id": header.id,
        "mac": mac.as_deref() == Some(header.mac),
        "hash": header.hash.is_some(),
        "ext": header.ext.map(ext),
    }))
}

fn ext(text: &str) -> Value {
    let decoded = STANDARD.decode(text).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    decoded.unwrap_or_else(|| text.into())
}

/// The bewit in a URL, as it is written there.
pub fn bewit_in(text: &str) -> Option<&str> {
    let at = text.find("?bewit=").or_else(|| text.find("&bewit="))? + "?bewit=".len();
    text[at..].split(|c: char| !(c.is_ascii_alphanumeric() || "-_=+/".contains(c))).next()
}

/// What a server makes of a URL with a bewit: who signed, whether it is right, and for how many seconds it holds.
pub fn link(url: &str, keys: &Value) -> Option<Value> {
    let sent = url.split('#').next()?;
    let (scheme, rest) = sent.split_once("://")?;
    let (authority, resource) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    // As a client sends it.
    let resource = if resource.starts_with('/') { resource.to_owned() } else { format!("/{resource}") };
    let host = host::parse(authority.rsplit('@').next()?).ok()?;
    let port = host.port.unwrap_or(if scheme == "https" { 443 } else { 80 });
    let (resource, value) = bewit::split(&resource)?;
    let signed = Bewit::decode(value).ok()?;
    let target = Target { method: "GET", resource: &resource, host: host.name, port };
    let text = mac::bewit_text(signed.exp, &signed.ext, &target);
    let mac = keys[&signed.id].as_str().map(|key| mac::sign(&Secret::new(key), &text));
    Some(json!({
        "id": signed.id,
        "mac": mac.as_ref() == Some(&signed.mac),
        "seconds": signed.exp - Clock::system().now().as_seconds(),
        "ext": if signed.ext.is_empty() { Value::Null } else { ext(&signed.ext) },
    }))
}
