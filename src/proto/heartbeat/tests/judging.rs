//! The checks of the scheduler and of the API in their order, and the API's answers to the byte.

use std::time::Duration;

use super::{FIRST, SECOND, THIRD, TIMINGS, read};
use crate::base::Timestamp;
use crate::proto::Refusal;
use crate::proto::heartbeat::{Answer, FUTURE_MAX, Generation, Heartbeat, Mode, Verdict, judge};

fn judged(heartbeat: &Heartbeat, age: i64) -> Verdict {
    let moment = heartbeat.sent_at.or(heartbeat.started_at).unwrap_or(Timestamp::from_millis(0));
    judge(heartbeat, Timestamp::from_millis(moment.as_millis() + age), &TIMINGS)
}

fn changed(heartbeat: &Heartbeat, change: impl FnOnce(&mut Heartbeat)) -> Heartbeat {
    let mut changed = heartbeat.clone();
    change(&mut changed);
    changed
}

#[test]
fn the_scheduler_takes_a_heartbeat_until_its_time_out() {
    let future_max = i64::try_from(FUTURE_MAX.as_millis()).unwrap();
    for heartbeat in [read(FIRST, Generation::First), read(SECOND, Generation::Second)] {
        for (age, expected) in [
            (0, Verdict::Welcome),
            (600_000, Verdict::Welcome),
            (600_001, Verdict::Expired),
            (-future_max, Verdict::Welcome),
            (-future_max - 1, Verdict::FromTheFuture),
        ] {
            assert_eq!(judged(&heartbeat, age), expected, "{age}");
        }
        assert_eq!(judged(&changed(&heartbeat, |it| it.sent_at = None), 0), Verdict::Expired);
    }
}

#[test]
fn the_scheduler_tells_the_first_thing_that_is_wrong() {
    let mut heartbeat = read(SECOND, Generation::Second);
    heartbeat.queueloc = "q".repeat(248);
    assert_eq!(judged(&heartbeat, 0), Verdict::LongQueue);
    assert_eq!(judged(&changed(&heartbeat, |it| it.queueloc = "q".repeat(247)), 0), Verdict::Welcome);
    assert_eq!(judged(&changed(&heartbeat, |it| it.queueloc.clear()), 0), Verdict::NoQueue);
    heartbeat.version = "v".repeat(129);
    assert_eq!(judged(&heartbeat, 0), Verdict::LongVersion);
    assert_eq!(judged(&changed(&heartbeat, |it| it.version.truncate(128)), 0), Verdict::LongQueue);
    heartbeat.name = "\u{e9}".repeat(513);
    assert_eq!(judged(&heartbeat, 0), Verdict::LongName, "bytes count");
    assert_eq!(judged(&changed(&heartbeat, |it| it.name.truncate(1024)), 0), Verdict::LongVersion);
    heartbeat.mode = Mode::Other;
    assert_eq!(judged(&heartbeat, 0), Verdict::BadMode);
    heartbeat.sent_at = heartbeat.sent_at.map(|sent_at| sent_at.minus(Duration::from_secs(601)));
    assert_eq!(judge(&heartbeat, heartbeat.started_at.unwrap(), &TIMINGS), Verdict::Expired);
}

#[test]
fn the_api_tells_the_last_thing_that_is_wrong() {
    let mut heartbeat = read(THIRD, Generation::Third);
    assert_eq!((judged(&heartbeat, 300_000), judged(&heartbeat, 300_001)), (Verdict::Welcome, Verdict::Expired));
    assert_eq!(
        (judged(&heartbeat, -300_000), judged(&heartbeat, -300_001)),
        (Verdict::Welcome, Verdict::FromTheFuture)
    );
    heartbeat.mode = Mode::Other;
    assert_eq!(judged(&heartbeat, 300_001), Verdict::BadMode);
    heartbeat.name = "n".repeat(1025);
    assert_eq!(judged(&heartbeat, 300_001), Verdict::LongName);
    heartbeat.version = "v".repeat(129);
    assert_eq!(judged(&heartbeat, 300_001), Verdict::LongVersion);
    heartbeat.pid = 0;
    assert_eq!(judged(&heartbeat, 300_001), Verdict::Missing(vec!["pid"]));
}

#[test]
fn the_api_answers_in_its_own_words() {
    let heartbeat = read(THIRD, Generation::Third);
    for (verdict, status, body) in [
        (judged(&heartbeat, 0), 200, r#"{"error":null}"#),
        (
            judged(&changed(&heartbeat, |it| it.environment.public_ip.clear()), 0),
            400,
            r#"{"error":"Missing fields in request body: missing field(s): environment.publicIP"}"#,
        ),
        (
            judged(&read("{}", Generation::Third), 0),
            400,
            r#"{"error":"Missing fields in request body: missing field(s): name, mode, version, queueLoc, pid, environment.init, environment.ident, environment.os, environment.arch, environment.publicIP"}"#,
        ),
        (judged(&heartbeat, 300_001), 400, r#"{"error":"Missing fields in request body: heartbeat expired"}"#),
        (Verdict::BadMode, 400, r#"{"error":"Missing fields in request body: agent reported an invalid mode"}"#),
        (
            Verdict::LongName,
            400,
            r#"{"error":"Missing fields in request body: agent reported a name that is too long"}"#,
        ),
        (
            Verdict::LongVersion,
            400,
            r#"{"error":"Missing fields in request body: agent reported a version string that is too long"}"#,
        ),
    ] {
        assert_eq!(verdict.answer(), Answer { status, body: format!("{body}\n") });
    }
}

#[test]
fn other_answers_are_written_as_go_writes_json() {
    for (answer, status, body) in [
        (
            Answer::unreadable(&Refusal::new("JSON that ends too early")),
            400,
            r#"{"error":"Failed to decode request body: JSON that ends too early"}"#,
        ),
        (
            Answer::unauthorized("<a> & \"b\"\u{2028}"),
            401,
            r#"{"error":"Agent is not authorized to upload heartbeats: \u003ca\u003e \u0026 \"b\"\u2028"}"#,
        ),
        (Answer::not_saved("no"), 500, r#"{"error":"Failed to save heartbeat: no"}"#),
    ] {
        assert_eq!(answer, Answer { status, body: format!("{body}\n") });
    }
}
