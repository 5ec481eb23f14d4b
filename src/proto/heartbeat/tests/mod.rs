//! What heartbeats are: by captures of real agents, by tables of malformed ones, and by random histories.

mod captures;
mod histories;
mod judging;
mod malformed;

use std::time::Duration;

use super::{Generation, Heartbeat, Timings};
use crate::base::Timestamp;

/// A scheduler's settings: a heartbeat each minute, and gone after ten.
const TIMINGS: Timings = Timings { heartbeat_period: Duration::from_secs(60), agent_timeout: Duration::from_secs(600) };
/// The agent of March 2015.
const FIRST: &str = include_str!("captures/2015_heartbeat.json");
/// The agent of 2018.
const SECOND: &str = include_str!("captures/2018_heartbeat.json");
/// The agent of 2019.
const THIRD: &str = include_str!("captures/2019_http_heartbeat.json");
/// The captures as what they are.
const CAPTURES: [(&str, Generation); 3] =
    [(FIRST, Generation::First), (SECOND, Generation::Second), (THIRD, Generation::Third)];

fn read(body: &str, generation: Generation) -> Heartbeat {
    Heartbeat::read(body.as_bytes(), generation).unwrap()
}

/// A moment as Go writes it.
fn at(text: &str) -> Timestamp {
    super::time::moment(text.as_bytes()).unwrap()
}
