//! Everything that needs a real broker: one private RabbitMQ node for the whole binary, one vhost for each test.

mod appliance;
mod contract;
mod crowd;
mod heal;
mod lent;
mod memory;
mod node;
mod outage;
mod proof;
mod real;
mod servers;
mod trouble;
mod unwell;
