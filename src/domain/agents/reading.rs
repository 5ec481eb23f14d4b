//! Reads heartbeats from a queue of our own, beside the scheduler's, for as long as the appliance runs.
//!
//! The broker keeps that queue small, so an appliance that is away costs it nothing. A batch is acknowledged after its
//! commit: what a crash leaves comes again, and to take a heartbeat twice changes nothing.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;

use tokio::time::{Instant, sleep, timeout};

use super::Agents;
use super::meters::{Fate, Reading};
use crate::base::{Error, Result};
use crate::domain::auth::Caller;
use crate::ports::broker::{Subscriber, Subscription};
use crate::proto::relay_profile;

/// Our queue. Its name does not begin as those of the platform, whose policies are not meant for it.
pub const QUEUE: &str = "keylender.heartbeats";
/// The routing key of heartbeats, in all generations (mig.md 1.1).
const KEY: &str = "mig.agt.heartbeats";
/// Heartbeats that wait at most: several of each agent of the largest fleet that is measured.
const MESSAGES_MAX: u32 = 100_000;
/// Bytes that wait at most, which is as much as their bodies have. It bounds a single message, too.
const LEN_MAX: u32 = 64 << 20;
/// After which a heartbeat is not worth reading: the agent has sent others.
const MESSAGE_TTL: Duration = Duration::from_secs(10 * 60);
/// After which the queue of an appliance that does not come back goes.
const EXPIRES: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Heartbeats of one transaction: what waits behind it is not noticed.
const BATCH_MAX: usize = 1000;
/// Bytes of one.
const BATCH_LEN_MAX: usize = 2 << 20;
/// How often it is looked whether the profile says something else.
const LOOK_PERIOD: Duration = Duration::from_secs(5);
/// How often the queue is bound again: a broker tells nobody that a binding went.
const BIND_PERIOD: Duration = Duration::from_secs(60);
/// The pause after trouble.
const TROUBLE_PAUSE: Duration = Duration::from_secs(3);

impl Agents {
    /// Reads until it is dropped.
    pub async fn read_heartbeats(&self) {
        loop {
            let Some(declared) = self.agents().ok().filter(|_| self.subscriptions.is_some()) else {
                self.meters.change(|reading| *reading = Default::default());
                sleep(LOOK_PERIOD).await;
                continue;
            };
            // What no heartbeat should be able to do must not end the reading for good.
            let read = AssertUnwindSafe(self.read_as(&declared)).catch_unwind().await;
            let read = read.unwrap_or_else(|_| Err(Error::internal("reading heartbeats", "it panicked")));
            let now = self.clock.now();
            match read {
                // The profile says something else now.
                Ok(()) => self.meters.change(|reading| reading.since = None),
                Err(error) => {
                    let text = error.message().to_owned();
                    if self.meters.reading().trouble.as_ref() != Some(&text) {
                        tracing::warn!("heartbeats of agents are not read: {}", error.chain());
                    }
                    self.meters.change(|reading| {
                        reading.since = None;
                        reading.trouble_since.get_or_insert(now);
                        reading.trouble = Some(text);
                    });
                    sleep(TROUBLE_PAUSE).await;
                }
            }
        }
    }

    /// Reads while this is declared.
    async fn read_as(&self, declared: &Arc<relay_profile::Agents>) -> Result<()> {
        let mut subscriber = self.subscribe(declared).await?;
        let now = self.clock.now();
        self.meters.change(|reading| {
            (reading.since, reading.trouble, reading.trouble_since) = (Some(now), None, None);
        });
        tracing::info!("heartbeats of agents are read from the queue {QUEUE} of the vhost {}", declared.vhost);
        let (mut bound, mut looked) = (Instant::now(), Instant::now());
        loop {
            if bound.elapsed() >= BIND_PERIOD {
                subscriber.bind_again().await?;
                bound = Instant::now();
            }
            // Also while heartbeats come without a pause.
            if looked.elapsed() >= LOOK_PERIOD {
                if !self.agents().is_ok_and(|present| present == *declared) {
                    return Ok(());
                }
                looked = Instant::now();
            }
            let Ok(bodies) = timeout(LOOK_PERIOD, subscriber.next(BATCH_MAX, BATCH_LEN_MAX)).await else { continue };
            self.take(&bodies?).await?;
            subscriber.acknowledge().await?;
        }
    }

    /// What became of heartbeats since the start.
    pub fn fates(&self) -> impl Iterator<Item = (Fate, u64)> + '_ {
        self.meters.fates()
    }

    /// How the queue of heartbeats is read.
    pub fn reading(&self) -> Reading {
        self.meters.reading()
    }

    async fn subscribe(&self, declared: &relay_profile::Agents) -> Result<Box<dyn Subscriber>> {
        let vhost = &declared.vhost;
        self.relay.make_sure_to_enter(vhost, &Caller::of_loop(super::LOOP)).await?;
        self.subscriptions.get()?.subscribe(vhost, &subscription(&declared.sends_to)).await
    }
}

/// Our queue at an exchange that heartbeats are sent to.
pub fn subscription(exchange: &str) -> Subscription {
    Subscription {
        queue: QUEUE.to_owned(),
        exchange: exchange.to_owned(),
        key: KEY.to_owned(),
        messages_max: MESSAGES_MAX,
        len_max: LEN_MAX,
        message_ttl: MESSAGE_TTL,
        expires: EXPIRES,
    }
}
