//! Everything that needs a real broker: one private RabbitMQ node for the whole binary, one vhost for each test.

mod appliance;
mod contract;
mod crowd;
mod expiry;
mod heal;
mod lent;
mod memory;
mod node;
mod operate;
mod outage;
mod proof;
mod real;
mod rotation;
mod servers;
mod trouble;
mod unwell;
