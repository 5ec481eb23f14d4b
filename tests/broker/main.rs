//! Everything that needs a real broker: one private RabbitMQ node for the whole binary, one vhost for each test.

mod administrator;
mod agents;
mod appliance;
mod archive_trouble;
mod archives;
mod bare_host;
mod contract;
mod crowd;
#[expect(dead_code, reason = "one story needs less of it than those about machines")]
#[path = "../support/dns.rs"]
mod dns;
mod expiry;
mod garbage;
mod heal;
mod kinds;
mod lent;
mod memory;
mod monitor;
mod node;
mod operate;
mod outage;
mod patterns;
mod proof;
mod real;
mod relay;
mod relay_access;
mod relay_kill;
mod revoke;
mod rotation;
mod served;
mod servers;
mod sites;
#[expect(dead_code, reason = "stories about the broker need less of it than those about notices")]
#[path = "../support/smtp.rs"]
mod smtp;
#[path = "../support/static_program.rs"]
mod static_program;
mod trouble;
mod tunnel;
mod unwell;
