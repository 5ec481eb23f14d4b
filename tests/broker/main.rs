//! Everything that needs a real broker: one private RabbitMQ node for the whole binary, one vhost for each test.

mod administrator;
mod appliance;
mod contract;
mod crowd;
mod expiry;
mod garbage;
mod guard;
mod heal;
mod lent;
mod memory;
mod node;
mod old_kernel;
mod operate;
mod outage;
mod proof;
mod real;
mod revoke;
mod rotation;
mod servers;
#[expect(dead_code, reason = "stories about the broker need less of it than those about notices")]
#[path = "../notices/smtp.rs"]
mod smtp;
mod trouble;
mod unwell;
