//! The messages in the model's queues.

use std::collections::VecDeque;
use std::time::Duration;

use async_trait::async_trait;

use super::{MemoryBroker, State};
use crate::base::{Error, Result, VhostName};
use crate::ports::broker::messages::{BATCH_LEN_MAX, BATCH_MAX, Drain, Message, Messages, Published, Publisher};
use crate::ports::broker::topology::Queue;

/// How often a drain that is held looks whether it still is.
const HELD_PERIOD: Duration = Duration::from_millis(5);

/// A vhost and a queue of it.
type Place = (String, String);

impl MemoryBroker {
    /// Somebody publishes these into a queue that is there.
    pub fn put_messages(&self, vhost: &VhostName, queue: &str, messages: impl IntoIterator<Item = Message>) {
        self.lock().append(&(vhost.to_string(), queue.to_owned()), messages);
    }

    /// The messages that wait in a queue.
    pub fn messages(&self, vhost: &VhostName, queue: &str) -> Vec<Message> {
        let state = self.lock();
        state.messages.get(&(vhost.to_string(), queue.to_owned())).into_iter().flatten().cloned().collect()
    }
}

impl State {
    fn append(&mut self, place: &Place, messages: impl IntoIterator<Item = Message>) {
        self.messages.entry(place.clone()).or_default().extend(messages);
        self.count(place);
    }

    /// What a queue says of itself after its messages changed.
    pub(super) fn count(&mut self, place: &Place) {
        let ready = self.messages.get(place).map_or(0, |messages| messages.len() as u64);
        if let Some(queue) = self.queues.get_mut(place) {
            queue.ready = Some(ready);
            queue.messages = Some(ready + queue.unacknowledged.unwrap_or(0));
        }
    }

    fn require_queue(&self, place: &Place) -> Result<&Queue> {
        let queue = self.queues.get(place).ok_or_else(|| Error::not_found("the broker has no such queue"))?;
        match queue.exclusive {
            Some(true) => Err(Error::conflict("the queue belongs to a connection")),
            _ => Ok(queue),
        }
    }
}

#[async_trait]
impl Messages for MemoryBroker {
    async fn drain(&self, vhost: &VhostName, queue: &str) -> Result<Box<dyn Drain>> {
        let place = (vhost.to_string(), queue.to_owned());
        let (left, is_stream) = self.request(format!("DRAIN queue {vhost} {queue}"), |state| {
            let is_stream = state.require_queue(&place)?.kind.as_deref() == Some("stream");
            Ok((state.messages.get(&place).map_or(0, VecDeque::len), is_stream))
        })?;
        let (broker, in_hand) = (self.clone(), VecDeque::new());
        Ok(Box::new(MemoryDrain { broker, place, is_stream, first: left, left, in_hand }))
    }

    async fn publisher(&self, vhost: &VhostName, queue: &str) -> Result<Box<dyn Publisher>> {
        let place = (vhost.to_string(), queue.to_owned());
        self.request(format!("OPEN queue {vhost} {queue}"), |state| state.require_queue(&place).map(drop))?;
        Ok(Box::new(MemoryPublisher { broker: self.clone(), place }))
    }
}

struct MemoryDrain {
    broker: MemoryBroker,
    place: Place,
    is_stream: bool,
    /// How many there were at the beginning.
    first: usize,
    /// How many of them were not handed out yet.
    left: usize,
    in_hand: VecDeque<Message>,
}

#[async_trait]
impl Drain for MemoryDrain {
    async fn next(&mut self) -> Result<Vec<Message>> {
        while self.broker.lock().are_drains_held {
            tokio::time::sleep(HELD_PERIOD).await;
        }
        let Self { broker, place, is_stream, first, left, in_hand } = self;
        broker.request(format!("TAKE queue {} {}", place.0, place.1), |state| {
            let queue = state.messages.entry(place.clone()).or_default();
            let (mut taken, mut len) = (Vec::new(), 0);
            while *left > 0 && taken.len() < BATCH_MAX && len < BATCH_LEN_MAX {
                let next = match is_stream {
                    true => queue.get(*first - *left).cloned().map(|message| {
                        let offset = (*first - *left) as u64;
                        Message { offset: Some(offset), ..message }
                    }),
                    false => queue.pop_front(),
                };
                let Some(message) = next else { break };
                len += message.body.len();
                taken.push(message);
                *left -= 1;
            }
            if !*is_stream {
                in_hand.extend(taken.iter().cloned());
            }
            state.count(place);
            Ok(taken)
        })
    }

    async fn acknowledge(&mut self) -> Result<()> {
        self.broker.request(format!("ACK queue {} {}", self.place.0, self.place.1), |_| {
            self.in_hand.clear();
            Ok(())
        })
    }

    async fn end(mut self: Box<Self>) -> Result<u64> {
        self.give_back();
        self.broker.request(format!("LEAVE queue {} {}", self.place.0, self.place.1), |state| {
            let waiting = state.messages.get(&self.place).map_or(0, VecDeque::len);
            Ok((if self.is_stream { waiting - self.first } else { waiting }) as u64)
        })
    }
}

impl MemoryDrain {
    fn give_back(&mut self) {
        let mut state = self.broker.lock();
        let queue = state.messages.entry(self.place.clone()).or_default();
        while let Some(message) = self.in_hand.pop_back() {
            queue.push_front(Message { redelivered: true, ..message });
        }
        state.count(&self.place);
    }
}

impl Drop for MemoryDrain {
    fn drop(&mut self) {
        self.give_back();
    }
}

struct MemoryPublisher {
    broker: MemoryBroker,
    place: Place,
}

#[async_trait]
impl Publisher for MemoryPublisher {
    async fn publish(&mut self, messages: &[Message]) -> Published {
        let published = self.broker.request(format!("PUBLISH queue {} {}", self.place.0, self.place.1), |state| {
            state.require_queue(&self.place)?;
            let as_published = messages.iter().map(|message| Message {
                exchange: String::new(),
                routing_key: self.place.1.clone(),
                redelivered: false,
                offset: None,
                ..message.clone()
            });
            state.append(&self.place, as_published);
            Ok(())
        });
        match published {
            Ok(()) => Published { confirmed: messages.len(), ..Published::default() },
            Err(error) => Published { failed: Some(error), ..Published::default() },
        }
    }

    async fn end(self: Box<Self>) {}
}
