//! What the task proxy reads and writes: command lines and paths of its ancestors, and what their headers say.

pub mod command_line;
pub mod delegation;
pub mod go;
pub mod target;
pub mod taskcluster;
pub mod template;
