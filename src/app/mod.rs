//! Settings → ports → domain → loops → listeners → shutdown.

mod brokers;
mod build;
mod caller;
mod environment;
pub mod hardening;
mod lifecycle;
mod listen;
mod loops;
mod oidc;
pub mod operate;
mod outbox;
pub mod proxy;
mod scheduler;
pub mod services;
pub mod settings;
pub mod telemetry;
mod tls;

pub use brokers::{Brokers, broker};
pub use build::Appliance;
pub use caller::Caller;
pub use lifecycle::{Running, run, serve, start};
