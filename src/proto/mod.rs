//! Hostile bytes and signed formats. Pure: no I/O, and time is an argument.

pub mod addresses;
pub mod amqp_login;
pub mod broker_pattern;
pub mod certificates;
pub mod enrolment;
pub mod ext;
pub mod formats;
pub mod frames;
pub mod go_regex;
pub mod hawk;
pub mod heartbeat;
pub mod mig;
pub mod oidc;
pub mod proxy;
pub mod proxy_header;
pub mod refusal;
pub mod relay_profile;
pub mod roles;
pub mod scopes;
pub mod services;
pub mod tempcred;
pub mod totp;
pub mod urls;
pub mod whitelist;

pub use refusal::Refusal;
