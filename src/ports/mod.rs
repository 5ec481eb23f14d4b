//! Doors to the outside: one module per neighbour. The only users of `reqwest`, `lapin`, `hickory` and
//! `lettre`.

pub mod amqp;
pub mod appliance;
pub mod authority;
pub mod broker;
pub mod dns;
pub mod host;
mod hosts_file;
pub mod log;
pub mod mail;
pub mod notify;
pub mod oidc;
mod post;
pub mod resolve;
pub mod spool;
pub mod supervisor;
pub mod tls;
pub mod webhook;
