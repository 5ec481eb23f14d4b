//! The appliance as its users meet it: over sockets and on the command line, hermetic, with a broker in memory and a
//! clock that is moved by hand.

mod administrator;
mod archive_api;
mod archives;
mod audit;
mod authority;
mod certificates;
mod claims;
mod cli;
mod connections;
mod console;
mod corpus;
mod crash;
mod credentials;
#[path = "../support/disk.rs"]
mod disk;
#[path = "../support/dns.rs"]
mod dns;
mod dnssec;
mod doctor;
mod documents;
mod hasty;
mod history;
mod host_rules;
mod hosts;
mod ladder;
mod leases;
mod limits;
mod local;
mod loops;
mod metrics;
mod notices;
mod openapi;
mod queues;
mod relay;
mod relay_adopt;
mod relay_crash;
mod relay_histories;
mod relay_lending;
mod relay_profile;
mod relay_rotation;
mod relay_trouble;
mod remote;
mod routes;
mod schema;
mod sign;
mod simulation;
mod sites;
mod throttle;
mod tls;
mod upgrade;
mod vectors;
mod wire;
mod wire_types;
mod world;
mod wraps;
