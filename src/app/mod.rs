//! Settings → ports → domain → loops → listeners → shutdown.

mod build;
mod environment;
pub mod hardening;
mod lifecycle;
mod listen;
mod loops;
mod oidc;
pub mod operate;
mod outbox;
mod scheduler;
pub mod settings;
pub mod telemetry;
mod tls;

pub use build::{Appliance, broker};
pub use lifecycle::{Running, run, serve, start};
