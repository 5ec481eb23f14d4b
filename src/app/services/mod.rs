//! Services beside a task: containers that its payload names, each with a session of the task proxy that the appliance opens
//! for it, started, followed and removed with the task.
//!
//! What is made outside is named by the appliance and labelled with the set and with the lock of the runner, so that whoever
//! comes next can remove what this process could not.

mod alive;
mod answer;
mod begin;
mod left;
mod locks;
mod run;
mod task;
mod watch;

pub use left::clean;
pub use locks::Directory;
pub use run::Run;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;

use crate::proto::services::{ImageName, Payload};

/// Lines that wait to be written.
pub const LINES_MAX: usize = 1024;

/// What is to run.
pub struct Wanted {
    /// The services.
    pub payload: Payload,
    /// More of what the appliance is asked, by names of its API: for whom, and by which scopes.
    pub asked: BTreeMap<&'static str, Value>,
    /// The task.
    pub task: Task,
    /// Which images are fetched.
    pub pull: Pull,
    /// For all services to be ready.
    pub ready_within: Duration,
    /// For all of it.
    pub lasts: Duration,
    /// Bytes of the output of each service that are handed on.
    pub log_len_max: u64,
    /// What is done with this process before the task is started on this host.
    pub before_task: Box<dyn Fn() + Send + Sync>,
}

/// What runs beside the services.
pub enum Task {
    /// Nothing: they run until they are told to end.
    Nothing,
    /// A command on this host. `alias` is what this program is called to become it.
    Here {
        /// The command and its arguments.
        command: Vec<String>,
        /// The name by which this program does what has to be done in a process of the task's own.
        alias: &'static str,
        /// Variables of this process that the task does not get.
        without: &'static [&'static str],
    },
    /// A container.
    Image {
        /// Its image.
        image: ImageName,
        /// What it runs; nothing for what the image says.
        command: Vec<String>,
    },
}

/// Which images are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pull {
    /// Those that are not here.
    Missing,
    /// All.
    Always,
    /// None.
    Never,
}

/// Says lines: what happens, and what services say.
#[derive(Clone, Debug)]
pub struct Voice(mpsc::Sender<String>);

impl Voice {
    /// One whose lines are read at the other end.
    pub fn new() -> (Self, mpsc::Receiver<String>) {
        let (sender, receiver) = mpsc::channel(LINES_MAX);
        (Self(sender), receiver)
    }

    /// Says what happens. A reader who does not read holds up nothing, and misses it.
    pub fn say(&self, line: impl Into<String>) {
        // As it says.
        let _ = self.0.try_send(line.into());
    }

    /// Hands on what somebody else says, as fast as it is read.
    async fn pass(&self, line: String) {
        // Nobody is left to tell.
        let _ = self.0.send(line).await;
    }
}
