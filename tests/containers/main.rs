//! Services beside a task, in real containers: what the engine does, and that nothing is left of a run however it ends.

mod appliance;
mod bench;
mod engine;
#[path = "../support/podman.rs"]
mod podman;
mod runner;
mod whole;
