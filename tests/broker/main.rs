//! Everything that needs a real broker: one private RabbitMQ node for the whole binary, one vhost for each test.

mod contract;
mod memory;
mod node;
mod real;
mod servers;
mod trouble;
