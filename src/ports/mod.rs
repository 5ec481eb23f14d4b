//! Clients of everything outside: one module per neighbour. The only users of `reqwest`, `lapin`, `hickory` and
//! `lettre`.

pub mod amqp;
pub mod authority;
pub mod broker;
pub mod dns;
pub mod engine;
mod hosts_file;
mod http;
pub mod keylender;
pub mod log;
pub mod mail;
pub mod notify;
pub mod oidc;
pub mod own_hosts;
pub mod placed;
mod post;
pub mod resolve;
pub mod sockets;
pub mod spool;
pub mod system;
pub mod systemd;
pub mod tls;
pub mod upstream;
pub mod webhook;
