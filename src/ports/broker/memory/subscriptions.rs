//! Queues of our own in the model.

use std::collections::VecDeque;
use std::time::Duration;

use async_trait::async_trait;

use super::{MemoryBroker, State};
use crate::base::{Error, Result, VhostName};
use crate::ports::broker::messages::Message;
use crate::ports::broker::subscriptions::{Subscriber, Subscription, Subscriptions};
use crate::ports::broker::topology::{Binding, Destination, Queue};

/// How often somebody who waits looks whether something came.
const WAIT_PERIOD: Duration = Duration::from_millis(2);

/// A vhost and a queue of it.
type Place = (String, String);

impl MemoryBroker {
    /// Somebody publishes these to an exchange under a routing key: a copy goes to each queue that is bound with just that
    /// key. How many queues got them.
    pub fn publish(&self, vhost: &VhostName, exchange: &str, key: &str, bodies: &[Vec<u8>]) -> usize {
        let is_meant = |(of, binding): &&(String, Binding)| {
            of == vhost.as_str() && binding.source == exchange && binding.routing_key == key
        };
        let queue = |(_, binding): &(String, Binding)| match &binding.destination {
            Destination::Queue(name) => Some(name.clone()),
            Destination::Exchange(_) => None,
        };
        let queues: Vec<String> = self.lock().bindings.iter().filter(is_meant).filter_map(queue).collect();
        for queue in &queues {
            let messages = bodies.iter().map(|body| Message { body: body.clone(), ..Message::default() });
            self.put_messages(vhost, queue, messages);
        }
        queues.len()
    }

    fn have_queue(&self, vhost: &VhostName, wanted: &Subscription) -> Result<()> {
        self.request(format!("SUBSCRIBE queue {vhost} {}", wanted.queue), |state| {
            state.require_vhost(vhost)?;
            if !state.exchanges.contains_key(&(vhost.to_string(), wanted.exchange.clone())) {
                return Err(Error::not_found(format!("the broker has no exchange `{}` there", wanted.exchange)));
            }
            let new = Queue { name: wanted.queue.clone(), messages: Some(0), ..Queue::default() };
            let place = (vhost.to_string(), wanted.queue.clone());
            if state.queues.contains_key(&place) && state.subscriptions.get(&place).is_some_and(|known| known != wanted)
            {
                return Err(Error::conflict("the queue is there with other arguments"));
            }
            state.subscriptions.insert(place.clone(), wanted.clone());
            state.queues.entry(place).or_insert(new);
            let destination = Destination::Queue(wanted.queue.clone());
            let binding = Binding { source: wanted.exchange.clone(), destination, routing_key: wanted.key.clone() };
            state.bindings.insert((vhost.to_string(), binding));
            Ok(())
        })
    }
}

#[async_trait]
impl Subscriptions for MemoryBroker {
    async fn subscribe(&self, vhost: &VhostName, wanted: &Subscription) -> Result<Box<dyn Subscriber>> {
        let place = (vhost.to_string(), wanted.queue.clone());
        self.have_queue(vhost, wanted)?;
        let (broker, vhost, wanted) = (self.clone(), vhost.clone(), wanted.clone());
        Ok(Box::new(MemorySubscriber { broker, vhost, wanted, place, in_hand: VecDeque::new() }))
    }
}

struct MemorySubscriber {
    broker: MemoryBroker,
    vhost: VhostName,
    wanted: Subscription,
    place: Place,
    in_hand: VecDeque<Message>,
}

impl MemorySubscriber {
    /// What waits, so many and of so many bytes at most; none when nothing does.
    fn take(&mut self, count_max: usize, len_max: usize) -> Result<Vec<Vec<u8>>> {
        let Self { broker, place, in_hand, .. } = self;
        let mut state = broker.lock();
        if state.is_away || !state.queues.contains_key(place) {
            return Err(Error::unavailable(
                "the broker ended our consumer: the queue was deleted, or its node is down",
            ));
        }
        let (mut bodies, mut len) = (Vec::new(), 0);
        let State { messages, .. } = &mut *state;
        let queue = messages.entry(place.clone()).or_default();
        while bodies.len() < count_max && len < len_max {
            let Some(message) = queue.pop_front() else { break };
            len += message.body.len();
            bodies.push(message.body.clone());
            in_hand.push_back(message);
        }
        state.count(place);
        Ok(bodies)
    }
}

#[async_trait]
impl Subscriber for MemorySubscriber {
    async fn next(&mut self, count_max: usize, len_max: usize) -> Result<Vec<Vec<u8>>> {
        loop {
            let taken = self.take(count_max, len_max)?;
            if !taken.is_empty() {
                return Ok(taken);
            }
            tokio::time::sleep(WAIT_PERIOD).await;
        }
    }

    async fn bind_again(&mut self) -> Result<()> {
        self.broker.have_queue(&self.vhost, &self.wanted)
    }

    async fn acknowledge(&mut self) -> Result<()> {
        self.broker.request(format!("ACK queue {} {}", self.place.0, self.place.1), |_| {
            self.in_hand.clear();
            Ok(())
        })
    }
}

impl Drop for MemorySubscriber {
    fn drop(&mut self) {
        let mut state = self.broker.lock();
        let queue = state.messages.entry(self.place.clone()).or_default();
        while let Some(message) = self.in_hand.pop_back() {
            queue.push_front(Message { redelivered: true, ..message });
        }
        state.count(&self.place);
    }
}
