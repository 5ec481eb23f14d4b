//! The appliance put together: settings, ports, loops, listeners, start and shutdown.

pub mod settings;
pub mod telemetry;
