//! What the fuzz target `heartbeats` does: a part of `fuzz/targets.rs`.

use std::time::Duration;

use keylender::base::Timestamp;
use keylender::proto::heartbeat::{Agents, Generation, Heartbeat, Kept, Mode, Timings, Verdict, judge};
use serde_json::{Value, json};

/// Each character is one byte, for a heartbeat need not be text.
pub fn read_heartbeats(text: &str) {
    let body: Vec<u8> = text.chars().map(|c| (u32::from(c) & 0xff) as u8).collect();
    fuzz(&body);
}

/// Reads a body as each generation does, judges what was read, and takes note of it.
fn fuzz(body: &[u8]) {
    let any = Heartbeat::read_any(body).ok();
    let mut found = vec![None];
    for generation in [Generation::First, Generation::Second, Generation::Third] {
        let read = Heartbeat::read(body, generation).ok();
        // What is no text may as well have been sent as what it is taken for.
        let text = replaced(body);
        if text.len() <= 102_400 {
            assert_eq!(Heartbeat::read(text.as_bytes(), generation).ok(), read);
        }
        if let Some(read) = &read {
            check(read);
        }
        found.push(read);
    }
    assert!(found.contains(&any), "a generation that takes it");
}

fn check(read: &Heartbeat) {
    let environment = &read.environment;
    let texts = [&environment.os, &environment.ident, &environment.aws.ami_id, &read.loader_name];
    let tags = read.tags.items.iter().flat_map(|(name, value)| [name, value]);
    let lists = environment.addresses.items.iter().chain(&environment.modules.items);
    assert!(texts.into_iter().chain(tags).chain(lists).all(|text| text.len() <= 512));
    assert!(
        environment.addresses.items.len() <= 64 && environment.modules.items.len() <= 32 && read.tags.items.len() <= 64
    );
    if environment.addresses.left_out + environment.modules.left_out + read.tags.left_out == 0 {
        let again = Heartbeat::read(written(read).as_bytes(), read.generation);
        assert!(again.as_ref() == Ok(read) || written(read).len() > 102_400, "{again:?}");
    }
    let timings = Timings { heartbeat_period: Duration::from_secs(300), agent_timeout: Duration::MAX };
    let mut agents = Agents::default();
    for now in [Timestamp::MIN, Timestamp::from_millis(1_795_228_603_000), Timestamp::MAX] {
        let verdict = judge(read, now, &timings);
        let answer = verdict.answer();
        let error = serde_json::from_str::<Value>(&answer.body).expect("an answer is JSON")["error"].take();
        assert_eq!((answer.status == 200, error.is_null()), (verdict == Verdict::Welcome, verdict == Verdict::Welcome));
        agents.observe(read, now);
        assert!(agents.state(now, &timings).is_some() && agents.processes().len() == 1);
        let _ = agents.duplicates(now, &timings);
    }
}

/// Bytes as Go turns them into text.
fn replaced(body: &[u8]) -> String {
    let chunks = body.utf8_chunks();
    chunks.map(|chunk| chunk.valid().to_owned() + &"\u{fffd}".repeat(chunk.invalid().len())).collect()
}

/// A heartbeat as an agent of its generation writes it.
fn written(read: &Heartbeat) -> String {
    let time = |moment: Option<Timestamp>| moment.map_or("0001-01-01T00:00:00Z".to_owned(), |it| it.to_string());
    let items = |list: &Kept<String>| json!(list.items);
    let mode = match read.mode {
        Mode::Unstated => "",
        Mode::Daemon => "daemon",
        Mode::Checkin => "checkin",
        Mode::Other => "other",
    };
    let of = &read.environment;
    let environment = json!({
        "init": of.init, "ident": of.ident, "os": of.os, "arch": of.arch, "isProxied": of.is_proxied, "proxy": of.proxy,
        "publicIP": of.public_ip, "addresses": items(&of.addresses), "modules": items(&of.modules),
        "aws": {
            "instanceid": of.aws.instance_id, "localipv4": of.aws.local_ipv4,
            "amiid": of.aws.ami_id, "instancetype": of.aws.instance_type,
        },
    });
    let tags: Value = if read.generation == Generation::Third {
        read.tags.items.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
    } else {
        Value::Object(read.tags.items.iter().map(|(name, value)| (name.clone(), json!(value))).collect())
    };
    let whole = json!({
        "name": read.name, "queueLoc": read.queueloc, "mode": mode, "version": read.version, "pid": read.pid,
        "startTime": time(read.started_at), "refreshTime": time(read.refreshed_at), "refreshts": time(read.refreshed_at),
        "destructiontime": time(read.destroyed_at), "heartbeatts": time(read.sent_at), "loadername": read.loader_name,
        "environment": environment, "tags": tags,
    });
    whole.to_string()
}
